// SPDX-License-Identifier: MIT OR Apache-2.0

//! The release queue: threads that could run but for their budget, ordered by the time at which it comes back.
//!
//! It is a tree ([`crate::tree`]) over the times of the threads' first refills, equal times in order of
//! arrival. Who comes first is kept beside the root, and when that is, so that a kernel entry finds with one comparison
//! that it is not yet.
//!
//! Any number of threads can be due at the same time, or shortly one after the other. Each is released by an interrupt of
//! its own, the timer's, which before that may have ended a budget or a domain's time. After a release comes a pause of an
//! eighth of a minimum budget, in which the thread that is chosen runs and other interrupts are handled as ever. Without
//! it, as long as somebody is due, neither a handler of interrupts nor anybody else would execute an instruction.
//!
//! Invariants:
//! - **Q3** A thread is in the tree exactly if its `queued` is `Release`. It is runnable and has a configured
//!   context, whose refills change only after the thread was taken out. The key's time is that of the first
//!   refill; but where steps of the refill rules are outstanding, at least a minimum budget after it was put in:
//!   so a long list of tiny refills delays its own thread and costs the others next to nothing.
//! - **Q4** `first` is the first thread of the tree. `next_time` is the time of its key, but not before the end of the
//!   pause; [`NEVER`] if there is nobody.
//!
//! Bound: insertion and removal are those of the tree. An entry to the kernel releases at most one thread.

use crate::Kernel;
use crate::arch::Arch;
use crate::object::Tcb;
use crate::object::tcb::Queued;
use crate::store::{Ref, Store};
use crate::tree::{ByTime, Key};
use crate::units::Ticks;

/// The pause after a release, in parts of a minimum budget.
const PAUSES_IN_MINIMUM: u64 = 8;

/// A time that does not come.
pub const NEVER: Ticks = Ticks(u64::MAX);

/// The release queue of a core.
#[cfg_attr(any(test, feature = "host"), derive(Clone, PartialEq, Eq))]
pub struct ReleaseQueue {
    /// The tree.
    root: Option<Ref<Tcb>>,
    /// Who comes first in it.
    first: Option<Ref<Tcb>>,
    /// The end of the last pause.
    pause_end: Ticks,
    /// When somebody is to be released next.
    next_time: Ticks,
}

impl ReleaseQueue {
    /// Nobody waits for budget.
    pub const EMPTY: Self = Self { root: None, first: None, pause_end: Ticks(0), next_time: NEVER };

    /// When somebody is to be released next.
    #[must_use]
    pub const fn next_time(&self) -> Ticks {
        self.next_time
    }

    /// The end of the last pause, for checks of invariants.
    #[must_use]
    pub const fn pause_end(&self) -> Ticks {
        self.pause_end
    }

    /// Who is to be released next, for checks of invariants.
    #[must_use]
    pub const fn first(&self) -> Option<Ref<Tcb>> {
        self.first
    }

    /// Root of the tree, for checks of invariants.
    #[must_use]
    pub const fn root(&self) -> Option<Ref<Tcb>> {
        self.root
    }

    /// Puts `tcb`, which is in no queue, in.
    fn insert<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>, key: Key) {
        store[tcb].queued = Queued::Release;
        self.root = ByTime::insert(store, self.root, tcb, key);
        if self.first.is_none_or(|first| key < store[first].links.key) {
            self.first_is(store, Some(tcb));
        }
    }

    /// Takes `tcb`, which is in, out.
    fn remove<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>) {
        store[tcb].queued = Queued::No;
        self.root = ByTime::remove(store, self.root, tcb);
        if self.first == Some(tcb) {
            self.first_is(store, ByTime::first(store, self.root));
        }
    }

    /// `first` comes first.
    #[inline]
    fn first_is<A: Arch>(&mut self, store: &Store<A>, first: Option<Ref<Tcb>>) {
        self.first = first;
        self.next_time = match first {
            Some(first) => Ticks(store[first].links.key).max(self.pause_end),
            None => NEVER,
        };
    }
}

impl<A: Arch> Kernel<A> {
    /// Puts the runnable `tcb`, which is in no queue, into the release queue.
    pub fn release_insert(&mut self, tcb: Ref<Tcb>) {
        let Some(context) = self.store[tcb].sched_context else { return };
        let mut time = self.store[context.head_refill(&self.store)].time;
        if !self.refill_sufficient(context, Ticks(0)) {
            time = time.max(self.core.now + self.core.rate.min_budget);
        }
        self.core.release.insert(&mut self.store, tcb, time.0);
        self.core.time_changed = true;
    }

    /// Takes `tcb` out of the release queue.
    pub(super) fn release_remove(&mut self, tcb: Ref<Tcb>) {
        self.core.release.remove(&mut self.store, tcb);
        self.core.time_changed = true;
    }

    /// Lets the thread compete whose budget has come back, if there is one and no pause.
    #[cold]
    pub(crate) fn wake_released(&mut self) {
        let now = self.core.now;
        let Some(tcb) = self.core.release.first.filter(|_| self.core.release.next_time <= now) else {
            return;
        };
        self.core.release.pause_end = now + Ticks(self.core.rate.min_budget.0 / PAUSES_IN_MINIMUM);
        self.release_remove(tcb);
        // Steps of the refill rules may be outstanding; if so it may have to wait again.
        if let Some(context) = self.store[tcb].sched_context {
            self.settle(context);
        }
        self.switch_candidate(tcb);
    }
}
