// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults as messages, and the answers to them (`errors-and-faults.md` §3 to §5).
//!
//! A fault is a call that a thread did not make: through the endpoint capability in its handler slot. The answer says
//! with which registers it goes on, and whether it does.

use super::call::Sends;
use super::error::LookupFailure;
use super::time::Entry;
use super::{Activity, Cap, FAULT_HANDLER, NotCovered, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::Object;
use keel_abi::aarch64::fault::{
    TIMEOUT_REPLY_REGISTERS, UNKNOWN_SYSCALL_REGISTERS, USER_EXCEPTION_REGISTERS,
};
use keel_abi::aarch64::registers::{MESSAGE_INFO, Register};
use keel_abi::fault as number;
use keel_abi::message::MessageInfo;

/// What a thread did that it could not do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It used a capability that cannot be used so.
    Capability {
        /// Its address.
        address: u64,
        /// Whether it was to be received from.
        in_receive: bool,
        /// What was wrong.
        failure: LookupFailure,
    },
    /// It made a system call that does not exist.
    UnknownSyscall {
        /// The number.
        number: u64,
    },
    /// The processor raised an exception.
    UserException {
        /// The machine's number for it.
        number: u64,
        /// The machine's code for it.
        code: u64,
    },
    /// It used memory that is not mapped so.
    VirtualMemory {
        /// The address.
        address: u64,
        /// Whether an instruction was to be fetched.
        is_fetch: bool,
        /// The machine's description.
        status: u64,
    },
    /// Its time is used up.
    Timeout {
        /// The badge of its scheduling context.
        badge: u64,
    },
}

impl Fault {
    const fn label(&self) -> u64 {
        match self {
            Self::Capability { .. } => number::CAP_FAULT,
            Self::UnknownSyscall { .. } => number::UNKNOWN_SYSCALL,
            Self::UserException { .. } => number::USER_EXCEPTION,
            Self::VirtualMemory { .. } => number::VM_FAULT,
            Self::Timeout { .. } => number::TIMEOUT,
        }
    }

    /// The registers that its message begins with.
    const fn registers(&self) -> &'static [Register] {
        match self {
            Self::Timeout { .. } => &[],
            _ => self.answered_registers(),
        }
    }

    /// The registers that an answer writes.
    const fn answered_registers(&self) -> &'static [Register] {
        match self {
            Self::Capability { .. } | Self::VirtualMemory { .. } => &[],
            Self::UnknownSyscall { .. } => &UNKNOWN_SYSCALL_REGISTERS,
            Self::UserException { .. } => &USER_EXCEPTION_REGISTERS,
            Self::Timeout { .. } => &TIMEOUT_REPLY_REGISTERS,
        }
    }

    /// The words of its message behind those.
    fn words(&self, pc: u64) -> Vec<u64> {
        match *self {
            Self::Capability { address, in_receive, failure } => {
                [vec![pc, address, u64::from(in_receive)], failure.words()].concat()
            }
            Self::UnknownSyscall { number } => vec![number],
            Self::UserException { number, code } => vec![number, code],
            Self::VirtualMemory { address, is_fetch, status } => {
                vec![pc, address, u64::from(is_fetch), status]
            }
            Self::Timeout { badge } => vec![badge],
        }
    }
}

/// Whether a capability may stand in a handler slot and is one: it can be called.
#[must_use]
pub fn is_handler(cap: &Cap) -> bool {
    let can_be_answered = cap.rights.has(Rights::GRANT) || cap.rights.has(Rights::GRANT_REPLY);
    cap.kind == Kind::Endpoint && cap.rights.has(Rights::WRITE) && can_be_answered
}

impl System {
    /// At `now` the running thread does what the processor does not do.
    pub fn exception(&mut self, now: u64, fault: Fault) -> Result<(), NotCovered> {
        let Some(thread) = self.current else { return Ok(()) };
        let registers = &mut self.thread_mut(thread).registers;
        registers[Register::Pc] = registers[Register::NextPc];
        if self.enter(now, Entry::Instruction)? {
            self.fault(thread, fault)?;
        }
        self.schedule();
        Ok(())
    }

    /// `thread` has made a mistake: its handler is told, or it stops if it has none.
    pub(super) fn fault(&mut self, thread: Object, fault: Fault) -> Result<(), NotCovered> {
        self.send_fault(thread, FAULT_HANDLER, fault)
    }

    /// The handler in a slot of `thread` is told of a fault.
    pub(super) fn send_fault(&mut self, thread: Object, slot: u64, fault: Fault) -> Result<(), NotCovered> {
        let handler = self.cap(&Self::slot_of(thread, slot));
        if !is_handler(&handler) {
            self.thread_mut(thread).activity = Activity::Inactive;
            return Ok(());
        }
        self.thread_mut(thread).fault = Some(fault);
        self.send_to_endpoint(thread, &handler, Sends::Calling, &[])
    }

    /// Writes the message about the fault of `from` for `to`, as far as there is room; its info word.
    pub(super) fn write_fault(&mut self, from: Object, to: Object, fault: &Fault) -> MessageInfo {
        let registers = self.thread(from).registers;
        let mut words: Vec<u64> = fault.registers().iter().map(|register| registers[*register]).collect();
        words.extend(fault.words(registers[Register::Pc]));
        if let Some(context) = self.thread(from).context
            && matches!(fault, Fault::Timeout { .. })
        {
            words.push(self.take_consumed(context));
        }
        if self.receive_buffer(to).is_none() {
            words.truncate(4);
        }
        for (index, word) in words.iter().enumerate() {
            self.write_word(to, index as u64, *word);
        }
        MessageInfo::new(fault.label(), 0, 0, words.len())
    }

    /// `replier` answers the fault of `thread`; whether it goes on.
    pub(super) fn answer_fault(&mut self, replier: Object, thread: Object, fault: &Fault) -> bool {
        let info = MessageInfo(self.thread(replier).registers[MESSAGE_INFO]);
        let length = self.usable_length(info, self.send_buffer(replier).is_some());
        for (index, register) in fault.answered_registers().iter().enumerate().take(length as usize) {
            let word = self.read_word(replier, index as u64);
            self.thread_mut(thread).registers.write(*register, word);
        }
        matches!(fault, Fault::Capability { .. } | Fault::VirtualMemory { .. }) || info.label() == 0
    }
}
