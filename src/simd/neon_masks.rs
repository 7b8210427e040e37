//! Layer 0: lane masks on NEON, registers of all-ones lanes: what [`Mask`] asks of them.

use std::arch::aarch64::*;

use super::Mask;
use super::neon::{each, op};

/// Lane mask of `F32x4x4`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask32(pub(super) [uint32x4_t; 4]);

/// Lane mask of `F64x2x4`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask64(pub(super) [uint64x2_t; 4]);

/// The complement.
#[inline(always)]
fn not_u32(x: uint32x4_t) -> uint32x4_t {
    op!(vmvnq_u32(x))
}

/// The complement, for which there is no intrinsic on lanes of 64 bits.
#[inline(always)]
fn not_u64(x: uint64x2_t) -> uint64x2_t {
    op!(vreinterpretq_u64_u8(vmvnq_u8(vreinterpretq_u8_u64(x))))
}

/// [`Mask`] over the intrinsics of one type.
macro_rules! neon_mask {
    ($and:ident, $or:ident, $not:ident) => {
        #[inline(always)]
        fn and(self, other: Self) -> Self {
            Self(each!($and(self.0, other.0)))
        }

        #[inline(always)]
        fn or(self, other: Self) -> Self {
            Self(each!($or(self.0, other.0)))
        }

        #[inline(always)]
        fn not(self) -> Self {
            Self(self.0.map($not))
        }
    };
}

impl Mask for Mask32 {
    neon_mask!(vandq_u32, vorrq_u32, not_u32);

    #[inline(always)]
    fn to_bits(self) -> u32 {
        op!({
            let [a, b, c, d] = self.0;
            let halves = |a, b| vcombine_u16(vmovn_u32(a), vmovn_u32(b));
            lanes_of_bytes(vcombine_u8(vmovn_u16(halves(a, b)), vmovn_u16(halves(c, d))))
        })
    }
}

impl Mask for Mask64 {
    neon_mask!(vandq_u64, vorrq_u64, not_u64);

    #[inline(always)]
    fn to_bits(self) -> u32 {
        op!({
            let [a, b, c, d] = self.0;
            let halves = |a, b| vcombine_u32(vmovn_u64(a), vmovn_u64(b));
            let words = vcombine_u16(vmovn_u32(halves(a, b)), vmovn_u32(halves(c, d)));
            lanes_of_bytes(vcombine_u8(vmovn_u16(words), vdup_n_u8(0)))
        })
    }
}

/// Bit `i` is byte `i`, all ones or zero.
#[inline(always)]
fn lanes_of_bytes(bytes: uint8x16_t) -> u32 {
    op!({
        let [low, high] = bits_of_bytes(bytes);
        u32::from(vaddv_u8(low)) | u32::from(vaddv_u8(high)) << 8
    })
}

/// Of byte `i` of eight, all ones or zero, bit `i`.
#[inline(always)]
fn bits_of_bytes(bytes: uint8x16_t) -> [uint8x8_t; 2] {
    op!({
        let bits = vandq_u8(bytes, byte_bits());
        [vget_low_u8(bits), vget_high_u8(bits)]
    })
}

/// 1, 2, 4 to 128, twice.
#[inline(always)]
pub(super) fn byte_bits() -> uint8x16_t {
    let bits = [1u8, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the array has sixteen.
    unsafe { vld1q_u8(bits.as_ptr()) }
}
