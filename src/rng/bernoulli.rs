//! Layer 1: decisions to keep or drop, 16 bits each, with the rate exact to 2^-48.
//!
//! Element `i` owns the 16-bit lane `i mod 8` of block `i div 8`. It is dropped where the lane is below the threshold's
//! upper 16 bits, kept where it is above; on a tie, once in 65,536, 32 bits more decide: word `i mod 4` of block
//! `i div 4` in a second domain (top bit of the block index set). So the rate costs 16 bits and is exact to 48.

use super::{Key, LowestByte, Rounds};
use crate::error::{Error, Result};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, aes_level, dispatch_aes_at};

/// Bits of a threshold.
const BITS: u32 = 48;

/// The top bit of the block index: the domain that decides ties.
const TIES: u64 = 1 << 63;

/// The message for a rate that is not accepted; `received` as Python would print it.
pub fn rate_error(received: &str) -> Error {
    Error::value(format!("rate must be in [0, 1]. Received: rate={received}"))
}

/// The rate, if it is one.
///
/// # Errors
/// [`Error::Value`] unless `0 <= rate <= 1`.
#[inline]
pub fn check_rate(rate: f64) -> Result<f64> {
    if (0.0..=1.0).contains(&rate) {
        return Ok(rate);
    }
    Err(rate_error(&if rate.is_nan() { "nan".to_owned() } else { format!("{rate:?}") }))
}

/// A drop probability in units of 2^-48.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold nearest to `rate`; rates outside [0, 1] count as the nearer end, NaN as 0.
    #[inline]
    pub fn new(rate: f64) -> Self {
        Self((rate.clamp(0.0, 1.0) * (1u64 << BITS) as f64).round_ties_even() as u64)
    }

    /// Whether everything is dropped.
    #[inline]
    pub fn drops_all(self) -> bool {
        self.0 >> BITS != 0
    }

    /// Whether nothing is dropped.
    #[inline]
    pub fn drops_none(self) -> bool {
        self.0 == 0
    }

    /// The upper 16 bits, which decide unless there is a tie. Not for thresholds that drop everything.
    #[inline]
    fn upper(self) -> u16 {
        (self.0 >> 32) as u16
    }

    /// The lower 32 bits, which decide ties.
    #[inline]
    fn lower(self) -> u32 {
        self.0 as u32
    }
}

/// Decisions of one key and threshold, 32 at a time.
#[derive(Clone, Copy)]
pub struct Draw<A: Aes> {
    rounds: Rounds<A>,
    low: LowestByte<A>,
    upper: A::Words,
    key: Key,
    threshold: Threshold,
}

impl<A: Aes> Draw<A> {
    /// For thresholds that drop something and not everything: the others need no draw.
    #[inline(always)]
    pub fn new(a: A, key: Key, threshold: Threshold) -> Self {
        debug_assert!(!threshold.drops_all());
        Self {
            rounds: Rounds::new(a, key),
            low: LowestByte::new(a, key),
            upper: a.words(threshold.upper()),
            key,
            threshold,
        }
    }

    /// The counters of elements `8 block` and on.
    #[inline(always)]
    pub fn counters(&self, a: A, block: u64) -> A::Block {
        self.rounds.counters(a, block)
    }

    /// Decisions for [`STEP`] elements from `8 block` on.
    #[inline(always)]
    pub fn step(&self, a: A, counters: A::Block, block: u64) -> A::Keep {
        let mut near = a.far();
        let keep = self.provisional(a, counters, &mut near);
        if a.met(near) {
            return a.keep_from_bits(a.keep_to_bits(keep) & !tied(a, self.key, self.threshold, block));
        }
        keep
    }

    /// Decisions for [`STEP`] elements, ties counted as kept but noted in `near`.
    ///
    /// Ties are rare, and each one looked at costs a comparison on the units that AES needs: so steps are noted
    /// together, and after some of them [`Aes::met`] says whether [`tied`] has to be asked.
    #[inline(always)]
    pub fn provisional(&self, a: A, counters: A::Block, near: &mut A::Near) -> A::Keep {
        let bits = self.rounds.apply(a, counters);
        *near = a.note(*near, bits, self.upper);
        a.at_least(bits, self.upper)
    }

    /// What 256 blocks from `first`, a multiple of 256, on have in common.
    #[inline(always)]
    pub fn window(&self, a: A, first: u64) -> A::RoundKey {
        self.rounds.window(a, first, self.low)
    }

    /// [`Draw::provisional`] for blocks `4 four` to `4 four + 3` of a window: one AES round less.
    #[inline(always)]
    pub fn provisional_in(&self, a: A, window: A::RoundKey, four: usize, near: &mut A::Near) -> A::Keep {
        let bits = self.rounds.finish(a, a.xor(self.low.row(a, four), window));
        *near = a.note(*near, bits, self.upper);
        a.at_least(bits, self.upper)
    }
}

/// Which of the [`STEP`] elements from `8 block` on are ties that drop.
///
/// By value, so that the round keys of the caller's [`Draw`] never need an address and stay in registers.
#[cold]
#[inline(never)]
pub fn tied<A: Aes>(a: A, key: Key, threshold: Threshold, block: u64) -> u32 {
    a.run(Tied { key, threshold, block })
}

struct Tied {
    key: Key,
    threshold: Threshold,
    block: u64,
}

impl AesKernel for Tied {
    type Output = u32;

    #[inline(always)]
    fn run<A: Aes>(self, a: A) -> u32 {
        let (upper, lower) = (a.words(self.threshold.upper()), self.threshold.lower());
        let rounds = Rounds::new(a, self.key);
        let mut ties = a.keep_to_bits(a.equal(rounds.apply(a, rounds.counters(a, self.block)), upper));
        let mut dropped = 0;
        while ties != 0 {
            let i = ties.trailing_zeros();
            ties &= ties - 1;
            let words = rounds.words(a, (2 * self.block + u64::from(i / 4)) | TIES);
            dropped |= u32::from(words[i as usize % 4] < lower) << i;
        }
        dropped
    }
}

/// Keep decisions of `n` consecutive elements from `start` on, as bits: element `start + i` is bit `i mod 32` of word
/// `i div 32`, set where kept. Bits past `n` in the last word are 0; words past it are not touched.
///
/// # Panics
/// Where `out` has fewer than `n / 32` words, rounded up.
///
/// ```
/// use dropfast::rng::{Key, Threshold, keep_bits};
///
/// let mut bits = [0; 4];
/// keep_bits(Key::new(0, 0, 0), Threshold::new(0.5), 1000, &mut bits, 100);
/// let mut later = [0; 1];
/// keep_bits(Key::new(0, 0, 0), Threshold::new(0.5), 1007, &mut later, 20);
/// assert_eq!(later[0], bits[0] >> 7 & 0xF_FFFF);
/// ```
#[inline]
pub fn keep_bits(key: Key, rate: Threshold, start: u64, out: &mut [u32], n: usize) {
    keep_bits_at(aes_level(), key, rate, start, out, n);
}

/// [`keep_bits`] on a given level, for tests and benchmarks.
///
/// # Panics
/// As [`keep_bits`], and where the processor lacks the level.
pub fn keep_bits_at(level: AesLevel, key: Key, rate: Threshold, start: u64, out: &mut [u32], n: usize) {
    let out = &mut out[..n.div_ceil(STEP)];
    if rate.drops_all() || rate.drops_none() {
        out.fill(if rate.drops_all() { 0 } else { !0 });
    } else {
        dispatch_aes_at(level, KeepBits { key, rate, start, out });
    }
    if !n.is_multiple_of(STEP) {
        out[n / STEP] &= (1 << (n % STEP)) - 1;
    }
}

/// Words between two looks at ties, and their blocks.
const GROUP: usize = 4;
const GROUP_BLOCKS: u64 = (GROUP * STEP) as u64 / 8;

/// Whole groups of words from a block that starts a group.
#[inline(always)]
fn aligned_groups<A: Aes>(a: A, draw: &Draw<A>, mut block: u64, out: &mut [u32]) {
    let (draw, mut window, mut at) = (*draw, None, 0);
    for group in out.chunks_exact_mut(GROUP) {
        if window.is_none() || block.is_multiple_of(256) {
            window = Some(draw.window(a, block & !255));
            at = block as usize % 256 / 4;
        }
        let Some(common) = window else { return };
        let mut near = a.far();
        for (i, word) in group.iter_mut().enumerate() {
            *word = a.keep_to_bits(draw.provisional_in(a, common, at + i, &mut near));
        }
        if a.met(near) {
            for (i, word) in group.iter_mut().enumerate() {
                *word &= !tied(a, draw.key, draw.threshold, block + 4 * i as u64);
            }
        }
        at += GROUP;
        block += GROUP_BLOCKS;
    }
}

struct KeepBits<'a> {
    key: Key,
    rate: Threshold,
    start: u64,
    out: &'a mut [u32],
}

impl AesKernel for KeepBits<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let draw = Draw::new(a, self.key, self.rate);
        let (mut block, shift) = (self.start / 8, self.start % 8);
        let mut counters = draw.counters(a, block);
        if shift == 0 {
            let (whole, rest) = if block.is_multiple_of(GROUP_BLOCKS) {
                self.out.split_at_mut(self.out.len() / GROUP * GROUP)
            } else {
                self.out.split_at_mut(0)
            };
            aligned_groups(a, &draw, block, whole);
            block += 4 * whole.len() as u64;
            counters = draw.counters(a, block);
            for word in rest {
                *word = a.keep_to_bits(draw.step(a, counters, block));
                counters = a.advance(counters, 4);
                block += 4;
            }
            return;
        }
        let mut bits = u64::from(a.keep_to_bits(draw.step(a, counters, block)));
        for word in self.out {
            counters = a.advance(counters, 4);
            block += 4;
            bits |= u64::from(a.keep_to_bits(draw.step(a, counters, block))) << 32;
            *word = (bits >> shift) as u32;
            bits >>= 32;
        }
    }
}
