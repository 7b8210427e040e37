//! Layer 2: the product of stored matrices with operands rounded to bfloat16: five loops around the tile, as in `gemm::driver`.
//!
//! Both operands are packed, for packing rounds them. A chain that the loop over `k` interrupts is stored in `C` and loaded again, and
//! blocks end between pairs, so the bits depend neither on block sizes nor on threads.

use std::ops::Range;

use super::pack::pack;
use super::tile::{LANES, Tile};
use crate::gemm::blocks::{Grid, effort};
use crate::gemm::matrix::{Matrix, MatrixMut};
use crate::gemm::scratch::with_scratch;
use crate::parallel::{for_each_part, num_threads};
use crate::simd::bf16::{Dot, DotKernel, Pair, dispatch_dot};
use crate::simd::{Level, level};

/// Steps of a block: a strip of `A`, 12 rows, is 12 KiB of the first-level cache.
const KC: usize = 512;

/// Columns of a block: that of `B` is 256 KiB of the second-level cache.
const NC: usize = 256;

/// Rows of a block.
const MC: usize = 1536;

/// Rows and vectors of a tile: with the instruction, without.
const TILES: [(usize, usize); 2] = [(12, 2), (4, 1)];

/// `C = A·B` on the level in use and as many threads as pay.
///
/// # Panics
/// Where the shapes do not fit, or neither the rows nor the columns of `C` are neighbours in memory.
pub(crate) fn multiply(a: Matrix<'_, f32>, b: Matrix<'_, f32>, c: MatrixMut<'_, f32>) {
    multiply_at((level(), true), num_threads(), a, b, c);
}

/// [`multiply`] on a level, with or without the instruction, and a number of threads.
///
/// # Panics
/// As [`multiply`], and where the processor lacks the level.
pub(crate) fn multiply_at(
    on: (Level, bool),
    threads: usize,
    a: Matrix<'_, f32>,
    b: Matrix<'_, f32>,
    c: MatrixMut<'_, f32>,
) {
    assert!(a.columns == b.rows && a.rows == c.rows && b.columns == c.columns, "shapes of a product");
    if c.rows == 0 || c.columns == 0 {
        return;
    }
    let turn = if c.columns == 1 { c.row_stride == 1 } else { c.column_stride != 1 };
    let (a, b, c) = if turn { (b.transposed(), a.transposed(), c.transposed()) } else { (a, b, c) };
    assert!(c.columns == 1 || c.column_stride == 1, "rows or columns of C are neighbours in memory");
    assert!(c.rows == 1 || c.row_stride >= c.columns as isize, "rows of C do not overlap");
    let effort = effort(c.rows, a.columns, c.columns).at_most(threads);
    let product = Product { a, b, c: Shared(c.start), stride: c.row_stride.unsigned_abs() };
    for_each_part(effort, effort.threads, 1, |parts| {
        let grid = Grid::new(effort.threads / parts.len(), c.rows, c.columns);
        let (rows, columns) = grid.part(parts.start, (c.rows, 4), (c.columns, 2 * LANES));
        let kc = a.columns.min(KC).div_ceil(2);
        let room_of_a = rows.len().min(MC).next_multiple_of(LANES * 12) * kc;
        let room = room_of_a + columns.len().min(NC).next_multiple_of(2 * LANES) * kc;
        with_scratch(room, |room: *mut Pair| {
            // SAFETY: the room holds both.
            let of_b = unsafe { room.add(room_of_a) };
            dispatch_dot(on.0, on.1, Rectangle { product, rows, columns, of_a: room, of_b });
        });
    });
}

/// An address in `C` that threads share; each writes its own rectangle.
#[derive(Clone, Copy)]
struct Shared(*mut f32);

// SAFETY: rectangles of different threads do not overlap.
unsafe impl Sync for Shared {}
// SAFETY: as above.
unsafe impl Send for Shared {}

/// Operands and target, shapes checked.
#[derive(Clone, Copy)]
struct Product<'a> {
    a: Matrix<'a, f32>,
    b: Matrix<'a, f32>,
    c: Shared,
    stride: usize,
}

/// One thread's part of a product, with room for packed blocks.
struct Rectangle<'a> {
    product: Product<'a>,
    rows: Range<usize>,
    columns: Range<usize>,
    of_a: *mut Pair,
    of_b: *mut Pair,
}

/// A range in pieces of `size`.
fn pieces(range: Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(size).map(move |start| start..(start + size).min(range.end))
}

impl DotKernel for Rectangle<'_> {
    /// Loops 5, 4 and 3.
    #[inline(always)]
    fn run<D: Dot>(self, d: D) {
        let Product { a, b, .. } = self.product;
        let (k, s, (mr, nv)) = (a.columns, d.level(), TILES[usize::from(!D::NATIVE)]);
        for rows in pieces(self.rows.clone(), MC) {
            // A product over no `k` at all is zero: one empty block.
            for steps in pieces(0..k.max(1), KC) {
                let steps = steps.start.min(k)..steps.end.min(k);
                // SAFETY: the room was made for blocks of this size.
                unsafe { pack(s, a.block(rows.clone(), steps.clone()), mr, self.of_a) };
                for columns in pieces(self.columns.clone(), NC) {
                    let block = b.block(steps.clone(), columns.clone()).transposed();
                    // SAFETY: as above.
                    unsafe { pack(s, block, nv * LANES, self.of_b) };
                    self.block(d, rows.clone(), columns, steps.clone());
                }
            }
        }
    }
}

impl Rectangle<'_> {
    /// Loops 2 and 1: strips of `A`, in each of them lower tiles for what is left of the rows.
    #[inline(always)]
    fn block<D: Dot>(&self, d: D, rows: Range<usize>, columns: Range<usize>, steps: Range<usize>) {
        let (mr, _) = TILES[usize::from(!D::NATIVE)];
        let mut row = rows.start;
        while row < rows.end {
            let (left, at) = (rows.end - row, row - rows.start);
            let pairs = steps.len().div_ceil(2);
            // SAFETY: the strips hold this block; these rows and columns of `C` exist and belong to this thread.
            row += unsafe {
                let a = (self.of_a.add(at / mr * mr * pairs + at % mr).cast_const(), mr);
                let strip = Strip { a, row, columns: columns.clone(), pairs, first: steps.start == 0 };
                match (D::NATIVE, left) {
                    (true, 12..) => self.strip::<D, 12, 2>(d, strip),
                    (true, 4..) => self.strip::<D, 4, 2>(d, strip),
                    (true, _) => self.strip::<D, 1, 2>(d, strip),
                    (false, 4..) => self.strip::<D, 4, 1>(d, strip),
                    (false, _) => self.strip::<D, 1, 1>(d, strip),
                }
            };
        }
    }

    /// Loop 1: a strip of `A` by all strips of `B`; returns its height.
    #[inline(always)]
    unsafe fn strip<D: Dot, const MR: usize, const NV: usize>(&self, d: D, strip: Strip) -> usize {
        let (pairs, wide) = (strip.pairs, NV * LANES);
        for (index, columns) in pieces(strip.columns.clone(), wide).enumerate() {
            let tile = Tile {
                pairs,
                first: strip.first,
                width: columns.len(),
                a: strip.a,
                b: (self.of_b.wrapping_add(index * wide * pairs), wide),
                c: (
                    self.product.c.0.wrapping_add(strip.row * self.product.stride + columns.start),
                    self.product.stride,
                ),
            };
            // SAFETY: the caller's promise.
            unsafe { tile.multiply::<D, MR, NV>(d) };
        }
        MR
    }
}

/// A strip of `A` and what it is multiplied by.
struct Strip {
    a: (*const Pair, usize),
    row: usize,
    columns: Range<usize>,
    pairs: usize,
    first: bool,
}
