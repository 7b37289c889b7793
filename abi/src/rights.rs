// SPDX-License-Identifier: MIT OR Apache-2.0

//! The rights word and the CNode data word (`objects.md §3.1, §3.2`).

use core::ops::{BitAnd, BitOr};

/// What a capability allows. Only the low four bits mean anything (`objects.md §3.1`).
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rights(pub u64);

impl Rights {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Send, signal, write memory.
    pub const WRITE: Self = Self(1 << 0);
    /// Receive, wait, read memory.
    pub const READ: Self = Self(1 << 1);
    /// Pass capabilities along with messages.
    pub const GRANT: Self = Self(1 << 2);
    /// Let the receiver reply.
    pub const GRANT_REPLY: Self = Self(1 << 3);
    /// Read and write.
    pub const READ_WRITE: Self = Self(0b0011);
    /// Everything but writing.
    pub const NO_WRITE: Self = Self(0b1110);
    /// Everything but reading.
    pub const NO_READ: Self = Self(0b1101);
    /// Everything.
    pub const ALL: Self = Self(0b1111);

    /// The rights in a word; other bits are dropped.
    pub const fn from_word(word: u64) -> Self {
        Self(word & Self::ALL.0)
    }

    /// The word as it stands in a message.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Whether all of `other` is in here.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitAnd for Rights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl BitOr for Rights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Guard of a CNode capability, as Mint and Mutate and the CSpace root data of a TCB carry it
/// (`objects.md §3.2`): size in bits 0 to 5, guard above.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct CNodeData(pub u64);

impl CNodeData {
    const SIZE_BITS: u32 = 6;
    const SIZE_MASK: u64 = (1 << Self::SIZE_BITS) - 1;

    /// A guard of `guard_bits` bits.
    pub const fn new(guard: u64, guard_bits: u64) -> Self {
        Self(guard << Self::SIZE_BITS | guard_bits & Self::SIZE_MASK)
    }

    /// The word as it stands in a message.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Bits of the guard, 0 to 63.
    pub const fn guard_bits(self) -> u64 {
        self.0 & Self::SIZE_MASK
    }

    /// The guard, cut to its size.
    pub const fn guard(self) -> u64 {
        self.0 >> Self::SIZE_BITS & ((1 << self.guard_bits()) - 1)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn rights_are_those_of_the_sheet() {
        assert_eq!(Rights::WRITE | Rights::READ, Rights::READ_WRITE);
        assert_eq!(Rights::WRITE | Rights::READ | Rights::GRANT | Rights::GRANT_REPLY, Rights::ALL);
        assert_eq!(Rights::from_word(u64::MAX), Rights::ALL);
        assert!(Rights::NO_WRITE.contains(Rights::READ) && !Rights::NO_WRITE.contains(Rights::WRITE));
        assert_eq!(Rights::ALL & Rights::NO_READ, Rights(0xd));
    }

    #[test]
    fn guards_are_cut_to_their_size() {
        let data = CNodeData::new(0xabc, 8);
        assert_eq!((data.guard(), data.guard_bits()), (0xbc, 8));
        assert_eq!(CNodeData::new(0, 52).word(), 52);
        assert_eq!(CNodeData::new(u64::MAX, 0).guard(), 0);
        assert_eq!(CNodeData::new(u64::MAX, 63).guard(), u64::MAX >> 6);
    }
}
