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

pub(crate) use contiguous::{apply_at, apply_contiguous};
pub(crate) use gaussian::gaussian;
pub(crate) use layout::{Axis, Layout};
pub(crate) use mask::{expand, mask_bits, mask_bools};
pub(crate) use sample::Sample;
pub(crate) use strided::{apply, gaussian_layout};
pub(crate) use transform::{Affine, Scale, Transform};

use crate::rng::{Key, Threshold};

/// Whose decisions: the key, the threshold, and the position of the first noise element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decisions {
    /// The stream.
    pub(crate) key: Key,
    /// The drop probability.
    pub(crate) threshold: Threshold,
    /// Position of the first element.
    pub(crate) offset: u64,
}

#[cfg(test)]
mod tests;
