//! Layer 1: normal variates by Box and Muller, in `f32` arithmetic that is the same on every level.
//!
//! Block `b` gives elements `4b` to `4b + 3`: words (0, 1) the first pair, words (2, 3) the second. From the upper 24
//! bits of its words a pair takes u1 in (0, 1] and u2 in [0, 1), and becomes r cos(2 pi u2), r sin(2 pi u2) with
//! r = sqrt(-2 ln u1). The largest variate is sqrt(48 ln 2) = 5.77.

use super::uniform::{blocks_of, place};
use super::{Key, Rounds};
use crate::math::{ln_of_normal, sin_cos_2pi};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Normal variates of blocks `block` to `block + 7`, in order.
#[inline(always)]
pub fn normal_step<A: Aes>(a: A, rounds: &Rounds<A>, block: u64) -> [V<A::Simd, f32>; 2] {
    let s = a.simd();
    let low = rounds.apply(a, rounds.counters(a, block));
    let high = rounds.apply(a, rounds.counters(a, block.wrapping_add(4)));
    let (u1, u2) = a.unit_pairs(low, high);
    let r = ln_of_normal(s, u1).mul(V::<A::Simd, f32>::splat(s, -2.0)).sqrt();
    let (sin, cos) = sin_cos_2pi(s, u2);
    a.join_pairs(r.mul(cos), r.mul(sin))
}

/// [`normal_step`] in memory.
#[inline(always)]
pub fn normal_lanes<A: Aes>(a: A, rounds: &Rounds<A>, block: u64) -> [f32; STEP] {
    let mut lanes = [0.0; STEP];
    let [low, high] = normal_step(a, rounds, block);
    low.write(&mut lanes[..STEP / 2]);
    high.write(&mut lanes[STEP / 2..]);
    lanes
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
            let variates = normal_lanes(a, &rounds, block).map(T::from);
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
