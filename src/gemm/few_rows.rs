//! Layer 2: the product of a few rows with a stored matrix, read in its own layout and order.
//!
//! With so few rows the matrix is most of the memory touched, so what counts is to read it as it lies: a tile takes up to
//! four rows and as many columns as the registers hold. Lanes past the last column read the start of the next row,
//! which comes next anyway; what they compute is not stored.

use std::ops::Range;

use super::ahead::Nothing;
use super::blocks::SHARE;
use super::steps::All;
use super::tile::{Broadcast, Registers, Stride, Target, Vectors, accumulate, store_first, zeros};
use crate::parallel::{Effort, Shared, for_each_part};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector, dispatch_at};

/// Rows for which a product takes as long as for one: what it takes to read the matrix.
const FREE_ROWS: usize = 4;

/// `y [rows, n] = x [rows, k] · matrix [k, n]`, all by rows without gaps; `shape` is `k` and `n`, not 0. Threads share columns.
///
/// # Panics
/// Where lengths do not fit, or the processor lacks the level.
pub(crate) fn multiply_few<T: Element>(level: Level, x: &[T], matrix: &[T], shape: (usize, usize), y: &mut [T]) {
    let (k, n) = shape;
    assert!(k > 0 && n > 0 && matrix.len() == k * n);
    let rows = x.len() / k;
    assert!(x.len() == rows * k && y.len() == rows * n);
    let effort = Effort::of(k * n * rows.max(FREE_ROWS) / SHARE);
    // Whole tiles but for the last share.
    let part = n.div_ceil(effort.threads).next_multiple_of(2 * T::LANES);
    let y = Shared::new(y);
    for_each_part(effort, n, part, |columns| dispatch_at(level, FewRows { x, matrix, shape, columns, y }));
}

/// Some columns of the product, lengths checked.
struct FewRows<'a, T> {
    x: &'a [T],
    matrix: &'a [T],
    shape: (usize, usize),
    columns: Range<usize>,
    /// Of which these columns are this thread's.
    y: Shared<'a, T>,
}

impl<T: Element> Kernel for FewRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.x.len() / self.shape.0;
        let mut row = 0;
        while rows - row >= 4 {
            self.rows::<S, 4>(s, row);
            row += 4;
        }
        while rows - row >= 2 {
            self.rows::<S, 2>(s, row);
            row += 2;
        }
        if row < rows {
            self.rows::<S, 1>(s, row);
        }
    }
}

impl<T: Element> FewRows<'_, T> {
    /// Rows `row..row + MR`: accumulators are 16 of AVX-512's 32 registers, and at most 8 of AVX2's 16, where a vector is
    /// two; 8 chains keep two multiply-add units busy that answer after four cycles.
    #[inline(always)]
    fn rows<S: Simd, const MR: usize>(&self, s: S, row: usize) {
        let Range { start: mut column, end } = self.columns;
        while column < end {
            let left = (end - column).div_ceil(T::LANES);
            let most = if S::LEVEL == Level::Avx512 { 16 / MR } else { (4 / MR).max(1) };
            // What follows the columns of a share is another's, and comes next only where a share is all.
            let fill = if self.columns.len() == self.shape.1 { left.next_power_of_two() } else { 1 << left.ilog2() };
            let vectors = fill.min(most);
            match vectors {
                16 if MR == 1 => self.tile::<S, MR, 16>(s, row, column),
                8 if MR <= 2 => self.tile::<S, MR, 8>(s, row, column),
                4 => self.tile::<S, MR, 4>(s, row, column),
                2 => self.tile::<S, MR, 2>(s, row, column),
                _ => self.tile::<S, MR, 1>(s, row, column),
            }
            column += vectors * T::LANES;
        }
    }

    /// One tile.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(&self, s: S, row: usize, column: usize) {
        let (k, n) = self.shape;
        let end = column + NV * T::LANES;
        // Steps whose vectors end within the matrix.
        let whole = if k * n >= end { ((k * n - end) / n + 1).min(k) } else { 0 };
        // SAFETY: `multiply_few` checked the slices; `row..row + MR` are rows of `x`, and `column` is one of the share.
        unsafe {
            let mut c = zeros::<S, T, MR, NV>(s);
            let a = Broadcast { start: self.x.as_ptr().add(row * k), rows: Stride(k), step: 1 };
            let b = Vectors { start: self.matrix.as_ptr().add(column), step: n, vector: T::LANES };
            accumulate(s, &mut c, All(whole), a, b, &mut Nothing);
            for step in whole..k {
                self.last_step(s, &mut c, row, step, column);
            }
            let start = self.y.as_ptr().add(row * n + column);
            store_first::<S, T, MR, NV>(c, Target { start, row: n, vector: T::LANES }, self.columns.end - column);
        }
    }

    /// A step that reads no further than its row.
    ///
    /// # Safety
    /// As [`FewRows::tile`], for `step < k`.
    #[inline(always)]
    unsafe fn last_step<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        c: &mut Registers<S, T, MR, NV>,
        row: usize,
        step: usize,
        column: usize,
    ) {
        let (k, n) = self.shape;
        for j in 0..NV {
            let lanes = (n - column).saturating_sub(j * T::LANES).min(T::LANES);
            let from = self.matrix.as_ptr().wrapping_add(step * n + column + j * T::LANES);
            // SAFETY: the caller's promise; so many lanes are left in the row.
            let vector = unsafe { V::<S, T>::load_first(s, from, lanes) };
            for (i, sums) in c.iter_mut().enumerate() {
                sums[j] = V::<S, T>::splat(s, self.x[(row + i) * k + step]).mul_add_in_line(vector, sums[j]);
            }
        }
    }
}
