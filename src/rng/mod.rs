//! Layer 1: the random stream, version 1: a pure function of key and position, the same on every machine.
//!
//! * [`Key`]: seed, stream and step; [`domain`]: what the upper bits of a stream are reserved for.
//! * [`Rounds`]: the generator, AES rounds on a counter (Salmon et al., *Parallel random numbers: as easy as 1, 2, 3*, SC 2011).
//! * [`Threshold`], [`Draw`], [`Steps`], [`keep_bits`]: decisions to keep or drop, with the rate exact to 2^-48.
//! * [`words`], [`uniforms`], [`normals`], [`permutation()`]: numbers.
//!
//! All of these agree bit for bit on every [`crate::simd::AesLevel`].

mod ars;
mod bernoulli;
mod draw;
mod key;
mod normal;
mod permutation;
mod uniform;

#[cfg(test)]
use ars::ars7;
pub(crate) use ars::{Rounds, Table};
pub(crate) use bernoulli::{Threshold, check_rate, keep_bits, keep_bits_at, keep_bits_by};
pub(crate) use draw::{Draw, GROUP, LONG, Steps};
pub use key::Key;
pub(crate) use key::domain;
#[cfg(test)]
use normal::normals_at;
pub(crate) use normal::{NORMAL_STEPS, normal_lanes, normals, normals_f64};
pub(crate) use permutation::{permutation, permute};
pub(crate) use uniform::{uniforms, words};

#[cfg(test)]
mod tests;
