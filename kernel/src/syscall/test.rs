// SPDX-License-Identifier: MIT OR Apache-2.0

//! The two phases of system calls: what each looks at, and what becomes of the second if the first is interrupted.

use crate::arch::Arch;
use crate::host::Host;
use crate::host::world::{CPtr, DEPTH, Thread, World};
use crate::object::ThreadState;
use crate::units::Irq;
use keel_abi::{label, object, slot, syscall};

const ROOT: CPtr = slot::INIT_CNODE;

/// A thread whose faults the root task can take from the endpoint.
fn guarded_thread(world: &mut World) -> (Thread, CPtr) {
    let (thread, endpoint) = (world.thread(255), world.endpoint());
    world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &[endpoint, ROOT, slot::INIT_VSPACE]);
    (thread, endpoint)
}

#[test]
fn the_reply_register_is_not_looked_at_for_notifications() {
    let mut world = World::new();
    let notification = world.notification();
    world.signal(notification);
    world.recv(notification, 1 << 50);
    assert_eq!(world.state(world.root()), ThreadState::Running);
}

#[test]
fn a_bad_reply_register_is_a_fault_in_the_receive_phase() {
    let mut world = World::new();
    let (thread, faults) = guarded_thread(&mut world);
    let (endpoint, reply) = (world.endpoint(), world.reply());
    for (bad, lookup) in [(1 << 50, &[4, 64, 0, 52][..]), (endpoint, &[2, 0]), (0, &[2, 0])] {
        world.run(thread.tcb);
        world.recv(endpoint, bad);
        world.run_root();
        world.recv(faults, reply);
        let words = world.received(world.root()).words;
        assert_eq!(words[1..], [&[bad, 1], lookup].concat());
        world.divert(thread.tcb);
        world.send(reply, 0, &[], &[]);
    }
}

#[test]
fn sends_to_nowhere_still_receive() {
    let mut world = World::new();
    let notification = world.notification();
    let root = world.root();
    for number in [syscall::NB_SEND_WAIT, syscall::NB_SEND_RECV, syscall::REPLY_RECV] {
        world.signal(notification);
        world.prepare(notification, 0, &[], &[]);
        world.set_register(root, Host::REGISTERS.reply, 1 << 50);
        world.set_register(root, Host::REGISTERS.send_to, 1 << 50);
        world.trap(number);
        assert_eq!(world.state(root), ThreadState::Running);
        world.nb_wait(notification);
        assert_eq!(world.received(root).badge, 0, "the signal was fetched");
    }
}

#[test]
fn interrupts_are_acknowledged_in_first_phases() {
    let mut world = World::new();
    let (notification, handler) = (world.notification(), world.free_slot());
    let badged = world.mint(notification, 3, 8);
    world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[50, handler, DEPTH], &[ROOT]);
    world.must(handler, label::IRQ_SET_IRQ_HANDLER, &[], &[badged]);
    world.interrupt(Irq(50));
    world.wait(notification);
    for _ in 0..3 {
        world.interrupt(Irq(50));
        assert!(world.kernel.arch.is_held(Irq(50)), "once, until it is acknowledged");
        let root = world.root();
        world.prepare(notification, label::IRQ_ACK_IRQ, &[], &[]);
        world.set_register(root, Host::REGISTERS.send_to, handler);
        world.trap(syscall::NB_SEND_RECV);
        assert_eq!(world.current(), root);
        assert_eq!(world.received(root).badge, 8);
    }
}

#[test]
fn an_interrupted_first_phase_is_repeated_before_the_second() {
    let mut world = World::new();
    let untyped = world.untyped(16);
    let (dirt, made, notification) = (world.free_slot(), world.free_slot(), world.notification());
    world.retype(untyped, object::UNTYPED, 16, dirt, 1).expect("all of it");
    world.delete(dirt);
    world.signal(notification);
    world.check_each_entry(false);
    world.kernel.arch.preempt_every(Some(1));
    let root = world.root();
    world.prepare(notification, label::UNTYPED_RETYPE, &[object::UNTYPED, 16, 0, 0, made, 1], &[ROOT]);
    world.set_register(root, Host::REGISTERS.send_to, untyped);
    world.trap(syscall::NB_SEND_RECV);
    assert!(world.kernel.arch.polls() >= 15, "many chunks were cleared");
    assert!(!world.cap(made).is_null());
    world.check();
    world.nb_wait(notification);
    assert_eq!(world.received(root).badge, 0, "and the signal was fetched, once");
}
