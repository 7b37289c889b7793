// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces of aarch64: frames, page tables, address space identifiers.

use super::{Blueprint, Cap, FixedSize, Invoked, Rights, SlotPath, Untyped, invoke};
use crate::arch::abi::label;

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

/// The right to call the firmware.
pub enum Smc {}

/// Size of the untyped memory that becomes an ASID pool.
pub const ASID_POOL_BITS: u8 = 12;

/// How memory is mapped, besides the rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// Ordinary memory, executable.
    pub const CODE: Self = Self(0b001);
    /// Ordinary memory, not executable.
    pub const DATA: Self = Self(0b101);
    /// Device registers: not cached, not reordered, not executable.
    pub const DEVICE: Self = Self(0b100);

    /// Attributes from the bits of the interface (`memory.md` §3).
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits of the interface.
    pub const fn bits(self) -> u64 {
        self.0
    }
}

/// What is done to the caches for a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOperation {
    /// Writes dirty data back.
    CleanData,
    /// Throws data away.
    InvalidateData,
    /// Writes dirty data back and throws it away.
    CleanInvalidateData,
    /// Makes written instructions visible to instruction fetch.
    UnifyInstruction,
}

impl CacheOperation {
    const fn frame_label(self) -> u64 {
        match self {
            Self::CleanData => label::PAGE_CLEAN_DATA,
            Self::InvalidateData => label::PAGE_INVALIDATE_DATA,
            Self::CleanInvalidateData => label::PAGE_CLEAN_INVALIDATE_DATA,
            Self::UnifyInstruction => label::PAGE_UNIFY_INSTRUCTION,
        }
    }

    const fn vspace_label(self) -> u64 {
        match self {
            Self::CleanData => label::VSPACE_CLEAN_DATA,
            Self::InvalidateData => label::VSPACE_INVALIDATE_DATA,
            Self::CleanInvalidateData => label::VSPACE_CLEAN_INVALIDATE_DATA,
            Self::UnifyInstruction => label::VSPACE_UNIFY_INSTRUCTION,
        }
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

    /// Maintains the caches for the bytes `start..end` of the frame, which must be mapped.
    pub fn maintain(self, operation: CacheOperation, start: u64, end: u64) -> Invoked {
        invoke(self.cptr(), operation.frame_label(), &[start, end], &[]).map(drop)
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

impl Cap<VSpace> {
    /// Maintains the caches for the addresses `start..end`, which must lie in one mapped page.
    pub fn maintain(self, operation: CacheOperation, start: u64, end: u64) -> Invoked {
        invoke(self.cptr(), operation.vspace_label(), &[start, end], &[]).map(drop)
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

impl Cap<Smc> {
    /// Calls the firmware with these registers; gives them as it left them.
    pub fn call(self, registers: [u64; 8]) -> Invoked<[u64; 8]> {
        let reply = invoke(self.cptr(), label::SMC_CALL, &registers, &[])?;
        let mut result = [0; 8];
        reply.copy_words(&mut result);
        Ok(result)
    }
}
