// SPDX-License-Identifier: MIT OR Apache-2.0

//! A heap, for programs that want one.
//!
//! ```no_run
//! # use keel::{heap::Heap, Startup, startup};
//! #[global_allocator]
//! static HEAP: Heap = Heap::empty();
//!
//! fn start(startup: &'static Startup) -> keel::Result {
//!     HEAP.init(startup.take_region(startup::HEAP).ok_or("no heap")?);
//!     // From here on Box and Vec work.
//!     Ok(())
//! }
//! # fn main() {}
//! ```
//!
//! A program without such a static has no allocator and cannot even be linked against `alloc`'s
//! types; one whose heap is still empty, or used up, panics in the allocation.

use core::{
    alloc::{GlobalAlloc, Layout},
    cell::UnsafeCell,
    ptr::{self, NonNull},
    sync::atomic::{AtomicBool, Ordering},
};

/// A global allocator over memory that the program gives it.
pub struct Heap {
    taken: AtomicBool,
    heap: UnsafeCell<linked_list_allocator::Heap>,
}

// SAFETY: the inside is reached through `with` alone, by one thread at a time.
unsafe impl Sync for Heap {}

impl Heap {
    /// A heap without memory.
    pub const fn empty() -> Self {
        let heap = UnsafeCell::new(linked_list_allocator::Heap::empty());
        Self { taken: AtomicBool::new(false), heap }
    }

    /// Gives the heap its memory. Only the first time counts, and only if it is worth it.
    pub fn init(&self, memory: &'static mut [u8]) {
        self.with(|heap| {
            if heap.size() == 0 && memory.len() >= 64 {
                // SAFETY: the heap is empty; the memory is handed over for good, by an exclusive
                // reference that ends here.
                unsafe { heap.init(memory.as_mut_ptr(), memory.len()) };
            }
        });
    }

    /// Has the inside alone, after waiting for others by trying again: it is never held for long, and
    /// most programs have one thread.
    fn with<R>(&self, body: impl FnOnce(&mut linked_list_allocator::Heap) -> R) -> R {
        while self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            core::hint::spin_loop();
        }
        // SAFETY: `taken` was false and is now true by us, so nobody else is here.
        let result = body(unsafe { &mut *self.heap.get() });
        self.taken.store(false, Ordering::Release);
        result
    }
}

// SAFETY: the allocator inside gives pieces of its memory that do not overlap, of the size and alignment
// asked for, or nothing.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.with(|heap| heap.allocate_first_fit(layout)).map_or(ptr::null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if let Some(memory) = NonNull::new(memory) {
            // SAFETY: the caller's promise: it came from here, with this layout.
            self.with(|heap| unsafe { heap.deallocate(memory, layout) });
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn memory_comes_from_what_was_given() {
        let heap = Heap::empty();
        let layout = Layout::from_size_align(1000, 16).unwrap();
        // SAFETY: the layout has a size.
        assert!(unsafe { heap.alloc(layout) }.is_null());
        let memory = std::vec![0_u8; 1 << 16].leak();
        let range = memory.as_ptr_range();
        heap.init(memory);
        // SAFETY: the layout has a size.
        let piece = unsafe { heap.alloc(layout) };
        assert!(range.contains(&piece.cast_const()) && (piece as usize).is_multiple_of(16));
        // SAFETY: it came from there, with this layout.
        unsafe { heap.dealloc(piece, layout) };
    }
}
