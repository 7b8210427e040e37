//! Layer 2: dropout and its relatives: what a random stream does to an array.
//!
//! * [`apply`]: mask and transform in one pass, any layout; [`Scale`] makes it inverted dropout and its gradient,
//!   [`Affine`] alpha dropout.
//! * [`mod@gaussian`]: multiplicative Gaussian noise and its gradient.
//! * [`mask_bools`], [`mask_bits`]: the mask itself.
//!
//! The mask is never stored: backward draws it again from the key.

mod blocks;
mod contiguous;
mod gaussian;
mod layout;
mod mask;
mod pages;
mod run;
mod sample;
mod strided;
mod transform;

pub use contiguous::{apply_at, apply_contiguous};
pub use gaussian::gaussian;
pub use layout::{Axis, Layout};
pub use mask::{expand, mask_bits, mask_bools};
pub use sample::Sample;
pub use strided::{apply, gaussian_layout};
pub use transform::{ALPHA_PRIME, Affine, Scale, Transform};

use crate::rng::{Key, Threshold};

/// Whose decisions: the key, the threshold, and the position of the first noise element.
#[derive(Debug, Clone, Copy)]
pub struct Decisions {
    /// The stream.
    pub key: Key,
    /// The drop probability.
    pub threshold: Threshold,
    /// Position of the first element.
    pub offset: u64,
}

#[cfg(test)]
mod tests;
