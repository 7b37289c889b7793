// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scheduling contexts: time as an object.
//!
//! A context says how much of a core's time whoever runs on it may use, and when it comes back. It is bound to at
//! most one thread; with calls to passive servers it travels along a chain of threads and back ([`super::reply`]),
//! and a notification can lend it to the threads that it wakes. The rules of its budget are those of
//! [`crate::sched::refill`].
//!
//! ```text
//!            configure              bind / donate / lend
//!   retyped ----------> active,   ----------------------> active, bound <---> travels with calls
//!                       nobody's  <----------------------
//!                                  unbind / thread dies
//! ```
//!
//! Invariants (with T4 of [`super::tcb`]):
//! - **X1** `tcb`, `notification` and `reply` are set exactly if that object points back.
//! - **X2** `yield_from` is set exactly if that thread's `yield_to` is this context.
//! - **X3** A context is active exactly if `refill_count` is not 0. Then `period` and `refill_max` are set, and the
//!   refills obey L1 to L4 ([`crate::sched::refill`]). A round-robin context has one refill, of the rest of its slice,
//!   which is at least the minimum budget; its time is without meaning.
//!
//! Bound: no loops here.

use super::{Notification, Reply, Tcb};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::object::reply::Above;
use crate::sched::refill::{self, Refills};
use crate::store::Ref;
use crate::units::{Micros, Ticks};
use keel_abi::label;
use keel_bounds::operation_is;

pub mod ring;
pub mod yield_to;

/// An amount of time that can be used from a point in time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Refill {
    /// When it can be used.
    pub time: Ticks,
    /// How much.
    pub amount: Ticks,
}

/// A scheduling context. Behind it, up to the object's end, lie its refills: a ring.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SchedContext {
    /// Period; equal to the budget in a round-robin context. 0 while unconfigured.
    pub period: Ticks,
    /// Time used since it was last asked for.
    pub consumed: Ticks,
    /// The value given at configuration, for timeout faults.
    pub badge: u64,
    /// The thread that runs on it.
    pub tcb: Option<Ref<Tcb>>,
    /// The notification that lends it.
    pub notification: Option<Ref<Notification>>,
    /// Top of the stack of calls that it travelled along.
    pub reply: Option<Ref<Reply>>,
    /// The thread that yielded to it and waits to hear what it consumed.
    pub yield_from: Option<Ref<Tcb>>,
    /// Index of the first refill in the ring.
    pub refill_head: u64,
    /// Number of refills in use; 0 exactly while unconfigured.
    pub refill_count: u64,
    /// Number of refills that may be in use, and size of the ring.
    pub refill_max: u64,
    /// Time used that is not yet charged ([`crate::sched::refill`]).
    pub debt: Ticks,
    /// Core whose time it is.
    pub core: u16,
    /// Whether it is a sporadic server (else constant bandwidth).
    pub sporadic: bool,
    /// Whether budget and period are equal.
    pub round_robin: bool,
}

/// Bytes in front of the refills (`objects.md` §6).
pub const HEADER_BYTES: u64 = 96;

const _: () = assert!(size_of::<SchedContext>() as u64 == HEADER_BYTES);

/// Number of refills for which a context of 2^`bits` bytes has room.
#[must_use]
pub const fn capacity(bits: u8) -> u64 {
    keel_abi::object::max_refills(bits as u32)
}

/// What ConfigureFlags gives a context.
#[derive(Clone, Copy, Debug)]
pub struct Parameters {
    /// How much time may be used in each period.
    pub budget: Ticks,
    /// How long it is until used time comes back. At least the budget.
    pub period: Ticks,
    /// The most refills, at least 2 and at most the context's capacity.
    pub max_refills: u64,
    /// The value for timeout faults.
    pub badge: u64,
    /// Whether it becomes a sporadic server.
    pub sporadic: bool,
    /// Whose time it is.
    pub core: u16,
}

/// An operation on a context.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Gives it to a thread.
    BindTcb(Ref<SchedContext>, Ref<Tcb>),
    /// Has a notification lend it.
    BindNotification(Ref<SchedContext>, Ref<Notification>),
    /// Takes it away from everybody.
    Unbind(Ref<SchedContext>),
    /// Takes it away from its thread.
    UnbindTcb(Ref<SchedContext>),
    /// Takes it away from its notification.
    UnbindNotification(Ref<SchedContext>),
    /// Tells how much was used, and counts anew.
    Consumed(Ref<SchedContext>),
    /// Lets its thread run before the caller.
    YieldTo(Ref<SchedContext>, Ref<Tcb>),
}

impl<A: Arch> Kernel<A> {
    /// Decodes an invocation of `context` (`invocations.md` §6).
    pub fn decode_sched_context(
        &self,
        context: Ref<SchedContext>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        match message.label {
            label::SCHED_CONTEXT_BIND => self.decode_bind(context, message),
            label::SCHED_CONTEXT_UNBIND => {
                if self.store[context].tcb == Some(message.sender) {
                    return Err(Error::IllegalOperation);
                }
                Ok(Invocation::Unbind(context))
            }
            label::SCHED_CONTEXT_UNBIND_OBJECT => self.decode_unbind_object(context, message),
            label::SCHED_CONTEXT_CONSUMED => Ok(Invocation::Consumed(context)),
            label::SCHED_CONTEXT_YIELD_TO => self.decode_yield_to(context, message),
            _ => Err(Error::IllegalOperation),
        }
    }

    /// SchedContextBind.
    fn decode_bind(&self, context: Ref<SchedContext>, message: &Message) -> Result<Invocation, Error> {
        let SchedContext { tcb: bound_tcb, notification: bound_notification, .. } = self.store[context];
        let (legal, operation) = match self.extra_cap(message, 0)?.1 {
            Cap::Tcb(tcb) => {
                let target = &self.store[tcb];
                let free = bound_tcb.is_none() && target.sched_context.is_none();
                let can_go_on = !target.state.is_blocked() || self.sc_released(context);
                (free && can_go_on, Invocation::BindTcb(context, tcb))
            }
            Cap::Notification(cap) => {
                let free = bound_notification.is_none() && self.store[cap.object].sched_context.is_none();
                (free, Invocation::BindNotification(context, cap.object))
            }
            _ => return Err(Error::InvalidCapability(1)),
        };
        if legal { Ok(operation) } else { Err(Error::IllegalOperation) }
    }

    /// SchedContextUnbindObject.
    fn decode_unbind_object(
        &self,
        context: Ref<SchedContext>,
        message: &Message,
    ) -> Result<Invocation, Error> {
        let (legal, operation) = match self.extra_cap(message, 0)?.1 {
            Cap::Tcb(tcb) => {
                let is_other_and_bound = self.store[context].tcb == Some(tcb) && tcb != message.sender;
                (is_other_and_bound, Invocation::UnbindTcb(context))
            }
            Cap::Notification(cap) => {
                let is_bound = self.store[context].notification == Some(cap.object);
                (is_bound, Invocation::UnbindNotification(context))
            }
            _ => return Err(Error::InvalidCapability(1)),
        };
        if legal { Ok(operation) } else { Err(Error::IllegalOperation) }
    }

    /// SchedContextYieldTo.
    fn decode_yield_to(&self, context: Ref<SchedContext>, message: &Message) -> Result<Invocation, Error> {
        let target = self.store[context].tcb.ok_or(Error::IllegalOperation)?;
        let max_controlled = self.store[message.sender].max_controlled_priority;
        if target == message.sender || self.store[target].priority > max_controlled {
            return Err(Error::IllegalOperation);
        }
        Ok(Invocation::YieldTo(context, target))
    }

    /// Performs it; the number of results.
    pub fn perform_sched_context(
        &mut self,
        operation: Invocation,
        message: &Message,
    ) -> Result<u64, Preempted> {
        match operation {
            Invocation::BindTcb(context, tcb) => {
                operation_is::<{ label::SCHED_CONTEXT_BIND }>();
                self.sc_bind_tcb(context, tcb);
            }
            Invocation::BindNotification(context, notification) => {
                operation_is::<{ label::SCHED_CONTEXT_BIND }>();
                self.sc_bind_notification(context, notification);
            }
            Invocation::Unbind(context) => {
                operation_is::<{ label::SCHED_CONTEXT_UNBIND }>();
                self.sc_unbind_all(context);
            }
            Invocation::UnbindTcb(context) => {
                operation_is::<{ label::SCHED_CONTEXT_UNBIND_OBJECT }>();
                self.sc_unbind_tcb(context);
            }
            Invocation::UnbindNotification(context) => {
                operation_is::<{ label::SCHED_CONTEXT_UNBIND_OBJECT }>();
                self.sc_unbind_notification(context);
            }
            Invocation::Consumed(context) => {
                operation_is::<{ label::SCHED_CONTEXT_CONSUMED }>();
                self.report_consumed(context, message);
                return Ok(1);
            }
            Invocation::YieldTo(context, target) => {
                operation_is::<{ label::SCHED_CONTEXT_YIELD_TO }>();
                self.yield_to(context, target, message);
                return Ok(1);
            }
        }
        Ok(0)
    }

    /// Tells the caller what was consumed.
    fn report_consumed(&mut self, context: Ref<SchedContext>, message: &Message) {
        let consumed = self.consumed_us(context);
        if message.is_call {
            self.set_result(message.sender, 0, consumed.0);
        }
    }

    /// What was consumed since this was last asked; it is counted anew from here.
    pub fn consumed_us(&mut self, context: Ref<SchedContext>) -> Micros {
        let consumed = core::mem::take(&mut self.store[context].consumed);
        self.core.rate.micros(consumed)
    }

    /// Whether `context` is configured.
    #[must_use]
    #[inline(always)]
    pub fn sc_active(&self, context: Ref<SchedContext>) -> bool {
        self.store[context].refill_count != 0
    }

    /// Whether the first refill of the active `context` has come.
    #[must_use]
    #[inline(always)]
    pub fn refill_ready(&self, context: Ref<SchedContext>) -> bool {
        self.store[context].round_robin || self.store[context.head_refill(&self.store)].time <= self.core.now
    }

    /// Whether the first refill of the active `context`, less `used`, has the minimum budget.
    #[must_use]
    #[inline(always)]
    pub fn refill_sufficient(&self, context: Ref<SchedContext>, used: Ticks) -> bool {
        let needed = self.store[context].debt.0.saturating_add(used.0);
        let amount = self.store[context.head_refill(&self.store)].amount;
        amount.0 >= needed.saturating_add(self.core.rate.min_budget.0)
    }

    /// Whether a thread could run on `context` now: it is active, and its first refill has come and is enough.
    #[must_use]
    #[inline]
    pub fn sc_released(&self, context: Ref<SchedContext>) -> bool {
        self.sc_active(context) && self.refill_ready(context) && self.refill_sufficient(context, Ticks(0))
    }

    /// The thread on `context`, if it is runnable and the context has no budget now, waits for it. It is in no queue
    /// or, with budget, in a ready queue.
    pub fn sc_resume(&mut self, context: Ref<SchedContext>) {
        if let Some(tcb) = self.store[context].tcb
            && self.is_schedulable(tcb)
        {
            self.wait_for_budget(tcb);
        }
    }

    /// Gives the unbound `context` to `tcb`, which has none.
    pub fn sc_bind_tcb(&mut self, context: Ref<SchedContext>, tcb: Ref<Tcb>) {
        self.store[context].tcb = Some(tcb);
        self.store[tcb].sched_context = Some(context);
        self.sc_unblock_check(context);
        self.sc_resume(context);
        if self.is_schedulable(tcb) {
            self.reschedule();
            if self.core.current != Some(tcb) {
                self.ready_prepend(tcb);
            }
        }
    }

    /// Takes `context` away from its thread, if it has one, which cannot run without.
    pub fn sc_unbind_tcb(&mut self, context: Ref<SchedContext>) {
        if let Some(tcb) = self.store[context].tcb {
            self.sc_complete_yield_to_context(context);
            self.dequeue(tcb);
            self.sc_detach(context, tcb);
        }
    }

    /// Parts `context` from its thread `tcb`, which is in no queue.
    pub(super) fn sc_detach(&mut self, context: Ref<SchedContext>, tcb: Ref<Tcb>) {
        self.store[tcb].sched_context = None;
        self.store[context].tcb = None;
    }

    /// Has `notification`, which has no context, lend `context`, which no other one lends.
    pub fn sc_bind_notification(&mut self, context: Ref<SchedContext>, notification: Ref<Notification>) {
        self.store[context].notification = Some(notification);
        self.store[notification].sched_context = Some(context);
    }

    /// Takes `context` away from its notification, if it has one.
    pub fn sc_unbind_notification(&mut self, context: Ref<SchedContext>) {
        if let Some(notification) = self.store[context].notification.take() {
            self.store[notification].sched_context = None;
        }
    }

    /// Cuts `context` off its call stack: it returns to none of the callers.
    pub fn sc_unbind_reply(&mut self, context: Ref<SchedContext>) {
        if let Some(reply) = self.store[context].reply.take() {
            self.store[reply].set_above(Above::Nothing);
        }
    }

    /// Takes `context` away from everybody.
    pub fn sc_unbind_all(&mut self, context: Ref<SchedContext>) {
        self.sc_unbind_tcb(context);
        self.sc_unbind_notification(context);
        self.sc_unbind_reply(context);
    }

    /// Moves `context` from whoever runs on it to `to`, which has none and is in no ready or release queue.
    pub fn sc_donate(&mut self, context: Ref<SchedContext>, to: Ref<Tcb>) {
        if let Some(from) = self.store[context].tcb.replace(to) {
            self.dequeue(from);
            self.store[from].sched_context = None;
        }
        self.store[to].sched_context = Some(context);
    }

    /// Moves `context` from `from`, which runs on it but does not wait for its budget, to `to`, which has none and is in
    /// no ready or release queue.
    pub fn sc_lend(&mut self, context: Ref<SchedContext>, from: Ref<Tcb>, to: Ref<Tcb>) {
        debug_assert_eq!(self.store[context].tcb, Some(from), "{from:?} does not run on {context:?}");
        self.leave_ready(from);
        self.withdraw(from);
        self.store[from].sched_context = None;
        self.store[context].tcb = Some(to);
        self.store[to].sched_context = Some(context);
    }

    /// The last capability to `context` is gone.
    pub fn finalise_sched_context(&mut self, context: Ref<SchedContext>) {
        self.sc_complete_yield_to_context(context);
        self.sc_unbind_all(context);
        self.forget_context(context);
        self.store[context].refill_count = 0;
    }

    /// Gives `context` new parameters (`scheduling.md` §2.1).
    pub(super) fn configure(&mut self, context: Ref<SchedContext>, parameters: Parameters) {
        self.charge_if_running(context);
        let holder = self.store[context].tcb;
        if let Some(tcb) = holder {
            self.dequeue(tcb);
        }
        let is_runnable = holder.is_some_and(|tcb| self.store[tcb].state.is_runnable());
        let keeps_bandwidth = is_runnable && self.sc_active(context) && parameters.budget < parameters.period;
        let old_head = keeps_bandwidth.then(|| self.store[context.head_refill(&self.store)]);
        self.set_parameters(context, parameters);
        let fresh = Refill { time: self.core.now, amount: parameters.budget };
        let (head, missing) = match old_head {
            Some(head) => refill::keep_bandwidth(head, self.core.now, parameters.budget, parameters.period),
            None => (fresh, None),
        };
        let mut list = self.refills(context);
        list.push(head);
        if let Some(missing) = missing {
            list.push(missing);
        }
        self.settle(context);
        if let Some(tcb) = holder.filter(|_| is_runnable) {
            self.configured(context, tcb);
        }
    }

    /// Stores `parameters`; no refills yet.
    fn set_parameters(&mut self, context: Ref<SchedContext>, parameters: Parameters) {
        let context = &mut self.store[context];
        context.period = parameters.period;
        context.badge = parameters.badge;
        context.sporadic = parameters.sporadic;
        context.round_robin = parameters.budget == parameters.period;
        context.core = parameters.core;
        context.refill_head = 0;
        context.refill_count = 0;
        context.refill_max = parameters.max_refills;
        context.debt = Ticks(0);
    }

    /// The runnable `tcb`, in no queue, has a context with new parameters: it waits for its budget or competes.
    fn configured(&mut self, context: Ref<SchedContext>, tcb: Ref<Tcb>) {
        if !self.sc_released(context) {
            self.release_insert(tcb);
        } else if self.core.current == Some(tcb) {
            self.reschedule();
        } else {
            self.switch_candidate(tcb);
        }
    }
}
