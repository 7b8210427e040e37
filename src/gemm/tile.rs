//! Layer 2: the inner tile of every matrix product: `MR` rows of `NV` vectors kept in registers.
//!
//! ```text
//! C[i, j] = Σₖ A[i, k] · B[k, j]     i < MR, j < NV · LANES, k in ascending order
//! ```
//!
//! An element of `A` is broadcast, a row of `B` is loaded as `NV` vectors; an element of `C` is one chain of fused
//! multiply-adds from zero, so the result does not depend on the tile's shape or on who calls it. All products are
//! this tile under different strides:
//!
//! | product | `A` (broadcast) | `B` (vectors) | lanes are |
//! |---|---|---|---|
//! | `y = x·W`, rows in lanes | `Wᵀ`, rows a unit apart ([`Unit`]) | panels of `x` | rows of the batch |
//! | `dx = dy·Wᵀ`, rows in lanes | `W`, rows `n` apart ([`Stride`]) | panels of `dy` | rows of the batch |
//! | `dW = xᵀ·dy` | panels of `x` ([`Lane`]) | `dy` by rows | columns of `W` |
//! | a product of stored matrices | either, packed ([`Unit`]) or not | packed or not | columns of `B` |

use super::ahead::Ahead;
use super::steps::Steps;
use crate::simd::{Element, Level, Simd, V, Vector};

/// How far apart the rows of the broadcast operand are.
pub(crate) trait Rows: Copy {
    /// The tallest tile that reads these rows well.
    const TALLEST: usize;

    /// How many steps of `k` ahead a tile asks for its elements; 0 where they follow each other in memory, which the
    /// processor sees by itself.
    const AHEAD: usize = 0;

    /// Offset of row `i`, in elements of `T`.
    fn offset<T: Element>(self, i: usize) -> usize;
}

/// Rows one element apart.
#[derive(Clone, Copy)]
pub(crate) struct Unit;

/// Rows one element apart, in a stored matrix: the next `k` is another of its rows, another cache line.
#[derive(Clone, Copy)]
pub(crate) struct Across;

/// Rows one vector apart.
#[derive(Clone, Copy)]
pub(crate) struct Lane;

/// Rows any number of elements apart.
#[derive(Clone, Copy)]
pub(crate) struct Stride(pub(crate) usize);

impl Rows for Unit {
    const TALLEST: usize = 24;

    #[inline(always)]
    fn offset<T: Element>(self, i: usize) -> usize {
        i
    }
}

/// [`Rows::AHEAD`] of stored rows: at 24 cycles a step longer than the third-level cache takes to answer; and with rows of
/// 4 KiB, whose lines all fall into one set of the first-level cache, still within its eight ways.
pub(crate) const ROWS_AHEAD: usize = 5;

impl Rows for Across {
    const TALLEST: usize = 24;
    const AHEAD: usize = ROWS_AHEAD;

    #[inline(always)]
    fn offset<T: Element>(self, i: usize) -> usize {
        i
    }
}

impl Rows for Lane {
    const TALLEST: usize = 24;

    #[inline(always)]
    fn offset<T: Element>(self, i: usize) -> usize {
        i * T::LANES
    }
}

impl Rows for Stride {
    /// Rows of a stored matrix with a power-of-two stride fall into one set of an 8-way first-level cache: with 24 of
    /// them a product ran at a quarter of the speed (1024 x 1024, one panel).
    const TALLEST: usize = 8;

    #[inline(always)]
    fn offset<T: Element>(self, i: usize) -> usize {
        i * self.0
    }
}

/// Rows at ascending offsets of their own.
#[derive(Clone, Copy)]
pub(crate) struct Picked<const MR: usize, const AHEAD: usize>(pub(crate) [usize; MR]);

impl<const MR: usize, const AHEAD: usize> Rows for Picked<MR, AHEAD> {
    const TALLEST: usize = MR;
    const AHEAD: usize = AHEAD;

    #[inline(always)]
    fn offset<T: Element>(self, i: usize) -> usize {
        self.0[i]
    }
}

/// The broadcast operand: element `(i, k)` lies at `start + rows.offset(i) + k * step`.
#[derive(Clone, Copy)]
pub(crate) struct Broadcast<T, R> {
    /// Element (0, 0).
    pub(crate) start: *const T,
    /// Where the rows are.
    pub(crate) rows: R,
    /// Elements from one `k` to the next.
    pub(crate) step: usize,
}

/// The vector operand: vector `j` of row `k` lies at `start + k * step + j * vector`.
#[derive(Clone, Copy)]
pub(crate) struct Vectors<T> {
    /// Element (0, 0).
    pub(crate) start: *const T,
    /// Elements from one `k` to the next.
    pub(crate) step: usize,
    /// Elements from one vector to the next.
    pub(crate) vector: usize,
}

/// The result: vector `j` of row `i` lies at `start + i * row + j * vector`.
#[derive(Clone, Copy)]
pub(crate) struct Target<T> {
    /// Element (0, 0).
    pub(crate) start: *mut T,
    /// Elements from one row to the next.
    pub(crate) row: usize,
    /// Elements from one vector to the next.
    pub(crate) vector: usize,
}

/// The registers of a tile.
pub(crate) type Registers<S, T, const MR: usize, const NV: usize> = [[V<S, T>; NV]; MR];

/// Registers of zeros.
#[inline(always)]
pub(crate) fn zeros<S: Simd, T: Element, const MR: usize, const NV: usize>(s: S) -> Registers<S, T, MR, NV> {
    [[V::<S, T>::zero(s); NV]; MR]
}

/// Carries the chains of a tile on over more steps of `k`, each of which asks for some memory `ahead`.
///
/// # Safety
/// `a` is readable at `MR` rows and `b` at `NV` vectors for every `k` of `steps`.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, T: Element, R: Rows, K: Steps, const MR: usize, const NV: usize>(
    s: S,
    c: &mut Registers<S, T, MR, NV>,
    steps: K,
    a: Broadcast<T, R>,
    b: Vectors<T>,
    ahead: &mut impl Ahead,
) {
    for p in 0..steps.count() {
        ahead.step(s);
        // SAFETY: the caller's promise for this `k`.
        unsafe {
            let a_k = a.start.add(steps.place(p) * a.step);
            let b_k = b.start.add(steps.at(p) * b.step);
            if R::AHEAD > 0 {
                let soon = a.start.wrapping_add(steps.near(p + R::AHEAD) * a.step);
                s.prefetch(soon.wrapping_add(a.rows.offset::<T>(0)));
                s.prefetch(soon.wrapping_add(a.rows.offset::<T>(MR - 1)));
            }
            let mut row = [V::<S, T>::zero(s); NV];
            for (j, vector) in row.iter_mut().enumerate() {
                *vector = V::<S, T>::load(s, b_k.add(j * b.vector));
            }
            for (i, sums) in c.iter_mut().enumerate() {
                let factor = V::<S, T>::splat(s, *a_k.add(a.rows.offset::<T>(i)));
                for (sum, vector) in sums.iter_mut().zip(row) {
                    *sum = factor.mul_add_in_line(vector, *sum);
                }
            }
        }
    }
}

/// Reads a tile of which `width` columns exist: chains that were stored half-way.
///
/// # Safety
/// `c` is readable at `MR` rows of `width` columns.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, T: Element, const MR: usize, const NV: usize>(
    s: S,
    c: Target<T>,
    width: usize,
) -> Registers<S, T, MR, NV> {
    let mut registers = zeros::<S, T, MR, NV>(s);
    for (i, row) in registers.iter_mut().enumerate() {
        for (j, vector) in row.iter_mut().enumerate() {
            let p = c.start.wrapping_add(i * c.row + j * c.vector);
            // SAFETY: the caller's promise.
            *vector = unsafe {
                if width == NV * T::LANES {
                    V::<S, T>::load(s, p)
                } else {
                    V::<S, T>::load_first(s, p, width.saturating_sub(j * T::LANES).min(T::LANES))
                }
            };
        }
    }
    registers
}

/// Writes the first `width` columns of a tile.
///
/// # Safety
/// `c` is writable at `MR` rows of `width` columns.
#[inline(always)]
pub(crate) unsafe fn store_first<S: Simd, T: Element, const MR: usize, const NV: usize>(
    registers: Registers<S, T, MR, NV>,
    c: Target<T>,
    width: usize,
) {
    for (i, row) in registers.into_iter().enumerate() {
        for (j, vector) in row.into_iter().enumerate() {
            let p = c.start.wrapping_add(i * c.row + j * c.vector);
            // SAFETY: the caller's promise.
            unsafe { vector.store_first(p, width.saturating_sub(j * T::LANES).min(T::LANES)) };
        }
    }
}

/// Writes a tile.
///
/// # Safety
/// `c` is writable at `MR` rows of `NV` vectors.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, T: Element, const MR: usize, const NV: usize>(
    registers: Registers<S, T, MR, NV>,
    c: Target<T>,
) {
    for (i, row) in registers.into_iter().enumerate() {
        for (j, vector) in row.into_iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { vector.store(c.start.add(i * c.row + j * c.vector)) };
        }
    }
}

/// Computes `m` rows of `NV` vectors: tiles as tall as the level's registers allow, then shorter ones.
///
/// The accumulators of a tile are at most 24 of AVX-512's 32 registers, which leaves room for a row of `B` and the
/// broadcasts; 12 of AVX2's 16 (a vector is two there); 24 of NEON's 32 (a vector is four).
///
/// With `carry`, `c` holds chains that are carried on.
///
/// # Safety
/// As [`accumulate`], [`load`] and [`store`], for `m` rows.
#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "the operands of a product")]
pub(crate) unsafe fn rows_of_tiles<S: Simd, T: Element, R: Rows, K: Steps, const NV: usize>(
    s: S,
    m: usize,
    steps: K,
    a: Broadcast<T, R>,
    b: Vectors<T>,
    c: Target<T>,
    carry: bool,
    ahead: &mut impl Ahead,
) {
    let mut sweep = Sweep { s, m, done: 0, steps, a, b, c, carry, ahead };
    // SAFETY: the caller's promise.
    unsafe {
        match (S::LEVEL, NV) {
            (Level::Avx512, 1) => {
                if R::TALLEST >= 24 {
                    sweep.tiles::<24, NV>();
                }
                sweep.tiles::<8, NV>();
            }
            (Level::Avx512, 2) if R::TALLEST >= 12 => sweep.tiles::<12, NV>(),
            (Level::Avx512, 3) => sweep.tiles::<8, NV>(),
            (Level::Avx512, _) => sweep.tiles::<6, NV>(),
            (Level::Avx2 | Level::Neon, 1) => sweep.tiles::<6, NV>(),
            _ => {}
        }
        sweep.tiles::<4, NV>();
        sweep.tiles::<1, NV>();
    }
}

/// The state of [`rows_of_tiles`].
struct Sweep<'a, S, T, R, K, H> {
    s: S,
    m: usize,
    done: usize,
    steps: K,
    a: Broadcast<T, R>,
    b: Vectors<T>,
    c: Target<T>,
    carry: bool,
    ahead: &'a mut H,
}

impl<S: Simd, T: Element, R: Rows, K: Steps, H: Ahead> Sweep<'_, S, T, R, K, H> {
    /// Tiles of `MR` rows while there are so many left.
    ///
    /// # Safety
    /// As [`rows_of_tiles`].
    #[inline(always)]
    unsafe fn tiles<const MR: usize, const NV: usize>(&mut self) {
        while self.m - self.done >= MR {
            // SAFETY: rows `done..done + MR` are within `m`.
            unsafe {
                let target = Target { start: self.c.start.add(self.done * self.c.row), ..self.c };
                let mut c = zeros::<S, T, MR, NV>(self.s);
                if self.carry {
                    c = load(self.s, target, NV * T::LANES);
                }
                let a = Broadcast { start: self.a.start.add(self.a.rows.offset::<T>(self.done)), ..self.a };
                accumulate(self.s, &mut c, self.steps, a, self.b, self.ahead);
                store::<S, T, MR, NV>(c, target);
            }
            self.done += MR;
        }
    }
}
