//! Layer 5: activation functions on NumPy arrays, and activations by name.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::floats::Floats;
use super::spec::Spec;
use crate::aligned::{caught, room, room_for_all};
use crate::dense::activation::{Activation, Saved, activate, activate_backward};
use crate::dense::curves::Curve;
use crate::parallel::{Shared, for_each_range, num_threads};
use crate::simd::{Element, Kernel, Simd, dispatch};
use crate::train::gather::{Gather, Input, Scatter};

type Argument<'a, 'py> = &'a Bound<'py, PyAny>;
type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// The activations by Keras' names.
pub(crate) const NAMES: [&str; 21] = [
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softmax",
    "rectifier",
    "softplus",
    "softsign",
    "hard_sigmoid",
    "hard_silu",
    "mish",
    "exponential",
    "log_sigmoid",
    "hard_tanh",
    "tanh_shrink",
    "celu",
];

/// What an activation takes besides x.
#[derive(Default, Clone, Copy)]
pub(crate) struct Options {
    negative_slope: Option<f64>,
    alpha: Option<f64>,
    approximate: bool,
    max_value: Option<f64>,
    threshold: Option<f64>,
}

impl Options {
    /// The activation of a name, with Keras 3's defaults.
    pub(crate) fn activation(&self, name: &str) -> PyResult<Activation> {
        let number = |name: &str, value: Option<f64>, default: f64| match value.unwrap_or(default) {
            value if (0.0..f64::INFINITY).contains(&value) => Ok(value),
            value => {
                Err(PyValueError::new_err(format!("{name} must be at least 0 and finite. Received: {name}={value}")))
            }
        };
        let slope = |default| number("negative_slope", self.negative_slope, default);
        let alpha = number("alpha", self.alpha, 1.0);
        Ok(match name {
            "linear" => Activation::Linear,
            "relu" => Activation::Relu,
            "rectifier" => Activation::Curve(Curve::Rectifier {
                negative_slope: slope(0.0)?,
                max_value: match self.max_value {
                    None => f64::INFINITY,
                    Some(value) => number("max_value", Some(value), 0.0)?,
                },
                threshold: number("threshold", self.threshold, 0.0)?,
            }),
            "leaky_relu" => Activation::LeakyRelu { negative_slope: slope(0.2)? },
            "elu" => Activation::Elu { alpha: alpha? },
            "selu" => Activation::Selu,
            "gelu" => Activation::Gelu { approximate: self.approximate },
            "silu" => Activation::Silu,
            "tanh" => Activation::Tanh,
            "sigmoid" => Activation::Sigmoid,
            "softmax" => Activation::Softmax,
            "softplus" => Activation::Curve(Curve::Softplus),
            "softsign" => Activation::Curve(Curve::Softsign),
            "hard_sigmoid" => Activation::Curve(Curve::HardSigmoid),
            "hard_silu" => Activation::Curve(Curve::HardSilu),
            "mish" => Activation::Curve(Curve::Mish),
            "exponential" => Activation::Curve(Curve::Exponential),
            "log_sigmoid" => Activation::Curve(Curve::LogSigmoid),
            "hard_tanh" => Activation::Curve(Curve::HardTanh),
            "tanh_shrink" => Activation::Curve(Curve::TanhShrink),
            "celu" => match alpha? {
                0.0 => return Err(PyValueError::new_err("alpha must be positive. Received: alpha=0")),
                alpha => Activation::Curve(Curve::Celu { alpha }),
            },
            _ => {
                let names = NAMES.join(", ");
                return Err(PyValueError::new_err(format!(
                    "activation must be one of {names}. Received: activation='{name}'"
                )));
            }
        })
    }
}

/// The activation in a dict of a layer: keys activation (or none: linear) and its options; other keys are the layer's own.
pub(crate) fn activation_from_python(layer: &Bound<'_, PyDict>) -> PyResult<Activation> {
    let spec = Spec::new("layer", layer);
    let name: Option<String> = spec.optional("activation")?;
    let options = Options {
        negative_slope: spec.optional("negative_slope")?,
        alpha: spec.optional("alpha")?,
        approximate: spec.optional("approximate")?.unwrap_or(false),
        max_value: spec.optional("max_value")?,
        threshold: spec.optional("threshold")?,
    };
    options.activation(name.as_deref().unwrap_or("linear"))
}

/// Apply an activation function.
///
/// Parameters
/// ----------
/// name : str
///     linear, relu, leaky_relu, elu, selu, gelu, silu, tanh, sigmoid, softmax (over the last axis), rectifier (relu
///     with more parameters), softplus, softsign, hard_sigmoid, hard_silu, mish, exponential, log_sigmoid, hard_tanh, tanh_shrink or celu.
/// x : ndarray of float
///     Pre-activations, of any shape and layout.
/// negative_slope : float, optional
///     Of leaky_relu: the slope below 0, at least 0; default 0.2. Of rectifier: that below
///     the threshold; default 0.
/// alpha : float, optional
///     Of elu and celu: minus the limit at minus infinity, at least 0; default 1.
/// approximate : bool
///     Of gelu: whether to approximate the normal distribution by tanh.
/// max_value, threshold : float, optional
///     Of rectifier: the largest value, and where the rise begins.
/// out : ndarray, optional
///     Where to write: of x's shape and dtype; may be x itself.
///
/// Returns
/// -------
/// ndarray
///     activation(x), of x's shape and dtype; `out` if given. NaN gives NaN.
///
/// Raises
/// ------
/// ValueError
///     An unknown name, a parameter out of range, an `out` that does not fit.
/// TypeError
///     An x that is not of floats.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> _core.activation("relu", np.array([-1.0, 2.0]))
/// array([0., 2.])
#[pyfunction]
#[pyo3(signature = (name, x, negative_slope = None, alpha = None, approximate = false, out = None, max_value = None, threshold = None))]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn activation<'py>(
    name: &str,
    x: Argument<'_, 'py>,
    negative_slope: Option<f64>,
    alpha: Option<f64>,
    approximate: bool,
    out: Optional<'_, 'py>,
    max_value: Option<f64>,
    threshold: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = Options { negative_slope, alpha, approximate, max_value, threshold };
    let activation = options.activation(name)?;
    let x = Floats::of("x", x)?;
    let out = x.output(out)?;
    let work = if out.is_wide() { Floats { array: out.array.clone(), kind: out.kind } } else { x.new_wide()? };
    let from = x.wide()?;
    if from.is_double() {
        forward::<f64>(activation, &from, &work)?;
    } else {
        forward::<f32>(activation, &from, &work)?;
    }
    finish(out, &work)
}

/// Gradient of `activation` with respect to x.
///
/// Parameters
/// ----------
/// name : str
///     As for `activation`.
/// x, y, dy : ndarray of float
///     Pre-activation, activation(x), and the gradient with respect to y; all of dy's shape. Each reads either
///     x or y.
/// negative_slope, alpha, approximate, max_value, threshold
///     As for `activation`.
/// out : ndarray, optional
///     Where to write: of dy's shape and dtype; may be dy itself.
///
/// Returns
/// -------
/// ndarray
///     The gradient, of dy's shape and dtype; `out` if given.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `activation`; x or y of another shape than dy.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> x = np.array([-1.0, 2.0])
/// >>> _core.activation_backward("relu", x, _core.activation("relu", x), np.ones(2))
/// array([0., 1.])
#[pyfunction]
#[pyo3(signature = (name, x, y, dy, negative_slope = None, alpha = None, approximate = false, out = None, max_value = None, threshold = None))]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn activation_backward<'py>(
    name: &str,
    x: Argument<'_, 'py>,
    y: Argument<'_, 'py>,
    dy: Argument<'_, 'py>,
    negative_slope: Option<f64>,
    alpha: Option<f64>,
    approximate: bool,
    out: Optional<'_, 'py>,
    max_value: Option<f64>,
    threshold: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    let options = Options { negative_slope, alpha, approximate, max_value, threshold };
    let activation = options.activation(name)?;
    let (x, y, dy) = (Floats::of("x", x)?, Floats::of("y", y)?, Floats::of("dy", dy)?);
    x.check_shape("x", &dy, "dy")?;
    y.check_shape("y", &dy, "dy")?;
    let out = dy.output(out)?;
    // A result that lies over x or y would be read after it was written: it is made apart and copied.
    let apart = !out.is_wide() || out.overlaps(&x.array)? || out.overlaps(&y.array)?;
    let work = if apart { dy.new_wide()? } else { Floats { array: out.array.clone(), kind: out.kind } };
    let saved = if activation.saves() == Saved::Input { x } else { y }.wide_like(&dy)?;
    let dy = dy.wide()?;
    if dy.is_double() {
        backward::<f64>(activation, &saved, &dy, &work)?;
    } else {
        backward::<f32>(activation, &saved, &dy, &work)?;
    }
    finish(out, &work)
}

/// The array to return, with the result in it.
fn finish<'py>(out: Floats<'py>, work: &Floats<'py>) -> PyResult<Bound<'py, PyAny>> {
    if !out.array.is(&work.array) {
        out.assign(work)?;
    }
    Ok(out.array.into_any())
}

/// Elements of a part that stay in the first-level cache between copying and computing.
const BLOCK: usize = 2048;

/// Elements from which on a second thread pays: some ten microseconds of work.
const GRAIN: usize = 1 << 15;

/// Work on rows: the units that softmax mixes, or pieces of memory for all others.
struct Job<'a, T> {
    activation: Activation,
    /// What backward is computed from.
    saved: Option<Shared<'a, T>>,
    from: Shared<'a, T>,
    to: Shared<'a, T>,
    /// Elements of a row.
    width: usize,
}

fn forward<T: Element>(activation: Activation, x: &Floats<'_>, out: &Floats<'_>) -> PyResult<()> {
    // SAFETY: both are wide and of this type, and held by the caller.
    let (from, to) = unsafe { (x.shared::<T>(), out.shared::<T>()) };
    let width = x.array.shape().last().copied().unwrap_or(1);
    let job = Job { activation, saved: None, from, to, width };
    Ok(x.array.py().detach(|| caught(|| job.run()))?)
}

fn backward<T: Element>(activation: Activation, saved: &Floats<'_>, dy: &Floats<'_>, out: &Floats<'_>) -> PyResult<()> {
    // SAFETY: all are wide and of this type, and held by the caller.
    let (saved, from, to) = unsafe { (saved.shared::<T>(), dy.shared::<T>(), out.shared::<T>()) };
    let width = dy.array.shape().last().copied().unwrap_or(1);
    let job = Job { activation, saved: Some(saved), from, to, width };
    Ok(dy.array.py().detach(|| caught(|| job.run()))?)
}

impl<T: Element> Job<'_, T> {
    fn run(&self) {
        if self.from.is_empty() {
            return;
        }
        if self.activation.is_softmax() {
            let rows = self.from.len() / self.width;
            let panels = rows.div_ceil(T::LANES);
            // Before a row is written; each thread asks again for its own.
            room_for_all::<T>(2 * num_threads() * self.width * T::LANES);
            for_each_range(panels, GRAIN.div_ceil(self.width * T::LANES), |range| {
                let rows = range.start * T::LANES..rows.min(range.end * T::LANES);
                dispatch(Part { job: self, range: rows });
            });
        } else {
            for_each_range(self.from.len(), GRAIN, |range| dispatch(Part { job: self, range }));
        }
    }
}

/// One thread's elements, or for softmax rows.
struct Part<'a, 'b, T> {
    job: &'a Job<'b, T>,
    range: std::ops::Range<usize>,
}

impl<T: Element> Kernel for Part<'_, '_, T> {
    type Output = ();

    fn run<S: Simd>(self, s: S) {
        if self.job.activation.is_softmax() { self.softmax(s) } else { self.elementwise(s) }
    }
}

impl<T: Element> Part<'_, '_, T> {
    fn elementwise<S: Simd>(self, s: S) {
        let job = self.job;
        for start in self.range.clone().step_by(BLOCK) {
            let block = start..self.range.end.min(start + BLOCK);
            // SAFETY: only this thread has these elements of the result.
            let to = unsafe { job.to.part(block.clone()) };
            if job.from.as_ptr() != job.to.as_ptr() {
                // SAFETY: nobody writes the argument, which lies apart from the result.
                to.copy_from_slice(unsafe { job.from.part(block.clone()) });
            }
            match &job.saved {
                None => activate(s, job.activation, to),
                // SAFETY: nobody writes what was saved, which lies apart from the result.
                Some(saved) => activate_backward(s, job.activation, unsafe { saved.part(block) }, to),
            }
        }
    }

    fn softmax<S: Simd>(self, s: S) {
        let width = self.job.width;
        let mut panel = room::<T>(width * T::LANES);
        let mut saved = self.job.saved.as_ref().map(|_| room::<T>(width * T::LANES));
        for first in self.range.clone().step_by(T::LANES) {
            let rows = first..self.range.end.min(first + T::LANES);
            let elements = rows.start * width..rows.end * width;
            // SAFETY: these rows are this thread's, and the borrow ends before they are written.
            let from = unsafe { self.job.from.part(elements.clone()) };
            gather(s, from, width, &mut panel);
            match (&self.job.saved, &mut saved) {
                (Some(rows), Some(saved)) => {
                    // SAFETY: nobody writes what was saved.
                    gather(s, unsafe { rows.part(elements.clone()) }, width, saved);
                    activate_backward(s, self.job.activation, saved, &mut panel);
                }
                _ => activate(s, self.job.activation, &mut panel),
            }
            // SAFETY: these rows are this thread's.
            let rows = unsafe { self.job.to.part(elements) };
            s.run(Scatter { panel: &panel, rows, stride: width });
        }
    }
}

/// Turns up to `LANES` rows into a panel.
fn gather<S: Simd, T: Element>(s: S, rows: &[T], width: usize, panel: &mut [T]) {
    let input = Input::Float(rows);
    s.run(Gather { input, width, columns: 0..width, rescaling: None, rows: 0..rows.len() / width, panel });
}
