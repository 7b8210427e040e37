//! Layer 2: the weight gradient `dW = xᵀ·dy`, tile by tile, each handed on while it is hot.
//!
//! `x` comes in panels, `[feature][lane]`, and is broadcast; `dy` comes by rows and is loaded as vectors, so the lanes
//! are columns of the kernel. A tile runs over all rows of the batch in ascending order. Nothing here stores `dW`:
//! what becomes of a tile is the [`Sink`]'s business.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::tile::{All, Broadcast, Lane, Picked, Registers, Target, Vectors, accumulate, store, zeros};
use crate::simd::{Element, Kernel, Level, Simd, V, Vector};

/// Elements of the largest tile: 24 vectors of `f32`.
const LARGEST: usize = 24 * 16;

/// A finished piece of the gradient.
pub struct Piece<'a, T> {
    /// Rows of the kernel (inputs).
    pub rows: Range<usize>,
    /// Columns of the kernel (outputs).
    pub columns: Range<usize>,
    /// Row `i` of the piece starts at `i * stride`.
    pub gradient: &'a [T],
    /// Elements from one row of the piece to the next: whole vectors.
    pub stride: usize,
}

/// Takes the pieces of a gradient.
pub trait Sink<T> {
    /// Takes one piece. Every element of the kernel comes once.
    fn take<S: Simd>(&mut self, s: S, piece: Piece<'_, T>);
}

/// The operands of a weight gradient.
#[derive(Clone, Copy)]
pub struct Outer<'a, T> {
    /// Panels of the inputs.
    pub x: &'a [T],
    /// Elements from one panel to the next.
    pub x_stride: usize,
    /// Gradients of the outputs by rows, padded to whole vectors.
    pub dy: &'a [T],
    /// Elements from one row of `dy` to the next.
    pub dy_stride: usize,
    /// Rows of the batch.
    pub batch: usize,
}

impl<T: Element> Outer<'_, T> {
    /// Computes rows `rows` and columns `0..n` of the gradient and hands them to `sink`.
    ///
    /// # Panics
    /// Where a slice is too short for the shapes.
    pub fn run<S: Simd>(self, s: S, rows: Range<usize>, n: usize, sink: &mut impl Sink<T>) {
        let panels = self.batch.div_ceil(T::LANES);
        assert!(rows.end * T::LANES <= self.x_stride && panels * self.x_stride <= self.x.len());
        assert!(n.next_multiple_of(T::LANES) <= self.dy_stride && self.batch * self.dy_stride <= self.dy.len());
        s.run(Tiles { operands: self, rows, n, sink });
    }
}

/// Consecutive rows of a batch that kept the same inputs.
pub struct RowGroup {
    /// Rows, beginning with a panel.
    pub rows: Range<usize>,
    /// The inputs that are not 0 in these rows, ascending.
    pub kept: Vec<u32>,
}

impl<T: Element> Outer<'_, T> {
    /// [`Outer::run`] for inputs that are 0 outside of `groups`, which cover the batch in order: a group's rows are added
    /// to the gradient of its own inputs only, which leaves out nothing but additions of 0.
    ///
    /// # Panics
    /// Where a slice is too short for the shapes, or there are more than [`GROUPED_ROWS`] rows.
    pub fn run_groups<S: Simd>(self, s: S, rows: Range<usize>, n: usize, groups: &[RowGroup], sink: &mut impl Sink<T>) {
        let panels = self.batch.div_ceil(T::LANES);
        assert!(rows.len() <= GROUPED_ROWS && groups.iter().all(|group| group.rows.end <= self.batch));
        assert!(groups.iter().flat_map(|group| &group.kept).all(|&input| rows.contains(&(input as usize))));
        assert!(rows.end * T::LANES <= self.x_stride && panels * self.x_stride <= self.x.len());
        assert!(n.next_multiple_of(T::LANES) <= self.dy_stride && self.batch * self.dy_stride <= self.dy.len());
        s.run(GroupTiles { operands: self, rows, n, groups, sink });
    }
}

/// Most rows of the gradient that [`Outer::run_groups`] takes: with three vectors of columns they are 9 KiB, a quarter of
/// a first-level cache, and stay there while the groups add to them.
pub const GROUPED_ROWS: usize = 48;

/// The tiles of [`Outer::run_groups`], whose operands were checked.
struct GroupTiles<'a, 'b, T, Q> {
    operands: Outer<'a, T>,
    rows: Range<usize>,
    n: usize,
    groups: &'b [RowGroup],
    sink: &'b mut Q,
}

impl<T: Element, Q: Sink<T>> Kernel for GroupTiles<'_, '_, T, Q> {
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

impl<T: Element, Q: Sink<T>> GroupTiles<'_, '_, T, Q> {
    /// All rows of the `NV` vectors of columns from `column` on.
    #[inline(always)]
    fn columns<S: Simd, const MR: usize, const NV: usize>(&mut self, s: S, column: usize) {
        let mut gradient = [T::ZERO; GROUPED_ROWS * 3 * 16];
        let stride = NV * T::LANES;
        for group in self.groups {
            let mut kept = group.kept.as_slice();
            while let Some((inputs, rest)) = kept.split_first_chunk::<MR>() {
                self.tile::<S, MR, NV>(s, column, group, inputs, &mut gradient);
                kept = rest;
            }
            for &input in kept {
                self.tile::<S, 1, NV>(s, column, group, &[input], &mut gradient);
            }
        }
        let columns = column..(column + stride).min(self.n);
        self.sink.take(s, Piece { rows: self.rows.clone(), columns, gradient: &gradient, stride });
    }

    /// Carries the chains of some inputs on over a group's rows.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        column: usize,
        group: &RowGroup,
        inputs: &[u32; MR],
        gradient: &mut [T; GROUPED_ROWS * 3 * 16],
    ) {
        let Outer { x, x_stride, dy, dy_stride, .. } = self.operands;
        let places = inputs.map(|input| (input as usize - self.rows.start) * NV * T::LANES);
        // SAFETY: `Outer::run_groups` checked that panels hold the inputs, rows of `dy` whole vectors up to column `n`, and
        // that there are at most `GROUPED_ROWS` inputs from `rows.start` on.
        unsafe {
            let mut c: Registers<S, T, MR, NV> = zeros::<S, T, MR, NV>(s);
            for (vectors, place) in c.iter_mut().zip(places) {
                for (j, vector) in vectors.iter_mut().enumerate() {
                    *vector = V::<S, T>::load(s, gradient.as_ptr().add(place + j * T::LANES));
                }
            }
            let mut first = group.rows.start;
            while first < group.rows.end {
                let rows = Picked::<MR, 0>(inputs.map(|input| input as usize * T::LANES));
                let a = Broadcast { start: x.as_ptr().add(first / T::LANES * x_stride), rows, step: 1 };
                let start = dy.as_ptr().add(first * dy_stride + column);
                let b = Vectors { start, step: dy_stride, vector: T::LANES };
                accumulate(s, &mut c, All(T::LANES.min(group.rows.end - first)), a, b);
                first += T::LANES;
            }
            for (vectors, place) in c.into_iter().zip(places) {
                for (j, vector) in vectors.into_iter().enumerate() {
                    vector.store(gradient.as_mut_ptr().add(place + j * T::LANES));
                }
            }
        }
    }
}

/// The tiles of [`Outer::run`], whose operands were checked.
struct Tiles<'a, 'b, T, Q> {
    operands: Outer<'a, T>,
    rows: Range<usize>,
    n: usize,
    sink: &'b mut Q,
}

impl<T: Element, Q: Sink<T>> Kernel for Tiles<'_, '_, T, Q> {
    type Output = ();

    /// Columns outside, rows inside: a block of `dy`, `batch` rows of a tile's width, stays in the first-level cache.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut column = 0;
        let left = |column: usize| self.n.saturating_sub(column).div_ceil(T::LANES);
        if S::LEVEL == Level::Avx512 {
            while left(column) >= 3 {
                Self::column::<S, 8, 3>(self.sink, &self.operands, &self.rows, self.n, s, column);
                column += 3 * T::LANES;
            }
            if left(column) == 2 {
                Self::column::<S, 12, 2>(self.sink, &self.operands, &self.rows, self.n, s, column);
            } else if left(column) == 1 {
                Self::column::<S, 24, 1>(self.sink, &self.operands, &self.rows, self.n, s, column);
            }
        } else {
            while column < self.n {
                Self::column::<S, 6, 1>(self.sink, &self.operands, &self.rows, self.n, s, column);
                column += T::LANES;
            }
        }
    }
}

impl<T: Element, Q: Sink<T>> Tiles<'_, '_, T, Q> {
    /// All rows of the `NV` vectors of columns from `column` on.
    #[inline(always)]
    fn column<S: Simd, const MR: usize, const NV: usize>(
        sink: &mut Q,
        operands: &Outer<'_, T>,
        rows: &Range<usize>,
        n: usize,
        s: S,
        column: usize,
    ) {
        let mut row = rows.start;
        while rows.end - row >= MR {
            Self::tile::<S, MR, NV>(sink, operands, n, s, row, column);
            row += MR;
        }
        while rows.end - row >= 4 {
            Self::tile::<S, 4, NV>(sink, operands, n, s, row, column);
            row += 4;
        }
        while row < rows.end {
            Self::tile::<S, 1, NV>(sink, operands, n, s, row, column);
            row += 1;
        }
    }

    /// One tile, handed to the sink.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        sink: &mut Q,
        operands: &Outer<'_, T>,
        n: usize,
        s: S,
        row: usize,
        column: usize,
    ) {
        const { assert!(MR * NV * 16 <= LARGEST) };
        let mut gradient = MaybeUninit::<[T; LARGEST]>::uninit();
        let stride = NV * T::LANES;
        // SAFETY: `Outer::run` checked that the panels hold `row + MR` features and the rows of `dy` whole vectors up to
        // column `n`; the array holds the tile, and what is taken of it was stored.
        let gradient = unsafe {
            let mut c = zeros::<S, T, MR, NV>(s);
            let mut first = 0;
            while first < operands.batch {
                let panel = operands.x.as_ptr().add(first / T::LANES * operands.x_stride + row * T::LANES);
                let a = Broadcast { start: panel, rows: Lane, step: 1 };
                let dy = operands.dy.as_ptr().add(first * operands.dy_stride + column);
                let b = Vectors { start: dy, step: operands.dy_stride, vector: T::LANES };
                accumulate(s, &mut c, All(T::LANES.min(operands.batch - first)), a, b);
                first += T::LANES;
            }
            let start = gradient.as_mut_ptr().cast();
            store::<S, T, MR, NV>(c, Target { start, row: stride, vector: T::LANES });
            std::slice::from_raw_parts(start, MR * stride)
        };
        let columns = column..(column + stride).min(n);
        sink.take(s, Piece { rows: row..row + MR, columns, gradient, stride });
    }
}

/// The bias gradient: the sums of the columns of `dy` over `batch` rows in ascending order, handed on by vectors.
pub struct ColumnSums<'a, 'b, T, Q> {
    /// The rows, padded to whole vectors.
    pub dy: &'a [T],
    /// Elements from one row to the next.
    pub stride: usize,
    /// Rows.
    pub batch: usize,
    /// Columns.
    pub n: usize,
    /// Where the sums go.
    pub sink: &'b mut Q,
}

impl<T: Element, Q: Sink<T>> Kernel for ColumnSums<'_, '_, T, Q> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for column in (0..self.n).step_by(T::LANES) {
            let mut sum = V::<S, T>::zero(s);
            for row in self.dy.chunks_exact(self.stride).take(self.batch) {
                sum = sum.add(V::<S, T>::read(s, &row[column..]));
            }
            let gradient = sum.to_lanes();
            let columns = column..(column + T::LANES).min(self.n);
            self.sink.take(s, Piece { rows: 0..1, columns, gradient: &gradient[..T::LANES], stride: T::LANES });
        }
    }
}
