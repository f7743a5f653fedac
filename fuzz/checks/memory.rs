//! Watches how much memory a check's subject asks for: a length field that claims 4 GiB must not
//! become an allocation.
//!
//! Owns the global allocator of test and fuzzing builds, which only notes sizes and passes on.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// The largest allocation of this thread since it was last set to 0.
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Noting = Noting;

/// The system's allocator, with a note of each size.
struct Noting;

fn note(bytes: usize) {
    // A thread that is ending has no notes any more: nothing is measured there.
    let noted = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
    noted.ok();
}

// SAFETY: every call goes to the system's allocator unchanged, with what the caller promised.
unsafe impl GlobalAlloc for Noting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, bytes) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
}

/// What `work` answers; panics when it asked for more than `bytes` at once.
pub(super) fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    LARGEST.set(0);
    let answer = work();
    let largest = LARGEST.get();
    assert!(largest <= bytes, "one allocation of {largest} bytes, where {bytes} are enough");
    answer
}

/// What reading `len` bytes may ask for at once: their values, which are larger than their
/// spelling, and a message.
pub(super) const fn for_reading(len: usize) -> usize {
    len.saturating_mul(16).saturating_add(8192)
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    #[should_panic(expected = "one allocation of")]
    fn a_large_allocation_is_noticed_though_nobody_touches_it() {
        within(1 << 20, || drop(std::hint::black_box(vec![0_u8; 64 << 20])));
    }

    #[test]
    fn small_ones_pass() {
        assert_eq!(within(1 << 20, || vec![7_u8; 1 << 10].len()), 1 << 10);
    }
}
