//! Layer 0: numbered parts of one job, taken by whoever comes; nobody waits for a thread that has not come.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

use super::crew::{Call, Crew};
use crate::interrupt::requested;

/// What the job does with part `i`, without its lifetime.
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: a shared reference to something `Sync`; it is used only while the caller of `Parts::run` waits.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

/// The job: it outlives the call where a helper comes late, but its `work` is then not touched any more.
pub(super) struct Job {
    work: Work,
    /// Which parts somebody has taken.
    taken: Vec<AtomicBool>,
    /// How many helpers are at work, and whether the caller lets no more in.
    inside: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

/// The bit of [`Job::inside`] that lets no more helpers in.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How often the caller looks for helpers that are still at work before it sleeps: about 30 µs, as in the barrier.
const SPINS: usize = 2_000;

impl Job {
    /// Takes parts from `home` on, then from the start, until none is left: in one call after the other a thread gets
    /// mostly the parts that are in its cache. What goes wrong is kept for the caller.
    fn take(&self, home: usize) {
        let parts = self.taken.len();
        for part in (home..parts).chain(0..home) {
            if self.taken[part].swap(true, SeqCst) {
                continue;
            }
            // SAFETY: who is here is the caller or was let in by it, so that the caller waits.
            let work = unsafe { &*self.work.0 };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(part))) {
                self.taken.iter().for_each(|taken| taken.store(true, SeqCst));
                self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
            }
            // Only the caller is asked; what helpers have begun they finish.
            if requested() {
                self.taken.iter().for_each(|taken| taken.store(true, SeqCst));
            }
        }
    }

    /// The turn of helper number `index` of `threads`, of which 0 is the caller; nothing where the caller has left.
    pub fn help(&self, index: usize, threads: usize) {
        if self.inside.fetch_update(SeqCst, SeqCst, |n| (n & CLOSED == 0).then_some(n + 1)).is_err() {
            return;
        }
        self.take(index * self.taken.len() / threads);
        if self.inside.fetch_sub(1, SeqCst) == CLOSED + 1 {
            self.caller.unpark();
        }
    }

    /// Lets no more helpers in and waits for those that are.
    fn close(&self) {
        self.inside.fetch_or(CLOSED, SeqCst);
        for _ in 0..SPINS {
            if self.inside.load(SeqCst) == CLOSED {
                return;
            }
            std::hint::spin_loop();
        }
        while self.inside.load(SeqCst) != CLOSED {
            thread::park();
        }
    }
}

/// Parts `0..parts` of some work.
pub(super) struct Parts<F> {
    parts: usize,
    work: F,
}

impl<F: Fn(usize) + Sync> Parts<F> {
    /// `work(i)` for every `i` below `parts`.
    pub fn new(parts: usize, work: F) -> Self {
        Self { parts, work }
    }

    /// Does all parts on the calling thread and with those of the called helpers that come in time.
    ///
    /// # Panics
    /// With the panic of a part; others may then not have been done.
    pub fn run(self, crew: &Crew, call: Call) {
        let work: *const (dyn Fn(usize) + Sync + '_) = &self.work;
        // SAFETY: only the lifetime changes. The pointer is followed between `new` and the end of `close` alone, while
        // `self` lives.
        let work = Work(unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(work)
        });
        let job = Arc::new(Job {
            work,
            taken: (0..self.parts).map(|_| AtomicBool::new(false)).collect(),
            inside: AtomicUsize::new(0),
            caller: thread::current(),
            panic: Mutex::new(None),
        });
        crew.call(&job, call);
        job.take(0);
        job.close();
        let panic = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}
