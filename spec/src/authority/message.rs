// SPDX-License-Identifier: MIT OR Apache-2.0

//! Authority in messages: a capability that goes along with one, and calls, each of which is answered at most once
//! (`syscalls.md` §8 to §11).

use super::{Authority, Outcome, Refusal};
use crate::algebra::{Algebra, Kind, Rights};

impl<A: Algebra> Authority<A> {
    /// `thread` receives through the endpoint capability in `through`, from now until [`Authority::received`].
    pub fn receive(&mut self, x: &A, thread: &A::Object, through: &A::Slot) -> Outcome {
        let cap = self.cap(x, through);
        if x.decide(x.not(x.same_kind(&cap.kind, &x.kind(Kind::Endpoint))))
            || x.decide(x.not(x.within(&x.rights(Rights::READ), &cap.rights)))
        {
            return Err(Refusal::Forbidden);
        }
        if x.writes() {
            x.set(&mut self.receives, thread, cap.object);
        }
        Ok(())
    }

    /// `thread` has received, or does not want to any more.
    pub fn received(&mut self, x: &A, thread: &A::Object) {
        if x.writes() {
            x.set(&mut self.receives, thread, x.no_object());
        }
    }

    /// A message takes a copy of the capability in `source` along, to `receiver`, who gets it into the empty `target`.
    ///
    /// The message goes through `endpoint` with `rights`, those of the capability that the sender used: the sender may
    /// have been waiting since. Or, with `endpoint` a reply object, it is the answer to the receiver's call.
    pub fn transfer(
        &mut self,
        x: &A,
        endpoint: &A::Object,
        rights: &A::Rights,
        source: &A::Slot,
        receiver: &A::Object,
        target: &A::Slot,
    ) -> Outcome {
        if x.decide(x.not(x.within(&x.rights(Rights::GRANT), rights))) {
            return Err(Refusal::Forbidden);
        }
        let takes = x.same_object(&x.of(&self.receives, receiver), endpoint);
        let called = x.same_object(&x.of(&self.caller, endpoint), receiver);
        if x.decide(x.not(x.or(takes, called))) {
            return Err(Refusal::Forbidden);
        }
        self.copy(x, source, target, &x.rights(Rights::ALL), None)
    }

    /// `thread` waits for the answer to its call, which will come through `reply`.
    pub fn call(&mut self, x: &A, reply: &A::Object, thread: &A::Object) -> Outcome {
        let is_reply = x.same_kind(&x.of(&self.live, reply), &x.kind(Kind::Reply));
        let is_thread = x.same_kind(&x.of(&self.live, thread), &x.kind(Kind::Tcb));
        if x.decide(x.not(x.and(is_reply, is_thread))) {
            return Err(Refusal::Illegal);
        }
        let is_unused = x.same_object(&x.of(&self.caller, reply), &x.no_object());
        let does_not_wait = x.same_object(&x.of(&self.awaits, thread), &x.no_object());
        if x.decide(x.not(x.and(is_unused, does_not_wait))) {
            return Err(Refusal::Occupied);
        }
        if x.writes() {
            x.set(&mut self.caller, reply, thread.clone());
        }
        if x.writes() {
            x.set(&mut self.awaits, thread, reply.clone());
        }
        Ok(())
    }

    /// Uses the reply object `reply`: gives the thread that is answered, if one waits. Nobody waits on it afterwards.
    pub fn answer(&mut self, x: &A, reply: &A::Object) -> Option<A::Object> {
        let caller = x.of(&self.caller, reply);
        if x.decide(x.same_object(&caller, &x.no_object())) {
            return None;
        }
        self.disconnect(x, reply);
        Some(caller)
    }

    /// The caller who waits on `reply`, if there is one, does not do so any more.
    pub fn disconnect(&mut self, x: &A, reply: &A::Object) {
        let caller = x.of(&self.caller, reply);
        if x.decide(x.not(x.same_object(&caller, &x.no_object()))) {
            if x.writes() {
                x.set(&mut self.awaits, &caller, x.no_object());
            }
            if x.writes() {
                x.set(&mut self.caller, reply, x.no_object());
            }
        }
    }
}
