// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who runs when, seen from user level: budgets, slices, Timeout faults, priorities, YieldTo, domains.

use crate::arch::Arch;
use crate::cap::Cap;
use crate::host::world::{CPtr, Failure, Outcome, ROUND_ROBIN_US, Thread, World};
use crate::object::tcb::Queued;
use crate::object::{Tcb, ThreadState};
use crate::store::Ref;
use crate::units::Ticks;
use keel_abi::error::ErrorCode;
use keel_abi::timing::{DOMAIN_SCHEDULE_ENTRIES, DOMAINS};
use keel_abi::{fault, label, object, slot};

/// Constant bandwidth: 1 ms in each 10 ms.
const TENTH_US: (u64, u64) = (1_000, 10_000);
/// Flag of a sporadic context.
const SPORADIC: u64 = object::SCHED_CONTEXT_SPORADIC;

/// A world with a notification to wait on.
fn world() -> (World, CPtr) {
    let mut world = World::new();
    let notification = world.notification();
    (world, notification)
}

/// A thread with these parameters at the root task's priority.
fn budgeted(world: &mut World, time_us: (u64, u64), extra_refills: u64, flags: u64) -> Thread {
    let thread = world.thread(255);
    world.configure(thread.sched_context, time_us, extra_refills, flags);
    thread
}

fn running(world: &World) -> Option<Ref<Tcb>> {
    world.kernel.core.current
}

/// How many of the next `count` times `step_us` `tcb` runs at.
fn samples(world: &mut World, tcb: Ref<Tcb>, count: u64, step_us: u64) -> u64 {
    let mut found = 0;
    for _ in 0..count {
        found += u64::from(running(world) == Some(tcb));
        world.pass_us(step_us);
    }
    found
}

/// What the context of `thread` has consumed, asked by the running thread.
fn consumed_us(world: &mut World, thread: Thread) -> u64 {
    world.must(thread.sched_context, label::SCHED_CONTEXT_CONSUMED, &[], &[])[0]
}

// --- budgets -----------------------------------------------------------------------------------------------------

#[test]
fn a_thread_that_computes_gets_its_budget_in_each_period() {
    for flags in [0, SPORADIC] {
        let (mut world, end) = world();
        let thread = budgeted(&mut world, TENTH_US, 0, flags);
        world.wait(end);
        assert_eq!(running(&world), Some(thread.tcb));
        world.pass_us(999);
        assert_eq!(running(&world), Some(thread.tcb));
        world.pass_us(1);
        assert_eq!(running(&world), None);
        world.pass_us(8_999);
        assert_eq!(running(&world), None);
        world.pass_us(1);
        assert_eq!(samples(&mut world, thread.tcb, 1_000, 100), 100, "a tenth of 100 ms");
    }
}

#[test]
fn unused_budget_comes_back_when_it_was_used() {
    let (mut world, end) = world();
    let thread = budgeted(&mut world, (4_000, 10_000), 4, SPORADIC);
    let doorbell = world.notification();
    world.run(thread.tcb);
    world.wait(doorbell);
    world.run_root();
    // It sleeps for long, uses 1 ms at 0, and 3 ms at 5 ms.
    world.pass_us(40_000);
    world.signal(doorbell);
    world.wait(end);
    assert_eq!(running(&world), Some(thread.tcb));
    world.pass_us(1_000);
    world.wait(doorbell);
    world.pass_us(4_000);
    let Cap::Notification(bell) = world.cap(doorbell) else { panic!("{:?}", world.cap(doorbell)) };
    // As an interrupt does.
    world.kernel.update_time();
    world.kernel.check_budget_at_interrupt();
    world.kernel.signal(bell.object, 1);
    world.kernel.schedule();
    assert_eq!(samples(&mut world, thread.tcb, 50, 100), 30, "the 3 ms that are left");
    assert_eq!(samples(&mut world, thread.tcb, 50, 100), 10, "at 10 ms the 1 ms comes back");
    assert_eq!(samples(&mut world, thread.tcb, 50, 100), 30, "at 15 ms the 3 ms");
}

#[test]
fn a_call_without_time_left_is_made_later() {
    let (mut world, end) = world();
    let thread = budgeted(&mut world, TENTH_US, 0, 0);
    world.wait(end);
    world.pass_us(979);
    world.nb_wait(end);
    assert_eq!(running(&world), Some(thread.tcb), "with 21 us it is made");
    world.pass_us(2);
    world.signal(end);
    assert_eq!(world.state(world.root()), ThreadState::BlockedOnNotification);
    assert_eq!(world.state(thread.tcb), ThreadState::Restart);
    assert_eq!(world.kernel.store[thread.tcb].queued, Queued::Release);
    world.pass_us(10_000);
    assert_eq!(world.state(world.root()), ThreadState::Running, "it was made in the next period");
}

#[test]
fn the_first_instant_of_too_little_time_is_the_one_below_the_minimum() {
    for (left, made) in [(20, true), (19, false)] {
        let (mut world, end) = world();
        let thread = budgeted(&mut world, TENTH_US, 0, 0);
        world.wait(end);
        world.pass_us(1_000 - left);
        world.nb_wait(end);
        assert_eq!(running(&world) == Some(thread.tcb), made, "{left} us are left");
    }
}

#[test]
fn yield_gives_the_rest_away_and_counts_only_what_was_used() {
    let (mut world, end) = world();
    let thread = budgeted(&mut world, TENTH_US, 0, 0);
    world.run(thread.tcb);
    world.pass_us(300);
    world.yield_now();
    assert_eq!(running(&world), Some(world.root()));
    assert_eq!(world.kernel.store[thread.tcb].queued, Queued::Release);
    assert_eq!(consumed_us(&mut world, thread), 300);
    assert_eq!(consumed_us(&mut world, thread), 0);
    world.wait(end);
    world.pass_us(9_699);
    assert_eq!(running(&world), None);
    world.pass_us(1);
    assert_eq!(samples(&mut world, thread.tcb, 20, 100), 10);
}

#[test]
fn threads_that_are_released_together_all_run() {
    let (mut world, end) = world();
    let threads: Vec<_> = (0..30).map(|_| budgeted(&mut world, (100, 10_000), 0, 0)).collect();
    for thread in &threads {
        world.run(thread.tcb);
        // Contexts of the same age wait for the same time.
        world.yield_now();
    }
    world.wait(end);
    assert_eq!(running(&world), None);
    world.pass_us(10_000);
    let mut ran = Vec::new();
    for _ in 0..30 {
        ran.extend(running(&world));
        world.pass_us(100);
    }
    ran.sort_unstable();
    ran.dedup();
    assert_eq!(ran.len(), 30);
}

#[test]
fn those_who_are_released_together_do_not_keep_others_from_running() {
    let (mut world, _) = world();
    let threads: Vec<_> = (0..30).map(|_| budgeted(&mut world, (100, 10_000), 0, 0)).collect();
    for thread in &threads {
        world.run(thread.tcb);
        world.yield_now();
        world.must(thread.cap, label::TCB_SET_PRIORITY, &[254], &[slot::INIT_TCB]);
    }
    let due = threads.iter().map(|thread| world.kernel.store[thread.tcb].links.key).max();
    let now = world.kernel.arch.time();
    world.pass(Ticks(due.expect("threads") - now.0));
    let waiting = |world: &World| {
        let queued = threads.iter().map(|thread| world.kernel.store[thread.tcb].queued);
        queued.filter(|&queued| queued == Queued::Release).count()
    };
    assert!(!world.kernel.arch.interrupt_waits(), "the running thread goes on");
    assert_eq!(waiting(&world), 29);
    world.must(threads[0].sched_context, label::SCHED_CONTEXT_CONSUMED, &[], &[]);
    assert_eq!(waiting(&world), 29, "its calls do none of that work");
    world.pass_us(3);
    assert_eq!(waiting(&world), 28);
    world.pass_us(100);
    assert_eq!(waiting(&world), 0);
}

#[test]
fn a_minimum_budget_makes_progress() {
    let (mut world, end) = world();
    let thread = budgeted(&mut world, (20, 40), 0, 0);
    world.wait(end);
    assert_eq!(samples(&mut world, thread.tcb, 1_000, 1), 500);
}

// --- round robin ---------------------------------------------------------------------------------------------------

#[test]
fn round_robin_threads_share_in_turns_and_never_wait() {
    let (mut world, end) = world();
    let threads = [world.thread(255), world.thread(255)];
    world.wait(end);
    for round in 0..6 {
        assert_eq!(running(&world), Some(threads[round % 2].tcb), "round {round}");
        world.pass_us(ROUND_ROBIN_US.0);
    }
}

#[test]
fn a_preempted_thread_goes_on_with_the_rest_of_its_slice() {
    let (mut world, end) = world();
    let threads = [world.thread(255), world.thread(255)];
    world.wait(end);
    world.pass_us(7_000);
    // Somebody of a higher or equal priority would run now; the slice goes on afterwards.
    let tcb = threads[0].tcb;
    world.kernel.update_time();
    world.kernel.reschedule();
    world.kernel.schedule();
    assert_eq!(running(&world), Some(tcb), "at the head of its queue");
    world.pass_us(2_999);
    assert_eq!(running(&world), Some(tcb));
    world.pass_us(1);
    assert_eq!(running(&world), Some(threads[1].tcb));
}

// --- timeout faults --------------------------------------------------------------------------------------------------

/// A world in which `Thread` runs with a Timeout handler, a thread that waits for it at an endpoint.
fn with_handler(time_us: (u64, u64)) -> (World, Thread, Thread) {
    let (mut world, end) = world();
    let endpoint = world.endpoint();
    let (thread, handler) = (world.thread(255), world.thread(255));
    world.must(thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[endpoint]);
    world.run(handler.tcb);
    world.recv(endpoint, handler.reply);
    world.run_root();
    world.configure(thread.sched_context, time_us, 0, 0);
    world.wait(end);
    assert_eq!(running(&world), Some(thread.tcb));
    (world, thread, handler)
}

#[test]
fn the_end_of_a_budget_is_a_timeout_fault_for_those_who_have_a_handler() {
    let (mut world, thread, handler) = with_handler(TENTH_US);
    world.pass_us(1_000);
    assert_eq!(running(&world), Some(handler.tcb));
    let received = world.received(handler.tcb);
    assert_eq!(received.info.label(), fault::TIMEOUT);
    assert_eq!(
        received.words,
        [thread.sched_context, 1_000],
        "the badge of the context, and what it consumed"
    );
    assert_eq!(world.state(thread.tcb), ThreadState::BlockedOnReply);
    assert!(world.kernel.store[thread.tcb].sched_context.is_some(), "its context is not lent");
    // The answer lets it go on where it was, when its time has come.
    world.send(handler.reply, 0, &[], &[]);
    assert_eq!(world.state(thread.tcb), ThreadState::Restart);
    assert_eq!(world.kernel.store[thread.tcb].queued, Queued::Release);
    world.suspend_running(handler);
    assert_eq!(running(&world), None);
    world.pass_us(9_000);
    assert_eq!(running(&world), Some(thread.tcb));
}

#[test]
fn round_robin_slices_end_without_a_fault() {
    let (mut world, thread, handler) = with_handler(ROUND_ROBIN_US);
    world.pass_us(50_000);
    assert_eq!(running(&world), Some(thread.tcb));
    assert_eq!(world.state(handler.tcb), ThreadState::BlockedOnReceive);
}

impl World {
    /// The running `thread` waits for a signal that nobody gives.
    fn suspend_running(&mut self, thread: Thread) {
        assert_eq!(self.current(), thread.tcb);
        let tcb = thread.tcb;
        self.kernel.suspend(tcb);
        self.kernel.schedule();
    }
}

// --- donation --------------------------------------------------------------------------------------------------------

#[test]
fn a_passive_server_works_on_the_time_of_its_client() {
    let (mut world, _) = world();
    let endpoint = world.endpoint();
    let server = world.thread(255);
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.run_root();
    world.must(server.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    let client = budgeted(&mut world, (5_000, 50_000), 0, 0);
    world.run(client.tcb);
    world.pass_us(1_000);
    world.call(endpoint, 7, &[1, 2], &[]);
    assert_eq!(running(&world), Some(server.tcb));
    world.pass_us(2_000);
    world.reply_recv(endpoint, server.reply, 0, &[]);
    assert_eq!(running(&world), Some(client.tcb));
    world.yield_now();
    world.run_root();
    assert_eq!(consumed_us(&mut world, client), 3_000);
    assert_eq!(consumed_us(&mut world, server), 0);
}

#[test]
fn a_server_whose_client_runs_out_of_time_waits_for_it() {
    let (mut world, end) = world();
    let endpoint = world.endpoint();
    let server = world.thread(255);
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.run_root();
    world.must(server.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    let client = budgeted(&mut world, TENTH_US, 0, 0);
    world.wait(end);
    assert_eq!(running(&world), Some(client.tcb));
    world.call(endpoint, 7, &[], &[]);
    world.pass_us(1_000);
    assert_eq!(running(&world), None);
    assert_eq!(world.kernel.store[server.tcb].queued, Queued::Release);
    world.pass_us(9_000);
    assert_eq!(running(&world), Some(server.tcb));
}

/// A server that waits at an endpoint without time of its own.
fn passive_server(world: &mut World) -> (Thread, CPtr) {
    let (server, endpoint) = (world.thread(255), world.endpoint());
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.must(server.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    (server, endpoint)
}

#[test]
fn a_sporadic_budget_that_comes_with_a_queued_call_counts_from_then_on() {
    let (mut world, end) = world();
    let (server, endpoint) = passive_server(&mut world);
    let client = budgeted(&mut world, TENTH_US, 0, SPORADIC);
    world.call(endpoint, 0, &[], &[]);
    world.run(client.tcb);
    world.call(endpoint, 0, &[], &[]);
    world.pass_us(3_000);
    world.reply_recv(endpoint, server.reply, 0, &[]);
    assert_eq!(world.kernel.store[server.tcb].sched_context, Some(world.sched_context(client.sched_context)));
    world.pass_us(1_000);
    assert_eq!(running(&world), Some(world.root()), "the budget is used up");
    world.wait(end);
    assert_eq!(samples(&mut world, server.tcb, 90, 100), 0, "it comes back ten milliseconds after 3 ms");
    assert_eq!(samples(&mut world, server.tcb, 10, 100), 10);
}

#[test]
fn a_sporadic_budget_that_comes_with_a_signal_counts_from_then_on() {
    let (mut world, _) = world();
    let (_, endpoint) = passive_server(&mut world);
    let (driver, bell) = (world.thread(255), world.notification());
    let lent = world.make(object::SCHED_CONTEXT, 8);
    world.configure(lent, TENTH_US, 0, SPORADIC);
    world.must(lent, label::SCHED_CONTEXT_BIND, &[], &[bell]);
    world.must(driver.cap, label::TCB_BIND_NOTIFICATION, &[], &[bell]);
    world.signal(bell);
    world.pass_us(3_000);
    world.run(driver.tcb);
    // Its own time goes to the server; what its notification lends comes.
    world.nb_send_recv(endpoint, &[], endpoint, driver.reply);
    assert_eq!(world.kernel.store[driver.tcb].sched_context, Some(world.sched_context(lent)));
    let context = world.sched_context(lent);
    let head = world.kernel.store[context.head_refill(&world.kernel.store)];
    assert_eq!(head.time, world.kernel.arch.time());
}

// --- priorities and choices --------------------------------------------------------------------------------------------

/// Gives the running root task priority 100.
fn lower_root(world: &mut World) {
    world.must(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[100], &[slot::INIT_TCB]);
}

#[test]
fn a_woken_thread_runs_at_once_only_if_it_has_a_higher_priority() {
    for (priority, at_once) in [(101, true), (100, false), (99, false)] {
        let (mut world, end) = world();
        let bell = world.notification();
        let sleeper = world.thread(255);
        world.run(sleeper.tcb);
        world.wait(bell);
        lower_root(&mut world);
        world.must(sleeper.cap, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]);
        world.signal(bell);
        assert_eq!(running(&world) == Some(sleeper.tcb), at_once, "priority {priority}");
        if !at_once {
            world.wait(end);
            assert_eq!(running(&world), Some(sleeper.tcb));
        }
    }
}

#[test]
fn a_woken_equal_waits_behind_those_who_were_ready() {
    let (mut world, end) = world();
    let bell = world.notification();
    let (sleeper, other) = (world.thread(255), world.thread(255));
    world.run(sleeper.tcb);
    world.wait(bell);
    world.run_root();
    world.signal(bell);
    world.wait(end);
    assert_eq!(running(&world), Some(other.tcb));
    world.yield_now();
    assert_eq!(running(&world), Some(sleeper.tcb));
}

#[test]
fn a_thread_whose_priority_changes_goes_before_its_equals() {
    let (mut world, end) = world();
    lower_root(&mut world);
    let (a, b) = (world.thread(50), world.thread(50));
    world.must(b.cap, label::TCB_SET_PRIORITY, &[50], &[slot::INIT_TCB]);
    world.wait(end);
    assert_eq!(running(&world), Some(b.tcb));
    world.yield_now();
    assert_eq!(running(&world), Some(a.tcb));
}

#[test]
fn one_who_lowers_itself_below_another_stops_at_once() {
    let (mut world, _) = world();
    let a = world.thread(255);
    world.must(a.cap, label::TCB_SET_PRIORITY, &[120], &[slot::INIT_TCB]);
    world.call(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[119], &[slot::INIT_TCB]);
    assert_eq!(running(&world), Some(a.tcb));
    world.suspend_running(a);
    assert_eq!(running(&world), Some(world.root()));
    assert_eq!(world.received(world.root()).info.label(), 0, "the call succeeded");
}

#[test]
fn the_highest_of_many_priorities_runs() {
    let (mut world, end) = world();
    let priorities = [3, 64, 63, 200, 128, 127, 0, 191, 254];
    let threads = priorities.map(|priority| world.thread(priority));
    world.wait(end);
    let mut order: Vec<_> = threads.iter().zip(priorities).collect();
    order.sort_by_key(|&(_, priority)| core::cmp::Reverse(priority));
    for (thread, priority) in order {
        assert_eq!(running(&world), Some(thread.tcb), "priority {priority}");
        world.suspend_running(*thread);
    }
    assert_eq!(running(&world), None);
}

// --- the timer -----------------------------------------------------------------------------------------------------------

#[test]
fn the_timer_is_set_for_what_comes_first() {
    let (mut world, end) = world();
    let thread = budgeted(&mut world, TENTH_US, 0, 0);
    let other = budgeted(&mut world, (5_000, 10_000), 0, 0);
    world.run(thread.tcb);
    let begin = world.kernel.arch.time();
    let at = |us: u64| Some(begin + Ticks(us * 16));
    assert_eq!(world.kernel.arch.deadline(), at(1_000), "the end of its budget");
    world.yield_now();
    world.run(other.tcb);
    let begin_of_other = world.kernel.arch.time();
    assert_eq!(world.kernel.arch.deadline(), Some(begin_of_other + Ticks(5_000 * 16)));
    world.pass_us(4_000);
    world.wait(end);
    world.wait(end);
    assert_eq!(running(&world), None);
    assert_eq!(world.kernel.arch.deadline(), at(10_000), "the release of the first");
}

#[test]
fn calls_that_move_no_deadline_leave_the_timer_alone() {
    let (mut world, _) = world();
    world.kernel.arch.set_deadline(Ticks(u64::MAX - 1));
    let notification = world.notification();
    world.signal(notification);
    world.nb_wait(notification);
    assert_eq!(world.kernel.arch.deadline(), Some(Ticks(u64::MAX - 1)), "nobody has set it since");
}

// --- YieldTo ---------------------------------------------------------------------------------------------------------------

fn yield_to(world: &mut World, thread: Thread) {
    world.call(thread.sched_context, label::SCHED_CONTEXT_YIELD_TO, &[], &[]);
}

#[test]
fn yield_to_an_equal_lets_it_run_and_tells_what_it_consumed() {
    let (mut world, _) = world();
    let bell = world.notification();
    let (other, target) = (world.thread(255), world.thread(255));
    let root = world.root();
    yield_to(&mut world, target);
    assert_eq!(running(&world), Some(target.tcb), "before the other one");
    world.pass_us(3_000);
    world.wait(bell);
    assert_eq!(running(&world), Some(root), "the caller comes next");
    let received = world.received(root);
    assert_eq!((received.info.label(), received.words), (0, vec![3_000]));
    assert_eq!(world.state(other.tcb), ThreadState::Restart);
}

#[test]
fn yield_to_a_lower_one_returns_at_once() {
    let (mut world, end) = world();
    lower_root(&mut world);
    let (first, target) = (world.thread(50), world.thread(50));
    let consumed = world.must(target.sched_context, label::SCHED_CONTEXT_YIELD_TO, &[], &[]);
    assert_eq!(consumed, [0]);
    world.wait(end);
    assert_eq!(running(&world), Some(target.tcb), "it has come to the head of its queue");
    world.yield_now();
    assert_eq!(running(&world), Some(first.tcb));
}

#[test]
fn yield_to_one_who_cannot_run_returns_at_once() {
    let (mut world, _) = world();
    let target = world.thread(255);
    world.must(target.cap, label::TCB_SUSPEND, &[], &[]);
    assert_eq!(world.must(target.sched_context, label::SCHED_CONTEXT_YIELD_TO, &[], &[]), [0]);
}

#[test]
fn who_yielded_to_a_context_that_dies_is_told() {
    let (mut world, _) = world();
    let (target, root) = (world.thread(255), world.root());
    yield_to(&mut world, target);
    assert_eq!(running(&world), Some(target.tcb));
    world.pass_us(2_000);
    world.call(slot::INIT_CNODE, label::CNODE_DELETE, &[target.sched_context, 64], &[]);
    assert_eq!(running(&world), Some(root));
    assert_eq!(world.kernel.store[root].yield_to, None);
    assert_eq!(world.received(root).info.length(), 1);
    assert_eq!(world.state(target.tcb), ThreadState::Running, "runnable, but without time");
}

#[test]
fn yield_to_is_refused() {
    let (mut world, _) = world();
    let target = world.thread(255);
    let refused: Outcome = Err(Failure::new(ErrorCode::IllegalOperation, &[]));
    let ask = |world: &mut World, context| world.invoke(context, label::SCHED_CONTEXT_YIELD_TO, &[], &[]);
    let nobodys = world.make(object::SCHED_CONTEXT, 7);
    assert_eq!(ask(&mut world, nobodys), refused);
    assert_eq!(ask(&mut world, slot::INIT_SCHED_CONTEXT), refused, "one's own");
    world.must(slot::INIT_TCB, label::TCB_SET_MC_PRIORITY, &[254], &[slot::INIT_TCB]);
    assert_eq!(ask(&mut world, target.sched_context), refused, "above what one controls");
}

// --- configuration -----------------------------------------------------------------------------------------------------------

#[test]
fn configure_checks_in_the_order_of_the_interface() {
    let (mut world, _) = world();
    let context = world.make(object::SCHED_CONTEXT, 8);
    let endpoint = world.endpoint();
    let control = world.sched_control;
    let max = u64::MAX / 16 / 8;
    let mut ask = |words: &[u64], caps: &[CPtr]| {
        world
            .invoke(control, label::SCHED_CONTROL_CONFIGURE_FLAGS, words, caps)
            .map_err(|failure| (failure.code, failure.words))
    };
    let range = |min, max| Err((ErrorCode::RangeError, vec![min, max]));
    assert_eq!(ask(&[0; 5], &[]), Err((ErrorCode::TruncatedMessage, vec![])));
    assert_eq!(ask(&[0; 4], &[endpoint]), Err((ErrorCode::TruncatedMessage, vec![])));
    assert_eq!(ask(&[max + 1, 1, 9, 0, 0], &[endpoint]), range(20, max));
    assert_eq!(ask(&[1, max + 1, 9, 0, 0], &[endpoint]), range(20, max));
    assert_eq!(ask(&[19, 20, 9, 0, 0], &[endpoint]), range(20, max));
    assert_eq!(ask(&[20, 19, 9, 0, 0], &[endpoint]), range(20, max));
    assert_eq!(ask(&[40, 30, 9, 0, 0], &[endpoint]), range(20, 30));
    assert_eq!(ask(&[20, 30, 9, 0, 0], &[endpoint]), Err((ErrorCode::InvalidCapability, vec![1])));
    assert_eq!(ask(&[20, 30, 9, 0, 0], &[context]), range(0, 8));
    assert_eq!(ask(&[20, 30, 8, 0, 0], &[context]), Ok(vec![]));
    assert_eq!(ask(&[max, max, 0, 0, 0], &[context]), Ok(vec![]));
}

#[test]
fn bind_and_unbind_check_what_is_bound() {
    let (mut world, notification) = world();
    let thread = world.thread(255);
    let (context, passive) = (world.make(object::SCHED_CONTEXT, 7), world.passive_thread(255));
    let illegal: Outcome = Err(Failure::new(ErrorCode::IllegalOperation, &[]));
    let ask = |world: &mut World, label, cap| world.invoke(context, label, &[], &[cap]);
    let (bind, unbind) = (label::SCHED_CONTEXT_BIND, label::SCHED_CONTEXT_UNBIND_OBJECT);
    assert_eq!(world.invoke(context, bind, &[], &[]), Err(Failure::new(ErrorCode::TruncatedMessage, &[])));
    assert_eq!(ask(&mut world, bind, context), Err(Failure::new(ErrorCode::InvalidCapability, &[1])));
    assert_eq!(ask(&mut world, bind, thread.cap), illegal, "has a context");
    assert_eq!(ask(&mut world, unbind, passive.cap), illegal, "is not bound");
    assert_eq!(ask(&mut world, bind, passive.cap), Ok(vec![]));
    assert_eq!(ask(&mut world, bind, passive.cap), illegal);
    assert_eq!(ask(&mut world, bind, notification), Ok(vec![]));
    assert_eq!(ask(&mut world, bind, notification), illegal);
    assert_eq!(ask(&mut world, unbind, notification), Ok(vec![]));
    assert_eq!(ask(&mut world, unbind, passive.cap), Ok(vec![]));
    assert_eq!(ask(&mut world, unbind, passive.cap), illegal);
    let own = slot::INIT_SCHED_CONTEXT;
    assert_eq!(world.invoke(own, label::SCHED_CONTEXT_UNBIND, &[], &[]), illegal, "one's own");
    assert_eq!(world.invoke(own, unbind, &[], &[slot::INIT_TCB]), illegal, "one's own");
}

#[test]
fn a_thread_without_a_configured_context_starts_when_it_is_configured() {
    let (mut world, end) = world();
    let (context, passive) = (world.make(object::SCHED_CONTEXT, 7), world.passive_thread(255));
    world.must(context, label::SCHED_CONTEXT_BIND, &[], &[passive.cap]);
    assert!(!world.kernel.is_schedulable(passive.tcb));
    world.configure(context, ROUND_ROBIN_US, 0, 0);
    world.wait(end);
    assert_eq!(running(&world), Some(passive.tcb));
}

#[test]
fn a_blocked_thread_is_bound_only_to_a_context_with_time() {
    let (mut world, end) = world();
    let sleeper = world.thread(255);
    world.run(sleeper.tcb);
    world.wait(end);
    world.must(sleeper.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    let context = world.make(object::SCHED_CONTEXT, 7);
    let bind = |world: &mut World| world.invoke(context, label::SCHED_CONTEXT_BIND, &[], &[sleeper.cap]);
    assert_eq!(bind(&mut world), Err(Failure::new(ErrorCode::IllegalOperation, &[])));
    world.configure(context, TENTH_US, 0, 0);
    assert_eq!(bind(&mut world), Ok(vec![]));
}

#[test]
fn configuring_a_running_context_keeps_what_was_used() {
    let (mut world, end) = world();
    let control = world.sched_control;
    let thread = budgeted(&mut world, (5_000, 10_000), 4, 0);
    world.wait(end);
    world.pass_us(4_000);
    // It gives itself 2 ms in 10: of the 5 ms 1 is left; the other one comes a period later.
    let words = [2_000, 10_000, 4, 0, 0];
    world.must(control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[thread.sched_context]);
    assert_eq!(samples(&mut world, thread.tcb, 100, 100), 10);
    assert_eq!(samples(&mut world, thread.tcb, 100, 100), 20);
}

#[test]
fn a_thread_whose_context_dies_stops() {
    let (mut world, end) = world();
    let thread = world.thread(255);
    world.run(thread.tcb);
    world.call(slot::INIT_CNODE, label::CNODE_DELETE, &[thread.sched_context, 64], &[]);
    assert_eq!(running(&world), Some(world.root()));
    assert_eq!(world.kernel.store[thread.tcb].sched_context, None);
    world.wait(end);
    assert_eq!(running(&world), None);
}

// --- domains -------------------------------------------------------------------------------------------------------------------

#[test]
fn the_domain_schedule_checks_in_the_order_of_the_interface() {
    let (mut world, _) = world();
    let thread = world.thread(255);
    let mut ask = |label, words: &[u64], caps: &[CPtr]| {
        world.invoke(slot::DOMAIN_SET, label, words, caps).map_err(|failure| (failure.code, failure.words))
    };
    let argument = |number| Err((ErrorCode::InvalidArgument, vec![number]));
    let truncated = Err((ErrorCode::TruncatedMessage, vec![]));
    let set = label::DOMAIN_SET_SET;
    assert_eq!(ask(set, &[], &[thread.cap]), truncated);
    assert_eq!(ask(set, &[DOMAINS], &[]), argument(0));
    assert_eq!(ask(set, &[DOMAINS - 1], &[]), truncated);
    assert_eq!(ask(set, &[DOMAINS - 1], &[slot::INIT_CNODE]), argument(1));
    assert_eq!(ask(set, &[DOMAINS - 1], &[thread.cap]), Ok(vec![]));
    let configure = label::DOMAIN_SCHEDULE_CONFIGURE;
    let (last, range) = (DOMAIN_SCHEDULE_ENTRIES - 1, |max| Err((ErrorCode::RangeError, vec![0, max])));
    assert_eq!(ask(configure, &[last, 0], &[]), truncated);
    assert_eq!(ask(configure, &[last, DOMAINS, 1 << 56], &[]), range(last - 1));
    assert_eq!(ask(configure, &[0, DOMAINS, 1 << 56], &[]), range(DOMAINS - 1));
    assert_eq!(ask(configure, &[0, DOMAINS - 1, 1 << 56], &[]), argument(2));
    assert_eq!(ask(configure, &[0, 0, 0], &[]), argument(2), "the start entry");
    assert_eq!(ask(configure, &[0, 0, (1 << 56) - 1], &[]), Ok(vec![]));
    let start = label::DOMAIN_SCHEDULE_SET_START;
    assert_eq!(ask(start, &[], &[]), truncated);
    assert_eq!(ask(start, &[last + 1], &[]), range(last));
    assert_eq!(ask(start, &[last], &[]), argument(0), "an end marker");
    assert_eq!(ask(start, &[0], &[]), Ok(vec![]));
}

/// With several domains (`KEEL_DOMAINS=16`); with one, that nothing of it changes who runs.
#[test]
fn only_threads_of_the_current_domain_run() {
    let (mut world, _) = world();
    let thread = world.thread(100);
    let other = DOMAINS - 1;
    let (control, millisecond) = (slot::DOMAIN_SET, 16_000);
    world.must(control, label::DOMAIN_SET_SET, &[other], &[thread.cap]);
    world.must(control, label::DOMAIN_SCHEDULE_CONFIGURE, &[0, 0, 3 * millisecond], &[]);
    if DOMAINS > 1 {
        world.must(control, label::DOMAIN_SCHEDULE_CONFIGURE, &[1, other, millisecond], &[]);
    }
    world.must(control, label::DOMAIN_SCHEDULE_SET_START, &[0], &[]);
    let root = world.root();
    let of_root = samples(&mut world, root, 400, 100);
    assert_eq!(of_root, if DOMAINS > 1 { 300 } else { 400 });
    assert_eq!(samples(&mut world, thread.tcb, 400, 100), 400 - of_root);
}
