// SPDX-License-Identifier: MIT OR Apache-2.0

//! Resolution of addresses through trees of CNodes, and how it fails.
#![allow(clippy::unusual_byte_groupings, reason = "digits are grouped by guard and radix")]
// Digits are grouped as levels of CNodes take them: guard, radix, guard, radix.

use super::*;
use crate::host::Host;
use crate::host::world::{CPtr, DEPTH, World};
use keel_abi::{label, object, slot};

/// A CNode of radix 3 with guard 0b10 (2 bits), in which slot 5 holds one of radix 2 with guard 0b1 (1 bit), in
/// which slot 3 holds an endpoint: 8 bits in all. The first CNode's capability and address.
fn two_levels(world: &mut World) -> Cap {
    let inner = world.make(object::CAP_TABLE, 2);
    let inner = world.mint(inner, 15, 0b1 << 6 | 1);
    let outer = world.make(object::CAP_TABLE, 3);
    let outer = world.mint(outer, 15, 0b10 << 6 | 2);
    let endpoint = world.endpoint();
    into(world, outer, 0b10_101, 5, inner);
    into(world, outer, 0b10_101_1_11, 8, endpoint);
    world.cap(outer)
}

/// Copies `source` to `index` (`depth` bits) below the CNode `root`.
fn into(world: &mut World, root: CPtr, index: u64, depth: u64, source: CPtr) {
    let words = [index, depth, source, DEPTH, 15];
    world.must(root, label::CNODE_COPY, &words, &[slot::INIT_CNODE]);
}

fn found(store: &Store<Host>, root: Cap, address: u64, depth: u64) -> Result<(Cap, u64), LookupFailure> {
    resolve(store, root.into(), address, depth).map(|(slot, left)| (store[slot].cap(), left))
}

#[test]
fn addresses_are_resolved_level_by_level() {
    let mut world = World::new();
    let root = two_levels(&mut world);
    let store = &world.kernel.store;
    assert!(matches!(found(store, root, 0b10_101_1_11, 8), Ok((Cap::Endpoint(_), 0))));
    assert!(matches!(found(store, root, 0b10_101_1_01, 8), Ok((Cap::Null, 0))), "an empty slot is found");
    assert!(matches!(found(store, root, 0b10_101, 5), Ok((Cap::CNode(_), 0))), "a CNode is found");
    let high_bits = 0xff00;
    assert!(matches!(found(store, root, high_bits | 0b10_101_1_11, 8), Ok((Cap::Endpoint(_), 0))));
}

#[test]
fn bits_are_left_over_where_no_cnode_follows() {
    let mut world = World::new();
    let root = two_levels(&mut world);
    let store = &world.kernel.store;
    assert!(matches!(found(store, root, 0b10_101_1_11_0110, 12), Ok((Cap::Endpoint(_), 4))));
    assert!(matches!(found(store, root, 0b10_000 << 59, 64), Ok((Cap::Null, 59))));
}

#[test]
fn failures_say_where_and_why() {
    let mut world = World::new();
    let root = two_levels(&mut world);
    let store = &world.kernel.store;
    let fails = |address, depth| found(store, root, address, depth).expect_err("no such address");
    let guard = |bits_left, guard_found, bits_found| LookupFailure::GuardMismatch {
        bits_left,
        guard_found,
        bits_found,
    };
    assert_eq!(fails(0b11_101_1_11, 8), guard(8, 0b10, 2));
    assert_eq!(fails(0b10_101_0_11, 8), guard(3, 0b1, 1));
    assert_eq!(fails(0, 1), guard(1, 0b10, 2), "fewer bits than the guard has");
    assert_eq!(fails(0b10_10, 4), LookupFailure::DepthMismatch { bits_left: 4, bits_found: 5 });
    assert_eq!(fails(0b10_101_1_1, 7), LookupFailure::DepthMismatch { bits_left: 2, bits_found: 3 });
    let no_root = found(store, Cap::DomainSet, 0, 64);
    assert_eq!(no_root, Err(LookupFailure::InvalidRoot));
}

#[test]
fn all_64_bits_can_be_guard_and_radix() {
    let mut world = World::new();
    let cnode = world.make(object::CAP_TABLE, 1);
    let guard = u64::MAX >> 6;
    let root = world.mint(cnode, 15, guard << 6 | 58);
    let root = world.cap(root);
    let store = &world.kernel.store;
    // 58 bits of guard, all ones, then one bit of radix: 59 bits.
    assert!(matches!(found(store, root, u64::MAX, 59), Ok((Cap::Null, 0))));
    assert!(matches!(found(store, root, u64::MAX, 64), Ok((Cap::Null, 5))));
    assert!(found(store, root, u64::MAX - 4, 59).is_err(), "the guard is compared to its last bit");
}

#[test]
fn sixty_four_levels_of_one_bit_are_resolved() {
    let mut world = World::new();
    let first = world.make(object::CAP_TABLE, 1);
    let mut last = first;
    for _ in 1..64 {
        let next = world.make(object::CAP_TABLE, 1);
        into(&mut world, last, 1, 1, next);
        last = next;
    }
    let endpoint = world.endpoint();
    into(&mut world, last, 1, 1, endpoint);
    let root = world.cap(first);
    let store = &world.kernel.store;
    assert!(matches!(found(store, root, u64::MAX, 64), Ok((Cap::Endpoint(_), 0))));
    assert!(matches!(found(store, root, u64::MAX - 1, 64), Ok((Cap::Null, 0))));
    assert!(matches!(found(store, root, 0, 64), Ok((Cap::Null, 63))));
}
