// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invocations that all architectures have (`invocations.md §3–§8`).

use super::{Invocation, invocation, unknown_label};
use crate::label;

/// In the order of their labels.
pub const INVOCATIONS: &[Invocation] = &[
    // §3.1
    invocation!("UntypedRetype", label::UNTYPED_RETYPE, Untyped, ALL, Always;
        1 IllegalOperation "label of no method of the object";
        2 TruncatedMessage "len < 6 or no XC0";
        3 InvalidArgument(0) "type ≥ number of object types";
        4 RangeError("0", "max untyped bits") "size_bits ≥ 64 or object size bits > max untyped bits";
        5 InvalidArgument(1) "CapTable and size_bits = 0";
        6 InvalidArgument(1) "Untyped and size_bits < 4";
        7 InvalidArgument(1) "SchedContext and size_bits < 7";
        8 lookup(Target) "node depth ≠ 0: node in XC0";
        9 FailedLookup(Target MissingCapability) "destination not a CNode (bits left: node depth)";
        10 RangeError("0", "slots - 1") "first slot > slots - 1";
        11 RangeError("1", "256") "count < 1 or > 256";
        12 RangeError("1", "slots - first") "count > slots - first";
        13 DeleteFirst "a slot of the window not empty";
        14 NotEnoughMemory "free bytes >> object bits < count";
        15 InvalidArgument(1) "device untyped and type neither a frame nor Untyped";
    ),
    // §5
    unknown_label!("TCB", Tcb, ALL, Always),
    invocation!("TCBReadRegisters", label::TCB_READ_REGISTERS, Tcb, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 RangeError("1", "UserContext words") "count < 1 or > UserContext words";
        3 IllegalOperation "target is the caller";
    ),
    invocation!("TCBWriteRegisters", label::TCB_WRITE_REGISTERS, Tcb, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 TruncatedMessage "len - 2 < count";
        3 IllegalOperation "target is the caller";
    ),
    invocation!("TCBCopyRegisters", label::TCB_COPY_REGISTERS, Tcb, ALL, Always;
        1 TruncatedMessage "len < 1 or no XC0";
        2 InvalidCapability(1) "XC0 not a TCB";
    ),
    invocation!("TCBConfigure", label::TCB_CONFIGURE, Tcb, ALL, Always;
        1 TruncatedMessage "len < 3 or fewer than 3 XC";
        2 RevokeFirst "buffer ≠ 0: XC2 an untyped with children";
        3 IllegalOperation "buffer ≠ 0: XC2 an unmapped table or unassigned root";
        4 IllegalOperation "buffer ≠ 0: XC2 not a frame, or of device memory";
        5 AlignmentError "buffer ≠ 0: not a multiple of 1024";
        6 IllegalOperation "CSpace or VSpace slot of the target in long-running deletion";
        7 IllegalOperation "cspace data ≠ 0: guard and radix of XC0 exceed 64 bits, or a badge that cannot be set";
        8 RevokeFirst "XC0 an untyped with children";
        9 IllegalOperation "XC0 an unmapped table or unassigned root";
        10 IllegalOperation "XC0 not a CNode";
        11 IllegalOperation "vspace data ≠ 0: XC1 becomes null";
        12 RevokeFirst "XC1 an untyped with children";
        13 IllegalOperation "XC1 an unassigned root or unmapped table";
        14 IllegalOperation "XC1 not an assigned VSpace root (riscv64: not a mapped page table)";
    ),
    invocation!("TCBSetPriority", label::TCB_SET_PRIORITY, Tcb, ALL, Always;
        1 TruncatedMessage "len < 1 or no XC0";
        2 InvalidCapability(1) "XC0 not a TCB";
        3 RangeError("0", "authority's MCP") "priority > authority's MCP";
    ),
    invocation!("TCBSetMCPriority", label::TCB_SET_MC_PRIORITY, Tcb, ALL, Always;
        1 TruncatedMessage "len < 1 or no XC0";
        2 InvalidCapability(1) "XC0 not a TCB";
        3 RangeError("0", "authority's MCP") "MCP > authority's MCP";
    ),
    invocation!("TCBSetSchedParams", label::TCB_SET_SCHED_PARAMS, Tcb, ALL, Always;
        1 TruncatedMessage "len < 2 or fewer than 3 XC";
        2 InvalidCapability(1) "XC0 not a TCB";
        3 RangeError("0", "authority's MCP") "MCP > authority's MCP";
        4 RangeError("0", "authority's MCP") "priority > authority's MCP";
        5 IllegalOperation "XC1 another SC than the TCB's: the TCB already has one";
        6 IllegalOperation "XC1 another SC than the TCB's: it is bound to a TCB";
        7 IllegalOperation "XC1 an SC: TCB blocked and SC not released";
        8 IllegalOperation "XC1 null: TCB is the caller";
        9 InvalidCapability(2) "XC1 neither an SC nor null";
        10 InvalidCapability(3) "XC2 not valid as a fault endpoint";
    ),
    invocation!("TCBSetTimeoutEndpoint", label::TCB_SET_TIMEOUT_ENDPOINT, Tcb, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 InvalidCapability(1) "XC0 not valid as a fault endpoint";
    ),
    invocation!("TCBSetIPCBuffer", label::TCB_SET_IPC_BUFFER, Tcb, ALL, Always;
        1 TruncatedMessage "len < 1 or no XC0";
        2 RevokeFirst "address ≠ 0: XC0 an untyped with children";
        3 IllegalOperation "address ≠ 0: XC0 an unmapped table or unassigned root";
        4 IllegalOperation "address ≠ 0: XC0 not a frame, or of device memory";
        5 AlignmentError "address ≠ 0: not a multiple of 1024";
    ),
    invocation!("TCBSetSpace", label::TCB_SET_SPACE, Tcb, ALL, Always;
        1 TruncatedMessage "len < 2 or fewer than 3 XC";
        2 IllegalOperation "CSpace or VSpace slot of the target in long-running deletion";
        3 IllegalOperation "cspace data ≠ 0: guard and radix of XC1 exceed 64 bits, or a badge that cannot be set";
        4 RevokeFirst "XC1 an untyped with children";
        5 IllegalOperation "XC1 an unmapped table or unassigned root";
        6 IllegalOperation "XC1 not a CNode";
        7 IllegalOperation "vspace data ≠ 0: XC2 becomes null";
        8 RevokeFirst "XC2 an untyped with children";
        9 IllegalOperation "XC2 an unassigned root or unmapped table";
        10 IllegalOperation "XC2 not an assigned VSpace root (riscv64: not a mapped page table)";
        11 InvalidCapability(1) "XC0 not valid as a fault endpoint";
    ),
    invocation!("TCBSuspend", label::TCB_SUSPEND, Tcb, ALL, Always;),
    invocation!("TCBResume", label::TCB_RESUME, Tcb, ALL, Always;),
    invocation!("TCBBindNotification", label::TCB_BIND_NOTIFICATION, Tcb, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 IllegalOperation "TCB already bound";
        3 IllegalOperation "XC0 not a notification";
        4 IllegalOperation "XC0 without Read right";
        5 IllegalOperation "notification has waiters or is bound";
    ),
    invocation!("TCBUnbindNotification", label::TCB_UNBIND_NOTIFICATION, Tcb, ALL, Always;
        1 IllegalOperation "not bound";
    ),
    // §5.3
    invocation!("TCBSetBreakpoint", label::TCB_SET_BREAKPOINT, Tcb, BREAKPOINTS, HardwareDebug;
        1 InvalidArgument(1) "vaddr ≥ user top";
        2 InvalidArgument(2) "type neither 0 nor 1";
        3 InvalidArgument(3) "instruction: size ≠ 0";
        4 InvalidArgument(4) "instruction: access ≠ read";
        5 InvalidArgument(2) on AARCH64 "instruction: id of a watchpoint";
        6 InvalidArgument(3) "data: size 0";
        7 InvalidArgument(2) on AARCH64 "data: id below the first watchpoint";
        8 InvalidArgument(3) "access not 0 to 2";
        9 InvalidArgument(3) "size not 0, 1, 2, 4 or 8";
        10 AlignmentError "vaddr not aligned to size";
        11 RangeError("0", "x86_64: 3; aarch64: 5 for data, 3 for instruction") "id out of range";
        12 InvalidArgument(3) "size 8 not supported, or not for data";
    ),
    invocation!("TCBGetBreakpoint", label::TCB_GET_BREAKPOINT, Tcb, BREAKPOINTS, HardwareDebug;
        1 RangeError("0", "3") on X86_64 "id > 3";
    ),
    invocation!("TCBUnsetBreakpoint", label::TCB_UNSET_BREAKPOINT, Tcb, BREAKPOINTS, HardwareDebug;
        1 RangeError("0", "3") on X86_64 "id > 3";
        2 IllegalOperation on AARCH64 "used for single stepping";
    ),
    invocation!(
        "TCBConfigureSingleStepping", label::TCB_CONFIGURE_SINGLE_STEPPING, Tcb, BREAKPOINTS, HardwareDebug;
    ),
    invocation!("TCBSetTLSBase", label::TCB_SET_TLS_BASE, Tcb, ALL, Always;
        1 TruncatedMessage "len < 1";
    ),
    invocation!("TCBSetFlags", label::TCB_SET_FLAGS, Tcb, ALL, Always;
        1 TruncatedMessage "len < 2";
    ),
    // §4
    unknown_label!("CNode", CNode, ALL, Always),
    invocation!("CNodeRevoke", label::CNODE_REVOKE, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
    ),
    invocation!("CNodeDelete", label::CNODE_DELETE, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
    ),
    invocation!("CNodeCancelBadgedSends", label::CNODE_CANCEL_BADGED_SENDS, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 IllegalOperation "dest not an endpoint with all rights";
    ),
    invocation!("CNodeCopy", label::CNODE_COPY, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 TruncatedMessage "len < 4 or no XC0";
        4 DeleteFirst "dest not empty";
        5 lookup(Source) "source in XC0";
        6 FailedLookup(Source MissingCapability) "source empty (bits left: source depth)";
        7 TruncatedMessage "len < 5";
        8 RevokeFirst "source an untyped with children";
        9 IllegalOperation "source an unmapped table or unassigned root";
        10 IllegalOperation "source cannot be copied: IRQControl, IOPortControl, zombie";
    ),
    invocation!("CNodeMint", label::CNODE_MINT, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 TruncatedMessage "len < 4 or no XC0";
        4 DeleteFirst "dest not empty";
        5 lookup(Source) "source in XC0";
        6 FailedLookup(Source MissingCapability) "source empty (bits left: source depth)";
        7 TruncatedMessage "len < 6";
        8 IllegalOperation "source has a badge";
        9 IllegalOperation "source a CNode: guard and radix exceed 64 bits";
        10 IllegalOperation on X86_64 when X86Iommu "source an IO space: PCI id set, or the domain is not free";
        11 RevokeFirst "source an untyped with children";
        12 IllegalOperation "source an unmapped table or unassigned root";
        13 IllegalOperation "source cannot be copied: IRQControl, IOPortControl, zombie";
    ),
    invocation!("CNodeMove", label::CNODE_MOVE, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 TruncatedMessage "len < 4 or no XC0";
        4 DeleteFirst "dest not empty";
        5 lookup(Source) "source in XC0";
        6 FailedLookup(Source MissingCapability) "source empty (bits left: source depth)";
    ),
    invocation!("CNodeMutate", label::CNODE_MUTATE, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 TruncatedMessage "len < 4 or no XC0";
        4 DeleteFirst "dest not empty";
        5 lookup(Source) "source in XC0";
        6 FailedLookup(Source MissingCapability) "source empty (bits left: source depth)";
        7 TruncatedMessage "len < 5";
        8 IllegalOperation "source an endpoint, notification, SMC or IO space";
        9 IllegalOperation "source a CNode: guard and radix exceed 64 bits";
    ),
    invocation!("CNodeRotate", label::CNODE_ROTATE, CNode, ALL, Always;
        1 TruncatedMessage "len < 2";
        2 lookup_below(Target) "dest";
        3 TruncatedMessage "len < 8 or fewer than 2 XC";
        4 lookup(Source) "source in XC1";
        5 lookup(Source) "pivot in XC0";
        6 IllegalOperation "pivot is the source";
        7 IllegalOperation "pivot is dest";
        8 DeleteFirst "dest neither the source nor empty";
        9 FailedLookup(Source MissingCapability) "source empty (bits left: source depth)";
        10 FailedLookup(Target MissingCapability) "pivot empty (bits left: pivot depth)";
        11 IllegalOperation "source becomes null by its new data";
        12 IllegalOperation "pivot becomes null by its new data";
    ),
    // §7
    unknown_label!("IRQControl", IrqControl, ALL, Always),
    invocation!("IRQIssueIRQHandler", label::IRQ_ISSUE_IRQ_HANDLER, IrqControl, ALL, Always;
        1 TruncatedMessage "len < 3 or no XC0";
        2 RangeError("aarch64: 0; riscv64: 1", "maxIRQ") on DEVICE_TREE "irq out of range";
        3 IllegalOperation on X86_64 "IOAPIC configuration and irq not of the legacy controller";
        4 RangeError("0", "15") on X86_64 when Never "irq > 15 with PIC configuration";
        5 RevokeFirst "irq in use or the kernel's";
        6 lookup(Target) "slot in XC0";
        7 DeleteFirst "slot not empty";
    ),
    unknown_label!("IRQHandler", IrqHandler, ALL, Always),
    invocation!("IRQAckIRQ", label::IRQ_ACK_IRQ, IrqHandler, ALL, Always;),
    invocation!("IRQSetIRQHandler", label::IRQ_SET_IRQ_HANDLER, IrqHandler, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 InvalidCapability(0) "XC0 not a notification";
        3 InvalidCapability(0) "XC0 without Write right";
    ),
    invocation!("IRQClearIRQHandler", label::IRQ_CLEAR_IRQ_HANDLER, IrqHandler, ALL, Always;),
    // §8
    unknown_label!("DomainSet", DomainSet, ALL, Always),
    invocation!("DomainSetSet", label::DOMAIN_SET_SET, DomainSet, ALL, Always;
        1 TruncatedMessage "len = 0";
        2 InvalidArgument(0) "domain ≥ number of domains";
        3 TruncatedMessage "no XC0";
        4 InvalidArgument(1) "XC0 not a TCB";
    ),
    invocation!("DomainScheduleConfigure", label::DOMAIN_SCHEDULE_CONFIGURE, DomainSet, ALL, Always;
        1 TruncatedMessage "len < 3";
        2 RangeError("0", "entries - 2") "index ≥ entries - 1";
        3 RangeError("0", "domains - 1") "domain ≥ number of domains";
        4 InvalidArgument(2) "duration > 2^56 - 1";
        5 InvalidArgument(1) "duration 0 with domain ≠ 0";
        6 InvalidArgument(2) "duration 0 at the start index";
    ),
    invocation!("DomainScheduleSetStart", label::DOMAIN_SCHEDULE_SET_START, DomainSet, ALL, Always;
        1 TruncatedMessage "len < 1";
        2 RangeError("0", "entries - 1") "index ≥ entries";
        3 InvalidArgument(0) "entry is an end marker";
    ),
    // §6
    unknown_label!("SchedControl", SchedControl, ALL, Always),
    invocation!("SchedControlConfigureFlags", label::SCHED_CONTROL_CONFIGURE_FLAGS, SchedControl, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 TruncatedMessage "len < 5";
        3 RangeError("MIN", "MAX") "budget > MAX_PERIOD";
        4 RangeError("MIN", "MAX") "period > MAX_PERIOD";
        5 RangeError("MIN", "MAX") "budget < MIN";
        6 RangeError("MIN", "MAX") "period < MIN";
        7 RangeError("MIN", "period") "budget > period";
        8 InvalidCapability(1) "XC0 not an SC";
        9 RangeError("0", "capacity - 2") "extra refills > capacity - 2";
    ),
    unknown_label!("SchedContext", SchedContext, ALL, Always),
    invocation!("SchedContextBind", label::SCHED_CONTEXT_BIND, SchedContext, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 IllegalOperation "XC0 a TCB: SC already bound to a TCB";
        3 IllegalOperation "XC0 a TCB: it already has an SC";
        4 IllegalOperation "XC0 a TCB: blocked, and the SC not released";
        5 IllegalOperation "XC0 a notification: SC already bound to a notification";
        6 IllegalOperation "XC0 a notification: it already has an SC";
        7 InvalidCapability(1) "XC0 neither a TCB nor a notification";
    ),
    invocation!("SchedContextUnbind", label::SCHED_CONTEXT_UNBIND, SchedContext, ALL, Always;
        1 IllegalOperation "the SC's TCB is the caller";
    ),
    invocation!("SchedContextUnbindObject", label::SCHED_CONTEXT_UNBIND_OBJECT, SchedContext, ALL, Always;
        1 TruncatedMessage "no XC0";
        2 IllegalOperation "XC0 a TCB: not the bound one";
        3 IllegalOperation "XC0 a TCB: the caller";
        4 IllegalOperation "XC0 a notification: not the bound one";
        5 InvalidCapability(1) "XC0 neither a TCB nor a notification";
    ),
    invocation!("SchedContextConsumed", label::SCHED_CONTEXT_CONSUMED, SchedContext, ALL, Always;),
    invocation!("SchedContextYieldTo", label::SCHED_CONTEXT_YIELD_TO, SchedContext, ALL, Always;
        1 IllegalOperation "no TCB bound";
        2 IllegalOperation "the bound TCB is the caller";
        3 IllegalOperation "priority of the bound TCB > caller's MCP";
    ),
];
