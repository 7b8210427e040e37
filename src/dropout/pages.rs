//! Layer 2: large outputs by the system's large pages, so that memory fresh from the system is cleared the quick way.
//!
//! NumPy asks for large pages from 4 MiB on. A page that nobody has written is cleared at its first store, from both ends
//! towards that store, so that what is written next is in the caches. Upward clearing is quick, downward clearing slow
//! (at 2^25 `f32` a copy upwards takes .52 ns an element where the first store is to the start of each page, .32
//! where it is to the end). So the end is written first.

use std::ops::Range;

use super::contiguous::Pointer;
use crate::parallel::for_each_range;

/// Bytes of a large page.
const PAGE: usize = 2 << 20;

/// From so many bytes on NumPy asks for large pages.
const LARGE: usize = 2 * PAGE;

/// From so many bytes on threads take whole pages; below, an eighth of one, so that all have as much to do.
const WHOLE_PAGES: usize = 16 * PAGE;

/// Runs `work` over parts of `0..n`, in parallel as [`for_each_range`] does. Parts of a large output are within
/// pages, and of each the last element is written before `work` begins, for `overwrite`.
///
/// # Safety
/// `n` elements are writable at `y`; for `overwrite` `work` does not read them, and zero bytes are an element.
#[inline]
pub(super) unsafe fn for_each_part<T: Copy + Send + Sync, F>(
    y: *mut T,
    n: usize,
    grain: usize,
    overwrite: bool,
    work: F,
) where
    F: Fn(Range<usize>) + Sync,
{
    let bytes = n * size_of::<T>();
    if bytes < LARGE || !overwrite {
        return for_each_range(n, grain, work);
    }
    let page = PAGE / size_of::<T>();
    let block = if bytes < WHOLE_PAGES { page / 8 } else { page };
    // Elements are counted from the start of the first page.
    let first = y.addr() % PAGE / size_of::<T>();
    let end = first + n;
    let y = Pointer(y);
    for_each_range(end.div_ceil(block), grain.div_ceil(block), |blocks| {
        let (mut at, to) = ((blocks.start * block).max(first), (blocks.end * block).min(end));
        while at < to {
            let next = ((at / page + 1) * page).min(to);
            // SAFETY: an element of this part.
            unsafe { y.get().add(next - 1 - first).write_bytes(0, 1) };
            work(at - first..next - first);
            at = next;
        }
    });
}
