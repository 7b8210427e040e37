//! Layer 0: AES instructions on registers of 128 bits. Operations only.

use std::arch::x86_64::*;

use super::Avx2;
use super::aes::{Aes, AesKernel, AesLevel, Row};
use super::aes_avx2::{Keep16, avx2_decisions, bytes, join_pairs, op, spread, state, unit_pairs, whole};
use super::avx2::F32x8x2;
use super::avx2_masks::{Mask32, Mask64};

/// Proof that the processor has AES-NI, AVX2 and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AesNi(Avx2);

/// The same instruction on four registers, with the same second operand.
macro_rules! each {
    ($block:expr, $instruction:ident, $with:expr) => {{
        let ([a, b, c, d], with) = ($block, $with);
        op!([$instruction(a, with), $instruction(b, with), $instruction(c, with), $instruction(d, with)])
    }};
}

impl AesNi {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("aes") && is_x86_feature_detected!("f16c");
        Avx2::new().filter(|_| has).map(Self)
    }
}

impl Aes for AesNi {
    type Simd = Avx2;
    type Block = [__m128i; 4];
    type RoundKey = __m128i;
    type Words = __m256i;
    type Keep = Keep16;
    type Near = __m128i;

    const LEVEL: AesLevel = AesLevel::AesNi;

    avx2_decisions!("avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt,aes");

    #[inline(always)]
    fn round_key(self, low: u64, high: u64) -> __m128i {
        state(low, high)
    }

    #[inline(always)]
    fn counters(self, low: u64, high: u64) -> Self::Block {
        op!({
            let first = state(low, high);
            [
                first,
                _mm_add_epi64(first, state(1, 0)),
                _mm_add_epi64(first, state(2, 0)),
                _mm_add_epi64(first, state(3, 0)),
            ]
        })
    }

    #[inline(always)]
    fn repeated(self, low: u64, high: u64) -> Self::Block {
        [state(low, high); 4]
    }

    #[inline(always)]
    fn advance(self, block: Self::Block, n: u64) -> Self::Block {
        each!(block, _mm_add_epi64, state(n, 0))
    }

    #[inline(always)]
    fn xor(self, block: Self::Block, key: __m128i) -> Self::Block {
        each!(block, _mm_xor_si128, key)
    }

    #[inline(always)]
    fn common(self, block: Self::Block) -> __m128i {
        block[0]
    }

    #[inline(always)]
    fn load(self, row: &Row) -> Self::Block {
        let p: *const __m128i = row.0.as_ptr().cast();
        // SAFETY: a row is four aligned states; the token proves the level.
        unsafe { [_mm_load_si128(p), _mm_load_si128(p.add(1)), _mm_load_si128(p.add(2)), _mm_load_si128(p.add(3))] }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, row: &mut Row) {
        let p: *mut __m128i = row.0.as_mut_ptr().cast();
        for (i, state) in block.into_iter().enumerate() {
            // SAFETY: as above.
            unsafe { _mm_store_si128(p.add(i), state) };
        }
    }

    #[inline(always)]
    fn round(self, block: Self::Block, key: __m128i) -> Self::Block {
        each!(block, _mm_aesenc_si128, key)
    }

    #[inline(always)]
    fn last_round(self, block: Self::Block, key: __m128i) -> Self::Block {
        each!(block, _mm_aesenclast_si128, key)
    }

    #[inline(always)]
    fn to_words(self, block: Self::Block) -> [u32; 16] {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute(block) }
    }

    #[inline(always)]
    fn unit_pairs(self, low: Self::Block, high: Self::Block) -> (F32x8x2, F32x8x2) {
        let (a, c) = unit_pairs(whole(low[0], low[1]), whole(high[0], high[1]));
        let (b, d) = unit_pairs(whole(low[2], low[3]), whole(high[2], high[3]));
        (F32x8x2(a, b), F32x8x2(c, d))
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, bound: __m256i) -> Keep16 {
        let bound = op!(_mm256_castsi256_si128(bound));
        let most = each!(block, _mm_max_epu16, bound);
        op!([
            whole(_mm_cmpeq_epi16(most[0], block[0]), _mm_cmpeq_epi16(most[1], block[1])),
            whole(_mm_cmpeq_epi16(most[2], block[2]), _mm_cmpeq_epi16(most[3], block[3])),
        ])
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, bound: __m256i) -> Keep16 {
        let bound = op!(_mm256_castsi256_si128(bound));
        let [a, b, c, d] = each!(block, _mm_cmpeq_epi16, bound);
        [whole(a, b), whole(c, d)]
    }

    #[inline(always)]
    fn far(self) -> __m128i {
        op!(_mm_set1_epi16(-1))
    }

    #[inline(always)]
    fn note(self, record: __m128i, block: Self::Block, bound: __m256i) -> __m128i {
        let bound = op!(_mm256_castsi256_si128(bound));
        let [a, b, c, d] = each!(block, _mm_xor_si128, bound);
        op!(_mm_min_epu16(record, _mm_min_epu16(_mm_min_epu16(a, b), _mm_min_epu16(c, d))))
    }

    #[inline(always)]
    fn met(self, record: __m128i) -> bool {
        op!({
            let zero = _mm_cmpeq_epi16(record, _mm_setzero_si128());
            _mm_testz_si128(zero, zero) == 0
        })
    }
}
