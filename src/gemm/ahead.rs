//! Layer 2: memory that a product asks for while it works on other memory.
//!
//! A processor waits for some twenty lines at a time, and for longer than a tile takes. So what the product after this one will read is
//! asked for evenly, some at each step: asked for in one go at the start of a tile, it made a quarter of the product's time.

use super::steps::Steps;
use crate::simd::{Element, Simd};

/// What the steps of a product ask for.
pub(crate) trait Ahead {
    /// Asks for the share of one step.
    fn step<S: Simd>(&mut self, s: S);
}

/// Nothing.
pub(crate) struct Nothing;

impl Ahead for Nothing {
    #[inline(always)]
    fn step<S: Simd>(&mut self, _s: S) {}
}

/// Rows of a stored matrix.
#[derive(Clone, Copy)]
pub(crate) struct Block<T, K> {
    /// The first element that will be read, were its row a row of the block.
    pub(crate) start: *const T,
    /// Elements from one row to the next.
    pub(crate) step: usize,
    /// Elements of a row that will be read.
    pub(crate) width: usize,
    /// The rows.
    pub(crate) rows: K,
}

/// A block, to be asked for within a number of steps.
pub(crate) struct Share<T, K> {
    block: Block<T, K>,
    steps: usize,
    lines: usize,
    /// Lines that are due, times `steps`.
    due: usize,
    row: usize,
    column: usize,
}

impl<T: Element, K: Steps> Share<T, K> {
    /// All of a block within `steps` steps.
    pub(crate) fn new(block: Block<T, K>, steps: usize) -> Self {
        let lines = block.rows.count() * block.width.div_ceil(T::LANES);
        Self { block, steps, lines, due: 0, row: 0, column: 0 }
    }
}

impl<T: Element, K: Steps> Ahead for Share<T, K> {
    #[inline(always)]
    fn step<S: Simd>(&mut self, s: S) {
        self.due += self.lines;
        while self.due >= self.steps && self.row < self.block.rows.count() {
            self.due -= self.steps;
            // SAFETY: just checked.
            let row = unsafe { self.block.rows.at(self.row) };
            s.prefetch_far(self.block.start.wrapping_add(row * self.block.step + self.column));
            self.column += T::LANES;
            if self.column >= self.block.width {
                (self.row, self.column) = (self.row + 1, 0);
            }
        }
    }
}
