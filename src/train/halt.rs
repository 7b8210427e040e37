//! Layer 4: how a team ends a step early, all members at the same point.
//!
//! Only the caller's thread is asked whether a call is to end ([`crate::interrupt`]). It says at which checkpoint, and each member
//! compares with the one that it has come to: a checkpoint that the caller named before a meeting is known to all after it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::interrupt::requested;
use crate::parallel::Member;

/// A place in a run where it may end: of batch `batch`, the end of group `group` of its panels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checkpoint(u64);

impl Checkpoint {
    /// After a group of panels.
    pub fn group(batch: usize, group: usize) -> Self {
        Self((batch as u64) << 32 | group as u64)
    }

    /// In phase two, after all groups.
    pub fn phase_two(batch: usize) -> Self {
        Self((batch as u64) << 32 | u64::from(u32::MAX))
    }
}

/// Where a team ends its run.
pub struct Halt(AtomicU64);

impl Default for Halt {
    fn default() -> Self {
        Self(AtomicU64::new(u64::MAX))
    }
}

impl Halt {
    /// Whether the run ends at `here` or before; the caller's thread is asked first.
    pub fn ask(&self, member: &Member<'_>, here: Checkpoint) -> bool {
        if member.index == 0 && !self.reached(here) && requested() {
            self.0.store(here.0, Relaxed);
        }
        self.reached(here)
    }

    /// Whether the run ends at `here` or before.
    pub fn reached(&self, here: Checkpoint) -> bool {
        self.0.load(Relaxed) <= here.0
    }
}
