//! Layer 0: memory that starts on a cache line.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Bytes of a cache line, and of a vector.
const LINE: usize = 64;

/// A slice of numbers, zeros at first, aligned to 64 bytes.
pub(crate) struct Aligned<T: Copy> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: the memory is owned; `T` is a plain number.
unsafe impl<T: Copy + Send> Send for Aligned<T> {}
// SAFETY: as above.
unsafe impl<T: Copy + Sync> Sync for Aligned<T> {}

/// Numbers for which all bits zero is a value.
///
/// # Safety
/// Zeroed memory is a value of the type: no reference, no other niche.
pub(crate) unsafe trait Zeroable: Copy {}

// SAFETY: a number.
unsafe impl Zeroable for f32 {}
// SAFETY: a number.
unsafe impl Zeroable for f64 {}
// SAFETY: a number.
unsafe impl Zeroable for u32 {}
// SAFETY: a number.
unsafe impl Zeroable for u64 {}

impl<T: Copy> Aligned<T> {
    fn layout(len: usize) -> Layout {
        let bytes = len.checked_mul(size_of::<T>()).expect("a buffer fits the address space");
        Layout::from_size_align(bytes.max(LINE), LINE).expect("a buffer fits the address space")
    }
}

impl<T: Zeroable> Aligned<T> {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(memory.cast()) else { handle_alloc_error(layout) };
        Self { start, len }
    }
}

impl<T: Copy> Drop for Aligned<T> {
    fn drop(&mut self) {
        // SAFETY: allocated in `zeros` with the same layout.
        unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) };
    }
}

impl<T: Copy> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `len` numbers were allocated and zeroed.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T: Copy> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

/// An array that starts on a cache line: a vector of it is never on two.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Lines<T>(pub(crate) T);
