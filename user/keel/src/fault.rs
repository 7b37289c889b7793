// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults, as their handler receives them.

use core::fmt;

use keel_abi::fault;

use crate::{
    arch::abi::{
        fault as machine,
        registers::{self, Register},
    },
    error::LookupFailure,
    ipc::Received,
    rt::Ending,
};

/// Where a register stands in an UnknownSyscall message.
const fn unknown_syscall_word(register: Register) -> usize {
    let mut index = 0;
    while machine::UNKNOWN_SYSCALL_REGISTERS[index] as usize != register as usize {
        index += 1;
    }
    index
}

/// Where the program counter stands.
const UNKNOWN_SYSCALL_PC: usize = unknown_syscall_word(registers::PROGRAM_COUNTER);
/// Where the registers stand that a system call has its arguments in.
const UNKNOWN_SYSCALL_ARGUMENTS: [usize; 7] = {
    let [w0, w1, w2, w3] = registers::MESSAGE;
    [
        unknown_syscall_word(registers::CAPABILITY),
        unknown_syscall_word(registers::MESSAGE_INFO),
        unknown_syscall_word(w0),
        unknown_syscall_word(w1),
        unknown_syscall_word(w2),
        unknown_syscall_word(w3),
        unknown_syscall_word(registers::REPLY),
    ]
};

/// A fault message, decoded. Read it before anything else is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A system call named a capability that is not there.
    Cap {
        /// Address of the system call.
        pc: u64,
        /// The capability pointer.
        address: u64,
        /// Whether it was to receive from.
        receiving: bool,
        /// Why it was not found.
        failure: LookupFailure,
    },
    /// A system call number that the kernel does not know.
    UnknownSyscall {
        /// Address of the system call.
        pc: u64,
        /// The number.
        number: u64,
        /// The first seven argument registers at the call.
        registers: [u64; 7],
    },
    /// An instruction that the machine refuses.
    UserException {
        /// Its address.
        pc: u64,
        /// The machine's number for it.
        number: u64,
        /// More of it.
        code: u64,
    },
    /// The budget ran out.
    Timeout {
        /// Badge of the scheduling context.
        badge: u64,
        /// Microseconds used since last asked.
        consumed_us: u64,
    },
    /// An access to memory that is not mapped so.
    Vm {
        /// Address of the instruction.
        pc: u64,
        /// Address of the access.
        address: u64,
        /// Whether it was an instruction fetch.
        fetch: bool,
        /// The machine's description.
        status: u64,
    },
}

impl Fault {
    /// Reads a fault message; `None` if the label is none of a fault's (another program may send
    /// anything through the endpoint, so let only fault handling have capabilities to it).
    pub fn decode(message: &Received) -> Option<Self> {
        let word = |index| message.word(index);
        Some(match message.label() {
            fault::CAP_FAULT => Self::Cap {
                pc: word(0),
                address: word(1),
                receiving: word(2) != 0,
                failure: LookupFailure::from_words([word(3), word(4), word(5), word(6)]),
            },
            fault::UNKNOWN_SYSCALL => Self::UnknownSyscall {
                pc: word(UNKNOWN_SYSCALL_PC),
                number: word(machine::UNKNOWN_SYSCALL_NUMBER),
                registers: UNKNOWN_SYSCALL_ARGUMENTS.map(word),
            },
            fault::USER_EXCEPTION => Self::UserException {
                pc: word(0),
                number: word(machine::USER_EXCEPTION_NUMBER),
                code: word(machine::USER_EXCEPTION_CODE),
            },
            fault::TIMEOUT => Self::Timeout { badge: word(0), consumed_us: word(1) },
            fault::VM_FAULT => {
                Self::Vm { pc: word(0), address: word(1), fetch: word(2) != 0, status: word(3) }
            }
            _ => return None,
        })
    }

    /// How the program ended, if this fault is its way of saying so.
    pub fn ending(&self) -> Option<Ending> {
        match *self {
            Self::UnknownSyscall { number, registers, .. } => Ending::decode(number as i64, registers),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(ending) = self.ending() {
            return ending.fmt(f);
        }
        match self {
            Self::Cap { pc, address, receiving, failure } => {
                let what = if *receiving { "receive from" } else { "send to" };
                write!(f, "capability fault at {pc:#x}: {what} {address:#x}: {failure}")
            }
            Self::UnknownSyscall { pc, number, .. } => {
                write!(f, "unknown system call {} at {pc:#x}", *number as i64)
            }
            Self::UserException { pc, number, code } => {
                write!(f, "exception {number:#x}/{code:#x} at {pc:#x}")
            }
            Self::Timeout { badge, consumed_us } => {
                write!(f, "timeout of {badge}: {consumed_us} µs consumed")
            }
            Self::Vm { pc, address, fetch, status } => {
                let what = if *fetch { "fetch" } else { "access" };
                write!(f, "memory fault at {pc:#x}: {what} of {address:#x} (status {status:#x})")
            }
        }
    }
}

#[cfg(test)]
mod test {
    use keel_abi::message::MessageInfo;

    use super::*;
    use crate::ipc;

    fn message(label: u64, words: &[u64]) -> Received {
        words.iter().enumerate().for_each(|(index, &word)| ipc::buffer().set_word(index, word));
        let mut registers = [0; 4];
        let count = words.len().min(4);
        registers[..count].copy_from_slice(&words[..count]);
        Received { badge: 1, info: MessageInfo::new(label, 0, 0, words.len()), words: registers }
    }

    #[test]
    fn faults_are_those_of_the_sheet() {
        let guard = LookupFailure::GuardMismatch { bits_left: 64, guard_found: 5, bits_found: 52 };
        assert_eq!(
            Fault::decode(&message(1, &[0x400, 99, 1, 4, 64, 5, 52])),
            Some(Fault::Cap { pc: 0x400, address: 99, receiving: true, failure: guard })
        );
        assert_eq!(
            Fault::decode(&message(3, &[0x400, 1, 2, 0x0200_0000, 0])),
            Some(Fault::UserException { pc: 0x400, number: 0x0200_0000, code: 0 })
        );
        assert_eq!(
            Fault::decode(&message(5, &[7, 2000])),
            Some(Fault::Timeout { badge: 7, consumed_us: 2000 })
        );
        assert_eq!(
            Fault::decode(&message(6, &[0x400, 0xdead, 0, 0x92])),
            Some(Fault::Vm { pc: 0x400, address: 0xdead, fetch: false, status: 0x92 })
        );
        assert_eq!(Fault::decode(&message(0, &[])), None);
    }

    #[test]
    fn an_exit_is_seen_in_its_fault() {
        let mut words = [0; 13];
        words[0] = 3;
        words[12] = 0x6b65_656c_0000;
        let fault = Fault::decode(&message(2, &words)).unwrap();
        assert_eq!(fault.ending(), Some(Ending::Exit(3)));
    }
}
