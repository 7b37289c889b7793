// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invocations that riscv64 adds (`invocations.md §7, §9, §11`).

use super::{Invocation, invocation, unknown_label};
use crate::riscv64::label;

/// In the order of their labels.
pub const INVOCATIONS: &[Invocation] = &[
    // §11
    unknown_label!("RISCVPageTable", PageTable, RISCV64, Always),
    invocation!("RISCVPageTableMap", label::PAGE_TABLE_MAP, PageTable, RISCV64, Always;
        1 TruncatedMessage "len < 2 or no XC0";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(1) "XC0 not a mapped or assigned page table";
        4 InvalidArgument(0) "vaddr ≥ user top";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(1) "XC0 not the root of its ASID";
        7 DeleteFirst "slot of the 4 KiB level, or valid";
    ),
    invocation!("RISCVPageTableUnmap", label::PAGE_TABLE_UNMAP, PageTable, RISCV64, Always;
        1 RevokeFirst "not the final capability";
        2 RevokeFirst "an assigned VSpace root";
    ),
    unknown_label!("RISCVPage", Page, RISCV64, Always),
    invocation!("RISCVPageMap", label::PAGE_MAP, Page, RISCV64, Always;
        1 TruncatedMessage "len < 3 or no XC0";
        2 InvalidCapability(1) "XC0 not a mapped or assigned page table";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidCapability(1) "XC0 not the root of its ASID";
        5 InvalidArgument(0) "last byte ≥ user top";
        6 AlignmentError "vaddr not aligned to the page size";
        7 FailedLookup(Target MissingCapability) "slot not of the page's level (bits left: its level)";
        8 InvalidCapability(1) "already mapped: other ASID";
        9 InvalidArgument(0) "already mapped: other vaddr";
        10 DeleteFirst "not mapped: slot valid";
    ),
    invocation!("RISCVPageUnmap", label::PAGE_UNMAP, Page, RISCV64, Always;),
    invocation!("RISCVPageGetAddress", label::PAGE_GET_ADDRESS, Page, RISCV64, Always;),
    // §9
    unknown_label!("RISCVASIDControl", AsidControl, RISCV64, Always),
    invocation!("RISCVASIDControlMakePool", label::ASID_CONTROL_MAKE_POOL, AsidControl, RISCV64, Always;
        1 TruncatedMessage "len < 2 or fewer than 2 XC";
        2 DeleteFirst "no free pool number";
        3 InvalidCapability(1) "XC0 not an untyped of 12 bits, or of device memory";
        4 RevokeFirst "XC0 has children";
        5 lookup(Target) "slot in XC1";
        6 DeleteFirst "slot not empty";
    ),
    unknown_label!("RISCVASIDPool", AsidPool, RISCV64, Always),
    invocation!("RISCVASIDPoolAssign", label::ASID_POOL_ASSIGN, AsidPool, RISCV64, Always;
        1 TruncatedMessage "no XC0";
        2 InvalidCapability(1) "XC0 not a VSpace root";
        3 InvalidCapability(1) "XC0 already assigned";
        4 FailedLookup(Target InvalidRoot) "pool deleted";
        5 InvalidCapability(0) "pool capability stale";
        6 DeleteFirst "no free ASID in the pool";
    ),
    // §7
    invocation!("RISCVIRQIssueIRQHandlerTrigger", label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER, IrqControl, RISCV64, Always;
        1 TruncatedMessage "len < 4 or no XC0";
        2 IllegalOperation "platform cannot set triggers";
        3 RangeError("1", "maxIRQ") "irq out of range";
        4 RevokeFirst "irq in use or the kernel's";
        5 lookup(Target) "slot in XC0";
        6 DeleteFirst "slot not empty";
    ),
];
