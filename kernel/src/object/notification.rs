// SPDX-License-Identifier: MIT OR Apache-2.0

//! Notifications: a word of signals, and the threads that wait for one.

use super::{SchedContext, Tcb};
use crate::store::Ref;

/// A notification: idle (no queue, not active), waiting (a queue) or active (a word that nobody has fetched).
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Notification {
    /// Root of the tree of waiting threads.
    pub queue: Option<Ref<Tcb>>,
    /// Whether a word waits to be fetched. The word may be 0: a signal with badge 0.
    pub active: bool,
    /// The badges signalled, or-ed.
    pub word: u64,
    /// The thread that is woken by this notification also while it waits on an endpoint.
    pub bound_tcb: Option<Ref<Tcb>>,
    /// The context lent to passive threads that are woken.
    pub sched_context: Option<Ref<SchedContext>>,
}

const _: () = assert!(size_of::<Notification>() <= 1 << super::bits::NOTIFICATION);
