// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults, their messages, and what replies to them do (`errors-and-faults.md §2–§5`).

use keel::{
    cap::{CNodeData, CPtr, Registers},
    ipc::Message,
    sys,
};
use keel_abi::{
    arch::{
        fault::{
            UNKNOWN_SYSCALL_LENGTH, UNKNOWN_SYSCALL_NUMBER, UNKNOWN_SYSCALL_REGISTERS, USER_EXCEPTION_LENGTH,
            USER_EXCEPTION_NUMBER, USER_EXCEPTION_REGISTERS,
        },
        memory::LAST_PAGE,
        registers::{self, PROGRAM_COUNTER, Register, STACK_POINTER, USER_CONTEXT},
    },
    fault, syscall,
};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{self, Access, FLAGS, FREE_ADDRESSES, NORMAL, R0, R1, Reason, visible},
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
    a_reply_to_a_user_exception_sets_registers,
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

/// Expects that a puppet which was started with these registers, and stopped at `pc`, shows them.
#[track_caller]
fn shows(puppet: &Puppet, expected: Registers, pc: u64) -> Outcome<Registers> {
    let (expected, now) = (expected.with(PROGRAM_COUNTER, pc), puppet.registers()?);
    for register in USER_CONTEXT.into_iter().filter(|register| !machine::CLOBBERED.contains(register)) {
        let (expected, got) = visible(register, expected.get(register), now.get(register));
        if expected != got {
            let what = format_args!("{expected:#x} in {register:?}");
            return Err(differ("to have", Shown::Any(&what), Shown::Word(got)));
        }
    }
    Ok(now)
}

/// `errors-and-faults.md §4.2`, `syscalls.md §1.2`.
fn unknown_syscalls_show_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let code = machine::syscall();
    let mut numbers = [0, 1, -34, -100, 0xffff_ffff, i64::MAX, i64::MIN].into_iter();
    numbers.try_for_each(|number| {
        let call = Syscall::new(number).words(&[1, 2, 3, 4]);
        let fault = puppet.faults(call)?;
        let registers = shows(&puppet, puppet.registers_for(call), code.start)?;
        fault.is(fault::UNKNOWN_SYSCALL, &machine::unknown_syscall(&registers, code, number))?;
        same("badge", 0, fault.badge)
    })
}

/// Expects that a puppet reports its end with these registers, all of them.
#[track_caller]
fn ends_with(puppet: &Puppet, reply: CPtr, expected: Registers) -> Outcome {
    let fault = take(puppet.done, reply);
    same("fault", fault::USER_EXCEPTION, fault.label)?;
    shows(puppet, expected, expected.get(PROGRAM_COUNTER))?;
    Ok(())
}

/// A reply that sets registers: each to a word of its own, but for the program counter.
fn reply_words<const N: usize>(registers: &[Register], before: Registers, pc: u64) -> [u64; N] {
    core::array::from_fn(|index| match registers.get(index) {
        Some(&PROGRAM_COUNTER) => pc,
        Some(&register) => match FLAGS {
            Some((flags, bits)) if flags == register => before.get(register) ^ bits,
            _ => 0x5555_0000 + index as u64,
        },
        None => 0xbad,
    })
}

/// These registers after a reply with `words`.
fn replied(before: Registers, order: &[Register], words: &[u64]) -> Registers {
    let set = |registers: Registers, (&register, &word): (&Register, &u64)| {
        // That address is of no effect: the thread goes on at pc.
        if machine::is_next_pc(register) { registers } else { registers.with(register, word) }
    };
    order.iter().zip(words).fold(before, set)
}

/// `errors-and-faults.md §5`: the registers of the message; what stands behind them does not count.
fn a_reply_to_an_unknown_syscall_sets_registers(t: &mut Tester) -> Outcome {
    const MOST: usize = UNKNOWN_SYSCALL_REGISTERS.len();
    let (puppet, reply, code) = (t.puppet(ABOVE)?, t.reply()?, machine::syscall());
    let call = Syscall::new(5);
    puppet.start(call)?;
    take(puppet.done, reply);
    let before = shows(&puppet, puppet.registers_for(call), code.start)?;
    let words: [u64; MOST + 2] = reply_words(&UNKNOWN_SYSCALL_REGISTERS, before, code.end);
    answer(reply, 0, &words);
    ends_with(&puppet, reply, replied(before, &UNKNOWN_SYSCALL_REGISTERS, &words))
}

/// `errors-and-faults.md §5`: min(length, registers) words.
fn a_short_reply_to_an_unknown_syscall_sets_the_first(t: &mut Tester) -> Outcome {
    const MOST: usize = UNKNOWN_SYSCALL_REGISTERS.len();
    let (puppet, reply, code) = (t.puppet(ABOVE)?, t.reply()?, machine::syscall());
    let with_pc = machine::place_in_unknown_syscall(PROGRAM_COUNTER).unwrap_or(MOST) + 1;
    for count in with_pc..MOST {
        let call = Syscall::new(5);
        puppet.start(call)?;
        take(puppet.done, reply);
        let before = shows(&puppet, puppet.registers_for(call), code.start)?;
        let words: [u64; MOST] = reply_words(&UNKNOWN_SYSCALL_REGISTERS, before, code.end);
        answer(reply, 0, &words[..count]);
        ends_with(&puppet, reply, replied(before, &UNKNOWN_SYSCALL_REGISTERS, &words[..count]))?;
    }
    Ok(())
}

/// `errors-and-faults.md §5`.
fn an_empty_reply_to_an_unknown_syscall_repeats_it(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    puppet.start(Syscall::new(5))?;
    let first = take(puppet.done, reply);
    answer(reply, 0, &[]);
    let second = take(puppet.done, reply);
    second.is(fault::UNKNOWN_SYSCALL, first.words())?;
    // With another number, where the reply has it, it is another call.
    if let Some(place) = machine::place_in_unknown_syscall(registers::SYSCALL_NUMBER) {
        let mut words = machine::unknown_syscall(&puppet.registers()?, machine::syscall(), 0);
        words[place] = syscall::YIELD as u64;
        answer(reply, 0, &words[..=place]);
        same("fault", fault::USER_EXCEPTION, take(puppet.done, reply).label)?;
    }
    Ok(())
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

/// `errors-and-faults.md §4.3`: some registers, the number, and 0.
fn user_exceptions_show_where_and_what(t: &mut Tester) -> Outcome {
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let (nothing, breakpoint, forbidden) =
        (machine::nothing(), machine::breakpoint(), machine::kernel_register());
    for (code, pc, number) in [
        (nothing, nothing.end, machine::exception::UNDEFINED),
        (breakpoint, breakpoint.start, machine::exception::BREAKPOINT),
        (forbidden, forbidden.start, machine::exception::FORBIDDEN),
    ] {
        puppet.start_code(code, puppet.pattern())?;
        let fault = take(puppet.done, reply);
        let registers = shows(&puppet, puppet.pattern(), pc)?;
        let mut words = [0; USER_EXCEPTION_LENGTH];
        for (word, register) in words.iter_mut().zip(USER_EXCEPTION_REGISTERS) {
            *word = registers.get(register);
        }
        words[USER_EXCEPTION_NUMBER] = number;
        fault.is(fault::USER_EXCEPTION, &words)?;
        same("badge", 0, fault.badge)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.3`.
fn a_misaligned_stack_does_not_fault(t: &mut Tester) -> Outcome {
    let (_, address) = t.mapped_frame()?;
    machine::poke(address + 8, 0x1234);
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::load_from_stack(), &[(STACK_POINTER, address + 8)])?;
    puppet.done()?;
    same("loaded word", 0x1234, puppet.registers()?.get(R1))
}

/// `errors-and-faults.md §5`: the registers of the message; with fewer words the first of these.
fn a_reply_to_a_user_exception_sets_registers(t: &mut Tester) -> Outcome {
    const MOST: usize = USER_EXCEPTION_REGISTERS.len();
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let code = machine::breakpoint();
    for count in 1..MOST + 3 {
        puppet.start_code(code, puppet.pattern())?;
        take(puppet.done, reply);
        let before = shows(&puppet, puppet.pattern(), code.start)?;
        let words: [u64; MOST + 2] = reply_words(&USER_EXCEPTION_REGISTERS, before, code.end);
        answer(reply, 0, &words[..count]);
        ends_with(&puppet, reply, replied(before, &USER_EXCEPTION_REGISTERS, &words[..count]))?;
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

/// `errors-and-faults.md §5`, `invocations.md §5.1`: of the flags, nothing but those of user level is taken.
fn replies_do_not_set_forbidden_flags(t: &mut Tester) -> Outcome {
    let Some((flags, bits)) = FLAGS else { return skip("threads have no register of flags") };
    let (puppet, reply) = (t.puppet(ABOVE)?, t.reply()?);
    let code = machine::breakpoint();
    puppet.start_code(code, puppet.pattern())?;
    take(puppet.done, reply);
    let before = puppet.registers()?;
    let fixed = before.get(flags) & !bits;
    let mut words = [0; USER_EXCEPTION_REGISTERS.len()];
    for (word, register) in words.iter_mut().zip(USER_EXCEPTION_REGISTERS) {
        *word = if register == flags { u64::MAX } else { before.get(register) };
    }
    words[0] = code.end;
    answer(reply, 0, &words);
    ends_with(&puppet, reply, before.with(flags, bits | fixed).with(PROGRAM_COUNTER, code.end))?;
    same("flags", bits | fixed, puppet.registers()?.get(flags))
}

/// Lets a puppet access an address, and expects a VMFault.
#[track_caller]
fn access(puppet: &Puppet, access: Access, address: u64, reason: Reason) -> Outcome {
    let code = match access {
        Access::Load => machine::load(),
        Access::Store => machine::store(),
        Access::Fetch => machine::jump(),
    };
    puppet.runs_code(code, &[(R0, address)])?;
    let fault = puppet.fault()?;
    let is_fetch = access == Access::Fetch;
    let pc = if is_fetch { address } else { code.start };
    let status = fault.words().get(3).copied().unwrap_or(0);
    fault.is(fault::VM_FAULT, &[pc, address, is_fetch.into(), status])?;
    let (mask, expected) = machine::fault_status(access, reason);
    same("cause", expected, status & mask)
}

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_loads_and_stores(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in [t.addresses(12), 0, LAST_PAGE + 0xff8, FREE_ADDRESSES.start + 0x1234] {
        access(&puppet, Access::Load, address, Reason::Nothing)?;
        access(&puppet, Access::Store, address, Reason::Nothing)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_fetches(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in [t.addresses(12), 0] {
        access(&puppet, Access::Fetch, address, Reason::Nothing)?;
    }
    Ok(())
}

/// `memory.md §4`: a read-only page, one without rights, and one that is not to be executed.
fn vm_faults_of_rights(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let mut map = |rights, attributes| -> Outcome<u64> {
        let (frame, address) = (t.frame()?, t.addresses(12));
        t.map_tables(VSPACE, address)?;
        accepts("ARCHPageMap", frame, &[address, rights, attributes], &[VSPACE])?;
        Ok(address)
    };
    let (read_only, nothing) = (map(READ, NORMAL)?, map(0, NORMAL)?);
    access(&puppet, Access::Store, read_only, Reason::Rights)?;
    access(&puppet, Access::Load, nothing, Reason::Rights)?;
    if let Some(attributes) = machine::NOT_EXECUTABLE {
        access(&puppet, Access::Fetch, map(READ | WRITE, attributes)?, Reason::Rights)?;
    }
    puppet.runs_code(machine::load(), &[(R0, read_only)])?;
    puppet.done()?;
    Ok(())
}

/// `errors-and-faults.md §4.4`.
fn vm_faults_of_the_kernels_addresses(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for address in machine::KERNEL_ADDRESSES {
        for kind in [Access::Load, Access::Store, Access::Fetch] {
            access(&puppet, kind, address, Reason::Kernel)?;
        }
    }
    Ok(())
}

/// `errors-and-faults.md §5`: whatever label, and no register is set.
fn any_reply_to_a_vm_fault_restarts(t: &mut Tester) -> Outcome {
    let (puppet, reply, address) = (t.puppet(ABOVE)?, t.reply()?, t.addresses(12));
    puppet.runs_code(machine::load(), &[(R0, address)])?;
    for label in [0, 1] {
        same("fault", fault::VM_FAULT, take(puppet.done, reply).label)?;
        answer(reply, label, &[1, 2, 3, 4]);
    }
    same("fault", fault::VM_FAULT, take(puppet.done, reply).label)?;
    let frame = t.frame()?;
    t.map_tables(VSPACE, address)?;
    accepts("ARCHPageMap", frame, &[address, READ | WRITE, NORMAL], &[VSPACE])?;
    machine::poke(address, 99);
    answer(reply, 9, &[1, 2, 3, 4]);
    puppet.done()?;
    same("loaded word", 99, puppet.registers()?.get(R1))
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
    let length = UNKNOWN_SYSCALL_LENGTH as u64;
    same("message info", fault::UNKNOWN_SYSCALL << 12 | length, received.info.word())?;
    same("badge", 0, received.badge)?;
    let words = machine::unknown_syscall(&puppet.registers()?, machine::syscall(), 5);
    received.words_are(&words[..4])?;
    for (index, word) in words.into_iter().enumerate().skip(4) {
        same("word in the buffer", word, handler.buffer().word(index))?;
    }
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
    same("pc", machine::syscall().start, puppet.registers()?.get(PROGRAM_COUNTER))?;
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
    puppet.start(Syscall::new(5))?;
    let first = handler.does(Syscall::recv(puppet.done, reply))?;
    same("message info", fault::UNKNOWN_SYSCALL << 12 | 4, first.info.word())?;
    let before = puppet.registers()?;
    let words: [u64; 4] = reply_words(&UNKNOWN_SYSCALL_REGISTERS, before, machine::syscall().start);
    let length = UNKNOWN_SYSCALL_REGISTERS.len();
    handler.does(Syscall::send(reply).words(&words).info(0, 0, length))?;
    // The call is repeated, with these registers.
    let after = replied(before, &UNKNOWN_SYSCALL_REGISTERS, &words);
    let number = after.get(registers::SYSCALL_NUMBER) as i64;
    let expected = machine::unknown_syscall(&after, machine::syscall(), number);
    take(puppet.done, reply).is(fault::UNKNOWN_SYSCALL, &expected)
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
    same("number", 6, take(puppet.done, reply).words()[UNKNOWN_SYSCALL_NUMBER])
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
    same("number", 6, take(handler, reply).words()[UNKNOWN_SYSCALL_NUMBER])?;
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
        same("number", number, take(handler, reply).words()[UNKNOWN_SYSCALL_NUMBER])?;
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
    fault.is(
        fault::UNKNOWN_SYSCALL,
        &machine::unknown_syscall(&puppet.registers()?, machine::syscall(), 5),
    )
}

/// `syscalls.md §1.2`: numbers of calls that this kernel does not have.
fn every_other_number_is_unknown(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let numbers = syscall::SET_TLS_BASE..=syscall::DEBUG_SEND_IPI;
    for number in numbers.filter(|number| !machine::OWN_CALLS.contains(number)) {
        let fault = puppet.faults(Syscall::new(number))?;
        same("UnknownSyscall", fault::UNKNOWN_SYSCALL, fault.label)?;
        same("number", number as u64, fault.words()[UNKNOWN_SYSCALL_NUMBER])?;
    }
    Ok(())
}
