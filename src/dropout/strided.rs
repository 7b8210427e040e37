//! Layer 2: any layout: decisions as bits for a piece of a run, then the transform on it.

use super::blocks::{NARROW_WIDTH, Rows};
use super::contiguous::{GRAIN, Pointer, apply_by, apply_contiguous, partial_step};
use super::layout::{Axis, Place, Walk};
use super::{Decisions, Layout, Sample, Transform, gaussian};
use crate::parallel::for_each_range;
use crate::rng::{Draw, Key, LONG, Table, keep_bits_by};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, dispatch_aes_at};

/// Elements of a piece of a run: its decisions take 2 KiB and stay in L1. Rows of so many are read without a gap, as the
/// processor foresees best: with a quarter of it rows of 8,192 `f32` from memory took 1.4 times a copy.
const PIECE: usize = 1 << 14;

/// From so many elements on a dense run is worth a call of its own.
const FUSED_FROM: usize = 128;

/// Transforms an array of any layout, in parallel where it pays.
///
/// # Safety
/// Every element of the layout is readable from `x` and writable from `y`, no two positions share an output element,
/// and input and output are the same elements or do not overlap.
pub(crate) unsafe fn apply<T: Sample, F: Transform<T::Work>>(
    level: AesLevel,
    decisions: Decisions,
    transform: F,
    layout: &Layout,
    x: *const T,
    y: *mut T,
) {
    if layout.is_empty() {
        return;
    }
    if layout.is_contiguous(size_of::<T>()) {
        // SAFETY: one run of `len` elements.
        return unsafe { apply_contiguous(decisions, transform, x, y, layout.len()) };
    }
    let (x, y) = (Pointer(x.cast_mut()), Pointer(y));
    let inner = layout.inner().size;
    let runs = layout.len() / inner;
    if runs == 1 {
        return for_each_range(inner, GRAIN, |elements| {
            dispatch_aes_at(level, Runs { decisions, transform, layout, x: x.get(), y: y.get(), runs: 0..1, elements });
        });
    }
    for_each_range(runs, GRAIN.div_ceil(inner), |runs| {
        let elements = 0..inner;
        dispatch_aes_at(level, Runs { decisions, transform, layout, x: x.get(), y: y.get(), runs, elements });
    });
}

/// Some runs of a layout, or a part of one run.
struct Runs<'a, T, F> {
    decisions: Decisions,
    transform: F,
    layout: &'a Layout,
    x: *const T,
    y: *mut T,
    runs: std::ops::Range<usize>,
    elements: std::ops::Range<usize>,
}

impl<T: Sample, F: Transform<T::Work>> AesKernel for Runs<'_, T, F> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let ready = self.transform.ready(a.simd());
        let mut bits = [0u32; PIECE / STEP];
        let own;
        let table = if self.runs.len() * self.elements.len() >= LONG && !self.decisions.threshold.drops_all() {
            let Decisions { key, threshold, offset } = self.decisions;
            own = Draw::new(a, key, threshold).table(a, offset / 8);
            Some(&own)
        } else {
            None
        };
        let inner = self.layout.inner();
        if let (true, Some(row)) = (inner.is_dense(size_of::<T>()), self.layout.outer().last()) {
            match (row.noise, inner.noise) {
                (0, 1) | (1, 0) => return self.rows(a, *row, ready, table, &mut bits),
                (_, 1) if inner.size >= FUSED_FROM => return self.fused(a, table),
                _ => {}
            }
        }
        let mut shared = Shared::new();
        for from in self.elements.clone().step_by(PIECE) {
            let n = PIECE.min(self.elements.end - from);
            let mut walk = Walk::from(self.layout.outer(), self.runs.start);
            let mut drawn = None;
            for _ in self.runs.clone() {
                let Place { input, output, noise } = walk.place();
                walk.advance();
                let noise = noise + from as u64 * inner.noise;
                if drawn != Some(noise) {
                    drawn = Some(noise);
                    self.draw(A::LEVEL, table, inner.noise, noise, n, &mut bits, &mut shared);
                }
                let (input, output) = (input + from as isize * inner.input, output + from as isize * inner.output);
                let (x, y) = (self.x.wrapping_byte_offset(input), self.y.wrapping_byte_offset(output));
                // SAFETY: `n` positions of the inner axis from here on are within the layout.
                unsafe {
                    if inner.is_dense(size_of::<T>()) || n == 1 {
                        dense::<A, T, F>(a, ready, &bits, x, y, n);
                    } else {
                        sparse::<A, T, F>(a, ready, &bits, (x, inner.input), (y, inner.output), n);
                    }
                }
            }
        }
    }
}

impl<T: Sample, F: Transform<T::Work>> Runs<'_, T, F> {
    /// Dense runs along an axis `row` that share decisions, all of them one mask or each of them one decision.
    #[inline(always)]
    fn rows<A: Aes>(
        &self,
        a: A,
        row: Axis,
        ready: F::Ready<A::Simd>,
        table: Option<&Table>,
        bits: &mut [u32; PIECE / STEP],
    ) {
        let Decisions { key, threshold, offset } = self.decisions;
        let mut ahead = Ahead::default();
        for from in self.elements.clone().step_by(PIECE) {
            let width = PIECE.min(self.elements.end - from);
            let mut walk = Walk::from(self.layout.outer(), self.runs.start);
            let mut left = self.runs.len();
            while left > 0 {
                let Place { input, output, noise } = walk.place();
                let count = walk.row().min(left).min(PIECE);
                let x = self.x.wrapping_byte_offset(input).wrapping_add(from);
                let y = self.y.wrapping_byte_offset(output).wrapping_add(from);
                let rows = Rows { x, y, count, width, input: row.input, output: row.output };
                let (start, n) = if row.noise == 0 { (noise + from as u64, width) } else { (noise, count) };
                if !ahead.has(start, n) {
                    // Narrow rows mostly follow one another in the noise: what is drawn beyond its end is not used.
                    let more =
                        if row.noise == 0 && width <= NARROW_WIDTH { left.div_ceil(row.size) * width } else { n };
                    ahead = Ahead { first: start, count: n.max(more.min(PIECE)) };
                    keep_bits_by(A::LEVEL, table, key, threshold, offset + start, bits, ahead.count);
                }
                // SAFETY: `width` positions of the inner axis from here on are within the layout, in each of `count` runs.
                unsafe {
                    if row.noise == 0 {
                        rows.repeat::<A, F>(a, ready, bits, (start - ahead.first) as usize);
                    } else {
                        rows.shared::<A, F>(a, ready, bits);
                    }
                }
                walk.advance_by(count);
                left -= count;
            }
        }
    }

    /// Dense runs, each with decisions of its own: as contiguous arrays one after the other.
    #[inline(always)]
    fn fused<A: Aes>(&self, a: A, table: Option<&Table>) {
        let n = self.elements.len();
        let mut walk = Walk::from(self.layout.outer(), self.runs.start);
        for _ in self.runs.clone() {
            let Place { input, output, noise } = walk.place();
            walk.advance();
            let from = self.elements.start;
            let offset = self.decisions.offset + noise + from as u64;
            let x = self.x.wrapping_byte_offset(input).wrapping_add(from);
            let y = self.y.wrapping_byte_offset(output).wrapping_add(from);
            // SAFETY: `n` positions of the inner axis are within the layout, side by side.
            unsafe { apply_by(a, table, Decisions { offset, ..self.decisions }, self.transform, x, y, n) };
        }
    }

    /// Decisions for `n` elements of a run whose first noise element is `noise`; innermost noise steps are 1 or 0.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a piece needs")]
    fn draw(
        &self,
        level: AesLevel,
        table: Option<&Table>,
        stride: u64,
        noise: u64,
        n: usize,
        bits: &mut [u32],
        shared: &mut Shared,
    ) {
        let Decisions { key, threshold, offset } = self.decisions;
        if stride == 1 {
            return keep_bits_by(level, table, key, threshold, offset + noise, bits, n);
        }
        let kept = shared.kept(level, Decisions { offset: offset + noise, ..self.decisions });
        let all = if kept { !0 } else { 0 };
        bits[..n.div_ceil(STEP)].fill(all);
    }
}

/// Which decisions have been drawn, counted from the offset.
#[derive(Default)]
struct Ahead {
    first: u64,
    count: usize,
}

impl Ahead {
    fn has(&self, start: u64, n: usize) -> bool {
        start >= self.first && start - self.first + n as u64 <= self.count as u64
    }
}

/// Decisions that hold for whole runs, drawn ahead: runs mostly follow one another in the noise.
struct Shared {
    first: u64,
    bits: [u32; Shared::COUNT / STEP],
    drawn: bool,
}

impl Shared {
    const COUNT: usize = 512;

    fn new() -> Self {
        Self { first: 0, bits: [0; Self::COUNT / STEP], drawn: false }
    }

    /// The decision at the offset.
    #[inline(always)]
    fn kept(&mut self, level: AesLevel, decisions: Decisions) -> bool {
        let Decisions { key, threshold, offset } = decisions;
        if !self.drawn || offset.wrapping_sub(self.first) >= Self::COUNT as u64 {
            // What is drawn beyond the end of the noise is not used.
            self.first = offset & !127;
            self.drawn = true;
            keep_bits_by(level, None, key, threshold, self.first, &mut self.bits, Self::COUNT);
        }
        let i = (offset - self.first) as usize;
        self.bits[i / STEP] >> (i % STEP) & 1 == 1
    }
}

/// A dense piece.
///
/// # Safety
/// As [`Sample::step`], for `n` elements.
#[inline(always)]
unsafe fn dense<A: Aes, T: Sample, F: Transform<T::Work>>(
    a: A,
    ready: F::Ready<A::Simd>,
    bits: &[u32],
    x: *const T,
    y: *mut T,
    n: usize,
) {
    let whole = n / STEP;
    for (i, &word) in bits[..whole].iter().enumerate() {
        // SAFETY: the step ends at or before `n`.
        unsafe { T::step::<A, F, false>(a, ready, a.keep_from_bits(word), x.add(i * STEP), y.add(i * STEP)) };
    }
    if !n.is_multiple_of(STEP) {
        let at = whole * STEP;
        // SAFETY: the rest of the piece.
        unsafe { partial_step::<A, T, F>(a, ready, a.keep_from_bits(bits[whole]), x.add(at), y.add(at), n - at) };
    }
}

/// A piece whose elements lie apart, through a buffer; strides count bytes.
///
/// # Safety
/// `n` elements are readable and writable by their strides.
#[inline(always)]
unsafe fn sparse<A: Aes, T: Sample, F: Transform<T::Work>>(
    a: A,
    ready: F::Ready<A::Simd>,
    bits: &[u32],
    (x, input): (*const T, isize),
    (y, output): (*mut T, isize),
    n: usize,
) {
    let mut buffer = [T::ZERO; STEP];
    for from in (0..n).step_by(STEP) {
        let count = STEP.min(n - from);
        for (i, item) in buffer[..count].iter_mut().enumerate() {
            // SAFETY: position `from + i` of the run.
            *item = unsafe { x.byte_offset((from + i) as isize * input).read_unaligned() };
        }
        let p = buffer.as_mut_ptr();
        // SAFETY: the buffer holds a step.
        unsafe { T::step::<A, F, false>(a, ready, a.keep_from_bits(bits[from / STEP]), p, p) };
        for (i, item) in buffer[..count].iter().enumerate() {
            // SAFETY: position `from + i` of the run.
            unsafe { y.byte_offset((from + i) as isize * output).write_unaligned(*item) };
        }
    }
}

/// Multiplies an array of any layout by Gaussian noise, in parallel where it pays.
///
/// # Safety
/// As [`apply`].
pub(crate) unsafe fn gaussian_layout<T: Sample>(
    key: Key,
    offset: u64,
    deviation: f64,
    layout: &Layout,
    x: *const T,
    y: *mut T,
) {
    if layout.is_empty() {
        return;
    }
    let (x, y) = (Pointer(x.cast_mut()), Pointer(y));
    if layout.is_contiguous(size_of::<T>()) {
        return for_each_range(layout.len(), GRAIN / 4, |range| {
            // SAFETY: the range is within the array.
            unsafe {
                let (x, y) = (x.get().add(range.start), y.get().add(range.start));
                gaussian(key, offset + range.start as u64, deviation, x, y, range.len());
            }
        });
    }
    let inner = layout.inner();
    for_each_range(layout.len() / inner.size, (GRAIN / 4).div_ceil(inner.size), |runs| {
        let mut walk = Walk::from(layout.outer(), runs.start);
        let mut buffer = [T::ZERO; 256];
        for _ in runs {
            let place = walk.place();
            walk.advance();
            for from in (0..inner.size).step_by(buffer.len()) {
                let n = buffer.len().min(inner.size - from);
                // SAFETY: positions `from` to `from + n` of the run; the buffer holds `n`.
                unsafe {
                    for (i, item) in buffer[..n].iter_mut().enumerate() {
                        let at = place.input + (from + i) as isize * inner.input;
                        *item = x.get().byte_offset(at).read_unaligned();
                    }
                    let p = buffer.as_mut_ptr();
                    gaussian(key, offset + place.noise + from as u64, deviation, p, p, n);
                    for (i, item) in buffer[..n].iter().enumerate() {
                        let at = place.output + (from + i) as isize * inner.output;
                        y.get().byte_offset(at).write_unaligned(*item);
                    }
                }
            }
        }
    });
}
