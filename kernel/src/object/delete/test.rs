// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deletion and revocation of everything that can hang on everything, each once in one go and once preempted after
//! every unit of work. That nothing dangles and nothing is lost is checked by the world after each entry.

use crate::cap::Cap;
use crate::host::world::{CPtr, DEPTH, Thread, World};
use crate::object::ThreadState;
use crate::object::tcb::TcbSlot;
use crate::store::Kind;
use crate::units::Irq;
use keel_abi::{label, object, slot};

const ROOT: CPtr = slot::INIT_CNODE;
/// The line of a device.
const DEVICE: Irq = Irq(40);

/// Plays `test` without and with preemption of each unit. Afterwards only what boot made is left.
fn both_ways(test: fn(&mut World)) {
    for every in [None, Some(1)] {
        let mut world = World::new();
        let before = world.kernel.store.memory().regions().count();
        world.kernel.arch.preempt_every(every);
        test(&mut world);
        world.revoke(world.memory);
        assert_eq!(world.kernel.store.memory().regions().count(), before, "something is left");
    }
}

fn cnode(world: &mut World, radix: u64) -> CPtr {
    world.make(object::CAP_TABLE, radix)
}

/// Moves the capability at `source` to slot `index` of the CNode at `cnode`, of radix `radix`.
fn move_into(world: &mut World, cnode: CPtr, index: u64, radix: u64, source: CPtr) {
    world.must(cnode, label::CNODE_MOVE, &[index, radix, source, DEPTH], &[ROOT]);
}

fn live(world: &mut World, kind: Kind) -> usize {
    world.kernel.store.memory().regions().filter(|region| region.kind == kind).count()
}

/// The root task waits for the interrupt of [`DEVICE`]. Another thread runs from then on.
fn root_waits(world: &mut World) -> Thread {
    let (bell, handler) = (world.notification(), world.free_slot());
    world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[DEVICE.0.into(), handler, DEPTH], &[ROOT]);
    world.must(handler, label::IRQ_SET_IRQ_HANDLER, &[], &[bell]);
    let low = world.thread(253);
    world.wait(bell);
    assert_eq!(world.current(), low.tcb);
    low
}

#[test]
fn an_empty_slot_is_deleted_with_success() {
    both_ways(|world| {
        let free = world.free_slot();
        world.delete(free);
        world.revoke(free);
    });
}

#[test]
fn a_cnode_takes_its_contents_along() {
    both_ways(|world| {
        let outer = cnode(world, 3);
        for index in [0, 3, 7] {
            let endpoint = world.endpoint();
            move_into(world, outer, index, 3, endpoint);
        }
        let copy = world.copy(outer, 15);
        world.delete(outer);
        assert_eq!(live(world, Kind::Endpoint), 3, "not the last capability");
        world.delete(copy);
        assert_eq!(live(world, Kind::Endpoint), 0);
    });
}

#[test]
fn a_cnode_in_its_own_slots_is_deleted() {
    both_ways(|world| {
        for index in 0..4 {
            let before = live(world, Kind::Slots);
            let own = cnode(world, 2);
            let handle = world.copy(own, 15);
            move_into(world, handle, index, 2, own);
            world.delete(handle);
            // The last capability is in the CNode itself: nobody can reach it but through the untyped.
            assert_eq!(live(world, Kind::Slots), before + 1);
        }
        world.revoke(world.memory);
        assert_eq!(live(world, Kind::Slots), 2, "the root CNode and the slots of interrupts");
    });
}

#[test]
fn circles_of_cnodes_are_deleted_from_inside_and_outside() {
    both_ways(|world| {
        for length in 1..5 {
            for index in 0..2 {
                let nodes: Vec<CPtr> = (0..length).map(|_| cnode(world, 1)).collect();
                let handle = world.copy(nodes[0], 15);
                let handles: Vec<CPtr> = nodes.iter().map(|&node| world.copy(node, 15)).collect();
                for (number, &node) in nodes.iter().enumerate() {
                    move_into(world, handles[(number + 1) % length], index, 1, node);
                }
                for &copy in &handles {
                    world.delete(copy);
                }
                let before = live(world, Kind::Slots);
                world.delete(handle);
                assert_eq!(live(world, Kind::Slots), before, "a circle keeps itself alive");
                world.revoke(world.memory);
                assert_eq!(live(world, Kind::Slots), 2);
            }
        }
    });
}

#[test]
fn chains_of_any_length_are_deleted_without_recursion() {
    both_ways(|world| {
        let first = cnode(world, 1);
        let mut handle = world.copy(first, 15);
        for _ in 0..100 {
            let next = cnode(world, 1);
            let next_handle = world.copy(next, 15);
            move_into(world, handle, 1, 1, next);
            world.delete(handle);
            handle = next_handle;
        }
        world.delete(handle);
        world.delete(first);
        assert_eq!(live(world, Kind::Slots), 2);
    });
}

#[test]
fn threads_and_cnodes_that_hold_each_other_are_deleted() {
    both_ways(|world| {
        let thread = world.stopped_thread(10);
        let space = cnode(world, 2);
        let caps = [0, space, slot::INIT_VSPACE];
        world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
        move_into(world, space, 1, 2, thread.cap);
        let before = live(world, Kind::Tcb);
        world.delete(space);
        assert_eq!(live(world, Kind::Tcb), before, "the thread keeps its CSpace alive, and that the thread");
        world.revoke(world.memory);
        assert_eq!(live(world, Kind::Tcb), 1, "the root task");
    });
}

#[test]
fn revoking_an_untyped_from_inside_the_cnode_that_it_made() {
    both_ways(|world| {
        let untyped = world.untyped(10);
        let inner = world.free_slot();
        world.retype(untyped, object::CAP_TABLE, 2, inner, 1).expect("room");
        let handle = world.copy(inner, 15);
        move_into(world, handle, 2, 2, untyped);
        // The untyped lies in a CNode made of it. Revoking it, through the CNode, takes both away; a call that is
        // repeated finds that the CNode it goes through is dying.
        let _ = world.invoke(handle, label::CNODE_REVOKE, &[2, 2], &[]);
        assert!(world.cap(inner).is_null() && matches!(world.cap(handle), Cap::Null | Cap::Zombie(_)));
        world.delete(handle);
    });
}

#[test]
fn a_dying_endpoint_restarts_those_who_wait() {
    both_ways(|world| {
        let endpoint = world.endpoint();
        let senders: Vec<_> = (0..3).map(|_| world.thread(255)).collect();
        for sender in &senders {
            world.run(sender.tcb);
            world.send(endpoint, 0, &[], &[]);
            assert_eq!(world.state(sender.tcb), ThreadState::BlockedOnSend);
            world.divert(sender.tcb);
        }
        world.run_root();
        world.delete(endpoint);
        for sender in &senders {
            assert!(world.state(sender.tcb).is_runnable());
            world.run(sender.tcb);
            world.must(sender.cap, label::TCB_RESUME, &[], &[]);
        }
        world.run_root();
    });
}

#[test]
fn a_dying_notification_restarts_those_who_wait_and_is_unbound() {
    both_ways(|world| {
        let (notification, bound) = (world.notification(), world.notification());
        let thread = world.thread(255);
        world.must(thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[bound]);
        world.must(slot::INIT_SCHED_CONTEXT, label::SCHED_CONTEXT_BIND, &[], &[bound]);
        world.run(thread.tcb);
        world.wait(notification);
        world.divert(thread.tcb);
        world.delete(bound);
        assert_eq!(world.kernel.store[thread.tcb].bound_notification, None);
        world.delete(notification);
        assert!(world.state(thread.tcb).is_runnable());
    });
}

#[test]
fn the_slot_of_an_interrupt_loses_a_dying_notification() {
    both_ways(|world| {
        let (notification, handler) = (world.notification(), world.free_slot());
        world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[33, handler, DEPTH], &[ROOT]);
        world.must(handler, label::IRQ_SET_IRQ_HANDLER, &[], &[notification]);
        world.revoke(notification);
        world.interrupt(crate::units::Irq(33));
        world.must(handler, label::IRQ_SET_IRQ_HANDLER, &[], &[notification]);
        world.delete(notification);
        assert_eq!(live(world, Kind::Notification), 1, "the interrupt holds the last capability");
        world.delete(handler);
        assert_eq!(live(world, Kind::Notification), 0);
        world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[33, handler, DEPTH], &[ROOT]);
        world.delete(handler);
    });
}

#[test]
fn a_thread_can_delete_itself_and_others_go_on() {
    both_ways(|world| {
        let thread = world.thread(255);
        world.delete(thread.cap + 1);
        world.run(thread.tcb);
        let words = [thread.cap, DEPTH];
        world.call(ROOT, label::CNODE_DELETE, &words, &[]);
        assert_eq!(world.current(), world.root());
        // If it was preempted it is dead all the same, and somebody else has to bury it.
        assert!(matches!(world.cap(thread.cap), Cap::Null | Cap::Zombie(_)));
        world.delete(thread.cap);
        assert_eq!(live(world, Kind::Tcb), 1);
    });
}

#[test]
fn a_thread_can_delete_the_context_it_runs_on() {
    both_ways(|world| {
        let thread = world.thread(255);
        world.run(thread.tcb);
        world.call(ROOT, label::CNODE_DELETE, &[thread.sched_context, DEPTH], &[]);
        assert_eq!(world.current(), world.root());
        assert_eq!(world.kernel.store[thread.tcb].sched_context, None);
    });
}

#[test]
fn a_thread_can_revoke_all_that_it_lives_on() {
    for every in [None, Some(1)] {
        let mut world = World::new();
        let thread = world.thread(255);
        world.run(thread.tcb);
        world.kernel.arch.preempt_every(every);
        world.call(ROOT, label::CNODE_REVOKE, &[world.memory, DEPTH], &[]);
        // It dies in the middle of its work. Whoever deletes next goes on with that.
        assert_eq!(world.current(), world.root());
        world.revoke(world.memory);
        assert_eq!(live(&mut world, Kind::Tcb), 1);
    }
}

#[test]
fn zombies_can_be_used_for_nothing_but_their_deletion() {
    let mut world = World::new();
    let big = cnode(&mut world, 6);
    let endpoint = world.endpoint();
    move_into(&mut world, big, 63, 6, endpoint);
    root_waits(&mut world);
    world.kernel.arch.raise(DEVICE);
    world.call(ROOT, label::CNODE_DELETE, &[big, DEPTH], &[]);
    assert_eq!(world.current(), world.root());
    assert!(matches!(world.cap(big), Cap::Zombie(_)), "{:?}", world.cap(big));
    use keel_abi::error::ErrorCode::{IllegalOperation, InvalidCapability};
    assert_eq!(
        world.invoke(big, label::CNODE_REVOKE, &[0, 6], &[]).expect_err("dead").code,
        InvalidCapability
    );
    let free = world.free_slot();
    let copied = world.cnode_op(label::CNODE_COPY, free, &[big, DEPTH, 15], &[ROOT]);
    assert_eq!(copied.expect_err("dead").code, IllegalOperation);
    world.delete(big);
    assert!(world.cap(big).is_null());
}

#[test]
fn what_is_half_deleted_can_be_deleted_from_above() {
    for point in 1..10 {
        let mut world = World::new();
        let [first, second, third] = [1, 1, 1].map(|radix| cnode(&mut world, radix));
        move_into(&mut world, second, 1, 1, third);
        move_into(&mut world, first, 1, 1, second);
        root_waits(&mut world);
        let before = live(&mut world, Kind::Slots);
        world.kernel.arch.raise_at(point, DEVICE);
        world.call(first, label::CNODE_DELETE, &[1, 1], &[]);
        world.kernel.arch.calm();
        if world.current() == world.root() {
            world.delete(first);
            assert_eq!(live(&mut world, Kind::Slots), before - 3, "interrupted at preemption point {point}");
        }
    }
}

#[test]
fn what_a_thread_holds_goes_with_it() {
    both_ways(|world| {
        let thread = world.stopped_thread(10);
        let handler = world.endpoint();
        let caps = [handler, ROOT, slot::INIT_VSPACE];
        world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
        world.delete(handler);
        assert_eq!(live(world, Kind::Endpoint), 1);
        assert!(!world.kernel.store[thread.tcb.slot(TcbSlot::FaultHandler)].is_empty());
        world.delete(thread.cap);
        assert_eq!(live(world, Kind::Endpoint), 0);
    });
}
