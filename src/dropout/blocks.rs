//! Layer 2: dense rows that share decisions: all rows one mask, or each row one decision.
//!
//! Decisions are drawn before, as bits. A row that ends within a step is done by one more whole step, which ends where
//! the row does and does some elements twice; so not in place, where they would be scaled twice.

use super::contiguous::partial_step;
use super::{Sample, Transform};
use crate::simd::{Aes, STEP};

/// Rows, each side by side in input and output.
#[derive(Clone, Copy)]
pub(super) struct Rows<T> {
    /// The first element of the first row.
    pub(crate) x: *const T,
    /// Where it goes.
    pub(crate) y: *mut T,
    /// How many rows.
    pub(crate) count: usize,
    /// Elements of a row.
    pub(crate) width: usize,
    /// Bytes from one row to the next.
    pub(crate) input: isize,
    /// Bytes from one row to the next.
    pub(crate) output: isize,
}

/// Rows of at most so many steps keep their decisions in registers.
const NARROW: usize = 4;

/// Elements of such rows.
pub(super) const NARROW_WIDTH: usize = NARROW * STEP;

/// Decisions `at` to `at + STEP - 1`; those past the end of `bits` are 0.
#[inline(always)]
fn decisions(bits: &[u32], at: usize) -> u32 {
    let next = bits.get(at / STEP + 1).copied().unwrap_or(0);
    ((u64::from(next) << STEP | u64::from(bits[at / STEP])) >> (at % STEP)) as u32
}

impl<T: Sample> Rows<T> {
    /// All rows by the same decisions, one an element, from bit `at` on; for rows that are not narrow `at` is 0.
    ///
    /// # Safety
    /// All elements are readable and writable; `x == y` with equal distances is fine, other overlap is not.
    #[inline(always)]
    pub(crate) unsafe fn repeat<A: Aes, F: Transform<T::Work>>(
        self,
        a: A,
        ready: F::Ready<A::Simd>,
        bits: &[u32],
        at: usize,
    ) {
        // SAFETY: the caller's promise.
        unsafe {
            match self.width.div_ceil(STEP) {
                _ if !self.in_steps() => self.lines::<A, F, false>(a, ready, bits, at),
                1 => self.narrow::<A, F, 1>(a, ready, bits, at),
                2 => self.narrow::<A, F, 2>(a, ready, bits, at),
                3 => self.narrow::<A, F, 3>(a, ready, bits, at),
                4 => self.narrow::<A, F, 4>(a, ready, bits, at),
                _ => self.lines::<A, F, false>(a, ready, bits, at),
            }
        }
    }

    /// Each row by one decision: row `i` by bit `i`.
    ///
    /// # Safety
    /// As [`Rows::repeat`].
    #[inline(always)]
    pub(crate) unsafe fn shared<A: Aes, F: Transform<T::Work>>(self, a: A, ready: F::Ready<A::Simd>, bits: &[u32]) {
        // SAFETY: the caller's promise.
        unsafe { self.lines::<A, F, true>(a, ready, bits, 0) };
    }

    /// Whether rows consist of whole steps, the last of which may overlap the one before.
    #[inline(always)]
    fn in_steps(&self) -> bool {
        self.width.is_multiple_of(STEP) || self.width > STEP && !std::ptr::eq(self.x, self.y)
    }

    /// Rows of `N` steps.
    ///
    /// # Safety
    /// As [`Rows::repeat`], for rows [`Rows::in_steps`].
    #[inline(always)]
    unsafe fn narrow<A: Aes, F: Transform<T::Work>, const N: usize>(
        self,
        a: A,
        ready: F::Ready<A::Simd>,
        bits: &[u32],
        at: usize,
    ) {
        let Self { mut x, mut y, count, width, input, output } = self;
        let last = width - STEP;
        let mut keep = [a.keep_from_bits(decisions(bits, at + last)); N];
        for (i, keep) in keep[..N - 1].iter_mut().enumerate() {
            *keep = a.keep_from_bits(decisions(bits, at + i * STEP));
        }
        for _ in 0..count {
            for (i, &keep) in keep.iter().enumerate() {
                let from = if i + 1 == N { last } else { i * STEP };
                // SAFETY: a step of this row.
                unsafe { T::step::<A, F, false>(a, ready, keep, x.wrapping_add(from), y.wrapping_add(from)) };
            }
            (x, y) = (x.wrapping_byte_offset(input), y.wrapping_byte_offset(output));
        }
    }

    /// Rows one by one: for `SHARED` row `i` by bit `i`, else each by the bits from `at` on.
    ///
    /// # Safety
    /// As [`Rows::repeat`].
    #[inline(always)]
    unsafe fn lines<A: Aes, F: Transform<T::Work>, const SHARED: bool>(
        self,
        a: A,
        ready: F::Ready<A::Simd>,
        bits: &[u32],
        at: usize,
    ) {
        let Self { mut x, mut y, count, width, input, output } = self;
        let (in_steps, rest) = (self.in_steps(), width % STEP);
        for row in 0..count {
            let own = if SHARED { (bits[row / STEP] >> (row % STEP) & 1).wrapping_neg() } else { 0 };
            let own = a.keep_from_bits(own);
            for from in (0..width - rest).step_by(STEP) {
                let keep = if SHARED { own } else { a.keep_from_bits(decisions(bits, at + from)) };
                // SAFETY: a step of this row.
                unsafe { T::step::<A, F, false>(a, ready, keep, x.wrapping_add(from), y.wrapping_add(from)) };
            }
            if rest > 0 {
                let from = width - if in_steps { STEP } else { rest };
                let keep = if SHARED { own } else { a.keep_from_bits(decisions(bits, at + from)) };
                let (x, y) = (x.wrapping_add(from), y.wrapping_add(from));
                // SAFETY: the last step of this row, or what is left of it.
                unsafe {
                    if in_steps {
                        T::step::<A, F, false>(a, ready, keep, x, y);
                    } else {
                        partial_step::<A, T, F>(a, ready, keep, x, y, rest);
                    }
                }
            }
            (x, y) = (x.wrapping_byte_offset(input), y.wrapping_byte_offset(output));
        }
    }
}
