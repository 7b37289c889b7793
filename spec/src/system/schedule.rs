// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who runs (`scheduling.md` §1).
//!
//! A thread that can run and has time is running, or ready, or has just been woken and is about to be compared with who
//! runs. One that can run and whose time is used up waits in the release queue until it comes back. Nobody is in two of
//! these places.
//!
//! During an entry to the kernel nobody is switched: what happens is noted ([`Decision`]), and at its end it is decided
//! who runs ([`System::schedule`]).

use super::{Activity, System};
use crate::concrete::Object;
use keel_abi::aarch64::registers::Register;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A time that does not come.
pub const NEVER: u64 = u64::MAX;

/// Threads are released one at a time, and not more often than this: in so many parts of the smallest budget.
const RELEASES_IN_MINIMUM: u64 = 8;

/// What is to be decided at the end of the entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Decision {
    /// Nothing: who runs goes on if it can.
    #[default]
    None,
    /// Whether this thread, which was woken, runs now.
    Compare(Object),
    /// Who of all that are ready runs.
    Choose,
}

/// Which end of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Before its equals.
    Head,
    /// Behind its equals.
    Tail,
}

/// Who waits for the processor, and who for time.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Queues {
    /// Who is ready, by domain and priority; first one first.
    pub ready: BTreeMap<(u64, u8), Vec<Object>>,
    /// Who waits for its time, and when that comes; first one first.
    pub release: Vec<(u64, Object)>,
    /// Until then nobody else is released.
    pub pause_end: u64,
    /// What is to be decided.
    pub decision: Decision,
}

impl Queues {
    /// When somebody is to be released next.
    #[must_use]
    pub fn next_release(&self) -> u64 {
        self.release.first().map_or(NEVER, |(time, _)| (*time).max(self.pause_end))
    }

    /// Whether a thread waits for time.
    #[must_use]
    pub fn waits_for_time(&self, thread: Object) -> bool {
        self.release.iter().any(|(_, waiting)| *waiting == thread)
    }

    /// Whether a thread is ready.
    #[must_use]
    pub fn is_ready(&self, thread: Object) -> bool {
        self.ready.values().any(|queue| queue.contains(&thread))
    }

    /// Takes a thread out of the ready queue that it is in; whether it was in one.
    fn leave_ready(&mut self, thread: Object) -> bool {
        let was_ready = self.is_ready(thread);
        self.ready.retain(|_, queue| {
            queue.retain(|waiting| *waiting != thread);
            !queue.is_empty()
        });
        was_ready
    }

    /// Takes a thread out of everything.
    pub(super) fn leave(&mut self, thread: Object) {
        self.leave_ready(thread);
        self.release.retain(|(_, waiting)| *waiting != thread);
        if self.decision == Decision::Compare(thread) {
            self.decision = Decision::Choose;
        }
    }
}

impl System {
    /// Whether a thread can run: it is runnable, has a configured context, and does not wait for time.
    #[must_use]
    pub fn is_schedulable(&self, thread: Object) -> bool {
        let super::Thread { activity, context, .. } = self.thread(thread);
        *activity == Activity::Runnable
            && context.is_some_and(|context| self.contexts[&context].is_active())
            && !self.queues.waits_for_time(thread)
    }

    /// Puts a thread that can run, and is in no queue, into the ready queue of its domain and priority.
    pub(super) fn make_ready(&mut self, thread: Object, end: End) {
        let super::Thread { domain, priority, .. } = *self.thread(thread);
        let queue = self.queues.ready.entry((domain, priority)).or_default();
        let place = if end == End::Head { 0 } else { queue.len() };
        queue.insert(place, thread);
    }

    /// Puts a thread that can run, and is in no queue, into the release queue: behind those whose time comes when its
    /// time does.
    pub(super) fn wait_for_time(&mut self, thread: Object) {
        let Some(context) = self.thread(thread).context else { return };
        let time = self.contexts[&context].budget.first().time;
        let place = self.queues.release.partition_point(|(other, _)| *other <= time);
        self.queues.release.insert(place, (time, thread));
    }

    /// Whether a thread that can run has no time now; if so it waits for it. Who runs had time when the kernel was
    /// entered.
    pub(super) fn waits_if_it_must(&mut self, thread: Object) -> bool {
        let Some(context) = self.thread(thread).context else { return true };
        let must = self.clock.context != Some(context) && !self.is_released(context);
        if must {
            self.queues.leave(thread);
            self.wait_for_time(thread);
        }
        must
    }

    /// A thread can run from now on.
    pub(super) fn wake(&mut self, thread: Object) {
        self.thread_mut(thread).activity = Activity::Runnable;
        if let Some(context) = self.thread(thread).context {
            self.unblock(context);
        }
        self.may_switch_to(thread);
    }

    /// A thread that perhaps could not run before perhaps can (`scheduling.md` §1.1).
    pub(super) fn may_switch_to(&mut self, thread: Object) {
        if !self.is_schedulable(thread) || self.waits_if_it_must(thread) {
            return;
        }
        let (is_current, is_ready) = (self.current == Some(thread), self.queues.is_ready(thread));
        if self.thread(thread).domain != self.domains.current {
            if !is_current && !is_ready {
                self.make_ready(thread, End::Head);
            }
            return;
        }
        match self.queues.decision {
            Decision::None if is_current => {}
            Decision::Compare(other) if other == thread => {}
            Decision::None => {
                self.queues.leave_ready(thread);
                self.queues.decision = Decision::Compare(thread);
            }
            Decision::Compare(_) | Decision::Choose => {
                self.reschedule();
                self.queues.leave_ready(thread);
                self.make_ready(thread, End::Head);
            }
        }
    }

    /// All who are ready compete. A thread that was to be compared is one of them.
    pub(super) fn reschedule(&mut self) {
        if let Decision::Compare(other) = std::mem::replace(&mut self.queues.decision, Decision::Choose)
            && self.is_schedulable(other)
        {
            self.make_ready(other, End::Head);
        }
    }

    /// What a thread's place depends on changes. One that is ready, or runs, goes before its new equals
    /// (`scheduling.md` §1.2).
    pub(super) fn reorder(&mut self, thread: Object, change: impl FnOnce(&mut super::Thread)) {
        let was_ready = self.queues.leave_ready(thread);
        change(self.thread_mut(thread));
        if was_ready {
            self.make_ready(thread, End::Head);
        }
        if was_ready || self.current == Some(thread) {
            self.reschedule();
        }
    }

    /// The end of an entry: it is decided who runs.
    pub(super) fn schedule(&mut self) {
        if let Some(current) = self.current
            && self.thread(current).context != self.clock.context
            && self.is_schedulable(current)
        {
            self.waits_if_it_must(current);
        }
        let next = self.choose();
        self.run(next);
    }

    /// Whose time has come back competes: one thread, if none was released just before.
    pub(super) fn release(&mut self) {
        if self.queues.next_release() > self.clock.now {
            return;
        }
        let (_, thread) = self.queues.release.remove(0);
        self.queues.pause_end = self.clock.now + self.clock.minimum() / RELEASES_IN_MINIMUM;
        self.may_switch_to(thread);
    }

    fn choose(&mut self) -> Option<Object> {
        let current = self.current.filter(|current| self.is_schedulable(*current));
        match std::mem::take(&mut self.queues.decision) {
            Decision::Compare(woken) if self.is_schedulable(woken) => self.compare(current, woken),
            Decision::None | Decision::Compare(_) => current.or_else(|| self.take_first()),
            Decision::Choose => {
                if let Some(current) = current.filter(|current| !self.queues.is_ready(*current)) {
                    self.make_ready(current, End::Head);
                }
                self.take_first()
            }
        }
    }

    /// Who runs, after one thread was woken.
    fn compare(&mut self, current: Option<Object>, woken: Object) -> Option<Object> {
        let priority = self.thread(woken).priority;
        if let Some(current) = current {
            match priority.cmp(&self.thread(current).priority) {
                Ordering::Less => self.make_ready(woken, End::Head),
                Ordering::Equal => self.make_ready(woken, End::Tail),
                Ordering::Greater => self.make_ready(current, End::Head),
            }
            if !self.queues.is_ready(current) {
                return Some(current);
            }
        }
        if self.highest().is_some_and(|highest| highest > priority) {
            self.make_ready(woken, End::Head);
            return self.take_first();
        }
        Some(woken)
    }

    /// The highest priority of those of the current domain who are ready.
    fn highest(&self) -> Option<u8> {
        let domain = self.domains.current;
        let mut queues = self.queues.ready.range((domain, 0)..=(domain, u8::MAX));
        queues.next_back().map(|((_, priority), _)| *priority)
    }

    /// Takes whose turn it is out of the ready queues.
    fn take_first(&mut self) -> Option<Object> {
        let first = self.queues.ready[&(self.domains.current, self.highest()?)][0];
        self.queues.leave_ready(first);
        Some(first)
    }

    /// `next` runs from now on, on its time.
    fn run(&mut self, next: Option<Object>) {
        self.switch_time(next.and_then(|next| self.thread(next).context));
        self.current = next;
        let Some(next) = next else { return };
        let thread = self.thread_mut(next);
        if std::mem::take(&mut thread.repeats) {
            thread.registers[Register::NextPc] = thread.registers[Register::Pc];
        }
        self.end_yield_of(next);
    }
}
