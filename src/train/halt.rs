//! Layer 4: how a team ends a step early, all members at the same point.
//!
//! Only the caller's thread is asked whether a call is to end ([`crate::interrupt`]). It says at which checkpoint, and each member
//! compares with the one that it has come to: a checkpoint that the caller named before a meeting is known to all after it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::interrupt::requested;
use crate::parallel::Member;

/// A place in a batch where a run may end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Checkpoint(u64);

impl Checkpoint {
    /// After all groups.
    pub(crate) const PHASE_ONE: Self = Self(u64::MAX - 2);
    /// In phase two: another place, because members may still leave phase one while the first is in phase two.
    pub(crate) const PHASE_TWO: Self = Self(u64::MAX - 1);

    /// After group `group` of the batch's panels.
    pub(crate) fn group(group: usize) -> Self {
        Self(group as u64)
    }
}

/// Where a team ends its run.
pub(crate) struct Halt(AtomicU64);

impl Default for Halt {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Halt {
    /// Whether the run ends at `here` or before; the caller's thread is asked first.
    pub(crate) fn ask(&self, member: &Member<'_>, here: Checkpoint) -> bool {
        if member.index == 0 && !self.reached(here) && requested() {
            self.0.store(here.0, Relaxed);
        }
        self.reached(here)
    }

    /// Whether the run ends at `here` or before.
    pub(crate) fn reached(&self, here: Checkpoint) -> bool {
        self.0.load(Relaxed) <= here.0
    }
}
