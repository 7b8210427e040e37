//! Layer 5: the bindings. Arrays in, checks, the interpreter's lock released, errors mapped.

use pyo3::prelude::*;

mod errors;

/// The native module `dropfast._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    configure()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}

/// Applies `DROPFAST_SIMD` and `DROPFAST_NUM_THREADS`.
fn configure() -> crate::error::Result<()> {
    if let Ok(name) = std::env::var("DROPFAST_SIMD") {
        crate::simd::pin(&name)?;
    }
    if let Ok(threads) = std::env::var("DROPFAST_NUM_THREADS") {
        crate::parallel::configure(&threads)?;
    }
    Ok(())
}
