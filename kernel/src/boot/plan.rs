// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the root task's things go: in its address space (`boot.md` §3) and in physical memory (`boot.md` §5.3).
//!
//! Tools outside predict these places from the same rules, so the rules are not free.

use super::{BootError, BootInput};
use crate::arch::Arch;
use crate::boot::region::PhysRegion;
use crate::cap::page_bits;
use crate::cspace::SLOT_BITS;
use crate::object::bits;
use crate::units::{PhysAddr, VirtAddr};

/// Log2 of the size of the pages that the root task gets.
pub const PAGE_BITS: u8 = 12;
/// Their size in bytes.
pub const PAGE_BYTES: u64 = 1 << PAGE_BITS;

/// The root task's address space:
///
/// ```text
///   image | IPC buffer | BootInfo | extra BootInfo
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// The image: its first page.
    pub image: VirtAddr,
    /// Pages of the image.
    pub image_pages: u64,
    /// The IPC buffer.
    pub ipc_buffer: VirtAddr,
    /// BootInfo.
    pub boot_info: VirtAddr,
    /// The first page of extra BootInfo.
    pub extra: VirtAddr,
    /// Pages of extra BootInfo.
    pub extra_pages: u64,
    /// The first address behind everything.
    pub end: u64,
}

impl Layout {
    /// The layout for the image and the extra information in `input`.
    pub fn of<A: Arch>(input: &BootInput) -> Result<Self, BootError> {
        let image = input.image.physical;
        if image.is_empty() {
            return Err(BootError::ImageEmpty);
        }
        if !(image.start.0 | input.image.offset).is_multiple_of(PAGE_BYTES) {
            return Err(BootError::ImageNotAligned);
        }
        let start = image.start.0.wrapping_sub(input.image.offset);
        let image_pages = image.bytes().div_ceil(PAGE_BYTES);
        let extra_pages = input.extra_bytes().div_ceil(PAGE_BYTES);
        // Physical sizes are far below 2^52 pages, so the sums do not overflow; the start may be anything.
        let bytes = (image_pages + 2 + extra_pages) << PAGE_BITS;
        let last = start.checked_add(bytes - 1).filter(|&last| last <= A::USER_TOP);
        let end = last.ok_or(BootError::ImageTooHigh)? + 1;
        let ipc_buffer = start + (image_pages << PAGE_BITS);
        if !(start..ipc_buffer).contains(&input.image.entry.0) {
            return Err(BootError::EntryOutsideImage);
        }
        Ok(Self {
            image: VirtAddr(start),
            image_pages,
            ipc_buffer: VirtAddr(ipc_buffer),
            boot_info: VirtAddr(ipc_buffer + PAGE_BYTES),
            extra: VirtAddr(ipc_buffer + 2 * PAGE_BYTES),
            extra_pages,
            end,
        })
    }

    /// The addresses at which tables of `level` must be hooked in, ascending.
    pub fn tables(&self, level: u8) -> impl Iterator<Item = VirtAddr> + use<> {
        let span_bits = page_bits(level + 1);
        (self.image.0 >> span_bits..=(self.end - 1) >> span_bits)
            .map(move |number| VirtAddr(number << span_bits))
    }

    /// How many tables below the root it takes on a machine with this many levels.
    #[must_use]
    pub fn table_count(&self, levels: u8) -> u64 {
        (0..levels - 1)
            .map(|level| {
                let span_bits = page_bits(level + 1);
                ((self.end - 1) >> span_bits) - (self.image.0 >> span_bits) + 1
            })
            .sum()
    }
}

/// How much the root task's objects take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sizes {
    /// Radix of the root CNode.
    pub radix: u8,
    /// Tables below the root.
    pub tables: u64,
    /// Log2 of the bytes for extra BootInfo, if there is any.
    pub extra_bits: Option<u8>,
}

impl Sizes {
    /// The sizes for this layout.
    #[must_use]
    pub fn of<A: Arch>(layout: &Layout, radix: u8) -> Self {
        let extra_bits = (layout.extra_pages > 0)
            .then(|| PAGE_BITS + layout.extra_pages.next_power_of_two().ilog2() as u8);
        Self { radix, tables: layout.table_count(A::LEVELS), extra_bits }
    }

    /// Log2 of the bytes of the root CNode.
    pub const fn cnode_bits(&self) -> u8 {
        self.radix + SLOT_BITS
    }

    /// Bytes for extra BootInfo.
    const fn extra_bytes(&self) -> u64 {
        match self.extra_bits {
            Some(bits) => 1 << bits,
            None => 0,
        }
    }

    /// Bytes of all objects together.
    #[must_use]
    pub const fn total(&self) -> u64 {
        let pages = 2 * PAGE_BYTES + (1 << bits::ASID_POOL) + ((1 + self.tables) << bits::TABLE);
        (1 << self.cnode_bits())
            + self.extra_bytes()
            + pages
            + (1 << bits::TCB)
            + (1 << bits::MIN_SCHED_CONTEXT)
    }

    /// Log2 of the alignment of the whole: that of the largest object.
    #[must_use]
    pub fn alignment_bits(&self) -> u8 {
        self.cnode_bits().max(bits::TABLE).max(self.extra_bits.unwrap_or(0))
    }
}

/// Where the root task's objects lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Objects {
    /// All of them.
    pub all: PhysRegion,
    /// The root CNode.
    pub cnode: PhysAddr,
    /// Extra BootInfo.
    pub extra: PhysAddr,
    /// The root table.
    pub vspace: PhysAddr,
    /// The first of the other tables; they are contiguous.
    pub tables: PhysAddr,
    /// The ASID pool.
    pub pool: PhysAddr,
    /// The IPC buffer.
    pub ipc_buffer: PhysAddr,
    /// BootInfo.
    pub boot_info: PhysAddr,
    /// The thread.
    pub tcb: PhysAddr,
    /// The scheduling context.
    pub sched_context: PhysAddr,
}

impl Objects {
    /// The objects in `all`, the larger ones first: with the start aligned for the largest, each is aligned to its
    /// own size.
    #[must_use]
    pub fn place(all: PhysRegion, sizes: &Sizes) -> Self {
        let mut next = all.start;
        let mut take = |bytes: u64| {
            let place = next;
            next = next.offset(bytes);
            place
        };
        let extra_first = sizes.extra_bytes() > 1 << sizes.cnode_bits();
        let extra = if extra_first { take(sizes.extra_bytes()) } else { PhysAddr(0) };
        let cnode = take(1 << sizes.cnode_bits());
        let extra = if extra_first { extra } else { take(sizes.extra_bytes()) };
        Self {
            all,
            cnode,
            extra,
            vspace: take(1 << bits::TABLE),
            tables: take(sizes.tables << bits::TABLE),
            pool: take(1 << bits::ASID_POOL),
            ipc_buffer: take(PAGE_BYTES),
            boot_info: take(PAGE_BYTES),
            tcb: take(1 << bits::TCB),
            sched_context: take(1 << bits::MIN_SCHED_CONTEXT),
        }
    }
}
