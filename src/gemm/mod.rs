//! Layer 2: matrix products.
//!
//! * [`tile`]: the inner tile under all of them.
//! * [`outer`]: the weight gradient, tile by tile, whole or of what dropout kept.
//! * [`panel`]: products of a network's layers with the rows of a batch in vector lanes.
//! * [`few_rows`]: a few rows by a stored matrix.
//! * [`driver`]: products of stored matrices of any strides ([`matrix`]), with [`blocks`], [`pack`] and [`scratch`].
//! * [`naive`]: the same by definition, the oracle of the tests.
//! * [`peak`]: what the processor could do at most.

pub mod blocks;
pub mod driver;
pub mod few_rows;
pub mod matrix;
pub mod naive;
pub mod outer;
mod pack;
pub mod panel;
pub mod peak;
mod scratch;
pub mod tile;

#[cfg(test)]
mod tests;
