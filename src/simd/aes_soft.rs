//! Layer 0: AES without AES instructions: the exact rounds from tables. Operations only.
//!
//! The fallback, and the oracle of the other levels. Nothing here is worth the size of inlining it into every kernel.
//! Not for secrets: table look-ups leak their index by timing.

use super::aes::{Aes, AesKernel, AesLevel, MaskOf, Row};
use super::{Scalar, V, Vector};

/// The token of software AES; every processor has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SoftAes;

/// Product by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (FIPS 197, section 4.2.1).
const fn double(x: u8) -> u8 {
    (x << 1) ^ (if x & 0x80 != 0 { 0x1B } else { 0 })
}

/// The substitution table of FIPS 197, section 5.1.1: inverse in GF(2^8), then the affine map.
const fn substitution() -> [u8; 256] {
    let mut table = [0u8; 256];
    // p runs through the powers of 3, q through those of its inverse: q is always 1 / p.
    let (mut p, mut q) = (1u8, 1u8);
    loop {
        p ^= double(p);
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        if q & 0x80 != 0 {
            q ^= 0x09;
        }
        let affine = q ^ q.rotate_left(1) ^ q.rotate_left(2) ^ q.rotate_left(3) ^ q.rotate_left(4);
        table[p as usize] = affine ^ 0x63;
        if p == 1 {
            break;
        }
    }
    table[0] = 0x63;
    table
}

static SUBSTITUTION: [u8; 256] = substitution();

/// Substitution and one column of MixColumns together: entry `x` is `(2 s, s, s, 3 s)` for `s` = substitute(x).
static MIXED: [u32; 256] = {
    let s = substitution();
    let mut table = [0u32; 256];
    let mut i = 0;
    while i < 256 {
        let twice = double(s[i]);
        table[i] = u32::from_le_bytes([twice, s[i], s[i], twice ^ s[i]]);
        i += 1;
    }
    table
};

/// Byte `row` of column `column + row`: ShiftRows as an index.
#[inline(always)]
fn shifted(state: &[u32; 4], column: usize, row: usize) -> usize {
    (state[(column + row) % 4] >> (8 * row)) as usize & 0xFF
}

/// The state after SubBytes, ShiftRows, MixColumns and the key.
#[inline(always)]
fn full_round(state: &[u32; 4], key: [u32; 4]) -> [u32; 4] {
    std::array::from_fn(|c| {
        let mixed = |row| MIXED[shifted(state, c, row)].rotate_left(8 * row as u32);
        mixed(0) ^ mixed(1) ^ mixed(2) ^ mixed(3) ^ key[c]
    })
}

/// The state after SubBytes, ShiftRows and the key.
#[inline(always)]
fn final_round(state: &[u32; 4], key: [u32; 4]) -> [u32; 4] {
    std::array::from_fn(|c| {
        u32::from_le_bytes(std::array::from_fn(|row| SUBSTITUTION[shifted(state, c, row)])) ^ key[c]
    })
}

/// The four words of two 64-bit lanes.
#[inline(always)]
fn words_of(low: u64, high: u64) -> [u32; 4] {
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

/// The lanes of 16 bits, in order.
#[inline(always)]
fn lanes(block: &[[u32; 4]; 4]) -> impl Iterator<Item = u16> {
    block.iter().flatten().flat_map(|&w| [w as u16, (w >> 16) as u16])
}

impl Aes for SoftAes {
    type Simd = Scalar;
    type Block = [[u32; 4]; 4];
    type RoundKey = [u32; 4];
    type Words = u16;
    type Keep = u32;
    type Near = bool;

    const LEVEL: AesLevel = AesLevel::Soft;

    #[inline(always)]
    fn simd(self) -> Scalar {
        Scalar
    }

    #[inline]
    fn run<K: AesKernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn round_key(self, low: u64, high: u64) -> [u32; 4] {
        words_of(low, high)
    }

    #[inline(always)]
    fn counters(self, low: u64, high: u64) -> Self::Block {
        std::array::from_fn(|i| words_of(low.wrapping_add(i as u64), high))
    }

    #[inline(always)]
    fn repeated(self, low: u64, high: u64) -> Self::Block {
        [words_of(low, high); 4]
    }

    #[inline(never)]
    fn advance(self, block: Self::Block, n: u64) -> Self::Block {
        block.map(|[a, b, c, d]| {
            let low = (u64::from(a) | u64::from(b) << 32).wrapping_add(n);
            [low as u32, (low >> 32) as u32, c, d]
        })
    }

    #[inline(always)]
    fn xor(self, block: Self::Block, key: [u32; 4]) -> Self::Block {
        block.map(|state| std::array::from_fn(|c| state[c] ^ key[c]))
    }

    #[inline(always)]
    fn common(self, block: Self::Block) -> [u32; 4] {
        block[0]
    }

    #[inline(always)]
    fn load(self, row: &Row) -> Self::Block {
        std::array::from_fn(|i| std::array::from_fn(|c| row.0[4 * i + c]))
    }

    #[inline(always)]
    fn store(self, block: Self::Block, row: &mut Row) {
        row.0 = self.to_words(block);
    }

    #[inline(never)]
    fn round(self, block: Self::Block, key: [u32; 4]) -> Self::Block {
        block.map(|state| full_round(&state, key))
    }

    #[inline(never)]
    fn last_round(self, block: Self::Block, key: [u32; 4]) -> Self::Block {
        block.map(|state| final_round(&state, key))
    }

    #[inline(always)]
    fn to_words(self, block: Self::Block) -> [u32; 16] {
        std::array::from_fn(|i| block[i / 4][i % 4])
    }

    #[inline(never)]
    fn unit_pairs(self, low: Self::Block, high: Self::Block) -> (V<Scalar, f32>, V<Scalar, f32>) {
        let (low, high) = (self.to_words(low), self.to_words(high));
        let word = |i: usize, second: usize| [&low, &high][i % 2][i / 2 * 2 + second] >> 8;
        let unit = |w: u32| w as f32 * (1.0 / (1u32 << 24) as f32);
        let lanes = |second: usize| std::array::from_fn::<f32, 16, _>(|i| unit(word(i, second) + 1 - second as u32));
        (V::<Scalar, f32>::from_slice(Scalar, &lanes(0)), V::<Scalar, f32>::from_slice(Scalar, &lanes(1)))
    }

    #[inline(never)]
    fn join_pairs(self, first: V<Scalar, f32>, second: V<Scalar, f32>) -> [V<Scalar, f32>; 2] {
        let pairs = [first.to_lanes(), second.to_lanes()];
        [0, 1].map(|high| {
            let lanes: [f32; 16] = std::array::from_fn(|i| pairs[i % 2][i / 2 * 2 + high]);
            V::<Scalar, f32>::from_slice(Scalar, &lanes)
        })
    }

    #[inline(always)]
    fn words(self, word: u16) -> u16 {
        word
    }

    #[inline(never)]
    fn at_least(self, block: Self::Block, bound: u16) -> u32 {
        lanes(&block).enumerate().fold(0, |bits, (i, lane)| bits | u32::from(lane >= bound) << i)
    }

    #[inline(never)]
    fn equal(self, block: Self::Block, bound: u16) -> u32 {
        lanes(&block).enumerate().fold(0, |bits, (i, lane)| bits | (u32::from(lane == bound) << i))
    }

    #[inline(always)]
    fn far(self) -> bool {
        false
    }

    #[inline(always)]
    fn note(self, record: bool, block: Self::Block, bound: u16) -> bool {
        record | (self.equal(block, bound) != 0)
    }

    #[inline(always)]
    fn met(self, record: bool) -> bool {
        record
    }

    #[inline(always)]
    fn keep_from_bits(self, bits: u32) -> u32 {
        bits
    }

    #[inline(always)]
    fn keep_to_bits(self, keep: u32) -> u32 {
        keep
    }

    #[inline(never)]
    unsafe fn store_bools(self, keep: u32, p: *mut u8) {
        for i in 0..32 {
            // SAFETY: the caller promises 32 bytes.
            unsafe { p.add(i).write((keep >> i & 1) as u8) };
        }
    }

    #[inline(always)]
    fn prefetch<T>(self, _: *const T) {}

    #[inline(never)]
    fn choose(self, keep: u32, kept: [u16; 32], dropped: [u16; 32]) -> [u16; 32] {
        std::array::from_fn(|i| if keep >> i & 1 == 1 { kept[i] } else { dropped[i] })
    }

    #[inline(always)]
    fn mask_f32(self, keep: u32, part: usize) -> MaskOf<Self, f32> {
        V::<Scalar, f32>::mask_from_bits(Scalar, keep >> (16 * part))
    }

    #[inline(always)]
    fn mask_f64(self, keep: u32, part: usize) -> MaskOf<Self, f64> {
        V::<Scalar, f64>::mask_from_bits(Scalar, keep >> (8 * part))
    }
}
