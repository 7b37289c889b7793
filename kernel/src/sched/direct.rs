// SPDX-License-Identifier: MIT OR Apache-2.0

//! The short ways of the scheduler: who runs next is known before anybody is asked.
//!
//! They do what [`Kernel::schedule`] does after [`Kernel::switch_candidate`] or [`Kernel::yield_current`] when the
//! entry is *quiet*: there is time, nobody is to be released ([`Kernel::is_quiet`]), and nothing was noted or charged in
//! this entry before. Each first decides, changing nothing; at anything unusual it says so, and the general path does
//! it all. That no thread of the current domain that is ready is higher than the current one is S1; that the contexts of
//! ready threads have budget is S2.
//!
//! Bound: no loops but those of [`super::refill`].

use super::ready::End;
use super::refill::STEPS_PER_ENTRY;
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::tag;
use crate::object::tcb::{TcbSlot, ThreadState};
use crate::object::{SchedContext, Table, Tcb};
use crate::store::Ref;
use crate::units::Asid;
use keel_abi::timing;

/// A thread that is to run at once, on time of its own.
#[derive(Clone, Copy)]
pub(crate) struct Turn {
    /// Whom it follows: the current thread.
    from: Ref<Tcb>,
    /// The thread.
    to: Ref<Tcb>,
    /// Its time.
    context: Ref<SchedContext>,
    /// Where it runs.
    space: (Ref<Table>, Asid),
}

impl<A: Arch> Kernel<A> {
    /// In a quiet entry: how `to`, which is blocked, would run at once if it were woken. None if it might not: if it
    /// has no time of its own or no budget, or is not higher than the current thread.
    #[inline(always)]
    pub(crate) fn plan_preemption(&self, to: Ref<Tcb>) -> Option<Turn> {
        let from = self.core.current?;
        let context = self.store[to].sched_context?;
        let is_higher = self.store[to].priority > self.store[from].priority;
        let is_usual = is_higher && self.is_of_this_domain(to) && !self.store[context].sporadic;
        if !is_usual || !self.sc_released(context) {
            return None;
        }
        Some(Turn { from, to, context, space: self.space_of(to)? })
    }

    /// The thread of `turn`, which has been woken, runs; the current one is the next of its priority.
    #[inline(always)]
    pub(crate) fn preempt(&mut self, turn: Turn) {
        self.store[turn.to].state = ThreadState::Running;
        self.core.ready.insert(&mut self.store, turn.from, End::Head);
        self.charge_running();
        self.take_turn(turn);
    }

    /// In a quiet entry: Yield of `thread`, which is current, if its context is round-robin. Gives the thread that runs
    /// next; none if that takes more than this.
    #[inline(always)]
    pub(crate) fn yield_directly(&mut self, thread: Ref<Tcb>) -> Option<Ref<Tcb>> {
        let context = self.core.sched_context.filter(|&context| self.store[context].round_robin)?;
        let Some(to) = self.core.ready.head(self.domains.current(), self.store[thread].priority) else {
            self.end_own_slice(context);
            self.set_deadlines();
            return Some(thread);
        };
        let (next, space) = (self.store[to].sched_context?, self.space_of(to)?);
        self.end_own_slice(context);
        self.core.ready.insert(&mut self.store, thread, End::Tail);
        self.core.ready.remove(&mut self.store, to);
        self.prepare(to);
        self.take_turn(Turn { from: thread, to, context: next, space });
        Some(to)
    }

    /// The rest of the slice of `context`, which is round-robin and whose time passes, is given away.
    #[inline(always)]
    fn end_own_slice(&mut self, context: Ref<SchedContext>) {
        let used = self.take_used();
        self.store[context].consumed = self.store[context].consumed + used;
        self.refill_round_robin(context);
    }

    /// The time that passes is that of `turn`, whose thread runs. What was used is charged, and left the current
    /// thread's context enough to be ready: less than that there is only after `quiet_until`.
    #[inline(always)]
    fn take_turn(&mut self, turn: Turn) {
        let Turn { from, to, context, space } = turn;
        self.core.sched_context = Some(context);
        if !self.store[context].sporadic {
            self.unblock(context);
        }
        self.set_deadlines();
        self.core.steps_left = STEPS_PER_ENTRY;
        self.core.current = Some(to);
        self.arch.switch_between(&mut self.store, from, to, space);
    }

    /// Whether `tcb` is of the current domain.
    #[inline(always)]
    pub(crate) fn is_of_this_domain(&self, tcb: Ref<Tcb>) -> bool {
        timing::DOMAINS == 1 || self.store[tcb].domain == self.domains.current()
    }

    /// The address space of `tcb`, if it is alive.
    #[inline(always)]
    pub(crate) fn space_of(&self, tcb: Ref<Tcb>) -> Option<(Ref<Table>, Asid)> {
        let root = self.store[tcb].slots[TcbSlot::VSpace as usize].raw;
        if root.tag() != tag::VSPACE {
            return None;
        }
        let (root, asid) = (root.object(12)?, root.word1 as Asid);
        (self.root_of(asid) == Some(root)).then_some((root, asid))
    }
}
