//! Layer 5: losses on NumPy arrays, and losses from dicts.

use numpy::{PyArray1, PyArrayMethods, PyUntypedArrayMethods};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::borrowed::Array;
use super::floats::{Floats, uninitialised};
use super::spec::Spec;
use crate::aligned::{caught, room, with_room};
use crate::parallel::{Shared, for_each_range};
use crate::simd::{Element, Kernel, Simd, dispatch};
use crate::train::gather::{Gather, Input, Scatter};
use crate::train::loss::{Loss, LossKind, LossPanel, MOST_QUANTILES, Quantiles, Targets};

const KINDS: [(&str, LossKind); 19] = [
    ("sparse_categorical_crossentropy", LossKind::SparseCategoricalCrossentropy),
    ("categorical_crossentropy", LossKind::CategoricalCrossentropy),
    ("binary_crossentropy", LossKind::BinaryCrossentropy),
    ("mean_squared_error", LossKind::MeanSquaredError),
    ("mean_absolute_error", LossKind::MeanAbsoluteError),
    ("huber", LossKind::Huber),
    ("hinge", LossKind::Hinge),
    ("squared_hinge", LossKind::SquaredHinge),
    ("categorical_hinge", LossKind::CategoricalHinge),
    ("kl_divergence", LossKind::KlDivergence),
    ("poisson", LossKind::Poisson),
    ("log_cosh", LossKind::LogCosh),
    ("cosine_similarity", LossKind::CosineSimilarity),
    ("mean_absolute_percentage_error", LossKind::MeanAbsolutePercentageError),
    ("mean_squared_logarithmic_error", LossKind::MeanSquaredLogarithmicError),
    ("binary_focal_crossentropy", LossKind::BinaryFocalCrossentropy),
    ("categorical_focal_crossentropy", LossKind::CategoricalFocalCrossentropy),
    ("quantile", LossKind::Quantile),
    ("gaussian_nll", LossKind::GaussianNll),
];

/// Keys that losses take.
const KEYS: [&str; 7] =
    ["from_logits", "label_smoothing", "delta", "gamma", "alpha", "apply_class_balancing", "quantiles"];

/// The loss that a dict describes: its name and what it takes, with Keras 3's defaults.
///
/// # Errors
/// ValueError for an unknown name or key and for values out of range, TypeError for values of other types.
pub(crate) fn loss_from_python(dict: &Bound<'_, PyDict>) -> PyResult<Loss> {
    let spec = Spec::new("loss", dict);
    let name = spec.name()?;
    let Some((_, kind)) = KINDS.into_iter().find(|(known, _)| *known == name) else {
        let names = KINDS.map(|(known, _)| known).join(", ");
        return Err(PyValueError::new_err(format!("loss must be one of {names}. Received: loss='{name}'")));
    };
    spec.check_keys(&name, &KEYS)?;
    let positive = |x: f64| x > 0.0 && x.is_finite();
    Ok(Loss {
        kind,
        from_logits: spec.optional("from_logits")?.unwrap_or(false),
        label_smoothing: spec.number("label_smoothing", 0.0, "in [0, 1]", |x| (0.0..=1.0).contains(&x))?,
        delta: spec.number("delta", 1.0, "positive and finite", positive)?,
        gamma: spec.number("gamma", 2.0, "at least 0 and finite", |x| (0.0..f64::INFINITY).contains(&x))?,
        alpha: spec.number("alpha", 0.25, "in [0, 1]", |x| (0.0..=1.0).contains(&x))?,
        class_balance: spec.optional("apply_class_balancing")?.unwrap_or(false),
        quantiles: quantiles(&spec)?,
    })
}

/// The quantiles of a loss; one half where the key is missing.
fn quantiles(spec: &Spec<'_, '_>) -> PyResult<Quantiles> {
    let levels: Vec<f64> = spec.optional("quantiles")?.unwrap_or_else(|| vec![0.5]);
    let fit = !levels.is_empty() && levels.iter().all(|&level| level > 0.0 && level < 1.0);
    Quantiles::new(&levels).filter(|_| fit).ok_or_else(|| {
        PyValueError::new_err(format!(
            "quantiles must be 1 to {MOST_QUANTILES} numbers in (0, 1). Received: quantiles={levels:?}"
        ))
    })
}

/// How many true values a row has.
///
/// # Errors
/// ValueError where so many units of output can't be shared out.
pub(crate) fn target_units(loss: &Loss, units: usize) -> PyResult<usize> {
    loss.target_units(units).ok_or_else(|| {
        PyValueError::new_err(format!(
            "units of the output must be a multiple of what the loss takes for each target. Received: {units}"
        ))
    })
}

/// Loss of each row.
///
/// Parameters
/// ----------
/// spec : dict
///     The loss: a name (sparse_categorical_crossentropy, categorical_crossentropy, binary_crossentropy,
///     mean_squared_error, mean_absolute_error, huber, hinge, squared_hinge, categorical_hinge, kl_divergence, poisson,
///     log_cosh, cosine_similarity, mean_absolute_percentage_error, mean_squared_logarithmic_error,
///     binary_focal_crossentropy, categorical_focal_crossentropy, quantile, gaussian_nll) and what it takes: from_logits,
///     label_smoothing, delta, gamma, alpha, apply_class_balancing, quantiles.
/// y_true : ndarray
///     Integer labels, shape (n,), for the sparse loss; else values, shape (n, units): fewer than y_pred's for quantile (one
///     unit for each target and quantile) and gaussian_nll (all means, then all log-variances).
/// y_pred : ndarray of float, shape (n, units)
///     Predictions: probabilities (clipped to [1e-7, 1 - 1e-7]), logits or values.
///
/// Returns
/// -------
/// ndarray of float64, shape (n,)
///
/// Raises
/// ------
/// ValueError
///     An unknown name or key, shapes that do not fit, labels out of range (the first bad row is named).
/// TypeError
///     Predictions that are not floats, labels that are not integers.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> _core.loss({"name": "mean_squared_error"}, np.zeros((1, 2)), np.array([[1.0, 3.0]]))
/// array([5.])
#[pyfunction]
pub(crate) fn loss<'py>(
    spec: &Bound<'py, PyDict>,
    y_true: &Bound<'py, PyAny>,
    y_pred: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    let call = Call::new(spec, y_true, y_pred)?;
    // SAFETY: a loss is written for each row.
    let losses = unsafe { uninitialised::<f64>(y_pred.py(), call.n)? };
    // SAFETY: the array was just made, and only this call knows it.
    let out = Shared::new(unsafe { losses.as_slice_mut()? });
    if call.pred.is_double() {
        call.run::<f64>(Some(out), None)?
    } else {
        call.run::<f32>(Some(out), None)?
    }
    Ok(losses)
}

/// Gradient of ``sum(weights * loss(spec, y_true, y_pred))`` with respect to y_pred.
///
/// Parameters
/// ----------
/// spec, y_true, y_pred
///     As for `loss`.
/// weights : ndarray of float, shape (n,)
///     Factor of each row: for a mean over the batch, sample weight / n. A row of weight 0 has gradient 0.
///
/// Returns
/// -------
/// ndarray, shape (n, units)
///     Of y_pred's dtype.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `loss`; weights of another shape.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> spec = {"name": "mean_squared_error"}
/// >>> _core.loss_gradient(spec, np.zeros((1, 2)), np.array([[1.0, 3.0]]), np.ones(1))
/// array([[1., 3.]])
#[pyfunction]
pub(crate) fn loss_gradient<'py>(
    spec: &Bound<'py, PyDict>,
    y_true: &Bound<'py, PyAny>,
    y_pred: &Bound<'py, PyAny>,
    weights: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let call = Call::new(spec, y_true, y_pred)?;
    let weights = Floats::of("weights", weights)?;
    if weights.array.shape() != [call.n] {
        let (n, shape) = (call.n, weights.shape_text()?);
        return Err(PyValueError::new_err(format!("weights must have shape ({n},). Received: shape {shape}")));
    }
    let weights = weights.wide_like(&call.pred)?;
    let gradient = call.pred.new_wide()?;
    if call.pred.is_double() {
        call.run::<f64>(None, Some((&weights, &gradient)))?;
    } else {
        call.run::<f32>(None, Some((&weights, &gradient)))?;
    }
    if call.given.kind == gradient.kind {
        return Ok(gradient.array.into_any());
    }
    let rounded = call.given.new_like()?;
    rounded.assign(&gradient)?;
    Ok(rounded.array.into_any())
}

/// What both functions have in common, checked.
struct Call<'py> {
    loss: Loss,
    /// Predictions as given, and as they are computed with.
    given: Floats<'py>,
    pred: Floats<'py>,
    truth: Truth<'py>,
    n: usize,
    units: usize,
}

/// True values.
enum Truth<'py> {
    Labels(Vec<i64>),
    Values(Floats<'py>),
}

impl<'py> Call<'py> {
    fn new(spec: &Bound<'py, PyDict>, y_true: &Bound<'py, PyAny>, y_pred: &Bound<'py, PyAny>) -> PyResult<Self> {
        let loss = loss_from_python(spec)?;
        let given = Floats::of("y_pred", y_pred)?;
        let &[n, units] = given.array.shape() else {
            let shape = given.shape_text()?;
            return Err(PyValueError::new_err(format!("y_pred must have 2 dimensions. Received: shape {shape}")));
        };
        if units == 0 {
            return Err(PyValueError::new_err("y_pred must have at least one unit. Received: shape (n, 0)"));
        }
        let pred = given.wide()?;
        let truth = match loss.kind {
            LossKind::SparseCategoricalCrossentropy => Truth::Labels(labels(y_true, n, units)?),
            _ => Truth::Values(values(y_true, &pred, target_units(&loss, units)?)?),
        };
        Ok(Self { loss, given, pred, truth, n, units })
    }

    /// Computes losses, or gradients from weights.
    fn run<T: Element + numpy::Element>(
        &self,
        losses: Option<Shared<'_, f64>>,
        gradient: Option<(&Floats<'py>, &Floats<'py>)>,
    ) -> PyResult<()> {
        // SAFETY: all arrays are wide and of this type, and held by the caller.
        let rows = unsafe {
            Rows {
                loss: self.loss,
                units: self.units,
                pred: self.pred.shared::<T>().part(0..self.n * self.units),
                targets: match &self.truth {
                    Truth::Labels(labels) => Targets::Labels(labels),
                    Truth::Values(values) => Targets::Values(values.shared::<T>().part(0..values.array.len())),
                },
                weights: gradient.map(|(weights, _)| &*weights.shared::<T>().part(0..self.n)),
                gradient: gradient.map(|(_, gradient)| gradient.shared::<T>()),
                losses,
            }
        };
        let panels = self.n.div_ceil(T::LANES);
        let grain = GRAIN.div_ceil(T::LANES * self.units);
        let n = self.n;
        Ok(self.pred.array.py().detach(|| {
            caught(|| {
                for_each_range(panels, grain, |range| {
                    let range = range.start * T::LANES..n.min(range.end * T::LANES);
                    dispatch(Part { rows: &rows, range });
                });
            })
        })?)
    }
}

/// The labels in `[0, units)` of `n` rows.
fn labels(y_true: &Bound<'_, PyAny>, n: usize, units: usize) -> PyResult<Vec<i64>> {
    let numpy = y_true.py().import("numpy")?;
    let array = numpy.call_method1("asarray", (y_true,))?;
    let dtype = array.getattr("dtype")?;
    if !"iu".contains(dtype.getattr("kind")?.extract::<char>()?) {
        return Err(PyTypeError::new_err(format!("y_true must hold integer labels. Received: dtype={dtype}")));
    }
    let size: usize = array.getattr("size")?.extract()?;
    let shape = array.getattr("shape")?;
    if size != n || shape.len()? > 2 || shape.len()? == 0 || shape.get_item(0)?.extract::<usize>()? != n {
        return Err(PyValueError::new_err(format!("y_true must have {n} labels. Received: shape {shape}")));
    }
    let labels = numpy.call_method1("asarray", (array.call_method0("ravel")?, "int64"))?;
    let array = Array::<i64>::of("y_true", &labels)?;
    let mut labels = with_room(n)?;
    labels.copy_from_slice(array.as_slice());
    if let Some(row) = labels.iter().position(|&label| label < 0 || label as u64 >= units as u64) {
        let (last, label) = (units - 1, labels[row]);
        let message = format!("y_true must hold labels in [0, {last}]. Received: {label} in row {row}");
        return Err(PyValueError::new_err(message));
    }
    Ok(labels)
}

/// The true values, in the type of the predictions, so many a row.
fn values<'py>(y_true: &Bound<'py, PyAny>, pred: &Floats<'py>, units: usize) -> PyResult<Floats<'py>> {
    let numpy = y_true.py().import("numpy")?;
    let dtype = if pred.is_double() { "float64" } else { "float32" };
    let array = numpy.call_method1("ascontiguousarray", (y_true, dtype))?;
    let values = Floats::of("y_true", &array)?;
    if pred.array.shape()[1] == units {
        values.check_shape("y_true", pred, "y_pred")?;
    } else if values.array.shape() != [pred.array.shape()[0], units] {
        let (n, shape) = (pred.array.shape()[0], values.shape_text()?);
        return Err(PyValueError::new_err(format!("y_true must have shape ({n}, {units}). Received: shape {shape}")));
    }
    Ok(values)
}

/// Elements from which on a second thread pays: some ten microseconds of work.
const GRAIN: usize = 1 << 14;

/// The rows of both arrays, for all threads.
struct Rows<'a, T> {
    loss: Loss,
    units: usize,
    pred: &'a [T],
    targets: Targets<'a, T>,
    weights: Option<&'a [T]>,
    gradient: Option<Shared<'a, T>>,
    losses: Option<Shared<'a, f64>>,
}

/// One thread's rows.
struct Part<'a, 'b, T> {
    rows: &'a Rows<'b, T>,
    range: std::ops::Range<usize>,
}

impl<T: Element> Kernel for Part<'_, '_, T> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        let Rows { loss, units, pred, targets, weights, gradient, losses } = self.rows;
        let mut output = room::<T>(units * T::LANES);
        let mut slope = room::<T>(units * T::LANES);
        let mut each = [T::ZERO; 16];
        let mut numbers = [0_i64; 16];
        for first in self.range.clone().step_by(T::LANES) {
            let range = first..self.range.end.min(first + T::LANES);
            let count = range.len();
            numbers.iter_mut().zip(range.clone()).for_each(|(number, row)| *number = row as i64);
            let input = Input::Float(pred);
            s.run(Gather {
                input,
                width: *units,
                columns: 0..*units,
                rescaling: None,
                rows: range.clone(),
                panel: &mut output,
            });
            s.call(LossPanel {
                loss: *loss,
                softmax: false,
                targets: *targets,
                weights: *weights,
                rows: &numbers[..count],
                scale: 1.0,
                output: &mut output,
                gradient: &mut slope,
                losses: &mut each,
            });
            if let Some(losses) = losses {
                // SAFETY: these rows are this thread's.
                let losses = unsafe { losses.part(range.clone()) };
                losses.iter_mut().zip(each).for_each(|(to, loss)| *to = loss.to_f64());
            }
            if let Some(gradient) = gradient {
                // SAFETY: these rows are this thread's.
                let rows = unsafe { gradient.part(range.start * units..range.end * units) };
                s.run(Scatter { panel: &slope, rows, stride: *units });
            }
        }
    }
}
