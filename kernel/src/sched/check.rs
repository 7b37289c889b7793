// SPDX-License-Identifier: MIT OR Apache-2.0

//! The invariants of time, and what of it others may want to look at: for the checks that follow each entry on the
//! host.

use super::Core;
use super::refill::STEPS_PER_ENTRY;
use super::release::NEVER;
use crate::Kernel;
use crate::arch::Arch;
use crate::object::tcb::Queued;
use crate::object::{Refill, SchedContext, Tcb};
use crate::store::Ref;
use crate::units::Ticks;

impl Core {
    /// Since when what the running context used has not been charged.
    #[must_use]
    pub const fn running_since(&self) -> Ticks {
        self.running_since
    }
}

impl<A: Arch> Kernel<A> {
    /// Panics if an invariant of the core's time does not hold: B1 to B3 of [`super::budget`].
    pub fn assert_time(&self) {
        let core = &self.core;
        assert!(!core.time_changed && core.steps_left == STEPS_PER_ENTRY, "the entry has not been ended");
        let own = core.current.and_then(|current| self.store[current].sched_context);
        assert_eq!(core.sched_context, own, "B1");
        let mut used_up = NEVER;
        if let Some(context) = core.sched_context {
            let used = core.now - core.running_since;
            assert!(self.sc_active(context) && self.refill_ready(context), "B2: {context:?}");
            assert!(self.refill_sufficient(context, used), "B2: {context:?} has used {used:?}");
            used_up = core.running_since + self.store[context.head_refill(&self.store)].amount;
        }
        used_up = used_up.min(self.domains.end());
        assert_eq!(core.check_after.0, used_up.0.saturating_sub(core.rate.min_budget.0), "B3");
        let deadline = used_up.min(core.release.next_time());
        assert_eq!(core.timer, deadline, "B3");
        assert_eq!(core.quiet_until, deadline.min(Ticks(core.check_after.0.saturating_add(1))), "B3");
    }

    /// Panics if `tcb` waits in a ready queue without time (S2), or for time with a key that is not Q3's.
    pub fn assert_turn(&self, tcb: Ref<Tcb>) {
        let Some(context) = self.store[tcb].sched_context else { return };
        match self.store[tcb].queued {
            Queued::No => {}
            Queued::Ready => assert!(self.sc_released(context), "S2: {tcb:?} is ready and has no time"),
            Queued::Release => {
                let (key, time) =
                    (self.store[tcb].links.key, self.store[context.head_refill(&self.store)].time.0);
                let settled = self.refill_sufficient(context, Ticks(0));
                assert!(key == time || !settled && key > time, "Q3: {tcb:?} waits until {key}, not {time}");
            }
        }
    }

    /// Panics if `refills`, those of the active `context`, break X3, or L1, L2 or L4 of [`super::refill`].
    pub fn assert_refills(&self, context: Ref<SchedContext>, refills: &[Refill]) {
        let SchedContext { period, round_robin, .. } = self.store[context];
        let sum: u64 = refills.iter().map(|refill| refill.amount.0).sum();
        assert!(sum >= self.core.rate.min_budget.0 && sum <= period.0, "L1: {context:?}: {refills:?}");
        if round_robin {
            assert_eq!(refills.len(), 1, "X3: {context:?}");
            return;
        }
        for pair in refills.windows(2).skip(1) {
            assert!(pair[0].time + pair[0].amount <= pair[1].time, "L2: {context:?}: {refills:?}");
        }
        if let [first, .., last] = *refills {
            assert!(last.time <= first.time + period, "L4: {context:?}: {refills:?}");
        }
    }
}
