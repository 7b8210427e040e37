//! Layer 0: AES instructions on registers of 128 and 256 bits, with the decisions of the AVX2 level. Operations only.

use std::arch::x86_64::*;

use super::Avx2;
use super::aes::{Aes, AesKernel, AesLevel, Row};
use super::avx2::{F32x8x2, Mask32, Mask64};

/// Proof that the processor has VAES, AVX2 and F16C.
#[derive(Debug, Clone, Copy)]
pub struct Vaes256(Avx2);

/// Proof that the processor has AES-NI, AVX2 and F16C.
#[derive(Debug, Clone, Copy)]
pub struct AesNi(Avx2);

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
type Keep16 = [__m256i; 2];

/// Sixteen lanes: all ones where `word` has the bit of the lane's number.
#[inline(always)]
fn spread(word: u32) -> __m256i {
    op!({
        let lane = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
        _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16(word as i16), lane), lane)
    })
}

/// Decisions as bytes, all ones or zero.
#[inline(always)]
fn bytes(keep: Keep16) -> __m256i {
    op!(_mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(keep[0], keep[1])))
}

/// Eight pairs of words, four of each register: firsts and seconds as fractions, see [`Aes::unit_pairs`].
#[inline(always)]
fn unit_pairs(low: __m256i, high: __m256i) -> (__m256, __m256) {
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
fn join_pairs(first: __m256, second: __m256) -> (__m256, __m256) {
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
fn whole(low: __m128i, high: __m128i) -> __m256i {
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

impl Vaes256 {
    /// The token, where the processor has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
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
    pub fn new() -> Option<Self> {
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
