// SPDX-License-Identifier: MIT OR Apache-2.0

//! Budgets, periods and refills, to the microsecond (`scheduling.md §2, §6`, `syscalls.md §6`).
//!
//! The cases say when a thread ran: it notes the time, which is compared with what the rules give. The
//! counter advances with instructions when these are counted, so the times are the same in each run; the
//! tolerance is for what the kernel itself uses.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::{cap::CPtr, ipc::Message, sys};
use keel_abi::{
    arch::{fault::TIMEOUT_REPLY_REGISTERS, registers::{PROGRAM_COUNTER, USER_CONTEXT}},
    fault, label,
    timing::MIN_BUDGET_US,
};

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
    a_period_is_kept,
    a_computing_thread_gets_its_whole_budget,
    a_call_with_too_little_left_is_made_later,
    a_slice_is_not_ended_by_yielding_to_nobody,
    used_time_comes_back_a_period_later,
    with_two_refills_time_comes_back_together,
    fragments_are_merged_to_the_minimum,
    a_waking_thread_does_not_save_up,
    a_timeout_fault_of_a_computing_thread,
    a_timeout_fault_of_a_calling_thread,
    without_timeout_handler_the_thread_waits,
    a_timeout_handler_gets_no_time,
    an_answered_thread_waits_for_its_time,
    a_refused_thread_stops,
    an_answer_sets_registers,
    an_answer_to_a_caller_without_budget_times_out,
    a_caller_without_budget_and_handler_waits,
    a_server_on_lent_time_times_out,
    more_budget_does_not_come_early,
    less_budget_trims_the_refill,
    a_blocked_thread_gets_its_new_budget_at_once,
    a_used_up_context_is_not_bound_to_a_blocked_thread,
    consumed_is_what_was_used,
    yield_is_not_counted_as_used,
    the_smallest_budget_makes_progress,
    a_thread_out_of_budget_lets_lower_ones_run,
    a_spinning_thread_does_not_starve_higher_ones,
    round_robin_raises_no_timeout_fault,
];

/// What the kernel may use, in microseconds.
const KERNEL_US: u64 = 12;

fn since(start: u64, moment: u64) -> u64 {
    us_of_ticks(moment - start)
}

/// Notes the time after each of some yields.
extern "C" fn yield_often(count: u64) {
    trace::note(machine::ticks());
    for _ in 0..count {
        sys::yield_now();
        trace::note(machine::ticks());
    }
}

/// Expects that the noted times are so many microseconds after the first.
#[track_caller]
fn noted(expected: &[u64]) -> Outcome {
    let start = trace::get(0);
    for (index, expected) in expected.iter().enumerate() {
        if index >= trace::len() {
            return Err(differ("times noted", Shown::Any(&expected), Shown::Any(&trace::len())));
        }
        let got = since(start, trace::get(index));
        within("microseconds", expected.saturating_sub(2 * KERNEL_US), expected + 2 * KERNEL_US, got)?;
    }
    Ok(())
}

/// `scheduling.md §2.2`, `syscalls.md §12`: a periodic thread wakes period after period, without drift.
fn a_period_is_kept(t: &mut Tester) -> Outcome {
    for period in [500, 1000, 3333] {
        trace::clear();
        let sc = t.time(100, period)?;
        let puppet = t.puppet_on(ABOVE, sc)?;
        puppet.runs(yield_often, 6)?;
        t.sleep(8 * period)?;
        noted(&core::array::from_fn::<u64, 7, _>(|turn| turn as u64 * period))?;
        puppet.done()?;
    }
    Ok(())
}

/// A puppet that counts up at an address, forever, four instructions a turn.
fn spinner(t: &mut Tester, priority: u64, sc: CPtr) -> Outcome<(Puppet, u64)> {
    let (_, address) = t.mapped_frame()?;
    let puppet = t.puppet_on(priority, sc)?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    Ok((puppet, address))
}

/// Instructions that a spinner has run, in microseconds of a thousand each.
fn spun_us(address: u64) -> u64 {
    machine::peek(address) / 250
}

/// `scheduling.md §2.3`. The end of a budget may be noticed a tick late, and what is too much comes from the next refill: in a
/// list with room for two only, that can delay the next slice until it joins it (`§2.2`).
fn a_computing_thread_gets_its_whole_budget(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 5_000)?;
    t.configure(sc, [1_000, 5_000, 4, 0, 0])?;
    let (puppet, address) = spinner(t, BELOW, sc)?;
    t.sleep(24_000)?;
    within("microseconds of computing in five periods", 4_900, 5_000, spun_us(address))?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds consumed", 4_990, 5_020, used)
}

/// A notification's slot, for functions that puppets run.
static SIGNAL: AtomicU64 = AtomicU64::new(0);

/// Computes for so many microseconds, and signals.
extern "C" fn burn_and_signal(us: u64) {
    machine::burn(us * 500);
    sys::send(CPtr::new(SIGNAL.load(Ordering::Relaxed)), Default::default(), [0; 4]);
}

/// `syscalls.md §6`: with less than the minimum budget left nothing of a call is done.
fn a_call_with_too_little_left_is_made_later(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let badged = t.mint(notification, ALL, 1)?;
    SIGNAL.store(badged.bits(), Ordering::Relaxed);
    for (us, is_late) in [(1_000 - MIN_BUDGET_US - KERNEL_US, false), (1_000 - MIN_BUDGET_US + 2, true)] {
        let sc = t.time(1_000, 5_000)?;
        let puppet = t.puppet_on(ABOVE, sc)?;
        puppet.runs(burn_and_signal, us)?;
        same("signal in the first period", (!is_late).into(), sys::nb_wait(notification).badge)?;
        t.sleep(5_000)?;
        same("signal in the second period", is_late.into(), sys::nb_wait(notification).badge)?;
        puppet.done()?;
    }
    Ok(())
}

/// `syscalls.md §12`: round robin.
fn a_slice_is_not_ended_by_yielding_to_nobody(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 1_000)?;
    let puppet = t.puppet_on(ABOVE, sc)?;
    puppet.runs(yield_often, 3)?;
    noted(&[0, 2, 4, 6])?;
    puppet.done()?;
    Ok(())
}

/// Computes for almost 200 µs each time it is signalled, and notes when.
extern "C" fn work_when_signalled(count: u64) {
    let signal = CPtr::new(SIGNAL.load(Ordering::Relaxed));
    for _ in 0..count {
        trace::note(machine::ticks());
        machine::burn(97_500);
        sys::wait(signal);
    }
}

/// Signals each millisecond.
extern "C" fn signal_each_turn(count: u64) {
    for _ in 0..count {
        sys::yield_now();
        sys::send(CPtr::new(SIGNAL.load(Ordering::Relaxed)), Default::default(), [0; 4]);
    }
}

/// Lets a thread with this configuration work for almost 200 µs at the start, and each millisecond from
/// then on. It has the time for two turns in each 4 ms.
fn work(t: &mut Tester, words: [u64; 5]) -> Outcome {
    let notification = t.notification()?;
    SIGNAL.store(notification.bits(), Ordering::Relaxed);
    let (sc, period) = (t.time(100, 200)?, t.time(100, 1_000)?);
    t.configure(sc, words)?;
    let clock = t.puppet_on(ABOVE + 1, period)?;
    let worker = t.puppet_on(ABOVE, sc)?;
    worker.runs(work_when_signalled, 6)?;
    clock.runs(signal_each_turn, 12)?;
    t.sleep(13_000)
}

/// `scheduling.md §2.2`: each part of the budget a period after it was used.
fn used_time_comes_back_a_period_later(t: &mut Tester) -> Outcome {
    for flags in [0, 1] {
        trace::clear();
        work(t, [400, 4_000, 8, 0, flags])?;
        noted(&[0, 1_200, 4_000, 5_200, 8_000, 9_200])?;
    }
    Ok(())
}

/// `scheduling.md §2.2`: the list is full, so the earlier part is delayed until both join.
fn with_two_refills_time_comes_back_together(t: &mut Tester) -> Outcome {
    work(t, [400, 4_000, 0, 0, 0])?;
    noted(&[0, 1_200, 5_000, 5_200])
}

/// `scheduling.md §2.2` charge 3: what is left and too small joins the next refill.
fn fragments_are_merged_to_the_minimum(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let badged = t.mint(notification, ALL, 1)?;
    SIGNAL.store(badged.bits(), Ordering::Relaxed);
    let sc = t.time(1_000, 5_000)?;
    let puppet = t.puppet_on(ABOVE, sc)?;
    // It makes its call late, with what is left of the first period and the second: all of 1000 µs.
    puppet.runs(burn_and_signal, 990)?;
    t.sleep(5_000)?;
    puppet.done()?;
    let (_, address) = t.mapped_frame()?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(2_500)?;
    let spun = spun_us(address);
    within("microseconds of computing in the second period", 940, 1_000, spun)
}

/// `scheduling.md §2.2`: the budget never exceeds what was configured, however long the thread slept.
fn a_waking_thread_does_not_save_up(t: &mut Tester) -> Outcome {
    for flags in [0, 1] {
        let sc = t.time(1_000, 2_000)?;
        t.configure(sc, [1_000, 10_000, 8, 0, flags])?;
        let puppet = t.puppet_on(BELOW, sc)?;
        puppet.runs(yield_often, 0)?;
        t.sleep(35_000)?;
        puppet.done()?;
        let (_, address) = t.mapped_frame()?;
        puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
        t.sleep(9_000)?;
        within("microseconds of computing after a sleep", 950, 1_000, spun_us(address))?;
        accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    }
    Ok(())
}

/// A puppet with badge 0xb0 on 1 ms in each 5 ms, whose timeouts come to an endpoint with badge 0x7.
fn timed(t: &mut Tester, priority: u64) -> Outcome<(Puppet, CPtr)> {
    let sc = t.time(1_000, 5_000)?;
    t.configure(sc, [1_000, 5_000, 8, 0xb0, 0])?;
    let puppet = t.puppet_on(priority, sc)?;
    let handler = t.endpoint()?;
    let badged = t.mint(handler, ALL, 7)?;
    accepts("TCBSetTimeoutEndpoint", puppet.tcb, &[], &[badged])?;
    Ok((puppet, handler))
}

#[track_caller]
fn take(handler: CPtr, reply: CPtr) -> Fault {
    step();
    Fault::of(sys::nb_recv(handler, reply).into())
}

#[track_caller]
fn answer(reply: CPtr, label: u64, words: &[u64]) {
    step();
    let (info, registers) = Message::new(label).words(words).stage();
    sys::send(reply, info, registers);
}

/// Expects a Timeout: badge 7, the badge of the context, and the time it used.
#[track_caller]
fn is_timeout(fault: Fault, least_us: u64, most_us: u64) -> Outcome {
    same("badge", 7, fault.badge)?;
    let used = fault.words().get(1).copied().unwrap_or(0);
    fault.is(fault::TIMEOUT, &[0xb0, used])?;
    within("microseconds consumed", least_us, most_us, used)
}

/// `errors-and-faults.md §4.5`: when everything is used up.
fn a_timeout_fault_of_a_computing_thread(t: &mut Tester) -> Outcome {
    let ((puppet, handler), reply) = (timed(t, ABOVE)?, t.reply()?);
    let code = machine::count_down();
    puppet.runs_code(code, &[(machine::R0, u64::MAX)])?;
    is_timeout(take(handler, reply), 1_000, 1_000 + KERNEL_US)?;
    let registers = puppet.registers()?;
    holds("pc within the loop", (code.start..code.end).contains(&registers.get(PROGRAM_COUNTER)))?;
    same("an unused register", puppet.pattern().get(machine::UNUSED), registers.get(machine::UNUSED))?;
    same("consumed since", 0, accepts("SchedContextConsumed", puppet.sc, &[], &[])?.word(0))?;
    same("fault", fault::NULL_FAULT, take(handler, reply).label)
}

/// `syscalls.md §6`: when less than the minimum is left; the call is to be repeated.
fn a_timeout_fault_of_a_calling_thread(t: &mut Tester) -> Outcome {
    let ((puppet, handler), reply) = (timed(t, ABOVE)?, t.reply()?);
    let code = machine::syscalls();
    let nobody = t.endpoint()?;
    puppet.start_code(code, puppet.registers_for(Syscall::nb_send(nobody)))?;
    is_timeout(take(handler, reply), 1_000 - MIN_BUDGET_US - 1, 1_000)?;
    same("pc", code.start, puppet.registers()?.get(PROGRAM_COUNTER))
}

/// `scheduling.md §2.3` 4.
fn without_timeout_handler_the_thread_waits(t: &mut Tester) -> Outcome {
    let (puppet, handler) = timed(t, BELOW)?;
    accepts("TCBSetTimeoutEndpoint", puppet.tcb, &[], &[NULL])?;
    let (_, address) = t.mapped_frame()?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(4_500)?;
    within("microseconds of computing", 980, 1_000, spun_us(address))?;
    t.sleep(5_000)?;
    within("microseconds of computing", 1_960, 2_000, spun_us(address))?;
    same("badge", 0, sys::nb_wait(handler).badge)?;
    puppet.busy()
}

/// `scheduling.md §2.3` 2, §4.
fn a_timeout_handler_gets_no_time(t: &mut Tester) -> Outcome {
    let ((puppet, endpoint), reply) = (timed(t, BELOW)?, t.reply()?);
    let handler = t.passive_server(endpoint, reply)?;
    puppet.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
    t.sleep(2_000)?;
    handler.busy()?;
    t.is_bound(puppet.sc, handler.tcb, false)?;
    accepts("SchedContextBind", handler.sc, &[], &[handler.tcb])?;
    let received = handler.done()?;
    same("badge", 7, received.badge)?;
    same("message info", fault::TIMEOUT << 12 | 2, received.info.word())
}

/// `scheduling.md §6`: and raises no second fault for that.
fn an_answered_thread_waits_for_its_time(t: &mut Tester) -> Outcome {
    let ((puppet, handler), reply) = (timed(t, BELOW)?, t.reply()?);
    let (_, address) = t.mapped_frame()?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(2_000)?;
    is_timeout(take(handler, reply), 1_000, 1_000 + KERNEL_US)?;
    answer(reply, 0, &[]);
    t.sleep(2_500)?;
    same("fault", fault::NULL_FAULT, take(handler, reply).label)?;
    within("microseconds of computing", 980, 1_000, spun_us(address))?;
    t.sleep(3_000)?;
    within("microseconds of computing", 1_960, 2_000, spun_us(address))?;
    // What was used too much the first time is missing now.
    is_timeout(take(handler, reply), 1_000 - KERNEL_US, 1_000 + KERNEL_US)
}

/// `errors-and-faults.md §5`.
fn a_refused_thread_stops(t: &mut Tester) -> Outcome {
    let ((puppet, handler), reply) = (timed(t, BELOW)?, t.reply()?);
    let (_, address) = t.mapped_frame()?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(2_000)?;
    is_timeout(take(handler, reply), 1_000, 1_000 + KERNEL_US)?;
    answer(reply, 1, &[]);
    t.sleep(10_000)?;
    within("microseconds of computing", 980, 1_000, spun_us(address))
}

/// `errors-and-faults.md §5`: in the order of the architecture's TimeoutReply.
fn an_answer_sets_registers(t: &mut Tester) -> Outcome {
    const MOST: usize = TIMEOUT_REPLY_REGISTERS.len();
    let ((puppet, handler), reply) = (timed(t, BELOW)?, t.reply()?);
    for count in [MOST, MOST + 2, 3, 11] {
        puppet.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
        t.sleep(5_500)?;
        same("fault", fault::TIMEOUT, take(handler, reply).label)?;
        let mut expected = puppet.registers()?;
        let words: [u64; MOST + 2] = core::array::from_fn(|index| match TIMEOUT_REPLY_REGISTERS.get(index) {
            Some(&PROGRAM_COUNTER) => machine::nothing().start,
            Some(&register) => match machine::FLAGS {
                Some((flags, bits)) if flags == register => bits,
                _ => 0x3_0000 + index as u64,
            },
            _ => 0x3_0000 + index as u64,
        });
        for (register, word) in TIMEOUT_REPLY_REGISTERS.into_iter().zip(words).take(count) {
            expected = expected.with(register, word);
        }
        answer(reply, 0, &words[..count]);
        t.sleep(5_500)?;
        same("fault", fault::USER_EXCEPTION, take(puppet.done, reply).label)?;
        let now = puppet.registers()?;
        for register in USER_CONTEXT {
            let (expected, got) = match register {
                PROGRAM_COUNTER => (machine::nothing().end, now.get(register)),
                _ => machine::visible(register, expected.get(register), now.get(register)),
            };
            same("register", expected, got)?;
        }
    }
    Ok(())
}

/// A client with a budget of 1 ms in each 5 ms and a passive server that uses it up.
fn used_up_by_a_server(t: &mut Tester) -> Outcome<(Puppet, Puppet, CPtr, CPtr)> {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let (client, handler) = timed(t, ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    Ok((client, server, handler, reply))
}

/// `syscalls.md §10` 4, `scheduling.md §6`.
fn an_answer_to_a_caller_without_budget_times_out(t: &mut Tester) -> Outcome {
    let (client, server, handler, reply) = used_up_by_a_server(t)?;
    server.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
    same("fault", fault::NULL_FAULT, take(handler, t.reply()?).label)?;
    answer(reply, 0, &[5]);
    let spare = t.reply()?;
    is_timeout(take(handler, spare), 950, 1_000 + KERNEL_US)?;
    // The client's answer has come already: it does not call again.
    answer(spare, 0, &[]);
    t.sleep(5_000)?;
    client.done()?.is(0, 0, &[5])
}

/// `syscalls.md §10` 4.
fn a_caller_without_budget_and_handler_waits(t: &mut Tester) -> Outcome {
    let (client, server, _, reply) = used_up_by_a_server(t)?;
    accepts("TCBSetTimeoutEndpoint", client.tcb, &[], &[NULL])?;
    server.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
    answer(reply, 0, &[5]);
    client.busy()?;
    t.sleep(3_000)?;
    client.busy()?;
    t.sleep(2_500)?;
    client.done()?.is(0, 0, &[5])
}

/// `scheduling.md §6`: the server's own handler, with the badge of the client's context; it answers the
/// client for the server, and gives the server other time.
fn a_server_on_lent_time_times_out(t: &mut Tester) -> Outcome {
    let (client, server, _, reply) = used_up_by_a_server(t)?;
    accepts("TCBSetTimeoutEndpoint", client.tcb, &[], &[NULL])?;
    let (handler, spare) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(handler, ALL, 7)?;
    accepts("TCBSetTimeoutEndpoint", server.tcb, &[], &[badged])?;
    server.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
    is_timeout(take(handler, spare), 950, 1_000 + KERNEL_US)?;
    answer(reply, 3, &[]);
    t.is_bound(client.sc, client.tcb, true)?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    let code = machine::nothing();
    answer(spare, 0, &[code.start]);
    same("fault", fault::USER_EXCEPTION, take(server.done, t.reply()?).label)?;
    t.sleep(5_000)?;
    client.done()?.is(0, 3, &[])
}

/// `scheduling.md §2.1`: the head refill is kept, the rest of a larger budget comes a period later.
fn more_budget_does_not_come_early(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 10_000)?;
    let (_puppet, address) = spinner(t, BELOW, sc)?;
    t.sleep(3_000)?;
    within("microseconds of computing", 980, 1_000, spun_us(address))?;
    t.configure(sc, [2_000, 20_000, 0, 0, 0])?;
    t.sleep(6_000)?;
    within("microseconds of computing before the refill", 980, 1_000, spun_us(address))?;
    t.sleep(5_000)?;
    within("microseconds of computing after it", 1_960, 2_000, spun_us(address))?;
    t.sleep(15_000)?;
    within("microseconds of computing before the rest", 1_960, 2_000, spun_us(address))?;
    t.sleep(5_000)?;
    within("microseconds of computing in all", 3_900, 4_000, spun_us(address))
}

/// `scheduling.md §2.1`.
fn less_budget_trims_the_refill(t: &mut Tester) -> Outcome {
    let sc = t.time(2_000, 10_000)?;
    let (_puppet, address) = spinner(t, BELOW, sc)?;
    t.sleep(3_000)?;
    within("microseconds of computing", 1_960, 2_000, spun_us(address))?;
    t.configure(sc, [500, 10_000, 0, 0, 0])?;
    t.sleep(10_000)?;
    within("microseconds of computing", 2_440, 2_500, spun_us(address))
}

/// `scheduling.md §2.1`: "otherwise fresh".
fn a_blocked_thread_gets_its_new_budget_at_once(t: &mut Tester) -> Outcome {
    let (notification, sc) = (t.notification()?, t.time(1_000, 50_000)?);
    let badged = t.mint(notification, ALL, 1)?;
    SIGNAL.store(badged.bits(), Ordering::Relaxed);
    let puppet = t.puppet_on(ABOVE, sc)?;
    puppet.runs(burn_and_signal, 500)?;
    same("signal", 1, sys::nb_wait(notification).badge)?;
    puppet.done()?;
    // It is stopped, and about 500 µs are left; now it has 900.
    t.configure(sc, [900, 50_000, 0, 0, 0])?;
    puppet.runs(burn_and_signal, 850)?;
    same("signal", 1, sys::nb_wait(notification).badge)?;
    puppet.done()?;
    Ok(())
}

/// `invocations.md §6`: the head refill lies in the future.
fn a_used_up_context_is_not_bound_to_a_blocked_thread(t: &mut Tester) -> Outcome {
    let (endpoint, sc) = (t.endpoint()?, t.time(100, 5_000)?);
    let waiter = t.puppet(ABOVE)?;
    waiter.blocks(Syscall::wait(endpoint))?;
    accepts("SchedContextUnbind", waiter.sc, &[], &[])?;
    let (user, _) = spinner(t, BELOW, sc)?;
    t.sleep(1_000)?;
    accepts("SchedContextUnbind", sc, &[], &[])?;
    refuses("SchedContextBind/IllegalOperation#4", sc, &[], &[waiter.tcb], &[])?;
    let row = "TCBSetSchedParams/IllegalOperation#7";
    let words = [CASE_MCP, ABOVE];
    refuses(row, waiter.tcb, &words, &[AUTHORITY, sc, waiter.done], &[])?;
    // A thread that does not wait may have it.
    accepts("SchedContextBind", sc, &[], &[user.tcb])?;
    accepts("SchedContextUnbind", sc, &[], &[])?;
    t.sleep(5_000)?;
    accepts("SchedContextBind", sc, &[], &[waiter.tcb])?;
    Ok(())
}

/// `scheduling.md §5`.
fn consumed_is_what_was_used(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    SIGNAL.store(notification.bits(), Ordering::Relaxed);
    let puppet = t.puppet(ABOVE)?;
    accepts("SchedContextConsumed", puppet.sc, &[], &[])?;
    for us in [100, 777, 5_000, 12_345] {
        puppet.runs(burn_and_signal, us)?;
        puppet.done()?;
        let used = accepts("SchedContextConsumed", puppet.sc, &[], &[])?.word(0);
        within("microseconds consumed", us, us + KERNEL_US, used)?;
    }
    Ok(())
}

/// `syscalls.md §12`.
fn yield_is_not_counted_as_used(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 5_000)?;
    let puppet = t.puppet_on(ABOVE, sc)?;
    puppet.runs(yield_often, 3)?;
    t.sleep(20_000)?;
    puppet.done()?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds consumed", 1, 4 * KERNEL_US, used)
}

/// `scheduling.md §2`: 20 µs are enough to compute.
fn the_smallest_budget_makes_progress(t: &mut Tester) -> Outcome {
    let (sc, (_, address)) = (t.time(20, 1_000)?, t.mapped_frame()?);
    let puppet = t.puppet_on(BELOW, sc)?;
    puppet.runs_code(machine::spin(), &[(machine::R0, address)])?;
    t.sleep(10_000)?;
    let first = machine::peek(address);
    t.sleep(10_000)?;
    holds("it has counted", first > 100 && machine::peek(address) > first + 100)
}

/// `scheduling.md §2.3`.
fn a_thread_out_of_budget_lets_lower_ones_run(t: &mut Tester) -> Outcome {
    let sc = t.time(1_000, 10_000)?;
    t.puppet_on(BELOW, sc)?.runs(note_turns, 1)?;
    t.puppet(BELOW - 1)?.runs(note_turns, 2)?;
    t.sleep(25_000)?;
    trace::is(&[1, 2, 1, 2, 1, 2])
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

/// `scheduling.md §2`.
fn round_robin_raises_no_timeout_fault(t: &mut Tester) -> Outcome {
    let (puppet, handler) = timed(t, BELOW)?;
    t.configure(puppet.sc, [1_000, 1_000, 0, 0xb0, 0])?;
    puppet.runs_code(machine::count_down(), &[(machine::R0, u64::MAX)])?;
    t.sleep(20_000)?;
    same("label", 0, sys::nb_wait(handler).info.label())
}

/// Notes whenever it runs after somebody else did; for ever.
extern "C" fn note_turns(number: u64) {
    loop {
        if trace::get(trace::len().saturating_sub(1)) != number {
            trace::note(number);
        }
    }
}
