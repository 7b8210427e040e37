//! Layer 1: ARS-7, seven AES rounds on a 128-bit counter under a cheap key schedule.

use super::Key;
use crate::simd::{Aes, AesKernel, LOWEST_BYTE, SoftAes, dispatch_aes};

/// What the two 64-bit lanes of the key grow by from round to round: the golden ratio and sqrt(3) - 1, as in Random123.
const WEYL: (u64, u64) = (0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B);

/// The round keys of one [`Key`] in registers, and its step.
#[derive(Clone, Copy)]
pub struct Rounds<A: Aes> {
    keys: [A::RoundKey; 8],
    step: u64,
}

impl<A: Aes> Rounds<A> {
    /// Expands a key.
    #[inline(always)]
    pub fn new(a: A, key: Key) -> Self {
        let (mut low, mut high) = (key.seed, key.stream);
        let mut keys = [a.round_key(low, high); 8];
        for round in &mut keys[1..] {
            low = low.wrapping_add(WEYL.0);
            high = high.wrapping_add(WEYL.1);
            *round = a.round_key(low, high);
        }
        Self { keys, step: key.step }
    }

    /// The counters of blocks `block` to `block + 3`.
    #[inline(always)]
    pub fn counters(&self, a: A, block: u64) -> A::Block {
        a.counters(block, self.step)
    }

    /// The random bits of four counters.
    #[inline(always)]
    pub fn apply(&self, a: A, counters: A::Block) -> A::Block {
        let k = &self.keys;
        self.finish(a, a.round(a.xor(counters, k[0]), k[1]))
    }

    /// The random bits of four states after the first round.
    #[inline(always)]
    pub fn finish(&self, a: A, mut x: A::Block) -> A::Block {
        let k = &self.keys;
        x = a.round(x, k[2]);
        x = a.round(x, k[3]);
        x = a.round(x, k[4]);
        x = a.round(x, k[5]);
        x = a.round(x, k[6]);
        a.last_round(x, k[7])
    }

    /// What 256 blocks from `first`, a multiple of 256, on have in common after the first round.
    #[inline(always)]
    pub fn window(&self, a: A, first: u64, low: LowestByte<A>) -> A::RoundKey {
        debug_assert!(first.is_multiple_of(256));
        let state = a.round(a.xor(self.counters(a, first), self.keys[0]), self.keys[1]);
        // The counters of the four states differ in their lowest byte, whose contribution goes away.
        a.common(a.xor(low.row(a, 0), a.common(state)))
    }

    /// The random words of blocks `block` to `block + 3`.
    #[inline(always)]
    pub fn words(&self, a: A, block: u64) -> [u32; 16] {
        a.to_words(self.apply(a, self.counters(a, block)))
    }
}

/// What distinguishes the 256 blocks of a window after the first round: a table look-up instead of the round.
///
/// Only the lowest byte of the counter differs. Blocks are taken by fours, and since a key flips the byte's bits, a
/// four of blocks is a four of the table with its states flipped likewise.
#[derive(Clone, Copy)]
pub struct LowestByte<A: Aes> {
    rows: usize,
    order: A::Order,
}

impl<A: Aes> LowestByte<A> {
    /// For a key.
    #[inline(always)]
    pub fn new(a: A, key: Key) -> Self {
        let byte = key.seed as usize % 256;
        Self { rows: byte / 4, order: a.order(byte % 4) }
    }

    /// For blocks `4 four` to `4 four + 3` of a window.
    #[inline(always)]
    pub fn row(&self, a: A, four: usize) -> A::Block {
        a.row(&LOWEST_BYTE[(four ^ self.rows) % 64], self.order)
    }
}

/// One block by the software version: `ars7(counter, key)`, words least significant first.
pub fn ars7(counter: [u32; 4], key: [u32; 4]) -> [u32; 4] {
    let lane = |w: &[u32; 4], i: usize| u64::from(w[2 * i]) | u64::from(w[2 * i + 1]) << 32;
    let key = Key::new(lane(&key, 0), lane(&key, 1), lane(&counter, 1));
    let words = Rounds::new(SoftAes, key).words(SoftAes, lane(&counter, 0));
    std::array::from_fn(|i| words[i])
}

/// A consumer of the words of consecutive blocks, four blocks at a time.
pub(super) trait Sink {
    /// Takes the words of four blocks, starting with block `block`.
    fn take(&mut self, block: u64, words: [u32; 16]);
}

/// Feeds `sink` with `blocks` (rounded up to a multiple of four) blocks from `first` on.
pub(super) fn feed(key: Key, first: u64, blocks: u64, sink: &mut impl Sink) {
    struct Feed<'a, T>(Key, u64, u64, &'a mut T);
    impl<T: Sink> AesKernel for Feed<'_, T> {
        type Output = ();

        #[inline(always)]
        fn run<A: Aes>(self, a: A) {
            let rounds = Rounds::new(a, self.0);
            for i in (0..self.2).step_by(4) {
                let block = self.1.wrapping_add(i);
                self.3.take(block, rounds.words(a, block));
            }
        }
    }
    dispatch_aes(Feed(key, first, blocks, sink));
}
