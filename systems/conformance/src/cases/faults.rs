// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults, their messages, and what replies to them do (`errors-and-faults.md §2–§5`).

use keel::{
    cap::{CNodeData, CPtr, Registers},
    ipc::Message,
    sys,
};
use keel_abi::{
    aarch64::{
        fault::{UNKNOWN_SYSCALL_REGISTERS, USER_EXCEPTION_REGISTERS},
        registers::{self, Register, USER_CONTEXT},
    },
    fault, syscall,
};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{self, Code},
    puppet::{Fault, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    cap_fault_with_each_lookup_failure,
    bits_left_over_do_not_matter_to_a_system_call,
    any_reply_to_a_cap_fault_restarts,
    unknown_syscalls_show_registers,
    a_reply_to_an_unknown_syscall_sets_registers,
    a_short_reply_to_an_unknown_syscall_sets_the_first,
    an_empty_reply_to_an_unknown_syscall_repeats_it,
    a_refusing_reply_to_an_unknown_syscall_stops,
    user_exceptions_show_where_and_what,
    a_misaligned_stack_does_not_fault,
    a_misaligned_program_counter_faults,
    a_reply_to_a_user_exception_sets_three_registers,
    a_refusing_reply_to_a_user_exception_stops,
    replies_do_not_set_forbidden_flags,
    vm_faults_of_loads_and_stores,
    vm_faults_of_fetches,
    vm_faults_of_rights,
    vm_faults_of_the_kernels_addresses,
    any_reply_to_a_vm_fault_restarts,
    the_badge_is_that_of_the_handlers_capability,
    one_right_to_answer_is_enough,
    a_handler_that_waits_gets_the_fault,
    a_handler_without_reply_object_stops_the_thread,
    without_handler_the_thread_stops,
    a_revoked_handler_is_none,
    a_handler_without_buffer_gets_four_words,
    a_replier_without_buffer_gives_four_words,
    time_goes_to_a_passive_handler_and_back,
    resume_repeats_what_faulted,
    write_registers_gets_a_thread_out_of_its_fault,
    a_suspended_thread_is_out_of_its_fault,
    a_deleted_thread_is_out_of_its_fault,
    a_fault_waits_in_the_order_of_priority,
    the_fault_endpoint_is_set_by_set_sched_params,
    every_other_number_is_unknown,
];

/// Takes a fault that waits; the thread then waits for the answer.
#[track_caller]
fn take(handler: CPtr, reply: CPtr) -> Fault {
    step();
    Fault::of(sys::nb_recv(handler, reply).into())
}

/// Answers.
#[track_caller]
fn answer(reply: CPtr, label: u64, words: &[u64]) {
    step();
    let (info, registers) = Message::new(label).words(words).stage();
    sys::send(reply, info, registers);
}

/// `errors-and-faults.md §2, §4.1`.
fn cap_fault_with_each_lookup_failure(t: &mut Tester) -> Outcome {
    let (root, deep) = (t.cnode(4)?, t.cnode(4)?);
    // Slot 1: a CNode that resolves 61 of the 60 bits that are left.
    let guarded = CNodeData::new(0, 57).word();
    accepts("CNodeMint", root, &[1, 4, deep.bits(), DEPTH, ALL, guarded], &[CNODE])?;
    // Slot 2: one with a guard.
    let guarded = CNodeData::new(0b101, 3).word();
    accepts("CNodeMint", root, &[2, 4, deep.bits(), DEPTH, ALL, guarded], &[CNODE])?;
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, root, VSPACE])?;
    for (in_receive_phase, call) in [(true, Syscall::wait as fn(CPtr) -> Syscall), (false, Syscall::call)] {
        let expect = |cap: u64, failure: &[u64]| {
            puppet.faults(call(CPtr::new(cap)))?.is_cap_fault(CPtr::new(cap), in_receive_phase, failure)
        };
        expect(1 << 60, &[3, 60, 61])?;
        expect(2 << 60 | 0b110 << 57, &[4, 60, 0b101, 3])?;
    }
    let empty = CPtr::new(3 << 60 | 99);
    puppet.faults(Syscall::wait(empty))?.is_cap_fault(empty, true, &[2, 0])?;
    t.revoke(root)?;
    // The TCB's copy of its CSpace is gone.
    for (in_receive_phase, call) in [(true, Syscall::wait(root)), (false, Syscall::send(root))] {
        puppet.faults(call)?.is_cap_fault(root, in_receive_phase, &[1])?;
    }
    puppet.does(Syscall::nb_send(root))?;
    Ok(())
}

/// `syscalls.md §5` 5.
fn bits_left_over_do_not_matter_to_a_system_call(t: &mut Tester) -> Outcome {
    let (root, endpoint, puppet) = (t.cnode(4)?, t.endpoint()?, t.puppet(ABOVE)?);
    accepts("CNodeCopy", root, &[9, 4, endpoint.bits(), DEPTH, ALL], &[CNODE])?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, root, VSPACE])?;
    puppet.blocks(Syscall::send(CPtr::new(9 << 60 | 0x1234)).words(&[4]))?;
    same("word", 4, sys::nb_wait(endpoint).words[0])?;
    puppet.done()?;
    Ok(())
}

/// `errors-and-faults.md §5`: whatever label, and no register is set.
fn any_reply_to_a_cap_fault_restarts(t: &mut Tester) -> Outcome {
    let (reply, slot, endpoint) = (t.reply()?, t.slot()?, t.endpoint()?);
    let puppet = t.puppet(ABOVE)?;
    puppet.start(Syscall::wait(slot))?;
    for label in [0, 1, 77] {
        take(puppet.done, reply).is_cap_fault(slot, true, &[2, 0])?;
        if label == 77 {
            accepts("CNodeCopy", CNODE, &[slot.bits(), DEPTH, endpoint.bits(), DEPTH, ALL], &[CNODE])?;
        }
        answer(reply, label, &[1, 2, 3, 4, 5]);
    }
    puppet.busy()?;
    let sender = t.puppet(ABOVE)?;
    sender.does(Syscall::nb_send(endpoint).words(&[5]))?;
    puppet.done()?.is(0, 0, &[5])
}

/// The registers that a thread shows which was started with these, and stopped at `pc`.
fn shown(puppet: &Puppet, registers: Registers, pc: u64) -> Outcome<Registers> {
    let spsr = puppet.registers()?.get(Register::Spsr);
    // NZCV, and what the kernel gives all threads: EL0, FIQ masked; SError, too, but in debug kernels.
    same("flags", registers.get(Register::Spsr) & 0xf << 28 | 1 << 6, spsr & !(1 << 8))?;
    Ok(registers.with(Register::Pc, pc).with(Register::Spsr, spsr))
}

/// `errors-and-faults.md §4.2`, `syscalls.md §1.2`.
fn unknown_syscalls_show_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let code = machine::syscall();
    let mut numbers = [0, 1, -33, -34, -100, 0xffff_ffff, i64::MAX, i64::MIN].into_iter();
    numbers.try_for_each(|number| {
        let call = Syscall::new(number).words(&[1, 2, 3, 4]);
        let fault = puppet.faults(call)?;
        let registers = shown(&puppet, puppet.registers_for(call), code.start)?;
        let mut words = [0; 13];
        for (word, register) in words.iter_mut().zip(UNKNOWN_SYSCALL_REGISTERS) {
            *word = match register {
                Register::NextPc => code.end,
                register => registers.get(register),
            };
        }
        words[12] = number as u64;
        fault.is(fault::UNKNOWN_SYSCALL, &words)?;
        same("badge", 0, fault.badge)
    })
}

/// Expects that a puppet reports its end with these registers, all of them.
#[track_caller]
fn ends_with(puppet: &Puppet, reply: CPtr, expected: Registers) -> Outcome {
    let fault = take(puppet.done, reply);
    same("fault", fault::USER_EXCEPTION, fault.label)?;
    let now = puppet.registers()?;
    for register in USER_CONTEXT {
        let (expected, got) = (expected.get(register), now.get(register));
        if expected != got {
            let what = format_args!("{expected:#x} in {register:?}");
            return Err(differ("to have", Shown::Any(&what), Shown::Word(got)));
        }
    }
    Ok(())
}

/// `errors-and-faults.md §5`: twelve words; what stands behind them does not count.
fn a_reply_to_an_unknown_syscall_sets_registers(t: &mut Tester) -> Outcome {
    let (puppet, reply, code) = (t.puppet(ABOVE)?, t.reply()?, machine::syscall());
    let call = Syscall::new(5);
    puppet.start(call)?;
    take(puppet.done, reply);
    let mut expected = shown(&puppet, puppet.registers_for(call), code.end)?;
    let mut words = [0; 14];
    for (index, register) in UNKNOWN_SYSCALL_REGISTERS.into_iter().enumerate() {
        words[index] = match register {
            Register::Pc => code.end,
            // Of no effect: the thread goes on at pc.
            Register::NextPc => 0xbad,
            Register::Spsr => expected.get(register) ^ 0xf << 28,
            _ => 0x5555_0000 + index as u64,
        };
        if register != Register::NextPc {
            expected = expected.with(register, words[index]);
        }
    }
    answer(reply, 0, &words);
    ends_with(&puppet, reply, expected)
}

/// `errors-and-faults.md §5`: min(length, 12) words.
fn a_short_reply_to_an_unknown_syscall_sets_the_first(t: &mut Tester) -> Outcome {
    let (puppet, reply, code) = (t.puppet(ABOVE)?, t.reply()?, machine::syscall());
    let call = Syscall::new(5);
    puppet.start(call)?;
    take(puppet.done, reply);
    let mut expected = shown(&puppet, puppet.registers_for(call), code.end)?;
    let words = [10, 11, 12, 13, 14, 15, 16, 17, code.end];
    for (word, register) in words.into_iter().zip(UNKNOWN_SYSCALL_REGISTERS) {
        expected = expected.with(register, word);
    }
    answer(reply, 0, &words);
    ends_with(&puppet, reply, expected)
}

/// `errors-and-faults.md §5`.
fn an_empty_reply_to_an_unknown_syscall_repeats_it(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start(Syscall::new(5))?;
    let first = take(puppet.done, reply);
    answer(reply, 0, &[]);
    let second = take(puppet.done, reply);
    second.is(fault::UNKNOWN_SYSCALL, first.words())?;
    // With another number in x7 it is another call.
    let call = [5, 0, 0, 0, 0, 0, 0, syscall::YIELD as u64];
    answer(reply, 0, &call);
    same("fault", fault::USER_EXCEPTION, take(puppet.done, reply).label)
}

/// `errors-and-faults.md §5`: the thread is inactive.
fn a_refusing_reply_to_an_unknown_syscall_stops(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    for label in [1, (1 << 52) - 1] {
        puppet.start(Syscall::new(5))?;
        take(puppet.done, reply);
        answer(reply, label, &[]);
        puppet.busy()?;
        accepts("TCBResume", puppet.tcb, &[], &[])?;
        same("fault", fault::UNKNOWN_SYSCALL, take(puppet.done, reply).label)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.3`: pc, sp, spsr, ESR, 0.
fn user_exceptions_show_where_and_what(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let nothing = machine::nothing();
    for (code, pc, esr) in [
        (nothing, nothing.end, 0x0200_0000),
        (machine::breakpoint(), machine::breakpoint().start, 0xf200_0007),
        (machine::kernel_register(), machine::kernel_register().start, 0x0200_0000),
    ] {
        puppet.start_code(code, puppet.pattern())?;
        let fault = take(puppet.done, reply);
        let registers = shown(&puppet, puppet.pattern(), pc)?;
        let (sp, spsr) = (registers.get(Register::Sp), registers.get(Register::Spsr));
        fault.is(fault::USER_EXCEPTION, &[pc, sp, spsr, esr, 0])?;
        same("badge", 0, fault.badge)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.3`.
fn a_misaligned_stack_does_not_fault(t: &mut Tester) -> Outcome {
    let (_, address) = t.mapped_frame()?;
    machine::poke(address + 8, 0x1234);
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::load_from_stack(), &[(Register::Sp, address + 8)])?;
    puppet.done()?;
    same("loaded word", 0x1234, puppet.registers()?.get(Register::X1))
}

/// `errors-and-faults.md §4.3`: class 0x22.
fn a_misaligned_program_counter_faults(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let target = machine::nothing().start + 2;
    puppet.runs_code(machine::jump(), &[(Register::X0, target)])?;
    let fault = puppet.fault()?;
    same("fault", fault::USER_EXCEPTION, fault.label)?;
    same("pc", target, fault.words()[0])?;
    same("exception class", 0x22, fault.words()[3] >> 26)?;
    same("code", 0, fault.words()[4])
}

/// `errors-and-faults.md §5`: pc, sp and spsr; with fewer words the first of these.
fn a_reply_to_a_user_exception_sets_three_registers(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let code = machine::breakpoint();
    for count in 1..6 {
        puppet.start_code(code, puppet.pattern())?;
        take(puppet.done, reply);
        let before = shown(&puppet, puppet.pattern(), code.end)?;
        let words = [code.end, 0x7000, before.get(Register::Spsr) ^ 0xf << 28, 0xbad, 0xbad];
        let mut expected = before;
        for (word, register) in words.into_iter().zip(USER_EXCEPTION_REGISTERS).take(count) {
            expected = expected.with(register, word);
        }
        answer(reply, 0, &words[..count]);
        ends_with(&puppet, reply, expected)?;
    }
    // Without words it is repeated.
    puppet.start_code(code, puppet.pattern())?;
    take(puppet.done, reply);
    answer(reply, 0, &[]);
    same("pc", code.start, take(puppet.done, reply).words()[0])
}

/// `errors-and-faults.md §5`.
fn a_refusing_reply_to_a_user_exception_stops(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start_code(machine::nothing(), puppet.pattern())?;
    take(puppet.done, reply);
    answer(reply, 1, &[]);
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::USER_EXCEPTION, take(puppet.done, reply).label)
}

/// `errors-and-faults.md §5`, `invocations.md §5.1`: NZCV are taken, nothing else.
fn replies_do_not_set_forbidden_flags(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let code = machine::breakpoint();
    puppet.start_code(code, puppet.pattern())?;
    take(puppet.done, reply);
    let expected = shown(&puppet, puppet.pattern().with(Register::Spsr, 0xf << 28), code.end);
    holds("flags differ from the pattern's", expected.is_err())?;
    let fixed = puppet.registers()?.get(Register::Spsr) & !(0xf << 28);
    answer(reply, 0, &[code.end, 0, u64::MAX]);
    let expected = puppet.pattern().with(Register::Sp, 0).with(Register::Spsr, 0xf << 28 | fixed);
    ends_with(&puppet, reply, expected.with(Register::Pc, code.end))
}

/// Lets a puppet access an address, and expects a VMFault.
#[track_caller]
fn access(puppet: &Puppet, code: Code, address: u64) -> Outcome<u64> {
    puppet.runs_code(code, &[(Register::X0, address)])?;
    let fault = puppet.fault()?;
    let is_fetch = code == machine::jump();
    let pc = if is_fetch { address } else { code.start };
    let status = fault.words().get(3).copied().unwrap_or(0);
    fault.is(fault::VM_FAULT, &[pc, address, is_fetch.into(), status])?;
    same("exception class", if is_fetch { 0x20 } else { 0x24 }, status >> 26)?;
    Ok(status)
}

/// What the status says of the cause, without the level.
const STATUS_KIND: u64 = 0x3c;
const TRANSLATION: u64 = 0x04;
const PERMISSION: u64 = 0x0c;
const WRITE_NOT_READ: u64 = 1 << 6;

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_loads_and_stores(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in [t.addresses(12), 0, 0x7fff_ffff_fff8, FREE_ADDRESSES.start + 0x1234] {
        let status = access(&puppet, machine::load(), address)?;
        same("cause", TRANSLATION, status & (STATUS_KIND | WRITE_NOT_READ))?;
        let status = access(&puppet, machine::store(), address)?;
        same("cause", TRANSLATION | WRITE_NOT_READ, status & (STATUS_KIND | WRITE_NOT_READ))?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_fetches(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in [t.addresses(12), 0] {
        same("cause", TRANSLATION, access(&puppet, machine::jump(), address)? & STATUS_KIND)?;
    }
    Ok(())
}

/// `memory.md`: a read-only page, one without rights, and one that is not to be executed.
fn vm_faults_of_rights(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let mut map = |rights, attributes| -> Outcome<u64> {
        let (frame, address) = (t.frame()?, t.addresses(12));
        t.map_tables(VSPACE, address)?;
        accepts("ARMPageMap", frame, &[address, rights, attributes], &[VSPACE])?;
        Ok(address)
    };
    let (read_only, nothing, data) = (map(READ, 3)?, map(0, 3)?, map(READ | WRITE, 7)?);
    same("cause", PERMISSION, access(&puppet, machine::store(), read_only)? & STATUS_KIND)?;
    same("cause", PERMISSION, access(&puppet, machine::load(), nothing)? & STATUS_KIND)?;
    same("cause", PERMISSION, access(&puppet, machine::jump(), data)? & STATUS_KIND)?;
    puppet.runs_code(machine::load(), &[(Register::X0, read_only)])?;
    puppet.done()?;
    Ok(())
}

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_the_kernels_addresses(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in [0xffff_ff80_4000_0000, 0xffff_8000_0000_0000, 0xffff_ffff_ffff_f000, 1 << 52] {
        access(&puppet, machine::load(), address)?;
        access(&puppet, machine::store(), address)?;
        access(&puppet, machine::jump(), address)?;
    }
    Ok(())
}

/// `errors-and-faults.md §5`: whatever label, and no register is set.
fn any_reply_to_a_vm_fault_restarts(t: &mut Tester) -> Outcome {
    let (puppet, reply, address) = (t.puppet(ABOVE)?, t.reply()?, t.addresses(12));
    puppet.runs_code(machine::load(), &[(Register::X0, address)])?;
    for label in [0, 1] {
        same("fault", fault::VM_FAULT, take(puppet.done, reply).label)?;
        answer(reply, label, &[1, 2, 3, 4]);
    }
    same("fault", fault::VM_FAULT, take(puppet.done, reply).label)?;
    let frame = t.frame()?;
    t.map_tables(VSPACE, address)?;
    accepts("ARMPageMap", frame, &[address, READ | WRITE, 3], &[VSPACE])?;
    machine::poke(address, 99);
    answer(reply, 9, &[1, 2, 3, 4]);
    puppet.done()?;
    same("loaded word", 99, puppet.registers()?.get(Register::X1))
}

/// A puppet with another handler than its own endpoint.
fn handled_by(t: &mut Tester, handler: CPtr) -> Outcome<Puppet> {
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[handler, CNODE, VSPACE])?;
    Ok(puppet)
}

/// `errors-and-faults.md §3`.
fn the_badge_is_that_of_the_handlers_capability(t: &mut Tester) -> Outcome {
    let (handler, reply) = (t.endpoint()?, t.reply()?);
    for badge in [1, u64::MAX] {
        let badged = t.mint(handler, ALL, badge)?;
        let puppet = handled_by(t, badged)?;
        puppet.start(Syscall::new(5))?;
        same("badge", badge, take(handler, reply).badge)?;
    }
    Ok(())
}

/// `errors-and-faults.md §3`.
fn one_right_to_answer_is_enough(t: &mut Tester) -> Outcome {
    let (handler, reply) = (t.endpoint()?, t.reply()?);
    for rights in [WRITE | GRANT, WRITE | GRANT_REPLY] {
        let cap = t.copy(handler, rights)?;
        let puppet = handled_by(t, cap)?;
        puppet.start(Syscall::new(5))?;
        take(handler, reply);
        answer(reply, 0, &[]);
        same("fault", fault::UNKNOWN_SYSCALL, take(handler, reply).label)?;
    }
    Ok(())
}

/// `errors-and-faults.md §3`.
fn a_handler_that_waits_gets_the_fault(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let handler = t.puppet(ABOVE)?;
    handler.blocks(Syscall::recv(endpoint, reply))?;
    let puppet = handled_by(t, endpoint)?;
    puppet.start(Syscall::new(5).words(&[1, 2, 3]))?;
    let received = handler.done()?;
    same("message info", fault::UNKNOWN_SYSCALL << 12 | 13, received.info.word())?;
    same("badge", 0, received.badge)?;
    let registers = puppet.registers_for(Syscall::new(5).words(&[1, 2, 3]));
    let expected = [Register::X0, Register::X1, Register::X2, Register::X3].map(|r| registers.get(r));
    received.words_are(&expected)?;
    for (index, register) in UNKNOWN_SYSCALL_REGISTERS.into_iter().enumerate().take(8).skip(4) {
        same("word in the buffer", registers.get(register), handler.buffer().word(index))?;
    }
    same("number", 5, handler.buffer().word(12))?;
    handler.does(Syscall::send(reply).raw_info(1 << 12))?;
    puppet.busy()
}

/// `errors-and-faults.md §3`: Inactive, not waiting for an answer.
fn a_handler_without_reply_object_stops_the_thread(t: &mut Tester) -> Outcome {
    let (handler, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    puppet.start(Syscall::new(5))?;
    let received = handler.does(Syscall::wait(puppet.done))?;
    same("fault", fault::UNKNOWN_SYSCALL, received.info.label())?;
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, puppet.fault()?.label)
}

/// `errors-and-faults.md §3`.
fn without_handler_the_thread_stops(t: &mut Tester) -> Outcome {
    let puppet = handled_by(t, NULL)?;
    puppet.start(Syscall::new(5))?;
    puppet.busy()?;
    same("pc", machine::syscall().start, puppet.registers()?.get(Register::Pc))?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, VSPACE])?;
    t.settle()?;
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, puppet.fault()?.label)
}

/// `semantics.md §6`.
fn a_revoked_handler_is_none(t: &mut Tester) -> Outcome {
    let handler = t.endpoint()?;
    let puppet = handled_by(t, handler)?;
    t.revoke(handler)?;
    puppet.start(Syscall::new(5))?;
    same("label", 0, sys::nb_wait(handler).info.label())?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, VSPACE])?;
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, puppet.fault()?.label)
}

/// `syscalls.md §4`.
fn a_handler_without_buffer_gets_four_words(t: &mut Tester) -> Outcome {
    let (handler, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", handler.tcb, &[0], &[NULL])?;
    puppet.start(Syscall::new(5))?;
    let received = handler.does(Syscall::wait(puppet.done))?;
    same("message info", fault::UNKNOWN_SYSCALL << 12 | 4, received.info.word())
}

/// `errors-and-faults.md §5`: the rest stays as it was.
fn a_replier_without_buffer_gives_four_words(t: &mut Tester) -> Outcome {
    let (handler, puppet, reply) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.reply()?);
    accepts("TCBSetIPCBuffer", handler.tcb, &[0], &[NULL])?;
    let call = Syscall::new(5);
    puppet.start(call)?;
    let first = handler.does(Syscall::recv(puppet.done, reply))?;
    same("message info", fault::UNKNOWN_SYSCALL << 12 | 4, first.info.word())?;
    handler.does(Syscall::send(reply).words(&[1, 2, 3, 4]).info(0, 0, 12))?;
    // The call is repeated, with these registers.
    let second = take(puppet.done, reply);
    same("fault", fault::UNKNOWN_SYSCALL, second.label)?;
    let registers = puppet.registers_for(call);
    let rest = [Register::X4, Register::X5, Register::X6, Register::X7].map(|r| registers.get(r));
    let words = [1, 2, 3, 4, rest[0], rest[1], rest[2], rest[3]];
    if second.words()[..8] != words {
        return Err(differ("registers", Shown::Words(&words), Shown::Words(&second.words()[..8])));
    }
    Ok(())
}

/// `errors-and-faults.md §3`.
fn time_goes_to_a_passive_handler_and_back(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let handler = t.passive_server(endpoint, reply)?;
    let puppet = handled_by(t, endpoint)?;
    puppet.start(Syscall::new(5))?;
    same("fault", fault::UNKNOWN_SYSCALL, handler.done()?.info.label())?;
    t.is_bound(puppet.sc, handler.tcb, true)?;
    handler.start(Syscall::reply_recv(endpoint, reply).raw_info(0))?;
    // It faults again, and the handler has it already.
    same("fault", fault::UNKNOWN_SYSCALL, handler.done()?.info.label())?;
    handler.start(Syscall::send(reply).raw_info(1 << 12))?;
    t.is_bound(puppet.sc, puppet.tcb, true)
}

/// `errors-and-faults.md §3`: while the fault waits, and while its answer is awaited.
fn resume_repeats_what_faulted(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start(Syscall::new(5))?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, take(puppet.done, reply).label)?;
    same("fault", fault::NULL_FAULT, take(puppet.done, reply).label)?;
    puppet.start(Syscall::new(6))?;
    take(puppet.done, reply);
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    // The reply object is free again.
    answer(reply, 1, &[]);
    same("number", 6, take(puppet.done, reply).words()[12])
}

/// `errors-and-faults.md §3`, `semantics.md §6`.
fn write_registers_gets_a_thread_out_of_its_fault(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start(Syscall::new(5))?;
    take(puppet.done, reply);
    puppet.does(Syscall::yield_now())?;
    answer(reply, 0, &[1, 2, 3]);
    // Without resume nothing is changed but the registers.
    puppet.start(Syscall::new(5))?;
    let mut words = [0; 5];
    words[1] = 3;
    words[2..].copy_from_slice(&puppet.registers()?.0[..3]);
    words[2] = machine::syscall().end;
    accepts("TCBWriteRegisters", puppet.tcb, &words, &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, take(puppet.done, reply).label)?;
    answer(reply, 0, &[]);
    same("fault", fault::USER_EXCEPTION, take(puppet.done, reply).label)
}

/// `semantics.md §6`.
fn a_suspended_thread_is_out_of_its_fault(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start(Syscall::new(5))?;
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    puppet.busy()?;
    puppet.start(Syscall::new(5))?;
    take(puppet.done, reply);
    accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    answer(reply, 0, &[]);
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("fault", fault::UNKNOWN_SYSCALL, take(puppet.done, reply).label)
}

/// `semantics.md §4`.
fn a_deleted_thread_is_out_of_its_fault(t: &mut Tester) -> Outcome {
    let (handler, reply) = (t.endpoint()?, t.reply()?);
    let (first, second) = (handled_by(t, handler)?, handled_by(t, handler)?);
    first.start(Syscall::new(5))?;
    second.start(Syscall::new(6))?;
    t.delete(first.tcb)?;
    same("number", 6, take(handler, reply).words()[12])?;
    t.delete(second.tcb)?;
    answer(reply, 0, &[]);
    same("fault", fault::NULL_FAULT, take(handler, reply).label)
}

/// `errors-and-faults.md §3`: like senders.
fn a_fault_waits_in_the_order_of_priority(t: &mut Tester) -> Outcome {
    let (handler, reply) = (t.endpoint()?, t.reply()?);
    for (number, priority) in [ABOVE, ABOVE + 1, ABOVE].into_iter().enumerate() {
        let puppet = t.puppet(priority)?;
        accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[handler, CNODE, VSPACE])?;
        puppet.start(Syscall::new(number as i64))?;
    }
    for number in [1, 0, 2] {
        same("number", number, take(handler, reply).words()[12])?;
    }
    Ok(())
}

/// `invocations.md §5.2`.
fn the_fault_endpoint_is_set_by_set_sched_params(t: &mut Tester) -> Outcome {
    let (handler, reply, puppet) = (t.endpoint()?, t.reply()?, t.puppet(ABOVE)?);
    let caps = [AUTHORITY, puppet.sc, handler];
    accepts("TCBSetSchedParams", puppet.tcb, &[CASE_MCP, ABOVE], &caps)?;
    puppet.start(Syscall::new(5))?;
    puppet.busy()?;
    let fault = take(handler, reply);
    same("word", puppet.registers_for(Syscall::new(5)).get(registers::CAPABILITY), fault.words()[0])
}

/// `syscalls.md §1.2`: numbers of calls that this kernel does not have.
fn every_other_number_is_unknown(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for number in syscall::SET_TLS_BASE..=syscall::DEBUG_SEND_IPI {
        let fault = puppet.faults(Syscall::new(number))?;
        same("UnknownSyscall", fault::UNKNOWN_SYSCALL, fault.label)?;
        same("number", number as u64, fault.words()[12])?;
    }
    Ok(())
}
