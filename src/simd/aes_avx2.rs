//! Layer 0: decisions in AVX2 registers, which AES instructions of 128 and of 256 bits share. Operations only.

use std::arch::x86_64::*;

/// An intrinsic on values whose existence proves the level: they come from a token.
macro_rules! op {
    ($call:expr) => {
        // SAFETY: blocks and keys are made from a token alone, so the processor has the instruction.
        unsafe { $call }
    };
}

/// A round key register of 128 bits.
#[inline(always)]
pub(super) fn state(low: u64, high: u64) -> __m128i {
    op!(_mm_set_epi64x(high as i64, low as i64))
}

/// Sixteen decisions a register, one a lane of 16 bits: all ones or zero.
pub(super) type Keep16 = [__m256i; 2];

/// Sixteen lanes: all ones where `word` has the bit of the lane's number.
#[inline(always)]
pub(super) fn spread(word: u32) -> __m256i {
    op!({
        let lane = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
        _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(word as i16), lane), lane)
    })
}

/// Decisions as bytes, all ones or zero.
#[inline(always)]
pub(super) fn bytes(keep: Keep16) -> __m256i {
    op!(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(keep[0], keep[1])))
}

/// Eight pairs of words, four of each register: firsts and seconds as fractions, see `unit_pairs` of the trait `Aes`.
#[inline(always)]
pub(super) fn unit_pairs(low: __m256i, high: __m256i) -> (__m256, __m256) {
    op!({
        let unit = _mm256_set1_ps(1.0 / (1u32 << 24) as f32);
        let first = _mm256_blend_epi32::<ODD>(low, _mm256_slli_epi64::<32>(high));
        let second = _mm256_blend_epi32::<ODD>(_mm256_srli_epi64::<32>(low), high);
        let first = _mm256_add_epi32(_mm256_srli_epi32::<8>(first), _mm256_set1_epi32(1));
        (
            _mm256_mul_ps(_mm256_cvtepi32_ps(first), unit),
            _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_srli_epi32::<8>(second)), unit),
        )
    })
}

/// The inverse order: what belongs to the low and to the high register.
#[inline(always)]
pub(super) fn join_pairs(first: __m256, second: __m256) -> (__m256, __m256) {
    op!({
        let (first, second) = (_mm256_castps_si256(first), _mm256_castps_si256(second));
        (
            _mm256_castsi256_ps(_mm256_blend_epi32::<ODD>(first, _mm256_slli_epi64::<32>(second))),
            _mm256_castsi256_ps(_mm256_blend_epi32::<ODD>(_mm256_srli_epi64::<32>(first), second)),
        )
    })
}

/// Lanes 1, 3, 5 and 7 of 32 bits.
const ODD: i32 = 0xAA;

/// Two registers of 128 bits as one.
#[inline(always)]
pub(super) fn whole(low: __m128i, high: __m128i) -> __m256i {
    op!(_mm256_set_m128i(high, low))
}

/// What both AVX2 levels share: decisions as four registers.
macro_rules! avx2_decisions {
    ($features:literal) => {
        #[inline(always)]
        fn simd(self) -> Avx2 {
            self.0
        }

        #[inline]
        fn run<K: AesKernel>(self, kernel: K) -> K::Output {
            #[inline]
            #[target_feature(enable = $features)]
            fn trampoline<A: Aes, K: AesKernel>(a: A, kernel: K) -> K::Output {
                kernel.run(a)
            }
            // SAFETY: the token proves AES, F16C and AVX2; processors that have these have the rest.
            unsafe { trampoline(self, kernel) }
        }

        #[inline(always)]
        fn words(self, word: u16) -> __m256i {
            op!(_mm256_set1_epi16(word as i16))
        }

        #[inline(always)]
        fn join_pairs(self, first: F32x8x2, second: F32x8x2) -> [F32x8x2; 2] {
            let (a, c) = join_pairs(first.0, second.0);
            let (b, d) = join_pairs(first.1, second.1);
            [F32x8x2(a, b), F32x8x2(c, d)]
        }

        #[inline(always)]
        fn keep_from_bits(self, bits: u32) -> Keep16 {
            [spread(bits), spread(bits >> 16)]
        }

        #[inline(always)]
        fn keep_to_bits(self, keep: Keep16) -> u32 {
            op!(_mm256_movemask_epi8(bytes(keep)) as u32)
        }

        #[inline(always)]
        unsafe fn store_bools(self, keep: Keep16, p: *mut u8) {
            // SAFETY: the caller promises 32 bytes; the token proves the level.
            unsafe { _mm256_storeu_si256(p.cast(), _mm256_and_si256(bytes(keep), _mm256_set1_epi8(1))) }
        }

        #[inline(always)]
        fn choose(self, keep: Keep16, kept: [__m256i; 2], dropped: [__m256i; 2]) -> [__m256i; 2] {
            op!([_mm256_blendv_epi8(dropped[0], kept[0], keep[0]), _mm256_blendv_epi8(dropped[1], kept[1], keep[1]),])
        }

        #[inline(always)]
        fn prefetch<T>(self, p: *const T) {
            op!(_mm_prefetch::<_MM_HINT_T0>(p.cast()));
        }

        #[inline(always)]
        fn mask_f32(self, keep: Keep16, part: usize) -> Mask32 {
            op!({
                let low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(keep[part]));
                let high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256::<1>(keep[part]));
                Mask32(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
            })
        }

        #[inline(always)]
        fn mask_f64(self, keep: Keep16, part: usize) -> Mask64 {
            op!({
                let half = keep[part / 2];
                let quarter =
                    if part % 2 == 0 { _mm256_castsi256_si128(half) } else { _mm256_extracti128_si256::<1>(half) };
                let (low, high) = (quarter, _mm_unpackhi_epi64(quarter, quarter));
                Mask64(
                    _mm256_castsi256_pd(_mm256_cvtepi16_epi64(low)),
                    _mm256_castsi256_pd(_mm256_cvtepi16_epi64(high)),
                )
            })
        }
    };
}

pub(super) use {avx2_decisions, op};
