//! Layer 2: the product of stored matrices of any strides, `C = A·B`: five loops around the tile, numbered as in the literature
//! (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015).
//!
//! ```text
//! thread: its rectangle of C
//!   5  blocks of MC rows
//!   4    blocks of KC steps: pack A [MC, KC] in strips of MR rows
//!   3      blocks of NC columns: pack B [KC, NC] in strips of NR columns, unless too few rows would read them
//!   2        strips of A
//!   1          strips of B: the tile, MR x NR
//! ```
//!
//! Where that is quicker, rows of `A` are turned into panels instead: see `by_panels`.
//!
//! A chain that loop 4 interrupts is stored in `C` and loaded again, so the bits depend neither on block sizes nor on
//! threads: those share out rectangles of `C`, never `k`.

use std::ops::Range;

use super::ahead::Nothing;
use super::blocks::{Blocks, Grid};
use super::by_panels::ByPanels;
use super::matrix::{Matrix, MatrixMut};
use super::pack::pack;
use super::scratch::with_scratch;
use super::steps::All;
use super::tile::{Broadcast, Rows, Target, Unit, Vectors, accumulate, load, store, store_first, zeros};
use crate::parallel::{num_threads, team};
use crate::simd::{Element, Kernel, Level, Simd, dispatch_at, level};

/// What happens to elements of `C` while they are hot in the first-level cache.
pub trait Epilogue<T>: Sync {
    /// Takes finished elements, a strip of tiles: rows and columns of `C`, where element `(rows.start, columns.start)`
    /// is, and elements from one row to the next (columns are neighbours).
    ///
    /// # Safety
    /// `c` is valid for these elements, which nobody else touches meanwhile.
    unsafe fn finish<S: Simd>(&self, s: S, rows: Range<usize>, columns: Range<usize>, c: *mut T, stride: usize);
}

/// Nothing is done.
pub struct Plain;

impl<T> Epilogue<T> for Plain {
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, _: S, _: Range<usize>, _: Range<usize>, _: *mut T, _: usize) {}
}

/// `C = A·B` on the level in use and as many threads as pay.
///
/// # Panics
/// Where the shapes do not fit, or neither the rows nor the columns of `C` are neighbours in memory.
pub fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, c: MatrixMut<'_, T>) {
    multiply_at(level(), num_threads(), a, b, c);
}

/// [`multiply`] on a given level and number of threads.
///
/// # Panics
/// As [`multiply`], and where the processor lacks the level.
pub fn multiply_at<T: Element>(level: Level, threads: usize, a: Matrix<'_, T>, b: Matrix<'_, T>, c: MatrixMut<'_, T>) {
    let turn = if c.columns == 1 { c.row_stride == 1 } else { c.column_stride != 1 };
    if turn {
        multiply_then(level, threads, b.transposed(), a.transposed(), c.transposed(), &Plain);
    } else {
        multiply_then(level, threads, a, b, c, &Plain);
    }
}

/// `C = epilogue(A·B)`; the columns of `C` are neighbours.
///
/// # Panics
/// As [`multiply_at`].
pub fn multiply_then<T: Element, E: Epilogue<T>>(
    level: Level,
    threads: usize,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
    epilogue: &E,
) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes of a product");
    if c.rows == 0 || c.columns == 0 {
        return;
    }
    assert!(c.columns == 1 || c.column_stride == 1, "rows or columns of C are neighbours in memory");
    assert!(c.rows == 1 || c.row_stride >= c.columns as isize, "rows of C do not overlap");
    let threads = Grid::threads(threads, c.rows, c.columns, a.columns);
    if let Some(product) = ByPanels::new((level, threads), a, b, &c, epilogue) {
        return product.multiply(level, threads);
    }
    let blocks = Blocks::new::<T>(level);
    let product = Product { a, b, c: Shared(c.start), stride: c.row_stride.unsigned_abs(), blocks, epilogue };
    if threads == 1 {
        return product.rectangle(level, 0..c.rows, 0..c.columns);
    }
    team(threads, |member| {
        let grid = Grid::new(member.size, c.rows, c.columns);
        let (rows, columns) = grid.part(member.index, (c.rows, blocks.mr), (c.columns, blocks.nr()));
        product.rectangle(level, rows, columns);
    });
}

/// An address in `C` that threads share; each writes its own rectangle.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: rectangles of different threads do not overlap.
unsafe impl<T: Send> Sync for Shared<T> {}

/// Operands, target and block sizes of a product, shapes checked.
struct Product<'a, T, E> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    c: Shared<T>,
    stride: usize,
    blocks: Blocks,
    epilogue: &'a E,
}

impl<T: Element, E: Epilogue<T>> Product<'_, T, E> {
    /// Computes one thread's part of `C`.
    fn rectangle(&self, level: Level, rows: Range<usize>, columns: Range<usize>) {
        let (a_len, b_len) = self.blocks.scratch(rows.len(), columns.len(), self.a.columns);
        with_scratch(a_len + b_len, |room: *mut T| {
            // SAFETY: the room is `a_len + b_len` long.
            let (a, b) = (room, unsafe { room.add(a_len) });
            dispatch_at(level, Rectangle { product: self, rows, columns, a, b });
        });
    }
}

/// One thread's part of a product, with room for packed blocks.
struct Rectangle<'a, T, E> {
    product: &'a Product<'a, T, E>,
    rows: Range<usize>,
    columns: Range<usize>,
    a: *mut T,
    b: *mut T,
}

impl<T: Element, E: Epilogue<T>> Kernel for Rectangle<'_, T, E> {
    type Output = ();

    /// Loops 5, 4 and 3.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { a, b, blocks, .. } = self.product;
        let k = a.columns;
        let in_place = b.column_stride == 1 && b.row_stride >= 0 && blocks.reads_in_place(self.rows.len());
        for rows in pieces(self.rows.clone(), blocks.mc) {
            // A product over no `k` at all is zero: one empty block.
            for steps in pieces(0..k.max(1), blocks.kc) {
                let steps = steps.start.min(k)..steps.end.min(k);
                // SAFETY: the room was made for blocks of this size.
                unsafe { pack(s, a.block(rows.clone(), steps.clone()), blocks.mr, self.a) };
                for columns in pieces(self.columns.clone(), blocks.nc) {
                    for (columns, packed) in self.parts(columns, in_place) {
                        let block = b.block(steps.clone(), columns.clone());
                        let stored = if packed {
                            // SAFETY: as above.
                            unsafe { pack(s, block.transposed(), blocks.nr(), self.b) };
                            Stored { first: self.b, step: blocks.nr(), strip: blocks.nr() * steps.len() }
                        } else {
                            let step = b.row_stride.unsigned_abs();
                            Stored { first: block.address(0, 0), step, strip: blocks.nr() }
                        };
                        self.strips(s, rows.clone(), columns, &steps, stored);
                    }
                }
            }
        }
    }
}

/// Where a block of `B` is: packed, or, as far as whole strips go, in the matrix itself.
#[derive(Clone, Copy)]
struct Stored<T> {
    first: *const T,
    /// Elements from one step to the next.
    step: usize,
    /// Elements from one strip to the next.
    strip: usize,
}

/// A range in pieces of `size`.
fn pieces(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |start| start..(start + size).min(range.end))
}

impl<T: Element, E: Epilogue<T>> Rectangle<'_, T, E> {
    /// Columns that are read in place, whole strips, and columns to be packed, where there are any.
    fn parts(&self, columns: Range<usize>, in_place: bool) -> impl Iterator<Item = (Range<usize>, bool)> {
        let nr = self.product.blocks.nr();
        let border = columns.start + if in_place { columns.len() / nr * nr } else { 0 };
        let parts = [(columns.start..border, false), (border..columns.end, true)];
        parts.into_iter().filter(|(columns, _)| !columns.is_empty())
    }

    /// Loop 2: strips of `A`, as tall as the level's tile, then the rest of the rows.
    #[inline(always)]
    fn strips<S: Simd>(&self, s: S, rows: Range<usize>, columns: Range<usize>, steps: &Range<usize>, b: Stored<T>) {
        let mut block = Block { b, s, part: self, rows: rows.clone(), next: rows.start, columns, steps: steps.clone() };
        match S::LEVEL {
            Level::Avx512 => {
                block.tall::<12, 2>();
                block.tall::<8, 2>();
                block.tall::<4, 2>();
                block.tall::<2, 2>();
                block.tall::<1, 2>();
            }
            Level::Avx2 => {
                block.tall::<6, 1>();
                block.tall::<4, 1>();
                block.tall::<2, 1>();
                block.tall::<1, 1>();
            }
            Level::Scalar => {
                block.tall::<4, 1>();
                block.tall::<1, 1>();
            }
        }
    }
}

/// A packed block of `A` against a packed block of `B`.
struct Block<'a, S, T, E> {
    s: S,
    part: &'a Rectangle<'a, T, E>,
    rows: Range<usize>,
    next: usize,
    columns: Range<usize>,
    steps: Range<usize>,
    b: Stored<T>,
}

impl<S: Simd, T: Element, E: Epilogue<T>> Block<'_, S, T, E> {
    /// Loops 2 and 1 for tiles of `MR` rows, while so many are left in a strip.
    #[inline(always)]
    fn tall<const MR: usize, const NV: usize>(&mut self) {
        while self.rows.end - self.next >= MR {
            let mut column = self.columns.start;
            while self.columns.end - column >= NV * T::LANES {
                self.tile::<MR, NV>(column, NV * T::LANES);
                column += NV * T::LANES;
            }
            if column < self.columns.end {
                self.tile::<MR, NV>(column, self.columns.end - column);
            }
            self.finish(MR);
            self.next += MR;
        }
    }

    /// The tile of `MR` rows and up to `NV` vectors at `column`; `width` of its columns exist.
    #[inline(always)]
    fn tile<const MR: usize, const NV: usize>(&self, column: usize, width: usize) {
        let product = self.part.product;
        let (mr, k, row) = (product.blocks.mr, self.steps.len(), self.next - self.rows.start);
        // SAFETY: the strips were packed for this block; rows `next..next + MR` and `width` columns of `C` exist and
        // belong to this thread.
        unsafe {
            let start = self.part.a.add(row / mr * mr * k + row % mr);
            let a = Broadcast { start, rows: Unit, step: mr };
            let start = self.b.first.add((column - self.columns.start) / product.blocks.nr() * self.b.strip);
            let b = Vectors { start, step: self.b.step, vector: T::LANES };
            let start = product.c.0.add(self.next * product.stride + column);
            let c = Target { start, row: product.stride, vector: T::LANES };
            self.ask_for_next::<MR, NV>(start);
            multiply_tile::<S, T, _, MR, NV>(self.s, (self.steps.start == 0, width), k, a, b, c);
        }
    }

    /// Asks for the memory of the tile to the right, which otherwise would be waited for row by row.
    #[inline(always)]
    fn ask_for_next<const MR: usize, const NV: usize>(&self, c: *mut T) {
        for i in 0..MR {
            for j in 0..NV {
                self.s.prefetch(c.wrapping_add(i * self.part.product.stride + (NV + j) * T::LANES));
            }
        }
    }

    /// Hands `rows` rows of the block on where their chains are complete.
    #[inline(always)]
    fn finish(&self, rows: usize) {
        let product = self.part.product;
        if self.steps.end == product.a.columns {
            let (rows, columns) = (self.next..self.next + rows, self.columns.clone());
            // SAFETY: these elements exist and belong to this thread.
            unsafe {
                let start = product.c.0.add(rows.start * product.stride + columns.start);
                product.epilogue.finish(self.s, rows, columns, start, product.stride);
            }
        }
    }
}

/// One tile: chains from zero, or carried on from `c`.
#[inline(always)]
unsafe fn multiply_tile<S: Simd, T: Element, R: Rows, const MR: usize, const NV: usize>(
    s: S,
    (first, width): (bool, usize),
    k: usize,
    a: Broadcast<T, R>,
    b: Vectors<T>,
    c: Target<T>,
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = if first { zeros::<S, T, MR, NV>(s) } else { load(s, c, width) };
        accumulate(s, &mut sums, All(k), a, b, &mut Nothing);
        if width == NV * T::LANES {
            store(sums, c);
        } else {
            store_first(sums, c, width);
        }
    }
}
