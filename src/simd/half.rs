//! Layer 0: float16 and bfloat16 at the border of memory: sixteen of them become one vector of `f32` and back.
//!
//! Widening is exact, narrowing rounds once, to nearest even. A NaN stays one (quiet, upper payload bits kept).

use half::{bf16, f16};

use super::{Scalar, Simd, Vector};

/// Loads and stores of 16-bit floats as `f32` lanes.
pub(crate) trait Half: Simd {
    /// Sixteen float16, widened.
    ///
    /// # Safety
    /// 16 elements at `p` are readable.
    unsafe fn load_f16(self, p: *const f16) -> Self::F32;
    /// Sixteen float16, rounded to nearest even.
    ///
    /// # Safety
    /// 16 elements at `p` are writable.
    unsafe fn store_f16(self, x: Self::F32, p: *mut f16);
    /// Sixteen bfloat16, widened.
    ///
    /// # Safety
    /// 16 elements at `p` are readable.
    unsafe fn load_bf16(self, p: *const bf16) -> Self::F32;
    /// Sixteen bfloat16, rounded to nearest even.
    ///
    /// # Safety
    /// 16 elements at `p` are writable.
    unsafe fn store_bf16(self, x: Self::F32, p: *mut bf16);
}

impl Half for Scalar {
    #[inline(always)]
    unsafe fn load_f16(self, p: *const f16) -> Self::F32 {
        // SAFETY: the caller promises 16 elements.
        let lanes: [f32; 16] = std::array::from_fn(|i| unsafe { p.add(i).read_unaligned() }.to_f32());
        Self::F32::from_slice(self, &lanes)
    }

    #[inline(always)]
    unsafe fn store_f16(self, x: Self::F32, p: *mut f16) {
        for (i, lane) in x.to_lanes().into_iter().enumerate() {
            // SAFETY: the caller promises 16 elements.
            unsafe { p.add(i).write_unaligned(f16::from_f32(lane)) };
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(self, p: *const bf16) -> Self::F32 {
        // SAFETY: the caller promises 16 elements.
        let lanes: [f32; 16] = std::array::from_fn(|i| unsafe { p.add(i).read_unaligned() }.to_f32());
        Self::F32::from_slice(self, &lanes)
    }

    #[inline(always)]
    unsafe fn store_bf16(self, x: Self::F32, p: *mut bf16) {
        for (i, lane) in x.to_lanes().into_iter().enumerate() {
            // SAFETY: the caller promises 16 elements.
            unsafe { p.add(i).write_unaligned(bf16::from_f32(lane)) };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{Half, bf16, f16};
    use crate::simd::{Avx2, Avx512};
    use crate::simd::{avx2::F32x8x2, avx512::F32x16};

    /// bfloat16 is the upper half of f32. Adding 0x7FFF and the lowest bit that stays rounds to nearest even.
    const BELOW_HALF: i32 = 0x7FFF;
    /// Makes a NaN quiet, and keeps it one when its payload is in the lower half alone.
    const QUIET: i32 = 0x0040;

    impl Half for Avx512 {
        #[inline(always)]
        unsafe fn load_f16(self, p: *const f16) -> F32x16 {
            // SAFETY: the token proves AVX-512; the caller promises 16 elements.
            unsafe { F32x16(_mm512_cvtph_ps(_mm256_loadu_si256(p.cast()))) }
        }

        #[inline(always)]
        unsafe fn store_f16(self, x: F32x16, p: *mut f16) {
            // SAFETY: as above.
            unsafe { _mm256_storeu_si256(p.cast(), _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0)) }
        }

        #[inline(always)]
        unsafe fn load_bf16(self, p: *const bf16) -> F32x16 {
            // SAFETY: as above.
            unsafe {
                let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast()));
                F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide)))
            }
        }

        #[inline(always)]
        unsafe fn store_bf16(self, x: F32x16, p: *mut bf16) {
            // SAFETY: as above.
            unsafe {
                let bits = _mm512_castps_si512(x.0);
                let upper = _mm512_srli_epi32::<16>(bits);
                let odd = _mm512_and_si512(upper, _mm512_set1_epi32(1));
                let sum = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(BELOW_HALF)));
                let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x.0, x.0);
                let rounded = _mm512_srli_epi32::<16>(sum);
                let result = _mm512_mask_or_epi32(rounded, nan, upper, _mm512_set1_epi32(QUIET));
                _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(result));
            }
        }
    }

    /// Eight lanes rounded to bfloat16, in the lower halves of 32-bit lanes.
    ///
    /// # Safety
    /// The processor has AVX2.
    #[inline(always)]
    unsafe fn round_bf16(x: __m256) -> __m256i {
        // SAFETY: register operations only.
        unsafe {
            let bits = _mm256_castps_si256(x);
            let upper = _mm256_srli_epi32::<16>(bits);
            let odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
            let sum = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(BELOW_HALF)));
            let nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
            let quiet = _mm256_or_si256(upper, _mm256_set1_epi32(QUIET));
            _mm256_blendv_epi8(_mm256_srli_epi32::<16>(sum), quiet, nan)
        }
    }

    /// Every processor with AVX2 has F16C.
    impl Half for Avx2 {
        #[inline(always)]
        unsafe fn load_f16(self, p: *const f16) -> F32x8x2 {
            // SAFETY: the token proves AVX2; the caller promises 16 elements.
            unsafe {
                F32x8x2(_mm256_cvtph_ps(_mm_loadu_si128(p.cast())), _mm256_cvtph_ps(_mm_loadu_si128(p.add(8).cast())))
            }
        }

        #[inline(always)]
        unsafe fn store_f16(self, x: F32x8x2, p: *mut f16) {
            // SAFETY: as above.
            unsafe {
                let low = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0);
                let high = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.1);
                _mm256_storeu_si256(p.cast(), _mm256_set_m128i(high, low));
            }
        }

        #[inline(always)]
        unsafe fn load_bf16(self, p: *const bf16) -> F32x8x2 {
            // SAFETY: as above.
            unsafe {
                let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast()));
                let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(p.add(8).cast()));
                F32x8x2(
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
                )
            }
        }

        #[inline(always)]
        unsafe fn store_bf16(self, x: F32x8x2, p: *mut bf16) {
            // SAFETY: as above.
            unsafe {
                let packed = _mm256_packus_epi32(round_bf16(x.0), round_bf16(x.1));
                _mm256_storeu_si256(p.cast(), _mm256_permute4x64_epi64::<0b11_01_10_00>(packed));
            }
        }
    }
}
