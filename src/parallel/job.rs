//! Layer 0: a job that workers help the calling thread with, and that is over for all when it is over for the caller.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, Thread};

/// What worker `i` does, without its lifetime.
struct Work(*const (dyn Fn(usize) + Sync));

// SAFETY: a shared reference to something `Sync`; it is followed only while the caller of `with_job` waits.
unsafe impl Send for Work {}
// SAFETY: as above.
unsafe impl Sync for Work {}

/// The job: it outlives the call where a worker comes late, but its `work` is then not touched any more.
pub(super) struct Job {
    work: Work,
    /// How many workers are at work, and whether the caller lets no more in.
    inside: AtomicUsize,
    caller: Thread,
    panic: Mutex<Option<Box<dyn std::any::Any + Send>>>,
}

/// The bit of [`Job::inside`] that lets no more workers in.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How often the caller looks for workers that are still at work before it parks: about 30 µs.
const SPINS: usize = 2_000;

impl Job {
    /// A job that is over before it begins: who finds it has only been woken.
    pub(crate) fn nothing() -> Arc<Self> {
        fn nothing(_: usize) {}
        const WORK: &(dyn Fn(usize) + Sync) = &(nothing as fn(usize));
        Arc::new(Self::new(Work(WORK), CLOSED))
    }

    fn new(work: Work, inside: usize) -> Self {
        Self { work, inside: AtomicUsize::new(inside), caller: thread::current(), panic: Mutex::new(None) }
    }

    /// Lets one worker in; false where the caller has left.
    pub(crate) fn admit(&self) -> bool {
        self.inside.fetch_update(SeqCst, SeqCst, |n| (n & CLOSED == 0).then_some(n + 1)).is_ok()
    }

    /// Takes back an admission.
    pub(crate) fn dismiss(&self) {
        if self.inside.fetch_sub(1, SeqCst) == CLOSED + 1 {
            self.caller.unpark();
        }
    }

    /// The turn of worker `index`, who has been admitted. What goes wrong is kept for the caller.
    pub(crate) fn work(&self, index: usize) {
        // SAFETY: the caller waits for who was admitted.
        let work = unsafe { &*self.work.0 };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(index))) {
            self.panic.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(panic);
        }
        self.dismiss();
    }

    /// Lets no more workers in and waits for those that are.
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

/// Closes a job, also where the caller panics.
struct Close<'a>(&'a Job);

impl Drop for Close<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Calls `body` with a job to hand to workers, and returns when none of them is at work any more.
///
/// # Panics
/// With the panic of `body`, or else of a worker.
pub(super) fn with_job<R>(work: &(dyn Fn(usize) + Sync), body: impl FnOnce(&Arc<Job>) -> R) -> R {
    // SAFETY: only the lifetime changes. The pointer is followed by workers that were admitted, and `Close` waits for them.
    let work =
        Work(unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync)>(work) });
    let job = Arc::new(Job::new(work, 0));
    let close = Close(&job);
    let result = body(&job);
    drop(close);
    let panic = job.panic.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(panic) = panic {
        resume_unwind(panic);
    }
    result
}
