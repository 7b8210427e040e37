//! Layer 5: one optimizer step on NumPy arrays.

use numpy::{PyArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::borrowed::{Array, check_apart};
use super::floats::Floats;
use super::optimizer::{finite, optimizer_from_python};
use crate::parallel::{Shared, for_each_range};
use crate::simd::{Element, Kernel, Simd, V, Vector, dispatch};
use crate::train::optimizer::{Optimizer, RuleVisitor, STATES, UpdateRule, with_rule};

/// Clip by value, decay and update one parameter in place, with the formulas of Keras 3.
///
/// Clipping by a norm needs whole gradients and is the caller's: its keys are accepted and nothing is done.
///
/// Parameters
/// ----------
/// spec : dict
///     The optimizer: a name (sgd, adam, adamw, rmsprop, nadam, adamax, adagrad, adadelta, lion) and its hyperparameters.
/// parameter : ndarray of float32 or float64
///     Updated in place; C-contiguous.
/// gradient : ndarray of float
///     Of the parameter's shape.
/// state : list of ndarray
///     The optimizer's slots, zeros at first, updated in place; of the parameter's shape and dtype, C-contiguous. sgd:
///     momentum unless that is 0; adam, adamw: m, v and, with amsgrad, the largest v; rmsprop: velocity, if centered the
///     average gradient, and momentum unless that is 0; nadam, adamax, adadelta: two averages; adagrad: the sum of squares;
///     lion: momentum.
/// learning_rate : float
/// step : int
///     Counts from 1.
///
/// Raises
/// ------
/// ValueError
///     An unknown name or key, values out of range, the wrong number of slots, arrays that do not fit or overlap.
/// TypeError
///     Arrays of another dtype.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> w = np.ones(2)
/// >>> _core.optimizer_update({"name": "sgd"}, w, np.array([1.0, -1.0]), [], 0.5, 1)
/// >>> w
/// array([0.5, 1.5])
#[pyfunction]
pub(crate) fn optimizer_update<'py>(
    spec: &Bound<'py, PyDict>,
    parameter: &Bound<'py, PyAny>,
    gradient: &Bound<'py, PyAny>,
    state: Vec<Bound<'py, PyAny>>,
    learning_rate: f64,
    step: i64,
) -> PyResult<()> {
    let at = Step::new(spec, learning_rate, step)?;
    let mut update = Ready::new(&at, parameter, gradient, &state)?;
    let update = update.parts();
    parameter.py().detach(|| update.run(&at));
    Ok(())
}

/// An optimizer at one step.
#[derive(Clone, Copy)]
struct Step {
    optimizer: Optimizer,
    learning_rate: f64,
    step: u64,
}

impl Step {
    fn new(spec: &Bound<'_, PyDict>, learning_rate: f64, step: i64) -> PyResult<Self> {
        let (optimizer, _) = optimizer_from_python(spec)?;
        if !finite(learning_rate) {
            return Err(PyValueError::new_err(format!(
                "learning_rate must be at least 0 and finite. Received: learning_rate={learning_rate}"
            )));
        }
        let Ok(step @ 1..) = u64::try_from(step) else {
            return Err(PyValueError::new_err(format!("step must be at least 1. Received: step={step}")));
        };
        Ok(Self { optimizer, learning_rate, step })
    }
}

/// One parameter whose arrays are checked.
enum Ready<'py> {
    Single(ReadyOf<'py, f32>),
    Double(ReadyOf<'py, f64>),
}

/// [`Ready`] of a type.
struct ReadyOf<'py, T> {
    values: Array<'py, T>,
    gradient: Floats<'py>,
    slots: Vec<Array<'py, T>>,
}

/// The parts of [`Ready`].
enum Parts<'a> {
    Single(Update<'a, f32>),
    Double(Update<'a, f64>),
}

impl<'py> Ready<'py> {
    fn new(
        at: &Step,
        parameter: &Bound<'py, PyAny>,
        gradient: &Bound<'py, PyAny>,
        state: &[Bound<'py, PyAny>],
    ) -> PyResult<Self> {
        if state.len() != at.optimizer.states() {
            let (wanted, received) = (at.optimizer.states(), state.len());
            return Err(PyValueError::new_err(format!("state must have {wanted} arrays. Received: {received}")));
        }
        let gradient = Floats::of("gradient", gradient)?;
        Ok(if parameter.cast::<PyArrayDyn<f64>>().is_ok() {
            Self::Double(ReadyOf::new(parameter, &gradient, state)?)
        } else {
            Self::Single(ReadyOf::new(parameter, &gradient, state)?)
        })
    }

    fn parts(&mut self) -> Parts<'_> {
        match self {
            Self::Single(ready) => Parts::Single(ready.parts()),
            Self::Double(ready) => Parts::Double(ready.parts()),
        }
    }
}

impl Parts<'_> {
    fn run(self, at: &Step) {
        match self {
            Self::Single(update) => with_rule(&at.optimizer, at.learning_rate, at.step, update),
            Self::Double(update) => with_rule(&at.optimizer, at.learning_rate, at.step, update),
        }
    }
}

impl<'py, T: Element + numpy::Element> ReadyOf<'py, T> {
    fn new(parameter: &Bound<'py, PyAny>, gradient: &Floats<'py>, state: &[Bound<'py, PyAny>]) -> PyResult<Self> {
        let values = writable::<T>("parameter", parameter)?;
        gradient.check_shape("gradient", &Floats::of("parameter", parameter)?, "parameter")?;
        let gradient = gradient.wide_like(&Floats::of("parameter", parameter)?)?;
        let mut slots = Vec::new();
        for slot in state {
            let slot = writable::<T>("state", slot)?;
            if slot.shape() != values.shape() {
                return Err(PyValueError::new_err(format!(
                    "state must have parameter's shape {:?}. Received: shape {:?}",
                    values.shape(),
                    slot.shape()
                )));
            }
            slots.push(slot);
        }
        check_apart(&mut slots.iter().chain([&values]).map(Array::bytes).collect(), &[])?;
        if gradient.overlaps(parameter.cast()?)? {
            return Err(PyValueError::new_err("gradient must not overlap parameter. Received: overlapping arrays"));
        }
        Ok(Self { values, gradient, slots })
    }

    fn parts(&mut self) -> Update<'_, T> {
        let mut states = [None; STATES];
        for (state, slot) in states.iter_mut().zip(&mut self.slots) {
            *state = Some(Shared::new(slot.as_slice_mut()));
        }
        let values = Shared::new(self.values.as_slice_mut());
        // SAFETY: wide, of this type, apart from what is written, and held by this call.
        let gradient = unsafe { self.gradient.shared::<T>().part(0..values.len()) };
        Update { values, gradient, states }
    }
}

/// A C-contiguous array to write.
fn writable<'py, T: numpy::Element>(name: &str, array: &Bound<'py, PyAny>) -> PyResult<Array<'py, T>> {
    let Ok(found) = array.cast::<PyArrayDyn<T>>() else {
        let came = array.getattr("dtype").unwrap_or_else(|_| array.get_type().into_any());
        let expected = if name == "state" { "of parameter's dtype" } else { "of float32 or float64" };
        return Err(PyTypeError::new_err(format!("{name} must be an array {expected}. Received: {came}")));
    };
    Array::writable(name, array, found.len())
}

/// The arrays of one parameter.
struct Update<'a, T> {
    values: Shared<'a, T>,
    gradient: &'a [T],
    states: [Option<Shared<'a, T>>; STATES],
}

/// Elements from which on a second thread pays: some ten microseconds of work.
const GRAIN: usize = 1 << 15;

impl<T: Element> RuleVisitor<T> for Update<'_, T> {
    type Output = ();

    fn visit<R: UpdateRule<T>>(self, rule: R) {
        for_each_range(self.gradient.len(), GRAIN, |range| dispatch(Part { rule, arrays: &self, range }));
    }
}

/// One thread's elements.
struct Part<'a, 'b, T, R> {
    rule: R,
    arrays: &'a Update<'b, T>,
    range: std::ops::Range<usize>,
}

impl<T: Element, R: UpdateRule<T>> Kernel for Part<'_, '_, T, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Update { values, gradient, states } = self.arrays;
        for start in self.range.clone().step_by(T::LANES) {
            let range = start..self.range.end.min(start + T::LANES);
            let mut slots = [V::<S, T>::zero(s); STATES];
            for (slot, state) in slots.iter_mut().zip(states).take(R::STATES) {
                if let Some(state) = state {
                    // SAFETY: these elements are this thread's.
                    *slot = V::<S, T>::from_slice(s, unsafe { state.part(range.clone()) });
                }
            }
            // SAFETY: these elements are this thread's.
            let values = unsafe { values.part(range.clone()) };
            let gradient = V::<S, T>::from_slice(s, &gradient[range.clone()]);
            let (value, slots) = self.rule.update(s, V::<S, T>::from_slice(s, values), gradient, slots);
            value.write_first(values);
            for (slot, state) in slots.into_iter().zip(states).take(R::STATES) {
                if let Some(state) = state {
                    // SAFETY: these elements are this thread's.
                    slot.write_first(unsafe { state.part(range.clone()) });
                }
            }
        }
    }
}
