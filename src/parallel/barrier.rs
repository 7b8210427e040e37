//! Layer 0: a barrier.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::waiting::Waiting;

/// A meeting point for a fixed number of threads, used again and again.
pub struct Barrier {
    members: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    waiting: Waiting,
}

impl Barrier {
    /// A barrier for `members` threads.
    pub fn new(members: usize) -> Self {
        Self { members, arrived: AtomicUsize::new(0), generation: AtomicUsize::new(0), waiting: Waiting::new() }
    }

    /// Waits until all members have called this.
    ///
    /// # Panics
    /// Where another member panicked and will never come.
    #[inline]
    pub fn wait(&self) {
        if self.members == 1 {
            return;
        }
        let generation = self.generation.load(SeqCst);
        if self.arrived.fetch_add(1, SeqCst) + 1 == self.members {
            self.arrived.store(0, SeqCst);
            self.generation.fetch_add(1, SeqCst);
            self.waiting.look_again();
        }
        self.waiting.until(|| self.generation.load(SeqCst) != generation);
    }

    /// Lets everybody go who waits or will: a member failed.
    pub(super) fn break_up(&self) {
        self.waiting.break_up();
    }
}
