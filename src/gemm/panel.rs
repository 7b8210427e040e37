//! Layer 2: products of a stored matrix with panels: the rows of a batch in vector lanes.
//!
//! A *panel* holds `LANES` rows of a batch, turned: `[feature][lane]`. A kernel is read in its own layout through
//! broadcasts, so nothing is packed and every number of features is as good as any other. Up to four panels are
//! multiplied at a time, which reads the kernel once for all of them.

use std::ops::Range;

use super::ahead::{Ahead, Block, Nothing, Share};
use super::steps::{All, Listed, Steps};
use super::tile::{
    Across, Broadcast, Picked, ROWS_AHEAD, Rows, Stride, Target, Vectors, accumulate, rows_of_tiles, zeros,
};
use crate::parallel::{Shared, View};
use crate::simd::{Element, Kernel, Level, Simd, Vector};

/// Panels that are multiplied at a time on a level: as many as keep a tile at least as tall as wide.
pub(crate) fn panels_at_once(level: Level) -> usize {
    match level {
        Level::Avx512 => 4,
        Level::Avx2 | Level::Neon | Level::Scalar => 1,
    }
}

/// A kernel and the panels on both sides of it. A product reads and writes some features of them; who has the others is no matter.
pub(crate) struct PanelProduct<'a, T> {
    /// `k` inputs and `n` outputs.
    pub(crate) shape: (usize, usize),
    /// `W [k, n]`, by rows.
    pub(crate) kernel: &'a [T],
    /// How many panels.
    pub(crate) count: usize,
    /// Panels that are read.
    pub(crate) from: View<'a, T>,
    /// Panels that are written.
    pub(crate) to: Shared<'a, T>,
    /// Elements from one panel to the next, of those read and of those written.
    pub(crate) strides: (usize, usize),
}

impl<T: Element> PanelProduct<'_, T> {
    /// The part that one block of the kernel has in `y[j][lane] = Σᵢ W[i, j] · x[i][lane]`, for panels `from` of inputs and `to` of
    /// outputs: chains begin with the first input, and blocks further down carry them on. Block `next` is asked for meanwhile.
    ///
    /// # Safety
    /// While this runs nobody writes the block's inputs, and nobody else has its outputs.
    ///
    /// # Panics
    /// Where a slice is shorter than the shapes say.
    pub(crate) unsafe fn forward<S: Simd>(&self, s: S, block: &KernelBlock, next: Option<&KernelBlock>) {
        let (k, n) = self.shape;
        let panels = self.panels(k, n);
        let KernelBlock { rows, columns } = block;
        assert!(rows.end <= k && columns.end <= n);
        // A block may have no rows, and begin after the last.
        let start = |block: &KernelBlock| self.kernel.as_ptr().wrapping_add(block.rows.start * n + block.columns.start);
        s.run(Product {
            steps: All(rows.len()),
            a: Broadcast { start: start(block), rows: Across, step: n },
            m: columns.len(),
            carry: rows.start > 0,
            next: next.map(|next| Block {
                start: start(next),
                step: n,
                width: next.columns.len(),
                rows: All(next.rows.len()),
            }),
            panels: panels.starting_at(rows.start, columns.start),
        });
    }

    /// `dx[i][lane] = Σⱼ W[i, j] · dy[j][lane]` of inputs `rows`, for panels `from` of output gradients and `to` of input gradients.
    ///
    /// # Safety
    /// While this runs nobody writes the output gradients, and nobody else has these inputs' gradients.
    ///
    /// # Panics
    /// As [`PanelProduct::forward`].
    pub(crate) unsafe fn backward<S: Simd>(&self, s: S, rows: Range<usize>) {
        let (k, n) = self.shape;
        let panels = self.panels(n, k).starting_at(0, rows.start);
        assert!(rows.end <= k);
        let a = Broadcast { start: self.kernel[rows.start * n..].as_ptr(), rows: Stride(n), step: 1 };
        s.run(Product { steps: All(n), a, m: rows.len(), carry: false, next: None, panels });
    }

    /// [`PanelProduct::backward`] for some inputs from some outputs: as if the other outputs' gradients were 0; other inputs are
    /// left alone.
    ///
    /// # Safety
    /// As [`PanelProduct::backward`], for these inputs and outputs.
    ///
    /// # Panics
    /// As [`PanelProduct::backward`], and for indices out of range.
    pub(crate) unsafe fn backward_part<S: Simd>(&self, s: S, part: Part<'_>) {
        let (k, n) = self.shape;
        let panels = self.panels(n, k);
        part.check(self.shape);
        s.run(PartProduct { steps: part.outputs, picks: part.inputs, a: self.kernel.as_ptr(), row: n, panels });
    }

    /// Pointers to the panels, of `from` and `to` features, which lie in the slices, or this panics.
    pub(super) fn panels(&self, from: usize, to: usize) -> Panels<T> {
        let (count, (b_stride, c_stride)) = (self.count, self.strides);
        assert_eq!(self.kernel.len(), self.shape.0 * self.shape.1);
        assert!(from * T::LANES <= b_stride && to * T::LANES <= c_stride);
        let all = |stride: usize, features: usize| match count {
            0 => 0..0,
            _ => 0..(count - 1) * stride + features * T::LANES,
        };
        let (b, c) = (self.from.at(all(b_stride, from)), self.to.at(all(c_stride, to)));
        Panels { b, b_stride, c, c_stride, count }
    }
}

/// Panels read and written by a product.
#[derive(Clone, Copy)]
pub(super) struct Panels<T> {
    b: *const T,
    b_stride: usize,
    c: *mut T,
    c_stride: usize,
    count: usize,
}

impl<T: Element> Panels<T> {
    /// The same panels from feature `b` of those read and feature `c` of those written on.
    pub(super) fn starting_at(self, b: usize, c: usize) -> Self {
        Self { b: self.b.wrapping_add(b * T::LANES), c: self.c.wrapping_add(c * T::LANES), ..self }
    }
}

/// Bytes of a kernel that all panels use before the next: half a second-level cache.
const BLOCK: usize = 1 << 19;

/// Most bytes of a row of such a block, a page: longer rows would be so few that a tile's chains were carried on every few steps. Rows
/// shorter than half of it are not more, for the sake of the panels that stream past.
const ROW: usize = 1 << 12;

/// A block of a kernel that all panels use before the next. Its rows are few pages, whose addresses a processor keeps at hand;
/// going down whole columns of a few MiB, each row another page, a product ran at half the speed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KernelBlock {
    /// Inputs.
    pub(crate) rows: Range<usize>,
    /// Outputs.
    pub(crate) columns: Range<usize>,
}

impl KernelBlock {
    /// The blocks of rows `rows` of a kernel: down the rows of some columns, then on to the next columns. Blocks of no rows begin chains
    /// of no inputs.
    pub(crate) fn of_rows<T: Element>(rows: &Range<usize>, columns: &[Range<usize>]) -> Vec<Self> {
        let mut blocks = Vec::new();
        for columns in columns {
            let height = BLOCK / size_of::<T>() / columns.len().max(ROW / size_of::<T>() / 2);
            for start in (rows.start..rows.end.max(rows.start + 1)).step_by(height) {
                blocks.push(Self { rows: start..rows.end.min(start + height), columns: columns.clone() });
            }
        }
        blocks
    }
}

/// Cuts `n` columns of a kernel into as few as fit into a row of a block, about as many each; whole vectors, but for the last.
pub(crate) fn columns_of_blocks<T: Element>(n: usize) -> Vec<Range<usize>> {
    let vectors = n.div_ceil(T::LANES);
    let width = vectors.div_ceil((n * size_of::<T>()).div_ceil(ROW).max(1)).max(1) * T::LANES;
    (0..n).step_by(width).map(|start| start..n.min(start + width)).collect()
}

/// Cuts some rows of a kernel of `n` columns into strips of about a block's size.
pub(crate) fn strips<T: Element>(rows: Range<usize>, n: usize) -> impl Iterator<Item = Range<usize>> {
    let height = (BLOCK / size_of::<T>() / n.max(1)).max(48);
    rows.clone().step_by(height).map(move |start| start..rows.end.min(start + height))
}

/// Which inputs and outputs of a layer take part in a product, ascending.
#[derive(Clone, Copy)]
pub(crate) struct Part<'a> {
    /// Inputs, below `k`.
    pub(crate) inputs: &'a [u32],
    /// Outputs, below `n`.
    pub(crate) outputs: &'a [u32],
}

impl Part<'_> {
    fn check(&self, (k, n): (usize, usize)) {
        let within = |list: &[u32], bound: usize| list.iter().all(|&index| (index as usize) < bound);
        assert!(within(self.inputs, k) && within(self.outputs, n), "indices of a product leave its operands");
    }
}

/// `C = A·B` for panels `B` and `C`; made only where the pointers are valid for the shapes.
pub(super) struct Product<T, R, K> {
    pub(super) steps: K,
    pub(super) a: Broadcast<T, R>,
    pub(super) m: usize,
    pub(super) panels: Panels<T>,
    /// `c` holds chains that are carried on.
    pub(super) carry: bool,
    /// What is asked for meanwhile.
    pub(super) next: Option<Block<T, K>>,
}

impl<T: Element, R: Rows, K: Steps> Product<T, R, K> {
    /// `NV` panels from panel `first` on.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn some<S: Simd, const NV: usize>(&self, s: S, first: usize, ahead: &mut impl Ahead) {
        // SAFETY: panels `first..first + NV` exist on both sides.
        unsafe {
            let b = Vectors {
                start: self.panels.b.add(first * self.panels.b_stride),
                step: T::LANES,
                vector: self.panels.b_stride,
            };
            let c = Target {
                start: self.panels.c.add(first * self.panels.c_stride),
                row: T::LANES,
                vector: self.panels.c_stride,
            };
            rows_of_tiles::<S, T, R, K, NV>(s, self.m, self.steps, self.a, b, c, self.carry, ahead);
        }
    }

    /// All panels.
    #[inline(always)]
    fn all<S: Simd>(&self, s: S, ahead: &mut impl Ahead) {
        let mut first = 0;
        // SAFETY: whoever made this checked the pointers for all panels.
        unsafe {
            if panels_at_once(S::LEVEL) == 4 {
                while self.panels.count - first >= 4 {
                    self.some::<S, 4>(s, first, ahead);
                    first += 4;
                }
                match self.panels.count - first {
                    3 => self.some::<S, 3>(s, first, ahead),
                    2 => self.some::<S, 2>(s, first, ahead),
                    1 => self.some::<S, 1>(s, first, ahead),
                    _ => {}
                }
            } else {
                while first < self.panels.count {
                    self.some::<S, 1>(s, first, ahead);
                    first += 1;
                }
            }
        }
    }
}

impl<T: Element, R: Rows, K: Steps> Kernel for Product<T, R, K> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // About so many tiles of about so many vectors.
        let vectors = if S::LEVEL == Level::Avx512 { 24 } else { 6 };
        let steps = self.m * self.panels.count * self.steps.count() / vectors;
        match self.next {
            Some(next) => self.all(s, &mut Share::new(next, steps)),
            None => self.all(s, &mut Nothing),
        }
    }
}

/// Rows `picks` of `C = A·B` over `k` in `steps`, where rows of `A` are rows in memory; made only where pointers and indices
/// are valid for the shapes.
struct PartProduct<'a, T> {
    steps: &'a [u32],
    picks: &'a [u32],
    a: *const T,
    /// Elements from one row of `A` to the next.
    row: usize,
    panels: Panels<T>,
}

impl<T: Element> PartProduct<'_, T> {
    /// Tiles of `MR` picked rows of `NV` panels from panel `first` on, while there are so many; returns the rest.
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn tiles<'p, S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        first: usize,
        mut picks: &'p [u32],
    ) -> &'p [u32] {
        while let Some((rows, rest)) = picks.split_first_chunk::<MR>() {
            let offsets = rows.map(|i| i as usize * self.row);
            // SAFETY: panels `first..first + NV` exist on both sides, and the indices are in range.
            unsafe {
                let b = Vectors {
                    start: self.panels.b.add(first * self.panels.b_stride),
                    step: T::LANES,
                    vector: self.panels.b_stride,
                };
                let mut c = zeros::<S, T, MR, NV>(s);
                // A step of one panel is too short to ask for what the processor fetches by itself.
                if NV > 1 {
                    let a = Broadcast { start: self.a, rows: Picked::<MR, ROWS_AHEAD>(offsets), step: 1 };
                    accumulate(s, &mut c, Listed(self.steps), a, b, &mut Nothing);
                } else {
                    let a = Broadcast { start: self.a, rows: Picked::<MR, 0>(offsets), step: 1 };
                    accumulate(s, &mut c, Listed(self.steps), a, b, &mut Nothing);
                }
                for (vectors, &row) in c.into_iter().zip(rows) {
                    for (j, vector) in vectors.into_iter().enumerate() {
                        vector.store(self.panels.c.add((first + j) * self.panels.c_stride + row as usize * T::LANES));
                    }
                }
            }
            picks = rest;
        }
        picks
    }

    /// All picked rows of `NV` panels, at most 8 at a time, as in [`rows_of_tiles`] for [`Stride`].
    ///
    /// # Safety
    /// The pointers are valid for them.
    #[inline(always)]
    unsafe fn some<S: Simd, const NV: usize>(&self, s: S, first: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let rest = match (S::LEVEL, NV) {
                (Level::Avx512, 1..=3) => self.tiles::<S, 8, NV>(s, first, self.picks),
                _ => self.tiles::<S, 6, NV>(s, first, self.picks),
            };
            let rest = self.tiles::<S, 4, NV>(s, first, rest);
            self.tiles::<S, 1, NV>(s, first, rest);
        }
    }
}

impl<T: Element> Kernel for PartProduct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut first = 0;
        // SAFETY: whoever made this checked pointers and indices for all panels.
        unsafe {
            if panels_at_once(S::LEVEL) == 4 {
                while self.panels.count - first >= 4 {
                    self.some::<S, 4>(s, first);
                    first += 4;
                }
                while self.panels.count - first >= 2 {
                    self.some::<S, 2>(s, first);
                    first += 2;
                }
            }
            while first < self.panels.count {
                self.some::<S, 1>(s, first);
                first += 1;
            }
        }
    }
}
