// SPDX-License-Identifier: MIT OR Apache-2.0

//! Operations on slots, as a program sees them: results, errors in their order, and what revocation reaches.

use crate::cap::{CNodeCap, Cap, Rights};
use crate::host::world::{CPtr, DEPTH, Failure, World};
use keel_abi::error::ErrorCode;
use keel_abi::{label, object, slot};

/// An operation that is refused: label, words, capabilities; error and its words.
type Case<'a> = (u64, &'a [u64], &'a [CPtr], ErrorCode, &'a [u64]);

const ROOT: CPtr = slot::INIT_CNODE;
const ALL: u64 = 15;

fn failure<T>(code: ErrorCode, words: &[u64]) -> Result<T, Failure> {
    Err(Failure::new(code, words))
}

fn badge_of(world: &World, address: CPtr) -> u64 {
    match world.cap(address) {
        Cap::Endpoint(cap) => cap.badge,
        Cap::Notification(cap) => cap.badge,
        cap => panic!("{cap:?} has no badge"),
    }
}

#[test]
fn revocation_takes_copies_and_their_copies_but_not_the_original() {
    let mut world = World::new();
    let original = world.endpoint();
    let copy = world.copy(original, ALL);
    let copy_of_copy = world.copy(copy, ALL);
    world.revoke(copy);
    assert!(!world.cap(copy_of_copy).is_null(), "a copy of a copy is a sibling");
    world.revoke(original);
    assert!(world.cap(copy).is_null() && world.cap(copy_of_copy).is_null());
    assert!(!world.cap(original).is_null());
}

#[test]
fn each_badged_mint_is_an_original_of_its_own() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let first = world.mint(endpoint, ALL, 7);
    let second = world.mint(endpoint, ALL, 7);
    let of_first = world.copy(first, ALL);
    let of_second = world.copy(second, ALL);
    assert_eq!(badge_of(&world, of_first), 7);
    // The later mint stands before the earlier one in the list: nothing but its mark parts the two groups.
    world.revoke(second);
    assert!(world.cap(of_second).is_null());
    assert!(
        !world.cap(of_first).is_null() && !world.cap(first).is_null(),
        "another mint with the same badge"
    );
    world.revoke(first);
    assert!(world.cap(of_first).is_null());
    world.revoke(endpoint);
    assert!(world.cap(first).is_null() && world.cap(second).is_null());
}

#[test]
fn children_of_a_deleted_original_become_those_of_its_parent() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (first, second) = (world.mint(endpoint, ALL, 7), world.mint(endpoint, ALL, 7));
    let of_first = world.copy(first, ALL);
    // The groups of two mints with one badge stay apart, although the one behind has lost its head.
    world.delete(first);
    assert!(!world.cap(of_first).is_null());
    world.revoke(second);
    assert!(!world.cap(of_first).is_null(), "it never was a child of the other mint");
    world.revoke(endpoint);
    assert!(world.cap(of_first).is_null());
}

#[test]
fn rights_are_masked_and_never_come_back() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let read_only = world.copy(endpoint, 2);
    let again = world.copy(read_only, ALL);
    for (address, rights) in [(endpoint, 15), (read_only, 2), (again, 2)] {
        let Cap::Endpoint(cap) = world.cap(address) else { panic!("no endpoint") };
        assert_eq!(cap.rights, Rights::from_word(rights));
    }
    let notification = world.notification();
    let Cap::Notification(cap) = world.cap(notification) else { panic!("no notification") };
    assert_eq!(cap.rights, Rights::READ_WRITE);
    let reply = world.reply();
    let without_grant = world.copy(reply, 11);
    let Cap::Reply { rights, .. } = world.cap(without_grant) else { panic!("no reply") };
    assert!(!rights.has(Rights::GRANT));
}

#[test]
fn badges_are_set_once_by_mint_alone() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let unbadged = world.mint(endpoint, ALL, 0);
    assert_eq!(badge_of(&world, unbadged), 0);
    let badged = world.mint(unbadged, ALL, u64::MAX);
    assert_eq!(badge_of(&world, badged), u64::MAX, "all 64 bits");
    let free = world.free_slot();
    let words = [badged, DEPTH, ALL, 5];
    let minted = world.cnode_op(label::CNODE_MINT, free, &words, &[ROOT]);
    assert_eq!(minted, failure(ErrorCode::IllegalOperation, &[]));
    let mutated = world.cnode_op(label::CNODE_MUTATE, free, &[endpoint, DEPTH, 5], &[ROOT]);
    assert_eq!(mutated, failure(ErrorCode::IllegalOperation, &[]), "even without a badge");
    assert!(world.cap(free).is_null());
}

#[test]
fn moving_keeps_the_place_in_the_tree() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let child = world.copy(endpoint, ALL);
    let moved = world.free_slot();
    world.cnode_op(label::CNODE_MOVE, moved, &[endpoint, DEPTH], &[ROOT]).expect("a legal move");
    assert!(world.cap(endpoint).is_null());
    world.revoke(moved);
    assert!(world.cap(child).is_null());
}

#[test]
fn mutate_sets_the_guard_of_a_cnode() {
    let mut world = World::new();
    let cnode = world.make(object::CAP_TABLE, 4);
    let mutated = world.free_slot();
    let guard = 0b101 << 6 | 3;
    world.cnode_op(label::CNODE_MUTATE, mutated, &[cnode, DEPTH, guard], &[ROOT]).expect("a legal guard");
    assert!(world.cap(cnode).is_null());
    assert!(matches!(world.cap(mutated), Cap::CNode(CNodeCap { radix: 4, guard_bits: 3, guard: 0b101, .. })));
    let free = world.free_slot();
    let too_long = world.cnode_op(label::CNODE_MUTATE, free, &[mutated, DEPTH, 61], &[ROOT]);
    assert_eq!(too_long, failure(ErrorCode::IllegalOperation, &[]));
    world.cnode_op(label::CNODE_MUTATE, free, &[mutated, DEPTH, 60], &[ROOT]).expect("64 bits are enough");
}

#[test]
fn rotate_moves_two_capabilities_or_swaps_them() {
    let mut world = World::new();
    let (pivot, source) = (world.reply(), world.make(object::CAP_TABLE, 2));
    let source_copy = world.copy(source, ALL);
    let target = world.free_slot();
    let rotate = |world: &mut World, target, pivot, source, data: (u64, u64)| {
        let words = [data.0, pivot, DEPTH, data.1, source, DEPTH];
        world.cnode_op(label::CNODE_ROTATE, target, &words, &[ROOT, ROOT])
    };
    rotate(&mut world, target, pivot, source, (0, 7 << 6 | 4)).expect("a legal rotation");
    assert!(matches!(world.cap(target), Cap::Reply { .. }), "the pivot goes to the target");
    assert!(
        matches!(world.cap(pivot), Cap::CNode(CNodeCap { guard_bits: 4, guard: 7, .. })),
        "the source goes to the pivot, with its new guard"
    );
    assert!(world.cap(source).is_null());
    rotate(&mut world, pivot, target, pivot, (0, 0)).expect("source and target are the same: a swap");
    assert!(matches!(world.cap(target), Cap::CNode(_)) && matches!(world.cap(pivot), Cap::Reply { .. }));
    world.revoke(target);
    assert!(world.cap(source_copy).is_null(), "the places in the tree were kept");
    let full = failure(ErrorCode::DeleteFirst, &[]);
    let other = world.endpoint();
    assert_eq!(rotate(&mut world, other, pivot, target, (0, 0)), full);
    let illegal = failure(ErrorCode::IllegalOperation, &[]);
    assert_eq!(rotate(&mut world, other, pivot, pivot, (0, 0)), illegal, "pivot and source are the same");
    assert_eq!(rotate(&mut world, pivot, pivot, target, (0, 0)), illegal, "pivot and target are the same");
    let empty = world.free_slot();
    let missing_source = failure(ErrorCode::FailedLookup, &[1, 2, DEPTH]);
    assert_eq!(rotate(&mut world, source, pivot, empty, (0, 0)), missing_source);
    let missing_pivot = failure(ErrorCode::FailedLookup, &[0, 2, DEPTH]);
    assert_eq!(rotate(&mut world, source, empty, pivot, (0, 0)), missing_pivot);
    assert_eq!(rotate(&mut world, empty, other, pivot, (0, 0)), illegal, "endpoints cannot be rotated");
}

#[test]
fn errors_come_in_the_order_of_the_interface() {
    use ErrorCode::*;
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (empty, target) = (world.free_slot(), world.free_slot());
    let untyped = world.untyped(8);
    world.retype(untyped, object::ENDPOINT, 0, empty + 100, 1).expect("room");
    let copy = label::CNODE_COPY;
    let cases: &[Case<'_>] = &[
        (label::CNODE_ROTATE + 1, &[], &[], IllegalOperation, &[]),
        (label::CNODE_REVOKE - 1, &[], &[], IllegalOperation, &[]),
        (copy, &[target], &[], TruncatedMessage, &[]),
        (copy, &[target, 0], &[], RangeError, &[1, 64]),
        (copy, &[target, 65], &[], RangeError, &[1, 64]),
        // The guard of the root CNode takes 52 bits, of which there are only 51.
        (copy, &[target, 51], &[], FailedLookup, &[0, 4, 51, 0, 52]),
        (copy, &[target, 63], &[], FailedLookup, &[0, 3, 63, 64]),
        (copy, &[target, DEPTH, endpoint], &[ROOT], TruncatedMessage, &[]),
        (copy, &[target, DEPTH, endpoint, DEPTH, ALL], &[], TruncatedMessage, &[]),
        (copy, &[endpoint, DEPTH, empty, 0], &[ROOT], DeleteFirst, &[]),
        (copy, &[target, DEPTH, endpoint, DEPTH, ALL], &[endpoint], FailedLookup, &[1, 1]),
        (copy, &[target, DEPTH, endpoint, 65], &[ROOT], RangeError, &[1, 64]),
        (copy, &[target, DEPTH, empty, DEPTH], &[ROOT], FailedLookup, &[1, 2, 64]),
        (copy, &[target, DEPTH, endpoint, DEPTH], &[ROOT], TruncatedMessage, &[]),
        (label::CNODE_MINT, &[target, DEPTH, endpoint, DEPTH, ALL], &[ROOT], TruncatedMessage, &[]),
        (label::CNODE_MUTATE, &[target, DEPTH, ROOT, DEPTH], &[ROOT], TruncatedMessage, &[]),
        (copy, &[target, DEPTH, untyped, DEPTH, ALL], &[ROOT], RevokeFirst, &[]),
        (copy, &[target, DEPTH, slot::IRQ_CONTROL, DEPTH, ALL], &[ROOT], IllegalOperation, &[]),
        (label::CNODE_ROTATE, &[target, DEPTH, 0, 0, 0, 0, 0], &[ROOT, ROOT], TruncatedMessage, &[]),
        (label::CNODE_ROTATE, &[target, DEPTH, 0, 0, 0, 0, 0, 0], &[ROOT], TruncatedMessage, &[]),
        (label::CNODE_CANCEL_BADGED_SENDS, &[ROOT, DEPTH], &[], IllegalOperation, &[]),
        (label::CNODE_CANCEL_BADGED_SENDS, &[empty, DEPTH], &[], IllegalOperation, &[]),
    ];
    for &(label, words, caps, code, details) in cases {
        let outcome = world.invoke(ROOT, label, words, caps);
        assert_eq!(outcome, failure(code, details), "label {label}, {words:?}, {caps:?}");
        assert!(world.cap(target).is_null());
    }
    world.delete(empty);
}

#[test]
fn an_untyped_copy_leaves_the_source_full() {
    let mut world = World::new();
    let untyped = world.untyped(10);
    let copy = world.copy(untyped, ALL);
    let free = world.free_slot();
    let from_source = world.retype(untyped, object::ENDPOINT, 0, free, 1);
    assert_eq!(from_source, failure(ErrorCode::NotEnoughMemory, &[0]));
    world.retype(copy, object::ENDPOINT, 0, free, 1).expect("the copy is the one to use");
    world.revoke(untyped);
    assert!(world.cap(copy).is_null() && world.cap(free).is_null());
    world.retype(untyped, object::ENDPOINT, 0, free, 1).expect("all of it is free again");
}
