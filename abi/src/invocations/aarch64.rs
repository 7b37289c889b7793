// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invocations that aarch64 adds (`invocations.md §7, §9, §10`).

use super::{Invocation, invocation, unknown_label};
use crate::aarch64::label;

/// In the order of their labels.
pub const INVOCATIONS: &[Invocation] = &[
    // §10
    unknown_label!("ARMVSpace", VSpace, AARCH64, Always),
    invocation!("ARMVSpaceClean_Data", label::VSPACE_CLEAN_DATA, VSpace, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 InvalidArgument(1) "end ≤ start";
        3 IllegalOperation "end > user top";
        4 InvalidCapability(0) "not assigned";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(0) "ASID leads to another VSpace";
        7 RangeError("start", "last byte of the page") "range crosses the page";
    ),
    invocation!("ARMVSpaceInvalidate_Data", label::VSPACE_INVALIDATE_DATA, VSpace, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 InvalidArgument(1) "end ≤ start";
        3 IllegalOperation "end > user top";
        4 InvalidCapability(0) "not assigned";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(0) "ASID leads to another VSpace";
        7 RangeError("start", "last byte of the page") "range crosses the page";
        8 IllegalOperation when NotHyp "mapping not read-write";
    ),
    invocation!("ARMVSpaceCleanInvalidate_Data", label::VSPACE_CLEAN_INVALIDATE_DATA, VSpace, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 InvalidArgument(1) "end ≤ start";
        3 IllegalOperation "end > user top";
        4 InvalidCapability(0) "not assigned";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(0) "ASID leads to another VSpace";
        7 RangeError("start", "last byte of the page") "range crosses the page";
    ),
    invocation!("ARMVSpaceUnify_Instruction", label::VSPACE_UNIFY_INSTRUCTION, VSpace, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 InvalidArgument(1) "end ≤ start";
        3 IllegalOperation "end > user top";
        4 InvalidCapability(0) "not assigned";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(0) "ASID leads to another VSpace";
        7 RangeError("start", "last byte of the page") "range crosses the page";
    ),
    unknown_label!("ARMSMC", Smc, AARCH64, Smc),
    invocation!("ARMSMCCall", label::SMC_CALL, Smc, AARCH64, Smc;
        1 TruncatedMessage "len < 8";
        2 IllegalOperation "badge ≠ 0 and badge ≠ MR0";
    ),
    unknown_label!("ARMPageTable", PageTable, AARCH64, Always),
    invocation!("ARMPageTableMap", label::PAGE_TABLE_MAP, PageTable, AARCH64, Always;
        1 TruncatedMessage "len < 2 or no XC0";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(1) "XC0 not an assigned VSpace";
        4 InvalidArgument(0) "vaddr > user top";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(1) "ASID leads to another VSpace";
        7 DeleteFirst "deepest slot of the 4 KiB level, or valid";
    ),
    invocation!("ARMPageTableUnmap", label::PAGE_TABLE_UNMAP, PageTable, AARCH64, Always;
        1 RevokeFirst "not the final capability";
    ),
    unknown_label!("ARMPage", Page, AARCH64, Always),
    invocation!("ARMPageMap", label::PAGE_MAP, Page, AARCH64, Always;
        1 TruncatedMessage "len < 3 or no XC0";
        2 InvalidCapability(1) "XC0 not an assigned VSpace";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidCapability(1) "ASID leads to another VSpace";
        5 AlignmentError "vaddr not aligned to the page size";
        6 InvalidCapability(1) "already mapped: other ASID";
        7 InvalidArgument(0) "already mapped: other vaddr";
        8 InvalidArgument(0) "not mapped: last byte > user top";
        9 FailedLookup(Target MissingCapability) "slot not of the page's level (bits left: its level)";
    ),
    invocation!("ARMPageUnmap", label::PAGE_UNMAP, Page, AARCH64, Always;),
    invocation!("ARMPageClean_Data", label::PAGE_CLEAN_DATA, Page, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "page not mapped";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidArgument(1) "end ≤ start";
        5 InvalidArgument(0) "start ≥ size";
        6 InvalidArgument(0) "end > size";
        7 IllegalOperation when Hyp "outside the kernel's window on physical memory";
        8 InvalidCapability(0) when NotHyp "mapping stale";
    ),
    invocation!("ARMPageInvalidate_Data", label::PAGE_INVALIDATE_DATA, Page, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "page not mapped";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidArgument(1) "end ≤ start";
        5 InvalidArgument(0) "start ≥ size";
        6 InvalidArgument(0) "end > size";
        7 IllegalOperation when Hyp "outside the kernel's window on physical memory";
        8 InvalidCapability(0) when NotHyp "mapping stale";
        9 IllegalOperation when NotHyp "mapping not read-write";
    ),
    invocation!("ARMPageCleanInvalidate_Data", label::PAGE_CLEAN_INVALIDATE_DATA, Page, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "page not mapped";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidArgument(1) "end ≤ start";
        5 InvalidArgument(0) "start ≥ size";
        6 InvalidArgument(0) "end > size";
        7 IllegalOperation when Hyp "outside the kernel's window on physical memory";
        8 InvalidCapability(0) when NotHyp "mapping stale";
    ),
    invocation!("ARMPageUnify_Instruction", label::PAGE_UNIFY_INSTRUCTION, Page, AARCH64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "page not mapped";
        3 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        4 InvalidArgument(1) "end ≤ start";
        5 InvalidArgument(0) "start ≥ size";
        6 InvalidArgument(0) "end > size";
        7 IllegalOperation when Hyp "outside the kernel's window on physical memory";
        8 InvalidCapability(0) when NotHyp "mapping stale";
    ),
    invocation!("ARMPageGetAddress", label::PAGE_GET_ADDRESS, Page, AARCH64, Always;),
    // §9
    unknown_label!("ARMASIDControl", AsidControl, AARCH64, Always),
    invocation!("ARMASIDControlMakePool", label::ASID_CONTROL_MAKE_POOL, AsidControl, AARCH64, Always;
        1 TruncatedMessage "len < 2 or fewer than 2 XC";
        2 DeleteFirst "no free pool number";
        3 InvalidCapability(1) "XC0 not an untyped of 12 bits, or of device memory";
        4 RevokeFirst "XC0 has children";
        5 lookup(Target) "slot in XC1";
        6 DeleteFirst "slot not empty";
    ),
    unknown_label!("ARMASIDPool", AsidPool, AARCH64, Always),
    invocation!("ARMASIDPoolAssign", label::ASID_POOL_ASSIGN, AsidPool, AARCH64, Always;
        1 TruncatedMessage "no XC0";
        2 InvalidCapability(1) "XC0 not a VSpace root";
        3 InvalidCapability(1) "XC0 already assigned";
        4 FailedLookup(Target InvalidRoot) "pool deleted";
        5 InvalidCapability(0) "pool capability stale";
        6 DeleteFirst "no free ASID in the pool";
    ),
    // §10
    unknown_label!("ARMVCPU", Vcpu, AARCH64, Hyp),
    invocation!("ARMVCPUSetTCB", label::VCPU_SET_TCB, Vcpu, AARCH64, Hyp;
        1 TruncatedMessage "no XC0";
        2 IllegalOperation "XC0 not a TCB";
    ),
    invocation!("ARMVCPUInjectIRQ", label::VCPU_INJECT_IRQ, Vcpu, AARCH64, Hyp;
        1 TruncatedMessage "len < 1";
        2 RangeError("0", "1023") "virq > 1023";
        3 RangeError("0", "31") "priority > 31";
        4 RangeError("0", "1") "group > 1";
        5 RangeError("0", "list registers - 1") "index ≥ number of list registers";
        6 DeleteFirst "list register active";
    ),
    invocation!("ARMVCPUReadReg", label::VCPU_READ_REG, Vcpu, AARCH64, Hyp;
        1 TruncatedMessage "len < 1";
        2 InvalidArgument(1) "id ≥ 24";
    ),
    invocation!("ARMVCPUWriteReg", label::VCPU_WRITE_REG, Vcpu, AARCH64, Hyp;
        1 TruncatedMessage "len < 2";
        2 InvalidArgument(1) "id ≥ 24";
    ),
    invocation!("ARMVCPUAckVPPI", label::VCPU_ACK_VPPI, Vcpu, AARCH64, Hyp;
        1 TruncatedMessage "len < 1";
        2 RangeError("0", "maxIRQ") "irq out of range";
        3 InvalidArgument(0) "irq not virtualised";
    ),
    // §7
    invocation!("ARMIRQIssueIRQHandlerTrigger", label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER, IrqControl, AARCH64, Always;
        1 TruncatedMessage "len < 4 or no XC0";
        2 IllegalOperation when Never "platform cannot set triggers";
        3 RangeError("0", "maxIRQ") "irq out of range";
        4 IllegalOperation on AARCH64 when Smp "private interrupt (< 32)";
        5 RevokeFirst "irq in use or the kernel's";
        6 lookup(Target) "slot in XC0";
        7 DeleteFirst "slot not empty";
    ),
    invocation!(
        "ARMIRQIssueIRQHandlerTriggerCore", label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER_CORE, IrqControl, AARCH64, Smp;
        1 RangeError("0", "maxIRQ") "irq out of range";
        2 InvalidArgument "core ≥ number of cores";
        3 RevokeFirst "irq in use or the kernel's";
        4 lookup(Target) "slot in XC0";
        5 DeleteFirst "slot not empty";
    ),
    invocation!("ARMIRQIssueSGISignal", label::IRQ_ISSUE_SGI_SIGNAL, IrqControl, AARCH64, NotSmp;
        1 TruncatedMessage "len < 4 or no XC0";
        2 IllegalOperation when Never "platform without SGIs";
        3 RangeError("0", "15") "SGI ≥ 16";
        4 InvalidArgument(1) "target out of range";
        5 lookup(Target) "slot in XC0";
        6 DeleteFirst "slot not empty";
    ),
    invocation!("ARMSGISignal", crate::label::INVALID_INVOCATION, SgiSignal, AARCH64, NotSmp;),
];
