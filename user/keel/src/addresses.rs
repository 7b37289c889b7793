// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which virtual addresses are free: a short sorted list of ranges, first fit, joined on return.

use core::ops::Range;

use crate::error::{Error, Result};

/// Ranges that can be kept apart.
pub const MAX_RANGES: usize = 64;

/// Free virtual addresses.
///
/// ```
/// use keel::addresses::Addresses;
/// let mut addresses = Addresses::new(0x1000..0x10000);
/// let range = addresses.allocate(0x2000, 0x1000)?;
/// assert_eq!(range, 0x1000..0x3000);
/// addresses.release(range)?;
/// # Ok::<(), keel::Error>(())
/// ```
pub struct Addresses {
    /// Sorted; not empty; neighbours do not touch.
    free: [Range<u64>; MAX_RANGES],
    count: usize,
}

impl Addresses {
    /// These are free.
    pub fn new(range: Range<u64>) -> Self {
        let mut addresses = Self { free: [const { 0..0 }; MAX_RANGES], count: 0 };
        if !range.is_empty() {
            addresses.free[0] = range;
            addresses.count = 1;
        }
        addresses
    }

    /// The lowest range of `size` bytes, aligned to the power of two `align`.
    pub fn allocate(&mut self, size: u64, align: u64) -> Result<Range<u64>> {
        check(size, align)?;
        let taken = (0..self.count).find_map(|index| {
            let start = self.free[index].start.checked_next_multiple_of(align)?;
            self.take(index, start, size)
        });
        taken.ok_or(Error::OutOfAddresses)
    }

    /// The highest range of `size` bytes, aligned to the power of two `align`.
    ///
    /// Large pages are mapped there: a page table that was made for small pages stays when they go, and
    /// would be in the way of a large page at the same place.
    pub fn allocate_last(&mut self, size: u64, align: u64) -> Result<Range<u64>> {
        check(size, align)?;
        let taken = (0..self.count).rev().find_map(|index| {
            let start = self.free[index].end.checked_sub(size)? & !(align - 1);
            self.take(index, start, size)
        });
        taken.ok_or(Error::OutOfAddresses)
    }

    /// Takes `size` bytes from `start` on out of a free range, if they lie in it.
    fn take(&mut self, index: usize, start: u64, size: u64) -> Option<Range<u64>> {
        let free = self.free[index].clone();
        let end = start.checked_add(size)?;
        let splits = start > free.start && end < free.end;
        if start < free.start || end > free.end || splits && self.count == MAX_RANGES {
            return None;
        }
        self.remove(index);
        self.insert(index, end..free.end);
        self.insert(index, free.start..start);
        Some(start..end)
    }

    /// Takes back a range.
    pub fn release(&mut self, range: Range<u64>) -> Result {
        let index = self.free[..self.count].partition_point(|free| free.start < range.start);
        let below = index.checked_sub(1).filter(|&below| self.free[below].end == range.start);
        let above = Some(index).filter(|&above| above < self.count && self.free[above].start == range.end);
        match (below, above) {
            (Some(below), Some(above)) => {
                self.free[below].end = self.free[above].end;
                self.remove(above);
            }
            (Some(below), None) => self.free[below].end = range.end,
            (None, Some(above)) => self.free[above].start = range.start,
            (None, None) if self.count == MAX_RANGES => return Err(Error::OutOfRoom("address ranges")),
            (None, None) => self.insert(index, range),
        }
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        self.free[index..self.count].rotate_left(1);
        self.count -= 1;
        self.free[self.count] = 0..0;
    }

    fn insert(&mut self, index: usize, range: Range<u64>) {
        if !range.is_empty() {
            self.free[self.count] = range;
            self.count += 1;
            self.free[index..self.count].rotate_right(1);
        }
    }
}

fn check(size: u64, align: u64) -> Result {
    if size == 0 || !align.is_power_of_two() {
        return Err(Error::BadArgument("size or alignment"));
    }
    Ok(())
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn large_things_go_to_the_other_end() {
        let mut addresses = Addresses::new(0x1000..0x100_1000);
        assert_eq!(addresses.allocate_last(0x30_0000, 0x20_0000), Ok(0xc0_0000..0xf0_0000));
        assert_eq!(addresses.allocate(0x1000, 0x1000), Ok(0x1000..0x2000));
        assert_eq!(addresses.allocate_last(0x20_0000, 0x20_0000), Ok(0xa0_0000..0xc0_0000));
        assert_eq!(addresses.allocate_last(0x100_0000, 1), Err(Error::OutOfAddresses));
        assert!(addresses.allocate_last(0, 1).is_err());
    }

    #[test]
    fn aligns_and_keeps_what_is_skipped() {
        let mut addresses = Addresses::new(0x1000..0x100_0000);
        assert_eq!(addresses.allocate(0x20_0000, 0x20_0000), Ok(0x20_0000..0x40_0000));
        assert_eq!(addresses.allocate(0x1000, 0x1000), Ok(0x1000..0x2000));
        assert_eq!(addresses.allocate(0x100_0000, 1), Err(Error::OutOfAddresses));
    }

    #[test]
    fn joins_on_return() {
        let mut addresses = Addresses::new(0..0x4000);
        let pieces: std::vec::Vec<_> = (0..4).map(|_| addresses.allocate(0x1000, 1).unwrap()).collect();
        for index in [0, 2, 1, 3] {
            addresses.release(pieces[index].clone()).unwrap();
        }
        assert_eq!((addresses.count, addresses.free[0].clone()), (1, 0..0x4000));
    }

    #[test]
    fn a_full_list_is_said() {
        let mut addresses = Addresses::new(0..0x1000_0000);
        let pieces: std::vec::Vec<_> =
            (0..2 * MAX_RANGES + 4).map(|_| addresses.allocate(0x1000, 1).unwrap()).collect();
        let results: std::vec::Vec<_> =
            pieces.iter().step_by(2).map(|piece| addresses.release(piece.clone())).collect();
        assert_eq!(results[0], Ok(()));
        assert_eq!(results[results.len() - 1], Err(Error::OutOfRoom("address ranges")));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut addresses = Addresses::new(0..0x1000);
        assert!(addresses.allocate(0, 1).is_err());
        assert!(addresses.allocate(1, 3).is_err());
        assert!(addresses.allocate(u64::MAX, 1).is_err());
    }
}
