// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping, as far as it is x86's own (`invocations.md §12`, `memory.md §1–§5`).

use keel::cap::Blueprint;
use keel_abi::arch::label;

use crate::{
    cases::{Case, frame::stale_roots},
    check::*,
    invoke::*,
    machine::{NORMAL, TABLES, page_map},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] =
    cases![unknown_labels, a_page_is_mapped_after_checks_in_order, each_table_needs_the_one_above,];

const RW: u64 = READ | WRITE;

/// `invocations.md §2`, §12: a root has no methods.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let (pdpt, directory) = (t.make(TABLES[0].blueprint)?, t.make(TABLES[1].blueprint)?);
    for label in [0, label::PAGE_MAP, label::PAGE_TABLE_MAP] {
        refuses_label("X86PML4UnknownLabel/IllegalOperation#1", label, VSPACE)?;
        refuses_label("X86PDPTUnknownLabel/IllegalOperation#1", label, pdpt)?;
        refuses_label("X86PageDirectoryUnknownLabel/IllegalOperation#1", label, directory)?;
    }
    Ok(())
}

/// `invocations.md §12`, PageMap.
fn a_page_is_mapped_after_checks_in_order(t: &mut Tester) -> Outcome {
    let (frame, root) = (t.frame()?, t.make(Blueprint::VSpace)?);
    let (mapped, address) = t.mapped_frame()?;
    let (nowhere, taken) = stale_roots(t)?;
    let bad = [!0, RW, NORMAL];
    refuses("X86PageMap/TruncatedMessage#1", frame, &bad[..2], &[VSPACE], &[])?;
    refuses("X86PageMap/TruncatedMessage#1", frame, &bad, &[], &[])?;
    for wrong in [NULL, CNODE, frame, root] {
        refuses(page_map::NO_ROOT, mapped, &bad, &[wrong], &[1])?;
    }
    for other in [nowhere, taken] {
        refuses(page_map::OTHER_SPACE, mapped, &bad, &[other], &[1])?;
    }
    refuses(page_map::OTHER_ADDRESS, mapped, &[address | 1, RW, NORMAL], &[VSPACE], &[0])?;
    for root in [nowhere, taken, VSPACE] {
        refuses(page_map::BEYOND, frame, &bad, &[root], &[0])?;
    }
    refuses(page_map::NOWHERE, frame, &[1, RW, NORMAL], &[nowhere], &[0, 1])?;
    refuses(page_map::OTHER_ROOT, frame, &[1, RW, NORMAL], &[taken], &[1])?;
    refuses(page_map::MISALIGNED, frame, &[1, RW, NORMAL], &[VSPACE], &[])
}

/// `invocations.md §12`: bits left 39 for a missing PDPT, 30 for a missing page directory.
fn each_table_needs_the_one_above(t: &mut Tester) -> Outcome {
    let root = t.vspace()?;
    let [pdpt, directory, table] = TABLES;
    let (first, second, third) =
        (t.make(pdpt.blueprint)?, t.make(directory.blueprint)?, t.make(table.blueprint)?);
    let words = [0x1234_5678, 0];
    let missing = "X86PageDirectoryMap/FailedLookup.MissingCapability#7";
    refuses(missing, second, &words, &[root], &[0, 2, 39])?;
    let missing = "X86PageTableMap/FailedLookup.MissingCapability#7";
    refuses(missing, third, &words, &[root], &[0, 2, 39])?;
    accepts(pdpt.map, first, &words, &[root])?;
    let missing = "X86PageTableMap/FailedLookup.MissingCapability#8";
    refuses(missing, third, &words, &[root], &[0, 2, 30])?;
    accepts(directory.map, second, &words, &[root])?;
    accepts(table.map, third, &words, &[root])?;
    for table in TABLES {
        refuses(table.occupied, t.make(table.blueprint)?, &words, &[root], &[])?;
    }
    Ok(())
}
