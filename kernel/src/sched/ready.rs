// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ready queues: for each domain and priority a doubly linked list of threads that could run now.
//!
//! Invariants:
//! - **Q1** A thread is in the queue of its `domain` and `priority` exactly if its `queued` is `Ready`; the
//!   two `links.children` are its neighbours, none at the ends.
//! - **Q2** A bit of `used` is set exactly if that queue is not empty, a bit of `used_words` exactly if that word
//!   of `used` is not 0.
//!
//! Bound: no loops. Finding the highest priority is two counts of leading zeros.

use crate::arch::Arch;
use crate::object::Tcb;
use crate::object::tcb::Queued;
use crate::store::{Ref, Store};
use crate::units::{PRIORITIES, Priority};
use keel_abi::timing;

/// Number of domains.
const DOMAINS: usize = timing::DOMAINS as usize;
/// Priorities per word of the bitmap, as a shift.
const WORD_SHIFT: u32 = 6;
/// Words of the bitmap.
const WORDS: usize = PRIORITIES >> WORD_SHIFT;

/// Which end of a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// Runs next among its equals.
    Head,
    /// Runs last among its equals.
    Tail,
}

/// The ends of a queue; both or none.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Queue {
    /// The head.
    first: Option<Ref<Tcb>>,
    /// The tail.
    last: Option<Ref<Tcb>>,
}

/// The queues of a domain.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Domain {
    /// By priority.
    queues: [Queue; PRIORITIES],
    /// Which of them are in use.
    used: [u64; WORDS],
    /// Which words of `used` are not 0.
    used_words: u64,
}

/// The ready queues of a core.
#[cfg_attr(any(test, feature = "host"), derive(Clone, PartialEq, Eq))]
pub struct ReadyQueues {
    /// By domain.
    domains: [Domain; DOMAINS],
}

/// The place of the queues of `domain`, which is below the number of domains: the decoder of SetDomain sees to it.
const fn index(domain: u8) -> usize {
    let index = domain as usize;
    if index < DOMAINS { index } else { 0 }
}

impl Domain {
    /// Nobody is ready.
    const EMPTY: Self =
        Self { queues: [Queue { first: None, last: None }; PRIORITIES], used: [0; WORDS], used_words: 0 };

    /// Notes whether the queue of `priority` is in use.
    const fn mark(&mut self, priority: Priority, used: bool) {
        let index = (priority >> WORD_SHIFT) as usize;
        let bit = 1 << (priority & ((1 << WORD_SHIFT) - 1));
        if used {
            self.used[index] |= bit;
            self.used_words |= 1 << index;
        } else {
            self.used[index] &= !bit;
            if self.used[index] == 0 {
                self.used_words &= !(1 << index);
            }
        }
    }

    /// The highest priority of a thread here.
    #[inline(always)]
    fn highest(&self) -> Option<Priority> {
        let index = self.used_words.checked_ilog2()?;
        let bit = self.used.get(index as usize)?.checked_ilog2()?;
        Some((index << WORD_SHIFT | bit) as Priority)
    }
}

impl ReadyQueues {
    /// Nobody is ready.
    pub const EMPTY: Self = Self { domains: [Domain::EMPTY; DOMAINS] };

    /// The queues of `domain`.
    fn domain(&mut self, domain: u8) -> &mut Domain {
        &mut self.domains[index(domain)]
    }

    /// The highest priority of a ready thread of `domain`.
    #[must_use]
    #[inline(always)]
    pub fn highest(&self, domain: u8) -> Option<Priority> {
        self.domains[index(domain)].highest()
    }

    /// Puts `tcb`, which is in no queue, at the `end` of its queue.
    pub fn insert<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>, end: End) {
        let thread = &mut store[tcb];
        let (priority, number) = (thread.priority, thread.domain);
        thread.queued = Queued::Ready;
        let domain = self.domain(number);
        let queue = &mut domain.queues[usize::from(priority)];
        let old = match end {
            End::Head => queue.first.replace(tcb),
            End::Tail => queue.last.replace(tcb),
        };
        thread.links.children = match end {
            End::Head => [None, old],
            End::Tail => [old, None],
        };
        match (old, end) {
            (None, _) => {
                *queue = Queue { first: Some(tcb), last: Some(tcb) };
                domain.mark(priority, true);
            }
            (Some(old), End::Head) => store[old].links.children[0] = Some(tcb),
            (Some(old), End::Tail) => store[old].links.children[1] = Some(tcb),
        }
    }

    /// Takes `tcb` out of the queue it is in.
    pub fn remove<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>) {
        let thread = &mut store[tcb];
        let (priority, number) = (thread.priority, thread.domain);
        let [left, right] = thread.links.children;
        thread.queued = Queued::No;
        let domain = self.domain(number);
        let queue = &mut domain.queues[usize::from(priority)];
        match left {
            Some(left) => store[left].links.children[1] = right,
            None => queue.first = right,
        }
        match right {
            Some(right) => store[right].links.children[0] = left,
            None => queue.last = left,
        }
        if queue.first.is_none() {
            domain.mark(priority, false);
        }
    }

    /// Takes the thread out that is to run next in `domain`.
    pub fn take_highest<A: Arch>(&mut self, store: &mut Store<A>, domain: u8) -> Option<Ref<Tcb>> {
        let priority = self.highest(domain)?;
        let tcb = self.domain(domain).queues[usize::from(priority)].first?;
        self.remove(store, tcb);
        Some(tcb)
    }

    /// The head of the queue of `priority` in `domain`.
    #[must_use]
    pub fn head(&self, domain: u8, priority: Priority) -> Option<Ref<Tcb>> {
        self.domains[index(domain)].queues[usize::from(priority)].first
    }
}
