//! Layer 0: a barrier that spins briefly and then sleeps.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

/// How often a waiting thread looks before it sleeps: about 30 µs, longer than the threads of a balanced step are apart
/// and short beside a scheduler's time slice, so that an oversubscribed machine loses little.
const SPINS: usize = 2_000;

/// A meeting point for a fixed number of threads, used again and again.
pub struct Barrier {
    members: usize,
    arrived: AtomicUsize,
    generation: AtomicUsize,
    sleepers: AtomicUsize,
    broken: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Barrier {
    /// A barrier for `members` threads.
    pub fn new(members: usize) -> Self {
        Self {
            members,
            arrived: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
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
            self.release();
        } else {
            self.wait_for(generation);
        }
        assert!(!self.broken.load(SeqCst), "another thread of this call failed");
    }

    /// Lets everybody go who waits or will: a member failed.
    pub(super) fn break_up(&self) {
        self.broken.store(true, SeqCst);
        self.release();
    }

    fn release(&self) {
        self.generation.fetch_add(1, SeqCst);
        // A sleeper counts itself before it looks at the generation for the last time, and both orders are
        // sequentially consistent: either it sees the new generation or it is seen here.
        if self.sleepers.load(SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }

    fn passed(&self, generation: usize) -> bool {
        self.generation.load(SeqCst) != generation || self.broken.load(SeqCst)
    }

    fn wait_for(&self, generation: usize) {
        for _ in 0..SPINS {
            if self.passed(generation) {
                return;
            }
            std::hint::spin_loop();
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.sleepers.fetch_add(1, SeqCst);
        while !self.passed(generation) {
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }
}
