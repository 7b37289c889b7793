// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts: control, handlers, software generated ones (`invocations.md §7`, `semantics.md §9`).
//!
//! The machine's interrupts that are used here: software generated ones (0–15), which a case can raise
//! itself, and a shared one of no device.

use keel::{cap::CPtr, sys};
use keel_abi::{aarch64::label as machine_label, label};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine,
    puppet::Syscall,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    get_checks_in_order,
    get_looks_up_the_slot,
    trigger_checks_in_order,
    trigger_looks_up_the_slot,
    sgi_signal_checks_in_order,
    sgi_signal_looks_up_the_slot,
    the_kernels_timer_is_in_use,
    handlers_set_checks_in_order,
    a_handler_frees_its_number,
    control_is_parent_of_handlers,
    an_interrupt_signals_its_notification,
    an_interrupt_waits_for_the_acknowledgement,
    an_interrupt_without_notification_is_dropped,
    clear_removes_the_notification,
    set_replaces_the_notification,
    deleting_the_notification_clears_the_handler,
    any_label_sends_the_software_interrupt,
    any_system_call_sends_the_software_interrupt,
    an_interrupt_wakes_a_passive_driver,
    copies_of_a_handler_are_equivalent,
];

/// A shared interrupt that no device has.
const SPARE: u64 = 150;
/// The interrupt of the physical timer.
const PHYSICAL_TIMER: u64 = 30;
/// The interrupt of the kernel's timer.
const TIMER: u64 = 27;

fn handler(t: &mut Tester, irq: u64) -> Outcome<CPtr> {
    let slot = t.slot()?;
    accepts("IRQIssueIRQHandler", IRQ_CONTROL, &[irq, slot.bits(), DEPTH], &[CNODE])?;
    Ok(slot)
}

/// A capability that raises a software interrupt on this core.
fn sgi(t: &mut Tester, number: u64) -> Outcome<CPtr> {
    let slot = t.slot()?;
    accepts("ARMIRQIssueSGISignal", IRQ_CONTROL, &[number, 0, slot.bits(), DEPTH], &[CNODE])?;
    Ok(slot)
}

fn raise(sgi: CPtr) -> Outcome {
    accepts("ARMSGISignal", sgi, &[], &[])?;
    Ok(())
}

fn poll(notification: CPtr) -> u64 {
    sys::nb_wait(notification).badge
}

/// Handler for software interrupt `irq`, what raises it, and a notification that it signals with `badge`.
fn driver(t: &mut Tester, irq: u64, badge: u64) -> Outcome<(CPtr, CPtr, CPtr)> {
    let (handler, sgi, notification) = (handler(t, irq)?, sgi(t, irq)?, t.notification()?);
    let badged = t.mint(notification, WRITE, badge)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    Ok((handler, sgi, notification))
}

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    for label in [0, label::IRQ_ACK_IRQ, machine_label::PAGE_MAP] {
        refuses_label("IRQControlUnknownLabel/IllegalOperation#1", label, IRQ_CONTROL)?;
    }
    let handler = handler(t, SPARE)?;
    for label in [0, label::IRQ_ISSUE_IRQ_HANDLER, label::IRQ_CLEAR_IRQ_HANDLER + 1] {
        refuses_label("IRQHandlerUnknownLabel/IllegalOperation#1", label, handler)?;
    }
    Ok(())
}

/// The highest interrupt, as the kernel names it.
fn last_interrupt() -> Outcome<u64> {
    let answer = call(IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[u64::MAX, 0, 0], &[CNODE]);
    let last = answer.word(1);
    within("interrupts of the machine", SPARE, 1019, last)?;
    Ok(last)
}

/// `invocations.md §7`, Get.
fn get_checks_in_order(t: &mut Tester) -> Outcome {
    let (last, full) = (last_interrupt()?, t.endpoint()?);
    let row = "IRQIssueIRQHandler/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0], &[], &[])?;
    for irq in [last + 1, u64::MAX, 1 << 32] {
        refuses("IRQIssueIRQHandler/RangeError#2", IRQ_CONTROL, &[irq, 0, 65], &[NULL], &[0, last])?;
    }
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &[TIMER, 0, 65], &[NULL], &[])?;
    handler(t, SPARE)?;
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &[SPARE, 0, 65], &[NULL], &[])?;
    let words = [SPARE + 1, full.bits(), DEPTH];
    refuses("IRQIssueIRQHandler/DeleteFirst#7", IRQ_CONTROL, &words, &[CNODE], &[])?;
    handler(t, last)?;
    handler(t, 0)?;
    Ok(())
}

/// `invocations.md §7`, Get.
fn get_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "IRQIssueIRQHandler", step: "#6", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(IRQ_CONTROL, &[SPARE, index, depth], &[root]))
}

/// `invocations.md §7`, GetTrigger.
fn trigger_checks_in_order(t: &mut Tester) -> Outcome {
    let (last, full) = (last_interrupt()?, t.endpoint()?);
    let row = "ARMIRQIssueIRQHandlerTrigger/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0, 0], &[], &[])?;
    let row = "ARMIRQIssueIRQHandlerTrigger/RangeError#3";
    for irq in [last + 1, u64::MAX] {
        refuses(row, IRQ_CONTROL, &[irq, 0, 0, 65], &[NULL], &[0, last])?;
    }
    let row = "ARMIRQIssueIRQHandlerTrigger/RevokeFirst#5";
    refuses(row, IRQ_CONTROL, &[TIMER, 0, 0, 65], &[NULL], &[])?;
    handler(t, SPARE)?;
    refuses(row, IRQ_CONTROL, &[SPARE, 0, 0, 65], &[NULL], &[])?;
    let row = "ARMIRQIssueIRQHandlerTrigger/DeleteFirst#7";
    refuses(row, IRQ_CONTROL, &[SPARE + 1, 0, full.bits(), DEPTH], &[CNODE], &[])?;
    for (irq, trigger) in [(SPARE + 1, 0), (SPARE + 2, 1), (SPARE + 3, u64::MAX)] {
        let slot = t.slot()?;
        let words = [irq, trigger, slot.bits(), DEPTH];
        accepts("ARMIRQIssueIRQHandlerTrigger", IRQ_CONTROL, &words, &[CNODE])?;
        accepts("IRQAckIRQ", slot, &[], &[])?;
    }
    Ok(())
}

/// `invocations.md §7`, GetTrigger.
fn trigger_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "ARMIRQIssueIRQHandlerTrigger", step: "#6", side: 0 };
    lookup.fails(t, |root, index, depth| {
        Request::new(IRQ_CONTROL, &[SPARE, 1, index, depth], &[root])
    })
}

/// `invocations.md §7`, IssueSGISignal.
fn sgi_signal_checks_in_order(t: &mut Tester) -> Outcome {
    let full = t.endpoint()?;
    let row = "ARMIRQIssueSGISignal/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[99, 99, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[99, 99, 0, 65], &[], &[])?;
    for number in [16, 99, u64::MAX] {
        let row = "ARMIRQIssueSGISignal/RangeError#3";
        refuses(row, IRQ_CONTROL, &[number, u64::MAX, 0, 65], &[NULL], &[0, 15])?;
    }
    for target in [u64::MAX, 1 << 32] {
        let row = "ARMIRQIssueSGISignal/InvalidArgument#4";
        refuses(row, IRQ_CONTROL, &[15, target, 0, 65], &[NULL], &[1])?;
    }
    let words = [15, 0, full.bits(), DEPTH];
    refuses("ARMIRQIssueSGISignal/DeleteFirst#6", IRQ_CONTROL, &words, &[CNODE], &[])?;
    sgi(t, 15)?;
    // Another one for the same number is no conflict.
    sgi(t, 15)?;
    Ok(())
}

/// `invocations.md §7`, IssueSGISignal.
fn sgi_signal_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "ARMIRQIssueSGISignal", step: "#5", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(IRQ_CONTROL, &[3, 0, index, depth], &[root]))
}

/// `boot.md §7`.
fn the_kernels_timer_is_in_use(t: &mut Tester) -> Outcome {
    let slot = t.slot()?;
    let words = [TIMER, slot.bits(), DEPTH];
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &words, &[CNODE], &[])?;
    t.is_empty(slot, true)
}

/// `invocations.md §7`, SetIRQHandler: a wrong capability is reported as number 0.
fn handlers_set_checks_in_order(t: &mut Tester) -> Outcome {
    let (handler, notification) = (handler(t, SPARE)?, t.notification()?);
    let unwritable = t.copy(notification, READ)?;
    refuses("IRQSetIRQHandler/TruncatedMessage#1", handler, &[], &[], &[])?;
    for wrong in [NULL, CNODE, t.endpoint()?] {
        refuses("IRQSetIRQHandler/InvalidCapability#2", handler, &[], &[wrong], &[0])?;
    }
    refuses("IRQSetIRQHandler/InvalidCapability#3", handler, &[], &[unwritable], &[0])?;
    let writable = t.copy(notification, WRITE)?;
    accepts("IRQSetIRQHandler", handler, &[], &[writable])?;
    accepts("IRQClearIRQHandler", handler, &[], &[])?;
    accepts("IRQClearIRQHandler", handler, &[], &[])?;
    Ok(())
}

/// `semantics.md §9`: deleting the last handler frees the number.
fn a_handler_frees_its_number(t: &mut Tester) -> Outcome {
    let (first, slot) = (handler(t, SPARE)?, t.slot()?);
    let copy = t.copy(first, ALL)?;
    t.delete(first)?;
    let words = [SPARE, slot.bits(), DEPTH];
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &words, &[CNODE], &[])?;
    t.delete(copy)?;
    accepts("IRQIssueIRQHandler", IRQ_CONTROL, &words, &[CNODE])?;
    Ok(())
}

/// `semantics.md §2`: handlers and SGI signals are children of IRQControl.
fn control_is_parent_of_handlers(t: &mut Tester) -> Outcome {
    let (handler, sgi) = (handler(t, SPARE)?, sgi(t, 4)?);
    let copy = t.copy(sgi, ALL)?;
    t.revoke(IRQ_CONTROL)?;
    for slot in [handler, sgi, copy] {
        t.is_empty(slot, true)?;
    }
    Ok(())
}

/// `semantics.md §9`: the notification gets the badge of the capability given.
fn an_interrupt_signals_its_notification(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 5, 0x55)?;
    same("badge before", 0, poll(notification))?;
    raise(sgi)?;
    same("badge", 0x55, poll(notification))?;
    same("badge afterwards", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    raise(sgi)?;
    same("badge of the second", 0x55, poll(notification))
}

/// `semantics.md §9`: not again until Ack. By the physical timer, which user level may use, as software
/// interrupts cannot be masked on every controller.
fn an_interrupt_waits_for_the_acknowledgement(t: &mut Tester) -> Outcome {
    let (handler, notification) = (handler(t, PHYSICAL_TIMER)?, t.notification()?);
    let badged = t.mint(notification, WRITE, 1)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    machine::set_physical_timer(true);
    let first = poll(notification);
    let second = poll(notification);
    accepts("IRQAckIRQ", handler, &[], &[])?;
    let third = poll(notification);
    machine::set_physical_timer(false);
    accepts("IRQAckIRQ", handler, &[], &[])?;
    same("badge", 1, first)?;
    same("badge before the acknowledgement", 0, second)?;
    same("badge after it", 1, third)?;
    same("badge when it is off", 0, poll(notification))
}

/// `semantics.md §9`: it is dropped, and comes again after Ack.
fn an_interrupt_without_notification_is_dropped(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = (handler(t, 7)?, sgi(t, 7)?, t.notification()?);
    raise(sgi)?;
    accepts("IRQSetIRQHandler", handler, &[], &[notification])?;
    let badged = t.mint(notification, ALL, 9)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    same("badge of the dropped one", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    raise(sgi)?;
    same("badge of the next", 9, poll(notification))
}

/// `semantics.md §9`: Clear.
fn clear_removes_the_notification(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 8, 3)?;
    accepts("IRQClearIRQHandler", handler, &[], &[])?;
    raise(sgi)?;
    same("badge", 0, poll(notification))
}

/// `semantics.md §9`: SetNotification replaces an earlier one.
fn set_replaces_the_notification(t: &mut Tester) -> Outcome {
    let (handler, sgi, old) = driver(t, 9, 3)?;
    let new = t.notification()?;
    let badged = t.mint(new, ALL, 4)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    raise(sgi)?;
    same("badge of the old", 0, poll(old))?;
    same("badge of the new", 4, poll(new))
}

/// `semantics.md §9`: the copy in the kernel's slot is a child like others, and goes by revocation.
fn deleting_the_notification_clears_the_handler(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 10, 3)?;
    t.revoke(notification)?;
    raise(sgi)?;
    same("badge", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    Ok(())
}

/// `invocations.md §7`: any label invokes it, no arguments.
fn any_label_sends_the_software_interrupt(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 11, 1)?;
    for label in [0, 1, label::CNODE_COPY, (1 << 52) - 1] {
        let answer = call(sgi, label, &[9; 5], &[CNODE]);
        same("message info", 0, answer.info.word())?;
        same("badge", 1, poll(notification))?;
        accepts("IRQAckIRQ", handler, &[], &[])?;
    }
    Ok(())
}

/// `syscalls.md §7`: in Send, NBSend and first phases too.
fn any_system_call_sends_the_software_interrupt(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 12, 1)?;
    let (puppet, idle) = (t.puppet(ABOVE)?, t.notification()?);
    for call in [Syscall::send(sgi), Syscall::nb_send(sgi)] {
        puppet.does(call)?;
        same("badge", 1, poll(notification))?;
        // And the acknowledgement, deferred: no answer comes.
        let ack = Syscall::nb_send(handler).info(label::IRQ_ACK_IRQ, 0, 0);
        puppet.does(ack)?;
    }
    puppet.blocks(Syscall::nb_send_wait(sgi, idle))?;
    same("badge", 1, poll(notification))?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    let ack = Syscall::nb_send_wait(handler, idle).info(label::IRQ_ACK_IRQ, 0, 0);
    puppet.blocks(ack)?;
    raise(sgi)?;
    same("badge", 1, poll(notification))
}

/// `semantics.md §9`: the interrupt's notification donates its context.
fn an_interrupt_wakes_a_passive_driver(t: &mut Tester) -> Outcome {
    let (_, sgi, notification) = driver(t, 13, 0x77)?;
    let puppet = t.puppet(ABOVE)?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    puppet.blocks(Syscall::wait(notification))?;
    // It runs on the notification's context now, only.
    refuses("SchedContextUnbindObject/IllegalOperation#2", puppet.sc, &[], &[puppet.tcb], &[])?;
    raise(sgi)?;
    puppet.done()?.is_signal(0x77)
}

/// `semantics.md §9`.
fn copies_of_a_handler_are_equivalent(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 14, 2)?;
    let copy = t.copy(handler, 0)?;
    raise(sgi)?;
    same("badge", 2, poll(notification))?;
    accepts("IRQAckIRQ", copy, &[], &[])?;
    t.delete(handler)?;
    raise(sgi)?;
    same("badge after one copy is gone", 2, poll(notification))
}
