// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces: frames, page tables, address space identifiers.

use super::{Blueprint, CPtr, Cap, FixedSize, Invoked, Rights, SlotPath, Untyped, invoke};
use crate::arch::{abi::label, attributes};

/// A frame of memory, of any size.
pub enum Frame {}

/// A paging structure below the root; where each level has its own kind, that of the lowest.
pub enum PageTable {}

impl FixedSize for PageTable {
    const BLUEPRINT: Blueprint = Blueprint::PageTable;
}

impl Table for PageTable {
    const MAP: u64 = label::PAGE_TABLE_MAP;
    const UNMAP: u64 = label::PAGE_TABLE_UNMAP;
}

/// A kind of paging structure.
pub trait Table: FixedSize {
    /// Label of the invocation that maps it.
    const MAP: u64;
    /// Label of the invocation that unmaps it.
    const UNMAP: u64;
}

/// A kind of paging structure as a value, for code that works on all levels of an address space
/// ([`TABLES`](crate::arch::TABLES)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableKind {
    /// How to make one.
    pub blueprint: Blueprint,
    map: u64,
}

impl TableKind {
    /// The kind `T`.
    pub const fn of<T: Table>() -> Self {
        Self { blueprint: T::BLUEPRINT, map: T::MAP }
    }

    /// Maps one, as [`Cap::map`] of its kind does.
    pub fn map(self, table: CPtr, vspace: Cap<VSpace>, vaddr: u64) -> Invoked {
        // All that is mapped is ordinary memory: tables are cached.
        invoke(table, self.map, &[vaddr, 0], &[vspace.cptr()]).map(drop)
    }
}

/// An address space.
pub enum VSpace {}

impl FixedSize for VSpace {
    const BLUEPRINT: Blueprint = Blueprint::VSpace;
}

/// The right to make pools of address space identifiers.
pub enum AsidControl {}

/// A pool of address space identifiers.
pub enum AsidPool {}

/// Size of the untyped memory that becomes an ASID pool.
pub const ASID_POOL_BITS: u8 = 12;

/// How memory is mapped, besides the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// Ordinary memory, executable.
    pub const CODE: Self = Self(attributes::CODE);
    /// Ordinary memory, not executable.
    pub const DATA: Self = Self(attributes::DATA);
    /// Device registers: not cached, not reordered, not executable.
    pub const DEVICE: Self = Self(attributes::DEVICE);

    /// Attributes from the bits of the interface (`memory.md` §3).
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the interface.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

impl Cap<Frame> {
    /// Maps the frame; an existing mapping at the same place changes rights and attributes.
    pub fn map(self, vspace: Cap<VSpace>, vaddr: u64, rights: Rights, attributes: Attributes) -> Invoked {
        let words = [vaddr, rights.word(), attributes.bits()];
        invoke(self.cptr(), label::PAGE_MAP, &words, &[vspace.cptr()]).map(drop)
    }

    /// Unmaps the frame.
    pub fn unmap(self) -> Invoked {
        invoke(self.cptr(), label::PAGE_UNMAP, &[], &[]).map(drop)
    }

    /// Its physical address.
    pub fn address(self) -> Invoked<u64> {
        invoke(self.cptr(), label::PAGE_GET_ADDRESS, &[], &[]).map(|reply| reply.word(0))
    }
}

impl<T: Table> Cap<T> {
    /// Fills the deepest hole in the paging structures for this address, or that of the table's own level.
    pub fn map(self, vspace: Cap<VSpace>, vaddr: u64) -> Invoked {
        TableKind::of::<T>().map(self.cptr(), vspace, vaddr)
    }

    /// Takes the table out; all that was mapped below it is gone.
    pub fn unmap(self) -> Invoked {
        invoke(self.cptr(), T::UNMAP, &[], &[]).map(drop)
    }
}

impl Cap<AsidControl> {
    /// Makes a pool of an untyped of 2^[`ASID_POOL_BITS`] bytes.
    pub fn make_pool(self, untyped: Cap<Untyped>, destination: SlotPath) -> Invoked {
        let words = [destination.index, destination.depth];
        let caps = [untyped.cptr(), destination.root.cptr()];
        invoke(self.cptr(), label::ASID_CONTROL_MAKE_POOL, &words, &caps).map(drop)
    }
}

impl Cap<AsidPool> {
    /// Gives an address space its identifier, without which it cannot be used.
    pub fn assign(self, vspace: Cap<VSpace>) -> Invoked {
        invoke(self.cptr(), label::ASID_POOL_ASSIGN, &[], &[vspace.cptr()]).map(drop)
    }
}
