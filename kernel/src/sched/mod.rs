// SPDX-License-Identifier: MIT OR Apache-2.0

//! The scheduler: which thread runs next, and until when.
//!
//! A thread runs if it is runnable (state Running or Restart) and has a scheduling context with budget. Those that
//! do not run now wait in one of two places:
//!
//! ```text
//!                chosen                     budget used up, next refill later
//!   ready queue --------> current ------------------------------------------> release queue
//!      ^                     |                                                     |
//!      |   slice ended, next refill there (tail); preempted (head)                 | its time has come
//!      +---------------------+-----------------------------------------------------+
//! ```
//!
//! In the middle of an entry to the kernel nobody is switched. Operations note what they mean for the choice
//! ([`Pending`]): nothing; a thread was woken, which may be preferred to the current one
//! ([`Kernel::switch_candidate`]); or anything may have changed ([`Kernel::reschedule`]). [`Kernel::schedule`], at the
//! end of the entry, decides once, charges time where it changes hands, and sets the timer if it has to come at
//! another time. When nothing was noted and the current thread still runs it returns after a few instructions.
//!
//! Contents: [`ready`] the ready queues, [`release`] the queue of those without budget, [`refill`] the rules by which
//! budget comes back, [`budget`] the charging, [`time`] the conversions to and from microseconds.
//!
//! Invariants, at the end of each entry (T1, T4 and T5 are those of [`crate::object::tcb`]):
//! - **S1** The current thread is schedulable and in no queue, and no thread of the current domain in a ready queue
//!   has a higher priority; if there is no current thread the current domain's ready queues are empty.
//! - **S2** Each thread in a ready queue is runnable and its context is released: active, the first refill has come
//!   and has at least the minimum budget. Each runnable thread with an active context is current or in a queue.
//! - **S3** `pending` is `ResumeCurrent`. Within an entry a pending candidate is in no queue and is not current.
//!
//! Bound: no loops but those of [`refill`], which are cut into pieces per entry, and the ways through the tree of
//! [`release`]. An entry puts at most one thread in there that was woken, and one that runs; or it releases one. Where a
//! budget has ended that is all it deals with; an interrupt goes on from there as if it were another entry.

pub mod budget;
#[cfg(any(test, feature = "host"))]
pub mod check;
mod direct;
pub mod ready;
pub mod refill;
pub mod release;
pub mod time;

use crate::Kernel;
use crate::arch::Arch;
use crate::object::tcb::{Queued, ThreadState};
use crate::object::{SchedContext, Tcb};
use crate::store::Ref;
use crate::units::{Priority, Ticks};
use ready::{End, ReadyQueues};
use refill::STEPS_PER_ENTRY;
use release::{NEVER, ReleaseQueue};
use time::Rate;

/// What is to be decided at the end of the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pending {
    /// Nothing: the current thread goes on if it can.
    ResumeCurrent,
    /// This thread may be preferred to the current one.
    Candidate(Ref<Tcb>),
    /// All ready threads compete, the current one included.
    ChooseNew,
}

/// What belongs to one core.
#[cfg_attr(any(test, feature = "host"), derive(Clone, PartialEq, Eq))]
pub struct Core {
    /// The running thread; none when the core idles.
    pub current: Option<Ref<Tcb>>,
    /// The time of this entry to the kernel.
    pub now: Ticks,
    /// An entry later than this finds too little time left ([`budget`]).
    check_after: Ticks,
    /// An entry before this has time, and nobody to release.
    quiet_until: Ticks,
    /// What is to be decided at the end of this entry.
    pending: Pending,
    /// The context whose time passes.
    sched_context: Option<Ref<SchedContext>>,
    /// Since when what it used has not been charged.
    running_since: Ticks,
    /// Whether one of the causes of `check_after` and `timer` may have moved.
    time_changed: bool,
    /// Steps of the refill rules that this entry may still take.
    steps_left: u32,
    /// What the timer is set to.
    timer: Ticks,
    /// How fast it ticks.
    pub rate: Rate,
    /// Threads that wait for budget.
    release: ReleaseQueue,
    /// Threads that could run.
    ready: ReadyQueues,
}

impl Core {
    /// A core that idles.
    #[must_use]
    #[inline(always)]
    pub const fn new() -> Self {
        Self {
            current: None,
            now: Ticks(0),
            check_after: NEVER,
            quiet_until: Ticks(0),
            pending: Pending::ResumeCurrent,
            sched_context: None,
            running_since: Ticks(0),
            time_changed: false,
            steps_left: STEPS_PER_ENTRY,
            timer: NEVER,
            rate: Rate::new(0),
            release: ReleaseQueue::EMPTY,
            ready: ReadyQueues::EMPTY,
        }
    }

    /// This entry takes no more steps of the refill rules.
    pub(crate) const fn end_steps(&mut self) {
        self.steps_left = 0;
    }

    /// The ready queues.
    #[must_use]
    pub const fn ready(&self) -> &ReadyQueues {
        &self.ready
    }

    /// The release queue.
    #[must_use]
    pub const fn release(&self) -> &ReleaseQueue {
        &self.release
    }

    /// What is to be decided at the end of this entry.
    #[must_use]
    pub const fn pending(&self) -> Pending {
        self.pending
    }

    /// The context whose time passes.
    #[must_use]
    pub const fn sched_context(&self) -> Option<Ref<SchedContext>> {
        self.sched_context
    }
}

impl Default for Core {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Arch> Kernel<A> {
    /// The end of each entry to the kernel: decides who runs, and makes it so.
    pub fn schedule(&mut self) {
        if self.goes_on_as_it_was() {
            self.core.steps_left = STEPS_PER_ENTRY;
            return self.activate_current();
        }
        let next = match core::mem::replace(&mut self.core.pending, Pending::ResumeCurrent) {
            Pending::ResumeCurrent => self.resume_current(),
            Pending::Candidate(candidate) => self.compare(candidate),
            Pending::ChooseNew => self.choose_new(),
        };
        let context = next.and_then(|next| self.store[next].sched_context);
        if context != self.core.sched_context {
            self.charge_running();
            self.start_sched_context(context);
        }
        if self.core.time_changed {
            self.set_deadlines();
        }
        self.run(next);
    }

    /// As [`Self::schedule`], where the running context has been charged and all compete.
    pub(super) fn choose_again(&mut self) {
        self.reschedule();
        self.core.pending = Pending::ResumeCurrent;
        let next = self.choose_new();
        let context = next.and_then(|next| self.store[next].sched_context);
        if context != self.core.sched_context {
            self.start_sched_context(context);
        }
        self.set_deadlines();
        self.run(next);
    }

    /// Whether nothing happened that concerns the choice or the time, and the current thread neither stopped nor has
    /// to get anything before it runs: most entries end so. Its context is active, as it was when the kernel was
    /// entered (B2): one that is configured or dies is charged or forgotten, which changes the time. It is in no queue
    /// (T5): what puts it into one also asks for a new choice.
    #[inline(always)]
    fn goes_on_as_it_was(&self) -> bool {
        let Some(current) = self.core.current else { return false };
        let thread = &self.store[current];
        self.core.pending == Pending::ResumeCurrent
            && !self.core.time_changed
            && thread.state == ThreadState::Running
            && thread.sched_context.is_some()
            && thread.sched_context == self.core.sched_context
            && thread.yield_to.is_none()
    }

    /// Nothing happened that concerns the choice, but the current thread may have stopped.
    fn resume_current(&mut self) -> Option<Ref<Tcb>> {
        match self.core.current {
            Some(current) if self.is_schedulable(current) => Some(current),
            _ => self.take_highest(),
        }
    }

    /// The current thread, the candidate or, if neither has the highest priority, another one
    /// (`scheduling.md` §1.1).
    fn compare(&mut self, candidate: Ref<Tcb>) -> Option<Ref<Tcb>> {
        if !self.is_schedulable(candidate) {
            return self.resume_current();
        }
        let priority = self.store[candidate].priority;
        if let Some(current) = self.core.current
            && self.is_schedulable(current)
        {
            let current_priority = self.store[current].priority;
            if priority <= current_priority {
                let end = if priority == current_priority { End::Tail } else { End::Head };
                self.ready_insert(candidate, end);
                return Some(current);
            }
            self.ready_prepend(current);
        }
        if self.core.ready.highest(self.domains.current()) <= Some(priority) {
            return Some(candidate);
        }
        self.ready_prepend(candidate);
        self.take_highest()
    }

    /// All compete; the current thread before its equals, unless an operation has put it into a queue already.
    fn choose_new(&mut self) -> Option<Ref<Tcb>> {
        if let Some(current) = self.core.current
            && self.is_schedulable(current)
            && self.store[current].queued == Queued::No
        {
            self.ready_prepend(current);
        }
        self.take_highest()
    }

    /// Takes the thread out of the ready queues of the current domain that comes first.
    fn take_highest(&mut self) -> Option<Ref<Tcb>> {
        self.core.ready.take_highest(&mut self.store, self.domains.current())
    }

    /// Makes `next` current, whose time passes from now on.
    fn run(&mut self, next: Option<Ref<Tcb>>) {
        if let Some(next) = next {
            self.prepare(next);
        }
        self.core.current = next;
        self.activate_current();
        self.core.steps_left = STEPS_PER_ENTRY;
    }

    /// What a thread still has to get before it runs.
    #[inline]
    fn prepare(&mut self, tcb: Ref<Tcb>) {
        let thread = &mut self.store[tcb];
        if thread.state == ThreadState::Restart {
            thread.registers.words[A::REGISTERS.next_pc] = thread.registers.words[A::REGISTERS.restart_pc];
            thread.state = ThreadState::Running;
        }
        if thread.yield_to.is_some() {
            self.sc_complete_yield_to(tcb);
        }
    }

    /// Starts the core's clock. Once, at boot, before any other function here.
    pub fn start_time(&mut self) {
        self.core.rate = Rate::new(self.arch.timer_khz());
        self.update_time();
        self.core.running_since = self.core.now;
        self.domains.start(self.core.now);
        self.core.time_changed = true;
    }

    /// `tcb` may have become able to run (`scheduling.md` §1.1): it waits for budget if it has none, else it
    /// competes with the current thread.
    pub fn switch_candidate(&mut self, tcb: Ref<Tcb>) {
        if !self.is_schedulable(tcb) || self.wait_for_budget(tcb) {
            return;
        }
        if self.store[tcb].domain != self.domains.current() {
            if self.store[tcb].queued == Queued::No && self.core.current != Some(tcb) {
                self.ready_prepend(tcb);
            }
            return;
        }
        match self.core.pending {
            Pending::ResumeCurrent if self.core.current == Some(tcb) => {}
            Pending::ResumeCurrent => {
                self.leave_ready(tcb);
                self.core.pending = Pending::Candidate(tcb);
            }
            Pending::Candidate(candidate) if candidate == tcb => {}
            Pending::Candidate(_) | Pending::ChooseNew => {
                self.reschedule();
                self.leave_ready(tcb);
                self.ready_prepend(tcb);
            }
        }
    }

    /// Anything may have changed: at the end of the entry all ready threads compete.
    pub fn reschedule(&mut self) {
        if let Pending::Candidate(candidate) = core::mem::replace(&mut self.core.pending, Pending::ChooseNew)
            && self.is_schedulable(candidate)
        {
            self.ready_prepend(candidate);
        }
    }

    /// Whether `tcb` can run, but for the time of its refills: it is runnable, has an active context and does not
    /// wait for budget.
    #[must_use]
    #[inline]
    pub fn is_schedulable(&self, tcb: Ref<Tcb>) -> bool {
        let thread = &self.store[tcb];
        thread.state.is_runnable()
            && thread.queued != Queued::Release
            && thread.sched_context.is_some_and(|context| self.sc_active(context))
    }

    /// Puts the schedulable `tcb` into the release queue if its context has no budget now; whether it did. The
    /// context whose time passes was found to have some when the kernel was entered.
    #[inline(always)]
    pub(crate) fn wait_for_budget(&mut self, tcb: Ref<Tcb>) -> bool {
        let Some(context) = self.store[tcb].sched_context else { return true };
        if self.core.sched_context == Some(context) || self.sc_released(context) {
            return false;
        }
        self.await_budget(tcb);
        true
    }

    /// The current thread may have come to another context. A sporadic one counts anew, and it may have no budget.
    pub(crate) fn check_own_context(&mut self, current: Ref<Tcb>) {
        if let Some(context) = self.store[current].sched_context {
            self.sc_unblock_check(context);
        }
        if self.is_schedulable(current) {
            self.wait_for_budget(current);
        }
    }

    /// The schedulable `tcb` has no budget now.
    #[inline(never)]
    fn await_budget(&mut self, tcb: Ref<Tcb>) {
        self.leave_ready(tcb);
        self.withdraw(tcb);
        self.release_insert(tcb);
    }

    /// Takes the schedulable `tcb`, which therefore is not in the release queue, out of the ready queue if it is in
    /// one.
    #[inline]
    pub(crate) fn leave_ready(&mut self, tcb: Ref<Tcb>) {
        debug_assert!(self.store[tcb].queued != Queued::Release, "{tcb:?} waits for budget");
        if self.store[tcb].queued == Queued::Ready {
            self.core.ready.remove(&mut self.store, tcb);
        }
    }

    /// Takes `tcb` out of the ready or release queue, if it is in one.
    fn unqueue(&mut self, tcb: Ref<Tcb>) {
        match self.store[tcb].queued {
            Queued::No => {}
            Queued::Ready => self.core.ready.remove(&mut self.store, tcb),
            Queued::Release => self.release_remove(tcb),
        }
    }

    /// Takes `tcb` out of all the scheduler's queues and choices. If it is the current thread and stays able to
    /// run, the caller also calls [`Self::reschedule`].
    pub fn dequeue(&mut self, tcb: Ref<Tcb>) {
        self.unqueue(tcb);
        self.withdraw(tcb);
    }

    /// `tcb` is no candidate any more.
    pub(crate) fn withdraw(&mut self, tcb: Ref<Tcb>) {
        if self.core.pending == Pending::Candidate(tcb) {
            self.core.pending = Pending::ChooseNew;
        }
    }

    /// `tcb`, suspended and so in no queue, is dead: nothing keeps its handle.
    pub fn forget_thread(&mut self, tcb: Ref<Tcb>) {
        if self.core.current == Some(tcb) {
            self.core.current = None;
        }
    }

    /// Puts the schedulable `tcb`, which is in no queue, at the tail of its ready queue.
    pub fn ready_append(&mut self, tcb: Ref<Tcb>) {
        self.ready_insert(tcb, End::Tail);
    }

    /// Puts the schedulable `tcb`, which is in no queue, at the head of its ready queue.
    pub fn ready_prepend(&mut self, tcb: Ref<Tcb>) {
        self.ready_insert(tcb, End::Head);
    }

    /// Puts the schedulable `tcb`, which is in no queue, at the `end` of its ready queue.
    fn ready_insert(&mut self, tcb: Ref<Tcb>, end: End) {
        self.core.ready.insert(&mut self.store, tcb, end);
    }

    /// Changes the priority of `tcb` (`scheduling.md` §1.2).
    pub fn set_priority(&mut self, tcb: Ref<Tcb>, priority: Priority) {
        match self.store[tcb].state {
            ThreadState::Running | ThreadState::Restart => self.set_order(tcb, |tcb| tcb.priority = priority),
            ThreadState::BlockedOnSend
            | ThreadState::BlockedOnReceive
            | ThreadState::BlockedOnNotification => {
                self.store[tcb].priority = priority;
                self.requeue_waiter(tcb);
            }
            ThreadState::Inactive | ThreadState::BlockedOnReply => self.store[tcb].priority = priority,
        }
    }

    /// Moves `tcb` to another domain.
    pub fn set_domain(&mut self, tcb: Ref<Tcb>, domain: u8) {
        self.set_order(tcb, |tcb| tcb.domain = domain);
    }

    /// Changes what decides in which ready queue `tcb` belongs. One that is ready goes to the head of its new queue;
    /// the current one does so at the end of the entry.
    fn set_order(&mut self, tcb: Ref<Tcb>, change: impl FnOnce(&mut Tcb)) {
        let was_ready = self.store[tcb].queued == Queued::Ready;
        if was_ready {
            self.leave_ready(tcb);
        }
        change(&mut self.store[tcb]);
        if was_ready {
            self.ready_prepend(tcb);
        }
        if was_ready || self.core.current == Some(tcb) {
            self.reschedule();
        }
    }
}

#[cfg(test)]
mod test;
