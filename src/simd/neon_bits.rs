//! Layer 0: lanes and their bits on NEON: masks from bits, exponents, significands, powers of two; and the first lanes in memory.

use std::arch::aarch64::*;

use super::neon::op;

/// Bit `i` becomes lane `i`.
#[inline(always)]
pub(super) fn mask_f32(bits: u32) -> [uint32x4_t; 4] {
    op!({
        let bits = vdupq_n_u32(bits);
        [0, 4, 8, 12].map(|lane| vtstq_u32(bits, four(1 << lane)))
    })
}

/// The numbers `first`, and each twice the one before.
#[inline(always)]
fn four(first: u32) -> uint32x4_t {
    let numbers = [first, first << 1, first << 2, first << 3];
    // SAFETY: the array has four.
    unsafe { vld1q_u32(numbers.as_ptr()) }
}

/// Bit `i` becomes lane `i`.
#[inline(always)]
pub(super) fn mask_f64(bits: u32) -> [uint64x2_t; 4] {
    op!({
        let bits = vdupq_n_u64(u64::from(bits));
        [0, 2, 4, 6].map(|lane| {
            let numbers = [1u64 << lane, 2 << lane];
            vtstq_u64(bits, vld1q_u64(numbers.as_ptr()))
        })
    })
}

#[inline(always)]
pub(super) fn exponent_f32(x: float32x4_t) -> float32x4_t {
    op!({
        let biased = vreinterpretq_s32_u32(vshrq_n_u32::<23>(vreinterpretq_u32_f32(x)));
        vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)))
    })
}

#[inline(always)]
pub(super) fn exponent_f64(x: float64x2_t) -> float64x2_t {
    op!({
        let biased = vreinterpretq_s64_u64(vshrq_n_u64::<52>(vreinterpretq_u64_f64(x)));
        vcvtq_f64_s64(vsubq_s64(biased, vdupq_n_s64(1023)))
    })
}

#[inline(always)]
pub(super) fn significand_f32(x: float32x4_t) -> float32x4_t {
    op!(vbslq_f32(vdupq_n_u32(0x007F_FFFF), x, vdupq_n_f32(1.0)))
}

#[inline(always)]
pub(super) fn significand_f64(x: float64x2_t) -> float64x2_t {
    op!(vbslq_f64(vdupq_n_u64(0x000F_FFFF_FFFF_FFFF), x, vdupq_n_f64(1.0)))
}

#[inline(always)]
pub(super) fn exp2_f32(n: float32x4_t) -> float32x4_t {
    op!({
        let biased = vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127));
        vreinterpretq_f32_s32(vshlq_n_s32::<23>(biased))
    })
}

#[inline(always)]
pub(super) fn exp2_f64(n: float64x2_t) -> float64x2_t {
    op!({
        let biased = vaddq_s64(vcvtq_s64_f64(n), vdupq_n_s64(1023));
        vreinterpretq_f64_s64(vshlq_n_s64::<52>(biased))
    })
}

/// Copies the first `bytes <= 64`, a multiple of 4, without a call: there are no masked loads and stores.
///
/// # Safety
/// So many bytes are readable and writable, and do not overlap.
#[inline(always)]
pub(super) unsafe fn copy_first(from: *const u8, to: *mut u8, bytes: usize) {
    let mut done = 0;
    // SAFETY: pieces of the sizes whose bits are set in `bytes` are `bytes` together.
    unsafe {
        macro_rules! piece {
            ($size:literal) => {
                if bytes & $size != 0 {
                    let piece = from.add(done).cast::<[u8; $size]>().read_unaligned();
                    to.add(done).cast::<[u8; $size]>().write_unaligned(piece);
                    done += $size;
                }
            };
        }
        piece!(64);
        piece!(32);
        piece!(16);
        piece!(8);
        piece!(4);
    }
    debug_assert_eq!(done, bytes);
}
