// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of scheduling contexts (`invocations.md` §6). Those on time are not written yet.

use super::call::{Answer, Message};
use super::error::Error;
use super::{Activity, NotCovered, System};
use crate::algebra::Kind;
use crate::concrete::Object;
use keel_abi::label;

impl System {
    /// Invokes a scheduling context capability.
    pub(super) fn invoke_sched_context(&mut self, context: Object, message: &Message) -> Answer {
        let holder = self.contexts[&context].thread;
        match message.label {
            label::SCHED_CONTEXT_BIND => self.bind(context, message)?,
            label::SCHED_CONTEXT_UNBIND => {
                if holder == Some(message.sender) {
                    return Err(Error::IllegalOperation);
                }
                self.unbind_context(context);
            }
            label::SCHED_CONTEXT_UNBIND_OBJECT => {
                let cap = self.cap(&message.extra(0)?);
                match cap.kind {
                    Kind::Tcb if holder == Some(cap.object) && cap.object != message.sender => {
                        self.take_context(context);
                    }
                    Kind::Notification if self.contexts[&context].notification == Some(cap.object) => {
                        self.unbind_from_notification(context);
                    }
                    Kind::Tcb | Kind::Notification => return Err(Error::IllegalOperation),
                    _ => return Err(Error::InvalidCapability(1)),
                }
            }
            label::SCHED_CONTEXT_CONSUMED | label::SCHED_CONTEXT_YIELD_TO => {
                return Err(NotCovered("consumed time").into());
            }
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    fn bind(&mut self, context: Object, message: &Message) -> Result<(), Error> {
        let cap = self.cap(&message.extra(0)?);
        let super::Context { active, thread, notification, .. } = self.contexts[&context].clone();
        match cap.kind {
            Kind::Tcb => {
                let target = self.thread(cap.object);
                let waits = !matches!(target.activity, Activity::Inactive | Activity::Runnable);
                if thread.is_some() || target.context.is_some() || waits && !active {
                    return Err(Error::IllegalOperation);
                }
                self.give_context(context, cap.object);
            }
            Kind::Notification => {
                let target = self.notifications.get_mut(&cap.object).expect("a live notification");
                if notification.is_some() || target.context.is_some() {
                    return Err(Error::IllegalOperation);
                }
                target.context = Some(context);
                self.contexts.get_mut(&context).expect("a live context").notification = Some(cap.object);
            }
            _ => return Err(Error::InvalidCapability(1)),
        }
        Ok(())
    }

    /// A context has neither thread nor notification any more, and returns to no caller.
    pub(super) fn unbind_context(&mut self, context: Object) {
        self.take_context(context);
        self.unbind_from_notification(context);
        self.contexts.get_mut(&context).expect("a live context").calls.clear();
    }

    /// A notification does not lend a context any more.
    pub(super) fn unbind_from_notification(&mut self, context: Object) {
        let lender = self.contexts.get_mut(&context).expect("a live context").notification.take();
        if let Some(notification) = lender.and_then(|lender| self.notifications.get_mut(&lender)) {
            notification.context = None;
        }
    }
}
