//! Layer 2: the element types of dropout, and the type that each is computed in.

use half::{bf16, f16};

use crate::simd::{Aes, Element, Half, MaskOf, Simd, V, Vector};

/// An element of arrays: `f32`, `f64`, float16 or bfloat16.
pub trait Sample: Copy + Send + Sync + 'static {
    /// The type of the arithmetic: `f32` for 16-bit floats, else the type itself.
    type Work: Element;

    /// +0.0
    const ZERO: Self;

    /// One vector of elements, widened; no alignment is needed.
    ///
    /// # Safety
    /// `Work::LANES` elements at `p` are readable.
    unsafe fn load<S: Half>(s: S, p: *const Self) -> V<S, Self::Work>;

    /// One vector of elements, rounded once to nearest even.
    ///
    /// # Safety
    /// `Work::LANES` elements at `p` are writable; for `STREAM`, which stores past the caches, `p` is aligned to them.
    unsafe fn store<S: Half, const STREAM: bool>(s: S, x: V<S, Self::Work>, p: *mut Self);

    /// The decisions for vector `part` of a step.
    fn mask<A: Aes>(a: A, keep: A::Keep, part: usize) -> MaskOf<A, Self::Work>;
}

/// [`Sample`] for a type that is computed in itself.
macro_rules! own_work {
    ($float:ty, $mask:ident) => {
        impl Sample for $float {
            type Work = $float;

            const ZERO: Self = 0.0;

            #[inline(always)]
            unsafe fn load<S: Half>(s: S, p: *const Self) -> V<S, $float> {
                // SAFETY: the caller promises a vector of elements.
                unsafe { V::<S, $float>::load(s, p) }
            }

            #[inline(always)]
            unsafe fn store<S: Half, const STREAM: bool>(_: S, x: V<S, $float>, p: *mut Self) {
                // SAFETY: the caller promises a vector of elements.
                unsafe { if STREAM { x.stream(p) } else { x.store(p) } }
            }

            #[inline(always)]
            fn mask<A: Aes>(a: A, keep: A::Keep, part: usize) -> MaskOf<A, $float> {
                a.$mask(keep, part)
            }
        }
    };
}

own_work!(f32, mask_f32);
own_work!(f64, mask_f64);

/// [`Sample`] for a 16-bit float, computed in `f32`.
macro_rules! half_work {
    ($float:ty, $load:ident, $store:ident) => {
        impl Sample for $float {
            type Work = f32;

            const ZERO: Self = <$float>::ZERO;

            #[inline(always)]
            unsafe fn load<S: Half>(s: S, p: *const Self) -> <S as Simd>::F32 {
                // SAFETY: the caller promises a vector of elements.
                unsafe { s.$load(p) }
            }

            #[inline(always)]
            unsafe fn store<S: Half, const STREAM: bool>(s: S, x: <S as Simd>::F32, p: *mut Self) {
                // SAFETY: the caller promises a vector of elements.
                unsafe { s.$store::<STREAM>(x, p) }
            }

            #[inline(always)]
            fn mask<A: Aes>(a: A, keep: A::Keep, part: usize) -> MaskOf<A, f32> {
                a.mask_f32(keep, part)
            }
        }
    };
}

half_work!(f16, load_f16, store_f16);
half_work!(bf16, load_bf16, store_bf16);
