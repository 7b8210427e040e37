//! Layer 0: lanes of one register that go to lanes of another on AVX-512: the operands of its permutations.

use std::arch::x86_64::*;

use super::Avx512;
use super::links::Links;

/// The numbers of sixteen lanes, a hexadecimal digit each.
const NUMBERS: u64 = 0xFEDC_BA98_7654_3210;

/// The digits of the lanes whose bit is set.
///
/// # Safety
/// The processor has AVX-512; so for all functions of this file.
#[inline(always)]
unsafe fn digits(bits: u32) -> u64 {
    // SAFETY: every processor that has AVX-512 has BMI.
    0xF * unsafe { _pdep_u64(u64::from(bits), 0x1111_1111_1111_1111) }
}

/// Sixteen lanes, each with its digit and what is above: a permutation does not look at that.
#[inline(always)]
unsafe fn sixteen(digits: u64) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
        let shifts = _mm512_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28, 0, 4, 8, 12, 16, 20, 24, 28);
        _mm512_srlv_epi32(_mm512_permutexvar_epi32(halves, _mm512_set1_epi64(digits as i64)), shifts)
    }
}

/// The same with eight lanes.
#[inline(always)]
unsafe fn eight(digits: u64) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_srlv_epi64(_mm512_set1_epi64(digits as i64), _mm512_setr_epi64(0, 4, 8, 12, 16, 20, 24, 28)) }
}

/// [`Links`] of vectors of one width.
macro_rules! links {
    ($links:ident, $mask:ty, $lanes:ident) => {
        #[derive(Debug, Clone, Copy)]
        pub(crate) struct $links {
            /// Of which lane each is a copy.
            pub(super) from: __m512i,
            /// The lanes that are replaced.
            pub(super) to: $mask,
        }

        impl Links<Avx512> for $links {
            #[inline(always)]
            fn gathering(_: Avx512, bits: u32, place: usize) -> Self {
                // SAFETY: the token proves the level.
                let from = unsafe { $lanes(_pext_u64(NUMBERS, digits(bits)) << (4 * place)) };
                Self { from, to: (((1u32 << bits.count_ones()) - 1) << place) as $mask }
            }

            #[inline(always)]
            fn scattering(_: Avx512, bits: u32, place: usize) -> Self {
                // SAFETY: as above.
                let from = unsafe { $lanes(_pdep_u64(NUMBERS >> (4 * place), digits(bits))) };
                Self { from, to: bits as $mask }
            }
        }
    };
}

links!(Links16, __mmask16, sixteen);
links!(Links8, __mmask8, eight);
