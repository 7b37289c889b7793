// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who runs, and in which order (`scheduling.md §1, §3, §5`, `syscalls.md §12`).

use core::sync::atomic::{AtomicU64, Ordering};

use keel::{
    cap::{Blueprint, CPtr},
    sys,
};
use keel_abi::label;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{Puppet, Syscall},
    tester::*,
    trace,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    the_highest_priority_runs_first,
    equals_run_in_order_of_arrival,
    a_higher_thread_runs_at_once,
    an_equal_thread_is_appended,
    a_lower_thread_waits,
    a_woken_equal_goes_behind_those_that_wait,
    of_two_woken_at_once_the_last_runs_first,
    a_preempted_thread_stays_first,
    a_raised_thread_goes_first_among_its_new_equals,
    a_lowered_thread_goes_first_among_its_new_equals,
    the_same_priority_again_moves_to_the_front,
    a_thread_that_lowers_itself_is_overtaken,
    a_thread_that_raises_itself_overtakes,
    a_message_to_an_equal_does_not_switch,
    a_call_switches_to_the_server,
    a_reply_to_a_higher_thread_switches,
    binding_time_puts_a_thread_first,
    yield_goes_behind_equals,
    yield_does_not_let_lower_threads_run,
    equal_slices_alternate,
    yield_to_moves_a_lower_thread_to_the_front,
    yield_to_lets_an_equal_run_first,
    yield_to_a_blocked_thread_returns_at_once,
    yield_to_gives_its_result_when_the_target_is_deleted,
    yield_to_is_completed_by_that_of_another,
    a_suspended_thread_loses_the_result_of_yield_to,
    resume_of_a_running_thread_does_nothing,
    resume_without_time_waits_for_it,
    suspension_of_oneself_stops,
    a_long_revocation_does_not_delay_others,
    raising_a_priority_preempts,
    unbinding_stops_a_ready_thread,
];

extern "C" fn note(number: u64) {
    trace::note(number);
}

/// A puppet that notes a number when it runs.
#[track_caller]
fn noting(t: &mut Tester, priority: u64, number: u64) -> Outcome<Puppet> {
    let puppet = t.puppet(priority)?;
    puppet.runs(note, number)?;
    Ok(puppet)
}

/// `scheduling.md §1`.
fn the_highest_priority_runs_first(t: &mut Tester) -> Outcome {
    for (number, priority) in [BELOW, BELOW + 2, BELOW + 1, 2, 99].into_iter().enumerate() {
        noting(t, priority, number as u64)?;
    }
    t.settle()?;
    trace::is(&[4, 1, 2, 0, 3])
}

/// `scheduling.md §1`: threads that were woken one by one, each put first as the candidate of its entry when
/// the current thread has a higher priority (§1.1).
fn equals_run_in_order_of_arrival(t: &mut Tester) -> Outcome {
    let puppets = [t.puppet(CASE_PRIORITY)?, t.puppet(CASE_PRIORITY)?, t.puppet(CASE_PRIORITY)?];
    for (number, puppet) in puppets.iter().enumerate() {
        puppet.runs(note, number as u64)?;
    }
    trace::is(&[])?;
    t.settle()?;
    trace::is(&[0, 1, 2])
}

/// `scheduling.md §1.1`.
fn a_higher_thread_runs_at_once(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY + 1, 1)?;
    trace::note(2);
    trace::is(&[1, 2])
}

/// `scheduling.md §1.1`.
fn an_equal_thread_is_appended(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    noting(t, CASE_PRIORITY, 2)?;
    trace::note(0);
    sys::yield_now();
    trace::is(&[0, 1, 2])
}

/// `scheduling.md §1.1`.
fn a_lower_thread_waits(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY - 1, 1)?;
    sys::yield_now();
    trace::is(&[])?;
    t.settle()?;
    trace::is(&[1])
}

/// Signals both, and notes.
static SIGNALS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

extern "C" fn signal_both(number: u64) {
    for signal in &SIGNALS {
        sys::send(CPtr::new(signal.load(Ordering::Relaxed)), Default::default(), [0; 4]);
        trace::note(number);
    }
}

extern "C" fn wait_and_note(notification: u64) {
    sys::wait(CPtr::new(notification));
    trace::note(notification);
}

/// `scheduling.md §1.1`: woken threads of the running thread's priority queue behind those that are queued.
fn a_woken_equal_goes_behind_those_that_wait(t: &mut Tester) -> Outcome {
    let mut signals = [NULL; 2];
    for (to, signal) in signals.iter_mut().zip(&SIGNALS) {
        *to = t.notification()?;
        signal.store(to.bits(), Ordering::Relaxed);
        let waiter = t.puppet(CASE_PRIORITY)?;
        waiter.runs(wait_and_note, to.bits())?;
    }
    sys::yield_now();
    let waker = t.puppet(CASE_PRIORITY)?;
    waker.runs(signal_both, 7)?;
    noting(t, CASE_PRIORITY, 8)?;
    sys::yield_now();
    trace::is(&[7, 7, 8])?;
    t.settle()?;
    trace::is(&[signals[0].bits(), signals[1].bits()])
}

/// Calls, and notes when the answer has come.
extern "C" fn call_and_note(endpoint: u64) {
    sys::call(CPtr::new(endpoint), Default::default(), [0; 4]);
    trace::note(1);
}

/// Sends, and notes when the message has been taken.
extern "C" fn send_and_note(endpoint: u64) {
    sys::send(CPtr::new(endpoint), Default::default(), [0; 4]);
    trace::note(2);
}

/// `scheduling.md §1.1` 4: a ReplyRecv wakes who gets the answer, then who is received from. Both go to the head
/// of their queue.
fn of_two_woken_at_once_the_last_runs_first(t: &mut Tester) -> Outcome {
    let (endpoint, reply, server) = (t.endpoint()?, t.reply()?, t.puppet(ABOVE)?);
    let (caller, sender, third) = (t.puppet(BELOW)?, t.puppet(BELOW)?, t.puppet(BELOW)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    caller.runs(call_and_note, endpoint.bits())?;
    t.settle()?;
    server.done()?;
    sender.runs(send_and_note, endpoint.bits())?;
    t.settle()?;
    third.runs(note, 3)?;
    server.does(Syscall::reply_recv(endpoint, reply))?;
    trace::is(&[])?;
    t.settle()?;
    trace::is(&[2, 1, 3])
}

/// `scheduling.md §1`: put back at the head of its queue.
fn a_preempted_thread_stays_first(t: &mut Tester) -> Outcome {
    let (puppet, next) = (t.puppet(CASE_PRIORITY)?, t.puppet(CASE_PRIORITY)?);
    puppet.runs(burn_and_note, 1)?;
    next.runs(note, 2)?;
    // The first runs now and then, preempted by the alarm: the second never comes before it.
    for _ in 0..3 {
        t.sleep(300)?;
        trace::is(&[])?;
    }
    t.settle()?;
    trace::is(&[1, 2])
}

/// Computes for two milliseconds, and notes.
extern "C" fn burn_and_note(number: u64) {
    machine::burn(1_000_000);
    trace::note(number);
}

/// `scheduling.md §1.2`.
fn a_raised_thread_goes_first_among_its_new_equals(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    let raised = noting(t, BELOW, 2)?;
    noting(t, CASE_PRIORITY, 3)?;
    accepts("TCBSetPriority", raised.tcb, &[CASE_PRIORITY], &[AUTHORITY])?;
    t.settle()?;
    trace::is(&[2, 1, 3])
}

/// `scheduling.md §1.2`.
fn a_lowered_thread_goes_first_among_its_new_equals(t: &mut Tester) -> Outcome {
    let lowered = noting(t, CASE_PRIORITY, 1)?;
    noting(t, BELOW, 2)?;
    accepts("TCBSetPriority", lowered.tcb, &[BELOW], &[AUTHORITY])?;
    t.settle()?;
    trace::is(&[1, 2])
}

/// `scheduling.md §1.2`.
fn the_same_priority_again_moves_to_the_front(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    noting(t, CASE_PRIORITY, 2)?;
    let last = noting(t, CASE_PRIORITY, 3)?;
    let caps = [AUTHORITY, last.sc, last.done];
    accepts("TCBSetSchedParams", last.tcb, &[CASE_MCP, CASE_PRIORITY], &caps)?;
    t.settle()?;
    trace::is(&[3, 1, 2])
}

/// Lets a puppet set its own priority.
#[track_caller]
fn sets_own_priority(puppet: &Puppet, priority: u64) -> Outcome {
    puppet.buffer().set_caps(&[AUTHORITY]);
    puppet.start(Syscall::call(puppet.tcb).words(&[priority]).info(label::TCB_SET_PRIORITY, 1, 1))
}

/// `semantics.md §6`: effective on return.
fn a_thread_that_lowers_itself_is_overtaken(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    sets_own_priority(&puppet, BELOW)?;
    puppet.busy()?;
    t.settle()?;
    same("message info", 0, puppet.done()?.info.word())
}

/// `semantics.md §6`.
fn a_thread_that_raises_itself_overtakes(t: &mut Tester) -> Outcome {
    let own = t.own_tcb();
    noting(t, CASE_PRIORITY, 1)?;
    noting(t, CASE_PRIORITY + 1, 2)?;
    accepts("TCBSetPriority", own, &[CASE_PRIORITY + 1], &[AUTHORITY])?;
    noting(t, CASE_PRIORITY + 1, 3)?;
    trace::is(&[2])?;
    accepts("TCBSetPriority", own, &[CASE_PRIORITY], &[AUTHORITY])?;
    trace::is(&[3])?;
    sys::yield_now();
    trace::is(&[1])
}

/// `scheduling.md §1.1`, `syscalls.md §8`: the receiver is appended.
fn a_message_to_an_equal_does_not_switch(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let receiver = t.puppet(CASE_PRIORITY)?;
    receiver.runs(wait_and_note, endpoint.bits())?;
    sys::yield_now();
    noting(t, CASE_PRIORITY, 1)?;
    sys::send(endpoint, Default::default(), [0; 4]);
    trace::note(0);
    sys::yield_now();
    trace::is(&[0, 1, endpoint.bits()])
}

/// Answers a call, and notes.
static REPLY: AtomicU64 = AtomicU64::new(0);

extern "C" fn serve(endpoint: u64) {
    let reply = CPtr::new(REPLY.load(Ordering::Relaxed));
    sys::recv(CPtr::new(endpoint), reply);
    trace::note(1);
    sys::send(reply, Default::default(), [0; 4]);
    trace::note(2);
}

/// `scheduling.md §1.1`: the caller blocks, so even a server of its priority that was woken last runs next.
fn a_call_switches_to_the_server(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    REPLY.store(reply.bits(), Ordering::Relaxed);
    let server = t.puppet(CASE_PRIORITY)?;
    server.runs(serve, endpoint.bits())?;
    sys::yield_now();
    sys::call(endpoint, Default::default(), [0; 4]);
    trace::note(3);
    t.settle()?;
    // The answer goes to an equal, which is appended: the server goes on.
    trace::is(&[1, 2, 3])
}

/// `scheduling.md §1.1`.
fn a_reply_to_a_higher_thread_switches(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    REPLY.store(reply.bits(), Ordering::Relaxed);
    let server = t.puppet(BELOW)?;
    server.runs(serve, endpoint.bits())?;
    t.settle()?;
    sys::call(endpoint, Default::default(), [0; 4]);
    trace::note(3);
    t.settle()?;
    trace::is(&[1, 3, 2])
}

/// `scheduling.md §3`.
fn binding_time_puts_a_thread_first(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    let puppet = t.puppet(CASE_PRIORITY)?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    puppet.runs(note, 2)?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    t.settle()?;
    // "Always a full reschedule", which puts the current thread before those two.
    trace::is(&[2, 1])
}

extern "C" fn yield_and_note(number: u64) {
    for _ in 0..3 {
        trace::note(number);
        sys::yield_now();
    }
}

/// `syscalls.md §12`.
fn yield_goes_behind_equals(t: &mut Tester) -> Outcome {
    for number in 1..4 {
        let puppet = t.puppet(CASE_PRIORITY)?;
        puppet.runs(yield_and_note, number)?;
    }
    t.settle()?;
    trace::is(&[1, 2, 3, 1, 2, 3, 1, 2, 3])
}

/// `syscalls.md §12`.
fn yield_does_not_let_lower_threads_run(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(BELOW + 1)?;
    puppet.runs(yield_and_note, 1)?;
    noting(t, BELOW, 2)?;
    t.settle()?;
    trace::is(&[1, 1, 1, 2])
}

/// Notes a number each 100 µs, for five times.
extern "C" fn note_often(number: u64) {
    for _ in 0..5 {
        machine::burn(50_000);
        trace::note(number);
    }
}

/// `scheduling.md §1, §2`: each runs for its slice, and goes to the tail.
fn equal_slices_alternate(t: &mut Tester) -> Outcome {
    let (long, short) = (t.time(220, 220)?, t.time(160, 160)?);
    let (first, second) = (t.puppet_on(CASE_PRIORITY, long)?, t.puppet_on(CASE_PRIORITY, short)?);
    first.runs(note_often, 1)?;
    second.runs(note_often, 2)?;
    t.settle()?;
    // In its slices the first comes to 220 and 440 µs, the second to 160 and 320, and so on.
    trace::is(&[1, 1, 2, 1, 1, 2, 2, 1, 2, 2])
}

/// `scheduling.md §5` YieldTo 4.
fn yield_to_moves_a_lower_thread_to_the_front(t: &mut Tester) -> Outcome {
    let high = t.puppet(CASE_PRIORITY)?;
    let own = t.own_tcb();
    accepts("TCBSetPriority", own, &[CASE_PRIORITY + 1], &[AUTHORITY])?;
    high.runs(note, 1)?;
    let other = noting(t, CASE_PRIORITY, 2)?;
    let last = noting(t, CASE_PRIORITY, 3)?;
    accepts("SchedContextYieldTo", high.sc, &[], &[])?;
    accepts("SchedContextYieldTo", last.sc, &[], &[])?;
    accepts("SchedContextYieldTo", other.sc, &[], &[])?;
    trace::is(&[])?;
    t.settle()?;
    trace::is(&[2, 3, 1])
}

/// `scheduling.md §5` YieldTo 5.
fn yield_to_lets_an_equal_run_first(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    let last = t.puppet(CASE_PRIORITY)?;
    last.runs(burn_and_note, 2)?;
    let used = accepts("SchedContextYieldTo", last.sc, &[], &[])?.word(0);
    trace::note(3);
    t.settle()?;
    trace::is(&[2, 3, 1])?;
    within("microseconds used by the target", 1_995, 2_030, used)
}

/// `scheduling.md §5` YieldTo 3.
fn yield_to_a_blocked_thread_returns_at_once(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    noting(t, CASE_PRIORITY, 1)?;
    let waiter = t.puppet(ABOVE)?;
    waiter.blocks(Syscall::wait(notification))?;
    accepts("SchedContextConsumed", waiter.sc, &[], &[])?;
    let used = accepts("SchedContextYieldTo", waiter.sc, &[], &[])?.word(0);
    same("microseconds used by the target", 0, used)?;
    trace::is(&[])?;
    waiter.busy()
}

/// A target of priority 100 that computes, and a puppet of that priority that yields to it.
fn yielding(t: &mut Tester) -> Outcome<(Puppet, Puppet)> {
    let (target, puppet) = (t.puppet(CASE_PRIORITY)?, t.puppet(CASE_PRIORITY)?);
    let (_, address) = t.mapped_frame()?;
    puppet.start(Syscall::call(target.sc).info(label::SCHED_CONTEXT_YIELD_TO, 0, 0))?;
    target.runs_code(machine::spin(), &[(machine::R0, address)])?;
    // Both are queued, the puppet first; after a millisecond it waits, and the target runs.
    t.sleep(1_000)?;
    puppet.busy()?;
    Ok((target, puppet))
}

/// `scheduling.md §5`.
fn yield_to_gives_its_result_when_the_target_is_deleted(t: &mut Tester) -> Outcome {
    let (target, puppet) = yielding(t)?;
    t.delete(target.tcb)?;
    t.settle()?;
    let received = puppet.done()?;
    same("message info", 1, received.info.word())?;
    within("microseconds used by the target", 900, 1_100, received.words[0])
}

/// `scheduling.md §5` YieldTo 1: the other takes what was used so far, and the first gets it.
fn yield_to_is_completed_by_that_of_another(t: &mut Tester) -> Outcome {
    let (target, puppet) = yielding(t)?;
    let used = accepts("SchedContextYieldTo", target.sc, &[], &[])?.word(0);
    accepts("TCBSuspend", target.tcb, &[], &[])?;
    t.settle()?;
    let received = puppet.done()?;
    same("message info", 1, received.info.word())?;
    within("microseconds used by the target until then", 900, 1_100, received.words[0])?;
    within("microseconds used by the target since", 0, 21_000, used)
}

/// `scheduling.md §5`.
fn a_suspended_thread_loses_the_result_of_yield_to(t: &mut Tester) -> Outcome {
    let (target, puppet) = yielding(t)?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    accepts("TCBSuspend", target.tcb, &[], &[])?;
    let used = accepts("SchedContextConsumed", target.sc, &[], &[])?.word(0);
    within("microseconds used by the target, read by nobody", 900, 1_100, used)?;
    t.settle()?;
    puppet.busy()
}

/// `semantics.md §6`.
fn resume_of_a_running_thread_does_nothing(t: &mut Tester) -> Outcome {
    noting(t, CASE_PRIORITY, 1)?;
    let second = noting(t, CASE_PRIORITY, 2)?;
    accepts("TCBResume", second.tcb, &[], &[])?;
    t.settle()?;
    trace::is(&[1, 2])?;
    accepts("TCBResume", t.own_tcb(), &[], &[])?;
    Ok(())
}

/// `semantics.md §6`.
fn resume_without_time_waits_for_it(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    puppet.runs(note, 1)?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    t.settle()?;
    trace::is(&[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    trace::is(&[1])
}

/// `semantics.md §6`.
fn suspension_of_oneself_stops(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let call = Syscall::send(puppet.tcb).info(label::TCB_SUSPEND, 0, 0);
    puppet.blocks(call)?;
    t.settle()?;
    puppet.busy()?;
    // The call has ended: resumed, the thread goes on, or makes it again.
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    Ok(())
}

/// The moments when a periodic thread ran, and how many.
static MOMENTS: AtomicU64 = AtomicU64::new(0);
static LONGEST_GAP: AtomicU64 = AtomicU64::new(0);

extern "C" fn watch_time(_: u64) {
    let mut last = machine::ticks();
    loop {
        sys::yield_now();
        let now = machine::ticks();
        MOMENTS.fetch_add(1, Ordering::Relaxed);
        LONGEST_GAP.fetch_max(now - last, Ordering::Relaxed);
        last = now;
    }
}

/// `semantics.md §4, §11`: long operations let others run within some microseconds.
fn a_long_revocation_does_not_delay_others(t: &mut Tester) -> Outcome {
    let untyped = t.untyped(21)?;
    let (first, time) = (t.slots(256)?, t.time(60, 500)?);
    for _ in 0..2 {
        let words = [keel_abi::object::ENDPOINT, 0, 0, 0, first.bits(), 256];
        accepts("UntypedRetype", untyped, &words, &[CNODE])?;
        t.revoke(untyped)?;
    }
    let words = [Blueprint::LargePage.object_type(), 0, 0, 0, first.bits(), 1];
    accepts("UntypedRetype", untyped, &words, &[CNODE])?;
    MOMENTS.store(0, Ordering::Relaxed);
    LONGEST_GAP.store(0, Ordering::Relaxed);
    let watcher = t.puppet_on(ABOVE, time)?;
    watcher.runs(watch_time, 0)?;
    let start = machine::ticks();
    while us_of_ticks(machine::ticks() - start) < 20_000 {
        t.revoke(untyped)?;
        let words = [keel_abi::object::ENDPOINT, 0, 0, 0, first.bits(), 256];
        accepts("UntypedRetype", untyped, &words, &[CNODE])?;
        t.revoke(untyped)?;
        let words = [Blueprint::LargePage.object_type(), 0, 0, 0, first.bits(), 1];
        accepts("UntypedRetype", untyped, &words, &[CNODE])?;
    }
    within("turns of a thread with a period of 500 µs", 39, 10_000, MOMENTS.load(Ordering::Relaxed))?;
    let gap = us_of_ticks(LONGEST_GAP.load(Ordering::Relaxed));
    within("microseconds between two turns", 400, 600, gap)
}

/// `scheduling.md §1.2`.
fn raising_a_priority_preempts(t: &mut Tester) -> Outcome {
    let puppet = noting(t, BELOW, 1)?;
    trace::is(&[])?;
    accepts("TCBSetPriority", puppet.tcb, &[ABOVE], &[AUTHORITY])?;
    trace::is(&[1])
}

/// `scheduling.md §3`.
fn unbinding_stops_a_ready_thread(t: &mut Tester) -> Outcome {
    let puppet = noting(t, BELOW, 1)?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    t.settle()?;
    trace::is(&[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    t.settle()?;
    trace::is(&[1])
}
