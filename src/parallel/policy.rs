//! Layer 0: how many threads a plan or a job gets, by what it took before. Times are given to it, in nanoseconds.
//!
//! ```text
//!                     another size was faster
//!          ┌─────────────────────────────────────────┐
//!          v                                         │
//!       SETTLED ── a neighbouring size is due ──> TRYING ── it is faster: settled there
//!          │                                         ^
//!          └── a window is over, or a turn late ─────┘ (compared after each window)
//! ```
//!
//! A size that was slower waits before it is tried again: [`FIRST`] or [`LEAST`] times what was lost at first, twice as long each time, and
//! in the long run [`COST`] times as long as the last try has lost. So trying costs a part in `COST` of the time, and after a change of load a few
//! tries that follow one another more closely. Results don't depend on any of it (`docs/numerics.md`).

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds since the first call.
pub(super) fn now() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64
}

/// Between comparisons of sizes: long enough for a time slice of another process to show, short beside what a user notices.
const WINDOW: u64 = 2_000_000;

/// A turn that takes so much longer than expected is compared at once: some member's core is gone.
const LATE: f64 = 300_000.0;

/// How much of the measurements a window keeps for the next: about four windows count.
const KEEP: f64 = 0.75;

/// The first wait after a try that failed.
const FIRST: u64 = 2_000_000;

/// A size waits so many times as long as its last try has lost, at most.
const COST: f64 = 64.0;

/// And so many times at least: while waits still double, tries take a fifth of the time at most.
const LEAST: f64 = 4.0;

/// Longest wait, whatever was lost.
const MOST: u64 = 1_000_000_000;

/// When something that failed is tried again.
#[derive(Clone, Copy, Debug, Default)]
struct Backoff {
    wait: u64,
    /// When the wait is over.
    due: u64,
    /// Since when all is well, or when `wait` was last halved.
    good: u64,
}

impl Backoff {
    fn is_due(&self, now: u64) -> bool {
        now >= self.due
    }

    /// It cost `loss` more than what else could have been done.
    fn fail(&mut self, now: u64, loss: f64, first: u64) {
        let most = ((loss * COST) as u64).clamp(first, MOST);
        self.wait = (2 * self.wait).max((LEAST * loss) as u64).clamp(first, most);
        self.due = now + self.wait;
        self.good = u64::MAX;
    }

    /// All is well: failures are forgotten by halves, each half as long as it made us wait.
    fn succeed(&mut self, now: u64) {
        self.good = self.good.min(now);
        if now - self.good >= self.wait {
            self.wait /= 2;
            self.good = now;
        }
    }
}

/// What turns took on a team of one size, lately.
#[derive(Clone, Copy, Debug, Default)]
struct Rung {
    size: usize,
    time: f64,
    work: f64,
    backoff: Backoff,
}

impl Rung {
    /// Nanoseconds for a unit of work, if measured.
    fn cost(&self) -> Option<f64> {
        (self.work > 0.0).then(|| self.time / self.work)
    }
}

/// The size of the team for the turns of one plan.
#[derive(Clone, Debug, Default)]
pub(crate) struct TeamPolicy {
    /// Sizes 1, 2, 4 … in ascending order.
    rungs: Vec<Rung>,
    /// Which is wanted.
    rung: usize,
    /// Which was measured last.
    measured: usize,
    /// What the window has taken so far, and how much work it was.
    window: (f64, f64),
    /// How long the team was smaller than wanted.
    missed: f64,
    /// What the measurements belong to.
    key: usize,
}

impl TeamPolicy {
    /// Forgets everything unless measurements belong to `key` and teams may have up to `most` members. The first team has
    /// as many as have `shares` of work.
    pub(crate) fn prepare(&mut self, key: usize, most: usize, shares: usize) {
        if self.key == key && self.rungs.last().is_some_and(|rung| rung.size == most) {
            return;
        }
        let mut sizes: Vec<_> = (0..).map(|i| 1 << i).take_while(|&size| size < most).collect();
        sizes.push(most);
        let rungs: Vec<_> = sizes.into_iter().map(|size| Rung { size, ..Rung::default() }).collect();
        let rung = rungs.iter().rposition(|rung| rung.size <= shares.max(2)).unwrap_or(0);
        *self = Self { rungs, rung, measured: rung, key, ..Self::default() };
    }

    /// The size for the next turn, up to `most`.
    pub(crate) fn size(&self, most: usize) -> usize {
        self.rungs[self.rung].size.min(most)
    }

    /// What one thread takes for a unit of work, if known.
    pub(crate) fn alone(&self) -> Option<f64> {
        self.rungs[0].cost()
    }

    /// A turn of so much `work` is over, which took `took` on `size` members where `wanted` were to come.
    pub(crate) fn done(&mut self, now: u64, (size, wanted): (usize, usize), work: f64, took: f64) {
        let Some(index) = self.rungs.iter().rposition(|rung| rung.size <= size) else { return };
        let rung = &mut self.rungs[index];
        let late = rung.cost().is_some_and(|cost| took > work * cost + LATE);
        if index != self.measured {
            // What was measured long ago counts no more.
            (rung.time, rung.work) = (0.0, 0.0);
            self.measured = index;
        }
        rung.time += took;
        rung.work += work;
        self.window = (self.window.0 + took, self.window.1 + work);
        self.missed += if size < wanted { took } else { 0.0 };
        if self.window.0 >= WINDOW as f64 || late {
            self.compare(now, index);
        }
    }

    /// The end of a window that was measured at rung `index`.
    fn compare(&mut self, now: u64, index: usize) {
        let (work, missed) = (self.window.1, std::mem::take(&mut self.missed));
        self.window = (0.0, 0.0);
        let cost = |rung: &Rung| rung.cost().unwrap_or(f64::INFINITY);
        let best =
            (0..self.rungs.len()).min_by(|&a, &b| cost(&self.rungs[a]).total_cmp(&cost(&self.rungs[b]))).unwrap_or(0);
        let loss = (cost(&self.rungs[index]) - cost(&self.rungs[best])) * work;
        if missed > 0.0 && index < self.rung {
            // Members don't come. To wait for them takes a part of each turn.
            self.rungs[self.rung].backoff.fail(now, missed / 4.0, FIRST);
            self.rung = index;
        } else if best != index {
            // To look whether a smaller team has become faster is less urgent: a larger one that suffers is left in any case.
            let urgency = if index < best { 4.0 } else { 1.0 };
            self.rungs[index].backoff.fail(now, loss * urgency, FIRST);
            self.rung = best;
        } else {
            self.rungs[index].backoff.succeed(now);
            self.rung = index;
            let neighbours = [index + 1, index.wrapping_sub(1)];
            let due = |i: &usize| self.rungs.get(*i).is_some_and(|rung| rung.backoff.is_due(now));
            if let Some(next) = neighbours.into_iter().find(due) {
                self.rung = next;
            }
        }
        let rung = &mut self.rungs[index];
        (rung.time, rung.work) = (rung.time * KEEP, rung.work * KEEP);
    }
}

/// Shares of work, of 5 to 10 µs each, that are worth waking a thread.
const LONG: usize = 20;

/// What a share of work takes, about.
const SHARE: u64 = 7_000;

/// Calls that are so close to one another count together.
const THICK: u64 = 100_000;

/// After so much work in short calls that came thick, workers are woken: by then the caller has lost half of it, as much as waking costs.
const ALONE: u64 = 50_000;

/// What waking a worker costs the caller that does not come.
const WAKE: f64 = 13_000.0;

/// The first wait after a job with which workers were no help.
const FIRST_JOB: u64 = 400_000;

/// Whether workers are called for a job of numbered parts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HelpPolicy {
    backoff: Backoff,
    /// When the last short call should be done, and how long those took that came close to one another.
    last: u64,
    alone: u64,
}

/// What workers are called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// None.
    Nobody,
    /// Those who wait for a job.
    Awake,
    /// Those too who have to be woken.
    Everybody,
}

impl HelpPolicy {
    /// Whom to call for so many shares of work, where some workers are awake or none.
    pub(crate) fn call(&mut self, now: u64, shares: usize, awake: bool) -> Call {
        if !self.backoff.is_due(now) {
            Call::Nobody
        } else if shares >= LONG {
            Call::Everybody
        } else if awake {
            Call::Awake
        } else if self.comes_thick(now, shares as u64 * SHARE) {
            Call::Everybody
        } else {
            Call::Nobody
        }
    }

    /// Whether short calls that nobody helped with come so thick that it is worth to wake somebody.
    fn comes_thick(&mut self, now: u64, cost: u64) -> bool {
        let idle = now.saturating_sub(self.last);
        self.last = now + cost;
        let alone = if idle > THICK { 0 } else { self.alone };
        let thick = alone >= ALONE;
        self.alone = if thick { 0 } else { alone + cost };
        thick
    }

    /// A job for which workers were called is over. They did what would have taken the caller `saved`, and it waited for them for
    /// `waited` in the end.
    pub(crate) fn done(&mut self, now: u64, call: Call, saved: f64, waited: f64) {
        let woken = if call == Call::Everybody { WAKE } else { 0.0 };
        if saved > 0.0 && saved >= waited {
            self.backoff.succeed(now);
        } else if waited + woken > 0.0 {
            self.backoff.fail(now, waited - saved + woken, FIRST_JOB);
        }
    }
}

#[cfg(test)]
mod tests;
