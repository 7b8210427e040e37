//! Layer 2: one contiguous run: draw, transform and store in one pass.

use std::mem::MaybeUninit;

use super::{Decisions, Sample, Transform};
use crate::parallel::for_each_range;
use crate::rng::{Draw, keep_bits_at, tied};
use crate::simd::{Aes, AesKernel, AesLevel, Element, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Output of so many bytes is stored past the caches: it would push its own input out of them.
const STREAM_FROM: usize = 16 << 20;

/// Fewer elements than this for a thread are not worth waking it: that takes about 5 µs, a draw of 2^17 elements 13 µs.
pub(super) const GRAIN: usize = 1 << 17;

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
/// [`STEP`] elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not. For `STREAM`, which
/// stores past the caches, `y` is aligned to 64 bytes.
#[inline(always)]
pub(super) unsafe fn step<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool>(
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
            T::store::<_, STREAM>(s, result, y.add(at));
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
        step::<A, T, F, false>(a, ready, keep, buffer, buffer);
        std::ptr::copy_nonoverlapping(buffer, y, n);
    }
}

/// Writes what dropped elements become; its maker promises `n` writable elements at `y`.
struct Fill<T, F> {
    transform: F,
    y: *mut T,
    n: usize,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Fill<T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let s = a.simd();
        let ready = self.transform.ready(s);
        let none = T::mask(a, a.keep_from_bits(0), 0);
        let mut dropped = [T::ZERO; STEP];
        // SAFETY: the buffer holds a step; `n` elements are the maker's promise.
        unsafe {
            T::store::<_, false>(s, F::apply(ready, V::<A::Simd, T::Work>::zero(s), none), dropped.as_mut_ptr());
            for i in 0..self.n {
                self.y.add(i).write(dropped[0]);
            }
        }
    }
}

/// A few elements at any position, at most [`STEP`]; its maker promises them at `x` and `y`.
struct Few<T, F> {
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Few<T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Decisions { key, threshold, offset } = self.decisions;
        let mut bits = [0];
        keep_bits_at(A::LEVEL, key, threshold, offset, &mut bits, self.n);
        let (ready, keep) = (self.transform.ready(a.simd()), a.keep_from_bits(bits[0]));
        // SAFETY: the maker's promise.
        unsafe { partial_step::<A, T, F>(a, ready, keep, self.x, self.y, self.n) };
    }
}

/// Runs [`Few`] out of line.
#[inline(never)]
fn few<A: Aes, T: Sample, F: Transform<T::Work>>(a: A, few: Few<T, F>) {
    a.run(few);
}

/// Steps between two looks at ties.
const GROUP: usize = 4;

/// Elements of a group.
const ELEMENTS: usize = GROUP * STEP;

/// From so many elements on it pays to go to the start of a group first.
const ALIGN_FROM: usize = 32 * ELEMENTS;

/// Corrects a group in which ties were taken as kept: those that drop become what dropped elements become.
///
/// # Safety
/// A group's elements at `y` are writable.
#[cold]
#[inline(never)]
unsafe fn settle<A: Aes, T: Sample, F: Transform<T::Work>>(a: A, transform: F, decisions: Decisions, y: *mut T) {
    let Decisions { key, threshold, offset } = decisions;
    for i in 0..GROUP {
        let mut dropped = tied(a, key, threshold, offset / 8 + (i * STEP / 8) as u64);
        while dropped != 0 {
            let at = i * STEP + dropped.trailing_zeros() as usize;
            dropped &= dropped - 1;
            // SAFETY: within the group.
            a.run(Fill { transform, y: unsafe { y.add(at) }, n: 1 });
        }
    }
}

struct Run<T, F> {
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
    /// Whether to store past the caches.
    stream: bool,
}

/// A run in progress: what is left of it.
struct Progress<T, F> {
    /// The offset is that of the next element.
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    left: usize,
}

impl<T: Sample, F: Transform<T::Work>> Progress<T, F> {
    /// Goes on by `n` elements.
    #[inline(always)]
    fn advance(&mut self, n: usize) {
        self.x = self.x.wrapping_add(n);
        self.y = self.y.wrapping_add(n);
        self.left -= n;
        self.decisions.offset += n as u64;
    }

    /// At most `n` elements, which are at most [`STEP`], at any position.
    ///
    /// # Safety
    /// What is left is readable and writable; so for all methods.
    #[inline(always)]
    unsafe fn few<A: Aes>(&mut self, a: A, n: usize) {
        let n = n.min(self.left);
        if n > 0 {
            let Self { decisions, transform, x, y, .. } = *self;
            few(a, Few { decisions, transform, x, y, n });
            self.advance(n);
        }
    }

    /// Whole groups of steps, from a position that starts a block.
    #[inline(always)]
    unsafe fn groups<A: Aes, const STREAM: bool>(&mut self, a: A) {
        let Self { decisions, transform, x, y, left } = *self;
        let Decisions { key, threshold, offset } = decisions;
        let (draw, ready) = (Draw::new(a, key, threshold), transform.ready(a.simd()));
        let mut counters = draw.counters(a, offset / 8);
        for group in 0..left / ELEMENTS {
            let (x, y) = (x.wrapping_add(group * ELEMENTS), y.wrapping_add(group * ELEMENTS));
            let mut near = a.far();
            for i in 0..GROUP {
                if STREAM {
                    prefetch_step(a, x.wrapping_add(i * STEP));
                }
                let keep = draw.provisional(a, counters, &mut near);
                // SAFETY: a group is left.
                unsafe { step::<A, T, F, STREAM>(a, ready, keep, x.add(i * STEP), y.add(i * STEP)) };
                counters = a.advance(counters, STEP as u64 / 8);
            }
            if a.met(near) {
                let decisions = Decisions { offset: offset + (group * ELEMENTS) as u64, ..decisions };
                // SAFETY: a group is left.
                unsafe { settle(a, transform, decisions, y) };
            }
        }
        self.advance(left / ELEMENTS * ELEMENTS);
    }

    /// Whole groups, from a position that starts a group of the stream: faster by an AES round than [`Self::groups`].
    #[inline(always)]
    unsafe fn aligned_groups<A: Aes, const STREAM: bool>(&mut self, a: A) {
        let Self { decisions, transform, mut x, mut y, left } = *self;
        let Decisions { key, threshold, offset } = decisions;
        let (draw, ready) = (Draw::new(a, key, threshold), transform.ready(a.simd()));
        let (mut block, mut groups) = (offset / 8, left / ELEMENTS);
        while groups > 0 {
            let window = draw.window(a, block & !255);
            let mut four = block as usize % 256 / 4;
            let count = groups.min((64 - four) / GROUP);
            for _ in 0..count {
                let mut near = a.far();
                for i in 0..GROUP {
                    if STREAM {
                        prefetch_step(a, x.wrapping_add(i * STEP));
                    }
                    let keep = draw.provisional_in(a, window, four + i, &mut near);
                    // SAFETY: a group is left.
                    unsafe { step::<A, T, F, STREAM>(a, ready, keep, x.add(i * STEP), y.add(i * STEP)) };
                }
                if a.met(near) {
                    let decisions = Decisions { offset: 8 * ((block & !255) + 4 * four as u64), ..decisions };
                    // SAFETY: a group is left.
                    unsafe { settle(a, transform, decisions, y) };
                }
                four += GROUP;
                (x, y) = (x.wrapping_add(ELEMENTS), y.wrapping_add(ELEMENTS));
            }
            groups -= count;
            block += (count * ELEMENTS / 8) as u64;
        }
        self.advance(left / ELEMENTS * ELEMENTS);
    }

    /// Whole steps from any position, stored past the caches: decisions of a step are joined from two draws.
    #[inline(always)]
    unsafe fn shifted_steps<A: Aes>(&mut self, a: A) {
        let Self { decisions, transform, x, y, left } = *self;
        let Decisions { key, threshold, offset } = decisions;
        let (draw, ready) = (Draw::new(a, key, threshold), transform.ready(a.simd()));
        let (mut block, shift) = (offset / 8, offset % 8);
        let mut counters = draw.counters(a, block);
        let mut bits = u64::from(a.keep_to_bits(draw.step(a, counters, block)));
        for i in 0..left / STEP {
            let (x, y) = (x.wrapping_add(i * STEP), y.wrapping_add(i * STEP));
            prefetch_step(a, x);
            counters = a.advance(counters, STEP as u64 / 8);
            block += STEP as u64 / 8;
            bits |= u64::from(a.keep_to_bits(draw.step(a, counters, block))) << 32;
            let keep = a.keep_from_bits((bits >> shift) as u32);
            // SAFETY: a step is left.
            unsafe { step::<A, T, F, true>(a, ready, keep, x, y) };
            bits >>= 32;
        }
        self.advance(left / STEP * STEP);
    }
}

/// Asks for the lines of a step some way ahead.
#[inline(always)]
fn prefetch_step<A: Aes, T>(a: A, x: *const T) {
    for line in 0..STEP * size_of::<T>() / 64 {
        a.prefetch(x.wrapping_byte_add(AHEAD + 64 * line));
    }
}

/// How far ahead, in bytes, streaming asks for its input.
const AHEAD: usize = 1024;

impl<T: Sample, F: Transform<T::Work>> AesKernel for Run<T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Self { decisions, transform, x, y, n: left, stream } = self;
        if decisions.threshold.drops_all() {
            return a.run(Fill { transform, y, n: left });
        }
        let mut run = Progress { decisions, transform, x, y, left };
        // SAFETY: the maker of the kernel promises `n` elements.
        unsafe {
            if stream {
                // Up to an aligned line of the output, however many elements that takes.
                let mut head = y.align_offset(64).min(left);
                while head > 0 {
                    let n = head.min(STEP);
                    run.few(a, n);
                    head -= n;
                }
                if run.decisions.offset.is_multiple_of(ELEMENTS as u64) {
                    run.aligned_groups::<A, true>(a);
                } else if run.decisions.offset.is_multiple_of(8) {
                    run.groups::<A, true>(a);
                } else if A::LEVEL == AesLevel::Vaes512 {
                    // Elsewhere joining decisions costs more than the caches do.
                    run.shifted_steps(a);
                }
                V::<A::Simd, T::Work>::fence(a.simd());
            }
            // Up to the first element that starts a block.
            run.few(a, (run.decisions.offset.wrapping_neg() % 8) as usize);
            while run.left >= ALIGN_FROM && !run.decisions.offset.is_multiple_of(ELEMENTS as u64) {
                let to_group = ELEMENTS - run.decisions.offset as usize % ELEMENTS;
                run.few(a, to_group.min(STEP));
            }
            if run.decisions.offset.is_multiple_of(ELEMENTS as u64) {
                run.aligned_groups::<A, false>(a);
            } else {
                run.groups::<A, false>(a);
            }
            while run.left > 0 {
                run.few(a, STEP);
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
    stream: bool,
) {
    dispatch_aes_at(level, Run { decisions, transform, x, y, n, stream });
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
    let stream = n * size_of::<T>() >= STREAM_FROM && !std::ptr::eq(x, y);
    let (x, y) = (Pointer(x.cast_mut()), Pointer(y));
    for_each_range(n, GRAIN, |range| {
        let decisions = Decisions { offset: decisions.offset + range.start as u64, ..decisions };
        // SAFETY: the range is within the arrays.
        unsafe {
            let (x, y) = (x.get().add(range.start), y.get().add(range.start));
            apply_at(level, decisions, transform, x, y, range.len(), stream);
        }
    });
}
