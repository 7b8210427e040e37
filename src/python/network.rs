//! Layer 5: `dropfast._core.Network`: the training engine for one stack of layers.

use std::sync::Mutex;

use numpy::Element as NumpyElement;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::key::Key as PyKey;
use super::layers::layers_from_python;
use super::predictions::How;
use super::training::TrainCall;
use super::turn::Turn;
use crate::dense::forward::Real;
use crate::rng::Key;
use crate::train::layer::{Dense, Layer, Limits};
use crate::train::noise::Origin;
use crate::train::plan::Plan;
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
    pub(super) limits: Vec<Limits>,
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
    /// Neither is it where somebody else has the weights' turn.
    #[pyo3(signature = (params, x, turn = None))]
    fn predict<'py>(
        &self,
        py: Python<'py>,
        params: Vec<Bound<'py, PyAny>>,
        x: &Bound<'py, PyAny>,
        turn: Option<&Bound<'py, Turn>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let reading = turn.map(|turn| turn.get().try_read());
        if matches!(reading, Some(None)) {
            return Ok(None);
        }
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
    /// ``milliseconds``. Return how many batches were done, ``total`` with the weighted losses of their rows added, batch by
    /// batch, and the number of rows whose label was predicted. ``counter[0]`` becomes the number of steps done after each.
    #[pyo3(signature = (params, state, x, y, *, order, start, batches, batch_size, loss, optimizer, learning_rates, keys,
        rates = None, first_step, counter = None, total = 0.0, sample_weight = None, predictions = None, milliseconds = 100))]
    #[allow(clippy::too_many_arguments, reason = "keywords of the Python method")]
    fn train(
        &self,
        py: Python<'_>,
        params: Vec<Bound<'_, PyAny>>,
        state: Vec<Vec<Bound<'_, PyAny>>>,
        x: &Bound<'_, PyAny>,
        y: &Bound<'_, PyAny>,
        order: &Bound<'_, PyAny>,
        start: usize,
        batches: usize,
        batch_size: usize,
        loss: &Bound<'_, PyDict>,
        optimizer: &Bound<'_, PyDict>,
        learning_rates: &Bound<'_, PyAny>,
        keys: Vec<PyRef<'_, PyKey>>,
        rates: Option<&Bound<'_, PyAny>>,
        first_step: u64,
        counter: Option<&Bound<'_, PyAny>>,
        total: f64,
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
            total,
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
}
