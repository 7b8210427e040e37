//! Layer 5: dropout on memory that another library owns: addresses and strides instead of NumPy arrays.
//!
//! `dropfast.torch` calls these, private, functions with tensors that it has checked; making arrays of them would take
//! longer than dropping a thousand elements. Nothing here can tell a wrong address from a right one.

use half::{bf16, f16};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::dropout::RELEASE;
use super::key::Key as PyKey;
use crate::dropout as kernels;
use crate::dropout::{Affine, Axis, Decisions, Layout, Sample, Scale, Transform};
use crate::parallel::for_each_range;
use crate::rng::{Key, Threshold};
use crate::simd::aes_level;

/// Elements of a chunk that is filled and then dropped while it is in L1.
const CHUNK: usize = 2048;

/// A key, or the seed of one.
pub(crate) fn key_of(place: &Bound<'_, PyAny>) -> PyResult<Key> {
    match place.cast::<PyKey>() {
        Ok(key) => Ok(key.get().0),
        Err(_) => Ok(Key::new(place.extract()?, 0, 0)),
    }
}

/// Addresses that cross the release of the interpreter's lock.
#[derive(Clone, Copy)]
struct Memory {
    x: usize,
    y: usize,
}

/// What is done to how many elements where.
trait Work: Send {
    fn run<T: Sample, F: Transform<T::Work>>(self, decisions: Decisions, transform: F);
}

/// Runs `work` for a type and a rule by their numbers, without the interpreter's lock where it is long.
fn dispatch<W: Work>(py: Python<'_>, dtype: u8, rule: u8, p: f64, key: Key, elements: usize, work: W) -> PyResult<()> {
    if !(0.0..=1.0).contains(&p) || dtype > 3 || rule > 2 {
        return Err(PyValueError::new_err(format!("Received: p={p}, dtype={dtype}, rule={rule}")));
    }
    let decisions = Decisions { key, threshold: Threshold::new(p), offset: 0 };
    let go = move || match dtype {
        0 => by_rule::<f32, W>(rule, p, decisions, work),
        1 => by_rule::<f64, W>(rule, p, decisions, work),
        2 => by_rule::<f16, W>(rule, p, decisions, work),
        _ => by_rule::<bf16, W>(rule, p, decisions, work),
    };
    if elements < RELEASE {
        go()
    } else {
        py.detach(go)
    }
    Ok(())
}

fn by_rule<T: Sample, W: Work>(rule: u8, p: f64, decisions: Decisions, work: W)
where
    Scale: Transform<T::Work>,
    Affine: Transform<T::Work>,
{
    match rule {
        0 => work.run::<T, _>(decisions, Scale::inverted(p)),
        1 => work.run::<T, _>(decisions, Affine::alpha(p)),
        _ => work.run::<T, _>(decisions, Scale::alpha_gradient(p)),
    }
}

/// One contiguous run.
struct Dense(Memory, usize);

impl Work for Dense {
    fn run<T: Sample, F: Transform<T::Work>>(self, decisions: Decisions, transform: F) {
        let Self(memory, n) = self;
        // SAFETY: the caller promises `n` elements at both addresses, the same or apart.
        unsafe { kernels::apply_contiguous(decisions, transform, memory.x as *const T, memory.y as *mut T, n) };
    }
}

/// Drops from `n` elements side by side at `x`, into `y`.
///
/// Rules: 0 dropout (its own gradient), 1 alpha dropout, 2 the gradient of alpha dropout. Types: 0 float32,
/// 1 float64, 2 float16, 3 bfloat16.
#[pyfunction]
#[pyo3(signature = (rule, dtype, x, y, n, p, key, /))]
#[allow(clippy::too_many_arguments, reason = "an array in pieces")]
pub(crate) fn _drop(
    py: Python<'_>,
    rule: u8,
    dtype: u8,
    x: usize,
    y: usize,
    n: usize,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    dispatch(py, dtype, rule, p, key_of(key)?, n, Dense(Memory { x, y }, n))
}

/// `n` elements side by side, made of one.
struct Filled(Memory, usize);

impl Work for Filled {
    fn run<T: Sample, F: Transform<T::Work>>(self, decisions: Decisions, transform: F) {
        let Self(memory, n) = self;
        // SAFETY: the caller promises one element at `x`.
        let value = unsafe { *(memory.x as *const T) };
        for_each_range(n.div_ceil(CHUNK), (1 << 17) / CHUNK, |chunks| {
            for first in chunks.map(|chunk| chunk * CHUNK) {
                let decisions = Decisions { offset: first as u64, ..decisions };
                let n = CHUNK.min(n - first);
                // SAFETY: the caller promises `n` elements at `y`; chunks are apart.
                unsafe {
                    let y = (memory.y as *mut T).add(first);
                    std::slice::from_raw_parts_mut(y.cast::<std::mem::MaybeUninit<T>>(), n)
                        .fill(std::mem::MaybeUninit::new(value));
                    kernels::apply_at(aes_level(), decisions, transform, y, y, n, false);
                }
            }
        });
    }
}

/// Drops from `n` elements that all are the one at `x`, into `n` side by side at `y`; otherwise as `_drop`.
#[pyfunction]
#[pyo3(signature = (rule, dtype, x, y, n, p, key, /))]
#[allow(clippy::too_many_arguments, reason = "an array in pieces")]
pub(crate) fn _drop_filled(
    py: Python<'_>,
    rule: u8,
    dtype: u8,
    x: usize,
    y: usize,
    n: usize,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    dispatch(py, dtype, rule, p, key_of(key)?, n, Filled(Memory { x, y }, n))
}

/// An array of any strides.
struct Strided(Memory, Layout);

impl Work for Strided {
    fn run<T: Sample, F: Transform<T::Work>>(self, decisions: Decisions, transform: F) {
        let Self(memory, layout) = self;
        // SAFETY: the caller promises the elements of both arrays, the same or apart, none of `y` twice.
        unsafe {
            kernels::apply(aes_level(), decisions, transform, &layout, memory.x as *const T, memory.y as *mut T);
        }
    }
}

/// Drops from an array of any layout; strides count elements, and axes named in `shared` share their decisions.
///
/// Decisions follow the C order of the others. Otherwise as `_drop`.
#[pyfunction]
#[pyo3(signature = (rule, dtype, x, y, shape, x_strides, y_strides, shared, p, key, /))]
#[allow(clippy::too_many_arguments, reason = "an array in pieces")]
pub(crate) fn _drop_strided(
    py: Python<'_>,
    rule: u8,
    dtype: u8,
    x: usize,
    y: usize,
    shape: Vec<usize>,
    x_strides: Vec<isize>,
    y_strides: Vec<isize>,
    shared: Option<Vec<bool>>,
    p: f64,
    key: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let axes = shape.len();
    if [x_strides.len(), y_strides.len(), shared.as_ref().map_or(axes, Vec::len)] != [axes; 3] {
        return Err(PyValueError::new_err("shape, strides and shared must have the same length"));
    }
    let bytes = [4, 8, 2, 2][usize::from(dtype.min(3))];
    let mut noise = 1;
    let mut layout: Vec<Axis> = Vec::with_capacity(axes);
    for i in (0..axes).rev() {
        let one = shared.as_ref().is_some_and(|shared| shared[i]);
        layout.push(Axis {
            size: shape[i],
            input: bytes * x_strides[i],
            output: bytes * y_strides[i],
            noise: if one { 0 } else { noise },
        });
        noise *= if one { 1 } else { shape[i] as u64 };
    }
    layout.reverse();
    let elements = shape.iter().product();
    dispatch(py, dtype, rule, p, key_of(key)?, elements, Strided(Memory { x, y }, in_order_of_memory(layout)))
}

/// The loops in the order in which the output lies, where the innermost then has its noise side by side or shares it.
fn in_order_of_memory(axes: Vec<Axis>) -> Layout {
    let mut sorted = axes.clone();
    sorted.sort_by_key(|axis| std::cmp::Reverse(axis.output));
    let layout = Layout::new(sorted);
    if layout.inner().noise <= 1 { layout } else { Layout::new(axes) }
}
