// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the root task finds its first capabilities (`boot.md §1`).

/// Always empty (`boot.md §1`).
pub const NULL: u64 = 0;
/// The initial thread's TCB (`boot.md §1`).
pub const INIT_TCB: u64 = 1;
/// The root CNode (`boot.md §1`).
pub const INIT_CNODE: u64 = 2;
/// The initial thread's VSpace (`boot.md §1`).
pub const INIT_VSPACE: u64 = 3;
/// Authority over interrupts (`boot.md §1`).
pub const IRQ_CONTROL: u64 = 4;
/// Authority to make ASID pools (`boot.md §1`).
pub const ASID_CONTROL: u64 = 5;
/// The initial thread's ASID pool (`boot.md §1`).
pub const INIT_ASID_POOL: u64 = 6;
/// Authority over IO ports; x86 (`boot.md §1`).
pub const IO_PORT_CONTROL: u64 = 7;
/// The master IO space; x86 with an IOMMU (`boot.md §1`).
pub const IO_SPACE: u64 = 8;
/// The BootInfo frame (`boot.md §1`).
pub const BOOT_INFO_FRAME: u64 = 9;
/// The initial thread's IPC buffer frame (`boot.md §1`).
pub const INIT_IPC_BUFFER: u64 = 10;
/// Authority over domains (`boot.md §1`).
pub const DOMAIN_SET: u64 = 11;
/// SMMU stream control; never present here (`boot.md §1`).
pub const SMMU_SID_CONTROL: u64 = 12;
/// SMMU context bank control; never present here (`boot.md §1`).
pub const SMMU_CB_CONTROL: u64 = 13;
/// The initial thread's scheduling context (`boot.md §1`).
pub const INIT_SCHED_CONTEXT: u64 = 14;
/// Secure monitor calls; Arm with that option (`boot.md §1`).
pub const SMC: u64 = 15;
/// Dynamically provided capabilities start here (`boot.md §1`).
pub const NUM_INITIAL: u64 = 16;
