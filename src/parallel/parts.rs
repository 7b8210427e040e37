//! Layer 0: numbered parts of one job, taken by whoever comes; nobody waits for a thread that has not come.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use super::job::with_job;
use super::policy::{Call, HelpPolicy, now};
use super::workers::Workers;
use crate::interrupt::requested;

/// Does `work(member, part)` for every part below `parts` on the calling thread, member 0, and with those of the first `helpers` workers that
/// are called and come in time. A call that is to end early ([`crate::interrupt`]) leaves parts undone.
///
/// # Panics
/// With the panic of a part; others may then not have been done.
pub(super) fn run_parts(
    (workers, policy): (&Workers, &mut HelpPolicy),
    (helpers, call): (usize, Call),
    parts: usize,
    work: &(dyn Fn(usize, usize) + Sync),
) {
    let taken: Vec<_> = (0..parts).map(|_| AtomicBool::new(false)).collect();
    let failed = AtomicBool::new(false);
    // Takes parts from `home` on, then from the start, until none is left: in one call after the other a thread gets mostly
    // the parts that are in its cache.
    let take = |member: usize| {
        let _guard = Fail(&failed);
        let home = member * parts / (helpers + 1);
        let mut done = 0;
        for part in (home..parts).chain(0..home) {
            if !failed.load(SeqCst) && !taken[part].swap(true, SeqCst) {
                work(member, part);
                done += 1;
                // Only the caller is asked; what workers have begun they finish.
                if member == 0 && requested() {
                    failed.store(true, SeqCst);
                }
            }
        }
        done
    };
    let helped = AtomicUsize::new(0);
    let help = |worker: usize| {
        let done = take(worker + 1);
        helped.fetch_add(done, SeqCst);
    };
    let start = now();
    let (mine, end) = with_job(&help, |job| {
        workers.offer(job, helpers, call);
        (take(0), now())
    });
    let (over, theirs) = (now(), helped.into_inner());
    let each = (end - start) as f64 / mine.max(1) as f64;
    let waited = if theirs > 0 { (over - end) as f64 } else { 0.0 };
    policy.done(over, call, theirs as f64 * each, waited);
}

/// Notes where a part panicked, so that the others are left.
struct Fail<'a>(&'a AtomicBool);

impl Drop for Fail<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, SeqCst);
        }
    }
}
