//! Layer 0: the AVX2 level: two registers a vector. Operations only.

use std::arch::x86_64::*;

use super::avx2_bits::{
    exp2_f32, exp2_f64, exponent_f32, exponent_f64, mask_f32, mask_f64, significand_f32, significand_f64, test_f32,
    test_f64,
};
use super::avx2_masks::{Mask32, Mask64, first_f32, first_f64};
use super::avx2_moves::{Moves, same};
use super::links::LaneLinks;
use super::moves::{lanes_f32, lanes_f64};
use super::transpose::{avx2_f32, avx2_f64};
use super::{Kernel, Level, Simd, Vector};

/// Proof that the processor has AVX2 and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        has.then_some(Self(()))
    }
}

/// An intrinsic on values whose existence proves the level: they come from a token.
macro_rules! op {
    ($call:expr) => {
        // SAFETY: vectors are made from a token alone, so the processor has the instruction.
        unsafe { $call }
    };
}

impl Simd for Avx2 {
    type F32 = F32x8x2;
    type F64 = F64x4x2;

    const LEVEL: Level = Level::Avx2;

    #[inline]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[inline]
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
        fn trampoline<K: Kernel>(s: Avx2, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: the token proves AVX2 and FMA; every processor that has them has BMI, POPCNT and LZCNT.
        unsafe { trampoline(self, kernel) }
    }

    #[inline(always)]
    fn prefetch<T>(self, p: *const T) {
        op!(_mm_prefetch::<_MM_HINT_T0>(p.cast()));
    }

    #[inline(always)]
    fn prefetch_far<T>(self, p: *const T) {
        op!(_mm_prefetch::<_MM_HINT_T1>(p.cast()));
    }
}

/// Sixteen `f32`: lanes 0 to 7, lanes 8 to 15.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F32x8x2(pub(super) __m256, pub(super) __m256);

/// Eight `f64`: lanes 0 to 3, lanes 4 to 7.
#[derive(Debug, Clone, Copy)]
pub(crate) struct F64x4x2(pub(super) __m256d, pub(super) __m256d);

/// `round` to nearest even without raising exceptions.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// [`Vector`] over the intrinsics of one type, which differ in their suffixes alone.
macro_rules! avx2_vector {
    (
        $vector:ident, $mask:ident, $float:ty, $bits:ty, $half:literal, $first:ident,
        $set1:ident, $loadu:ident, $storeu:ident, $maskload:ident, $maskstore:ident, $stream:ident,
        $add:ident, $sub:ident, $mul:ident, $div:ident, $fmadd:ident, $fnmadd:ident, $min:ident, $max:ident,
        $sqrt:ident, $and:ident, $or:ident, $andnot:ident, $xor:ident, $round:ident, $cmp:ident, $blendv:ident,
        $from_bits:ident, $exponent:ident, $significand:ident, $exp2:ident, $test:ident,
        $transpose:ident, $wide:ident, $to_f32:ident, $from_f32:ident
    ) => {
        impl Vector for $vector {
            type Elem = $float;
            type Token = Avx2;
            type Mask = $mask;
            type Bits = (__m256i, __m256i);
            type Moves = Moves;
            type Links = LaneLinks;

            #[inline(always)]
            fn splat(_: Avx2, x: $float) -> Self {
                op!(Self($set1(x), $set1(x)))
            }

            #[inline(always)]
            unsafe fn load(_: Avx2, p: *const $float) -> Self {
                // SAFETY: the token proves the level; the caller promises all lanes.
                unsafe { Self($loadu(p), $loadu(p.add($half))) }
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut $float) {
                // SAFETY: as in `load`.
                unsafe {
                    $storeu(p, self.0);
                    $storeu(p.add($half), self.1);
                }
            }

            #[inline(always)]
            unsafe fn load_first(_: Avx2, p: *const $float, n: usize) -> Self {
                // SAFETY: the token proves the level; masked-off lanes are not read, so their address may be
                // out of bounds and is formed without `add`.
                unsafe {
                    Self(
                        $maskload(p, $first(n.min($half))),
                        $maskload(p.wrapping_add($half), $first(n.saturating_sub($half))),
                    )
                }
            }

            #[inline(always)]
            fn spreading(_: Avx2, bits: u32) -> Self::Moves {
                op!(Moves::spread($wide(bits)))
            }

            #[inline(always)]
            fn packing(_: Avx2, bits: u32) -> Self::Moves {
                op!(Moves::pack($wide(bits)))
            }

            #[inline(always)]
            unsafe fn spread(self, p: *const $float, moves: Moves) -> Self {
                // SAFETY: the token proves the level; the first half takes at most half of the lanes that may be read.
                unsafe {
                    let second = p.cast::<f32>().add(moves.first).cast();
                    let (a, b) = moves
                        .spread_over(($to_f32(self.0), $to_f32(self.1)), ($to_f32($loadu(p)), $to_f32($loadu(second))));
                    Self($from_f32(a), $from_f32(b))
                }
            }

            #[inline(always)]
            unsafe fn pack(self, p: *mut $float, moves: Moves) {
                // SAFETY: as in `spread`.
                unsafe {
                    let second = p.cast::<f32>().add(moves.first).cast();
                    let (a, b) = moves.packed(($to_f32(self.0), $to_f32(self.1)));
                    $storeu(p, $from_f32(a));
                    $storeu(second, $from_f32(b));
                }
            }

            #[inline(always)]
            fn link(self, from: Self, links: LaneLinks) -> Self {
                Self::read(Avx2(()), &links.link(self.to_lanes(), from.to_lanes()))
            }

            #[inline(always)]
            unsafe fn store_first(self, p: *mut $float, n: usize) {
                // SAFETY: masked-off lanes are not written; see `load_first` for the address.
                unsafe {
                    $maskstore(p, $first(n.min($half)), self.0);
                    $maskstore(p.wrapping_add($half), $first(n.saturating_sub($half)), self.1);
                }
            }

            #[inline(always)]
            unsafe fn stream(self, p: *mut $float) {
                // SAFETY: the caller promises all lanes and the alignment.
                unsafe {
                    $stream(p, self.0);
                    $stream(p.add($half), self.1);
                }
            }

            #[inline(always)]
            fn fence(_: Avx2) {
                op!(_mm_sfence())
            }

            #[inline(always)]
            fn add(self, b: Self) -> Self {
                op!(Self($add(self.0, b.0), $add(self.1, b.1)))
            }

            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                op!(Self($sub(self.0, b.0), $sub(self.1, b.1)))
            }

            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                op!(Self($mul(self.0, b.0), $mul(self.1, b.1)))
            }

            #[inline(always)]
            fn div(self, b: Self) -> Self {
                op!(Self($div(self.0, b.0), $div(self.1, b.1)))
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                op!(Self($fmadd(self.0, b.0, c.0), $fmadd(self.1, b.1, c.1)))
            }

            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                op!(Self($fnmadd(self.0, b.0, c.0), $fnmadd(self.1, b.1, c.1)))
            }

            #[inline(always)]
            fn min(self, b: Self) -> Self {
                op!(Self($min(self.0, b.0), $min(self.1, b.1)))
            }

            #[inline(always)]
            fn max(self, b: Self) -> Self {
                op!(Self($max(self.0, b.0), $max(self.1, b.1)))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                op!(Self($sqrt(self.0), $sqrt(self.1)))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                op!({
                    let sign = $set1(-0.0);
                    Self($andnot(sign, self.0), $andnot(sign, self.1))
                })
            }

            #[inline(always)]
            fn neg(self) -> Self {
                op!({
                    let sign = $set1(-0.0);
                    Self($xor(sign, self.0), $xor(sign, self.1))
                })
            }

            #[inline(always)]
            fn copy_sign(self, sign: Self) -> Self {
                op!({
                    let bit = $set1(-0.0);
                    Self($or($andnot(bit, self.0), $and(bit, sign.0)), $or($andnot(bit, self.1), $and(bit, sign.1)))
                })
            }

            #[inline(always)]
            fn round(self) -> Self {
                op!(Self($round::<NEAREST>(self.0), $round::<NEAREST>(self.1)))
            }

            #[inline(always)]
            fn lt(self, b: Self) -> $mask {
                op!($mask($cmp::<_CMP_LT_OQ>(self.0, b.0), $cmp::<_CMP_LT_OQ>(self.1, b.1)))
            }

            #[inline(always)]
            fn le(self, b: Self) -> $mask {
                op!($mask($cmp::<_CMP_LE_OQ>(self.0, b.0), $cmp::<_CMP_LE_OQ>(self.1, b.1)))
            }

            #[inline(always)]
            fn eq(self, b: Self) -> $mask {
                op!($mask($cmp::<_CMP_EQ_OQ>(self.0, b.0), $cmp::<_CMP_EQ_OQ>(self.1, b.1)))
            }

            #[inline(always)]
            fn is_nan(self) -> $mask {
                op!($mask($cmp::<_CMP_UNORD_Q>(self.0, self.0), $cmp::<_CMP_UNORD_Q>(self.1, self.1)))
            }

            #[inline(always)]
            fn mask_from_bits(_: Avx2, bits: u32) -> $mask {
                op!($mask($from_bits(bits), $from_bits(bits >> $half)))
            }

            #[inline(always)]
            fn select(self, mask: $mask, other: Self) -> Self {
                op!(Self($blendv(other.0, self.0, mask.0), $blendv(other.1, self.1, mask.1)))
            }

            #[inline(always)]
            fn keep(self, mask: $mask) -> Self {
                op!(Self($and(self.0, mask.0), $and(self.1, mask.1)))
            }

            #[inline(always)]
            fn exponent(self) -> Self {
                op!(Self($exponent(self.0), $exponent(self.1)))
            }

            #[inline(always)]
            fn significand(self) -> Self {
                op!(Self($significand(self.0), $significand(self.1)))
            }

            #[inline(always)]
            fn exp2_integer(self) -> Self {
                op!(Self($exp2(self.0), $exp2(self.1)))
            }

            #[inline(always)]
            unsafe fn load_bits(_: Avx2, p: *const $bits) -> (__m256i, __m256i) {
                // SAFETY: the token proves the level; the caller promises all lanes.
                unsafe { (_mm256_loadu_si256(p.cast()), _mm256_loadu_si256(p.add($half).cast())) }
            }

            #[inline(always)]
            fn test_bit(bits: (__m256i, __m256i), index: u32) -> $mask {
                op!($mask($test(bits.0, index), $test(bits.1, index)))
            }

            #[inline(always)]
            unsafe fn transpose(_: Avx2, src: *const $float, src_stride: usize, dst: *mut $float, dst_stride: usize) {
                for i in [0, $half] {
                    for j in [0, $half] {
                        // SAFETY: the caller promises a square of lanes; this is one of its four quarters.
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

avx2_vector!(
    F32x8x2,
    Mask32,
    f32,
    u32,
    8,
    first_f32,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_maskload_ps,
    _mm256_maskstore_ps,
    _mm256_stream_ps,
    _mm256_add_ps,
    _mm256_sub_ps,
    _mm256_mul_ps,
    _mm256_div_ps,
    _mm256_fmadd_ps,
    _mm256_fnmadd_ps,
    _mm256_min_ps,
    _mm256_max_ps,
    _mm256_sqrt_ps,
    _mm256_and_ps,
    _mm256_or_ps,
    _mm256_andnot_ps,
    _mm256_xor_ps,
    _mm256_round_ps,
    _mm256_cmp_ps,
    _mm256_blendv_ps,
    mask_f32,
    exponent_f32,
    significand_f32,
    exp2_f32,
    test_f32,
    avx2_f32,
    lanes_f32,
    same,
    same
);
avx2_vector!(
    F64x4x2,
    Mask64,
    f64,
    u64,
    4,
    first_f64,
    _mm256_set1_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_maskload_pd,
    _mm256_maskstore_pd,
    _mm256_stream_pd,
    _mm256_add_pd,
    _mm256_sub_pd,
    _mm256_mul_pd,
    _mm256_div_pd,
    _mm256_fmadd_pd,
    _mm256_fnmadd_pd,
    _mm256_min_pd,
    _mm256_max_pd,
    _mm256_sqrt_pd,
    _mm256_and_pd,
    _mm256_or_pd,
    _mm256_andnot_pd,
    _mm256_xor_pd,
    _mm256_round_pd,
    _mm256_cmp_pd,
    _mm256_blendv_pd,
    mask_f64,
    exponent_f64,
    significand_f64,
    exp2_f64,
    test_f64,
    avx2_f64,
    lanes_f64,
    _mm256_castpd_ps,
    _mm256_castps_pd
);
