//! Layer 2: one contiguous run: draw, transform and store in one pass.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use super::{Decisions, Sample, Transform};
use crate::parallel::for_each_range;
use crate::rng::{Draw, keep_bits_at};
use crate::simd::{Aes, AesKernel, AesLevel, Element, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Fewer elements than this for a thread are not worth waking it.
pub(super) const GRAIN: usize = 1 << 15;

/// A pointer that threads share; which elements belong to whom is settled by the ranges they get.
#[derive(Clone, Copy)]
pub(super) struct Pointer<T>(pub(super) *mut T);

// SAFETY: only dereferenced for elements of the thread's own range.
unsafe impl<T> Send for Pointer<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Pointer<T> {}

impl<T> Pointer<T> {
    pub(super) fn get(self) -> *mut T {
        self.0
    }
}

/// Vectors of a step.
#[inline(always)]
pub(super) const fn parts<T: Sample>() -> usize {
    STEP / <T::Work as Element>::LANES
}

/// A step: [`STEP`] elements.
///
/// # Safety
/// [`STEP`] elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
#[inline(always)]
pub(super) unsafe fn step<A: Aes, T: Sample, F: Transform<T::Work>>(
    a: A,
    ready: F::Ready<A::Simd>,
    keep: A::Keep,
    x: *const T,
    y: *mut T,
) {
    let s = a.simd();
    for part in 0..parts::<T>() {
        let at = part * <T::Work as Element>::LANES;
        // SAFETY: the vectors of a step lie within its elements.
        unsafe {
            let result = F::apply(ready, T::load(s, x.add(at)), T::mask(a, keep, part));
            T::store(s, result, y.add(at));
        }
    }
}

/// Fewer elements than a step, through a buffer.
///
/// # Safety
/// As [`step`], for `n <= STEP` elements.
#[inline(always)]
pub(super) unsafe fn partial_step<A: Aes, T: Sample, F: Transform<T::Work>>(
    a: A,
    ready: F::Ready<A::Simd>,
    keep: A::Keep,
    x: *const T,
    y: *mut T,
    n: usize,
) {
    let mut buffer = [MaybeUninit::new(T::ZERO); STEP];
    let buffer: *mut T = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer holds a step; `n` elements are the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(x, buffer, n);
        step::<A, T, F>(a, ready, keep, buffer, buffer);
        std::ptr::copy_nonoverlapping(buffer, y, n);
    }
}

/// Writes what dropped elements become.
///
/// # Safety
/// `n` elements at `y` are writable.
#[inline(always)]
unsafe fn fill<A: Aes, T: Sample, F: Transform<T::Work>>(a: A, ready: F::Ready<A::Simd>, y: *mut T, n: usize) {
    let s = a.simd();
    let none = T::mask(a, a.keep_from_bits(0), 0);
    let mut dropped = [T::ZERO; STEP];
    // SAFETY: the buffer holds a step; `n` elements are the caller's promise.
    unsafe {
        T::store(s, F::apply(ready, V::<A::Simd, T::Work>::zero(s), none), dropped.as_mut_ptr());
        for i in 0..n {
            y.add(i).write(dropped[0]);
        }
    }
}

struct Run<T, F> {
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
    element: PhantomData<T>,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Run<T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Decisions { key, threshold, offset } = self.decisions;
        let ready = self.transform.ready(a.simd());
        if threshold.drops_all() {
            // SAFETY: the maker of the kernel promises `n` elements.
            return unsafe { fill::<A, T, F>(a, ready, self.y, self.n) };
        }
        let draw = Draw::new(a, key, threshold);
        // Up to the first element that starts a block.
        let head = (offset.wrapping_neg() % 8).min(self.n as u64) as usize;
        let (mut x, mut y, mut left) = (self.x, self.y, self.n);
        // SAFETY: the maker of the kernel promises `n` elements; every step takes what `left` counts.
        unsafe {
            if head > 0 {
                let mut bits = [0];
                keep_bits_at(A::LEVEL, key, threshold, offset, &mut bits, head);
                partial_step::<A, T, F>(a, ready, a.keep_from_bits(bits[0]), x, y, head);
                (x, y, left) = (x.add(head), y.add(head), left - head);
            }
            let mut block = (offset + head as u64) / 8;
            let mut counters = draw.counters(a, block);
            while left >= STEP {
                step::<A, T, F>(a, ready, draw.step(a, counters, block), x, y);
                counters = a.advance(counters, STEP as u64 / 8);
                block += STEP as u64 / 8;
                (x, y, left) = (x.add(STEP), y.add(STEP), left - STEP);
            }
            if left > 0 {
                partial_step::<A, T, F>(a, ready, draw.step(a, counters, block), x, y, left);
            }
        }
    }
}

/// Transforms `n` elements on the calling thread, on a given level.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
///
/// # Panics
/// Where the processor lacks the level.
pub unsafe fn apply_at<T: Sample, F: Transform<T::Work>>(
    level: AesLevel,
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
) {
    dispatch_aes_at(level, Run { decisions, transform, x, y, n, element: PhantomData });
}

/// Transforms `n` contiguous elements, in parallel where it pays.
///
/// # Safety
/// As [`apply_at`].
#[inline]
pub unsafe fn apply_contiguous<T: Sample, F: Transform<T::Work>>(
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
) {
    let level = aes_level();
    let (x, y) = (Pointer(x.cast_mut()), Pointer(y));
    for_each_range(n, GRAIN, |range| {
        let decisions = Decisions { offset: decisions.offset + range.start as u64, ..decisions };
        // SAFETY: the range is within the arrays.
        unsafe {
            let (x, y) = (x.get().add(range.start), y.get().add(range.start));
            apply_at(level, decisions, transform, x, y, range.len());
        }
    });
}
