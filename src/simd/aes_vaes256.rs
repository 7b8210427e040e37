//! Layer 0: AES instructions on registers of 256 bits. Operations only.

use std::arch::x86_64::*;

use super::Avx2;
use super::aes::{Aes, AesKernel, AesLevel, Row};
use super::aes_avx2::{Keep16, avx2_decisions, bytes, join_pairs, op, spread, state, unit_pairs};
use super::avx2::F32x8x2;
use super::avx2_masks::{Mask32, Mask64};

/// Proof that the processor has VAES, AVX2 and F16C.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vaes256(Avx2);

impl Vaes256 {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("vaes") && is_x86_feature_detected!("f16c");
        Avx2::new().filter(|_| has).map(Self)
    }
}

impl Aes for Vaes256 {
    type Simd = Avx2;
    type Block = [__m256i; 2];
    type RoundKey = __m256i;
    type Words = __m256i;
    type Keep = Keep16;
    type Near = __m256i;

    const LEVEL: AesLevel = AesLevel::Vaes256;

    avx2_decisions!("avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt,aes,vaes");

    #[inline(always)]
    fn round_key(self, low: u64, high: u64) -> __m256i {
        op!(_mm256_broadcastsi128_si256(state(low, high)))
    }

    #[inline(always)]
    fn counters(self, low: u64, high: u64) -> Self::Block {
        op!({
            let first = _mm256_add_epi64(self.round_key(low, high), _mm256_setr_epi64x(0, 0, 1, 0));
            [first, _mm256_add_epi64(first, self.round_key(2, 0))]
        })
    }

    #[inline(always)]
    fn repeated(self, low: u64, high: u64) -> Self::Block {
        [self.round_key(low, high); 2]
    }

    #[inline(always)]
    fn advance(self, block: Self::Block, n: u64) -> Self::Block {
        {
            let n = self.round_key(n, 0);
            op!([_mm256_add_epi64(block[0], n), _mm256_add_epi64(block[1], n)])
        }
    }

    #[inline(always)]
    fn xor(self, block: Self::Block, key: __m256i) -> Self::Block {
        op!([_mm256_xor_si256(block[0], key), _mm256_xor_si256(block[1], key)])
    }

    #[inline(always)]
    fn common(self, block: Self::Block) -> __m256i {
        block[0]
    }

    #[inline(always)]
    fn load(self, row: &Row) -> Self::Block {
        let p: *const __m256i = row.0.as_ptr().cast();
        // SAFETY: a row is two aligned halves; the token proves the level.
        unsafe { [_mm256_load_si256(p), _mm256_load_si256(p.add(1))] }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, row: &mut Row) {
        let p: *mut __m256i = row.0.as_mut_ptr().cast();
        // SAFETY: as above.
        unsafe {
            _mm256_store_si256(p, block[0]);
            _mm256_store_si256(p.add(1), block[1]);
        }
    }

    #[inline(always)]
    fn round(self, block: Self::Block, key: __m256i) -> Self::Block {
        op!([_mm256_aesenc_epi128(block[0], key), _mm256_aesenc_epi128(block[1], key)])
    }

    #[inline(always)]
    fn last_round(self, block: Self::Block, key: __m256i) -> Self::Block {
        op!([_mm256_aesenclast_epi128(block[0], key), _mm256_aesenclast_epi128(block[1], key)])
    }

    #[inline(always)]
    fn to_words(self, block: Self::Block) -> [u32; 16] {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute(block) }
    }

    #[inline(always)]
    fn unit_pairs(self, low: Self::Block, high: Self::Block) -> (F32x8x2, F32x8x2) {
        let ((a, c), (b, d)) = (unit_pairs(low[0], high[0]), unit_pairs(low[1], high[1]));
        (F32x8x2(a, b), F32x8x2(c, d))
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, bound: __m256i) -> Keep16 {
        op!([
            _mm256_cmpeq_epi16(_mm256_max_epu16(block[0], bound), block[0]),
            _mm256_cmpeq_epi16(_mm256_max_epu16(block[1], bound), block[1]),
        ])
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, bound: __m256i) -> Keep16 {
        op!([_mm256_cmpeq_epi16(block[0], bound), _mm256_cmpeq_epi16(block[1], bound)])
    }

    #[inline(always)]
    fn far(self) -> __m256i {
        op!(_mm256_set1_epi16(-1))
    }

    #[inline(always)]
    fn note(self, record: __m256i, block: Self::Block, bound: __m256i) -> __m256i {
        op!({
            let record = _mm256_min_epu16(record, _mm256_xor_si256(block[0], bound));
            _mm256_min_epu16(record, _mm256_xor_si256(block[1], bound))
        })
    }

    #[inline(always)]
    fn met(self, record: __m256i) -> bool {
        op!({
            let zero = _mm256_cmpeq_epi16(record, _mm256_setzero_si256());
            _mm256_testz_si256(zero, zero) == 0
        })
    }
}
