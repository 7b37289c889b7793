// SPDX-License-Identifier: MIT OR Apache-2.0

//! Time: scheduling contexts, the right to fill them, and domains.

use keel_abi::{label, object};

use super::{CPtr, Cap, Invoked, Notification, Tcb, invoke};

/// A share of a core's time.
pub enum SchedContext {}

/// The right to give time of one core.
pub enum SchedControl {}

/// The right to set domains and their schedule.
pub enum DomainSet {}

/// How much time a scheduling context gives.
///
/// ```
/// use keel::cap::Budget;
/// let slice = Budget::round_robin(5_000);
/// assert_eq!(slice.budget_us, slice.period_us);
/// assert_eq!(Budget::of(2_000, 10_000).badge(7).badge, 7);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Time in each period, in microseconds.
    pub budget_us: u64,
    /// The period, in microseconds.
    pub period_us: u64,
    /// Pieces beyond two into which the budget may split.
    pub extra_refills: u64,
    /// What a timeout fault shows.
    pub badge: u64,
    /// Whether unused time is kept while the thread waits (a sporadic server) or not.
    pub sporadic: bool,
}

impl Budget {
    /// `budget_us` in each `period_us`.
    pub const fn of(budget_us: u64, period_us: u64) -> Self {
        Self { budget_us, period_us, extra_refills: 0, badge: 0, sporadic: false }
    }

    /// Turns of `slice_us` with others of the same priority, without an end.
    pub const fn round_robin(slice_us: u64) -> Self {
        Self::of(slice_us, slice_us)
    }

    /// With this badge.
    pub const fn badge(mut self, badge: u64) -> Self {
        self.badge = badge;
        self
    }
}

impl Cap<SchedControl> {
    /// Sets what a scheduling context gives, on this control's core.
    pub fn configure(self, context: Cap<SchedContext>, budget: Budget) -> Invoked {
        let flags = if budget.sporadic { object::SCHED_CONTEXT_SPORADIC } else { 0 };
        let words = [budget.budget_us, budget.period_us, budget.extra_refills, budget.badge, flags];
        invoke(self.cptr(), label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[context.cptr()]).map(drop)
    }
}

impl Cap<SchedContext> {
    fn bind(self, object: CPtr) -> Invoked {
        invoke(self.cptr(), label::SCHED_CONTEXT_BIND, &[], &[object]).map(drop)
    }

    fn unbind_object(self, object: CPtr) -> Invoked {
        invoke(self.cptr(), label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[object]).map(drop)
    }

    /// Gives the time to a thread.
    pub fn bind_tcb(self, tcb: Cap<Tcb>) -> Invoked {
        self.bind(tcb.cptr())
    }

    /// Gives the time to whoever the notification wakes without time of its own.
    pub fn bind_notification(self, notification: Cap<Notification>) -> Invoked {
        self.bind(notification.cptr())
    }

    /// Takes the time from whatever has it.
    pub fn unbind(self) -> Invoked {
        invoke(self.cptr(), label::SCHED_CONTEXT_UNBIND, &[], &[]).map(drop)
    }

    /// Takes the time from this thread.
    pub fn unbind_tcb(self, tcb: Cap<Tcb>) -> Invoked {
        self.unbind_object(tcb.cptr())
    }

    /// Takes the time from this notification.
    pub fn unbind_notification(self, notification: Cap<Notification>) -> Invoked {
        self.unbind_object(notification.cptr())
    }

    /// Microseconds used since last asked.
    pub fn consumed(self) -> Invoked<u64> {
        invoke(self.cptr(), label::SCHED_CONTEXT_CONSUMED, &[], &[]).map(|reply| reply.word(0))
    }

    /// Lets the thread on this context run now; gives the microseconds used since last asked.
    pub fn yield_to(self) -> Invoked<u64> {
        invoke(self.cptr(), label::SCHED_CONTEXT_YIELD_TO, &[], &[]).map(|reply| reply.word(0))
    }
}

impl Cap<DomainSet> {
    /// Puts a thread into a domain.
    pub fn set(self, tcb: Cap<Tcb>, domain: u8) -> Invoked {
        invoke(self.cptr(), label::DOMAIN_SET_SET, &[domain.into()], &[tcb.cptr()]).map(drop)
    }

    /// Sets entry `index` of the schedule: this domain for so many timer ticks.
    pub fn configure_schedule(self, index: u64, domain: u64, duration_ticks: u64) -> Invoked {
        let words = [index, domain, duration_ticks];
        invoke(self.cptr(), label::DOMAIN_SCHEDULE_CONFIGURE, &words, &[]).map(drop)
    }

    /// Goes on with entry `index` of the schedule, and starts over there at its end.
    pub fn set_schedule_start(self, index: u64) -> Invoked {
        invoke(self.cptr(), label::DOMAIN_SCHEDULE_SET_START, &[index], &[]).map(drop)
    }
}
