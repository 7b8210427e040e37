//! Layer 0: memory that starts on a cache line, and what to do where there is none.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc};
use std::hint::black_box;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;

use crate::error::{Error, Result};

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

/// Bytes that need not be asked for: the bindings keep a reserve for them.
const SMALL: usize = 1 << 20;

/// The error where so many numbers of a type could not be had.
fn no_room<T>(len: usize) -> Error {
    let size = size_of::<T>();
    let bytes = len as f64 * size as f64;
    Error::Memory(match bytes {
        1e9.. => format!("unable to allocate {:.3} GB for {len} elements of {size} bytes", bytes / 1e9),
        _ => format!("unable to allocate {:.3} MB for {len} elements of {size} bytes", bytes / 1e6),
    })
}

/// `len` defaults.
///
/// # Errors
/// [`Error::Memory`] where there is no room for them.
pub(crate) fn with_room<T: Clone + Default>(len: usize) -> Result<Vec<T>> {
    let mut found = Vec::new();
    found.try_reserve_exact(len).map_err(|_| no_room::<T>(len))?;
    found.resize(len, T::default());
    Ok(found)
}

/// `len` defaults for a thread that can't return an error in the middle of its work.
///
/// # Panics
/// With the error, which [`caught`] finds, where there is no room for them.
pub(crate) fn room<T: Clone + Default>(len: usize) -> Vec<T> {
    with_room(len).unwrap_or_else(|error| resume_unwind(Box::new(error)))
}

/// [`ensure_room`] where no error can be returned.
///
/// # Panics
/// As [`room`].
pub(crate) fn room_for_all<T>(len: usize) {
    ensure_room::<T>(len).unwrap_or_else(|error| resume_unwind(Box::new(error)));
}

/// Runs `work`, in which [`room`] is asked for.
///
/// # Errors
/// [`Error::Memory`] where there was none.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| match panic.downcast::<Error>() {
        Ok(error) => *error,
        Err(other) => resume_unwind(other),
    })
}

/// Finds out that there is room for `len` numbers that threads will need for themselves, before any of them begins.
///
/// # Errors
/// [`Error::Memory`] where there is none.
pub(crate) fn ensure_room<T>(len: usize) -> Result<()> {
    let layout = Layout::array::<T>(len).map_err(|_| no_room::<T>(len))?;
    if layout.size() < SMALL {
        return Ok(());
    }
    // SAFETY: the layout is not empty.
    let memory = black_box(unsafe { alloc(layout) });
    if memory.is_null() {
        return Err(no_room::<T>(len));
    }
    // SAFETY: just allocated with this layout.
    unsafe { dealloc(memory, layout) };
    Ok(())
}

impl<T: Copy> Aligned<T> {
    fn layout(len: usize) -> Option<Layout> {
        Layout::from_size_align(len.checked_mul(size_of::<T>())?.max(LINE), LINE).ok()
    }
}

impl<T: Zeroable> Aligned<T> {
    /// `len` zeros.
    ///
    /// # Errors
    /// [`Error::Memory`] where there is no room for them.
    pub(crate) fn zeros(len: usize) -> Result<Self> {
        let layout = Self::layout(len).ok_or_else(|| no_room::<T>(len))?;
        // SAFETY: the layout is not empty.
        let memory = unsafe { alloc_zeroed(layout) };
        let start = NonNull::new(memory.cast()).ok_or_else(|| no_room::<T>(len))?;
        Ok(Self { start, len })
    }
}

impl<T: Copy> Drop for Aligned<T> {
    fn drop(&mut self) {
        if let Some(layout) = Self::layout(self.len) {
            // SAFETY: allocated in `zeros` with the same layout.
            unsafe { dealloc(self.start.as_ptr().cast(), layout) };
        }
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
