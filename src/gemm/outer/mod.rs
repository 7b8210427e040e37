//! Layer 2: the weight gradient `dW = xᵀ·dy`, tile by tile, each handed on while it is hot.
//!
//! `x` comes in panels, `[feature][lane]`, and is broadcast; `dy` comes by rows and is loaded as vectors, so the lanes
//! are columns of the kernel. A tile runs over all rows of the batch in ascending order. Nothing here stores `dW`:
//! what becomes of a piece is the [`Sink`]'s or the [`Update`]'s business.
//!
//! * [`tiles`]: all of it; each tile done with [`at_once`], or [`late`], while the next is computed.
//! * [`groups`]: rows in groups that kept different inputs.
//! * [`thin`]: rows in groups that kept different inputs and outputs; with AVX-512 in [`strips`].

mod at_once;
mod groups;
mod late;
mod strips;
mod thin;
mod tiles;

#[cfg(test)]
mod tests;

use std::ops::Range;

use self::at_once::HandOn;
use self::groups::GroupTiles;
pub(crate) use self::groups::RowGroup;
pub(crate) use self::late::Update;
use self::late::UpdateLate;
pub(crate) use self::thin::ThinGroup;
use self::thin::ThinTiles;
use crate::parallel::Shared;
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Most rows of the gradient in a block of [`Outer::run_groups`]: with three vectors of columns they are 9 KiB, a quarter of a
/// first-level cache, and stay there while it is added to.
pub(crate) const BLOCK_ROWS: usize = 48;

/// A finished piece of the gradient.
pub(crate) struct Piece<'a, T> {
    /// Rows of the kernel (inputs).
    pub(crate) rows: Range<usize>,
    /// Columns of the kernel (outputs).
    pub(crate) columns: Range<usize>,
    /// Row `i` of the piece starts at `i * stride`; the last vector of a row is whole.
    pub(crate) gradient: &'a [T],
    /// Elements from one row of the piece to the next: whole vectors.
    pub(crate) stride: usize,
}

/// Takes the pieces of a gradient.
pub(crate) trait Sink<T> {
    /// Asks the cache for what [`Sink::take`] of a piece will touch; called a tile's time before.
    fn expect(&self, rows: Range<usize>, columns: Range<usize>);

    /// Takes one piece. Every element of the kernel comes once.
    fn take(&mut self, piece: Piece<'_, T>);

    /// Computes rows `rows` and columns `0..n` of a gradient and takes them all.
    fn take_product<S: Simd>(&mut self, s: S, operands: Outer<'_, T>, rows: Range<usize>, n: usize)
    where
        T: Element,
        Self: Sized,
    {
        operands.run(s, rows, n, self);
    }

    /// Where tiles may subtract the gradient themselves, from their registers, instead of handing it on.
    fn descent(&self) -> Option<Descent<'_, T>> {
        None
    }
}

/// `kernel -= rate · gradient`, of which the rows that are asked for belong to the caller.
#[derive(Clone, Copy)]
pub(crate) struct Descent<'a, T> {
    /// The kernel, by rows.
    pub(crate) kernel: Shared<'a, T>,
    /// The factor.
    pub(crate) rate: T,
}

/// The operands of a weight gradient.
#[derive(Clone, Copy)]
pub(crate) struct Outer<'a, T> {
    /// Panels of the inputs.
    pub(crate) x: &'a [T],
    /// Elements from one panel to the next.
    pub(crate) x_stride: usize,
    /// Gradients of the outputs by rows, padded to whole vectors.
    pub(crate) dy: &'a [T],
    /// Elements from one row of `dy` to the next.
    pub(crate) dy_stride: usize,
    /// Rows of the batch.
    pub(crate) batch: usize,
}

impl<T: Element> Outer<'_, T> {
    /// Computes rows `rows` and columns `0..n` of the gradient and hands them to `sink`.
    ///
    /// # Panics
    /// Where a slice is too short for the shapes.
    pub(crate) fn run<S: Simd>(self, s: S, rows: Range<usize>, n: usize, sink: &mut dyn Sink<T>) {
        self.check(&rows, n);
        s.run(HandOn { operands: self, rows, n, sink });
    }

    /// Computes rows `rows` of the gradient and updates the parameter with them, each tile while the next is computed.
    ///
    /// # Panics
    /// Where a slice or the parameter is too short for the shapes.
    pub(crate) fn run_late<S: Simd>(self, s: S, rows: Range<usize>, update: impl Update<T>) {
        let n = update.width();
        self.check(&rows, n);
        assert!(rows.end * n <= update.size());
        s.run(UpdateLate { operands: self, rows, update });
    }

    /// [`Outer::run`] for inputs that are 0 outside of `groups`, which cover the batch in order: a group's rows are added
    /// to the gradient of its own inputs only, which leaves out nothing but additions of 0.
    ///
    /// # Panics
    /// Where a slice is too short for the shapes, or there are more than [`BLOCK_ROWS`] rows.
    pub(crate) fn run_groups<S: Simd>(
        self,
        s: S,
        rows: Range<usize>,
        n: usize,
        groups: &[RowGroup<'_>],
        sink: &mut dyn Sink<T>,
    ) {
        self.check(&rows, n);
        assert!(rows.len() <= BLOCK_ROWS && groups.iter().all(|group| group.rows.end <= self.batch));
        assert!(groups.iter().flat_map(|group| group.kept).all(|&input| rows.contains(&(input as usize))));
        s.run(GroupTiles { operands: self, rows, n, groups, sink });
    }

    /// [`Outer::run_groups`] where outputs are left out as well: in a group's rows `dy` holds those that it kept, and a vector
    /// more follows its last row.
    ///
    /// # Panics
    /// Where a slice is too short for the shapes, an input is not among `rows`, or there are more than [`BLOCK_ROWS`] of these.
    pub(crate) fn run_thin<S: Simd>(
        self,
        s: S,
        rows: Range<usize>,
        n: usize,
        groups: &[ThinGroup<'_>],
        sink: &mut dyn Sink<T>,
    ) {
        self.check(&rows, 0);
        for ThinGroup { rows: group, inputs, outputs } in groups {
            assert!(group.end <= self.batch && inputs.iter().all(|&input| rows.contains(&(input as usize))));
            assert!(outputs.lanes.len() == n.div_ceil(T::LANES) && outputs.list.len() <= self.dy_stride);
        }
        assert!(self.batch * self.dy_stride + T::LANES <= self.dy.len());
        s.run(ThinTiles { operands: self, rows, n, groups, sink });
    }

    /// Panics unless the slices hold inputs up to `rows.end` and `columns` columns of `dy`.
    fn check(&self, rows: &Range<usize>, columns: usize) {
        let panels = self.batch.div_ceil(T::LANES);
        assert!(rows.end * T::LANES <= self.x_stride && panels * self.x_stride <= self.x.len());
        assert!(columns.next_multiple_of(T::LANES) <= self.dy_stride && self.batch * self.dy_stride <= self.dy.len());
    }
}

/// The bias gradient: the columns of `dy` added to sums, rows in ascending order, by whole vectors.
pub(crate) struct ColumnSums<'a, 'b, T> {
    /// The rows, padded to whole vectors.
    pub(crate) dy: &'a [T],
    /// Elements from one row to the next.
    pub(crate) stride: usize,
    /// The sums of as many columns as it has vectors.
    pub(crate) sums: &'b mut [T],
}

impl<T: Element> Kernel for ColumnSums<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (index, sums) in self.sums.chunks_exact_mut(T::LANES).enumerate() {
            let mut sum = V::<S, T>::read(s, sums);
            for row in self.dy.chunks_exact(self.stride) {
                sum = sum.add(V::<S, T>::read(s, &row[index * T::LANES..]));
            }
            sum.write(sums);
        }
    }
}
