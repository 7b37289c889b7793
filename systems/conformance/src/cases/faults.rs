// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults, their messages, and what answers to them do (`errors-and-faults.md §3–§5`).

use keel::{cap::CPtr, sys};
use keel_abi::{aarch64::registers::Register, config::Options, fault, message::MessageInfo, syscall};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{Event, Fault, MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    an_unknown_syscall_shows_the_registers,
    an_unknown_syscall_number_is_shown_as_it_is,
    every_other_number_is_unknown,
    the_answer_to_an_unknown_syscall_sets_registers,
    a_short_answer_sets_fewer_registers,
    an_answer_with_a_label_stops_the_thread,
    an_undefined_instruction_is_a_user_exception,
    other_exceptions_are_user_exceptions,
    the_answer_to_a_user_exception_sets_three_registers,
    flags_of_an_answer_are_sanitised,
    a_read_fault_shows_the_address,
    a_write_fault_shows_the_address,
    a_fetch_fault_shows_the_address,
    execute_never_faults,
    a_misaligned_pc_is_a_user_exception,
    a_misaligned_sp_does_not_fault,
    kernel_addresses_fault,
    the_answer_to_a_vm_fault_restarts,
    a_page_mapped_by_the_handler_cures_the_fault,
    the_answer_to_a_cap_fault_restarts,
    cap_faults_of_the_send_phase,
    cap_faults_of_the_receive_phase,
    cap_faults_of_extra_capabilities,
    non_blocking_sends_do_not_fault,
    the_badge_is_that_of_the_handler,
    without_handler_the_thread_stops,
    a_handler_that_is_gone_stops_the_thread,
    a_revoked_handler_is_none,
    a_fault_waits_for_its_handler,
    a_fault_without_reply_object_stops_the_thread,
    resuming_repeats_the_instruction,
    writing_registers_cures_a_fault,
    a_passive_handler_gets_the_context,
    deleting_the_endpoint_stops_faulted_threads,
    an_fpu_access_faults_when_disabled,
];

/// A handler: an endpoint, and a reply object with which the case receives.
struct Handler {
    endpoint: CPtr,
    reply: CPtr,
}

impl Handler {
    fn new(t: &mut Tester, puppet: &Puppet) -> Outcome<Self> {
        let (endpoint, reply) = (t.endpoint()?, t.reply()?);
        accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[endpoint, CNODE, VSPACE])?;
        Ok(Self { endpoint, reply })
    }

    /// The fault that waits.
    #[track_caller]
    fn fault(&self) -> Outcome<Fault> {
        step();
        let fault = Fault::of(sys::nb_recv(self.endpoint, self.reply).into());
        if fault.label == 0 { Err(differ("a fault", Shown::Text(""), Shown::Text("none"))) } else { Ok(fault) }
    }

    /// Answers it.
    fn answer(&self, label: u64, words: &[u64]) {
        let (_, registers) = keel::ipc::Message::new(label).words(words).stage();
        sys::send(self.reply, MessageInfo::new(label, 0, 0, words.len()), registers);
    }
}

/// The fixed bits of SPSR: in builds without debug SError is masked, too.
fn is_user_flags(flags: u64, spsr: u64) -> Outcome {
    holds("the fixed bits of SPSR", spsr & !(0xf << 28) & !0x100 == 0x40)?;
    same("NZCV", flags, spsr >> 28)
}

/// `errors-and-faults.md §4.2`.
fn an_unknown_syscall_shows_the_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let code = machine::syscall();
    let call = Syscall::new(-100);
    let registers = puppet.registers_for(call);
    let fault = puppet.faults(call)?;
    same("UnknownSyscall", fault::UNKNOWN_SYSCALL, fault.label)?;
    same("length", 13, fault.words().len() as u64)?;
    let x = [Register::X0, Register::X1, Register::X2, Register::X3, Register::X4, Register::X5, Register::X6, Register::X7];
    for (index, register) in x.into_iter().enumerate() {
        same("a register", registers.get(register), fault.words()[index])?;
    }
    same("pc", code.start, fault.words()[8])?;
    same("sp", registers.get(Register::Sp), fault.words()[9])?;
    same("the address behind", code.start + 4, fault.words()[10])?;
    is_user_flags(registers.get(Register::Spsr) >> 28, fault.words()[11])?;
    same("number", -100_i64 as u64, fault.words()[12])
}

/// `syscalls.md §1.2`: the number exactly as found.
fn an_unknown_syscall_number_is_shown_as_it_is(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for number in [0, 1, -34, i64::MAX, i64::MIN, 0xffff_ffff] {
        let fault = puppet.faults(Syscall::new(number))?;
        same("UnknownSyscall", fault::UNKNOWN_SYSCALL, fault.label)?;
        same("number", number as u64, fault.words()[12])?;
    }
    Ok(())
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

/// `errors-and-faults.md §5`: the twelve words, and it goes on at the pc word.
fn the_answer_to_an_unknown_syscall_sets_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    let code = machine::syscall();
    puppet.start(Syscall::new(-100))?;
    handler.fault()?;
    let words = [10, 11, 12, 13, 14, 15, 16, 17, code.end, 0x5000, 0x6666, 0xf000_0000];
    handler.answer(0, &words);
    let end = handler.fault()?;
    same("UserException at the end", fault::USER_EXCEPTION, end.label)?;
    let registers = puppet.registers()?;
    let x = [Register::X0, Register::X1, Register::X2, Register::X3, Register::X4, Register::X5, Register::X6, Register::X7];
    for (index, register) in x.into_iter().enumerate() {
        same("a register", 10 + index as u64, registers.get(register))?;
    }
    same("pc", code.end, registers.get(Register::Pc))?;
    same("sp", 0x5000, registers.get(Register::Sp))?;
    is_user_flags(0xf, registers.get(Register::Spsr))?;
    same("x8, which is to stay", puppet.registers_for(Syscall::new(-100)).get(Register::X8), registers.get(Register::X8))
}

/// `errors-and-faults.md §5`: the first min(length, n) words; without the pc word it repeats the call.
fn a_short_answer_sets_fewer_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    let registers = puppet.registers_for(Syscall::new(-100));
    puppet.start(Syscall::new(-100))?;
    handler.fault()?;
    handler.answer(0, &[1, 2]);
    let again = handler.fault()?;
    same("UnknownSyscall", fault::UNKNOWN_SYSCALL, again.label)?;
    same("x0", 1, again.words()[0])?;
    same("x1", 2, again.words()[1])?;
    same("x2", registers.get(Register::X2), again.words()[2])
}

/// `errors-and-faults.md §5`: restarts if and only if the label is 0.
fn an_answer_with_a_label_stops_the_thread(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.start(Syscall::new(-100))?;
    handler.fault()?;
    handler.answer(1, &[77]);
    same("message", 0, sys::nb_recv(handler.endpoint, handler.reply).info.label())?;
    same("x0", 77, puppet.registers()?.get(Register::X0))?;
    // The same for a UserException.
    puppet.runs_code(machine::nothing(), &[])?;
    handler.fault()?;
    handler.answer(9, &[machine::nothing().start]);
    same("message", 0, sys::nb_recv(handler.endpoint, handler.reply).info.label())?;
    same("pc", machine::nothing().start, puppet.registers()?.get(Register::Pc))
}

/// `errors-and-faults.md §4.3`: ESR 0x02000000.
fn an_undefined_instruction_is_a_user_exception(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.runs_code(machine::nothing(), &[(Register::Sp, 0x1230)])?;
    let fault = handler.fault()?;
    let words = fault.words();
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("length", 5, words.len() as u64)?;
    same("pc", machine::nothing().end, words[0])?;
    same("sp", 0x1230, words[1])?;
    is_user_flags(puppet.pattern().get(Register::Spsr) >> 28, words[2])?;
    same("number", 0x0200_0000, words[3])?;
    same("code", 0, words[4])
}

/// `errors-and-faults.md §4.3`: the class of the exception stands in the number.
fn other_exceptions_are_user_exceptions(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for (code, class) in [(machine::breakpoint(), 0x3c), (machine::kernel_register(), 0x00)] {
        puppet.runs_code(code, &[])?;
        let fault = puppet.fault()?;
        same("UserException", fault::USER_EXCEPTION, fault.label)?;
        same("pc", code.start, fault.words()[0])?;
        let got = fault.words()[3] >> 26;
        // An access to a register may be an unknown instruction or a trapped one.
        holds("the class of the exception", got == class || class == 0 && got == 0x18)?;
        same("upper half of the number", 0, fault.words()[3] >> 32)?;
    }
    Ok(())
}

/// `errors-and-faults.md §5`: pc, sp, spsr.
fn the_answer_to_a_user_exception_sets_three_registers(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.runs_code(machine::breakpoint(), &[])?;
    handler.fault()?;
    handler.answer(0, &[machine::nothing().start, 0x4000, 0x5000_0000, 99, 98]);
    let fault = handler.fault()?;
    same("pc", machine::nothing().end, fault.words()[0])?;
    same("sp", 0x4000, fault.words()[1])?;
    is_user_flags(5, fault.words()[2])?;
    same("x0", puppet.pattern().get(Register::X0), puppet.registers()?.get(Register::X0))
}

/// `invocations.md §5.1`: only NZCV are taken.
fn flags_of_an_answer_are_sanitised(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    for spsr in [!0, 0x3c5, 0x9000_000f] {
        puppet.runs_code(machine::breakpoint(), &[])?;
        handler.fault()?;
        handler.answer(0, &[machine::nothing().start, 0, spsr]);
        let fault = handler.fault()?;
        is_user_flags(spsr >> 28 & 0xf, fault.words()[2])?;
        accepts("TCBWriteRegisters", puppet.tcb, &[0, 3, 0, 0, spsr], &[])?;
        is_user_flags(spsr >> 28 & 0xf, puppet.registers()?.get(Register::Spsr))?;
    }
    Ok(())
}

/// Class of a data abort from user level in ESR.
const DATA_ABORT: u64 = 0x24;
/// Class of an instruction abort from user level.
const INSTRUCTION_ABORT: u64 = 0x20;
/// The bit of a data abort by a write.
const WRITES: u64 = 1 << 6;

#[track_caller]
fn is_vm_fault(fault: &Fault, pc: u64, address: u64, fetch: bool) -> Outcome<u64> {
    same("VMFault", fault::VM_FAULT, fault.label)?;
    same("length", 4, fault.words().len() as u64)?;
    same("pc", pc, fault.words()[0])?;
    same("address", address, fault.words()[1])?;
    same("instruction fetch", fetch.into(), fault.words()[2])?;
    let status = fault.words()[3];
    same("class", if fetch { INSTRUCTION_ABORT } else { DATA_ABORT }, status >> 26)?;
    Ok(status)
}

/// `errors-and-faults.md §4.4`.
fn a_read_fault_shows_the_address(t: &mut Tester) -> Outcome {
    let (puppet, code) = (t.puppet(ABOVE)?, machine::load());
    for address in [0, 0x123_4567_8000, 0x7fff_ffff_f008] {
        puppet.runs_code(code, &[(Register::X0, address)])?;
        let status = is_vm_fault(&puppet.fault()?, code.start, address, false)?;
        same("write", 0, status & WRITES)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.4`.
fn a_write_fault_shows_the_address(t: &mut Tester) -> Outcome {
    let (puppet, code) = (t.puppet(ABOVE)?, machine::store());
    let (frame, address) = t.mapped_frame()?;
    accepts("ARMPageMap", frame, &[address, READ, 3], &[VSPACE])?;
    for address in [0x10, address + 8] {
        puppet.runs_code(code, &[(Register::X0, address)])?;
        let status = is_vm_fault(&puppet.fault()?, code.start, address, false)?;
        same("write", WRITES, status & WRITES)?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.4`: the address is the pc.
fn a_fetch_fault_shows_the_address(t: &mut Tester) -> Outcome {
    let (puppet, address) = (t.puppet(ABOVE)?, 0x123_4567_8000);
    puppet.runs_code(machine::jump(), &[(Register::X0, address)])?;
    is_vm_fault(&puppet.fault()?, address, address, true)?;
    Ok(())
}

/// `memory.md §3`: execute-never.
fn execute_never_faults(t: &mut Tester) -> Outcome {
    let (puppet, (frame, address)) = (t.puppet(ABOVE)?, t.mapped_frame()?);
    // `udf #0` is all zeros, so a page of zeros is code.
    puppet.runs_code(machine::jump(), &[(Register::X0, address)])?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", address, fault.words()[0])?;
    accepts("ARMPageMap", frame, &[address, READ | WRITE, 7], &[VSPACE])?;
    puppet.runs_code(machine::jump(), &[(Register::X0, address)])?;
    is_vm_fault(&puppet.fault()?, address, address, true)?;
    Ok(())
}

/// `errors-and-faults.md §4.3`: class 0x22.
fn a_misaligned_pc_is_a_user_exception(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::jump(), &[(Register::X0, machine::nothing().start + 2)])?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("class", 0x22, fault.words()[3] >> 26)
}

/// `errors-and-faults.md §4.3`: the alignment of SP is not checked.
fn a_misaligned_sp_does_not_fault(t: &mut Tester) -> Outcome {
    let (puppet, (_, address)) = (t.puppet(ABOVE)?, t.mapped_frame()?);
    let code = machine::load_from_stack();
    puppet.runs_code(code, &[(Register::Sp, address + 0x101)])?;
    match puppet.event()? {
        Event::Done(_) => Ok(()),
        other => Err(differ("no fault of", Shown::Text("the stack pointer"), Shown::Any(&other))),
    }
}

/// Nothing of the kernel's can be read.
fn kernel_addresses_fault(t: &mut Tester) -> Outcome {
    let (puppet, code) = (t.puppet(ABOVE)?, machine::load());
    for address in [0xffff_ff80_4000_0000, 0xffff_ffff_c000_0000, 0xffff_8000_0000_0000, !7] {
        puppet.runs_code(code, &[(Register::X0, address)])?;
        is_vm_fault(&puppet.fault()?, code.start, address, false)?;
    }
    Ok(())
}

/// `errors-and-faults.md §5`: no registers; always restarts, whatever the label.
fn the_answer_to_a_vm_fault_restarts(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.runs_code(machine::load(), &[(Register::X0, 0x10)])?;
    for label in [0, 1, 5] {
        let fault = handler.fault()?;
        is_vm_fault(&fault, machine::load().start, 0x10, false)?;
        handler.answer(label, &[0x20, 0x20, 0x20]);
    }
    is_vm_fault(&handler.fault()?, machine::load().start, 0x10, false)?;
    Ok(())
}

/// `errors-and-faults.md §5`: a pager.
fn a_page_mapped_by_the_handler_cures_the_fault(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    let (frame, address) = (t.frame()?, t.addresses(21));
    t.map_tables(VSPACE, address)?;
    puppet.runs_code(machine::store(), &[(Register::X0, address + 0x18), (Register::X1, 0xfeed)])?;
    is_vm_fault(&handler.fault()?, machine::store().start, address + 0x18, false)?;
    accepts("ARMPageMap", frame, &[address, READ | WRITE, 3], &[VSPACE])?;
    handler.answer(0, &[]);
    same("word", 0xfeed, machine::peek(address + 0x18))?;
    same("UserException at the end", fault::USER_EXCEPTION, handler.fault()?.label)
}

/// `errors-and-faults.md §5`: always restarts.
fn the_answer_to_a_cap_fault_restarts(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    let (slot, notification) = (t.slot()?, t.notification()?);
    puppet.start(Syscall::wait(slot))?;
    for label in [0, 3] {
        handler.fault()?.is_cap_fault(slot, true, &MISSING)?;
        handler.answer(label, &[0xbad, 0xbad]);
    }
    handler.fault()?.is_cap_fault(slot, true, &MISSING)?;
    // With the capability there, the repeated call goes through.
    accepts("CNodeMove", CNODE, &[slot.bits(), DEPTH, notification.bits(), DEPTH], &[CNODE])?;
    sys::send(slot, Default::default(), [0; 4]);
    handler.answer(0, &[]);
    same("UserException at the end", fault::USER_EXCEPTION, handler.fault()?.label)
}

/// An address that the guard of the root CNode does not match, and the failure of it.
fn nowhere() -> (CPtr, [u64; 4]) {
    (CPtr::new(1 << 60), [4, 64, 0, 64 - Options::BUILD.root_cnode_bits])
}

/// `syscalls.md §7` 1: a structural failure of Send and Call; receive flag 0.
fn cap_faults_of_the_send_phase(t: &mut Tester) -> Outcome {
    let (puppet, (cap, failure)) = (t.puppet(ABOVE)?, nowhere());
    for call in [Syscall::send(cap), Syscall::call(cap)] {
        puppet.faults(call)?.is_cap_fault(cap, false, &failure)?;
    }
    Ok(())
}

/// `syscalls.md §9` 1, 2: of all receiving calls, the non-blocking ones too.
fn cap_faults_of_the_receive_phase(t: &mut Tester) -> Outcome {
    let (puppet, (cap, failure)) = (t.puppet(ABOVE)?, nowhere());
    let (reply, tcb) = (t.reply()?, t.tcb()?);
    let calls = |cap| {
        [
            Syscall::recv(cap, reply),
            Syscall::nb_recv(cap, reply),
            Syscall::wait(cap),
            Syscall::nb_wait(cap),
            Syscall::reply_recv(cap, reply),
            Syscall::nb_send_recv(NULL, cap, reply),
            Syscall::nb_send_wait(NULL, cap),
        ]
    };
    for call in calls(cap) {
        puppet.faults(call)?.is_cap_fault(cap, true, &failure)?;
    }
    for wrong in [NULL, CNODE, reply, tcb] {
        for call in calls(wrong) {
            puppet.faults(call)?.is_cap_fault(wrong, true, &MISSING)?;
        }
    }
    Ok(())
}

/// `syscalls.md §7` 2: the failing one is named; an empty slot is no failure.
fn cap_faults_of_extra_capabilities(t: &mut Tester) -> Outcome {
    let (puppet, (cap, failure)) = (t.puppet(ABOVE)?, nowhere());
    let (endpoint, empty) = (t.endpoint()?, t.slot()?);
    puppet.buffer().set_caps(&[endpoint, empty, cap]);
    for call in [Syscall::send(endpoint), Syscall::call(endpoint)] {
        puppet.faults(call.info(0, 3, 0))?.is_cap_fault(cap, false, &failure)?;
    }
    puppet.does(Syscall::nb_send(endpoint).info(0, 3, 0))?;
    puppet.blocks(Syscall::send(endpoint).info(0, 2, 0))
}

/// `syscalls.md §7` 1: silent.
fn non_blocking_sends_do_not_fault(t: &mut Tester) -> Outcome {
    let (puppet, (cap, _)) = (t.puppet(ABOVE)?, nowhere());
    puppet.does(Syscall::nb_send(cap).words(&[1, 2]))?;
    Ok(())
}

/// `errors-and-faults.md §3`.
fn the_badge_is_that_of_the_handler(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    let badged = t.mint(endpoint, WRITE | GRANT_REPLY, 0xabcd)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[badged, CNODE, VSPACE])?;
    puppet.runs_code(machine::nothing(), &[])?;
    let received = sys::nb_wait(endpoint);
    same("badge", 0xabcd, received.badge)?;
    same("extra capabilities", 0, received.info.extra_caps() as u64)
}

/// `errors-and-faults.md §3`: the thread becomes Inactive.
fn without_handler_the_thread_stops(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[NULL, CNODE, VSPACE])?;
    let count = t.mapped_frame()?.1;
    puppet.runs_code(machine::load(), &[(Register::X0, 8)])?;
    same("pc", machine::load().start, puppet.registers()?.get(Register::Pc))?;
    // It can be started again elsewhere.
    puppet.runs_code(machine::store(), &[(Register::X0, count), (Register::X1, 3)])?;
    same("word", 3, machine::peek(count))
}

/// `semantics.md §6`: the TCB has a copy; when the object is gone it is none.
fn a_handler_that_is_gone_stops_the_thread(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[endpoint, CNODE, VSPACE])?;
    // The copy in the TCB keeps the endpoint: a fault waits there.
    t.delete(endpoint)?;
    puppet.runs_code(machine::nothing(), &[])?;
    puppet.busy()?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[puppet.done, CNODE, VSPACE])?;
    // Replacing it deleted the endpoint, and the faulted thread has stopped.
    puppet.busy()
}

/// `semantics.md §6`: revoking the original removes them from the TCB.
fn a_revoked_handler_is_none(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[endpoint, CNODE, VSPACE])?;
    t.revoke(endpoint)?;
    puppet.runs_code(machine::nothing(), &[])?;
    same("message", 0, sys::nb_wait(endpoint).info.label())
}

/// `errors-and-faults.md §3`: it waits like a sender, by priority.
fn a_fault_waits_for_its_handler(t: &mut Tester) -> Outcome {
    let (low, high, endpoint) = (t.puppet(110)?, t.puppet(120)?, t.endpoint()?);
    for (puppet, badge) in [(&low, 1), (&high, 2)] {
        let badged = t.mint(endpoint, WRITE | GRANT, badge)?;
        accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[badged, CNODE, VSPACE])?;
        puppet.runs_code(machine::nothing(), &[])?;
    }
    same("first", 2, sys::nb_wait(endpoint).badge)?;
    same("second", 1, sys::nb_wait(endpoint).badge)
}

/// `errors-and-faults.md §3`: Inactive after the delivery.
fn a_fault_without_reply_object_stops_the_thread(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.faults(Syscall::new(-100))?;
    t.settle()?;
    puppet.busy()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("UnknownSyscall again", fault::UNKNOWN_SYSCALL, puppet.fault()?.label)
}

/// `errors-and-faults.md §3`: Resume cancels the fault and repeats.
fn resuming_repeats_the_instruction(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.start(Syscall::new(-100))?;
    handler.fault()?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    // The answer comes too late.
    handler.answer(0, &[1]);
    let again = handler.fault()?;
    same("UnknownSyscall", fault::UNKNOWN_SYSCALL, again.label)?;
    same("x0", puppet.registers_for(Syscall::new(-100)).get(Register::X0), again.words()[0])?;
    // While the fault waits for its handler, too.
    handler.answer(0, &[]);
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    same("UnknownSyscall", fault::UNKNOWN_SYSCALL, handler.fault()?.label)
}

/// `errors-and-faults.md §3`.
fn writing_registers_cures_a_fault(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let handler = Handler::new(t, &puppet)?;
    puppet.start(Syscall::new(-100))?;
    handler.fault()?;
    accepts("TCBWriteRegisters", puppet.tcb, &[1, 1, machine::breakpoint().start], &[])?;
    let fault = handler.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", machine::breakpoint().start, fault.words()[0])
}

/// `errors-and-faults.md §3`: the faulter's context goes to a passive handler, and back with the answer.
fn a_passive_handler_gets_the_context(t: &mut Tester) -> Outcome {
    let (puppet, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let handler = Handler::new(t, &puppet)?;
    server.blocks(Syscall::recv(handler.endpoint, handler.reply))?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    puppet.runs_code(machine::nothing(), &[])?;
    same("message info", 3 << 12 | 5, server.done()?.info.word())?;
    refuses("SchedContextUnbindObject/IllegalOperation#2", puppet.sc, &[], &[puppet.tcb], &[])?;
    // The answer takes the server's time away, though the thread that faulted does not go on.
    server.blocks(Syscall::nb_send(handler.reply).info(1, 0, 0))?;
    accepts("SchedContextUnbindObject", puppet.sc, &[], &[puppet.tcb])?;
    Ok(())
}

/// `semantics.md §4`: queued faulted senders become Inactive.
fn deleting_the_endpoint_stops_faulted_threads(t: &mut Tester) -> Outcome {
    let (puppet, endpoint) = (t.puppet(ABOVE)?, t.endpoint()?);
    let badged = t.mint(endpoint, ALL, 5)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[badged, CNODE, VSPACE])?;
    puppet.start(Syscall::new(-100))?;
    accepts("CNodeCancelBadgedSends", CNODE, &[badged.bits(), DEPTH], &[])?;
    same("message", 0, sys::nb_wait(endpoint).info.label())?;
    same("pc", machine::syscall().start, puppet.registers()?.get(Register::Pc))
}

/// `semantics.md §6`: fpuDisabled; the state is kept meanwhile.
fn an_fpu_access_faults_when_disabled(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let values = [(Register::X0, 0x1111), (Register::X1, 0x2222)];
    puppet.runs_code(machine::set_fpu(), &values)?;
    puppet.done()?;
    accepts("TCBSetFlags", puppet.tcb, &[0, 1], &[])?;
    puppet.runs_code(machine::get_fpu(), &[])?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", machine::get_fpu().start, fault.words()[0])?;
    same("class", 0x07, fault.words()[3] >> 26)?;
    accepts("TCBSetFlags", puppet.tcb, &[1, 0], &[])?;
    puppet.runs_code(machine::get_fpu(), &[])?;
    puppet.done()?;
    let registers = puppet.registers()?;
    same("d0", 0x1111, registers.get(Register::X0))?;
    same("v31", 0x2222, registers.get(Register::X1))
}
