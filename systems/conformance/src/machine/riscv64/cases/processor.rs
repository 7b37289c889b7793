// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is RISC-V's own of threads (`memory.md §11`, `errors-and-faults.md §4.3`).

use keel_abi::{
    config::Options,
    fault,
    riscv64::registers::{Register, TLS_BASE},
};

use crate::{
    cases::Case,
    check::*,
    invoke::*,
    machine::{self, R0, R2},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    the_thread_pointer_is_an_ordinary_register,
    a_jump_between_instructions_does_not_fault,
    user_level_unifies_instructions,
    the_count_of_cycles_is_the_kernels,
    the_fpu_control_register_is_switched,
];

/// `memory.md §11`.
fn the_thread_pointer_is_an_ordinary_register(t: &mut Tester) -> Outcome {
    same("the register", Register::Tp as u64, TLS_BASE as u64)?;
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::nothing(), &[(Register::Tp, 0x1234)])?;
    puppet.done()?;
    same("tp", 0x1234, puppet.registers()?.get(Register::Tp))?;
    accepts("TCBSetTLSBase", puppet.tcb, &[0x5678], &[])?;
    same("tp", 0x5678, puppet.registers()?.get(Register::Tp))
}

/// `errors-and-faults.md §4.3`: instructions are aligned to two bytes, and a jump ignores the lowest bit.
fn a_jump_between_instructions_does_not_fault(t: &mut Tester) -> Outcome {
    let (puppet, end) = (t.puppet(ABOVE)?, machine::nothing().end);
    puppet.runs_code(machine::jump(), &[(R0, end | 1)])?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", end, fault.words()[0])?;
    same("number", machine::exception::UNDEFINED, fault.words()[2])
}

/// `memory.md §7`: there is no operation of the kernel for that.
fn user_level_unifies_instructions(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.runs_code(machine::unify(), &[])?;
    puppet.done()?;
    Ok(())
}

/// `design`: user level reads the time, and counts of the processor only where the option says so.
fn the_count_of_cycles_is_the_kernels(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let code = machine::cycles();
    puppet.runs_code(code, &[])?;
    if Options::BUILD.export_pmu {
        puppet.done()?;
        return Ok(());
    }
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", code.start, fault.words()[0])?;
    same("number", machine::exception::UNDEFINED, fault.words()[2])
}

/// `semantics.md §11`: per thread.
fn the_fpu_control_register_is_switched(t: &mut Tester) -> Outcome {
    let puppets = [t.puppet(ABOVE)?, t.puppet(ABOVE)?];
    // Rounding modes 1 and 2, with some of the flags.
    for (puppet, control) in puppets.iter().zip([0x23, 0x5c]) {
        puppet.runs_code(machine::set_fpu_control(), &[(R0, control)])?;
        puppet.done()?;
    }
    for (puppet, control) in puppets.iter().zip([0x23, 0x5c]) {
        puppet.runs_code(machine::get_fpu(), &[])?;
        puppet.done()?;
        same("fcsr", control, puppet.registers()?.get(R2))?;
    }
    Ok(())
}
