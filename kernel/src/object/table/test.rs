// SPDX-License-Identifier: MIT OR Apache-2.0

//! Mapping and unmapping tables, and the spaces that other tests of paging use.

use super::*;
use crate::cap::VSpaceCap;
use crate::host::Host;
use crate::host::world::{CPtr, Failure, Outcome, World};
use keel_abi::aarch64::{label, object};
use keel_abi::error::ErrorCode;
use keel_abi::slot;

/// FailedLookup of the target: nothing mapped that spans 2^`bits_left` bytes.
pub fn missing(bits_left: u64) -> Outcome {
    Err(Failure::new(ErrorCode::FailedLookup, &[0, 2, bits_left]))
}

/// FailedLookup of the target: the address space is dead.
pub fn invalid_root() -> Outcome {
    Err(Failure::new(ErrorCode::FailedLookup, &[0, 1]))
}

/// An error with one word of detail.
pub fn error(code: ErrorCode, word: u64) -> Outcome {
    Err(Failure::new(code, &[word]))
}

/// An error without details.
pub fn plain(code: ErrorCode) -> Outcome {
    Err(Failure::new(code, &[]))
}

/// Success without results.
pub fn done() -> Outcome {
    Ok(vec![])
}

/// A new address space with an identifier.
pub fn space(world: &mut World) -> CPtr {
    let space = world.make(object::VSPACE, 0);
    world.must(slot::INIT_ASID_POOL, label::ASID_POOL_ASSIGN, &[], &[space]);
    space
}

/// A new frame of device memory.
pub fn device_frame(world: &mut World, kind: u64) -> CPtr {
    let frame = world.free_slot();
    world.retype(world.devices, kind, 0, frame, 1).expect("a frame of a device");
    frame
}

/// Maps a table.
pub fn map_table(world: &mut World, table: CPtr, space: CPtr, address: u64) -> Outcome {
    world.invoke(table, label::PAGE_TABLE_MAP, &[address, 0], &[space])
}

/// A new table, mapped.
pub fn table(world: &mut World, space: CPtr, address: u64) -> CPtr {
    let table = world.make(object::PAGE_TABLE, 0);
    assert_eq!(map_table(world, table, space, address), done());
    table
}

/// What is mapped at `address`: raw entry and physical address.
pub fn page(world: &World, space: CPtr, address: u64) -> Option<(u64, PhysAddr)> {
    let Cap::VSpace(space) = world.cap(space) else { panic!("no address space") };
    let (place, physical) = world.kernel.lookup_page(space.root, VirtAddr(address))?;
    Some((world.kernel.raw_entry(place), physical))
}

fn unmap_table(world: &mut World, table: CPtr) -> Outcome {
    world.invoke(table, label::PAGE_TABLE_UNMAP, &[], &[])
}

fn mapping(world: &World, table: CPtr) -> Mapping {
    let Cap::Table(table) = world.cap(table) else { panic!("no table") };
    table.mapping
}

const ADDRESS: u64 = 0x12_3456_7000;

#[test]
fn a_table_goes_where_the_first_one_is_missing() {
    let mut world = World::new();
    let space = space(&mut world);
    for bits in [39, 30, 21] {
        let table = table(&mut world, space, ADDRESS);
        let expected = Mapping { asid: 2, address: VirtAddr(ADDRESS >> bits << bits), ..Mapping::NONE };
        assert_eq!(mapping(&world, table), expected);
    }
    let fourth = world.make(object::PAGE_TABLE, 0);
    assert_eq!(map_table(&mut world, fourth, space, ADDRESS), plain(ErrorCode::DeleteFirst));
    assert_eq!(map_table(&mut world, fourth, space, ADDRESS + (1 << 30)), done());
}

#[test]
fn a_page_in_the_way_of_a_table_stays() {
    let mut world = World::new();
    let space = space(&mut world);
    for _ in 0..2 {
        table(&mut world, space, 0);
    }
    let page = device_frame(&mut world, object::LARGE_PAGE);
    world.must(page, label::PAGE_MAP, &[0, 3, 3], &[space]);
    let late = world.make(object::PAGE_TABLE, 0);
    assert_eq!(map_table(&mut world, late, space, 0x1000), plain(ErrorCode::DeleteFirst));
    assert_eq!(map_table(&mut world, late, space, 0x20_0000), done());
}

#[test]
fn map_checks_in_the_order_of_the_interface() {
    let mut world = World::new();
    let space = space(&mut world);
    let unassigned = world.make(object::VSPACE, 0);
    let mapped = table(&mut world, space, 0);
    let table = world.make(object::PAGE_TABLE, 0);
    let top = Host::USER_TOP;

    let truncated = plain(ErrorCode::TruncatedMessage);
    assert_eq!(world.invoke(table, label::PAGE_TABLE_MAP, &[0], &[space]), truncated);
    assert_eq!(world.invoke(table, label::PAGE_TABLE_MAP, &[0, 0], &[]), truncated);
    assert_eq!(map_table(&mut world, mapped, unassigned, top + 1), error(ErrorCode::InvalidCapability, 0));
    assert_eq!(map_table(&mut world, table, unassigned, top + 1), error(ErrorCode::InvalidCapability, 1));
    assert_eq!(map_table(&mut world, table, mapped, top + 1), error(ErrorCode::InvalidCapability, 1));
    assert_eq!(map_table(&mut world, table, space, top + 1), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map_table(&mut world, table, space, u64::MAX), error(ErrorCode::InvalidArgument, 0));
    assert_eq!(map_table(&mut world, table, space, top), done());
}

#[test]
fn unmapping_needs_the_last_capability() {
    let mut world = World::new();
    let space = space(&mut world);
    let table = table(&mut world, space, ADDRESS);
    let copy = world.copy(table, 15);
    assert_eq!(unmap_table(&mut world, table), plain(ErrorCode::RevokeFirst));
    world.delete(copy);
    assert_eq!(unmap_table(&mut world, table), done());
    assert_eq!(mapping(&world, table), Mapping::NONE);
    assert_eq!(unmap_table(&mut world, table), done(), "an unmapped table can be unmapped");
}

#[test]
fn unmapping_empties_the_table() {
    let mut world = World::new();
    let space = space(&mut world);
    let tables = [0; 3].map(|_| table(&mut world, space, ADDRESS));
    let frame = world.frame();
    world.must(frame, label::PAGE_MAP, &[ADDRESS, 3, 3], &[space]);
    assert_eq!(unmap_table(&mut world, tables[2]), done());
    assert_eq!(page(&world, space, ADDRESS), None);
    assert_eq!(map_table(&mut world, tables[2], space, ADDRESS), done());
    assert_eq!(mapping(&world, tables[2]).address, VirtAddr(ADDRESS >> 21 << 21), "where it was before");
    assert_eq!(page(&world, space, ADDRESS), None, "the page was forgotten");
    assert_eq!(world.invoke(frame, label::PAGE_UNMAP, &[], &[]), done(), "its capability was not told");
}

#[test]
fn deleting_the_last_capability_unmaps() {
    let mut world = World::new();
    let space = space(&mut world);
    let tables = [0; 3].map(|_| table(&mut world, space, ADDRESS));
    let copy = world.copy(tables[2], 15);
    let frame = world.frame();
    world.must(frame, label::PAGE_MAP, &[ADDRESS, 3, 3], &[space]);
    world.delete(tables[2]);
    assert!(page(&world, space, ADDRESS).is_some());
    world.delete(copy);
    assert_eq!(page(&world, space, ADDRESS), None);
    table(&mut world, space, ADDRESS);
}

#[test]
fn a_table_in_the_middle_takes_the_others_along() {
    let mut world = World::new();
    let space = space(&mut world);
    let tables = [0; 3].map(|_| table(&mut world, space, ADDRESS));
    assert_eq!(unmap_table(&mut world, tables[0]), done());
    assert_eq!(unmap_table(&mut world, tables[2]), done(), "no longer hooked in, but harmless");
    assert_eq!(map_table(&mut world, tables[2], space, ADDRESS), done());
    assert_eq!(mapping(&world, tables[2]).address, VirtAddr(0), "now of the top level");
    assert_eq!(unmap_table(&mut world, tables[1]), done());
}

#[test]
fn a_table_outlives_its_space() {
    let mut world = World::new();
    let old = space(&mut world);
    let tables = [0; 3].map(|_| table(&mut world, old, ADDRESS));
    world.delete(old);
    let new = space(&mut world);
    assert!(matches!(world.cap(new), Cap::VSpace(VSpaceCap { asid: 2, .. })), "the identifier is used again");
    assert_eq!(map_table(&mut world, tables[2], new, ADDRESS), error(ErrorCode::InvalidCapability, 0));
    for table in tables {
        assert_eq!(unmap_table(&mut world, table), done());
        assert_eq!(map_table(&mut world, table, new, ADDRESS), done());
    }
}

#[test]
fn an_unmapped_table_cannot_be_copied() {
    let mut world = World::new();
    let table = world.make(object::PAGE_TABLE, 0);
    let target = world.free_slot();
    let words = [table, 64, 15];
    let copied = world.cnode_op(keel_abi::label::CNODE_COPY, target, &words, &[slot::INIT_CNODE]);
    assert_eq!(copied, plain(ErrorCode::IllegalOperation));
}

#[test]
fn other_labels_are_illegal() {
    let mut world = World::new();
    let table = world.make(object::PAGE_TABLE, 0);
    for label in [label::PAGE_MAP, label::ASID_POOL_ASSIGN, keel_abi::label::TCB_RESUME, 0] {
        assert_eq!(world.invoke(table, label, &[0, 0, 0], &[]), plain(ErrorCode::IllegalOperation));
    }
}
