//! Layer 2: the inner tile of products in bfloat16: `MR` rows of pairs, broadcast, by `NV` vectors of them.

use crate::simd::bf16::{Dot, Pair};
use crate::simd::{V, Vector};

/// Lanes of a vector of sums, and pairs of a vector of operands.
pub(super) const LANES: usize = 16;

/// Operands and target of a tile.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    /// Pairs of `k`.
    pub(super) pairs: usize,
    /// Whether chains start here; else they go on from `c`.
    pub(super) first: bool,
    /// Columns that exist.
    pub(super) width: usize,
    /// The first row's pair, and pairs from one step to the next; rows are neighbours.
    pub(super) a: (*const Pair, usize),
    /// The first vector, and pairs from one step to the next; vectors are neighbours.
    pub(super) b: (*const Pair, usize),
    /// The first element, and elements from one row to the next.
    pub(super) c: (*mut f32, usize),
}

impl Tile {
    /// Multiplies.
    ///
    /// # Safety
    /// The operands hold the tile, vectors of `b` all their lanes; `width` columns of `MR` rows of `c` are this thread's.
    #[inline(always)]
    pub(super) unsafe fn multiply<D: Dot, const MR: usize, const NV: usize>(self, d: D) {
        let s = d.level();
        let zero = V::<D::Level, f32>::zero(s);
        let mut sums = [[zero; NV]; MR];
        let present = |j: usize| self.width.saturating_sub(j * LANES).min(LANES);
        let place = |i: usize, j: usize| self.c.0.wrapping_add(i * self.c.1 + j * LANES);
        // SAFETY: the caller's promise.
        unsafe {
            if !self.first {
                for (i, row) in sums.iter_mut().enumerate() {
                    for (j, sum) in row.iter_mut().enumerate() {
                        *sum = if present(j) == LANES {
                            V::<D::Level, f32>::load(s, place(i, j))
                        } else {
                            V::<D::Level, f32>::load_first(s, place(i, j), present(j))
                        };
                    }
                }
            }
            let (mut a, mut b) = (self.a.0, self.b.0);
            for _ in 0..self.pairs {
                let vectors: [D::Pairs; NV] = std::array::from_fn(|j| d.load(b.add(j * LANES)));
                for (i, row) in sums.iter_mut().enumerate() {
                    let one = d.same(*a.add(i));
                    for (sum, &vector) in row.iter_mut().zip(&vectors) {
                        *sum = d.dot(*sum, one, vector);
                    }
                }
                (a, b) = (a.wrapping_add(self.a.1), b.wrapping_add(self.b.1));
            }
            for (i, row) in sums.iter().enumerate() {
                for (j, sum) in row.iter().enumerate() {
                    if present(j) == LANES {
                        sum.store(place(i, j));
                    } else {
                        sum.store_first(place(i, j), present(j));
                    }
                }
            }
        }
    }
}
