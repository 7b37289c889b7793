// SPDX-License-Identifier: MIT OR Apache-2.0

//! Signals (`semantics.md` §8, `scheduling.md` §4.1).

use super::{Activity, NotCovered, System};
use crate::concrete::Object;
use keel_abi::aarch64::registers::CAPABILITY;

impl System {
    /// Raises a notification.
    pub(super) fn signal(&mut self, notification: Object, badge: u64) -> Result<(), NotCovered> {
        let bound = self.notifications[&notification].thread;
        if !self.notifications[&notification].queue.is_empty() {
            let waiter = self.queue_of_notification(notification).remove(0);
            self.wake_with(waiter, notification, badge);
        } else if let Some(word) = &mut self.notification(notification).word {
            *word |= badge;
        } else if let Some(bound) = bound.filter(|&thread| self.is_receiving(thread)) {
            self.cancel(bound);
            self.wake_with(bound, notification, badge);
        } else {
            self.notification(notification).word = Some(badge);
        }
        Ok(())
    }

    fn is_receiving(&self, thread: Object) -> bool {
        matches!(self.thread(thread).activity, Activity::Receiving(_))
    }

    fn wake_with(&mut self, thread: Object, notification: Object, badge: u64) {
        self.thread_mut(thread).registers[CAPABILITY] = badge;
        self.lend_context(thread, notification);
        self.wake(thread);
    }

    /// `thread` receives from a notification.
    pub(super) fn wait_for_signal(&mut self, thread: Object, notification: Object, waits: bool) {
        if self.notifications[&notification].word.is_some() {
            self.take_signal(thread, notification);
        } else if waits {
            self.return_lent_context(thread, notification);
            self.thread_mut(thread).activity = Activity::Waiting;
            self.enqueue(thread, |system| system.queue_of_notification(notification));
        } else {
            self.thread_mut(thread).registers[CAPABILITY] = 0;
        }
    }

    /// `thread` takes the word of an active notification.
    pub(super) fn take_signal(&mut self, thread: Object, notification: Object) {
        let word = self.notification(notification).word.take().unwrap_or(0);
        self.thread_mut(thread).registers[CAPABILITY] = word;
        self.lend_context(thread, notification);
    }

    /// A thread without time gets that of the notification, unless somebody has it.
    fn lend_context(&mut self, thread: Object, notification: Object) {
        let lent = self.notifications[&notification].context;
        if let Some(context) = lent.filter(|context| self.contexts[context].thread.is_none())
            && self.thread(thread).context.is_none()
        {
            self.give_context(context, thread);
        }
    }

    /// A thread that is about to wait gives back the time that the notification lends, if it runs on that.
    pub(super) fn return_lent_context(&mut self, thread: Object, notification: Object) {
        let lent = self.notifications[&notification].context;
        if let Some(context) = lent.filter(|_| lent == self.thread(thread).context) {
            self.take_context(context);
        }
    }

    fn notification(&mut self, notification: Object) -> &mut super::Notification {
        self.notifications.get_mut(&notification).expect("a live notification")
    }

    pub(super) fn queue_of_notification(&mut self, notification: Object) -> &mut Vec<Object> {
        &mut self.notification(notification).queue
    }

    /// Undoes the binding of a thread to its notification, if it has one.
    pub(super) fn unbind_notification(&mut self, thread: Object) {
        if let Some(notification) = self.thread_mut(thread).notification.take() {
            self.notification(notification).thread = None;
        }
    }
}
