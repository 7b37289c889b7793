// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invocations that x86_64 adds (`invocations.md §7, §9, §12`).

use super::{Invocation, invocation, unknown_label};
use crate::x86_64::label;

/// In the order of their labels.
pub const INVOCATIONS: &[Invocation] = &[
    // §12
    unknown_label!("X86PML4", VSpace, X86_64, Always),
    unknown_label!("X86PDPT", Pdpt, X86_64, Always),
    invocation!("X86PDPTMap", label::PDPT_MAP, Pdpt, X86_64, Always;
        1 TruncatedMessage "len < 2 or no XC0";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(1) "XC0 not an assigned PML4";
        4 InvalidArgument(0) "vaddr > user top";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(1) "ASID leads to another PML4";
        7 DeleteFirst "slot occupied";
    ),
    invocation!("X86PDPTUnmap", label::PDPT_UNMAP, Pdpt, X86_64, Always;
        1 RevokeFirst "not the final capability";
    ),
    unknown_label!("X86PageDirectory", PageDirectory, X86_64, Always),
    invocation!("X86PageDirectoryMap", label::PAGE_DIRECTORY_MAP, PageDirectory, X86_64, Always;
        1 TruncatedMessage "len < 2 or no XC0";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(1) "XC0 not an assigned PML4";
        4 InvalidArgument(0) "vaddr > user top";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(1) "ASID leads to another PML4";
        7 FailedLookup(Target MissingCapability) "no PDPT (bits left: 39)";
        8 DeleteFirst "slot occupied";
    ),
    invocation!("X86PageDirectoryUnmap", label::PAGE_DIRECTORY_UNMAP, PageDirectory, X86_64, Always;
        1 RevokeFirst "not the final capability";
    ),
    unknown_label!("X86PageTable", PageTable, X86_64, Always),
    invocation!("X86PageTableMap", label::PAGE_TABLE_MAP, PageTable, X86_64, Always;
        1 TruncatedMessage "len < 2 or no XC0";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(1) "XC0 not an assigned PML4";
        4 InvalidArgument(0) "vaddr > user top";
        5 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        6 InvalidCapability(1) "ASID leads to another PML4";
        7 FailedLookup(Target MissingCapability) "no PDPT (bits left: 39)";
        8 FailedLookup(Target MissingCapability) "no page directory (bits left: 30)";
        9 DeleteFirst "slot occupied";
    ),
    invocation!("X86PageTableUnmap", label::PAGE_TABLE_UNMAP, PageTable, X86_64, Always;
        1 RevokeFirst "not the final capability";
    ),
    unknown_label!("X86IOPageTable", IoPageTable, X86_64, X86Iommu),
    invocation!("X86IOPageTableMap", label::IO_PAGE_TABLE_MAP, IoPageTable, X86_64, X86Iommu;
        1 TruncatedMessage "no XC0 or len < 1";
        2 InvalidCapability(0) "already mapped";
        3 InvalidCapability(0) "XC0 not an IO space";
        4 InvalidCapability(0) "IO space without PCI id";
        5 FailedLookup(Target) "lookup failure";
        6 DeleteFirst "slot occupied";
    ),
    invocation!("X86IOPageTableUnmap", label::IO_PAGE_TABLE_UNMAP, IoPageTable, X86_64, X86Iommu;),
    unknown_label!("X86IOSpace", IoSpace, X86_64, X86Iommu),
    unknown_label!("X86Page", Page, X86_64, Always),
    invocation!("X86PageMap", label::PAGE_MAP, Page, X86_64, Always;
        1 TruncatedMessage "len < 3 or no XC0";
        2 InvalidCapability(1) "XC0 not an assigned PML4";
        3 InvalidCapability(1) "already mapped: other ASID";
        4 IllegalOperation when X86Iommu "already mapped: as IO page";
        5 InvalidArgument(0) "already mapped: other vaddr";
        6 InvalidArgument(0) "not mapped: vaddr or vaddr + size > user top";
        7 FailedLookup(Target InvalidRoot) "ASID leads nowhere";
        8 InvalidCapability(1) "ASID leads to another PML4";
        9 AlignmentError "vaddr not aligned to the page size";
        10 FailedLookup(Target MissingCapability) "no PDPT (bits left: 39)";
        11 FailedLookup(Target MissingCapability) "no page directory (bits left: 30)";
        12 FailedLookup(Target MissingCapability) "no page table (bits left: 21)";
        13 DeleteFirst "large page over a page table, or huge page over a page directory";
    ),
    invocation!("X86PageUnmap", label::PAGE_UNMAP, Page, X86_64, Always;),
    invocation!("X86PageMapIO", label::PAGE_MAP_IO, Page, X86_64, X86Iommu;
        1 TruncatedMessage "no XC0 or len < 2";
        2 InvalidCapability(0) "not a 4 KiB page";
        3 InvalidCapability(0) "already mapped";
        4 InvalidCapability(0) "XC0 not an IO space";
        5 InvalidCapability(0) "IO space without PCI id";
        6 FailedLookup(Target) "no IO page table at the top (a stale lookup failure)";
        7 FailedLookup(Target) "wrong level reached";
        8 DeleteFirst "slot used";
        9 InvalidArgument(0) "resulting rights neither read nor write";
    ),
    invocation!("X86PageGetAddress", label::PAGE_GET_ADDRESS, Page, X86_64, Always;),
    // §9
    unknown_label!("X86ASIDControl", AsidControl, X86_64, Always),
    invocation!("X86ASIDControlMakePool", label::ASID_CONTROL_MAKE_POOL, AsidControl, X86_64, Always;
        1 TruncatedMessage "len < 2 or fewer than 2 XC";
        2 DeleteFirst "no free pool number";
        3 InvalidCapability(1) "XC0 not an untyped of 12 bits, or of device memory";
        4 RevokeFirst "XC0 has children";
        5 lookup(Target) "slot in XC1";
        6 DeleteFirst "slot not empty";
    ),
    unknown_label!("X86ASIDPool", AsidPool, X86_64, Always),
    invocation!("X86ASIDPoolAssign", label::ASID_POOL_ASSIGN, AsidPool, X86_64, Always;
        1 TruncatedMessage "no XC0";
        2 InvalidCapability(1) "XC0 not a VSpace root";
        3 InvalidCapability(1) "XC0 already assigned";
        4 FailedLookup(Target InvalidRoot) "pool deleted";
        5 InvalidCapability(0) "pool capability stale";
        6 DeleteFirst "no free ASID in the pool";
    ),
    // §12
    unknown_label!("X86IOPortControl", IoPortControl, X86_64, Always),
    invocation!("X86IOPortControlIssue", label::IO_PORT_CONTROL_ISSUE, IoPortControl, X86_64, Always;
        1 TruncatedMessage "len < 4 or no XC0";
        2 InvalidArgument(1) "last < first";
        3 RevokeFirst "a port in use";
        4 lookup(Target) "slot in XC0";
        5 DeleteFirst "slot not empty";
    ),
    unknown_label!("X86IOPort", IoPort, X86_64, Always),
    invocation!("X86IOPortIn8", label::IO_PORT_IN_8, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 1";
        2 IllegalOperation "access not inside the range";
    ),
    invocation!("X86IOPortIn16", label::IO_PORT_IN_16, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 1";
        2 IllegalOperation "access not inside the range";
    ),
    invocation!("X86IOPortIn32", label::IO_PORT_IN_32, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 1";
        2 IllegalOperation "access not inside the range";
    ),
    invocation!("X86IOPortOut8", label::IO_PORT_OUT_8, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "access not inside the range";
    ),
    invocation!("X86IOPortOut16", label::IO_PORT_OUT_16, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "access not inside the range";
    ),
    invocation!("X86IOPortOut32", label::IO_PORT_OUT_32, IoPort, X86_64, Always;
        1 TruncatedMessage "len < 2";
        2 IllegalOperation "access not inside the range";
    ),
    // §7
    invocation!("X86IRQIssueIRQHandlerIOAPIC", label::IRQ_ISSUE_IRQ_HANDLER_IOAPIC, IrqControl, X86_64, Always;
        1 IllegalOperation when Never "IOAPIC not configured";
        2 TruncatedMessage "len < 7 or no XC0";
        3 RangeError("0", "107") "vector > 107";
        4 RevokeFirst "vector in use";
        5 lookup(Target) "slot in XC0";
        6 DeleteFirst "slot not empty";
        7 IllegalOperation "no IOAPIC";
        8 RangeError("0", "IOAPICs - 1") "ioapic ≥ number of IOAPICs";
        9 RangeError("0", "pins - 1") "pin ≥ number of pins";
        10 RangeError("0", "1") "level neither 0 nor 1";
        11 RangeError("0", "1") "polarity neither 0 nor 1";
    ),
    invocation!("X86IRQIssueIRQHandlerMSI", label::IRQ_ISSUE_IRQ_HANDLER_MSI, IrqControl, X86_64, Always;
        1 IllegalOperation when Never "IOAPIC not configured";
        2 TruncatedMessage "len < 7 or no XC0";
        3 RangeError("0", "107") "vector > 107";
        4 RevokeFirst "vector in use";
        5 lookup(Target) "slot in XC0";
        6 DeleteFirst "slot not empty";
        7 RangeError("0", "255") "bus > 255";
        8 RangeError("0", "31") "device > 31";
        9 RangeError("0", "7") "function > 7";
    ),
];
