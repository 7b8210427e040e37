//! Layer 2: tiles of a whole weight gradient, each brought into the parameter while the next one is computed.
//!
//! An update that divides and takes roots, and reads and writes a state besides, keeps other parts of a core busy than multiply-adds
//! do. So the steps of a tile each update a vector for the tile before, and ask for one of their own tile's if the parameter
//! is far away.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::Outer;
use super::tiles::{Finish, LARGEST, Tiles};
use crate::aligned::Lines;
use crate::gemm::ahead::Ahead;
use crate::gemm::tile::{Registers, Target, store};
use crate::simd::{Element, Kernel, Simd};

/// The update of a parameter, of which the rows that are asked for belong to the caller.
pub(crate) trait Update<T>: Copy {
    /// Elements from one row of the parameter to the next.
    fn width(&self) -> usize;

    /// Elements of the parameter.
    fn size(&self) -> usize;

    /// Whether [`Update::expect`] is worth its while.
    fn is_far(&self) -> bool;

    /// Asks the cache for what updating a vector from element `start` on will touch.
    fn expect<S: Simd>(&self, s: S, start: usize);

    /// Updates the `lanes` elements from `start` on.
    ///
    /// # Safety
    /// The elements exist and belong to the caller; a vector can be read at `gradient`.
    unsafe fn update<S: Simd>(&self, s: S, start: usize, lanes: usize, gradient: *const T);
}

/// [`Outer::run_late`], whose operands were checked.
pub(super) struct UpdateLate<'a, T, U> {
    pub(super) operands: Outer<'a, T>,
    pub(super) rows: Range<usize>,
    pub(super) update: U,
}

impl<T: Element, U: Update<T>> Kernel for UpdateLate<'_, T, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { operands, rows, update } = self;
        let mut tile = Lines(MaybeUninit::<[T; LARGEST]>::uninit());
        let tile = tile.0.as_mut_ptr().cast();
        let (waiting, coming) = (Vectors::default(), Vectors::default());
        let finish = Late { update, tile, waiting, gradient: tile, coming };
        Tiles { operands, rows, n: update.width(), finish }.run(s);
    }
}

/// Updates a parameter with each tile while the next is computed.
struct Late<T, U> {
    update: U,
    /// Room for a tile.
    tile: *mut T,
    /// What of the tile before is still to be brought in.
    waiting: Vectors,
    /// Its next vector.
    gradient: *const T,
    /// What of the tile that is computed is still to be asked for.
    coming: Vectors,
}

/// The vectors of a tile, row by row.
#[derive(Clone, Copy, Default)]
struct Vectors {
    /// How many are left.
    left: usize,
    /// The place of the next in the parameter.
    start: usize,
    /// How many of its row come after it.
    after: usize,
    /// How many a row has.
    of_row: usize,
    /// Lanes of the last of a row.
    last: usize,
}

impl Vectors {
    /// Those of a tile of a parameter with rows of `width` elements.
    #[inline(always)]
    fn of<T: Element>(rows: &Range<usize>, columns: &Range<usize>, width: usize) -> Self {
        let of_row = columns.len().div_ceil(T::LANES);
        Self {
            left: rows.len() * of_row,
            start: rows.start * width + columns.start,
            after: of_row - 1,
            of_row,
            last: columns.len() - (of_row - 1) * T::LANES,
        }
    }

    /// The next: its place in the parameter, and its lanes.
    #[inline(always)]
    fn next<T: Element>(&mut self, width: usize) -> Option<(usize, usize)> {
        if self.left == 0 {
            return None;
        }
        let start = self.start;
        self.left -= 1;
        if self.after > 0 {
            self.after -= 1;
            self.start += T::LANES;
            Some((start, T::LANES))
        } else {
            self.after = self.of_row - 1;
            self.start += width - self.after * T::LANES;
            Some((start, self.last))
        }
    }
}

impl<T: Element, U: Update<T>> Late<T, U> {
    /// Brings in one vector of the tile before, if one waits.
    #[inline(always)]
    fn bring_in<S: Simd>(&mut self, s: S) {
        if let Some((start, lanes)) = self.waiting.next::<T>(self.update.width()) {
            // SAFETY: `end` stored the tile; `Outer::run_late` checked that the parameter has these elements.
            unsafe { self.update.update(s, start, lanes, self.gradient) };
            self.gradient = self.gradient.wrapping_add(T::LANES);
        }
    }
}

impl<T: Element, U: Update<T>> Ahead for Late<T, U> {
    #[inline(always)]
    fn step<S: Simd>(&mut self, s: S) {
        if let Some((start, _)) = self.coming.next::<T>(self.update.width()) {
            self.update.expect(s, start);
        }
        self.bring_in(s);
    }
}

impl<T: Element, U: Update<T>> Finish<T> for Late<T, U> {
    #[inline(always)]
    fn begin(&mut self, rows: &Range<usize>, columns: &Range<usize>) {
        if self.update.is_far() {
            self.coming = Vectors::of::<T>(rows, columns, self.update.width());
        }
    }

    #[inline(always)]
    fn end<S: Simd, const MR: usize, const NV: usize>(
        &mut self,
        s: S,
        tile: Registers<S, T, MR, NV>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        self.close(s);
        let target = Target { start: self.tile, row: NV * T::LANES, vector: T::LANES };
        // SAFETY: there is room for the largest tile.
        unsafe { store::<S, T, MR, NV>(tile, target) };
        self.gradient = self.tile;
        self.waiting = Vectors::of::<T>(&rows, &columns, self.update.width());
    }

    #[inline(always)]
    fn close<S: Simd>(&mut self, s: S) {
        while self.waiting.left > 0 {
            self.bring_in(s);
        }
    }
}
