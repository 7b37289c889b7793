// SPDX-License-Identifier: MIT OR Apache-2.0

//! The authority over a core's time: it gives scheduling contexts their budgets (`scheduling.md` §2.1,
//! `invocations.md` §6).

use super::call::{Answer, Message};
use super::error::Error;
use super::refill::Budget;
use super::{Activity, System};
use crate::algebra::Kind;
use crate::concrete::Object;
use keel_abi::label;
use keel_abi::object::{MIN_REFILLS, SCHED_CONTEXT_SPORADIC};
use keel_abi::timing::MIN_BUDGET_US;

/// Bytes of a scheduling context in front of its refills (`objects.md` §6).
const HEADER: u64 = 96;
/// Bytes of a refill.
const REFILL: u64 = 16;

impl System {
    /// Invokes the authority over a core's time: ConfigureFlags.
    pub(super) fn invoke_sched_control(&mut self, message: &Message) -> Answer {
        if message.label != label::SCHED_CONTROL_CONFIGURE_FLAGS {
            return Err(Error::IllegalOperation);
        }
        let slot = message.extra(0)?;
        message.require(5)?;
        let [budget, period, extra, badge, flags] =
            [0, 1, 2, 3, 4].map(|index| self.argument(message, index));
        self.check_times(budget, period)?;
        let cap = self.cap(&slot);
        if cap.kind != Kind::SchedContext {
            return Err(Error::InvalidCapability(1));
        }
        let most_extra = (self.bytes(cap.object) - HEADER) / REFILL - MIN_REFILLS;
        if extra > most_extra {
            return Err(Error::Range(0, most_extra));
        }
        let times = (self.clock.ticks(budget), self.clock.ticks(period));
        self.give_budget(cap.object, times, (extra + MIN_REFILLS) as usize);
        let context = self.context_mut(cap.object);
        (context.badge, context.is_sporadic) = (badge, flags & SCHED_CONTEXT_SPORADIC != 0);
        self.resume_on(cap.object);
        Ok(vec![])
    }

    fn check_times(&self, budget: u64, period: u64) -> Result<(), Error> {
        let longest = self.clock.longest();
        let is_short = |time| self.clock.ticks(time) < self.clock.minimum();
        if budget.max(period) > longest || is_short(budget) || is_short(period) {
            return Err(Error::Range(MIN_BUDGET_US, longest));
        }
        if budget > period { Err(Error::Range(MIN_BUDGET_US, period)) } else { Ok(()) }
    }

    /// Gives a context a new budget, (budget, period) in ticks. One that a thread is using goes on with what it has.
    fn give_budget(&mut self, context: Object, (amount, period): (u64, u64), most: usize) {
        if self.clock.context == Some(context) {
            self.charge();
        }
        let super::Context { thread, budget: ref old, .. } = self.contexts[&context];
        let is_used = thread.is_some_and(|thread| self.thread(thread).activity == Activity::Runnable);
        let (now, minimum) = (self.clock.now, self.clock.minimum());
        let budget = if is_used && self.contexts[&context].is_active() && amount < period {
            Budget::update(amount, period, most, now, old.first(), minimum)
        } else {
            Budget::new(amount, period, most, now)
        };
        self.context_mut(context).budget = budget;
    }

    /// The thread on a context with new parameters waits for its time, or competes.
    fn resume_on(&mut self, context: Object) {
        let Some(thread) = self.contexts[&context].thread else { return };
        self.queues.leave(thread);
        if self.thread(thread).activity != Activity::Runnable {
            return;
        }
        if !self.is_released(context) {
            self.wait_for_time(thread);
        } else if self.current == Some(thread) {
            self.reschedule();
        } else {
            self.may_switch_to(thread);
        }
    }
}
