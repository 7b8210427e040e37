//! Layer 2: the weight gradient of row groups where one instruction moves lanes between registers: tiles whose registers are filled
//! with the kept chains of a strip of the gradient, which carry them on over a group's rows, and bring them back.
//!
//! Nothing is packed in memory, so a tile is wherever a group's own kept outputs fill whole vectors, and strips may be wider than
//! the blocks of [`super::thin`].

use std::mem::MaybeUninit;
use std::ops::Range;

use super::groups::picked;
use super::thin::{ThinGroup, ThinTiles};
use super::{BLOCK_ROWS, Piece};
use crate::aligned::Lines;
use crate::gemm::kept::Lanes;
use crate::gemm::tile::{Registers, zeros};
use crate::simd::{Element, Links, Simd, V, Vector};

/// Most vectors of columns of a strip. Its chains, 66 KiB, come from the second-level cache; with as few as stay in the first, groups had
/// too many tiles that are not full.
const COLUMNS: usize = 22;

/// Most vectors of kept outputs of a tile.
const KEPT: usize = 3;

/// The same of a row of the strip, an odd number: so rows do not fall into a few sets of the cache.
const ROW: usize = COLUMNS | 1;

/// Most vectors of columns that have lanes in a vector of kept outputs.
const SOURCES: usize = 8;

/// How lanes move between a vector of columns and a vector of kept outputs.
#[derive(Clone, Copy)]
struct Way<L> {
    /// Elements of a row before the vector of columns.
    at: usize,
    gather: L,
    scatter: L,
}

/// The kept outputs of a tile.
struct Outputs<L> {
    /// Their places in the group's list.
    places: Range<usize>,
    /// The ways of each of their vectors, as many as were written.
    ways: [[MaybeUninit<Way<L>>; SOURCES]; KEPT],
    counts: [usize; KEPT],
}

/// The part that a group has in a strip.
struct Part<'a, T> {
    group: &'a ThinGroup<'a>,
    columns: Range<usize>,
    /// Elements of a row of the strip.
    stride: usize,
    strip: &'a mut [T],
}

type LinksOf<S, T> = <V<S, T> as Vector>::Links;

impl<T: Element> ThinTiles<'_, '_, T> {
    /// Computes the gradient strip by strip and hands them to the sink.
    #[inline(always)]
    pub(super) fn strips<S: Simd>(&mut self, s: S) {
        assert!(self.rows.len() <= BLOCK_ROWS);
        let mut strip = Lines([T::ZERO; BLOCK_ROWS * ROW * 16]);
        let vectors = self.n.div_ceil(T::LANES);
        // Strips of about the same width.
        let width = vectors.div_ceil(vectors.div_ceil(COLUMNS).max(1)) * T::LANES;
        let mut column = 0;
        while column < self.n {
            let columns = column..self.n.min(column + width);
            let stride = (columns.len().div_ceil(T::LANES) | 1) * T::LANES;
            let strip = &mut strip.0[..self.rows.len() * stride];
            if column > 0 {
                strip.fill(T::ZERO);
            }
            column = columns.end;
            for group in self.groups {
                self.group(s, Part { group, columns: columns.clone(), stride, strip });
            }
            self.sink.take(Piece { rows: self.rows.clone(), columns, gradient: strip, stride });
        }
    }

    /// Adds a group's rows to a strip.
    #[inline(always)]
    fn group<S: Simd>(&self, s: S, mut part: Part<'_, T>) {
        let [start, end] =
            [part.columns.start, part.columns.end].map(|c| part.group.outputs.at::<T>(c).before as usize);
        let mut outputs = Outputs::<LinksOf<S, T>> {
            places: 0..start,
            ways: [[MaybeUninit::uninit(); SOURCES]; KEPT],
            counts: [0; KEPT],
        };
        while outputs.places.end < end {
            part.next(s, &mut outputs, end);
            match outputs.places.len().div_ceil(T::LANES) {
                1 => self.sweep::<S, 1>(s, &mut part, &outputs),
                2 => self.sweep::<S, 2>(s, &mut part, &outputs),
                _ => self.sweep::<S, 3>(s, &mut part, &outputs),
            }
        }
    }

    /// Tiles of all kept inputs, about as many in each: short ones would wait for their sums. The last group's ask for what the sink
    /// will touch: asked for in the first, it had left the first-level cache again.
    #[inline(always)]
    fn sweep<S: Simd, const NV: usize>(&self, s: S, part: &mut Part<'_, T>, outputs: &Outputs<LinksOf<S, T>>) {
        let all = part.group.inputs;
        let count = all.len().div_ceil(if NV == KEPT { 8 } else { 12 });
        for number in 0..count {
            let inputs = all.len() * number / count..all.len() * (number + 1) / count;
            if part.group.rows.end == self.operands.batch {
                let end = all.get(inputs.end).map_or(self.rows.end, |&input| input as usize);
                let start = if number == 0 { self.rows.start } else { all[inputs.start] as usize };
                self.sink.expect(start..end, part.columns_of(&outputs.places));
            }
            let inputs = &all[inputs];
            // As many sums as leave registers for a row of output gradients and a factor.
            match (NV, inputs.len()) {
                (_, 1) => self.tile::<S, 1, NV>(s, part, inputs, outputs),
                (_, 2) => self.tile::<S, 2, NV>(s, part, inputs, outputs),
                (_, 3) => self.tile::<S, 3, NV>(s, part, inputs, outputs),
                (_, 4) => self.tile::<S, 4, NV>(s, part, inputs, outputs),
                (_, 5) => self.tile::<S, 5, NV>(s, part, inputs, outputs),
                (_, 6) => self.tile::<S, 6, NV>(s, part, inputs, outputs),
                (_, 7) => self.tile::<S, 7, NV>(s, part, inputs, outputs),
                (_, 8) | (KEPT, _) => self.tile::<S, 8, NV>(s, part, inputs, outputs),
                (_, 9) => self.tile::<S, 9, NV>(s, part, inputs, outputs),
                (_, 10) => self.tile::<S, 10, NV>(s, part, inputs, outputs),
                (_, 11) => self.tile::<S, 11, NV>(s, part, inputs, outputs),
                _ => self.tile::<S, 12, NV>(s, part, inputs, outputs),
            }
        }
    }

    /// Carries the chains of a tile on over the group's rows.
    #[inline(always)]
    fn tile<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        part: &mut Part<'_, T>,
        inputs: &[u32],
        outputs: &Outputs<LinksOf<S, T>>,
    ) {
        let inputs = inputs.first_chunk::<MR>().expect("so many inputs");
        let rows = inputs.map(|input| (input as usize - self.rows.start) * part.stride);
        let group = &part.group.rows;
        // SAFETY: `Outer::run_thin` checked the operands; the inputs are rows of the strip.
        unsafe {
            let mut c = zeros::<S, T, MR, NV>(s);
            if group.start > 0 {
                part.gather(s, &mut c, rows, outputs);
            }
            picked(s, &mut c, &self.operands, group.clone(), inputs, outputs.places.start);
            part.scatter(s, c, rows, outputs);
        }
    }
}

impl<T: Element> Part<'_, T> {
    /// Goes on to the next kept outputs before place `end`: as many as fit a tile.
    #[inline(always)]
    fn next<S: Simd>(&self, s: S, outputs: &mut Outputs<LinksOf<S, T>>, end: usize) {
        let start = outputs.places.end;
        outputs.places = start..start;
        for (ways, count) in outputs.ways.iter_mut().zip(&mut outputs.counts) {
            *count = 0;
            let list = &self.group.outputs.list[outputs.places.end..end.min(outputs.places.end + T::LANES)];
            let ([first, .., last] | [first @ last]) = list else { return };
            let (first, last) = (*first as usize, *last as usize);
            let (mut column, mut place) = (first / T::LANES * T::LANES, 0);
            while column <= last && *count < SOURCES {
                let Lanes { bits, .. } = self.group.outputs.lanes[column / T::LANES];
                let bits = bits & (!0 << first.saturating_sub(column)) & ((2 << (last - column).min(T::LANES - 1)) - 1);
                let (gather, scatter) = (Links::gathering(s, bits, place), Links::scattering(s, bits, place));
                ways[*count].write(Way { at: column - self.columns.start, gather, scatter });
                *count += 1;
                place += bits.count_ones() as usize;
                column += T::LANES;
            }
            outputs.places.end += place;
            if place < T::LANES {
                return;
            }
        }
    }

    /// The columns from the first output of a tile to the first of the next, or the part's end.
    fn columns_of(&self, places: &Range<usize>) -> Range<usize> {
        let list = &self.group.outputs.list;
        let is_first = places.start == 0 || (list[places.start - 1] as usize) < self.columns.start;
        let start = if is_first { self.columns.start } else { list[places.start] as usize };
        start..list.get(places.end).map_or(usize::MAX, |&column| column as usize).min(self.columns.end)
    }

    /// Brings the chains of some rows to registers.
    ///
    /// # Safety
    /// Rows of the strip begin at `rows`, and `outputs` are of this part.
    #[inline(always)]
    unsafe fn gather<S: Simd, const MR: usize, const NV: usize>(
        &self,
        s: S,
        c: &mut Registers<S, T, MR, NV>,
        rows: [usize; MR],
        outputs: &Outputs<LinksOf<S, T>>,
    ) {
        for vector in 0..NV {
            for way in &outputs.ways[vector][..outputs.counts[vector]] {
                // SAFETY: as many ways were written, whose vectors are in the rows.
                unsafe {
                    let Way { at, gather, .. } = way.assume_init();
                    for (c, row) in c.iter_mut().zip(rows) {
                        c[vector] = c[vector].link(V::<S, T>::load(s, self.strip.as_ptr().add(row + at)), gather);
                    }
                }
            }
        }
    }

    /// Brings the chains back.
    ///
    /// # Safety
    /// As [`Part::gather`].
    #[inline(always)]
    unsafe fn scatter<S: Simd, const MR: usize, const NV: usize>(
        &mut self,
        s: S,
        c: Registers<S, T, MR, NV>,
        rows: [usize; MR],
        outputs: &Outputs<LinksOf<S, T>>,
    ) {
        for vector in 0..NV {
            for way in &outputs.ways[vector][..outputs.counts[vector]] {
                // SAFETY: as in `gather`.
                unsafe {
                    let Way { at, scatter, .. } = way.assume_init();
                    for (c, row) in c.iter().zip(rows) {
                        let chains = self.strip.as_mut_ptr().add(row + at);
                        V::<S, T>::load(s, chains).link(c[vector], scatter).store(chains);
                    }
                }
            }
        }
    }
}
