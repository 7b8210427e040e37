//! Layer 3: a fully connected layer and its activations.
//!
//! * [`forward`] beside [`backward`]: the layer, `y = dropout(activation(x·W + b))`, and its gradients.
//! * [`activation`]: activations by name, on panels and on rows of memory.
//! * [`curves`]: the formulas of those that few networks use.
//! * [`elementwise`]: the formulas of all but softmax, each beside its derivative.
//! * [`finite`]: the search for NaN and infinity.
//! * [`softmax`]: the one that mixes units.

pub(crate) mod activation;
pub(crate) mod backward;
pub(crate) mod curves;
pub(crate) mod elementwise;
pub(crate) mod finite;
pub(crate) mod forward;
pub(crate) mod softmax;

#[cfg(test)]
mod tests;
