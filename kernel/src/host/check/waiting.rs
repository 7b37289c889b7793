// SPDX-License-Identifier: MIT OR Apache-2.0

//! Threads, the queues of endpoints and notifications, reply objects and call stacks.

use super::{Survey, tree};
use crate::Kernel;
use crate::host::Host;
use crate::object::endpoint::EndpointState;
use crate::object::reply::Above;
use crate::object::tcb::Queued;
use crate::object::{Reply, Tcb, ThreadState};
use crate::store::Ref;
use crate::tree::key_of;
use std::collections::BTreeSet;

/// T1 to T3, N1, R1, R2.
pub(super) fn check(kernel: &Kernel<Host>, survey: &Survey) {
    let mut waiting = BTreeSet::new();
    endpoints(kernel, survey, &mut waiting);
    notifications(kernel, survey, &mut waiting);
    threads(kernel, survey, &waiting);
    replies(kernel, survey);
}

/// T2 from the endpoints' side, order, and N1.
fn endpoints(kernel: &Kernel<Host>, survey: &Survey, waiting: &mut BTreeSet<Ref<Tcb>>) {
    for &endpoint in &survey.endpoints {
        let (object, store) = (&kernel.store[endpoint], &kernel.store);
        let state = match object.state() {
            EndpointState::Idle => None,
            EndpointState::Sending => Some(ThreadState::BlockedOnSend),
            EndpointState::Receiving => Some(ThreadState::BlockedOnReceive),
        };
        let queue = tree(store, object.queue());
        assert_eq!(queue.is_empty(), state.is_none(), "{endpoint:?} is idle exactly if nobody waits");
        for tcb in queue {
            assert_eq!(Some(store[tcb].state), state, "T2: {tcb:?} waits in {endpoint:?}");
            assert_eq!(store[tcb].endpoint, Some(endpoint), "T2: {tcb:?} waits in {endpoint:?}");
            require_place(kernel, tcb, waiting);
        }
        if let Some(canceller) = object.canceller {
            assert!(survey.has(canceller), "N1: a dead canceller at {endpoint:?}");
            assert_eq!(store[canceller].cancelling.goes_on_at(), Some(endpoint), "N1: {canceller:?}");
            if let Some(next) = store[canceller].cancelling.next {
                assert!(
                    waiting.contains(&next) && store[next].endpoint == Some(endpoint),
                    "N2: {canceller:?}"
                );
                assert_eq!(state, Some(ThreadState::BlockedOnSend), "N2: {canceller:?}");
            }
        }
    }
}

/// T2 from the notifications' side, and bindings.
fn notifications(kernel: &Kernel<Host>, survey: &Survey, waiting: &mut BTreeSet<Ref<Tcb>>) {
    let store = &kernel.store;
    for &notification in &survey.notifications {
        let object = &store[notification];
        assert!(!object.active || object.queue.is_none(), "{notification:?} is active, and somebody waits");
        assert!(object.active || object.word == 0, "{notification:?} is not active, but has a word");
        for tcb in tree(store, object.queue) {
            assert_eq!(store[tcb].state, ThreadState::BlockedOnNotification, "T2: {tcb:?}");
            assert_eq!(store[tcb].notification, Some(notification), "T2: {tcb:?}");
            require_place(kernel, tcb, waiting);
        }
        if let Some(tcb) = object.bound_tcb {
            assert!(survey.has(tcb), "{notification:?} is bound to a dead thread");
            assert_eq!(store[tcb].bound_notification, Some(notification), "{tcb:?} is bound on one side");
        }
    }
}

/// A waiting thread stands in one queue, at the place of its priority.
fn require_place(kernel: &Kernel<Host>, tcb: Ref<Tcb>, waiting: &mut BTreeSet<Ref<Tcb>>) {
    let thread = &kernel.store[tcb];
    assert!(waiting.insert(tcb), "T1: {tcb:?} is in two queues");
    assert_eq!(thread.links.key, key_of(thread.priority), "{tcb:?} does not wait at its priority");
}

/// T1 to T3, from the threads' side.
fn threads(kernel: &Kernel<Host>, survey: &Survey, waiting: &BTreeSet<Ref<Tcb>>) {
    use ThreadState::{BlockedOnNotification, BlockedOnReceive, BlockedOnReply, BlockedOnSend};
    let store = &kernel.store;
    for &tcb in &survey.tcbs {
        let thread = &store[tcb];
        let state = thread.state;
        let waits_in_endpoint = matches!(state, BlockedOnSend | BlockedOnReceive);
        let waits_in_notification = state == BlockedOnNotification;
        assert_eq!(thread.endpoint.is_some(), waits_in_endpoint, "T2: {tcb:?}, {state:?}");
        assert_eq!(thread.notification.is_some(), waits_in_notification, "T2: {tcb:?}, {state:?}");
        let waits = waits_in_endpoint || waits_in_notification;
        assert_eq!(waiting.contains(&tcb), waits, "T2: {tcb:?} is {state:?} and stands in no queue");
        assert!(
            !waits || thread.queued == Queued::No,
            "T1: {tcb:?}, {state:?}, is in a queue of the scheduler"
        );
        assert_eq!(
            thread.reply.is_some(),
            state == BlockedOnReply || holds_reply(kernel, tcb),
            "T3: {tcb:?}"
        );
        if let Some(reply) = thread.reply {
            assert!(survey.has(reply), "T3: {tcb:?} waits on a dead reply object");
            assert_eq!(store[reply].tcb, Some(tcb), "T3: {reply:?} does not know {tcb:?}");
        }
        if let Some(notification) = thread.bound_notification {
            assert!(survey.has(notification), "{tcb:?} is bound to a dead notification");
            assert_eq!(store[notification].bound_tcb, Some(tcb), "{tcb:?} is bound on one side");
        }
        if let Some(endpoint) = thread.cancelling.goes_on_at() {
            assert!(survey.has(endpoint), "N1: {tcb:?} cancels at a dead endpoint");
            assert_eq!(store[endpoint].canceller, Some(tcb), "N1: {tcb:?}");
        }
        let has_fault = thread.fault.is_some();
        let may_have_fault = matches!(state, BlockedOnSend | BlockedOnReply);
        assert!(!has_fault || may_have_fault, "{tcb:?} is {state:?} and has a fault");
    }
}

/// A thread that waits to receive may hold a reply object for a caller to come.
fn holds_reply(kernel: &Kernel<Host>, tcb: Ref<Tcb>) -> bool {
    kernel.store[tcb].state == ThreadState::BlockedOnReceive && kernel.store[tcb].reply.is_some()
}

/// R1, R2, and the stacks from the top down.
fn replies(kernel: &Kernel<Host>, survey: &Survey) {
    let store = &kernel.store;
    for &reply in &survey.replies {
        let object = &store[reply];
        if let Some(tcb) = object.tcb {
            assert!(survey.has(tcb), "R1: {reply:?} has a dead thread");
            assert_eq!(store[tcb].reply, Some(reply), "R1: {tcb:?} does not know {reply:?}");
        }
        let on_stack = object.below.is_some() || object.above() != Above::Nothing;
        let caller_waits = object.tcb.is_some_and(|tcb| store[tcb].state == ThreadState::BlockedOnReply);
        assert!(!on_stack || caller_waits, "R2: {reply:?} is on a stack, but nobody waits on it");
        if let Some(below) = object.below {
            assert!(survey.has(below), "R2: below {reply:?} is a dead object");
            assert_eq!(store[below].above(), Above::Reply(reply), "R2: {below:?}");
        }
        match object.above() {
            Above::Nothing => {}
            Above::Reply(above) => {
                assert!(survey.has(above), "R2: above {reply:?} is a dead object");
                assert_eq!(store[above].below, Some(reply), "R2: {above:?}");
            }
            Above::SchedContext(context) => {
                assert!(survey.has(context), "R2: above {reply:?} is a dead context");
                assert_eq!(store[context].reply, Some(reply), "R2: {context:?}");
            }
        }
        ends(kernel, reply, survey.replies.len());
    }
}

/// The stack below `reply` ends.
fn ends(kernel: &Kernel<Host>, reply: Ref<Reply>, most: usize) {
    let below = std::iter::successors(Some(reply), |&reply| kernel.store[reply].below);
    assert!(below.take(most + 1).count() <= most, "R2: the stack of {reply:?} is a circle");
}
