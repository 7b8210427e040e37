//! Layer 2: matrix products.
//!
//! * [`tile`]: the inner tile under all of them, its [`steps`], and what it asks for [`ahead`].
//! * [`outer`]: the weight gradient, tile by tile, whole or of what dropout kept.
//! * [`panel`]: products of a network's layers with the rows of a batch in vector lanes.
//! * [`kept`]: the same for the features that dropout kept.
//! * [`few_rows`]: a few rows by a stored matrix.
//! * [`driver`]: products of stored matrices of any strides ([`matrix`]), with [`blocks`], [`pack`] and [`scratch`];
//!   `by_panels` for those that go through panels, which [`scatter`] turns back.
//! * [`bf16`]: products of operands rounded to bfloat16.
//! * [`naive`]: the same by definition, the oracle of the tests.
//! * [`peak`]: what the processor could do at most.

pub(crate) mod ahead;
pub(crate) mod bf16;
pub(crate) mod blocks;
mod by_panels;
pub(crate) mod driver;
pub(crate) mod few_rows;
pub(crate) mod kept;
pub(crate) mod matrix;
pub(crate) mod naive;
pub(crate) mod outer;
mod pack;
pub(crate) mod panel;
pub(crate) mod peak;
pub(crate) mod scatter;
mod scratch;
pub(crate) mod steps;
pub(crate) mod tile;

#[cfg(test)]
mod tests;
