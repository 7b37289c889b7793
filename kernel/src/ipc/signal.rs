// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals: raising a notification, waiting for one, and the context that a notification lends
//! (`syscalls.md` §9.2, `semantics.md` §8, `scheduling.md` §4.1).
//!
//! Bound: one queue operation each.

use crate::Kernel;
use crate::arch::Arch;
use crate::object::{Notification, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::{self, ByPriority};

impl<A: Arch> Kernel<A> {
    /// Raises `notification` with `badge`.
    pub fn signal(&mut self, notification: Ref<Notification>, badge: u64) {
        let Notification { queue, active, bound_tcb, .. } = self.store[notification];
        if let Some(waiter) = ByPriority::first(&self.store, queue) {
            self.dequeue_from_notification(waiter, notification);
            self.wake_with_badge(waiter, notification, badge);
        } else if active {
            self.store[notification].word |= badge;
        } else if let Some(bound) = bound_tcb.filter(|&tcb| self.is_receiving(tcb)) {
            self.cancel_receive(bound);
            self.wake_with_badge(bound, notification, badge);
        } else {
            self.store[notification].active = true;
            self.store[notification].word = badge;
        }
    }

    /// Whether `tcb` waits at an endpoint for a message.
    fn is_receiving(&self, tcb: Ref<Tcb>) -> bool {
        self.store[tcb].state == ThreadState::BlockedOnReceive
    }

    /// `tcb`, which waited, goes on with `badge`, on the notification's context if it has none.
    fn wake_with_badge(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>, badge: u64) {
        self.deliver_badge(tcb, badge);
        self.lend_context(tcb, notification);
        self.wake(tcb);
    }

    /// `tcb`, which runs, waits on `notification`.
    pub fn receive_signal(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>, blocking: bool) {
        if self.store[notification].active {
            self.take_signal(tcb, notification);
        } else if blocking {
            self.return_lent_context(tcb, notification);
            self.store[tcb].state = ThreadState::BlockedOnNotification;
            self.enqueue_on_notification(tcb, notification);
        } else {
            self.deliver_badge(tcb, 0);
        }
    }

    /// `tcb` fetches the word of the active `notification`.
    pub(super) fn take_signal(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) {
        let word = self.store[notification].word;
        self.deliver_badge(tcb, word);
        self.store[notification].active = false;
        self.store[notification].word = 0;
        if self.lend_context(tcb, notification) {
            self.check_own_context(tcb);
        }
    }

    /// Gives the notification's context to `tcb` if `tcb` has none and nobody else runs on it; whether it did.
    fn lend_context(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) -> bool {
        if self.store[tcb].sched_context.is_some() {
            return false;
        }
        let context = self.store[notification].sched_context;
        let Some(context) = context.filter(|&context| self.store[context].tcb.is_none()) else {
            return false;
        };
        self.sc_donate(context, tcb);
        true
    }

    /// Takes the notification's context back from `tcb`, which is about to wait, if it runs on that one.
    pub(super) fn return_lent_context(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) {
        let lent = self.store[notification].sched_context;
        if let Some(context) = lent.filter(|_| lent == self.store[tcb].sched_context) {
            self.sc_unbind_tcb(context);
        }
    }

    /// Writes what a receiver sees as the badge.
    pub(super) fn deliver_badge(&mut self, tcb: Ref<Tcb>, badge: u64) {
        self.store[tcb].registers.words[A::REGISTERS.capability] = badge;
    }

    /// Puts `tcb` into the notification's queue, behind its equals.
    pub(super) fn enqueue_on_notification(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) {
        let key = tree::key_of(self.store[tcb].priority);
        let queue = self.store[notification].queue;
        let root = ByPriority::insert(&mut self.store, queue, tcb, key);
        self.store[notification].queue = root;
        self.store[tcb].notification = Some(notification);
    }

    /// Takes `tcb` out of the notification's queue.
    pub(super) fn dequeue_from_notification(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) {
        let queue = self.store[notification].queue;
        let root = ByPriority::remove(&mut self.store, queue, tcb);
        self.store[notification].queue = root;
        self.store[tcb].notification = None;
    }

    /// Binds `tcb` and `notification`, neither of which is bound.
    pub fn bind_notification(&mut self, tcb: Ref<Tcb>, notification: Ref<Notification>) {
        self.store[tcb].bound_notification = Some(notification);
        self.store[notification].bound_tcb = Some(tcb);
    }

    /// Undoes the binding of `tcb`, if it has one.
    pub fn unbind_notification(&mut self, tcb: Ref<Tcb>) {
        if let Some(notification) = self.store[tcb].bound_notification.take() {
            self.store[notification].bound_tcb = None;
        }
    }
}
