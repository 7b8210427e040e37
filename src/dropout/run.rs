//! Layer 2: one run of consecutive decisions, from any position to any other: head, whole groups, tail.

use super::Decisions;
use crate::rng::{Draw, GROUP, LONG, Steps, Table, keep_bits_by};
use crate::simd::{Aes, STEP};

/// Elements of a group.
pub(super) const ELEMENTS: usize = GROUP * STEP;

/// From so many elements on it pays to go to the start of a group first.
const ALIGN_FROM: usize = 32 * ELEMENTS;

/// Who takes the decisions of a run.
pub(super) trait Sink<A: Aes>: Steps<A> {
    /// The rest after `n` elements.
    fn after(self, n: usize) -> Self;

    /// Takes the decisions of `n <= STEP` elements.
    fn few(self, a: A, bits: u32, n: usize);
}

/// What is left of a run; the sink's maker promises `left` elements.
pub(super) struct Run<'t, S> {
    /// The offset is that of the next element.
    pub(crate) decisions: Decisions,
    pub(crate) table: Option<&'t Table>,
    pub(crate) sink: S,
    pub(crate) left: usize,
}

impl<'t, S: Copy> Run<'t, S> {
    /// All that is left.
    #[inline(always)]
    pub(crate) fn all<A: Aes>(mut self, a: A)
    where
        S: Sink<A>,
    {
        // Up to the first element that starts a block.
        self.few(a, (self.decisions.offset.wrapping_neg() % 8) as usize);
        while self.left >= ALIGN_FROM && !self.decisions.offset.is_multiple_of(ELEMENTS as u64) {
            let to_group = ELEMENTS - self.decisions.offset as usize % ELEMENTS;
            self.few(a, to_group.min(STEP));
        }
        self.groups(a);
        while self.left > 0 {
            self.few(a, STEP);
        }
    }

    /// At most `n` elements, which are at most [`STEP`], at any position.
    #[inline(always)]
    pub(crate) fn few<A: Aes>(&mut self, a: A, n: usize)
    where
        S: Sink<A>,
    {
        let n = n.min(self.left);
        if n > 0 {
            let Decisions { key, threshold, offset } = self.decisions;
            let mut bits = [0];
            keep_bits_by(A::LEVEL, None, key, threshold, offset, &mut bits, n);
            self.sink.few(a, bits[0], n);
            self.advance(a, n);
        }
    }

    /// Whole groups, from a position that starts a block.
    #[inline(always)]
    pub(crate) fn groups<A: Aes>(&mut self, a: A)
    where
        S: Sink<A>,
    {
        let Decisions { key, threshold, offset } = self.decisions;
        let draw = Draw::new(a, key, threshold);
        let own;
        let table = if self.table.is_none() && self.left >= LONG {
            own = draw.table(a, offset / 8);
            Some(&own)
        } else {
            self.table
        };
        draw.groups(a, table, offset / 8, self.left / ELEMENTS, self.sink);
        self.advance(a, self.left / ELEMENTS * ELEMENTS);
    }

    /// Goes on by `n` elements.
    #[inline(always)]
    pub(crate) fn advance<A: Aes>(&mut self, _: A, n: usize)
    where
        S: Sink<A>,
    {
        self.sink = self.sink.after(n);
        self.left -= n;
        self.decisions.offset += n as u64;
    }
}
