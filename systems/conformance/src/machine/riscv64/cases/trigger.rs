// SPDX-License-Identifier: MIT OR Apache-2.0

//! Triggers of interrupts, which cannot be set (`invocations.md §7`).

use crate::{cases::Case, check::*, invoke::*, machine::SPARE_IRQ, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![triggers_cannot_be_set];

/// `invocations.md §7`, GetTrigger: before anything else of the message is looked at.
fn triggers_cannot_be_set(t: &mut Tester) -> Outcome {
    let slot = t.slot()?;
    let row = "RISCVIRQIssueIRQHandlerTrigger/TruncatedMessage#1";
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0], &[CNODE], &[])?;
    refuses(row, IRQ_CONTROL, &[u64::MAX, 0, 0, 0], &[], &[])?;
    for (irq, trigger) in [(SPARE_IRQ, 0), (SPARE_IRQ, 1), (0, 1), (u64::MAX, 0)] {
        let row = "RISCVIRQIssueIRQHandlerTrigger/IllegalOperation#2";
        refuses(row, IRQ_CONTROL, &[irq, trigger, slot.bits(), 65], &[NULL], &[])?;
    }
    t.is_empty(slot, true)
}
