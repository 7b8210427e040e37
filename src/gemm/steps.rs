//! Layer 2: the steps of a product: which `k` it runs over.

/// Which `k` a product runs over, in ascending order.
pub(crate) trait Steps: Copy {
    /// How many.
    fn count(self) -> usize;
    /// The `k` of step `p`.
    ///
    /// # Safety
    /// `p < self.count()`.
    unsafe fn at(self, p: usize) -> usize;
    /// The place of that `k` in the broadcast operand, which may hold the steps' own alone.
    ///
    /// # Safety
    /// As [`Steps::at`].
    #[inline(always)]
    unsafe fn place(self, p: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.at(p) }
    }
    /// About the place of step `p`, which need not exist.
    fn near(self, p: usize) -> usize;
}

/// All of `0..k`.
#[derive(Clone, Copy)]
pub(crate) struct All(pub(crate) usize);

/// A list of kept indices.
#[derive(Clone, Copy)]
pub(crate) struct Listed<'a>(pub(crate) &'a [u32]);

/// A list of kept indices, for which alone the broadcast operand has places.
#[derive(Clone, Copy)]
pub(crate) struct Packed<'a>(pub(crate) Listed<'a>);

impl Steps for All {
    #[inline(always)]
    fn count(self) -> usize {
        self.0
    }

    #[inline(always)]
    unsafe fn at(self, p: usize) -> usize {
        p
    }

    #[inline(always)]
    fn near(self, p: usize) -> usize {
        p
    }
}

impl Steps for Listed<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    unsafe fn at(self, p: usize) -> usize {
        // SAFETY: the caller keeps `p` below the length.
        unsafe { *self.0.get_unchecked(p) as usize }
    }

    #[inline(always)]
    fn near(self, p: usize) -> usize {
        self.0.get(p).map_or(0, |&k| k as usize)
    }
}

impl Steps for Packed<'_> {
    #[inline(always)]
    fn count(self) -> usize {
        self.0.count()
    }

    #[inline(always)]
    unsafe fn at(self, p: usize) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.0.at(p) }
    }

    #[inline(always)]
    unsafe fn place(self, p: usize) -> usize {
        p
    }

    #[inline(always)]
    fn near(self, p: usize) -> usize {
        p
    }
}
