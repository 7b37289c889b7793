// SPDX-License-Identifier: MIT OR Apache-2.0

//! Taking threads out of what they wait in: cancelling one thread's IPC, everybody's at an object that dies, and
//! that of all senders with a badge.
//!
//! The last two are long. Each unit takes one thread. A queue that dies only gets shorter, since its last
//! capability has become a zombie before. CancelBadgedSends leaves other senders in the queue, so it keeps its
//! position: the running thread's [`crate::object::tcb::Cancelling`] says who comes next, and from which arrival on
//! senders came after the operation began. The endpoint's `canceller` points back. A second thread that cancels at the
//! same endpoint first finishes the work of the one that was there, and leaves word for that one: so whoever is
//! interrupted, and however often, no work is done twice.
//!
//! Invariants:
//! - **N1** `endpoint.canceller == Some(t)` exactly if `t.cancelling` goes on at `endpoint`.
//! - **N2** Then `t.cancelling.next`, if there is one, waits to send at `endpoint`.

use crate::Kernel;
use crate::arch::Arch;
use crate::invocation::Preempted;
use crate::object::endpoint::EndpointState;
use crate::object::tcb::Cancelling;
use crate::object::{Endpoint, Notification, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::ByPriority;

impl<A: Arch> Kernel<A> {
    /// Ends whatever `tcb` waits for; it becomes Inactive. Its fault is forgotten. Nothing happens to a thread that
    /// does not wait.
    pub fn cancel_ipc(&mut self, tcb: Ref<Tcb>) {
        match self.store[tcb].state {
            ThreadState::Inactive | ThreadState::Running | ThreadState::Restart => return,
            ThreadState::BlockedOnSend => {
                if let Some(endpoint) = self.store[tcb].endpoint {
                    self.pass_cancelling(tcb, endpoint);
                    self.dequeue_from_endpoint(tcb, endpoint);
                }
            }
            ThreadState::BlockedOnReceive => return self.cancel_receive(tcb),
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

    /// Ends the wait of `tcb` for a message; it becomes Inactive.
    pub(super) fn cancel_receive(&mut self, tcb: Ref<Tcb>) {
        if let Some(endpoint) = self.store[tcb].endpoint {
            self.dequeue_from_endpoint(tcb, endpoint);
        }
        if let Some(reply) = self.store[tcb].reply {
            self.cut_reply(reply);
        }
        self.store[tcb].state = ThreadState::Inactive;
    }

    /// The priority of `tcb` has changed: if it waits, it goes behind its new equals.
    pub fn requeue_waiter(&mut self, tcb: Ref<Tcb>) {
        if let Some(endpoint) = self.store[tcb].endpoint {
            let state = self.store[endpoint].state();
            if state == EndpointState::Sending {
                self.pass_cancelling(tcb, endpoint);
            }
            self.dequeue_from_endpoint(tcb, endpoint);
            if self.is_being_cancelled(tcb, endpoint) {
                // It moves past the position of a cancellation that would have reached it.
                self.restart_waiter(tcb);
            } else {
                self.store[tcb].sending.placed = self.next_sequence();
                self.enqueue_on_endpoint(tcb, endpoint, state);
            }
        } else if let Some(notification) = self.store[tcb].notification {
            self.dequeue_from_notification(tcb, notification);
            self.enqueue_on_notification(tcb, notification);
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
        match ByPriority::first(&self.store, self.store[endpoint].queue()) {
            Some(tcb) => {
                self.restart_waiter(tcb);
                true
            }
            None => false,
        }
    }

    /// One unit of taking everybody out of a dying notification: whether something is left.
    pub fn drain_notification(&mut self, notification: Ref<Notification>) -> bool {
        match ByPriority::first(&self.store, self.store[notification].queue) {
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
        let is_begun = mine.endpoint == Some(endpoint) && mine.badge == badge;
        if is_begun && mine.is_finished {
            self.end_cancelling(thread);
            return Ok(());
        }
        if !is_begun {
            self.end_cancelling(thread);
            self.finish_others_cancelling(endpoint)?;
            let before = self.next_sequence();
            let next = match self.store[endpoint].state() {
                EndpointState::Sending => ByPriority::first(&self.store, self.store[endpoint].queue()),
                EndpointState::Idle | EndpointState::Receiving => None,
            };
            self.store[thread].cancelling =
                Cancelling { endpoint: Some(endpoint), badge, before, next, is_finished: false };
            self.store[endpoint].canceller = Some(thread);
        }
        self.run_cancelling(thread, endpoint)
    }

    /// Carries on what another thread has begun to cancel at `endpoint`, if there is one.
    fn finish_others_cancelling(&mut self, endpoint: Ref<Endpoint>) -> Result<(), Preempted> {
        if let Some(other) = self.store[endpoint].canceller {
            self.run_cancelling(other, endpoint)?;
            let theirs = &mut self.store[other].cancelling;
            (theirs.endpoint, theirs.is_finished) = (Some(endpoint), true);
        }
        Ok(())
    }

    /// Carries on the cancellation that `canceller` has begun, to its end. Bound: each unit passes one thread that
    /// was in the queue when it began.
    fn run_cancelling(&mut self, canceller: Ref<Tcb>, endpoint: Ref<Endpoint>) -> Result<(), Preempted> {
        while let Some(tcb) = self.store[canceller].cancelling.next {
            if is_target(&self.store[canceller].cancelling, &self.store[tcb]) {
                self.restart_waiter(tcb);
            } else {
                self.go_on_behind(tcb, canceller, endpoint);
            }
            self.preemption_point()?;
        }
        self.end_cancelling(canceller);
        Ok(())
    }

    /// `tcb`, which waits to send, is about to leave the queue of `endpoint`: a cancellation that would come to it next goes on behind it.
    #[inline]
    pub(super) fn pass_cancelling(&mut self, tcb: Ref<Tcb>, endpoint: Ref<Endpoint>) {
        if let Some(canceller) = self.store[endpoint].canceller
            && self.store[canceller].cancelling.next == Some(tcb)
        {
            self.go_on_behind(tcb, canceller, endpoint);
        }
    }

    /// The next sender for `canceller` is the one behind `tcb` in the queue. Where that one came after the cancellation
    /// began so did all behind it with its priority: they are skipped in one step. Whoever is the first of the next
    /// priority is looked at.
    fn go_on_behind(&mut self, tcb: Ref<Tcb>, canceller: Ref<Tcb>, endpoint: Ref<Endpoint>) {
        let queue = self.store[endpoint].queue();
        let before = self.store[canceller].cancelling.before;
        let equal = ByPriority::next_equal(&self.store, queue, tcb);
        let early = equal.filter(|&equal| self.store[equal].sending.placed < before);
        let next = early.or_else(|| ByPriority::above(&self.store, queue, self.store[tcb].links.key));
        self.store[canceller].cancelling.next = next;
    }

    /// `thread` is no longer in the middle of a cancellation.
    pub fn end_cancelling(&mut self, thread: Ref<Tcb>) {
        let Some(endpoint) = self.store[thread].cancelling.endpoint.take() else { return };
        if !core::mem::take(&mut self.store[thread].cancelling.is_finished) {
            self.store[endpoint].canceller = None;
        }
    }
}

/// Whether `cancelling` means the send of `tcb`.
const fn is_target(cancelling: &Cancelling, tcb: &Tcb) -> bool {
    tcb.sending.badge == cancelling.badge && tcb.sending.since < cancelling.before
}
