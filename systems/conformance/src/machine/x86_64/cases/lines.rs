// SPDX-License-Identifier: MIT OR Apache-2.0

//! How interrupts get their handlers (`invocations.md §7`).

use keel_abi::label;

use crate::{
    cases::Case,
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine::SPARE_IRQ,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    plain_numbers_are_of_no_controller,
    lines_check_in_order,
    lines_look_up_the_slot,
    messages_check_in_order,
    messages_look_up_the_slot,
];

const LINE: &str = "X86IRQIssueIRQHandlerIOAPIC";
const MESSAGE: &str = "X86IRQIssueIRQHandlerMSI";

/// `invocations.md §7`, Get: the numbers are those of a controller that is not used.
fn plain_numbers_are_of_no_controller(_: &mut Tester) -> Outcome {
    let row = "IRQIssueIRQHandler/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0], &[], &[])?;
    for irq in [0, 1, 15, 16, SPARE_IRQ, u64::MAX] {
        let row = "IRQIssueIRQHandler/IllegalOperation#3";
        refuses(row, IRQ_CONTROL, &[irq, 0, 65], &[NULL], &[])?;
    }
    let answer = call(IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[0, 0, 65], &[NULL]);
    same("IllegalOperation", 3, answer.info.label())
}

/// Checks of both, in order: `what` are the words between the slot's and the vector.
fn common_checks(t: &mut Tester, invocation: &str, what: [u64; 4]) -> Outcome {
    let full = t.endpoint()?;
    let words = |index, depth, vector| [index, depth, what[0], what[1], what[2], what[3], vector];
    let refuse = |row: &str, words: &[u64], caps: &[keel::cap::CPtr], detail: &[u64]| {
        refuses_with(&[invocation, row], None, IRQ_CONTROL, words, caps, detail)
    };
    refuse("/TruncatedMessage#2", &words(0, 65, 200)[..6], &[CNODE], &[])?;
    refuse("/TruncatedMessage#2", &words(0, 65, 200), &[], &[])?;
    for vector in [108, 200, u64::MAX] {
        refuse("/RangeError#3", &words(0, 65, vector), &[NULL], &[0, 107])?;
    }
    crate::cases::irq::handler(t, SPARE_IRQ)?;
    refuse("/RevokeFirst#4", &words(0, 65, SPARE_IRQ), &[NULL], &[])?;
    refuse("/DeleteFirst#6", &words(full.bits(), DEPTH, SPARE_IRQ + 1), &[CNODE], &[])
}

/// `invocations.md §7`, IOAPIC.
fn lines_check_in_order(t: &mut Tester) -> Outcome {
    const BAD: u64 = 1 << 20;
    common_checks(t, LINE, [BAD; 4])?;
    let slot = t.slot()?;
    let words = |controller, pin, level, polarity| {
        [slot.bits(), DEPTH, controller, pin, level, polarity, SPARE_IRQ + 1]
    };
    let refuse = |row: &str, words: &[u64], most: u64| {
        refuses_with(&[LINE, row], None, IRQ_CONTROL, words, &[CNODE], &[0, most])
    };
    // QEMU has one controller with 24 pins.
    refuse("/RangeError#8", &words(1, BAD, BAD, BAD), 0)?;
    refuse("/RangeError#9", &words(0, 24, BAD, BAD), 23)?;
    refuse("/RangeError#10", &words(0, 23, 2, BAD), 1)?;
    refuse("/RangeError#11", &words(0, 23, 1, 2), 1)?;
    accepts(LINE, IRQ_CONTROL, &words(0, 23, 1, 1), &[CNODE])?;
    Ok(())
}

/// `invocations.md §7`, IOAPIC.
fn lines_look_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: LINE, step: "#5", side: 0 };
    lookup.fails(t, |root, index, depth| {
        Request::new(IRQ_CONTROL, &[index, depth, 9, 99, 9, 9, SPARE_IRQ], &[root])
    })
}

/// `invocations.md §7`, MSI.
fn messages_check_in_order(t: &mut Tester) -> Outcome {
    const BAD: u64 = 1 << 20;
    common_checks(t, MESSAGE, [BAD; 4])?;
    let slot = t.slot()?;
    let words = |bus, device, function| [slot.bits(), DEPTH, bus, device, function, 0, SPARE_IRQ + 1];
    let refuse = |row: &str, words: &[u64], most: u64| {
        refuses_with(&[MESSAGE, row], None, IRQ_CONTROL, words, &[CNODE], &[0, most])
    };
    refuse("/RangeError#7", &words(256, BAD, BAD), 255)?;
    refuse("/RangeError#8", &words(255, 32, BAD), 31)?;
    refuse("/RangeError#9", &words(255, 31, 8), 7)?;
    accepts(MESSAGE, IRQ_CONTROL, &words(255, 31, 7), &[CNODE])?;
    accepts("IRQAckIRQ", slot, &[], &[])?;
    Ok(())
}

/// `invocations.md §7`, MSI.
fn messages_look_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: MESSAGE, step: "#5", side: 0 };
    lookup.fails(t, |root, index, depth| {
        Request::new(IRQ_CONTROL, &[index, depth, 999, 99, 9, 0, SPARE_IRQ], &[root])
    })
}
