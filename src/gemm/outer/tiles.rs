//! Layer 2: the tiles of a whole weight gradient.

use std::ops::Range;

use super::Outer;
use crate::gemm::ahead::Ahead;
use crate::gemm::steps::All;
use crate::gemm::tile::{Broadcast, Lane, Registers, Vectors, accumulate, zeros};
use crate::simd::{Element, Level, Simd};

/// Elements of the largest tile: 24 vectors of `f32`.
pub(super) const LARGEST: usize = 24 * 16;

/// What becomes of tiles. Whoever computes one calls [`Ahead::step`] at each of its steps.
pub(super) trait Finish<T: Element>: Ahead {
    /// A tile is about to be computed.
    fn begin(&mut self, rows: &Range<usize>, columns: &Range<usize>);

    /// It is computed.
    fn end<S: Simd, const MR: usize, const NV: usize>(
        &mut self,
        s: S,
        tile: Registers<S, T, MR, NV>,
        rows: Range<usize>,
        columns: Range<usize>,
    );

    /// All are.
    fn close<S: Simd>(&mut self, _s: S) {}
}

/// The tiles of [`Outer::run`] and [`Outer::run_late`], whose operands were checked. Kernels make this where they run, not
/// their callers: so its state lies in registers.
pub(super) struct Tiles<'a, T, F> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) finish: F,
}

impl<T: Element, F: Finish<T>> Tiles<'_, T, F> {
    /// Columns outside, rows inside: a block of `dy`, `batch` rows of a tile's width, stays in the first-level cache.
    #[inline(always)]
    pub(super) fn run<S: Simd>(mut self, s: S) {
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
        self.finish.close(s);
    }

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

    /// One tile.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, row: usize, column: usize) {
        const { assert!(MR * NV * 16 <= LARGEST) };
        let Outer { x, x_stride, dy, dy_stride, batch } = self.operands;
        let (rows, columns) = (row..row + MR, column..(column + NV * T::LANES).min(self.n));
        self.finish.begin(&rows, &columns);
        let mut c = zeros::<S, T, MR, NV>(s);
        let mut first = 0;
        while first < batch {
            // SAFETY: `Outer::run` checked that the panels hold `row + MR` features and the rows of `dy` whole vectors up
            // to column `n`.
            unsafe {
                let panel = x.as_ptr().add(first / T::LANES * x_stride + row * T::LANES);
                let a = Broadcast { start: panel, rows: Lane, step: 1 };
                let dy = dy.as_ptr().add(first * dy_stride + column);
                let b = Vectors { start: dy, step: dy_stride, vector: T::LANES };
                accumulate(s, &mut c, All(T::LANES.min(batch - first)), a, b, &mut self.finish);
            }
            first += T::LANES;
        }
        self.finish.end(s, c, rows, columns);
    }
}
