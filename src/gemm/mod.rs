//! Layer 2: matrix products.
//!
//! * [`tile`]: the inner tile under all of them.
//! * [`outer`]: the weight gradient, tile by tile.
//! * [`panel`]: products of a network's layers with the rows of a batch in vector lanes.

pub mod outer;
pub mod panel;
pub mod tile;
