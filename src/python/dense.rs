//! Layer 5: the dense layer, forward beside backward.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::activation::Options;
use super::arguments::{integer, rate_of};
use super::arrays::{LONG, Output, Precision, Real, without_lock};
use super::key::key_of;
use crate::dense::activation::{Activation, Saved};
use crate::dense::backward::{Gradients, Trace, backward};
use crate::dense::forward::{self, Layer, Masks};

type Argument<'a, 'py> = &'a Bound<'py, PyAny>;
type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Dense layer with activation and dropout, in one pass over its output.
///
/// y = dropout(activation(x @ kernel + bias)). An element of the product is one chain of fused
/// multiply-adds in ascending order of inputs; the mask is that of `dropout` on y.
///
/// Parameters
/// ----------
/// x : ndarray of float32 or float64, shape (n, inputs)
///     Any strides, as for kernel.
/// kernel : ndarray of x's dtype, shape (inputs, units)
/// bias : ndarray of x's dtype, shape (units,), optional
/// activation : str, optional
///     Name of an activation with its default parameters; None is linear.
/// rate : float
///     Probability to drop an output, in [0, 1].
/// key : Key, optional
///     Where to draw the mask; needed where rate > 0.
/// rows_per_mask : int
///     How many consecutive rows share a mask.
/// out : ndarray of x's dtype, shape (n, units), optional
///     Where to write. It may not overlap an argument.
///
/// Returns
/// -------
/// ndarray, shape (n, units)
///     `out`, or a new array.
///
/// Raises
/// ------
/// ValueError
///     If shapes do not fit, or an argument is out of its range.
/// TypeError
///     If a dtype is not one of the two, or they differ.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> import dropfast as df
/// >>> df.dense(np.array([[1.0, -2.0]]), np.eye(2), activation="relu")
/// array([[1., 0.]])
#[pyfunction]
#[pyo3(signature = (x, kernel, bias=None, activation=None, rate=None, key=None, rows_per_mask=None, out=None),
       text_signature = "(x, kernel, bias=None, activation=None, rate=0.0, key=None, rows_per_mask=1, out=None)")]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn dense<'py>(
    x: Argument<'_, 'py>,
    kernel: Argument<'_, 'py>,
    bias: Optional<'_, 'py>,
    activation: Option<&str>,
    rate: Optional<'_, 'py>,
    key: Optional<'_, 'py>,
    rows_per_mask: Optional<'_, 'py>,
    out: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let (x, kernel) = operands(x, kernel)?;
    let shape = [x.array.shape()[0], kernel.array.shape()[1]];
    let bias = bias.map(|bias| bias_of(bias, &x, shape[1])).transpose()?;
    let activation = Options::default().activation(activation.unwrap_or("linear"))?;
    let masks = masks_of(rate, key, rows_per_mask)?;
    let mut inputs = vec![("x", &x), ("kernel", &kernel)];
    inputs.extend(bias.iter().map(|bias| ("bias", bias)));
    let out = x.output(out, &shape, &inputs)?.by_rows()?;
    let call = Call { x: &x, kernel: &kernel, activation, masks };
    match x.precision {
        Precision::Single => call.forward::<f32>(bias.as_ref(), &out),
        Precision::Double => call.forward::<f64>(bias.as_ref(), &out),
    }?;
    out.finish()
}

/// Gradients of `dense`.
///
/// The mask is drawn again from the key; the activation's derivative is taken from y, in which a kept
/// value is 1 / (1 - rate) times the activation's result.
///
/// Parameters
/// ----------
/// dy : ndarray of x's dtype, shape (n, units)
///     Gradient with respect to the output.
/// x, kernel, activation, rate, key, rows_per_mask
///     As given to `dense`.
/// y : ndarray of x's dtype, shape (n, units), optional
///     What `dense` returned; needed unless the activation is linear.
///
/// Returns
/// -------
/// dx : ndarray, shape (n, inputs)
/// dkernel : ndarray, shape (inputs, units)
///     Chains over the rows in ascending order.
/// dbias : ndarray, shape (units,)
///     Plain sums over the rows in ascending order.
///
/// Raises
/// ------
/// ValueError
///     As `dense`; also where y does not determine the derivative (gelu, silu, and softmax below
///     dropout).
/// TypeError
///     As `dense`.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> import dropfast as df
/// >>> dx, dkernel, dbias = df.dense_backward(np.ones((1, 2)), np.array([[3.0, 4.0]]), np.eye(2))
/// >>> dkernel.tolist(), dbias.tolist()
/// ([[3.0, 3.0], [4.0, 4.0]], [1.0, 1.0])
#[pyfunction]
#[pyo3(signature = (dy, x, kernel, y=None, activation=None, rate=None, key=None, rows_per_mask=None),
       text_signature = "(dy, x, kernel, y=None, activation=None, rate=0.0, key=None, rows_per_mask=1)")]
#[allow(clippy::too_many_arguments, reason = "the arguments of the Python function")]
pub(crate) fn dense_backward<'py>(
    dy: Argument<'_, 'py>,
    x: Argument<'_, 'py>,
    kernel: Argument<'_, 'py>,
    y: Optional<'_, 'py>,
    activation: Option<&str>,
    rate: Optional<'_, 'py>,
    key: Optional<'_, 'py>,
    rows_per_mask: Optional<'_, 'py>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let (x, kernel) = operands(x, kernel)?;
    let (n, inputs, units) = (x.array.shape()[0], kernel.array.shape()[0], kernel.array.shape()[1]);
    let dy = output_like("dy", dy, &x, [n, units])?;
    let name = activation.unwrap_or("linear");
    let activation = Options::default().activation(name)?;
    let masks = masks_of(rate, key, rows_per_mask)?;
    let y = match y {
        Some(y) if activation != Activation::Linear => Some(output_like("y", y, &x, [n, units])?),
        _ => None,
    };
    check_determined(y.is_some(), name, activation, masks)?;
    let [dx, dkernel, dbias] =
        [x.output(None, &[n, inputs], &[])?, x.output(None, &[inputs, units], &[])?, x.output(None, &[units], &[])?];
    let call = Call { x: &x, kernel: &kernel, activation, masks };
    match x.precision {
        Precision::Single => call.backward::<f32>(&dy, y.as_ref(), [&dx, &dkernel, &dbias]),
        Precision::Double => call.backward::<f64>(&dy, y.as_ref(), [&dx, &dkernel, &dbias]),
    }?;
    Ok((dx.finish()?, dkernel.finish()?, dbias.finish()?))
}

/// x and kernel, which fit.
fn operands<'py>(x: Argument<'_, 'py>, kernel: Argument<'_, 'py>) -> PyResult<(Real<'py>, Real<'py>)> {
    let x = Real::matrix_of("x", x)?;
    let kernel = Real::matrix_of("kernel", kernel)?.like("kernel", &x, "x")?;
    let inputs = x.array.shape()[1];
    if kernel.array.shape()[0] == inputs {
        return Ok((x, kernel));
    }
    Err(PyValueError::new_err(format!("kernel must have {inputs} rows. Received: shape {}", kernel.shape_text())))
}

/// A bias of `units` elements, side by side.
fn bias_of<'py>(bias: Argument<'_, 'py>, x: &Real<'py>, units: usize) -> PyResult<Real<'py>> {
    let bias = Real::of("bias", bias)?.like("bias", x, "x")?;
    if bias.array.shape() != [units] {
        return Err(PyValueError::new_err(format!(
            "bias must have shape ({units},). Received: shape {}",
            bias.shape_text()
        )));
    }
    bias.contiguous()
}

/// A matrix of the layer's output's shape.
fn output_like<'py>(name: &str, value: Argument<'_, 'py>, x: &Real<'py>, shape: [usize; 2]) -> PyResult<Real<'py>> {
    let array = Real::matrix_of(name, value)?.like(name, x, "x")?;
    if array.array.shape() == shape {
        return Ok(array);
    }
    let [n, units] = shape;
    Err(PyValueError::new_err(format!("{name} must have shape ({n}, {units}). Received: shape {}", array.shape_text())))
}

/// The dropout that the three arguments describe; None without a key.
fn masks_of(rate: Optional<'_, '_>, key: Optional<'_, '_>, rows: Optional<'_, '_>) -> PyResult<Option<Masks>> {
    let number = rate.map_or(Ok(0.0), rate_of)?;
    let rows_per_mask = rows.map_or(Ok(1), |rows| integer("rows_per_mask", rows, 1, i64::MAX as u64))? as usize;
    match key {
        Some(key) => Ok(Some(Masks { key: key_of(key)?, rate: number, rows_per_mask })),
        None if number == 0.0 => Ok(None),
        None => {
            Err(PyValueError::new_err(format!("key must be given where rate > 0. Received: key=None, rate={number:?}")))
        }
    }
}

/// Whether the layer's output says all that the derivative needs.
fn check_determined(given: bool, name: &str, activation: Activation, masks: Option<Masks>) -> PyResult<()> {
    let rate = masks.map_or(0.0, |masks| masks.rate);
    let from_output = activation.saves() == Saved::Output && !(activation.is_softmax() && rate > 0.0);
    if activation == Activation::Linear || given && from_output {
        return Ok(());
    }
    let y = if given { "an array" } else { "None" };
    Err(PyValueError::new_err(format!(
        "y must be given and determine the activation's derivative. \
         Received: y={y}, activation='{name}', rate={rate:?}"
    )))
}

/// The arguments that both directions share, checked.
struct Call<'a, 'py> {
    x: &'a Real<'py>,
    kernel: &'a Real<'py>,
    activation: Activation,
    masks: Option<Masks>,
}

impl<'py> Call<'_, 'py> {
    fn is_long(&self) -> bool {
        let (rows, columns) = (self.x.array.shape()[0], self.kernel.array.shape());
        rows.saturating_mul(columns[0]).saturating_mul(columns[1]) >= LONG
    }

    fn forward<T: forward::Real>(&self, bias: Option<&Real<'py>>, out: &Output<'py>) -> PyResult<()> {
        let Self { x, kernel, activation, masks } = *self;
        // SAFETY: types and shapes were checked, `out` overlaps nothing, and the arrays live until this returns; whoever
        // writes them meanwhile from another thread breaks NumPy's own rules.
        let (x, kernel, bias, y) = unsafe {
            let bias = bias.map(|bias| bias.elements::<T>());
            (x.matrix::<T>(), kernel.matrix::<T>(), bias, out.array.matrix_mut::<T>())
        };
        let work = |y| forward::forward(x, kernel, Layer { bias, activation, masks }, y);
        without_lock(self.x.array.py(), self.is_long(), y, work)
    }

    fn backward<T: forward::Real>(
        &self,
        dy: &Real<'py>,
        y: Option<&Real<'py>>,
        out: [&Output<'py>; 3],
    ) -> PyResult<()> {
        let Self { x, kernel, activation, masks } = *self;
        // SAFETY: as above; the results are new arrays.
        let (dy, x, kernel, y, gradients) = unsafe {
            let gradients = Gradients {
                dx: out[0].array.matrix_mut::<T>(),
                dkernel: out[1].array.matrix_mut::<T>(),
                dbias: out[2].array.elements_mut::<T>(),
            };
            (dy.matrix::<T>(), x.matrix::<T>(), kernel.matrix::<T>(), y.map(|y| y.matrix::<T>()), gradients)
        };
        let trace = Trace { y, activation, masks };
        let work = |gradients| backward(dy, x, kernel, trace, gradients);
        Ok(without_lock(self.x.array.py(), self.is_long(), gradients, work)??)
    }
}
