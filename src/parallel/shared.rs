//! Layer 0: a buffer that several threads write, each its own part.

use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice handed to several threads at once. Which part belongs to whom is the callers' agreement.
pub(crate) struct Shared<'a, T> {
    start: *mut T,
    len: usize,
    lifetime: PhantomData<&'a mut [T]>,
}

// SAFETY: access goes through `unsafe` methods whose callers promise that parts do not overlap.
unsafe impl<T: Send> Send for Shared<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<T> Clone for Shared<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Shared<'_, T> {}

/// A slice that several threads read while others have it [`Shared`]: when, is the callers' agreement.
pub(crate) struct View<'a, T>(Shared<'a, T>);

impl<T> Clone for View<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for View<'_, T> {}

impl<'a, T> View<'a, T> {
    /// A slice that nobody writes.
    pub(crate) fn new(slice: &'a [T]) -> Self {
        Self(Shared { start: slice.as_ptr().cast_mut(), len: slice.len(), lifetime: PhantomData })
    }

    /// The address of the first element of a range.
    ///
    /// # Panics
    /// Where the range leaves the slice.
    #[track_caller]
    pub(crate) fn at(&self, range: Range<usize>) -> *const T {
        self.0.at(range)
    }

    /// The slice.
    ///
    /// # Safety
    /// While it is borrowed no thread writes it.
    pub(crate) unsafe fn get(&self) -> &'a [T] {
        // SAFETY: the caller's promise.
        unsafe { self.0.view() }
    }
}

impl<'a, T> Shared<'a, T> {
    /// The same slice, to read.
    pub(crate) fn to_view(self) -> View<'a, T> {
        View(self)
    }

    /// Takes the slice for the lifetime of the hand-over.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), lifetime: PhantomData }
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of the first element.
    pub(crate) fn as_ptr(&self) -> *mut T {
        self.start
    }

    /// The address of the first element of a range.
    ///
    /// # Panics
    /// Where the range leaves the slice.
    #[track_caller]
    pub(crate) fn at(&self, range: Range<usize>) -> *mut T {
        assert!(range.start <= range.end && range.end <= self.len, "part {range:?} of {} elements", self.len);
        self.start.wrapping_add(range.start)
    }

    /// A range of it.
    ///
    /// # Panics
    /// Where the range leaves the slice.
    #[track_caller]
    pub(crate) fn range(&self, range: Range<usize>) -> Self {
        Self { start: self.at(range.clone()), len: range.len(), lifetime: PhantomData }
    }

    /// All of it, to read.
    ///
    /// # Safety
    /// While it is borrowed no thread writes it.
    pub(crate) unsafe fn view(&self) -> &'a [T] {
        // SAFETY: in bounds; not written by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }

    /// One thread's part.
    ///
    /// # Safety
    /// While the part is borrowed no other thread reads or writes it.
    ///
    /// # Panics
    /// Where the range leaves the slice.
    #[allow(clippy::mut_from_ref, reason = "the point of the type: disjointness is the callers' promise")]
    #[track_caller]
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        let start = self.at(range.clone());
        // SAFETY: in bounds; exclusive by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(start, range.len()) }
    }
}
