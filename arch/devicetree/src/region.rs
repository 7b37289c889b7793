// SPDX-License-Identifier: MIT OR Apache-2.0

//! A stretch of physical addresses.

use core::fmt;

/// The addresses from `start` up to, but not including, `end`. Invariant: `start <= end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// First address.
    start: u64,
    /// One past the last address.
    end: u64,
}

impl Region {
    /// No address at all.
    pub const EMPTY: Self = Self { start: 0, end: 0 };

    /// `size` bytes from `start`; none if that runs over the end of the address space.
    pub const fn new(start: u64, size: u64) -> Option<Self> {
        match start.checked_add(size) {
            Some(end) => Some(Self { start, end }),
            None => None,
        }
    }

    /// The region between two addresses; none if they are in the wrong order.
    pub const fn between(start: u64, end: u64) -> Option<Self> {
        if start <= end { Some(Self { start, end }) } else { None }
    }

    /// First address.
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last address.
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Bytes.
    pub const fn size(self) -> u64 {
        self.end - self.start
    }

    /// Whether the two have an address in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether all of `other` lies in this region.
    pub const fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The whole blocks of `2^bits` bytes inside, which may be none.
    pub const fn shrink_to(self, bits: u32) -> Option<Self> {
        let mask = (1 << bits) - 1;
        match self.start.checked_add(mask) {
            Some(start) => Self::between(start & !mask, self.end & !mask),
            None => None,
        }
    }

    /// The blocks of `2^bits` bytes that are touched; none if they run over the end of the address space.
    pub const fn grow_to(self, bits: u32) -> Option<Self> {
        let mask = (1 << bits) - 1;
        match self.end.checked_add(mask) {
            Some(end) => Self::between(self.start & !mask, end & !mask),
            None => None,
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}..{:#x}", self.start, self.end)
    }
}
