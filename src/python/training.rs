//! Layer 5: the part of `dropfast._core.Network` that trains.

use std::sync::PoisonError;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::borrowed::{Array, Data, TargetArray, check_apart};
use super::interruptible::interruptible;
use super::loss::{loss_from_python, target_units};
use super::network::{Network, Number};
use super::optimizer::optimizer_from_python;
use crate::parallel::{Shared, num_threads};
use crate::rng::Key;
use crate::train::run::Run;
use crate::train::update::Parameter;
use crate::train::workspace::Workspace;

/// The arguments of [`Network::train`].
pub(super) struct TrainCall<'a, 'py> {
    pub(super) params: Vec<Bound<'py, PyAny>>,
    pub(super) state: Vec<Vec<Bound<'py, PyAny>>>,
    pub(super) x: &'a Bound<'py, PyAny>,
    pub(super) y: &'a Bound<'py, PyAny>,
    pub(super) order: &'a Bound<'py, PyAny>,
    pub(super) start: usize,
    pub(super) batches: usize,
    pub(super) batch_size: usize,
    pub(super) loss: &'a Bound<'py, PyDict>,
    pub(super) optimizer: &'a Bound<'py, PyDict>,
    pub(super) learning_rates: &'a Bound<'py, PyAny>,
    pub(super) keys: Vec<Key>,
    pub(super) rates: Option<&'a Bound<'py, PyAny>>,
    pub(super) first_step: u64,
    pub(super) counter: Option<&'a Bound<'py, PyAny>>,
    pub(super) total: f64,
    pub(super) sample_weight: Option<&'a Bound<'py, PyAny>>,
    pub(super) predictions: Option<&'a Bound<'py, PyAny>>,
    pub(super) milliseconds: u64,
}

impl Network {
    /// The parameters to write.
    fn parameters<'py, T: Number>(&self, name: &str, params: &[Bound<'py, PyAny>]) -> PyResult<Vec<Array<'py, T>>> {
        self.check_count(name, params.len())?;
        params.iter().zip(&self.plan.parameters).map(|(array, &len)| Array::writable(name, array, len)).collect()
    }

    pub(super) fn train_as<T: Number>(&self, py: Python<'_>, call: &TrainCall<'_, '_>) -> PyResult<(usize, f64, u64)> {
        let data = Data::<T>::new(call.x, self.plan.widths[0])?;
        let rows = data.rows();
        let order_array = Array::<i64>::of("order", call.order)?;
        let (first, order) = order(call, order_array.as_slice(), rows)?;
        let batches = order.len().div_ceil(call.batch_size);
        let learning_rates = Array::<f64>::of("learning_rates", call.learning_rates)?;
        if learning_rates.len() < batches {
            let message = format!("learning_rates must have {batches} elements. Received: {}", learning_rates.len());
            return Err(PyValueError::new_err(message));
        }
        let rates_array = call.rates.map(|rates| Array::<f64>::of("rates", rates)).transpose()?;
        let rates = rates_array.as_ref().map(Array::as_slice);
        let rates = rates.map(|rates| rates.get(..batches * self.plan.noise.len()).unwrap_or(rates));
        self.check_rates(rates, batches)?;
        let loss = loss_from_python(call.loss)?;
        let (optimizer, clip) = optimizer_from_python(call.optimizer)?;
        let targets = TargetArray::<T>::new(call.y, rows, target_units(&loss, self.plan.outputs())?)?;
        let weights = call.sample_weight.map(|weights| Array::<T>::of("sample_weight", weights)).transpose()?;
        if let Some(weights) = weights.as_ref().filter(|weights| weights.len() != rows) {
            let message = format!("sample_weight must have {rows} elements. Received: {}", weights.len());
            return Err(PyValueError::new_err(message));
        }
        let units = self.plan.outputs();
        let outputs = order_array.len() * units;
        let mut predictions =
            call.predictions.map(|out| Array::<T>::writable("predictions", out, outputs)).transpose()?;
        let mut counter = call.counter.map(|counter| Array::<u64>::writable("counter", counter, 1)).transpose()?;
        let uncounted = AtomicU64::new(0);
        let mut parameters = self.parameters::<T>("params", &call.params)?;
        let states = call.state.iter().map(|slot| self.parameters::<T>("state", slot));
        let mut states = states.collect::<PyResult<Vec<_>>>()?;
        if states.len() != optimizer.states() {
            let message = format!("state must have {} slots. Received: {}", optimizer.states(), states.len());
            return Err(PyValueError::new_err(message));
        }
        let all = parameters.iter().chain(states.iter().flatten()).chain(&predictions).map(Array::bytes);
        let mut written: Vec<_> = all.chain(counter.as_ref().map(Array::bytes)).collect();
        let row_weights = weights.as_ref().map_or(0..0, Array::bytes);
        check_apart(&mut written, &[("x", data.bytes()), ("y", targets.bytes()), ("sample_weight", row_weights)])?;
        let batch = order.len().min(call.batch_size);
        let mut space = self.take_workspace(batch)?;
        let run = Run {
            plan: &self.plan,
            parameters: self.shared(&mut parameters, &mut states),
            input: data.input(),
            targets: targets.targets(),
            weights: weights.as_ref().map(Array::as_slice),
            order,
            batch_size: call.batch_size,
            loss,
            optimizer,
            clip,
            whole_gradients: self.is_long(batch),
            learning_rates: learning_rates.as_slice(),
            keys: &call.keys,
            rates,
            first_step: call.first_step,
            counter: match &mut counter {
                // SAFETY: aligned and checked to be writable; it lives as long as the run.
                Some(counter) => unsafe { AtomicU64::from_ptr(&raw mut counter.as_slice_mut()[0]) },
                None => &uncounted,
            },
            total: call.total,
            predictions: predictions
                .as_mut()
                .map(|out| Shared::new(&mut out.as_slice_mut()[first * units..(first + order.len()) * units])),
            budget: Duration::from_millis(call.milliseconds),
        };
        let outcome = interruptible(py, || run.train(&mut space));
        self.keep_workspace(space);
        let progress = outcome??;
        Ok((progress.batches, progress.loss, progress.correct))
    }

    /// Whether a step on so many rows takes so long that Ctrl-C should not have to wait for its end.
    fn is_long(&self, rows: usize) -> bool {
        let weights: usize = self.plan.parameters.iter().sum();
        rows >= LONG_ROWS && weights.saturating_mul(rows) >= LONG_STEP
    }

    /// Parameters and slots in the hands of a team.
    fn shared<'a, T: Number>(
        &self,
        parameters: &'a mut [Array<'_, T>],
        states: &'a mut [Vec<Array<'_, T>>],
    ) -> Vec<Parameter<'a, T>> {
        let mut slots: Vec<Vec<Shared<'a, T>>> = parameters.iter().map(|_| Vec::new()).collect();
        for state in states {
            for (slots, state) in slots.iter_mut().zip(state) {
                slots.push(Shared::new(state.as_slice_mut()));
            }
        }
        let columns = self.plan.dense.iter().flat_map(|place| {
            let each = if place.bias.is_some() { 2 } else { 1 };
            std::iter::repeat_n(place.outputs, each)
        });
        let all = parameters.iter_mut().zip(slots).zip(columns).zip(&self.limits);
        all.map(|(((values, states), columns), &limits)| Parameter {
            values: Shared::new(values.as_slice_mut()),
            columns,
            states,
            limits,
        })
        .collect()
    }

    /// The network's buffers, or fresh ones where they don't fit or another thread has them. Taken and put back under the
    /// interpreter's lock, so that no forked child finds the mutex locked.
    fn take_workspace<T: Number>(&self, batch: usize) -> PyResult<Workspace<T>> {
        let (panels, members) = (batch.div_ceil(T::LANES).max(1), num_threads());
        let fits = |space: &Workspace<T>| space.panels >= panels && space.members() == members;
        let kept = T::buffers(self).expect("the network's type was matched");
        let found = kept.lock().unwrap_or_else(PoisonError::into_inner).take();
        match found.filter(fits) {
            Some(space) => Ok(space),
            None => Ok(Workspace::new(&self.plan, panels, members, true)?),
        }
    }

    /// Puts buffers back for the next call.
    fn keep_workspace<T: Number>(&self, space: Workspace<T>) {
        let kept = T::buffers(self).expect("the network's type was matched");
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
    }
}

/// Multiply-adds of a step from which on it keeps whole gradients, so that it can end early: some ten milliseconds.
const LONG_STEP: usize = 1 << 28;

/// Rows of a batch beside which another pass over weights and gradients is lost.
const LONG_ROWS: usize = 1024;

/// Where the run begins in the epoch, and its row numbers, all of them below `rows`.
fn order<'a>(call: &TrainCall<'_, '_>, order: &'a [i64], rows: usize) -> PyResult<(usize, &'a [i64])> {
    if call.batch_size == 0 {
        return Err(PyValueError::new_err("batch_size must be a positive integer. Received: batch_size=0"));
    }
    let first = call.start.saturating_mul(call.batch_size).min(order.len());
    let last = first.saturating_add(call.batches.saturating_mul(call.batch_size)).min(order.len());
    let order = &order[first..last];
    if let Some(row) = order.iter().find(|&&row| row < 0 || row as usize >= rows) {
        return Err(PyValueError::new_err(format!("order must be row numbers in [0, {rows}). Received: {row}")));
    }
    Ok((first, order))
}
