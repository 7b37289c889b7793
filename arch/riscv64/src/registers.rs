// SPDX-License-Identifier: MIT OR Apache-2.0

//! The saved registers of a thread: the words at the start of its TCB, in the order that trap entry and exit
//! (`cpu::trap`) store and load them.
//!
//! ```text
//!   0 … 30   x1 … x31
//!   31       where the thread goes on
//!   32       the instruction that a restart repeats
//! ```
//!
//! The FPU's registers are saved elsewhere in the TCB ([`crate::cpu`]).

use keel_abi::riscv64::registers::Register;

/// Where the thread goes on.
pub const NEXT: usize = 31;
/// The instruction that a restart repeats.
pub const RESTART: usize = 32;

/// The word in which x`number` is saved.
const fn x(number: usize) -> usize {
    number - 1
}

/// The word in which a register of the interface is saved.
pub const fn word(register: Register) -> usize {
    match register {
        Register::Pc => RESTART,
        Register::Ra => x(1),
        Register::Sp => x(2),
        Register::Gp => x(3),
        Register::Tp => x(4),
        Register::T0 => x(5),
        Register::T1 => x(6),
        Register::T2 => x(7),
        Register::S0 => x(8),
        Register::S1 => x(9),
        Register::A0 => x(10),
        Register::A1 => x(11),
        Register::A2 => x(12),
        Register::A3 => x(13),
        Register::A4 => x(14),
        Register::A5 => x(15),
        Register::A6 => x(16),
        Register::A7 => x(17),
        Register::S2 => x(18),
        Register::S3 => x(19),
        Register::S4 => x(20),
        Register::S5 => x(21),
        Register::S6 => x(22),
        Register::S7 => x(23),
        Register::S8 => x(24),
        Register::S9 => x(25),
        Register::S10 => x(26),
        Register::S11 => x(27),
        Register::T3 => x(28),
        Register::T4 => x(29),
        Register::T5 => x(30),
        Register::T6 => x(31),
    }
}

/// The words of a list of registers.
pub const fn words<const N: usize>(registers: &[Register; N]) -> [usize; N] {
    let mut words = [0; N];
    let mut index = 0;
    while index < N {
        words[index] = word(registers[index]);
        index += 1;
    }
    words
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_abi::riscv64::registers::USER_CONTEXT;

    #[test]
    fn each_register_of_a_context_has_a_word_of_its_own() {
        let mut words = words(&USER_CONTEXT).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), USER_CONTEXT.len());
        assert!(!words.contains(&NEXT));
    }
}
