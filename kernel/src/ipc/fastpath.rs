// SPDX-License-Identifier: MIT OR Apache-2.0

//! The short way through the kernel for the two halves of a call to a passive server, Call and ReplyRecv; for signals;
//! and for Yield.
//!
//! What it does is what the general path does ([`crate::syscall`], [`super::rendezvous`], [`crate::sched`]) when a
//! number of things are as usual, put together by hand so that nothing is asked twice. It first decides, changing
//! nothing; if anything is unusual the general path does it all. Usual means:
//!
//! - There is time, and nobody is to be released.
//! - The message has no capabilities and fits into registers; the CSpace has one level.
//! - Call: exactly one thread waits at the endpoint, with a reply object and without time. ReplyRecv: the one who
//!   is answered called last on the context that now runs, with no fault, and the endpoint is idle.
//! - A signal, by a thread or an interrupt: nobody waits for it, not even at an endpoint; or exactly one thread does,
//!   which is higher than the current one and has time of its own.
//! - Whoever is to run is of the current domain and at least as high as the current thread, or as all that are
//!   ready, and its address space is alive.
//!
//! In a call time needs no care: the context stays the one that runs, and only changes hands. That nobody ready is higher than
//! the current thread is S1; that its context has budget is B2; that a running thread has no fault is how faults end
//! ([`Kernel::cancel_ipc`]); and that a blocked thread yields to nobody is how it came to run and block.
//!
//! Bound: no loops but one over at most 4 registers.

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{RawCap, Rights, tag};
use crate::cspace::Slot;
use crate::object::endpoint::EndpointState;
use crate::object::reply::Above;
use crate::object::tcb::TcbSlot;
use crate::object::{Endpoint, Notification, Reply, SchedContext, Table, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::{self, Links};
use crate::units::Asid;
use keel_abi::message::{MESSAGE_REGISTERS, MessageInfo};
use keel_abi::syscall;
use keel_bounds::{at_most, entered_by, operation, operation_is};

/// What both halves do at their end: a message goes from the current thread to the one that runs next.
struct Switch {
    /// The current thread.
    from: Ref<Tcb>,
    /// Who runs next.
    to: Ref<Tcb>,
    /// Where it runs.
    space: (Ref<Table>, Asid),
    /// What it sees of the capability that was used.
    badge: u64,
    /// The message's info word.
    info: MessageInfo,
    /// On whose time.
    context: Ref<SchedContext>,
    /// The reply object between the two.
    reply: Ref<Reply>,
    /// Where the one waits or the other has waited.
    endpoint: Ref<Endpoint>,
}

/// How far the short way went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// To the end: this thread runs next, if there is one.
    Done(Option<Ref<Tcb>>),
    /// Nowhere: nothing has changed, and the general path has to do it all.
    General,
}

impl Way {
    /// To the end, if there is a thread that runs next.
    #[inline(always)]
    const fn of(next: Option<Ref<Tcb>>) -> Self {
        if next.is_some() { Self::Done(next) } else { Self::General }
    }
}

impl<A: Arch> Kernel<A> {
    /// Does the system call that `thread`, which is current, has executed, if it is a usual one.
    #[inline(always)]
    pub(crate) fn try_fastpath(&mut self, thread: Ref<Tcb>, number: u64) -> Way {
        match number.cast_signed() {
            syscall::CALL if self.is_quiet() => {
                entered_by::<{ syscall::CALL as u64 }>();
                self.call_directly(thread)
            }
            syscall::REPLY_RECV if self.is_quiet() => {
                entered_by::<{ syscall::REPLY_RECV as u64 }>();
                Way::of(self.fast_reply_recv(thread))
            }
            _ => Way::General,
        }
    }

    /// In a quiet entry: if `cap` is to a notification, raises it for `thread`; whether it did.
    #[inline(always)]
    pub(crate) fn try_signal(&mut self, thread: Ref<Tcb>, cap: RawCap) -> bool {
        if !cap.is_with(tag::NOTIFICATION, Rights::WRITE) || self.short_message(thread).is_none() {
            return false;
        }
        cap.object(4).is_some_and(|notification| self.fast_signal(notification, cap.word1))
    }

    /// Raises `notification` with `badge` in an entry that is quiet and has done nothing yet; whether it did. If not,
    /// nothing has changed.
    #[inline(always)]
    pub(crate) fn fast_signal(&mut self, notification: Ref<Notification>, badge: u64) -> bool {
        let Notification { queue, active, bound_tcb, .. } = self.store[notification];
        let Some(waiter) = queue else {
            if !active && bound_tcb.is_some() {
                return false;
            }
            let raised = &mut self.store[notification];
            raised.word = if active { raised.word | badge } else { badge };
            raised.active = true;
            return true;
        };
        if !self.store[waiter].links.is_alone() {
            return false;
        }
        let Some(turn) = self.plan_preemption(waiter) else { return false };
        self.store[notification].queue = None;
        let woken = &mut self.store[waiter];
        woken.notification = None;
        woken.registers.words[A::REGISTERS.capability] = badge;
        self.preempt(turn);
        true
    }

    /// Call. What is called may also be an object; then the general path goes on here, and
    /// need not look it up again.
    #[inline(always)]
    fn call_directly(&mut self, thread: Ref<Tcb>) -> Way {
        let Some(slot) = self.lookup_directly(thread, A::REGISTERS.capability) else { return Way::General };
        let cap = self.store[slot].raw;
        if cap.tag() == tag::ENDPOINT {
            return Way::of(self.fast_call(thread, cap));
        }
        self.call_object(thread, slot);
        Way::Done(self.core.current)
    }

    /// Call of the endpoint of `cap`; nothing if it is unusual.
    #[inline(always)]
    fn fast_call(&mut self, thread: Ref<Tcb>, cap: RawCap) -> Option<Ref<Tcb>> {
        let call = self.plan_call(thread, cap)?;
        let Switch { from, to, context, reply, endpoint, .. } = call;
        operation_is::<{ operation::SEND }>();
        self.store[endpoint].set_queue(None, EndpointState::Idle);

        let below = self.store[context].reply.replace(reply);
        if let Some(below) = below {
            self.store[below].set_above(Above::Reply(reply));
        }
        let parked = &mut self.store[reply];
        parked.tcb = Some(from);
        parked.below = below;
        parked.set_above(Above::SchedContext(context));

        let caller = &mut self.store[from];
        caller.state = ThreadState::BlockedOnReply;
        caller.reply = Some(reply);
        let callee = &mut self.store[to];
        callee.reply = None;
        callee.endpoint = None;
        self.finish_fastpath(&call);
        Some(to)
    }

    /// Decides about a Call.
    #[inline(always)]
    fn plan_call(&self, from: Ref<Tcb>, cap: RawCap) -> Option<Switch> {
        let info = self.short_message(from)?;
        if !cap.rights().has(Rights::WRITE) || !cap.rights().can_be_answered() {
            return None;
        }
        let endpoint: Ref<Endpoint> = cap.object(4)?;
        if self.store[endpoint].state() != EndpointState::Receiving {
            return None;
        }
        let to = self.store[endpoint].queue()?;
        let callee = &self.store[to];
        if !(callee.links.is_alone() & callee.sched_context.is_none()) {
            return None;
        }
        let reply = callee.reply?;
        let context = self.store[from].sched_context?;
        let space = self.may_switch(from, to)?;
        Some(Switch { from, to, space, badge: cap.word1, info, context, reply, endpoint })
    }

    /// ReplyRecv; nothing if it is unusual.
    #[inline(always)]
    fn fast_reply_recv(&mut self, thread: Ref<Tcb>) -> Option<Ref<Tcb>> {
        let answer = self.plan_reply_recv(thread)?;
        let Switch { from, to, context, reply, endpoint, .. } = answer;
        operation_is::<{ operation::REPLY }>();
        let below = self.store[reply].below;
        self.store[context].reply = below;
        if let Some(below) = below {
            self.store[below].set_above(Above::SchedContext(context));
        }
        let reserved = &mut self.store[reply];
        reserved.tcb = Some(from);
        reserved.below = None;
        reserved.set_above(Above::Nothing);

        self.store[to].reply = None;
        let server = &mut self.store[from];
        server.state = ThreadState::BlockedOnReceive;
        server.reply = Some(reply);
        server.endpoint = Some(endpoint);
        server.links = Links::leaf(tree::key_of(server.priority), None);
        self.store[endpoint].set_queue(Some(from), EndpointState::Receiving);
        self.finish_fastpath(&answer);
        Some(to)
    }

    /// Decides about a ReplyRecv.
    #[inline(always)]
    fn plan_reply_recv(&self, from: Ref<Tcb>) -> Option<Switch> {
        let info = self.short_message(from)?;
        let cap = self.store[self.lookup_directly(from, A::REGISTERS.reply)?].raw;
        if cap.tag() != tag::REPLY {
            return None;
        }
        let reply: Ref<Reply> = cap.object(5)?;
        let cap = self.store[self.lookup_directly(from, A::REGISTERS.capability)?].raw;
        if cap.tag() != tag::ENDPOINT || !cap.rights().has(Rights::READ) {
            return None;
        }
        let endpoint: Ref<Endpoint> = cap.object(4)?;
        if self.store[endpoint].state() != EndpointState::Idle
            || self.store[from].bound_notification.is_some()
        {
            return None;
        }
        let to = self.store[reply].tcb?;
        let context = self.store[from].sched_context?;
        let is_last_call = self.store[reply].above() == Above::SchedContext(context);
        let caller = &self.store[to];
        if caller.state != ThreadState::BlockedOnReply
            || !is_last_call
            || caller.sched_context.is_some()
            || caller.fault.is_some()
        {
            return None;
        }
        let space = self.may_switch(from, to)?;
        Some(Switch { from, to, space, badge: 0, info, context, reply, endpoint })
    }

    /// The message goes over, and with it the context; the receiver runs.
    #[inline(always)]
    fn finish_fastpath(&mut self, switch: &Switch) {
        let &Switch { from, to, space, badge, info, context, .. } = switch;
        let mut rounds = at_most!(MESSAGE_REGISTERS);
        for &register in A::REGISTERS.message.iter().take(info.length()) {
            rounds.count();
            let word = self.store[from].registers.words[register];
            self.store[to].registers.words[register] = word;
        }
        self.store[from].sched_context = None;
        self.store[context].tcb = Some(to);
        let receiver = &mut self.store[to];
        receiver.sched_context = Some(context);
        receiver.state = ThreadState::Running;
        receiver.registers.words[A::REGISTERS.capability] = badge;
        receiver.registers.words[A::REGISTERS.info] = info.without_unwrapped().word();
        self.core.current = Some(to);
        self.arch.switch_between(&mut self.store, from, to, space);
    }

    /// The info word of the message of `thread`, if it has no capabilities and fits into registers.
    #[inline(always)]
    fn short_message(&self, thread: Ref<Tcb>) -> Option<MessageInfo> {
        let info = MessageInfo(self.store[thread].registers.words[A::REGISTERS.info]);
        info.is_at_most(MESSAGE_REGISTERS).then_some(info)
    }

    /// The slot that a register of `thread` names, if its CSpace has one level.
    #[inline(always)]
    pub(crate) fn lookup_directly(&self, thread: Ref<Tcb>, register: usize) -> Option<Ref<Slot>> {
        let address = self.store[thread].registers.words[register];
        let root = self.store[thread].slots[TcbSlot::CSpace as usize].raw;
        root.only_level_slot::<A>(address)
    }

    /// Where `to` would run, if it may run at once when `from`, which is current, stops.
    #[inline(always)]
    fn may_switch(&self, from: Ref<Tcb>, to: Ref<Tcb>) -> Option<(Ref<Table>, Asid)> {
        let domain = self.domains.current();
        let priority = self.store[to].priority;
        if !self.is_of_this_domain(to) {
            return None;
        }
        if priority < self.store[from].priority && self.core.ready().highest(domain) > Some(priority) {
            return None;
        }
        self.space_of(to)
    }
}
