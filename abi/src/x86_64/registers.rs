// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers of a thread: their order in a UserContext, and the roles that system calls give them
//! (`invocations.md §5.1`, `syscalls.md §2`).

/// A register of a thread. Its number is its index in a UserContext (`invocations.md §5.1`).
#[repr(usize)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Register {
    /// Restart address: the instruction that is repeated when the thread restarts.
    Rip,
    /// `rsp`.
    Rsp,
    /// `rflags`.
    Rflags,
    /// `rax`.
    Rax,
    /// `rbx`.
    Rbx,
    /// `rcx`.
    Rcx,
    /// `rdx`.
    Rdx,
    /// `rsi`.
    Rsi,
    /// `rdi`.
    Rdi,
    /// `rbp`.
    Rbp,
    /// `r8`.
    R8,
    /// `r9`.
    R9,
    /// `r10`.
    R10,
    /// `r11`.
    R11,
    /// `r12`.
    R12,
    /// `r13`.
    R13,
    /// `r14`.
    R14,
    /// `r15`.
    R15,
    /// `fs_base`.
    FsBase,
    /// `gs_base`.
    GsBase,
}

/// Words of a UserContext (`invocations.md §5.1`).
pub const USER_CONTEXT_WORDS: usize = 20;
/// The first words of a UserContext are the "frame registers", the rest the "integer registers"
/// (`invocations.md §5.1`).
pub const FRAME_WORDS: usize = 18;

/// The UserContext in order (`invocations.md §5.1`).
pub const USER_CONTEXT: [Register; USER_CONTEXT_WORDS] = [
    Register::Rip,
    Register::Rsp,
    Register::Rflags,
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
    Register::FsBase,
    Register::GsBase,
];

/// Where the thread goes on (`invocations.md §5.1`).
pub const PROGRAM_COUNTER: Register = Register::Rip;
/// The stack pointer (`invocations.md §5.1`).
pub const STACK_POINTER: Register = Register::Rsp;
/// Number of the system call (`syscalls.md §2`).
pub const SYSCALL_NUMBER: Register = Register::Rdx;
/// Capability in, badge out (`syscalls.md §2`).
pub const CAPABILITY: Register = Register::Rdi;
/// Message info in and out (`syscalls.md §2`).
pub const MESSAGE_INFO: Register = Register::Rsi;
/// Message words 0 to 3 in and out (`syscalls.md §2`).
pub const MESSAGE: [Register; crate::message::MESSAGE_REGISTERS] =
    [Register::R10, Register::R8, Register::R9, Register::R15];
/// Reply capability of receiving calls; of ReplyRecv and NBSendWait the one invoked first (`syscalls.md §2`).
pub const REPLY: Register = Register::R12;
/// Destination of NBSendRecv (`syscalls.md §2`).
pub const SEND_DESTINATION: Register = Register::R13;
/// The TLS register (`memory.md §11`).
pub const TLS_BASE: Register = Register::FsBase;
/// Where the initial thread finds the address of BootInfo (`boot.md §4`).
pub const BOOT_INFO: Register = Register::Rdi;

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
            (Rip, 0),
            (Rsp, 1),
            (Rflags, 2),
            (Rax, 3),
            (Rsi, 7),
            (Rdi, 8),
            (Rbp, 9),
            (R8, 10),
            (R15, 17),
            (FsBase, 18),
            (GsBase, 19),
        ];
        for (register, index) in expected {
            assert_eq!(register as usize, index, "{register:?}");
        }
    }
}
