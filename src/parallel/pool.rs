//! Layer 0: pools of threads, one for each process and size, and the two ways to run on them.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use super::crew::Crew;
use super::parts::Parts;
use super::threads::{MAX_THREADS, num_threads};
use super::{Barrier, Member, Relay};
use crate::interrupt::{is_watched, requested};

/// Helpers of one process: the caller is the thread that is not in `crew`.
struct Pool {
    process: u32,
    crew: Crew,
    busy: AtomicBool,
}

/// The pool of each size, made when first needed and never dropped. A forked child finds its parent's pools here, whose
/// threads it does not have; it sees the other process id and makes its own. No lock is involved, because a lock
/// might have been held by another thread at the moment of the fork.
static POOLS: [AtomicPtr<Pool>; MAX_THREADS + 1] = [const { AtomicPtr::new(ptr::null_mut()) }; MAX_THREADS + 1];

/// The pool for `threads` threads, or that of the parent that forked this process: to look at, without asking the system which
/// process this is, which would take longer than all else before short work that nobody helps with.
fn found_pool(threads: usize) -> Option<&'static Pool> {
    if threads < 2 {
        return None;
    }
    // SAFETY: pools are leaked, so a pointer found here stays valid.
    unsafe { POOLS[threads].load(Ordering::Acquire).as_ref() }.or_else(|| pool(threads))
}

/// The pool for `threads` threads in this process.
fn pool(threads: usize) -> Option<&'static Pool> {
    let slot = &POOLS[threads];
    let found = slot.load(Ordering::Acquire);
    // SAFETY: pools are leaked, so a pointer found here stays valid.
    if let Some(pool) = unsafe { found.as_ref() }
        && pool.process == std::process::id()
    {
        return Some(pool);
    }
    let crew = Crew::new(threads - 1)?;
    let made = Box::into_raw(Box::new(Pool { process: std::process::id(), crew, busy: AtomicBool::new(false) }));
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

/// A pool that is this call's alone until dropped.
struct Claim(&'static Pool);

impl Claim {
    /// None where one thread is wanted, or the pool is in use, or the system gives no threads.
    fn new(threads: usize) -> Option<Self> {
        if threads < 2 {
            return None;
        }
        let pool = pool(threads)?;
        // Made only on success: dropping a claim frees the pool.
        (!pool.busy.swap(true, Ordering::Acquire)).then(|| Self(pool))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// Runs `work` on up to `threads` threads at once, the caller being member 0, and returns when all have returned.
///
/// # Panics
/// With the panic of a member, after all have stopped.
pub fn team<F>(threads: usize, work: F)
where
    F: Fn(&Member) + Sync,
{
    let claim = Claim::new(threads.min(num_threads()));
    let size = claim.as_ref().map_or(1, |claim| claim.0.crew.size() + 1);
    let (barrier, relay) = (Barrier::new(size), Relay::new(size));
    let run = |index| {
        let member = Member { index, size, barrier: &barrier, relay: &relay };
        let outcome = catch_unwind(AssertUnwindSafe(|| work(&member)));
        if let Err(panic) = outcome {
            barrier.break_up();
            relay.break_up();
            resume_unwind(panic);
        }
    };
    match claim {
        None => run(0),
        Some(claim) => claim.0.crew.threads().in_place_scope(|scope| {
            for index in 1..size {
                scope.spawn(move |_| run_by_reference(&run, index));
            }
            run(0);
        }),
    }
}

/// Calls `run` through a reference, so that a spawned job needs no copy of it.
fn run_by_reference(run: &(impl Fn(usize) + Sync), index: usize) {
    run(index);
}

/// How much a job is worth sharing.
#[derive(Clone, Copy)]
pub struct Effort {
    /// Most threads for it.
    pub threads: usize,
    /// How many times the least for one thread it is.
    shares: usize,
}

impl Effort {
    /// Of a job that is `shares` times the least for one thread, which should be 5 to 10 µs: helpers that are awake take
    /// that. Sleeping ones are woken for much more, or where calls come thick.
    pub fn of(shares: usize) -> Self {
        Self { threads: num_threads().min(shares).max(1), shares }
    }

    /// On so many threads at most.
    pub fn at_most(self, threads: usize) -> Self {
        Self { threads: self.threads.min(threads).max(1), ..self }
    }
}

/// Runs `work` over parts of `0..count`, each of `part` items, or over all of it at once on the calling thread where that is
/// as good.
///
/// Parts are handed out one by one, and the caller takes all that nobody else does: a helper that the system has not
/// woken yet, as on a machine with more work than cores, keeps nobody waiting. A call that is interrupted leaves parts undone.
pub fn for_each_part<F>(effort: Effort, count: usize, part: usize, work: F)
where
    F: Fn(Range<usize>) + Sync,
{
    let parts = count.div_ceil(part.max(1));
    let threads = effort.threads.min(parts);
    let call = found_pool(threads).and_then(|pool| pool.crew.call_for(effort.shares));
    match call.and_then(|call| Some((Claim::new(threads)?, call))) {
        // Between parts a call that is watched may end.
        None if is_watched() => {
            let ranges = (0..parts).map(|i| i * part..count.min((i + 1) * part));
            ranges.take_while(|_| !requested()).for_each(work);
        }
        None => work(0..count),
        Some((claim, call)) => {
            Parts::new(parts, |i| work(i * part..count.min((i + 1) * part))).run(&claim.0.crew, call);
        }
    }
}

/// [`for_each_part`] for work without a shape of its own: two shares are `grain` items.
pub fn for_each_range<F>(count: usize, grain: usize, work: F)
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
