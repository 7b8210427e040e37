//! Layer 2: the product of stored matrices of any strides, `C = A·B`: five loops around the tile, numbered as in the literature
//! (Goto and van de Geijn 2008; Van Zee and van de Geijn 2015).
//!
//! ```text
//! thread: its rectangle of C
//!   5  blocks of MC rows
//!   4    blocks of KC steps: pack A [MC, KC] in strips of MR rows, unless it is as good as it lies
//!   3      blocks of NC columns: pack B [KC, NC] in strips of NR columns, unless that does not pay
//!   2        strips of A
//!   1          strips of B: the tile, MR x NR
//! ```
//!
//! Where that is quicker, rows of `A` are turned into panels instead: see `by_panels`.
//!
//! A chain that loop 4 interrupts is stored in `C` and loaded again, so the bits depend neither on block sizes nor on
//! threads: those share out rectangles of `C`, never `k`.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::ahead::Nothing;
use super::blocks::{Blocks, FEW_STEPS, Grid, effort};
use super::by_panels::ByPanels;
use super::matrix::{Matrix, MatrixMut};
use super::pack::pack;
use super::scratch::with_scratch;
use super::steps::All;
use super::tile::{Broadcast, Rows, Target, Unit, Vectors, accumulate, load, store, store_first, zeros};
use crate::interrupt::requested;
use crate::parallel::{for_each_part, num_threads};
use crate::simd::{Element, Kernel, Level, Simd, dispatch_at, level};

/// What happens to elements of `C` while they are hot in the first-level cache. A call through a pointer for a strip of
/// tiles costs nothing that could be measured; one product for each epilogue was .1 MB of the wheel.
pub(crate) trait Epilogue<T>: Sync {
    /// Takes finished elements, a strip of tiles: rows and columns of `C`, where element `(rows.start, columns.start)`
    /// is, and elements from one row to the next (columns are neighbours).
    ///
    /// # Safety
    /// `c` is valid for these elements, which nobody else touches meanwhile.
    unsafe fn finish(&self, level: Level, rows: Range<usize>, columns: Range<usize>, c: *mut T, stride: usize);
}

/// `C = A·B` on the level in use and as many threads as pay.
///
/// # Panics
/// Where the shapes do not fit, or neither the rows nor the columns of `C` are neighbours in memory.
pub(crate) fn multiply<T: Element>(a: Matrix<'_, T>, b: Matrix<'_, T>, c: MatrixMut<'_, T>) {
    multiply_at(level(), num_threads(), a, b, c);
}

/// [`multiply`] on a given level and number of threads.
///
/// # Panics
/// As [`multiply`], and where the processor lacks the level.
pub(crate) fn multiply_at<T: Element>(
    level: Level,
    threads: usize,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
) {
    let turn = if c.columns == 1 { c.row_stride == 1 } else { c.column_stride != 1 };
    if turn {
        multiply_then(level, threads, b.transposed(), a.transposed(), c.transposed(), None);
    } else {
        multiply_then(level, threads, a, b, c, None);
    }
}

/// `C = A·B`, or `epilogue` of it; the columns of `C` are neighbours.
///
/// # Panics
/// As [`multiply_at`].
pub(crate) fn multiply_then<T: Element>(
    level: Level,
    threads: usize,
    a: Matrix<'_, T>,
    b: Matrix<'_, T>,
    c: MatrixMut<'_, T>,
    epilogue: Option<&dyn Epilogue<T>>,
) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes of a product");
    if c.rows == 0 || c.columns == 0 {
        return;
    }
    assert!(c.columns == 1 || c.column_stride == 1, "rows or columns of C are neighbours in memory");
    assert!(c.rows == 1 || c.row_stride >= c.columns as isize, "rows of C do not overlap");
    let effort = effort(c.rows, a.columns, c.columns).at_most(threads);
    if let Some(product) = ByPanels::new((level, effort.threads), a, b, &c, epilogue) {
        return product.multiply(level, effort);
    }
    let blocks = Blocks::new::<T>(level);
    let (c_start, stride, ended) = (Shared(c.start), c.row_stride.unsigned_abs(), AtomicBool::new(false));
    let product = Product { a, b, c: c_start, stride, blocks, epilogue, ended };
    for_each_part(effort, effort.threads, 1, |parts| {
        let grid = Grid::new(effort.threads / parts.len(), c.rows, c.columns);
        let (rows, columns) = grid.part(parts.start, (c.rows, blocks.short()), (c.columns, blocks.nr()));
        product.rectangle(level, rows, columns);
    });
}

/// An address in `C` that threads share; each writes its own rectangle.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: rectangles of different threads do not overlap.
unsafe impl<T: Send> Sync for Shared<T> {}

/// Operands, target and block sizes of a product, shapes checked.
struct Product<'a, T> {
    a: Matrix<'a, T>,
    b: Matrix<'a, T>,
    c: Shared<T>,
    stride: usize,
    blocks: Blocks,
    epilogue: Option<&'a dyn Epilogue<T>>,
    /// Whether the caller was asked to end early: what is left of `C` is not written then.
    ended: AtomicBool,
}

impl<T: Element> Product<'_, T> {
    /// Whether the call is to end early.
    fn ends(&self) -> bool {
        if requested() {
            self.ended.store(true, Relaxed);
        }
        self.ended.load(Relaxed)
    }

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
struct Rectangle<'a, T> {
    product: &'a Product<'a, T>,
    rows: Range<usize>,
    columns: Range<usize>,
    a: *mut T,
    b: *mut T,
}

impl<T: Element> Kernel for Rectangle<'_, T> {
    type Output = ();

    /// Loops 5, 4 and 3.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { a, b, blocks, .. } = self.product;
        let k = a.columns;
        let in_place =
            b.column_stride == 1 && b.row_stride >= 0 && blocks.reads_in_place::<T>(self.rows.len(), k, b.columns);
        for rows in pieces(self.rows.clone(), blocks.mc) {
            // A product over no `k` at all is zero: one empty block.
            for steps in pieces(0..k.max(1), blocks.kc) {
                let steps = steps.start.min(k)..steps.end.min(k);
                let block = a.block(rows.clone(), steps.clone());
                let of_a = if a.row_stride == 1 && a.column_stride >= 0 && k <= FEW_STEPS {
                    Stored { first: block.address(0, 0), step: a.column_stride.unsigned_abs(), strip: blocks.mr }
                } else {
                    // SAFETY: the room was made for blocks of this size.
                    unsafe { pack(s, block, blocks.mr, self.a) };
                    Stored { first: self.a, step: blocks.mr, strip: blocks.mr * steps.len() }
                };
                for columns in pieces(self.columns.clone(), blocks.nc) {
                    if self.product.ends() {
                        return;
                    }
                    for (columns, packed) in self.parts(columns, in_place) {
                        let block = b.block(steps.clone(), columns.clone());
                        let of_b = if packed {
                            // SAFETY: as above.
                            unsafe { pack(s, block.transposed(), blocks.nr(), self.b) };
                            Stored { first: self.b, step: blocks.nr(), strip: blocks.nr() * steps.len() }
                        } else {
                            let step = b.row_stride.unsigned_abs();
                            Stored { first: block.address(0, 0), step, strip: blocks.nr() }
                        };
                        self.strips(s, rows.clone(), columns, &steps, (of_a, of_b));
                    }
                }
            }
        }
    }
}

/// Where a block of an operand is: packed, or in the matrix itself.
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

impl<T: Element> Rectangle<'_, T> {
    /// Columns that are read in place, whole strips, and columns to be packed, where there are any.
    fn parts(&self, columns: Range<usize>, in_place: bool) -> impl Iterator<Item = (Range<usize>, bool)> {
        let nr = self.product.blocks.nr();
        let border = columns.start + if in_place { columns.len() / nr * nr } else { 0 };
        let parts = [(columns.start..border, false), (border..columns.end, true)];
        parts.into_iter().filter(|(columns, _)| !columns.is_empty())
    }

    /// Loop 2: strips of `A`, as tall as the level's tile, then the rest of the rows.
    #[inline(always)]
    fn strips<S: Simd>(
        &self,
        s: S,
        rows: Range<usize>,
        columns: Range<usize>,
        steps: &Range<usize>,
        (a, b): (Stored<T>, Stored<T>),
    ) {
        let next = rows.start;
        let mut block = Block { a, b, s, product: self.product, rows, next, columns, steps: steps.clone() };
        match S::LEVEL {
            Level::Avx512 => {
                block.tall::<12, 2>();
                block.tall::<8, 2>();
                block.tall::<4, 2>();
                block.tall::<2, 2>();
                block.tall::<1, 2>();
            }
            Level::Avx2 | Level::Neon => {
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

/// A block of `A` against a block of `B`.
struct Block<'a, S, T> {
    s: S,
    product: &'a Product<'a, T>,
    rows: Range<usize>,
    next: usize,
    columns: Range<usize>,
    steps: Range<usize>,
    a: Stored<T>,
    b: Stored<T>,
}

impl<S: Simd, T: Element> Block<'_, S, T> {
    /// Loops 2 and 1 for tiles of `MR` rows, while so many are left in a strip.
    #[inline(always)]
    fn tall<const MR: usize, const NV: usize>(&mut self) {
        while self.rows.end - self.next >= MR {
            let mut column = self.columns.start;
            while self.columns.end - column >= NV * T::LANES {
                self.tile::<MR, NV>(column, NV * T::LANES);
                column += NV * T::LANES;
            }
            let rest = self.columns.end - column;
            if NV > 1 && (1..=T::LANES).contains(&rest) {
                self.tile::<MR, 1>(column, rest);
            } else if rest > 0 {
                self.tile::<MR, NV>(column, rest);
            }
            self.finish(MR);
            self.next += MR;
        }
    }

    /// The tile of `MR` rows and up to `NV` vectors at `column`; `width` of its columns exist.
    #[inline(always)]
    fn tile<const MR: usize, const NV: usize>(&self, column: usize, width: usize) {
        let product = self.product;
        let (mr, k, row) = (product.blocks.mr, self.steps.len(), self.next - self.rows.start);
        // SAFETY: the strips hold this block; rows `next..next + MR` and `width` columns of `C` exist and belong to this
        // thread.
        unsafe {
            let start = self.a.first.add(row / mr * self.a.strip + row % mr);
            let a = Broadcast { start, rows: Unit, step: self.a.step };
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
                self.s.prefetch(c.wrapping_add(i * self.product.stride + (NV + j) * T::LANES));
            }
        }
    }

    /// Hands `rows` rows of the block on where their chains are complete.
    #[inline(always)]
    fn finish(&self, rows: usize) {
        let product = self.product;
        if let (Some(epilogue), true) = (product.epilogue, self.steps.end == product.a.columns) {
            let (rows, columns) = (self.next..self.next + rows, self.columns.clone());
            // SAFETY: these elements exist and belong to this thread.
            unsafe {
                let start = product.c.0.add(rows.start * product.stride + columns.start);
                epilogue.finish(S::LEVEL, rows, columns, start, product.stride);
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
