// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping and unmapping frames.

use super::*;
use crate::cap::VmRights::{KernelOnly, ReadOnly, ReadWrite};
use crate::host::Host;
use crate::host::world::{CPtr, Outcome, World};
use crate::object::table::test::{
    device_frame, done, error, invalid_root, missing, page, plain, space, table,
};
use keel_abi::aarch64::{label, object};
use keel_abi::error::ErrorCode;
use keel_abi::slot;

const ADDRESS: u64 = 0x8000_0000;
const READ_WRITE: u64 = 3;
const READ: u64 = 2;
const WRITE: u64 = 1;

fn map(world: &mut World, frame: CPtr, space: CPtr, address: u64) -> Outcome {
    world.invoke(frame, label::PAGE_MAP, &[address, READ_WRITE, 3], &[space])
}

fn unmap(world: &mut World, frame: CPtr) -> Outcome {
    world.invoke(frame, label::PAGE_UNMAP, &[], &[])
}

fn frame(world: &World, frame: CPtr) -> FrameCap {
    let Cap::Frame(frame) = world.cap(frame) else { panic!("no frame") };
    frame
}

/// A world with an address space that has `levels` tables at `ADDRESS`.
fn world_with(levels: usize) -> (World, CPtr) {
    let mut world = World::new();
    let space = space(&mut world);
    for _ in 0..levels {
        table(&mut world, space, ADDRESS);
    }
    (world, space)
}

#[test]
fn a_frame_is_mapped_with_rights_and_attributes() {
    let (mut world, space) = world_with(3);
    let frame_cap = world.frame();
    let base = frame(&world, frame_cap).base;
    for (asked, effective) in
        [(READ_WRITE, ReadWrite), (READ, ReadOnly), (WRITE, KernelOnly), (0, KernelOnly), (!0, ReadWrite)]
    {
        for attributes in [0, 4, 7] {
            world.must(frame_cap, label::PAGE_MAP, &[ADDRESS, asked, attributes], &[space]);
            let raw = Host::page_entry(base, 0, effective, attributes);
            assert_eq!(page(&world, space, ADDRESS + 0xfff), Some((raw, base)));
        }
    }
    let expected = Mapping { asid: 2, address: VirtAddr(ADDRESS), ..Mapping::NONE };
    assert_eq!(frame(&world, frame_cap).mapping, expected);
    assert_eq!(frame(&world, frame_cap).rights, ReadWrite, "only the mapping is restricted");
}

#[test]
fn a_read_only_capability_maps_read_only() {
    let (mut world, space) = world_with(3);
    let writable = world.frame();
    let readable = world.copy(writable, READ);
    let base = frame(&world, readable).base;
    assert_eq!(map(&mut world, readable, space, ADDRESS), done());
    assert_eq!(page(&world, space, ADDRESS), Some((Host::page_entry(base, 0, ReadOnly, 3), base)));
    let nothing = world.copy(writable, WRITE);
    assert_eq!(map(&mut world, nothing, space, ADDRESS), done());
    assert_eq!(page(&world, space, ADDRESS), Some((Host::page_entry(base, 0, KernelOnly, 3), base)));
}

#[test]
fn each_size_has_its_level() {
    let levels = [(object::SMALL_PAGE, 12, 3), (object::LARGE_PAGE, 21, 2), (object::HUGE_PAGE, 30, 1)];
    for (kind, bits, needed) in levels {
        for tables in 0..=3 {
            let (mut world, space) = world_with(tables);
            let device = device_frame(&mut world, kind);
            let outcome = map(&mut world, device, space, ADDRESS);
            if tables == needed {
                assert_eq!(outcome, done());
                let last = ADDRESS + (1 << bits) - 1;
                assert_eq!(page(&world, space, last).map(|(_, base)| base), Some(frame(&world, device).base));
            } else {
                assert_eq!(outcome, missing([39, 30, 21, 12][tables]));
            }
        }
    }
}

#[test]
fn map_checks_in_the_order_of_the_interface() {
    let (mut world, first) = world_with(3);
    let second = space(&mut world);
    let unassigned = world.make(object::VSPACE, 0);
    let dead = space(&mut world);
    let dead_copy = world.copy(dead, 15);
    let frame = world.frame();
    let invalid = |number| error(ErrorCode::InvalidCapability, number);

    let truncated = plain(ErrorCode::TruncatedMessage);
    assert_eq!(world.invoke(frame, label::PAGE_MAP, &[1, 3], &[first]), truncated);
    assert_eq!(world.invoke(frame, label::PAGE_MAP, &[1, 3, 3], &[]), truncated);
    assert_eq!(map(&mut world, frame, unassigned, 1), invalid(1));
    assert_eq!(map(&mut world, frame, frame, 1), invalid(1));
    assert_eq!(map(&mut world, frame, first, 1), plain(ErrorCode::AlignmentError));
    let beyond = Host::USER_TOP + 1;
    assert_eq!(map(&mut world, frame, first, beyond), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map(&mut world, frame, first, !0xfff), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map(&mut world, frame, first, Host::USER_TOP - 0xfff), missing(39));

    assert_eq!(map(&mut world, frame, first, ADDRESS), done());
    assert_eq!(map(&mut world, frame, first, ADDRESS + 1), plain(ErrorCode::AlignmentError));
    assert_eq!(map(&mut world, frame, second, ADDRESS + 0x1000), invalid(1));
    assert_eq!(map(&mut world, frame, first, ADDRESS + 0x1000), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map(&mut world, frame, first, beyond), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map(&mut world, frame, first, ADDRESS), done());

    assert_eq!(map(&mut world, frame, dead_copy, ADDRESS), invalid(1));
    let table = world.make(object::PAGE_TABLE, 0);
    assert_eq!(map(&mut world, frame, table, ADDRESS), invalid(1));
}

#[test]
fn a_space_of_a_deleted_pool_is_invalid() {
    let mut world = World::new();
    let space = space(&mut world);
    let frame = world.frame();
    // The root task runs on what the pool takes away: so does the machine, from then on.
    world.delete(slot::INIT_ASID_POOL);
    assert_eq!(map(&mut world, frame, space, 1), invalid_root());
    assert_eq!(world.kernel.arch.loaded().map(|loaded| loaded.vspace), Some(None));
}

#[test]
fn one_page_replaces_another() {
    let (mut world, space) = world_with(3);
    let (loser, winner) = (world.frame(), world.frame());
    assert_eq!(map(&mut world, loser, space, ADDRESS), done());
    assert_eq!(map(&mut world, winner, space, ADDRESS), done());
    let base = frame(&world, winner).base;
    assert_eq!(page(&world, space, ADDRESS).map(|(_, base)| base), Some(base));
    assert!(frame(&world, loser).mapping.is_some(), "the loser does not know");
    assert_eq!(unmap(&mut world, loser), done());
    assert_eq!(page(&world, space, ADDRESS).map(|(_, base)| base), Some(base), "nor can it do anything");
    assert_eq!(unmap(&mut world, winner), done());
    assert_eq!(page(&world, space, ADDRESS), None);
}

#[test]
fn a_large_page_does_not_replace_a_table() {
    let (mut world, space) = world_with(3);
    let large = device_frame(&mut world, object::LARGE_PAGE);
    assert_eq!(map(&mut world, large, space, ADDRESS), missing(12));
}

#[test]
fn unmapping_leaves_an_unmapped_capability() {
    let (mut world, space) = world_with(3);
    let frame_cap = world.frame();
    assert_eq!(unmap(&mut world, frame_cap), done());
    assert_eq!(map(&mut world, frame_cap, space, ADDRESS), done());
    assert_eq!(unmap(&mut world, frame_cap), done());
    assert_eq!(page(&world, space, ADDRESS), None);
    assert_eq!(frame(&world, frame_cap).mapping, Mapping::NONE);
    assert_eq!(map(&mut world, frame_cap, space, ADDRESS + 0x1000), done());
}

#[test]
fn a_copy_is_unmapped_and_each_deletion_unmaps() {
    let (mut world, space) = world_with(3);
    let first = world.frame();
    assert_eq!(map(&mut world, first, space, ADDRESS), done());
    let second = world.copy(first, 15);
    assert_eq!(frame(&world, second).mapping, Mapping::NONE);
    assert_eq!(map(&mut world, second, space, ADDRESS + 0x1000), done());
    world.delete(first);
    assert_eq!(page(&world, space, ADDRESS), None);
    assert!(page(&world, space, ADDRESS + 0x1000).is_some());
    world.delete(second);
    assert_eq!(page(&world, space, ADDRESS + 0x1000), None);
}

#[test]
fn a_mapping_outlives_its_space() {
    let (mut world, old) = world_with(3);
    let frame_cap = world.frame();
    assert_eq!(map(&mut world, frame_cap, old, ADDRESS), done());
    world.delete(old);
    let other = space(&mut world);
    let new = space(&mut world);
    assert_eq!(map(&mut world, frame_cap, new, ADDRESS), error(ErrorCode::InvalidCapability, 1));
    assert_eq!(
        map(&mut world, frame_cap, other, ADDRESS),
        missing(39),
        "it has the identifier of the old one"
    );
    assert_eq!(unmap(&mut world, frame_cap), done());
    assert_eq!(map(&mut world, frame_cap, new, ADDRESS), missing(39));
}

#[test]
fn the_address_is_told_to_callers_only() {
    let mut world = World::new();
    let (memory, device) = (world.frame(), device_frame(&mut world, object::SMALL_PAGE));
    for cap in [memory, device] {
        let base = frame(&world, cap).base.0;
        assert_eq!(world.invoke(cap, label::PAGE_GET_ADDRESS, &[], &[]), Ok(vec![base]));
    }
    world.send(memory, label::PAGE_GET_ADDRESS, &[42], &[]);
    let register = Host::REGISTERS.message[0];
    assert_eq!(world.register(world.current(), register), 42);
}

#[test]
fn other_labels_are_illegal() {
    let mut world = World::new();
    let frame = world.frame();
    for label in [label::PAGE_TABLE_MAP, label::ASID_POOL_ASSIGN, keel_abi::label::TCB_RESUME, 0] {
        assert_eq!(world.invoke(frame, label, &[0, 0, 0], &[]), plain(ErrorCode::IllegalOperation));
    }
}
