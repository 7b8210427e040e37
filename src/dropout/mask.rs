//! Layer 2: masks as arrays: one byte or one bit a decision.

use super::layout::Walk;
use super::{Decisions, Layout};
use crate::parallel::{Shared, for_each_range};
use crate::rng::keep_bits_at;
use crate::simd::{AesLevel, STEP};

/// Elements drawn at a time.
const PIECE: usize = 4096;

/// Fewer elements than this for a thread are not worth waking it.
const GRAIN: usize = 1 << 16;

/// Bit `i` of `bits` as byte `i`, 0 or 1.
#[inline(always)]
fn spread(bits: u8) -> [u8; 8] {
    // The product puts a copy of the byte at every 7th bit, so that bit 8 i of the sum is bit i; no two copies collide
    // where the lower seven bits are taken alone.
    let low = u64::from(bits & 0x7F).wrapping_mul(0x0002_0408_1020_4081) & 0x0101_0101_0101_0101;
    (low | u64::from(bits >> 7) << 56).to_le_bytes()
}

/// `out[i]` becomes 1 where element `i` is kept, else 0.
pub fn mask_bools(level: AesLevel, decisions: Decisions, out: &mut [u8]) {
    let Decisions { key, threshold, offset } = decisions;
    let shared = Shared::new(out);
    for_each_range(shared.len(), GRAIN, |range| {
        // SAFETY: ranges do not overlap.
        let out = unsafe { shared.part(range.clone()) };
        let mut bits = [0; PIECE / STEP];
        for (i, piece) in out.chunks_mut(PIECE).enumerate() {
            let start = offset + (range.start + i * PIECE) as u64;
            keep_bits_at(level, key, threshold, start, &mut bits, piece.len());
            for (bytes, word) in piece.chunks_mut(STEP).zip(bits) {
                for (eight, byte) in bytes.chunks_mut(8).zip(word.to_le_bytes()) {
                    eight.copy_from_slice(&spread(byte)[..eight.len()]);
                }
            }
        }
    });
}

/// Decisions of `n` elements, eight a byte, the first in the lowest bit; unused bits of the last byte are 0.
pub fn mask_bits(level: AesLevel, decisions: Decisions, n: usize, out: &mut [u8]) {
    let Decisions { key, threshold, offset } = decisions;
    let shared = Shared::new(&mut out[..n.div_ceil(8)]);
    for_each_range(shared.len(), GRAIN / 8, |range| {
        // SAFETY: ranges do not overlap.
        let out = unsafe { shared.part(range.clone()) };
        let mut bits = [0; PIECE / STEP];
        for (i, piece) in out.chunks_mut(PIECE / 8).enumerate() {
            let first = (range.start + i * PIECE / 8) * 8;
            let count = (piece.len() * 8).min(n - first);
            keep_bits_at(level, key, threshold, offset + first as u64, &mut bits, count);
            for (bytes, word) in piece.chunks_mut(4).zip(bits) {
                bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
            }
        }
    });
}

/// Spreads decisions of the noise over an array: `out`, at the layout's output steps, becomes `noise` at its noise steps.
///
/// # Panics
/// Where the layout leaves one of the slices.
pub fn expand(layout: &Layout, noise: &[u8], out: &mut [u8]) {
    if layout.is_empty() {
        return;
    }
    let inner = layout.inner();
    let mut walk = Walk::from(layout.outer(), 0);
    for _ in 0..layout.len() / inner.size {
        let place = walk.place();
        walk.advance();
        let (from, to) = (place.noise as usize, place.output as usize);
        let run = &mut out[to..to + inner.size];
        match inner.noise {
            0 => run.fill(noise[from]),
            _ => run.copy_from_slice(&noise[from..from + inner.size]),
        }
    }
}
