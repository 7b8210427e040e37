//! Layer 2: block sizes, and how threads share a product.

use std::ops::Range;

use crate::parallel::Effort;
use crate::simd::{Element, Level};

/// Sizes of the blocks in elements, chosen by level and type alone.
///
/// A tile's strip of `A`, `MR x KC`, stays in the first-level cache (32 KiB or more) while strips of `B` stream past it
/// out of the second (512 KiB or more on every processor since Zen and Skylake-SP), where the block of `B`, `KC x NC`,
/// stays while all strips of `A` pass. The block of `A`, `MC x KC`, may lie in the third level: it is read once for each block of `B`.
///
/// | level | tile | `KC` | strip of `A` | `NC` | block of `B` | `MC` | block of `A` |
/// |---|---|---|---|---|---|---|---|
/// | AVX-512 | 12 x 32 | 384 | 18 KiB | 256 | 384 KiB | 1536 | 2.25 MiB |
/// | AVX2, NEON | 6 x 16 | 384 | 9 KiB | 256 | 384 KiB | 1536 | 2.25 MiB |
///
/// (`f32`; for `f64` half the columns, so the same bytes of `B`, and half the `KC`.)
#[derive(Clone, Copy)]
pub(crate) struct Blocks {
    /// Rows of a tile.
    pub(crate) mr: usize,
    /// Vectors of a tile.
    pub(crate) nv: usize,
    /// Lanes of a vector.
    lanes: usize,
    /// Rows of a block of `A`.
    pub(crate) mc: usize,
    /// Steps of a block.
    pub(crate) kc: usize,
    /// Columns of a block of `B`.
    pub(crate) nc: usize,
}

impl Blocks {
    /// The sizes for a level and a type.
    pub(crate) fn new<T: Element>(level: Level) -> Self {
        let (mr, nv) = match level {
            Level::Avx512 => (12, 2),
            Level::Avx2 | Level::Neon => (6, 1),
            Level::Scalar => (4, 1),
        };
        Self { mr, nv, lanes: T::LANES, mc: 1536, kc: 24 * T::LANES, nc: 256 }
    }

    /// Columns of a tile.
    pub(crate) fn nr(&self) -> usize {
        self.nv * self.lanes
    }

    /// Rows of a lower tile, which is nearly as good: threads' shares end there. With 200 rows and two threads that is 4 % of the
    /// time, with many threads more.
    pub(crate) fn short(&self) -> usize {
        self.mr.div_ceil(3)
    }

    /// Whether packing `B` does not pay: a packed block is read once for each strip of `A`, and writing it costs about as much as
    /// reading it four times; and a small one stays in the first-level cache as it is.
    pub(crate) fn reads_in_place<T>(&self, m: usize, k: usize, n: usize) -> bool {
        m <= 4 * self.mr || k * n * size_of::<T>() <= SMALL
    }

    /// Elements of the largest packed blocks of `A` and `B` in a product of this size; whole lines.
    pub(crate) fn scratch(&self, m: usize, n: usize, k: usize) -> (usize, usize) {
        let kc = k.min(self.kc);
        let a = m.min(self.mc).next_multiple_of(self.mr) * kc;
        let b = n.min(self.nc).next_multiple_of(self.nr()) * kc;
        (a.next_multiple_of(self.lanes), b)
    }
}

/// Bytes of a `B` that is read as it is: half a first-level cache.
const SMALL: usize = 1 << 14;

/// Steps of a product whose `A`, where a step lies side by side, is read as it is: a strip of it is so many lines, or twice as
/// many, of the first-level cache.
pub(crate) const FEW_STEPS: usize = 64;

/// Multiply-adds of a thread's share at least: 5 µs.
pub(crate) const SHARE: usize = 1 << 18;

/// How much the product of `[m, k]` and `[k, n]` is worth sharing.
pub(crate) fn effort(m: usize, k: usize, n: usize) -> Effort {
    Effort::of(m.saturating_mul(n).saturating_mul(k) / SHARE)
}

/// Threads as a grid over `C`.
pub(crate) struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    /// The grid of `threads` whose parts are nearest to squares, so that least is packed twice.
    pub(crate) fn new(threads: usize, m: usize, n: usize) -> Self {
        let sides = |rows: usize| m.div_ceil(rows) + n.div_ceil(threads / rows);
        let rows =
            (1..=threads).filter(|rows| threads.is_multiple_of(*rows)).min_by_key(|&rows| sides(rows)).unwrap_or(1);
        Self { rows, columns: threads / rows }
    }

    /// Rows and columns of one thread's part; borders lie between units of rows and of columns.
    pub(crate) fn part(
        &self,
        index: usize,
        (m, mr): (usize, usize),
        (n, nr): (usize, usize),
    ) -> (Range<usize>, Range<usize>) {
        (share(index / self.columns, self.rows, m, mr), share(index % self.columns, self.columns, n, nr))
    }
}

/// Part `index` of `parts` of `0..count`, in units.
fn share(index: usize, parts: usize, count: usize, unit: usize) -> Range<usize> {
    let units = count.div_ceil(unit);
    let border = |i: usize| (i * units / parts * unit).min(count);
    border(index)..border(index + 1)
}
