//! Layer 5: the matrix product, the search for bad rows, the speed limit.

use numpy::PyUntypedArrayMethods;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;

use super::arrays::{LONG, Precision, Real, without_lock};
use crate::dense::finite;
use crate::gemm::{driver, peak};
use crate::simd::{Element, level};

/// The product of two matrices.
///
/// An element is one chain of fused multiply-adds in ascending k, from zero, so the result has the
/// same bits on every machine and for every number of threads.
///
/// Parameters
/// ----------
/// a : ndarray of float32 or float64, shape (m, k)
///     Any strides, as for b.
/// b : ndarray of a's dtype, shape (k, n)
/// out : ndarray of the same dtype, shape (m, n), optional
///     Where to write. It may not overlap a or b.
///
/// Returns
/// -------
/// ndarray, shape (m, n)
///     `out`, or a new array.
///
/// Raises
/// ------
/// ValueError
///     If shapes do not fit, or `out` cannot be written.
/// TypeError
///     If a dtype is not one of the two, or they differ.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> import dropfast as df
/// >>> df.matmul(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
/// array([[11.]])
#[pyfunction]
#[pyo3(signature = (a, b, out=None))]
pub(crate) fn matmul<'py>(
    a: &Bound<'py, PyAny>,
    b: &Bound<'py, PyAny>,
    out: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let a = Real::matrix_of("a", a)?;
    let b = Real::matrix_of("b", b)?.like("b", &a, "a")?;
    let (m, k, n) = (a.array.shape()[0], a.array.shape()[1], b.array.shape()[1]);
    if b.array.shape()[0] != k {
        return Err(PyValueError::new_err(format!("b must have {k} rows. Received: shape {}", b.shape_text())));
    }
    let out = a.output(out, &[m, n], &[("a", &a), ("b", &b)])?;
    match a.precision {
        Precision::Single => multiply::<f32>(&a, &b, &out.array),
        Precision::Double => multiply::<f64>(&a, &b, &out.array),
    }?;
    out.finish()
}

/// The product of checked arrays of type `T`.
fn multiply<T: Element>(a: &Real<'_>, b: &Real<'_>, c: &Real<'_>) -> PyResult<()> {
    // SAFETY: types and shapes were checked; `c` overlaps neither; the arrays live until this returns, and whoever
    // writes them meanwhile from another thread breaks NumPy's own rules.
    let (a_matrix, b, c) = unsafe { (a.matrix::<T>(), b.matrix::<T>(), c.matrix_mut::<T>()) };
    let long = a_matrix.rows.saturating_mul(a_matrix.columns).saturating_mul(b.columns) >= LONG;
    without_lock(a.array.py(), long, c, |c| driver::multiply(a_matrix, b, c))
}

/// Where the first NaN or infinity is, counted along the first axis.
///
/// Parameters
/// ----------
/// x : ndarray of float32 or float64
///
/// Returns
/// -------
/// int or None
///     The index of the row; None where all values are finite.
///
/// Raises
/// ------
/// TypeError
///     If x has another dtype.
///
/// Examples
/// --------
/// >>> import numpy as np
/// >>> from dropfast import _core
/// >>> _core.first_nonfinite_row(np.array([[1.0, 2.0], [3.0, np.nan]]))
/// 1
#[pyfunction]
#[pyo3(signature = (x))]
pub(crate) fn first_nonfinite_row(x: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
    let x = Real::of("x", x)?.contiguous()?;
    let len: usize = x.array.shape().iter().product();
    if len == 0 {
        return Ok(None);
    }
    let found = match x.precision {
        Precision::Single => search::<f32>(&x),
        Precision::Double => search::<f64>(&x),
    };
    let row = x.array.shape().first().map_or(1, |rows| len / rows);
    Ok(found.map(|element| element / row))
}

/// The first element of a contiguous array that is not finite.
fn search<T: Element>(x: &Real<'_>) -> Option<usize> {
    // SAFETY: the type was checked, elements lie side by side, and they live until this returns.
    let elements = unsafe { x.elements::<T>() };
    x.array.py().detach(|| finite::first_nonfinite(elements))
}

/// GFLOP/s of a loop of float32 multiply-adds that touches no memory: what no product can pass.
///
/// Parameters
/// ----------
/// threads : int
///     How many threads run the loop at once.
///
/// Returns
/// -------
/// float
///     All threads together, the best of a few runs of some milliseconds.
///
/// Raises
/// ------
/// ValueError
///     If threads is not in [1, 256].
///
/// Examples
/// --------
/// >>> from dropfast import _core
/// >>> _core.fma_peak_gflops(1) > 0
/// True
#[pyfunction]
#[pyo3(signature = (threads))]
pub(crate) fn fma_peak_gflops(py: Python<'_>, threads: &Bound<'_, PyAny>) -> PyResult<f64> {
    let Ok(count) = threads.extract::<i64>() else {
        return Err(PyTypeError::new_err(format!("threads must be an integer. Received: threads={}", threads.repr()?)));
    };
    match usize::try_from(count) {
        Ok(threads) if (1..=crate::parallel::MAX_THREADS).contains(&threads) => {
            Ok(py.detach(|| peak::fma_peak_gflops(level(), threads)))
        }
        _ => Err(PyValueError::new_err(format!(
            "threads must be in [1, {}]. Received: threads={count}",
            crate::parallel::MAX_THREADS
        ))),
    }
}
