//! Layer 0: work that threads hand on to each other piece by piece.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::waiting::Waiting;

/// A counter on a cache line of its own.
#[repr(align(64))]
struct Count(AtomicUsize);

/// How many pieces each thread has handed on.
pub(super) struct Relay {
    counts: Box<[Count]>,
    waiting: Waiting,
}

impl Relay {
    /// A relay of `members` threads.
    pub(super) fn new(members: usize) -> Self {
        Self { counts: (0..members).map(|_| Count(AtomicUsize::new(0))).collect(), waiting: Waiting::new() }
    }

    /// How many pieces a member has handed on.
    pub(super) fn count(&self, member: usize) -> usize {
        self.counts[member].0.load(SeqCst)
    }

    /// Hands a piece on.
    pub(super) fn hand_on(&self, member: usize) {
        self.counts[member].0.fetch_add(1, SeqCst);
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
