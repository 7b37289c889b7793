// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces: frames, page tables, address space identifiers.

use super::{Blueprint, Cap, FixedSize, Invoked, Rights, SlotPath, Untyped, invoke};
use crate::arch::{abi::label, attributes};

/// A frame of memory, of any size.
pub enum Frame {}

/// A paging structure below the root.
pub enum PageTable {}

impl FixedSize for PageTable {
    const BLUEPRINT: Blueprint = Blueprint::PageTable;
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

impl Cap<PageTable> {
    /// Fills the deepest hole in the paging structures for this address.
    pub fn map(self, vspace: Cap<VSpace>, vaddr: u64) -> Invoked {
        invoke(self.cptr(), label::PAGE_TABLE_MAP, &[vaddr, 0], &[vspace.cptr()]).map(drop)
    }

    /// Takes the table out; all that was mapped below it is gone.
    pub fn unmap(self) -> Invoked {
        invoke(self.cptr(), label::PAGE_TABLE_UNMAP, &[], &[]).map(drop)
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
