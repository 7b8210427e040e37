//! Layer 0: waiting for another thread: spins at first and then parks.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a waiting thread spins before it parks: longer than the first piece of a wide layer should take (128 rows, 512 inputs and 128
/// outputs are 8 million multiply-adds, 140 µs), so that nobody need be woken there, and short beside a time slice, since somebody else
/// may want the core. It never yields: where another process is running, even a niced one, that would give the core away for a whole slice.
const SPIN: Duration = Duration::from_micros(200);

/// Threads that wait for what others will do.
#[derive(Default)]
pub(super) struct Waiting {
    sleepers: AtomicUsize,
    broken: AtomicBool,
    lock: Mutex<()>,
    wake: Condvar,
}

impl Waiting {
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

/// Looks until something is over, or for too long: whether it is.
#[inline]
fn awake(over: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        // The clock is slower than a look.
        for _ in 0..200 {
            if over() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() > SPIN {
            return false;
        }
    }
}
