// SPDX-License-Identifier: MIT OR Apache-2.0

//! Calls of debug kernels (`syscalls.md §13`). DebugHalt, which ends the machine, is left out.

use keel::cap::CPtr;
use keel_abi::{arch::cap_type as machine_type, cap_type, fault, message::ipc_buffer, syscall};

use super::{Case, irq::handler};
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{Event, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    puts_a_character,
    identifies_every_capability,
    identifies_nothing_where_nothing_is,
    names_a_thread,
    bad_names_do_nothing,
    prints_threads_and_objects,
    all_of_them_are_there_or_none,
];

/// The capability that DebugCapIdentify and others take.
fn debug_call(number: i64, cap: CPtr) -> Syscall {
    Syscall::new(number).cap(cap)
}

/// `syscalls.md §13`: the low 8 bits.
fn puts_a_character(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let puppet = t.puppet(ABOVE)?;
    for byte in *b"DebugPutChar\n" {
        puppet.does(debug_call(syscall::DEBUG_PUT_CHAR, CPtr::new(0xff00 | u64::from(byte))))?;
    }
    Ok(())
}

/// `syscalls.md §13`: the table.
fn identifies_every_capability(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let puppet = t.puppet(ABOVE)?;
    let (pool, untyped, handler) = (t.slot()?, t.untyped(12)?, handler(t, machine::SPARE_IRQ)?);
    accepts("ARCHASIDControlMakePool", ASID_CONTROL, &[pool.bits(), DEPTH], &[untyped, CNODE])?;
    let common = [
        (untyped, cap_type::UNTYPED),
        (t.endpoint()?, cap_type::ENDPOINT),
        (t.notification()?, cap_type::NOTIFICATION),
        (t.reply()?, cap_type::REPLY),
        (CNODE, cap_type::CNODE),
        (t.tcb()?, cap_type::TCB),
        (IRQ_CONTROL, cap_type::IRQ_CONTROL),
        (handler, cap_type::IRQ_HANDLER),
        (DOMAIN_SET, cap_type::DOMAIN),
        (t.sched_context()?, cap_type::SCHED_CONTEXT),
        (t.sched_control(), cap_type::SCHED_CONTROL),
        (t.frame()?, machine_type::FRAME),
        (ASID_CONTROL, machine_type::ASID_CONTROL),
        (pool, machine_type::ASID_POOL),
    ];
    for (cap, number) in common.into_iter().chain(machine::own_caps(t)?) {
        let received = puppet.does(debug_call(syscall::DEBUG_CAP_IDENTIFY, cap))?;
        same("type", number, received.badge)?;
        same("message info, which is to stay", 0, received.info.word())?;
    }
    Ok(())
}

/// `syscalls.md §13`: failed lookup or empty slot: 0.
fn identifies_nothing_where_nothing_is(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let (puppet, empty) = (t.puppet(ABOVE)?, t.slot()?);
    for cap in [NULL, empty, CPtr::new(1 << 60), CPtr::new(u64::MAX)] {
        same("type", 0, puppet.does(debug_call(syscall::DEBUG_CAP_IDENTIFY, cap))?.badge)?;
    }
    Ok(())
}

/// `syscalls.md §13`: the name stands in the IPC buffer from msg[0] on.
fn names_a_thread(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let (puppet, tcb) = (t.puppet(ABOVE)?, t.tcb()?);
    for (index, chunk) in b"a conformance case\0\0\0\0\0\0".chunks_exact(8).enumerate() {
        let word = chunk.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
        puppet.buffer().set_word(index, word);
    }
    puppet.does(debug_call(syscall::DEBUG_NAME_THREAD, tcb))?;
    Ok(())
}

/// `design`: a bad argument prints a line and does nothing.
fn bad_names_do_nothing(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let (puppet, tcb) = (t.puppet(ABOVE)?, t.tcb()?);
    for word in 0..ipc_buffer::WORDS {
        puppet.buffer().set(word, u64::from_le_bytes(*b"abcdefgh"));
    }
    puppet.does(debug_call(syscall::DEBUG_NAME_THREAD, tcb))?;
    puppet.buffer().set_word(0, 0);
    for wrong in [NULL, CNODE, CPtr::new(1 << 60)] {
        puppet.does(debug_call(syscall::DEBUG_NAME_THREAD, wrong))?;
    }
    accepts("TCBSetIPCBuffer", puppet.tcb, &[0], &[NULL])?;
    puppet.does(debug_call(syscall::DEBUG_NAME_THREAD, tcb))?;
    Ok(())
}

/// `syscalls.md §13`: DebugDumpScheduler and DebugSnapshot change nothing.
fn prints_threads_and_objects(t: &mut Tester) -> Outcome {
    t.needs_debug_calls()?;
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::new(syscall::DEBUG_DUMP_SCHEDULER))?;
    puppet.does(Syscall::new(syscall::DEBUG_SNAPSHOT))?;
    Ok(())
}

/// `syscalls.md §1.2`: a kernel that is not for debugging raises UnknownSyscall for them. Halt is not called.
fn all_of_them_are_there_or_none(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.start(Syscall::new(syscall::DEBUG_CAP_IDENTIFY).cap(NULL))?;
    let is_debug = matches!(puppet.event()?, Event::Done(_));
    puppet.buffer().set_word(0, u64::from_le_bytes(*b"puppet\0\0"));
    for call in [
        Syscall::new(syscall::DEBUG_PUT_CHAR).cap(CPtr::new(b'\n'.into())),
        Syscall::new(syscall::DEBUG_NAME_THREAD).cap(puppet.tcb),
        Syscall::new(syscall::DEBUG_CAP_IDENTIFY).cap(NULL),
    ] {
        puppet.start(call)?;
        match puppet.event()? {
            Event::Done(_) if is_debug => {}
            Event::Fault(fault) if !is_debug => same("fault", fault::UNKNOWN_SYSCALL, fault.label)?,
            other => return Err(differ("all debug calls", Shown::Text("or none"), Shown::Any(&other))),
        }
    }
    Ok(())
}
