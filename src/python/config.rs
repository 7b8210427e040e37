//! Layer 5: threads and instruction sets, asked for and set.

use pyo3::prelude::*;

use super::arguments::integer;
use crate::parallel::{self, MAX_THREADS};
use crate::simd;

/// Set how many threads calls may use, in this process.
///
/// Results don't depend on it. The environment variable ``DROPFAST_NUM_THREADS`` sets it at import.
///
/// Parameters
/// ----------
/// n : int
///     In [1, 256].
///
/// Raises
/// ------
/// ValueError
///     If n is outside [1, 256].
/// TypeError
///     If n is not an integer.
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> before = df.get_num_threads()
/// >>> df.set_num_threads(1)
/// >>> df.get_num_threads()
/// 1
/// >>> df.set_num_threads(before)
#[pyfunction]
pub fn set_num_threads(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let n = integer("n", n, 1, MAX_THREADS as u64)?;
    Ok(parallel::set_num_threads(n as usize)?)
}

/// How many threads calls may use: all processors, unless set otherwise.
///
/// Returns
/// -------
/// int
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> df.get_num_threads() >= 1
/// True
#[pyfunction]
pub fn get_num_threads() -> usize {
    parallel::num_threads()
}

/// The instruction-set level in use: "scalar", "avx2" or "avx512".
///
/// The best that the processor has, unless ``DROPFAST_SIMD`` pins another at import.
///
/// Returns
/// -------
/// str
///
/// Examples
/// --------
/// >>> import dropfast as df
/// >>> df.simd_level() in ("scalar", "avx2", "avx512")
/// True
#[pyfunction]
pub fn simd_level() -> &'static str {
    simd::level().name()
}

/// The AES instructions in use: "soft" (none), "aesni", "vaes256" or "vaes512".
///
/// Returns
/// -------
/// str
///
/// Examples
/// --------
/// >>> from dropfast import _core
/// >>> _core.aes_level() in ("soft", "aesni", "vaes256", "vaes512")
/// True
#[pyfunction]
pub fn aes_level() -> &'static str {
    simd::aes_level().name()
}
