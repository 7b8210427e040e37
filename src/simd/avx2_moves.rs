//! Layer 0: lanes packed and spread on AVX2, which has no instruction for either: by tables of where lanes come from.

use std::arch::x86_64::*;

use super::avx2_bits::mask_f32;
use super::moves::{PACK, SPREAD};

/// Which of sixteen lanes, in two registers, move where.
#[derive(Clone, Copy)]
pub(crate) struct Moves {
    indices: (__m256i, __m256i),
    bits: u32,
    /// How many of the first register's lanes are chosen.
    pub(super) first: usize,
}

impl Moves {
    /// # Safety
    /// The processor has AVX2; so for all functions of this file.
    #[inline(always)]
    unsafe fn new(table: &[[u8; 8]; 256], bits: u32) -> Self {
        let half = |bits: u32| table[bits as usize & 0xFF].as_ptr();
        // SAFETY: an entry has the eight bytes that are read.
        let indices = unsafe {
            (
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(half(bits).cast())),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(half(bits >> 8).cast())),
            )
        };
        Self { indices, bits, first: (bits & 0xFF).count_ones() as usize }
    }

    #[inline(always)]
    pub(super) unsafe fn pack(bits: u32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::new(&PACK, bits) }
    }

    #[inline(always)]
    pub(super) unsafe fn spread(bits: u32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::new(&SPREAD, bits) }
    }

    /// The chosen lanes of each register come first.
    #[inline(always)]
    pub(super) unsafe fn packed(self, x: (__m256, __m256)) -> (__m256, __m256) {
        // SAFETY: the caller's promise.
        unsafe { (_mm256_permutevar8x32_ps(x.0, self.indices.0), _mm256_permutevar8x32_ps(x.1, self.indices.1)) }
    }

    /// The first lanes of each register of `x` go to the chosen lanes of `old`.
    #[inline(always)]
    pub(super) unsafe fn spread_over(self, old: (__m256, __m256), x: (__m256, __m256)) -> (__m256, __m256) {
        // SAFETY: the caller's promise.
        unsafe {
            let (a, b) = self.packed(x);
            (_mm256_blendv_ps(old.0, a, mask_f32(self.bits)), _mm256_blendv_ps(old.1, b, mask_f32(self.bits >> 8)))
        }
    }
}

/// A register of `f32` as what it is.
#[inline(always)]
pub(super) unsafe fn same(x: __m256) -> __m256 {
    x
}
