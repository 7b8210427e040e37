//! Layer 0: lane masks on AVX2, registers of all-ones lanes: what [`Mask`] asks of them, and masks of the first lanes.

use std::arch::x86_64::*;

use super::Mask;

/// Lane mask of `F32x8x2`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask32(pub(super) __m256, pub(super) __m256);

/// Lane mask of `F64x4x2`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask64(pub(super) __m256d, pub(super) __m256d);

/// Where the lanes of an integer register stand in [`FIRST_32`]: a load at `8 - n` gives n lanes of ones.
static FIRST_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
/// The same for 64-bit lanes, loaded at `4 - n`.
static FIRST_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

/// A mask of the first `n <= 8` lanes of 32 bits.
#[inline(always)]
pub(super) fn first_f32(n: usize) -> __m256i {
    // SAFETY: 8 integers lie at every offset 8 - n; callers hold a token.
    unsafe { _mm256_loadu_si256(FIRST_32.as_ptr().add(8 - n).cast()) }
}

/// A mask of the first `n <= 4` lanes of 64 bits.
#[inline(always)]
pub(super) fn first_f64(n: usize) -> __m256i {
    // SAFETY: 4 integers lie at every offset 4 - n; callers hold a token.
    unsafe { _mm256_loadu_si256(FIRST_64.as_ptr().add(4 - n).cast()) }
}

/// [`Mask`] over the intrinsics of one type.
macro_rules! avx2_mask {
    (
        $mask:ident, $float:ty, $half:literal, $set1:ident, $and:ident, $or:ident, $xor:ident, $movemask:ident
    ) => {
        impl Mask for $mask {
            #[inline(always)]
            fn and(self, other: Self) -> Self {
                // SAFETY: masks are made from vectors, which are made from a token alone; so below.
                unsafe { Self($and(self.0, other.0), $and(self.1, other.1)) }
            }

            #[inline(always)]
            fn or(self, other: Self) -> Self {
                // SAFETY: as above.
                unsafe { Self($or(self.0, other.0), $or(self.1, other.1)) }
            }

            #[inline(always)]
            fn not(self) -> Self {
                // SAFETY: as above.
                unsafe {
                    let ones = $set1(<$float>::from_bits(!0));
                    Self($xor(self.0, ones), $xor(self.1, ones))
                }
            }

            #[inline(always)]
            fn to_bits(self) -> u32 {
                // SAFETY: as above.
                unsafe { $movemask(self.0) as u32 | ($movemask(self.1) as u32) << $half }
            }
        }
    };
}

avx2_mask!(Mask32, f32, 8, _mm256_set1_ps, _mm256_and_ps, _mm256_or_ps, _mm256_xor_ps, _mm256_movemask_ps);
avx2_mask!(Mask64, f64, 4, _mm256_set1_pd, _mm256_and_pd, _mm256_or_pd, _mm256_xor_pd, _mm256_movemask_pd);
