//! Layer 2: packing: blocks of a matrix copied into the order in which a tile reads them.
//!
//! The tile reads, for one `k` after the other, `MR` elements of `A` and `NR` elements of `B`. A packed *strip* holds
//! just that: `[k][width]`, one strip after the other. A strip of vectors is filled up with zeros, a strip of broadcasts
//! is not, since rows that do not exist are never multiplied.

use super::matrix::Matrix;
use crate::simd::{Element, Simd, V, Vector};

/// Packs `a [m, k]` into strips of `width` rows.
///
/// # Safety
/// `to` has room for `m` rounded up to `width`, times `k`.
#[inline(always)]
pub unsafe fn pack<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) {
    let mut first = 0;
    while first < a.rows {
        let rows = width.min(a.rows - first);
        let strip = a.block(first..first + rows, 0..a.columns);
        // SAFETY: this strip's room.
        unsafe { pack_strip(s, strip, width, to.add(first * a.columns)) };
        first += rows;
    }
}

/// Packs up to `width` rows: `to[k * width + i] = a[i, k]`, zeros for the rows that `a` lacks.
///
/// # Safety
/// `to` has room for `width * a.columns`.
#[inline(always)]
unsafe fn pack_strip<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) {
    // SAFETY: every address is within `a` or within the room that the caller promises.
    unsafe {
        if a.row_stride == 1 && width.is_multiple_of(T::LANES) {
            for k in 0..a.columns {
                copy_row(s, a.address(0, k), a.rows, to.add(k * width), width);
            }
        } else if a.row_stride == 1 && a.rows == width {
            for k in 0..a.columns {
                std::ptr::copy_nonoverlapping(a.address(0, k), to.add(k * width), width);
            }
        } else if a.column_stride == 1 && width.is_multiple_of(T::LANES) {
            turn(s, a, width, to);
        } else {
            pack_elements(a, width, to);
        }
    }
}

/// Copies `n` elements and fills up to `width`, whole vectors, with zeros.
#[inline(always)]
unsafe fn copy_row<S: Simd, T: Element>(s: S, from: *const T, n: usize, to: *mut T, width: usize) {
    for at in (0..width).step_by(T::LANES) {
        let left = n.saturating_sub(at).min(T::LANES);
        // SAFETY: at most `n` elements are read, and `width` written.
        unsafe {
            let row = if left == T::LANES {
                V::<S, T>::load(s, from.add(at))
            } else {
                V::<S, T>::load_first(s, from.wrapping_add(at), left)
            };
            row.store(to.add(at));
        }
    }
}

/// Packs rows that are stored as rows: squares are turned in registers, the rest one by one.
#[inline(always)]
unsafe fn turn<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) {
    let whole_rows = a.rows / T::LANES * T::LANES;
    let whole_columns = a.columns / T::LANES * T::LANES;
    for i in (0..whole_rows).step_by(T::LANES) {
        for k in (0..whole_columns).step_by(T::LANES) {
            // SAFETY: a whole square on both sides.
            unsafe { V::<S, T>::transpose(s, a.address(i, k), a.row_stride as usize, to.add(k * width + i), width) };
        }
    }
    // SAFETY: blocks of the same strip.
    unsafe {
        let right = a.block(0..whole_rows, whole_columns..a.columns);
        pack_part(right, whole_rows, width, to.add(whole_columns * width));
        let below = a.block(whole_rows..a.rows, 0..a.columns);
        pack_part(below, width - whole_rows, width, to.add(whole_rows));
    }
}

/// Packs element by element.
#[inline(always)]
unsafe fn pack_elements<T: Element>(a: Matrix<'_, T>, width: usize, to: *mut T) {
    // SAFETY: the caller's promise.
    unsafe { pack_part(a, width, width, to) };
}

/// Packs element by element into rows of `width`, of which the first `filled` are written.
#[inline(always)]
unsafe fn pack_part<T: Element>(a: Matrix<'_, T>, filled: usize, width: usize, to: *mut T) {
    for i in 0..filled {
        for k in 0..a.columns {
            let value = if i < a.rows {
                // SAFETY: within `a`.
                unsafe { *a.address(i, k) }
            } else {
                T::ZERO
            };
            // SAFETY: within the strip.
            unsafe { *to.add(k * width + i) = value };
        }
    }
}
