//! Layer 2: packing: blocks of a matrix copied into the order in which a tile reads them.
//!
//! The tile reads, for one `k` after the other, `MR` elements of `A` and `NR` elements of `B`. A packed *strip* holds
//! just that: `[k][width]`, one strip after the other. A strip of vectors is filled up with zeros, a strip of broadcasts
//! is not, since rows that do not exist are never multiplied.

use super::matrix::Matrix;
use crate::simd::{Element, Simd, V, Vector};

/// Packs `a [m, k]` into strips of `width` rows: `to[strip][k][i] = a[strip * width + i, k]`, zeros for rows that `a`
/// lacks where `width` is whole vectors, else nothing.
///
/// # Safety
/// `to` has room for `m` rounded up to `width`, times `k`.
#[inline(always)]
pub(crate) unsafe fn pack<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) {
    // SAFETY: every address is within `a` or within the room that the caller promises.
    unsafe {
        if a.row_stride == 1 && width.is_multiple_of(T::LANES) {
            return by_steps(s, a, width, to);
        }
        if a.row_stride == 1 {
            for first in (0..a.rows).step_by(width) {
                let strip = a.block(first..a.rows.min(first + width), 0..a.columns);
                copy_steps(s, strip, a.rows - first - strip.rows, width, to.add(first * a.columns));
            }
            return;
        }
        let done = if a.column_stride == 1 { turn(s, a, width, to) } else { 0 };
        for i in done..a.rows {
            one_row(a, i, 0, width, to);
        }
        if width.is_multiple_of(T::LANES) {
            fill(a, width, to);
        }
    }
}

/// Steps of which the memory is asked for ahead of time: processors don't foresee strides as long as a row of a matrix.
const AHEAD: usize = 12;

/// Packs where one step lies side by side: step after step through all strips, so that memory is read in order.
#[inline(always)]
unsafe fn by_steps<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) {
    let (strip, whole) = (width * a.columns, a.rows / width * width);
    for k in 0..a.columns {
        for first in (0..whole).step_by(width) {
            for at in (0..width).step_by(T::LANES) {
                // SAFETY: rows `first..first + width` exist, and their strip has room.
                unsafe {
                    s.prefetch(a.address(first + at, k + AHEAD));
                    let row = V::<S, T>::load(s, a.address(first + at, k));
                    row.store(to.add(first / width * strip + k * width + at));
                }
            }
        }
        for at in (0..if whole < a.rows { width } else { 0 }).step_by(T::LANES) {
            let left = a.rows.saturating_sub(whole + at).min(T::LANES);
            // SAFETY: `left` more rows exist, and the last strip has room for `width`.
            unsafe {
                let row = V::<S, T>::load_first(s, a.address(whole + at, k), left);
                row.store(to.add(whole / width * strip + k * width + at));
            }
        }
    }
}

/// Packs one strip, or its first rows, where one step lies side by side and `spare` more elements can be read after it. Most
/// vectors are stored whole: what goes too far is where the next step comes. Masks cost AVX2 several times as much.
#[inline(always)]
unsafe fn copy_steps<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, spare: usize, width: usize, to: *mut T) {
    let end = a.rows.next_multiple_of(T::LANES);
    let whole = if end <= a.rows + spare { (a.columns + 1).saturating_sub(end.div_ceil(width)) } else { 0 };
    for k in 0..a.columns {
        s.prefetch(a.address(0, k + AHEAD));
        for at in (0..a.rows).step_by(T::LANES) {
            // SAFETY: `a.rows <= width` rows exist on both sides; of the `whole` steps also `end`.
            unsafe {
                if k < whole {
                    V::<S, T>::load(s, a.address(at, k)).store(to.add(k * width + at));
                } else {
                    let left = T::LANES.min(a.rows - at);
                    V::<S, T>::load_first(s, a.address(at, k), left).store_first(to.add(k * width + at), left);
                }
            }
        }
    }
}

/// Rows that are turned at a time to be dealt out to narrow strips: whole strips (of 4, 6 or 12) and whole squares.
const GROUP: usize = 48;

/// Packs whole groups of strips where rows lie side by side: squares are turned in registers, into their place where
/// strips are whole vectors, else into a buffer from which they are dealt out. Returns how many rows are done.
#[inline(always)]
unsafe fn turn<S: Simd, T: Element>(s: S, a: Matrix<'_, T>, width: usize, to: *mut T) -> usize {
    let in_place = width.is_multiple_of(T::LANES);
    let group = if in_place { width } else { GROUP };
    let mut buffer = [T::ZERO; 16 * GROUP + 16];
    let whole_steps = a.columns / T::LANES * T::LANES;
    let unit = if in_place { group } else { T::LANES };
    let whole_rows = a.rows / unit * unit;
    for first in (0..whole_rows).step_by(group) {
        let group = group.min(whole_rows - first);
        let room = to.wrapping_add(first * a.columns);
        for k in (0..whole_steps).step_by(T::LANES) {
            // SAFETY: whole squares of `a`; the strips, or the buffer, have room for `LANES` steps of them.
            unsafe {
                let square = if in_place { room.add(k * width) } else { buffer.as_mut_ptr() };
                for i in 0..group {
                    s.prefetch(a.address(first + i, k + 2 * T::LANES));
                }
                for i in (0..group).step_by(T::LANES) {
                    V::<S, T>::transpose(s, a.address(first + i, k), a.row_stride as usize, square.add(i), group);
                }
                for at in (0..if in_place { 0 } else { group }).step_by(width) {
                    let shape = (width.min(group - at), T::LANES);
                    let steps = Matrix::from_raw(buffer.as_ptr().add(at), shape, (1, group as isize));
                    copy_steps(s, steps, T::LANES, width, room.add(at * a.columns + k * width));
                }
            }
        }
        for i in first..first + group {
            // SAFETY: the last steps of a row.
            unsafe { one_row(a, i, whole_steps, width, to) };
        }
    }
    whole_rows
}

/// Packs row `i` from step `first` on, element by element.
#[inline(always)]
unsafe fn one_row<T: Element>(a: Matrix<'_, T>, i: usize, first: usize, width: usize, to: *mut T) {
    let start = to.wrapping_add(i / width * width * a.columns + i % width);
    for k in first..a.columns {
        // SAFETY: within `a`, and within its strip.
        unsafe { *start.add(k * width) = *a.address(i, k) };
    }
}

/// Fills the last strip with zeros for the rows that `a` lacks.
#[inline(always)]
unsafe fn fill<T: Element>(a: Matrix<'_, T>, width: usize, to: *mut T) {
    for i in a.rows..a.rows.next_multiple_of(width) {
        let start = to.wrapping_add(i / width * width * a.columns + i % width);
        for k in 0..a.columns {
            // SAFETY: within the last strip.
            unsafe { *start.add(k * width) = T::ZERO };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, available, dispatch_at};

    struct Pack<'a>(Matrix<'a, f32>, usize, &'a mut [f32]);

    impl Kernel for Pack<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, s: S) {
            // SAFETY: the tests give room.
            unsafe { pack(s, self.0, self.1, self.2.as_mut_ptr()) }
        }
    }

    #[test]
    fn strips_are_filled_and_nothing_else() {
        let memory: Vec<f32> = (1_u16..8000).map(f32::from).collect();
        for (rows, columns) in [(1, 5), (12, 1), (13, 40), (50, 33), (97, 3), (64, 48)] {
            for strides in [(1, rows as isize), (1, rows as isize + 9), (columns as isize, 1), (2, 2 * rows as isize)] {
                let a = Matrix::by_rows(&memory[..rows * columns], rows, columns);
                // SAFETY: the memory is more than twice as long as any of these.
                let a = unsafe { Matrix::from_raw(a.address(0, 0), (rows, columns), strides) };
                for (level, width) in available().flat_map(|level| [4, 6, 12, 16, 32].map(|width| (level, width))) {
                    let len = rows.next_multiple_of(width) * columns;
                    let mut room = vec![-1.0; len + 16];
                    dispatch_at(level, Pack(a, width, &mut room));
                    for i in 0..rows {
                        for k in 0..columns {
                            let packed = room[i / width * width * columns + k * width + i % width];
                            assert_eq!(
                                packed,
                                a.at(i, k),
                                "{level:?}, {rows} x {columns}, strips of {width}: {i}, {k}"
                            );
                        }
                    }
                    assert!(room[len..].iter().all(|&x| x == -1.0), "{level:?}: a strip of {width} went too far");
                }
            }
        }
    }
}
