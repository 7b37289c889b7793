// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of threads (`invocations.md` §5). Those on registers and spaces are not written yet.

use super::call::{Answer, Message};
use super::error::Error;
use super::{Activity, NotCovered, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::Object;
use keel_abi::label;

impl System {
    /// Invokes a thread capability.
    pub(super) fn invoke_tcb(&mut self, thread: Object, message: &Message) -> Answer {
        match message.label {
            label::TCB_SUSPEND => self.suspend(thread),
            label::TCB_RESUME => {
                if self.thread(thread).activity != Activity::Runnable {
                    self.restart(thread);
                }
            }
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
            label::TCB_READ_REGISTERS..=label::TCB_SET_FLAGS => {
                return Err(NotCovered("registers and spaces of threads").into());
            }
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// The priority in a message, which the authority in it must be able to give.
    fn priority(&self, message: &Message) -> Result<u8, Error> {
        message.require(1)?;
        let authority = self.cap(&message.extra(0)?);
        if authority.kind != Kind::Tcb {
            return Err(Error::InvalidCapability(1));
        }
        let limit = self.thread(authority.object).max_controlled_priority;
        let priority = self.argument(message, 0);
        match u8::try_from(priority) {
            Ok(priority) if priority <= limit => Ok(priority),
            _ => Err(Error::Range(0, u64::from(limit))),
        }
    }

    /// A thread that waits goes behind its new equals.
    fn set_priority(&mut self, thread: Object, priority: u8) {
        self.thread_mut(thread).priority = priority;
        let endpoint = self.endpoints.iter().find(|(_, endpoint)| endpoint.queue.contains(&thread));
        let endpoint = endpoint.map(|(endpoint, _)| *endpoint);
        let notification = self.notifications.iter().find(|(_, at)| at.queue.contains(&thread));
        let notification = notification.map(|(notification, _)| *notification);
        if let Some(endpoint) = endpoint {
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

    /// Stops a thread, whatever it does.
    pub(super) fn suspend(&mut self, thread: Object) {
        self.cancel(thread);
        self.thread_mut(thread).activity = Activity::Inactive;
    }
}
