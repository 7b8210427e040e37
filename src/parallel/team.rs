//! Layer 0: a team of threads that takes one turn after the other together, of as many members as are worth it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use super::job::with_job;
use super::policy::{TeamPolicy, now};
use super::pool::{Claim, Forced, callers, forced};
use super::threads::{cores, num_threads};
use super::{Barrier, Member, Relay};

/// How long a turn waits for workers that have been woken for it: they come after 10 to 50 µs where their cores are free. Short turns
/// wait less, and find them at the next.
const PATIENCE: u64 = 80_000;

/// The same where a team's size is forced, so that others come on a busy machine, too.
const FORCED: u64 = 2_000_000;

/// The same of a team that is called once.
const ONCE: u64 = 1_000_000;

/// The calling thread, member 0, and workers who take part in some of its turns.
pub(crate) struct Team<'a> {
    /// Without workers where the calling thread is alone.
    claim: Claim,
    most: usize,
    policy: &'a mut TeamPolicy,
    barrier: Barrier,
    relay: Relay,
    /// Members of the last turn.
    size: usize,
    /// The number of each worker in the turn.
    numbers: Box<[AtomicUsize]>,
}

impl<'a> Team<'a> {
    /// A team of up to `most` members; alone where the workers are with somebody else's call.
    pub(crate) fn new(most: usize, policy: &'a mut TeamPolicy) -> Self {
        let claim = Claim::new(most);
        let most = claim.workers().map_or(1, |workers| most.min(workers.count() + 1));
        let numbers = (0..most - 1).map(|_| AtomicUsize::new(0)).collect();
        Self { claim, most, policy, barrier: Barrier::default(), relay: Relay::new(most), size: 0, numbers }
    }

    /// Runs a turn of so much `work` on as many members as the policy chooses, each of which calls `run`. They may meet there; all
    /// have come to its end afterwards.
    ///
    /// # Panics
    /// With the panic of a member, after all have stopped.
    pub(crate) fn turn(&mut self, work: usize, run: &(dyn Fn(&Member<'_>) + Sync)) {
        let most = self.most.min((cores() / callers()).max(1));
        let (wanted, patience) = match forced() {
            Forced::No => {
                let alone = self.policy.alone().unwrap_or(f64::INFINITY) * work as f64;
                (self.policy.size(most), PATIENCE.min((alone / 2.0) as u64))
            }
            Forced::Full => (self.most, FORCED),
            Forced::Random(number) => (1 + number % self.most, FORCED),
        };
        let start = now();
        let size = self.run(wanted, patience, run);
        let end = now();
        self.policy.done(end, (size, wanted), work as f64, (end - start) as f64);
    }

    /// Runs a turn on up to `wanted` members: those that are there within `patience`. Returns how many.
    fn run(&mut self, wanted: usize, patience: u64, run: &(dyn Fn(&Member<'_>) + Sync)) -> usize {
        let helpers = wanted - 1;
        let Some(workers) = self.claim.workers().filter(|_| helpers > 0) else {
            self.size = 1;
            run(&Member { index: 0, size: 1, barrier: &self.barrier, relay: &self.relay });
            return 1;
        };
        if workers.waiting(helpers) < helpers {
            let start = now();
            loop {
                // Again and again: who came first may have gone before the last came.
                workers.call_in(helpers);
                if workers.waiting(helpers) == helpers || now() - start >= patience {
                    break;
                }
                if patience == FORCED { std::thread::sleep(Duration::from_micros(20)) } else { std::hint::spin_loop() }
            }
        }
        let (last, size) = (self.size, AtomicUsize::new(0));
        let (barrier, relay, numbers) = (&self.barrier, &self.relay, &self.numbers);
        let member = |index, size| {
            let member = Member { index, size, barrier, relay };
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                run(&member);
                member.wait();
            }));
            if let Err(panic) = outcome {
                barrier.break_up();
                relay.break_up();
                resume_unwind(panic);
            }
        };
        let help = |worker: usize| {
            let mut members = size.load(SeqCst);
            while members == 0 {
                std::hint::spin_loop();
                members = size.load(SeqCst);
            }
            member(numbers[worker].load(SeqCst), members);
        };
        self.size = with_job(&help, |job| {
            let mut members = 1;
            for (worker, number) in numbers[..helpers].iter().enumerate() {
                number.store(members, SeqCst);
                members += usize::from(workers.hand_over(job, worker));
            }
            if members != last {
                // Who was not there has handed nothing on.
                relay.reset();
            }
            size.store(members, SeqCst);
            member(0, members);
            members
        });
        self.size
    }
}

/// Runs `run` once on up to `threads` threads at once, the caller being member 0, and returns when all have returned.
///
/// # Panics
/// With the panic of a member, after all have stopped.
pub(crate) fn team(threads: usize, run: impl Fn(&Member<'_>) + Sync) {
    let mut policy = TeamPolicy::default();
    let mut team = Team::new(threads.min(num_threads()), &mut policy);
    let most = team.most;
    team.run(most, ONCE, &run);
}
