//! Layer 5: a little memory for when the system gives none.
//!
//! What a caller's sizes decide is asked for in a way that can fail, and becomes a MemoryError. What is left are small things: a list of
//! ranges, a job for a thread. Rust ends the process where one of those can't be had, so they come from here then.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of the reserve. They are address space only, until they are used.
const SIZE: usize = 16 << 20;

/// The reserve: memory is handed out from its start on, and all of it is free again when nobody has any.
#[repr(align(4096))]
struct Reserve {
    memory: UnsafeCell<[u8; SIZE]>,
    locked: AtomicBool,
    state: UnsafeCell<State>,
}

struct State {
    used: usize,
    pieces: usize,
}

// SAFETY: `state` is touched by the holder of `locked` alone, and the pieces of `memory` by those who were given them.
unsafe impl Sync for Reserve {}

static RESERVE: Reserve = Reserve {
    memory: UnsafeCell::new([0; SIZE]),
    locked: AtomicBool::new(false),
    state: UnsafeCell::new(State { used: 0, pieces: 0 }),
};

impl Reserve {
    fn with_state<R>(&self, work: impl FnOnce(&mut State) -> R) -> R {
        while self.locked.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        // SAFETY: this thread has the lock.
        let result = work(unsafe { &mut *self.state.get() });
        self.locked.store(false, Ordering::Release);
        result
    }

    fn take(&self, layout: Layout) -> *mut u8 {
        self.with_state(|state| {
            let start = state.used.next_multiple_of(layout.align().min(4096));
            if layout.align() > 4096 || start + layout.size() > SIZE {
                return ptr::null_mut();
            }
            (state.used, state.pieces) = (start + layout.size(), state.pieces + 1);
            self.memory.get().cast::<u8>().wrapping_add(start)
        })
    }

    fn holds(&self, piece: *mut u8) -> bool {
        (piece as usize).wrapping_sub(self.memory.get() as usize) < SIZE
    }

    fn give_back(&self) {
        self.with_state(|state| {
            state.pieces -= 1;
            if state.pieces == 0 {
                state.used = 0;
            }
        });
    }
}

/// The most that one piece of the reserve may be: what is larger depends on a caller's sizes, and fails.
const LARGEST: usize = 8 << 20;

/// The system's allocator, with a reserve.
struct Reserved;

#[global_allocator]
static ALLOCATOR: Reserved = Reserved;

#[cold]
fn from_reserve(layout: Layout) -> *mut u8 {
    if layout.size() > LARGEST { ptr::null_mut() } else { RESERVE.take(layout) }
}

// SAFETY: pieces of the reserve don't overlap, are aligned and live until they are given back; all else is the system's.
unsafe impl GlobalAlloc for Reserved {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let found = unsafe { System.alloc(layout) };
        if found.is_null() { from_reserve(layout) } else { found }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        let found = unsafe { System.alloc_zeroed(layout) };
        if !found.is_null() {
            return found;
        }
        let found = from_reserve(layout);
        if !found.is_null() {
            // SAFETY: so many bytes were handed out.
            unsafe { found.write_bytes(0, layout.size()) };
        }
        found
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        if RESERVE.holds(piece) {
            RESERVE.give_back();
        } else {
            // SAFETY: the caller's promise; it is the system's.
            unsafe { System.dealloc(piece, layout) };
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !RESERVE.holds(piece) {
            // SAFETY: the caller's promise; it is the system's.
            let found = unsafe { System.realloc(piece, layout, size) };
            if !found.is_null() {
                return found;
            }
        }
        // SAFETY: the caller's promise: the size is not 0 and fits the alignment.
        unsafe {
            let found = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !found.is_null() {
                found.copy_from_nonoverlapping(piece, layout.size().min(size));
                self.dealloc(piece, layout);
            }
            found
        }
    }
}
