//! Layer 5: threads and instruction sets, asked for and set.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::arguments::integer;
use crate::parallel::{self, Forced, MAX_THREADS};
use crate::simd;

/// Set how many threads calls may use, in this process.
///
/// Results don't depend on it. The environment variable ``DROPFAST_NUM_THREADS`` sets it at import. Calls use fewer where more
/// would be slower. ``thread_limit`` bounds it for some calls only.
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
pub(crate) fn set_num_threads(n: &Bound<'_, PyAny>) -> PyResult<()> {
    let n = integer("n", n, 1, MAX_THREADS as u64)?;
    Ok(parallel::set_num_threads(n as usize)?)
}

/// How many threads calls may use.
///
/// By default as many as this process has processors: those of its affinity mask, or of its control group's quota where that is less.
/// ``DROPFAST_NUM_THREADS`` replaces the default at import; without it ``OMP_NUM_THREADS`` lowers it, so that
/// workers of joblib, dask and Ray take their share.
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
pub(crate) fn get_num_threads() -> usize {
    parallel::num_threads()
}

/// Bound the threads of calls from the calling thread; what ``dropfast.thread_limit`` stands on.
///
/// Parameters
/// ----------
/// n : int
///     In [1, 256]. 256 is no bound.
///
/// Returns
/// -------
/// int
///     The bound before.
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
/// >>> from dropfast import _core
/// >>> before = _core.limit_threads(1)
/// >>> _core.limit_threads(before)
/// 1
#[pyfunction]
pub(crate) fn limit_threads(n: &Bound<'_, PyAny>) -> PyResult<usize> {
    Ok(parallel::set_limit(integer("n", n, 1, MAX_THREADS as u64)? as usize))
}

/// Force the sizes of teams in training, for tests: results must not depend on them.
///
/// Parameters
/// ----------
/// sizes : str
///     "measured" (the default: what is fastest), "full" (all threads that are set, however many processors there are) or
///     "random" (another size for each batch).
/// seed : int
///     Of the random sizes.
///
/// Raises
/// ------
/// ValueError
///     If sizes is none of these.
///
/// Examples
/// --------
/// >>> from dropfast import _core
/// >>> _core.force_team_sizes("measured")
#[pyfunction]
#[pyo3(signature = (sizes, seed = 0))]
pub(crate) fn force_team_sizes(sizes: &str, seed: u32) -> PyResult<()> {
    parallel::force(match sizes {
        "measured" => Forced::No,
        "full" => Forced::Full,
        "random" => Forced::Random(seed as usize),
        _ => {
            let message = format!("sizes must be one of measured, full, random. Received: sizes={sizes:?}");
            return Err(PyValueError::new_err(message));
        }
    });
    Ok(())
}

/// The number that [`set_num_threads`] sets, for tools that find the library by its symbols, such as threadpoolctl.
// SAFETY: no other library has a symbol of this name.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn dropfast_get_num_threads() -> std::ffi::c_int {
    parallel::process_threads() as std::ffi::c_int
}

/// [`set_num_threads`] for such tools; numbers below 1 and above 256 become 1 and 256.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn dropfast_set_num_threads(n: std::ffi::c_int) {
    let threads = usize::try_from(n).unwrap_or(1).clamp(1, MAX_THREADS);
    parallel::set_num_threads(threads).expect("in range");
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
pub(crate) fn simd_level() -> &'static str {
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
pub(crate) fn aes_level() -> &'static str {
    simd::aes_level().name()
}
