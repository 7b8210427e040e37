//! Layer 0: work that threads hand on to each other piece by piece.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::waiting::Waiting;

/// A counter on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicUsize);

/// How many pieces each thread has handed on.
pub(super) struct Relay {
    /// Member 0's; one thread alone needs no memory for others.
    first: Count,
    others: Box<[Count]>,
    waiting: Waiting,
}

impl Relay {
    /// A relay of `members` threads.
    pub(super) fn new(members: usize) -> Self {
        let count = || Count(AtomicUsize::new(0));
        Self { first: count(), others: (1..members).map(|_| count()).collect(), waiting: Waiting::default() }
    }

    /// Nobody has handed anything on yet. No other thread uses the relay meanwhile.
    pub(super) fn reset(&self) {
        self.others.iter().chain([&self.first]).for_each(|count| count.0.store(0, SeqCst));
    }

    /// The counter of a member.
    fn of(&self, member: usize) -> &AtomicUsize {
        if member == 0 { &self.first.0 } else { &self.others[member - 1].0 }
    }

    /// How many pieces a member has handed on.
    pub(super) fn count(&self, member: usize) -> usize {
        self.of(member).load(SeqCst)
    }

    /// Hands a piece on.
    pub(super) fn hand_on(&self, member: usize) {
        self.of(member).fetch_add(1, SeqCst);
        self.waiting.look_again();
    }

    /// Waits until a member has handed on `count` pieces.
    ///
    /// # Panics
    /// Where another member panicked.
    pub(super) fn wait_for(&self, member: usize, count: usize) {
        self.waiting.until(|| self.count(member) >= count);
    }

    /// Lets everybody go who waits or will: a member failed.
    pub(super) fn break_up(&self) {
        self.waiting.break_up();
    }
}
