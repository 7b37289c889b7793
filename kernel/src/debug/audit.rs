// SPDX-License-Identifier: MIT OR Apache-2.0

//! An audit of the running kernel: DebugSnapshot walks over everything that a capability names and stops the machine,
//! as for any bug of the kernel, where an invariant does not hold.
//!
//! The walk follows the derivation lists that begin in the root CNode: all capabilities there are descend from those
//! that the root task was given. It is not complete (on the host, where all objects can be found by other means, the
//! checks are stronger), but it runs on the metal, under a system that misbehaves as best it can.
//!
//! Bound: debug builds only. As many steps as there are capabilities, and for each queue as many as wait in it.

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::cspace::Slot;
use crate::object::endpoint::EndpointState;
use crate::object::reply::Above;
use crate::object::tcb::{Queued, TcbSlot};
use crate::object::{Endpoint, Notification, Reply, SchedContext, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::{ByPriority, Key};

/// What an audit has seen.
#[derive(Clone, Copy, Default, Debug)]
pub struct Audit {
    /// Capabilities.
    pub caps: u64,
    /// Those to threads.
    pub threads: u64,
    /// Threads that wait at endpoints and notifications, counted for each capability.
    pub waiting: u64,
}

impl<A: Arch> Kernel<A> {
    /// Checks all that descends from the capabilities of the root task; panics with the invariant that is broken.
    pub fn audit(&self) -> Audit {
        let mut audit = Audit::default();
        let Some(root_task) = self.root_task else { return audit };
        let Cap::CNode(root) = self.store[root_task.slot(TcbSlot::CSpace)].cap() else { return audit };
        for index in 0..1 << root.radix {
            let slot = root.slots.nth(index);
            if !self.store[slot].is_empty() && self.store[slot].node.prev().is_none() {
                self.audit_list(slot, &mut audit);
            }
        }
        audit
    }

    /// One derivation list, from its first slot on (D1).
    fn audit_list(&self, first: Ref<Slot>, audit: &mut Audit) {
        let mut slot = first;
        loop {
            assert!(!self.store[slot].is_empty(), "D1: an empty slot {slot:?} is in a list");
            audit.caps += 1;
            self.audit_cap(self.store[slot].cap(), audit);
            let Some(next) = self.store[slot].node.next() else { return };
            assert_eq!(self.store[next].node.prev(), Some(slot), "D1: {next:?} is not behind {slot:?}");
            slot = next;
        }
    }

    /// The object of a capability.
    fn audit_cap(&self, cap: Cap, audit: &mut Audit) {
        match cap {
            Cap::Untyped(c) => assert!(c.watermark <= 1 << c.bits, "I2: the watermark of {c:?}"),
            Cap::Tcb(tcb) => {
                audit.threads += 1;
                self.audit_thread(tcb);
            }
            Cap::Endpoint(c) => self.audit_endpoint(c.object, audit),
            Cap::Notification(c) => self.audit_notification(c.object, audit),
            Cap::Reply { object, .. } => self.audit_reply(object),
            Cap::SchedContext { object, .. } => self.audit_context(object),
            _ => {}
        }
    }

    /// T1 to T5.
    fn audit_thread(&self, tcb: Ref<Tcb>) {
        let thread = &self.store[tcb];
        let state = thread.state;
        let at_endpoint = matches!(state, ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive);
        assert_eq!(thread.endpoint.is_some(), at_endpoint, "T2: {tcb:?} is {state:?}");
        let at_notification = state == ThreadState::BlockedOnNotification;
        assert_eq!(thread.notification.is_some(), at_notification, "T2: {tcb:?} is {state:?}");
        let queued = thread.queued != Queued::No;
        assert!(!queued || state.is_runnable(), "T1: {tcb:?} is {state:?} and queued to run");
        assert!(!queued || self.core.current != Some(tcb), "T5: the running {tcb:?} is queued");
        if let Some(reply) = thread.reply {
            assert_eq!(self.store[reply].tcb, Some(tcb), "T3: {tcb:?}");
        }
        assert!(state != ThreadState::BlockedOnReply || thread.reply.is_some(), "T3: {tcb:?}");
        if let Some(context) = thread.sched_context {
            assert_eq!(self.store[context].tcb, Some(tcb), "T4: {tcb:?}");
        }
        if let Some(notification) = thread.bound_notification {
            assert_eq!(self.store[notification].bound_tcb, Some(tcb), "{tcb:?} is bound on one side");
        }
        if let Some(endpoint) = thread.cancelling.goes_on_at() {
            assert_eq!(self.store[endpoint].canceller, Some(tcb), "N1: {tcb:?}");
        }
        if let Some(context) = thread.yield_to {
            assert_eq!(self.store[context].yield_from, Some(tcb), "X2: {tcb:?}");
        }
    }

    /// T2 and the order of waiting, from the endpoint's side.
    fn audit_endpoint(&self, endpoint: Ref<Endpoint>, audit: &mut Audit) {
        let state = match self.store[endpoint].state() {
            EndpointState::Idle => return,
            EndpointState::Sending => ThreadState::BlockedOnSend,
            EndpointState::Receiving => ThreadState::BlockedOnReceive,
        };
        let queue = self.store[endpoint].queue();
        audit.waiting +=
            self.audit_queue(queue, |thread| thread.state == state && thread.endpoint == Some(endpoint));
    }

    /// T2 and the order of waiting, from the notification's side.
    fn audit_notification(&self, notification: Ref<Notification>, audit: &mut Audit) {
        let object = &self.store[notification];
        assert!(!object.active || object.queue.is_none(), "{notification:?} is active and waited for");
        audit.waiting += self.audit_queue(object.queue, |thread| {
            thread.state == ThreadState::BlockedOnNotification && thread.notification == Some(notification)
        });
        if let Some(tcb) = object.bound_tcb {
            assert_eq!(
                self.store[tcb].bound_notification,
                Some(notification),
                "{tcb:?} is bound on one side"
            );
        }
    }

    /// The threads of a tree in order; how many.
    fn audit_queue(&self, root: Option<Ref<Tcb>>, belongs: impl Fn(&Tcb) -> bool) -> u64 {
        let (mut count, mut next) = (0, ByPriority::first(&self.store, root));
        let mut last = None::<Key>;
        while let Some(tcb) = next {
            let key = self.store[tcb].links.key;
            assert!(last <= Some(key), "B1: {tcb:?} waits before an earlier one");
            assert!(belongs(&self.store[tcb]), "T2: {tcb:?} waits where it does not know");
            (count, last) = (count + 1, Some(key));
            next = ByPriority::after(&self.store, root, tcb);
        }
        count
    }

    /// R1 and R2.
    fn audit_reply(&self, reply: Ref<Reply>) {
        let Reply { tcb, below, .. } = self.store[reply];
        if let Some(tcb) = tcb {
            assert_eq!(self.store[tcb].reply, Some(reply), "R1: {reply:?}");
        }
        match self.store[reply].above() {
            Above::Nothing => {}
            Above::Reply(above) => assert_eq!(self.store[above].below, Some(reply), "R2: {reply:?}"),
            Above::SchedContext(context) => {
                assert_eq!(self.store[context].reply, Some(reply), "R2: {reply:?}");
            }
        }
        if let Some(below) = below {
            assert_eq!(self.store[below].above(), Above::Reply(reply), "R2: {reply:?}");
        }
    }

    /// X1 to X3.
    fn audit_context(&self, context: Ref<SchedContext>) {
        let object = &self.store[context];
        if let Some(tcb) = object.tcb {
            assert_eq!(self.store[tcb].sched_context, Some(context), "X1: {context:?}");
        }
        if let Some(notification) = object.notification {
            assert_eq!(self.store[notification].sched_context, Some(context), "X1: {context:?}");
        }
        if let Some(reply) = object.reply {
            assert_eq!(self.store[reply].above(), Above::SchedContext(context), "X1: {context:?}");
        }
        if let Some(tcb) = object.yield_from {
            assert_eq!(self.store[tcb].yield_to, Some(context), "X2: {context:?}");
        }
        assert!(object.refill_count <= object.refill_max, "X3: {context:?}");
        assert!(object.refill_count == 0 || object.refill_head < object.refill_max, "X3: {context:?}");
    }
}
