//! Layer 0: the helpers of a pool. After a job they stay awake a little, so that the next finds them.
//!
//! To wake a sleeping thread takes the caller up to 13 µs on a virtual machine, and the thread comes 10 µs later still.
//! So short work goes to helpers that are awake, and sleeping ones are woken for long work, or where short work
//! comes thick.

use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::parts::Job;

/// How long a helper stays awake. Others may want its core, so it is no longer than a few calls.
const LINGER: Duration = Duration::from_micros(100);

/// Shares of work that are worth waking a thread: 100 to 200 µs. On a virtual machine 100 µs of work took as long with a
/// thread that had to be woken as without one, and half as long with one awake.
const LONG: usize = 20;

/// After so much work in short calls that came within [`LINGER`] of one another, helpers are woken for the next: by then the
/// caller has lost half of it, as much as waking costs.
const ALONE: Duration = Duration::from_micros(50);

/// What a share of work takes, about.
const SHARE: Duration = Duration::from_micros(7);

/// Waiting is doubled so often at most: to 50 ms.
const MOST_VAIN: u32 = 10;

/// Where each helper waits for its next job: null where it does not, [`waiting`] where it does, else the job.
struct Desks {
    desks: Box<[AtomicPtr<Job>]>,
    /// Whether nobody shall wait: the helpers are needed elsewhere.
    dismissed: AtomicBool,
}

/// The mark of a helper that waits, which is no job's address.
fn waiting() -> *mut Job {
    ptr::NonNull::dangling().as_ptr()
}

impl Desks {
    /// Does the job, and those that come while helper number `index` waits.
    fn attend(&self, index: usize, mut job: Arc<Job>) {
        loop {
            job.help(index + 1, self.desks.len() + 1);
            drop(job);
            match self.wait(&self.desks[index]) {
                Some(next) => job = next,
                None => return,
            }
        }
    }

    /// The next job, if one comes soon.
    fn wait(&self, desk: &AtomicPtr<Job>) -> Option<Arc<Job>> {
        desk.store(waiting(), SeqCst);
        let start = Instant::now();
        for turn in 1u32.. {
            let found = desk.load(SeqCst);
            if found != waiting() {
                // SAFETY: `hand_over` put an `Arc` there, for the one who finds it.
                return Some(unsafe { Arc::from_raw(found) });
            }
            if self.dismissed.load(SeqCst) || turn.is_multiple_of(64) && start.elapsed() > LINGER {
                break;
            }
            // Somebody may want this core, even the caller.
            if turn.is_multiple_of(64) { thread::yield_now() } else { std::hint::spin_loop() }
        }
        let left = desk.compare_exchange(waiting(), ptr::null_mut(), SeqCst, SeqCst);
        // SAFETY: as above.
        left.err().map(|found| unsafe { Arc::from_raw(found) })
    }

    /// Gives the job to the helper at a desk, if it waits there.
    fn hand_over(desk: &AtomicPtr<Job>, job: &Arc<Job>) -> bool {
        let raw = Arc::into_raw(Arc::clone(job)).cast_mut();
        let given = desk.compare_exchange(waiting(), raw, SeqCst, SeqCst).is_ok();
        if !given {
            // SAFETY: made above and given to nobody.
            drop(unsafe { Arc::from_raw(raw) });
        }
        given
    }
}

/// Which helpers are called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// Those who wait for a job.
    Awake,
    /// Those too who have to be woken.
    Everybody,
}

/// Some helpers, and how they are called.
pub(super) struct Crew {
    threads: rayon::ThreadPool,
    desks: Arc<Desks>,
    pace: Pace,
}

impl Crew {
    /// None where the system gives no threads.
    pub fn new(helpers: usize) -> Option<Self> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(helpers)
            .thread_name(|i| format!("dropfast-{}", i + 1))
            .build()
            .ok()?;
        let desks = (0..helpers).map(|_| AtomicPtr::new(ptr::null_mut())).collect();
        Some(Self {
            threads,
            desks: Arc::new(Desks { desks, dismissed: AtomicBool::new(false) }),
            pace: Pace::default(),
        })
    }

    /// How many helpers there are.
    pub fn size(&self) -> usize {
        self.desks.desks.len()
    }

    /// Whether a helper waits for a job.
    pub fn is_awake(&self) -> bool {
        self.desks.desks.iter().any(|desk| desk.load(SeqCst) == waiting())
    }

    /// Whom to call for so many shares of work, if anybody.
    pub fn call_for(&self, shares: usize) -> Option<Call> {
        if shares >= LONG {
            return Some(Call::Everybody);
        }
        if self.is_awake() {
            self.pace.found();
            return Some(Call::Awake);
        }
        self.pace.wakes(shares).then_some(Call::Everybody)
    }

    /// Gives the job to those who are called.
    pub fn call(&self, job: &Arc<Job>, call: Call) {
        // Helpers look at it all the time: written in vain, it would be taken from them.
        if self.desks.dismissed.load(SeqCst) {
            self.desks.dismissed.store(false, SeqCst);
        }
        for desk in &self.desks.desks {
            if !Desks::hand_over(desk, job) && call == Call::Everybody {
                let (desks, job) = (Arc::clone(&self.desks), Arc::clone(job));
                // Whichever thread takes this, it waits at its own desk.
                self.threads.spawn(move || desks.attend(rayon::current_thread_index().unwrap_or(0), job));
            }
        }
    }

    /// The threads themselves; nobody waits for a job any more.
    pub fn threads(&self) -> &rayon::ThreadPool {
        self.desks.dismissed.store(true, SeqCst);
        &self.threads
    }
}

/// How thick short calls come that nobody helps with, in nanoseconds. It only guides: threads may use it at once.
#[derive(Default)]
pub(super) struct Pace {
    /// When the last should be done.
    last: AtomicU64,
    /// How long those took that came close to one another.
    alone: AtomicU64,
    /// How often helpers were woken and not found awake afterwards: the system may leave them behind the caller on its own
    /// core. Each time the next attempt waits twice as long.
    vain: AtomicU32,
}

/// Nanoseconds since the first call.
fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

impl Pace {
    /// A call of so many shares begins while nobody is awake: whether to wake somebody for it.
    pub fn wakes(&self, shares: usize) -> bool {
        let (now, cost) = (now(), shares as u64 * SHARE.as_nanos() as u64);
        let idle = now.saturating_sub(self.last.swap(now + cost, SeqCst));
        let alone = if idle > LINGER.as_nanos() as u64 { 0 } else { self.alone.load(SeqCst) };
        let wakes = alone >> self.vain.load(SeqCst).min(MOST_VAIN) >= ALONE.as_nanos() as u64;
        if wakes {
            self.vain.fetch_add(1, SeqCst);
        }
        self.alone.store(if wakes { 0 } else { alone + cost }, SeqCst);
        wakes
    }

    /// Helpers are awake.
    pub fn found(&self) {
        self.vain.store(0, SeqCst);
    }
}
