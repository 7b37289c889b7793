// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls: a phase that sends, a phase that receives, or both (`syscalls.md` §7, §9).

use super::error::{Error, LookupFailure};
use super::fault::Fault;
use super::time::Entry;
use super::{Activity, Cap, Look, NotCovered, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::{Object, Slot};
use keel_abi::aarch64::registers::{CAPABILITY, MESSAGE_INFO, REPLY, SEND_DESTINATION, SYSCALL_NUMBER};
use keel_abi::message::MessageInfo;
use keel_abi::syscall;

/// How a phase sends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sends {
    /// Waits until it can.
    Blocking,
    /// Gives up if it cannot.
    NonBlocking,
    /// Waits, and then for the answer.
    Calling,
    /// Gives up if it cannot, and lends its time: the first of two phases.
    First,
}

/// A message to an object.
pub struct Message {
    /// Who sends it.
    pub sender: Object,
    /// Whether the sender waits for an answer.
    pub is_call: bool,
    /// The invoked capability.
    pub slot: Slot,
    /// What is wanted.
    pub label: u64,
    /// How many words.
    pub length: u64,
    /// The extra capabilities.
    pub caps: Vec<Slot>,
}

/// Why a system call has not come to its end.
enum Stop {
    /// The specification does not say what it does.
    NotCovered(NotCovered),
    /// It was interrupted in the middle.
    Preempted,
}

impl From<NotCovered> for Stop {
    fn from(open: NotCovered) -> Self {
        Self::NotCovered(open)
    }
}

/// What an invocation answers.
pub type Answer = Result<Vec<u64>, Error>;

impl System {
    /// At `now` the running thread makes the system call that its registers say.
    pub fn system_call(&mut self, now: u64) -> Result<(), NotCovered> {
        let Some(thread) = self.current else { return Ok(()) };
        self.thread_mut(thread).registers.trap();
        let number = self.thread(thread).registers[SYSCALL_NUMBER].cast_signed();
        if self.debug_call(thread, number)? {
            return Ok(());
        }
        if self.enter(now, Entry::Instruction)? {
            match self.phases(thread) {
                Ok(()) => {}
                Err(Stop::NotCovered(open)) => return Err(open),
                Err(Stop::Preempted) => {
                    self.repeat_later(thread);
                    self.enter(self.clock.now, Entry::Interrupt)?;
                }
            }
        }
        self.schedule();
        Ok(())
    }

    /// The same, where it looks in the middle whether it may go on. What interrupts it there comes afterwards.
    pub fn begin_system_call(&mut self, now: u64, look: Look) -> Result<(), NotCovered> {
        self.look = Some(look);
        let done = self.system_call(now);
        self.look = None;
        done
    }

    /// `thread` was interrupted in the middle of its call. It makes it again when it next runs, and goes on with what
    /// it finds; not if it has deleted or stopped itself.
    fn repeat_later(&mut self, thread: Object) {
        if self.current == Some(thread) && self.thread(thread).activity == Activity::Runnable {
            self.thread_mut(thread).repeats = true;
        }
    }

    fn phases(&mut self, thread: Object) -> Result<(), Stop> {
        let registers = self.thread(thread).registers;
        let (capability, reply) = (registers[CAPABILITY], registers[REPLY]);
        let number = registers[SYSCALL_NUMBER].cast_signed();
        match number {
            syscall::CALL => self.send(thread, capability, Sends::Calling),
            syscall::SEND => self.send(thread, capability, Sends::Blocking),
            syscall::NB_SEND => self.send(thread, capability, Sends::NonBlocking),
            syscall::REPLY_RECV => {
                self.send(thread, reply, Sends::First)?;
                Ok(self.receive(thread, capability, true, true)?)
            }
            syscall::NB_SEND_RECV => {
                self.send(thread, registers[SEND_DESTINATION], Sends::First)?;
                Ok(self.receive(thread, capability, true, true)?)
            }
            syscall::NB_SEND_WAIT => {
                self.send(thread, reply, Sends::First)?;
                Ok(self.receive(thread, capability, true, false)?)
            }
            syscall::RECV => Ok(self.receive(thread, capability, true, true)?),
            syscall::NB_RECV => Ok(self.receive(thread, capability, false, true)?),
            syscall::WAIT => Ok(self.receive(thread, capability, true, false)?),
            syscall::NB_WAIT => Ok(self.receive(thread, capability, false, false)?),
            syscall::YIELD => {
                self.yield_now(thread);
                Ok(())
            }
            _ => Ok(self.fault(thread, Fault::UnknownSyscall { number: number.cast_unsigned() })?),
        }
    }

    fn send(&mut self, thread: Object, address: u64, how: Sends) -> Result<(), Stop> {
        let waits = matches!(how, Sends::Blocking | Sends::Calling);
        let slot = self.lookup(thread, address).map_err(|failure| (address, failure));
        let message = match slot.and_then(|slot| self.message(thread, slot, how == Sends::Calling)) {
            Ok(message) => message,
            Err((address, failure)) if waits => {
                return Ok(self.fault(thread, Fault::Capability { address, in_receive: false, failure })?);
            }
            Err(_) => return Ok(()),
        };
        let cap = self.cap(&message.slot);
        let may_write = cap.rights.has(Rights::WRITE);
        let answer = match cap.kind {
            Kind::Endpoint if may_write => {
                return Ok(self.send_to_endpoint(thread, &cap, how, &message.caps)?);
            }
            Kind::Notification if may_write => {
                self.signal(cap.object, cap.data).map(|()| vec![]).map_err(Error::from)
            }
            Kind::Reply => self.reply(thread, &cap, &message.caps).map(|()| vec![]).map_err(Error::from),
            _ if how == Sends::First && is_left_alone(&cap) => Err(Error::InvalidCapability(0)),
            _ => self.invoke(&cap, &message),
        };
        match answer {
            Err(Error::Open(open)) => return Err(open.into()),
            Err(Error::Preempted) => return Err(Stop::Preempted),
            _ => {}
        }
        if how == Sends::Calling && self.threads.contains_key(&thread) {
            self.answer(thread, answer);
        }
        Ok(())
    }

    /// Writes what an invocation answers to its caller.
    fn answer(&mut self, thread: Object, answer: Answer) {
        let (label, mut words) = answer.map_or_else(Error::answer, |words| (0, words));
        if self.receive_buffer(thread).is_none() {
            words.truncate(4);
        }
        for (index, word) in words.iter().enumerate() {
            self.write_word(thread, index as u64, *word);
        }
        let registers = &mut self.thread_mut(thread).registers;
        registers[CAPABILITY] = 0;
        registers[MESSAGE_INFO] = MessageInfo::new(label, 0, 0, words.len()).word();
    }

    /// The message that the registers and the buffer of `thread` hold, to the capability in `slot`.
    fn message(&self, thread: Object, slot: Slot, is_call: bool) -> Result<Message, (u64, LookupFailure)> {
        let info = MessageInfo(self.thread(thread).registers[MESSAGE_INFO]);
        let caps = match self.send_buffer(thread) {
            Some(_) => self.extra_caps(thread)?,
            None => vec![],
        };
        let length = self.usable_length(info, self.send_buffer(thread).is_some());
        Ok(Message { sender: thread, is_call, slot, label: info.label(), length, caps })
    }

    fn invoke(&mut self, cap: &Cap, message: &Message) -> Answer {
        match cap.kind {
            Kind::Untyped => self.invoke_untyped(message),
            Kind::CNode => self.invoke_cnode(message),
            Kind::Tcb => self.invoke_tcb(cap.object, message),
            Kind::SchedContext => self.invoke_sched_context(cap.object, message),
            Kind::Null | Kind::Zombie | Kind::Endpoint | Kind::Notification => {
                Err(Error::InvalidCapability(0))
            }
            Kind::Frame => self.invoke_frame(message),
            Kind::Table => self.invoke_table(message),
            // Its operations are those of the machine's caches, and the specification's machine has none.
            Kind::VSpace => Err(Error::IllegalOperation),
            Kind::AsidPool => self.invoke_asid_pool(cap.object, message),
            Kind::IrqControl => self.invoke_irq_control(message),
            Kind::IrqHandler => match cap.object {
                Object::Irq(irq) => self.invoke_irq_handler(irq, message),
                _ => Err(Error::InvalidCapability(0)),
            },
            Kind::Authority => match cap.object {
                Object::Domains => self.invoke_domains(message),
                Object::Core(_) => self.invoke_sched_control(message),
                _ => self.invoke_asid_control(message),
            },
            Kind::Reply => Err(Error::InvalidCapability(0)),
        }
    }

    fn receive(
        &mut self,
        thread: Object,
        address: u64,
        waits: bool,
        with_reply: bool,
    ) -> Result<(), NotCovered> {
        let failed = |address, failure| Fault::Capability { address, in_receive: true, failure };
        let missing = LookupFailure::Missing(0);
        let slot = match self.lookup(thread, address) {
            Ok(slot) => slot,
            Err(failure) => return self.fault(thread, failed(address, failure)),
        };
        let cap = self.cap(&slot);
        match cap.kind {
            Kind::Endpoint if cap.rights.has(Rights::READ) => {
                match with_reply.then(|| self.reply_object(thread)).transpose() {
                    Ok(reply) => self.receive_from_endpoint(thread, slot, waits, reply),
                    Err((address, failure)) => self.fault(thread, failed(address, failure)),
                }
            }
            Kind::Notification if cap.rights.has(Rights::READ) => {
                match self.notifications[&cap.object].thread {
                    Some(bound) if bound != thread => self.fault(thread, failed(address, missing)),
                    _ => {
                        self.wait_for_signal(thread, cap.object, waits);
                        Ok(())
                    }
                }
            }
            _ => self.fault(thread, failed(address, missing)),
        }
    }

    /// The reply object that the reply register names; or the address, and why it names none.
    fn reply_object(&self, thread: Object) -> Result<Object, (u64, LookupFailure)> {
        let address = self.thread(thread).registers[REPLY];
        match self.lookup(thread, address).map(|slot| self.cap(&slot)) {
            Ok(reply) if reply.kind == Kind::Reply => Ok(reply.object),
            Ok(_) => Err((address, LookupFailure::Missing(0))),
            Err(failure) => Err((address, failure)),
        }
    }
}

/// What the first of two phases does not invoke.
const fn is_left_alone(cap: &Cap) -> bool {
    matches!(cap.kind, Kind::Tcb | Kind::CNode | Kind::SchedContext)
        || matches!(cap.object, Object::Domains | Object::Core(_))
}

impl Message {
    /// The message has at least so many words.
    pub const fn require(&self, words: u64) -> Result<(), Error> {
        if self.length < words { Err(Error::TruncatedMessage) } else { Ok(()) }
    }

    /// The slot of an extra capability.
    pub fn extra(&self, index: usize) -> Result<Slot, Error> {
        self.caps.get(index).copied().ok_or(Error::TruncatedMessage)
    }
}
