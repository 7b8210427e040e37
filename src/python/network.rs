//! Layer 5: `dropfast._core.Network`: the training engine for one stack of layers.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError, TryLockError};
use std::time::Duration;

use numpy::{
    Element as NumpyElement, PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadonlyArrayDyn, PyReadwriteArrayDyn,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::borrowed::{Data, TargetArray, readable, writable};
use super::key::Key as PyKey;
use super::layers::layers_from_python;
use super::loss::{loss_from_python, target_units};
use super::optimizer::optimizer_from_python;
use super::predictions::How;
use crate::dense::forward::Real;
use crate::parallel::{Shared, num_threads};
use crate::rng::Key;
use crate::train::layer::{Dense, Layer, Limits};
use crate::train::noise::Origin;
use crate::train::plan::Plan;
use crate::train::run::Run;
use crate::train::update::Parameter;
use crate::train::workspace::Workspace;

/// The native plan and buffers of one stack of layers. It holds no weights: each call is given them.
///
/// Parameters
/// ----------
/// layers : list of dict
///     The stack, as ``Sequential`` writes it.
/// input_size : int
///     Features of the input.
/// dtype : {"float32", "float64"}
///     Type of weights and activations.
#[pyclass(module = "dropfast._core", frozen)]
pub(crate) struct Network {
    pub(super) plan: Plan,
    limits: Vec<Limits>,
    buffers: Buffers,
}

/// The buffers of the network's type, made by the first training call.
enum Buffers {
    Single(Mutex<Option<Workspace<f32>>>),
    Double(Mutex<Option<Workspace<f64>>>),
}

/// A type of network: its NumPy dtype and its buffers.
pub(super) trait Number: Real + NumpyElement + std::ops::Add<Output = Self> {
    fn buffers(network: &Network) -> Option<&Mutex<Option<Workspace<Self>>>>;
}

impl Number for f32 {
    fn buffers(network: &Network) -> Option<&Mutex<Option<Workspace<Self>>>> {
        match &network.buffers {
            Buffers::Single(buffers) => Some(buffers),
            Buffers::Double(_) => None,
        }
    }
}

impl Number for f64 {
    fn buffers(network: &Network) -> Option<&Mutex<Option<Workspace<Self>>>> {
        match &network.buffers {
            Buffers::Single(_) => None,
            Buffers::Double(buffers) => Some(buffers),
        }
    }
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (layers, input_size, dtype = "float32"))]
    fn new(layers: Vec<Bound<'_, PyDict>>, input_size: usize, dtype: &str) -> PyResult<Self> {
        let plan = Plan::new(layers_from_python(&layers)?, input_size)?;
        let mut limits = Vec::new();
        for place in &plan.dense {
            if let Layer::Dense(Dense { kernel, bias, .. }) = &plan.layers[place.layer] {
                limits.push(*kernel);
                limits.extend(*bias);
            }
        }
        let buffers = match dtype {
            "float32" => Buffers::Single(Mutex::new(None)),
            "float64" => Buffers::Double(Mutex::new(None)),
            _ => {
                let message = format!("dtype must be \"float32\" or \"float64\". Received: dtype={dtype:?}");
                return Err(PyValueError::new_err(message));
            }
        };
        Ok(Self { plan, limits, buffers })
    }

    /// Write the outputs for the rows of ``x`` into ``out``: inference, or with ``keys`` (one for each stochastic layer) as
    /// in training. They are rows ``first_row`` and after of what is predicted; ``consistent`` gives all of them one mask.
    #[pyo3(signature = (params, x, out, *, keys = None, rates = None, first_row = 0, consistent = false))]
    #[allow(clippy::too_many_arguments, reason = "keywords of the Python method")]
    fn forward(
        &self,
        py: Python<'_>,
        params: Vec<Bound<'_, PyAny>>,
        x: &Bound<'_, PyAny>,
        out: &Bound<'_, PyAny>,
        keys: Option<Vec<PyRef<'_, PyKey>>>,
        rates: Option<Vec<f64>>,
        first_row: usize,
        consistent: bool,
    ) -> PyResult<()> {
        let keys = self.keys(keys)?;
        let how = How { keys: keys.as_deref(), rates: rates.as_deref(), origin: Origin { first_row, consistent } };
        match self.buffers {
            Buffers::Single(_) => self.forward_as::<f32>(py, &params, x, out, how),
            Buffers::Double(_) => self.forward_as::<f64>(py, &params, x, out, how),
        }
    }

    /// The outputs at inference for the rows of ``x``, in a new array; None where ``x`` is not an array just as the network
    /// takes it, so that nothing needs to be looked at in Python first.
    #[pyo3(signature = (params, x))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        params: Vec<Bound<'py, PyAny>>,
        x: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.buffers {
            Buffers::Single(_) => self.predict_as::<f32>(py, &params, x),
            Buffers::Double(_) => self.predict_as::<f64>(py, &params, x),
        }
    }

    /// Add ``samples`` outputs under fresh masks to the running ``mean`` and sum of squared deviations ``m2``; sample number
    /// ``i`` draws with the keys at step ``i``. ``first_row`` and ``consistent`` as in ``forward``.
    #[pyo3(signature = (params, x, mean, m2, *, keys, samples, first_sample = 0, rates = None, first_row = 0,
        consistent = false))]
    #[allow(clippy::too_many_arguments, reason = "keywords of the Python method")]
    fn predict_mc(
        &self,
        py: Python<'_>,
        params: Vec<Bound<'_, PyAny>>,
        x: &Bound<'_, PyAny>,
        mean: &Bound<'_, PyAny>,
        m2: &Bound<'_, PyAny>,
        keys: Vec<PyRef<'_, PyKey>>,
        samples: u64,
        first_sample: u64,
        rates: Option<Vec<f64>>,
        first_row: usize,
        consistent: bool,
    ) -> PyResult<()> {
        let keys = self.keys(Some(keys))?;
        let how = How { keys: keys.as_deref(), rates: rates.as_deref(), origin: Origin { first_row, consistent } };
        let samples = (first_sample, samples);
        match self.buffers {
            Buffers::Single(_) => self.predict_mc_as::<f32>(py, &params, x, (mean, m2), samples, how),
            Buffers::Double(_) => self.predict_mc_as::<f64>(py, &params, x, (mean, m2), samples, how),
        }
    }

    /// Train on up to ``batches`` batches of ``x[order]``, beginning with batch ``start`` of the epoch, for about
    /// ``milliseconds``. Return how many batches were done, the sum over their rows of the weighted loss, and the number of
    /// rows whose label was predicted. ``counter``, an array of one uint64, is set to the number of the step after each that was applied.
    #[pyo3(signature = (params, state, x, y, *, order, start, batches, batch_size, loss, optimizer, learning_rates, keys,
        rates = None, first_step, counter = None, sample_weight = None, predictions = None, milliseconds = 100))]
    #[allow(clippy::too_many_arguments, reason = "keywords of the Python method")]
    fn train(
        &self,
        py: Python<'_>,
        params: Vec<Bound<'_, PyAny>>,
        state: Vec<Vec<Bound<'_, PyAny>>>,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        order: PyReadonlyArray1<'_, i64>,
        start: usize,
        batches: usize,
        batch_size: usize,
        loss: &Bound<'_, PyDict>,
        optimizer: &Bound<'_, PyDict>,
        learning_rates: PyReadonlyArray1<'_, f64>,
        keys: Vec<PyRef<'_, PyKey>>,
        rates: Option<PyReadonlyArrayDyn<'_, f64>>,
        first_step: u64,
        counter: Option<Bound<'_, PyArray1<u64>>>,
        sample_weight: Option<&Bound<'_, PyAny>>,
        predictions: Option<&Bound<'_, PyAny>>,
        milliseconds: u64,
    ) -> PyResult<(usize, f64, u64)> {
        let call = TrainCall {
            params,
            state,
            x,
            y,
            order,
            start,
            batches,
            batch_size,
            loss,
            optimizer,
            learning_rates,
            keys: self.keys(Some(keys))?.unwrap_or_default(),
            rates,
            first_step,
            counter,
            sample_weight,
            predictions,
            milliseconds,
        };
        match self.buffers {
            Buffers::Single(_) => self.train_as::<f32>(py, &call),
            Buffers::Double(_) => self.train_as::<f64>(py, &call),
        }
    }
}

/// The arguments of [`Network::train`].
struct TrainCall<'a, 'py> {
    params: Vec<Bound<'py, PyAny>>,
    state: Vec<Vec<Bound<'py, PyAny>>>,
    x: &'a Bound<'py, PyAny>,
    y: &'a Bound<'py, PyAny>,
    order: PyReadonlyArray1<'py, i64>,
    start: usize,
    batches: usize,
    batch_size: usize,
    loss: &'a Bound<'py, PyDict>,
    optimizer: &'a Bound<'py, PyDict>,
    learning_rates: PyReadonlyArray1<'py, f64>,
    keys: Vec<Key>,
    rates: Option<PyReadonlyArrayDyn<'py, f64>>,
    first_step: u64,
    counter: Option<Bound<'py, PyArray1<u64>>>,
    sample_weight: Option<&'a Bound<'py, PyAny>>,
    predictions: Option<&'a Bound<'py, PyAny>>,
    milliseconds: u64,
}

impl Network {
    /// The keys of the stochastic layers.
    fn keys(&self, keys: Option<Vec<PyRef<'_, PyKey>>>) -> PyResult<Option<Vec<Key>>> {
        let Some(keys) = keys else { return Ok(None) };
        if keys.len() != self.plan.noise.len() {
            let (wanted, received) = (self.plan.noise.len(), keys.len());
            let message = format!("keys must be one for each of {wanted} stochastic layers. Received: {received}");
            return Err(PyValueError::new_err(message));
        }
        Ok(Some(keys.iter().map(|key| key.0).collect()))
    }

    /// The parameters to write.
    fn parameters<'py, T: Number>(&self, params: &[Bound<'py, PyAny>]) -> PyResult<Vec<PyReadwriteArrayDyn<'py, T>>> {
        self.check_count("params", params.len())?;
        params.iter().zip(&self.plan.parameters).map(|(array, &len)| writable("params", array, len)).collect()
    }

    pub(super) fn check_count(&self, name: &str, received: usize) -> PyResult<()> {
        let wanted = self.plan.parameters.len();
        if received != wanted {
            let message =
                format!("{name} must have {wanted} arrays, kernel and bias of each layer. Received: {received}");
            return Err(PyValueError::new_err(message));
        }
        Ok(())
    }

    pub(super) fn check_rates(&self, rates: Option<&[f64]>, batches: usize) -> PyResult<()> {
        let Some(rates) = rates else { return Ok(()) };
        let wanted = batches * self.plan.noise.len();
        if rates.len() != wanted {
            let message = format!("rates must have {wanted} elements. Received: {}", rates.len());
            return Err(PyValueError::new_err(message));
        }
        for (index, &rate) in rates.iter().enumerate() {
            let noise = *self.plan.noise_layer(index % self.plan.noise.len());
            crate::train::layer::Noise { rate, ..noise }.check()?;
        }
        Ok(())
    }

    fn train_as<T: Number>(&self, py: Python<'_>, call: &TrainCall<'_, '_>) -> PyResult<(usize, f64, u64)> {
        let data = Data::<T>::new(call.x, self.plan.widths[0])?;
        let rows = data.rows();
        let (first, order) = self.order(call, rows)?;
        let batches = order.len().div_ceil(call.batch_size);
        let learning_rates = call.learning_rates.as_slice()?;
        if learning_rates.len() < batches {
            let message = format!("learning_rates must have {batches} elements. Received: {}", learning_rates.len());
            return Err(PyValueError::new_err(message));
        }
        let rates = call.rates.as_ref().map(|rates| rates.as_slice()).transpose()?;
        let rates = rates.map(|rates| rates.get(..batches * self.plan.noise.len()).unwrap_or(rates));
        self.check_rates(rates, batches)?;
        let loss = loss_from_python(call.loss)?;
        let (optimizer, clip) = optimizer_from_python(call.optimizer)?;
        let targets = TargetArray::<T>::new(call.y, rows, target_units(&loss, self.plan.outputs())?)?;
        let weights = call.sample_weight.map(|weights| readable::<T>("sample_weight", weights)).transpose()?;
        if let Some(weights) = weights.as_ref().filter(|weights| weights.len() != rows) {
            let message = format!("sample_weight must have {rows} elements. Received: {}", weights.len());
            return Err(PyValueError::new_err(message));
        }
        let units = self.plan.outputs();
        let outputs = call.order.len() * units;
        let mut predictions = call.predictions.map(|out| writable::<T>("predictions", out, outputs)).transpose()?;
        let mut parameters = self.parameters::<T>(&call.params)?;
        let mut states = Vec::new();
        for slot in &call.state {
            self.check_count("state", slot.len())?;
            states.push(self.parameters::<T>(slot)?);
        }
        if states.len() != optimizer.states() {
            let message = format!("state must have {} slots. Received: {}", optimizer.states(), states.len());
            return Err(PyValueError::new_err(message));
        }
        let mut counter = call.counter.as_ref().map(|counter| counter.try_readwrite()).transpose()?;
        let counter = match &mut counter {
            Some(counter) => match counter.as_slice_mut()? {
                // SAFETY: aligned, as NumPy says of it, and this borrow's alone while the run lasts; readers in Python take one word.
                [steps] => Some(unsafe { AtomicU64::from_ptr(steps) }),
                other => {
                    let message = format!("counter must have one element. Received: {}", other.len());
                    return Err(PyValueError::new_err(message));
                }
            },
            None => None,
        };
        let run = Run {
            plan: &self.plan,
            parameters: self.shared(&mut parameters, &mut states)?,
            input: data.input()?,
            targets: targets.targets()?,
            weights: weights.as_ref().map(|weights| weights.as_slice()).transpose()?,
            order,
            batch_size: call.batch_size,
            loss,
            optimizer,
            clip,
            learning_rates,
            keys: &call.keys,
            rates,
            first_step: call.first_step,
            counter,
            predictions: match &mut predictions {
                Some(out) => Some(Shared::new(&mut out.as_slice_mut()?[first * units..(first + order.len()) * units])),
                None => None,
            },
            budget: Duration::from_millis(call.milliseconds),
        };
        let rows = order.len().min(run.batch_size);
        let progress = py.detach(|| self.with_workspace(rows, |space| run.train(space)))?;
        Ok((progress.batches, progress.loss, progress.correct))
    }

    /// Where the run begins in the epoch, and its row numbers, all of them below `rows`.
    fn order<'a>(&self, call: &'a TrainCall<'_, '_>, rows: usize) -> PyResult<(usize, &'a [i64])> {
        if call.batch_size == 0 {
            return Err(PyValueError::new_err("batch_size must be a positive integer. Received: batch_size=0"));
        }
        let order = call.order.as_slice()?;
        let first = call.start.saturating_mul(call.batch_size).min(order.len());
        let last = first.saturating_add(call.batches.saturating_mul(call.batch_size)).min(order.len());
        let order = &order[first..last];
        if let Some(row) = order.iter().find(|&&row| row < 0 || row as usize >= rows) {
            return Err(PyValueError::new_err(format!("order must be row numbers in [0, {rows}). Received: {row}")));
        }
        Ok((first, order))
    }

    /// Parameters and slots in the hands of a team.
    fn shared<'a, T: Number>(
        &self,
        parameters: &'a mut [PyReadwriteArrayDyn<'_, T>],
        states: &'a mut [Vec<PyReadwriteArrayDyn<'_, T>>],
    ) -> PyResult<Vec<Parameter<'a, T>>> {
        let mut slots: Vec<Vec<Shared<'a, T>>> = parameters.iter().map(|_| Vec::new()).collect();
        for state in states {
            for (slots, state) in slots.iter_mut().zip(state) {
                slots.push(Shared::new(state.as_slice_mut()?));
            }
        }
        let columns = self.plan.dense.iter().flat_map(|place| {
            let each = if place.bias.is_some() { 2 } else { 1 };
            std::iter::repeat_n(place.outputs, each)
        });
        let all = parameters.iter_mut().zip(slots).zip(columns).zip(&self.limits);
        all.map(|(((values, states), columns), &limits)| {
            Ok(Parameter { values: Shared::new(values.as_slice_mut()?), columns, states, limits })
        })
        .collect()
    }

    /// Runs with the network's buffers, or with fresh ones where another thread trains with them.
    fn with_workspace<T: Number, R>(&self, batch: usize, run: impl FnOnce(&mut Workspace<T>) -> R) -> R {
        let panels = batch.div_ceil(T::LANES).max(1);
        let members = num_threads();
        let fresh = || Workspace::new(&self.plan, panels, members, true);
        let mutex = T::buffers(self).expect("the network's type was matched");
        let mut guard = match mutex.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => return run(&mut fresh()),
        };
        let fits = |space: &Workspace<T>| space.panels >= panels && space.members() == members;
        let mut space = guard.take().filter(fits).unwrap_or_else(fresh);
        let result = run(&mut space);
        *guard = Some(space);
        result
    }
}
