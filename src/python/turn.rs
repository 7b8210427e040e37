//! Layer 5: `dropfast._core.Turn`: who may read a model's weights and who may change them.
//!
//! Many threads read at once, one changes them while nobody reads. A thread that holds a turn may take another: a signal handler runs in
//! the middle of what its thread does. Whoever waits lets signals be handled. The state is touched only under the interpreter's lock,
//! so a fork finds it whole; what other threads held at that moment is forgotten in the child, which doesn't have them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

/// How long a thread that waits sleeps before it looks again.
const NAP: Duration = Duration::from_micros(200);

/// Naps that a writer gives to readers that wait, so that step after step doesn't keep them out.
const COURTESY: usize = 50;

/// How often this process and its parents were forked.
static FORKS: AtomicUsize = AtomicUsize::new(0);

/// To be called in a forked child.
#[pyfunction]
pub(crate) fn forked() {
    FORKS.fetch_add(1, Relaxed);
}

/// Who holds a [`Turn`]: a thread once for each time.
#[derive(Default)]
struct State {
    forks: usize,
    readers: Vec<ThreadId>,
    writers: Vec<ThreadId>,
    trainers: Vec<ThreadId>,
    waiting: usize,
}

impl State {
    fn holders(&mut self, kind: Kind) -> &mut Vec<ThreadId> {
        match kind {
            Kind::Read => &mut self.readers,
            Kind::Write | Kind::Step => &mut self.writers,
            Kind::Train => &mut self.trainers,
        }
    }
}

/// What guards the weights of one model: read by many threads at once, or changed by one.
///
/// ``with turn.reading:`` and ``with turn.writing:``. A thread that has a turn may take another.
#[pyclass(module = "dropfast._core", frozen)]
#[derive(Default)]
pub(crate) struct Turn(Mutex<State>);

impl Turn {
    fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let forks = FORKS.load(Relaxed);
        if state.forks != forks {
            // Of the parent's threads a child has the one that forked.
            let me = thread::current().id();
            for kind in [Kind::Read, Kind::Write, Kind::Train] {
                state.holders(kind).retain(|&holder| holder == me);
            }
            (state.forks, state.waiting) = (forks, 0);
        }
        state
    }

    /// Takes a turn if nobody is in the way.
    fn try_take(&self, kind: Kind) -> bool {
        let (mut state, me) = (self.state(), thread::current().id());
        let mine = |holders: &[ThreadId]| holders.iter().all(|&holder| holder == me);
        let free = match kind {
            Kind::Train => mine(&state.trainers),
            Kind::Read => mine(&state.writers),
            Kind::Write | Kind::Step => mine(&state.writers) && mine(&state.readers),
        };
        if free {
            state.holders(kind).push(me);
        }
        free
    }

    /// A turn to read that ends with the guard; None where somebody is changing weights.
    pub(crate) fn try_read(&self) -> Option<Reading<'_>> {
        self.try_take(Kind::Read).then_some(Reading(self))
    }

    /// Whether somebody waits and the calling thread keeps nobody from going first.
    fn is_awaited(&self) -> bool {
        let (state, me) = (self.state(), thread::current().id());
        state.waiting > 0 && !state.writers.contains(&me) && !state.readers.contains(&me)
    }

    /// Waits for a turn.
    fn take(&self, py: Python<'_>, kind: Kind) -> PyResult<()> {
        if kind != Kind::Read {
            for _ in 0..COURTESY {
                if !self.is_awaited() {
                    break;
                }
                py.detach(|| thread::sleep(NAP));
            }
        }
        if self.try_take(kind) {
            return Ok(());
        }
        self.state().waiting += 1;
        let outcome = loop {
            py.detach(|| thread::sleep(NAP));
            if let Err(error) = py.check_signals() {
                break Err(error);
            }
            if self.try_take(kind) {
                break Ok(());
            }
        };
        let mut state = self.state();
        state.waiting = state.waiting.saturating_sub(1);
        outcome
    }

    fn give_back(&self, kind: Kind) {
        let (mut state, me) = (self.state(), thread::current().id());
        let holders = state.holders(kind);
        if let Some(index) = holders.iter().rposition(|&holder| holder == me) {
            holders.swap_remove(index);
        }
    }
}

/// See [`Turn::try_read`].
pub(crate) struct Reading<'a>(&'a Turn);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.give_back(Kind::Read);
    }
}

#[pymethods]
impl Turn {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    /// For reading: other threads may read, too.
    #[getter]
    fn reading(slf: Py<Self>) -> Hold {
        Hold { turn: slf, kind: Kind::Read }
    }

    /// Exclusive: no other thread reads or writes the weights.
    #[getter]
    fn writing(slf: Py<Self>) -> Hold {
        Hold { turn: slf, kind: Kind::Write }
    }

    /// For training steps: as `writing`, and an error inside of other changes by the same thread.
    #[getter]
    fn stepping(slf: Py<Self>) -> Hold {
        Hold { turn: slf, kind: Kind::Step }
    }

    /// Whether a thread is in what only one may do.
    #[getter]
    fn trained(&self) -> bool {
        !self.state().trainers.is_empty()
    }

    /// For what only one thread may do, like `fit`: an error where another one does.
    #[getter]
    fn training(slf: Py<Self>) -> Hold {
        Hold { turn: slf, kind: Kind::Train }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Step,
    Train,
}

/// A turn, held inside of ``with``.
#[pyclass(module = "dropfast._core", frozen)]
pub(crate) struct Hold {
    turn: Py<Turn>,
    kind: Kind,
}

#[pymethods]
impl Hold {
    fn __enter__(&self, py: Python<'_>) -> PyResult<()> {
        let turn = self.turn.get();
        if self.kind == Kind::Train {
            let busy = "model must not be trained or compiled while another thread trains it: wait until that returns, or \
                        use a copy. Received: a second call";
            return turn.try_take(self.kind).then_some(()).ok_or_else(|| PyRuntimeError::new_err(busy));
        }
        if self.kind == Kind::Step && turn.state().writers.contains(&thread::current().id()) {
            let message =
                "a training step must not begin inside of another one. Received: a call from a signal handler";
            return Err(PyRuntimeError::new_err(message));
        }
        turn.take(py, self.kind)
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, pyo3::types::PyTuple>) {
        self.turn.get().give_back(self.kind);
    }
}
