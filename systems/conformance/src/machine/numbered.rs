// SPDX-License-Identifier: MIT OR Apache-2.0

//! Machines that a device tree describes, and whose interrupts have the numbers of one controller
//! (`invocations.md §7`, `boot.md §2.1, §7`).

use core::mem::offset_of;

use keel_abi::{
    bootinfo::{BootInfo, EXTRA_OFFSET, extra},
    label,
};

use crate::{
    cases::{
        Case,
        boot::{boot_info, word},
        irq::handler,
    },
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine::{FIRST_IRQ, SPARE_IRQ, peek, timer_irq},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    get_checks_in_order,
    get_looks_up_the_slot,
    the_kernels_timer_is_in_use,
    the_device_tree_is_passed,
];

/// The invocation by which an interrupt gets its handler.
pub const ISSUE: &str = "IRQIssueIRQHandler";
/// Its row where the interrupt has one.
pub const ISSUE_IN_USE: &str = "IRQIssueIRQHandler/RevokeFirst#5";

/// The words of [`ISSUE`].
pub fn issue(irq: u64, slot: u64) -> [u64; 3] {
    [irq, slot, DEPTH]
}

/// The highest interrupt, as the kernel names it.
pub fn last_interrupt() -> Outcome<u64> {
    let answer = call(IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[u64::MAX, 0, 0], &[CNODE]);
    let last = answer.word(1);
    within("interrupts of the machine", SPARE_IRQ + 3, 1023, last)?;
    Ok(last)
}

/// `invocations.md §7`, Get.
fn get_checks_in_order(t: &mut Tester) -> Outcome {
    let (last, full) = (last_interrupt()?, t.endpoint()?);
    let row = "IRQIssueIRQHandler/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0], &[], &[])?;
    for irq in [last + 1, u64::MAX, 1 << 32, FIRST_IRQ.wrapping_sub(1)] {
        let row = "IRQIssueIRQHandler/RangeError#2";
        refuses(row, IRQ_CONTROL, &[irq, 0, 65], &[NULL], &[FIRST_IRQ, last])?;
    }
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &[timer_irq(last), 0, 65], &[NULL], &[])?;
    handler(t, SPARE_IRQ)?;
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &[SPARE_IRQ, 0, 65], &[NULL], &[])?;
    let words = [SPARE_IRQ + 1, full.bits(), DEPTH];
    refuses("IRQIssueIRQHandler/DeleteFirst#7", IRQ_CONTROL, &words, &[CNODE], &[])?;
    handler(t, if last == timer_irq(last) { last - 1 } else { last })?;
    handler(t, FIRST_IRQ)?;
    Ok(())
}

/// `invocations.md §7`, Get.
fn get_looks_up_the_slot(t: &mut Tester) -> Outcome {
    let lookup = Lookup { invocation: "IRQIssueIRQHandler", step: "#6", side: 0 };
    lookup.fails(t, |root, index, depth| Request::new(IRQ_CONTROL, &[SPARE_IRQ, index, depth], &[root]))
}

/// `boot.md §7`.
fn the_kernels_timer_is_in_use(t: &mut Tester) -> Outcome {
    let slot = t.slot()?;
    let words = [timer_irq(last_interrupt()?), slot.bits(), DEPTH];
    refuses("IRQIssueIRQHandler/RevokeFirst#5", IRQ_CONTROL, &words, &[CNODE], &[])?;
    t.is_empty(slot, true)
}

/// `boot.md §2.1`: a chunk of id 6.
fn the_device_tree_is_passed(_: &mut Tester) -> Outcome {
    let length = word(offset_of!(BootInfo, extra_len));
    let mut at = boot_info() + EXTRA_OFFSET as u64;
    let end = at + length;
    while at < end {
        let (id, length) = (peek(at), peek(at + 8));
        holds("a chunk as long as its header", length >= 16 && at + length <= end)?;
        if id == extra::FDT {
            let magic = u32::from_be(peek(at + 16) as u32);
            same("the magic number of a device tree", 0xd00d_feed, magic.into())?;
            let size = u32::from_be((peek(at + 16) >> 32) as u32);
            return same("length of the chunk", u64::from(size) + 16, length);
        }
        at += length;
    }
    Err(differ("a chunk", Shown::Text("with the device tree"), Shown::Text("none")))
}
