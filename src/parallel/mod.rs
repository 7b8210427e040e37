//! Layer 0: threads. How many, a pool of workers for each process, and the two ways to use it.
//!
//! * [`for_each_range`], [`for_each_part`]: independent pieces of one range, for work without steps.
//! * [`Team`]: the same closure on several threads at once, one turn after the other, with meetings within a turn, or work handed on from one
//!   member to the next.
//!
//! The caller is always one of the threads. Where the workers are with somebody else's call, the caller works alone:
//! nothing waits for a thread, and results never depend on how many there were (`docs/numerics.md`). How many are worth it is
//! measured: `policy.rs` and `docs/internals/threads.md`.

mod barrier;
mod job;
mod parts;
mod policy;
mod pool;
mod relay;
mod shared;
mod team;
mod threads;
mod waiting;
mod workers;

use barrier::Barrier;
pub(crate) use policy::TeamPolicy;
pub(crate) use pool::{Effort, Forced, for_each_part, for_each_part_by, for_each_range, force};
use relay::Relay;
pub(crate) use shared::{Shared, View};
pub(crate) use team::{Team, team};
pub(crate) use threads::{MAX_THREADS, configure, cores, num_threads, process_threads, set_limit, set_num_threads};

/// One of the threads of a [`Team`].
pub(crate) struct Member<'a> {
    /// Its number, 0 (the caller) to `size - 1`.
    pub(crate) index: usize,
    /// How many there are.
    pub(crate) size: usize,
    barrier: &'a Barrier,
    relay: &'a Relay,
}

impl Member<'_> {
    /// A team of the calling thread alone.
    pub(crate) fn alone<R>(work: impl FnOnce(&Member<'_>) -> R) -> R {
        work(&Member { index: 0, size: 1, barrier: &Barrier::default(), relay: &Relay::new(1) })
    }

    /// How many pieces this member has handed on.
    #[inline]
    pub(crate) fn handed_on(&self) -> usize {
        self.relay.count(self.index)
    }

    /// Hands a piece of work on: what this member wrote before is visible to who waits for it.
    #[inline]
    pub(crate) fn hand_on(&self) {
        self.relay.hand_on(self.index);
    }

    /// Waits until member `index` has handed on `count` pieces in all.
    #[inline]
    pub(crate) fn wait_for(&self, index: usize, count: usize) {
        self.relay.wait_for(index, count);
    }

    /// Waits until every member has come here. What members wrote before is visible to all after.
    #[inline]
    pub(crate) fn wait(&self) {
        self.barrier.wait(self.size);
    }

    /// This member's contiguous share of `0..count`; shares differ by one item at most.
    #[inline]
    pub(crate) fn share(&self, count: usize) -> std::ops::Range<usize> {
        self.index * count / self.size..(self.index + 1) * count / self.size
    }
}

#[cfg(test)]
mod tests;
