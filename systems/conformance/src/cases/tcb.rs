// SPDX-License-Identifier: MIT OR Apache-2.0

//! Methods of TCBs and their errors (`invocations.md §5`).

use keel::cap::{Blueprint, CNodeData, CPtr};
use keel_abi::{arch::registers::{TLS_BASE, USER_CONTEXT, USER_CONTEXT_WORDS}, config::Options, error::ErrorCode, label, object::TCB_FPU_DISABLED};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{Event, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    read_registers_checks_in_order,
    write_registers_checks_in_order,
    copy_registers_checks_in_order,
    configure_checks_in_order,
    configure_accepts_no_buffer,
    set_space_checks_in_order,
    set_ipc_buffer_checks_in_order,
    fault_endpoints_need_write_and_grant,
    priorities_are_bounded_by_the_authority,
    set_sched_params_checks_in_order,
    set_sched_params_checks_the_sched_context,
    set_sched_params_unbinds,
    bind_notification_checks_in_order,
    unbind_notification_needs_a_binding,
    tls_base_is_set,
    flags_are_kept,
    a_new_tcb_is_inactive_and_plain,
    breakpoint_calls_are_refused,
    a_slot_in_long_deletion_is_not_replaced,
];

/// Registers of a thread.
const CONTEXT: u64 = USER_CONTEXT_WORDS as u64;

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let last = if Options::BUILD.hardware_debug { label::TCB_SET_FLAGS } else { label::CNODE_REVOKE - 1 };
    for label in [0, label::UNTYPED_RETYPE, last + 1, 1 << 40] {
        refuses_label("TCBUnknownLabel/IllegalOperation#1", label, tcb)?;
    }
    Ok(())
}

/// `invocations.md §5.1`.
fn read_registers_checks_in_order(t: &mut Tester) -> Outcome {
    let (own, tcb) = (t.own_tcb(), t.tcb()?);
    refuses("TCBReadRegisters/TruncatedMessage#1", own, &[0], &[], &[])?;
    for count in [0, CONTEXT + 1, u64::MAX] {
        refuses("TCBReadRegisters/RangeError#2", own, &[0, count], &[], &[1, CONTEXT])?;
    }
    refuses("TCBReadRegisters/IllegalOperation#3", own, &[0, CONTEXT], &[], &[])?;
    for count in [1, 3, 4, 5, CONTEXT] {
        let answer = accepts("TCBReadRegisters", tcb, &[0xff00, count], &[])?;
        same("number of registers", count, answer.words().len() as u64)?;
    }
    Ok(())
}

/// `invocations.md §5.1`.
fn write_registers_checks_in_order(t: &mut Tester) -> Outcome {
    let (own, tcb) = (t.own_tcb(), t.tcb()?);
    refuses("TCBWriteRegisters/TruncatedMessage#1", own, &[0], &[], &[])?;
    refuses("TCBWriteRegisters/TruncatedMessage#2", own, &[0, 1], &[], &[])?;
    refuses("TCBWriteRegisters/TruncatedMessage#2", own, &[0, 3, 1, 2], &[], &[])?;
    refuses("TCBWriteRegisters/TruncatedMessage#2", own, &[0, u64::MAX, 1, 2], &[], &[])?;
    refuses("TCBWriteRegisters/IllegalOperation#3", own, &[0, 0], &[], &[])?;
    // More than there are registers: the first ones count.
    let mut words = [0x123; 50];
    words[..2].copy_from_slice(&[0, 48]);
    accepts("TCBWriteRegisters", tcb, &words, &[])?;
    let answer = accepts("TCBReadRegisters", tcb, &[0, CONTEXT], &[])?;
    same("first register", 0x123, answer.word(0))?;
    same("last register", 0x123, answer.word(USER_CONTEXT_WORDS - 1))?;
    // Fewer: the rest stays.
    accepts("TCBWriteRegisters", tcb, &[0, 2, 7, 8], &[])?;
    let answer = accepts("TCBReadRegisters", tcb, &[0, CONTEXT], &[])?;
    same("first register", 7, answer.word(0))?;
    same("second register", 8, answer.word(1))?;
    same("fourth register", 0x123, answer.word(3))
}

/// `invocations.md §5.1`.
fn copy_registers_checks_in_order(t: &mut Tester) -> Outcome {
    let (tcb, other) = (t.tcb()?, t.tcb()?);
    refuses("TCBCopyRegisters/TruncatedMessage#1", tcb, &[], &[CNODE], &[])?;
    refuses("TCBCopyRegisters/TruncatedMessage#1", tcb, &[0], &[], &[])?;
    for wrong in [CNODE, NULL] {
        refuses("TCBCopyRegisters/InvalidCapability#2", tcb, &[0], &[wrong], &[1])?;
    }
    accepts("TCBCopyRegisters", tcb, &[0], &[other])?;
    Ok(())
}

/// Capabilities that cannot be derived: an untyped with children, an unmapped table, a root without ASID.
fn underivable(t: &mut Tester) -> Outcome<[CPtr; 3]> {
    let parent = t.untyped(12)?;
    t.make_from(parent, Blueprint::Endpoint, 1)?;
    Ok([parent, t.make(Blueprint::PageTable)?, t.make(Blueprint::VSpace)?])
}

/// `invocations.md §5.2`, Configure: buffer, then CSpace, then VSpace.
fn configure_checks_in_order(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let [parent, table, root] = underivable(t)?;
    let (frame, node, endpoint) = (t.frame()?, t.cnode(2)?, t.endpoint()?);
    let badged = t.mint(endpoint, ALL, 5)?;
    let device = t.make_from(t.device_untyped(), Blueprint::SmallPage, 1)?;
    let bad = CNodeData::new(0, 63).word();
    let row = "TCBConfigure/TruncatedMessage#1";
    refuses(row, tcb, &[bad, 0], &[node, endpoint, endpoint], &[])?;
    refuses(row, tcb, &[bad, 0, 1], &[node, endpoint], &[])?;
    let at = |row, buffer, cap, detail: &[u64]| {
        refuses(row, tcb, &[bad, 1, buffer], &[node, badged, cap], detail)
    };
    at("TCBConfigure/RevokeFirst#2", 0x1001, parent, &[])?;
    at("TCBConfigure/IllegalOperation#3", 0x1001, table, &[])?;
    at("TCBConfigure/IllegalOperation#3", 0x1001, root, &[])?;
    for wrong in [endpoint, NULL, device] {
        at("TCBConfigure/IllegalOperation#4", 0x1001, wrong, &[])?;
    }
    for address in [0x1001, 0x1200, 0x1008, 1] {
        at("TCBConfigure/AlignmentError#5", address, frame, &[])?;
    }
    at("TCBConfigure/IllegalOperation#7", 0x1400, frame, &[])?;
    let cspace = |row, data, cspace| refuses(row, tcb, &[data, 1, 0], &[cspace, parent, NULL], &[]);
    cspace("TCBConfigure/IllegalOperation#7", bad, node)?;
    cspace("TCBConfigure/IllegalOperation#7", 5, badged)?;
    cspace("TCBConfigure/RevokeFirst#8", 0, parent)?;
    cspace("TCBConfigure/IllegalOperation#9", 0, table)?;
    for wrong in [endpoint, NULL, VSPACE] {
        cspace("TCBConfigure/IllegalOperation#10", 0, wrong)?;
    }
    let vspace = |row, data, vspace| refuses(row, tcb, &[0, data, 0], &[node, vspace, NULL], &[]);
    vspace("TCBConfigure/IllegalOperation#11", 7, badged)?;
    vspace("TCBConfigure/RevokeFirst#12", 0, parent)?;
    vspace("TCBConfigure/IllegalOperation#13", 0, root)?;
    vspace("TCBConfigure/IllegalOperation#13", 0, table)?;
    for wrong in [endpoint, NULL, node, frame] {
        vspace("TCBConfigure/IllegalOperation#14", 0, wrong)?;
    }
    accepts("TCBConfigure", tcb, &[0, 0, 0x1400], &[node, VSPACE, frame])?;
    accepts("TCBConfigure", tcb, &[CNodeData::new(0, 62).word(), 99, 0], &[node, VSPACE, frame])?;
    Ok(())
}

/// `invocations.md §5.2`: with buffer address 0 the frame is not looked at.
fn configure_accepts_no_buffer(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let [parent, table, root] = underivable(t)?;
    for frame in [parent, table, root, NULL, CNODE] {
        accepts("TCBConfigure", tcb, &[0, 0, 0], &[CNODE, VSPACE, frame])?;
        accepts("TCBSetIPCBuffer", tcb, &[0], &[frame])?;
    }
    Ok(())
}

/// `invocations.md §5.2`, SetSpace: CSpace, VSpace, then the fault endpoint.
fn set_space_checks_in_order(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let [parent, table, root] = underivable(t)?;
    let (node, endpoint) = (t.cnode(2)?, t.endpoint()?);
    let (badged, wrong) = (t.mint(endpoint, ALL, 5)?, t.notification()?);
    let bad = CNodeData::new(0, 63).word();
    let row = "TCBSetSpace/TruncatedMessage#1";
    refuses(row, tcb, &[bad], &[wrong, node, badged], &[])?;
    refuses(row, tcb, &[bad, 0], &[wrong, node], &[])?;
    let cspace = |row, data, cspace| refuses(row, tcb, &[data, 1], &[wrong, cspace, parent], &[]);
    cspace("TCBSetSpace/IllegalOperation#3", bad, node)?;
    cspace("TCBSetSpace/IllegalOperation#3", 5, badged)?;
    cspace("TCBSetSpace/RevokeFirst#4", 0, parent)?;
    cspace("TCBSetSpace/IllegalOperation#5", 0, table)?;
    for other in [endpoint, NULL, VSPACE] {
        cspace("TCBSetSpace/IllegalOperation#6", 0, other)?;
    }
    let vspace = |row, data, vspace| refuses(row, tcb, &[0, data], &[wrong, node, vspace], &[]);
    vspace("TCBSetSpace/IllegalOperation#7", 7, badged)?;
    vspace("TCBSetSpace/RevokeFirst#8", 0, parent)?;
    vspace("TCBSetSpace/IllegalOperation#9", 0, root)?;
    for other in [endpoint, NULL, node] {
        vspace("TCBSetSpace/IllegalOperation#10", 0, other)?;
    }
    refuses("TCBSetSpace/InvalidCapability#11", tcb, &[0, 0], &[wrong, node, VSPACE], &[1])?;
    accepts("TCBSetSpace", tcb, &[0, 0], &[NULL, node, VSPACE])?;
    accepts("TCBSetSpace", tcb, &[CNodeData::new(3, 2).word(), 0], &[badged, node, VSPACE])?;
    Ok(())
}

/// `invocations.md §5.2`, SetIPCBuffer.
fn set_ipc_buffer_checks_in_order(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let [parent, table, root] = underivable(t)?;
    let frame = t.frame()?;
    refuses("TCBSetIPCBuffer/TruncatedMessage#1", tcb, &[], &[frame], &[])?;
    refuses("TCBSetIPCBuffer/TruncatedMessage#1", tcb, &[1], &[], &[])?;
    refuses("TCBSetIPCBuffer/RevokeFirst#2", tcb, &[1], &[parent], &[])?;
    refuses("TCBSetIPCBuffer/IllegalOperation#3", tcb, &[1], &[table], &[])?;
    refuses("TCBSetIPCBuffer/IllegalOperation#3", tcb, &[1], &[root], &[])?;
    for wrong in [NULL, CNODE, VSPACE] {
        refuses("TCBSetIPCBuffer/IllegalOperation#4", tcb, &[1], &[wrong], &[])?;
    }
    for address in [1, 0x200, 0x7ff, 0x1000_0000_0001] {
        refuses("TCBSetIPCBuffer/AlignmentError#5", tcb, &[address], &[frame], &[])?;
    }
    accepts("TCBSetIPCBuffer", tcb, &[0x7c00], &[frame])?;
    // The frame need not be mapped, and a read-only one will do.
    let read_only = t.copy(frame, READ)?;
    accepts("TCBSetIPCBuffer", tcb, &[0x400], &[read_only])?;
    Ok(())
}

/// `invocations.md §5.2`: a valid fault endpoint is null, or has Write and Grant or GrantReply.
fn fault_endpoints_need_write_and_grant(t: &mut Tester) -> Outcome {
    let (tcb, node, endpoint) = (t.tcb()?, t.cnode(1)?, t.endpoint()?);
    refuses("TCBSetTimeoutEndpoint/TruncatedMessage#1", tcb, &[], &[], &[])?;
    let weak = [READ, WRITE, GRANT, GRANT_REPLY, READ | WRITE, READ | GRANT | GRANT_REPLY, 0];
    for rights in weak {
        let cap = t.copy(endpoint, rights)?;
        refuses("TCBSetTimeoutEndpoint/InvalidCapability#2", tcb, &[], &[cap], &[1])?;
        refuses("TCBSetSpace/InvalidCapability#11", tcb, &[0, 0], &[cap, node, VSPACE], &[1])?;
        let params = [AUTHORITY, NULL, cap];
        refuses("TCBSetSchedParams/InvalidCapability#10", tcb, &[1, 1], &params, &[3])?;
    }
    for wrong in [t.reply()?, t.notification()?, tcb] {
        refuses("TCBSetTimeoutEndpoint/InvalidCapability#2", tcb, &[], &[wrong], &[1])?;
    }
    for rights in [WRITE | GRANT, WRITE | GRANT_REPLY, ALL] {
        let cap = t.copy(endpoint, rights)?;
        accepts("TCBSetTimeoutEndpoint", tcb, &[], &[cap])?;
        accepts("TCBSetSpace", tcb, &[0, 0], &[cap, node, VSPACE])?;
        accepts("TCBSetSchedParams", tcb, &[1, 1], &[AUTHORITY, NULL, cap])?;
    }
    accepts("TCBSetTimeoutEndpoint", tcb, &[], &[NULL])?;
    Ok(())
}

/// `invocations.md §5.2`, SetPriority and SetMCPriority.
fn priorities_are_bounded_by_the_authority(t: &mut Tester) -> Outcome {
    let (tcb, weak, own) = (t.tcb()?, t.tcb()?, t.own_tcb());
    accepts("TCBSetMCPriority", weak, &[5], &[own])?;
    for method in ["TCBSetPriority", "TCBSetMCPriority"] {
        let short = [method, "/TruncatedMessage#1"];
        refuses_with(&short, None, tcb, &[], &[CNODE], &[])?;
        refuses_with(&short, None, tcb, &[999], &[], &[])?;
        for wrong in [CNODE, NULL] {
            refuses_with(&[method, "/InvalidCapability#2"], None, tcb, &[999], &[wrong], &[1])?;
        }
        let range = [method, "/RangeError#3"];
        for value in [CASE_MCP + 1, 256, u64::MAX] {
            refuses_with(&range, None, tcb, &[value], &[own], &[0, CASE_MCP])?;
        }
        refuses_with(&range, None, tcb, &[6], &[weak], &[0, 5])?;
    }
    for method in ["TCBSetPriority", "TCBSetMCPriority"] {
        accepts(method, tcb, &[CASE_MCP], &[own])?;
        accepts(method, tcb, &[5], &[weak])?;
        accepts(method, tcb, &[0], &[weak])?;
    }
    // A new TCB is no authority for anything but 0.
    let new = t.tcb()?;
    refuses("TCBSetPriority/RangeError#3", tcb, &[1], &[new], &[0, 0])
}

/// `invocations.md §5.2`, SetSchedParams.
fn set_sched_params_checks_in_order(t: &mut Tester) -> Outcome {
    let (own, wrong) = (t.own_tcb(), t.notification()?);
    let authority = t.tcb()?;
    accepts("TCBSetMCPriority", authority, &[9], &[own])?;
    let at = |row, words: &[u64], caps: &[CPtr], detail: &[u64]| refuses(row, own, words, caps, detail);
    at("TCBSetSchedParams/TruncatedMessage#1", &[99], &[wrong, wrong, wrong], &[])?;
    at("TCBSetSchedParams/TruncatedMessage#1", &[99, 99], &[wrong, wrong], &[])?;
    at("TCBSetSchedParams/InvalidCapability#2", &[99, 99], &[wrong, wrong, wrong], &[1])?;
    at("TCBSetSchedParams/RangeError#3", &[10, 10], &[authority, wrong, wrong], &[0, 9])?;
    at("TCBSetSchedParams/RangeError#4", &[9, 10], &[authority, wrong, wrong], &[0, 9])?;
    at("TCBSetSchedParams/IllegalOperation#8", &[9, 9], &[authority, NULL, wrong], &[])?;
    at("TCBSetSchedParams/InvalidCapability#9", &[9, 9], &[authority, wrong, wrong], &[2])?;
    let sc = t.own_sched_context();
    at("TCBSetSchedParams/InvalidCapability#10", &[9, 9], &[authority, sc, wrong], &[3])
}

/// The same, of the scheduling context.
fn set_sched_params_checks_the_sched_context(t: &mut Tester) -> Outcome {
    let (wrong, bound) = (t.notification()?, t.own_sched_context());
    let (sc, unconfigured) = (t.time(SLICE_US, SLICE_US)?, t.sched_context()?);
    let endpoint = t.endpoint()?;
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::wait(endpoint))?;
    let at = |row, tcb, sc| refuses(row, tcb, &[1, 1], &[AUTHORITY, sc, wrong], &[]);
    at("TCBSetSchedParams/IllegalOperation#5", puppet.tcb, bound)?;
    at("TCBSetSchedParams/IllegalOperation#5", puppet.tcb, sc)?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    at("TCBSetSchedParams/IllegalOperation#6", puppet.tcb, bound)?;
    at("TCBSetSchedParams/IllegalOperation#7", puppet.tcb, unconfigured)?;
    // A thread that does not wait takes a context without time.
    let tcb = t.tcb()?;
    accepts("TCBSetSchedParams", tcb, &[1, 1], &[AUTHORITY, unconfigured, NULL])?;
    // The own context again is no change.
    accepts("TCBSetSchedParams", tcb, &[1, 1], &[AUTHORITY, unconfigured, NULL])?;
    accepts("TCBSetSchedParams", puppet.tcb, &[1, ABOVE], &[AUTHORITY, sc, puppet.done])?;
    same("badge", 0, keel::sys::nb_wait(endpoint).badge)
}

/// `invocations.md §5.2`: a null scheduling context unbinds the present one.
fn set_sched_params_unbinds(t: &mut Tester) -> Outcome {
    let (first, second) = (t.tcb()?, t.tcb()?);
    let sc = t.time(SLICE_US, SLICE_US)?;
    accepts("TCBSetSchedParams", first, &[1, 1], &[AUTHORITY, sc, NULL])?;
    let row = "TCBSetSchedParams/IllegalOperation#6";
    refuses(row, second, &[1, 1], &[AUTHORITY, sc, NULL], &[])?;
    accepts("TCBSetSchedParams", first, &[1, 1], &[AUTHORITY, NULL, NULL])?;
    accepts("TCBSetSchedParams", second, &[1, 1], &[AUTHORITY, sc, NULL])?;
    Ok(())
}

/// `invocations.md §5.2`, BindNotification.
fn bind_notification_checks_in_order(t: &mut Tester) -> Outcome {
    let (tcb, bound) = (t.tcb()?, t.tcb()?);
    let (notification, waited_for, free) = (t.notification()?, t.notification()?, t.notification()?);
    accepts("TCBBindNotification", bound, &[], &[notification])?;
    refuses("TCBBindNotification/TruncatedMessage#1", bound, &[], &[], &[])?;
    for any in [free, CNODE, NULL] {
        refuses("TCBBindNotification/IllegalOperation#2", bound, &[], &[any], &[])?;
    }
    for wrong in [CNODE, NULL] {
        refuses("TCBBindNotification/IllegalOperation#3", tcb, &[], &[wrong], &[])?;
    }
    let unreadable = t.copy(free, WRITE)?;
    refuses("TCBBindNotification/IllegalOperation#4", tcb, &[], &[unreadable], &[])?;
    refuses("TCBBindNotification/IllegalOperation#5", tcb, &[], &[notification], &[])?;
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::wait(waited_for))?;
    refuses("TCBBindNotification/IllegalOperation#5", tcb, &[], &[waited_for], &[])?;
    let readable = t.copy(free, READ)?;
    accepts("TCBBindNotification", tcb, &[], &[readable])?;
    accepts("TCBUnbindNotification", tcb, &[], &[])?;
    // An active notification can be bound.
    keel::sys::send(free, Default::default(), [0; 4]);
    accepts("TCBBindNotification", tcb, &[], &[free])?;
    Ok(())
}

/// `invocations.md §5.2`.
fn unbind_notification_needs_a_binding(t: &mut Tester) -> Outcome {
    let (tcb, notification) = (t.tcb()?, t.notification()?);
    let row = "TCBUnbindNotification/IllegalOperation#1";
    refuses(row, tcb, &[], &[], &[])?;
    accepts("TCBBindNotification", tcb, &[], &[notification])?;
    // Deleting the notification unbinds it.
    t.delete(notification)?;
    refuses(row, tcb, &[], &[], &[])
}

/// `invocations.md §5.2`: SetTLSBase writes the register as it is.
fn tls_base_is_set(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    refuses("TCBSetTLSBase/TruncatedMessage#1", puppet.tcb, &[], &[], &[])?;
    for value in [0x1234_5678, u64::MAX, 0xffff_0000_0000_0001] {
        accepts("TCBSetTLSBase", puppet.tcb, &[value], &[])?;
        let (expected, got) = machine::visible(TLS_BASE, value, puppet.registers()?.get(TLS_BASE));
        same("thread pointer", expected, got)?;
    }
    Ok(())
}

/// `invocations.md §5.2`: flags := (flags & !clear) | (set & 1).
fn flags_are_kept(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    refuses("TCBSetFlags/TruncatedMessage#1", tcb, &[0], &[], &[])?;
    for (clear, set, flags) in [(0, 0, 0), (0, !1, 0), (0, 1, 1), (0, 0, 1), (!1, 0, 1), (1, 1, 1), (1, 0, 0), (0, !0, 1)] {
        let answer = accepts("TCBSetFlags", tcb, &[clear, set], &[])?;
        same("flags", flags, answer.word(0))?;
    }
    same("fpuDisabled", TCB_FPU_DISABLED, 1)
}

/// `objects.md §5`: registers zero but for flags; inactive; no capabilities.
fn a_new_tcb_is_inactive_and_plain(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    let answer = accepts("TCBReadRegisters", tcb, &[0, CONTEXT], &[])?;
    for (register, &word) in USER_CONTEXT.into_iter().zip(answer.words()) {
        let (expected, got) = machine::visible(register, 0, word);
        same("a register of a new thread", expected, got)?;
    }
    refuses("TCBUnbindNotification/IllegalOperation#1", tcb, &[], &[], &[])?;
    // With time but not resumed it does not run: it would fault at address 0, and report.
    let (sc, endpoint) = (t.time(SLICE_US, SLICE_US)?, t.endpoint()?);
    accepts("TCBSetSchedParams", tcb, &[0, ABOVE], &[AUTHORITY, sc, endpoint])?;
    same("label of a fault", 0, keel::sys::nb_wait(endpoint).info.label())?;
    accepts("TCBResume", tcb, &[], &[])?;
    same("VMFault", keel_abi::fault::VM_FAULT, keel::sys::nb_wait(endpoint).info.label())
}

/// With the breakpoint calls in the numbering, they are refused as long as they are not there.
fn breakpoint_calls_are_refused(t: &mut Tester) -> Outcome {
    if !Options::BUILD.hardware_debug {
        return skip("the numbering has no breakpoint calls");
    }
    let puppet = t.puppet(ABOVE)?;
    for label in [
        label::TCB_SET_BREAKPOINT,
        label::TCB_GET_BREAKPOINT,
        label::TCB_UNSET_BREAKPOINT,
        label::TCB_CONFIGURE_SINGLE_STEPPING,
    ] {
        fails(ErrorCode::IllegalOperation, label, puppet.tcb, &[0; 5], &[], &[])?;
    }
    puppet.runs_code(machine::nothing(), &[])?;
    match puppet.event()? {
        Event::Done(_) => Ok(()),
        other => Err(differ("the end", Shown::Text(""), Shown::Any(&other))),
    }
}

/// `invocations.md §5.2`: while the deletion of the old CSpace is interrupted, others are refused.
fn a_slot_in_long_deletion_is_not_replaced(t: &mut Tester) -> Outcome {
    let (target, node, endpoint) = (t.tcb()?, t.cnode(12)?, t.endpoint()?);
    for index in 0..4096 {
        accepts("CNodeCopy", node, &[index, 12, endpoint.bits(), DEPTH, ALL], &[CNODE])?;
    }
    accepts("TCBSetSpace", target, &[0, 0], &[NULL, node, VSPACE])?;
    // The TCB holds the CNode's last capability now.
    t.delete(node)?;
    let puppet = t.puppet(BELOW)?;
    puppet.buffer().set_caps(&[NULL, CNODE, VSPACE]);
    t.sleep(100)?;
    puppet.start(Syscall::call(target).words(&[0, 0]).info(label::TCB_SET_SPACE, 3, 2))?;
    t.sleep(100)?;
    refuses("TCBSetSpace/IllegalOperation#2", target, &[0, 0], &[NULL, CNODE, VSPACE], &[])?;
    refuses("TCBConfigure/IllegalOperation#6", target, &[0, 0, 0], &[CNODE, VSPACE, NULL], &[])?;
    t.settle()?;
    same("message info", 0, puppet.done()?.info.word())
}
