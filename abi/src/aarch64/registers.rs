// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers of a thread: their order in a UserContext, and the roles that system calls give them
//! (`invocations.md §5.1`, `syscalls.md §2`).

/// A register of a thread. Its number is its index in a UserContext (`invocations.md §5.1`). [`Register::NextPc`] comes behind it.
#[repr(usize)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// Restart address: the instruction that is repeated when the thread restarts.
    Pc,
    /// `sp`.
    Sp,
    /// `spsr`.
    Spsr,
    /// `x0`.
    X0,
    /// `x1`.
    X1,
    /// `x2`.
    X2,
    /// `x3`.
    X3,
    /// `x4`.
    X4,
    /// `x5`.
    X5,
    /// `x6`.
    X6,
    /// `x7`.
    X7,
    /// `x8`.
    X8,
    /// `x16`.
    X16,
    /// `x17`.
    X17,
    /// `x18`.
    X18,
    /// `x29`.
    X29,
    /// `x30`.
    X30,
    /// `x9`.
    X9,
    /// `x10`.
    X10,
    /// `x11`.
    X11,
    /// `x12`.
    X12,
    /// `x13`.
    X13,
    /// `x14`.
    X14,
    /// `x15`.
    X15,
    /// `x19`.
    X19,
    /// `x20`.
    X20,
    /// `x21`.
    X21,
    /// `x22`.
    X22,
    /// `x23`.
    X23,
    /// `x24`.
    X24,
    /// `x25`.
    X25,
    /// `x26`.
    X26,
    /// `x27`.
    X27,
    /// `x28`.
    X28,
    /// `tpidr_el0`.
    TpidrEl0,
    /// `tpidrro_el0`.
    TpidrroEl0,
    /// Address behind the instruction that faulted: where a thread that is not restarted goes on. Not part of
    /// a UserContext.
    NextPc,
}

/// Words of a UserContext (`invocations.md §5.1`).
pub const USER_CONTEXT_WORDS: usize = 36;
/// The first words of a UserContext are the "frame registers", the rest the "integer registers"
/// (`invocations.md §5.1`).
pub const FRAME_WORDS: usize = 17;

/// The UserContext in order (`invocations.md §5.1`).
pub const USER_CONTEXT: [Register; USER_CONTEXT_WORDS] = [
    Register::Pc,
    Register::Sp,
    Register::Spsr,
    Register::X0,
    Register::X1,
    Register::X2,
    Register::X3,
    Register::X4,
    Register::X5,
    Register::X6,
    Register::X7,
    Register::X8,
    Register::X16,
    Register::X17,
    Register::X18,
    Register::X29,
    Register::X30,
    Register::X9,
    Register::X10,
    Register::X11,
    Register::X12,
    Register::X13,
    Register::X14,
    Register::X15,
    Register::X19,
    Register::X20,
    Register::X21,
    Register::X22,
    Register::X23,
    Register::X24,
    Register::X25,
    Register::X26,
    Register::X27,
    Register::X28,
    Register::TpidrEl0,
    Register::TpidrroEl0,
];

/// Where the thread goes on (`invocations.md §5.1`).
pub const PROGRAM_COUNTER: Register = Register::Pc;
/// The stack pointer (`invocations.md §5.1`).
pub const STACK_POINTER: Register = Register::Sp;
/// Number of the system call (`syscalls.md §2`).
pub const SYSCALL_NUMBER: Register = Register::X7;
/// Capability in, badge out (`syscalls.md §2`).
pub const CAPABILITY: Register = Register::X0;
/// Message info in and out (`syscalls.md §2`).
pub const MESSAGE_INFO: Register = Register::X1;
/// Message words 0 to 3 in and out (`syscalls.md §2`).
pub const MESSAGE: [Register; crate::message::MESSAGE_REGISTERS] =
    [Register::X2, Register::X3, Register::X4, Register::X5];
/// Reply capability of receiving calls; of ReplyRecv and NBSendWait the one invoked first (`syscalls.md §2`).
pub const REPLY: Register = Register::X6;
/// Destination of NBSendRecv (`syscalls.md §2`).
pub const SEND_DESTINATION: Register = Register::X8;
/// The TLS register (`memory.md §11`).
pub const TLS_BASE: Register = Register::TpidrEl0;
/// Where the initial thread finds the address of BootInfo (`boot.md §4`).
pub const BOOT_INFO: Register = Register::X0;

// Each register's number is its index.
const _: () = {
    let mut index = 0;
    while index < USER_CONTEXT_WORDS {
        assert!(USER_CONTEXT[index] as usize == index);
        index += 1;
    }
};

#[cfg(test)]
mod test {
    use super::Register::*;

    #[test]
    fn indexes_are_those_of_the_sheet() {
        let expected = [
            (Pc, 0),
            (Sp, 1),
            (X0, 3),
            (X8, 11),
            (X16, 12),
            (X18, 14),
            (X30, 16),
            (X9, 17),
            (X15, 23),
            (X19, 24),
            (X25, 30),
            (X26, 31),
            (X28, 33),
            (TpidrEl0, 34),
            (TpidrroEl0, 35),
        ];
        for (register, index) in expected {
            assert_eq!(register as usize, index, "{register:?}");
        }
    }
}
