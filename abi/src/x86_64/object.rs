// SPDX-License-Identifier: MIT OR Apache-2.0

//! Object types and sizes of x86_64 (`objects.md §1, §2`).

use crate::config::Options;

/// PDPT (`objects.md §1`).
pub const PDPT: u64 = 7;
/// Root of an address space (`objects.md §1`).
pub const PML4: u64 = 8;
/// 1 GiB page (`objects.md §1`).
pub const HUGE_PAGE: u64 = 9;
/// 4 KiB page (`objects.md §1`).
pub const SMALL_PAGE: u64 = 10;
/// 2 MiB page (`objects.md §1`).
pub const LARGE_PAGE: u64 = 11;
/// Page table (`objects.md §1`).
pub const PAGE_TABLE: u64 = 12;
/// Page directory (`objects.md §1`).
pub const PAGE_DIRECTORY: u64 = 13;
/// IO page table; without the IOMMU a placeholder that is too large (`objects.md §1`).
pub const IO_PAGE_TABLE: u64 = if Options::BUILD.x86_iommu { 14 } else { 0xff_ffff };
/// Number of types: the first invalid one (`objects.md §1`).
pub const COUNT: u64 = count(&Options::BUILD);

/// Number of types: the first invalid one (`objects.md §1`).
pub const fn count(options: &Options) -> u64 {
    if options.x86_iommu { 15 } else { 14 }
}

/// 4 KiB page (`objects.md §2`).
pub const SMALL_PAGE_BITS: u32 = 12;
/// 2 MiB page (`objects.md §2`).
pub const LARGE_PAGE_BITS: u32 = 21;
/// 1 GiB page (`objects.md §2`).
pub const HUGE_PAGE_BITS: u32 = 30;
/// Page table (`objects.md §2`).
pub const PAGE_TABLE_BITS: u32 = 12;
/// Page directory (`objects.md §2`).
pub const PAGE_DIRECTORY_BITS: u32 = 12;
/// PDPT (`objects.md §2`).
pub const PDPT_BITS: u32 = 12;
/// Root of an address space (`objects.md §2`).
pub const VSPACE_BITS: u32 = 12;
/// ASID pool (`objects.md §2`).
pub const ASID_POOL_BITS: u32 = 12;
/// IO page table (`objects.md §2`).
pub const IO_PAGE_TABLE_BITS: u32 = 12;
/// Largest untyped (`objects.md §2`).
pub const MAX_UNTYPED_BITS: u32 = 47;

const _: () = assert!(count(&Options::DEFAULT) == 14 && PAGE_DIRECTORY == 13);
const _: () = assert!(count(&Options { x86_iommu: true, ..Options::DEFAULT }) == 15);
