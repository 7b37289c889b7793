// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scheduling contexts, what they are bound to, and their errors (`invocations.md §6`).

use keel_abi::label;

use super::Case;
use crate::{check::*, invoke::*, puppet::Syscall, tester::*};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    unknown_labels,
    bind_checks_threads,
    bind_checks_notifications,
    bind_refuses_other_objects,
    a_context_has_a_thread_and_a_notification,
    unbind_refuses_the_caller,
    unbind_takes_both,
    unbind_object_checks_in_order,
    unbind_object_takes_one,
    yield_to_checks_in_order,
    consumed_is_reset_by_reading,
    a_thread_without_context_does_not_run,
    an_unconfigured_context_gives_no_time,
    deleting_the_context_stops_the_thread,
    deleting_the_thread_frees_the_context,
];

/// `invocations.md §2`.
fn unknown_labels(t: &mut Tester) -> Outcome {
    let sc = t.sched_context()?;
    for label in [0, label::SCHED_CONTROL_CONFIGURE_FLAGS, label::SCHED_CONTEXT_YIELD_TO + 1] {
        refuses_label("SchedContextUnknownLabel/IllegalOperation#1", label, sc)?;
    }
    Ok(())
}

/// `invocations.md §6`, Bind to a TCB.
fn bind_checks_threads(t: &mut Tester) -> Outcome {
    let (sc, other, tcb, endpoint) = (t.sched_context()?, t.sched_context()?, t.tcb()?, t.endpoint()?);
    refuses("SchedContextBind/TruncatedMessage#1", sc, &[], &[], &[])?;
    let own = t.own_tcb();
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    refuses("SchedContextBind/IllegalOperation#2", sc, &[], &[own], &[])?;
    refuses("SchedContextBind/IllegalOperation#2", sc, &[], &[tcb], &[])?;
    refuses("SchedContextBind/IllegalOperation#3", other, &[], &[tcb], &[])?;
    refuses("SchedContextBind/IllegalOperation#3", other, &[], &[own], &[])?;
    let puppet = t.puppet(ABOVE)?;
    puppet.blocks(Syscall::wait(endpoint))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    refuses("SchedContextBind/IllegalOperation#4", other, &[], &[puppet.tcb], &[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    Ok(())
}

/// `invocations.md §6`, Bind to a notification.
fn bind_checks_notifications(t: &mut Tester) -> Outcome {
    let (sc, other) = (t.sched_context()?, t.sched_context()?);
    let (notification, free) = (t.notification()?, t.notification()?);
    accepts("SchedContextBind", sc, &[], &[notification])?;
    refuses("SchedContextBind/IllegalOperation#5", sc, &[], &[notification], &[])?;
    refuses("SchedContextBind/IllegalOperation#5", sc, &[], &[free], &[])?;
    refuses("SchedContextBind/IllegalOperation#6", other, &[], &[notification], &[])?;
    // Rights do not matter.
    let weak = t.copy(free, 0)?;
    accepts("SchedContextBind", other, &[], &[weak])?;
    Ok(())
}

/// `invocations.md §6`, Bind to anything else.
fn bind_refuses_other_objects(t: &mut Tester) -> Outcome {
    let sc = t.sched_context()?;
    for wrong in [NULL, CNODE, t.endpoint()?, t.reply()?, sc] {
        refuses("SchedContextBind/InvalidCapability#7", sc, &[], &[wrong], &[1])?;
        refuses("SchedContextUnbindObject/InvalidCapability#5", sc, &[], &[wrong], &[1])?;
    }
    Ok(())
}

/// `invocations.md §6`: a TCB and a notification at the same time.
fn a_context_has_a_thread_and_a_notification(t: &mut Tester) -> Outcome {
    let (sc, tcb, notification) = (t.sched_context()?, t.tcb()?, t.notification()?);
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    refuses("SchedContextBind/IllegalOperation#2", sc, &[], &[tcb], &[])?;
    refuses("SchedContextBind/IllegalOperation#5", sc, &[], &[notification], &[])
}

/// `invocations.md §6`, Unbind.
fn unbind_refuses_the_caller(t: &mut Tester) -> Outcome {
    refuses("SchedContextUnbind/IllegalOperation#1", t.own_sched_context(), &[], &[], &[])?;
    let sc = t.sched_context()?;
    accepts("SchedContextUnbind", sc, &[], &[])?;
    Ok(())
}

/// `scheduling.md §3`: Unbind removes TCB and notification.
fn unbind_takes_both(t: &mut Tester) -> Outcome {
    let (sc, other) = (t.sched_context()?, t.sched_context()?);
    let (tcb, notification) = (t.tcb()?, t.notification()?);
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    accepts("SchedContextUnbind", sc, &[], &[])?;
    accepts("SchedContextBind", other, &[], &[tcb])?;
    accepts("SchedContextBind", other, &[], &[notification])?;
    Ok(())
}

/// `invocations.md §6`, UnbindObject.
fn unbind_object_checks_in_order(t: &mut Tester) -> Outcome {
    let (sc, tcb, notification) = (t.sched_context()?, t.tcb()?, t.notification()?);
    refuses("SchedContextUnbindObject/TruncatedMessage#1", sc, &[], &[], &[])?;
    refuses("SchedContextUnbindObject/IllegalOperation#2", sc, &[], &[tcb], &[])?;
    let own = t.own_tcb();
    refuses("SchedContextUnbindObject/IllegalOperation#2", sc, &[], &[own], &[])?;
    refuses("SchedContextUnbindObject/IllegalOperation#3", t.own_sched_context(), &[], &[own], &[])?;
    refuses("SchedContextUnbindObject/IllegalOperation#4", sc, &[], &[notification], &[])
}

/// `scheduling.md §3`: UnbindObject removes only the one that is named.
fn unbind_object_takes_one(t: &mut Tester) -> Outcome {
    let (sc, tcb, notification) = (t.sched_context()?, t.tcb()?, t.notification()?);
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    accepts("SchedContextUnbindObject", sc, &[], &[tcb])?;
    refuses("SchedContextBind/IllegalOperation#5", sc, &[], &[notification], &[])?;
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    accepts("SchedContextUnbindObject", sc, &[], &[notification])?;
    refuses("SchedContextBind/IllegalOperation#2", sc, &[], &[tcb], &[])?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    Ok(())
}

/// `invocations.md §6`, YieldTo.
fn yield_to_checks_in_order(t: &mut Tester) -> Outcome {
    let sc = t.sched_context()?;
    refuses("SchedContextYieldTo/IllegalOperation#1", sc, &[], &[], &[])?;
    refuses("SchedContextYieldTo/IllegalOperation#2", t.own_sched_context(), &[], &[], &[])?;
    let tcb = t.tcb()?;
    accepts("TCBSetSchedParams", tcb, &[0, 255], &[AUTHORITY, sc, NULL])?;
    refuses("SchedContextYieldTo/IllegalOperation#3", sc, &[], &[], &[])?;
    accepts("TCBSetPriority", tcb, &[CASE_MCP], &[AUTHORITY])?;
    let answer = accepts("SchedContextYieldTo", sc, &[], &[])?;
    same("consumed", 0, answer.word(0))
}

/// `invocations.md §6`, Consumed.
fn consumed_is_reset_by_reading(t: &mut Tester) -> Outcome {
    let sc = t.own_sched_context();
    accepts("SchedContextConsumed", sc, &[], &[])?;
    crate::machine::burn(1_000_000);
    // Time is charged when the kernel acts on time.
    t.sleep(100)?;
    let used = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds for two million instructions", 1_900, 3_000, used)?;
    let rest = accepts("SchedContextConsumed", sc, &[], &[])?.word(0);
    within("microseconds since", 0, 100, rest)?;
    let unused = t.sched_context()?;
    same("consumed of an unused one", 0, accepts("SchedContextConsumed", unused, &[], &[])?.word(0))
}

/// `scheduling.md §3`: a thread without a context is passive, and runs when it gets one.
fn a_thread_without_context_does_not_run(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let sc = t.time(SLICE_US, SLICE_US)?;
    let puppet = t.passive_puppet(ABOVE)?;
    puppet.start(Syscall::nb_wait(notification))?;
    puppet.busy()?;
    t.settle()?;
    puppet.busy()?;
    accepts("SchedContextBind", sc, &[], &[puppet.tcb])?;
    puppet.done()?.is_signal(0)
}

/// `objects.md §6`: a fresh context may be bound but has no budget.
fn an_unconfigured_context_gives_no_time(t: &mut Tester) -> Outcome {
    let sc = t.sched_context()?;
    let puppet = t.puppet_on(ABOVE, sc)?;
    puppet.start(Syscall::yield_now())?;
    t.settle()?;
    puppet.busy()?;
    t.configure(sc, [SLICE_US, SLICE_US, 0, 0, 0])?;
    puppet.done()?;
    Ok(())
}

/// `semantics.md §4`: the last capability to a context unbinds it.
fn deleting_the_context_stops_the_thread(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(BELOW)?;
    let other = t.time(SLICE_US, SLICE_US)?;
    puppet.start(Syscall::yield_now())?;
    t.delete(puppet.sc)?;
    t.settle()?;
    puppet.busy()?;
    accepts("SchedContextBind", other, &[], &[puppet.tcb])?;
    t.settle()?;
    puppet.done()?;
    Ok(())
}

/// `semantics.md §4`: the last capability to a thread unbinds its context.
fn deleting_the_thread_frees_the_context(t: &mut Tester) -> Outcome {
    let (sc, tcb, next) = (t.sched_context()?, t.tcb()?, t.tcb()?);
    accepts("SchedContextBind", sc, &[], &[tcb])?;
    let copy = t.copy(tcb, ALL)?;
    t.delete(tcb)?;
    refuses("SchedContextBind/IllegalOperation#2", sc, &[], &[next], &[])?;
    t.delete(copy)?;
    accepts("SchedContextBind", sc, &[], &[next])?;
    Ok(())
}
