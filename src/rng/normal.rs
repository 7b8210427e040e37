//! Layer 1: normal variates by Box and Muller, in `f32` arithmetic that is the same on every level.
//!
//! Block `b` gives elements `4b` to `4b + 3`: words (0, 1) the first pair, words (2, 3) the second. From the upper 24
//! bits of its words a pair takes u1 in (0, 1] and u2 in [0, 1), and becomes r cos(2 pi u2), r sin(2 pi u2) with
//! r = sqrt(-2 ln u1). The largest variate is sqrt(48 ln 2) = 5.77.

use super::uniform::{blocks_of, place};
use super::{Key, Rounds};
use crate::math::{ln, sin_cos_2pi};
use crate::simd::{Aes, AesKernel, AesLevel, V, Vector, aes_level, dispatch_aes_at};

/// The vector of `f32` on an AES level.
type F<A> = V<<A as Aes>::Simd, f32>;

/// The variates of blocks `block` to `block + 7`.
#[inline(always)]
fn thirty_two<A: Aes>(a: A, rounds: &Rounds<A>, block: u64) -> [f32; 32] {
    let s = a.simd();
    let (low, high) = (rounds.words(a, block), rounds.words(a, block.wrapping_add(4)));
    let unit = 1.0 / (1u32 << 24) as f32;
    let mut u1 = [0.0; 16];
    let mut u2 = [0.0; 16];
    for i in 0..8 {
        u1[i] = ((low[2 * i] >> 8) + 1) as i32 as f32 * unit;
        u2[i] = (low[2 * i + 1] >> 8) as i32 as f32 * unit;
        u1[i + 8] = ((high[2 * i] >> 8) + 1) as i32 as f32 * unit;
        u2[i + 8] = (high[2 * i + 1] >> 8) as i32 as f32 * unit;
    }
    let r = ln(s, F::<A>::from_slice(s, &u1)).mul(F::<A>::splat(s, -2.0)).sqrt();
    let (sin, cos) = sin_cos_2pi(s, F::<A>::from_slice(s, &u2));
    let (cos, sin) = (r.mul(cos).to_lanes(), r.mul(sin).to_lanes());
    let mut pairs = [0.0; 32];
    for i in 0..16 {
        pairs[2 * i] = cos[i];
        pairs[2 * i + 1] = sin[i];
    }
    pairs
}

struct Normals<'a, T> {
    key: Key,
    offset: u64,
    out: &'a mut [T],
}

impl<T: Copy + From<f32>> AesKernel for Normals<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let rounds = Rounds::new(a, self.key);
        let (first, blocks) = blocks_of(self.offset, self.out.len(), 4);
        for i in (0..blocks).step_by(8) {
            let block = first + i;
            let variates = thirty_two(a, &rounds, block).map(T::from);
            place(self.out, (4 * block).wrapping_sub(self.offset) as i64, &variates);
        }
    }
}

/// Normal variates: `out[i]` is element `start + i` of the key's stream.
///
/// ```
/// use dropfast::rng::{Key, normals};
///
/// let mut all = [0.0; 100];
/// normals(Key::new(1, 2, 3), 0, &mut all);
/// let mut some = [0.0; 10];
/// normals(Key::new(1, 2, 3), 33, &mut some);
/// assert_eq!(some, all[33..43]);
/// ```
pub fn normals(key: Key, start: u64, out: &mut [f32]) {
    normals_at(aes_level(), key, start, out);
}

/// [`normals`] on a given level, for tests and benchmarks.
///
/// # Panics
/// Where the processor lacks the level.
pub fn normals_at(level: AesLevel, key: Key, start: u64, out: &mut [f32]) {
    dispatch_aes_at(level, Normals { key, offset: start, out });
}

/// [`normals`], widened to double precision.
pub fn normals_f64(key: Key, start: u64, out: &mut [f64]) {
    dispatch_aes_at(aes_level(), Normals { key, offset: start, out });
}
