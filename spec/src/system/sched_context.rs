// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of scheduling contexts (`invocations.md` §6, `scheduling.md` §3 and §5).

use super::call::{Answer, Message};
use super::error::Error;
use super::schedule::End;
use super::{Activity, System};
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
            label::SCHED_CONTEXT_CONSUMED => return Ok(vec![self.take_consumed(context)]),
            label::SCHED_CONTEXT_YIELD_TO => return self.yield_to(context, message),
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    fn bind(&mut self, context: Object, message: &Message) -> Result<(), Error> {
        let cap = self.cap(&message.extra(0)?);
        let super::Context { thread, notification, .. } = self.contexts[&context];
        match cap.kind {
            Kind::Tcb => {
                let target = self.thread(cap.object);
                let waits = !matches!(target.activity, Activity::Inactive | Activity::Runnable);
                if thread.is_some() || target.context.is_some() || waits && !self.is_released(context) {
                    return Err(Error::IllegalOperation);
                }
                self.bind_thread(context, cap.object);
            }
            Kind::Notification => {
                let target = self.notifications.get_mut(&cap.object).expect("a live notification");
                if notification.is_some() || target.context.is_some() {
                    return Err(Error::IllegalOperation);
                }
                target.context = Some(context);
                self.context_mut(context).notification = Some(cap.object);
            }
            _ => return Err(Error::InvalidCapability(1)),
        }
        Ok(())
    }

    /// A thread without a context gets one that nobody runs on.
    pub(super) fn bind_thread(&mut self, context: Object, thread: Object) {
        self.give_context(context, thread);
        if self.is_schedulable(thread) && !self.waits_if_it_must(thread) {
            self.reschedule();
            if self.current != Some(thread) {
                self.make_ready(thread, End::Head);
            }
        }
    }

    /// YieldTo: the context's thread runs before the caller if it can and is not lower. The caller is then told what
    /// the context has consumed when it runs again.
    fn yield_to(&mut self, context: Object, message: &Message) -> Answer {
        let (caller, Some(target)) = (message.sender, self.contexts[&context].thread) else {
            return Err(Error::IllegalOperation);
        };
        let (this, other) = (self.thread(caller), self.thread(target));
        if target == caller || other.priority > this.max_controlled_priority {
            return Err(Error::IllegalOperation);
        }
        let is_behind = other.priority < this.priority || other.domain != this.domain;
        self.end_yield_to(context);
        if !self.is_schedulable(target) || self.waits_if_it_must(target) {
            return Ok(vec![self.take_consumed(context)]);
        }
        self.reschedule();
        self.queues.leave(target);
        if is_behind {
            self.make_ready(target, End::Head);
            return Ok(vec![self.take_consumed(context)]);
        }
        self.make_ready(caller, End::Head);
        self.make_ready(target, End::Head);
        if message.is_call {
            self.context_mut(context).yielder = Some(caller);
        }
        // The result has a place, and is not there yet.
        Ok(vec![self.argument(message, 0)])
    }

    /// Who yielded to a context, if anybody did, is told what it has consumed.
    pub(super) fn end_yield_to(&mut self, context: Object) {
        if let Some(yielder) = self.context_mut(context).yielder.take() {
            let consumed = self.take_consumed(context);
            self.write_word(yielder, 0, consumed);
        }
    }

    /// A thread that yielded to a context, if it did, is told what that has consumed.
    pub(super) fn end_yield_of(&mut self, thread: Object) {
        if let Some(context) = self.yielded_to(thread) {
            self.end_yield_to(context);
        }
    }

    /// A thread that yielded to a context will not be told.
    pub(super) fn forget_yield_of(&mut self, thread: Object) {
        if let Some(context) = self.yielded_to(thread) {
            self.context_mut(context).yielder = None;
        }
    }

    fn yielded_to(&self, thread: Object) -> Option<Object> {
        let is_it = |(_, context): &(&Object, &super::Context)| context.yielder == Some(thread);
        self.contexts.iter().find(is_it).map(|(name, _)| *name)
    }

    /// A context has neither thread nor notification any more, and returns to no caller.
    pub(super) fn unbind_context(&mut self, context: Object) {
        self.take_context(context);
        self.unbind_from_notification(context);
        self.context_mut(context).calls.clear();
    }

    /// A notification does not lend a context any more.
    pub(super) fn unbind_from_notification(&mut self, context: Object) {
        let lender = self.context_mut(context).notification.take();
        if let Some(notification) = lender.and_then(|lender| self.notifications.get_mut(&lender)) {
            notification.context = None;
        }
    }
}
