//! Layer 2: masks as arrays: one byte or one bit a decision.

use super::layout::Walk;
use super::pages::for_each_part;
use super::run::{Run, Sink};
use super::{Decisions, Layout};
use crate::parallel::{Shared, for_each_range};
use crate::rng::{Steps, keep_bits_at};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, dispatch_aes_at};

/// Elements that are worth sharing with a thread that is awake: 16 µs of work.
const GRAIN: usize = 1 << 18;

/// A byte a decision; its maker promises as many as will be taken.
#[derive(Clone, Copy)]
struct Bools(*mut u8);

impl<A: Aes> Steps<A> for Bools {
    #[inline(always)]
    fn take(self, a: A, step: usize, keep: A::Keep) {
        // SAFETY: the maker's promise.
        unsafe { a.store_bools(keep, self.0.add(step * STEP)) };
    }

    fn drop(self, _: A, element: usize) {
        // SAFETY: the maker's promise.
        unsafe { self.0.add(element).write(0) };
    }
}

impl<A: Aes> Sink<A> for Bools {
    #[inline(always)]
    fn after(self, n: usize) -> Self {
        Self(self.0.wrapping_add(n))
    }

    #[inline(always)]
    fn few(self, _: A, bits: u32, n: usize) {
        for i in 0..n {
            // SAFETY: the maker's promise.
            unsafe { self.0.add(i).write((bits >> i & 1) as u8) };
        }
    }
}

/// Writes a byte a decision.
struct MaskBools<'a>(Decisions, &'a mut [u8]);

impl AesKernel for MaskBools<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let Self(decisions, out) = self;
        Run { decisions, table: None, sink: Bools(out.as_mut_ptr()), left: out.len() }.all(a);
    }
}

/// `out[i]` becomes 1 where element `i` is kept, else 0.
pub(crate) fn mask_bools(level: AesLevel, decisions: Decisions, out: &mut [u8]) {
    if decisions.threshold.drops_all() {
        return out.fill(0);
    }
    let shared = Shared::new(out);
    let work = |range: std::ops::Range<usize>| {
        let decisions = Decisions { offset: decisions.offset + range.start as u64, ..decisions };
        // SAFETY: ranges do not overlap.
        dispatch_aes_at(level, MaskBools(decisions, unsafe { shared.part(range) }));
    };
    // SAFETY: all of the slice, which nobody reads.
    unsafe { for_each_part(shared.as_ptr(), shared.len(), GRAIN, true, work) };
}

/// Decisions of `n` elements, eight a byte, the first in the lowest bit; unused bits of the last byte are 0.
pub(crate) fn mask_bits(level: AesLevel, decisions: Decisions, n: usize, out: &mut [u8]) {
    let Decisions { key, threshold, offset } = decisions;
    let shared = Shared::new(&mut out[..n.div_ceil(8)]);
    for_each_range(shared.len(), GRAIN / 8, |range| {
        // SAFETY: ranges do not overlap.
        let out = unsafe { shared.part(range.clone()) };
        let first = 8 * range.start;
        let count = (8 * out.len()).min(n - first);
        // SAFETY: any four bytes are a word.
        let (before, words, after) = unsafe { out.align_to_mut::<u32>() };
        let (head, body) = (count.min(8 * before.len()), 32 * words.len());
        let start = offset + first as u64;
        few(level, Decisions { offset: start, ..decisions }, head, before);
        keep_bits_at(level, key, threshold, start + head as u64, words, body.min(count - head));
        for word in words {
            *word = word.to_le();
        }
        let done = (head + body).min(count);
        few(level, Decisions { offset: start + done as u64, ..decisions }, count - done, after);
    });
}

/// At most a word of decisions as bytes.
fn few(level: AesLevel, decisions: Decisions, n: usize, out: &mut [u8]) {
    let mut bits = [0];
    keep_bits_at(level, decisions.key, decisions.threshold, decisions.offset, &mut bits, n);
    out.copy_from_slice(&bits[0].to_le_bytes()[..out.len()]);
}

/// Spreads decisions of the noise over an array: `out`, at the layout's output steps, becomes `noise` at its noise steps.
///
/// # Panics
/// Where the layout leaves one of the slices.
pub(crate) fn expand(layout: &Layout, noise: &[u8], out: &mut [u8]) {
    if layout.is_empty() {
        return;
    }
    let inner = layout.inner();
    let mut walk = Walk::from(layout.outer(), 0);
    for _ in 0..layout.len() / inner.size {
        let place = walk.place();
        walk.advance();
        let (from, to) = (place.noise as usize, place.output as usize);
        let run = &mut out[to..to + inner.size];
        match inner.noise {
            0 => run.fill(noise[from]),
            _ => run.copy_from_slice(&noise[from..from + inner.size]),
        }
    }
}
