// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whose time passes, and what happens when it is used up (`scheduling.md` §2.3, `syscalls.md` §6 and §12).
//!
//! Time passes at user level, and in the middle of long operations. At each entry to the kernel, and each time that a long
//! operation looks whether it may go on, the clock is read; what is between takes no time. What was used since
//! somebody else began to run is charged when somebody else runs again, when the budget ends, and before its parameters
//! change; until then the consumed time that the interface tells lags behind.
//!
//! An entry that finds less than the smallest budget left, or so little of the domain's time, acts on that: a system call
//! or a fault then does not happen, but is repeated later; an interrupt is handled all the same.

use super::fault::{Fault, is_handler};
use super::schedule::{End, NEVER};
use super::{NotCovered, System, TIMEOUT_HANDLER};
use crate::concrete::Object;
use keel_abi::aarch64::registers::Register;
use keel_abi::timing::{MAX_PERIOD_DIVISOR, MIN_BUDGET_US};

/// A core's clock.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Clock {
    /// The time of this entry, in ticks.
    pub now: u64,
    /// The scheduling context whose time passes.
    pub context: Option<Object>,
    /// Since when what it used has not been charged.
    pub since: u64,
    /// Ticks in a millisecond.
    pub khz: u64,
}

/// By what the kernel was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// An instruction of the running thread.
    Instruction,
    /// An interrupt.
    Interrupt,
}

impl Clock {
    /// So many microseconds, in ticks.
    #[must_use]
    pub const fn ticks(&self, micros: u64) -> u64 {
        (micros as u128 * self.khz as u128 / 1000) as u64
    }

    /// So many ticks, in microseconds.
    #[must_use]
    pub const fn micros(&self, ticks: u64) -> u64 {
        (ticks as u128 * 1000 / self.khz as u128) as u64
    }

    /// The smallest budget, in ticks.
    #[must_use]
    pub const fn minimum(&self) -> u64 {
        self.ticks(MIN_BUDGET_US)
    }

    /// The longest period, in microseconds.
    #[must_use]
    pub const fn longest(&self) -> u64 {
        let factor = if self.khz.is_multiple_of(1000) { self.khz / 1000 } else { self.khz };
        u64::MAX / factor / MAX_PERIOD_DIVISOR
    }
}

impl System {
    /// The latest moment at which the timer must have interrupted: the running thread's budget or domain ends, or
    /// somebody is to be released.
    #[must_use]
    pub fn deadline(&self) -> u64 {
        let amount = self.clock.context.map(|context| self.contexts[&context].budget.first().amount);
        let used_up = amount.map_or(NEVER, |amount| self.clock.since + amount);
        used_up.min(self.domains.end()).min(self.queues.next_release())
    }

    /// The kernel is entered at `now`; whether there is time for what it was entered for. If not, that is repeated later.
    pub(super) fn enter(&mut self, now: u64, entry: Entry) -> Result<bool, NotCovered> {
        self.clock.now = now;
        let (budget_is_over, domain_is_over) = (self.budget_is_over(), self.domain_is_over());
        if !budget_is_over && !domain_is_over {
            return Ok(true);
        }
        if entry == Entry::Instruction
            && let Some(current) = self.current
        {
            self.thread_mut(current).repeats = true;
        }
        if budget_is_over {
            self.end_budget()?;
        }
        self.reschedule();
        if domain_is_over {
            self.domains.advance(now);
        }
        Ok(false)
    }

    /// Whether less than the smallest budget is left to who runs.
    pub(super) fn budget_is_over(&self) -> bool {
        let Clock { now, context, since, .. } = self.clock;
        let first = context.map(|context| self.contexts[&context].budget.first());
        first.is_some_and(|first| first.amount < now - since + self.clock.minimum())
    }

    /// Whether so little is left of the domain's time.
    pub(super) fn domain_is_over(&self) -> bool {
        self.domains.end() < self.clock.now + self.clock.minimum()
    }

    /// The running thread's budget is used up: it raises a Timeout fault, or waits for its next turn.
    fn end_budget(&mut self) -> Result<(), NotCovered> {
        self.charge();
        let Some(current) = self.current else { return Ok(()) };
        let Some(context) = self.clock.context.filter(|_| self.is_schedulable(current)) else {
            return Ok(());
        };
        if self.contexts[&context].budget.is_round_robin() || !self.has_timeout_handler(current) {
            self.await_turn(current, context);
            return Ok(());
        }
        self.time_out(current, context)
    }

    fn await_turn(&mut self, thread: Object, context: Object) {
        if self.is_released(context) {
            self.make_ready(thread, End::Tail);
        } else {
            self.wait_for_time(thread);
        }
    }

    /// Whether a thread's timeouts are heard of.
    pub(super) fn has_timeout_handler(&self, thread: Object) -> bool {
        is_handler(&self.cap(&Self::slot_of(thread, TIMEOUT_HANDLER)))
    }

    /// A thread with a timeout handler has no time on its context. It goes on later where it is now.
    pub(super) fn time_out(&mut self, thread: Object, context: Object) -> Result<(), NotCovered> {
        let badge = self.contexts[&context].badge;
        let stopped = self.thread_mut(thread);
        if !std::mem::take(&mut stopped.repeats) {
            stopped.registers[Register::Pc] = stopped.registers[Register::NextPc];
        }
        self.send_fault(thread, TIMEOUT_HANDLER, Fault::Timeout { badge })
    }

    /// Yield: the running thread gives up the rest of its first refill, or of its turn.
    pub(super) fn yield_now(&mut self, thread: Object) {
        let Some(context) = self.clock.context else { return };
        let (used, minimum) = (self.take_used(), self.clock.minimum());
        let given = self.context_mut(context);
        given.consumed += used;
        given.budget.give_up(minimum);
        self.await_turn(thread, context);
        self.reschedule();
    }

    /// What was used and not charged yet; from now on it counts anew.
    fn take_used(&mut self) -> u64 {
        let used = self.clock.now - self.clock.since;
        self.clock.since = self.clock.now;
        used
    }

    /// Charges the context whose time passes.
    pub(super) fn charge(&mut self) {
        let (used, minimum) = (self.take_used(), self.clock.minimum());
        if let Some(context) = self.clock.context {
            let charged = self.context_mut(context);
            charged.consumed += used;
            charged.budget.charge(used, minimum);
        }
    }

    /// From now on the time of `context` passes. A context of constant bandwidth begins anew then.
    pub(super) fn switch_time(&mut self, context: Option<Object>) {
        if context == self.clock.context {
            return;
        }
        self.charge();
        let old = std::mem::replace(&mut self.clock.context, context);
        if let Some(thread) = old.and_then(|old| self.contexts[&old].thread)
            && self.queues.is_ready(thread)
        {
            // What was charged may have been all: time has passed in the middle of a long operation.
            self.waits_if_it_must(thread);
        }
        if let Some(context) = context
            && !self.contexts[&context].is_sporadic
        {
            let now = self.clock.now;
            self.context_mut(context).budget.unblock(now);
        }
    }

    /// A thread wakes up on `context`, or gets it. A sporadic one begins anew then, unless its time passes already.
    pub(super) fn unblock(&mut self, context: Object) {
        if self.contexts[&context].is_sporadic && self.clock.context != Some(context) {
            let now = self.clock.now;
            self.context_mut(context).budget.unblock(now);
        }
    }

    /// Whether a thread could run on a context now.
    #[must_use]
    pub fn is_released(&self, context: Object) -> bool {
        self.contexts[&context].budget.is_ready(self.clock.now)
    }

    /// What a context has consumed since this was last told, in microseconds.
    pub(super) fn take_consumed(&mut self, context: Object) -> u64 {
        let ticks = std::mem::take(&mut self.context_mut(context).consumed);
        self.clock.micros(ticks)
    }
}
