//! Layer 2: matrices in memory, with any strides.

use std::marker::PhantomData;
use std::ops::Range;

/// A matrix to read: element `(i, j)` lies `i * row_stride + j * column_stride` elements after the first.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a, T> {
    start: *const T,
    /// Rows.
    pub(crate) rows: usize,
    /// Columns.
    pub(crate) columns: usize,
    /// Elements from one row to the next.
    pub(crate) row_stride: isize,
    /// Elements from one column to the next.
    pub(crate) column_stride: isize,
    lifetime: PhantomData<&'a [T]>,
}

// SAFETY: a shared borrow of numbers.
unsafe impl<T: Sync> Send for Matrix<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Matrix<'_, T> {}

impl<'a, T: Copy> Matrix<'a, T> {
    /// A matrix stored row after row.
    ///
    /// # Panics
    /// Unless the slice has `rows * columns` elements.
    pub(crate) fn by_rows(elements: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(elements.len()), rows.checked_mul(columns), "a matrix of {rows} x {columns}");
        // SAFETY: all elements lie in the slice.
        unsafe { Self::from_raw(elements.as_ptr(), (rows, columns), (columns as isize, 1)) }
    }

    /// A matrix anywhere.
    ///
    /// # Safety
    /// Every element is readable, and nobody writes it, for the lifetime `'a`.
    pub(crate) unsafe fn from_raw(start: *const T, shape: (usize, usize), strides: (isize, isize)) -> Self {
        Self {
            start,
            rows: shape.0,
            columns: shape.1,
            row_stride: strides.0,
            column_stride: strides.1,
            lifetime: PhantomData,
        }
    }

    /// Rows and columns exchanged; nothing is moved.
    #[must_use]
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// Element `(i, j)`.
    ///
    /// # Panics
    /// Outside of the matrix.
    pub(crate) fn at(&self, i: usize, j: usize) -> T {
        assert!(i < self.rows && j < self.columns);
        // SAFETY: within the matrix.
        unsafe { *self.address(i, j) }
    }

    /// Copies row `i`.
    ///
    /// # Panics
    /// Outside of the matrix, or where `to` has another length than a row.
    #[inline(always)]
    pub(crate) fn copy_row(&self, i: usize, to: &mut [T]) {
        assert!(i < self.rows && to.len() == self.columns);
        let row = self.address(i, 0);
        // SAFETY: within the matrix.
        unsafe {
            if self.column_stride == 1 {
                std::ptr::copy_nonoverlapping(row, to.as_mut_ptr(), to.len());
            } else {
                for (j, value) in to.iter_mut().enumerate() {
                    *value = *row.offset(j as isize * self.column_stride);
                }
            }
        }
    }

    /// Where element `(i, j)` is, or would be.
    #[inline(always)]
    pub(super) fn address(&self, i: usize, j: usize) -> *const T {
        self.start.wrapping_offset(i as isize * self.row_stride + j as isize * self.column_stride)
    }

    /// Some rows and columns.
    ///
    /// # Panics
    /// Outside of the matrix.
    #[must_use]
    pub(crate) fn block(&self, rows: Range<usize>, columns: Range<usize>) -> Self {
        assert!(rows.end <= self.rows && columns.end <= self.columns);
        Self { start: self.address(rows.start, columns.start), rows: rows.len(), columns: columns.len(), ..*self }
    }
}

/// A matrix to write, with strides like [`Matrix`].
pub(crate) struct MatrixMut<'a, T> {
    pub(super) start: *mut T,
    /// Rows.
    pub(crate) rows: usize,
    /// Columns.
    pub(crate) columns: usize,
    /// Elements from one row to the next.
    pub(crate) row_stride: isize,
    /// Elements from one column to the next.
    pub(crate) column_stride: isize,
    lifetime: PhantomData<&'a mut [T]>,
}

impl<'a, T: Copy> MatrixMut<'a, T> {
    /// A matrix stored row after row.
    ///
    /// # Panics
    /// Unless the slice has `rows * columns` elements.
    pub(crate) fn by_rows(elements: &'a mut [T], rows: usize, columns: usize) -> Self {
        assert_eq!(Some(elements.len()), rows.checked_mul(columns), "a matrix of {rows} x {columns}");
        // SAFETY: all elements lie in the slice.
        unsafe { Self::from_raw(elements.as_mut_ptr(), (rows, columns), (columns as isize, 1)) }
    }

    /// A matrix anywhere.
    ///
    /// # Safety
    /// Every element is writable and reached in no other way for the lifetime `'a`; no two elements share a place.
    pub(crate) unsafe fn from_raw(start: *mut T, shape: (usize, usize), strides: (isize, isize)) -> Self {
        Self {
            start,
            rows: shape.0,
            columns: shape.1,
            row_stride: strides.0,
            column_stride: strides.1,
            lifetime: PhantomData,
        }
    }

    /// Rows and columns exchanged; nothing is moved.
    #[must_use]
    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    /// The same matrix for a shorter time.
    pub(crate) fn reborrow(&mut self) -> MatrixMut<'_, T> {
        MatrixMut { lifetime: PhantomData, ..*self }
    }

    /// All elements, and what lies between rows, of a matrix whose columns are neighbours.
    ///
    /// # Panics
    /// Where they are not, or rows are not in ascending order.
    pub(crate) fn memory(&mut self) -> &mut [T] {
        if self.rows == 0 || self.columns == 0 {
            return &mut [];
        }
        assert!(self.columns == 1 || self.column_stride == 1);
        assert!(self.rows == 1 || self.row_stride >= self.columns as isize);
        let len = (self.rows - 1) * self.row_stride.unsigned_abs() + self.columns;
        // SAFETY: from the first to the last element; what lies between is nobody else's while this is borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.start, len) }
    }

    /// Writes element `(i, j)`.
    ///
    /// # Panics
    /// Outside of the matrix.
    pub(crate) fn set(&mut self, i: usize, j: usize, value: T) {
        assert!(i < self.rows && j < self.columns);
        let offset = i as isize * self.row_stride + j as isize * self.column_stride;
        // SAFETY: within the matrix.
        unsafe { *self.start.offset(offset) = value };
    }
}
