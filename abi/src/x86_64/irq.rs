// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupt vectors of x86_64 (`invocations.md §7`, `syscalls.md §2`).

/// CPU vector of the user's vector 0 (`invocations.md §7`).
pub const IRQ_OFFSET: u64 = 0x30;
/// First vector, as user level knows it (`invocations.md §7`).
pub const VECTOR_MIN: u64 = 0;
/// Last vector, as user level knows it; the kernel's own limit is lower (`invocations.md §7`).
pub const VECTOR_MAX: u64 = 109;
/// Last vector that the kernel accepts (`invocations.md §7`).
pub const KERNEL_VECTOR_MAX: u64 = 107;
/// First CPU vector of the legacy interrupt controller's lines (`invocations.md §7`).
pub const PIC_VECTOR: u64 = 32;
/// CPU vector of IOMMU faults (`invocations.md §7`).
pub const IOMMU_VECTOR: u64 = 156;
/// CPU vector of the kernel's timer (`invocations.md §7`).
pub const TIMER_VECTOR: u64 = 157;
/// First CPU vector of calls by software interrupt, with one core (`syscalls.md §2`).
pub const FIRST_TRAP_VECTOR: u64 = 158;
/// First CPU vector of calls by software interrupt, with several cores (`syscalls.md §2`).
pub const FIRST_TRAP_VECTOR_SMP: u64 = 160;
/// Last CPU vector of calls by software interrupt (`syscalls.md §2`).
pub const LAST_TRAP_VECTOR: u64 = 254;
/// CPU vector of spurious interrupts (`invocations.md §7`).
pub const SPURIOUS_VECTOR: u64 = 255;

const _: () = assert!(IRQ_OFFSET + KERNEL_VECTOR_MAX == 155);
