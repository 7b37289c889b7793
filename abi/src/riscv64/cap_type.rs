// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `DebugCapIdentify` answers for the architecture's capabilities (`syscalls.md §13`).

/// Frame (`syscalls.md §13`).
pub const FRAME: u64 = 1;
/// Page table (`syscalls.md §13`).
pub const PAGE_TABLE: u64 = 3;
/// ASID control (`syscalls.md §13`).
pub const ASID_CONTROL: u64 = 11;
/// ASID pool (`syscalls.md §13`).
pub const ASID_POOL: u64 = 13;
