//! Layer 1: raw words and uniform numbers.

use super::Key;
use super::ars::{Sink, feed};

/// Copies the items that four blocks make into the part of `out` they belong to.
///
/// `first` is the position of `items[0]` relative to `out[0]`, negative for positions before it.
#[inline(always)]
pub(super) fn place<T: Copy>(out: &mut [T], first: i64, items: &[T]) {
    let from = first.max(0) as usize;
    let skipped = (-first).max(0) as usize;
    let count = (items.len() - skipped).min(out.len() - from);
    out[from..from + count].copy_from_slice(&items[skipped..skipped + count]);
}

/// Items from `offset` on, `per_block` of them in each block: first block and number of blocks.
pub(super) fn blocks_of(offset: u64, len: usize, per_block: u64) -> (u64, u64) {
    let first = offset / per_block;
    (first, (offset % per_block + len as u64).div_ceil(per_block))
}

struct Words<'a> {
    offset: u64,
    out: &'a mut [u32],
}

impl Sink for Words<'_> {
    #[inline(always)]
    fn take(&mut self, block: u64, words: [u32; 16]) {
        place(self.out, (4 * block).wrapping_sub(self.offset) as i64, &words);
    }
}

/// The raw stream: word `i` is word `i mod 4` of block `i div 4`; `out[0]` is word `offset`.
pub(crate) fn words(key: Key, offset: u64, out: &mut [u32]) {
    let (first, blocks) = blocks_of(offset, out.len(), 4);
    feed(key, first, blocks, &mut Words { offset, out });
}

struct Uniforms<'a> {
    offset: u64,
    out: &'a mut [f64],
}

impl Sink for Uniforms<'_> {
    #[inline(always)]
    fn take(&mut self, block: u64, words: [u32; 16]) {
        let items: [f64; 8] = std::array::from_fn(|i| {
            let word = u64::from(words[2 * i]) | u64::from(words[2 * i + 1]) << 32;
            (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
        });
        place(self.out, (2 * block).wrapping_sub(self.offset) as i64, &items);
    }
}

/// Uniform numbers in [0, 1) with 53 random bits: element `i` from 64-bit lane `i mod 2` of block `i div 2`.
pub(crate) fn uniforms(key: Key, offset: u64, out: &mut [f64]) {
    let (first, blocks) = blocks_of(offset, out.len(), 2);
    feed(key, first, blocks, &mut Uniforms { offset, out });
}
