// SPDX-License-Identifier: MIT OR Apache-2.0

//! Answers to calls, and the stacks of calls along which scheduling contexts travel (`syscalls.md` §10,
//! `scheduling.md` §4).

use super::fault::Fault;
use super::{Activity, Cap, NotCovered, System};
use crate::algebra::Algebra;
use crate::concrete::{Object, Slot};

impl System {
    /// `replier` answers whoever waits on the reply object of `cap`, if anybody does.
    pub(super) fn reply(&mut self, replier: Object, cap: &Cap, caps: &[Slot]) -> Result<(), NotCovered> {
        let reply = cap.object;
        let Some(caller) = self.caller_of(reply) else { return Ok(()) };
        self.return_context(reply, caller);
        let Some(fault) = self.thread_mut(caller).fault.take() else {
            self.transfer(replier, caller, reply, 0, cap.rights, Some(caps));
            self.authority.answer(&self.x, &reply).expect("somebody waits");
            self.thread_mut(caller).activity = Activity::Runnable;
            return self.resume_answered(caller, true);
        };
        let goes_on = self.answer_fault(replier, caller, &fault);
        self.authority.answer(&self.x, &reply).expect("somebody waits");
        if !goes_on {
            self.thread_mut(caller).activity = Activity::Inactive;
            return Ok(());
        }
        let caller_mut = self.thread_mut(caller);
        (caller_mut.activity, caller_mut.repeats) = (Activity::Runnable, true);
        self.resume_answered(caller, !matches!(fault, Fault::Timeout { .. }))
    }

    /// A caller has its answer. If it has no time now it raises a Timeout fault, unless that is what was answered.
    fn resume_answered(&mut self, caller: Object, may_time_out: bool) -> Result<(), NotCovered> {
        let Some(context) = self.thread(caller).context else { return Ok(()) };
        self.unblock(context);
        if !self.is_released(context) && may_time_out && self.has_timeout_handler(caller) {
            return self.time_out(caller, context);
        }
        self.may_switch_to(caller);
        Ok(())
    }

    /// Who waits for an answer through a reply object.
    pub(super) fn caller_of(&self, reply: Object) -> Option<Object> {
        let caller: Object = self.x.of(&self.authority.caller, &reply);
        Some(caller).filter(|caller| *caller != Object::None)
    }

    /// Who waits for an answer through a reply object, or receives with it.
    pub(super) fn user_of_reply(&self, reply: Object) -> Option<Object> {
        let receives_with =
            |thread: &Object| self.thread(*thread).activity == Activity::Receiving(Some(reply));
        self.caller_of(reply).or_else(|| self.threads.keys().copied().find(receives_with))
    }

    /// The call through `reply` is over. If it was the last one along which a context travelled, the context goes back
    /// to the caller, provided that the caller has none; if it was an earlier one, the stack is cut.
    pub(super) fn return_context(&mut self, reply: Object, caller: Object) {
        let last = self.contexts.iter().find(|(_, context)| context.calls.last() == Some(&reply));
        let Some((&context, _)) = last else { return self.cut_stack(reply) };
        self.context_mut(context).calls.pop();
        if self.thread(caller).context.is_none() {
            self.give_context(context, caller);
        }
    }

    /// Takes `reply` out of the middle of a stack: neither it nor the calls before it return the context any more.
    fn cut_stack(&mut self, reply: Object) {
        for context in self.contexts.values_mut() {
            if let Some(place) = context.calls.iter().position(|call| *call == reply) {
                context.calls.drain(..=place);
            }
        }
    }

    /// `caller` does not wait for its answer any more.
    pub(super) fn cut_call(&mut self, caller: Object) {
        let reply: Object = self.x.of(&self.authority.awaits, &caller);
        self.cut_stack(reply);
        self.authority.disconnect(&self.x, &reply);
    }
}
