//! Layer 0: a step of 16-bit floats in registers: 32 lanes widened, computed with as two vectors of `f32`, narrowed.
//!
//! Which lanes share a vector of `f32` is the level's choice (bfloat16 widens most cheaply as even and odd lanes), so
//! arithmetic between widening and narrowing is lane by lane and the same for all.

use super::{Scalar, Simd, Vector};

/// Thirty-two lanes of 16 bits, and what they are as `f32`.
pub(crate) trait Halves: Simd {
    /// The lanes in order.
    type Halves: Copy;

    /// Loads all lanes; no alignment is needed.
    ///
    /// # Safety
    /// 64 bytes at `p` are readable.
    unsafe fn load_halves(self, p: *const u8) -> Self::Halves;
    /// Stores all lanes, for `STREAM` past the caches.
    ///
    /// # Safety
    /// 64 bytes at `p` are writable; for `STREAM` `p` is aligned to them.
    unsafe fn store_halves<const STREAM: bool>(self, x: Self::Halves, p: *mut u8);

    /// float16, widened.
    fn widen_f16(self, x: Self::Halves) -> [Self::F32; 2];
    /// The inverse of [`Halves::widen_f16`], rounded to nearest even.
    fn narrow_f16(self, x: [Self::F32; 2]) -> Self::Halves;
    /// bfloat16, widened.
    fn widen_bf16(self, x: Self::Halves) -> [Self::F32; 2];
    /// The inverse of [`Halves::widen_bf16`], rounded to nearest even. The lower half of a NaN must be 0, as it is where
    /// a NaN comes from a widened one or is the processor's own: then rounding carries nothing into it.
    fn narrow_bf16(self, x: [Self::F32; 2]) -> Self::Halves;

    /// Eight lanes and eight lanes in double precision.
    fn widen_f64(self, x: Self::F32) -> [Self::F64; 2];
}

impl Halves for Scalar {
    type Halves = [u16; 32];

    #[inline(always)]
    unsafe fn load_halves(self, p: *const u8) -> [u16; 32] {
        // SAFETY: the caller promises 64 bytes.
        unsafe { p.cast::<[u16; 32]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn store_halves<const STREAM: bool>(self, x: [u16; 32], p: *mut u8) {
        // SAFETY: the caller promises 64 bytes.
        unsafe { p.cast::<[u16; 32]>().write_unaligned(x) }
    }

    #[inline(always)]
    fn widen_f16(self, x: [u16; 32]) -> [Self::F32; 2] {
        widen(x.map(|x| half::f16::from_bits(x).to_f32()))
    }

    #[inline(always)]
    fn narrow_f16(self, x: [Self::F32; 2]) -> [u16; 32] {
        narrow(x).map(|x| half::f16::from_f32(x).to_bits())
    }

    #[inline(always)]
    fn widen_bf16(self, x: [u16; 32]) -> [Self::F32; 2] {
        widen(x.map(|x| half::bf16::from_bits(x).to_f32()))
    }

    #[inline(always)]
    fn narrow_bf16(self, x: [Self::F32; 2]) -> [u16; 32] {
        narrow(x).map(|x| half::bf16::from_f32(x).to_bits())
    }

    #[inline(always)]
    fn widen_f64(self, x: Self::F32) -> [Self::F64; 2] {
        let lanes = x.to_lanes().map(f64::from);
        [Self::F64::from_slice(self, &lanes[..8]), Self::F64::from_slice(self, &lanes[8..])]
    }
}

/// Lanes 0 to 15, lanes 16 to 31.
#[inline(always)]
fn widen(x: [f32; 32]) -> [<Scalar as Simd>::F32; 2] {
    [Vector::from_slice(Scalar, &x[..16]), Vector::from_slice(Scalar, &x[16..])]
}

/// The inverse of [`widen`].
#[inline(always)]
fn narrow(x: [<Scalar as Simd>::F32; 2]) -> [f32; 32] {
    let [low, high] = x.map(Vector::to_lanes);
    std::array::from_fn(|i| if i < 16 { low[i] } else { high[i - 16] })
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Halves;
    use crate::simd::avx2::{F32x8x2, F64x4x2};
    use crate::simd::avx512::{F32x16, F64x8};
    use crate::simd::{Avx2, Avx512};

    /// An intrinsic on values whose existence proves the level: they come from a token.
    macro_rules! op {
        ($call:expr) => {
            // SAFETY: vectors are made from a token alone, so the processor has the instruction.
            unsafe { $call }
        };
    }

    /// The upper half of every lane of 32 bits.
    const UPPER: i32 = !0xFFFF;
    /// Lanes 1, 3, 5 and so on of 16 bits.
    const ODD: __mmask32 = 0xAAAA_AAAA;
    /// Adding this and the lowest bit that stays carries as rounding to nearest even does.
    const BELOW_HALF: i32 = 0x7FFF;

    impl Halves for Avx512 {
        type Halves = __m512i;

        #[inline(always)]
        unsafe fn load_halves(self, p: *const u8) -> __m512i {
            // SAFETY: the token proves AVX-512; the caller promises 64 bytes.
            unsafe { _mm512_loadu_si512(p.cast()) }
        }

        #[inline(always)]
        unsafe fn store_halves<const STREAM: bool>(self, x: __m512i, p: *mut u8) {
            // SAFETY: as above.
            unsafe { if STREAM { _mm512_stream_si512(p.cast(), x) } else { _mm512_storeu_si512(p.cast(), x) } }
        }

        #[inline(always)]
        fn widen_f16(self, x: __m512i) -> [F32x16; 2] {
            op!([
                F32x16(_mm512_cvtph_ps(_mm512_castsi512_si256(x))),
                F32x16(_mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(x))),
            ])
        }

        #[inline(always)]
        fn narrow_f16(self, x: [F32x16; 2]) -> __m512i {
            op!({
                let low = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[0].0);
                let high = _mm512_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x[1].0);
                _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high)
            })
        }

        #[inline(always)]
        fn widen_bf16(self, x: __m512i) -> [F32x16; 2] {
            op!({
                let odd = _mm512_and_si512(x, _mm512_set1_epi32(UPPER));
                [F32x16(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(x))), F32x16(_mm512_castsi512_ps(odd))]
            })
        }

        #[inline(always)]
        fn narrow_bf16(self, x: [F32x16; 2]) -> __m512i {
            op!({
                // All 32 upper halves and all 32 lower: rounding takes one register.
                let [even, odd] = [_mm512_castps_si512(x[0].0), _mm512_castps_si512(x[1].0)];
                let upper = _mm512_mask_mov_epi16(_mm512_srli_epi32::<16>(even), ODD, odd);
                let lower = _mm512_mask_mov_epi16(even, ODD, _mm512_slli_epi32::<16>(odd));
                // Upwards above the half, and at the half from an odd upper: lower | upper & 1.
                let sticky = _mm512_ternarylogic_epi32::<0xF8>(lower, upper, _mm512_set1_epi16(1));
                let up = _mm512_cmpgt_epu16_mask(sticky, _mm512_set1_epi16(i16::MIN));
                _mm512_mask_sub_epi16(upper, up, upper, _mm512_set1_epi16(-1))
            })
        }

        #[inline(always)]
        fn widen_f64(self, x: F32x16) -> [F64x8; 2] {
            op!([
                F64x8(_mm512_cvtps_pd(_mm512_castps512_ps256(x.0))),
                F64x8(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0))),
            ])
        }
    }

    /// Sixteen float16 as `f32`.
    #[inline(always)]
    fn wide_f16(x: __m256i) -> F32x8x2 {
        op!(F32x8x2(_mm256_cvtph_ps(_mm256_castsi256_si128(x)), _mm256_cvtph_ps(_mm256_extracti128_si256::<1>(x))))
    }

    /// The inverse.
    #[inline(always)]
    fn round_f16(x: F32x8x2) -> __m256i {
        op!({
            let low = _mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.0);
            _mm256_set_m128i(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(x.1), low)
        })
    }

    /// Sixteen bfloat16 as `f32`: even lanes, odd lanes.
    #[inline(always)]
    fn wide_bf16(x: __m256i) -> F32x8x2 {
        op!({
            let odd = _mm256_and_si256(x, _mm256_set1_epi32(UPPER));
            F32x8x2(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(x)), _mm256_castsi256_ps(odd))
        })
    }

    /// bfloat16 in the upper half of every lane, something in the lower.
    #[inline(always)]
    fn rounded(x: __m256) -> __m256i {
        op!({
            let bits = _mm256_castps_si256(x);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(BELOW_HALF)), odd)
        })
    }

    /// The inverse of [`wide_bf16`].
    #[inline(always)]
    fn round_bf16(x: F32x8x2) -> __m256i {
        op!(_mm256_blend_epi16::<0xAA>(_mm256_srli_epi32::<16>(rounded(x.0)), rounded(x.1)))
    }

    /// Eight `f32` in double precision.
    #[inline(always)]
    fn wide_f64(x: __m256) -> F64x4x2 {
        op!(F64x4x2(_mm256_cvtps_pd(_mm256_castps256_ps128(x)), _mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x))))
    }

    /// Every processor with AVX2 has F16C. A vector of `f32` holds the lanes of one register.
    impl Halves for Avx2 {
        type Halves = [__m256i; 2];

        #[inline(always)]
        unsafe fn load_halves(self, p: *const u8) -> [__m256i; 2] {
            // SAFETY: the token proves AVX2; the caller promises 64 bytes.
            unsafe { [_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add(32).cast())] }
        }

        #[inline(always)]
        unsafe fn store_halves<const STREAM: bool>(self, x: [__m256i; 2], p: *mut u8) {
            let p: *mut __m256i = p.cast();
            // SAFETY: as above.
            unsafe {
                if STREAM {
                    _mm256_stream_si256(p, x[0]);
                    _mm256_stream_si256(p.add(1), x[1]);
                } else {
                    _mm256_storeu_si256(p, x[0]);
                    _mm256_storeu_si256(p.add(1), x[1]);
                }
            }
        }

        #[inline(always)]
        fn widen_f16(self, x: [__m256i; 2]) -> [F32x8x2; 2] {
            [wide_f16(x[0]), wide_f16(x[1])]
        }

        #[inline(always)]
        fn narrow_f16(self, x: [F32x8x2; 2]) -> [__m256i; 2] {
            [round_f16(x[0]), round_f16(x[1])]
        }

        #[inline(always)]
        fn widen_bf16(self, x: [__m256i; 2]) -> [F32x8x2; 2] {
            [wide_bf16(x[0]), wide_bf16(x[1])]
        }

        #[inline(always)]
        fn narrow_bf16(self, x: [F32x8x2; 2]) -> [__m256i; 2] {
            [round_bf16(x[0]), round_bf16(x[1])]
        }

        #[inline(always)]
        fn widen_f64(self, x: F32x8x2) -> [F64x4x2; 2] {
            [wide_f64(x.0), wide_f64(x.1)]
        }
    }
}
