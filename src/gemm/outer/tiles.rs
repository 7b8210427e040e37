//! Layer 2: the tiles of a whole weight gradient.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::{Descent, Outer, Piece, Sink};
use crate::aligned::Lines;
use crate::gemm::ahead::Nothing;
use crate::gemm::steps::All;
use crate::gemm::tile::{Broadcast, Lane, Registers, Target, Vectors, accumulate, store, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// Elements of the largest tile: 24 vectors of `f32`.
const LARGEST: usize = 24 * 16;

/// The tiles of [`Outer::run`], whose operands were checked.
pub(super) struct Tiles<'a, 'b, T> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) sink: &'b mut dyn Sink<T>,
}

impl<T: Element> Kernel for Tiles<'_, '_, T> {
    type Output = ();

    /// Columns outside, rows inside: a block of `dy`, `batch` rows of a tile's width, stays in the first-level cache.
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut column = 0;
        let n = self.n;
        let left = |column: usize| n.saturating_sub(column).div_ceil(T::LANES);
        if S::LEVEL == Level::Avx512 {
            while left(column) >= 3 {
                self.column::<S, 8, 3>(s, column);
                column += 3 * T::LANES;
            }
            if left(column) == 2 {
                self.column::<S, 12, 2>(s, column);
            } else if left(column) == 1 {
                self.column::<S, 24, 1>(s, column);
            }
        } else {
            while column < n {
                self.column::<S, 6, 1>(s, column);
                column += T::LANES;
            }
        }
    }
}

impl<T: Element> Tiles<'_, '_, T> {
    /// All rows of the `NV` vectors of columns from `column` on.
    #[inline(always)]
    fn column<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, column: usize) {
        let mut row = self.rows.start;
        while self.rows.end - row >= MR {
            self.tile::<S, MR, NV>(s, row, column);
            row += MR;
        }
        while self.rows.end - row >= 4 {
            self.tile::<S, 4, NV>(s, row, column);
            row += 4;
        }
        while row < self.rows.end {
            self.tile::<S, 1, NV>(s, row, column);
            row += 1;
        }
    }

    /// One tile, handed to the sink.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, row: usize, column: usize) {
        const { assert!(MR * NV * 16 <= LARGEST) };
        let Outer { x, x_stride, dy, dy_stride, batch } = self.operands;
        let mut gradient = Lines(MaybeUninit::<[T; LARGEST]>::uninit());
        let stride = NV * T::LANES;
        let (rows, columns) = (row..row + MR, column..(column + stride).min(self.n));
        self.sink.expect(rows.clone(), columns.clone());
        // SAFETY: `Outer::run` checked that the panels hold `row + MR` features and the rows of `dy` whole vectors up to
        // column `n`; the array holds the tile, and what is taken of it was stored.
        let gradient = unsafe {
            let mut c = zeros::<S, T, MR, NV>(s);
            let mut first = 0;
            while first < batch {
                let panel = x.as_ptr().add(first / T::LANES * x_stride + row * T::LANES);
                let a = Broadcast { start: panel, rows: Lane, step: 1 };
                let dy = dy.as_ptr().add(first * dy_stride + column);
                let b = Vectors { start: dy, step: dy_stride, vector: T::LANES };
                accumulate(s, &mut c, All(T::LANES.min(batch - first)), a, b, &mut Nothing);
                first += T::LANES;
            }
            if let Some(descent) = self.sink.descent() {
                return descend(s, c, descent, (rows, columns), self.n);
            }
            let start = gradient.0.as_mut_ptr().cast();
            store::<S, T, MR, NV>(c, Target { start, row: stride, vector: T::LANES });
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
