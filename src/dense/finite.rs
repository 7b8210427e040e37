//! Layer 3: the search for values that no training can use.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::parallel::for_each_range;
use crate::simd::{Element, Kernel, Mask, Simd, V, Vector, dispatch};

/// Elements that are looked at before the result is: 2 KiB of `f32`, short beside a page.
const BLOCK: usize = 512;

/// Elements of work for a thread: 1 MiB of `f32`, some 50 µs.
const GRAIN: usize = 1 << 18;

/// The position of the first NaN or infinity.
pub(crate) fn first_nonfinite<T: Element>(x: &[T]) -> Option<usize> {
    let first = AtomicUsize::new(usize::MAX);
    for_each_range(x.len().div_ceil(BLOCK), GRAIN / BLOCK, |blocks| {
        let start = blocks.start * BLOCK;
        let part = &x[start..x.len().min(blocks.end * BLOCK)];
        if let Some(found) = dispatch(Search { x: part, start, first: &first }) {
            first.fetch_min(found, Ordering::Relaxed);
        }
    });
    match first.into_inner() {
        usize::MAX => None,
        found => Some(found),
    }
}

/// One thread's part, which gives up once another has found something before it.
struct Search<'a, T> {
    x: &'a [T],
    start: usize,
    first: &'a AtomicUsize,
}

impl<T: Element> Kernel for Search<'_, T> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> Option<usize> {
        for (i, block) in self.x.chunks(BLOCK).enumerate() {
            let start = self.start + i * BLOCK;
            if self.first.load(Ordering::Relaxed) < start {
                return None;
            }
            if !is_finite::<S, T>(s, block) {
                return block.iter().position(|x| !x.to_f64().is_finite()).map(|at| start + at);
            }
        }
        None
    }
}

/// Whether a block is all finite: `0 · x` is 0 for finite `x` and NaN for others, and NaN stays in a sum.
#[inline(always)]
fn is_finite<S: Simd, T: Element>(s: S, block: &[T]) -> bool {
    let zero = V::<S, T>::zero(s);
    let mut sums = [zero; 4];
    let mut groups = block.chunks_exact(4 * T::LANES);
    for group in &mut groups {
        for (sum, x) in sums.iter_mut().zip(group.chunks_exact(T::LANES)) {
            *sum = V::<S, T>::read(s, x).mul_add(zero, *sum);
        }
    }
    for x in groups.remainder().chunks(T::LANES) {
        sums[0] = V::<S, T>::from_slice(s, x).mul_add(zero, sums[0]);
    }
    sums[0].add(sums[1]).add(sums[2].add(sums[3])).is_nan().to_bits() == 0
}
