//! Layer 0: the AVX-512 level: one register a vector, mask registers. Operations only.

use std::arch::x86_64::*;

use super::avx512_links::{Links8, Links16};
use super::avx512_masks::first;
use super::transpose::{avx512_f32, avx512_f64};
use super::{Kernel, Level, Simd, Vector};

/// Proof that the processor has AVX-512 F, BW, DQ and VL, and FMA.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// The token, where the processor has the instructions.
    #[inline]
    pub(crate) fn new() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
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

impl Simd for Avx512 {
    type F32 = F32x16;
    type F64 = F64x8;

    const LEVEL: Level = Level::Avx512;

    #[inline]
    fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[inline]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,popcnt,lzcnt")]
        fn trampoline<K: Kernel>(s: Avx512, kernel: K) -> K::Output {
            kernel.run(s)
        }
        // SAFETY: the token proves AVX-512; every processor that has it has BMI, POPCNT and LZCNT.
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

/// Sixteen `f32`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct F32x16(pub(super) __m512);

/// Eight `f64`.
#[derive(Debug, Clone, Copy)]
#[repr(transparent)]
pub(crate) struct F64x8(pub(super) __m512d);

/// `round` to nearest even without raising exceptions.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// [`Vector`] over the intrinsics of one type, which differ in their suffixes alone.
macro_rules! avx512_vector {
    (
        $vector:ident, $float:ty, $bits:ty, $mask:ty,
        $set1:ident, $loadu:ident, $storeu:ident, $maskz_loadu:ident, $mask_storeu:ident, $stream:ident, $expand:ident, $compress:ident, $lanes:expr, $permute:ident, $links:ident,
        $add:ident, $sub:ident, $mul:ident, $div:ident, $fmadd:ident, $fnmadd:ident, $min:ident, $max:ident,
        $sqrt:ident, $abs:ident, $and:ident, $or:ident, $xor:ident, $roundscale:ident, $cmp:ident,
        $blend:ident, $maskz_mov:ident, $getexp:ident, $getmant:ident, $scalef:ident, $test:ident, $set1_bits:ident,
        $transpose:ident
    ) => {
        impl Vector for $vector {
            type Elem = $float;
            type Token = Avx512;
            type Mask = $mask;
            type Bits = __m512i;
            type Moves = (__m512i, $mask);
            type Links = $links;

            #[inline(always)]
            fn splat(_: Avx512, x: $float) -> Self {
                Self(op!($set1(x)))
            }

            #[inline(always)]
            unsafe fn load(_: Avx512, p: *const $float) -> Self {
                // SAFETY: the token proves the level; the caller promises all lanes.
                Self(unsafe { $loadu(p) })
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut $float) {
                // SAFETY: as in `load`.
                unsafe { $storeu(p, self.0) }
            }

            #[inline(always)]
            unsafe fn load_first(_: Avx512, p: *const $float, n: usize) -> Self {
                // SAFETY: the token proves the level; masked-off lanes are not read.
                Self(unsafe { $maskz_loadu(first(n) as $mask, p) })
            }

            #[inline(always)]
            fn spreading(_: Avx512, bits: u32) -> Self::Moves {
                op!(($expand(bits as $mask, $lanes), bits as $mask))
            }

            #[inline(always)]
            fn packing(_: Avx512, bits: u32) -> Self::Moves {
                op!(($compress(bits as $mask, $lanes), bits as $mask))
            }

            #[inline(always)]
            unsafe fn spread(self, p: *const $float, (from, chosen): Self::Moves) -> Self {
                // SAFETY: the caller promises all lanes.
                Self(unsafe { $permute(self.0, chosen, from, $loadu(p)) })
            }

            #[inline(always)]
            unsafe fn pack(self, p: *mut $float, (from, _): Self::Moves) {
                // SAFETY: as in `spread`.
                unsafe { $storeu(p, $permute(self.0, !0, from, self.0)) }
            }

            #[inline(always)]
            fn link(self, from: Self, links: $links) -> Self {
                Self(op!($permute(self.0, links.to, links.from, from.0)))
            }

            #[inline(always)]
            unsafe fn store_first(self, p: *mut $float, n: usize) {
                // SAFETY: masked-off lanes are not written.
                unsafe { $mask_storeu(p, first(n) as $mask, self.0) }
            }

            #[inline(always)]
            unsafe fn stream(self, p: *mut $float) {
                // SAFETY: the caller promises all lanes and the alignment.
                unsafe { $stream(p, self.0) }
            }

            #[inline(always)]
            fn fence(_: Avx512) {
                op!(_mm_sfence())
            }

            #[inline(always)]
            fn add(self, b: Self) -> Self {
                Self(op!($add(self.0, b.0)))
            }

            #[inline(always)]
            fn sub(self, b: Self) -> Self {
                Self(op!($sub(self.0, b.0)))
            }

            #[inline(always)]
            fn mul(self, b: Self) -> Self {
                Self(op!($mul(self.0, b.0)))
            }

            #[inline(always)]
            fn div(self, b: Self) -> Self {
                Self(op!($div(self.0, b.0)))
            }

            #[inline(always)]
            fn mul_add(self, b: Self, c: Self) -> Self {
                Self(op!($fmadd(self.0, b.0, c.0)))
            }

            #[inline(always)]
            fn neg_mul_add(self, b: Self, c: Self) -> Self {
                Self(op!($fnmadd(self.0, b.0, c.0)))
            }

            #[inline(always)]
            fn min(self, b: Self) -> Self {
                Self(op!($min(self.0, b.0)))
            }

            #[inline(always)]
            fn max(self, b: Self) -> Self {
                Self(op!($max(self.0, b.0)))
            }

            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(op!($sqrt(self.0)))
            }

            #[inline(always)]
            fn abs(self) -> Self {
                Self(op!($abs(self.0)))
            }

            #[inline(always)]
            fn neg(self) -> Self {
                Self(op!($xor(self.0, $set1(-0.0))))
            }

            #[inline(always)]
            fn copy_sign(self, sign: Self) -> Self {
                Self(op!($or($abs(self.0), $and(sign.0, $set1(-0.0)))))
            }

            #[inline(always)]
            fn round(self) -> Self {
                Self(op!($roundscale::<NEAREST>(self.0)))
            }

            #[inline(always)]
            fn lt(self, b: Self) -> $mask {
                op!($cmp::<_CMP_LT_OQ>(self.0, b.0))
            }

            #[inline(always)]
            fn le(self, b: Self) -> $mask {
                op!($cmp::<_CMP_LE_OQ>(self.0, b.0))
            }

            #[inline(always)]
            fn eq(self, b: Self) -> $mask {
                op!($cmp::<_CMP_EQ_OQ>(self.0, b.0))
            }

            #[inline(always)]
            fn is_nan(self) -> $mask {
                op!($cmp::<_CMP_UNORD_Q>(self.0, self.0))
            }

            #[inline(always)]
            fn mask_from_bits(_: Avx512, bits: u32) -> $mask {
                bits as $mask
            }

            #[inline(always)]
            fn select(self, mask: $mask, other: Self) -> Self {
                Self(op!($blend(mask, other.0, self.0)))
            }

            #[inline(always)]
            fn keep(self, mask: $mask) -> Self {
                Self(op!($maskz_mov(mask, self.0)))
            }

            #[inline(always)]
            fn exponent(self) -> Self {
                Self(op!($getexp(self.0)))
            }

            #[inline(always)]
            fn significand(self) -> Self {
                Self(op!($getmant::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(self.0)))
            }

            #[inline(always)]
            fn exp2_integer(self) -> Self {
                Self(op!($scalef($set1(1.0), self.0)))
            }

            #[inline(always)]
            unsafe fn load_bits(_: Avx512, p: *const $bits) -> __m512i {
                // SAFETY: the token proves the level; the caller promises all lanes.
                unsafe { _mm512_loadu_si512(p.cast()) }
            }

            #[inline(always)]
            fn test_bit(bits: __m512i, index: u32) -> $mask {
                op!($test(bits, $set1_bits(1 << index)))
            }

            #[inline(always)]
            unsafe fn transpose(_: Avx512, src: *const $float, src_stride: usize, dst: *mut $float, dst_stride: usize) {
                // SAFETY: the caller promises a square of lanes on both sides.
                unsafe { $transpose(src, src_stride, dst, dst_stride) }
            }
        }
    };
}

avx512_vector!(
    F32x16,
    f32,
    u32,
    __mmask16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_maskz_loadu_ps,
    _mm512_mask_storeu_ps,
    _mm512_stream_ps,
    _mm512_maskz_expand_epi32,
    _mm512_maskz_compress_epi32,
    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    _mm512_mask_permutexvar_ps,
    Links16,
    _mm512_add_ps,
    _mm512_sub_ps,
    _mm512_mul_ps,
    _mm512_div_ps,
    _mm512_fmadd_ps,
    _mm512_fnmadd_ps,
    _mm512_min_ps,
    _mm512_max_ps,
    _mm512_sqrt_ps,
    _mm512_abs_ps,
    _mm512_and_ps,
    _mm512_or_ps,
    _mm512_xor_ps,
    _mm512_roundscale_ps,
    _mm512_cmp_ps_mask,
    _mm512_mask_blend_ps,
    _mm512_maskz_mov_ps,
    _mm512_getexp_ps,
    _mm512_getmant_ps,
    _mm512_scalef_ps,
    _mm512_test_epi32_mask,
    _mm512_set1_epi32,
    avx512_f32
);
avx512_vector!(
    F64x8,
    f64,
    u64,
    __mmask8,
    _mm512_set1_pd,
    _mm512_loadu_pd,
    _mm512_storeu_pd,
    _mm512_maskz_loadu_pd,
    _mm512_mask_storeu_pd,
    _mm512_stream_pd,
    _mm512_maskz_expand_epi64,
    _mm512_maskz_compress_epi64,
    _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
    _mm512_mask_permutexvar_pd,
    Links8,
    _mm512_add_pd,
    _mm512_sub_pd,
    _mm512_mul_pd,
    _mm512_div_pd,
    _mm512_fmadd_pd,
    _mm512_fnmadd_pd,
    _mm512_min_pd,
    _mm512_max_pd,
    _mm512_sqrt_pd,
    _mm512_abs_pd,
    _mm512_and_pd,
    _mm512_or_pd,
    _mm512_xor_pd,
    _mm512_roundscale_pd,
    _mm512_cmp_pd_mask,
    _mm512_mask_blend_pd,
    _mm512_maskz_mov_pd,
    _mm512_getexp_pd,
    _mm512_getmant_pd,
    _mm512_scalef_pd,
    _mm512_test_epi64_mask,
    _mm512_set1_epi64,
    avx512_f64
);
