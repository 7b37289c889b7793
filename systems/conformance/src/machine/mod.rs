// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the cases have to know of the machine that they run on.
//!
//! There is a module for each architecture, and only these know one by name. All offer the same:
//!
//! * facts: [`PREFIX`] of the invocations' names, [`TABLES`] between a root and a page, the rows of
//!   [`page_map`], addresses, and the numbers of [`exception`]s;
//! * the shape of a thread's registers: [`R0`] to [`R2`], which code works on, [`FLAGS`], and what a
//!   register shows that was written ([`visible`]);
//! * stretches of instructions for puppets ([`Code`]), and the clock;
//! * a [`Line`], by which a case raises an interrupt;
//! * [`THEMES`]: the cases that only this architecture has, and the rows that none can see there
//!   ([`EXEMPT`]).

use keel::cap::{Blueprint, Registers};
use keel_abi::arch::{
    fault::{UNKNOWN_SYSCALL_LENGTH, UNKNOWN_SYSCALL_NUMBER, UNKNOWN_SYSCALL_REGISTERS},
    registers::{PROGRAM_COUNTER, Register},
};

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
pub mod numbered;
#[cfg(not(target_arch = "riscv64"))]
pub mod replacing;

/// Code for a puppet: a short stretch of instructions that ends in an undefined one. A puppet that has run
/// it faults there, with all registers as they were: that is how it reports that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// Where it starts.
    pub start: u64,
    /// Where it has run: the undefined instruction.
    pub end: u64,
}

/// A paging structure below the root.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// The object.
    pub blueprint: Blueprint,
    /// Its Map.
    pub map: &'static str,
    /// Its Unmap.
    pub unmap: &'static str,
    /// The row of its Map where its entry is not empty.
    pub occupied: &'static str,
    /// log2 of what an entry spans that it fills.
    pub span: u64,
}

/// How memory is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// By a load.
    Load,
    /// By a store.
    Store,
    /// By fetching an instruction.
    Fetch,
}

/// Why it must not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is mapped there.
    Nothing,
    /// The rights of the mapping.
    Rights,
    /// The addresses are the kernel's.
    Kernel,
}

/// Rows that no case can see, where that is so, and why.
pub struct Exemption {
    /// How the rows' names begin, after [`crate::coverage::ARCH`] where it is the architecture's.
    pub rows: &'static str,
    /// Whether it is so with these options.
    pub applies: fn(&keel_abi::config::Options) -> bool,
    /// Why.
    pub reason: &'static str,
}

/// The message of an UnknownSyscall that a thread with these registers has made at `code`.
pub fn unknown_syscall(registers: &Registers, code: Code, number: i64) -> [u64; UNKNOWN_SYSCALL_LENGTH] {
    let mut words = [0; UNKNOWN_SYSCALL_LENGTH];
    for (word, register) in words.iter_mut().zip(UNKNOWN_SYSCALL_REGISTERS) {
        *word = if register == PROGRAM_COUNTER {
            code.start
        } else if is_next_pc(register) {
            code.end
        } else {
            registers.get(register)
        };
    }
    words[UNKNOWN_SYSCALL_NUMBER] = number as u64;
    words
}

/// Where a register stands in the message of an UnknownSyscall.
pub fn place_in_unknown_syscall(register: Register) -> Option<usize> {
    UNKNOWN_SYSCALL_REGISTERS.iter().position(|&other| other == register)
}
