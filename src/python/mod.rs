//! Layer 5: the bindings. Arrays in, checks, the interpreter's lock released, errors mapped.

use pyo3::prelude::*;

mod activation;
mod arguments;
mod arrays;
mod blocks;
mod borrowed;
mod config;
mod dense;
mod dropout;
mod errors;
mod floats;
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
mod spec;

/// The native module `dropfast._core`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    configure()?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<key::Key>()?;
    module.add_class::<network::Network>()?;
    module.add_function(wrap_pyfunction!(dropout::dropout, module)?)?;
    module.add_function(wrap_pyfunction!(dropout::dropout_backward, module)?)?;
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
    module.add_function(wrap_pyfunction!(config::simd_level, module)?)?;
    module.add_function(wrap_pyfunction!(config::aes_level, module)?)?;
    module.add_function(wrap_pyfunction!(products::matmul, module)?)?;
    module.add_function(wrap_pyfunction!(products::first_nonfinite_row, module)?)?;
    module.add_function(wrap_pyfunction!(products::fma_peak_gflops, module)?)?;
    module.add_function(wrap_pyfunction!(dense::dense, module)?)?;
    module.add_function(wrap_pyfunction!(dense::dense_backward, module)?)?;
    module.add_function(wrap_pyfunction!(activation::activation, module)?)?;
    module.add_function(wrap_pyfunction!(activation::activation_backward, module)?)?;
    module.add_function(wrap_pyfunction!(loss::loss, module)?)?;
    module.add_function(wrap_pyfunction!(loss::loss_gradient, module)?)?;
    module.add_function(wrap_pyfunction!(optimizer::optimizer_update, module)?)?;
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
