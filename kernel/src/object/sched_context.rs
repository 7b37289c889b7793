// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scheduling contexts: time as an object.

use super::{Notification, Reply, Tcb};
use crate::store::{Kind, Object, Ref};
use crate::units::Ticks;

/// An amount of time that can be used from a point in time on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Refill {
    /// When it can be used.
    pub time: Ticks,
    /// How much.
    pub amount: Ticks,
}

// SAFETY: two words.
unsafe impl Object for Refill {
    const KIND: Kind = Kind::SchedContext;
}

/// A scheduling context. Behind it, up to the object's end, lie its refills: a ring.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct SchedContext {
    /// Period; equal to the budget in a round-robin context. 0 while unconfigured.
    pub period: Ticks,
    /// Time used since it was last asked for.
    pub consumed: Ticks,
    /// The value given at configuration, for timeout faults.
    pub badge: u64,
    /// The thread that runs on it.
    pub tcb: Option<Ref<Tcb>>,
    /// The notification that lends it.
    pub notification: Option<Ref<Notification>>,
    /// Top of the stack of calls that it travelled along.
    pub reply: Option<Ref<Reply>>,
    /// The thread that yielded to it and waits to hear what it consumed.
    pub yield_from: Option<Ref<Tcb>>,
    /// Index of the first refill in the ring.
    pub refill_head: u64,
    /// Number of refills in use; 0 exactly while unconfigured.
    pub refill_count: u64,
    /// Number of refills that may be in use, at most the size of the ring.
    pub refill_max: u64,
    /// Core whose time it is.
    pub core: u16,
    /// Whether it is a sporadic server (else constant bandwidth).
    pub sporadic: bool,
    /// Keeps the refills 16-byte aligned.
    pub reserved: u64,
}

/// Bytes in front of the refills (`objects.md` §6).
pub const HEADER_BYTES: u64 = 96;

const _: () = assert!(size_of::<SchedContext>() as u64 == HEADER_BYTES);

// SAFETY: words, options of non-zero words, and a bool that only the kernel writes; all-zero is valid.
unsafe impl Object for SchedContext {
    const KIND: Kind = Kind::SchedContext;
}

impl Ref<SchedContext> {
    /// Refill number `index` of the ring's memory.
    #[must_use]
    pub const fn refill(self, index: u64) -> Ref<Refill> {
        self.at_offset::<Refill>(HEADER_BYTES).nth(index)
    }
}
