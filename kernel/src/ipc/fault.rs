// SPDX-License-Identifier: MIT OR Apache-2.0

//! Faults: what a thread did that it could not do, told to its handler as a message.
//!
//! A fault is a call that the thread did not make: it goes through the handler's endpoint capability in the TCB,
//! the thread waits for the answer, and the answer says whether and where it goes on (`errors-and-faults.md` §3
//! to §5).

use crate::Kernel;
use crate::arch::{Arch, MAX_CONTEXT};
use crate::cap::{Cap, IpcCap, RawCap, Rights, tag};
use crate::error::LookupFailure;
use crate::invocation::buffer_word;
use crate::ipc::rendezvous::Send;
use crate::object::tcb::TcbSlot;
use crate::object::{Endpoint, Tcb, ThreadState};
use crate::store::Ref;
use crate::units::KernelAddr;
use keel_abi::fault as number;
use keel_abi::message::MessageInfo;
use keel_bounds::{at_most, ends, fact, fault_is, holds, only_unless};

/// A fault that a thread has raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u64)]
pub enum Fault {
    /// None.
    #[default]
    None = 0,
    /// A capability could not be used.
    Capability {
        /// Its address.
        address: u64,
        /// Whether it was to be received from.
        in_receive: bool,
        /// What was wrong.
        failure: LookupFailure,
    },
    /// A system call that does not exist.
    UnknownSyscall {
        /// Its number.
        number: u64,
    },
    /// An exception of the processor.
    UserException {
        /// The machine's number for it.
        number: u64,
        /// The machine's code for it.
        code: u64,
    },
    /// An access to memory that is not mapped so.
    VirtualMemory {
        /// The address.
        address: u64,
        /// Whether it was an instruction's.
        is_fetch: bool,
        /// The machine's description.
        status: u64,
    },
    /// The budget is used up.
    Timeout {
        /// The badge of the scheduling context.
        badge: u64,
    },
}

impl Fault {
    /// Whether there is a fault.
    #[must_use]
    pub const fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Whether the faulting thread's scheduling context goes along with the message.
    #[must_use]
    pub const fn donates(&self) -> bool {
        !matches!(self, Self::Timeout { .. })
    }

    /// The label of its message.
    #[must_use]
    pub const fn label(&self) -> u64 {
        match self {
            Self::None => number::NULL_FAULT,
            Self::Capability { .. } => number::CAP_FAULT,
            Self::UnknownSyscall { .. } => number::UNKNOWN_SYSCALL,
            Self::UserException { .. } => number::USER_EXCEPTION,
            Self::VirtualMemory { .. } => number::VM_FAULT,
            Self::Timeout { .. } => number::TIMEOUT,
        }
    }
}

/// Whether `cap` may stand as a fault or timeout handler (`invocations.md` §5.2).
#[must_use]
pub const fn is_valid_handler(cap: RawCap) -> bool {
    match cap.tag() {
        tag::NULL => true,
        tag::ENDPOINT => cap.rights().has(Rights::WRITE) && cap.rights().can_be_answered(),
        _ => false,
    }
}

impl<A: Arch> Kernel<A> {
    /// `tcb` has done what `fault` says: it waits for its handler's answer, or stops if it has none.
    pub fn raise_fault(&mut self, tcb: Ref<Tcb>, fault: Fault) {
        match self.handler(tcb, TcbSlot::FaultHandler) {
            Some(handler) => self.send_fault(tcb, handler, fault),
            None => {
                self.report_unhandled(tcb, &fault);
                self.store[tcb].state = ThreadState::Inactive;
            }
        }
    }

    /// `tcb`, which has a timeout handler, has used up its budget.
    pub fn raise_timeout_fault(&mut self, tcb: Ref<Tcb>, badge: u64) {
        if let Some(handler) = self.timeout_handler(tcb) {
            holds::<{ fact::IS_TIMEOUT }>();
            self.send_fault(tcb, handler, Fault::Timeout { badge });
            ends::<{ fact::IS_TIMEOUT }>();
        }
    }

    /// The endpoint that hears of the thread's timeouts, if there is a valid one.
    #[must_use]
    pub fn timeout_handler(&self, tcb: Ref<Tcb>) -> Option<IpcCap<Endpoint>> {
        self.handler(tcb, TcbSlot::TimeoutHandler)
    }

    /// The endpoint in a handler slot, if it can hear of faults.
    fn handler(&self, tcb: Ref<Tcb>, slot: TcbSlot) -> Option<IpcCap<Endpoint>> {
        let raw = self.store[tcb].slots[slot as usize].raw;
        match raw.into() {
            Cap::Endpoint(handler) if is_valid_handler(raw) => Some(handler),
            _ => None,
        }
    }

    /// `tcb` tells `handler` of its fault.
    fn send_fault(&mut self, tcb: Ref<Tcb>, handler: IpcCap<Endpoint>, fault: Fault) {
        self.store[tcb].fault = fault;
        let send = Send {
            badge: handler.badge,
            rights: handler.rights,
            blocking: true,
            is_call: true,
            can_donate: fault.donates(),
            caps: None,
        };
        holds::<{ fact::TELLS_FAULT }>();
        self.send_message(tcb, handler.object, send);
        ends::<{ fact::TELLS_FAULT }>();
    }

    /// Writes the message about `from`'s fault for `to`; its info word.
    pub(super) fn write_fault_message(&mut self, from: Ref<Tcb>, to: Ref<Tcb>) -> MessageInfo {
        let fault = self.store[from].fault;
        let mut message = FaultMessage { to, buffer: self.receive_buffer(to), length: 0 };
        let restart_pc = self.store[from].registers.words[A::REGISTERS.restart_pc];
        match fault {
            Fault::None => {}
            Fault::Capability { address, in_receive, failure } => {
                only_unless::<{ fact::IS_TIMEOUT }>();
                fault_is::<{ number::CAP_FAULT }>();
                let (words, count) = failure.words();
                let mut rounds = at_most!(3);
                for word in [restart_pc, address, u64::from(in_receive)] {
                    rounds.count();
                    message.push(self, word);
                }
                let mut rounds = at_most!(4);
                for &word in words.iter().take(count) {
                    rounds.count();
                    message.push(self, word);
                }
            }
            Fault::UnknownSyscall { number } => {
                only_unless::<{ fact::IS_TIMEOUT }>();
                fault_is::<{ number::UNKNOWN_SYSCALL }>();
                message.push_registers(self, from, A::REGISTERS.unknown_syscall);
                message.push(self, number);
            }
            Fault::UserException { number, code } => {
                only_unless::<{ fact::IS_TIMEOUT }>();
                fault_is::<{ number::USER_EXCEPTION }>();
                message.push_registers(self, from, A::REGISTERS.user_exception);
                message.push(self, number);
                message.push(self, code);
            }
            Fault::VirtualMemory { address, is_fetch, status } => {
                only_unless::<{ fact::IS_TIMEOUT }>();
                fault_is::<{ number::VM_FAULT }>();
                let mut rounds = at_most!(4);
                for word in [restart_pc, address, u64::from(is_fetch), status] {
                    rounds.count();
                    message.push(self, word);
                }
            }
            Fault::Timeout { badge } => {
                fault_is::<{ number::TIMEOUT }>();
                message.push(self, badge);
                if let Some(context) = self.store[from].sched_context {
                    let consumed = self.consumed_us(context);
                    message.push(self, consumed.0);
                }
            }
        }
        MessageInfo::new(fault.label(), 0, 0, message.length as usize)
    }

    /// Carries the answer `from` gives to `to`'s fault; whether `to` goes on.
    pub(super) fn fault_reply(&mut self, from: Ref<Tcb>, to: Ref<Tcb>) -> bool {
        let fault = core::mem::take(&mut self.store[to].fault);
        let info = MessageInfo(self.store[from].registers.words[A::REGISTERS.info]);
        let registers: &[usize] = match fault {
            Fault::None | Fault::Capability { .. } | Fault::VirtualMemory { .. } => return true,
            Fault::UnknownSyscall { .. } => {
                A::REGISTERS.unknown_syscall.get(..A::REGISTERS.unknown_syscall_reply).unwrap_or_default()
            }
            Fault::UserException { .. } => {
                A::REGISTERS.user_exception.get(..A::REGISTERS.user_exception_reply).unwrap_or_default()
            }
            Fault::Timeout { .. } => A::REGISTERS.timeout_reply,
        };
        self.write_replied_registers(from, to, registers, info);
        info.label() == 0
    }

    /// Writes the words of `from`'s message to the registers of `to`, as many as there are of both.
    fn write_replied_registers(
        &mut self,
        from: Ref<Tcb>,
        to: Ref<Tcb>,
        registers: &[usize],
        info: MessageInfo,
    ) {
        let buffer = self.send_buffer(from);
        let length = crate::invocation::usable_length(info, buffer);
        // Whatever system call it was about to repeat, it may do something else now.
        self.end_cancelling(to);
        self.arch.save_live_registers(&mut self.store, to);
        let mut rounds = at_most!(MAX_CONTEXT);
        for (index, &register) in registers.iter().enumerate().take(length as usize) {
            rounds.count();
            let word = match A::REGISTERS.message.get(index) {
                Some(&source) => self.store[from].registers.words[source],
                None => buffer.map_or(0, |buffer| self.store.load(buffer_word(buffer, index as u64))),
            };
            self.store[to].registers.words[register] = A::sanitise(register, word);
        }
        self.arch.load_live_registers(&mut self.store, to);
    }
}

/// A fault message that is being written.
struct FaultMessage {
    /// The receiver.
    to: Ref<Tcb>,
    /// Its buffer.
    buffer: Option<KernelAddr>,
    /// Words written.
    length: u64,
}

impl FaultMessage {
    /// Adds a word, unless there is no room for it.
    fn push<A: Arch>(&mut self, kernel: &mut Kernel<A>, word: u64) {
        match (A::REGISTERS.message.get(self.length as usize), self.buffer) {
            (Some(&register), _) => kernel.store[self.to].registers.words[register] = word,
            (None, Some(buffer)) => kernel.store.save(buffer_word(buffer, self.length), word),
            (None, None) => return,
        }
        self.length += 1;
    }

    /// Adds registers of `from`.
    fn push_registers<A: Arch>(&mut self, kernel: &mut Kernel<A>, from: Ref<Tcb>, registers: &[usize]) {
        let mut rounds = at_most!(MAX_CONTEXT);
        for &register in registers {
            rounds.count();
            let word = kernel.store[from].registers.words[register];
            self.push(kernel, word);
        }
    }
}
