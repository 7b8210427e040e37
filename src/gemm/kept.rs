//! Layer 2: the kept features of panels that share a mask, and the forward product of those alone.
//!
//! A block of the kernel is packed: the rows of kept inputs, and in each the kept outputs side by side. So lines of which
//! half is wanted are read once for all tiles, and what follows is a product of a smaller kernel.

use std::ops::Range;

use super::ahead::Block;
use super::panel::{KernelBlock, PanelProduct, Product};
use super::steps::{Listed, Packed};
use super::tile::{Across, Broadcast};
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Some of the features on one side of a layer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept {
    /// The features, ascending.
    pub(crate) list: Vec<u32>,
    /// The same by vectors of features.
    pub(crate) lanes: Vec<Lanes>,
}

/// What is kept of a vector of features.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes {
    /// Bit `i` is lane `i`.
    pub(crate) bits: u32,
    /// How many features are kept before this vector.
    pub(crate) before: u32,
}

impl Kept {
    /// All of `0..width`.
    pub(crate) fn all<T: Element>(width: usize) -> Self {
        let mut all = Self::default();
        all.fill::<T>(width, std::iter::repeat_n(u32::MAX, width.div_ceil(32)));
        all
    }

    /// The features of `0..width` whose bits are set in words of 32.
    pub(crate) fn fill<T: Element>(&mut self, width: usize, words: impl Iterator<Item = u32>) {
        self.list.clear();
        self.lanes.clear();
        for (word, first) in words.zip((0..width).step_by(32)) {
            let word = word & u32::MAX >> (32 - (width - first).min(32));
            for vector in (0..(width - first).min(32)).step_by(T::LANES) {
                let mut bits = word >> vector & ((1 << T::LANES) - 1);
                self.lanes.push(Lanes { bits, before: self.list.len() as u32 });
                while bits != 0 {
                    self.list.push((first + vector) as u32 + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
        }
    }

    /// What is kept of the vector of features that begins at one of them.
    #[inline(always)]
    pub(crate) fn at<T: Element>(&self, feature: usize) -> Lanes {
        let (vector, lane) = (feature / T::LANES, feature % T::LANES);
        let of = |vector: usize| self.lanes.get(vector).map_or((0, self.list.len() as u32), |l| (l.bits, l.before));
        let ((bits, before), (next, _)) = (of(vector), of(vector + 1));
        Lanes {
            bits: (bits >> lane | next << (T::LANES - lane)) & ((1 << T::LANES) - 1),
            before: before + (bits & ((1 << lane) - 1)).count_ones(),
        }
    }
}

/// Those features of an ascending list that lie in a range.
pub(crate) fn among<'a>(list: &'a [u32], range: &Range<usize>) -> &'a [u32] {
    let place = |bound: usize| list.partition_point(|&feature| (feature as usize) < bound);
    &list[place(range.start)..place(range.end)]
}

impl<T: Element> PanelProduct<'_, T> {
    /// [`PanelProduct::forward`] from the kept inputs of a block to its kept outputs, which stand one after another from the place of
    /// its first output on; [`Spread`] brings them to their places when all blocks are done. What of block `next` is kept is asked for,
    /// ahead of its product.
    ///
    /// # Safety
    /// As [`PanelProduct::forward`].
    ///
    /// # Panics
    /// As [`PanelProduct::forward`], and for features out of range.
    pub(crate) unsafe fn forward_kept<S: Simd>(
        &self,
        s: S,
        (inputs, outputs): (&Kept, &Kept),
        (block, next): (&KernelBlock, Option<&KernelBlock>),
        packed: &mut Vec<T>,
    ) {
        let (k, n) = self.shape;
        let panels = self.panels(k, n);
        assert!(inputs.lanes.len() == k.div_ceil(T::LANES) && outputs.lanes.len() == n.div_ceil(T::LANES));
        assert!(block.rows.end <= k && block.columns.end <= n);
        let (rows, columns) = (among(&inputs.list, &block.rows), &block.columns);
        let [first, end] = [columns.start, columns.end].map(|column| outputs.at::<T>(column).before as usize);
        // Room for a vector that begins after the last output, and an odd number of cache lines, so that the rows do not fall into a few
        // sets of the cache.
        let stride = (((end - first).div_ceil(T::LANES) + 1) | 1) * T::LANES;
        if packed.len() < rows.len() * stride {
            packed.resize(rows.len() * stride, T::ZERO);
        }
        s.run(Pack { kernel: self.kernel, n, rows, columns: columns.clone(), outputs, stride, packed });
        s.run(Product {
            steps: Packed(Listed(rows)),
            a: Broadcast { start: packed.as_ptr(), rows: Across, step: stride },
            m: end - first,
            carry: block.rows.start > 0,
            next: next.map(|next| Block {
                start: self.kernel[next.columns.start..].as_ptr(),
                step: n,
                width: next.columns.len(),
                rows: Packed(Listed(among(&inputs.list, &next.rows))),
            }),
            panels: panels.starting_at(0, columns.start),
        });
    }
}

/// Packs kept outputs among `columns`, which begin with a vector, of rows of a kernel, the latter `stride` apart.
struct Pack<'a, T> {
    kernel: &'a [T],
    n: usize,
    rows: &'a [u32],
    columns: Range<usize>,
    outputs: &'a Kept,
    stride: usize,
    packed: &'a mut [T],
}

impl<T: Element> Kernel for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (mut vector, end) = (self.columns.start / T::LANES, self.columns.end.div_ceil(T::LANES));
        assert!(self.rows.len() * self.stride <= self.packed.len() && self.columns.start.is_multiple_of(T::LANES));
        assert!(self.rows.last().is_none_or(|&row| (row as usize + 1) * self.n <= self.kernel.len()));
        while vector < end {
            vector += match self.n / T::LANES - vector {
                8.. if end - vector >= 8 => self.vectors::<S, 8>(s, vector),
                1.. => self.vectors::<S, 1>(s, vector),
                0 => self.rest(s, vector),
            };
        }
    }
}

impl<T: Element> Pack<'_, T> {
    /// Which features of a vector are kept, and where in a packed row they go.
    ///
    /// # Panics
    /// Where a row has no room for them and for a vector more.
    fn place(&self, vector: usize) -> (u32, usize) {
        let [first, Lanes { bits, before }] = [self.columns.start / T::LANES, vector].map(|at| self.outputs.lanes[at]);
        let place = (before - first.before) as usize;
        assert!(place + T::LANES <= self.stride);
        (bits, place)
    }

    /// `N` whole vectors of outputs from number `first` on, so few that how their lanes move stays in registers; returns `N`. What is done
    /// for a vector is a few instructions, so that those of many rows are under way while lines come from far.
    #[inline(always)]
    fn vectors<S: Simd, const N: usize>(&mut self, s: S, first: usize) -> usize {
        let (mut moves, mut places) = ([V::<S, T>::packing(s, 0); N], [0; N]);
        for (index, (moves, to)) in moves.iter_mut().zip(&mut places).enumerate() {
            let (bits, place) = self.place(first + index);
            (*moves, *to) = (V::<S, T>::packing(s, bits), place);
        }
        assert!((first + N) * T::LANES <= self.n);
        let mut to = self.packed.as_mut_ptr();
        for &row in self.rows {
            // SAFETY: rows, which ascend, were checked against the kernel, columns and places just now; a packed row has room for what is
            // kept and a vector more, and there are as many as rows.
            unsafe {
                let from = self.kernel.as_ptr().add(row as usize * self.n + first * T::LANES);
                for index in 0..N {
                    V::<S, T>::load(s, from.add(index * T::LANES)).pack(to.add(places[index]), moves[index]);
                }
            }
            to = to.wrapping_add(self.stride);
        }
        N
    }

    /// The outputs after the last whole vector; returns 1.
    #[inline(always)]
    fn rest<S: Simd>(&mut self, s: S, vector: usize) -> usize {
        let (bits, place) = self.place(vector);
        let moves = V::<S, T>::packing(s, bits);
        for (to, &row) in self.packed.chunks_exact_mut(self.stride).zip(self.rows) {
            let row = &self.kernel[row as usize * self.n..][..self.n];
            let vector = V::<S, T>::from_slice(s, &row[vector * T::LANES..]);
            // SAFETY: a row has room for what is kept and a vector more, as was just checked.
            unsafe { vector.pack(to.as_mut_ptr().add(place), moves) };
        }
        1
    }
}

/// Moves kept features of a panel that stand one after another at the start of a range to their places; the others become 0.
pub(crate) struct Spread<'a, T> {
    /// The features of the panel in that range, `[feature][lane]`.
    pub(crate) panel: &'a mut [T],
    /// The first feature.
    pub(crate) first: usize,
    /// The features that are kept.
    pub(crate) kept: &'a Kept,
}

impl<T: Element> Kernel for Spread<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { panel, first, kept } = self;
        let range = first..first + panel.len() / T::LANES;
        let mut left = among(&kept.list, &range);
        // From the end on, so that none is overwritten before it has moved.
        for to in (0..range.len()).rev() {
            let mut vector = V::<S, T>::zero(s);
            if let Some((&last, others)) = left.split_last()
                && last as usize == first + to
            {
                left = others;
                vector = V::<S, T>::read(s, &panel[left.len() * T::LANES..]);
            }
            vector.write(&mut panel[to * T::LANES..]);
        }
    }
}
