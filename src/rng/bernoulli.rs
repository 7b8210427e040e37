//! Layer 1: decisions to keep or drop, 16 bits each, with the rate exact to 2^-48.
//!
//! Element `i` owns the 16-bit lane `i mod 8` of block `i div 8`. It is dropped where the lane is below the threshold's
//! upper 16 bits, kept where it is above; on a tie, once in 65,536, 32 bits more decide: word `i mod 4` of block
//! `i div 4` in a second domain (top bit of the block index set). So the rate costs 16 bits and is exact to 48.

use super::draw::{Draw, GROUP, GROUP_BLOCKS, LONG, Steps};
use super::{Key, Table};
use crate::error::{Error, Result};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, aes_level, dispatch_aes_at};

/// Bits of a threshold.
const BITS: u32 = 48;

/// The message for a rate that is not accepted; `received` as Python would print it.
pub(crate) fn rate_error(received: &str) -> Error {
    Error::value(format!("rate must be in [0, 1]. Received: rate={received}"))
}

/// The rate, if it is one.
///
/// # Errors
/// [`Error::Value`] unless `0 <= rate <= 1`.
#[inline]
pub(crate) fn check_rate(rate: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(rate);
    }
    Err(rate_error(&if rate.is_nan() { "nan".to_owned() } else { format!("{rate:?}") }))
}

/// A drop probability in units of 2^-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Threshold(u64);

impl Threshold {
    /// The threshold nearest to `rate`; rates outside [0, 1] count as the nearer end, NaN as 0.
    #[inline]
    pub(crate) fn new(rate: f64) -> Self {
        Self((rate.clamp(0.0, 1.0) * (1u64 << BITS) as f64).round_ties_even() as u64)
    }

    /// Whether everything is dropped.
    #[inline]
    pub(crate) fn drops_all(self) -> bool {
        self.0 >> BITS != 0
    }

    /// Whether nothing is dropped.
    #[inline]
    pub(crate) fn drops_none(self) -> bool {
        self.0 == 0
    }

    /// The upper 16 bits, which decide unless there is a tie. Not for thresholds that drop everything.
    #[inline]
    pub(super) fn upper(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The lower 32 bits, which decide ties.
    #[inline]
    pub(super) fn lower(self) -> u32 {
        self.0 as u32
    }
}

/// Keep decisions of `n` consecutive elements from `start` on, as bits: element `start + i` is bit `i mod 32` of word
/// `i div 32`, set where kept. Bits past `n` in the last word are 0; words past it are not touched.
///
/// # Panics
/// Where `out` has fewer than `n / 32` words, rounded up.
#[inline]
pub(crate) fn keep_bits(key: Key, rate: Threshold, start: u64, out: &mut [u32], n: usize) {
    keep_bits_at(aes_level(), key, rate, start, out, n);
}

/// [`keep_bits`] on a given level, for tests and benchmarks.
///
/// # Panics
/// As [`keep_bits`], and where the processor lacks the level.
pub(crate) fn keep_bits_at(level: AesLevel, key: Key, rate: Threshold, start: u64, out: &mut [u32], n: usize) {
    keep_bits_by(level, None, key, rate, start, out, n);
}

/// [`keep_bits_at`] by a table of the key that the caller made for many calls.
///
/// # Panics
/// As [`keep_bits_at`].
pub(crate) fn keep_bits_by(
    level: AesLevel,
    table: Option<&Table>,
    key: Key,
    rate: Threshold,
    start: u64,
    out: &mut [u32],
    n: usize,
) {
    let out = &mut out[..n.div_ceil(STEP)];
    if rate.drops_all() || rate.drops_none() {
        out.fill(if rate.drops_all() { 0 } else { !0 });
    } else {
        dispatch_aes_at(level, KeepBits { key, rate, start, table, out });
    }
    if !n.is_multiple_of(STEP) {
        out[n / STEP] &= (1 << (n % STEP)) - 1;
    }
}

struct KeepBits<'a> {
    key: Key,
    rate: Threshold,
    start: u64,
    table: Option<&'a Table>,
    out: &'a mut [u32],
}

impl AesKernel for KeepBits<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let draw = Draw::new(a, self.key, self.rate);
        let (mut block, shift) = (self.start / 8, self.start % 8);
        if shift != 0 {
            return joined(a, &draw, block, shift, self.out);
        }
        let own;
        let table = if self.table.is_none() && self.out.len() >= LONG / STEP {
            own = draw.table(a, block);
            Some(&own)
        } else {
            self.table
        };
        let (groups, rest) = self.out.split_at_mut(self.out.len() / GROUP * GROUP);
        let count = groups.len() / GROUP;
        draw.groups(a, table, block, count, Words(groups.as_mut_ptr()));
        block += count as u64 * GROUP_BLOCKS;
        let mut counters = draw.counters(a, block);
        for word in rest {
            *word = a.keep_to_bits(draw.step(a, counters, block));
            counters = a.advance(counters, 4);
            block += 4;
        }
    }
}

/// Words of decisions; its maker promises as many as steps will be taken.
#[derive(Clone, Copy)]
struct Words(*mut u32);

impl<A: Aes> Steps<A> for Words {
    #[inline(always)]
    fn take(self, a: A, step: usize, keep: A::Keep) {
        // SAFETY: the maker's promise.
        unsafe { self.0.add(step).write(a.keep_to_bits(keep)) }
    }

    fn drop(self, _: A, element: usize) {
        // SAFETY: the maker's promise.
        unsafe { *self.0.add(element / STEP) &= !(1 << (element % STEP)) }
    }
}

/// Decisions from the middle of a block on: every word is joined from two steps.
#[inline(always)]
fn joined<A: Aes>(a: A, draw: &Draw<A>, mut block: u64, shift: u64, out: &mut [u32]) {
    let mut counters = draw.counters(a, block);
    let mut bits = u64::from(a.keep_to_bits(draw.step(a, counters, block)));
    for word in out {
        counters = a.advance(counters, 4);
        block += 4;
        bits |= u64::from(a.keep_to_bits(draw.step(a, counters, block))) << 32;
        *word = (bits >> shift) as u32;
        bits >>= 32;
    }
}
