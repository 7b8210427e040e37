//! Layer 0: the workers of each process, who uses them, and independent pieces of one range on them.

use std::cell::Cell;
use std::ops::Range;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::parts::run_parts;
use super::policy::{Call, HelpPolicy, now};
use super::threads::{MAX_THREADS, cores, num_threads, process_threads};
use super::workers::Workers;
use crate::interrupt::{is_watched, requested};

/// Workers of one process: the caller is the thread that is not among them.
struct Pool {
    process: u32,
    workers: Workers,
    busy: AtomicBool,
    policy: Mutex<HelpPolicy>,
}

/// The pool for each number of threads that the process was set to, made when first needed and never dropped. A forked child finds its
/// parent's pools here, whose threads it does not have; it sees the other process id and makes its own. No lock is
/// involved, because a lock might have been held by another thread at the moment of the fork.
static POOLS: [AtomicPtr<Pool>; MAX_THREADS + 1] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_THREADS + 1];

/// The pool of this process, or that of the parent that forked it: to look at, without asking the system which process this is, which
/// would take longer than all else before short work that nobody helps with.
fn found_pool() -> Option<&'static Pool> {
    // SAFETY: pools are leaked, so a pointer found here stays valid.
    unsafe { POOLS[process_threads()].load(Ordering::Acquire).as_ref() }.or_else(pool)
}

/// The pool of this process.
fn pool() -> Option<&'static Pool> {
    let threads = process_threads();
    let slot = &POOLS[threads];
    let found = slot.load(Ordering::Acquire);
    // SAFETY: pools are leaked, so a pointer found here stays valid.
    if let Some(pool) = unsafe { found.as_ref() }
        && pool.process == std::process::id()
    {
        return Some(pool);
    }
    let workers = Workers::new(threads.checked_sub(1).filter(|&count| count > 0)?)?;
    let (process, busy) = (std::process::id(), AtomicBool::new(false));
    let made = Box::into_raw(Box::new(Pool { process, workers, busy, policy: Mutex::default() }));
    match slot.compare_exchange(found, made, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: just leaked.
        Ok(_) => Some(unsafe { &*made }),
        Err(other) => {
            // SAFETY: nobody else has seen `made`; `other` is a leaked pool of this process.
            unsafe {
                drop(Box::from_raw(made));
                other.as_ref()
            }
        }
    }
}

/// Threads of this process that are in a call with work for several.
static CALLERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is one of them, perhaps in a call within a call.
    static CALLS: Cell<bool> = const { Cell::new(false) };
}

/// How many there are, at least one.
pub(super) fn callers() -> usize {
    CALLERS.load(Ordering::Relaxed).max(1)
}

/// A thread that is counted among the callers until this is dropped.
struct Caller(bool);

impl Caller {
    fn new() -> Self {
        let first = !CALLS.replace(true);
        if first {
            CALLERS.fetch_add(1, Ordering::Relaxed);
        }
        Self(first)
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        if self.0 {
            CALLERS.fetch_sub(1, Ordering::Relaxed);
            CALLS.set(false);
        }
    }
}

/// A pool that is this call's alone until dropped.
pub(super) struct Claim {
    pool: Option<&'static Pool>,
    _caller: Caller,
}

impl Claim {
    /// Without workers where one thread is wanted, or they are in use, or the system gives no threads.
    pub(super) fn new(threads: usize) -> Self {
        // Taken only on success: dropping a claim frees the pool.
        let free = |pool: &&Pool| !pool.busy.swap(true, Ordering::Acquire);
        let pool = if threads < 2 { None } else { pool().filter(free) };
        Self { pool, _caller: Caller::new() }
    }

    /// The workers, if there are any.
    pub(super) fn workers(&self) -> Option<&'static Workers> {
        self.pool.map(|pool| &pool.workers)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(pool) = self.pool {
            pool.busy.store(false, Ordering::Release);
        }
    }
}

/// Whether sizes of teams are forced, for tests: results must not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forced {
    /// They are chosen by measurement.
    No,
    /// As many threads as are set, also more than there are processors.
    Full,
    /// A random number of them for each turn: this one, reduced.
    Random(usize),
}

/// 0: not forced; 1: full; 2 and more: the state of a generator.
static FORCED: AtomicU64 = AtomicU64::new(0);

/// Forces sizes of teams in this process, with [`Forced::Random`] from a seed on.
pub(crate) fn force(forced: Forced) {
    let state = match forced {
        Forced::No => 0,
        Forced::Full => 1,
        Forced::Random(seed) => seed as u64 | 2,
    };
    FORCED.store(state, Ordering::Relaxed);
}

/// Whether sizes are forced.
pub(super) fn is_forced() -> bool {
    FORCED.load(Ordering::Relaxed) != 0
}

/// What is forced now.
pub(super) fn forced() -> Forced {
    match FORCED.load(Ordering::Relaxed) {
        0 => Forced::No,
        1 => Forced::Full,
        _ => {
            // Knuth's MMIX; upper bits.
            let next = |state: u64| {
                Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407) | 2)
            };
            let state = FORCED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).unwrap_or(2);
            Forced::Random((state >> 40) as usize)
        }
    }
}

/// How many threads are of use to a call that begins: others may have calls, too.
fn useful_threads() -> usize {
    let threads = num_threads();
    if is_forced() {
        return threads;
    }
    let others = CALLERS.load(Ordering::Relaxed) - usize::from(CALLS.get());
    threads.min(cores() / (others + 1)).max(1)
}

/// How much a job is worth sharing.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Most threads for it.
    pub(crate) threads: usize,
    /// How many times the least for one thread it is.
    shares: usize,
}

impl Effort {
    /// Of a job that is `shares` times the least for one thread, which should be 5 to 10 µs: workers that are awake take
    /// that. Parked ones are woken for much more, or where calls come thick.
    pub(crate) fn of(shares: usize) -> Self {
        Self { threads: if shares < 2 { 1 } else { useful_threads().min(shares) }, shares }
    }

    /// On so many threads at most.
    pub(crate) fn at_most(self, threads: usize) -> Self {
        Self { threads: self.threads.min(threads).max(1), ..self }
    }
}

/// Runs `work(member, range)` over parts of `0..count`, each of `part` items, or over all of it at once on the calling thread, member 0, where
/// that is as good. Members are below `effort.threads`.
///
/// Parts are handed out one by one, and the caller takes all that nobody else does: a worker that the system has not
/// woken yet, as on a machine with more work than cores, keeps nobody waiting. A call that is interrupted leaves parts undone.
pub(crate) fn for_each_part_by<F>(effort: Effort, count: usize, part: usize, work: F)
where
    F: Fn(usize, Range<usize>) + Sync,
{
    let parts = count.div_ceil(part.max(1));
    let helpers = effort.threads.min(parts).saturating_sub(1);
    let call = if helpers > 0 { call_for(effort.shares, helpers) } else { Call::Nobody };
    if call == Call::Nobody {
        let _caller = (effort.shares > 1).then(Caller::new);
        return alone(count, part, work);
    }
    let claim = Claim::new(helpers + 1);
    let (Some(pool), Some(workers)) = (claim.pool, claim.workers()) else { return alone(count, part, work) };
    let mut policy = pool.policy.try_lock().map_or_else(|_| HelpPolicy::default(), |policy| *policy);
    let helpers = helpers.min(workers.count());
    run_parts((workers, &mut policy), (helpers, call), parts, &|member, i| {
        work(member, i * part..count.min((i + 1) * part))
    });
    if let Ok(mut kept) = pool.policy.try_lock() {
        *kept = policy;
    }
}

/// All of it on the calling thread: at once, or between parts a call that is watched may end.
fn alone(count: usize, part: usize, work: impl Fn(usize, Range<usize>)) {
    if !is_watched() {
        return work(0, 0..count);
    }
    for start in (0..count).step_by(part.max(1)) {
        if requested() {
            return;
        }
        work(0, start..count.min(start.saturating_add(part)));
    }
}

/// Whom to call for so many shares of work.
fn call_for(shares: usize, helpers: usize) -> Call {
    let Some(pool) = found_pool() else { return Call::Nobody };
    let awake = pool.workers.waiting(helpers.min(pool.workers.count())) > 0;
    match pool.policy.try_lock() {
        Ok(mut policy) => policy.call(now(), shares, awake),
        Err(_) => Call::Nobody,
    }
}

/// [`for_each_part_by`] where it does not matter who does a part.
pub(crate) fn for_each_part(effort: Effort, count: usize, part: usize, work: impl Fn(Range<usize>) + Sync) {
    for_each_part_by(effort, count, part, |_, range| work(range));
}

/// [`for_each_part`] for work without a shape of its own: two shares are `grain` items.
pub(crate) fn for_each_range<F>(count: usize, grain: usize, work: F)
where
    F: Fn(Range<usize>) + Sync,
{
    let grain = grain.max(1);
    let effort = Effort::of(count.saturating_mul(2) / grain);
    for_each_part(effort, count, part_size(count, grain, effort.threads), work);
}

/// Parts for each thread, if they are not too small: enough that a late thread leaves little to wait for.
const PARTS_PER_THREAD: usize = 8;

/// Items of a part. Long parts are whole multiples of a group of decisions, so that all begin as the first one does.
fn part_size(count: usize, grain: usize, threads: usize) -> usize {
    const GROUP: usize = 128;
    let size = count.div_ceil(PARTS_PER_THREAD * threads).max(grain.div_ceil(2));
    if size < 32 * GROUP { size } else { size.next_multiple_of(GROUP) }
}
