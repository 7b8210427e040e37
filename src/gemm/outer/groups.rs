//! Layer 2: the weight gradient of row groups: each group adds to the gradient of the inputs that it kept.

use std::ops::Range;

use super::{BLOCK_ROWS, Outer, Piece, Sink};
use crate::aligned::Lines;
use crate::gemm::ahead::Nothing;
use crate::gemm::steps::All;
use crate::gemm::tile::{Broadcast, Picked, Registers, Vectors, accumulate, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// Consecutive rows of a batch that kept the same inputs.
pub(crate) struct RowGroup<'a> {
    /// Rows, beginning with a panel.
    pub(crate) rows: Range<usize>,
    /// The inputs that are not 0 in these rows, ascending.
    pub(crate) kept: &'a [u32],
}

/// Elements of a block of the gradient.
const BLOCK: usize = BLOCK_ROWS * 3 * 16;

/// The tiles of [`Outer::run_groups`], whose operands were checked.
pub(super) struct GroupTiles<'a, 'b, T> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) groups: &'b [RowGroup<'b>],
    pub(super) sink: &'b mut dyn Sink<T>,
}

impl<T: Element> Kernel for GroupTiles<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let mut column = 0;
        while column < self.n {
            if S::LEVEL == Level::Avx512 && self.n - column > 2 * T::LANES {
                self.columns::<S, 8, 3>(s, column);
                column += 3 * T::LANES;
            } else {
                self.columns::<S, 6, 1>(s, column);
                column += T::LANES;
            }
        }
    }
}

impl<T: Element> GroupTiles<'_, '_, T> {
    /// All rows of the `NV` vectors of columns from `column` on.
    #[inline(always)]
    fn columns<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, column: usize) {
        let mut gradient = Lines([T::ZERO; BLOCK]);
        let stride = NV * T::LANES;
        let columns = column..(column + stride).min(self.n);
        for group in self.groups {
            let rest = self.tiles::<S, MR, NV>(s, column, group, group.kept, &mut gradient.0);
            let rest = self.tiles::<S, 4, NV>(s, column, group, rest, &mut gradient.0);
            let rest = self.tiles::<S, 2, NV>(s, column, group, rest, &mut gradient.0);
            self.tiles::<S, 1, NV>(s, column, group, rest, &mut gradient.0);
        }
        self.sink.take(Piece { rows: self.rows.clone(), columns, gradient: &gradient.0, stride });
    }

    /// Tiles of `MR` inputs while there are so many; returns the rest.
    #[inline(always)]
    fn tiles<'k, S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        column: usize,
        group: &RowGroup<'_>,
        mut kept: &'k [u32],
        gradient: &mut [T; BLOCK],
    ) -> &'k [u32] {
        while let Some((inputs, rest)) = kept.split_first_chunk::<MR>() {
            self.tile::<S, MR, NV>(s, column, group, inputs, gradient);
            kept = rest;
        }
        kept
    }

    /// Carries the chains of some inputs on over a group's rows; the first group's tiles ask for what the sink will touch.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        column: usize,
        group: &RowGroup<'_>,
        inputs: &[u32; MR],
        gradient: &mut [T; BLOCK],
    ) {
        if group.rows.start == 0 {
            let columns = column..(column + NV * T::LANES).min(self.n);
            self.sink.expect(inputs[0] as usize..inputs[MR - 1] as usize + 1, columns);
        }
        let places = inputs.map(|input| (input as usize - self.rows.start) * NV * T::LANES);
        // SAFETY: `Outer::run_groups` checked the operands, and that there are at most `BLOCK_ROWS` inputs from
        // `rows.start` on.
        unsafe {
            let mut c: Registers<S, T, MR, NV> = zeros::<S, T, MR, NV>(s);
            for (vectors, place) in c.iter_mut().zip(places) {
                for (j, vector) in vectors.iter_mut().enumerate() {
                    *vector = V::<S, T>::load(s, gradient.as_ptr().add(place + j * T::LANES));
                }
            }
            picked(s, &mut c, &self.operands, group.rows.clone(), inputs, column);
            for (vectors, place) in c.into_iter().zip(places) {
                for (j, vector) in vectors.into_iter().enumerate() {
                    vector.store(gradient.as_mut_ptr().add(place + j * T::LANES));
                }
            }
        }
    }
}

/// Carries the chains of some inputs on over some rows of the batch, which begin with a panel.
///
/// # Safety
/// The rows are in the batch, the inputs in the panels, and rows of `dy` hold `NV` vectors from `column` on.
#[inline(always)]
pub(super) unsafe fn picked<S: Simd, T: Element, const MR: usize, const NV: usize>(
    s: S,
    c: &mut Registers<S, T, MR, NV>,
    operands: &Outer<'_, T>,
    rows: Range<usize>,
    inputs: &[u32; MR],
    column: usize,
) {
    let Outer { x, x_stride, dy, dy_stride, .. } = *operands;
    let offsets = Picked::<MR, 0>(inputs.map(|input| input as usize * T::LANES));
    let mut first = rows.start;
    while first < rows.end {
        // SAFETY: the caller's promise.
        unsafe {
            let a = Broadcast { start: x.as_ptr().add(first / T::LANES * x_stride), rows: offsets, step: 1 };
            let b = Vectors { start: dy.as_ptr().add(first * dy_stride + column), step: dy_stride, vector: T::LANES };
            accumulate(s, c, All(T::LANES.min(rows.end - first)), a, b, &mut Nothing);
        }
        first += T::LANES;
    }
}
