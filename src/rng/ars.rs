//! Layer 1: ARS-7, seven AES rounds on a 128-bit counter under a cheap key schedule.

use super::Key;
#[cfg(test)]
use crate::simd::SoftAes;
use crate::simd::{Aes, AesKernel, Row, dispatch_aes};

/// What the two 64-bit lanes of the key grow by from round to round: the golden ratio and sqrt(3) - 1, as in Random123.
const WEYL: (u64, u64) = (0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B);

/// The round keys of one [`Key`] in registers, and its step.
#[derive(Clone, Copy)]
pub(crate) struct Rounds<A: Aes> {
    keys: [A::RoundKey; 8],
    step: u64,
}

impl<A: Aes> Rounds<A> {
    /// Expands a key.
    #[inline(always)]
    pub(crate) fn new(a: A, key: Key) -> Self {
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
    pub(crate) fn counters(&self, a: A, block: u64) -> A::Block {
        a.counters(block, self.step)
    }

    /// The random bits of four counters.
    #[inline(always)]
    pub(crate) fn apply(&self, a: A, counters: A::Block) -> A::Block {
        self.finish(a, self.begin(a, counters))
    }

    /// The states of four counters after two rounds.
    #[inline(always)]
    fn begin(&self, a: A, counters: A::Block) -> A::Block {
        let k = &self.keys;
        a.round(a.round(a.xor(counters, k[0]), k[1]), k[2])
    }

    /// The random bits of four states after two rounds.
    #[inline(always)]
    fn finish(&self, a: A, mut x: A::Block) -> A::Block {
        let k = &self.keys;
        x = a.round(x, k[3]);
        x = a.round(x, k[4]);
        x = a.round(x, k[5]);
        x = a.round(x, k[6]);
        a.last_round(x, k[7])
    }

    /// What the 256 blocks from `first`, a multiple of 256, have in common after two rounds: the other summand of
    /// [`Table`].
    #[inline(always)]
    pub(crate) fn window(&self, a: A, first: u64) -> A::RoundKey {
        debug_assert!(first.is_multiple_of(256));
        a.common(self.begin(a, a.repeated(first, self.step)))
    }

    /// The random bits of blocks `4 four` to `4 four + 3` of a window, two rounds cheaper than from their counters.
    #[inline(always)]
    pub(crate) fn apply_in(&self, a: A, table: &Table, window: A::RoundKey, four: usize) -> A::Block {
        self.finish(a, a.xor(a.load(&table.rows[four % 64]), window))
    }

    /// The random words of blocks `block` to `block + 3`.
    #[inline(always)]
    pub(crate) fn words(&self, a: A, block: u64) -> [u32; 16] {
        a.to_words(self.apply(a, self.counters(a, block)))
    }
}

/// Two rounds of a key, for the 256 values of the counter's lowest byte.
///
/// In the first round that byte meets bytes 5, 10 and 15 of the state in one column and moves no other; in the second
/// round ShiftRows puts the four bytes of a column into four columns, so that every byte of the result is a sum (by
/// exclusive or) of what this column and what the other three contribute. The first summand is in the table. It depends
/// on the key, on the step, and on the block index above bit 40; the second is [`Rounds::window`].
pub(crate) struct Table {
    rows: [Row; 64],
    above: u64,
}

/// The block index from this bit on is what a [`Table`] depends on: bits 40 to 47 are byte 5.
const ABOVE: u32 = 40;

impl Table {
    /// The table that serves block `block`.
    #[inline(always)]
    pub(crate) fn new<A: Aes>(a: A, rounds: &Rounds<A>, block: u64) -> Self {
        let first = block & !255;
        let window = rounds.window(a, first);
        let mut rows = [Row([0; 16]); 64];
        for (i, row) in rows.iter_mut().enumerate() {
            let counters = rounds.counters(a, first + 4 * i as u64);
            a.store(a.xor(rounds.begin(a, counters), window), row);
        }
        Self { rows, above: first >> ABOVE }
    }

    /// Whether the blocks from `first` to `last` may be drawn by it.
    #[inline(always)]
    pub(crate) fn serves(&self, first: u64, last: u64) -> bool {
        first >> ABOVE == self.above && last >> ABOVE == self.above
    }
}

/// One block by the software version: `ars7(counter, key)`, words least significant first.
#[cfg(test)]
pub(crate) fn ars7(counter: [u32; 4], key: [u32; 4]) -> [u32; 4] {
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
