// SPDX-License-Identifier: MIT OR Apache-2.0

//! The meeting of sender and receiver at an endpoint, and the answer to a call.
//!
//! Whoever comes first waits in the endpoint's queue; whoever comes second carries out the transfer. A call parks
//! its sender on the reply object that the receiver brought, and may take its scheduling context along
//! (`syscalls.md` §8 to §10, `scheduling.md` §4).
//!
//! Bound: one queue operation and one message transfer per rendezvous.

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Rights;
use crate::cspace::Slot;
use crate::ipc::fault::Fault;
use crate::ipc::transfer::Route;
use crate::object::endpoint::EndpointState;
use crate::object::reply::Above;
use crate::object::tcb::Sending;
use crate::object::{Endpoint, Reply, Tcb, ThreadState};
use crate::store::Ref;
use crate::syscall::not_without_reply;
use crate::tree::{self, ByPriority};
use keel_abi::message::MAX_EXTRA_CAPS;

/// Slots of the extra capabilities of a message.
pub type ExtraCaps = [Option<Ref<Slot>>; MAX_EXTRA_CAPS];

/// How something is sent to an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Send {
    /// Badge of the capability sent through.
    pub badge: u64,
    /// Its rights.
    pub rights: Rights,
    /// Whether the sender waits if nobody receives.
    pub blocking: bool,
    /// Whether the sender waits for an answer.
    pub is_call: bool,
    /// Whether the sender's scheduling context may go along.
    pub can_donate: bool,
    /// The extra capabilities, if they have been looked up already.
    pub caps: Option<ExtraCaps>,
}

impl<A: Arch> Kernel<A> {
    /// `sender` sends its message, or its fault if it has one, to `endpoint`.
    pub fn send_message(&mut self, sender: Ref<Tcb>, endpoint: Ref<Endpoint>, send: Send) {
        match self.take_first(endpoint, EndpointState::Receiving) {
            Some(receiver) => self.send_to_waiting(sender, endpoint, send, receiver),
            None if send.blocking => {
                let since = self.next_sequence();
                let tcb = &mut self.store[sender];
                tcb.sending = Sending {
                    badge: send.badge,
                    since,
                    placed: since,
                    rights: send.rights,
                    is_call: send.is_call,
                };
                tcb.state = ThreadState::BlockedOnSend;
                self.enqueue_on_endpoint(sender, endpoint, EndpointState::Sending);
            }
            None => {}
        }
    }

    /// `receiver`, just taken out of the queue, gets the message.
    fn send_to_waiting(&mut self, sender: Ref<Tcb>, endpoint: Ref<Endpoint>, send: Send, receiver: Ref<Tcb>) {
        let reply = self.release_reserved_reply(receiver);
        let route = Route {
            endpoint: Some(endpoint),
            badge: send.badge,
            grant: send.rights.has(Rights::GRANT),
            caps: send.caps,
        };
        self.transfer(sender, receiver, route);
        if send.is_call {
            self.park_caller(sender, receiver, reply, send.rights, send.can_donate);
        } else if send.can_donate
            && self.store[receiver].sched_context.is_none()
            && let Some(context) = self.store[sender].sched_context
        {
            self.sc_lend(context, sender, receiver);
        }
        self.wake(receiver);
    }

    /// `receiver`, which runs, receives from `endpoint`, with `reply` to answer callers.
    pub fn receive_message(
        &mut self,
        receiver: Ref<Tcb>,
        endpoint: Ref<Endpoint>,
        blocking: bool,
        reply: Option<Ref<Reply>>,
    ) {
        if let Some(user) = reply.and_then(|reply| self.store[reply].tcb) {
            not_without_reply();
            self.cancel_ipc(user);
        }
        let bound = self.store[receiver].bound_notification;
        if let Some(notification) = bound {
            if self.store[notification].active {
                return self.take_signal(receiver, notification);
            }
            if blocking {
                self.return_lent_context(receiver, notification);
            }
        }
        match self.take_first(endpoint, EndpointState::Sending) {
            Some(sender) => self.receive_from_waiting(receiver, endpoint, reply, sender),
            None if blocking => {
                if let Some(reply) = reply {
                    self.store[reply].tcb = Some(receiver);
                }
                let tcb = &mut self.store[receiver];
                tcb.reply = reply;
                tcb.state = ThreadState::BlockedOnReceive;
                self.enqueue_on_endpoint(receiver, endpoint, EndpointState::Receiving);
            }
            None => self.deliver_badge(receiver, 0),
        }
    }

    /// `receiver` gets the message of `sender`, just taken out of the queue.
    fn receive_from_waiting(
        &mut self,
        receiver: Ref<Tcb>,
        endpoint: Ref<Endpoint>,
        reply: Option<Ref<Reply>>,
        sender: Ref<Tcb>,
    ) {
        let Sending { badge, rights, is_call, .. } = self.store[sender].sending;
        let donates = self.store[sender].fault.donates();
        let route = Route { endpoint: Some(endpoint), badge, grant: rights.has(Rights::GRANT), caps: None };
        self.transfer(sender, receiver, route);
        if is_call {
            self.park_caller(sender, receiver, reply, rights, donates);
            self.check_own_context(receiver);
        } else {
            self.wake(sender);
        }
    }

    /// The message of `caller` has been taken by `callee`: it waits for the answer on `reply`, if there can be one.
    fn park_caller(
        &mut self,
        caller: Ref<Tcb>,
        callee: Ref<Tcb>,
        reply: Option<Ref<Reply>>,
        rights: Rights,
        can_donate: bool,
    ) {
        let Some(reply) = reply.filter(|_| rights.can_be_answered()) else {
            // Nobody will answer its fault either: when it is resumed it has none.
            self.store[caller].fault = Fault::None;
            self.store[caller].state = ThreadState::Inactive;
            return;
        };
        let tcb = &mut self.store[caller];
        tcb.state = ThreadState::BlockedOnReply;
        tcb.reply = Some(reply);
        let context = tcb.sched_context;
        self.store[reply].tcb = Some(caller);
        if let Some(context) = context.filter(|_| can_donate && self.store[callee].sched_context.is_none()) {
            let below = self.store[context].reply.replace(reply);
            if let Some(below) = below {
                self.store[below].set_above(Above::Reply(reply));
            }
            self.store[reply].below = below;
            self.store[reply].set_above(Above::SchedContext(context));
            self.sc_lend(context, caller, callee);
        }
    }

    /// `replier` answers whoever waits on `reply` (`syscalls.md` §10).
    pub fn reply_to(
        &mut self,
        replier: Ref<Tcb>,
        reply: Ref<Reply>,
        rights: Rights,
        caps: Option<ExtraCaps>,
    ) {
        let Some(caller) = self.store[reply].tcb else { return };
        if self.store[caller].state != ThreadState::BlockedOnReply {
            return;
        }
        self.pop_reply(reply, caller);
        let fault = self.store[caller].fault;
        let goes_on = if fault.is_some() {
            self.fault_reply(replier, caller)
        } else {
            let grant = rights.has(Rights::GRANT);
            self.transfer(replier, caller, Route { endpoint: None, badge: 0, grant, caps });
            true
        };
        self.store[caller].state = match (goes_on, fault.is_some()) {
            (false, _) => ThreadState::Inactive,
            (true, true) => ThreadState::Restart,
            (true, false) => ThreadState::Running,
        };
        if goes_on {
            self.resume_answered(caller, fault.donates());
        }
    }

    /// `caller` is runnable again. `may_time_out`: what was answered was not itself a Timeout.
    fn resume_answered(&mut self, caller: Ref<Tcb>, may_time_out: bool) {
        let Some(context) = self.store[caller].sched_context else { return };
        self.sc_unblock_check(context);
        if self.refill_ready(context) && self.refill_sufficient(context, crate::units::Ticks(0)) {
            self.switch_candidate(caller);
        } else if may_time_out && self.timeout_handler(caller).is_some() {
            let badge = self.store[context].badge;
            // Its call has been answered: it does not make it again.
            self.note_interrupted(caller);
            self.raise_timeout_fault(caller, badge);
        } else {
            self.sc_resume(context);
        }
    }

    /// Takes `reply`, on which `caller` waits, off its stack. If it was the top, the context goes back to the
    /// caller, provided that the caller has none.
    pub(super) fn pop_reply(&mut self, reply: Ref<Reply>, caller: Ref<Tcb>) {
        let Reply { below, .. } = self.store[reply];
        let top_of = match self.store[reply].above() {
            Above::SchedContext(context) => Some(context),
            Above::Nothing | Above::Reply(_) => None,
        };
        let Some(context) = top_of else { return self.cut_reply(reply) };
        self.store[context].reply = below;
        if let Some(below) = below {
            self.store[below].set_above(Above::SchedContext(context));
        }
        self.clear_reply(reply);
        if self.store[caller].sched_context.is_none() {
            self.sc_donate(context, caller);
        }
    }

    /// Detaches `reply` from its thread and cuts the call stack above and below it: what is below never gets the
    /// context back.
    pub(super) fn cut_reply(&mut self, reply: Ref<Reply>) {
        match self.store[reply].above() {
            Above::Nothing => {}
            Above::Reply(above) => self.store[above].below = None,
            Above::SchedContext(context) => self.store[context].reply = None,
        }
        if let Some(below) = self.store[reply].below {
            self.store[below].set_above(Above::Nothing);
        }
        self.clear_reply(reply);
    }

    /// Parts `reply` from its thread and its stack.
    fn clear_reply(&mut self, reply: Ref<Reply>) {
        if let Some(tcb) = self.store[reply].tcb {
            self.store[tcb].reply = None;
        }
        self.store[reply] = Reply::default();
    }

    /// The reply object that `receiver` waits with, now free for the caller that has come.
    fn release_reserved_reply(&mut self, receiver: Ref<Tcb>) -> Option<Ref<Reply>> {
        let reply = self.store[receiver].reply.take()?;
        self.store[reply].tcb = None;
        Some(reply)
    }

    /// Makes a thread that waited runnable and a candidate to run next.
    pub(super) fn wake(&mut self, tcb: Ref<Tcb>) {
        self.wake_as(tcb, ThreadState::Running);
    }

    /// As [`Self::wake`], with a choice of runnable states.
    pub(super) fn wake_as(&mut self, tcb: Ref<Tcb>, state: ThreadState) {
        self.store[tcb].state = state;
        if let Some(context) = self.store[tcb].sched_context {
            self.sc_unblock_check(context);
        }
        self.switch_candidate(tcb);
    }

    /// The last capability to a reply object is gone (`scheduling.md` §4).
    pub fn finalise_reply(&mut self, reply: Ref<Reply>) {
        if let Some(tcb) = self.store[reply].tcb {
            if self.store[tcb].state == ThreadState::BlockedOnReply {
                self.pop_reply(reply, tcb);
            }
            self.cancel_ipc(tcb);
        }
    }

    /// Puts `tcb`, whose state says what for, into the endpoint's queue, behind its equals.
    pub(super) fn enqueue_on_endpoint(
        &mut self,
        tcb: Ref<Tcb>,
        endpoint: Ref<Endpoint>,
        state: EndpointState,
    ) {
        let key = tree::key_of(self.store[tcb].priority);
        let queue = self.store[endpoint].queue();
        let root = ByPriority::insert(&mut self.store, queue, tcb, key);
        self.store[endpoint].set_queue(root, state);
        self.store[tcb].endpoint = Some(endpoint);
    }

    /// Takes the first of those who wait at `endpoint` for `state` out of the queue.
    #[inline(always)]
    fn take_first(&mut self, endpoint: Ref<Endpoint>, state: EndpointState) -> Option<Ref<Tcb>> {
        if self.store[endpoint].state() != state {
            return None;
        }
        let first = ByPriority::first(&self.store, self.store[endpoint].queue())?;
        if state == EndpointState::Sending {
            self.pass_cancelling(first, endpoint);
        }
        self.dequeue_from_endpoint(first, endpoint);
        Some(first)
    }

    /// Takes `tcb` out of the queue of `endpoint`. If it waits to send, [`Self::pass_cancelling`] has been told.
    pub(super) fn dequeue_from_endpoint(&mut self, tcb: Ref<Tcb>, endpoint: Ref<Endpoint>) {
        let state = self.store[endpoint].state();
        let queue = self.store[endpoint].queue();
        let root = ByPriority::remove(&mut self.store, queue, tcb);
        self.store[endpoint].set_queue(root, state);
        self.store[tcb].endpoint = None;
    }
}
