// SPDX-License-Identifier: MIT OR Apache-2.0

//! Fault messages: numbers, and the words that are the same on all architectures
//! (`errors-and-faults.md §4`).
//!
//! Which registers UnknownSyscall, UserException and Timeout carry differs; those orders stand in the
//! `fault` module of each architecture.

/// No fault: an ordinary message (`errors-and-faults.md §4`).
pub const NULL_FAULT: u64 = 0;
/// A capability could not be used by a system call (`errors-and-faults.md §4`).
pub const CAP_FAULT: u64 = 1;
/// A system call number without meaning (`errors-and-faults.md §4`).
pub const UNKNOWN_SYSCALL: u64 = 2;
/// A processor exception (`errors-and-faults.md §4`).
pub const USER_EXCEPTION: u64 = 3;
/// A breakpoint or a step; only with the breakpoint calls (`errors-and-faults.md §4`).
pub const DEBUG_EXCEPTION: u64 = 4;
/// The budget is used up (`errors-and-faults.md §4`).
pub const TIMEOUT: u64 = 5;
/// An access that memory mappings do not allow (`errors-and-faults.md §4`).
pub const VM_FAULT: u64 = 6;
/// The virtual interrupt controller needs service; Arm at EL2 (`errors-and-faults.md §4`).
pub const VGIC_MAINTENANCE: u64 = 7;
/// A guest trapped; Arm at EL2 (`errors-and-faults.md §4`).
pub const VCPU_FAULT: u64 = 8;
/// A private interrupt of a guest; Arm at EL2 (`errors-and-faults.md §4`).
pub const VPPI_EVENT: u64 = 9;

/// The name of a fault as the interface writes it, `None` for a number that is no fault.
pub const fn name(number: u64) -> Option<&'static str> {
    Some(match number {
        NULL_FAULT => "NullFault",
        CAP_FAULT => "CapFault",
        UNKNOWN_SYSCALL => "UnknownSyscall",
        USER_EXCEPTION => "UserException",
        DEBUG_EXCEPTION => "DebugException",
        TIMEOUT => "Timeout",
        VM_FAULT => "VMFault",
        VGIC_MAINTENANCE => "VGICMaintenance",
        VCPU_FAULT => "VCPUFault",
        VPPI_EVENT => "VPPIEvent",
        _ => return None,
    })
}

/// Words of a CapFault (`errors-and-faults.md §4.1, §2`).
pub mod cap_fault {
    use crate::error::LookupFailureKind;

    /// Address of the system call instruction.
    pub const IP: usize = 0;
    /// The capability pointer that could not be used.
    pub const ADDRESS: usize = 1;
    /// 1 in the receive phase, else 0.
    pub const IN_RECEIVE_PHASE: usize = 2;
    /// Kind of the lookup failure.
    pub const LOOKUP_FAILURE: usize = 3;
    /// Bits left, of all kinds that have it.
    pub const BITS_LEFT: usize = 4;
    /// Bits found, of a DepthMismatch.
    pub const DEPTH_MISMATCH_BITS_FOUND: usize = 5;
    /// Guard found, of a GuardMismatch.
    pub const GUARD_MISMATCH_GUARD_FOUND: usize = 5;
    /// Bits found, of a GuardMismatch.
    pub const GUARD_MISMATCH_BITS_FOUND: usize = 6;

    /// Length of the message.
    pub const fn length(failure: LookupFailureKind) -> usize {
        LOOKUP_FAILURE + failure.words()
    }
}

/// Words of a VMFault (`errors-and-faults.md §4.4`).
pub mod vm_fault {
    /// Where the thread was.
    pub const IP: usize = 0;
    /// The address it touched.
    pub const ADDRESS: usize = 1;
    /// 1 for an instruction fetch, else 0.
    pub const PREFETCH: usize = 2;
    /// The architecture's status word.
    pub const STATUS: usize = 3;
    /// Length of the message.
    pub const LENGTH: usize = 4;
}

/// Words of a Timeout (`errors-and-faults.md §4.5`).
pub mod timeout {
    /// Badge of the scheduling context.
    pub const BADGE: usize = 0;
    /// Consumed time in microseconds.
    pub const CONSUMED_US: usize = 1;
    /// Length of the message for a thread that has a scheduling context.
    pub const LENGTH: usize = 2;
    /// Length of the message for a thread that has none.
    pub const LENGTH_WITHOUT_SCHED_CONTEXT: usize = 1;
}

/// Words of a DebugException (`errors-and-faults.md §4.6`).
pub mod debug_exception {
    /// Where the thread was.
    pub const IP: usize = 0;
    /// One of the reasons below.
    pub const REASON: usize = 1;
    /// Address that triggered; breakpoints only.
    pub const TRIGGER_ADDRESS: usize = 2;
    /// Number of the breakpoint; breakpoints only.
    pub const BREAKPOINT: usize = 3;
    /// Length of the message for a breakpoint.
    pub const LENGTH: usize = 4;
    /// Length of the message for a step or a software break.
    pub const LENGTH_WITHOUT_BREAKPOINT: usize = 2;

    /// Reason: data breakpoint.
    pub const DATA_BREAKPOINT: u64 = 0;
    /// Reason: instruction breakpoint.
    pub const INSTRUCTION_BREAKPOINT: u64 = 1;
    /// Reason: single step.
    pub const SINGLE_STEP: u64 = 2;
    /// Reason: software break.
    pub const SOFTWARE_BREAK: u64 = 3;
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::LookupFailureKind;

    #[test]
    fn cap_fault_lengths_are_those_of_the_sheet() {
        assert_eq!(cap_fault::length(LookupFailureKind::InvalidRoot), 4);
        assert_eq!(cap_fault::length(LookupFailureKind::MissingCapability), 5);
        assert_eq!(cap_fault::length(LookupFailureKind::DepthMismatch), 6);
        assert_eq!(cap_fault::length(LookupFailureKind::GuardMismatch), 7);
    }

    #[test]
    fn faults_have_names() {
        assert_eq!(name(5), Some("Timeout"));
        assert_eq!(name(9), Some("VPPIEvent"));
        assert_eq!(name(10), None);
    }
}
