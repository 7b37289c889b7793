// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address limits and attributes of riscv64 with Sv39 (`memory.md §2, §3`).

/// log2 of the smallest page (`memory.md §1`).
pub const PAGE_BITS: u32 = 12;
/// log2 of the entries of a table (`objects.md §9`).
pub const TABLE_INDEX_BITS: u32 = 9;
/// Bytes of a table entry (`objects.md §9`).
pub const TABLE_ENTRY_BYTES: usize = 8;

/// End of user addresses: the last byte of a mapping is below (`memory.md §2`).
pub const USER_TOP: u64 = 0x3f_ffff_f000;
/// Last user address, inclusive (`memory.md §2`).
pub const USER_VSPACE_TOP: u64 = USER_TOP - 1;
/// Last 4 KiB page that can be mapped (`memory.md §2`).
pub const LAST_PAGE: u64 = USER_VSPACE_TOP & !((1 << PAGE_BITS) - 1);
/// Device untypeds end here (`boot.md §5.1`).
pub const DEVICE_TOP: u64 = 1 << 39;
/// Base of the kernel's window on physical memory, by which regions are cut into untypeds (`boot.md §5.2`).
pub const WINDOW_BASE: u64 = 0xffff_ffc0_0000_0000;

/// Attributes of a mapping (`memory.md §3`).
pub mod attribute {
    /// Not executable.
    pub const EXECUTE_NEVER: u64 = 1 << 0;
    /// What user level takes by default.
    pub const DEFAULT: u64 = 0;
}

const _: () = assert!(USER_VSPACE_TOP == 0x3f_ffff_efff && LAST_PAGE == 0x3f_ffff_e000);
