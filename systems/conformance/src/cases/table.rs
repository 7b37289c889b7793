// SPDX-License-Identifier: MIT OR Apache-2.0

//! Page tables (`invocations.md §10–§12`, `memory.md §1, §5`).

use keel::cap::{Blueprint, CPtr};
use keel_abi::arch::{label, memory::USER_VSPACE_TOP};

use super::{
    Case,
    frame::{reads, stale_roots},
};
use crate::{
    check::*,
    invoke::*,
    machine::{NORMAL, TABLES, TABLES_END, Table, page_map, peek},
    tester::*,
};

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

/// The table right below a root.
const FIRST: Table = TABLES[0];
/// The one right above a page.
const LAST: Table = TABLES[TABLES.len() - 1];

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let table = t.make(Blueprint::PageTable)?;
    for label in [0, label::PAGE_MAP, label::PAGE_TABLE_MAP - 1] {
        refuses_label("ARCHPageTableUnknownLabel/IllegalOperation#1", label, table)?;
    }
    Ok(())
}

/// `invocations.md §10–§12`, Map.
fn map_checks_in_order(t: &mut Tester) -> Outcome {
    let (root, other) = (t.make(Blueprint::VSpace)?, t.vspace()?);
    let (nowhere, taken) = stale_roots(t)?;
    for kind in TABLES {
        // The next one that is missing there.
        let mapped = t.make(kind.blueprint)?;
        accepts(kind.map, mapped, &[0, 0], &[other])?;
        map_of_a_kind_checks_in_order(t, kind, mapped, [root, nowhere, taken])?;
    }
    // The case's own image lies there.
    t.map_tables(VSPACE, 0x400000)?;
    refuses(LAST.occupied, t.make(LAST.blueprint)?, &[0x400000, 0], &[VSPACE], &[])
}

/// The same for one kind of table, by one that is mapped, and by roots without identifier and with stale ones.
fn map_of_a_kind_checks_in_order(t: &mut Tester, kind: Table, mapped: CPtr, roots: [CPtr; 3]) -> Outcome {
    let (table, [root, nowhere, taken]) = (t.make(kind.blueprint)?, roots);
    let refuses_map = |error, table, words: &[u64], caps: &[CPtr], detail: &[u64]| {
        refuses_with(&[kind.map, error], None, table, words, caps, detail)
    };
    let bad = [!0, 0];
    refuses_map("/TruncatedMessage#1", mapped, &bad[..1], &[NULL], &[])?;
    refuses_map("/TruncatedMessage#1", mapped, &bad, &[], &[])?;
    refuses_map("/InvalidCapability#2", mapped, &bad, &[NULL], &[0])?;
    for wrong in [NULL, CNODE, root, table] {
        refuses_map("/InvalidCapability#3", table, &bad, &[wrong], &[1])?;
    }
    for address in [TABLES_END, !0, 0xffff_8000_0000_0000] {
        for root in [nowhere, taken, VSPACE] {
            refuses_map("/InvalidArgument#4", table, &[address, 0], &[root], &[0])?;
        }
    }
    refuses_map("/FailedLookup.InvalidRoot#5", table, &[0x400000, 0], &[nowhere], &[0, 1])?;
    refuses_map("/InvalidCapability#6", table, &[0x400000, 0], &[taken], &[1])
}

/// `memory.md §1`: each fills the first missing level; the address need not be aligned.
fn tables_are_mapped_top_down(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, USER_VSPACE_TOP);
    for table in TABLES {
        let object = t.make(table.blueprint)?;
        accepts(table.map, object, &[address, !0], &[root])?;
    }
    let object = t.make(LAST.blueprint)?;
    refuses(LAST.occupied, object, &[address, 0], &[root], &[])?;
    // Next to it only the last level is missing.
    let below = address - (1 << LAST.span);
    accepts(LAST.map, object, &[below, 0], &[root])?;
    refuses(LAST.occupied, t.make(LAST.blueprint)?, &[below, 0], &[root], &[])
}

/// `invocations.md §10–§12`, Unmap.
fn unmap_needs_the_final_capability(t: &mut Tester) -> Outcome {
    let root = t.vspace()?;
    for kind in TABLES {
        let table = t.make(kind.blueprint)?;
        // Also where nothing is mapped, but such a table has no copies.
        accepts(kind.unmap, table, &[], &[])?;
        accepts(kind.map, table, &[0, 0], &[root])?;
        let copy = t.copy(table, ALL)?;
        for cap in [table, copy] {
            refuses_with(&[kind.unmap, "/RevokeFirst#1"], None, cap, &[], &[], &[])?;
        }
        t.delete(table)?;
        accepts(kind.unmap, copy, &[], &[])?;
        accepts(kind.map, copy, &[0, 0], &[root])?;
    }
    Ok(())
}

/// An address in the space of all threads where the last table is missing, and only that.
fn missing_the_last_table(t: &mut Tester) -> Outcome<u64> {
    let neighbour = t.addresses(LAST.span as u32);
    t.map_tables(VSPACE, neighbour)?;
    Ok(t.addresses(LAST.span as u32))
}

/// `memory.md §5`: pages below vanish; their capabilities stay mapped, and unmap harmlessly.
fn unmap_takes_the_pages_away(t: &mut Tester) -> Outcome {
    let address = missing_the_last_table(t)?;
    let (table, frame) = (t.make(LAST.blueprint)?, t.frame()?);
    accepts(LAST.map, table, &[address, 0], &[VSPACE])?;
    let map = [address, READ, NORMAL];
    accepts("ARCHPageMap", frame, &map, &[VSPACE])?;
    same("content", 0, peek(address))?;
    accepts(LAST.unmap, table, &[], &[])?;
    reads(t, address, false)?;
    let row = page_map::level(LAST.span);
    refuses(row, frame, &map, &[VSPACE], &[0, 2, LAST.span])?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    refuses(row, frame, &map, &[VSPACE], &[0, 2, LAST.span])
}

/// `memory.md §5`: unmapping clears the content.
fn an_unmapped_table_is_clear(t: &mut Tester) -> Outcome {
    let address = missing_the_last_table(t)?;
    let (table, frame) = (t.make(LAST.blueprint)?, t.frame()?);
    accepts(LAST.map, table, &[address, 0], &[VSPACE])?;
    accepts("ARCHPageMap", frame, &[address, READ, NORMAL], &[VSPACE])?;
    accepts(LAST.unmap, table, &[], &[])?;
    accepts(LAST.map, table, &[address, 0], &[VSPACE])?;
    reads(t, address, false)?;
    // The capability still believes to be mapped there.
    let elsewhere = [address + 0x1000, READ, NORMAL];
    refuses(page_map::OTHER_ADDRESS, frame, &elsewhere, &[VSPACE], &[0])?;
    accepts("ARCHPageMap", frame, &[address, READ, NORMAL], &[VSPACE])?;
    reads(t, address, true)
}

/// `memory.md §5`: like Unmap.
fn deleting_the_last_capability_unmaps(t: &mut Tester) -> Outcome {
    let (root, table, next) = (t.vspace()?, t.make(FIRST.blueprint)?, t.make(FIRST.blueprint)?);
    accepts(FIRST.map, table, &[0, 0], &[root])?;
    let frame = t.frame()?;
    is_missing(frame, root, TABLES[1].span)?;
    t.delete(table)?;
    is_missing(frame, root, FIRST.span)?;
    accepts(FIRST.map, next, &[0, 0], &[root])?;
    Ok(())
}

/// Expects that the structure of this span is missing at address 0.
#[track_caller]
fn is_missing(frame: CPtr, root: CPtr, span: u64) -> Outcome {
    refuses(page_map::level(span), frame, &[0, READ, NORMAL], &[root], &[0, 2, span])
}

/// `memory.md §5`: copies of a mapped table are mapped.
fn a_copy_stays_mapped(t: &mut Tester) -> Outcome {
    let (root, table, frame) = (t.vspace()?, t.make(FIRST.blueprint)?, t.frame()?);
    accepts(FIRST.map, table, &[0, 0], &[root])?;
    let copy = t.copy(table, ALL)?;
    refuses_with(&[FIRST.map, "/InvalidCapability#2"], None, copy, &[0, 0], &[root], &[0])?;
    t.delete(table)?;
    is_missing(frame, root, TABLES[1].span)
}
