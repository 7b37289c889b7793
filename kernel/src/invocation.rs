// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of objects: from a message to an operation, and its results back.
//!
//! [`Kernel::invoke`] hands the message to the file of the object that the capability names, twice. Decoding gives
//! an error of the interface or an `Invocation` of that object: a complete description of an operation that has been
//! found legal. Performing carries it out; it cannot fail, at most it is preempted, and then nothing is lost: the
//! system is consistent and the caller repeats its call.

use crate::Kernel;
use crate::arch::{Arch, PagingLabel};
use crate::cap::{Cap, RawCap, tag};
use crate::cspace::Slot;
use crate::error::Error;
use crate::object::{Tcb, irq};
use crate::store::Ref;
use crate::syscall::not_in_two_phases;
use crate::units::KernelAddr;
use keel_abi::message::{MAX_EXTRA_CAPS, MESSAGE_REGISTERS, MessageInfo};

/// The caller's work was interrupted at a preemption point; its system call is to be repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preempted;

/// A message to an object, as far as decoding needs it.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Who sends it.
    pub sender: Ref<Tcb>,
    /// Whether the sender waits for results.
    pub is_call: bool,
    /// The slot of the invoked capability.
    pub slot: Ref<Slot>,
    /// What is to be done.
    pub label: u64,
    /// Number of words, at most 120, and at most 4 without a buffer.
    pub length: u64,
    /// The extra capabilities; a slot may be empty.
    pub caps: [Option<Ref<Slot>>; MAX_EXTRA_CAPS],
    /// The sender's IPC buffer in the kernel's window, if it has a readable one.
    pub buffer: Option<KernelAddr>,
}

/// A legal operation of IRQControl, which the machine may have its own of.
#[derive(Clone, Copy)]
pub enum IrqControlInvocation<A: Arch> {
    /// The one that all machines have.
    Issue(irq::Issue),
    /// One of this machine.
    Machine(A::Invocation),
}

/// How an invocation ended: with so many result words, which are written, or refused.
pub type Outcome = Result<Result<u64, Error>, Preempted>;

impl<A: Arch> Kernel<A> {
    /// Word `index` of the message.
    ///
    /// Only words below the message's length are asked for; words from 4 on exist only with a buffer.
    #[must_use]
    #[inline]
    pub fn argument(&self, message: &Message, index: u64) -> u64 {
        match A::REGISTERS.message.get(index as usize) {
            Some(&register) => self.store[message.sender].registers.words[register],
            None => message.buffer.map_or(0, |buffer| self.store.load(buffer_word(buffer, index))),
        }
    }

    /// The capability in extra slot `index`: a null capability where the slot is empty, an error where the message
    /// has too few.
    #[inline(always)]
    pub fn extra_cap(&self, message: &Message, index: usize) -> Result<(Ref<Slot>, Cap), Error> {
        let slot = message.extra_slot(index)?;
        Ok((slot, self.store[slot].cap()))
    }

    /// As [`Self::extra_cap`], in the packed form.
    #[inline(always)]
    pub fn extra_raw(&self, message: &Message, index: usize) -> Result<RawCap, Error> {
        Ok(self.store[message.extra_slot(index)?].raw)
    }

    /// Writes result word `index` for `thread`, which called: a register, or a word of its buffer if it has one.
    pub fn set_result(&mut self, thread: Ref<Tcb>, index: u64, word: u64) {
        let in_buffer = index >= MESSAGE_REGISTERS as u64;
        let buffer = if in_buffer { self.receive_buffer(thread) } else { None };
        self.set_word(thread, buffer, index, word);
    }

    /// Writes word `index` of what `thread`, which has this IPC buffer for it or none, is told.
    #[inline(always)]
    pub(crate) fn set_word(&mut self, thread: Ref<Tcb>, buffer: Option<KernelAddr>, index: u64, word: u64) {
        match (A::REGISTERS.message.get(index as usize), buffer) {
            (Some(&register), _) => self.store[thread].registers.words[register] = word,
            (None, Some(buffer)) => self.store.save(buffer_word(buffer, index), word),
            (None, None) => {}
        }
    }

    /// Invokes the object of the capability `raw`: decodes, and if that found the operation legal performs it.
    pub fn invoke(&mut self, raw: RawCap, message: &Message) -> Outcome {
        // By the tag, not by the form: so each arm unpacks what it is about.
        match raw.tag() {
            tag::UNTYPED => {
                if let Cap::Untyped(untyped) = raw.into() {
                    let decoded = self.decode_untyped(untyped, message);
                    return self.act(decoded, |kernel, retype| kernel.perform_retype(*retype));
                }
            }
            tag::CNODE => {
                not_in_two_phases();
                let decoded = self.decode_cnode(raw, message);
                return self.act(decoded, |kernel, operation| kernel.perform_cnode(*operation));
            }
            tag::TCB => {
                not_in_two_phases();
                if let Cap::Tcb(tcb) = raw.into() {
                    let decoded = self.decode_tcb(tcb, message);
                    return self.act(decoded, |kernel, operation| kernel.perform_tcb(operation, message));
                }
            }
            tag::SCHED_CONTEXT => {
                not_in_two_phases();
                if let Cap::SchedContext { object, .. } = raw.into() {
                    let decoded = self.decode_sched_context(object, message);
                    let perform =
                        |kernel: &mut Self, operation: &_| kernel.perform_sched_context(*operation, message);
                    return self.act(decoded, perform);
                }
            }
            tag::SCHED_CONTROL => {
                not_in_two_phases();
                if let Cap::SchedControl { core } = raw.into() {
                    let decoded = self.decode_sched_control(core, message);
                    return self.act(decoded, |kernel, configure| kernel.perform_configure(*configure));
                }
            }
            tag::DOMAIN_SET => {
                not_in_two_phases();
                let decoded = self.decode_domain_set(message);
                return self.act(decoded, |kernel, operation| kernel.perform_domain(*operation));
            }
            tag::IRQ_CONTROL => {
                let decoded = self.decode_irq_control(message);
                return self.act(decoded, |kernel, operation| match *operation {
                    IrqControlInvocation::Issue(issue) => {
                        kernel.perform_issue(issue);
                        Ok(0)
                    }
                    IrqControlInvocation::Machine(operation) => A::perform(kernel, operation, message),
                });
            }
            tag::IRQ_HANDLER => {
                if let Cap::IrqHandler(irq) = raw.into() {
                    let decoded = self.decode_irq_handler(irq, message);
                    return self.act(decoded, |kernel, operation| kernel.perform_irq(*operation));
                }
            }
            tag::FRAME | tag::PAGE_TABLE | tag::VSPACE | tag::ASID_CONTROL | tag::ASID_POOL => {
                return self.invoke_paging(raw.into(), message);
            }
            // Messages to endpoints, notifications and reply objects are not invocations and do not come here.
            tag::NULL | tag::ZOMBIE | tag::ENDPOINT | tag::NOTIFICATION | tag::REPLY => {}
            _ => return self.invoke_machine(raw.into(), message),
        }
        Ok(Err(Error::InvalidCapability(0)))
    }

    /// Invokes a frame, a table, an address space or its identifiers: what all machines have is portable, the
    /// rest is the machine's.
    fn invoke_paging(&mut self, cap: Cap, message: &Message) -> Outcome {
        match (cap, A::paging_label(message.label)) {
            (
                Cap::Frame(frame),
                Some(label @ (PagingLabel::PageMap | PagingLabel::PageUnmap | PagingLabel::PageGetAddress)),
            ) => self.act(self.decode_frame(frame, label, message), |kernel, operation| {
                kernel.perform_frame(*operation, message)
            }),
            (
                Cap::Table(table),
                Some(label @ (PagingLabel::TableMap(level) | PagingLabel::TableUnmap(level))),
            ) if level == table.level => self
                .act(self.decode_table(table, label, message), |kernel, operation| {
                    kernel.perform_table(*operation)
                }),
            (Cap::VSpace(_), Some(label @ (PagingLabel::TableMap(_) | PagingLabel::TableUnmap(_))))
                if A::TABLES_ARE_ROOTS =>
            {
                Ok(Err(self.refuse_root(label, message)))
            }
            (Cap::AsidControl, Some(PagingLabel::MakePool)) => {
                self.act(self.decode_make_pool(message), |kernel, operation| kernel.perform_asid(*operation))
            }
            (Cap::AsidPool { pool, base }, Some(PagingLabel::Assign)) => self
                .act(self.decode_assign(pool, base, message), |kernel, operation| {
                    kernel.perform_asid(*operation)
                }),
            (cap, _) => self.invoke_machine(cap, message),
        }
    }

    /// Invokes what only this machine has.
    fn invoke_machine(&mut self, cap: Cap, message: &Message) -> Outcome {
        self.act(A::decode(self, cap, message), |kernel, operation| A::perform(kernel, *operation, message))
    }

    /// Performs what was decoded, if it was found legal. Each kind of object has its own type of operation: one
    /// that held them all would be copied several times over.
    #[inline(always)]
    fn act<T>(
        &mut self,
        decoded: Result<T, Error>,
        perform: impl FnOnce(&mut Self, &T) -> Result<u64, Preempted>,
    ) -> Outcome {
        match &decoded {
            Ok(operation) => perform(self, operation).map(Ok),
            Err(error) => Ok(Err(*error)),
        }
    }
}

/// Where word `index` of a message lies in an IPC buffer.
#[must_use]
pub const fn buffer_word(buffer: KernelAddr, index: u64) -> KernelAddr {
    buffer.offset((index + 1) * 8)
}

impl Message {
    /// The slot of extra capability `index`; an error where the message has too few.
    #[inline(always)]
    pub fn extra_slot(&self, index: usize) -> Result<Ref<Slot>, Error> {
        self.caps.get(index).copied().flatten().ok_or(Error::TruncatedMessage)
    }

    /// The message length as `TruncatedMessage` checks see it.
    pub const fn require(&self, words: u64) -> Result<(), Error> {
        if self.length < words { Err(Error::TruncatedMessage) } else { Ok(()) }
    }
}

/// The number of words that a thread with this IPC buffer, or without one, can send or receive of a message.
#[must_use]
pub fn usable_length(info: MessageInfo, buffer: Option<KernelAddr>) -> u64 {
    let length = info.length() as u64;
    if buffer.is_some() { length } else { length.min(MESSAGE_REGISTERS as u64) }
}
