// SPDX-License-Identifier: MIT OR Apache-2.0

//! The release queue: threads that could run but for their budget, ordered by the time at which it comes back.
//!
//! It is a balanced tree ([`crate::tree`]) over the times of the threads' first refills, equal times in order of
//! arrival. The first time of all is kept beside the root, so that a kernel entry finds with one comparison that
//! nobody is to be released.
//!
//! Invariants:
//! - **Q3** A thread is in the tree exactly if its `queued` is `Release`. It is runnable and has a configured
//!   context, whose refills change only after the thread was taken out. The key's time is that of the first
//!   refill; but where steps of the refill rules are outstanding, at least a minimum budget after it was put in:
//!   so a long list of tiny refills delays its own thread and costs the others next to nothing.
//! - **Q4** `first_time` is the time of the first thread's key, [`NEVER`] if there is none.
//!
//! Bound: insertion and removal walk along one path. An entry releases at most [`RELEASES_PER_ENTRY`] threads; the
//! timer is then set to a time that has passed, so the next entry, for the rest, follows at once.

use crate::Kernel;
use crate::arch::Arch;
use crate::object::Tcb;
use crate::object::tcb::Queued;
use crate::store::{Ref, Store};
use crate::tree::{self, Key};
use crate::units::Ticks;

/// The most threads released by one entry to the kernel.
pub const RELEASES_PER_ENTRY: u32 = 8;

/// A time that does not come.
pub const NEVER: Ticks = Ticks(u64::MAX);

/// The release queue of a core.
#[cfg_attr(any(test, feature = "host"), derive(Clone))]
pub struct ReleaseQueue {
    /// The tree.
    root: Option<Ref<Tcb>>,
    /// When the first thread is to be released.
    first_time: Ticks,
}

impl ReleaseQueue {
    /// Nobody waits for budget.
    pub const EMPTY: Self = Self { root: None, first_time: NEVER };

    /// When the first thread is to be released.
    #[must_use]
    pub const fn first_time(&self) -> Ticks {
        self.first_time
    }

    /// Root of the tree, for checks of invariants.
    #[must_use]
    pub const fn root(&self) -> Option<Ref<Tcb>> {
        self.root
    }

    /// Puts `tcb`, which is in no queue, in.
    fn insert<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>, key: Key) {
        store[tcb].queued = Queued::Release;
        self.root = tree::insert(store, self.root, tcb, key);
        self.first_time = self.first_time.min(key.time());
    }

    /// Takes `tcb`, which is in, out.
    fn remove<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>) {
        store[tcb].queued = Queued::No;
        self.root = tree::remove(store, self.root, tcb);
        self.first_time = match tree::first(store, self.root) {
            Some(first) => store[first].links.key.time(),
            None => NEVER,
        };
    }
}

impl Key {
    /// The time of a key of the release queue.
    const fn time(self) -> Ticks {
        Ticks(self.major)
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
        let key = Key { major: time.0, minor: self.next_sequence() };
        self.core.release.insert(&mut self.store, tcb, key);
        self.core.time_changed = true;
    }

    /// Takes `tcb` out of the release queue.
    pub(super) fn release_remove(&mut self, tcb: Ref<Tcb>) {
        self.core.release.remove(&mut self.store, tcb);
        self.core.time_changed = true;
    }

    /// Lets those run whose budget has come back.
    #[cold]
    pub(super) fn wake_released(&mut self) {
        // At most RELEASES_PER_ENTRY rounds.
        for _ in 0..RELEASES_PER_ENTRY {
            if self.core.release.first_time > self.core.now {
                return;
            }
            let Some(tcb) = tree::first(&self.store, self.core.release.root) else { return };
            self.release_remove(tcb);
            // Steps of the refill rules may be outstanding; if so it may have to wait again.
            if let Some(context) = self.store[tcb].sched_context {
                self.settle(context);
            }
            self.switch_candidate(tcb);
        }
    }
}
