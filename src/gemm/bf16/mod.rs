//! Layer 2: products of operands rounded to bfloat16, summed in `f32`.
//!
//! * [`driver`]: `C = A·B` for matrices of any strides, blocked and threaded; `pack` rounds operands into pairs, `tile` multiplies them.
//! * `naive`: the same by definition, the oracle of the tests.

pub(crate) mod driver;
#[cfg(test)]
mod naive;
mod pack;
mod tile;

#[cfg(test)]
mod tests;
