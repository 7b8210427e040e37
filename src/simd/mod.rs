//! Layer 0: instruction sets, chosen at run time.
//!
//! A kernel is written once, generic over a token `S:` [`Simd`], and run by [`dispatch`]:
//!
//! ```ignore
//! use dropfast::simd::{Element, Kernel, Simd, V, Vector, dispatch};
//!
//! struct Sum<'a>(&'a [f32]);
//!
//! impl Kernel for Sum<'_> {
//!     type Output = f32;
//!
//!     #[inline(always)]
//!     fn run<S: Simd>(self, s: S) -> f32 {
//!         let mut sum = V::<S, f32>::zero(s);
//!         let chunks = self.0.chunks_exact(V::<S, f32>::LANES);
//!         let rest = chunks.remainder();
//!         for chunk in chunks {
//!             sum = sum.add(V::<S, f32>::from_slice(s, chunk));
//!         }
//!         sum.add(V::<S, f32>::from_slice(s, rest)).reduce_sum()
//!     }
//! }
//! assert_eq!(dispatch(Sum(&[1.0; 100])), 100.0);
//! ```
//!
//! *Tokens.* A token ([`Scalar`], `Neon`, `Avx2`, `Avx512`) can be made only where the processor has the instructions,
//! so whatever takes one by value is safe to call. Only [`Simd::run`] carries `#[target_feature]`; everything under
//! it is `#[inline(always)]`, or its instructions would not be compiled for the level.
//!
//! *Vectors.* [`Vector`] is 64 bytes of lanes on every level: 16 × `f32` or 8 × `f64`. AVX2 keeps them in two
//! registers, NEON in four, the scalar level in an array. All levels do the same operations in the same lanes, which is half of the
//! promise that they return the same bits; the other half is in `docs/numerics.md`.

#[cfg(not(all(target_pointer_width = "64", target_endian = "little")))]
compile_error!("dropfast needs a 64-bit little-endian processor: random numbers are defined by bytes in that order");

mod aes;
#[cfg(target_arch = "aarch64")]
mod aes_arm;
#[cfg(target_arch = "x86_64")]
mod aes_avx2;
#[cfg(target_arch = "x86_64")]
mod aes_avx512;
#[cfg(target_arch = "x86_64")]
mod aes_ni;
mod aes_soft;
#[cfg(target_arch = "x86_64")]
mod aes_vaes256;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx2_bits;
#[cfg(target_arch = "x86_64")]
mod avx2_masks;
#[cfg(target_arch = "x86_64")]
mod avx2_moves;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_links;
#[cfg(target_arch = "x86_64")]
mod avx512_masks;
pub(crate) mod bf16;
mod half;
mod halves;
mod level;
mod links;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod moves;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "aarch64")]
mod neon_bits;
#[cfg(target_arch = "aarch64")]
mod neon_halves;
#[cfg(target_arch = "aarch64")]
mod neon_masks;
#[cfg(target_arch = "aarch64")]
mod neon_moves;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod transpose;
mod vector;

#[cfg(test)]
pub(crate) use aes::SoftAes;
pub(crate) use aes::{Aes, AesKernel, AesLevel, Row, STEP, aes_level, available_aes, dispatch_aes, dispatch_aes_at};
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use half::Half;
pub(crate) use halves::Halves;
pub(crate) use level::{Level, available, dispatch, dispatch_at, level, pin};
pub(crate) use links::Links;
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
pub(crate) use scalar::Scalar;
pub(crate) use vector::{Element, Kernel, Mask, Simd, V, Vector};

#[cfg(test)]
mod tests;
