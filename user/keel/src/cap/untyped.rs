// SPDX-License-Identifier: MIT OR Apache-2.0

//! Untyped memory, and what can be made of it.

use keel_abi::{label, object};

use super::{CNode, Cap, Invoked, SLOT_BITS, invoke};
use crate::arch::object as machine;

/// A piece of memory that is nothing yet.
pub enum Untyped {}

/// What to make of untyped memory: a kind of object, with its size where that is free.
///
/// ```
/// use keel::cap::Blueprint;
/// assert_eq!(Blueprint::Endpoint.memory_bits(), 4);
/// assert_eq!(Blueprint::CNode { radix: 7 }.memory_bits(), 12);
/// assert_eq!(Blueprint::Untyped { bits: 20 }.memory_bits(), 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blueprint {
    /// Untyped memory of 2^`bits` bytes.
    Untyped {
        /// Size.
        bits: u8,
    },
    /// A thread.
    Tcb,
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A CNode of 2^`radix` slots.
    CNode {
        /// Number of slots as a power of two.
        radix: u8,
    },
    /// A scheduling context of 2^`bits` bytes; 7 is enough without extra refills.
    SchedContext {
        /// Size.
        bits: u8,
    },
    /// A reply object.
    Reply,
    /// A frame of 4 KiB.
    SmallPage,
    /// A frame of 2 MiB.
    LargePage,
    /// A frame of 1 GiB.
    HugePage,
    /// A paging structure below the root; where each level has its own kind, that of the lowest.
    PageTable,
    /// The paging structure above page tables.
    #[cfg(machine = "x86_64")]
    PageDirectory,
    /// The paging structure above page directories.
    #[cfg(machine = "x86_64")]
    PageDirectoryPointerTable,
    /// The root of an address space.
    VSpace,
}

impl Blueprint {
    /// The number of the object type (`objects.md` §1).
    pub const fn object_type(self) -> u64 {
        match self {
            Self::Untyped { .. } => object::UNTYPED,
            Self::Tcb => object::TCB,
            Self::Endpoint => object::ENDPOINT,
            Self::Notification => object::NOTIFICATION,
            Self::CNode { .. } => object::CAP_TABLE,
            Self::SchedContext { .. } => object::SCHED_CONTEXT,
            Self::Reply => object::REPLY,
            Self::SmallPage => machine::SMALL_PAGE,
            Self::LargePage => machine::LARGE_PAGE,
            Self::HugePage => machine::HUGE_PAGE,
            Self::PageTable => machine::PAGE_TABLE,
            #[cfg(machine = "x86_64")]
            Self::PageDirectory => machine::PAGE_DIRECTORY,
            #[cfg(machine = "x86_64")]
            Self::PageDirectoryPointerTable => machine::PDPT,
            Self::VSpace => machine::VSPACE,
        }
    }

    /// The size argument of Retype; 0 where the kind has a fixed size.
    pub const fn size_argument(self) -> u64 {
        match self {
            Self::Untyped { bits } | Self::SchedContext { bits } => bits as u64,
            Self::CNode { radix } => radix as u64,
            _ => 0,
        }
    }

    /// The memory it takes, as a power of two; it is also aligned to that.
    pub const fn memory_bits(self) -> u8 {
        match self {
            Self::Untyped { bits } | Self::SchedContext { bits } => bits,
            Self::CNode { radix } => radix + SLOT_BITS,
            Self::Tcb => object::TCB_BITS as u8,
            Self::Endpoint => object::ENDPOINT_BITS as u8,
            Self::Notification => object::NOTIFICATION_BITS as u8,
            Self::Reply => object::REPLY_BITS as u8,
            Self::SmallPage => machine::SMALL_PAGE_BITS as u8,
            Self::LargePage => machine::LARGE_PAGE_BITS as u8,
            Self::HugePage => machine::HUGE_PAGE_BITS as u8,
            Self::PageTable => machine::PAGE_TABLE_BITS as u8,
            #[cfg(machine = "x86_64")]
            Self::PageDirectory => machine::PAGE_DIRECTORY_BITS as u8,
            #[cfg(machine = "x86_64")]
            Self::PageDirectoryPointerTable => machine::PDPT_BITS as u8,
            Self::VSpace => machine::VSPACE_BITS as u8,
        }
    }
}

impl Cap<Untyped> {
    /// Makes `count` objects, whose capabilities go into the slots from `first` on of the CNode that
    /// `index` and `depth` name in `root` (depth 0: `root` itself).
    pub fn retype(
        self,
        blueprint: Blueprint,
        root: Cap<CNode>,
        index: u64,
        depth: u64,
        first: u64,
        count: u64,
    ) -> Invoked {
        let words = [blueprint.object_type(), blueprint.size_argument(), index, depth, first, count];
        invoke(self.cptr(), label::UNTYPED_RETYPE, &words, &[root.cptr()]).map(drop)
    }
}
