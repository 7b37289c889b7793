// SPDX-License-Identifier: MIT OR Apache-2.0

//! Rendezvous at an endpoint (`syscalls.md` §8 and §9.1).
//!
//! Who comes first waits. When sender and receiver meet, the message goes across; a caller then waits for its answer,
//! if the receiver brought a reply object and the caller's capability has Grant or GrantReply, and stops otherwise.

use super::call::Sends;
use super::destroy::Preempted;
use super::fault::Fault;
use super::{Activity, Cancelling, Cap, Endpoint, NotCovered, Sending, System};
use crate::algebra::Rights;
use crate::concrete::{Object, Slot};
use keel_abi::aarch64::registers::CAPABILITY;

impl System {
    /// `sender` sends its message through an endpoint capability.
    pub(super) fn send_to_endpoint(
        &mut self,
        sender: Object,
        cap: &Cap,
        how: Sends,
        caps: &[Slot],
    ) -> Result<(), NotCovered> {
        let is_call = how == Sends::Calling;
        let Some(receiver) = self.first_at(cap.object, |activity| matches!(activity, Activity::Receiving(_)))
        else {
            if matches!(how, Sends::Blocking | Sends::Calling) {
                let thread = self.thread_mut(sender);
                thread.sending = Sending { badge: cap.data, rights: cap.rights, is_call };
                thread.activity = Activity::Sending;
                self.enqueue(sender, |system| system.queue_of_endpoint(cap.object));
            }
            return Ok(());
        };
        let Activity::Receiving(reply) = self.thread(receiver).activity else { return Ok(()) };
        self.transfer(sender, receiver, cap.object, cap.data, cap.rights, Some(caps));
        self.authority.received(&self.x, &receiver);
        let lends = matches!(how, Sends::Calling | Sends::First);
        if is_call {
            self.begin_call(sender, receiver, reply, cap.rights);
        } else if let Some(context) = self.thread(sender).context.filter(|_| lends)
            && self.thread(receiver).context.is_none()
        {
            self.give_context(context, receiver);
        }
        self.wake(receiver);
        Ok(())
    }

    /// `receiver` receives through the endpoint capability in `through`.
    pub(super) fn receive_from_endpoint(
        &mut self,
        receiver: Object,
        through: Slot,
        waits: bool,
        reply: Option<Object>,
    ) -> Result<(), NotCovered> {
        let endpoint = self.cap(&through).object;
        if let Some(user) = reply.and_then(|reply| self.user_of_reply(reply)) {
            self.cancel(user);
        }
        if let Some(notification) = self.thread(receiver).notification {
            if self.notifications[&notification].word.is_some() {
                self.take_signal(receiver, notification);
                return Ok(());
            }
            if waits {
                self.return_lent_context(receiver, notification);
            }
        }
        self.authority.receive(&self.x, &receiver, &through).expect("the right to read was checked");
        let Some(sender) = self.first_at(endpoint, |activity| activity == Activity::Sending) else {
            if waits {
                self.thread_mut(receiver).activity = Activity::Receiving(reply);
                self.enqueue(receiver, |system| system.queue_of_endpoint(endpoint));
            } else {
                self.authority.received(&self.x, &receiver);
                self.thread_mut(receiver).registers[CAPABILITY] = 0;
            }
            return Ok(());
        };
        let Sending { badge, rights, is_call } = self.thread(sender).sending;
        self.transfer(sender, receiver, endpoint, badge, rights, None);
        self.authority.received(&self.x, &receiver);
        if is_call {
            self.begin_call(sender, receiver, reply, rights);
        } else {
            self.wake(sender);
        }
        Ok(())
    }

    /// The message of `caller` has been taken by `callee`.
    fn begin_call(&mut self, caller: Object, callee: Object, reply: Option<Object>, rights: Rights) {
        let can_be_answered = rights.has(Rights::GRANT) || rights.has(Rights::GRANT_REPLY);
        let Some(reply) = reply.filter(|_| can_be_answered) else {
            // Nobody will answer its fault either.
            let caller = self.thread_mut(caller);
            (caller.activity, caller.fault) = (Activity::Inactive, None);
            return;
        };
        self.authority.call(&self.x, &reply, &caller).expect("the reply object is free");
        self.thread_mut(caller).activity = Activity::Calling;
        let has_time = !matches!(self.thread(caller).fault, Some(Fault::Timeout { .. }));
        if let Some(context) = self.thread(caller).context.filter(|_| has_time)
            && self.thread(callee).context.is_none()
        {
            self.context_mut(context).calls.push(reply);
            self.give_context(context, callee);
        }
    }

    /// Takes the first of those who wait at an endpoint out of the queue, if they wait for that.
    fn first_at(&mut self, endpoint: Object, what: impl Fn(Activity) -> bool) -> Option<Object> {
        let first = *self.endpoints[&endpoint].queue.first()?;
        what(self.thread(first).activity).then(|| {
            self.endpoint_mut(endpoint).leave(first);
            first
        })
    }

    pub(super) fn queue_of_endpoint(&mut self, endpoint: Object) -> &mut Vec<Object> {
        &mut self.endpoint_mut(endpoint).queue
    }

    pub(super) fn endpoint_mut(&mut self, endpoint: Object) -> &mut Endpoint {
        self.endpoints.get_mut(&endpoint).expect("a live endpoint")
    }

    /// CancelBadgedSends: everybody who waits to send with this badge stops doing so.
    pub(super) fn cancel_badged_sends(
        &mut self,
        canceller: Object,
        endpoint: Object,
        badge: u64,
    ) -> Result<(), Preempted> {
        if self.thread(canceller).cancelled == Some((endpoint, badge)) {
            self.thread_mut(canceller).cancelled = None;
            return Ok(());
        }
        let has_begun = |begun: &Cancelling| (begun.canceller, begun.badge) == (canceller, badge);
        if !self.endpoints[&endpoint].cancelling.as_ref().is_some_and(has_begun) {
            self.forget_cancelling(canceller);
            // What another thread has begun here comes first, and that one is told.
            let begun = self.endpoints[&endpoint].cancelling.clone();
            self.go_on_cancelling(endpoint)?;
            if let Some(Cancelling { canceller: other, badge, .. }) = begun {
                self.thread_mut(other).cancelled = Some((endpoint, badge));
            }
            let is_meant = |thread: &Object| {
                let thread = self.thread(*thread);
                thread.activity == Activity::Sending && thread.sending.badge == badge
            };
            let left = self.endpoints[&endpoint].queue.iter().copied().filter(is_meant).collect();
            self.endpoint_mut(endpoint).cancelling = Some(Cancelling { canceller, badge, left });
        }
        self.go_on_cancelling(endpoint)
    }

    /// Carries on what was begun at an endpoint, to its end.
    fn go_on_cancelling(&mut self, endpoint: Object) -> Result<(), Preempted> {
        while let Some(cancelling) = &self.endpoints[&endpoint].cancelling {
            match cancelling.left.first().copied() {
                Some(first) => {
                    self.pause()?;
                    self.stop_waiting(first);
                }
                None if self.look.is_some_and(|look| look.units == 0) => self.pause()?,
                None => self.endpoint_mut(endpoint).cancelling = None,
            }
        }
        Ok(())
    }

    /// `thread` will not go on with what it has begun to cancel.
    pub(super) fn forget_cancelling(&mut self, thread: Object) {
        self.thread_mut(thread).cancelled = None;
        for endpoint in self.endpoints.values_mut() {
            endpoint.cancelling.take_if(|cancelling| cancelling.canceller == thread);
        }
    }

    /// Whether `thread` is among those who are still to stop waiting at an endpoint.
    pub(super) fn is_being_cancelled(&self, endpoint: Object, thread: Object) -> bool {
        let cancelling = self.endpoints[&endpoint].cancelling.as_ref();
        cancelling.is_some_and(|cancelling| cancelling.left.contains(&thread))
    }
}
