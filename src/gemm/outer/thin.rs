//! Layer 2: the weight gradient of row groups that kept some inputs and some outputs: the rows of a group are added to the
//! gradient of its kept inputs and outputs only.
//!
//! The chains of a block of the gradient stay in the first-level cache. For each group those of its kept inputs and outputs are
//! packed, carried on over the group's rows in tiles, and spread again. With AVX-512 they go to a tile's registers and back
//! ([`super::strips`]); AVX2, which permutes one register at a time, took 38 % longer that way.

use std::ops::Range;

use super::groups::picked;
use super::{BLOCK_ROWS, Outer, Piece, Sink};
use crate::aligned::Lines;
use crate::gemm::kept::{Kept, Lanes};
use crate::gemm::tile::{Target, load, store, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// Consecutive rows of a batch that kept the same inputs and outputs.
pub(crate) struct ThinGroup<'a> {
    /// Rows, beginning with a panel.
    pub(crate) rows: Range<usize>,
    /// The inputs that are not 0 in these rows, ascending.
    pub(crate) inputs: &'a [u32],
    /// The outputs whose gradients are not 0 in these rows, which have these only, one after another.
    pub(crate) outputs: &'a Kept,
}

/// Most vectors of columns of a block: with [`BLOCK_ROWS`] rows they take half of a first-level cache.
const COLUMNS: usize = 6;

/// Most vectors of kept outputs of a block: a tile's.
const KEPT: usize = 3;

/// Vectors of a row of the packed part, with room for one that is stored from any element on.
const PACKED_ROW: usize = KEPT + 1;

/// Elements of a block, and of its packed part.
const BLOCK: usize = BLOCK_ROWS * COLUMNS * 16;
const PACKED: usize = BLOCK_ROWS * PACKED_ROW * 16;

/// The tiles of [`Outer::run_thin`], whose operands were checked.
pub(super) struct ThinTiles<'a, 'b, T> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) n: usize,
    pub(super) groups: &'b [ThinGroup<'b>],
    pub(super) sink: &'b mut dyn Sink<T>,
}

impl<T: Element> Kernel for ThinTiles<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        if S::LEVEL == Level::Avx512 {
            return self.strips(s);
        }
        let (mut gradient, mut packed) = (Lines([T::ZERO; BLOCK]), Lines([T::ZERO; PACKED]));
        let mut column = 0;
        while column < self.n {
            let columns = column..self.end(column);
            column = columns.end;
            self.block(s, columns, &mut gradient.0, &mut packed.0);
        }
    }
}

impl<T: Element> ThinTiles<'_, '_, T> {
    /// The end of a block that begins at `column`: as far as every group's kept outputs fit.
    fn end(&self, column: usize) -> usize {
        let end = |group: &ThinGroup<'_>| {
            let before = group.outputs.at::<T>(column).before as usize;
            group.outputs.list.get(before + KEPT * T::LANES).map_or(self.n, |&next| next as usize)
        };
        self.groups.iter().map(end).fold(self.n.min(column + COLUMNS * T::LANES), usize::min)
    }

    /// Computes one block and hands it to the sink.
    #[inline(always)]
    fn block<S: Simd>(&mut self, s: S, columns: Range<usize>, gradient: &mut [T; BLOCK], packed: &mut [T; PACKED]) {
        let stride = columns.len().next_multiple_of(T::LANES);
        for group in self.groups {
            let block = Block { rows: self.rows.start, columns: columns.clone(), stride, group };
            let first = group.rows.start == 0;
            if first {
                gradient[..self.rows.len() * stride].fill(T::ZERO);
            } else {
                block.pack(s, gradient, packed);
            }
            self.product(s, &block, packed);
            block.spread(s, packed, gradient);
        }
        self.sink.take(Piece { rows: self.rows.clone(), columns, gradient, stride });
    }

    /// Carries the packed chains of a block on over a group's rows.
    #[inline(always)]
    fn product<S: Simd>(&self, s: S, block: &Block<'_>, packed: &mut [T; PACKED]) {
        let Range { start, end } = block.kept::<T>();
        for (vector, column) in (start..end).step_by(T::LANES).enumerate() {
            self.columns::<S, 6, 1>(s, block, column, &mut packed[vector * T::LANES..]);
        }
    }

    /// `NV` vectors of all kept inputs, from packed column `column` on.
    #[inline(always)]
    fn columns<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        block: &Block<'_>,
        column: usize,
        packed: &mut [T],
    ) {
        let done = self.tiles::<S, MR, NV>(s, block, column, 0, packed);
        let done = self.tiles::<S, 4, NV>(s, block, column, done, packed);
        let done = self.tiles::<S, 2, NV>(s, block, column, done, packed);
        self.tiles::<S, 1, NV>(s, block, column, done, packed);
    }

    /// Tiles of `MR` kept inputs from number `done` on while there are so many; returns how many are done. The first group's ask for
    /// what the sink will touch.
    #[inline(always)]
    fn tiles<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        block: &Block<'_>,
        column: usize,
        mut done: usize,
        packed: &mut [T],
    ) -> usize {
        let ThinGroup { rows, inputs: all, .. } = block.group;
        while let Some((inputs, _)) = all[done..].split_first_chunk::<MR>() {
            if rows.start == 0 {
                self.sink.expect(inputs[0] as usize..inputs[MR - 1] as usize + 1, block.columns.clone());
            }
            let row = PACKED_ROW * T::LANES;
            assert!((done + MR) * row <= packed.len() + (PACKED_ROW - NV) * T::LANES);
            // SAFETY: `Outer::run_thin` checked the operands; the packed rows are there, as was just checked.
            unsafe {
                let target = Target { start: packed.as_mut_ptr().add(done * row), row, vector: T::LANES };
                let mut c = zeros::<S, T, MR, NV>(s);
                if rows.start > 0 {
                    c = load(s, target, NV * T::LANES);
                }
                picked(s, &mut c, &self.operands, rows.clone(), inputs, column);
                store::<S, T, MR, NV>(c, target);
            }
            done += MR;
        }
        done
    }
}

/// A block of the gradient and a group's part in it.
struct Block<'a> {
    /// The first row.
    rows: usize,
    columns: Range<usize>,
    /// Elements of a row.
    stride: usize,
    group: &'a ThinGroup<'a>,
}

impl Block<'_> {
    /// Which of the group's kept outputs are in the block, as places in their list.
    #[inline(always)]
    fn kept<T: Element>(&self) -> Range<usize> {
        let before = |column: usize| self.group.outputs.at::<T>(column).before as usize;
        before(self.columns.start)..before(self.columns.end)
    }

    /// For vector `vector` of the block: which of its lanes the group kept, and the place of the first in a packed row.
    #[inline(always)]
    fn lanes<T: Element>(&self, vector: usize) -> (u32, usize) {
        let column = self.columns.start + vector * T::LANES;
        let Lanes { bits, before } = self.group.outputs.at::<T>(column);
        let left = (self.columns.end - column).min(T::LANES);
        (bits & ((1 << left) - 1), before as usize - self.kept::<T>().start)
    }

    /// Packs the kept chains of the block.
    #[inline(always)]
    fn pack<S: Simd, T: Element>(&self, s: S, gradient: &[T; BLOCK], packed: &mut [T; PACKED]) {
        for vector in 0..self.stride / T::LANES {
            let (bits, place) = self.lanes::<T>(vector);
            let moves = V::<S, T>::packing(s, bits);
            for (row, &input) in self.group.inputs.iter().enumerate() {
                let from = (input as usize - self.rows) * self.stride + vector * T::LANES;
                let to = row * PACKED_ROW * T::LANES + place;
                // SAFETY: both are within the arrays, and room for a vector more is in each packed row.
                unsafe { V::<S, T>::load(s, gradient.as_ptr().add(from)).pack(packed.as_mut_ptr().add(to), moves) };
            }
        }
    }

    /// Brings the packed chains back to the block.
    #[inline(always)]
    fn spread<S: Simd, T: Element>(&self, s: S, packed: &[T; PACKED], gradient: &mut [T; BLOCK]) {
        for vector in 0..self.stride / T::LANES {
            let (bits, place) = self.lanes::<T>(vector);
            let moves = V::<S, T>::spreading(s, bits);
            for (row, &input) in self.group.inputs.iter().enumerate() {
                let to = (input as usize - self.rows) * self.stride + vector * T::LANES;
                let from = row * PACKED_ROW * T::LANES + place;
                // SAFETY: as in `pack`.
                unsafe {
                    let to = gradient.as_mut_ptr().add(to);
                    V::<S, T>::load(s, to).spread(packed.as_ptr().add(from), moves).store(to);
                }
            }
        }
    }
}
