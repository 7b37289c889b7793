// SPDX-License-Identifier: MIT OR Apache-2.0

//! The world itself: that it begins sound, that its threads run, and that the checks find what is broken.

use super::*;
use crate::cap::RawCap;
use crate::object::tcb::Queued;

#[test]
fn a_new_world_is_sound_and_runs_the_root_task() {
    let mut world = World::new();
    assert_eq!(world.current(), world.root());
    assert_eq!(world.state(world.root()), ThreadState::Running);
    world.yield_now();
    assert_eq!(world.current(), world.root(), "nobody else is ready");
}

#[test]
fn threads_take_turns() {
    let mut world = World::new();
    let (a, b) = (world.thread(255), world.thread(255));
    assert_eq!(world.current(), world.root(), "threads of the same priority wait for their turn");
    for tcb in [a.tcb, b.tcb, world.root(), a.tcb] {
        world.yield_now();
        assert_eq!(world.current(), tcb);
    }
    world.run(b.tcb);
    assert_eq!(world.current(), b.tcb);
}

#[test]
fn slices_end_by_the_timer() {
    let mut world = World::new();
    let thread = world.thread(255);
    world.pass_us(5_000);
    assert_eq!(world.current(), thread.tcb, "the root task's slice is 5 ms");
    world.pass_us(9_900);
    assert_eq!(world.current(), thread.tcb);
    world.pass_us(101);
    assert_eq!(world.current(), world.root());
}

#[test]
fn a_higher_thread_runs_at_once_and_a_lower_one_later() {
    let mut world = World::new();
    world.must(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[100], &[slot::INIT_TCB]);
    let low = world.thread(50);
    assert_eq!(world.current(), world.root());
    let notification = world.notification();
    world.wait(notification);
    assert_eq!(world.current(), low.tcb);
    world.signal(notification);
    assert_eq!(world.current(), world.root());
}

#[test]
fn everything_a_world_makes_can_be_taken_away_and_made_again() {
    let mut world = World::new();
    for _ in 0..3 {
        let before = world.next_free;
        let thread = world.thread(255);
        let endpoint = world.endpoint();
        world.run(thread.tcb);
        world.call(endpoint, 0, &[], &[]);
        assert_eq!(world.current(), world.root());
        world.revoke(world.memory);
        world.next_free = before;
        assert!((before..before + 8).all(|number| world.cap(number).is_null()));
    }
}

#[test]
#[should_panic(expected = "D1")]
fn a_broken_list_is_found() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let slot = world.slot(endpoint);
    world.kernel.store[slot].raw = RawCap::NULL;
    world.check();
}

#[test]
#[should_panic(expected = "no capability names")]
fn a_lost_object_is_found() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let slot = world.slot(endpoint);
    crate::cdt::remove(&mut world.kernel.store, slot);
    world.check();
}

#[test]
#[should_panic(expected = "T2")]
fn a_thread_that_waits_nowhere_is_found() {
    let mut world = World::new();
    let thread = world.thread(10);
    world.must(thread.cap, label::TCB_SUSPEND, &[], &[]);
    world.kernel.store[thread.tcb].state = ThreadState::BlockedOnSend;
    world.check();
}

#[test]
#[should_panic(expected = "Q1")]
fn a_thread_that_is_queued_without_knowing_is_found() {
    let mut world = World::new();
    let thread = world.thread(10);
    world.kernel.store[thread.tcb].queued = Queued::No;
    world.check();
}

#[test]
fn copies_of_a_deleted_mint_do_not_become_those_of_another_with_the_same_badge() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let first = world.mint(endpoint, 15, 5);
    let copy = world.copy(first, 15);
    let later_copy = world.copy(first, 15);
    let second = world.mint(endpoint, 15, 5);
    world.delete(first);
    world.delete(later_copy);
    world.revoke(second);
    assert!(!world.cap(copy).is_null(), "the copy was not derived from the second mint");
    world.revoke(endpoint);
    assert!(world.cap(copy).is_null(), "the copy is still derived from the endpoint");
}
