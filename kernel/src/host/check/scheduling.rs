// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scheduling contexts, the scheduler's queues, and who runs.

use super::{Survey, tree};
use crate::Kernel;
use crate::host::Host;
use crate::object::reply::Above;
use crate::object::sched_context::HEADER_BYTES;
use crate::object::tcb::Queued;
use crate::object::{Refill, SchedContext, Tcb};
use crate::sched::Pending;
use crate::sched::release::NEVER;
use crate::store::Ref;
use crate::units::{PRIORITIES, Ticks};
use keel_abi::timing::DOMAINS;
use std::collections::BTreeMap;

/// T4, T5, the invariants of contexts, and those of the scheduler.
pub(super) fn check(kernel: &Kernel<Host>, survey: &Survey) {
    for &(context, bytes) in &survey.contexts {
        bindings(kernel, survey, context);
        refills(kernel, context, bytes);
    }
    let queued = queues(kernel, survey);
    for &tcb in &survey.tcbs {
        thread(kernel, survey, tcb, queued.get(&tcb).copied().unwrap_or_default());
        kernel.assert_turn(tcb);
    }
    running(kernel, survey);
    kernel.assert_time();
}

/// T4, and the context's other partners.
fn bindings(kernel: &Kernel<Host>, survey: &Survey, context: Ref<SchedContext>) {
    let (store, object) = (&kernel.store, &kernel.store[context]);
    if let Some(tcb) = object.tcb {
        assert!(survey.has(tcb), "T4: {context:?} has a dead thread");
        assert_eq!(store[tcb].sched_context, Some(context), "T4: {tcb:?} does not know {context:?}");
    }
    if let Some(notification) = object.notification {
        assert!(survey.has(notification), "{context:?} has a dead notification");
        assert_eq!(
            store[notification].sched_context,
            Some(context),
            "{notification:?} does not know its context"
        );
    }
    if let Some(reply) = object.reply {
        assert!(survey.has(reply), "R2: {context:?} has a dead reply object");
        assert_eq!(
            store[reply].above(),
            Above::SchedContext(context),
            "R2: {reply:?} does not know {context:?}"
        );
    }
    if let Some(tcb) = object.yield_from {
        assert!(survey.has(tcb), "{context:?} was yielded to by a dead thread");
        assert_eq!(store[tcb].yield_to, Some(context), "{tcb:?} does not know to whom it yielded");
    }
}

/// The refills of a context, in order.
#[must_use]
pub fn refills_of(kernel: &Kernel<Host>, context: Ref<SchedContext>) -> Vec<Refill> {
    let object = &kernel.store[context];
    let ring = object.refill_max.max(1);
    let position = |index| (object.refill_head + index) % ring;
    (0..object.refill_count).map(|index| kernel.store[context.refill(position(index))]).collect()
}

/// Number and order of refills.
fn refills(kernel: &Kernel<Host>, context: Ref<SchedContext>, bytes: u64) {
    let object = &kernel.store[context];
    let room = (bytes - HEADER_BYTES) / size_of::<Refill>() as u64;
    assert!(object.refill_max <= room, "{context:?} may have more refills than it has room for");
    assert!(object.refill_count <= object.refill_max, "L3: {context:?} has too many refills");
    if kernel.sc_active(context) {
        kernel.assert_refills(context, &refills_of(kernel, context));
    }
}

/// Who stands in which queue of the scheduler.
fn queues(kernel: &Kernel<Host>, survey: &Survey) -> BTreeMap<Ref<Tcb>, Queued> {
    let mut queued = BTreeMap::new();
    let mut note = |tcb, queue| assert_eq!(queued.insert(tcb, queue), None, "T1: {tcb:?} is in two queues");
    for domain in 0..DOMAINS as u8 {
        let mut highest = None;
        for priority in 0..PRIORITIES {
            let priority = priority as u8;
            for tcb in ready_queue(kernel, domain, priority, survey.tcbs.len()) {
                let thread = &kernel.store[tcb];
                assert_eq!((thread.domain, thread.priority), (domain, priority), "Q1: {tcb:?}");
                note(tcb, Queued::Ready);
                highest = Some(priority);
            }
        }
        assert_eq!(
            kernel.core.ready().highest(domain),
            highest,
            "Q2: the highest priority of domain {domain}"
        );
    }
    let release = tree(&kernel.store, kernel.core.release().root());
    let pause = kernel.core.release().pause_end();
    let next = release.first().map_or(NEVER, |&tcb| Ticks(kernel.store[tcb].links.key).max(pause));
    assert_eq!(kernel.core.release().first(), release.first().copied(), "Q4: who is released next");
    assert_eq!(kernel.core.release().next_time(), next, "Q4: when somebody is released");
    release.into_iter().for_each(|tcb| note(tcb, Queued::Release));
    queued
}

/// The threads of a ready queue, head first.
#[must_use]
pub fn ready_queue(kernel: &Kernel<Host>, domain: u8, priority: u8, most: usize) -> Vec<Ref<Tcb>> {
    let mut queue: Vec<Ref<Tcb>> = Vec::new();
    let mut next = kernel.core.ready().head(domain, priority);
    while let Some(tcb) = next {
        assert_eq!(kernel.store[tcb].links.left(), queue.last().copied(), "Q1: before {tcb:?}");
        queue.push(tcb);
        assert!(queue.len() <= most, "Q1: the ready queue of priority {priority} is a circle");
        next = kernel.store[tcb].links.right();
    }
    queue
}

/// T4, S2, and that a thread knows which queue it is in.
fn thread(kernel: &Kernel<Host>, survey: &Survey, tcb: Ref<Tcb>, queued: Queued) {
    let thread = &kernel.store[tcb];
    assert_eq!(thread.queued, queued, "Q1, Q3: {tcb:?} is not in the queue it says");
    if let Some(context) = thread.sched_context {
        assert!(survey.has(context), "T4: {tcb:?} runs on a dead context");
        assert_eq!(kernel.store[context].tcb, Some(tcb), "T4: {context:?} does not know {tcb:?}");
    }
    if let Some(context) = thread.yield_to {
        assert!(survey.has(context), "{tcb:?} yielded to a dead context");
        assert_eq!(
            kernel.store[context].yield_from,
            Some(tcb),
            "{context:?} does not know who yielded to it"
        );
    }
    let is_current = kernel.core.current == Some(tcb);
    assert!(!is_current || queued == Queued::No, "T5: {tcb:?} runs and is queued");
    let active = thread.sched_context.is_some_and(|context| kernel.store[context].refill_count > 0);
    let could_run = thread.state.is_runnable() && active;
    assert_eq!(
        could_run,
        is_current || queued != Queued::No,
        "S2: {tcb:?} is lost, or queued without reason"
    );
}

/// S1, S3.
fn running(kernel: &Kernel<Host>, survey: &Survey) {
    assert_eq!(kernel.core.pending(), Pending::ResumeCurrent, "S3: something is left to be decided");
    let highest = kernel.core.ready().highest(kernel.domains.current());
    let Some(current) = kernel.core.current else {
        return assert_eq!(highest, None, "S1: the machine idles, but somebody is ready");
    };
    assert!(survey.has(current), "S1: a dead thread runs");
    assert!(kernel.is_schedulable(current), "S1: {current:?} runs and cannot");
    assert!(highest <= Some(kernel.store[current].priority), "S1: {current:?} runs, others come first");
    assert_eq!(kernel.core.sched_context(), kernel.store[current].sched_context, "whose time passes");
}
