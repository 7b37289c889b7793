// SPDX-License-Identifier: MIT OR Apache-2.0

//! Taking threads out of what they wait in: cancelling one thread's IPC, everybody's at an object that dies, and
//! that of all senders with a badge.
//!
//! The last two are long. Each unit takes one thread. A queue that dies only gets shorter, since its last
//! capability has become a zombie before. CancelBadgedSends leaves other senders in the queue, so it keeps its
//! position: the running thread's [`crate::object::tcb::Cancelling`] says up to which key of the queue
//! everything is done, and from which arrival on senders came after the operation began. The endpoint's
//! `canceller` points back. A second thread that cancels at the same endpoint first finishes the work of the one
//! that was there.
//!
//! Invariant **N1** `endpoint.canceller == Some(t)` exactly if `t.cancelling.endpoint == Some(endpoint)`.

use crate::Kernel;
use crate::arch::Arch;
use crate::invocation::Preempted;
use crate::object::endpoint::EndpointState;
use crate::object::tcb::Cancelling;
use crate::object::{Endpoint, Notification, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::{self, Key};

impl<A: Arch> Kernel<A> {
    /// Ends whatever `tcb` waits for; it becomes Inactive. Its fault is forgotten. Nothing happens to a thread that
    /// does not wait.
    pub fn cancel_ipc(&mut self, tcb: Ref<Tcb>) {
        match self.store[tcb].state {
            ThreadState::Inactive | ThreadState::Running | ThreadState::Restart => return,
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive => {
                if let Some(endpoint) = self.store[tcb].endpoint {
                    self.dequeue_from_endpoint(tcb, endpoint);
                }
            }
            ThreadState::BlockedOnNotification => {
                if let Some(notification) = self.store[tcb].notification {
                    self.dequeue_from_notification(tcb, notification);
                }
            }
            ThreadState::BlockedOnReply => {}
        }
        if let Some(reply) = self.store[tcb].reply {
            self.cut_reply(reply);
        }
        self.store[tcb].fault = crate::ipc::fault::Fault::None;
        self.store[tcb].state = ThreadState::Inactive;
    }

    /// The priority of `tcb` has changed: if it waits, it goes behind its new equals.
    pub fn requeue_waiter(&mut self, tcb: Ref<Tcb>) {
        let arrival = self.next_sequence();
        if let Some(endpoint) = self.store[tcb].endpoint {
            let state = self.store[endpoint].state();
            self.dequeue_from_endpoint(tcb, endpoint);
            if self.is_being_cancelled(tcb, endpoint) {
                // It moves past the position of a cancellation that would have reached it.
                self.restart_waiter(tcb);
            } else {
                self.enqueue_on_endpoint(tcb, endpoint, state, arrival);
            }
        } else if let Some(notification) = self.store[tcb].notification {
            self.dequeue_from_notification(tcb, notification);
            self.enqueue_on_notification(tcb, notification, arrival);
        }
    }

    /// Whether `tcb` sends what a cancellation at `endpoint` is after.
    fn is_being_cancelled(&self, tcb: Ref<Tcb>, endpoint: Ref<Endpoint>) -> bool {
        let Some(canceller) = self.store[endpoint].canceller else { return false };
        self.store[tcb].state == ThreadState::BlockedOnSend
            && is_target(&self.store[canceller].cancelling, &self.store[tcb])
    }

    /// A thread that waited at an object that is gone repeats its system call; one that waited with a fault stops.
    fn restart_waiter(&mut self, tcb: Ref<Tcb>) {
        let had_fault = self.store[tcb].fault.is_some();
        self.cancel_ipc(tcb);
        if !had_fault {
            self.make_restart(tcb);
        }
    }

    /// Lets the stopped `tcb` repeat the instruction at its restart PC.
    pub fn make_restart(&mut self, tcb: Ref<Tcb>) {
        self.wake_as(tcb, ThreadState::Restart);
    }

    /// One unit of taking everybody out of a dying endpoint: whether something is left.
    pub fn drain_endpoint(&mut self, endpoint: Ref<Endpoint>) -> bool {
        if let Some(canceller) = self.store[endpoint].canceller {
            self.end_cancelling(canceller);
        }
        match tree::first(&self.store, self.store[endpoint].queue()) {
            Some(tcb) => {
                self.restart_waiter(tcb);
                true
            }
            None => false,
        }
    }

    /// One unit of taking everybody out of a dying notification: whether something is left.
    pub fn drain_notification(&mut self, notification: Ref<Notification>) -> bool {
        match tree::first(&self.store, self.store[notification].queue) {
            Some(tcb) => {
                self.restart_waiter(tcb);
                true
            }
            None => false,
        }
    }

    /// `thread` cancels all sends with `badge` that wait at `endpoint` now.
    pub fn cancel_badged_sends(
        &mut self,
        thread: Ref<Tcb>,
        endpoint: Ref<Endpoint>,
        badge: u64,
    ) -> Result<(), Preempted> {
        let mine = self.store[thread].cancelling;
        if mine.endpoint != Some(endpoint) || mine.badge != badge {
            self.end_cancelling(thread);
            self.finish_others_cancelling(endpoint)?;
            let before = self.next_sequence();
            self.store[thread].cancelling =
                Cancelling { endpoint: Some(endpoint), badge, before, position: Key::default() };
            self.store[endpoint].canceller = Some(thread);
        }
        self.run_cancelling(thread, endpoint)
    }

    /// Carries on what another thread has begun to cancel at `endpoint`, if there is one.
    fn finish_others_cancelling(&mut self, endpoint: Ref<Endpoint>) -> Result<(), Preempted> {
        match self.store[endpoint].canceller {
            Some(other) => self.run_cancelling(other, endpoint),
            None => Ok(()),
        }
    }

    /// Carries on the cancellation that `canceller` has begun, to its end. Bound: each unit passes one thread that
    /// was in the queue when it began.
    fn run_cancelling(&mut self, canceller: Ref<Tcb>, endpoint: Ref<Endpoint>) -> Result<(), Preempted> {
        while let Some(tcb) = self.next_to_cancel(canceller, endpoint) {
            self.store[canceller].cancelling.position = self.store[tcb].links.key;
            if is_target(&self.store[canceller].cancelling, &self.store[tcb]) {
                self.restart_waiter(tcb);
            }
            self.preemption_point()?;
        }
        self.end_cancelling(canceller);
        Ok(())
    }

    /// The next sender in the queue behind the position, if there is one that came before the cancellation began.
    /// Whole stretches of later arrivals within one priority are skipped in one step.
    fn next_to_cancel(&self, canceller: Ref<Tcb>, endpoint: Ref<Endpoint>) -> Option<Ref<Tcb>> {
        if self.store[endpoint].state() != EndpointState::Sending {
            return None;
        }
        let Cancelling { before, position, .. } = self.store[canceller].cancelling;
        let queue = self.store[endpoint].queue();
        let next = tree::next_after(&self.store, queue, position)?;
        let key = self.store[next].links.key;
        if key.minor < before {
            return Some(next);
        }
        // From here on in this priority everybody came later: go on with the next priority, whose first is either
        // early enough or shows that this priority holds none either. A caller steps over it in its own unit.
        tree::next_after(&self.store, queue, Key { major: key.major, minor: u64::MAX })
    }

    /// `thread` is no longer in the middle of a cancellation.
    pub fn end_cancelling(&mut self, thread: Ref<Tcb>) {
        if let Some(endpoint) = self.store[thread].cancelling.endpoint.take() {
            self.store[endpoint].canceller = None;
        }
    }
}

/// Whether `cancelling` means the send of `tcb`.
const fn is_target(cancelling: &Cancelling, tcb: &Tcb) -> bool {
    tcb.sending.badge == cancelling.badge && tcb.sending.since < cancelling.before
}
