// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: mapping, remapping (`invocations.md §10–§12`, `memory.md §2–§8`).

use keel::cap::{Blueprint, CPtr};
use keel_abi::{
    arch::{label, memory::{LAST_PAGE, USER_VSPACE_TOP}},
    fault,
};

use super::{
    Case,
    asid::{assigned, pool},
};
use crate::{
    check::*,
    invoke::*,
    machine::{self, FREE_ADDRESSES, NORMAL, R0, TABLES, page_map, peek, poke},
    puppet::Event,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    map_checks_alignment,
    map_checks_the_user_top,
    the_last_page_can_be_mapped,
    map_checks_mapped_capabilities,
    map_names_the_missing_table,
    map_names_the_level_of_a_table_in_the_way,
    large_pages_are_mapped,
    huge_pages_are_mapped,
    a_frame_is_mapped_twice_by_a_copy,
    remapping_changes_the_rights,
    unmap_of_an_unmapped_frame_succeeds,
    deleting_any_mapped_capability_unmaps,
    a_mapping_outlives_its_vspace,
    get_address_needs_no_mapping,
];

const MAP: &str = "ARCHPageMap";
/// Read and write.
const RW: u64 = READ | WRITE;

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    for label in [0, label::PAGE_TABLE_UNMAP, label::ASID_CONTROL_MAKE_POOL, 1 << 30] {
        refuses_label("ARCHPageUnknownLabel/IllegalOperation#1", label, frame)?;
    }
    Ok(())
}

/// Two roots whose pools are gone: the identifier of the first leads nowhere, that of the second to another
/// root.
pub fn stale_roots(t: &mut Tester) -> Outcome<(CPtr, CPtr)> {
    let (first, second) = (pool(t)?, pool(t)?);
    let (taken, nowhere) = (assigned(t, first)?, assigned(t, second)?);
    t.delete(first)?;
    t.delete(second)?;
    // Pool numbers are given lowest first.
    let third = pool(t)?;
    assigned(t, third)?;
    Ok((nowhere, taken))
}

/// `invocations.md §10–§12`: aligned to the page's size.
fn map_checks_alignment(t: &mut Tester) -> Outcome {
    let (small, large) = (t.frame()?, t.make(Blueprint::LargePage)?);
    let huge = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    for (frame, address) in [
        (small, FREE_ADDRESSES.start + 0x800),
        (small, 1),
        (large, FREE_ADDRESSES.start + 0x1000),
        (large, FREE_ADDRESSES.start + 0x10_0000),
        (huge, FREE_ADDRESSES.start + 0x20_0000),
        (huge, FREE_ADDRESSES.start + 0x2000_0000),
    ] {
        refuses(page_map::MISALIGNED, frame, &[address, RW, NORMAL], &[VSPACE], &[])?;
    }
    Ok(())
}

/// `memory.md §2`: the last byte is at most the user top.
fn map_checks_the_user_top(t: &mut Tester) -> Outcome {
    let (small, large) = (t.frame()?, t.make(Blueprint::LargePage)?);
    for (frame, address) in [
        (small, LAST_PAGE + 0x1000),
        (small, 0xffff_8000_0000_0000),
        (small, !0xfff),
        (large, (USER_VSPACE_TOP + 1).next_multiple_of(1 << 21)),
        (large, !0x1f_ffff),
    ] {
        refuses(page_map::BEYOND, frame, &[address, RW, NORMAL], &[VSPACE], &[0])?;
    }
    Ok(())
}

/// `memory.md §2`: the last page.
fn the_last_page_can_be_mapped(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    t.map_tables(VSPACE, LAST_PAGE)?;
    accepts(MAP, frame, &[LAST_PAGE, RW, NORMAL], &[VSPACE])?;
    same("content", 0, peek(LAST_PAGE + 0xff8))
}

/// `invocations.md §10–§12`: a mapped capability stays with its VSpace and address.
fn map_checks_mapped_capabilities(t: &mut Tester) -> Outcome {
    let ((frame, address), other) = (t.mapped_frame()?, t.vspace()?);
    // Where the entry is looked for before, there is one.
    t.map_tables(other, address)?;
    refuses(page_map::OTHER_SPACE, frame, &[address + 0x1000, RW, NORMAL], &[other], &[1])?;
    refuses(page_map::OTHER_SPACE, frame, &[address, RW, NORMAL], &[other], &[1])?;
    refuses(page_map::OTHER_ADDRESS, frame, &[address + 0x1000, RW, NORMAL], &[VSPACE], &[0])?;
    accepts(MAP, frame, &[address, RW, NORMAL], &[VSPACE])?;
    Ok(())
}

/// A frame of each size, with the log2 of that.
fn frames(t: &mut Tester) -> Outcome<[(CPtr, u64); 3]> {
    let huge = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    Ok([(t.frame()?, 12), (t.make(Blueprint::LargePage)?, 21), (huge, 30)])
}

/// `memory.md §5`: bits left are the span of the level at which the walk stopped.
fn map_names_the_missing_table(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, FREE_ADDRESSES.start + 0x5678_9000);
    let frames = frames(t)?;
    for table in TABLES {
        for (frame, bits) in frames.into_iter().filter(|&(_, bits)| bits < table.span) {
            let words = [address & !((1 << bits) - 1), RW, NORMAL];
            refuses(page_map::level(table.span), frame, &words, &[root], &[0, 2, table.span])?;
        }
        let object = t.make(table.blueprint)?;
        accepts(table.map, object, &[address, 0], &[root])?;
    }
    accepts(MAP, frames[0].0, &[address, RW, NORMAL], &[root])?;
    Ok(())
}

/// `memory.md §5`: also if the walk went too deep.
fn map_names_the_level_of_a_table_in_the_way(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, FREE_ADDRESSES.start + 0x4000_0000);
    t.map_tables(root, address)?;
    let [_, (large, _), (huge, _)] = frames(t)?;
    for frame in [large, huge] {
        let (row, detail) = page_map::TABLE_IN_THE_WAY;
        refuses(row, frame, &[address, RW, NORMAL], &[root], detail)?;
    }
    // The slot of the next GiB is at the page's level.
    accepts(MAP, huge, &[address + (1 << 30), RW, NORMAL], &[root])?;
    Ok(())
}

/// `memory.md §1`: 2 MiB.
fn large_pages_are_mapped(t: &mut Tester) -> Outcome {
    let (frame, address) = (t.make(Blueprint::LargePage)?, t.addresses(21));
    t.map(VSPACE, frame, address, NORMAL)?;
    for offset in [0, 0x1000, 0x1f_fff8] {
        same("content", 0, peek(address + offset))?;
        poke(address + offset, offset + 1);
    }
    for offset in [0, 0x1000, 0x1f_fff8] {
        same("content", offset + 1, peek(address + offset))?;
    }
    // A table does not fit below it.
    t.is_in_the_way(VSPACE, address, 21)?;
    let small = t.frame()?;
    refuses(page_map::level(21), small, &[address, RW, NORMAL], &[VSPACE], &[0, 2, 21])?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    Ok(())
}

/// `memory.md §1`: 1 GiB.
fn huge_pages_are_mapped(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, 0x4000_0000);
    let frame = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    t.map(root, frame, address, machine::DEVICE)?;
    t.is_in_the_way(root, address, 30)?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    t.map_tables(root, address)
}

/// `memory.md §5`: a copy is unmapped.
fn a_frame_is_mapped_twice_by_a_copy(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    let (copy, second) = (t.copy(frame, ALL)?, t.addresses(12));
    accepts(MAP, copy, &[second, RW, NORMAL], &[VSPACE])?;
    poke(address + 8, 0xabc);
    same("the same memory", 0xabc, peek(second + 8))
}

/// `memory.md §5`: for the same address, rights and attributes change.
fn remapping_changes_the_rights(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    let puppet = t.puppet(ABOVE)?;
    for (rights, writes) in [(READ, false), (RW, true), (READ, false)] {
        accepts(MAP, frame, &[address, rights, NORMAL], &[VSPACE])?;
        puppet.runs_code(machine::store(), &[(R0, address)])?;
        match puppet.event()? {
            Event::Done(_) if writes => {}
            Event::Fault(fault) if !writes => same("VMFault", fault::VM_FAULT, fault.label)?,
            other => return Err(differ("what follows from", Shown::Text("the rights"), Shown::Any(&other))),
        }
    }
    Ok(())
}

/// `invocations.md §10–§12`, PageUnmap.
fn unmap_of_an_unmapped_frame_succeeds(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    let (frame, address) = t.mapped_frame()?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    // It can be mapped elsewhere now.
    accepts(MAP, frame, &[address + 0x3000, RW, NORMAL], &[VSPACE])?;
    Ok(())
}

/// Expects a VMFault, or none, of a read.
pub fn reads(t: &mut Tester, address: u64, mapped: bool) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::load(), &[(R0, address)])?;
    match puppet.event()? {
        Event::Done(_) if mapped => Ok(()),
        Event::Fault(fault) if !mapped => same("VMFault", fault::VM_FAULT, fault.label),
        other => Err(differ("a read", Shown::Any(&mapped), Shown::Any(&other))),
    }
}

/// `memory.md §5`: deleting any mapped frame capability removes its mapping.
fn deleting_any_mapped_capability_unmaps(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    let copy = t.copy(frame, ALL)?;
    let second = t.addresses(12);
    accepts(MAP, copy, &[second, RW, NORMAL], &[VSPACE])?;
    reads(t, second, true)?;
    t.delete(copy)?;
    reads(t, second, false)?;
    reads(t, address, true)?;
    t.revoke(frame)?;
    reads(t, address, true)?;
    t.delete(frame)?;
    reads(t, address, false)
}

/// `memory.md §5`: after the root is gone the frame keeps its recorded place, and unmaps without effect.
fn a_mapping_outlives_its_vspace(t: &mut Tester) -> Outcome {
    let (root, other, frame) = (t.vspace()?, t.vspace()?, t.frame()?);
    t.map_tables(root, 0x1000)?;
    accepts(MAP, frame, &[0x1000, RW, NORMAL], &[root])?;
    t.delete(root)?;
    t.map_tables(other, 0x1000)?;
    refuses(page_map::OTHER_SPACE, frame, &[0x1000, RW, NORMAL], &[other], &[1])?;
    accepts("ARCHPageUnmap", frame, &[], &[])?;
    accepts(MAP, frame, &[0x1000, RW, NORMAL], &[other])?;
    Ok(())
}

/// `memory.md §8`.
fn get_address_needs_no_mapping(t: &mut Tester) -> Outcome {
    let frames = t.make_from(t.block(), Blueprint::SmallPage, 2)?;
    let first = accepts("ARCHPageGetAddress", frames, &[], &[])?.word(0);
    let second = accepts("ARCHPageGetAddress", after(frames, 1), &[], &[])?.word(0);
    same("distance", 0x1000, second - first)?;
    let device = t.make_from(t.device_untyped(), Blueprint::SmallPage, 1)?;
    let address = accepts("ARCHPageGetAddress", device, &[], &[])?.word(0);
    same("address of the device", machine::DEVICE_PADDR, address)
}
