// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which slots of a CNode are free.
//!
//! A bit for each slot; set means taken. Allocation starts behind the last one, so that a freed slot is
//! not used again at once and a stale capability pointer is more likely to name nothing than
//! something else.

use core::ops::Range;

use crate::error::{Error, Result};

/// Slots that this allocator can keep: those beyond stay unused.
pub const MAX_SLOTS: u64 = 1 << 16;

const WORDS: usize = (MAX_SLOTS / 64) as usize;

/// The free slots among a range of slots.
///
/// ```
/// use keel::slots::Slots;
/// let mut slots = Slots::new(100..108);
/// assert_eq!(slots.allocate(), Ok(100));
/// assert_eq!(slots.allocate_range(4), Ok(101));
/// slots.release(100);
/// assert_eq!(slots.free(), 4);
/// ```
pub struct Slots {
    bounds: Range<u64>,
    next: u64,
    free: u64,
    taken: [u64; WORDS],
}

impl Slots {
    /// All slots of `bounds` are free.
    pub const fn new(bounds: Range<u64>) -> Self {
        let end = if bounds.end < MAX_SLOTS { bounds.end } else { MAX_SLOTS };
        let start = if bounds.start < end { bounds.start } else { end };
        Self { bounds: start..end, next: start, free: end - start, taken: [0; WORDS] }
    }

    /// Number of free slots.
    pub const fn free(&self) -> u64 {
        self.free
    }

    fn is_taken(&self, slot: u64) -> bool {
        self.taken[(slot / 64) as usize] >> (slot % 64) & 1 == 1
    }

    /// A free slot, now taken.
    pub fn allocate(&mut self) -> Result<u64> {
        self.allocate_range(1)
    }

    /// The first of `count` consecutive free slots, now taken.
    pub fn allocate_range(&mut self, count: u64) -> Result<u64> {
        let first = self
            .find(self.next..self.bounds.end, count)
            .or_else(|| self.find(self.bounds.clone(), count))
            .ok_or(Error::OutOfSlots)?;
        for slot in first..first + count {
            self.taken[(slot / 64) as usize] |= 1 << (slot % 64);
        }
        self.free -= count;
        self.next = first + count;
        Ok(first)
    }

    fn find(&self, range: Range<u64>, count: u64) -> Option<u64> {
        if count == 0 || count > self.free {
            return None;
        }
        let mut run = 0;
        for slot in range {
            run = if self.is_taken(slot) { 0 } else { run + 1 };
            if run == count {
                return Some(slot + 1 - count);
            }
        }
        None
    }

    /// Frees a slot. One that is not taken, or not of this range, stays as it is.
    pub fn release(&mut self, slot: u64) {
        if self.bounds.contains(&slot) && self.is_taken(slot) {
            self.taken[(slot / 64) as usize] &= !(1 << (slot % 64));
            self.free += 1;
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn gives_each_slot_once_and_then_none() {
        let mut slots = Slots::new(60..70);
        let mut seen: std::vec::Vec<u64> = (0..10).map(|_| slots.allocate().unwrap()).collect();
        seen.sort();
        assert_eq!(seen, (60..70).collect::<std::vec::Vec<_>>());
        assert_eq!(slots.allocate(), Err(Error::OutOfSlots));
        slots.release(65);
        slots.release(65);
        slots.release(3);
        assert_eq!(slots.free(), 1);
        assert_eq!(slots.allocate(), Ok(65));
    }

    #[test]
    fn ranges_are_consecutive_and_fill_holes() {
        let mut slots = Slots::new(0..128);
        assert_eq!(slots.allocate_range(100), Ok(0));
        for slot in 30..60 {
            slots.release(slot);
        }
        assert_eq!(slots.allocate_range(29), Ok(30));
        assert_eq!(slots.allocate_range(28), Ok(100));
        assert_eq!(slots.allocate(), Ok(59));
        assert_eq!(slots.allocate(), Err(Error::OutOfSlots));
    }

    #[test]
    fn a_range_out_of_reach_is_cut() {
        assert_eq!(Slots::new(MAX_SLOTS - 1..MAX_SLOTS + 10).free(), 1);
        assert_eq!(Slots::new(MAX_SLOTS + 5..MAX_SLOTS + 10).free(), 0);
    }
}
