// SPDX-License-Identifier: MIT OR Apache-2.0

//! Untyped memory (`invocations.md §3`, `semantics.md §3`, `objects.md §1, §2`).

use keel::cap::{Blueprint, CPtr};
use keel_abi::{arch::object as machine_object, label, object};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    lookups::{Lookup, Request},
    machine::{DEVICE, DEVICE_WORD, NORMAL, TABLES, peek, peek_u32, poke},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    checks_label_and_length_first,
    checks_type_and_size,
    checks_the_lookup_of_the_node,
    checks_the_node_and_the_window,
    checks_memory_last,
    a_device_untyped_makes_frames_and_untypeds_only,
    device_memory_is_not_cleared,
    every_type_is_made,
    fixed_sizes_ignore_the_size,
    the_largest_window_is_256_slots,
    a_window_goes_into_a_node_of_the_cspace,
    a_failure_makes_nothing,
    objects_are_contiguous_and_aligned,
    the_watermark_counts_until_all_children_are_gone,
    memory_comes_back_cleared,
    free_bytes_are_counted_from_the_watermark,
    a_revoked_untyped_starts_again,
    a_copy_takes_the_memory,
    the_smallest_untyped_holds_an_endpoint,
    a_gigabyte_becomes_a_page,
    a_new_cnode_is_empty,
];

/// The arguments of Retype.
fn retype(blueprint: Blueprint, index: u64, depth: u64, first: u64, count: u64) -> [u64; 6] {
    [blueprint.object_type(), blueprint.size_argument(), index, depth, first, count]
}

/// `invocations.md §3.1` 1, 2.
fn checks_label_and_length_first(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    refuses_label("UntypedRetype/IllegalOperation#1", label::INVALID_INVOCATION, untyped)?;
    refuses_label("UntypedRetype/IllegalOperation#1", label::CNODE_COPY, untyped)?;
    refuses_label("UntypedRetype/IllegalOperation#1", (1 << 52) - 1, untyped)?;
    refuses("UntypedRetype/TruncatedMessage#2", untyped, &[99, 99, 0, 0, 0], &[CNODE], &[])?;
    refuses("UntypedRetype/TruncatedMessage#2", untyped, &[99, 99, 0, 0, 0, 0], &[], &[])
}

/// `invocations.md §3.1` 3–7, each with what comes after wrong, too.
fn checks_type_and_size(t: &mut Tester) -> Outcome {
    let (untyped, root) = (t.untyped(12)?, t.endpoint()?);
    let row = "UntypedRetype/InvalidArgument#3";
    for kind in [machine_object::COUNT, 0xfffe, u64::MAX] {
        refuses(row, untyped, &[kind, 64, 0, 65, 0, 0], &[root], &[0])?;
    }
    let row = "UntypedRetype/RangeError#4";
    let most = u64::from(machine_object::MAX_UNTYPED_BITS);
    for (kind, size) in [
        (object::ENDPOINT, 64),
        (object::TCB, u64::MAX),
        (object::UNTYPED, most + 1),
        (object::SCHED_CONTEXT, most + 1),
        (object::CAP_TABLE, most + 1 - 5),
        (object::CAP_TABLE, 64),
    ] {
        refuses(row, untyped, &[kind, size, 0, 65, 0, 0], &[root], &[0, most])?;
    }
    let small = |kind, size| [kind, size, 0, 65, 0, 0];
    refuses("UntypedRetype/InvalidArgument#5", untyped, &small(object::CAP_TABLE, 0), &[root], &[1])?;
    refuses("UntypedRetype/InvalidArgument#6", untyped, &small(object::UNTYPED, 3), &[root], &[1])?;
    refuses("UntypedRetype/InvalidArgument#7", untyped, &small(object::SCHED_CONTEXT, 6), &[root], &[1])
}

/// `invocations.md §3.1` 8.
fn checks_the_lookup_of_the_node(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(12)?;
    let lookup = Lookup { invocation: "UntypedRetype", step: "#8", side: 0 };
    lookup.fails(t, |root, index, depth| {
        Request::new(untyped, &retype(Blueprint::Endpoint, index, depth, 9999, 0), &[root])
    })
}

/// `invocations.md §3.1` 9–13, each with what comes after wrong, too.
fn checks_the_node_and_the_window(t: &mut Tester) -> Outcome {
    let (untyped, node) = (t.untyped(12)?, t.cnode(2)?);
    let (endpoint, empty) = (t.endpoint()?, t.slot()?);
    let make = |index: CPtr, depth, first, count| {
        retype(Blueprint::Untyped { bits: 20 }, index.bits(), depth, first, count)
    };
    let row = "UntypedRetype/FailedLookup.MissingCapability#9";
    refuses(row, untyped, &make(NULL, 0, 9, 0), &[endpoint], &[0, 2, 0])?;
    refuses(row, untyped, &make(endpoint, DEPTH, 9, 0), &[CNODE], &[0, 2, DEPTH])?;
    refuses(row, untyped, &make(empty, DEPTH, 9, 0), &[CNODE], &[0, 2, DEPTH])?;
    let row = "UntypedRetype/RangeError#10";
    refuses(row, untyped, &make(NULL, 0, 4, 0), &[node], &[0, 3])?;
    refuses(row, untyped, &make(node, DEPTH, u64::MAX, 300), &[CNODE], &[0, 3])?;
    let row = "UntypedRetype/RangeError#11";
    refuses(row, untyped, &make(NULL, 0, 3, 0), &[node], &[1, 256])?;
    refuses(row, untyped, &make(NULL, 0, 3, 257), &[node], &[1, 256])?;
    refuses(row, untyped, &make(NULL, 0, 3, u64::MAX), &[node], &[1, 256])?;
    accepts("UntypedRetype", untyped, &retype(Blueprint::Endpoint, 0, 0, 3, 1), &[node])?;
    refuses("UntypedRetype/RangeError#12", untyped, &make(NULL, 0, 3, 2), &[node], &[1, 1])?;
    refuses("UntypedRetype/RangeError#12", untyped, &make(NULL, 0, 0, 5), &[node], &[1, 4])?;
    refuses("UntypedRetype/DeleteFirst#13", untyped, &make(NULL, 0, 3, 1), &[node], &[])?;
    refuses("UntypedRetype/DeleteFirst#13", untyped, &make(NULL, 0, 0, 4), &[node], &[])
}

/// `invocations.md §3.1` 14, 15.
fn checks_memory_last(t: &mut Tester) -> Outcome {
    let (untyped, device, node) = (t.untyped(12)?, t.device_untyped(), t.cnode(2)?);
    let big = retype(Blueprint::CNode { radix: 8 }, 0, 0, 0, 1);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &big, &[node], &[4096])?;
    refuses("UntypedRetype/NotEnoughMemory#14", device, &big, &[node], &[4096])?;
    let two_pages = retype(Blueprint::SmallPage, 0, 0, 0, 2);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &two_pages, &[node], &[4096])?;
    for kind in [Blueprint::Endpoint, Blueprint::CNode { radix: 4 }, TABLES[0].blueprint, Blueprint::VSpace] {
        refuses("UntypedRetype/InvalidArgument#15", device, &retype(kind, 0, 0, 0, 1), &[node], &[1])?;
    }
    Ok(())
}

/// `semantics.md §3`: device untypeds make frames and untypeds, which are of device memory again.
fn a_device_untyped_makes_frames_and_untypeds_only(t: &mut Tester) -> Outcome {
    let halves = t.make_from(t.device_untyped(), Blueprint::Untyped { bits: 11 }, 2)?;
    let endpoint = retype(Blueprint::Endpoint, 0, 0, t.slot()?.bits(), 1);
    refuses("UntypedRetype/InvalidArgument#15", halves, &endpoint, &[CNODE], &[1])?;
    t.delete(halves)?;
    t.delete(after(halves, 1))?;
    let frame = t.make_from(t.device_untyped(), Blueprint::SmallPage, 1)?;
    let address = accepts("ARCHPageGetAddress", frame, &[], &[])?.word(0);
    same("alignment of the address", 0, address & 0xfff)?;
    let tcb = t.tcb()?;
    refuses("TCBSetIPCBuffer/IllegalOperation#4", tcb, &[0x1000], &[frame], &[])
}

/// `semantics.md §3`: device memory is never cleared, and device frames can be mapped.
fn device_memory_is_not_cleared(t: &mut Tester) -> Outcome {
    let frame = t.make_from(t.device_untyped(), Blueprint::SmallPage, 1)?;
    let address = t.addresses(21);
    t.map_tables(VSPACE, address)?;
    accepts("ARCHPageMap", frame, &[address, READ | WRITE, DEVICE], &[VSPACE])?;
    same("word of the device", DEVICE_WORD, u64::from(peek_u32(address)))
}

/// `objects.md §1, §2`: each type is made, with its size.
fn every_type_is_made(t: &mut Tester) -> Outcome {
    for (kind, bits) in [
        (Blueprint::Untyped { bits: 5 }, 5),
        (Blueprint::Tcb, 11),
        (Blueprint::Endpoint, 4),
        (Blueprint::Notification, 6),
        (Blueprint::CNode { radix: 3 }, 8),
        (Blueprint::SchedContext { bits: 9 }, 9),
        (Blueprint::Reply, 5),
        (Blueprint::VSpace, 12),
        (Blueprint::SmallPage, 12),
        (TABLES[0].blueprint, 12),
        (Blueprint::LargePage, 21),
    ] {
        // It fits exactly: there is room for one, not for two.
        let untyped = t.untyped(bits)?;
        let first = t.slots(2)?;
        let two = retype(kind, 0, 0, first.bits(), 2);
        refuses("UntypedRetype/NotEnoughMemory#14", untyped, &two, &[CNODE], &[1 << bits])?;
        t.make_from(untyped, kind, 1)?;
    }
    Ok(())
}

/// `objects.md §2`: the size of objects of fixed size is ignored, up to its range.
fn fixed_sizes_ignore_the_size(t: &mut Tester) -> Outcome {
    for size in [0, 1, 47, 63] {
        for kind in [object::TCB, object::ENDPOINT, object::REPLY, machine_object::SMALL_PAGE] {
            let slot = t.slot()?;
            accepts("UntypedRetype", t.block(), &[kind, size, 0, 0, slot.bits(), 1], &[CNODE])?;
        }
    }
    Ok(())
}

/// `invocations.md §3.1` 11: 256 objects at once.
fn the_largest_window_is_256_slots(t: &mut Tester) -> Outcome {
    let first = t.make_from(t.block(), Blueprint::Endpoint, 256)?;
    for offset in [0, 1, 128, 255] {
        t.is_empty(after(first, offset), false)?;
    }
    let behind = t.slot()?;
    t.is_empty(behind, true)
}

/// `invocations.md §3.1` 8: the node is looked up below XC0.
fn a_window_goes_into_a_node_of_the_cspace(t: &mut Tester) -> Outcome {
    let (outer, inner) = (t.cnode(3)?, t.slot()?);
    let node = t.cnode(2)?;
    accepts("CNodeMove", outer, &[5, 3, node.bits(), DEPTH], &[CNODE])?;
    let words = retype(Blueprint::Endpoint, 5, 3, 1, 2);
    accepts("UntypedRetype", t.block(), &words, &[outer])?;
    // Bits of the index above the depth do not count.
    let words = retype(Blueprint::Endpoint, 0xff5, 3, 0, 1);
    accepts("UntypedRetype", t.block(), &words, &[outer])?;
    for (slot, empty) in [(0, false), (1, false), (2, false), (3, true)] {
        let words = [inner.bits(), DEPTH, 5 << 2 | slot, 5];
        let moved = call(CNODE, label::CNODE_MOVE, &words, &[outer]).info.label() == 0;
        same("emptiness", empty.into(), (!moved).into())?;
        t.delete(inner)?;
    }
    Ok(())
}

/// `design`: Retype is all or nothing.
fn a_failure_makes_nothing(t: &mut Tester) -> Outcome {
    let (untyped, first) = (t.untyped(6)?, t.slots(5)?);
    let words = retype(Blueprint::Endpoint, 0, 0, first.bits(), 5);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[64])?;
    for offset in 0..5 {
        t.is_empty(after(first, offset), true)?;
    }
    let words = retype(Blueprint::Endpoint, 0, 0, first.bits(), 4);
    accepts("UntypedRetype", untyped, &words, &[CNODE])?;
    Ok(())
}

fn address(frame: CPtr) -> Outcome<u64> {
    Ok(accepts("ARCHPageGetAddress", frame, &[], &[])?.word(0))
}

/// `semantics.md §3`: objects of one call are contiguous; each is aligned to its size, and what is skipped
/// is lost.
fn objects_are_contiguous_and_aligned(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(16)?;
    let first = t.make_from(untyped, Blueprint::SmallPage, 3)?;
    let base = address(first)?;
    same("alignment", 0, base & 0xffff)?;
    same("address of the second", base + 0x1000, address(after(first, 1))?)?;
    same("address of the third", base + 0x2000, address(after(first, 2))?)?;
    t.make_from(untyped, Blueprint::Endpoint, 1)?;
    let next = t.make_from(untyped, Blueprint::SmallPage, 1)?;
    same("address behind an endpoint", base + 0x4000, address(next)?)
}

/// `semantics.md §3`: memory becomes available when all descendants are gone.
fn the_watermark_counts_until_all_children_are_gone(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(13)?;
    let first = t.make_from(untyped, Blueprint::SmallPage, 2)?;
    let (base, slot) = (address(first)?, t.slot()?);
    let words = retype(Blueprint::SmallPage, 0, 0, slot.bits(), 1);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[0])?;
    t.delete(first)?;
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[0])?;
    let copy = t.copy(after(first, 1), ALL)?;
    t.delete(after(first, 1))?;
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[0])?;
    t.delete(copy)?;
    accepts("UntypedRetype", untyped, &words, &[CNODE])?;
    same("address", base, address(slot)?)
}

/// `semantics.md §3`: new frames contain zeros.
fn memory_comes_back_cleared(t: &mut Tester) -> Outcome {
    let (untyped, vaddr) = (t.untyped(12)?, t.addresses(21));
    t.map_tables(VSPACE, vaddr)?;
    for _ in 0..2 {
        let frame = t.make_from(untyped, Blueprint::SmallPage, 1)?;
        accepts("ARCHPageMap", frame, &[vaddr, READ | WRITE, NORMAL], &[VSPACE])?;
        for word in (0..4096).step_by(8) {
            same("content of a new frame", 0, peek(vaddr + word))?;
            poke(vaddr + word, !0);
        }
        t.delete(frame)?;
    }
    Ok(())
}

/// `semantics.md §3`: NotEnoughMemory tells the free bytes.
fn free_bytes_are_counted_from_the_watermark(t: &mut Tester) -> Outcome {
    let (untyped, slot) = (t.untyped(12)?, t.slot()?);
    t.make_from(untyped, Blueprint::Endpoint, 3)?;
    let page = retype(Blueprint::SmallPage, 0, 0, slot.bits(), 1);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &page, &[CNODE], &[4096 - 48])?;
    t.make_from(untyped, Blueprint::Tcb, 1)?;
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &page, &[CNODE], &[0])
}

/// `semantics.md §3`: after a revoke the untyped starts at its beginning.
fn a_revoked_untyped_starts_again(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(14)?;
    let first = t.make_from(untyped, Blueprint::SmallPage, 1)?;
    let (base, half) = (address(first)?, t.make_from(untyped, Blueprint::Untyped { bits: 13 }, 1)?);
    let below = t.make_from(half, Blueprint::Endpoint, 4)?;
    t.revoke(untyped)?;
    for slot in [first, half, below, after(below, 3)] {
        t.is_empty(slot, true)?;
    }
    let again = t.make_from(untyped, Blueprint::SmallPage, 4)?;
    same("address", base, address(again)?)
}

/// `semantics.md §1`: an untyped with children cannot be copied; a copy takes all memory of the source.
fn a_copy_takes_the_memory(t: &mut Tester) -> Outcome {
    let (untyped, slot) = (t.untyped(13)?, t.slot()?);
    let copy = t.copy(untyped, ALL)?;
    let page = retype(Blueprint::SmallPage, 0, 0, slot.bits(), 1);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &page, &[CNODE], &[0])?;
    refuses(
        "CNodeCopy/RevokeFirst#8",
        CNODE,
        &[slot.bits(), DEPTH, untyped.bits(), DEPTH, ALL],
        &[CNODE],
        &[],
    )?;
    t.make_from(copy, Blueprint::SmallPage, 2)?;
    t.revoke(untyped)?;
    t.is_empty(copy, true)?;
    t.make_from(untyped, Blueprint::SmallPage, 2)?;
    Ok(())
}

/// `objects.md §2`: untypeds of 16 bytes.
fn the_smallest_untyped_holds_an_endpoint(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(4)?;
    t.make_from(untyped, Blueprint::Endpoint, 1)?;
    let words = retype(Blueprint::Endpoint, 0, 0, t.slot()?.bits(), 1);
    refuses("UntypedRetype/NotEnoughMemory#14", untyped, &words, &[CNODE], &[0])
}

/// `objects.md §2`: a page of 1 GiB.
fn a_gigabyte_becomes_a_page(t: &mut Tester) -> Outcome {
    let frame = t.make_from(t.gigabyte(), Blueprint::HugePage, 1)?;
    same("alignment of the page", 0, address(frame)? & ((1 << 30) - 1))
}

/// `objects.md §4`: all slots of a new CNode are empty.
fn a_new_cnode_is_empty(t: &mut Tester) -> Outcome {
    let (cnode, spare) = (t.cnode(4)?, t.slot()?);
    for index in 0..16 {
        let words = [spare.bits(), DEPTH, index, 4];
        refuses("CNodeMove/FailedLookup.MissingCapability#6", CNODE, &words, &[cnode], &[1, 2, 4])?;
    }
    Ok(())
}
