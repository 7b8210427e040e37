//! Layer 2: blocks of an operand rounded to bfloat16 and laid out in pairs along `k`, strip by strip.

use std::ops::Range;

use crate::gemm::matrix::Matrix;
use crate::simd::bf16::{Pair, pair};
use crate::simd::{Simd, V, Vector};

/// Rows and pairs that are turned at once.
const SQUARE: usize = 16;

/// Packs `[rows, k]` into strips of `strip` rows: for every pair of `k` so many pairs side by side. Rows that are missing from the last strip, and
/// the partner of the last of an odd number of `k`, are zero.
///
/// # Safety
/// `to` has room for whole strips.
#[inline(always)]
pub(super) unsafe fn pack<S: Simd>(s: S, block: Matrix<'_, f32>, strip: usize, to: *mut Pair) {
    let pairs = block.columns.div_ceil(2);
    let last = block.rows / strip * strip;
    // SAFETY: strips lie within the room.
    unsafe {
        if last < block.rows {
            to.add(last * pairs).write_bytes(0, strip * pairs);
        }
        for first in (0..block.rows).step_by(strip) {
            let part = block.block(first..block.rows.min(first + strip), 0..block.columns);
            let to = to.add(first * pairs);
            if block.row_stride == 1 {
                for even in (0..block.columns).step_by(2) {
                    line(part, even, to.add(even / 2 * strip));
                }
            } else {
                turned(s, part, strip, to);
            }
        }
    }
}

/// A pair of columns of a strip whose rows are neighbours.
#[inline(always)]
unsafe fn line(part: Matrix<'_, f32>, even: usize, to: *mut Pair) {
    // SAFETY: elements of the block; the strip's own place.
    unsafe {
        let of = |column| std::slice::from_raw_parts(part.address(0, column), part.rows);
        let (x, to) = (of(even), std::slice::from_raw_parts_mut(to, part.rows));
        if even + 1 == part.columns {
            for (to, &x) in to.iter_mut().zip(x) {
                *to = pair(x, 0.0);
            }
        } else if part.rows.is_multiple_of(SQUARE) {
            // Whole vectors, the common case.
            let x = x.as_chunks::<SQUARE>().0.iter().zip(of(even + 1).as_chunks::<SQUARE>().0);
            for (to, (x, y)) in to.as_chunks_mut::<SQUARE>().0.iter_mut().zip(x) {
                for i in 0..SQUARE {
                    to[i] = pair(x[i], y[i]);
                }
            }
        } else {
            for ((to, &x), &y) in to.iter_mut().zip(x).zip(of(even + 1)) {
                *to = pair(x, y);
            }
        }
    }
}

/// One strip of any other block: squares through registers where `k` are neighbours, the rest one by one.
#[inline(always)]
unsafe fn turned<S: Simd>(s: S, part: Matrix<'_, f32>, strip: usize, to: *mut Pair) {
    let (end, pairs) = (strip * part.columns.div_ceil(2), part.columns / 2 / SQUARE * SQUARE);
    let pairs = if part.column_stride == 1 { pairs } else { 0 };
    for row in (0..part.rows).step_by(SQUARE) {
        let rows = SQUARE.min(part.rows - row);
        for first in (0..pairs).step_by(SQUARE) {
            let (mut square, mut turned) = ([0.0_f32; SQUARE * SQUARE], [0.0_f32; SQUARE * SQUARE]);
            for (i, line) in square.chunks_exact_mut(SQUARE).take(rows).enumerate() {
                // SAFETY: 32 neighbours of the block.
                let x = unsafe { &*part.address(row + i, 2 * first).cast::<[f32; 2 * SQUARE]>() };
                for (j, place) in line.iter_mut().enumerate() {
                    *place = f32::from_bits(pair(x[2 * j], x[2 * j + 1]));
                }
            }
            // SAFETY: both are squares; only bits are moved. What a vector writes past its rows belongs to later pairs of the strip,
            // which come later, and nothing is written past the strip.
            unsafe {
                V::<S, f32>::transpose(s, square.as_ptr(), SQUARE, turned.as_mut_ptr(), SQUARE);
                for (i, line) in turned.chunks_exact(SQUARE).enumerate() {
                    let (line, place) = (V::<S, f32>::read(s, line), (first + i) * strip + row);
                    if place + SQUARE <= end {
                        line.store(to.add(place).cast());
                    } else {
                        line.store_first(to.add(place).cast(), strip - row);
                    }
                }
            }
        }
        // SAFETY: as the caller promises.
        unsafe { one_by_one(part, row..row + rows, 2 * pairs, strip, to) };
    }
}

/// Pairs of some rows from column `from` on.
#[inline(always)]
unsafe fn one_by_one(part: Matrix<'_, f32>, rows: Range<usize>, from: usize, strip: usize, to: *mut Pair) {
    for row in rows {
        for even in (from..part.columns).step_by(2) {
            // SAFETY: elements of the block; the strip's own place.
            unsafe {
                let y = if even + 1 < part.columns { *part.address(row, even + 1) } else { 0.0 };
                *to.add(even / 2 * strip + row) = pair(*part.address(row, even), y);
            }
        }
    }
}
