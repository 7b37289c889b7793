// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whose time passes, and what happens when it is used up (`scheduling.md` §2, `syscalls.md` §6).
//!
//! The core remembers the context whose time passes and since when (`running_since`). What it used is the
//! difference to `now`; it is charged when another context begins to run, when its budget ends, and before its
//! parameters change. These moments are computed whenever one of their causes moves:
//!
//! ```text
//!   running_since                                          timer
//!        |------------------------------|--------------------|
//!                                    check_after    budget used up
//!                                       |<- minimum budget ->|
//! ```
//!
//! An entry to the kernel later than `check_after` finds too little left for a path through the kernel, and acts on
//! it instead of doing what it was made for. That is one comparison. The timer comes when everything is used up,
//! so that a thread which computes gets all of its budget; also when a thread is to be released and when the
//! domain's time ends, whichever is first. `quiet_until` is the first moment at which an entry has to do any of this.
//!
//! Invariants, at the end of each entry:
//! - **B1** `core.sched_context` is that of the current thread, none when the core idles.
//! - **B2** The running context is released: active, its first refill has come and has the minimum budget.
//! - **B3** `check_after`, `quiet_until` and the timer's setting are as above.

use super::refill::{self, ALL};
use super::release::NEVER;
use crate::Kernel;
use crate::arch::Arch;
use crate::object::sched_context::ring::RefillList;
use crate::object::tcb::{Queued, ThreadState};
use crate::object::{SchedContext, Tcb};
use crate::store::Ref;
use crate::units::Ticks;

/// How the kernel was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Entry {
    /// By an instruction of the current thread, which is repeated if its time is up.
    Instruction,
    /// By an interrupt.
    Interrupt,
}

impl<A: Arch> Kernel<A> {
    /// Reads the clock.
    #[inline(always)]
    pub fn update_time(&mut self) {
        self.core.now = self.arch.now();
    }

    /// Whether what is left of the current thread's budget, or of its domain's time, is below the minimum.
    #[inline(always)]
    #[must_use]
    pub fn out_of_time(&self) -> bool {
        self.core.now > self.core.check_after
    }

    /// Reads the clock; whether there is time and nobody is to be released: what [`Self::check_budget`] and
    /// [`Kernel::schedule`] ask, in one comparison. Never if short ways are forbidden.
    #[inline(always)]
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.update_time();
        self.arch.allows_short_way() && self.core.now < self.core.quiet_until
    }

    /// At entry by a system call or a fault: reads the clock; whether the entry may go on. If not, the entry has been dealt
    /// with to its end: the thread repeats its instruction when it has time again.
    #[inline(always)]
    pub fn check_budget(&mut self) -> bool {
        self.update_time();
        !self.out_of_time() || self.act_on_time(Entry::Instruction)
    }

    /// At entry by an interrupt, and when a system call was preempted; the clock has been read. Whether the entry may go on,
    /// as above.
    #[inline(always)]
    pub fn check_budget_at_interrupt(&mut self) -> bool {
        !self.out_of_time() || self.act_on_time(Entry::Interrupt)
    }

    /// Time seems to be up; whether it is not. If it is, that is all that the entry deals with, to its end.
    #[cold]
    fn act_on_time(&mut self, entry: Entry) -> bool {
        let budget_over = self.is_budget_over();
        let domain_over = self.domains.is_over(self.core.now + self.core.rate.min_budget);
        if !budget_over && !domain_over {
            self.set_deadlines();
            return true;
        }
        keel_bounds::holds::<{ keel_bounds::fact::PREEMPTED }>();
        if entry == Entry::Instruction
            && let Some(tcb) = self.core.current
        {
            self.store[tcb].state = ThreadState::Restart;
        }
        if budget_over {
            self.end_budget();
        }
        if domain_over {
            self.domains.advance(self.core.now);
            self.domain_changed();
        }
        if budget_over {
            self.choose_again()
        } else {
            self.schedule()
        }
        false
    }

    /// Whether too little is left of the running context, after merging refills that are still to be merged.
    fn is_budget_over(&mut self) -> bool {
        let Some(context) = self.core.sched_context else { return false };
        let used = self.core.now - self.core.running_since;
        if self.store[context].round_robin {
            let rest = self.store[context.head_refill(&self.store)].amount;
            return rest.0 < used.0.saturating_add(self.core.rate.min_budget.0);
        }
        // At most one round more than there are steps left.
        while !refill::is_sufficient(&self.refills(context), used) {
            if self.core.steps_left == 0 {
                return true;
            }
            self.core.steps_left -= 1;
            refill::count_step();
            if !refill::merge_overlapping(&mut self.refills(context)) {
                return true;
            }
        }
        false
    }

    /// The current thread's budget is used up.
    fn end_budget(&mut self) {
        let Some(context) = self.core.sched_context else { return };
        self.charge_to_the_end(context);
        match self.core.current {
            Some(tcb) if self.store[tcb].sched_context == Some(context) => {
                if !self.is_schedulable(tcb) {
                    return;
                }
                if self.refill_sufficient(context, Ticks(0)) {
                    self.end_slice(tcb, context);
                } else {
                    // Steps of the refill rules are outstanding: whether the slice has ended is not known yet.
                    self.release_insert(tcb);
                }
            }
            _ => self.check_turn(context),
        }
    }

    /// The operation that was preempted has given `context`, which is used up, to a thread that may be ready.
    fn check_turn(&mut self, context: Ref<SchedContext>) {
        if let Some(tcb) = self.store[context].tcb
            && self.store[tcb].queued == Queued::Ready
            && !self.sc_released(context)
        {
            self.core.ready.remove(&mut self.store, tcb);
            self.release_insert(tcb);
        }
    }

    /// The current thread has no more time for now: it raises a Timeout fault or waits for its next turn.
    fn end_slice(&mut self, tcb: Ref<Tcb>, context: Ref<SchedContext>) {
        if !self.store[context].round_robin && self.timeout_handler(tcb).is_some() {
            self.note_interrupted(tcb);
            self.raise_timeout_fault(tcb, self.store[context].badge);
        } else {
            self.await_turn(tcb, context);
        }
    }

    /// Puts the current thread, whose slice has ended, at the tail of its queue or into the release queue.
    fn await_turn(&mut self, tcb: Ref<Tcb>, context: Ref<SchedContext>) {
        if self.sc_released(context) {
            self.ready_append(tcb);
        } else {
            self.release_insert(tcb);
        }
    }

    /// A thread that is stopped between two instructions, by an interrupt or because its call was answered, goes on
    /// there when it restarts.
    pub(crate) fn note_interrupted(&mut self, tcb: Ref<Tcb>) {
        let thread = &mut self.store[tcb];
        if thread.state == ThreadState::Running {
            thread.registers.words[A::REGISTERS.restart_pc] = thread.registers.words[A::REGISTERS.next_pc];
        }
    }

    /// The system call Yield (`syscalls.md` §12): the current thread gives the rest of its first refill away.
    #[inline(never)]
    pub fn yield_current(&mut self) {
        let (Some(tcb), Some(context)) = (self.core.current, self.core.sched_context) else { return };
        let used = self.take_used();
        self.store[context].consumed = self.store[context].consumed + used;
        if self.store[context].round_robin {
            self.refill_round_robin(context);
        } else {
            let mut steps = self.core.steps_left;
            refill::charge(&mut self.refills(context), ALL, &mut steps);
            self.core.steps_left = steps;
        }
        self.await_turn(tcb, context);
        self.reschedule();
    }

    /// What the running context used since it was last charged; from now on it counts anew.
    #[inline(always)]
    pub(super) fn take_used(&mut self) -> Ticks {
        let used = self.core.now - self.core.running_since;
        self.core.running_since = self.core.now;
        self.core.time_changed = true;
        used
    }

    /// Charges the running context with what it has used. That leaves it the minimum, or its end has been seen to: the clock
    /// has been looked at since it was last read, at the entry or a preemption point.
    #[inline]
    pub(super) fn charge_running(&mut self) {
        let used = self.take_used();
        let Some(context) = self.core.sched_context else { return };
        self.store[context].consumed = self.store[context].consumed + used;
        if self.store[context].round_robin {
            self.charge_round_robin(context, used);
        } else {
            refill::charge_part(&mut self.refills(context), used);
        }
    }

    /// Charges the running `context` with what it has used, which may be all that it has.
    fn charge_to_the_end(&mut self, context: Ref<SchedContext>) {
        let used = self.take_used();
        self.store[context].consumed = self.store[context].consumed + used;
        if self.store[context].round_robin {
            self.charge_round_robin(context, used);
        } else {
            let mut steps = self.core.steps_left;
            refill::charge(&mut self.refills(context), used, &mut steps);
            self.core.steps_left = steps;
        }
    }

    /// Charges `context` if its time passes. Its refills are about to change, and with them when it ends.
    pub(crate) fn charge_if_running(&mut self, context: Ref<SchedContext>) {
        if self.core.sched_context == Some(context) {
            self.charge_running();
        }
    }

    /// `context` dies: from now on nobody's time passes, until the end of the entry.
    pub(crate) fn forget_context(&mut self, context: Ref<SchedContext>) {
        if self.core.sched_context == Some(context) {
            self.core.sched_context = None;
            self.core.time_changed = true;
        }
    }

    /// A round-robin context has one refill: the rest of its slice. When that is below the minimum the next slice
    /// begins.
    fn charge_round_robin(&mut self, context: Ref<SchedContext>, used: Ticks) {
        let head = context.head_refill(&self.store);
        let rest = self.store[head].amount.0.saturating_sub(used.0);
        if rest < self.core.rate.min_budget.0 {
            self.refill_round_robin(context);
        } else {
            self.store[head].amount = Ticks(rest);
        }
    }

    /// Gives a round-robin context its full slice.
    #[inline(always)]
    pub(super) fn refill_round_robin(&mut self, context: Ref<SchedContext>) {
        let head = context.head_refill(&self.store);
        self.store[head].amount = self.store[context].period;
    }

    /// Takes steps of the refill rules that are outstanding.
    pub(crate) fn settle(&mut self, context: Ref<SchedContext>) {
        if self.sc_active(context) && !self.store[context].round_robin {
            let mut steps = self.core.steps_left;
            refill::settle(&mut self.refills(context), &mut steps);
            self.core.steps_left = steps;
        }
    }

    /// From now on time is charged to `context`. The one before has been charged.
    pub(super) fn start_sched_context(&mut self, context: Option<Ref<SchedContext>>) {
        self.core.sched_context = context;
        if let Some(context) = context
            && !self.store[context].sporadic
        {
            self.unblock(context);
        }
    }

    /// The rule for contexts that did not run for a while ([`refill::unblock`]).
    #[inline]
    pub(super) fn unblock(&mut self, context: Ref<SchedContext>) {
        if self.sc_active(context) && !self.store[context].round_robin {
            let (now, mut steps) = (self.core.now, self.core.steps_left);
            refill::unblock(&mut self.refills(context), now, &mut steps);
            self.core.steps_left = steps;
        }
    }

    /// When a thread on `context` wakes up from blocking or gets the context: the rule for sporadic contexts. Not
    /// for the context whose time passes already.
    pub fn sc_unblock_check(&mut self, context: Ref<SchedContext>) {
        if self.store[context].sporadic && self.core.sched_context != Some(context) {
            self.unblock(context);
        }
    }

    /// Computes `check_after` and sets the timer if it is to come at another time than it is set to.
    pub(super) fn set_deadlines(&mut self) {
        self.core.time_changed = false;
        let min_budget = self.core.rate.min_budget;
        let mut used_up = NEVER;
        if let Some(context) = self.core.sched_context {
            used_up = self.core.running_since + self.store[context.head_refill(&self.store)].amount;
        }
        used_up = used_up.min(self.domains.end());
        self.core.check_after = Ticks(used_up.0.saturating_sub(min_budget.0));
        let deadline = used_up.min(self.core.release.next_time());
        self.core.quiet_until = Ticks(self.core.check_after.0.saturating_add(1)).min(deadline);
        // A timer that has fired is set again even for the same time: not every machine's fires twice.
        if deadline != self.core.timer || deadline <= self.core.now {
            self.core.timer = deadline;
            self.arch.set_deadline(deadline);
        }
    }

    /// The refills of the active, not round-robin `context`.
    pub(crate) const fn refills(&mut self, context: Ref<SchedContext>) -> RefillList<'_, A> {
        RefillList::new(&mut self.store, context, self.core.rate.min_budget)
    }

    /// Another slot of the domain schedule has begun: its threads compete, and it ends at another time.
    pub(crate) fn domain_changed(&mut self) {
        self.reschedule();
        self.core.time_changed = true;
    }
}
