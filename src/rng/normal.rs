//! Layer 1: normal variates by Box and Muller, in `f32` arithmetic that is the same on every level.
//!
//! Block `b` gives elements `4b` to `4b + 3`: words (0, 1) the first pair, words (2, 3) the second. From the upper 24
//! bits of its words a pair takes u1 in (0, 1] and u2 in [0, 1), and becomes r cos(2 pi u2), r sin(2 pi u2) with
//! r = sqrt(-2 ln u1). The largest variate is sqrt(48 ln 2) = 5.77.

use super::uniform::{blocks_of, place};
use super::{Key, Rounds};
use crate::math::{ln_of_normal, sin_cos_2pi};
use crate::simd::{Aes, AesKernel, AesLevel, STEP, V, Vector, aes_level, dispatch_aes_at};

/// Steps of [`STEP`] variates that are made together, see [`normal_steps`].
pub(crate) const NORMAL_STEPS: usize = 8;

/// Variates of consecutive blocks from `block` on, [`STEP`] of them (8 blocks) an entry of `z`, in order.
///
/// In three passes over a few entries: from counter to product a step is a chain of some 200 cycles, of which the
/// processor can hold one and a half; chains of a third overlap.
#[inline(always)]
fn normal_steps<A: Aes>(a: A, rounds: &Rounds<A>, mut block: u64, z: &mut [[V<A::Simd, f32>; 2]]) {
    let s = a.simd();
    for z in z.iter_mut() {
        let low = rounds.apply(a, rounds.counters(a, block));
        let high = rounds.apply(a, rounds.counters(a, block.wrapping_add(4)));
        *z = a.unit_pairs(low, high).into();
        block = block.wrapping_add(STEP as u64 / 4);
    }
    for [u1, _] in z.iter_mut() {
        *u1 = ln_of_normal(s, *u1).mul(V::<A::Simd, f32>::splat(s, -2.0)).sqrt();
    }
    for z in z.iter_mut() {
        let [r, u2] = *z;
        let (sin, cos) = sin_cos_2pi(s, u2);
        *z = a.join_pairs(r.mul(cos), r.mul(sin));
    }
}

/// Variates in memory, whole steps of them.
struct Lanes<'a> {
    key: Key,
    block: u64,
    out: &'a mut [f32],
}

impl AesKernel for Lanes<'_> {
    type Output = ();

    #[inline(always)]
    fn run<A: Aes>(self, a: A) {
        let mut z = [[V::<A::Simd, f32>::zero(a.simd()); 2]; NORMAL_STEPS];
        let z = &mut z[..self.out.len() / STEP];
        normal_steps(a, &Rounds::new(a, self.key), self.block, z);
        for ([low, high], out) in z.iter().zip(self.out.chunks_exact_mut(STEP)) {
            low.write(&mut out[..STEP / 2]);
            high.write(&mut out[STEP / 2..]);
        }
    }
}

/// Variates of consecutive blocks from `block` on: at most [`NORMAL_STEPS`] whole steps. Out of line, so that element
/// types share it.
#[inline(never)]
pub(crate) fn normal_lanes<A: Aes>(a: A, key: Key, block: u64, out: &mut [f32]) {
    a.run(Lanes { key, block, out });
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
        let (first, blocks) = blocks_of(self.offset, self.out.len(), 4);
        let mut lanes = [0.0; NORMAL_STEPS * STEP];
        let whole = lanes.len() as u64 / 4;
        for from in (0..blocks).step_by(whole as usize) {
            let steps = ((blocks - from).min(whole) * 4).div_ceil(STEP as u64) as usize;
            let lanes = &mut lanes[..steps * STEP];
            normal_lanes(a, self.key, first + from, lanes);
            for (i, step) in lanes.chunks_exact(STEP).enumerate() {
                let at = 4 * (first + from) + (i * STEP) as u64;
                let step: [T; STEP] = std::array::from_fn(|i| T::from(step[i]));
                place(self.out, at.wrapping_sub(self.offset) as i64, &step);
            }
        }
    }
}

/// Normal variates: `out[i]` is element `start + i` of the key's stream.
pub(crate) fn normals(key: Key, start: u64, out: &mut [f32]) {
    normals_at(aes_level(), key, start, out);
}

/// [`normals`] on a given level, for tests and benchmarks.
///
/// # Panics
/// Where the processor lacks the level.
pub(crate) fn normals_at(level: AesLevel, key: Key, start: u64, out: &mut [f32]) {
    dispatch_aes_at(level, Normals { key, offset: start, out });
}

/// [`normals`], widened to double precision.
pub(crate) fn normals_f64(key: Key, start: u64, out: &mut [f64]) {
    dispatch_aes_at(aes_level(), Normals { key, offset: start, out });
}
