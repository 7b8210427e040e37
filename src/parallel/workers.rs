//! Layer 0: workers: threads of rayon's that spin a little for the next job, and park when none comes.
//!
//! ```text
//!          hand_over: wakes                       hand_over
//! AWAY ───────────────────────> job ──> BUSY <──────────────── WAITING
//!   ^                                    │ done                   ^ │
//!   │                                    └────────────────────────┘ │
//!   └────────── no job for LINGER: back to rayon, which parks ──────┘
//! ```
//!
//! Waking a parked thread takes the caller 5 to 13 µs on a virtual machine, and the thread comes 10 to 40 µs later. To hand a job to
//! one that spins takes a fraction of a microsecond. Rayon alone can't do that: its threads look for jobs with `yield`, which gives
//! the core away for a whole time slice where another process wants it.

use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};
use std::time::{Duration, Instant};

use super::job::Job;
use super::policy::Call;
use super::pool::is_forced;

/// How long a worker spins for the next job. Others may want its core, so it is no longer than a few calls.
const LINGER: Duration = Duration::from_micros(100);

/// The same where sizes of teams are forced: there is no hurry, and others may come late.
const FORCED: Duration = Duration::from_millis(20);

/// Where a worker takes its jobs: a state, or the job that waits for it.
#[repr(align(64))]
struct Desk(AtomicPtr<Job>);

/// States of a desk, which are no job's address.
const AWAY: *mut Job = ptr::null_mut();
const BUSY: *mut Job = ptr::without_provenance_mut(1);
const WAITING: *mut Job = ptr::without_provenance_mut(2);

/// Whether a job lies on a desk.
fn is_job(state: *mut Job) -> bool {
    state > WAITING
}

impl Desk {
    /// Does the job on the desk, and those that come while the worker waits.
    fn attend(&self, index: usize) {
        loop {
            let found = self.0.swap(BUSY, SeqCst);
            // SAFETY: whoever made the state a job's gave away an `Arc`, and only the worker takes it.
            let job = unsafe { Arc::from_raw(found) };
            if job.admit() {
                job.work(index);
            }
            drop(job);
            if !self.next() {
                return;
            }
        }
    }

    /// Waits for the next job; false where none comes.
    fn next(&self) -> bool {
        self.0.store(WAITING, SeqCst);
        let start = Instant::now();
        loop {
            for _ in 0..32 {
                if self.0.load(SeqCst) != WAITING {
                    return true;
                }
                std::hint::spin_loop();
            }
            let patient = is_forced();
            if patient {
                std::thread::yield_now();
            }
            if start.elapsed() > if patient { FORCED } else { LINGER } {
                return self.0.compare_exchange(WAITING, AWAY, SeqCst, SeqCst).is_err();
            }
        }
    }

    /// Puts the job on the desk if its state is `from`.
    fn put(&self, from: *mut Job, job: &Arc<Job>) -> bool {
        let raw = Arc::into_raw(Arc::clone(job)).cast_mut();
        let done = self.0.compare_exchange(from, raw, SeqCst, SeqCst).is_ok();
        let back = if done { from } else { raw };
        if is_job(back) {
            // SAFETY: given to nobody, or taken back from the desk.
            drop(unsafe { Arc::from_raw(back) });
        }
        done
    }
}

/// The workers of a pool.
pub(super) struct Workers {
    threads: rayon::ThreadPool,
    desks: Arc<[Desk]>,
    nothing: Arc<Job>,
}

impl Workers {
    /// None where the system gives no threads.
    pub(crate) fn new(count: usize) -> Option<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(count)
            .thread_name(|i| format!("dropfast-{}", i + 1))
            .build()
            .ok()?;
        let desks = (0..count).map(|_| Desk(AtomicPtr::new(AWAY))).collect();
        Some(Self { threads, desks, nothing: Job::nothing() })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.desks.len()
    }

    /// The threads themselves.
    #[cfg(test)]
    pub(crate) fn threads(&self) -> &rayon::ThreadPool {
        &self.threads
    }

    /// How many of the first `count` wait for a job.
    pub(crate) fn waiting(&self, count: usize) -> usize {
        self.desks[..count].iter().filter(|desk| desk.0.load(SeqCst) == WAITING).count()
    }

    /// Gives the job to the first `count` workers, as far as they are called and not busy. They help with it if they come before it is
    /// over.
    pub(crate) fn offer(&self, job: &Arc<Job>, count: usize, call: Call) {
        for (index, desk) in self.desks[..count].iter().enumerate() {
            let state = desk.0.load(SeqCst);
            match state {
                BUSY => {}
                AWAY if call != Call::Everybody => {}
                AWAY => {
                    if desk.put(AWAY, job) {
                        self.wake(index);
                    }
                }
                // A worker that was woken for another job and has not come yet finds this one.
                _ => {
                    desk.put(state, job);
                }
            }
        }
    }

    /// Gives the job to one worker if it waits, who then does it for certain.
    pub(crate) fn hand_over(&self, job: &Arc<Job>, index: usize) -> bool {
        self.desks[index].0.load(SeqCst) == WAITING && self.desks[index].put(WAITING, job)
    }

    /// Wakes those of the first `count` workers that are away and not on their way.
    pub(crate) fn call_in(&self, count: usize) {
        for (index, desk) in self.desks[..count].iter().enumerate() {
            if desk.0.load(SeqCst) == AWAY && desk.put(AWAY, &self.nothing) {
                self.wake(index);
            }
        }
    }

    /// Has rayon run a thread for worker `index`.
    fn wake(&self, index: usize) {
        let desks = Arc::clone(&self.desks);
        self.threads.spawn(move || desks[index].attend(index));
    }
}
