// SPDX-License-Identifier: MIT OR Apache-2.0

//! The saved registers of a thread: the words at the start of its TCB, in the order that trap entry and exit
//! ([`crate::cpu`]) store and load them.
//!
//! ```text
//!   0 … 30   x0 … x30
//!   31       sp_el0
//!   32       elr: where the thread goes on
//!   33       spsr
//!   34, 35   tpidr_el0, tpidrro_el0     live in the processor while the thread runs
//!   36       the instruction that a restart repeats
//! ```
//!
//! The FPU's registers are saved elsewhere in the TCB.
//! Words 37 to 41 are those of [`crate::maintenance`].

use keel_abi::aarch64::registers::Register;

/// sp_el0.
pub const SP: usize = 31;
/// elr: where the thread goes on.
pub const ELR: usize = 32;
/// spsr.
pub const SPSR: usize = 33;
/// tpidr_el0.
pub const TPIDR: usize = 34;
/// tpidrro_el0.
pub const TPIDRRO: usize = 35;
/// The instruction that a restart repeats.
pub const RESTART: usize = 36;
/// The word in which a register of the interface is saved.
pub const fn word(register: Register) -> usize {
    match register {
        Register::Pc => RESTART,
        Register::NextPc => ELR,
        Register::Sp => SP,
        Register::Spsr => SPSR,
        Register::X0 => 0,
        Register::X1 => 1,
        Register::X2 => 2,
        Register::X3 => 3,
        Register::X4 => 4,
        Register::X5 => 5,
        Register::X6 => 6,
        Register::X7 => 7,
        Register::X8 => 8,
        Register::X9 => 9,
        Register::X10 => 10,
        Register::X11 => 11,
        Register::X12 => 12,
        Register::X13 => 13,
        Register::X14 => 14,
        Register::X15 => 15,
        Register::X16 => 16,
        Register::X17 => 17,
        Register::X18 => 18,
        Register::X19 => 19,
        Register::X20 => 20,
        Register::X21 => 21,
        Register::X22 => 22,
        Register::X23 => 23,
        Register::X24 => 24,
        Register::X25 => 25,
        Register::X26 => 26,
        Register::X27 => 27,
        Register::X28 => 28,
        Register::X29 => 29,
        Register::X30 => 30,
        Register::TpidrEl0 => TPIDR,
        Register::TpidrroEl0 => TPIDRRO,
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

/// spsr of a thread: EL0, AArch64, FIQ masked (bit 6); without debugging also SError (bit 8)
/// (`invocations.md` §5.1).
pub const USER_SPSR: u64 = if cfg!(debug_assertions) { 1 << 6 } else { 1 << 6 | 1 << 8 };

/// The condition flags, all that a user may choose of its spsr.
const CONDITION_FLAGS: u64 = 0b1111 << 28;

/// The value that lands in `word` when a user writes `value` there (`invocations.md` §5.1).
pub const fn sanitise(word: usize, value: u64) -> u64 {
    if word == SPSR { value & CONDITION_FLAGS | USER_SPSR } else { value }
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_abi::aarch64::registers::USER_CONTEXT;

    #[test]
    fn each_register_of_a_context_has_a_word_of_its_own() {
        let mut words = words(&USER_CONTEXT).to_vec();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), USER_CONTEXT.len());
        assert!(!words.contains(&word(Register::NextPc)));
    }

    #[test]
    fn users_choose_only_condition_flags() {
        assert_eq!(sanitise(SPSR, 0xffff_ffff_ffff_ffff), 0xf000_0000 | USER_SPSR);
        assert_eq!(sanitise(SPSR, 0x8000_0005), 0x8000_0000 | USER_SPSR);
        assert_eq!(sanitise(ELR, 0xffff_0000_0000_0001), 0xffff_0000_0000_0001);
    }
}
