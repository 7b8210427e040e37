//! Layer 0: the NEON level of 64-bit Arm: four registers a vector. Operations only.
//!
//! NEON belongs to every 64-bit Arm processor that Rust's targets are for; the token stands for it all the same.

use std::arch::aarch64::*;
use std::arch::{asm, is_aarch64_feature_detected};

use super::links::LaneLinks;
use super::moves::{lanes_f32, lanes_f64};
use super::neon_bits::{
    copy_first, exp2_f32, exp2_f64, exponent_f32, exponent_f64, mask_f32, mask_f64, significand_f32, significand_f64,
};
use super::neon_masks::{Mask32, Mask64};
use super::neon_moves::{Moves, transpose_f32, transpose_f64};
use super::{Kernel, Level, Simd, Vector};

/// Proof that the processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neon(());

impl Neon {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

impl Simd for Neon {
    type F32 = F32x4x4;
    type F64 = F64x2x4;

    const LEVEL: Level = Level::Neon;

    #[inline]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[inline]
        #[target_feature(enable = "neon")]
        fn trampoline<K: Kernel>(s: Neon, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: the token proves NEON.
        unsafe { trampoline(self, kernel) }
    }

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        // SAFETY: a hint, whatever the address.
        unsafe { asm!("prfm pldl1keep, [{}]", in(reg) p, options(nostack, readonly, preserves_flags)) }
    }

    #[inline(always)]
    fn prefetch_far<T>(self, p: *const T) {
        // SAFETY: a hint, whatever the address.
        unsafe { asm!("prfm pldl2keep, [{}]", in(reg) p, options(nostack, readonly, preserves_flags)) }
    }
}

/// Sixteen `f32`, four a register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32x4x4(pub(super) [float32x4_t; 4]);

/// Eight `f64`, two a register.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F64x2x4(pub(super) [float64x2_t; 4]);

/// An intrinsic on values whose existence proves the level: they come from a token.
macro_rules! op {
    ($call:expr) => {
        // SAFETY: vectors are made from a token alone, so the processor has the instruction.
        unsafe { $call }
    };
}

/// An intrinsic on registers, on each of four.
macro_rules! each {
    ($f:ident($($x:expr),+)) => {
        // SAFETY: as above.
        unsafe { [$f($($x[0]),+), $f($($x[1]),+), $f($($x[2]),+), $f($($x[3]),+)] }
    };
}

pub(super) use {each, op};

/// [`Vector`] over the intrinsics of one type, which differ in their suffixes alone.
macro_rules! neon_vector {
    (
        $vector:ident, $mask:ident, $float:ty, $bits:ty, $unsigned:ty, $lanes:literal,
        $dup:ident, $ld1:ident, $st1:ident, $add:ident, $sub:ident, $mul:ident, $div:ident, $fma:ident, $fms:ident,
        $sqrt:ident, $abs:ident, $neg:ident, $rndn:ident, $clt:ident, $cle:ident, $ceq:ident, $bsl:ident,
        $from_bits:ident, $and:ident, $dup_bits:ident, $ld1_bits:ident, $tst:ident,
        $as_bits:ident, $as_float:ident, $as_bytes:ident, $from_bytes:ident,
        $exponent:ident, $significand:ident, $exp2:ident, $transpose:ident, $wide:ident
    ) => {
        impl $vector {
            /// `a` where a bit of `mask` is set, else `b`.
            #[inline(always)]
            fn pick(mask: [$unsigned; 4], a: Self, b: Self) -> Self {
                Self(each!($bsl(mask, a.0, b.0)))
            }

            /// The registers as bytes.
            #[inline(always)]
            fn bytes(self) -> [uint8x16_t; 4] {
                each!($as_bytes(self.0))
            }
        }

        impl Vector for $vector {
            type Elem = $float;
            type Token = Neon;
            type Mask = $mask;
            type Bits = [$unsigned; 4];
            type Moves = Moves;
            type Links = LaneLinks;

            #[inline(always)]
            fn splat(_: Neon, x: $float) -> Self {
                Self([op!($dup(x)); 4])
            }

            #[inline(always)]
            unsafe fn load(_: Neon, p: *const $float) -> Self {
                // SAFETY: the caller promises all lanes.
                unsafe { Self([$ld1(p), $ld1(p.add($lanes)), $ld1(p.add(2 * $lanes)), $ld1(p.add(3 * $lanes))]) }
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut $float) {
                for (i, register) in self.0.into_iter().enumerate() {
                    // SAFETY: the caller promises all lanes.
                    unsafe { $st1(p.add(i * $lanes), register) };
                }
            }

            #[inline(always)]
            unsafe fn load_first(s: Neon, p: *const $float, n: usize) -> Self {
                let mut lanes = [0.0; 4 * $lanes];
                // SAFETY: `n` elements are readable and fit.
                unsafe {
                    copy_first(p.cast(), lanes.as_mut_ptr().cast(), n * size_of::<$float>());
                    Self::load(s, lanes.as_ptr())
                }
            }

            #[inline(always)]
            fn spreading(_: Neon, bits: u32) -> Moves {
                Moves::spread($wide(bits))
            }

            #[inline(always)]
            fn packing(_: Neon, bits: u32) -> Moves {
                Moves::pack($wide(bits))
            }

            #[inline(always)]
            unsafe fn spread(self, p: *const $float, moves: Moves) -> Self {
                // SAFETY: the caller promises all lanes.
                let moved = unsafe { moves.spread_over(self.bytes(), p.cast()) };
                Self(each!($from_bytes(moved)))
            }

            #[inline(always)]
            unsafe fn pack(self, p: *mut $float, moves: Moves) {
                // SAFETY: the caller promises all lanes.
                unsafe { moves.store_packed(self.bytes(), p.cast()) }
            }

            #[inline(always)]
            fn link(self, from: Self, links: LaneLinks) -> Self {
                Self::read(Neon(()), &links.link(self.to_lanes(), from.to_lanes()))
            }

            #[inline(always)]
            unsafe fn store_first(self, p: *mut $float, n: usize) {
                let mut lanes = [0.0; 4 * $lanes];
                // SAFETY: `n` elements are writable and the array has them.
                unsafe {
                    self.store(lanes.as_mut_ptr());
                    copy_first(lanes.as_ptr().cast(), p.cast(), n * size_of::<$float>());
                }
            }

            #[inline(always)]
            unsafe fn stream(self, p: *mut $float) {
                let [a, b, c, d] = self.0;
                // SAFETY: the caller promises all lanes.
                unsafe {
                    asm!(
                        "stnp {a:q}, {b:q}, [{p}]",
                        "stnp {c:q}, {d:q}, [{p}, #32]",
                        a = in(vreg) a, b = in(vreg) b, c = in(vreg) c, d = in(vreg) d, p = in(reg) p,
                        options(nostack, preserves_flags)
                    );
                }
            }

            /// Such stores are ordered like others.
            #[inline(always)]
            fn fence(_: Neon) {}

            #[inline(always)]
            fn add(self, b: Self) -> Self {
                Self(each!($add(self.0, b.0)))
            }

            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                Self(each!($sub(self.0, b.0)))
            }

            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                Self(each!($mul(self.0, b.0)))
            }

            #[inline(always)]
            fn div(self, b: Self) -> Self {
                Self(each!($div(self.0, b.0)))
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                Self(each!($fma(c.0, self.0, b.0)))
            }

            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                Self(each!($fms(c.0, self.0, b.0)))
            }

            /// Not the instruction for minima, which has its own answers for NaN and zeros.
            #[inline(always)]
            fn min(self, b: Self) -> Self {
                Self::pick(self.lt(b).0, self, b)
            }

            #[inline(always)]
            fn max(self, b: Self) -> Self {
                Self::pick(b.lt(self).0, self, b)
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(each!($sqrt(self.0)))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                Self(each!($abs(self.0)))
            }

            #[inline(always)]
            fn neg(self) -> Self {
                Self(each!($neg(self.0)))
            }

            #[inline(always)]
            fn copy_sign(self, sign: Self) -> Self {
                let bit: $float = -0.0;
                Self::pick([op!($dup_bits(bit.to_bits())); 4], sign, self)
            }

            #[inline(always)]
            fn round(self) -> Self {
                Self(each!($rndn(self.0)))
            }

            #[inline(always)]
            fn lt(self, b: Self) -> $mask {
                $mask(each!($clt(self.0, b.0)))
            }

            #[inline(always)]
            fn le(self, b: Self) -> $mask {
                $mask(each!($cle(self.0, b.0)))
            }

            #[inline(always)]
            fn eq(self, b: Self) -> $mask {
                $mask(each!($ceq(self.0, b.0)))
            }

            #[inline(always)]
            fn is_nan(self) -> $mask {
                super::Mask::not(self.eq(self))
            }

            #[inline(always)]
            fn mask_from_bits(_: Neon, bits: u32) -> $mask {
                $mask($from_bits(bits))
            }

            #[inline(always)]
            fn select(self, mask: $mask, other: Self) -> Self {
                Self::pick(mask.0, self, other)
            }

            #[inline(always)]
            fn keep(self, mask: $mask) -> Self {
                let bits = each!($as_bits(self.0));
                let kept = each!($and(bits, mask.0));
                Self(each!($as_float(kept)))
            }

            #[inline(always)]
            fn exponent(self) -> Self {
                Self(self.0.map($exponent))
            }

            #[inline(always)]
            fn significand(self) -> Self {
                Self(self.0.map($significand))
            }

            #[inline(always)]
            fn exp2_integer(self) -> Self {
                Self(self.0.map($exp2))
            }

            #[inline(always)]
            unsafe fn load_bits(_: Neon, p: *const $bits) -> [$unsigned; 4] {
                // SAFETY: the caller promises all lanes.
                unsafe {
                    [
                        $ld1_bits(p),
                        $ld1_bits(p.add($lanes)),
                        $ld1_bits(p.add(2 * $lanes)),
                        $ld1_bits(p.add(3 * $lanes)),
                    ]
                }
            }

            #[inline(always)]
            fn test_bit(bits: [$unsigned; 4], index: u32) -> $mask {
                let bit = [op!($dup_bits(1 << index)); 4];
                $mask(each!($tst(bits, bit)))
            }

            #[inline(always)]
            unsafe fn transpose(_: Neon, src: *const $float, src_stride: usize, dst: *mut $float, dst_stride: usize) {
                for i in (0..4 * $lanes).step_by($lanes) {
                    for j in (0..4 * $lanes).step_by($lanes) {
                        // SAFETY: the caller promises a square of lanes; this is one of its sixteen parts.
                        unsafe {
                            $transpose(
                                src.add(i * src_stride + j),
                                src_stride,
                                dst.add(j * dst_stride + i),
                                dst_stride,
                            );
                        }
                    }
                }
            }
        }
    };
}

neon_vector! {
    F32x4x4, Mask32, f32, u32, uint32x4_t, 4, vdupq_n_f32, vld1q_f32, vst1q_f32, vaddq_f32, vsubq_f32,
    vmulq_f32, vdivq_f32, vfmaq_f32, vfmsq_f32, vsqrtq_f32, vabsq_f32, vnegq_f32, vrndnq_f32, vcltq_f32,
    vcleq_f32, vceqq_f32, vbslq_f32, mask_f32, vandq_u32, vdupq_n_u32, vld1q_u32, vtstq_u32,
    vreinterpretq_u32_f32, vreinterpretq_f32_u32, vreinterpretq_u8_f32, vreinterpretq_f32_u8, exponent_f32,
    significand_f32, exp2_f32, transpose_f32, lanes_f32
}
neon_vector! {
    F64x2x4, Mask64, f64, u64, uint64x2_t, 2, vdupq_n_f64, vld1q_f64, vst1q_f64, vaddq_f64, vsubq_f64,
    vmulq_f64, vdivq_f64, vfmaq_f64, vfmsq_f64, vsqrtq_f64, vabsq_f64, vnegq_f64, vrndnq_f64, vcltq_f64,
    vcleq_f64, vceqq_f64, vbslq_f64, mask_f64, vandq_u64, vdupq_n_u64, vld1q_u64, vtstq_u64,
    vreinterpretq_u64_f64, vreinterpretq_f64_u64, vreinterpretq_u8_f64, vreinterpretq_f64_u8, exponent_f64,
    significand_f64, exp2_f64, transpose_f64, lanes_f64
}
