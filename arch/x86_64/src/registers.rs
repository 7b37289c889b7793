// SPDX-License-Identifier: MIT OR Apache-2.0

//! The saved registers of a thread: the words at the start of its TCB, in the order that trap entry and exit
//! (`cpu::trap`) store and load them.
//!
//! ```text
//!   0 … 14    rax rbx rcx rdx rsi rdi rbp r8 … r15
//!   15        how the thread has entered the kernel: the vector, or by a call
//!   16        the error code of an exception
//!   17 … 21   rip cs rflags rsp ss: what the processor itself saves and loads
//!   22        the instruction that a restart repeats
//!   23, 24    the bases of fs and gs
//! ```
//!
//! While a thread runs, the processor's stack for traps ends behind word 21. So it stores what it stores by itself where
//! that is to stay.
//!
//! The FPU's registers are saved elsewhere in the TCB ([`crate::cpu`]).

use keel_abi::x86_64::registers::Register;
use keel_kernel::object::Registers;

/// How the thread has entered the kernel.
pub const HOW: usize = 15;
/// [`HOW`], for the instruction `syscall`: the thread leaves by `sysret`. With any other value it leaves by `iret`, which
/// loads all registers.
pub const BY_CALL: u64 = u64::MAX;
/// The error code of an exception.
pub const ERROR: usize = 16;
/// Where the thread goes on.
pub const NEXT: usize = 17;
/// The code segment.
pub const CS: usize = 18;
/// The flags.
pub const FLAGS: usize = 19;
/// The stack pointer.
pub const RSP: usize = 20;
/// The stack segment.
pub const SS: usize = 21;
/// The end of what the processor stores by itself.
pub const TRAP_END: usize = 22;
/// The instruction that a restart repeats.
pub const RESTART: usize = 22;
/// The base of fs, which is the thread-local storage register.
pub const FS_BASE: usize = 23;
/// The base of gs.
pub const GS_BASE: usize = 24;

// The processor aligns its stack to 16 bytes, and would leave a gap.
const _: () = assert!(TRAP_END.is_multiple_of(2));

/// Selectors of segments (section 3.4.2).
pub mod selector {
    /// The kernel's code.
    pub const KERNEL_CODE: u64 = 1 << 3;
    /// The kernel's data: the entry behind its code, as `syscall` wants.
    pub const KERNEL_DATA: u64 = 2 << 3;
    /// User level's data.
    pub const USER_DATA: u64 = 3 << 3 | 3;
    /// User level's code: the entry behind its data, as `sysret` wants.
    pub const USER_CODE: u64 = 4 << 3 | 3;
    /// The task's state, which takes two entries.
    pub const TASK: u64 = 5 << 3;
}

/// Fields of the flags register (section 2.3).
pub mod flag {
    /// Always set.
    pub const FIXED: u64 = 1 << 1;
    /// One trap after each instruction.
    pub const TRAP: u64 = 1 << 8;
    /// Interrupts come.
    pub const INTERRUPT: u64 = 1 << 9;
    /// String instructions go down.
    pub const DIRECTION: u64 = 1 << 10;
    /// The level at which I/O instructions are allowed.
    pub const IO_LEVEL: u64 = 3 << 12;
    /// A task within another.
    pub const NESTED: u64 = 1 << 14;
    /// The kernel may access user level's pages; for user level, alignment is checked.
    pub const ALIGNMENT: u64 = 1 << 18;
    /// User level's at its start.
    pub const USER: u64 = FIXED | INTERRUPT;
}

/// The word in which a register of the interface is saved.
pub const fn word(register: Register) -> usize {
    match register {
        Register::Rip => RESTART,
        Register::Rsp => RSP,
        Register::Rflags => FLAGS,
        Register::Rax => 0,
        Register::Rbx => 1,
        Register::Rcx => 2,
        Register::Rdx => 3,
        Register::Rsi => 4,
        Register::Rdi => 5,
        Register::Rbp => 6,
        Register::R8 => 7,
        Register::R9 => 8,
        Register::R10 => 9,
        Register::R11 => 10,
        Register::R12 => 11,
        Register::R13 => 12,
        Register::R14 => 13,
        Register::R15 => 14,
        Register::FsBase => FS_BASE,
        Register::GsBase => GS_BASE,
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

/// Makes zeroed registers those of a thread of user level.
pub const fn initialise(registers: &mut Registers) {
    registers.words[CS] = selector::USER_CODE;
    registers.words[SS] = selector::USER_DATA;
    registers.words[FLAGS] = flag::USER;
}

/// The value that lands in the word `index` when a user writes `value` there (`invocations.md` §5.1).
#[inline(always)]
pub const fn sanitise(index: usize, value: u64) -> u64 {
    match index {
        NEXT | RESTART | FS_BASE | GS_BASE if !is_canonical(value) => 0,
        FLAGS => value & WRITABLE_FLAGS | flag::USER,
        _ => value,
    }
}

/// The flags that users write: the bits below 12 that mean something, without those that trace and that let interrupts
/// come.
const WRITABLE_FLAGS: u64 = 0xfff & !(1 << 3 | 1 << 5 | flag::TRAP);

/// Whether an address has 48 bits and the sign extension that the processor insists on.
pub const fn is_canonical(address: u64) -> bool {
    (address << 16).cast_signed() >> 16 == address.cast_signed()
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_abi::x86_64::registers::USER_CONTEXT;

    #[test]
    fn each_register_of_a_context_has_a_word_of_its_own() {
        let mut words = words(&USER_CONTEXT).to_vec();
        words.extend([NEXT, HOW, ERROR, CS, SS]);
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), USER_CONTEXT.len() + 5);
    }

    #[test]
    fn users_write_what_is_harmless() {
        assert_eq!(sanitise(FLAGS, u64::MAX), 0xed7);
        assert_eq!(sanitise(FLAGS, 0), 0x202);
        for index in [NEXT, RESTART, FS_BASE, GS_BASE] {
            for good in [0, 0x7fff_ffff_ffff, 0xffff_8000_0000_0000, u64::MAX] {
                assert_eq!(sanitise(index, good), good);
            }
            for bad in [1 << 47, 0xffff_7fff_ffff_ffff, 1 << 63] {
                assert_eq!(sanitise(index, bad), 0);
            }
        }
        assert_eq!(sanitise(RSP, 1 << 63), 1 << 63);
    }
}
