//! Layer 0: AES instructions of 64-bit Arm, one state an instruction. Operations only.
//!
//! `aese` adds the key before it substitutes, and leaves the columns to `aesmc`; x86-64's `aesenc` mixes first and adds
//! last. So a round here adds a key of zeros, and its own at the end. The compiler takes that sum for the next round's
//! key, so a round is two instructions, which processors fuse.

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use super::aes::{Aes, AesKernel, AesLevel, Row};
use super::neon::{F32x4x4, each, op};
use super::neon_masks::{Mask32, Mask64, byte_bits};
use super::{Neon, Simd};

/// Proof that the processor has NEON and AES instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AesArm(Neon);

impl AesArm {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        Neon::new().filter(|_| is_aarch64_feature_detected!("aes")).map(Self)
    }
}

/// The same intrinsic on four registers, with the same second operand.
macro_rules! with {
    ($f:ident($x:expr, $y:expr)) => {{
        let ([a, b, c, d], y) = ($x, $y);
        op!([$f(a, y), $f(b, y), $f(c, y), $f(d, y)])
    }};
}

/// SubBytes and ShiftRows. A function of its own with its instructions, or the intrinsics would stay calls.
#[inline]
#[target_feature(enable = "neon,aes")]
fn substituted(state: uint8x16_t) -> uint8x16_t {
    vaeseq_u8(state, vdupq_n_u8(0))
}

/// The same and MixColumns.
#[inline]
#[target_feature(enable = "neon,aes")]
fn mixed(state: uint8x16_t) -> uint8x16_t {
    vaesmcq_u8(vaeseq_u8(state, vdupq_n_u8(0)))
}

/// A state of two 64-bit lanes.
#[inline(always)]
fn state(low: u64, high: u64) -> uint64x2_t {
    op!(vcombine_u64(vcreate_u64(low), vcreate_u64(high)))
}

/// Four states as lanes of 16 bits.
#[inline(always)]
fn words(block: [uint8x16_t; 4]) -> [uint16x8_t; 4] {
    each!(vreinterpretq_u16_u8(block))
}

/// Decisions as bytes, all ones or zero, sixteen a register.
#[inline(always)]
fn bytes(keep: [uint16x8_t; 4]) -> [uint8x16_t; 2] {
    let [a, b, c, d] = each!(vreinterpretq_u8_u16(keep));
    op!([vuzp1q_u8(a, b), vuzp1q_u8(c, d)])
}

impl Aes for AesArm {
    type Simd = Neon;
    type Block = [uint8x16_t; 4];
    type RoundKey = uint8x16_t;
    type Words = uint16x8_t;
    type Keep = [uint16x8_t; 4];
    type Near = uint16x8_t;

    const LEVEL: AesLevel = AesLevel::Arm;

    #[inline(always)]
    fn simd(self) -> Neon {
        self.0
    }

    #[inline]
    fn run<K: AesKernel>(self, kernel: K) -> K::Output {
        #[inline]
        #[target_feature(enable = "neon,aes")]
        fn trampoline<K: AesKernel>(a: AesArm, kernel: K) -> K::Output {
            kernel.run(a)
        }
        // SAFETY: the token proves NEON and AES.
        unsafe { trampoline(self, kernel) }
    }

    #[inline(always)]
    fn round_key(self, low: u64, high: u64) -> uint8x16_t {
        op!(vreinterpretq_u8_u64(state(low, high)))
    }

    #[inline(always)]
    fn counters(self, low: u64, high: u64) -> Self::Block {
        [0, 1, 2, 3].map(|i| self.round_key(low.wrapping_add(i), high))
    }

    #[inline(always)]
    fn repeated(self, low: u64, high: u64) -> Self::Block {
        [self.round_key(low, high); 4]
    }

    #[inline(always)]
    fn advance(self, block: Self::Block, n: u64) -> Self::Block {
        let counters = each!(vreinterpretq_u64_u8(block));
        let counters = with!(vaddq_u64(counters, state(n, 0)));
        each!(vreinterpretq_u8_u64(counters))
    }

    #[inline(always)]
    fn xor(self, block: Self::Block, key: uint8x16_t) -> Self::Block {
        with!(veorq_u8(block, key))
    }

    #[inline(always)]
    fn common(self, block: Self::Block) -> uint8x16_t {
        block[0]
    }

    #[inline(always)]
    fn load(self, row: &Row) -> Self::Block {
        let p: *const u8 = row.0.as_ptr().cast();
        // SAFETY: a row is four states.
        unsafe { [vld1q_u8(p), vld1q_u8(p.add(16)), vld1q_u8(p.add(32)), vld1q_u8(p.add(48))] }
    }

    #[inline(always)]
    fn store(self, block: Self::Block, row: &mut Row) {
        row.0 = self.to_words(block);
    }

    #[inline(always)]
    fn round(self, block: Self::Block, key: uint8x16_t) -> Self::Block {
        self.xor(block.map(|state| op!(mixed(state))), key)
    }

    #[inline(always)]
    fn last_round(self, block: Self::Block, key: uint8x16_t) -> Self::Block {
        self.xor(block.map(|state| op!(substituted(state))), key)
    }

    #[inline(always)]
    fn to_words(self, block: Self::Block) -> [u32; 16] {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute(block) }
    }

    #[inline(always)]
    fn unit_pairs(self, low: Self::Block, high: Self::Block) -> (F32x4x4, F32x4x4) {
        let (low, high) = (each!(vreinterpretq_u32_u8(low)), each!(vreinterpretq_u32_u8(high)));
        let first = each!(vtrn1q_u32(low, high)).map(|w| op!(vaddq_u32(vshrq_n_u32::<8>(w), vdupq_n_u32(1))));
        let second = each!(vtrn2q_u32(low, high)).map(|w| op!(vshrq_n_u32::<8>(w)));
        let unit = |w| op!(vcvtq_n_f32_u32::<24>(w));
        (F32x4x4(first.map(unit)), F32x4x4(second.map(unit)))
    }

    #[inline(always)]
    fn join_pairs(self, first: F32x4x4, second: F32x4x4) -> [F32x4x4; 2] {
        [F32x4x4(each!(vtrn1q_f32(first.0, second.0))), F32x4x4(each!(vtrn2q_f32(first.0, second.0)))]
    }

    #[inline(always)]
    fn words(self, word: u16) -> uint16x8_t {
        op!(vdupq_n_u16(word))
    }

    #[inline(always)]
    fn at_least(self, block: Self::Block, bound: uint16x8_t) -> Self::Keep {
        with!(vcgeq_u16(words(block), bound))
    }

    #[inline(always)]
    fn equal(self, block: Self::Block, bound: uint16x8_t) -> Self::Keep {
        with!(vceqq_u16(words(block), bound))
    }

    #[inline(always)]
    fn far(self) -> uint16x8_t {
        op!(vdupq_n_u16(u16::MAX))
    }

    #[inline(always)]
    fn note(self, record: uint16x8_t, block: Self::Block, bound: uint16x8_t) -> uint16x8_t {
        let [a, b, c, d] = with!(veorq_u16(words(block), bound));
        op!(vminq_u16(record, vminq_u16(vminq_u16(a, b), vminq_u16(c, d))))
    }

    #[inline(always)]
    fn met(self, record: uint16x8_t) -> bool {
        op!(vminvq_u16(record)) == 0
    }

    #[inline(always)]
    fn keep_from_bits(self, bits: u32) -> Self::Keep {
        op!({
            let lanes = vmovl_u8(vget_low_u8(byte_bits()));
            [0, 8, 16, 24].map(|first| vtstq_u16(vdupq_n_u16((bits >> first) as u16), lanes))
        })
    }

    #[inline(always)]
    fn keep_to_bits(self, keep: Self::Keep) -> u32 {
        op!({
            let [a, b] = bytes(keep).map(|bytes| vandq_u8(bytes, byte_bits()));
            // Sums of eight neighbours, four of them.
            let sums = vpaddq_u8(a, b);
            let sums = vpaddq_u8(sums, sums);
            vgetq_lane_u32::<0>(vreinterpretq_u32_u8(vpaddq_u8(sums, sums)))
        })
    }

    #[inline(always)]
    unsafe fn store_bools(self, keep: Self::Keep, p: *mut u8) {
        // SAFETY: the caller promises 32 bytes.
        unsafe {
            let [a, b] = bytes(keep).map(|bytes| vandq_u8(bytes, vdupq_n_u8(1)));
            vst1q_u8(p, a);
            vst1q_u8(p.add(16), b);
        }
    }

    #[inline(always)]
    fn choose(self, keep: Self::Keep, kept: [uint16x8_t; 4], dropped: [uint16x8_t; 4]) -> [uint16x8_t; 4] {
        each!(vbslq_u16(keep, kept, dropped))
    }

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        self.0.prefetch(p);
    }

    #[inline(always)]
    fn mask_f32(self, keep: Self::Keep, part: usize) -> Mask32 {
        let ([a, b], [c, d]) = (twice_u16(keep[2 * part]), twice_u16(keep[2 * part + 1]));
        Mask32([a, b, c, d])
    }

    #[inline(always)]
    fn mask_f64(self, keep: Self::Keep, part: usize) -> Mask64 {
        let [low, high] = twice_u16(keep[part]);
        let twice = |x| op!([vreinterpretq_u64_u32(vzip1q_u32(x, x)), vreinterpretq_u64_u32(vzip2q_u32(x, x))]);
        let ([a, b], [c, d]) = (twice(low), twice(high));
        Mask64([a, b, c, d])
    }
}

/// Lanes of 16 bits as lanes of 32.
#[inline(always)]
fn twice_u16(x: uint16x8_t) -> [uint32x4_t; 2] {
    op!([vreinterpretq_u32_u16(vzip1q_u16(x, x)), vreinterpretq_u32_u16(vzip2q_u16(x, x))])
}
