//! Layer 1: the decisions of one key and rate, 32 at a time, handed to whoever takes them.
//!
//! Ties are rare, and each look at them costs a comparison on the units that AES needs. So a [`GROUP`] of steps is
//! handed over with ties counted as kept, and mended afterwards where a tie drops.

use super::{Key, Rounds, Table, Threshold};
use crate::simd::{Aes, AesKernel, STEP};

/// The top bit of the block index: the domain that decides ties.
const TIES: u64 = 1 << 63;

/// Steps between two looks at ties.
pub(crate) const GROUP: usize = 4;

/// Blocks of a group.
pub(crate) const GROUP_BLOCKS: u64 = (GROUP * STEP) as u64 / 8;

/// From so many elements on a [`Table`] of the key pays for itself: it takes as long as the rounds it saves on 2^13.
pub(crate) const LONG: usize = 1 << 14;

/// Who takes the decisions of steps.
pub(crate) trait Steps<A: Aes>: Copy {
    /// Takes the decisions of step number `step`, ties counted as kept.
    fn take(self, a: A, step: usize, keep: A::Keep);

    /// An element that was taken as kept is dropped; `element` counts from the first step.
    fn drop(self, a: A, element: usize);
}

/// Decisions of one key and threshold.
#[derive(Clone, Copy)]
pub(crate) struct Draw<A: Aes> {
    rounds: Rounds<A>,
    upper: A::Words,
    key: Key,
    threshold: Threshold,
}

impl<A: Aes> Draw<A> {
    /// For thresholds that drop something and not everything: the others need no draw.
    #[inline(always)]
    pub(crate) fn new(a: A, key: Key, threshold: Threshold) -> Self {
        debug_assert!(!threshold.drops_all());
        Self { rounds: Rounds::new(a, key), upper: a.words(threshold.upper()), key, threshold }
    }

    /// The counters of elements `8 block` and on.
    #[inline(always)]
    pub(crate) fn counters(&self, a: A, block: u64) -> A::Block {
        self.rounds.counters(a, block)
    }

    /// The table of the key that serves block `block`.
    #[inline(always)]
    pub(crate) fn table(&self, a: A, block: u64) -> Table {
        Table::new(a, &self.rounds, block)
    }

    /// Decisions for [`STEP`] elements from `8 block` on.
    #[inline(always)]
    pub(crate) fn step(&self, a: A, counters: A::Block, block: u64) -> A::Keep {
        let mut near = a.far();
        let keep = self.provisional(a, self.rounds.apply(a, counters), &mut near);
        if a.met(near) {
            return a.keep_from_bits(a.keep_to_bits(keep) & !tied(a, self.key, self.threshold, block));
        }
        keep
    }

    /// Decisions with ties counted as kept but noted in `near`.
    #[inline(always)]
    fn provisional(&self, a: A, bits: A::Block, near: &mut A::Near) -> A::Keep {
        *near = a.note(*near, bits, self.upper);
        a.at_least(bits, self.upper)
    }

    /// Hands over whole groups from block `block` on; faster with a table, from a block that starts a group.
    #[inline(always)]
    pub(crate) fn groups<S: Steps<A>>(&self, a: A, table: Option<&Table>, block: u64, groups: usize, steps: S) {
        let last = block + groups as u64 * GROUP_BLOCKS;
        match table {
            Some(table) if block.is_multiple_of(GROUP_BLOCKS) && table.serves(block, last) => {
                self.groups_by(a, table, block, groups, steps);
            }
            _ => self.plain_groups(a, block, groups, steps),
        }
    }

    #[inline(always)]
    fn plain_groups<S: Steps<A>>(&self, a: A, block: u64, groups: usize, steps: S) {
        // A copy whose address nobody takes, so that the round keys stay in registers; below the same.
        let draw = *self;
        let mut counters = draw.counters(a, block);
        for group in 0..groups {
            let mut near = a.far();
            for i in 0..GROUP {
                let keep = draw.provisional(a, draw.rounds.apply(a, counters), &mut near);
                steps.take(a, group * GROUP + i, keep);
                counters = a.advance(counters, STEP as u64 / 8);
            }
            if a.met(near) {
                settle(a, draw.key, draw.threshold, block, group, steps);
            }
        }
    }

    #[inline(always)]
    fn groups_by<S: Steps<A>>(&self, a: A, table: &Table, block: u64, groups: usize, steps: S) {
        let draw = *self;
        let mut group = 0;
        while group < groups {
            let at = block + group as u64 * GROUP_BLOCKS;
            let window = draw.rounds.window(a, at & !255);
            let mut four = at as usize % 256 / 4;
            for _ in 0..(groups - group).min((64 - four) / GROUP) {
                let mut near = a.far();
                for i in 0..GROUP {
                    let keep = draw.provisional(a, draw.rounds.apply_in(a, table, window, four + i), &mut near);
                    steps.take(a, group * GROUP + i, keep);
                }
                if a.met(near) {
                    settle(a, draw.key, draw.threshold, block, group, steps);
                }
                four += GROUP;
                group += 1;
            }
        }
    }
}

/// Mends group number `group` from `block` on, in which ties were taken as kept.
///
/// By value, so that the round keys of the caller's [`Draw`] never need an address.
#[cold]
#[inline(never)]
fn settle<A: Aes, S: Steps<A>>(a: A, key: Key, threshold: Threshold, block: u64, group: usize, steps: S) {
    for step in group * GROUP..(group + 1) * GROUP {
        let mut dropped = tied(a, key, threshold, block + (step * STEP / 8) as u64);
        while dropped != 0 {
            steps.drop(a, step * STEP + dropped.trailing_zeros() as usize);
            dropped &= dropped - 1;
        }
    }
}

/// Which of the [`STEP`] elements from `8 block` on are ties that drop.
#[cold]
#[inline(never)]
fn tied<A: Aes>(a: A, key: Key, threshold: Threshold, block: u64) -> u32 {
    a.run(Tied { key, threshold, block })
}

struct Tied {
    key: Key,
    threshold: Threshold,
    block: u64,
}

impl AesKernel for Tied {
    type Output = u32;

    #[inline(always)]
    fn run<A: Aes>(self, a: A) -> u32 {
        let (upper, lower) = (a.words(self.threshold.upper()), self.threshold.lower());
        let rounds = Rounds::new(a, self.key);
        let mut ties = a.keep_to_bits(a.equal(rounds.apply(a, rounds.counters(a, self.block)), upper));
        let mut dropped = 0;
        while ties != 0 {
            let i = ties.trailing_zeros();
            ties &= ties - 1;
            let words = rounds.words(a, (2 * self.block + u64::from(i / 4)) | TIES);
            dropped |= u32::from(words[i as usize % 4] < lower) << i;
        }
        dropped
    }
}
