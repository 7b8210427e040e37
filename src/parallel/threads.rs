//! Layer 0: how many threads calls may use: the machine's default, the environment's, the process', the calling thread's.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::{Error, Result};

/// More threads than this are refused.
pub(crate) const MAX_THREADS: usize = 256;

/// Threads of this process' calls; 0 until somebody asks or sets it.
static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// The bound of calls from this thread.
    static LIMIT: Cell<usize> = const { Cell::new(MAX_THREADS) };
}

/// Processors that this process may use: those of its affinity mask, or fewer where a control group's quota is less, but one at
/// least. Asked once, since it reads files.
pub(crate) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS))
}

/// How many threads calls from this thread may use.
pub(crate) fn num_threads() -> usize {
    process_threads().min(LIMIT.get())
}

/// How many threads calls of this process may use.
pub(crate) fn process_threads() -> usize {
    match THREADS.load(Relaxed) {
        0 => {
            let _ = THREADS.compare_exchange(0, cores(), Relaxed, Relaxed);
            THREADS.load(Relaxed)
        }
        threads => threads,
    }
}

/// Sets how many threads calls may use, in this process.
///
/// # Errors
/// [`Error::Value`] unless `1 <= threads <= MAX_THREADS`.
pub(crate) fn set_num_threads(threads: usize) -> Result<()> {
    if !(1..=MAX_THREADS).contains(&threads) {
        return Err(Error::value(format!(
            "num_threads must be in [1, {MAX_THREADS}]. Received: num_threads={threads}"
        )));
    }
    THREADS.store(threads, Relaxed);
    Ok(())
}

/// Bounds the threads of calls from this thread, and returns the bound before.
pub(crate) fn set_limit(threads: usize) -> usize {
    LIMIT.replace(threads.clamp(1, MAX_THREADS))
}

/// Sets the number of threads from `DROPFAST_NUM_THREADS`, or else from `OMP_NUM_THREADS`, which only lowers the default: it is
/// often meant for other libraries, and worker processes of joblib, dask and Ray find their share in it. Returns what is wrong with
/// a value that is passed over.
pub(crate) fn configure(ours: Option<&str>, openmp: Option<&str>) -> Option<String> {
    // A list is for nested levels: the first is the outermost.
    let openmp = openmp.and_then(|text| text.split(',').next()).and_then(parse);
    let ours = ours.filter(|text| !text.trim().is_empty());
    let threads = ours.and_then(parse).or_else(|| openmp.map(|threads| threads.min(cores())));
    THREADS.store(threads.unwrap_or(0), Relaxed);
    ours.filter(|text| parse(text).is_none()).map(|text| {
        format!(
            "DROPFAST_NUM_THREADS must be an integer in [1, {MAX_THREADS}]; the default, {}, is used. Received: {text:?}",
            num_threads()
        )
    })
}

/// A legal number of threads.
fn parse(text: &str) -> Option<usize> {
    text.trim().parse().ok().filter(|threads| (1..=MAX_THREADS).contains(threads))
}
