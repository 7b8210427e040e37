//! Layer 1: random permutations.

use super::Key;
use super::ars::{Sink, feed};

struct Lanes<'a>(&'a mut Vec<u64>);

impl Sink for Lanes<'_> {
    #[inline(always)]
    fn take(&mut self, _: u64, words: [u32; 16]) {
        for pair in words.chunks_exact(2) {
            self.0.push(u64::from(pair[0]) | u64::from(pair[1]) << 32);
        }
    }
}

/// Positions drawn at a time; even, so that they start with a block.
const BATCH: usize = 1024;

/// A permutation of `0..n`, by Fisher and Yates from the end: position `i` is swapped with one of `0..=i`, chosen by the
/// upper half of the product of `i + 1` and 64-bit lane `i mod 2` of block `i div 2`.
pub(crate) fn permutation(n: usize, key: Key) -> Vec<i64> {
    let mut order = vec![0; n];
    permute(key, &mut order);
    order
}

/// [`permutation`] of `0..order.len()`, written over `order`.
pub(crate) fn permute(key: Key, order: &mut [i64]) {
    let n = order.len();
    order.iter_mut().enumerate().for_each(|(i, place)| *place = i as i64);
    let mut lanes = Vec::with_capacity(BATCH + 8);
    for batch in (0..n.div_ceil(BATCH)).rev() {
        let first = batch * BATCH;
        let last = n.min(first + BATCH);
        lanes.clear();
        feed(key, first as u64 / 2, (last - first).div_ceil(2) as u64, &mut Lanes(&mut lanes));
        for i in (first..last).rev() {
            let j = (u128::from(lanes[i - first]) * (i as u128 + 1)) >> 64;
            order.swap(i, j as usize);
        }
    }
}
