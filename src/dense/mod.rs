//! Layer 3: a fully connected layer and its activations.
//!
//! * [`forward`] beside [`backward`]: the layer, `y = dropout(activation(x·W + b))`, and its gradients.
//! * [`activation`]: activations by name, on panels and on rows of memory.
//! * [`elementwise`]: the formulas of all but softmax, each beside its derivative.
//! * [`finite`]: the search for NaN and infinity.
//! * [`softmax`]: the one that mixes units.

pub mod activation;
pub mod backward;
pub mod elementwise;
pub mod finite;
pub mod forward;
pub mod softmax;

#[cfg(test)]
mod tests;
