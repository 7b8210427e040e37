//! Layer 0: lanes that change places on NEON: packed and spread by tables of where they come from, squares transposed.

use std::arch::aarch64::*;

use super::moves::{PACK, SPREAD};
use super::neon::op;
use super::neon_bits::mask_f32;

/// Which of sixteen lanes of 32 bits, in two halves of two registers, move where.
#[derive(Clone, Copy)]
pub(crate) struct Moves {
    /// For each byte of a register, its place in the half that it comes from; beyond the half where it stays.
    places: [uint8x16_t; 4],
    /// How many lanes of the first half are chosen.
    first: usize,
}

impl Moves {
    /// The chosen lanes come first.
    #[inline(always)]
    pub(super) fn pack(bits: u32) -> Self {
        Self { places: places(&PACK, bits), first: (bits & 0xFF).count_ones() as usize }
    }

    /// The first lanes go to the chosen ones.
    #[inline(always)]
    pub(super) fn spread(bits: u32) -> Self {
        op!({
            let (places, chosen) = (places(&SPREAD, bits), mask_f32(bits));
            let places = std::array::from_fn(|i| vornq_u8(places[i], vreinterpretq_u8_u32(chosen[i])));
            Self { places, first: (bits & 0xFF).count_ones() as usize }
        })
    }

    /// Stores the chosen lanes of each half, the second's after the first's.
    ///
    /// # Safety
    /// 64 bytes are writable.
    #[inline(always)]
    pub(super) unsafe fn store_packed(self, x: [uint8x16_t; 4], p: *mut u8) {
        let [a, b, c, d] = self.places;
        let (low, high) = (uint8x16x2_t(x[0], x[1]), uint8x16x2_t(x[2], x[3]));
        // SAFETY: the first half takes at most half of the bytes.
        unsafe {
            let second = p.add(4 * self.first);
            vst1q_u8(p, vqtbl2q_u8(low, a));
            vst1q_u8(p.add(16), vqtbl2q_u8(low, b));
            vst1q_u8(second, vqtbl2q_u8(high, c));
            vst1q_u8(second.add(16), vqtbl2q_u8(high, d));
        }
    }

    /// Lanes in memory go to the chosen lanes of `old`.
    ///
    /// # Safety
    /// 64 bytes are readable.
    #[inline(always)]
    pub(super) unsafe fn spread_over(self, old: [uint8x16_t; 4], p: *const u8) -> [uint8x16_t; 4] {
        let [a, b, c, d] = self.places;
        // SAFETY: the first half takes at most half of the bytes.
        unsafe {
            let second = p.add(4 * self.first);
            let low = uint8x16x2_t(vld1q_u8(p), vld1q_u8(p.add(16)));
            let high = uint8x16x2_t(vld1q_u8(second), vld1q_u8(second.add(16)));
            [
                vqtbx2q_u8(old[0], low, a),
                vqtbx2q_u8(old[1], low, b),
                vqtbx2q_u8(old[2], high, c),
                vqtbx2q_u8(old[3], high, d),
            ]
        }
    }
}

/// The bytes of the lanes that a table names.
#[inline(always)]
fn places(table: &[[u8; 8]; 256], bits: u32) -> [uint8x16_t; 4] {
    op!({
        let four = [0u8, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3];
        let four = vld1q_u8(four.as_ptr());
        let within = vreinterpretq_u8_u32(vdupq_n_u32(0x0302_0100));
        let half = |bits: u32| {
            // An entry has the eight bytes that are read.
            let lanes = vcombine_u8(vld1_u8(table[bits as usize & 0xFF].as_ptr()), vdup_n_u8(0));
            let byte = |lane| vorrq_u8(vshlq_n_u8::<2>(vqtbl1q_u8(lanes, lane)), within);
            [byte(four), byte(vaddq_u8(four, vdupq_n_u8(4)))]
        };
        let ([a, b], [c, d]) = (half(bits), half(bits >> 8));
        [a, b, c, d]
    })
}

/// 4 x 4: rows in pairs, then halves.
///
/// # Safety
/// Four rows of four elements are readable at `src` and writable at `dst`.
#[inline(always)]
pub(super) unsafe fn transpose_f32(src: *const f32, src_stride: usize, dst: *mut f32, dst_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let [a, b, c, d]: [float32x4_t; 4] = std::array::from_fn(|i| vld1q_f32(src.add(i * src_stride)));
        let pair = |a, b| [vreinterpretq_f64_f32(vtrn1q_f32(a, b)), vreinterpretq_f64_f32(vtrn2q_f32(a, b))];
        let ([even, odd], [below_even, below_odd]) = (pair(a, b), pair(c, d));
        let columns = [
            vtrn1q_f64(even, below_even),
            vtrn1q_f64(odd, below_odd),
            vtrn2q_f64(even, below_even),
            vtrn2q_f64(odd, below_odd),
        ];
        for (j, column) in columns.into_iter().enumerate() {
            vst1q_f32(dst.add(j * dst_stride), vreinterpretq_f32_f64(column));
        }
    }
}

/// 2 x 2.
///
/// # Safety
/// Two rows of two elements are readable at `src` and writable at `dst`.
#[inline(always)]
pub(super) unsafe fn transpose_f64(src: *const f64, src_stride: usize, dst: *mut f64, dst_stride: usize) {
    // SAFETY: the caller's promise.
    unsafe {
        let (a, b) = (vld1q_f64(src), vld1q_f64(src.add(src_stride)));
        vst1q_f64(dst, vtrn1q_f64(a, b));
        vst1q_f64(dst.add(dst_stride), vtrn2q_f64(a, b));
    }
}
