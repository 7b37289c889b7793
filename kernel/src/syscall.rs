// SPDX-License-Identifier: MIT OR Apache-2.0

//! From a trap to an operation and back: the three ways into the kernel.
//!
//! The machine saves the registers of the current thread into its TCB and calls [`Kernel::handle_syscall`],
//! [`Kernel::handle_fault`] or [`Kernel::handle_irq`]. Each charges the time that has passed, does its work and
//! decides who runs next; the machine then restores the registers of [`crate::sched::Core::current`], or idles.
//!
//! A system call has up to two phases: one that sends (an *invocation* of any capability) and one that receives
//! (`syscalls.md` §7, §9). Which registers hold what is the table in `syscalls.md` §2.1.

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, RawCap, Rights, tag};
use crate::cspace::Slot;
use crate::error::{Error, LookupFailure};
use crate::invocation::{Message, Preempted, usable_length};
use crate::ipc::fastpath::Way;
use crate::ipc::fault::Fault;
use crate::ipc::rendezvous::{ExtraCaps, Send};
use crate::object::{Reply, Tcb, ThreadState};
use crate::store::Ref;
use keel_abi::message::{MESSAGE_REGISTERS, MessageInfo};
use keel_abi::syscall;
use keel_bounds::{
    Entry, at_most, entered_by, entry, fact, holds, not_entered_by, only_if, only_unless, operation,
    operation_is,
};

/// How a sending phase behaves (`syscalls.md` §7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sending {
    /// Waits until somebody takes the message.
    Send,
    /// Gives up when nobody waits for it.
    NonBlocking,
    /// Waits until somebody takes it, and then for the answer or result.
    Call,
    /// As non-blocking; the first of two phases, lends its context, and leaves some objects alone.
    FirstPhase,
}

impl Sending {
    /// Whether it waits until the message is taken.
    const fn is_blocking(self) -> bool {
        matches!(self, Self::Send | Self::Call)
    }

    /// Whether it waits for an answer.
    const fn is_call(self) -> bool {
        matches!(self, Self::Call)
    }

    /// Whether the sender's scheduling context may go along.
    const fn can_donate(self) -> bool {
        matches!(self, Self::Call | Self::FirstPhase)
    }
}

/// How a receiving phase behaves (`syscalls.md` §9).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Receiving {
    /// Whether it waits until something comes.
    blocking: bool,
    /// Whether the reply register names an object to answer callers with.
    with_reply: bool,
}

/// Recv.
const RECV: Receiving = Receiving { blocking: true, with_reply: true };
/// NBRecv.
const NB_RECV: Receiving = Receiving { blocking: false, with_reply: true };
/// Wait.
const WAIT: Receiving = Receiving { blocking: true, with_reply: false };
/// NBWait.
const NB_WAIT: Receiving = Receiving { blocking: false, with_reply: false };

impl<A: Arch> Kernel<A> {
    /// The current thread has executed a system call. Gives the thread that runs next.
    #[inline(always)]
    pub fn handle_syscall(&mut self) -> Option<Ref<Tcb>> {
        let _entry = Entry::begin();
        let thread = self.core.current?;
        let number = self.register(thread, A::REGISTERS.number);
        not_entered_by::<{ entry::INTERRUPT }>();
        not_entered_by::<{ entry::FAULT }>();
        not_entered_by::<{ entry::FPU }>();
        match self.try_fastpath(thread, number) {
            Way::Done(next) => next,
            Way::General => {
                self.handle_syscall_generally(thread, number);
                self.core.current
            }
        }
    }

    /// As [`Self::handle_syscall`], whatever the call.
    #[inline(never)]
    fn handle_syscall_generally(&mut self, thread: Ref<Tcb>, number: u64) {
        if !(syscall::YIELD..=syscall::CALL).contains(&number.cast_signed()) {
            return self.handle_other_syscall(thread, number);
        }
        let done = match number.cast_signed() {
            syscall::SEND => {
                entered_by::<{ syscall::SEND as u64 }>();
                self.send_directly(thread, Sending::Send)
            }
            syscall::NB_SEND => {
                entered_by::<{ syscall::NB_SEND as u64 }>();
                self.send_directly(thread, Sending::NonBlocking)
            }
            syscall::YIELD => {
                entered_by::<{ syscall::YIELD as u64 }>();
                self.is_quiet() && self.yield_directly(thread).is_some()
            }
            _ => false,
        };
        if done {
            return;
        }
        if !self.check_budget() {
            return;
        }
        match self.system_call(thread, number.cast_signed()) {
            Ok(()) => self.schedule(),
            Err(Preempted) => self.repeat_later(thread),
        }
    }

    /// The current thread has done what `fault` says.
    pub fn handle_fault(&mut self, fault: Fault) {
        let _entry = Entry::begin();
        if !self.check_budget() {
            return;
        }
        only_unless::<{ fact::PREEMPTED }>();
        if let Some(thread) = self.core.current {
            self.raise_fault(thread, fault);
        }
        self.schedule();
    }

    /// An interrupt has come, while a thread ran or while the kernel idled. If a budget or a domain's time has ended, that
    /// is dealt with first, but in the same entry: many small budgets that end one after the other would hold the interrupt
    /// up. Of interrupts one is taken: others come again, at once.
    pub fn handle_irq(&mut self) {
        let _entry = Entry::begin();
        entered_by::<{ entry::INTERRUPT }>();
        let is_quiet = self.is_quiet();
        if !is_quiet && !self.check_budget_at_interrupt() {
            // That was a whole entry's worth of steps.
            self.core.end_steps();
        } else {
            only_unless::<{ fact::PREEMPTED }>();
        }
        match self.take_interrupt() {
            Some((notification, badge)) => {
                if is_quiet && self.fast_signal(notification, badge) {
                    return;
                }
                self.signal(notification, badge);
            }
            None => self.wake_released(),
        }
        self.schedule();
    }

    /// Loads what the current thread runs in: registers that live in the machine, and its address space.
    pub fn activate_current(&mut self) {
        match self.core.current {
            Some(thread) => {
                let root = self.store[thread.slot(crate::object::tcb::TcbSlot::VSpace)].cap();
                let space = self.vspace_root(root);
                self.arch.switch_to(&mut self.store, thread, space);
            }
            None => self.arch.switch_to_idle(&mut self.store),
        }
    }

    /// A number that is none of the interface's eleven: a debug call, a machine's call, or a fault.
    fn handle_other_syscall(&mut self, thread: Ref<Tcb>, number: u64) {
        if A::HAS_TLS_CALL && number.cast_signed() == syscall::SET_TLS_BASE {
            return self.set_own_tls_base(thread);
        }
        entered_by::<{ entry::UNKNOWN_SYSCALL }>();
        if cfg!(debug_assertions) && self.debug_call(thread, number.cast_signed()) {
            return;
        }
        self.handle_fault(Fault::UnknownSyscall { number });
    }

    /// SetTLSBase: a value that the register cannot hold is ignored.
    fn set_own_tls_base(&mut self, thread: Ref<Tcb>) {
        let base = self.register(thread, A::REGISTERS.capability);
        if !self.check_budget() {
            return;
        }
        only_unless::<{ fact::PREEMPTED }>();
        if A::sanitise(A::REGISTERS.tls, base) == base {
            self.store[thread].registers.words[A::REGISTERS.tls] = base;
            self.arch.load_live_registers(&mut self.store, thread);
        }
        self.schedule();
    }

    /// `thread` was preempted in the middle of a call that it will repeat; here the entry ends. The interrupt that preempted
    /// it comes when the kernel is left.
    #[cold]
    #[inline(never)]
    fn repeat_later(&mut self, thread: Ref<Tcb>) {
        only_if::<{ fact::PREEMPTED }>();
        if self.core.current == Some(thread) && self.store[thread].state == ThreadState::Running {
            self.store[thread].state = ThreadState::Restart;
        }
        self.update_time();
        if self.check_budget_at_interrupt() {
            self.schedule();
        }
    }

    /// The phases of the call with this number.
    fn system_call(&mut self, thread: Ref<Tcb>, number: i64) -> Result<(), Preempted> {
        only_unless::<{ fact::PREEMPTED }>();
        let registers = &A::REGISTERS;
        let own = |register| self.register(thread, register);
        let (capability, reply, send_to) =
            (own(registers.capability), own(registers.reply), own(registers.send_to));
        match number {
            syscall::CALL => {
                entered_by::<{ syscall::CALL as u64 }>();
                self.send_phase(thread, capability, Sending::Call)?;
            }
            syscall::SEND => {
                entered_by::<{ syscall::SEND as u64 }>();
                self.send_phase(thread, capability, Sending::Send)?;
            }
            syscall::NB_SEND => {
                entered_by::<{ syscall::NB_SEND as u64 }>();
                self.send_phase(thread, capability, Sending::NonBlocking)?;
            }
            syscall::REPLY_RECV => {
                entered_by::<{ syscall::REPLY_RECV as u64 }>();
                self.send_phase(thread, reply, Sending::FirstPhase)?;
                self.receive_phase(thread, capability, RECV);
            }
            syscall::NB_SEND_RECV => {
                entered_by::<{ syscall::NB_SEND_RECV as u64 }>();
                self.send_phase(thread, send_to, Sending::FirstPhase)?;
                self.receive_phase(thread, capability, RECV);
            }
            syscall::NB_SEND_WAIT => {
                entered_by::<{ syscall::NB_SEND_WAIT as u64 }>();
                self.send_phase(thread, reply, Sending::FirstPhase)?;
                self.receive_phase(thread, capability, WAIT);
            }
            syscall::RECV => {
                entered_by::<{ syscall::RECV as u64 }>();
                self.receive_phase(thread, capability, RECV);
            }
            syscall::NB_RECV => {
                entered_by::<{ syscall::NB_RECV as u64 }>();
                self.receive_phase(thread, capability, NB_RECV);
            }
            syscall::WAIT => {
                entered_by::<{ syscall::WAIT as u64 }>();
                self.receive_phase(thread, capability, WAIT);
            }
            syscall::NB_WAIT => {
                entered_by::<{ syscall::NB_WAIT as u64 }>();
                self.receive_phase(thread, capability, NB_WAIT);
            }
            _ => {
                entered_by::<{ syscall::YIELD as u64 }>();
                self.yield_current();
            }
        }
        Ok(())
    }

    /// A saved register.
    fn register(&self, thread: Ref<Tcb>, index: usize) -> u64 {
        self.store[thread].registers.words[index]
    }

    /// Calls what is in `slot`, which is not an endpoint: an object, mostly. There is time, and nobody is to be
    /// released. The other half of [`Self::try_fastpath`].
    #[inline(never)]
    pub(crate) fn call_object(&mut self, thread: Ref<Tcb>, slot: Ref<Slot>) {
        self.send_through(thread, slot, Sending::Call);
    }

    /// The current thread's Send or NBSend, if there is time, nobody is to be released, and its CSpace has one level;
    /// whether it was done.
    #[inline(always)]
    fn send_directly(&mut self, thread: Ref<Tcb>, kind: Sending) -> bool {
        if !self.is_quiet() {
            return false;
        }
        let Some(slot) = self.lookup_directly(thread, A::REGISTERS.capability) else { return false };
        if !self.try_signal(thread, self.store[slot].raw) {
            self.send_through(thread, slot, kind);
        }
        true
    }

    /// Sends the message of `thread` to what is in `slot`: all of a system call with one phase that sends.
    #[inline(always)]
    fn send_through(&mut self, thread: Ref<Tcb>, slot: Ref<Slot>, kind: Sending) {
        let info = MessageInfo(self.register(thread, A::REGISTERS.info));
        match self.send_to(thread, slot, info, kind) {
            Ok(()) => self.schedule(),
            Err(Preempted) => self.repeat_later(thread),
        }
    }

    /// Sends the message of `thread` to whatever `address` names.
    #[inline(always)]
    fn send_phase(&mut self, thread: Ref<Tcb>, address: u64, kind: Sending) -> Result<(), Preempted> {
        let info = MessageInfo(self.register(thread, A::REGISTERS.info));
        match self.lookup_cap(thread, address) {
            Ok(slot) => self.send_to(thread, slot, info, kind),
            Err(failure) => {
                self.refuse_address(thread, kind, address, failure);
                Ok(())
            }
        }
    }

    /// The message of `thread` names nothing at `address`.
    #[cold]
    fn refuse_address(&mut self, thread: Ref<Tcb>, kind: Sending, address: u64, failure: LookupFailure) {
        operation_is::<{ operation::NOTHING }>();
        if kind.is_blocking() {
            self.raise_fault(thread, Fault::Capability { address, in_receive: false, failure });
        }
    }

    /// Sends the message of `thread` to what is in `slot`.
    #[inline]
    fn send_to(
        &mut self,
        thread: Ref<Tcb>,
        slot: Ref<Slot>,
        info: MessageInfo,
        kind: Sending,
    ) -> Result<(), Preempted> {
        let mut message = Message {
            sender: thread,
            is_call: kind.is_call(),
            slot,
            label: info.label(),
            length: info.length() as u64,
            caps: ExtraCaps::default(),
            buffer: None,
        };
        if !info.is_at_most(MESSAGE_REGISTERS) {
            message.buffer = self.send_buffer(thread);
            message.length = usable_length(info, message.buffer);
            if let Some(buffer) = message.buffer {
                match self.lookup_extra_caps(thread, info, buffer) {
                    Ok(caps) => message.caps = caps,
                    Err((address, failure)) => {
                        self.refuse_address(thread, kind, address, failure);
                        return Ok(());
                    }
                }
            }
        }
        let raw = self.store[slot].raw;
        // Which right an object asks for is no matter of its tag: without it the message is an invocation, and
        // refused as such.
        match raw.tag() {
            tag::ENDPOINT if raw.rights().has(Rights::WRITE) => {
                operation_is::<{ operation::SEND }>();
                if let Some(endpoint) = raw.object(4) {
                    let send = Send {
                        badge: raw.word1,
                        rights: raw.rights(),
                        blocking: kind.is_blocking(),
                        is_call: kind.is_call(),
                        can_donate: kind.can_donate(),
                        caps: Some(message.caps),
                    };
                    self.send_message(thread, endpoint, send);
                }
            }
            tag::NOTIFICATION if raw.rights().has(Rights::WRITE) => {
                operation_is::<{ operation::SIGNAL }>();
                if let Some(notification) = raw.object(4) {
                    self.signal(notification, raw.word1);
                    // A notification has no results; a caller of one is answered at once.
                    self.finish_invocation(thread, kind, 0);
                }
            }
            tag::REPLY => {
                operation_is::<{ operation::REPLY }>();
                if let Some(reply) = raw.object(5) {
                    self.reply_to(thread, reply, raw.rights(), Some(message.caps));
                    self.finish_invocation(thread, kind, 0);
                }
            }
            _ => return self.invocation_phase(raw, &message, kind),
        }
        Ok(())
    }

    /// Invokes an object.
    fn invocation_phase(&mut self, raw: RawCap, message: &Message, kind: Sending) -> Result<(), Preempted> {
        let outcome = if kind == Sending::FirstPhase && is_left_alone_in_first_phase(raw.tag()) {
            Ok(Err(Error::InvalidCapability(0)))
        } else {
            self.invoke(raw, message)
        };
        match &outcome {
            Ok(Ok(length)) => {
                only_unless::<{ fact::PREEMPTED }>();
                self.finish_invocation(message.sender, kind, *length);
            }
            Ok(Err(error)) => {
                only_unless::<{ fact::PREEMPTED }>();
                self.report_refused(message, raw.into(), error);
                self.finish_refused(message.sender, kind, error);
            }
            Err(Preempted) => return Err(Preempted),
        }
        Ok(())
    }

    /// Tells a caller that its invocation ended well, with this many result words.
    #[inline]
    fn finish_invocation(&mut self, thread: Ref<Tcb>, kind: Sending, length: u64) {
        // A thread that has deleted itself hears nothing.
        if kind.is_call() && self.core.current == Some(thread) {
            self.answer(thread, MessageInfo::new(0, 0, 0, length as usize));
        }
    }

    /// Tells a caller that its invocation was refused.
    fn finish_refused(&mut self, thread: Ref<Tcb>, kind: Sending, error: &Error) {
        operation_is::<{ operation::REFUSED }>();
        if !kind.is_call() || self.core.current != Some(thread) {
            return;
        }
        let (words, mut length) = error.words();
        let buffer = if length > MESSAGE_REGISTERS { self.receive_buffer(thread) } else { None };
        if buffer.is_none() {
            length = length.min(MESSAGE_REGISTERS);
        }
        let mut rounds = at_most!(5);
        for (index, &word) in words.iter().enumerate().take(length) {
            rounds.count();
            self.set_word(thread, buffer, index as u64, word);
        }
        self.answer(thread, MessageInfo::new(error.code() as u64, 0, 0, length));
    }

    /// The kernel's answer to a call.
    fn answer(&mut self, thread: Ref<Tcb>, info: MessageInfo) {
        let registers = &mut self.store[thread].registers.words;
        registers[A::REGISTERS.capability] = 0;
        registers[A::REGISTERS.info] = info.word();
    }

    /// Receives from whatever `address` names.
    fn receive_phase(&mut self, thread: Ref<Tcb>, address: u64, kind: Receiving) {
        holds::<{ fact::RECEIVES }>();
        let failed = |address, failure| Fault::Capability { address, in_receive: true, failure };
        let missing = LookupFailure::MissingCapability { bits_left: 0 };
        let cap = match self.lookup_cap(thread, address) {
            Ok(slot) => self.store[slot].cap(),
            Err(failure) => return self.raise_fault(thread, failed(address, failure)),
        };
        match cap {
            Cap::Endpoint(c) if c.rights.has(Rights::READ) => match self.lookup_reply(thread, kind) {
                Ok(reply) => self.receive_message(thread, c.object, kind.blocking, reply),
                Err((address, failure)) => self.raise_fault(thread, failed(address, failure)),
            },
            Cap::Notification(c) if c.rights.has(Rights::READ) => match self.store[c.object].bound_tcb {
                Some(bound) if bound != thread => self.raise_fault(thread, failed(address, missing)),
                _ => self.receive_signal(thread, c.object, kind.blocking),
            },
            _ => self.raise_fault(thread, failed(address, missing)),
        }
    }

    /// The reply object that `thread` brings, if this kind of receive wants one.
    fn lookup_reply(
        &self,
        thread: Ref<Tcb>,
        kind: Receiving,
    ) -> Result<Option<Ref<Reply>>, (u64, LookupFailure)> {
        if !kind.with_reply {
            return Ok(None);
        }
        not_without_reply();
        let address = self.register(thread, A::REGISTERS.reply);
        let slot: Ref<Slot> = self.lookup_cap(thread, address).map_err(|failure| (address, failure))?;
        match self.store[slot].cap() {
            Cap::Reply { object, .. } => Ok(Some(object)),
            _ => Err((address, LookupFailure::MissingCapability { bits_left: 0 })),
        }
    }
}

/// Says that no system call that receives without a reply object comes here.
#[inline(always)]
pub(crate) fn not_without_reply() {
    not_entered_by::<{ syscall::WAIT as u64 }>();
    not_entered_by::<{ syscall::NB_WAIT as u64 }>();
    not_entered_by::<{ syscall::NB_SEND_WAIT as u64 }>();
}

/// Says that no system call with two phases comes here.
#[inline(always)]
pub(crate) fn not_in_two_phases() {
    not_entered_by::<{ syscall::REPLY_RECV as u64 }>();
    not_entered_by::<{ syscall::NB_SEND_RECV as u64 }>();
    not_entered_by::<{ syscall::NB_SEND_WAIT as u64 }>();
}

/// Objects that the first of two phases does not invoke (`syscalls.md` §7, step 4).
const fn is_left_alone_in_first_phase(tag: u8) -> bool {
    matches!(tag, tag::TCB | tag::CNODE | tag::DOMAIN_SET | tag::SCHED_CONTROL | tag::SCHED_CONTEXT)
}

#[cfg(test)]
mod test;
