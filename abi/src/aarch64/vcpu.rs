// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers of a VCPU and words of the faults at EL2 (`invocations.md §10`, `errors-and-faults.md §4.7`).

/// `SCTLR` (`invocations.md §10`).
pub const SCTLR: u64 = 0;
/// `CPACR` (`invocations.md §10`).
pub const CPACR: u64 = 1;
/// `TTBR0` (`invocations.md §10`).
pub const TTBR0: u64 = 2;
/// `TTBR1` (`invocations.md §10`).
pub const TTBR1: u64 = 3;
/// `TCR` (`invocations.md §10`).
pub const TCR: u64 = 4;
/// `MAIR` (`invocations.md §10`).
pub const MAIR: u64 = 5;
/// `AMAIR` (`invocations.md §10`).
pub const AMAIR: u64 = 6;
/// `CIDR` (`invocations.md §10`).
pub const CIDR: u64 = 7;
/// `ACTLR` (`invocations.md §10`).
pub const ACTLR: u64 = 8;
/// `AFSR0` (`invocations.md §10`).
pub const AFSR0: u64 = 9;
/// `AFSR1` (`invocations.md §10`).
pub const AFSR1: u64 = 10;
/// `ESR` (`invocations.md §10`).
pub const ESR: u64 = 11;
/// `FAR` (`invocations.md §10`).
pub const FAR: u64 = 12;
/// `PAR` (`invocations.md §10`).
pub const PAR: u64 = 13;
/// `VBAR` (`invocations.md §10`).
pub const VBAR: u64 = 14;
/// `TPIDR_EL1` (`invocations.md §10`).
pub const TPIDR_EL1: u64 = 15;
/// `VMPIDR_EL2` (`invocations.md §10`).
pub const VMPIDR_EL2: u64 = 16;
/// `SP_EL1` (`invocations.md §10`).
pub const SP_EL1: u64 = 17;
/// `ELR_EL1` (`invocations.md §10`).
pub const ELR_EL1: u64 = 18;
/// `SPSR_EL1` (`invocations.md §10`).
pub const SPSR_EL1: u64 = 19;
/// `CNTV_CTL` (`invocations.md §10`).
pub const CNTV_CTL: u64 = 20;
/// `CNTV_CVAL` (`invocations.md §10`).
pub const CNTV_CVAL: u64 = 21;
/// `CNTVOFF` (`invocations.md §10`).
pub const CNTVOFF: u64 = 22;
/// `CNTKCTL_EL1` (`invocations.md §10`).
pub const CNTKCTL_EL1: u64 = 23;
/// Number of registers: the first invalid one (`invocations.md §10`).
pub const REGISTERS: u64 = 24;
/// Length of VGICMaintenance, VCPUFault and VPPIEvent messages (`errors-and-faults.md §4.7`).
pub const FAULT_LENGTH: usize = 1;
