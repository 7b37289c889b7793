// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is Arm's own of threads (`syscalls.md §2`, `memory.md §11`, `errors-and-faults.md §4.3`).

use keel_abi::{aarch64::registers::Register, fault};

use crate::{
    cases::Case,
    check::*,
    machine::{self, R0, R1},
    puppet::Syscall,
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    the_immediate_of_the_call_is_ignored,
    thread_pointers_are_switched,
    a_misaligned_program_counter_faults,
    user_level_reads_frequency_and_cache_type,
];

/// `syscalls.md §2`.
fn the_immediate_of_the_call_is_ignored(t: &mut Tester) -> Outcome {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    let call = puppet.registers_for(Syscall::send(notification));
    puppet.start_code(machine::syscall_immediate(), call)?;
    puppet.done()?;
    same("label", 0, keel::sys::nb_wait(notification).info.label())
}

/// `memory.md §11`.
fn thread_pointers_are_switched(t: &mut Tester) -> Outcome {
    let (first, second) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for puppet in [&first, &second, &first] {
        let pattern = puppet.pattern();
        puppet.runs_code(machine::thread_pointers(), &[])?;
        puppet.done()?;
        let registers = puppet.registers()?;
        same("tpidr_el0", pattern.get(Register::TpidrEl0), registers.get(R0))?;
        same("tpidrro_el0", pattern.get(Register::TpidrroEl0), registers.get(R1))?;
    }
    Ok(())
}

/// `errors-and-faults.md §4.3`: class 0x22.
fn a_misaligned_program_counter_faults(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let target = machine::nothing().start + 2;
    puppet.runs_code(machine::jump(), &[(R0, target)])?;
    let fault = puppet.fault()?;
    same("fault", fault::USER_EXCEPTION, fault.label)?;
    same("pc", target, fault.words()[0])?;
    same("exception class", 0x22, fault.words()[3] >> 26)?;
    same("code", 0, fault.words()[4])
}

/// `design`: the counter's frequency, and the cache type.
fn user_level_reads_frequency_and_cache_type(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::open_registers(), &[])?;
    puppet.done()?;
    same("the frequency", machine::ticks_per_second(), puppet.registers()?.get(R1))
}
