// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the root task finds when it starts (`boot.md §1–§5`).

use core::{mem::offset_of, sync::atomic::Ordering};

use keel::cap::CPtr;
use keel_abi::{
    arch::{memory::WINDOW_BASE, object::MAX_UNTYPED_BITS},
    bootinfo::{BootInfo, MAX_UNTYPEDS},
    config::Options,
    label, slot,
};

use super::Case;
use crate::{check::*, invoke::*, machine::{self, peek}, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    numbers_of_the_machine,
    slots_come_in_order,
    absent_capabilities_are_empty_slots,
    the_untyped_list_has_an_entry_for_each_slot,
    device_untypeds_come_first,
    untypeds_are_aligned,
    the_rest_of_the_page_is_zero,
    the_image_is_contiguous,
    the_initial_thread_has_all_priorities,
    the_root_cnode_resolves_64_bits,
];

/// Address of the boot information.
pub fn boot_info() -> u64 {
    FACTS.boot_info.load(Ordering::Relaxed)
}

/// A word of the boot information.
pub fn word(offset: usize) -> u64 {
    peek(boot_info() + offset as u64)
}

/// Start and end of a region of slots.
fn region(offset: usize) -> (u64, u64) {
    (word(offset), word(offset + 8))
}

/// `boot.md §2`.
fn numbers_of_the_machine(_: &mut Tester) -> Outcome {
    same("nodeID", 0, word(offset_of!(BootInfo, node_id)))?;
    same("numNodes", 1, word(offset_of!(BootInfo, num_nodes)))?;
    same("numIOPTLevels", machine::IO_TABLE_LEVELS, word(offset_of!(BootInfo, num_io_pt_levels)))?;
    let bits = word(offset_of!(BootInfo, init_thread_cnode_size_bits));
    same("initThreadCNodeSizeBits", Options::BUILD.root_cnode_bits, bits)?;
    same("initThreadDomain", 0, word(offset_of!(BootInfo, init_thread_domain)))?;
    same("ipcBuffer", boot_info() - 0x1000, word(offset_of!(BootInfo, ipc_buffer)))?;
    for absent in [offset_of!(BootInfo, shared_frames), offset_of!(BootInfo, io_space_caps)] {
        same("start of an absent region", 0, region(absent).0)?;
        same("end of an absent region", 0, region(absent).1)?;
    }
    Ok(())
}

/// `boot.md §1.1`: paging, extra BootInfo, SchedControl, image, untypeds, empty.
fn slots_come_in_order(_: &mut Tester) -> Outcome {
    let mut next = slot::NUM_INITIAL;
    let (paging, extra) = (offset_of!(BootInfo, user_image_paging), offset_of!(BootInfo, extra_bi_pages));
    let time = offset_of!(BootInfo, sched_control);
    let first = if machine::TIME_COMES_FIRST { [time, paging, extra] } else { [paging, extra, time] };
    for offset in [
        first[0],
        first[1],
        first[2],
        offset_of!(BootInfo, user_image_frames),
        offset_of!(BootInfo, untyped),
        offset_of!(BootInfo, empty),
    ] {
        let (start, end) = region(offset);
        same("start of a region", next, start)?;
        holds("a region that is not empty", end > start)?;
        next = end;
    }
    same("end of the slots", 1 << Options::BUILD.root_cnode_bits, next)?;
    let (start, end) = region(offset_of!(BootInfo, sched_control));
    same("SchedControl capabilities", 1, end - start)
}

/// `boot.md §1`.
fn absent_capabilities_are_empty_slots(t: &mut Tester) -> Outcome {
    t.is_empty(NULL, true)?;
    for &number in machine::ABSENT_SLOTS {
        t.is_empty(CPtr::new(number), true)?;
    }
    Ok(())
}

/// `boot.md §2`.
fn untypeds() -> impl Iterator<Item = (u64, u64, bool)> {
    let (start, end) = region(offset_of!(BootInfo, untyped));
    (0..end - start).map(|index| {
        let entry = offset_of!(BootInfo, untyped_list) + 16 * index as usize;
        let kind = word(entry + 8);
        (word(entry), kind & 0xff, kind >> 8 & 0xff == 1)
    })
}

/// `boot.md §2`: padding is zero, sizes are those of untypeds.
fn the_untyped_list_has_an_entry_for_each_slot(_: &mut Tester) -> Outcome {
    let (start, end) = region(offset_of!(BootInfo, untyped));
    within("untypeds", 2, MAX_UNTYPEDS as u64, end - start)?;
    for index in 0..(end - start) as usize {
        let kind = word(offset_of!(BootInfo, untyped_list) + 16 * index + 8);
        within("log2 of the size", 4, MAX_UNTYPED_BITS.into(), kind & 0xff)?;
        within("device or not", 0, 1, kind >> 8)?;
    }
    Ok(())
}

/// `boot.md §5.1`: each part in ascending order.
fn device_untypeds_come_first(_: &mut Tester) -> Outcome {
    let mut last: Option<(u64, bool)> = None;
    for (paddr, bits, device) in untypeds() {
        if let Some((end, was_device)) = last {
            holds("devices first", was_device || !device)?;
            holds("ascending addresses", was_device != device || paddr >= end)?;
        }
        last = Some((paddr + (1 << bits), device));
    }
    let first = untypeds().next();
    holds("a device untyped", first.is_some_and(|(_, _, device)| device))
}

/// `boot.md §5.2`: of paddr + B.
fn untypeds_are_aligned(_: &mut Tester) -> Outcome {
    for (paddr, bits, _) in untypeds() {
        same("bits below the alignment", 0, paddr.wrapping_add(WINDOW_BASE) & ((1 << bits) - 1))?;
    }
    Ok(())
}

/// `boot.md §2`.
fn the_rest_of_the_page_is_zero(_: &mut Tester) -> Outcome {
    let (start, end) = region(offset_of!(BootInfo, untyped));
    let used = offset_of!(BootInfo, untyped_list) + 16 * (end - start) as usize;
    for offset in (used..0x1000).step_by(8) {
        same("a word behind the list", 0, word(offset))?;
    }
    Ok(())
}

/// `boot.md §3`: frames in ascending order, contiguous in memory; the BootInfo behind.
fn the_image_is_contiguous(_: &mut Tester) -> Outcome {
    let (start, end) = region(offset_of!(BootInfo, user_image_frames));
    let mut expected = None;
    for number in start..end {
        let address = accepts("ARCHPageGetAddress", CPtr::new(number), &[], &[])?.word(0);
        same("address of a frame", expected.unwrap_or(address), address)?;
        expected = Some(address + 0x1000);
    }
    Ok(())
}

/// `boot.md §4`: priority and MCP 255.
fn the_initial_thread_has_all_priorities(t: &mut Tester) -> Outcome {
    let tcb = t.tcb()?;
    accepts("TCBSetMCPriority", tcb, &[255], &[AUTHORITY])?;
    refuses("TCBSetMCPriority/RangeError#3", tcb, &[256], &[AUTHORITY], &[0, 255])?;
    refuses("SchedContextBind/IllegalOperation#2", CPtr::new(slot::INIT_SCHED_CONTEXT), &[], &[tcb], &[])
}

/// `boot.md §1`: guard 0 of 64 − radix bits.
fn the_root_cnode_resolves_64_bits(t: &mut Tester) -> Outcome {
    let bits = Options::BUILD.root_cnode_bits;
    let words = [1 << bits, 64];
    let answer = call(CNODE, label::CNODE_DELETE, &words, &[]);
    same("FailedLookup", 6, answer.info.label())?;
    same("GuardMismatch", 4, answer.word(1))?;
    same("bits left", 64, answer.word(2))?;
    same("guard", 0, answer.word(3))?;
    same("bits of the guard", 64 - bits, answer.word(4))?;
    let empty = t.slot()?;
    t.delete(empty)
}
