// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts: control and handlers (`invocations.md §7`, `semantics.md §9`).
//!
//! The machine's interrupts that are used here: one that a case can raise itself ([`Line`]), and one of no
//! device.

use keel::{cap::CPtr, sys};
use keel_abi::{arch::label as machine_label, label};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{ISSUE, ISSUE_IN_USE, Line, SPARE_IRQ, issue},
    puppet::Syscall,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    handlers_set_checks_in_order,
    a_handler_frees_its_number,
    control_is_parent_of_handlers,
    an_interrupt_signals_its_notification,
    an_interrupt_waits_for_the_acknowledgement,
    an_interrupt_without_notification_is_dropped,
    clear_removes_the_notification,
    set_replaces_the_notification,
    deleting_the_notification_clears_the_handler,
    any_system_call_acknowledges,
    an_interrupt_wakes_a_passive_driver,
    copies_of_a_handler_are_equivalent,
];

/// A handler for an interrupt.
pub fn handler(t: &mut Tester, irq: u64) -> Outcome<CPtr> {
    let slot = t.slot()?;
    accepts(ISSUE, IRQ_CONTROL, &issue(irq, slot.bits()), &[CNODE])?;
    Ok(slot)
}

/// The badge that a notification has got; 0 if none.
pub fn poll(notification: CPtr) -> u64 {
    sys::nb_wait(notification).badge
}

/// An interrupt with its handler, and a notification that it signals.
struct Driver {
    line: Line,
    handler: CPtr,
    notification: CPtr,
}

/// One that signals with this badge.
fn driver(t: &mut Tester, badge: u64) -> Outcome<Driver> {
    let (line, handler, notification) = (Line::new(t)?, handler(t, Line::IRQ)?, t.notification()?);
    let badged = t.mint(notification, WRITE, badge)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    Ok(Driver { line, handler, notification })
}

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    for label in [0, label::IRQ_ACK_IRQ, machine_label::PAGE_MAP] {
        refuses_label("IRQControlUnknownLabel/IllegalOperation#1", label, IRQ_CONTROL)?;
    }
    let handler = handler(t, SPARE_IRQ)?;
    for label in [0, label::IRQ_ISSUE_IRQ_HANDLER, label::IRQ_CLEAR_IRQ_HANDLER + 1] {
        refuses_label("IRQHandlerUnknownLabel/IllegalOperation#1", label, handler)?;
    }
    Ok(())
}

/// `invocations.md §7`, SetIRQHandler: a wrong capability is reported as number 0.
fn handlers_set_checks_in_order(t: &mut Tester) -> Outcome {
    let (handler, notification) = (handler(t, SPARE_IRQ)?, t.notification()?);
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
    let (first, slot) = (handler(t, SPARE_IRQ)?, t.slot()?);
    let copy = t.copy(first, ALL)?;
    t.delete(first)?;
    let words = issue(SPARE_IRQ, slot.bits());
    refuses(ISSUE_IN_USE, IRQ_CONTROL, &words, &[CNODE], &[])?;
    t.delete(copy)?;
    accepts(ISSUE, IRQ_CONTROL, &words, &[CNODE])?;
    Ok(())
}

/// `semantics.md §2`: handlers are children of IRQControl.
fn control_is_parent_of_handlers(t: &mut Tester) -> Outcome {
    let handler = handler(t, SPARE_IRQ)?;
    let copy = t.copy(handler, ALL)?;
    t.revoke(IRQ_CONTROL)?;
    t.is_empty(handler, true)?;
    t.is_empty(copy, true)
}

/// `semantics.md §9`: the notification gets the badge of the capability given.
fn an_interrupt_signals_its_notification(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 0x55)?;
    same("badge before", 0, poll(notification))?;
    line.raise();
    same("badge", 0x55, poll(notification))?;
    same("badge afterwards", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    line.raise();
    same("badge of the second", 0x55, poll(notification))
}

/// `semantics.md §9`: not again until Ack.
fn an_interrupt_waits_for_the_acknowledgement(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 1)?;
    line.raise();
    same("badge", 1, poll(notification))?;
    line.set(true);
    same("badge before the acknowledgement", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    same("badge after it", 1, poll(notification))?;
    line.set(false);
    accepts("IRQAckIRQ", handler, &[], &[])?;
    same("badge when the line is inactive", 0, poll(notification))
}

/// `semantics.md §9`: it is dropped, and comes again after Ack.
fn an_interrupt_without_notification_is_dropped(t: &mut Tester) -> Outcome {
    let (line, handler, notification) = (Line::new(t)?, handler(t, Line::IRQ)?, t.notification()?);
    line.raise();
    accepts("IRQSetIRQHandler", handler, &[], &[notification])?;
    let badged = t.mint(notification, ALL, 9)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    same("badge of the dropped one", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    line.raise();
    same("badge of the next", 9, poll(notification))
}

/// `semantics.md §9`: Clear.
fn clear_removes_the_notification(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 3)?;
    accepts("IRQClearIRQHandler", handler, &[], &[])?;
    line.raise();
    same("badge", 0, poll(notification))
}

/// `semantics.md §9`: SetNotification replaces an earlier one.
fn set_replaces_the_notification(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification: old } = driver(t, 3)?;
    let new = t.notification()?;
    let badged = t.mint(new, ALL, 4)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    line.raise();
    same("badge of the old", 0, poll(old))?;
    same("badge of the new", 4, poll(new))
}

/// `semantics.md §9`: the copy in the kernel's slot is a child like others, and goes by revocation.
fn deleting_the_notification_clears_the_handler(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 3)?;
    t.revoke(notification)?;
    line.raise();
    same("badge", 0, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    Ok(())
}

/// `syscalls.md §7`: in Send, NBSend and first phases too, where no answer comes.
fn any_system_call_acknowledges(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 1)?;
    let (puppet, idle) = (t.puppet(ABOVE)?, t.notification()?);
    for ack in [Syscall::send(handler), Syscall::nb_send(handler)] {
        line.raise();
        same("badge", 1, poll(notification))?;
        puppet.does(ack.info(label::IRQ_ACK_IRQ, 0, 0))?;
    }
    line.raise();
    same("badge", 1, poll(notification))?;
    puppet.blocks(Syscall::nb_send_wait(handler, idle).info(label::IRQ_ACK_IRQ, 0, 0))?;
    line.raise();
    same("badge", 1, poll(notification))
}

/// `semantics.md §9`: the interrupt's notification donates its context.
fn an_interrupt_wakes_a_passive_driver(t: &mut Tester) -> Outcome {
    let Driver { line, notification, .. } = driver(t, 0x77)?;
    let puppet = t.puppet(ABOVE)?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    puppet.blocks(Syscall::wait(notification))?;
    // It runs on the notification's context now, only.
    refuses("SchedContextUnbindObject/IllegalOperation#2", puppet.sc, &[], &[puppet.tcb], &[])?;
    line.raise();
    puppet.done()?.is_signal(0x77)
}

/// `semantics.md §9`.
fn copies_of_a_handler_are_equivalent(t: &mut Tester) -> Outcome {
    let Driver { line, handler, notification } = driver(t, 2)?;
    let copy = t.copy(handler, 0)?;
    line.raise();
    same("badge", 2, poll(notification))?;
    accepts("IRQAckIRQ", copy, &[], &[])?;
    t.delete(handler)?;
    line.raise();
    same("badge after one copy is gone", 2, poll(notification))
}
