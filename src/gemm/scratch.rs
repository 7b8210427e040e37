//! Layer 2: the buffers of packed blocks, one for each thread, kept from call to call.
//!
//! A fresh buffer of this size would come from the system with a page fault every 4 KiB, which costs more than a small
//! product.

use std::cell::Cell;

/// A cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(#[allow(dead_code, reason = "only its size counts")] [u8; 64]);

thread_local! {
    static KEPT: Cell<Vec<Line>> = const { Cell::new(Vec::new()) };
}

/// Lends `work` room for `len` numbers, aligned to a cache line, with no particular values.
pub(crate) fn with_scratch<T, R>(len: usize, work: impl FnOnce(*mut T) -> R) -> R {
    let lines = (len * size_of::<T>()).div_ceil(size_of::<Line>());
    // Taken, not borrowed: a product inside this one would find nothing and make its own.
    let mut buffer = KEPT.take();
    if buffer.len() < lines {
        buffer.clear();
        buffer.resize(lines, Line([0; 64]));
    }
    let result = work(buffer.as_mut_ptr().cast());
    KEPT.set(buffer);
    result
}
