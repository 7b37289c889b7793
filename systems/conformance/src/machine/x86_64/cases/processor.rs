// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is x86's own of threads (`memory.md §10, §11`, `syscalls.md §1.2`).

use keel_abi::{
    arch::{
        fault::{USER_EXCEPTION_CODE, USER_EXCEPTION_NUMBER},
        registers::Register,
    },
    fault, syscall,
};

use crate::{cases::Case, check::*, machine, puppet::Syscall, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![input_instructions_fault, a_thread_sets_its_own_thread_pointer];

/// `memory.md §10`: #GP, whatever capabilities there are.
fn input_instructions_fault(t: &mut Tester) -> Outcome {
    let (puppet, code) = (t.puppet(ABOVE)?, machine::input());
    puppet.runs_code(code, &[])?;
    let fault = puppet.fault()?;
    same("UserException", fault::USER_EXCEPTION, fault.label)?;
    same("pc", code.start, fault.words()[0])?;
    same("vector", 13, fault.words()[USER_EXCEPTION_NUMBER])?;
    same("code", 0, fault.words()[USER_EXCEPTION_CODE])
}

/// `syscalls.md §1.2`: SetTLSBase.
fn a_thread_sets_its_own_thread_pointer(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    puppet.start_code(
        machine::syscall(),
        puppet.registers_for(Syscall::new(syscall::SET_TLS_BASE).cap(keel::cap::CPtr::new(0x1234_5000))),
    )?;
    match puppet.event() {
        // The thread pointer changes under the comparison of registers: that is what is expected.
        Err(_) => same("fs_base", 0x1234_5000, puppet.registers()?.get(Register::FsBase)),
        Ok(_) => Err(differ("another thread pointer", Shown::Text(""), Shown::Text("the old one"))),
    }
}
