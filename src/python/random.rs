//! Layer 5: numbers of the random stream as NumPy arrays.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;

use super::arguments::integer;
use super::floats::uninitialised;
use super::interruptible::interruptible;
use super::key::key_of;
use crate::rng;

type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// Positions of a stream.
const POSITIONS: u64 = 1 << 63;

/// A new array of `n` numbers that `fill(key, offset, out)` writes, without the interpreter's lock.
fn filled<'py, T: numpy::Element + Send>(
    n: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    offset: Optional<'_, 'py>,
    fill: impl FnOnce(rng::Key, u64, &mut [T]) + Send,
) -> PyResult<Bound<'py, PyArray1<T>>> {
    let py = n.py();
    let n = integer("n", n, 0, POSITIONS - 1)?;
    let offset = offset.map_or(Ok(0), |offset| integer("offset", offset, 0, POSITIONS - n))?;
    let key = key_of(key)?;
    // SAFETY: every element is written below before anybody reads it.
    let array = unsafe { uninitialised::<T>(py, n as usize)? };
    // SAFETY: new and contiguous, nobody else has it.
    let out = unsafe { array.as_slice_mut()? };
    interruptible(py, || fill(key, offset, out))?;
    Ok(array)
}

/// Raw 32-bit words of the random stream.
///
/// Parameters
/// ----------
/// n : int
///     How many.
/// key : Key
///     Where to draw.
/// offset : int
///     Position of the first word.
///
/// Returns
/// -------
/// ndarray of uint32, shape (n,)
///     Word i is word i % 4 of block i // 4 of ARS-7.
///
/// Raises
/// ------
/// ValueError, TypeError
///     If `n`, `key` or `offset` is not accepted.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> from dropfast import _core
/// >>> [hex(word) for word in _core.random_words(2, df.Key(0))]
/// ['0xdacf61ff', '0xc45798f3']
#[pyfunction]
#[pyo3(signature = (n, key, offset=None), text_signature = "(n, key, offset=0)")]
pub(crate) fn random_words<'py>(
    n: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    offset: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyArray1<u32>>> {
    filled(n, key, offset, rng::words)
}

/// Uniform variates in [0, 1) with 53 random bits.
///
/// Parameters
/// ----------
/// n : int
///     How many.
/// key : Key
///     Where to draw.
/// offset : int
///     Position of the first variate.
///
/// Returns
/// -------
/// ndarray of float64, shape (n,)
///
/// Raises
/// ------
/// ValueError, TypeError
///     If `n`, `key` or `offset` is not accepted.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> from dropfast import _core
/// >>> bool((_core.random_uniform(1000, df.Key(1)) < 1).all())
/// True
#[pyfunction]
#[pyo3(signature = (n, key, offset=None), text_signature = "(n, key, offset=0)")]
pub(crate) fn random_uniform<'py>(
    n: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    offset: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    filled(n, key, offset, rng::uniforms)
}

/// Standard normal variates by Box and Muller's transform, in float32 precision.
///
/// Parameters
/// ----------
/// n : int
///     How many.
/// key : Key
///     Where to draw.
/// offset : int
///     Position of the first variate.
///
/// Returns
/// -------
/// ndarray of float64, shape (n,)
///     Every value is a float32 number; none is beyond 5.77.
///
/// Raises
/// ------
/// ValueError, TypeError
///     If `n`, `key` or `offset` is not accepted.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> from dropfast import _core
/// >>> bool(abs(_core.random_normal(10_000, df.Key(1)).mean()) < 0.03)
/// True
#[pyfunction]
#[pyo3(signature = (n, key, offset=None), text_signature = "(n, key, offset=0)")]
pub(crate) fn random_normal<'py>(
    n: &Bound<'py, PyAny>,
    key: &Bound<'py, PyAny>,
    offset: Optional<'_, 'py>,
) -> PyResult<Bound<'py, PyArray1<f64>>> {
    filled(n, key, offset, rng::normals_f64)
}

/// A random order of 0 .. n - 1 by Fisher and Yates's shuffle.
///
/// Parameters
/// ----------
/// n : int
///     How many.
/// key : Key
///     Where to draw.
///
/// Returns
/// -------
/// ndarray of int64, shape (n,)
///
/// Raises
/// ------
/// ValueError, TypeError
///     If `n` or `key` is not accepted.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> from dropfast import _core
/// >>> sorted(_core.permutation(5, df.Key(3)).tolist())
/// [0, 1, 2, 3, 4]
#[pyfunction]
pub(crate) fn permutation<'py>(n: &Bound<'py, PyAny>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyArray1<i64>>> {
    filled(n, key, None, |key, _, out: &mut [i64]| rng::permute(key, out))
}
