//! Layer 5: long native calls that answer signals: handlers run between pieces of the work, and what they raise ends it.

use std::cell::RefCell;

use pyo3::prelude::*;

use crate::aligned::caught;
use crate::interrupt::watched;

thread_local! {
    /// What a signal handler raised while this thread was computing.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// Lets Python run its signal handlers; whether one raised.
fn poll() -> bool {
    let raised = Python::try_attach(|py| py.check_signals().err()).flatten();
    let found = raised.is_some();
    if found {
        RAISED.set(raised);
    }
    found
}

/// Runs `work` with the interpreter's lock released.
///
/// # Errors
/// With what a signal handler raised: the work ended early then, and its result is lost. MemoryError where a thread had no room.
pub(crate) fn interruptible<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> PyResult<R> {
    let result = py.detach(|| caught(|| watched(poll, work)));
    match RAISED.take() {
        Some(error) => Err(error),
        None => Ok(result?),
    }
}
