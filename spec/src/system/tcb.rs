// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of threads (`invocations.md` §5): which there are, and those on priorities, time and bindings.

use super::call::{Answer, Message};
use super::error::Error;
use super::{Activity, FAULT_HANDLER, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::Object;
use keel_abi::aarch64::registers::TLS_BASE;
use keel_abi::label;

impl System {
    /// Invokes a thread capability.
    pub(super) fn invoke_tcb(&mut self, thread: Object, message: &Message) -> Answer {
        match message.label {
            label::TCB_READ_REGISTERS => return self.read_registers(thread, message),
            label::TCB_WRITE_REGISTERS => self.write_registers(thread, message)?,
            label::TCB_COPY_REGISTERS => self.copy_registers(thread, message)?,
            label::TCB_CONFIGURE => self.configure(thread, message)?,
            label::TCB_SET_SPACE => self.set_space(thread, message)?,
            label::TCB_SET_IPC_BUFFER => self.set_ipc_buffer(thread, message)?,
            label::TCB_SET_TIMEOUT_ENDPOINT => self.set_timeout_endpoint(thread, message)?,
            label::TCB_SUSPEND => self.suspend(thread),
            label::TCB_RESUME => self.resume(thread),
            label::TCB_SET_SCHED_PARAMS => self.set_sched_params(thread, message)?,
            label::TCB_SET_PRIORITY => {
                let priority = self.priority(message)?;
                self.set_priority(thread, priority);
            }
            label::TCB_SET_MC_PRIORITY => {
                self.thread_mut(thread).max_controlled_priority = self.priority(message)?;
            }
            label::TCB_BIND_NOTIFICATION => self.bind_notification(thread, message)?,
            label::TCB_UNBIND_NOTIFICATION => {
                if self.thread(thread).notification.is_none() {
                    return Err(Error::IllegalOperation);
                }
                self.unbind_notification(thread);
            }
            label::TCB_SET_TLS_BASE => {
                message.require(1)?;
                let base = self.argument(message, 0);
                self.thread_mut(thread).registers[TLS_BASE] = base;
            }
            label::TCB_SET_FLAGS => {
                message.require(2)?;
                let (clear, set) = (self.argument(message, 0), self.argument(message, 1));
                let flags = &mut self.thread_mut(thread).flags;
                *flags = *flags & !clear | set & 1;
                return Ok(vec![*flags]);
            }
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// The priority in a message, which the authority in it must be able to give.
    fn priority(&self, message: &Message) -> Result<u8, Error> {
        message.require(1)?;
        let limit = self.limit(message)?;
        check_priority(self.argument(message, 0), limit)
    }

    /// The greatest priority that the authority in a message can give.
    fn limit(&self, message: &Message) -> Result<u8, Error> {
        let authority = self.cap(&message.extra(0)?);
        if authority.kind != Kind::Tcb {
            return Err(Error::InvalidCapability(1));
        }
        Ok(self.thread(authority.object).max_controlled_priority)
    }

    /// SetSchedParams: handler, limit, priority and context.
    fn set_sched_params(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        message.require(2)?;
        message.extra(2)?;
        let limit = self.limit(message)?;
        let max_controlled_priority = check_priority(self.argument(message, 0), limit)?;
        let priority = check_priority(self.argument(message, 1), limit)?;
        let cap = self.cap(&message.extra(1)?);
        let super::Thread { context, activity, .. } = *self.thread(thread);
        let new = match cap.kind {
            Kind::SchedContext => {
                let is_taken = context.is_some() || self.contexts[&cap.object].thread.is_some();
                let waits = !matches!(activity, Activity::Inactive | Activity::Runnable);
                if context != Some(cap.object) && is_taken || waits && !self.is_released(cap.object) {
                    return Err(Error::IllegalOperation);
                }
                Some(cap.object)
            }
            Kind::Null if thread == message.sender => return Err(Error::IllegalOperation),
            Kind::Null => None,
            _ => return Err(Error::InvalidCapability(2)),
        };
        let handler = self.new_handler(message, 2, 3)?;
        self.install(thread, FAULT_HANDLER, &handler)?;
        self.thread_mut(thread).max_controlled_priority = max_controlled_priority;
        self.set_priority(thread, priority);
        match (context, new) {
            (None, Some(new)) => self.bind_thread(new, thread),
            (Some(old), None) => self.take_context(old),
            _ => {}
        }
        Ok(())
    }

    /// A thread that waits goes behind its new equals, one that is ready before them.
    fn set_priority(&mut self, thread: Object, priority: u8) {
        if self.thread(thread).activity == Activity::Runnable {
            return self.reorder(thread, |thread| thread.priority = priority);
        }
        self.thread_mut(thread).priority = priority;
        let endpoint = self.endpoints.iter().find(|(_, endpoint)| endpoint.queue.contains(&thread));
        let endpoint = endpoint.map(|(endpoint, _)| *endpoint);
        let notification = self.notifications.iter().find(|(_, at)| at.queue.contains(&thread));
        let notification = notification.map(|(notification, _)| *notification);
        if let Some(endpoint) = endpoint {
            if self.is_being_cancelled(endpoint, thread) {
                return self.stop_waiting(thread);
            }
            self.queue_of_endpoint(endpoint).retain(|other| *other != thread);
            self.enqueue(thread, |system| system.queue_of_endpoint(endpoint));
        } else if let Some(notification) = notification {
            self.queue_of_notification(notification).retain(|other| *other != thread);
            self.enqueue(thread, |system| system.queue_of_notification(notification));
        }
    }

    fn bind_notification(&mut self, thread: Object, message: &Message) -> Result<(), Error> {
        let cap = self.cap(&message.extra(0)?);
        if self.thread(thread).notification.is_some() || cap.kind != Kind::Notification {
            return Err(Error::IllegalOperation);
        }
        let notification = self.notifications.get_mut(&cap.object).expect("a live notification");
        let is_free = notification.queue.is_empty() && notification.thread.is_none();
        if !cap.rights.has(Rights::READ) || !is_free {
            return Err(Error::IllegalOperation);
        }
        notification.thread = Some(thread);
        self.thread_mut(thread).notification = Some(cap.object);
        Ok(())
    }
}

/// `value` as a priority of at most `limit`.
fn check_priority(value: u64, limit: u8) -> Result<u8, Error> {
    match u8::try_from(value) {
        Ok(priority) if priority <= limit => Ok(priority),
        _ => Err(Error::Range(0, u64::from(limit))),
    }
}
