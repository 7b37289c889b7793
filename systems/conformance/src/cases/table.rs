// SPDX-License-Identifier: MIT OR Apache-2.0

//! Page tables (`invocations.md §10`, `memory.md §1, §5`).

use keel::cap::Blueprint;
use keel_abi::aarch64::{label, memory::USER_TOP};

use super::{Case, frame::stale_roots};
use crate::{check::*, invoke::*, machine::peek, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    map_checks_in_order,
    tables_are_mapped_top_down,
    unmap_needs_the_final_capability,
    unmap_takes_the_pages_away,
    an_unmapped_table_is_clear,
    deleting_the_last_capability_unmaps,
    a_copy_stays_mapped,
];

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let table = t.make(Blueprint::PageTable)?;
    for label in [0, label::PAGE_MAP, label::SMC_CALL] {
        refuses_label("ARMPageTableUnknownLabel/IllegalOperation#1", label, table)?;
    }
    Ok(())
}

/// `invocations.md §10`, PageTableMap.
fn map_checks_in_order(t: &mut Tester) -> Outcome {
    let (table, mapped) = (t.make(Blueprint::PageTable)?, t.make(Blueprint::PageTable)?);
    let (root, other) = (t.make(Blueprint::VSpace)?, t.vspace()?);
    let (nowhere, taken) = stale_roots(t)?;
    accepts("ARMPageTableMap", mapped, &[0, 0], &[other])?;
    let bad = [!0, 0];
    refuses("ARMPageTableMap/TruncatedMessage#1", mapped, &bad[..1], &[NULL], &[])?;
    refuses("ARMPageTableMap/TruncatedMessage#1", mapped, &bad, &[], &[])?;
    refuses("ARMPageTableMap/InvalidCapability#2", mapped, &bad, &[NULL], &[0])?;
    for wrong in [NULL, CNODE, root, table] {
        refuses("ARMPageTableMap/InvalidCapability#3", table, &bad, &[wrong], &[1])?;
    }
    for address in [USER_TOP + 1, !0, 0xffff_8000_0000_0000] {
        for root in [nowhere, taken, VSPACE] {
            refuses("ARMPageTableMap/InvalidArgument#4", table, &[address, 0], &[root], &[0])?;
        }
    }
    let row = "ARMPageTableMap/FailedLookup.InvalidRoot#5";
    refuses(row, table, &[0x400000, 0], &[nowhere], &[0, 1])?;
    refuses("ARMPageTableMap/InvalidCapability#6", table, &[0x400000, 0], &[taken], &[1])?;
    refuses("ARMPageTableMap/DeleteFirst#7", table, &[0x400000, 0], &[VSPACE], &[])
}

/// `memory.md §1`: each fills the first missing level; the address need not be aligned.
fn tables_are_mapped_top_down(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, USER_TOP);
    for _ in 0..3 {
        let table = t.make(Blueprint::PageTable)?;
        accepts("ARMPageTableMap", table, &[address, !0], &[root])?;
    }
    let table = t.make(Blueprint::PageTable)?;
    refuses("ARMPageTableMap/DeleteFirst#7", table, &[address, 0], &[root], &[])?;
    // Next to it only the last level is missing.
    accepts("ARMPageTableMap", table, &[address - (1 << 21), 0], &[root])?;
    let next = t.make(Blueprint::PageTable)?;
    let row = "ARMPageTableMap/DeleteFirst#7";
    refuses(row, next, &[address - (1 << 21), 0], &[root], &[])
}

/// `invocations.md §10`, PageTableUnmap.
fn unmap_needs_the_final_capability(t: &mut Tester) -> Outcome {
    let (root, table) = (t.vspace()?, t.make(Blueprint::PageTable)?);
    // Also where nothing is mapped, but such a table has no copies.
    accepts("ARMPageTableUnmap", table, &[], &[])?;
    accepts("ARMPageTableMap", table, &[0, 0], &[root])?;
    let copy = t.copy(table, ALL)?;
    refuses("ARMPageTableUnmap/RevokeFirst#1", table, &[], &[], &[])?;
    refuses("ARMPageTableUnmap/RevokeFirst#1", copy, &[], &[], &[])?;
    t.delete(table)?;
    accepts("ARMPageTableUnmap", copy, &[], &[])?;
    Ok(())
}

/// `memory.md §5`: pages below vanish; their capabilities stay mapped, and unmap harmlessly.
fn unmap_takes_the_pages_away(t: &mut Tester) -> Outcome {
    let address = t.addresses(21);
    t.map_tables(VSPACE, address)?;
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    let second = t.addresses(21);
    let (table, frame) = (t.make(Blueprint::PageTable)?, t.frame()?);
    accepts("ARMPageTableMap", table, &[second, 0], &[VSPACE])?;
    accepts("ARMPageMap", frame, &[second, READ, 3], &[VSPACE])?;
    same("content", 0, peek(second))?;
    accepts("ARMPageTableUnmap", table, &[], &[])?;
    refuses("ARMPageMap/InvalidArgument#7", frame, &[second + 0x1000, READ, 3], &[VSPACE], &[0])?;
    refuses(row, frame, &[second, READ, 3], &[VSPACE], &[0, 2, 21])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    refuses(row, frame, &[second, READ, 3], &[VSPACE], &[0, 2, 21])
}

/// `memory.md §5`: unmapping clears the content.
fn an_unmapped_table_is_clear(t: &mut Tester) -> Outcome {
    let (root, frame, address) = (t.vspace()?, t.frame()?, 0x40_0000);
    let mut table = NULL;
    for _ in 0..3 {
        table = t.make(Blueprint::PageTable)?;
        accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    }
    accepts("ARMPageMap", frame, &[address, READ, 3], &[root])?;
    accepts("ARMPageTableUnmap", table, &[], &[])?;
    accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    // Nothing is mapped at the address any more.
    accepts("ARMVSpaceClean_Data", root, &[address, address + 64], &[])?;
    refuses("ARMPageClean_Data/InvalidCapability#8", frame, &[0, 64], &[], &[0])
}

/// `memory.md §5`: like Unmap.
fn deleting_the_last_capability_unmaps(t: &mut Tester) -> Outcome {
    let (root, table, next) = (t.vspace()?, t.make(Blueprint::PageTable)?, t.make(Blueprint::PageTable)?);
    accepts("ARMPageTableMap", table, &[0, 0], &[root])?;
    let frame = t.frame()?;
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    refuses(row, frame, &[0, READ, 3], &[root], &[0, 2, 30])?;
    t.delete(table)?;
    refuses(row, frame, &[0, READ, 3], &[root], &[0, 2, 39])?;
    accepts("ARMPageTableMap", next, &[0, 0], &[root])?;
    Ok(())
}

/// `memory.md §5`: copies of a mapped table are mapped.
fn a_copy_stays_mapped(t: &mut Tester) -> Outcome {
    let (root, table, frame) = (t.vspace()?, t.make(Blueprint::PageTable)?, t.frame()?);
    accepts("ARMPageTableMap", table, &[0, 0], &[root])?;
    let copy = t.copy(table, ALL)?;
    refuses("ARMPageTableMap/InvalidCapability#2", copy, &[0, 0], &[root], &[0])?;
    t.delete(table)?;
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    refuses(row, frame, &[0, READ, 3], &[root], &[0, 2, 30])
}
