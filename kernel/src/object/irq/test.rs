// SPDX-License-Identifier: MIT OR Apache-2.0

//! Handlers of interrupts, and the delivery of signals.

use super::*;
use crate::host::world::{CPtr, Failure, Outcome, Thread, World};
use crate::host::{Host, MAX_IRQ, TIMER_IRQ};
use crate::object::ThreadState;
use crate::object::table::test::{done, error, plain};
use keel_abi::aarch64::label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
use keel_abi::error::ErrorCode;
use keel_abi::slot;

const IRQ: Irq = Irq(40);

fn issue(world: &mut World, irq: u64, target: CPtr) -> Outcome {
    world.invoke(slot::IRQ_CONTROL, IRQ_ISSUE_IRQ_HANDLER, &[irq, target, 64], &[slot::INIT_CNODE])
}

fn handler(world: &mut World) -> CPtr {
    let handler = world.free_slot();
    assert_eq!(issue(world, IRQ.0.into(), handler), done());
    handler
}

fn set(world: &mut World, handler: CPtr, notification: CPtr) -> Outcome {
    world.invoke(handler, IRQ_SET_IRQ_HANDLER, &[], &[notification])
}

fn ack(world: &mut World, handler: CPtr) {
    world.must(handler, IRQ_ACK_IRQ, &[], &[]);
}

/// What the notification holds for the running thread.
fn poll(world: &mut World, notification: CPtr) -> u64 {
    world.nb_wait(notification);
    world.register(world.current(), Host::REGISTERS.capability)
}

fn set_slot(world: &World) -> Cap {
    world.kernel.store[world.kernel.interrupts.slot(IRQ).unwrap()].cap()
}

#[test]
fn an_interrupt_has_one_handler() {
    let mut world = World::new();
    let first = handler(&mut world);
    assert_eq!(world.cap(first), Cap::IrqHandler(IRQ));
    assert!(world.kernel.arch.is_enabled(IRQ));
    let second = world.free_slot();
    assert_eq!(issue(&mut world, IRQ.0.into(), second), plain(ErrorCode::RevokeFirst));

    let copy = world.copy(first, 15);
    world.delete(first);
    assert_eq!(issue(&mut world, IRQ.0.into(), second), plain(ErrorCode::RevokeFirst), "the copy handles it");
    let child = world.copy(copy, 15);
    world.revoke(copy);
    assert!(!world.cap(child).is_null(), "a copy of a copy is its sibling");
    world.delete(child);
    world.delete(copy);
    assert!(!world.kernel.arch.is_enabled(IRQ));
    assert_eq!(issue(&mut world, IRQ.0.into(), second), done());
    let child = world.copy(second, 15);
    world.revoke(second);
    assert!(world.cap(child).is_null(), "a copy of an original is its child");
    world.revoke(slot::IRQ_CONTROL);
    assert!(world.cap(second).is_null(), "handlers come from IRQControl");
}

#[test]
fn issue_checks_in_the_order_of_the_interface() {
    let mut world = World::new();
    let target = world.free_slot();
    let (control, root) = (slot::IRQ_CONTROL, slot::INIT_CNODE);
    let truncated = plain(ErrorCode::TruncatedMessage);
    let out_of_range = || Err(Failure::new(ErrorCode::RangeError, &[0, MAX_IRQ.0.into()]));
    assert_eq!(world.invoke(control, IRQ_ISSUE_IRQ_HANDLER, &[40, target], &[root]), truncated);
    assert_eq!(world.invoke(control, IRQ_ISSUE_IRQ_HANDLER, &[40, target, 64], &[]), truncated);
    for irq in [u64::from(MAX_IRQ.0) + 1, 1 << 32 | 40, u64::MAX] {
        assert_eq!(issue(&mut world, irq, slot::INIT_TCB), out_of_range());
    }
    assert_eq!(issue(&mut world, TIMER_IRQ.0.into(), slot::INIT_TCB), plain(ErrorCode::RevokeFirst));
    assert_eq!(issue(&mut world, IRQ.0.into(), slot::INIT_TCB), plain(ErrorCode::DeleteFirst));
    assert_eq!(world.invoke(control, 0, &[40, target, 64], &[root]), plain(ErrorCode::IllegalOperation));
    assert_eq!(issue(&mut world, MAX_IRQ.0.into(), target), done());
}

#[test]
fn a_trigger_can_be_given() {
    let mut world = World::new();
    let target = world.free_slot();
    let (control, label, root) = (slot::IRQ_CONTROL, IRQ_ISSUE_IRQ_HANDLER_TRIGGER, slot::INIT_CNODE);
    let truncated = plain(ErrorCode::TruncatedMessage);
    assert_eq!(world.invoke(control, label, &[40, 1, target], &[root]), truncated);
    assert_eq!(
        world.invoke(control, label, &[40, 1, slot::INIT_TCB, 64], &[root]),
        plain(ErrorCode::DeleteFirst)
    );
    world.must(control, label, &[40, 1, target, 64], &[root]);
    assert_eq!(world.cap(target), Cap::IrqHandler(IRQ));
    assert_eq!(issue(&mut world, 40, slot::INIT_TCB), plain(ErrorCode::RevokeFirst));
}

#[test]
fn an_interrupt_signals_once_until_it_is_acknowledged() {
    let mut world = World::new();
    let (handler, notification) = (handler(&mut world), world.notification());
    let badged = world.mint(notification, 15, 0x50);
    assert_eq!(set(&mut world, handler, badged), done());
    world.interrupt(IRQ);
    assert_eq!(poll(&mut world, notification), 0x50);
    assert!(world.kernel.arch.is_held(IRQ));
    world.interrupt(IRQ);
    assert_eq!(poll(&mut world, notification), 0, "held");
    ack(&mut world, handler);
    world.yield_now();
    assert_eq!(poll(&mut world, notification), 0x50, "the second one waited in the controller");
}

#[test]
fn an_interrupt_wakes_its_driver() {
    let mut world = World::new();
    let (handler, notification) = (handler(&mut world), world.notification());
    let driver: Thread = world.thread(255);
    assert_eq!(set(&mut world, handler, notification), done());
    world.run(driver.tcb);
    world.wait(notification);
    assert_eq!(world.state(driver.tcb), ThreadState::BlockedOnNotification);
    world.interrupt(IRQ);
    assert_eq!(world.state(driver.tcb), ThreadState::Running);
}

#[test]
fn without_a_notification_an_interrupt_is_dropped() {
    let mut world = World::new();
    let (handler, notification) = (handler(&mut world), world.notification());
    world.interrupt(IRQ);
    assert!(world.kernel.arch.is_held(IRQ));
    assert_eq!(set(&mut world, handler, notification), done());
    assert_eq!(poll(&mut world, notification), 0);
    let badged = world.mint(notification, 15, 1);
    assert_eq!(set(&mut world, handler, badged), done());
    ack(&mut world, handler);
    world.interrupt(IRQ);
    assert_eq!(poll(&mut world, notification), 1);
}

#[test]
fn the_handler_needs_the_right_to_signal() {
    let mut world = World::new();
    let (handler, notification, endpoint) = (handler(&mut world), world.notification(), world.endpoint());
    let readable = world.copy(notification, 2);
    assert_eq!(world.invoke(handler, IRQ_SET_IRQ_HANDLER, &[], &[]), plain(ErrorCode::TruncatedMessage));
    for wrong in [readable, endpoint, 0] {
        assert_eq!(set(&mut world, handler, wrong), error(ErrorCode::InvalidCapability, 0));
    }
    assert_eq!(set_slot(&world), Cap::Null);
    assert_eq!(world.invoke(handler, IRQ_ISSUE_IRQ_HANDLER, &[], &[]), plain(ErrorCode::IllegalOperation));
}

#[test]
fn the_kernel_s_copy_belongs_to_the_notification() {
    let mut world = World::new();
    let (handler, notification) = (handler(&mut world), world.notification());
    assert_eq!(set(&mut world, handler, notification), done());
    world.revoke(notification);
    assert_eq!(set_slot(&world), Cap::Null);

    let badged = world.mint(notification, 15, 8);
    assert_eq!(set(&mut world, handler, badged), done());
    world.revoke(notification);
    assert_eq!((world.cap(badged), set_slot(&world)), (Cap::Null, Cap::Null));

    assert_eq!(set(&mut world, handler, notification), done());
    world.must(handler, IRQ_CLEAR_IRQ_HANDLER, &[], &[]);
    assert_eq!(set_slot(&world), Cap::Null);

    assert_eq!(set(&mut world, handler, notification), done());
    world.delete(handler);
    assert_eq!(set_slot(&world), Cap::Null);
}

/// The last capability to a notification with waiters goes with the handler's slot; every unit is interrupted.
#[test]
fn a_notification_can_die_of_being_replaced() {
    for end in [IRQ_SET_IRQ_HANDLER, IRQ_CLEAR_IRQ_HANDLER, keel_abi::label::CNODE_DELETE] {
        let mut world = World::new();
        let (handler, old, new) = (handler(&mut world), world.notification(), world.notification());
        let threads = [0; 20].map(|_| world.thread(255));
        for thread in threads {
            world.run(thread.tcb);
            world.wait(old);
        }
        world.run_root();
        assert_eq!(set(&mut world, handler, old), done());
        world.delete(old);
        assert!(threads.iter().all(|thread| world.state(thread.tcb) == ThreadState::BlockedOnNotification));

        world.kernel.arch.preempt_every(Some(1));
        let root = world.root();
        match end {
            keel_abi::label::CNODE_DELETE => world.call(slot::INIT_CNODE, end, &[handler, 64], &[]),
            IRQ_SET_IRQ_HANDLER => world.call(handler, end, &[], &[new]),
            _ => world.call(handler, end, &[], &[]),
        }
        assert!(world.kernel.arch.polls() > 1, "it took several units");
        world.kernel.arch.preempt_every(None);
        if world.current() != root {
            world.run_root();
        }
        assert!(threads.iter().all(|thread| world.state(thread.tcb).is_runnable()));
        assert_eq!(set_slot(&world).is_null(), end != IRQ_SET_IRQ_HANDLER);
    }
}
