//! Layer 2: one contiguous run: draw, transform and store in one pass.

use std::mem::MaybeUninit;

use super::pages::for_each_part;
use super::run::{Run, Sink};
use super::{Decisions, Sample, Transform};
use crate::parallel::num_threads;
use crate::rng::{Draw, Steps, Table};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Output of so many bytes is stored past the caches by one thread: it would push its own input out of them. Several
/// threads together store no faster than one, at 28 GB/s, and through the caches they are quicker up to twice as many.
const STREAM_FROM: usize = 16 << 20;

/// Elements that are worth sharing with a thread that is awake: 13 µs of work. A sleeping one is woken for ten times as
/// many.
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

/// Fewer elements than a step, through a buffer.
///
/// # Safety
/// As [`Sample::step`], for `n <= STEP` elements.
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
        T::step::<A, F, false>(a, ready, keep, buffer, buffer);
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
        let ready = self.transform.ready(a.simd());
        let mut dropped = [T::ZERO; STEP];
        let p = dropped.as_mut_ptr();
        // SAFETY: the buffer holds a step; `n` elements are the maker's promise.
        unsafe {
            T::step::<A, F, false>(a, ready, a.keep_from_bits(0), p, p);
            for i in 0..self.n {
                self.y.add(i).write(dropped[0]);
            }
        }
    }
}

/// A few elements, at most [`STEP`]; its maker promises them at `x` and `y`.
struct Few<T, F> {
    transform: F,
    bits: u32,
    x: *const T,
    y: *mut T,
    n: usize,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Few<T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let (ready, keep) = (self.transform.ready(a.simd()), a.keep_from_bits(self.bits));
        // SAFETY: the maker's promise.
        unsafe { partial_step::<A, T, F>(a, ready, keep, self.x, self.y, self.n) };
    }
}

/// Runs [`Few`] out of line.
#[inline(never)]
fn few<A: Aes, T: Sample, F: Transform<T::Work>>(a: A, few: Few<T, F>) {
    a.run(few);
}

/// The elements that the decisions of a run are for; its maker promises them at `x` and `y`, and for `STREAM`, which
/// stores past the caches, that `y` is aligned to 64 bytes.
struct Elements<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool> {
    transform: F,
    ready: F::Ready<A::Simd>,
    x: *const T,
    y: *mut T,
}

impl<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool> Clone for Elements<A, T, F, STREAM> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool> Copy for Elements<A, T, F, STREAM> {}

impl<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool> Steps<A> for Elements<A, T, F, STREAM> {
    #[inline(always)]
    fn take(self, a: A, number: usize, keep: A::Keep) {
        let (x, y) = (self.x.wrapping_add(number * STEP), self.y.wrapping_add(number * STEP));
        if STREAM {
            prefetch_step(a, x);
        }
        // SAFETY: the maker's promise.
        unsafe { T::step::<A, F, STREAM>(a, self.ready, keep, x, y) };
    }

    fn drop(self, a: A, element: usize) {
        // SAFETY: the maker's promise.
        a.run(Fill { transform: self.transform, y: unsafe { self.y.add(element) }, n: 1 });
    }
}

impl<A: Aes, T: Sample, F: Transform<T::Work>, const STREAM: bool> Sink<A> for Elements<A, T, F, STREAM> {
    #[inline(always)]
    fn after(self, n: usize) -> Self {
        Self { x: self.x.wrapping_add(n), y: self.y.wrapping_add(n), ..self }
    }

    #[inline(always)]
    fn few(self, a: A, bits: u32, n: usize) {
        let Self { transform, x, y, .. } = self;
        few(a, Few { transform, bits, x, y, n });
    }
}

/// Whole steps from any position, stored past the caches: decisions of a step are joined from two draws.
#[inline(always)]
fn shifted_steps<A: Aes, T: Sample, F: Transform<T::Work>>(a: A, run: &mut Run<'_, Elements<A, T, F, true>>) {
    let Decisions { key, threshold, offset } = run.decisions;
    let (draw, elements) = (Draw::new(a, key, threshold), run.sink);
    let (mut block, shift) = (offset / 8, offset % 8);
    let mut counters = draw.counters(a, block);
    let mut bits = u64::from(a.keep_to_bits(draw.step(a, counters, block)));
    for i in 0..run.left / STEP {
        counters = a.advance(counters, STEP as u64 / 8);
        block += STEP as u64 / 8;
        bits |= u64::from(a.keep_to_bits(draw.step(a, counters, block))) << 32;
        elements.take(a, i, a.keep_from_bits((bits >> shift) as u32));
        bits >>= 32;
    }
    run.advance(a, run.left / STEP * STEP);
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

/// A contiguous array; its maker promises `n` elements at `x` and `y`.
struct Apply<'t, T, F> {
    decisions: Decisions,
    table: Option<&'t Table>,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
    /// Whether to store past the caches.
    stream: bool,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Apply<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Self { mut decisions, table, transform, mut x, mut y, n: mut left, stream } = self;
        if decisions.threshold.drops_all() {
            return a.run(Fill { transform, y, n: left });
        }
        let ready = transform.ready(a.simd());
        if stream && A::LEVEL != AesLevel::Soft {
            let sink = Elements::<A, T, F, true> { transform, ready, x, y };
            let mut run = Run { decisions, table, sink, left };
            // Up to an aligned line of the output, however many elements that takes.
            let mut head = y.align_offset(64).min(left);
            while head > 0 {
                let n = head.min(STEP);
                run.few(a, n);
                head -= n;
            }
            if run.decisions.offset.is_multiple_of(8) {
                run.groups(a);
            } else if A::LEVEL == AesLevel::Vaes512 {
                // Elsewhere joining decisions costs more than the caches do.
                shifted_steps(a, &mut run);
            }
            V::<A::Simd, T::Work>::fence(a.simd());
            (decisions, x, y, left) = (run.decisions, run.sink.x, run.sink.y, run.left);
        }
        let sink = Elements::<A, T, F, false> { transform, ready, x, y };
        Run { decisions, table, sink, left }.all(a);
    }
}

/// Transforms `n` elements on the calling thread, on a given level.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`; `x == y` is fine, other overlap is not.
///
/// # Panics
/// Where the processor lacks the level.
pub(crate) unsafe fn apply_at<T: Sample, F: Transform<T::Work>>(
    level: AesLevel,
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
    stream: bool,
) {
    dispatch_aes_at(level, Apply { decisions, table: None, transform, x, y, n, stream });
}

/// [`apply_at`] through the caches, by a table of the key that the caller made for many runs.
///
/// # Safety
/// As [`apply_at`].
pub(super) unsafe fn apply_by<A: Aes, T: Sample, F: Transform<T::Work>>(
    a: A,
    table: Option<&Table>,
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
) {
    a.run(Apply { decisions, table, transform, x, y, n, stream: false });
}

/// Transforms `n` contiguous elements, in parallel where it pays.
///
/// # Safety
/// As [`apply_at`].
#[inline]
pub(crate) unsafe fn apply_contiguous<T: Sample, F: Transform<T::Work>>(
    decisions: Decisions,
    transform: F,
    x: *const T,
    y: *mut T,
    n: usize,
) {
    let level = aes_level();
    let apart = !std::ptr::eq(x, y);
    let stream = apart && n * size_of::<T>() >= STREAM_FROM * num_threads().min(2);
    let (from, to) = (Pointer(x.cast_mut()), Pointer(y));
    let work = |range: std::ops::Range<usize>| {
        let decisions = Decisions { offset: decisions.offset + range.start as u64, ..decisions };
        // SAFETY: the range is within the arrays.
        unsafe {
            let (x, y) = (from.get().add(range.start), to.get().add(range.start));
            apply_at(level, decisions, transform, x, y, range.len(), stream);
        }
    };
    // SAFETY: the caller promises the elements; input that is apart from the output does not change with it.
    unsafe { for_each_part(y, n, GRAIN, apart, work) };
}
