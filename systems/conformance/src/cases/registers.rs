// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers over system calls and switches, and what TCB methods do to them (`syscalls.md §2`,
//! `invocations.md §5.1`, `semantics.md §6`). That system calls keep registers is checked with every call
//! of a puppet.

use keel::cap::Registers;
use keel_abi::{
    arch::{
        fault::{USER_EXCEPTION_CODE, USER_EXCEPTION_NUMBER},
        registers::{FRAME_WORDS, PROGRAM_COUNTER, TLS_BASE, USER_CONTEXT, USER_CONTEXT_WORDS},
    },
    fault, label,
    object::TCB_FPU_DISABLED,
};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{self, Code, R0, R1, R2, visible},
    puppet::{Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    every_register_is_written_and_read,
    fpu_registers_are_switched,
    fpu_registers_survive_system_calls,
    the_exclusive_monitor_is_cleared,
    user_level_reads_the_time,
    reading_with_suspend_stops_the_thread,
    reading_shows_the_restart_address,
    writing_without_resume_leaves_the_state,
    skipping_a_blocked_call,
    copy_registers_of_each_kind,
    copy_registers_suspends_and_resumes,
    without_a_buffer_four_registers_are_read,
    without_a_buffer_a_write_is_truncated,
    a_suspended_runner_goes_on_where_it_was,
    a_thread_suspends_itself,
    a_thread_changes_its_own_settings,
    calls_that_end_at_once_keep_registers,
    calls_that_block_keep_registers,
    yield_changes_no_register,
    preemption_keeps_registers,
    the_fpu_of_a_new_thread_is_clear,
    a_disabled_fpu_faults,
    a_disabled_fpu_keeps_its_registers,
];

/// Registers of a thread.
const CONTEXT: u64 = USER_CONTEXT_WORDS as u64;
/// Words of a WriteRegisters with all of them.
const WRITE_WORDS: usize = USER_CONTEXT_WORDS + 2;

/// `invocations.md §5.1`: the order of the words; nothing but flags is changed.
fn every_register_is_written_and_read(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let mut words = [0; WRITE_WORDS];
    words[1] = CONTEXT;
    for (index, word) in words[2..].iter_mut().enumerate() {
        *word = 0xdead_0000_0000_0000 | index as u64;
    }
    accepts("TCBWriteRegisters", puppet.tcb, &words, &[])?;
    let registers = puppet.registers()?;
    for register in USER_CONTEXT {
        let (expected, got) = visible(register, words[2 + register as usize], registers.get(register));
        same("a register", expected, got)?;
    }
    Ok(())
}

/// `semantics.md §11`: per thread.
fn fpu_registers_are_switched(t: &mut Tester) -> Outcome {
    let (first, second) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for (puppet, value) in [(&first, 100), (&second, 200)] {
        puppet.runs_code(machine::get_fpu(), &[])?;
        puppet.done()?;
        let registers = puppet.registers()?;
        same("first FPU register of a new thread", 0, registers.get(R0))?;
        same("FPU control register of a new thread", 0, registers.get(R2))?;
        puppet.runs_code(machine::set_fpu(), &[(R0, value), (R1, value + 1)])?;
        puppet.done()?;
    }
    for (puppet, value) in [(&first, 100), (&second, 200), (&second, 200), (&first, 100)] {
        puppet.runs_code(machine::get_fpu(), &[])?;
        puppet.done()?;
        let registers = puppet.registers()?;
        same("first FPU register", value, registers.get(R0))?;
        same("last FPU register", value + 1, registers.get(R1))?;
    }
    Ok(())
}

/// `syscalls.md §2`: FPU registers are preserved across system calls.
fn fpu_registers_survive_system_calls(t: &mut Tester) -> Outcome {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    puppet.runs_code(machine::set_fpu(), &[(R0, 7), (R1, 8)])?;
    puppet.done()?;
    puppet.does(Syscall::send(notification))?;
    puppet.does(Syscall::yield_now())?;
    puppet.blocks(Syscall::wait(t.endpoint()?))?;
    puppet.runs_code(machine::get_fpu(), &[])?;
    puppet.done()?;
    let registers = puppet.registers()?;
    same("first FPU register", 7, registers.get(R0))?;
    same("last FPU register", 8, registers.get(R1))
}

/// `semantics.md §11`: a switch clears the local exclusive reservation.
fn the_exclusive_monitor_is_cleared(t: &mut Tester) -> Outcome {
    let (puppet, (_, address)) = (t.puppet(ABOVE)?, t.mapped_frame()?);
    let notification = t.notification()?;
    let Some((place, failed)) = machine::EXCLUSIVE else { return skip("there are no exclusive stores") };
    let registers = puppet.registers_for(Syscall::wait(notification)).with(place, address);
    puppet.start_code(machine::exclusive(), registers)?;
    puppet.busy()?;
    keel::sys::send(notification, Default::default(), [0; 4]);
    puppet.done()?;
    same("failure of the store", 1, puppet.registers()?.get(failed))
}

/// `design`.
fn user_level_reads_the_time(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let before = machine::ticks();
    puppet.runs_code(machine::time(), &[])?;
    puppet.done()?;
    within("the counter", before, machine::ticks(), puppet.registers()?.get(R0))
}

/// `semantics.md §6`.
fn reading_with_suspend_stops_the_thread(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    puppet.blocks(Syscall::wait(endpoint))?;
    let answer = accepts("TCBReadRegisters", puppet.tcb, &[1, CONTEXT], &[])?;
    same("pc", machine::syscall().start, answer.word(0))?;
    let sender = t.puppet(ABOVE)?;
    sender.blocks(Syscall::send(endpoint))?;
    puppet.busy()
}

/// `semantics.md §6`: of a thread in a call, the address of the call.
fn reading_shows_the_restart_address(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    for call in [Syscall::wait(endpoint), Syscall::send(endpoint), Syscall::call(endpoint)] {
        puppet.blocks(call)?;
        same("pc", machine::syscall().start, puppet.registers()?.get(PROGRAM_COUNTER))?;
        accepts("TCBSuspend", puppet.tcb, &[], &[])?;
        same("pc", machine::syscall().start, puppet.registers()?.get(PROGRAM_COUNTER))?;
    }
    Ok(())
}

/// `semantics.md §6`: it waits on; the registers take effect.
fn writing_without_resume_leaves_the_state(t: &mut Tester) -> Outcome {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    puppet.blocks(Syscall::wait(notification))?;
    let pc = machine::breakpoint().start;
    accepts("TCBWriteRegisters", puppet.tcb, &[0, 1, pc], &[])?;
    puppet.busy()?;
    keel::sys::send(notification, Default::default(), [0; 4]);
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", pc, fault.words()[0])
}

/// `semantics.md §6`: the pc behind the call, written with resume.
fn skipping_a_blocked_call(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    puppet.blocks(Syscall::send(endpoint))?;
    accepts("TCBWriteRegisters", puppet.tcb, &[1, 1, machine::syscall().end], &[])?;
    puppet.done()?;
    same("label", 0, keel::sys::nb_wait(endpoint).info.label())
}

/// `invocations.md §5.1`: bit 2 the frame registers, bit 3 the rest.
fn copy_registers_of_each_kind(t: &mut Tester) -> Outcome {
    let (source, target) = (t.tcb()?, t.tcb()?);
    let mut words = [0x77; WRITE_WORDS];
    words[..2].copy_from_slice(&[0, CONTEXT]);
    accepts("TCBWriteRegisters", source, &words, &[])?;
    for (flags, frame, integer) in
        [(0, false, false), (4, true, false), (8, false, true), (0xff0c, true, true)]
    {
        let zero: [u64; WRITE_WORDS] = core::array::from_fn(|index| if index == 1 { CONTEXT } else { 0 });
        accepts("TCBWriteRegisters", target, &zero, &[])?;
        accepts("TCBCopyRegisters", target, &[flags], &[source])?;
        let answer = accepts("TCBReadRegisters", target, &[0, CONTEXT], &[])?;
        for register in USER_CONTEXT {
            let index = register as usize;
            if machine::NOT_COPIED.contains(&register) {
                continue;
            }
            let copied = if index < FRAME_WORDS { frame } else { integer };
            let (expected, got) = visible(register, if copied { 0x77 } else { 0 }, answer.word(index));
            same("a register", expected, got)?;
        }
    }
    Ok(())
}

/// `invocations.md §5.1`: bit 0 suspends the source, bit 1 resumes the target.
fn copy_registers_suspends_and_resumes(t: &mut Tester) -> Outcome {
    let (source, target, notification) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.notification()?);
    source.blocks(Syscall::wait(notification))?;
    accepts("TCBCopyRegisters", target.tcb, &[0b1111], &[source.tcb])?;
    // The target repeats the source's call and waits; the source does not any more.
    keel::sys::send(notification, Default::default(), [0; 4]);
    source.busy()?;
    let fault = target.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", machine::syscall().end, fault.words()[0])
}

/// `invocations.md §5.1`: without a buffer at most 4.
fn without_a_buffer_four_registers_are_read(t: &mut Tester) -> Outcome {
    let (reader, target) = (t.puppet(ABOVE)?, t.tcb()?);
    accepts("TCBSetIPCBuffer", reader.tcb, &[0], &[NULL])?;
    accepts("TCBWriteRegisters", target, &[0, 5, 1, 2, 3 << 28, 4, 5], &[])?;
    let call = Syscall::call(target).words(&[0, CONTEXT]).info(label::TCB_READ_REGISTERS, 0, 2);
    let received = reader.does(call)?;
    same("message info", 4, received.info.word())?;
    same("first", 1, received.words[0])?;
    same("fourth", 4, received.words[3])
}

/// `syscalls.md §4`: without a buffer a message has 4 words.
fn without_a_buffer_a_write_is_truncated(t: &mut Tester) -> Outcome {
    let (writer, target) = (t.puppet(ABOVE)?, t.tcb()?);
    accepts("TCBSetIPCBuffer", writer.tcb, &[0], &[NULL])?;
    let call = Syscall::call(target).words(&[0, 3, 7, 8]).info(label::TCB_WRITE_REGISTERS, 0, 5);
    let received = writer.does(call)?;
    same("message info", 7 << 12, received.info.word())?;
    let call = Syscall::call(target).words(&[0, 2, 7, 8]).info(label::TCB_WRITE_REGISTERS, 0, 120);
    same("message info", 0, writer.does(call)?.info.word())?;
    let answer = accepts("TCBReadRegisters", target, &[0, 2], &[])?;
    same("second register", 8, answer.word(1))
}

/// `semantics.md §6`: the PC to continue at.
fn a_suspended_runner_goes_on_where_it_was(t: &mut Tester) -> Outcome {
    let (puppet, (_, address)) = (t.puppet(BELOW)?, t.mapped_frame()?);
    puppet.runs_code(machine::spin(), &[(R0, address)])?;
    t.sleep(200)?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    let (code, count) = (machine::spin(), machine::peek(address));
    let pc = puppet.registers()?.get(PROGRAM_COUNTER);
    within("pc in the loop", code.start, code.end, pc)?;
    holds("it has counted", count > 100)?;
    t.sleep(200)?;
    same("count while it is suspended", count, machine::peek(address))?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    t.sleep(200)?;
    holds("it goes on", machine::peek(address) > count + 100)
}

/// `semantics.md §6`: Suspend of oneself.
fn a_thread_suspends_itself(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::call(puppet.tcb).info(label::TCB_SUSPEND, 0, 0))?;
    t.settle()?;
    puppet.busy()
}

/// `semantics.md §6`: others on oneself are effective on return.
fn a_thread_changes_its_own_settings(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::call(puppet.tcb).words(&[0x1234]).info(label::TCB_SET_TLS_BASE, 0, 1)).map_or_else(
        // The thread pointer changes under the comparison of registers: that is what is expected.
        |_| same("thread pointer", 0x1234, puppet.registers()?.get(TLS_BASE)),
        |_| Err(differ("another thread pointer", Shown::Text(""), Shown::Text("the old one"))),
    )?;
    let received = puppet.does(Syscall::call(puppet.tcb).words(&[0, 1]).info(label::TCB_SET_FLAGS, 0, 2))?;
    same("flags", 1, received.words[0])?;
    puppet.runs_code(machine::through_fpu(), &[])?;
    same("UserException", fault::USER_EXCEPTION, puppet.fault()?.label)?;
    let call = Syscall::call(puppet.tcb).words(&[0, CONTEXT]).info(label::TCB_READ_REGISTERS, 0, 2);
    same("IllegalOperation", 3 << 12, puppet.does(call)?.info.word())
}

/// `syscalls.md §2`: all eleven, none of which has to wait.
fn calls_that_end_at_once_keep_registers(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, ALL, 3)?;
    for call in [
        Syscall::send(badged),
        Syscall::nb_send(badged),
        Syscall::wait(notification),
        Syscall::call(badged),
        Syscall::recv(notification, NULL),
        Syscall::nb_recv(notification, NULL),
        Syscall::nb_wait(notification),
        Syscall::nb_send_recv(badged, notification, NULL),
        Syscall::nb_send_wait(badged, notification),
        Syscall::reply_recv(notification, badged),
        Syscall::yield_now(),
    ] {
        puppet.does(call)?;
    }
    Ok(())
}

/// `syscalls.md §2`: "whether it blocks or not".
fn calls_that_block_keep_registers(t: &mut Tester) -> Outcome {
    let (endpoint, reply, notification) = (t.endpoint()?, t.reply()?, t.notification()?);
    let (puppet, other) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::send(endpoint).info(7, 0, 2))?;
    other.does(Syscall::nb_wait(endpoint))?;
    puppet.done()?;
    for receive in [
        Syscall::recv(endpoint, reply),
        Syscall::wait(endpoint),
        Syscall::reply_recv(endpoint, reply),
        Syscall::nb_send_recv(NULL, endpoint, reply),
        Syscall::nb_send_wait(NULL, endpoint),
    ] {
        puppet.blocks(receive)?;
        other.does(Syscall::send(endpoint).words(&[1, 2]))?;
        puppet.done()?.words_are(&[1, 2])?;
    }
    puppet.blocks(Syscall::wait(notification))?;
    other.does(Syscall::send(notification))?;
    puppet.done()?.is_signal(0)?;
    puppet.blocks(Syscall::call(endpoint))?;
    other.does(Syscall::recv(endpoint, reply))?;
    other.does(Syscall::send(reply).words(&[3]))?;
    puppet.done()?.is(0, 0, &[3])
}

/// `syscalls.md §2.1`: others run in between.
fn yield_changes_no_register(t: &mut Tester) -> Outcome {
    let (first, second) = (t.puppet(BELOW)?, t.puppet(BELOW)?);
    first.start(Syscall::yield_now().words(&[1, 2, 3, 4]))?;
    second.start(Syscall::yield_now().words(&[5, 6, 7, 8]))?;
    t.settle()?;
    first.done()?.words_are(&[1, 2, 3, 4])?;
    second.done()?.words_are(&[5, 6, 7, 8])
}

/// Expects that a puppet which has run its code has these registers, all of them.
#[track_caller]
fn has(puppet: &Puppet, code: Code, expected: Registers) -> Outcome {
    let now = puppet.registers()?;
    for register in USER_CONTEXT {
        let (expected, got) = match register {
            PROGRAM_COUNTER => (code.end, now.get(register)),
            register => visible(register, expected.get(register), now.get(register)),
        };
        if expected != got {
            let what = format_args!("{expected:#x} in {register:?}");
            return Err(differ("to have", Shown::Any(&what), Shown::Word(got)));
        }
    }
    Ok(())
}

/// `syscalls.md §2`: two threads that compute take turns, many times.
fn preemption_keeps_registers(t: &mut Tester) -> Outcome {
    const COUNT: u64 = 300_000;
    let (first, second) = (t.time(100, 100)?, t.time(70, 70)?);
    let puppets = [t.puppet_on(BELOW, first)?, t.puppet_on(BELOW, second)?];
    for puppet in &puppets {
        puppet.runs_code(machine::count_down(), &[(R0, COUNT)])?;
    }
    t.settle()?;
    for puppet in &puppets {
        puppet.done()?;
        has(puppet, machine::count_down(), puppet.pattern().with(R0, 0))?;
    }
    Ok(())
}

/// Sets two FPU registers of a puppet.
#[track_caller]
fn set_fpu(puppet: &Puppet, value: u64) -> Outcome {
    puppet.runs_code(machine::set_fpu(), &[(R0, value), (R1, !value)])?;
    puppet.done()?;
    Ok(())
}

/// Expects two FPU registers of a puppet to be so.
#[track_caller]
fn fpu_is(puppet: &Puppet, value: [u64; 2]) -> Outcome {
    puppet.runs_code(machine::get_fpu(), &[])?;
    puppet.done()?;
    let registers = puppet.registers()?;
    same("first FPU register", value[0], registers.get(R0))?;
    same("last FPU register", value[1], registers.get(R1))
}

/// `objects.md §5`: registers zero.
fn the_fpu_of_a_new_thread_is_clear(t: &mut Tester) -> Outcome {
    let first = t.puppet(ABOVE)?;
    set_fpu(&first, 0xdead)?;
    let second = t.puppet(ABOVE)?;
    fpu_is(&second, [0, 0])?;
    t.delete(first.tcb)?;
    let third = t.puppet(ABOVE)?;
    fpu_is(&third, [0, 0])
}

/// Sets the flag, or clears it.
#[track_caller]
fn disable_fpu(puppet: &Puppet, disabled: bool) -> Outcome {
    let flag = if disabled { TCB_FPU_DISABLED } else { 0 };
    let answer = accepts("TCBSetFlags", puppet.tcb, &[TCB_FPU_DISABLED, flag], &[])?;
    same("flags", flag, answer.word(0))
}

/// `semantics.md §6`, `errors-and-faults.md §4.3`.
fn a_disabled_fpu_faults(t: &mut Tester) -> Outcome {
    let (puppet, other) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    disable_fpu(&puppet, true)?;
    let code = machine::through_fpu();
    for _ in 0..2 {
        puppet.runs_code(code, &[])?;
        let fault = puppet.fault()?;
        same("fault", fault::USER_EXCEPTION, fault.label)?;
        same("pc", code.start, fault.words()[0])?;
        same("exception", machine::exception::NO_FPU, fault.words()[USER_EXCEPTION_NUMBER])?;
        same("code", 0, fault.words()[USER_EXCEPTION_CODE])?;
        // Others may.
        set_fpu(&other, 5)?;
    }
    disable_fpu(&puppet, false)?;
    puppet.runs_code(code, &[(R0, 0x77)])?;
    puppet.done()?;
    same("word that came through the FPU", 0x77, puppet.registers()?.get(R1))
}

/// `semantics.md §6`: the state is kept while disabled.
fn a_disabled_fpu_keeps_its_registers(t: &mut Tester) -> Outcome {
    let (puppet, other) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    set_fpu(&puppet, 0x1111)?;
    disable_fpu(&puppet, true)?;
    set_fpu(&other, 0x2222)?;
    puppet.does(Syscall::yield_now())?;
    disable_fpu(&puppet, false)?;
    fpu_is(&puppet, [0x1111, !0x1111])?;
    fpu_is(&other, [0x2222, !0x2222])
}
