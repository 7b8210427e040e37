//! Layer 2: tiles of a whole weight gradient that are done with at once: subtracted from a parameter, or handed to a sink.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::tiles::{Finish, LARGEST, Tiles};
use super::{Descent, Outer, Piece, Sink};
use crate::aligned::Lines;
use crate::gemm::ahead::Ahead;
use crate::gemm::tile::{Registers, Target, store};
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// [`Outer::run`], whose operands were checked.
pub(super) struct HandOn<'a, 'b, T> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) sink: &'b mut dyn Sink<T>,
}

impl<T: Element> Kernel for HandOn<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { operands, rows, n, sink } = self;
        Tiles { operands, rows, n, finish: AtOnce { sink, n } }.run(s);
    }
}

/// Hands each tile to the sink.
struct AtOnce<'a, T> {
    sink: &'a mut dyn Sink<T>,
    /// Columns of the parameter.
    n: usize,
}

impl<T> Ahead for AtOnce<'_, T> {
    #[inline(always)]
    fn step<S: Simd>(&mut self, _s: S) {}
}

impl<T: Element> Finish<T> for AtOnce<'_, T> {
    #[inline(always)]
    fn begin(&mut self, rows: &Range<usize>, columns: &Range<usize>) {
        self.sink.expect(rows.clone(), columns.clone());
    }

    #[inline(always)]
    fn end<S: Simd, const MR: usize, const NV: usize>(
        &mut self,
        s: S,
        tile: Registers<S, T, MR, NV>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        if let Some(descent) = self.sink.descent() {
            // SAFETY: a sink that asks for descent has the rows.
            return unsafe { descend(s, tile, descent, (rows, columns), self.n) };
        }
        let mut gradient = Lines(MaybeUninit::<[T; LARGEST]>::uninit());
        let stride = NV * T::LANES;
        let start = gradient.0.as_mut_ptr().cast();
        // SAFETY: the array holds the largest tile, and what is taken of it was stored.
        let gradient = unsafe {
            store::<S, T, MR, NV>(tile, Target { start, row: stride, vector: T::LANES });
            std::slice::from_raw_parts(start, MR * stride)
        };
        self.sink.take(Piece { rows, columns, gradient, stride });
    }
}

/// Subtracts a tile of the gradient, times the rate, from the kernel.
///
/// # Safety
/// The rows belong to the caller.
#[inline(always)]
unsafe fn descend<S: Simd, T: Element, const MR: usize, const NV: usize>(
    s: S,
    gradient: Registers<S, T, MR, NV>,
    descent: Descent<'_, T>,
    (rows, columns): (Range<usize>, Range<usize>),
    width: usize,
) {
    let rate = V::<S, T>::splat(s, descent.rate);
    let mut kernel = descent.kernel.at(rows.start * width + columns.start..(rows.end - 1) * width + columns.end);
    for vectors in gradient {
        for (j, vector) in vectors.into_iter().enumerate() {
            let p = kernel.wrapping_add(j * T::LANES);
            let left = columns.len() - (j * T::LANES).min(columns.len());
            // SAFETY: the range was checked, and belongs to the caller.
            unsafe {
                if left >= T::LANES {
                    vector.neg_mul_add(rate, V::<S, T>::load(s, p)).store(p);
                } else {
                    vector.neg_mul_add(rate, V::<S, T>::load_first(s, p, left)).store_first(p, left);
                }
            }
        }
        kernel = kernel.wrapping_add(width);
    }
}
