//! Layer 2: the product of a few rows with a stored matrix, read in its own layout and order.
//!
//! With so few rows the matrix is most of the memory touched, so what counts is to read it as it lies: a tile takes up to
//! four rows and as many columns as the registers hold. Lanes past the last column read the start of the next row,
//! which comes next anyway; what they compute is not stored.

use super::ahead::Nothing;
use super::steps::All;
use super::tile::{Broadcast, Registers, Stride, Target, Vectors, accumulate, store_first, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// `y [rows, n] = x [rows, k] · matrix [k, n]`, all by rows without gaps.
pub struct FewRows<'a, T> {
    /// The rows.
    pub x: &'a [T],
    /// The matrix.
    pub matrix: &'a [T],
    /// `k` and `n`, not 0.
    pub shape: (usize, usize),
    /// The result.
    pub y: &'a mut [T],
}

impl<T: Element> Kernel for FewRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (k, n) = self.shape;
        assert!(k > 0 && n > 0 && self.matrix.len() == k * n);
        let rows = self.x.len() / k;
        assert!(self.x.len() == rows * k && self.y.len() == rows * n);
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
    fn rows<S: Simd, const MR: usize>(&mut self, s: S, row: usize) {
        let mut column = 0;
        while column < self.shape.1 {
            let left = (self.shape.1 - column).div_ceil(T::LANES);
            let most = if S::LEVEL == Level::Avx512 { 16 / MR } else { (4 / MR).max(1) };
            let vectors = left.next_power_of_two().min(most);
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
    fn tile<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, row: usize, column: usize) {
        let (k, n) = self.shape;
        let end = column + NV * T::LANES;
        // Steps whose vectors end within the matrix.
        let whole = if k * n >= end { ((k * n - end) / n + 1).min(k) } else { 0 };
        // SAFETY: `run` checked the slices; `row..row + MR` are rows of `x`, and `column` is one of the matrix.
        unsafe {
            let mut c = zeros::<S, T, MR, NV>(s);
            let a = Broadcast { start: self.x.as_ptr().add(row * k), rows: Stride(k), step: 1 };
            let b = Vectors { start: self.matrix.as_ptr().add(column), step: n, vector: T::LANES };
            accumulate(s, &mut c, All(whole), a, b, &mut Nothing);
            for step in whole..k {
                self.last_step(s, &mut c, row, step, column);
            }
            let start = self.y.as_mut_ptr().add(row * n + column);
            store_first::<S, T, MR, NV>(c, Target { start, row: n, vector: T::LANES }, n - column);
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
                sums[j] = V::<S, T>::splat(s, self.x[(row + i) * k + step]).mul_add(vector, sums[j]);
            }
        }
    }
}
