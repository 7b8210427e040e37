//! Layer 0: waiting for another thread, awake at first and then asleep.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};

/// How often a waiting thread looks before it lets others run: about 30 µs, longer than the threads of a balanced step are apart.
const SPINS: usize = 2_000;

/// How often it lets others run before it sleeps: some 200 µs where nobody else wants the core, so that who waits for a piece of work need not
/// be woken; on an oversubscribed machine the others have time slices meanwhile.
const YIELDS: usize = 500;

/// Threads that wait for what others will do.
pub(super) struct Waiting {
    sleepers: AtomicUsize,
    broken: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            sleepers: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
            lock: Mutex::new(()),
            wake: Condvar::new(),
        }
    }

    /// Waits until `come` holds.
    ///
    /// # Panics
    /// Where another thread failed, so that it may never hold.
    pub(super) fn until(&self, come: impl Fn() -> bool) {
        let over = || come() || self.broken.load(SeqCst);
        if !awake(over) {
            let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleepers.fetch_add(1, SeqCst);
            while !over() {
                guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleepers.fetch_sub(1, SeqCst);
        }
        assert!(!self.broken.load(SeqCst), "another thread of this call failed");
    }

    /// Wakes sleepers to look again, after a sequentially consistent store to what they look at: a sleeper counts itself before it
    /// looks for the last time, so either it sees the store or it is seen here.
    pub(super) fn look_again(&self) {
        if self.sleepers.load(SeqCst) > 0 {
            drop(self.lock.lock().unwrap_or_else(PoisonError::into_inner));
            self.wake.notify_all();
        }
    }

    /// Lets everybody go who waits or will: a thread failed.
    pub(super) fn break_up(&self) {
        self.broken.store(true, SeqCst);
        self.look_again();
    }
}

/// Looks until something is over, or too often: whether it is.
fn awake(over: impl Fn() -> bool) -> bool {
    for look in 0..SPINS + YIELDS {
        if over() {
            return true;
        }
        if look < SPINS {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
    false
}
