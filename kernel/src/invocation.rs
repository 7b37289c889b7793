// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of objects: from a message to an operation, and its results back.
//!
//! [`Kernel::decode`] hands the message to the file of the object that the capability names. What comes back is
//! an error of the interface or an [`Invocation`]: a complete description of an operation that has been found
//! legal. [`Kernel::perform`] carries it out; it cannot fail, at most it is preempted, and then nothing is lost:
//! the system is consistent and the caller repeats its call.

use crate::Kernel;
use crate::arch::{Arch, PagingLabel};
use crate::cap::Cap;
use crate::cspace::Slot;
use crate::error::Error;
use crate::object::{
    Tcb, asid, cnode, domain, frame, irq, sched_context, sched_control, table, tcb, untyped,
};
use crate::store::Ref;
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

/// A legal operation, ready to be performed.
#[expect(clippy::large_enum_variant, reason = "there is no heap to put the large one into")]
#[derive(Clone, Copy)]
pub enum Invocation<A: Arch> {
    /// On untyped memory.
    Untyped(untyped::Retype),
    /// On a CNode.
    CNode(cnode::Invocation),
    /// On a thread.
    Tcb(tcb::invocation::Invocation),
    /// On a scheduling context.
    SchedContext(sched_context::Invocation),
    /// On a core's time.
    SchedControl(sched_control::Configure),
    /// On domains.
    Domain(domain::Invocation),
    /// On interrupts.
    Irq(irq::Invocation),
    /// On a frame.
    Frame(frame::Invocation),
    /// On a page table.
    Table(table::Invocation),
    /// On address space identifiers.
    Asid(asid::Invocation),
    /// On something that only this machine has.
    Machine(A::Invocation),
}

impl<A: Arch> Kernel<A> {
    /// Word `index` of the message.
    ///
    /// Only words below the message's length are asked for; words from 4 on exist only with a buffer.
    #[must_use]
    pub fn argument(&self, message: &Message, index: u64) -> u64 {
        match A::REGISTERS.message.get(index as usize) {
            Some(&register) => self.store[message.sender].registers.words[register],
            None => message.buffer.map_or(0, |buffer| self.store.load(buffer_word(buffer, index))),
        }
    }

    /// The capability in extra slot `index`: a null capability where the slot is empty, an error where the message
    /// has too few.
    pub fn extra_cap(&self, message: &Message, index: usize) -> Result<(Ref<Slot>, Cap), Error> {
        let slot = message.caps.get(index).copied().flatten().ok_or(Error::TruncatedMessage)?;
        Ok((slot, self.store[slot].cap()))
    }

    /// Writes result word `index` for `thread`, which called: a register, or a word of its buffer if it has one.
    pub fn set_result(&mut self, thread: Ref<Tcb>, index: u64, word: u64) {
        match A::REGISTERS.message.get(index as usize) {
            Some(&register) => self.store[thread].registers.words[register] = word,
            None => {
                if let Some(buffer) = self.receive_buffer(thread) {
                    self.store.save(buffer_word(buffer, index), word);
                }
            }
        }
    }

    /// Checks everything about an invocation of `cap` and changes nothing.
    pub fn decode(&self, cap: Cap, message: &Message) -> Result<Invocation<A>, Error> {
        match cap {
            Cap::Untyped(untyped) => self.decode_untyped(untyped, message).map(Invocation::Untyped),
            Cap::CNode(_) => self.decode_cnode(cap, message).map(Invocation::CNode),
            Cap::Tcb(tcb) => self.decode_tcb(tcb, message).map(Invocation::Tcb),
            Cap::SchedContext { object, .. } => {
                self.decode_sched_context(object, message).map(Invocation::SchedContext)
            }
            Cap::SchedControl { core } => {
                self.decode_sched_control(core, message).map(Invocation::SchedControl)
            }
            Cap::DomainSet => self.decode_domain_set(message).map(Invocation::Domain),
            Cap::IrqControl => self.decode_irq_control(message),
            Cap::IrqHandler(irq) => self.decode_irq_handler(irq, message).map(Invocation::Irq),
            Cap::Frame(_) | Cap::Table(_) | Cap::VSpace(_) | Cap::AsidControl | Cap::AsidPool { .. } => {
                self.decode_paging(cap, message)
            }
            Cap::Machine(_) => A::decode(self, cap, message).map(Invocation::Machine),
            // Messages to endpoints, notifications and reply objects are not invocations and do not come here.
            Cap::Null | Cap::Zombie(_) | Cap::Endpoint(_) | Cap::Notification(_) | Cap::Reply { .. } => {
                Err(Error::InvalidCapability(0))
            }
        }
    }

    /// Checks an invocation of a frame, a table, an address space or its identifiers: what all machines
    /// have is portable, the rest is the machine's.
    fn decode_paging(&self, cap: Cap, message: &Message) -> Result<Invocation<A>, Error> {
        match (cap, A::paging_label(message.label)) {
            (
                Cap::Frame(frame),
                Some(label @ (PagingLabel::PageMap | PagingLabel::PageUnmap | PagingLabel::PageGetAddress)),
            ) => self.decode_frame(frame, label, message).map(Invocation::Frame),
            (Cap::Table(table), Some(label @ (PagingLabel::TableMap | PagingLabel::TableUnmap))) => {
                self.decode_table(table, label, message).map(Invocation::Table)
            }
            (Cap::VSpace(_), Some(label @ (PagingLabel::TableMap | PagingLabel::TableUnmap)))
                if A::TABLES_ARE_ROOTS =>
            {
                Err(self.refuse_root(label, message))
            }
            (Cap::AsidControl, Some(PagingLabel::MakePool)) => {
                self.decode_make_pool(message).map(Invocation::Asid)
            }
            (Cap::AsidPool { pool, base }, Some(PagingLabel::Assign)) => {
                self.decode_assign(pool, base, message).map(Invocation::Asid)
            }
            (cap, _) => A::decode(self, cap, message).map(Invocation::Machine),
        }
    }

    /// Carries out a decoded invocation that `caller` made; the number of result words, which are written.
    pub fn perform(&mut self, invocation: Invocation<A>, message: &Message) -> Result<u64, Preempted> {
        match invocation {
            Invocation::Untyped(retype) => self.perform_retype(retype),
            Invocation::CNode(operation) => self.perform_cnode(operation),
            Invocation::Tcb(operation) => self.perform_tcb(operation, message),
            Invocation::SchedContext(operation) => self.perform_sched_context(operation, message),
            Invocation::SchedControl(configure) => self.perform_configure(configure),
            Invocation::Domain(operation) => self.perform_domain(operation),
            Invocation::Irq(operation) => self.perform_irq(operation),
            Invocation::Frame(operation) => self.perform_frame(operation, message),
            Invocation::Table(operation) => self.perform_table(operation),
            Invocation::Asid(operation) => self.perform_asid(operation),
            Invocation::Machine(operation) => A::perform(self, operation, message),
        }
    }
}

/// Where word `index` of a message lies in an IPC buffer.
#[must_use]
pub const fn buffer_word(buffer: KernelAddr, index: u64) -> KernelAddr {
    buffer.offset((index + 1) * 8)
}

impl Message {
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
