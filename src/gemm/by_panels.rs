//! Layer 2: the product of stored matrices through panels of rows.
//!
//! Rows of `A` are turned into panels, so that `B` is read in place, through broadcasts, whether it stands as it is or
//! transposed. Nothing of it is packed, and no lane is empty where its columns end. Products of 32 rows run at .9 of a loop of
//! multiply-adds where packing reached .6 to .8, squares of 1024 at .9 to .95 where it reached .8 to .9.

use std::ops::Range;

use super::driver::Epilogue;
use super::matrix::{Matrix, MatrixMut};
use super::pack::pack;
use super::panel::{KernelBlock, PanelProduct, columns_of_blocks, panels_at_once};
use super::scatter::Scatter;
use super::scratch::with_scratch;
use crate::parallel::{Effort, Shared, View, for_each_part};
use crate::simd::{Element, Kernel, Level, Simd, dispatch_at};

/// Panels of a block. With 1024 features their inputs fill half of a second-level cache, and `B` is read once for 128 rows; with
/// twice as many the squares of 1024 and 2048 were slower by 3 to 6 %.
const BLOCK: usize = 8;

/// Most inputs and outputs together, so that a block's panels, which a thread keeps, take no more than 4 MiB.
const MOST_FEATURES: usize = 1 << 13;

/// Largest `B`, in bytes, that is read down its columns where panels are multiplied one at a time: its lines are then read again for
/// every tile and panel, out of the second-level cache or, with 4 MB, at half the speed of packing.
const MOST_REREAD: usize = 1 << 20;

/// Most columns for each step: with more, turning the results back costs more than packing saves. Where the rows of `A` are neighbours,
/// as in xᵀ·dy, packing is copying, and the bound lies lower: 3 columns a step lost a tenth, 1 gained.
const MOST_WIDE: usize = 4;

/// A matrix `[k, n]` without gaps.
#[derive(Clone, Copy)]
enum Stored<'a, T> {
    /// By rows.
    Rows(&'a [T]),
    /// By columns.
    Columns(&'a [T]),
}

/// `C = A·B`, or `epilogue` of it, for a `B` and a `C` without gaps.
pub(crate) struct ByPanels<'a, T> {
    a: Matrix<'a, T>,
    b: Stored<'a, T>,
    c: Shared<'a, T>,
    columns: usize,
    epilogue: Option<&'a dyn Epilogue<T>>,
}

impl<'a, T: Element> ByPanels<'a, T> {
    /// The product, if this way is a good one on the level: rows that nearly fill as many panels for every thread.
    pub(crate) fn new(
        (level, threads): (Level, usize),
        a: Matrix<'a, T>,
        b: Matrix<'a, T>,
        c: &MatrixMut<'a, T>,
        epilogue: Option<&'a dyn Epilogue<T>>,
    ) -> Option<Self> {
        let (m, k, n) = (a.rows, a.columns, b.columns);
        let empty = m.div_ceil(T::LANES).next_multiple_of(threads) * T::LANES - m;
        let wide = if a.row_stride == 1 { 1 } else { MOST_WIDE };
        let fits = 8 * empty <= m && k > 0 && n <= wide * k && k + n <= MOST_FEATURES;
        if !fits || c.row_stride != n as isize {
            return None;
        }
        // SAFETY: `k * n` elements without gaps, readable as long as the matrix.
        let elements = || unsafe { std::slice::from_raw_parts(b.address(0, 0), k * n) };
        let rereads = panels_at_once(level) == 1 && k * n * size_of::<T>() > MOST_REREAD;
        let b = match (b.row_stride, b.column_stride) {
            (row, 1) if row == n as isize && !rereads => Stored::Rows(elements()),
            (1, column) if column == k as isize => Stored::Columns(elements()),
            _ => return None,
        };
        // SAFETY: the rows of `C` lie side by side, and it is the caller's for this long.
        let c = Shared::new(unsafe { std::slice::from_raw_parts_mut(c.start, m * n) });
        Some(Self { a, b, c, columns: n, epilogue })
    }

    /// Computes it: each thread takes as many panels, in parts of a block at most.
    pub(crate) fn multiply(&self, level: Level, effort: Effort) {
        let panels = self.a.rows.div_ceil(T::LANES);
        let part = panels.div_ceil(effort.threads * panels.div_ceil(effort.threads * BLOCK));
        for_each_part(effort, panels, part, |panels| {
            for first in panels.clone().step_by(BLOCK) {
                let panels = first..panels.end.min(first + BLOCK);
                dispatch_at(level, Rows { product: self, rows: panels.start * T::LANES..panels.end * T::LANES });
            }
        });
    }
}

/// Whole panels of rows, but for the last.
struct Rows<'a, 'b, T> {
    product: &'a ByPanels<'b, T>,
    rows: Range<usize>,
}

impl<T: Element> Kernel for Rows<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let ByPanels { a, b, c, columns: n, epilogue } = self.product;
        let (k, count) = (a.columns, self.rows.len() / T::LANES);
        let rows = self.rows.start..self.rows.end.min(a.rows);
        let (inputs, outputs) = (count * k * T::LANES, count * n * T::LANES);
        with_scratch(inputs + outputs, |room: *mut T| {
            // SAFETY: the room holds both. Packed into strips of `LANES` rows, rows are panels. These rows of `C` are this
            // thread's.
            let (from, outputs, target) = unsafe {
                pack(s, a.block(rows.clone(), 0..k), T::LANES, room);
                (
                    View::new(std::slice::from_raw_parts(room, inputs)),
                    std::slice::from_raw_parts_mut(room.add(inputs), outputs),
                    c.part(rows.start * n..rows.end * n),
                )
            };
            let (to, strides) = (Shared::new(&mut *outputs), (k * T::LANES, n * T::LANES));
            // SAFETY: as above.
            unsafe {
                match *b {
                    Stored::Rows(kernel) => {
                        let product = PanelProduct { shape: (k, *n), kernel, count, from, to, strides };
                        let blocks = KernelBlock::of_rows::<T>(&(0..k), &columns_of_blocks::<T>(*n));
                        for (index, block) in blocks.iter().enumerate() {
                            product.forward(s, block, blocks.get(index + 1));
                        }
                    }
                    Stored::Columns(kernel) => {
                        PanelProduct { shape: (*n, k), kernel, count, from, to, strides }.backward(s, 0..*n);
                    }
                }
            }
            let each = target.chunks_mut(T::LANES * n).zip(outputs.chunks_exact(n * T::LANES));
            for (target, panel) in each {
                s.run(Scatter { panel, rows: target, stride: *n });
            }
            if let Some(epilogue) = epilogue {
                // SAFETY: as above.
                unsafe { epilogue.finish(S::LEVEL, rows, 0..*n, target.as_mut_ptr(), *n) };
            }
        });
    }
}
