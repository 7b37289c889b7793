// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: mapping, remapping, caches (`invocations.md §10`, `memory.md §2–§8`).

use keel::cap::{Blueprint, CPtr};
use keel_abi::aarch64::{label, memory::USER_TOP};

use super::{
    Case,
    asid::{assigned, pool},
};
use crate::{
    check::*,
    invoke::*,
    machine::{peek, poke},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    map_checks_in_order,
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
    a_mapping_is_replaced_silently,
    unmap_of_an_unmapped_frame_succeeds,
    unmap_of_a_replaced_frame_does_nothing,
    deleting_any_mapped_capability_unmaps,
    a_mapping_outlives_its_vspace,
    get_address_needs_no_mapping,
    cache_operations_check_in_order,
    cache_operations_check_the_mapping,
    invalidate_needs_a_writable_mapping,
];

const MAP: &str = "ARMPageMap";
/// Read and write.
const RW: u64 = READ | WRITE;
/// Attributes: cacheable, as user level takes by default.
const NORMAL: u64 = 3;

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    for label in [0, label::PAGE_TABLE_UNMAP, label::ASID_CONTROL_MAKE_POOL, 1 << 30] {
        refuses_label("ARMPageUnknownLabel/IllegalOperation#1", label, frame)?;
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

/// `invocations.md §10`, PageMap.
fn map_checks_in_order(t: &mut Tester) -> Outcome {
    let (frame, root) = (t.frame()?, t.make(Blueprint::VSpace)?);
    let (nowhere, taken) = stale_roots(t)?;
    let bad = [!0, RW, NORMAL];
    refuses("ARMPageMap/TruncatedMessage#1", frame, &bad[..2], &[VSPACE], &[])?;
    refuses("ARMPageMap/TruncatedMessage#1", frame, &bad, &[], &[])?;
    for wrong in [NULL, CNODE, frame, root] {
        refuses("ARMPageMap/InvalidCapability#2", frame, &bad, &[wrong], &[1])?;
    }
    refuses("ARMPageMap/FailedLookup.InvalidRoot#3", frame, &bad, &[nowhere], &[0, 1])?;
    refuses("ARMPageMap/InvalidCapability#4", frame, &bad, &[taken], &[1])?;
    refuses("ARMPageMap/AlignmentError#5", frame, &bad, &[VSPACE], &[])
}

/// `invocations.md §10`: aligned to the page's size.
fn map_checks_alignment(t: &mut Tester) -> Outcome {
    let (small, large) = (t.frame()?, t.make(Blueprint::LargePage)?);
    let huge = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    for (frame, address) in [
        (small, 0x100_0000_0800),
        (small, 1),
        (large, 0x100_0000_1000),
        (large, 0x100_0010_0000),
        (huge, 0x100_0020_0000),
        (huge, 0x100_2000_0000),
    ] {
        refuses("ARMPageMap/AlignmentError#5", frame, &[address, RW, NORMAL], &[VSPACE], &[])?;
    }
    Ok(())
}

/// `memory.md §2`: the last byte is at most the user top.
fn map_checks_the_user_top(t: &mut Tester) -> Outcome {
    let (small, large) = (t.frame()?, t.make(Blueprint::LargePage)?);
    for (frame, address) in [
        (small, USER_TOP + 1),
        (small, 0xffff_8000_0000_0000),
        (small, !0xfff),
        (large, USER_TOP + 1),
        (large, !0x1f_ffff),
    ] {
        refuses("ARMPageMap/InvalidArgument#8", frame, &[address, RW, NORMAL], &[VSPACE], &[0])?;
    }
    Ok(())
}

/// `memory.md §2`: the last page.
fn the_last_page_can_be_mapped(t: &mut Tester) -> Outcome {
    let (frame, last) = (t.frame()?, USER_TOP & !0xfff);
    t.map_tables(VSPACE, last)?;
    accepts(MAP, frame, &[last, RW, NORMAL], &[VSPACE])?;
    same("content", 0, peek(USER_TOP - 7))
}

/// `invocations.md §10`: a mapped capability stays with its VSpace and address.
fn map_checks_mapped_capabilities(t: &mut Tester) -> Outcome {
    let ((frame, address), other) = (t.mapped_frame()?, t.vspace()?);
    let row = "ARMPageMap/InvalidCapability#6";
    refuses(row, frame, &[address + 0x1000, RW, NORMAL], &[other], &[1])?;
    refuses(row, frame, &[address, RW, NORMAL], &[other], &[1])?;
    for vaddr in [address + 0x1000, USER_TOP + 1] {
        refuses("ARMPageMap/InvalidArgument#7", frame, &[vaddr, RW, NORMAL], &[VSPACE], &[0])?;
    }
    accepts(MAP, frame, &[address, RW, NORMAL], &[VSPACE])?;
    Ok(())
}

/// `memory.md §5`: bits left are the span of the level at which the walk stopped.
fn map_names_the_missing_table(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, 0x1234_5678_9000);
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    let frames = [t.frame()?, t.make(Blueprint::LargePage)?, t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?];
    let spans: [u64; 4] = [39, 30, 21, 12];
    for (depth, span) in spans.into_iter().enumerate() {
        for (frame, level) in frames.into_iter().zip([3, 2, 1]) {
            if depth < level {
                let aligned = address & !((1 << [0, 30, 21, 12][level]) - 1);
                let words = [aligned, RW, NORMAL];
                refuses(row, frame, &words, &[root], &[0, 2, span])?;
            }
        }
        if depth < 3 {
            let table = t.make(Blueprint::PageTable)?;
            accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
        }
    }
    accepts(MAP, frames[0], &[address, RW, NORMAL], &[root])?;
    Ok(())
}

/// `memory.md §5`: also if the walk went too deep.
fn map_names_the_level_of_a_table_in_the_way(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, 0x1234_4000_0000);
    t.map_tables(root, address)?;
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    let large = t.make(Blueprint::LargePage)?;
    let huge = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    for frame in [large, huge] {
        refuses(row, frame, &[address, RW, NORMAL], &[root], &[0, 2, 12])?;
    }
    // The slot of the next GiB is at the page's level.
    accepts(MAP, huge, &[address + (1 << 30), RW, NORMAL], &[root])?;
    Ok(())
}

/// `memory.md §1`: 2 MiB.
fn large_pages_are_mapped(t: &mut Tester) -> Outcome {
    let (frame, address) = (t.make(Blueprint::LargePage)?, t.addresses(21));
    for _ in 0..2 {
        let table = t.make(Blueprint::PageTable)?;
        accepts("ARMPageTableMap", table, &[address, 0], &[VSPACE])?;
    }
    accepts(MAP, frame, &[address, RW, NORMAL], &[VSPACE])?;
    for offset in [0, 0x1000, 0x1f_fff8] {
        same("content", 0, peek(address + offset))?;
        poke(address + offset, offset + 1);
    }
    for offset in [0, 0x1000, 0x1f_fff8] {
        same("content", offset + 1, peek(address + offset))?;
    }
    // A table does not fit below it.
    let table = t.make(Blueprint::PageTable)?;
    refuses("ARMPageTableMap/DeleteFirst#7", table, &[address, 0], &[VSPACE], &[])?;
    let small = t.frame()?;
    let row = "ARMPageMap/FailedLookup.MissingCapability#9";
    refuses(row, small, &[address, RW, NORMAL], &[VSPACE], &[0, 2, 21])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    Ok(())
}

/// `memory.md §1`: 1 GiB.
fn huge_pages_are_mapped(t: &mut Tester) -> Outcome {
    let (root, address) = (t.vspace()?, 0x4000_0000);
    let frame = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    let table = t.make(Blueprint::PageTable)?;
    accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    accepts(MAP, frame, &[address, RW, 0], &[root])?;
    let table = t.make(Blueprint::PageTable)?;
    refuses("ARMPageTableMap/DeleteFirst#7", table, &[address, 0], &[root], &[])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    accepts("ARMPageTableMap", table, &[address, 0], &[root])?;
    Ok(())
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
        puppet.runs_code(
            crate::machine::store(),
            &[(keel_abi::aarch64::registers::Register::X0, address)],
        )?;
        match puppet.event()? {
            crate::puppet::Event::Done(_) if writes => {}
            crate::puppet::Event::Fault(fault) if !writes => {
                same("VMFault", keel_abi::fault::VM_FAULT, fault.label)?;
            }
            other => return Err(differ("what follows from", Shown::Text("the rights"), Shown::Any(&other))),
        }
    }
    Ok(())
}

/// `invocations.md §10`: an existing mapping in the slot is replaced without error.
fn a_mapping_is_replaced_silently(t: &mut Tester) -> Outcome {
    let ((_, address), other) = (t.mapped_frame()?, t.frame()?);
    poke(address, 1);
    accepts(MAP, other, &[address, RW, NORMAL], &[VSPACE])?;
    same("content of the other", 0, peek(address))
}

/// `invocations.md §10`, PageUnmap.
fn unmap_of_an_unmapped_frame_succeeds(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    let (frame, address) = t.mapped_frame()?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    // It can be mapped elsewhere now.
    accepts(MAP, frame, &[address + 0x3000, RW, NORMAL], &[VSPACE])?;
    Ok(())
}

/// `memory.md §5`: the replaced capability's unmap leaves the other's mapping.
fn unmap_of_a_replaced_frame_does_nothing(t: &mut Tester) -> Outcome {
    let ((frame, address), other) = (t.mapped_frame()?, t.frame()?);
    accepts(MAP, other, &[address, RW, NORMAL], &[VSPACE])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    poke(address, 5);
    same("content", 5, peek(address))?;
    t.delete(frame)?;
    same("content", 5, peek(address))
}

/// Expects a VMFault, or none, of a read.
fn reads(t: &mut Tester, address: u64, mapped: bool) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(crate::machine::load(), &[(keel_abi::aarch64::registers::Register::X0, address)])?;
    match puppet.event()? {
        crate::puppet::Event::Done(_) if mapped => Ok(()),
        crate::puppet::Event::Fault(fault) if !mapped => {
            same("VMFault", keel_abi::fault::VM_FAULT, fault.label)
        }
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
    refuses("ARMPageMap/InvalidCapability#6", frame, &[0x1000, RW, NORMAL], &[other], &[1])?;
    accepts("ARMPageUnmap", frame, &[], &[])?;
    t.map_tables(other, 0x1000)?;
    accepts(MAP, frame, &[0x1000, RW, NORMAL], &[other])?;
    Ok(())
}

/// `memory.md §8`.
fn get_address_needs_no_mapping(t: &mut Tester) -> Outcome {
    let frames = t.make_from(t.block(), Blueprint::SmallPage, 2)?;
    let first = accepts("ARMPageGetAddress", frames, &[], &[])?.word(0);
    let second = accepts("ARMPageGetAddress", after(frames, 1), &[], &[])?.word(0);
    same("distance", 0x1000, second - first)?;
    let device = t.make_from(t.device_untyped(), Blueprint::SmallPage, 1)?;
    let address = accepts("ARMPageGetAddress", device, &[], &[])?.word(0);
    same("address of the device", 0x0a00_0000, address)
}

const OPERATIONS: [&str; 4] =
    ["ARMPageClean_Data", "ARMPageInvalidate_Data", "ARMPageCleanInvalidate_Data", "ARMPageUnify_Instruction"];

/// `invocations.md §10`: cache operations on offsets of the page.
fn cache_operations_check_in_order(t: &mut Tester) -> Outcome {
    let ((frame, _), unmapped) = (t.mapped_frame()?, t.frame()?);
    for operation in OPERATIONS {
        let refuse = |suffix, frame, words: &[u64], detail: &[u64]| {
            refuses_with(&[operation, suffix], None, frame, words, &[], detail)
        };
        refuse("/TruncatedMessage#1", unmapped, &[9], &[])?;
        refuse("/IllegalOperation#2", unmapped, &[9, 5], &[])?;
        for (start, end) in [(9, 5), (9, 9), (0x2000, 0x2000), (1, 0)] {
            refuse("/InvalidArgument#4", frame, &[start, end], &[1])?;
        }
        for (start, end) in [(0x1000, 0x1001), (0x5000, u64::MAX)] {
            refuse("/InvalidArgument#5", frame, &[start, end], &[0])?;
        }
        for (start, end) in [(0, 0x1001), (0xfff, u64::MAX)] {
            refuse("/InvalidArgument#6", frame, &[start, end], &[0])?;
        }
        for (start, end) in [(0, 1), (0, 0x1000), (0xfff, 0x1000), (100, 700)] {
            accepts(operation, frame, &[start, end], &[])?;
        }
    }
    Ok(())
}

/// `invocations.md §10`: the mapping must be there still.
fn cache_operations_check_the_mapping(t: &mut Tester) -> Outcome {
    let ((replaced, address), other) = (t.mapped_frame()?, t.frame()?);
    accepts(MAP, other, &[address, RW, NORMAL], &[VSPACE])?;
    let pool = pool(t)?;
    let (root, lost) = (assigned(t, pool)?, t.frame()?);
    t.map_tables(root, 0x1000)?;
    accepts(MAP, lost, &[0x1000, RW, NORMAL], &[root])?;
    t.delete(pool)?;
    for operation in OPERATIONS {
        let lookup = [operation, "/FailedLookup.InvalidRoot#3"];
        refuses_with(&lookup, None, lost, &[9, 5], &[], &[0, 1])?;
        refuses_with(&[operation, "/InvalidCapability#8"], None, replaced, &[0, 64], &[], &[0])?;
    }
    Ok(())
}

/// `invocations.md §10`: Invalidate would lose data that the mapping may not write.
fn invalidate_needs_a_writable_mapping(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    accepts(MAP, frame, &[address, READ, NORMAL], &[VSPACE])?;
    let row = "ARMPageInvalidate_Data/IllegalOperation#9";
    refuses(row, frame, &[0, 64], &[], &[])?;
    for operation in [OPERATIONS[0], OPERATIONS[2], OPERATIONS[3]] {
        accepts(operation, frame, &[0, 64], &[])?;
    }
    Ok(())
}
