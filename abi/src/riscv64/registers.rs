// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers of a thread: their order in a UserContext, and the roles that system calls give them
//! (`invocations.md §5.1`, `syscalls.md §2`).

/// A register of a thread. Its number is its index in a UserContext (`invocations.md §5.1`).
#[repr(usize)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// Restart address: the instruction that is repeated when the thread restarts.
    Pc,
    /// `ra`.
    Ra,
    /// `sp`.
    Sp,
    /// `gp`.
    Gp,
    /// `s0`.
    S0,
    /// `s1`.
    S1,
    /// `s2`.
    S2,
    /// `s3`.
    S3,
    /// `s4`.
    S4,
    /// `s5`.
    S5,
    /// `s6`.
    S6,
    /// `s7`.
    S7,
    /// `s8`.
    S8,
    /// `s9`.
    S9,
    /// `s10`.
    S10,
    /// `s11`.
    S11,
    /// `a0`.
    A0,
    /// `a1`.
    A1,
    /// `a2`.
    A2,
    /// `a3`.
    A3,
    /// `a4`.
    A4,
    /// `a5`.
    A5,
    /// `a6`.
    A6,
    /// `a7`.
    A7,
    /// `t0`.
    T0,
    /// `t1`.
    T1,
    /// `t2`.
    T2,
    /// `t3`.
    T3,
    /// `t4`.
    T4,
    /// `t5`.
    T5,
    /// `t6`.
    T6,
    /// `tp`.
    Tp,
}

/// Words of a UserContext (`invocations.md §5.1`).
pub const USER_CONTEXT_WORDS: usize = 32;
/// The first words of a UserContext are the "frame registers", the rest the "integer registers"
/// (`invocations.md §5.1`).
pub const FRAME_WORDS: usize = 16;

/// The UserContext in order (`invocations.md §5.1`).
pub const USER_CONTEXT: [Register; USER_CONTEXT_WORDS] = [
    Register::Pc,
    Register::Ra,
    Register::Sp,
    Register::Gp,
    Register::S0,
    Register::S1,
    Register::S2,
    Register::S3,
    Register::S4,
    Register::S5,
    Register::S6,
    Register::S7,
    Register::S8,
    Register::S9,
    Register::S10,
    Register::S11,
    Register::A0,
    Register::A1,
    Register::A2,
    Register::A3,
    Register::A4,
    Register::A5,
    Register::A6,
    Register::A7,
    Register::T0,
    Register::T1,
    Register::T2,
    Register::T3,
    Register::T4,
    Register::T5,
    Register::T6,
    Register::Tp,
];

/// Where the thread goes on (`invocations.md §5.1`).
pub const PROGRAM_COUNTER: Register = Register::Pc;
/// The stack pointer (`invocations.md §5.1`).
pub const STACK_POINTER: Register = Register::Sp;
/// Number of the system call (`syscalls.md §2`).
pub const SYSCALL_NUMBER: Register = Register::A7;
/// Capability in, badge out (`syscalls.md §2`).
pub const CAPABILITY: Register = Register::A0;
/// Message info in and out (`syscalls.md §2`).
pub const MESSAGE_INFO: Register = Register::A1;
/// Message words 0 to 3 in and out (`syscalls.md §2`).
pub const MESSAGE: [Register; crate::message::MESSAGE_REGISTERS] =
    [Register::A2, Register::A3, Register::A4, Register::A5];
/// Reply capability of receiving calls; of ReplyRecv and NBSendWait the one invoked first (`syscalls.md §2`).
pub const REPLY: Register = Register::A6;
/// Destination of NBSendRecv (`syscalls.md §2`).
pub const SEND_DESTINATION: Register = Register::T0;
/// The TLS register (`memory.md §11`).
pub const TLS_BASE: Register = Register::Tp;
/// Where the initial thread finds the address of BootInfo (`boot.md §4`).
pub const BOOT_INFO: Register = Register::A0;

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
            (Ra, 1),
            (Sp, 2),
            (Gp, 3),
            (S0, 4),
            (S11, 15),
            (A0, 16),
            (A7, 23),
            (T0, 24),
            (T6, 30),
            (Tp, 31),
        ];
        for (register, index) in expected {
            assert_eq!(register as usize, index, "{register:?}");
        }
    }
}
