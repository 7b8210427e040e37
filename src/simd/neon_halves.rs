//! Layer 0: 16-bit floats on NEON, of which every 64-bit Arm processor converts float16: no extension is needed.

use std::arch::aarch64::*;
use std::arch::asm;

use half::{bf16, f16};

use super::neon::{F32x4x4, F64x2x4, op};
use super::{Half, Halves, Neon};

/// Four float16 of the lower or the upper half of a register, by an instruction whose intrinsic has an unstable type.
macro_rules! widen_f16 {
    ($instruction:literal, $from:literal, $x:expr) => {{
        let wide: float32x4_t;
        // SAFETY: registers only; the token proves NEON.
        unsafe {
            asm!(
                concat!($instruction, " {wide:v}.4s, {x:v}.", $from),
                wide = lateout(vreg) wide, x = in(vreg) $x,
                options(pure, nomem, nostack, preserves_flags)
            );
        }
        wide
    }};
}

/// Eight lanes rounded to float16.
#[inline(always)]
fn narrow_f16(low: float32x4_t, high: float32x4_t) -> uint16x8_t {
    let narrow: uint16x8_t;
    // SAFETY: registers only; the token proves NEON.
    unsafe {
        asm!(
            "fcvtn {narrow:v}.4h, {low:v}.4s",
            "fcvtn2 {narrow:v}.8h, {high:v}.4s",
            narrow = out(vreg) narrow, low = in(vreg) low, high = in(vreg) high,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    narrow
}

/// Sixteen float16 as `f32`.
#[inline(always)]
fn wide_f16(low: uint16x8_t, high: uint16x8_t) -> F32x4x4 {
    F32x4x4([
        widen_f16!("fcvtl", "4h", low),
        widen_f16!("fcvtl2", "8h", low),
        widen_f16!("fcvtl", "4h", high),
        widen_f16!("fcvtl2", "8h", high),
    ])
}

/// Sixteen bfloat16 as `f32`: the upper halves of its lanes.
#[inline(always)]
fn wide_bf16(low: uint16x8_t, high: uint16x8_t) -> F32x4x4 {
    op!({
        let zero = vdupq_n_u16(0);
        let wide = |x| vreinterpretq_f32_u16(x);
        F32x4x4([
            wide(vzip1q_u16(zero, low)),
            wide(vzip2q_u16(zero, low)),
            wide(vzip1q_u16(zero, high)),
            wide(vzip2q_u16(zero, high)),
        ])
    })
}

/// The upper halves of eight lanes, and the same rounded to nearest even where the lower half of a NaN is 0.
#[inline(always)]
fn round_bf16(low: float32x4_t, high: float32x4_t) -> (uint16x8_t, uint16x8_t) {
    op!({
        let (low, high) = (vreinterpretq_u16_f32(low), vreinterpretq_u16_f32(high));
        let (lower, upper) = (vuzp1q_u16(low, high), vuzp2q_u16(low, high));
        // Upwards above the half, and at the half from an odd upper.
        let sticky = vorrq_u16(lower, vandq_u16(upper, vdupq_n_u16(1)));
        let up = vcgtq_u16(sticky, vdupq_n_u16(0x8000));
        (upper, vsubq_u16(upper, up))
    })
}

/// Eight lanes rounded to bfloat16; a NaN stays one, and becomes quiet.
#[inline(always)]
fn narrow_bf16(low: float32x4_t, high: float32x4_t) -> uint16x8_t {
    op!({
        let (upper, rounded) = round_bf16(low, high);
        let number = |x| vreinterpretq_u16_u32(vceqq_f32(x, x));
        vbslq_u16(vuzp1q_u16(number(low), number(high)), rounded, vorrq_u16(upper, vdupq_n_u16(0x0040)))
    })
}

impl Half for Neon {
    #[inline(always)]
    unsafe fn load_f16(self, p: *const f16) -> F32x4x4 {
        // SAFETY: the caller promises 16 elements.
        unsafe { wide_f16(vld1q_u16(p.cast()), vld1q_u16(p.add(8).cast())) }
    }

    #[inline(always)]
    unsafe fn store_f16(self, x: F32x4x4, p: *mut f16) {
        // SAFETY: as above.
        unsafe {
            vst1q_u16(p.cast(), narrow_f16(x.0[0], x.0[1]));
            vst1q_u16(p.add(8).cast(), narrow_f16(x.0[2], x.0[3]));
        }
    }

    #[inline(always)]
    unsafe fn load_bf16(self, p: *const bf16) -> F32x4x4 {
        // SAFETY: as above.
        unsafe { wide_bf16(vld1q_u16(p.cast()), vld1q_u16(p.add(8).cast())) }
    }

    #[inline(always)]
    unsafe fn store_bf16(self, x: F32x4x4, p: *mut bf16) {
        // SAFETY: as above.
        unsafe {
            vst1q_u16(p.cast(), narrow_bf16(x.0[0], x.0[1]));
            vst1q_u16(p.add(8).cast(), narrow_bf16(x.0[2], x.0[3]));
        }
    }
}

impl Halves for Neon {
    type Halves = [uint16x8_t; 4];

    #[inline(always)]
    unsafe fn load_halves(self, p: *const u8) -> [uint16x8_t; 4] {
        let p: *const u16 = p.cast();
        // SAFETY: the caller promises 64 bytes.
        unsafe { [vld1q_u16(p), vld1q_u16(p.add(8)), vld1q_u16(p.add(16)), vld1q_u16(p.add(24))] }
    }

    #[inline(always)]
    unsafe fn store_halves<const STREAM: bool>(self, x: [uint16x8_t; 4], p: *mut u8) {
        // SAFETY: as above.
        unsafe {
            if STREAM {
                super::Vector::stream(F32x4x4(x.map(|x| vreinterpretq_f32_u16(x))), p.cast());
            } else {
                let p: *mut u16 = p.cast();
                for (i, register) in x.into_iter().enumerate() {
                    vst1q_u16(p.add(8 * i), register);
                }
            }
        }
    }

    #[inline(always)]
    fn widen_f16(self, x: [uint16x8_t; 4]) -> [F32x4x4; 2] {
        [wide_f16(x[0], x[1]), wide_f16(x[2], x[3])]
    }

    #[inline(always)]
    fn narrow_f16(self, [a, b]: [F32x4x4; 2]) -> [uint16x8_t; 4] {
        [narrow_f16(a.0[0], a.0[1]), narrow_f16(a.0[2], a.0[3]), narrow_f16(b.0[0], b.0[1]), narrow_f16(b.0[2], b.0[3])]
    }

    #[inline(always)]
    fn widen_bf16(self, x: [uint16x8_t; 4]) -> [F32x4x4; 2] {
        [wide_bf16(x[0], x[1]), wide_bf16(x[2], x[3])]
    }

    #[inline(always)]
    fn narrow_bf16(self, [a, b]: [F32x4x4; 2]) -> [uint16x8_t; 4] {
        [
            round_bf16(a.0[0], a.0[1]).1,
            round_bf16(a.0[2], a.0[3]).1,
            round_bf16(b.0[0], b.0[1]).1,
            round_bf16(b.0[2], b.0[3]).1,
        ]
    }

    #[inline(always)]
    fn widen_f64(self, x: F32x4x4) -> [F64x2x4; 2] {
        op!({
            let wide = |x: float32x4_t| [vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x)];
            let both = |[a, b]: [float64x2_t; 2], [c, d]: [float64x2_t; 2]| F64x2x4([a, b, c, d]);
            [both(wide(x.0[0]), wide(x.0[1])), both(wide(x.0[2]), wide(x.0[3]))]
        })
    }
}
