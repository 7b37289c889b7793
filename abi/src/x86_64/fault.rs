// SPDX-License-Identifier: MIT OR Apache-2.0

//! Fault messages with registers (`errors-and-faults.md §4, §5`).
//!
//! A reply may write the registers of these orders back; the words behind them only go out.

use super::registers::{Register, USER_CONTEXT};

/// Registers of an UnknownSyscall message, and of the reply to it (`errors-and-faults.md §4.2, §5`).
pub const UNKNOWN_SYSCALL_REGISTERS: [Register; 18] = [
    Register::Rax,
    Register::Rbx,
    Register::Rcx,
    Register::Rdx,
    Register::Rsi,
    Register::Rdi,
    Register::Rbp,
    Register::R8,
    Register::R9,
    Register::R10,
    Register::R11,
    Register::R12,
    Register::R13,
    Register::R14,
    Register::R15,
    Register::Rip,
    Register::Rsp,
    Register::Rflags,
];
/// Message word with the number of the call (`errors-and-faults.md §4.2`).
pub const UNKNOWN_SYSCALL_NUMBER: usize = 18;
/// Length of an UnknownSyscall message (`errors-and-faults.md §4.2`).
pub const UNKNOWN_SYSCALL_LENGTH: usize = 19;

/// Registers of a UserException message, and of the reply to it (`errors-and-faults.md §4.3, §5`).
pub const USER_EXCEPTION_REGISTERS: [Register; 3] = [Register::Rip, Register::Rsp, Register::Rflags];
/// Message word with the vector (`errors-and-faults.md §4.3`).
pub const USER_EXCEPTION_NUMBER: usize = 3;
/// Message word with the error code (`errors-and-faults.md §4.3`).
pub const USER_EXCEPTION_CODE: usize = 4;
/// Length of a UserException message (`errors-and-faults.md §4.3`).
pub const USER_EXCEPTION_LENGTH: usize = 5;

/// Registers that the reply to a Timeout writes: the first words of a UserContext (`errors-and-faults.md §5`).
pub const TIMEOUT_REPLY_REGISTERS: [Register; 19] = {
    let mut registers = [Register::Rip; 19];
    let mut index = 0;
    while index < registers.len() {
        registers[index] = USER_CONTEXT[index];
        index += 1;
    }
    registers
};

const _: () = {
    assert!(UNKNOWN_SYSCALL_NUMBER == UNKNOWN_SYSCALL_REGISTERS.len());
    assert!(UNKNOWN_SYSCALL_LENGTH == UNKNOWN_SYSCALL_NUMBER + 1);
    assert!(USER_EXCEPTION_NUMBER == USER_EXCEPTION_REGISTERS.len());
    assert!(USER_EXCEPTION_LENGTH == USER_EXCEPTION_CODE + 1);
    assert!(TIMEOUT_REPLY_REGISTERS[18] as usize == Register::FsBase as usize);
};
