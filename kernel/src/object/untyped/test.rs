// SPDX-License-Identifier: MIT OR Apache-2.0

//! Retype: where objects land, what is cleared when, and the errors in their order.

use crate::cap::{Cap, UntypedCap};
use crate::host::Host;
use crate::host::world::{CPtr, DEPTH, Failure, World};
use crate::object::extent;
use keel_abi::aarch64::object as arch_object;
use keel_abi::error::ErrorCode;
use keel_abi::{label, object, slot};

/// An operation that is refused: label, words, capabilities; error and its words.
type Case<'a> = (u64, &'a [u64], &'a [CPtr], ErrorCode, &'a [u64]);

const ROOT: CPtr = slot::INIT_CNODE;

fn untyped_of(world: &World, address: CPtr) -> UntypedCap {
    let Cap::Untyped(untyped) = world.cap(address) else { panic!("no untyped") };
    untyped
}

/// Where the object at `address` begins, relative to the untyped.
fn offset(world: &World, untyped: CPtr, address: CPtr) -> u64 {
    let (base, _) = extent::<Host>(world.cap(address)).expect("an object");
    base.0 - untyped_of(world, untyped).base.0
}

#[test]
fn objects_follow_each_other_aligned_to_their_size() {
    let mut world = World::new();
    let untyped = world.untyped(13);
    let first = world.free_slot() + 100;
    world.retype(untyped, object::ENDPOINT, 0, first, 3).expect("room");
    world.retype(untyped, object::TCB, 0, first + 3, 1).expect("room");
    world.retype(untyped, object::ENDPOINT, 0, first + 4, 1).expect("room");
    let offsets: Vec<u64> = (first..first + 5).map(|address| offset(&world, untyped, address)).collect();
    assert_eq!(offsets, [0, 16, 32, 2048, 4096], "what is skipped for alignment is lost");
    assert_eq!(untyped_of(&world, untyped).watermark, 4096 + 16);
}

#[test]
fn memory_comes_back_when_all_of_it_is_free() {
    let mut world = World::new();
    let untyped = world.untyped(12);
    let (a, b) = (world.free_slot(), world.free_slot());
    world.retype(untyped, object::TCB, 0, a, 1).expect("room");
    world.retype(untyped, object::TCB, 0, b, 1).expect("room");
    world.delete(a);
    let again = world.retype(untyped, object::ENDPOINT, 0, a, 1);
    assert_eq!(again, Err(Failure::new(ErrorCode::NotEnoughMemory, &[0])), "one object is left");
    world.delete(b);
    world.retype(untyped, arch_object::SMALL_PAGE, 0, a, 1).expect("all is free");
    assert_eq!(offset(&world, untyped, a), 0);
}

#[test]
fn new_frames_are_clear() {
    let mut world = World::new();
    let untyped = world.untyped(12);
    let frame = world.free_slot();
    for _ in 0..2 {
        world.retype(untyped, arch_object::SMALL_PAGE, 0, frame, 1).expect("room");
        let Cap::Frame(cap) = world.cap(frame) else { panic!("no frame") };
        let memory = crate::store::Store::<Host>::window(cap.base);
        for word in 0..512 {
            assert_eq!(world.kernel.store.load(memory.offset(8 * word)), 0);
            world.kernel.store.save(memory.offset(8 * word), !word);
        }
        world.delete(frame);
    }
}

#[test]
fn clearing_is_preempted_and_ends() {
    let mut world = World::new();
    let untyped = world.untyped(18);
    let object = world.free_slot();
    world.retype(untyped, object::UNTYPED, 18, object, 1).expect("all of it");
    world.delete(object);
    world.check_each_entry(false);
    world.kernel.arch.preempt_every(Some(1));
    world.retype(untyped, object::UNTYPED, 18, object, 1).expect("all of it again");
    let chunks = (1 << 18) / crate::store::CLEAR_CHUNK_BYTES;
    assert!(world.kernel.arch.polls() >= chunks - 1, "{chunks} chunks, each may be preempted");
    world.check();
}

#[test]
fn device_memory_becomes_frames_and_untypeds_and_is_not_cleared() {
    let mut world = World::new();
    let devices = world.devices;
    let (smaller, frame, other) = (world.free_slot(), world.free_slot(), world.free_slot());
    world.retype(devices, object::UNTYPED, 12, smaller, 1).expect("an untyped");
    let refused = Err(Failure::new(ErrorCode::InvalidArgument, &[1]));
    assert_eq!(world.retype(smaller, object::ENDPOINT, 0, other, 1), refused);
    assert_eq!(world.retype(smaller, arch_object::PAGE_TABLE, 0, other, 1), refused);
    world.retype(smaller, arch_object::SMALL_PAGE, 0, frame, 1).expect("a frame");
    let Cap::Frame(cap) = world.cap(frame) else { panic!("no frame") };
    assert!(cap.device);
    let no_buffer = world.invoke(slot::INIT_TCB, label::TCB_SET_IPC_BUFFER, &[0x1000], &[frame]);
    assert_eq!(no_buffer, Err(Failure::new(ErrorCode::IllegalOperation, &[])));
    world.delete(frame);
    world.retype(smaller, arch_object::SMALL_PAGE, 0, frame, 1).expect("and again");
}

#[test]
fn errors_come_in_the_order_of_the_interface() {
    use ErrorCode::*;
    let mut world = World::new();
    let untyped = world.untyped(12);
    let small_cnode = world.make(object::CAP_TABLE, 2);
    let endpoint = world.endpoint();
    let free = world.free_slot() + 50;
    let (retype, ep) = (label::UNTYPED_RETYPE, object::ENDPOINT);
    let cases: &[Case<'_>] = &[
        (retype + 1, &[], &[], IllegalOperation, &[]),
        (retype, &[99, 64, 0, 0, 0], &[ROOT], TruncatedMessage, &[]),
        (retype, &[99, 64, 0, 0, 0, 0], &[], TruncatedMessage, &[]),
        (retype, &[arch_object::COUNT, 64, 0, 0, 0, 0], &[ROOT], InvalidArgument, &[0]),
        (retype, &[ep, 64, 0, 0, 0, 0], &[ROOT], RangeError, &[0, 47]),
        (retype, &[object::UNTYPED, 48, 0, 0, 0, 0], &[ROOT], RangeError, &[0, 47]),
        (retype, &[object::CAP_TABLE, 43, 0, 0, 0, 0], &[ROOT], RangeError, &[0, 47]),
        (retype, &[object::CAP_TABLE, 0, 0, 0, 0, 0], &[ROOT], InvalidArgument, &[1]),
        (retype, &[object::UNTYPED, 3, 0, 0, 0, 0], &[ROOT], InvalidArgument, &[1]),
        (retype, &[object::SCHED_CONTEXT, 6, 0, 0, 0, 0], &[ROOT], InvalidArgument, &[1]),
        (retype, &[ep, 0, 0, 65, 0, 0], &[ROOT], RangeError, &[1, 64]),
        (retype, &[ep, 0, 0, 64, 0, 0], &[endpoint], FailedLookup, &[0, 1]),
        (retype, &[ep, 0, 0, 0, 0, 1], &[endpoint], FailedLookup, &[0, 2, 0]),
        (retype, &[ep, 0, endpoint, DEPTH, 0, 1], &[ROOT], FailedLookup, &[0, 2, DEPTH]),
        (retype, &[ep, 0, 0, 0, 4, 0], &[small_cnode], RangeError, &[0, 3]),
        (retype, &[ep, 0, small_cnode, DEPTH, 4, 0], &[ROOT], RangeError, &[0, 3]),
        (retype, &[ep, 0, 0, 0, 0, 0], &[ROOT], RangeError, &[1, 256]),
        (retype, &[ep, 0, 0, 0, 0, 257], &[ROOT], RangeError, &[1, 256]),
        (retype, &[ep, 0, 0, 0, 2, 3], &[small_cnode], RangeError, &[1, 2]),
        (retype, &[ep, 0, 0, 0, endpoint, 1], &[ROOT], DeleteFirst, &[]),
        (retype, &[object::TCB, 0, 0, 0, free, 3], &[ROOT], NotEnoughMemory, &[4096]),
    ];
    for &(label, words, caps, code, details) in cases {
        let outcome = world.invoke(untyped, label, words, caps);
        assert_eq!(outcome, Err(Failure::new(code, details)), "label {label}, {words:?}, {caps:?}");
    }
    let words = [ep, 63, 0, 0, free, 256];
    world.must(untyped, retype, &words, &[ROOT]);
    assert_eq!(untyped_of(&world, untyped).watermark, 4096, "the size is ignored for endpoints");
}
