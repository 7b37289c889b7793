// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping, as far as it is Arm's own (`invocations.md §10`, `memory.md §5`).

use keel::cap::Blueprint;

use crate::{
    cases::{Case, frame::stale_roots},
    check::*,
    invoke::*,
    machine::{NORMAL, page_map},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![a_page_is_mapped_after_checks_in_order,];

const RW: u64 = READ | WRITE;

/// `invocations.md §10`, PageMap.
fn a_page_is_mapped_after_checks_in_order(t: &mut Tester) -> Outcome {
    let (frame, root) = (t.frame()?, t.make(Blueprint::VSpace)?);
    let (nowhere, taken) = stale_roots(t)?;
    let bad = [!0, RW, NORMAL];
    refuses("ARMPageMap/TruncatedMessage#1", frame, &bad[..2], &[VSPACE], &[])?;
    refuses("ARMPageMap/TruncatedMessage#1", frame, &bad, &[], &[])?;
    for wrong in [NULL, CNODE, frame, root] {
        refuses(page_map::NO_ROOT, frame, &bad, &[wrong], &[1])?;
    }
    refuses(page_map::NOWHERE, frame, &bad, &[nowhere], &[0, 1])?;
    refuses(page_map::OTHER_ROOT, frame, &bad, &[taken], &[1])?;
    refuses(page_map::MISALIGNED, frame, &bad, &[VSPACE], &[])
}
