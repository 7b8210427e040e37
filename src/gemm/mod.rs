//! Layer 2: matrix products.
//!
//! * [`tile`]: the inner tile under all of them, its [`steps`], and what it asks for [`ahead`].
//! * [`outer`]: the weight gradient, tile by tile, whole or of what dropout kept.
//! * [`panel`]: products of a network's layers with the rows of a batch in vector lanes.
//! * [`kept`]: the same for the features that dropout kept.
//! * [`few_rows`]: a few rows by a stored matrix.
//! * [`driver`]: products of stored matrices of any strides ([`matrix`]), with [`blocks`], [`pack`] and [`scratch`];
//!   `by_panels` for those that go through panels, which [`scatter`] turns back.
//! * [`naive`]: the same by definition, the oracle of the tests.
//! * [`peak`]: what the processor could do at most.

pub mod ahead;
pub mod blocks;
mod by_panels;
pub mod driver;
pub mod few_rows;
pub mod kept;
pub mod matrix;
pub mod naive;
pub mod outer;
mod pack;
pub mod panel;
pub mod peak;
pub mod scatter;
mod scratch;
pub mod steps;
pub mod tile;

#[cfg(test)]
mod tests;
