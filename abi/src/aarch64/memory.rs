// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address limits and attributes of aarch64 (`memory.md §2, §3`).

use crate::config::Options;

/// log2 of the smallest page (`memory.md §1`).
pub const PAGE_BITS: u32 = 12;
/// log2 of the entries of a table (`objects.md §9`).
pub const TABLE_INDEX_BITS: u32 = 9;
/// Bytes of a table entry (`objects.md §9`).
pub const TABLE_ENTRY_BYTES: usize = 8;

/// Last user address at EL1 (`memory.md §2`).
pub const EL1_USER_TOP: u64 = 0x7fff_ffff_ffff;
/// Last user address at EL2 with 40-bit physical addresses (`memory.md §2`).
pub const HYP_40_USER_TOP: u64 = 0xff_ffff_ffff;
/// Last user address at EL2 with 44-bit physical addresses (`memory.md §2`).
pub const HYP_44_USER_TOP: u64 = 0xfff_ffff_ffff;
/// Last user address of this build, which at EL2 assumes the 40 bits of the Cortex-A53 (`memory.md §2`).
/// The last byte of a mapping may be this one.
pub const USER_TOP: u64 = if Options::BUILD.hyp { HYP_40_USER_TOP } else { EL1_USER_TOP };
/// Last user address, inclusive (`memory.md §2`).
pub const USER_VSPACE_TOP: u64 = USER_TOP;
/// Last 4 KiB page that can be mapped (`memory.md §2`).
pub const LAST_PAGE: u64 = USER_VSPACE_TOP & !((1 << PAGE_BITS) - 1);
/// Device untypeds end here: with 40-bit physical addresses (`boot.md §5.1`).
pub const DEVICE_TOP: u64 = 1 << 40;
/// Device untypeds end here: with 44-bit physical addresses (`boot.md §5.1`).
pub const DEVICE_TOP_44: u64 = 1 << 44;
/// Base of the kernel's window on physical memory, by which regions are cut into untypeds: EL1
/// (`boot.md §5.2`).
pub const EL1_WINDOW_BASE: u64 = 0xffff_ff80_0000_0000;
/// The same at EL2 (`boot.md §5.2`).
pub const HYP_WINDOW_BASE: u64 = 0x0000_0080_0000_0000;
/// The same in this build (`boot.md §5.2`).
pub const WINDOW_BASE: u64 = if Options::BUILD.hyp { HYP_WINDOW_BASE } else { EL1_WINDOW_BASE };

/// Attributes of a mapping (`memory.md §3`).
pub mod attribute {
    /// Normal write-back memory, not device memory.
    pub const CACHEABLE: u64 = 1 << 0;
    /// Ignored.
    pub const PARITY_ENABLED: u64 = 1 << 1;
    /// Not executable.
    pub const EXECUTE_NEVER: u64 = 1 << 2;
    /// What user level takes by default.
    pub const DEFAULT: u64 = 3;
}

const _: () = assert!(EL1_USER_TOP & !0xfff == 0x7fff_ffff_f000);
const _: () = assert!(attribute::DEFAULT == attribute::CACHEABLE | attribute::PARITY_ENABLED);
