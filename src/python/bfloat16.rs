//! Layer 5: the product with operands rounded to bfloat16, and the rounding itself.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::arrays::{LONG, Precision, Real, without_lock};
use crate::gemm::bf16::driver;
use crate::parallel::{Shared, for_each_range};
use crate::simd::{Kernel, Simd, bf16, dispatch, level};

/// Elements of a thread's share at least, when rounding.
const SHARE: usize = 1 << 16;

/// The argument, where it is of float32.
fn single<'py>(name: &str, array: Real<'py>) -> PyResult<Real<'py>> {
    if array.precision == Precision::Single {
        return Ok(array);
    }
    Err(PyTypeError::new_err(format!("{name} must be an array of float32. Received: dtype=float64")))
}

/// The product of two matrices whose elements are rounded to bfloat16, with sums in float32.
///
/// An element is one chain of fused multiply-adds over pairs of k from zero, in each pair the odd k first. Subnormal numbers are zero,
/// before and after. The result has the same bits on every machine and for every number of threads, with or without instructions for
/// it.
///
/// Parameters
/// ----------
/// a : ndarray of float32, shape (m, k)
///     Any strides, as for b.
/// b : ndarray of float32, shape (k, n)
/// out : ndarray of float32, shape (m, n), optional
///     Where to write. It may not overlap a or b.
///
/// Returns
/// -------
/// ndarray of float32, shape (m, n)
///     `out`, or a new array.
///
/// Raises
/// ------
/// ValueError
///     If shapes do not fit, or `out` cannot be written.
/// TypeError
///     If a dtype is not float32.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> a = np.float32([[1.0, 1.001953125]])
/// >>> _core.matmul_bfloat16(a, a.T)  # the second is rounded to 1
/// array([[2.]], dtype=float32)
#[pyfunction]
#[pyo3(signature = (a, b, out=None))]
pub(crate) fn matmul_bfloat16<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let a = single("a", Real::matrix_of("a", a)?)?;
    let b = single("b", Real::matrix_of("b", b)?)?;
    let (m, k, n) = (a.array.shape()[0], a.array.shape()[1], b.array.shape()[1]);
    if b.array.shape()[0] != k {
        return Err(PyValueError::new_err(format!("b must have {k} rows. Received: shape {}", b.shape_text())));
    }
    let out = a.output(out, &[m, n], &[("a", &a), ("b", &b)])?;
    // SAFETY: types and shapes were checked; `out` overlaps neither; the arrays live until this returns, and whoever
    // writes them meanwhile from another thread breaks NumPy's own rules.
    let (a_matrix, b_matrix, c) = unsafe { (a.matrix::<f32>(), b.matrix::<f32>(), out.array.matrix_mut::<f32>()) };
    let long = m.saturating_mul(k).saturating_mul(n) >= LONG;
    without_lock(a.array.py(), long, c, |c| driver::multiply(a_matrix, b_matrix, c))?;
    out.finish()
}

/// Elements rounded.
struct Round<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        for (y, &x) in self.y.iter_mut().zip(self.x) {
            *y = bf16::round(x);
        }
    }
}

/// Round to bfloat16, to nearest even; what comes back is float32 that bfloat16 holds exactly.
///
/// Subnormal numbers become zero of their sign; NaN stays NaN.
///
/// Parameters
/// ----------
/// x : ndarray of float32
///     Any shape.
///
/// Returns
/// -------
/// ndarray of float32
///     A new array of x's shape.
///
/// Raises
/// ------
/// TypeError
///     If x is not of float32.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> _core.round_bfloat16(np.float32([1.0, 1.001953125, 3.15]))
/// array([1.       , 1.       , 3.15625], dtype=float32)
#[pyfunction]
#[pyo3(signature = (x))]
pub(crate) fn round_bfloat16<'py>(x: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let x = single("x", Real::of("x", x)?)?.contiguous()?;
    let out = x.output(None, x.array.shape(), &[])?;
    // SAFETY: the type was checked, elements lie side by side, and the new array is nobody else's.
    let (from, to) = unsafe { (x.elements::<f32>(), out.array.elements_mut::<f32>()) };
    without_lock(x.array.py(), false, to, |to| {
        let to = Shared::new(to);
        for_each_range(from.len(), SHARE, |range| {
            // SAFETY: ranges of different threads do not overlap.
            let y = unsafe { to.part(range.clone()) };
            dispatch(Round { x: &from[range], y });
        });
    })?;
    out.finish()
}

/// Whether products in bfloat16 run on instructions made for them; elsewhere they have the same bits and take longer than float32.
///
/// Returns
/// -------
/// bool
///
/// Examples
/// --------
/// >>> from dropfast import _core
/// >>> _core.has_bfloat16() in (True, False)
/// True
#[pyfunction]
pub(crate) fn has_bfloat16() -> bool {
    bf16::has_dot(level())
}
