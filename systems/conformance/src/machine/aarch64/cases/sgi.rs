// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts, as far as they are Arm's own: triggers, and software generated ones (`invocations.md §7`).

use keel::cap::CPtr;
use keel_abi::label;

use crate::{
    cases::{
        Case,
        irq::{handler, poll},
    },
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine::{SPARE_IRQ, numbered::last_interrupt, timer_irq},
    puppet::Syscall,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    trigger_checks_in_order,
    trigger_looks_up_the_slot,
    signal_checks_in_order,
    signal_looks_up_the_slot,
    control_is_parent_of_signals,
    any_label_sends_the_software_interrupt,
    any_system_call_sends_the_software_interrupt,
];

/// A capability that raises a software interrupt on this core.
pub fn sgi(t: &mut Tester, number: u64) -> Outcome<CPtr> {
    let slot = t.slot()?;
    accepts("ARMIRQIssueSGISignal", IRQ_CONTROL, &[number, 0, slot.bits(), DEPTH], &[CNODE])?;
    Ok(slot)
}

/// Handler for software interrupt `irq`, what raises it, and a notification that it signals with badge 1.
fn driver(t: &mut Tester, irq: u64) -> Outcome<(CPtr, CPtr, CPtr)> {
    let (handler, sgi, notification) = (handler(t, irq)?, sgi(t, irq)?, t.notification()?);
    let badged = t.mint(notification, WRITE, 1)?;
    accepts("IRQSetIRQHandler", handler, &[], &[badged])?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
    Ok((handler, sgi, notification))
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
    refuses(row, IRQ_CONTROL, &[timer_irq(last), 0, 0, 65], &[NULL], &[])?;
    handler(t, SPARE_IRQ)?;
    refuses(row, IRQ_CONTROL, &[SPARE_IRQ, 0, 0, 65], &[NULL], &[])?;
    let row = "ARMIRQIssueIRQHandlerTrigger/DeleteFirst#7";
    refuses(row, IRQ_CONTROL, &[SPARE_IRQ + 1, 0, full.bits(), DEPTH], &[CNODE], &[])?;
    for (irq, trigger) in [(SPARE_IRQ + 1, 0), (SPARE_IRQ + 2, 1), (SPARE_IRQ + 3, u64::MAX)] {
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
    lookup.fails(t, |root, index, depth| Request::new(IRQ_CONTROL, &[SPARE_IRQ, 1, index, depth], &[root]))
}

/// `invocations.md §7`, IssueSGISignal.
fn signal_checks_in_order(t: &mut Tester) -> Outcome {
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
fn signal_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "ARMIRQIssueSGISignal", step: "#5", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(IRQ_CONTROL, &[3, 0, index, depth], &[root]))
}

/// `semantics.md §2`: signals are children of IRQControl, like handlers.
fn control_is_parent_of_signals(t: &mut Tester) -> Outcome {
    let (handler, sgi) = (handler(t, SPARE_IRQ)?, sgi(t, 4)?);
    let copy = t.copy(sgi, ALL)?;
    t.revoke(IRQ_CONTROL)?;
    for slot in [handler, sgi, copy] {
        t.is_empty(slot, true)?;
    }
    Ok(())
}

/// `invocations.md §7`: any label invokes it, no arguments.
fn any_label_sends_the_software_interrupt(t: &mut Tester) -> Outcome {
    let (handler, sgi, notification) = driver(t, 11)?;
    accepts("ARMSGISignal", sgi, &[], &[])?;
    same("badge", 1, poll(notification))?;
    accepts("IRQAckIRQ", handler, &[], &[])?;
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
    let (handler, sgi, notification) = driver(t, 12)?;
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
    accepts("ARMSGISignal", sgi, &[], &[])?;
    same("badge", 1, poll(notification))
}
