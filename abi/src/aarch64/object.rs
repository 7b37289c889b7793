// SPDX-License-Identifier: MIT OR Apache-2.0

//! Object types and sizes of aarch64 (`objects.md §1, §2`).

use crate::config::Options;

/// 1 GiB page (`objects.md §1`).
pub const HUGE_PAGE: u64 = 7;
/// Root of an address space (`objects.md §1`).
pub const VSPACE: u64 = 8;
/// 4 KiB page (`objects.md §1`).
pub const SMALL_PAGE: u64 = 9;
/// 2 MiB page (`objects.md §1`).
pub const LARGE_PAGE: u64 = 10;
/// Page table, of any level (`objects.md §1`).
pub const PAGE_TABLE: u64 = 11;
/// VCPU; elsewhere than at EL2 a placeholder that is too large (`objects.md §1`).
pub const VCPU: u64 = if Options::BUILD.hyp { 12 } else { 0xfffe };
/// Number of types: the first invalid one (`objects.md §1`).
pub const COUNT: u64 = count(&Options::BUILD);

/// Number of types: the first invalid one (`objects.md §1`).
pub const fn count(options: &Options) -> u64 {
    if options.hyp { 13 } else { 12 }
}

/// 4 KiB page (`objects.md §2`).
pub const SMALL_PAGE_BITS: u32 = 12;
/// 2 MiB page (`objects.md §2`).
pub const LARGE_PAGE_BITS: u32 = 21;
/// 1 GiB page (`objects.md §2`).
pub const HUGE_PAGE_BITS: u32 = 30;
/// Page table (`objects.md §2`).
pub const PAGE_TABLE_BITS: u32 = 12;
/// Root of an address space at EL1 (`objects.md §2`).
pub const EL1_VSPACE_BITS: u32 = 12;
/// Root of an address space at EL2 with 40-bit physical addresses (`objects.md §2`).
pub const HYP_40_VSPACE_BITS: u32 = 13;
/// Root of an address space at EL2 with 44-bit physical addresses (`objects.md §2`).
pub const HYP_44_VSPACE_BITS: u32 = 12;
/// ASID pool (`objects.md §2`).
pub const ASID_POOL_BITS: u32 = 12;
/// VCPU (`objects.md §2`).
pub const VCPU_BITS: u32 = 12;
/// Largest untyped (`objects.md §2`).
pub const MAX_UNTYPED_BITS: u32 = 47;
/// Root of an address space of this build, which at EL2 assumes the 40 bits of the Cortex-A53
/// (`objects.md §2`).
pub const VSPACE_BITS: u32 = if Options::BUILD.hyp { HYP_40_VSPACE_BITS } else { EL1_VSPACE_BITS };

const _: () = assert!(count(&Options::DEFAULT) == 12 && PAGE_TABLE == 11);
const _: () = assert!(count(&Options { hyp: true, ..Options::DEFAULT }) == 13);
