//! Layer 5: dropout fused with what stands beside it in transformers, on float32 memory that another library owns.
//!
//! A chunk goes through all steps while it is in L1, so the whole is one pass over memory. Private, as `addresses`.

use std::ops::Range;

use pyo3::prelude::*;

use super::addresses::key_of;
use super::dropout::RELEASE;
use crate::dense::activation::{Activation, activate, activate_backward};
use crate::dropout as kernels;
use crate::dropout::{Decisions, Scale};
use crate::parallel::for_each_range;
use crate::rng::Threshold;
use crate::simd::{Kernel, Simd, aes_level, dispatch};

/// Elements of a chunk.
const CHUNK: usize = 2048;

/// Elements that are worth sharing with another thread.
const GRAIN: usize = 1 << 16;

/// Runs `work` on chunks of `n` elements, without the interpreter's lock where that is long.
fn by_chunks(py: Python<'_>, n: usize, work: impl Fn(Range<usize>) + Send + Sync) {
    let go = || {
        for_each_range(n.div_ceil(CHUNK), GRAIN / CHUNK, |chunks| {
            for chunk in chunks {
                work(chunk * CHUNK..n.min((chunk + 1) * CHUNK));
            }
        });
    };
    if n < RELEASE { go() } else { py.detach(go) }
}

/// A key and a rate, ready to be dropped by.
#[derive(Clone, Copy)]
struct Dropout {
    decisions: Decisions,
    scale: Scale,
}

impl Dropout {
    fn new(p: f64, key: &Bound<'_, PyAny>) -> PyResult<Self> {
        let decisions = Decisions { key: key_of(key)?, threshold: Threshold::new(p), offset: 0 };
        Ok(Self { decisions, scale: Scale::inverted(p) })
    }

    /// Drops elements `range` of an array, found at `x`, into `y`.
    ///
    /// # Safety
    /// As [`kernels::apply_at`], for as many elements as the range has.
    unsafe fn apply(self, range: &Range<usize>, x: *const f32, y: *mut f32) {
        let decisions = Decisions { offset: range.start as u64, ..self.decisions };
        // SAFETY: the caller's promise.
        unsafe { kernels::apply_at(aes_level(), decisions, self.scale, x, y, range.len(), false) };
    }
}

/// y = residual + dropout(x + bias), of `n` float32 elements; `bias` has `features`, or is at address 0.
#[pyfunction]
#[pyo3(signature = (x, bias, features, residual, y, n, p, key, /))]
#[allow(clippy::too_many_arguments, reason = "arrays in pieces")]
pub(crate) fn _dropout_add(
    py: Python<'_>,
    x: usize,
    bias: usize,
    features: usize,
    residual: usize,
    y: usize,
    n: usize,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let dropout = Dropout::new(p, key)?;
    by_chunks(py, n, |range| {
        // SAFETY: the caller promises `n` elements at x, residual and y, which is apart from them, and `features`
        // at bias; chunks are apart.
        unsafe {
            let x = (x as *const f32).add(range.start);
            let y = (y as *mut f32).add(range.start);
            let residual = std::slice::from_raw_parts((residual as *const f32).add(range.start), range.len());
            if bias == 0 {
                dropout.apply(&range, x, y);
            } else {
                let bias = std::slice::from_raw_parts(bias as *const f32, features);
                add_bias(range.start, x, bias, y, range.len());
                dropout.apply(&range, y, y);
            }
            for (y, r) in std::slice::from_raw_parts_mut(y, range.len()).iter_mut().zip(residual) {
                *y += r;
            }
        }
    });
    Ok(())
}

/// y = x + bias, from element `first` of an array whose rows have the bias' length.
///
/// # Safety
/// `n` elements are readable at `x` and writable at `y`, which do not overlap.
unsafe fn add_bias(first: usize, x: *const f32, bias: &[f32], y: *mut f32, n: usize) {
    let mut done = 0;
    while done < n {
        let column = (first + done) % bias.len();
        let run = (bias.len() - column).min(n - done);
        for (i, b) in bias[column..column + run].iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { y.add(done + i).write(*x.add(done + i) + b) };
        }
        done += run;
    }
}

/// GELU of a chunk, or its gradient where there is one.
struct Gelu<'a> {
    approximate: bool,
    x: &'a mut [f32],
    gradient: Option<&'a mut [f32]>,
}

impl Kernel for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let activation = Activation::Gelu { approximate: self.approximate };
        match self.gradient {
            None => activate(s, activation, self.x),
            Some(gradient) => activate_backward(s, activation, self.x, gradient),
        }
    }
}

/// y = dropout(gelu(x)), of `n` float32 elements.
#[pyfunction]
#[pyo3(signature = (approximate, x, y, n, p, key, /))]
pub(crate) fn _gelu_dropout(
    py: Python<'_>,
    approximate: bool,
    x: usize,
    y: usize,
    n: usize,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let dropout = Dropout::new(p, key)?;
    by_chunks(py, n, |range| {
        // SAFETY: the caller promises `n` elements at x and y, which are apart; chunks are apart.
        unsafe {
            let y = (y as *mut f32).add(range.start);
            std::ptr::copy_nonoverlapping((x as *const f32).add(range.start), y, range.len());
            let values = std::slice::from_raw_parts_mut(y, range.len());
            dispatch(Gelu { approximate, x: values, gradient: None });
            dropout.apply(&range, y, y);
        }
    });
    Ok(())
}

/// dx = gelu'(x) dropout(dy), of `n` float32 elements.
#[pyfunction]
#[pyo3(signature = (approximate, x, dy, dx, n, p, key, /))]
#[allow(clippy::too_many_arguments, reason = "arrays in pieces")]
pub(crate) fn _gelu_dropout_backward(
    py: Python<'_>,
    approximate: bool,
    x: usize,
    dy: usize,
    dx: usize,
    n: usize,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let dropout = Dropout::new(p, key)?;
    by_chunks(py, n, |range| {
        // SAFETY: the caller promises `n` elements at x, dy and dx, which is apart from them; chunks are apart.
        unsafe {
            let dx = (dx as *mut f32).add(range.start);
            dropout.apply(&range, (dy as *const f32).add(range.start), dx);
            let gradient = std::slice::from_raw_parts_mut(dx, range.len());
            let mut saved = [0.0; CHUNK];
            let saved = &mut saved[..range.len()];
            saved.copy_from_slice(std::slice::from_raw_parts((x as *const f32).add(range.start), range.len()));
            dispatch(Gelu { approximate, x: saved, gradient: Some(gradient) });
        }
    });
    Ok(())
}
