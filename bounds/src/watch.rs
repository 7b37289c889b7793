// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether what marks say of the way is true: a debug build looks while it runs.
//!
//! What is said is remembered from the beginning of an entry to the kernel to its end; outside of one nothing is
//! checked, so that tests may call any part of the kernel. On the machine there is one core. On the host each thread has
//! kernels of its own.

use crate::kind;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Facts there can be, from 1 on.
const FACTS: usize = 16;

/// Different kinds of entry that one way can name: arms of a `match` can be for several.
const MOST_NAMED: usize = 4;

/// What is remembered.
struct Watch {
    /// How many entries are under way: one can go on as another.
    depth: AtomicU64,
    /// How often each fact has come about.
    facts: [AtomicU64; FACTS],
    /// The kinds of entry that were named, each plus 1.
    named: [AtomicU64; MOST_NAMED],
}

impl Watch {
    const fn new() -> Self {
        Self {
            depth: AtomicU64::new(0),
            facts: [const { AtomicU64::new(0) }; FACTS],
            named: [const { AtomicU64::new(0) }; MOST_NAMED],
        }
    }
}

#[cfg(not(target_os = "none"))]
extern crate std;

#[cfg(not(target_os = "none"))]
std::thread_local! {
    static WATCH: Watch = const { Watch::new() };
}

#[cfg(target_os = "none")]
static WATCH: Watch = Watch::new();

/// Does something with what is remembered.
fn with<R>(act: impl FnOnce(&Watch) -> R) -> R {
    #[cfg(target_os = "none")]
    return act(&WATCH);
    #[cfg(not(target_os = "none"))]
    WATCH.with(act)
}

/// An entry begins.
pub fn begin() {
    with(|watch| {
        watch.depth.store(watch.depth.load(Relaxed) + 1, Relaxed);
        watch.facts.iter().for_each(|number| number.store(0, Relaxed));
    });
}

/// An entry ends.
pub fn end() {
    with(|watch| {
        watch.depth.store(watch.depth.load(Relaxed).saturating_sub(1), Relaxed);
        watch.named.iter().for_each(|place| place.store(0, Relaxed));
    });
}

/// Says something of a fact.
#[track_caller]
pub fn fact(kind: u64, fact: u64, most: u64) {
    let is_watched = |watch: &Watch| watch.depth.load(Relaxed) > 0;
    let times = with(|watch| is_watched(watch).then(|| watch.facts[fact as usize].load(Relaxed)));
    let Some(times) = times else { return };
    let now = match kind {
        kind::FACT => 1,
        kind::NO_FACT => 0,
        kind::TIMES => times + 1,
        _ => times,
    };
    match kind {
        kind::IF_FACT => assert!(times > 0, "fact {fact} does not hold"),
        kind::UNLESS_FACT => assert!(times == 0, "fact {fact} holds"),
        kind::TIMES => assert!(now <= most, "fact {fact} comes about more than {most} times"),
        _ => {}
    }
    with(|watch| watch.facts[fact as usize].store(now, Relaxed));
}

/// Names the kind of entry.
pub fn entered_by(kind: u64) {
    with(|watch| {
        if watch.depth.load(Relaxed) == 0 {
            return;
        }
        let is_free_or_it = |place: &&AtomicU64| [0, kind.wrapping_add(1)].contains(&place.load(Relaxed));
        if let Some(place) = watch.named.iter().find(is_free_or_it) {
            place.store(kind.wrapping_add(1), Relaxed);
        }
    });
}

/// Says that the entry is not of this kind.
#[track_caller]
pub fn not_entered_by(kind: u64) {
    let is_it = with(|watch| {
        let named = |place: usize| watch.named[place].load(Relaxed);
        watch.depth.load(Relaxed) > 0 && named(0) == kind.wrapping_add(1) && named(1) == 0
    });
    assert!(!is_it, "the kernel was entered by {kind:#x}");
}
