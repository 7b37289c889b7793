// SPDX-License-Identifier: MIT OR Apache-2.0

//! Object types and sizes of riscv64 (`objects.md §1, §2`).

/// 1 GiB page (`objects.md §1`).
pub const GIGA_PAGE: u64 = 7;
/// 4 KiB page (`objects.md §1`).
pub const SMALL_PAGE: u64 = 8;
/// 2 MiB page (`objects.md §1`).
pub const MEGA_PAGE: u64 = 9;
/// Page table of any level, and root of an address space (`objects.md §1`).
pub const PAGE_TABLE: u64 = 10;
/// Number of types: the first invalid one (`objects.md §1`).
pub const COUNT: u64 = 11;

/// 4 KiB page (`objects.md §2`).
pub const SMALL_PAGE_BITS: u32 = 12;
/// 2 MiB page (`objects.md §2`).
pub const MEGA_PAGE_BITS: u32 = 21;
/// 1 GiB page (`objects.md §2`).
pub const GIGA_PAGE_BITS: u32 = 30;
/// Page table (`objects.md §2`).
pub const PAGE_TABLE_BITS: u32 = 12;
/// Root of an address space, a page table (`objects.md §2`).
pub const VSPACE_BITS: u32 = 12;
/// ASID pool (`objects.md §2`).
pub const ASID_POOL_BITS: u32 = 12;
/// Largest untyped (`objects.md §2`).
pub const MAX_UNTYPED_BITS: u32 = 38;
