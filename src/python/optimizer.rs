//! Layer 5: one optimizer step on NumPy arrays, and optimizers from dicts.

use numpy::{PyArrayDyn, PyArrayMethods, PyReadwriteArrayDyn, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::floats::Floats;
use super::spec::Spec;
use crate::parallel::{Shared, for_each_range};
use crate::simd::{Element, Kernel, Simd, V, Vector, dispatch};
use crate::train::optimizer::{NormClip, Optimizer, OptimizerKind, RuleVisitor, STATES, UpdateRule, with_rule};

/// Keys that every optimizer takes.
const GENERAL: [&str; 4] = ["weight_decay", "clipvalue", "clipnorm", "global_clipnorm"];

/// The optimizer that a dict describes, with Keras 3's defaults, and the clipping that needs whole gradients.
///
/// # Errors
/// ValueError for an unknown name or key, for values out of range and for two kinds of clipping at once; TypeError for
/// values of other types.
pub(crate) fn optimizer_from_python(dict: &Bound<'_, PyDict>) -> PyResult<(Optimizer, Option<NormClip>)> {
    let spec = Spec::new("optimizer", dict);
    let name = spec.name()?;
    let (kind, keys, decay) = kind_from_python(&spec, &name)?;
    spec.check_keys(&name, &[keys, &GENERAL].concat())?;
    let weight_decay = spec.number("weight_decay", decay, "at least 0 and finite", finite)?;
    let mut clips = Vec::new();
    for key in &GENERAL[1..] {
        let Some(bound) = spec.optional::<f64>(key)? else { continue };
        if bound.is_nan() || bound <= 0.0 {
            return Err(PyValueError::new_err(format!("{key} must be positive. Received: {key}={bound}")));
        }
        clips.push((*key, bound));
    }
    if let [(first, _), (second, _), ..] = clips[..] {
        return Err(PyValueError::new_err(format!(
            "only one of clipnorm, clipvalue and global_clipnorm must be given. Received: {first} and {second}"
        )));
    }
    let (clipvalue, whole) = match clips.first() {
        Some(&("clipvalue", bound)) => (Some(bound), None),
        Some(&("clipnorm", bound)) => (None, Some(NormClip::Each(bound))),
        Some(&(_, bound)) => (None, Some(NormClip::Global(bound))),
        None => (None, None),
    };
    Ok((Optimizer { kind, weight_decay, clipvalue }, whole))
}

fn finite(x: f64) -> bool {
    (0.0..f64::INFINITY).contains(&x)
}

fn below_1(x: f64) -> bool {
    (0.0..1.0).contains(&x)
}

/// The optimizer of a name, the keys that it takes, and its default weight decay.
fn kind_from_python(spec: &Spec<'_, '_>, name: &str) -> PyResult<(OptimizerKind, &'static [&'static str], f64)> {
    let flag = |key| Ok::<_, PyErr>(spec.optional(key)?.unwrap_or(false));
    let momentum = || spec.number("momentum", 0.0, "in [0, 1]", |x| (0.0..=1.0).contains(&x));
    let decay = |key, default| spec.number(key, default, "in [0, 1)", below_1);
    let epsilon = || spec.number("epsilon", 1e-7, "at least 0 and finite", finite);
    Ok(match name {
        "sgd" => {
            let kind = OptimizerKind::Sgd { momentum: momentum()?, nesterov: flag("nesterov")? };
            (kind, &["momentum", "nesterov"], 0.0)
        }
        "adam" | "adamw" => {
            let kind = OptimizerKind::Adam {
                beta_1: decay("beta_1", 0.9)?,
                beta_2: decay("beta_2", 0.999)?,
                epsilon: epsilon()?,
                amsgrad: flag("amsgrad")?,
            };
            (kind, &["beta_1", "beta_2", "epsilon", "amsgrad"], if name == "adamw" { 0.004 } else { 0.0 })
        }
        "rmsprop" => {
            let kind = OptimizerKind::RmsProp {
                rho: decay("rho", 0.9)?,
                momentum: momentum()?,
                epsilon: epsilon()?,
                centered: flag("centered")?,
            };
            (kind, &["rho", "momentum", "epsilon", "centered"], 0.0)
        }
        "nadam" | "adamax" => {
            let (beta_1, beta_2, epsilon) = (decay("beta_1", 0.9)?, decay("beta_2", 0.999)?, epsilon()?);
            let kind = match name {
                "nadam" => OptimizerKind::Nadam { beta_1, beta_2, epsilon },
                _ => OptimizerKind::Adamax { beta_1, beta_2, epsilon },
            };
            (kind, &["beta_1", "beta_2", "epsilon"], 0.0)
        }
        "adagrad" => (OptimizerKind::Adagrad { epsilon: epsilon()? }, &["epsilon"], 0.0),
        "adadelta" => {
            (OptimizerKind::Adadelta { rho: decay("rho", 0.95)?, epsilon: epsilon()? }, &["rho", "epsilon"], 0.0)
        }
        "lion" => {
            let kind = OptimizerKind::Lion { beta_1: decay("beta_1", 0.9)?, beta_2: decay("beta_2", 0.99)? };
            (kind, &["beta_1", "beta_2"], 0.0)
        }
        _ => {
            let message = format!(
                "optimizer must be one of sgd, adam, adamw, rmsprop, nadam, adamax, adagrad, adadelta, lion. Received: \
                 optimizer='{name}'"
            );
            return Err(PyValueError::new_err(message));
        }
    })
}

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
    let (optimizer, _) = optimizer_from_python(spec)?;
    if !finite(learning_rate) {
        return Err(PyValueError::new_err(format!(
            "learning_rate must be at least 0 and finite. Received: learning_rate={learning_rate}"
        )));
    }
    let Ok(step @ 1..) = u64::try_from(step) else {
        return Err(PyValueError::new_err(format!("step must be at least 1. Received: step={step}")));
    };
    if state.len() != optimizer.states() {
        let (wanted, received) = (optimizer.states(), state.len());
        return Err(PyValueError::new_err(format!("state must have {wanted} arrays. Received: {received}")));
    }
    let gradient = Floats::of("gradient", gradient)?;
    let at = Step { optimizer, learning_rate, step };
    if parameter.cast::<PyArrayDyn<f64>>().is_ok() {
        update_as::<f64>(at, parameter, &gradient, &state)
    } else {
        update_as::<f32>(at, parameter, &gradient, &state)
    }
}

/// An optimizer at one step.
#[derive(Clone, Copy)]
struct Step {
    optimizer: Optimizer,
    learning_rate: f64,
    step: u64,
}

fn update_as<'py, T: Element + numpy::Element>(
    at: Step,
    parameter: &Bound<'py, PyAny>,
    gradient: &Floats<'py>,
    state: &[Bound<'py, PyAny>],
) -> PyResult<()> {
    let mut values = writable::<T>("parameter", parameter)?;
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
    let mut states = [None; STATES];
    for (state, slot) in states.iter_mut().zip(&mut slots) {
        *state = Some(Shared::new(slot.as_slice_mut()?));
    }
    let values = Shared::new(values.as_slice_mut()?);
    if gradient.overlaps(parameter.cast()?)? {
        return Err(PyValueError::new_err("gradient must not overlap parameter. Received: overlapping arrays"));
    }
    // SAFETY: wide, of this type, and held by this call.
    let gradient_part = unsafe { gradient.shared::<T>().part(0..values.len()) };
    let update = Update { values, gradient: gradient_part, states };
    parameter.py().detach(|| with_rule(&at.optimizer, at.learning_rate, at.step, update));
    Ok(())
}

/// A C-contiguous array to write.
fn writable<'py, T: numpy::Element>(name: &str, array: &Bound<'py, PyAny>) -> PyResult<PyReadwriteArrayDyn<'py, T>> {
    let Ok(array) = array.cast::<PyArrayDyn<T>>() else {
        let came = array.getattr("dtype").unwrap_or_else(|_| array.get_type().into_any());
        let expected = if name == "state" { "of parameter's dtype" } else { "of float32 or float64" };
        return Err(PyTypeError::new_err(format!("{name} must be an array {expected}. Received: {came}")));
    };
    if !array.is_c_contiguous() {
        return Err(PyValueError::new_err(format!(
            "{name} must be C-contiguous. Received: strides {:?}",
            array.strides()
        )));
    }
    let refused =
        |error| PyValueError::new_err(format!("{name} must be writable and overlap nothing. Received: {error}"));
    array.try_readwrite().map_err(refused)
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
