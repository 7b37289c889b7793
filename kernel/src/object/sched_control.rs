// SPDX-License-Identifier: MIT OR Apache-2.0

//! The authority over the time of a core: it gives scheduling contexts their budgets (`scheduling.md` §2.1,
//! `invocations.md` §6).

use super::sched_context::{Parameters, capacity};
use super::{SchedContext, Tcb};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::sched::time::MIN_BUDGET;
use crate::store::Ref;
use crate::units::{Micros, Ticks};
use keel_abi::label;
use keel_abi::object::{MIN_REFILLS, SCHED_CONTEXT_SPORADIC};
use keel_abi::timing::BOOT_TIME_SLICE_US;
use keel_bounds::{at_most, operation_is};

/// ConfigureFlags, decoded: the context and its new parameters.
#[derive(Clone, Copy, Debug)]
pub struct Configure {
    /// The context.
    context: Ref<SchedContext>,
    /// What it becomes.
    parameters: Parameters,
}

impl<A: Arch> Kernel<A> {
    /// Decodes an invocation of the authority over the time of `core`.
    pub fn decode_sched_control(&self, core: u16, message: &Message) -> Result<Configure, Error> {
        if message.label != label::SCHED_CONTROL_CONFIGURE_FLAGS {
            return Err(Error::IllegalOperation);
        }
        let (_, cap) = self.extra_cap(message, 0)?;
        message.require(5)?;
        let (budget, period) =
            self.check_times(Micros(self.argument(message, 0)), Micros(self.argument(message, 1)))?;
        let Cap::SchedContext { object: context, bits } = cap else {
            return Err(Error::InvalidCapability(1));
        };
        let extra_refills = self.argument(message, 2);
        let max = capacity(bits).saturating_sub(MIN_REFILLS);
        if extra_refills > max {
            return Err(Error::Range { min: 0, max });
        }
        let badge = self.argument(message, 3);
        let sporadic = self.argument(message, 4) & SCHED_CONTEXT_SPORADIC != 0;
        let max_refills = extra_refills + MIN_REFILLS;
        Ok(Configure {
            context,
            parameters: Parameters { budget, period, max_refills, badge, sporadic, core },
        })
    }

    /// Budget and period in ticks, if they are legal.
    fn check_times(&self, budget: Micros, period: Micros) -> Result<(Ticks, Ticks), Error> {
        let rate = &self.core.rate;
        let (min, max) = (MIN_BUDGET, rate.max_period());
        // A budget in range is at least the minimum in microseconds exactly if it is in ticks.
        let mut rounds = at_most!(2);
        for time in [budget, period] {
            rounds.count();
            if time > max {
                return Err(Error::Range { min: min.0, max: max.0 });
            }
        }
        let mut rounds = at_most!(2);
        for time in [budget, period] {
            rounds.count();
            if rate.ticks(time) < rate.min_budget {
                return Err(Error::Range { min: min.0, max: max.0 });
            }
        }
        if budget > period {
            return Err(Error::Range { min: min.0, max: period.0 });
        }
        Ok((rate.ticks(budget), rate.ticks(period)))
    }

    /// Performs it; no results.
    pub fn perform_configure(&mut self, configure: Configure) -> Result<u64, Preempted> {
        operation_is::<{ label::SCHED_CONTROL_CONFIGURE_FLAGS }>();
        let Configure { context, parameters } = configure;
        self.configure(context, parameters);
        Ok(0)
    }

    /// Gives the initial thread `tcb` the context of 2^`bits` bytes that boot made for it: round robin
    /// (`boot.md` §4). Starts the core's clock.
    pub fn configure_initial_sched_context(&mut self, context: Ref<SchedContext>, bits: u8, tcb: Ref<Tcb>) {
        self.start_time();
        let slice = self.core.rate.ticks(Micros(BOOT_TIME_SLICE_US));
        let parameters = Parameters {
            budget: slice,
            period: slice,
            max_refills: capacity(bits),
            badge: 0,
            sporadic: false,
            core: 0,
        };
        self.configure(context, parameters);
        self.sc_bind_tcb(context, tcb);
    }
}
