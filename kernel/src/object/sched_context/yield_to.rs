// SPDX-License-Identifier: MIT OR Apache-2.0

//! YieldTo: a thread lets another one run first, and hears afterwards what that consumed (`scheduling.md` §5).
//!
//! While the answer is outstanding `yield_to` of the caller and `yield_from` of the context name each other (X2). It
//! is given when the caller runs next, when another thread yields to the same context, and when the context loses
//! its thread or dies; it is dropped when the caller is stopped.

use super::SchedContext;
use crate::Kernel;
use crate::arch::Arch;
use crate::invocation::Message;
use crate::object::Tcb;
use crate::store::Ref;

impl<A: Arch> Kernel<A> {
    /// Lets `target` run before the caller if it can and has at least the caller's priority (`scheduling.md` §5).
    /// The caller's result is then written when the caller runs next.
    pub(super) fn yield_to(&mut self, context: Ref<SchedContext>, target: Ref<Tcb>, message: &Message) {
        let caller = message.sender;
        self.sc_complete_yield_to_context(context);
        self.sc_resume(context);
        if !self.is_schedulable(target) {
            return self.report_consumed(context, message);
        }
        let (this, other) = (&self.store[caller], &self.store[target]);
        let is_behind = other.priority < this.priority || other.domain != this.domain;
        self.reschedule();
        self.dequeue(target);
        if is_behind {
            self.ready_prepend(target);
            return self.report_consumed(context, message);
        }
        self.ready_prepend(caller);
        self.ready_prepend(target);
        if message.is_call {
            self.store[caller].yield_to = Some(context);
            self.store[context].yield_from = Some(caller);
        }
    }

    /// Tells the thread that yielded to `context`, if there is one, what it consumed.
    pub fn sc_complete_yield_to_context(&mut self, context: Ref<SchedContext>) {
        if let Some(waiting) = self.store[context].yield_from {
            self.sc_complete_yield_to(waiting);
        }
    }

    /// Tells `waiting`, which yielded to a context, what that consumed.
    pub fn sc_complete_yield_to(&mut self, waiting: Ref<Tcb>) {
        if let Some(context) = self.store[waiting].yield_to {
            self.sc_cancel_yield_to(waiting);
            let consumed = self.consumed_us(context);
            self.set_result(waiting, 0, consumed.0);
        }
    }

    /// `waiting` is stopped: if it yielded to a context, it will not hear what that consumed.
    pub fn sc_cancel_yield_to(&mut self, waiting: Ref<Tcb>) {
        if let Some(context) = self.store[waiting].yield_to.take() {
            self.store[context].yield_from = None;
        }
    }
}
