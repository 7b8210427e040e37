//! Layer 5: the mask of dropout as a NumPy array of truth values or bits.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;

use super::arguments::{Noise, offset_of, pieces, rate_of, shape_of};
use super::dropout::{Argument, Optional, RELEASE};
use super::floats::uninitialised;
use super::interruptible::interruptible;
use super::key::key_of;
use crate::dropout as kernels;
use crate::dropout::Decisions;
use crate::rng::Threshold;
use crate::simd::aes_level;

/// The mask that `dropout` applies.
///
/// Parameters
/// ----------
/// shape : int or tuple of int
///     Shape of the array to be masked.
/// rate, key, noise_shape, rows_per_mask, offset
///     As for `dropout`.
/// packed : bool
///     Return bits instead: 8 decisions a byte, the first in the lowest bit, as
///     ``np.unpackbits(..., bitorder="little")`` reads them.
///
/// Returns
/// -------
/// ndarray of bool, `shape`
///     True where an element is kept. Packed: ndarray of uint8, one dimension, in C order; unused bits of
///     the last byte are 0.
///
/// Raises
/// ------
/// ValueError, TypeError
///     As `dropout`.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> mask = df.dropout_mask((1000,), 0.25, df.Key(0))
/// >>> bool(700 < mask.sum() < 800)
/// True
/// >>> df.dropout_mask((4, 3), 0.5, df.Key(0), noise_shape=(None, 1)).shape
/// (4, 3)
#[pyfunction]
#[pyo3(
    signature = (shape, rate, key, noise_shape=None, rows_per_mask=None, offset=None, packed=false),
    text_signature = "(shape, rate, key, noise_shape=None, rows_per_mask=1, offset=0, packed=False)"
)]
pub(crate) fn dropout_mask<'py>(
    shape: Argument<'_, 'py>,
    rate: Argument<'_, 'py>,
    key: Argument<'_, 'py>,
    noise_shape: Optional<'_, 'py>,
    rows_per_mask: Optional<'_, 'py>,
    offset: Optional<'_, 'py>,
    packed: bool,
) -> PyResult<Bound<'py, PyAny>> {
    let py = shape.py();
    let shape = shape_of(shape)?;
    let (rate, key) = (rate_of(rate)?, key_of(key)?);
    let noise = Noise::of(&shape, noise_shape, rows_per_mask)?;
    let size = noise.size(&shape);
    let offset = offset_of(offset, size)?;
    let decisions = Decisions { key, threshold: Threshold::new(rate), offset };
    let full = noise == Noise::Full;
    let elements = shape.iter().product::<usize>();
    if packed && full {
        let bits = new_bytes(py, elements.div_ceil(8), |out| {
            kernels::mask_bits(aes_level(), decisions, elements, out);
        })?;
        return Ok(bits.into_any());
    }
    let mut drawn = Vec::new();
    if !full {
        drawn.try_reserve_exact(size as usize).map_err(|error| PyMemoryError::new_err(error.to_string()))?;
        drawn.resize(size as usize, 0);
    }
    let bytes = new_bytes(py, elements, |out| {
        if full {
            kernels::mask_bools(aes_level(), decisions, out);
        } else {
            expanded(decisions, drawn, &shape, &noise, out);
        }
    })?;
    let numpy = py.import("numpy")?;
    if packed {
        let arguments = [("bitorder", "little")];
        return numpy.call_method("packbits", (bytes,), Some(&pyo3::types::IntoPyDict::into_py_dict(arguments, py)?));
    }
    bytes.call_method1("view", (numpy.getattr("bool_")?,))?.call_method1("reshape", (shape,))
}

/// A new array of bytes, filled without the interpreter's lock.
fn new_bytes<'py>(
    py: Python<'py>,
    n: usize,
    fill: impl FnOnce(&mut [u8]) + Send,
) -> PyResult<Bound<'py, PyArray1<u8>>> {
    // SAFETY: every byte is written below before anybody reads it.
    let array = unsafe { uninitialised::<u8>(py, n)? };
    // SAFETY: new and contiguous, nobody else has it.
    let out = unsafe { array.as_slice_mut()? };
    if n < RELEASE {
        fill(out);
    } else {
        interruptible(py, || fill(out))?;
    }
    Ok(array)
}

/// The mask of an array from noise that is smaller than it.
fn expanded(decisions: Decisions, mut drawn: Vec<u8>, shape: &[usize], noise: &Noise, out: &mut [u8]) {
    kernels::mask_bools(aes_level(), decisions, &mut drawn);
    let mut strides = vec![0; shape.len()];
    let mut stride = 1;
    for (i, &size) in shape.iter().enumerate().rev() {
        strides[i] = stride;
        stride *= size as isize;
    }
    for piece in pieces(shape, &vec![0; shape.len()], &strides, noise) {
        kernels::expand(&piece.layout, &drawn[piece.noise as usize..], &mut out[piece.output as usize..]);
    }
}
