//! Layer 4: rows of the data set, in the order of the epoch, turned into panels; and panels turned back into rows.

use std::ops::Range;

use crate::aligned::Lines;
pub(crate) use crate::gemm::scatter::Scatter;
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Columns that are turned at a time: with 16 rows of `f32` (8 of `f64`) 4 KiB, an eighth of a first-level cache.
const BLOCK: usize = 64;

/// The data set: rows of `width` numbers.
#[derive(Clone, Copy)]
pub(crate) enum Input<'a, T> {
    /// In the network's type.
    Float(&'a [T]),
    /// Bytes, widened on the way: a quarter of the memory traffic.
    Byte(&'a [u8]),
}

/// Factor and summand of a leading rescaling layer.
pub(crate) type Rescaling<T> = Option<(T, T)>;

/// Turns rows into one panel.
pub(crate) struct Gather<'a, T, I> {
    /// The data set.
    pub(crate) input: Input<'a, T>,
    /// Numbers of a row.
    pub(crate) width: usize,
    /// Those that are gathered.
    pub(crate) columns: Range<usize>,
    /// Applied on the way.
    pub(crate) rescaling: Rescaling<T>,
    /// Row numbers, at most as many as lanes; further lanes become zeros.
    pub(crate) rows: I,
    /// These columns of the panel, `[column][lane]`.
    pub(crate) panel: &'a mut [T],
}

impl<T: Element, I: Iterator<Item = usize> + Clone> Kernel for Gather<'_, T, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut staging = Lines([T::ZERO; BLOCK * 16]);
        let staging = &mut staging.0;
        for first in (0..self.columns.len()).step_by(BLOCK) {
            let columns = BLOCK.min(self.columns.len() - first);
            for (row, staged) in self.rows.clone().zip(staging.chunks_exact_mut(BLOCK)) {
                let start = row * self.width + self.columns.start + first;
                match self.input {
                    Input::Float(x) => staged[..columns].copy_from_slice(&x[start..start + columns]),
                    Input::Byte(x) => {
                        for (to, &from) in staged[..columns].iter_mut().zip(&x[start..start + columns]) {
                            *to = T::from_u8(from);
                        }
                    }
                }
            }
            if let Some((scale, offset)) = self.rescaling {
                let (scale, offset) = (V::<S, T>::splat(s, scale), V::<S, T>::splat(s, offset));
                for chunk in staging.chunks_exact_mut(T::LANES) {
                    V::<S, T>::read(s, chunk).mul(scale).add(offset).write(chunk);
                }
            }
            let panel = &mut self.panel[first * T::LANES..(first + columns) * T::LANES];
            turn::<S, T>(s, staging, BLOCK, panel);
        }
    }
}

/// Turns `LANES` rows, `stride` apart, into the panel of their first columns.
#[inline(always)]
fn turn<S: Simd, T: Element>(s: S, rows: &[T], stride: usize, panel: &mut [T]) {
    let square = T::LANES * T::LANES;
    let columns = panel.len() / T::LANES;
    assert!((T::LANES - 1) * stride + columns.next_multiple_of(T::LANES) <= rows.len());
    for (index, part) in panel.chunks_mut(square).enumerate() {
        let from = rows[index * T::LANES..].as_ptr();
        if part.len() == square {
            // SAFETY: `LANES` rows of `LANES` elements lie at `from`; the part is a whole square.
            unsafe { V::<S, T>::transpose(s, from, stride, part.as_mut_ptr(), T::LANES) };
        } else {
            let mut whole = Lines([T::ZERO; 256]);
            let whole = &mut whole.0;
            // SAFETY: as above, into an array that holds a square.
            unsafe { V::<S, T>::transpose(s, from, stride, whole.as_mut_ptr(), T::LANES) };
            part.copy_from_slice(&whole[..part.len()]);
        }
    }
}

/// Turns some features of a panel into rows, next to each other; the rest of the last vector becomes zeros.
pub(crate) struct ScatterKept<'a, T> {
    /// The panel `[width][lane]`.
    pub(crate) panel: &'a [T],
    /// The features, ascending.
    pub(crate) kept: &'a [u32],
    /// `LANES` rows.
    pub(crate) rows: &'a mut [T],
    /// Elements from one row to the next: whole vectors, with room for all features.
    pub(crate) stride: usize,
}

impl<T: Element> Kernel for ScatterKept<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        assert!(self.kept.len().next_multiple_of(T::LANES) <= self.stride && T::LANES * self.stride <= self.rows.len());
        for (index, kept) in self.kept.chunks(T::LANES).enumerate() {
            let mut square = Lines([T::ZERO; 256]);
            let square = &mut square.0;
            for (to, &feature) in square.chunks_exact_mut(T::LANES).zip(kept) {
                to.copy_from_slice(&self.panel[feature as usize * T::LANES..][..T::LANES]);
            }
            // SAFETY: the array holds a square, and `LANES` rows of a vector lie at vector `index`, checked above.
            unsafe {
                let to = self.rows.as_mut_ptr().add(index * T::LANES);
                V::<S, T>::transpose(s, square.as_ptr(), T::LANES, to, self.stride);
            }
        }
    }
}
