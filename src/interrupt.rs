//! Layer 0: whether a long call is to end early.
//!
//! A call that may take long is [`watched`]: the thread that makes it asks [`requested`] between pieces of its work, which now and
//! then asks the one above whether somebody wants it to end. Other threads that help are never asked; they are told by the caller.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Time between two polls: Ctrl-C is to be answered within 0.3 s, and a poll waits for the interpreter's lock.
const EVERY: Duration = Duration::from_millis(100);

/// A call that is watched.
#[derive(Clone, Copy)]
struct Watch {
    poll: fn() -> bool,
    next: Instant,
    requested: bool,
}

thread_local! {
    static WATCH: Cell<Option<Watch>> = const { Cell::new(None) };
}

/// Puts the watch of the call around this one back, even where `work` panics.
struct Restore(Option<Watch>);

impl Drop for Restore {
    fn drop(&mut self) {
        WATCH.set(self.0);
    }
}

/// Runs `work`, in which [`requested`] calls `poll` from time to time, on this thread.
pub(crate) fn watched<R>(poll: fn() -> bool, work: impl FnOnce() -> R) -> R {
    let next = Instant::now() + EVERY;
    let _restore = Restore(WATCH.replace(Some(Watch { poll, next, requested: false })));
    work()
}

/// Whether this thread makes a call that may be ended early.
pub(crate) fn is_watched() -> bool {
    WATCH.get().is_some()
}

/// Whether the call that this thread makes is to end early. Once it is, it stays so.
pub(crate) fn requested() -> bool {
    let Some(watch) = WATCH.get() else { return false };
    if watch.requested || Instant::now() < watch.next {
        return watch.requested;
    }
    let requested = (watch.poll)();
    WATCH.set(Some(Watch { next: Instant::now() + EVERY, requested, ..watch }));
    requested
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watched_call_is_asked_in_time_and_stays_interrupted() {
        assert!(!requested());
        let start = Instant::now();
        let asked = watched(
            || true,
            || {
                while !requested() {
                    std::hint::spin_loop();
                }
                watched(|| false, || assert!(!requested()));
                requested()
            },
        );
        assert!(asked && start.elapsed() >= EVERY && !requested());
    }
}
