// SPDX-License-Identifier: MIT OR Apache-2.0

//! Pools, identifiers, and what happens to those who run in an address space that ends.

use super::*;
use crate::host::Host;
use crate::host::world::{CPtr, Outcome, World};
use crate::object::table::test::{done, error, invalid_root, plain, space};
use keel_abi::aarch64::{label, object};
use keel_abi::error::ErrorCode;
use keel_abi::slot;

fn make_pool(world: &mut World, untyped: CPtr, target: CPtr) -> Outcome {
    let caps = [untyped, slot::INIT_CNODE];
    world.invoke(slot::ASID_CONTROL, label::ASID_CONTROL_MAKE_POOL, &[target, 64], &caps)
}

fn pool(world: &mut World) -> CPtr {
    let (untyped, target) = (world.untyped(12), world.free_slot());
    assert_eq!(make_pool(world, untyped, target), done());
    target
}

fn assign(world: &mut World, pool: CPtr, space: CPtr) -> Outcome {
    world.invoke(pool, label::ASID_POOL_ASSIGN, &[], &[space])
}

fn asid(world: &World, space: CPtr) -> Asid {
    let Cap::VSpace(space) = world.cap(space) else { panic!("no address space") };
    space.asid
}

fn base(world: &World, pool: CPtr) -> Asid {
    let Cap::AsidPool { base, .. } = world.cap(pool) else { panic!("no pool") };
    base
}

#[test]
fn the_lowest_free_pool_is_made() {
    let mut world = World::new();
    let pools = [0; 3].map(|_| pool(&mut world));
    assert_eq!(pools.map(|pool| base(&world, pool)), [512, 1024, 1536]);
    world.delete(pools[1]);
    let again = pool(&mut world);
    assert_eq!(base(&world, again), 1024);
}

#[test]
fn a_pool_uses_up_its_untyped_and_is_its_child() {
    let mut world = World::new();
    let (untyped, target) = (world.untyped(12), world.free_slot());
    // A TCB was here before, so the memory must be cleared.
    world.retype(untyped, keel_abi::object::TCB, 0, target, 1).unwrap();
    world.revoke(untyped);
    assert_eq!(make_pool(&mut world, untyped, target), done());
    assert!(matches!(world.cap(untyped), Cap::Untyped(UntypedCap { watermark: 4096, .. })));
    let other = world.free_slot();
    assert_eq!(make_pool(&mut world, untyped, other), plain(ErrorCode::RevokeFirst));
    world.revoke(untyped);
    assert!(world.cap(target).is_null());
    assert_eq!(make_pool(&mut world, untyped, target), done());
    assert_eq!(base(&world, target), 512);
}

#[test]
fn make_pool_checks_in_the_order_of_the_interface() {
    let mut world = World::new();
    let (small, large, good) = (world.untyped(11), world.untyped(13), world.untyped(12));
    let (device, target) = (world.free_slot(), world.free_slot());
    world.retype(world.devices, keel_abi::object::UNTYPED, 12, device, 1).unwrap();

    let truncated = plain(ErrorCode::TruncatedMessage);
    let (control, make) = (slot::ASID_CONTROL, label::ASID_CONTROL_MAKE_POOL);
    assert_eq!(world.invoke(control, make, &[target], &[good, slot::INIT_CNODE]), truncated);
    assert_eq!(world.invoke(control, make, &[target, 64], &[good]), truncated);
    for wrong in [small, large, device, slot::INIT_TCB, target] {
        // The destination is not free either, but that comes later.
        let outcome = make_pool(&mut world, wrong, slot::INIT_TCB);
        assert_eq!(outcome, error(ErrorCode::InvalidCapability, 1));
    }
    assert_eq!(make_pool(&mut world, good, slot::INIT_TCB), plain(ErrorCode::DeleteFirst));
    assert_eq!(make_pool(&mut world, good, target), done());
}

#[test]
fn pools_end_with_delete_first() {
    let mut world = World::new();
    let mut made = 1;
    let (mut untyped, target) = (world.untyped(12), world.free_slot());
    while make_pool(&mut world, untyped, target) == done() {
        made += 1;
        // The capability goes to a place where it is out of the way.
        let place = world.free_slot();
        let words = [target, 64];
        world.cnode_op(keel_abi::label::CNODE_MOVE, place, &words, &[slot::INIT_CNODE]).unwrap();
        untyped = world.untyped(12);
    }
    assert_eq!(made, Host::ASID_POOLS);
    // The first of the checks behind the length.
    assert_eq!(make_pool(&mut world, slot::INIT_TCB, target), plain(ErrorCode::DeleteFirst));
}

#[test]
fn a_pool_gives_out_its_lowest_free_identifier() {
    let mut world = World::new();
    let pool = pool(&mut world);
    let spaces = [0; 3].map(|_| world.make(object::VSPACE, 0));
    for space in spaces {
        assert_eq!(assign(&mut world, pool, space), done());
    }
    assert_eq!(spaces.map(|space| asid(&world, space)), [512, 513, 514]);
    world.delete(spaces[1]);
    let again = world.make(object::VSPACE, 0);
    assert_eq!(assign(&mut world, pool, again), done());
    assert_eq!(asid(&world, again), 513);
    // The first pool has neither 0 nor the root task's 1 to give.
    let first = space(&mut world);
    assert_eq!(asid(&world, first), 2);
}

#[test]
fn a_pool_ends_with_delete_first() {
    let mut world = World::new();
    world.check_each_entry(false);
    // All of the first pool but 0 and the root task's 1.
    let spaces: Vec<_> = (2..POOL_ENTRIES).map(|_| space(&mut world)).collect();
    for (expected, &space) in (2..).zip(&spaces) {
        assert_eq!(asid(&world, space), expected);
    }
    let last = world.make(object::VSPACE, 0);
    assert_eq!(assign(&mut world, slot::INIT_ASID_POOL, last), plain(ErrorCode::DeleteFirst));
    world.check();
    // One that ends is the only free one; of two the lower is given out.
    world.delete(spaces[300 - 2]);
    assert_eq!(assign(&mut world, slot::INIT_ASID_POOL, last), done());
    assert_eq!(asid(&world, last), 300);
    for ends in [400, 100] {
        world.delete(spaces[ends - 2]);
    }
    let next = space(&mut world);
    assert_eq!(asid(&world, next), 100);
    world.check();
    world.delete(slot::INIT_ASID_POOL);
    world.check();
}

#[test]
fn assign_checks_in_the_order_of_the_interface() {
    let mut world = World::new();
    let pool = pool(&mut world);
    let space = world.make(object::VSPACE, 0);
    let invalid = error(ErrorCode::InvalidCapability, 1);
    assert_eq!(world.invoke(pool, label::ASID_POOL_ASSIGN, &[], &[]), plain(ErrorCode::TruncatedMessage));
    assert_eq!(assign(&mut world, pool, pool), invalid);
    assert_eq!(assign(&mut world, pool, slot::INIT_VSPACE), invalid, "assigned already");
    assert_eq!(assign(&mut world, pool, space), done());
    assert_eq!(assign(&mut world, pool, space), invalid);
}

#[test]
fn an_unassigned_root_cannot_be_copied() {
    let mut world = World::new();
    let space = world.make(object::VSPACE, 0);
    let target = world.free_slot();
    let words = [space, 64, 15];
    let copied = world.cnode_op(keel_abi::label::CNODE_COPY, target, &words, &[slot::INIT_CNODE]);
    assert_eq!(copied, plain(ErrorCode::IllegalOperation));
    assert_eq!(assign(&mut world, slot::INIT_ASID_POOL, space), done());
    let copy = world.copy(space, 15);
    assert_eq!(asid(&world, copy), asid(&world, space));
}

#[test]
fn deleting_a_pool_takes_its_spaces_for_good() {
    let mut world = World::new();
    let old = pool(&mut world);
    let space = world.make(object::VSPACE, 0);
    assert_eq!(assign(&mut world, old, space), done());
    world.delete(old);
    assert_eq!(world.kernel.vspace_root(world.cap(space)), None);

    let new = pool(&mut world);
    let fresh = world.make(object::VSPACE, 0);
    let (frame, map) = (world.frame(), label::PAGE_MAP);
    let failed = world.invoke(frame, map, &[0, 3, 3], &[space]);
    assert_eq!(failed, invalid_root());
    assert_eq!(assign(&mut world, new, fresh), done());
    assert_eq!(asid(&world, fresh), asid(&world, space), "the same identifier stands for another root");
    assert_eq!(world.kernel.vspace_root(world.cap(space)), None);
    assert_eq!(world.invoke(frame, map, &[0, 3, 3], &[space]), error(ErrorCode::InvalidCapability, 1));
    assert_eq!(assign(&mut world, new, space), error(ErrorCode::InvalidCapability, 1));
    world.delete(space);
    assert!(world.kernel.vspace_root(world.cap(fresh)).is_some(), "the new root keeps its identifier");
}

#[test]
fn a_thread_whose_space_ends_runs_in_the_empty_one() {
    let mut world = World::new();
    let own = space(&mut world);
    let thread = world.thread(255);
    let caps = [0, slot::INIT_CNODE, own];
    world.must(thread.cap, keel_abi::label::TCB_SET_SPACE, &[0, 0], &caps);
    world.run(thread.tcb);
    let Cap::VSpace(VSpaceCap { root, asid }) = world.cap(own) else { panic!("no address space") };
    assert_eq!(world.kernel.arch.loaded().map(|loaded| loaded.vspace), Some(Some((root, asid))));

    // The thread holds a copy: it takes the identifier's end, not the capability's.
    world.delete(own);
    assert_eq!(world.kernel.arch.loaded().map(|loaded| loaded.vspace), Some(Some((root, asid))));
    world.delete(slot::INIT_ASID_POOL);
    assert_eq!(world.current(), thread.tcb);
    assert_eq!(world.kernel.arch.loaded().map(|loaded| loaded.vspace), Some(None));
}
