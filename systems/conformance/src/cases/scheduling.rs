// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who runs when, and for how long (`scheduling.md`, `syscalls.md §6, §12`).
//!
//! Threads note themselves in the trace. Times are exact under instruction counting; the bounds here leave
//! room for the kernel's own instructions.

use keel::{cap::CPtr, sys};
use keel_abi::{aarch64::registers::Register, fault, label, message::MessageInfo};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{Fault, Puppet, Syscall},
    tester::*,
    trace,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    higher_priorities_run_first,
    equals_run_in_order_of_arrival,
    a_woken_equal_is_appended,
    a_woken_higher_thread_runs_at_once,
    a_woken_lower_thread_waits,
    raising_a_priority_preempts,
    lowering_the_own_priority_yields,
    a_changed_thread_goes_to_the_head,
    round_robin_takes_turns,
    yield_goes_to_the_tail,
    yield_of_the_only_thread_comes_back,
    yield_gives_up_the_whole_refill,
    a_budget_bounds_the_share,
    a_thread_out_of_budget_lets_lower_ones_run,
    the_smallest_budget_makes_progress,
    consumed_counts_what_is_used,
    consumed_after_a_yield_counts_what_was_used,
    a_timeout_fault_tells_badge_and_time,
    round_robin_raises_no_timeout_fault,
    a_timeout_fault_does_not_donate,
    the_answer_to_a_timeout_sets_registers,
    an_answer_with_a_label_stops_after_a_timeout,
    a_timed_out_server_is_replaced,
    a_sporadic_context_keeps_its_budget_while_it_waits,
    reconfiguring_a_running_context_gives_no_extra_time,
    a_fresh_configuration_gives_time_at_once,
    yield_to_runs_an_equal,
    yield_to_a_lower_thread_returns_at_once,
    yield_to_an_unrunnable_thread_returns_at_once,
    binding_a_higher_thread_preempts,
    unbinding_stops_a_ready_thread,
    a_blocked_thread_takes_released_contexts_only,
    a_spinning_thread_does_not_starve_higher_ones,
];

/// A thread that notes `number` when it runs.
fn noter(t: &mut Tester, priority: u64, number: u64) -> Outcome<Puppet> {
    let puppet = t.puppet(priority)?;
    puppet.runs(note, number)?;
    Ok(puppet)
}

extern "C" fn note(number: u64) {
    trace::note(number);
}

/// Notes `number`, yields, and again, three times.
extern "C" fn note_and_yield(number: u64) {
    for _ in 0..3 {
        trace::note(number);
        sys::yield_now();
    }
}

/// Notes whenever it runs after somebody else did; for ever.
extern "C" fn note_turns(number: u64) {
    loop {
        if trace::get(trace::len().saturating_sub(1)) != number {
            trace::note(number);
        }
    }
}

/// Signals a notification and notes 1; the bits above tell it.
extern "C" fn signal_and_note(notification: u64) {
    sys::send(CPtr::new(notification), MessageInfo::default(), [0; 4]);
    trace::note(1);
}

/// Waits for a notification and notes 2.
extern "C" fn wait_and_note(notification: u64) {
    sys::wait(CPtr::new(notification));
    trace::note(2);
}

/// `scheduling.md §1`.
fn higher_priorities_run_first(t: &mut Tester) -> Outcome {
    for priority in [20, 40, 30, 60, 50] {
        noter(t, priority, priority)?;
    }
    t.settle()?;
    trace::is(&[60, 50, 40, 30, 20])
}

/// `scheduling.md §1.1`: threads that wake while a higher one runs are put at the head: the last comes first.
fn equals_run_in_order_of_arrival(t: &mut Tester) -> Outcome {
    for number in 1..=4 {
        noter(t, BELOW, number)?;
    }
    t.settle()?;
    // The case's thread goes on each time, so each is queued as a candidate of lower priority.
    let mut order = [0; 4];
    for (index, number) in order.iter_mut().enumerate() {
        *number = trace::get(index);
    }
    trace::clear();
    holds("one order or the other", order == [1, 2, 3, 4] || order == [4, 3, 2, 1])
}

/// `scheduling.md §1.1`: the same priority: appended, and the current thread goes on.
fn a_woken_equal_is_appended(t: &mut Tester) -> Outcome {
    let (notification, waiter, signaller) = (t.notification()?, t.puppet(BELOW)?, t.puppet(BELOW)?);
    waiter.runs(wait_and_note, notification.bits())?;
    t.settle()?;
    signaller.runs(signal_and_note, notification.bits())?;
    t.settle()?;
    trace::is(&[1, 2])
}

/// `scheduling.md §1.1`.
fn a_woken_higher_thread_runs_at_once(t: &mut Tester) -> Outcome {
    let (notification, waiter, signaller) = (t.notification()?, t.puppet(BELOW + 1)?, t.puppet(BELOW)?);
    waiter.runs(wait_and_note, notification.bits())?;
    t.settle()?;
    signaller.runs(signal_and_note, notification.bits())?;
    t.settle()?;
    trace::is(&[2, 1])
}

/// `scheduling.md §1.1`.
fn a_woken_lower_thread_waits(t: &mut Tester) -> Outcome {
    let (notification, waiter, signaller) = (t.notification()?, t.puppet(BELOW - 1)?, t.puppet(BELOW)?);
    waiter.runs(wait_and_note, notification.bits())?;
    t.settle()?;
    signaller.runs(signal_and_note, notification.bits())?;
    t.settle()?;
    trace::is(&[1, 2])
}

/// `scheduling.md §1.2`.
fn raising_a_priority_preempts(t: &mut Tester) -> Outcome {
    let puppet = noter(t, BELOW, 1)?;
    trace::is(&[])?;
    accepts("TCBSetPriority", puppet.tcb, &[ABOVE], &[AUTHORITY])?;
    trace::is(&[1])
}

/// `scheduling.md §1.2`: the current thread, too.
fn lowering_the_own_priority_yields(t: &mut Tester) -> Outcome {
    noter(t, BELOW, 1)?;
    let own = t.own_tcb();
    accepts("TCBSetPriority", own, &[BELOW - 10], &[AUTHORITY])?;
    trace::note(2);
    accepts("TCBSetPriority", own, &[CASE_PRIORITY], &[AUTHORITY])?;
    trace::is(&[1, 2])
}

/// `scheduling.md §1.2`: re-inserted at the head of the new priority's queue.
fn a_changed_thread_goes_to_the_head(t: &mut Tester) -> Outcome {
    noter(t, BELOW, 1)?;
    let puppet = noter(t, BELOW - 5, 2)?;
    accepts("TCBSetPriority", puppet.tcb, &[BELOW], &[AUTHORITY])?;
    t.settle()?;
    trace::is(&[2, 1])
}

/// `scheduling.md §2`: at the end of the slice to the tail of the queue.
fn round_robin_takes_turns(t: &mut Tester) -> Outcome {
    for number in 1..=3 {
        let sc = t.time(1_000, 1_000)?;
        t.puppet_on(BELOW, sc)?.runs(note_turns, number)?;
    }
    t.sleep(9_500)?;
    same("turns", 10, trace::len() as u64)?;
    let order = [trace::get(0), trace::get(1), trace::get(2)];
    for turn in 3..trace::len() {
        same("thread at its turn", order[turn % 3], trace::get(turn))?;
    }
    Ok(())
}

/// `syscalls.md §12`.
fn yield_goes_to_the_tail(t: &mut Tester) -> Outcome {
    for number in 1..=2 {
        t.puppet(BELOW)?.runs(note_and_yield, number)?;
    }
    t.settle()?;
    let first = trace::get(0);
    let second = 3 - first;
    trace::is(&[first, second, first, second, first, second])
}

/// `syscalls.md §12`.
fn yield_of_the_only_thread_comes_back(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for _ in 0..3 {
        puppet.does(Syscall::yield_now())?;
    }
    Ok(())
}

/// Yields, and notes the microseconds until it runs again.
extern "C" fn note_time_of_yield(_: u64) {
    let start = machine::ticks();
    sys::yield_now();
    trace::note(us_of_ticks(machine::ticks() - start));
}

/// `syscalls.md §12`: the rest of the refill comes one period later.
fn yield_gives_up_the_whole_refill(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 7_000)?;
    t.puppet_on(BELOW, sc)?.runs(note_time_of_yield, 0)?;
    t.sleep(20_000)?;
    same("notes", 1, trace::len() as u64)?;
    within("microseconds of a yield", 6_900, 7_100, trace::get(0))
}

/// `scheduling.md §2`: 2 ms of each 10.
fn a_budget_bounds_the_share(t: &mut Tester) -> Outcome {
    let (sc, (_, address)) = (t.time(2_000, 10_000)?, t.mapped_frame()?);
    let puppet = t.puppet_on(BELOW, sc)?;
    puppet.runs_code(machine::spin(), &[(Register::X0, address)])?;
    t.sleep(50_500)?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    // Begun at 0, 10, … 50 ms: five whole budgets and the start of a sixth.
    within("microseconds in 50.5 ms", 10_000, 10_700, used)
}

/// `scheduling.md §2.3`.
fn a_thread_out_of_budget_lets_lower_ones_run(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 10_000)?;
    t.puppet_on(BELOW, sc)?.runs(note_turns, 1)?;
    t.puppet(BELOW - 1)?.runs(note_turns, 2)?;
    t.sleep(25_000)?;
    trace::is(&[1, 2, 1, 2, 1, 2])
}

/// `scheduling.md §2`: 20 µs are enough to compute.
fn the_smallest_budget_makes_progress(t: &mut Tester) -> Outcome {
    let (sc, (_, address)) = (t.time(20, 1_000)?, t.mapped_frame()?);
    let puppet = t.puppet_on(BELOW, sc)?;
    puppet.runs_code(machine::spin(), &[(Register::X0, address)])?;
    t.sleep(10_000)?;
    let first = machine::peek(address);
    t.sleep(10_000)?;
    holds("it has counted", first > 100 && machine::peek(address) > first + 100)
}

/// `scheduling.md §5`.
fn consumed_counts_what_is_used(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::count_down(), &[(Register::X0, 2_000_000)])?;
    puppet.done()?;
    let used = accepts("SchedContextConsumed", puppet.sc, &[], &[])?.word(0);
    within("microseconds for four million instructions", 4_000, 4_100, used)
}

/// `syscalls.md §12`: a yield adds no time that was not used.
fn consumed_after_a_yield_counts_what_was_used(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::yield_now())?;
    let used = accepts("SchedContextConsumed", puppet.sc, &[], &[])?.word(0);
    within("microseconds for a yield", 0, 100, used)
}

/// A puppet of lower priority that computes, with this budget of each 10 ms, badge 0x77 and a timeout
/// endpoint; and that endpoint.
fn computing(t: &mut Tester, budget: u64) -> Outcome<(Puppet, CPtr)> {
    let (sc, endpoint) = (t.sched_context()?, t.endpoint()?);
    t.configure(sc, [budget, 10_000, 0, 0x77, 0])?;
    let handler = t.mint(endpoint, WRITE | GRANT, 0x99)?;
    let puppet = t.puppet_on(BELOW, sc)?;
    accepts("TCBSetTimeoutEndpoint", puppet.tcb, &[], &[handler])?;
    puppet.runs_code(machine::count_down(), &[(Register::X0, 1 << 40)])?;
    Ok((puppet, endpoint))
}

/// `errors-and-faults.md §4.5`.
fn a_timeout_fault_tells_badge_and_time(t: &mut Tester) -> Outcome {
    let (_, endpoint) = computing(t, 2_000)?;
    t.sleep(5_000)?;
    let fault = Fault::of(sys::nb_wait(endpoint).into());
    same("Timeout", fault::TIMEOUT, fault.label)?;
    same("badge of the handler", 0x99, fault.badge)?;
    same("length", 2, fault.words().len() as u64)?;
    same("badge of the context", 0x77, fault.words()[0])?;
    within("microseconds consumed", 1_980, 2_050, fault.words()[1])
}

/// `scheduling.md §2`: round robin.
fn round_robin_raises_no_timeout_fault(t: &mut Tester) -> Outcome {
    let (_, endpoint) = computing(t, 10_000)?;
    t.sleep(50_000)?;
    same("message", 0, sys::nb_wait(endpoint).info.label())
}

/// `errors-and-faults.md §3`: a passive handler gets no time from a Timeout fault.
fn a_timeout_fault_does_not_donate(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = computing(t, 2_000)?;
    let (reply, server) = (t.reply()?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    t.sleep(5_000)?;
    server.busy()?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, puppet.sc, &[], &[server.tcb], &[])?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    same("message info", fault::TIMEOUT << 12 | 2, server.done()?.info.word())
}

/// `errors-and-faults.md §5`: the registers of a UserContext but the thread pointers; it goes on when it
/// has time again.
fn the_answer_to_a_timeout_sets_registers(t: &mut Tester) -> Outcome {
    let ((puppet, endpoint), reply) = (computing(t, 2_000)?, t.reply()?);
    t.sleep(5_000)?;
    same("Timeout", fault::TIMEOUT, sys::nb_recv(endpoint, reply).info.label())?;
    let mut words: [u64; 36] = core::array::from_fn(|index| 0x500 + index as u64);
    words[0] = machine::nothing().start;
    words[2] = 0;
    let (info, registers) = keel::ipc::Message::new(0).words(&words).stage();
    sys::send(reply, info, registers);
    t.sleep(10_000)?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", machine::nothing().end, fault.words()[0])?;
    let now = puppet.registers()?;
    for index in (1..34).filter(|&index| index != Register::Spsr as usize) {
        same("a register", 0x500 + index as u64, now.0[index])?;
    }
    same("tpidr_el0", puppet.pattern().get(Register::TpidrEl0), now.get(Register::TpidrEl0))
}

/// `errors-and-faults.md §5`.
fn an_answer_with_a_label_stops_after_a_timeout(t: &mut Tester) -> Outcome {
    let ((puppet, endpoint), reply) = (computing(t, 2_000)?, t.reply()?);
    t.sleep(5_000)?;
    same("Timeout", fault::TIMEOUT, sys::nb_recv(endpoint, reply).info.label())?;
    sys::send(reply, MessageInfo::new(1, 0, 0, 0), [0; 4]);
    let before = puppet.registers()?;
    t.sleep(30_000)?;
    let after = puppet.registers()?;
    same("x0", before.get(Register::X0), after.get(Register::X0))
}

/// `scheduling.md §6`: a client's budget ends in the server; its timeout handler answers the client and
/// gives the server time.
fn a_timed_out_server_is_replaced(t: &mut Tester) -> Outcome {
    let (endpoint, timeouts, reply, to_server) = (t.endpoint()?, t.endpoint()?, t.reply()?, t.reply()?);
    let (server, spare) = (t.puppet(BELOW)?, t.time(SLICE_US, SLICE_US)?);
    server.start(Syscall::recv(endpoint, reply))?;
    t.settle()?;
    server.busy()?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    accepts("TCBSetTimeoutEndpoint", server.tcb, &[], &[timeouts])?;
    let sc = t.sched_context()?;
    t.configure(sc, [1_000, 100_000, 0, 0x33, 0])?;
    let client = t.puppet_on(BELOW, sc)?;
    // The server, once it has the message, computes instead of ending.
    accepts("TCBWriteRegisters", server.tcb, &[0, 4, machine::count_down().start, 0, 0, 1 << 40], &[])?;
    client.start(Syscall::call(endpoint))?;
    t.sleep(5_000)?;
    let fault = Fault::of(sys::nb_recv(timeouts, to_server).into());
    same("Timeout", fault::TIMEOUT, fault.label)?;
    same("badge of the client's context", 0x33, fault.words()[0])?;
    // The answer returns the context to the client, which has no budget left and waits for it.
    sys::send(reply, MessageInfo::new(9, 0, 0, 0), [0; 4]);
    client.busy()?;
    accepts("SchedContextBind", spare, &[], &[server.tcb])?;
    sys::send(to_server, MessageInfo::new(0, 0, 0, 1), [machine::nothing().start, 0, 0, 0]);
    t.settle()?;
    same("UserException", fault::USER_EXCEPTION, server.fault()?.label)?;
    t.sleep(100_000)?;
    same("message info", 9 << 12, client.done()?.info.word())
}

/// `scheduling.md §2.2`: a thread that waited has its budget from when it wakes.
fn a_sporadic_context_keeps_its_budget_while_it_waits(t: &mut Tester) -> Outcome {
    for flags in [0, 1] {
        let (sc, (_, address)) = (t.make(keel::cap::Blueprint::SchedContext { bits: 8 })?, t.mapped_frame()?);
        t.configure(sc, [2_000, 10_000, 0, 0, flags])?;
        let puppet = t.puppet_on(BELOW, sc)?;
        let notification = t.notification()?;
        puppet.start(Syscall::wait(notification))?;
        t.sleep(35_000)?;
        puppet.busy()?;
        accepts("SchedContextConsumed", sc, &[], &[])?;
        accepts("TCBWriteRegisters", puppet.tcb, &[0, 4, machine::spin().start, 0, 0, address], &[])?;
        accepts("TCBSuspend", puppet.tcb, &[], &[])?;
        accepts("TCBResume", puppet.tcb, &[], &[])?;
        t.sleep(8_000)?;
        let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
        // One budget, not that of periods past.
        within("microseconds", 1_950, 2_100, used)?;
        accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    }
    Ok(())
}

/// `scheduling.md §2.1`: the bandwidth is preserved.
fn reconfiguring_a_running_context_gives_no_extra_time(t: &mut Tester) -> Outcome {
    let (sc, (_, address)) = (t.time(2_000, 10_000)?, t.mapped_frame()?);
    let puppet = t.puppet_on(BELOW, sc)?;
    puppet.runs_code(machine::spin(), &[(Register::X0, address)])?;
    t.sleep(3_000)?;
    accepts("SchedContextConsumed", sc, &[], &[])?;
    // Its budget is used: the same parameters again give nothing before the next period.
    t.configure(sc, [2_000, 10_000, 0, 0, 0])?;
    t.sleep(3_000)?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds", 0, 50, used)
}

/// `scheduling.md §2.1`: otherwise one refill of the whole budget, usable now.
fn a_fresh_configuration_gives_time_at_once(t: &mut Tester) -> Outcome {
    let (sc, (_, address)) = (t.time(2_000, 10_000)?, t.mapped_frame()?);
    let puppet = t.puppet_on(BELOW, sc)?;
    puppet.runs_code(machine::spin(), &[(Register::X0, address)])?;
    t.sleep(3_000)?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    t.configure(sc, [2_000, 10_000, 0, 0, 0])?;
    accepts("SchedContextConsumed", sc, &[], &[])?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    t.sleep(3_000)?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds", 1_950, 2_100, used)
}

/// `scheduling.md §5`: target and caller at the heads of their queues, target first.
fn yield_to_runs_an_equal(t: &mut Tester) -> Outcome {
    let puppet = noter(t, CASE_PRIORITY, 1)?;
    trace::is(&[])?;
    let answer = accepts("SchedContextYieldTo", puppet.sc, &[], &[])?;
    trace::note(2);
    trace::is(&[1, 2])?;
    within("microseconds consumed", 0, 200, answer.word(0))
}

/// `scheduling.md §5` 4: moved to the head of its queue.
fn yield_to_a_lower_thread_returns_at_once(t: &mut Tester) -> Outcome {
    noter(t, BELOW, 1)?;
    let second = t.puppet(BELOW)?;
    second.runs(note, 2)?;
    let third = t.puppet(BELOW)?;
    third.runs(note, 3)?;
    for chosen in [&third, &second] {
        accepts("SchedContextYieldTo", chosen.sc, &[], &[])?;
    }
    trace::is(&[])?;
    t.settle()?;
    same("first", 2, trace::get(0))?;
    same("second", 3, trace::get(1))?;
    same("last", 1, trace::get(2))
}

/// `scheduling.md §5` 3.
fn yield_to_an_unrunnable_thread_returns_at_once(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    puppet.blocks(Syscall::wait(endpoint))?;
    accepts("SchedContextYieldTo", puppet.sc, &[], &[])?;
    puppet.busy()?;
    let first = accepts("SchedContextConsumed", puppet.sc, &[], &[])?.word(0);
    same("consumed, which YieldTo has reset", 0, first)
}

/// `scheduling.md §3`.
fn binding_a_higher_thread_preempts(t: &mut Tester) -> Outcome {
    let puppet = t.passive_puppet(ABOVE)?;
    let sc = t.time(SLICE_US, SLICE_US)?;
    puppet.runs(note, 1)?;
    trace::is(&[])?;
    accepts("SchedContextBind", sc, &[], &[puppet.tcb])?;
    trace::note(2);
    trace::is(&[1, 2])
}

/// `scheduling.md §3`.
fn unbinding_stops_a_ready_thread(t: &mut Tester) -> Outcome {
    let puppet = noter(t, BELOW, 1)?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    t.settle()?;
    trace::is(&[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    t.settle()?;
    trace::is(&[1])
}

/// `scheduling.md §3`: active and ready.
fn a_blocked_thread_takes_released_contexts_only(t: &mut Tester) -> Outcome {
    let (endpoint, sc) = (t.endpoint()?, t.time(1_000, 50_000)?);
    // Use the context up.
    let user = t.puppet_on(BELOW, sc)?;
    user.runs_code(machine::count_down(), &[(Register::X0, 1 << 40)])?;
    t.sleep(5_000)?;
    accepts("SchedContextUnbind", sc, &[], &[])?;
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::wait(endpoint))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    refuses("SchedContextBind/IllegalOperation#4", sc, &[], &[puppet.tcb], &[])?;
    let row = "TCBSetSchedParams/IllegalOperation#7";
    refuses(row, puppet.tcb, &[1, 1], &[AUTHORITY, sc, NULL], &[])?;
    t.sleep(60_000)?;
    accepts("SchedContextBind", sc, &[], &[puppet.tcb])?;
    Ok(())
}

/// A thread that makes system calls without end is preempted like any other.
fn a_spinning_thread_does_not_starve_higher_ones(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(BELOW)?;
    let call = Syscall::call(puppet.tcb).words(&[0, 0]).info(label::TCB_SET_FLAGS, 0, 2);
    puppet.start_code(machine::syscalls(), puppet.registers_for(call))?;
    let start = machine::ticks();
    for _ in 0..5 {
        t.sleep(1_000)?;
    }
    within("microseconds", 4_900, 5_500, us_of_ticks(machine::ticks() - start))
}
