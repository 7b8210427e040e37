//! Layer 5: the bindings. Arrays in, checks, the interpreter's lock released, errors mapped.

use std::ffi::CString;

use pyo3::exceptions::PyRuntimeWarning;
use pyo3::prelude::*;

mod activation;
mod addresses;
mod arguments;
mod arrays;
mod bfloat16;
mod blocks;
mod borrowed;
mod config;
mod dense;
mod dropout;
mod errors;
mod floats;
mod fused;
mod interruptible;
mod key;
mod layers;
mod loss;
mod mask;
mod network;
mod noise;
mod optimizer;
mod predictions;
mod products;
mod random;
mod reserve;
mod spec;
mod steps;
mod training;
mod turn;

/// The native module `dropfast._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    configure(module.py())?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<key::Key>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<turn::Turn>()?;
    module.add_class::<turn::Hold>()?;
    module.add_function(wrap_pyfunction!(turn::forked, module)?)?;
    module.add_function(wrap_pyfunction!(dropout::dropout, module)?)?;
    module.add_function(wrap_pyfunction!(dropout::dropout_backward, module)?)?;
    module.add_function(wrap_pyfunction!(addresses::_drop, module)?)?;
    module.add_function(wrap_pyfunction!(addresses::_drop_filled, module)?)?;
    module.add_function(wrap_pyfunction!(addresses::_drop_strided, module)?)?;
    module.add_function(wrap_pyfunction!(fused::_dropout_add, module)?)?;
    module.add_function(wrap_pyfunction!(fused::_gelu_dropout, module)?)?;
    module.add_function(wrap_pyfunction!(fused::_gelu_dropout_backward, module)?)?;
    module.add_function(wrap_pyfunction!(mask::dropout_mask, module)?)?;
    module.add_function(wrap_pyfunction!(noise::alpha_dropout, module)?)?;
    module.add_function(wrap_pyfunction!(noise::alpha_dropout_backward, module)?)?;
    module.add_function(wrap_pyfunction!(noise::gaussian_dropout, module)?)?;
    module.add_function(wrap_pyfunction!(noise::gaussian_dropout_backward, module)?)?;
    module.add_function(wrap_pyfunction!(random::random_words, module)?)?;
    module.add_function(wrap_pyfunction!(random::random_uniform, module)?)?;
    module.add_function(wrap_pyfunction!(random::random_normal, module)?)?;
    module.add_function(wrap_pyfunction!(random::permutation, module)?)?;
    module.add_function(wrap_pyfunction!(config::set_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(config::get_num_threads, module)?)?;
    module.add_function(wrap_pyfunction!(config::limit_threads, module)?)?;
    module.add_function(wrap_pyfunction!(config::force_team_sizes, module)?)?;
    module.add_function(wrap_pyfunction!(config::simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(config::aes_level, module)?)?;
    module.add_function(wrap_pyfunction!(products::matmul, module)?)?;
    module.add_function(wrap_pyfunction!(bfloat16::matmul_bfloat16, module)?)?;
    module.add_function(wrap_pyfunction!(bfloat16::round_bfloat16, module)?)?;
    module.add_function(wrap_pyfunction!(bfloat16::has_bfloat16, module)?)?;
    module.add_function(wrap_pyfunction!(products::first_nonfinite_row, module)?)?;
    module.add_function(wrap_pyfunction!(products::fma_peak_gflops, module)?)?;
    module.add_function(wrap_pyfunction!(dense::dense, module)?)?;
    module.add_function(wrap_pyfunction!(dense::dense_backward, module)?)?;
    module.add_function(wrap_pyfunction!(activation::activation, module)?)?;
    module.add_function(wrap_pyfunction!(activation::activation_backward, module)?)?;
    module.add_function(wrap_pyfunction!(loss::loss, module)?)?;
    module.add_function(wrap_pyfunction!(loss::loss_gradient, module)?)?;
    module.add_function(wrap_pyfunction!(steps::optimizer_update, module)?)?;
    Ok(())
}

/// Applies `DROPFAST_SIMD`, `DROPFAST_NUM_THREADS` and `OMP_NUM_THREADS`. A number of threads that makes no sense is passed over with a
/// warning: it may be meant for somebody else, and must not cost the import.
fn configure(py: Python<'_>) -> PyResult<()> {
    if let Ok(name) = std::env::var("DROPFAST_SIMD") {
        crate::simd::pin(&name)?;
    }
    let text = |name| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned());
    let wrong = crate::parallel::configure(text("DROPFAST_NUM_THREADS").as_deref(), text("OMP_NUM_THREADS").as_deref());
    if let Some(message) = wrong.and_then(|message| CString::new(message).ok()) {
        let category = py.get_type::<PyRuntimeWarning>();
        // Warnings that are errors are shown, not raised.
        if let Err(error) = PyErr::warn(py, &category, &message, 1) {
            error.write_unraisable(py, None);
        }
    }
    Ok(())
}
