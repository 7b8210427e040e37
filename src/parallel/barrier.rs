//! Layer 0: a barrier.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::waiting::Waiting;

/// A meeting point for threads, used again and again.
#[derive(Default)]
pub(super) struct Barrier {
    arrived: AtomicUsize,
    generation: AtomicUsize,
    waiting: Waiting,
}

impl Barrier {
    /// Waits until `members` threads have called this; all say the same number.
    ///
    /// # Panics
    /// Where another member panicked and will never come.
    #[inline]
    pub(super) fn wait(&self, members: usize) {
        if members == 1 {
            return;
        }
        let generation = self.generation.load(SeqCst);
        if self.arrived.fetch_add(1, SeqCst) + 1 == members {
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
