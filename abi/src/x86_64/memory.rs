// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address limits and attributes of x86_64 (`memory.md §2, §3`).

/// log2 of the smallest page (`memory.md §1`).
pub const PAGE_BITS: u32 = 12;
/// log2 of the entries of a table (`objects.md §9`).
pub const TABLE_INDEX_BITS: u32 = 9;
/// Bytes of a table entry (`objects.md §9`).
pub const TABLE_ENTRY_BYTES: usize = 8;

/// End of user addresses (`memory.md §2`).
pub const USER_TOP: u64 = 0x7fff_ffff_f000;
/// Last user address, inclusive (`memory.md §2`).
pub const USER_VSPACE_TOP: u64 = USER_TOP - 1;
/// What a mapping's start and end may not exceed (`memory.md §2`).
pub const MAP_LIMIT: u64 = 0x7fff_ffff_ffff;
/// Last 4 KiB page that can be mapped (`memory.md §2`).
pub const LAST_PAGE: u64 = USER_VSPACE_TOP & !((1 << PAGE_BITS) - 1);
/// Device untypeds end here (`boot.md §5.1`).
pub const DEVICE_TOP: u64 = 1 << 47;
/// Base of the kernel's window on physical memory, by which regions are cut into untypeds (`boot.md §5.2`).
pub const WINDOW_BASE: u64 = 0xffff_ff80_0000_0000;

/// Attributes of a mapping: the three bits that index the page attribute table (`memory.md §3`).
pub mod attribute {
    /// Write-back.
    pub const WRITE_BACK: u64 = 0;
    /// Write-through.
    pub const WRITE_THROUGH: u64 = 1;
    /// Not cached, unless a memory type range register says write-combining.
    pub const CACHE_DISABLED: u64 = 2;
    /// Not cached.
    pub const UNCACHEABLE: u64 = 3;
    /// Write-combining.
    pub const WRITE_COMBINING: u64 = 4;
    /// What user level takes by default.
    pub const DEFAULT: u64 = WRITE_BACK;
}

const _: () = assert!(USER_VSPACE_TOP == 0x7fff_ffff_efff && LAST_PAGE == 0x7fff_ffff_e000);
