// SPDX-License-Identifier: MIT OR Apache-2.0

//! Long operations get on, whatever happens between their units: each is done once undisturbed, then with an
//! interrupt after every single unit, and must take as many units. So no unit is lost or done twice, and who acts in
//! between can make it no longer.

use super::world::{CPtr, DEPTH, Thread, World};
use crate::cap::Cap;
use crate::object::ThreadState;
use crate::object::tcb::TcbSlot;
use keel_abi::aarch64::{label as machine, object as memory};
use keel_abi::{label, object, slot};

const ROOT: CPtr = slot::INIT_CNODE;
const ALL: u64 = 15;

/// Makes a state, then does `operation` on it, and gives its units of work.
type Setting = fn(&mut World) -> CPtr;

/// The units of `operation` on what `setting` made, undisturbed and with an interrupt after each.
fn units(setting: Setting, operation: fn(&mut World, CPtr)) -> [u64; 2] {
    [None, Some(1)].map(|every| {
        let mut world = World::new();
        let subject = setting(&mut world);
        world.kernel.arch.preempt_every(every);
        operation(&mut world, subject);
        world.kernel.arch.polls()
    })
}

/// Asserts that interrupts make `operation` on what `setting` made, of at least `least` units, no longer.
#[track_caller]
fn is_no_longer(setting: Setting, operation: fn(&mut World, CPtr), least: u64) {
    let [undisturbed, interrupted] = units(setting, operation);
    assert_eq!(undisturbed, interrupted, "units, undisturbed and interrupted");
    assert!(undisturbed >= least, "{undisturbed} units");
}

/// A CNode with `count` new endpoints.
fn full_cnode(world: &mut World, count: u64) -> CPtr {
    let radix = count.next_power_of_two().ilog2().into();
    let cnode = world.make(object::CAP_TABLE, radix);
    for index in 0..count {
        let endpoint = world.endpoint();
        world.must(cnode, label::CNODE_MOVE, &[index, radix, endpoint, DEPTH], &[ROOT]);
    }
    cnode
}

/// Threads of the root task's priority that send to `endpoint`.
fn senders(world: &mut World, endpoint: CPtr, count: usize) -> Vec<Thread> {
    let threads: Vec<_> = (0..count).map(|_| world.thread(255)).collect();
    for thread in &threads {
        world.run(thread.tcb);
        world.send(endpoint, 0, &[], &[]);
    }
    world.run_root();
    threads
}

#[test]
fn deleting_a_cnode() {
    is_no_longer(|world| full_cnode(world, 16), World::delete, 16);
}

#[test]
fn deleting_cnodes_in_cnodes() {
    let nested = |world: &mut World| {
        let mut outer = full_cnode(world, 2);
        for _ in 0..10 {
            let cnode = world.make(object::CAP_TABLE, 1);
            world.must(cnode, label::CNODE_MOVE, &[1, 1, outer, DEPTH], &[ROOT]);
            outer = cnode;
        }
        outer
    };
    is_no_longer(nested, World::delete, 20);
}

#[test]
fn deleting_a_thread() {
    is_no_longer(|world| world.thread(200).cap, World::delete, 4);
}

#[test]
fn replacing_all_that_a_thread_has_the_last_capability_to() {
    let settled = |world: &mut World| {
        let thread = world.stopped_thread(1);
        let (handler, timeout) = (world.endpoint(), world.endpoint());
        senders(world, handler, 3);
        let (cspace, vspace) = (full_cnode(world, 4), world.make(memory::VSPACE, 0));
        world.must(slot::INIT_ASID_POOL, machine::ASID_POOL_ASSIGN, &[], &[vspace]);
        let frame = world.frame();
        let caps = [handler, cspace, vspace];
        world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
        world.must(thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[timeout]);
        world.must(thread.cap, label::TCB_SET_IPC_BUFFER, &[0x7000_0000], &[frame]);
        caps.into_iter().chain([timeout, frame]).for_each(|cap| world.delete(cap));
        thread.cap
    };
    let replace = |world: &mut World, thread: CPtr| {
        let (handler, frame) = (world.endpoint(), world.frame());
        let vspace = slot::INIT_VSPACE;
        world.must(thread, label::TCB_CONFIGURE, &[0, 0, 0x7000_0000], &[ROOT, vspace, frame]);
        world.must(thread, label::TCB_SET_SPACE, &[0, 0], &[handler, ROOT, vspace]);
        world.must(thread, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]);
        let [cspace, frame] = [ROOT, frame].map(|cap| world.cap(cap));
        let tcb = world.tcb(thread);
        let has = |which: TcbSlot| world.kernel.store[tcb.slot(which)].cap();
        assert_eq!(has(TcbSlot::CSpace), cspace);
        assert_eq!(has(TcbSlot::IpcBuffer), frame);
    };
    // Four slots of the CNode, three senders, and behind the death of each of the five objects.
    is_no_longer(settled, replace, 4 + 3 + 5);
}

#[test]
fn revoking_copies() {
    let copied = |world: &mut World| {
        let endpoint = world.endpoint();
        (1..=20).for_each(|badge| _ = world.mint(endpoint, ALL, badge));
        endpoint
    };
    is_no_longer(copied, World::revoke, 20);
}

#[test]
fn revoking_all_memory() {
    let used = |world: &mut World| {
        let (cnode, endpoint) = (full_cnode(world, 8), world.endpoint());
        senders(world, endpoint, 4);
        world.copy(cnode, ALL);
        world.memory
    };
    is_no_longer(used, World::revoke, 30);
}

#[test]
fn deleting_what_threads_wait_for() {
    let endpoint = |world: &mut World| {
        let endpoint = world.endpoint();
        senders(world, endpoint, 8);
        endpoint
    };
    is_no_longer(endpoint, World::delete, 8);
    let notification = |world: &mut World| {
        let notification = world.notification();
        for _ in 0..8 {
            let thread = world.thread(255);
            world.run(thread.tcb);
            world.wait(notification);
        }
        world.run_root();
        notification
    };
    is_no_longer(notification, World::delete, 8);
}

#[test]
fn clearing_memory() {
    let used = |world: &mut World| {
        let untyped = world.untyped(14);
        let half = world.free_slot();
        world.retype(untyped, object::UNTYPED, 14, half, 1).expect("room");
        world.delete(half);
        untyped
    };
    let reuse = |world: &mut World, untyped: CPtr| {
        let first = world.free_slot();
        world.retype(untyped, object::ENDPOINT, 0, first, 1).expect("memory that is clear again");
    };
    is_no_longer(used, reuse, (1 << 14) / crate::store::CLEAR_CHUNK_BYTES - 1);
}

/// An endpoint and its capability with badge 1, through which `count` threads send whose priorities, all above the
/// root task's, are in no order; each second one sends through another badge.
fn mixed_senders(world: &mut World, count: u64) -> (CPtr, Vec<Thread>) {
    let endpoint = world.endpoint();
    let badged = [world.mint(endpoint, ALL, 1), world.mint(endpoint, ALL, 2)];
    let threads: Vec<_> = (0..count).map(|_| world.thread(255)).collect();
    for (index, thread) in threads.iter().enumerate() {
        world.run(thread.tcb);
        world.send(badged[index % 2], 0, &[], &[]);
    }
    world.run_root();
    for (index, thread) in (0..).zip(&threads) {
        let priority = 201 + index * 7 % count;
        world.must(thread.cap, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]);
    }
    world.must(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[200], &[slot::INIT_TCB]);
    (badged[0], threads)
}

#[test]
fn cancelling_senders_who_send_again_at_once() {
    let cancel = |world: &mut World, badged: CPtr| {
        world.cnode_op(label::CNODE_CANCEL_BADGED_SENDS, badged, &[], &[]).expect("all rights");
    };
    is_no_longer(|world| mixed_senders(world, 20).0, cancel, 20);
    // They did send again, in between: at the end all wait, in front of the position and behind it.
    let mut world = World::new();
    let (badged, threads) = mixed_senders(&mut world, 20);
    world.kernel.arch.preempt_every(Some(1));
    cancel(&mut world, badged);
    let waits = |thread: &Thread| world.kernel.store[thread.tcb].state == ThreadState::BlockedOnSend;
    assert!(threads.iter().all(waits));
    let again =
        |thread: &&Thread| world.kernel.store[thread.tcb].sending.since > threads_began(&world, &threads);
    assert_eq!(threads.iter().step_by(2).filter(again).count(), 10, "those with the badge, and they alone");
}

#[test]
fn two_who_cancel_at_one_endpoint_in_turns() {
    for count in 1..=8 {
        let mut world = World::new();
        let (badged, threads) = mixed_senders(&mut world, count);
        let Cap::Endpoint(endpoint) = world.cap(badged) else { panic!("{:?}", world.cap(badged)) };
        let mut cancellers = vec![(world.root(), 1), (world.thread(100).tcb, 3)];
        world.kernel.arch.preempt_every(Some(1));
        // Each is interrupted after one unit, and then the other one goes on.
        let mut turns = 0;
        while !cancellers.is_empty() {
            let (thread, badge) = cancellers.remove(0);
            if world.kernel.cancel_badged_sends(thread, endpoint.object, badge).is_err() {
                cancellers.push((thread, badge));
            }
            turns += 1;
            assert!(turns <= 2 * count + 4, "{count} senders: no end after {turns} turns");
        }
        let waits = |thread: &Thread| world.kernel.store[thread.tcb].state == ThreadState::BlockedOnSend;
        assert!(threads.iter().skip(1).step_by(2).all(waits), "whose badge is 2");
        assert!(!threads.iter().step_by(2).any(waits), "whose badge is 1");
    }
}

/// The last arrival of those who were not cancelled.
fn threads_began(world: &World, threads: &[Thread]) -> u64 {
    let since = |thread: &Thread| world.kernel.store[thread.tcb].sending.since;
    threads.iter().skip(1).step_by(2).map(since).max().expect("threads")
}
