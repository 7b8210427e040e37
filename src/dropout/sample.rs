//! Layer 2: the element types of dropout, and the type that each is computed in.

use half::{bf16, f16};

use super::Transform;
use crate::simd::{Aes, Element, Half, Halves, STEP, Simd, V, Vector};

/// An element of arrays: `f32`, `f64`, float16 or bfloat16.
pub(crate) trait Sample: Copy + Send + Sync + 'static {
    /// The type of the arithmetic: `f32` for 16-bit floats, else the type itself.
    type Work: Element;

    /// +0.0
    const ZERO: Self;

    /// A step of [`STEP`] elements by their decisions.
    ///
    /// # Safety
    /// [`STEP`] elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not. For `STREAM`,
    /// which stores past the caches, `y` is aligned to 64 bytes.
    unsafe fn step<A: Aes, F: Transform<Self::Work>, const STREAM: bool>(
        a: A,
        ready: F::Ready<A::Simd>,
        keep: A::Keep,
        x: *const Self,
        y: *mut Self,
    );

    /// One vector of elements becomes `factor` times itself, rounded once.
    ///
    /// # Safety
    /// `Work::LANES` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
    unsafe fn times<S: Half>(s: S, factor: V<S, Self::Work>, x: *const Self, y: *mut Self);

    /// Vector number `part` of 32 numbers of single precision.
    fn part<S: Halves>(s: S, numbers: [V<S, f32>; 2], part: usize) -> V<S, Self::Work>;
}

/// [`Sample`] for a type that is computed in itself.
macro_rules! own_work {
    ($float:ty, $mask:ident, $part:item) => {
        impl Sample for $float {
            type Work = $float;

            const ZERO: Self = 0.0;

            #[inline(always)]
            unsafe fn step<A: Aes, F: Transform<$float>, const STREAM: bool>(
                a: A,
                ready: F::Ready<A::Simd>,
                keep: A::Keep,
                x: *const $float,
                y: *mut $float,
            ) {
                for part in 0..STEP / <$float>::LANES {
                    let at = part * <$float>::LANES;
                    // SAFETY: the vectors of a step lie within its elements.
                    unsafe {
                        let x = V::<A::Simd, $float>::load(a.simd(), x.add(at));
                        let result = F::apply(ready, x, a.$mask(keep, part));
                        if STREAM { result.stream(y.add(at)) } else { result.store(y.add(at)) }
                    }
                }
            }

            #[inline(always)]
            unsafe fn times<S: Half>(s: S, factor: V<S, $float>, x: *const $float, y: *mut $float) {
                // SAFETY: the caller promises a vector of elements.
                unsafe { V::<S, $float>::load(s, x).mul(factor).store(y) }
            }

            #[inline(always)]
            $part
        }
    };
}

own_work!(
    f32,
    mask_f32,
    fn part<S: Halves>(_: S, numbers: [V<S, f32>; 2], part: usize) -> V<S, f32> {
        numbers[part]
    }
);
own_work!(
    f64,
    mask_f64,
    fn part<S: Halves>(s: S, numbers: [V<S, f32>; 2], part: usize) -> V<S, f64> {
        s.widen_f64(numbers[part / 2])[part % 2]
    }
);

/// [`Sample`] for a 16-bit float, computed in `f32`.
macro_rules! half_work {
    ($float:ty, $widen:ident, $narrow:ident, $load:ident, $store:ident) => {
        impl Sample for $float {
            type Work = f32;

            const ZERO: Self = <$float>::ZERO;

            #[inline(always)]
            unsafe fn step<A: Aes, F: Transform<f32>, const STREAM: bool>(
                a: A,
                ready: F::Ready<A::Simd>,
                keep: A::Keep,
                x: *const $float,
                y: *mut $float,
            ) {
                let s = a.simd();
                let dropped = F::dropped(s, ready);
                // SAFETY: the caller promises a step of elements, which are 64 bytes.
                unsafe {
                    let [low, high] = s.$widen(s.load_halves(x.cast()));
                    let kept = s.$narrow([F::kept(ready, low), F::kept(ready, high)]);
                    let result = a.choose(keep, kept, s.$narrow([dropped, dropped]));
                    s.store_halves::<STREAM>(result, y.cast());
                }
            }

            #[inline(always)]
            unsafe fn times<S: Half>(s: S, factor: <S as Simd>::F32, x: *const $float, y: *mut $float) {
                // SAFETY: the caller promises a vector of elements.
                unsafe { s.$store(s.$load(x).mul(factor), y) }
            }

            #[inline(always)]
            fn part<S: Halves>(_: S, numbers: [V<S, f32>; 2], part: usize) -> V<S, f32> {
                numbers[part]
            }
        }
    };
}

half_work!(f16, widen_f16, narrow_f16, load_f16, store_f16);
half_work!(bf16, widen_bf16, narrow_bf16, load_bf16, store_bf16);
