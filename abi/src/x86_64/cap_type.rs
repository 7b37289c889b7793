// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `DebugCapIdentify` answers for the architecture's capabilities (`syscalls.md §13`).

/// Frame (`syscalls.md §13`).
pub const FRAME: u64 = 1;
/// Page table (`syscalls.md §13`).
pub const PAGE_TABLE: u64 = 3;
/// Page directory (`syscalls.md §13`).
pub const PAGE_DIRECTORY: u64 = 5;
/// PDPT (`syscalls.md §13`).
pub const PDPT: u64 = 7;
/// PML4 (`syscalls.md §13`).
pub const PML4: u64 = 9;
/// ASID control (`syscalls.md §13`).
pub const ASID_CONTROL: u64 = 11;
/// ASID pool (`syscalls.md §13`).
pub const ASID_POOL: u64 = 13;
/// IO space (`syscalls.md §13`).
pub const IO_SPACE: u64 = 15;
/// IO page table (`syscalls.md §13`).
pub const IO_PAGE_TABLE: u64 = 17;
/// IO ports (`syscalls.md §13`).
pub const IO_PORT: u64 = 19;
/// VCPU (`syscalls.md §13`).
pub const VCPU: u64 = 21;
/// EPT page table (`syscalls.md §13`).
pub const EPT_PAGE_TABLE: u64 = 23;
/// EPT page directory (`syscalls.md §13`).
pub const EPT_PAGE_DIRECTORY: u64 = 25;
/// EPT PDPT (`syscalls.md §13`).
pub const EPT_PDPT: u64 = 27;
/// EPT PML4 (`syscalls.md §13`).
pub const EPT_PML4: u64 = 29;
/// IO port control (`syscalls.md §13`).
pub const IO_PORT_CONTROL: u64 = 31;
