//! Layer 2: a panel turned back into rows.

use crate::aligned::Lines;
use crate::simd::{Element, Kernel, Simd, V, Vector};

/// Turns one panel into rows.
pub(crate) struct Scatter<'a, T> {
    /// The panel `[width][lane]`.
    pub(crate) panel: &'a [T],
    /// The rows: as many as fit, at most as many as lanes.
    pub(crate) rows: &'a mut [T],
    /// Elements from one row to the next: at least the width.
    pub(crate) stride: usize,
}

impl<T: Element> Kernel for Scatter<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let width = self.panel.len() / T::LANES;
        assert!(width <= self.stride);
        let count = self.rows.len().div_ceil(self.stride).min(T::LANES);
        let square = T::LANES * T::LANES;
        let mut turned = Lines([T::ZERO; 256]);
        let turned = &mut turned.0;
        for (index, part) in self.panel.chunks(square).enumerate() {
            let first = index * T::LANES;
            let columns = part.len() / T::LANES;
            let whole = columns == T::LANES && (T::LANES - 1) * self.stride + first + T::LANES <= self.rows.len();
            if whole {
                // SAFETY: the part is a square, and `LANES` rows of `LANES` elements lie at `first`, just checked.
                unsafe {
                    let to = self.rows.as_mut_ptr().add(first);
                    V::<S, T>::transpose(s, part.as_ptr(), T::LANES, to, self.stride);
                }
                continue;
            }
            let mut padded = Lines([T::ZERO; 256]);
            let padded = &mut padded.0;
            padded[..part.len()].copy_from_slice(part);
            // SAFETY: both arrays hold a square.
            unsafe { V::<S, T>::transpose(s, padded.as_ptr(), T::LANES, turned.as_mut_ptr(), T::LANES) };
            for row in 0..count {
                let from = &turned[row * T::LANES..row * T::LANES + columns];
                self.rows[row * self.stride + first..][..columns].copy_from_slice(from);
            }
        }
    }
}
