// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `DebugCapIdentify` answers for the architecture's capabilities (`syscalls.md §13`).

/// Frame (`syscalls.md §13`).
pub const FRAME: u64 = 1;
/// Page table (`syscalls.md §13`).
pub const PAGE_TABLE: u64 = 3;
/// VSpace (`syscalls.md §13`).
pub const VSPACE: u64 = 9;
/// ASID control (`syscalls.md §13`).
pub const ASID_CONTROL: u64 = 11;
/// ASID pool (`syscalls.md §13`).
pub const ASID_POOL: u64 = 13;
/// VCPU (`syscalls.md §13`).
pub const VCPU: u64 = 15;
/// SMMU stream control (`syscalls.md §13`).
pub const SID_CONTROL: u64 = 17;
/// SMMU stream (`syscalls.md §13`).
pub const SID: u64 = 19;
/// SMMU context bank control (`syscalls.md §13`).
pub const CB_CONTROL: u64 = 21;
/// SMMU context bank (`syscalls.md §13`).
pub const CB: u64 = 23;
/// Secure monitor calls (`syscalls.md §13`).
pub const SMC: u64 = 25;
/// Software generated interrupt (`syscalls.md §13`).
pub const SGI_SIGNAL: u64 = 27;
