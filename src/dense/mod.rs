//! Layer 3: a fully connected layer and its activations.
//!
//! * [`activation`]: activations by name, on panels and on rows of memory.
//! * [`elementwise`]: the formulas of all but softmax, each beside its derivative.
//! * [`finite`]: the search for NaN and infinity.
//! * [`softmax`]: the one that mixes units.

pub mod activation;
pub mod elementwise;
pub mod finite;
pub mod softmax;

#[cfg(test)]
mod tests;
