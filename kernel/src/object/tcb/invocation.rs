// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of threads: which there are, and those that change priorities, bindings and flags
//! (`invocations.md` §5).

use super::registers::CopyRegisters;
use super::spaces::{Install, SetSpaces};
use super::{FLAG_FPU_DISABLED, TcbSlot};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, Rights};
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::object::{Notification, SchedContext, Tcb};
use crate::store::Ref;
use crate::units::Priority;
use keel_abi::label;
use keel_bounds::operation_is;

/// A legal operation on a thread.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Return registers.
    ReadRegisters {
        /// Whose.
        target: Ref<Tcb>,
        /// Whether to stop it first.
        suspend: bool,
        /// How many, 1 to all.
        count: u64,
    },
    /// Set registers from the message.
    WriteRegisters {
        /// Whose.
        target: Ref<Tcb>,
        /// Whether to let it go on with them.
        resume: bool,
        /// How many.
        count: u64,
    },
    /// Copy registers from thread to thread.
    CopyRegisters(CopyRegisters),
    /// Replace capabilities.
    SetSpaces(SetSpaces),
    /// Replace priority and maximum controlled priority.
    SetPriorities {
        /// Whose.
        target: Ref<Tcb>,
        /// New priority, if it changes.
        priority: Option<Priority>,
        /// New maximum controlled priority, if it changes.
        max_controlled: Option<Priority>,
    },
    /// Replace priorities, scheduling context and fault handler.
    SetSchedParams {
        /// Whose.
        target: Ref<Tcb>,
        /// New priority.
        priority: Priority,
        /// New maximum controlled priority.
        max_controlled: Priority,
        /// New scheduling context.
        context: Option<Ref<SchedContext>>,
        /// New fault handler.
        handler: Install,
    },
    /// Bind a notification.
    BindNotification(Ref<Tcb>, Ref<Notification>),
    /// Undo that.
    UnbindNotification(Ref<Tcb>),
    /// Stop the thread.
    Suspend(Ref<Tcb>),
    /// Let it go on.
    Resume(Ref<Tcb>),
    /// Set the thread-local storage register.
    SetTlsBase(Ref<Tcb>, u64),
    /// Set flags; the result is what they are then.
    SetFlags(Ref<Tcb>, u64),
}

impl<A: Arch> Kernel<A> {
    /// Checks an invocation of `target` (`invocations.md` §5).
    pub(crate) fn decode_tcb(&self, target: Ref<Tcb>, message: &Message) -> Result<Invocation, Error> {
        match message.label {
            label::TCB_READ_REGISTERS => self.decode_read_registers(target, message),
            label::TCB_WRITE_REGISTERS => self.decode_write_registers(target, message),
            label::TCB_COPY_REGISTERS => self.decode_copy_registers(target, message),
            label::TCB_CONFIGURE => self.decode_configure(target, message),
            label::TCB_SET_SPACE => self.decode_set_space(target, message),
            label::TCB_SET_IPC_BUFFER => self.decode_set_ipc_buffer(target, message),
            label::TCB_SET_TIMEOUT_ENDPOINT => {
                let handler = self.decode_handler(message, 0, 1)?;
                Ok(Invocation::SetSpaces(SetSpaces {
                    timeout_handler: Some(handler),
                    ..SetSpaces::nothing(message.sender, target)
                }))
            }
            label::TCB_SET_PRIORITY => {
                let priority = Some(self.decode_priority(message)?);
                Ok(Invocation::SetPriorities { target, priority, max_controlled: None })
            }
            label::TCB_SET_MC_PRIORITY => {
                let max_controlled = Some(self.decode_priority(message)?);
                Ok(Invocation::SetPriorities { target, priority: None, max_controlled })
            }
            label::TCB_SET_SCHED_PARAMS => self.decode_set_sched_params(target, message),
            label::TCB_BIND_NOTIFICATION => self.decode_bind_notification(target, message),
            label::TCB_UNBIND_NOTIFICATION => match self.store[target].bound_notification {
                Some(_) => Ok(Invocation::UnbindNotification(target)),
                None => Err(Error::IllegalOperation),
            },
            label::TCB_SUSPEND => Ok(Invocation::Suspend(target)),
            label::TCB_RESUME => Ok(Invocation::Resume(target)),
            label::TCB_SET_TLS_BASE => {
                message.require(1)?;
                Ok(Invocation::SetTlsBase(target, self.argument(message, 0)))
            }
            label::TCB_SET_FLAGS => {
                message.require(2)?;
                let (clear, set) = (self.argument(message, 0), self.argument(message, 1));
                let flags = self.store[target].flags & !clear | set & FLAG_FPU_DISABLED;
                Ok(Invocation::SetFlags(target, flags))
            }
            _ => Err(Error::IllegalOperation),
        }
    }

    /// The priority in the first word, which the thread in the first extra capability may give away.
    pub(super) fn decode_priority(&self, message: &Message) -> Result<Priority, Error> {
        message.require(1)?;
        let authority = self.decode_authority(message)?;
        check_priority(self.argument(message, 0), authority)
    }

    /// The highest priority that the thread in the first extra capability may give away.
    pub(super) fn decode_authority(&self, message: &Message) -> Result<Priority, Error> {
        match self.extra_cap(message, 0)? {
            (_, Cap::Tcb(authority)) => Ok(self.store[authority].max_controlled_priority),
            _ => Err(Error::InvalidCapability(1)),
        }
    }

    /// Checks SetSchedParams.
    pub(super) fn decode_set_sched_params(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        message.require(2)?;
        let (context, handler) = (1, 2);
        self.extra_cap(message, handler)?;
        let authority = self.decode_authority(message)?;
        let max_controlled = check_priority(self.argument(message, 0), authority)?;
        let priority = check_priority(self.argument(message, 1), authority)?;
        let context = match self.extra_cap(message, context)? {
            (_, Cap::SchedContext { object, .. }) => {
                self.check_context(target, object)?;
                Some(object)
            }
            (_, Cap::Null) if target == message.sender => return Err(Error::IllegalOperation),
            (_, Cap::Null) => None,
            _ => return Err(Error::InvalidCapability(2)),
        };
        let handler = self.decode_handler(message, handler, 3)?;
        Ok(Invocation::SetSchedParams { target, priority, max_controlled, context, handler })
    }

    /// Whether `context` can become, or stay, that of `target`.
    pub(super) fn check_context(&self, target: Ref<Tcb>, context: Ref<SchedContext>) -> Result<(), Error> {
        let current = self.store[target].sched_context;
        let is_new = current != Some(context);
        if is_new && (current.is_some() || self.store[context].tcb.is_some()) {
            return Err(Error::IllegalOperation);
        }
        if self.store[target].state.is_blocked() && !self.sc_released(context) {
            return Err(Error::IllegalOperation);
        }
        Ok(())
    }

    /// Checks BindNotification.
    pub(super) fn decode_bind_notification(
        &self,
        target: Ref<Tcb>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        let (_, cap) = self.extra_cap(message, 0)?;
        let Cap::Notification(cap) = cap else { return Err(Error::IllegalOperation) };
        let notification = &self.store[cap.object];
        let is_free = notification.queue.is_none() && notification.bound_tcb.is_none();
        if self.store[target].bound_notification.is_none() && cap.rights.has(Rights::READ) && is_free {
            Ok(Invocation::BindNotification(target, cap.object))
        } else {
            Err(Error::IllegalOperation)
        }
    }

    /// Carries out an operation on a thread.
    pub(crate) fn perform_tcb(
        &mut self,
        operation: &Invocation,
        message: &Message,
    ) -> Result<u64, Preempted> {
        match *operation {
            Invocation::ReadRegisters { target, suspend, count } => {
                operation_is::<{ label::TCB_READ_REGISTERS }>();
                return Ok(self.read_registers(message, target, suspend, count));
            }
            Invocation::WriteRegisters { target, resume, count } => {
                operation_is::<{ label::TCB_WRITE_REGISTERS }>();
                self.write_registers(message, target, count);
                if resume {
                    self.resume(target);
                }
            }
            Invocation::CopyRegisters(ref copy) => {
                operation_is::<{ label::TCB_COPY_REGISTERS }>();
                self.copy_registers(copy);
            }
            Invocation::SetSpaces(ref spaces) => {
                operation_is::<{ label::TCB_CONFIGURE }>();
                self.set_spaces(spaces)?;
            }
            Invocation::SetPriorities { target, priority, max_controlled } => {
                operation_is::<{ label::TCB_SET_PRIORITY }>();
                self.set_priorities(target, priority, max_controlled);
            }
            Invocation::SetSchedParams { target, priority, max_controlled, context, ref handler } => {
                operation_is::<{ label::TCB_SET_SCHED_PARAMS }>();
                self.install(target, TcbSlot::FaultHandler, handler)?;
                self.set_priorities(target, Some(priority), Some(max_controlled));
                self.set_sched_context(target, context);
            }
            Invocation::BindNotification(target, notification) => {
                operation_is::<{ label::TCB_BIND_NOTIFICATION }>();
                self.bind_notification(target, notification);
            }
            Invocation::UnbindNotification(target) => {
                operation_is::<{ label::TCB_UNBIND_NOTIFICATION }>();
                self.unbind_notification(target);
            }
            Invocation::Suspend(target) => {
                operation_is::<{ label::TCB_SUSPEND }>();
                self.suspend(target);
            }
            Invocation::Resume(target) => {
                operation_is::<{ label::TCB_RESUME }>();
                self.resume(target);
            }
            Invocation::SetTlsBase(target, base) => {
                operation_is::<{ label::TCB_SET_TLS_BASE }>();
                self.store[target].registers.words[A::REGISTERS.tls] = base;
                self.arch.load_live_registers(&mut self.store, target);
            }
            Invocation::SetFlags(target, flags) => {
                operation_is::<{ label::TCB_SET_FLAGS }>();
                self.store[target].flags = flags;
                if flags & FLAG_FPU_DISABLED != 0 {
                    self.arch.release_fpu(&mut self.store, target);
                }
                if message.is_call {
                    self.set_result(message.sender, 0, flags);
                }
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Sets those of the two that are given.
    pub(super) fn set_priorities(
        &mut self,
        target: Ref<Tcb>,
        priority: Option<Priority>,
        max_controlled: Option<Priority>,
    ) {
        if let Some(max_controlled) = max_controlled {
            self.store[target].max_controlled_priority = max_controlled;
        }
        if let Some(priority) = priority {
            self.set_priority(target, priority);
        }
    }

    /// Binds or unbinds a context; nothing if it is bound already.
    pub(super) fn set_sched_context(&mut self, target: Ref<Tcb>, context: Option<Ref<SchedContext>>) {
        match (self.store[target].sched_context, context) {
            (None, Some(new)) => self.sc_bind_tcb(new, target),
            (Some(old), None) => self.sc_unbind_tcb(old),
            _ => {}
        }
    }
}

/// `value` as a priority that `authority` may give away.
fn check_priority(value: u64, authority: Priority) -> Result<Priority, Error> {
    match Priority::try_from(value) {
        Ok(priority) if priority <= authority => Ok(priority),
        _ => Err(Error::Range { min: 0, max: u64::from(authority) }),
    }
}
