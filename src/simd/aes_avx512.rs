//! Layer 0: AES instructions on registers of 512 bits, four states in one. Operations only.

use std::arch::x86_64::*;

use super::Avx512;
use super::aes::{Aes, AesKernel, AesLevel, Row};
use super::aes_avx2::state;
use super::avx512::F32x16;

/// Proof that the processor has VAES and AVX-512.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vaes512(Avx512);

/// An intrinsic on values whose existence proves the level: they come from a token.
macro_rules! op {
    ($call:expr) => {
        // SAFETY: blocks and keys are made from a token alone, so the processor has the instruction.
        unsafe { $call }
    };
}

/// Lanes 1, 3, 5 and so on of 32 bits.
const ODD: __mmask16 = 0xAAAA;

impl Vaes512 {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("vaes") && is_x86_feature_detected!("f16c");
        Avx512::new().filter(|_| has).map(Self)
    }
}

impl Aes for Vaes512 {
    type Simd = Avx512;
    type Block = __m512i;
    type RoundKey = __m512i;
    type Words = __m512i;
    type Keep = __mmask32;
    type Near = __m512i;

    const LEVEL: AesLevel = AesLevel::Vaes512;

    #[inline(always)]
    fn simd(self) -> Avx512 {
        self.0
    }

    #[inline]
    fn run<K: AesKernel>(self, kernel: K) -> K::Output {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt,lzcnt,aes,vaes")]
        fn trampoline<K: AesKernel>(a: Vaes512, kernel: K) -> K::Output {
            kernel.run(a)
        }
        // SAFETY: the token proves VAES, F16C and AVX-512; processors that have these have the rest.
        unsafe { trampoline(self, kernel) }
    }

    #[inline(always)]
    fn round_key(self, low: u64, high: u64) -> __m512i {
        op!(_mm512_broadcast_i32x4(state(low, high)))
    }

    #[inline(always)]
    fn counters(self, low: u64, high: u64) -> __m512i {
        op!(_mm512_add_epi64(self.round_key(low, high), _mm512_setr_epi64(0, 0, 1, 0, 2, 0, 3, 0)))
    }

    #[inline(always)]
    fn repeated(self, low: u64, high: u64) -> __m512i {
        self.round_key(low, high)
    }

    #[inline(always)]
    fn advance(self, block: __m512i, n: u64) -> __m512i {
        op!(_mm512_add_epi64(block, self.round_key(n, 0)))
    }

    #[inline(always)]
    fn xor(self, block: __m512i, key: __m512i) -> __m512i {
        op!(_mm512_xor_si512(block, key))
    }

    #[inline(always)]
    fn common(self, block: __m512i) -> __m512i {
        block
    }

    #[inline(always)]
    fn load(self, row: &Row) -> __m512i {
        // SAFETY: a row is 64 aligned bytes; the token proves the level.
        unsafe { _mm512_load_si512(row.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store(self, block: __m512i, row: &mut Row) {
        // SAFETY: as above.
        unsafe { _mm512_store_si512(row.0.as_mut_ptr().cast(), block) }
    }

    #[inline(always)]
    fn round(self, block: __m512i, key: __m512i) -> __m512i {
        op!(_mm512_aesenc_epi128(block, key))
    }

    #[inline(always)]
    fn last_round(self, block: __m512i, key: __m512i) -> __m512i {
        op!(_mm512_aesenclast_epi128(block, key))
    }

    #[inline(always)]
    fn to_words(self, block: __m512i) -> [u32; 16] {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute(block) }
    }

    #[inline(always)]
    fn unit_pairs(self, low: __m512i, high: __m512i) -> (F32x16, F32x16) {
        op!({
            let unit = _mm512_set1_ps(1.0 / (1u32 << 24) as f32);
            let first = _mm512_mask_mov_epi32(low, ODD, _mm512_slli_epi64::<32>(high));
            let second = _mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(low), ODD, high);
            let first = _mm512_add_epi32(_mm512_srli_epi32::<8>(first), _mm512_set1_epi32(1));
            (
                F32x16(_mm512_mul_ps(_mm512_cvtepi32_ps(first), unit)),
                F32x16(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_srli_epi32::<8>(second)), unit)),
            )
        })
    }

    #[inline(always)]
    fn join_pairs(self, first: F32x16, second: F32x16) -> [F32x16; 2] {
        op!({
            let (first, second) = (_mm512_castps_si512(first.0), _mm512_castps_si512(second.0));
            [
                F32x16(_mm512_castsi512_ps(_mm512_mask_mov_epi32(first, ODD, _mm512_slli_epi64::<32>(second)))),
                F32x16(_mm512_castsi512_ps(_mm512_mask_mov_epi32(_mm512_srli_epi64::<32>(first), ODD, second))),
            ]
        })
    }

    #[inline(always)]
    fn words(self, word: u16) -> __m512i {
        op!(_mm512_set1_epi16(word as i16))
    }

    #[inline(always)]
    fn at_least(self, block: __m512i, bound: __m512i) -> __mmask32 {
        op!(_mm512_cmpge_epu16_mask(block, bound))
    }

    #[inline(always)]
    fn equal(self, block: __m512i, bound: __m512i) -> __mmask32 {
        op!(_mm512_cmpeq_epi16_mask(block, bound))
    }

    #[inline(always)]
    fn far(self) -> __m512i {
        op!(_mm512_set1_epi16(-1))
    }

    #[inline(always)]
    fn note(self, record: __m512i, block: __m512i, bound: __m512i) -> __m512i {
        op!(_mm512_min_epu16(record, _mm512_xor_si512(block, bound)))
    }

    #[inline(always)]
    fn met(self, record: __m512i) -> bool {
        op!(_mm512_testn_epi16_mask(record, record) != 0)
    }

    #[inline(always)]
    fn keep_from_bits(self, bits: u32) -> __mmask32 {
        bits
    }

    #[inline(always)]
    fn keep_to_bits(self, keep: __mmask32) -> u32 {
        keep
    }

    #[inline(always)]
    unsafe fn store_bools(self, keep: __mmask32, p: *mut u8) {
        // SAFETY: the caller promises 32 bytes; the token proves the level.
        unsafe { _mm256_storeu_si256(p.cast(), _mm256_maskz_set1_epi8(keep, 1)) }
    }

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        op!(_mm_prefetch::<_MM_HINT_T0>(p.cast()));
    }

    #[inline(always)]
    fn choose(self, keep: __mmask32, kept: __m512i, dropped: __m512i) -> __m512i {
        op!(_mm512_mask_blend_epi16(keep, dropped, kept))
    }

    #[inline(always)]
    fn mask_f32(self, keep: __mmask32, part: usize) -> __mmask16 {
        (keep >> (16 * part)) as __mmask16
    }

    #[inline(always)]
    fn mask_f64(self, keep: __mmask32, part: usize) -> __mmask8 {
        (keep >> (8 * part)) as __mmask8
    }
}
