// SPDX-License-Identifier: MIT OR Apache-2.0

//! Notifications, bound ones too (`semantics.md §8`, `syscalls.md §9.2`, `scheduling.md §4.1`).

use keel::{cap::CPtr, sys};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{MISSING, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    badges_are_joined,
    a_badge_of_zero_wakes_a_waiter,
    a_poll_takes_the_word,
    each_signal_wakes_one_waiter,
    waiters_queue_by_priority,
    waiters_are_reordered,
    any_receiving_call_waits,
    the_reply_register_is_not_looked_at,
    signalling_sends_no_message,
    waiting_needs_read,
    a_call_signals,
    deleting_the_notification_restarts_waiters,
    a_bound_notification_wakes_a_receiver,
    a_bound_notification_comes_before_a_sender,
    a_bound_notification_does_not_end_a_call,
    a_bound_notification_does_not_end_another_wait,
    only_the_bound_thread_waits,
    unbinding_ends_it,
    the_word_stays_when_the_bound_thread_does_not_wait,
    a_passive_waiter_gets_the_context,
    the_context_goes_back_when_the_driver_waits,
    a_context_in_use_is_not_donated,
    a_context_of_both_leaves_the_thread,
    a_passive_server_is_woken_by_its_bound_notification,
];

fn signal(notification: CPtr) {
    sys::send(notification, Default::default(), [0; 4]);
}

fn poll(notification: CPtr) -> u64 {
    sys::nb_wait(notification).badge
}

/// `semantics.md §8`: word |= badge.
fn badges_are_joined(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    for badge in [1, 4, 4, 1 << 63] {
        let cap = t.mint(notification, WRITE, badge)?;
        signal(cap);
    }
    same("word", 1 << 63 | 5, poll(notification))?;
    same("word", 0, poll(notification))
}

/// `semantics.md §8`.
fn a_badge_of_zero_wakes_a_waiter(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::wait(notification))?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    // It makes the notification active, too.
    signal(notification);
    puppet.does(Syscall::wait(notification))?.is_signal(0)
}

/// `semantics.md §8`.
fn a_poll_takes_the_word(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, WRITE, 6)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(0)?;
    signal(badged);
    puppet.does(Syscall::nb_wait(notification))?.is_signal(6)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(0)
}

/// `semantics.md §8`: the head of the queue gets the badge, nobody else.
fn each_signal_wakes_one_waiter(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let (one, two) = (t.mint(notification, WRITE, 1)?, t.mint(notification, WRITE, 2)?);
    let (first, second) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::wait(notification))?;
    second.blocks(Syscall::wait(notification))?;
    signal(two);
    first.done()?.is_signal(2)?;
    second.busy()?;
    signal(one);
    second.done()?.is_signal(1)?;
    same("word", 0, poll(notification))
}

/// `syscalls.md §9.2`: queued by priority.
fn waiters_queue_by_priority(t: &mut Tester) -> Outcome {
    let (notification, low, high, middle) =
        (t.notification()?, t.puppet(110)?, t.puppet(130)?, t.puppet(120)?);
    for puppet in [&low, &high, &middle] {
        puppet.blocks(Syscall::wait(notification))?;
    }
    for puppet in [&high, &middle, &low] {
        signal(notification);
        puppet.done()?;
    }
    Ok(())
}

/// `scheduling.md §1.2`.
fn waiters_are_reordered(t: &mut Tester) -> Outcome {
    let (notification, first, second) = (t.notification()?, t.puppet(110)?, t.puppet(120)?);
    first.blocks(Syscall::wait(notification))?;
    second.blocks(Syscall::wait(notification))?;
    accepts("TCBSetPriority", first.tcb, &[130], &[AUTHORITY])?;
    for puppet in [&first, &second] {
        signal(notification);
        puppet.done()?;
    }
    Ok(())
}

/// `syscalls.md §9`: Recv, NBRecv, Wait, NBWait and second phases.
fn any_receiving_call_waits(t: &mut Tester) -> Outcome {
    let (notification, reply, empty) = (t.notification()?, t.reply()?, t.slot()?);
    let badged = t.mint(notification, WRITE, 5)?;
    let puppet = t.puppet(ABOVE)?;
    for call in [
        Syscall::recv(notification, reply),
        Syscall::wait(notification),
        Syscall::reply_recv(notification, reply),
        Syscall::nb_send_recv(empty, notification, reply),
        Syscall::nb_send_wait(empty, notification),
    ] {
        puppet.blocks(call)?;
        signal(badged);
        puppet.done()?.is_signal(5)?;
        signal(badged);
        puppet.does(call)?.is_signal(5)?;
    }
    puppet.does(Syscall::nb_recv(notification, reply))?.is_signal(0)
}

/// `syscalls.md §9` 2: the reply register is not looked at for notifications.
fn the_reply_register_is_not_looked_at(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    for reply in [CPtr::new(1 << 60), NULL, CNODE, notification] {
        signal(notification);
        puppet.does(Syscall::recv(notification, reply))?;
        puppet.does(Syscall::nb_recv(notification, reply))?.is_signal(0)?;
    }
    Ok(())
}

/// `semantics.md §8`: message info and words of the waiter stay.
fn signalling_sends_no_message(t: &mut Tester) -> Outcome {
    let (notification, waiter, sender) = (t.notification()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, WRITE, 8)?;
    waiter.blocks(Syscall::wait(notification).raw_info(0x777))?;
    sender.does(Syscall::send(badged).info(4, 0, 0).words(&[1, 2, 3, 4]))?;
    let received = waiter.done()?;
    same("badge", 8, received.badge)?;
    same("message info, which is to stay", 0x777, received.info.word())?;
    received.words_are(&[])
}

/// `syscalls.md §9` 2.
fn waiting_needs_read(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    let cap = t.copy(notification, WRITE)?;
    for call in [Syscall::wait(cap), Syscall::nb_wait(cap), Syscall::recv(cap, NULL), Syscall::nb_recv(cap, NULL)] {
        puppet.faults(call)?.is_cap_fault(cap, true, &MISSING)?;
    }
    Ok(())
}

/// `syscalls.md §7`: a Call signals and returns at once.
fn a_call_signals(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, WRITE, 8)?;
    puppet.does(Syscall::call(badged).words(&[1]))?;
    same("word", 8, poll(notification))
}

/// `semantics.md §4`: waiters restart, and fault.
fn deleting_the_notification_restarts_waiters(t: &mut Tester) -> Outcome {
    let (notification, first, second) = (t.notification()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::wait(notification))?;
    second.blocks(Syscall::recv(notification, NULL))?;
    t.delete(notification)?;
    first.fault()?.is_cap_fault(notification, true, &MISSING)?;
    second.fault()?.is_cap_fault(notification, true, &MISSING)
}

/// `semantics.md §8`: a bound thread that receives is woken, message info and words unchanged.
fn a_bound_notification_wakes_a_receiver(t: &mut Tester) -> Outcome {
    let (notification, endpoint, reply) = (t.notification()?, t.endpoint()?, t.reply()?);
    let badged = t.mint(notification, WRITE, 0x10)?;
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    for call in [Syscall::recv(endpoint, reply), Syscall::wait(endpoint)] {
        puppet.blocks(call)?;
        signal(badged);
        puppet.done()?.is_signal(0x10)?;
    }
    // It has left the endpoint's queue.
    let sender = t.puppet(ABOVE)?;
    sender.does(Syscall::nb_send(endpoint))?;
    same("word", 0, poll_as_bound(&puppet, notification)?)
}

fn poll_as_bound(puppet: &crate::puppet::Puppet, notification: CPtr) -> Outcome<u64> {
    Ok(puppet.does(Syscall::nb_wait(notification))?.badge)
}

/// `syscalls.md §9.1` 2: even where a sender waits; NBRecv too.
fn a_bound_notification_comes_before_a_sender(t: &mut Tester) -> Outcome {
    let (notification, endpoint, reply) = (t.notification()?, t.endpoint()?, t.reply()?);
    let badged = t.mint(notification, WRITE, 0x20)?;
    let (puppet, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    sender.blocks(Syscall::send(endpoint).words(&[1]))?;
    for call in [
        Syscall::recv(endpoint, reply),
        Syscall::nb_recv(endpoint, reply),
        Syscall::wait(endpoint),
        Syscall::nb_wait(endpoint),
        Syscall::reply_recv(endpoint, reply),
    ] {
        signal(badged);
        puppet.does(call)?.is_signal(0x20)?;
        sender.busy()?;
    }
    puppet.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[1])
}

/// `semantics.md §8`: the word stays active.
fn a_bound_notification_does_not_end_a_call(t: &mut Tester) -> Outcome {
    let (notification, endpoint, reply) = (t.notification()?, t.endpoint()?, t.reply()?);
    let badged = t.mint(notification, WRITE, 0x30)?;
    let (puppet, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    puppet.blocks(Syscall::call(endpoint))?;
    signal(badged);
    puppet.busy()?;
    server.does(Syscall::recv(endpoint, reply))?;
    signal(badged);
    puppet.busy()?;
    server.does(Syscall::send(reply))?;
    puppet.done()?;
    puppet.does(Syscall::nb_wait(endpoint))?.is_signal(0x30)
}

/// `semantics.md §8`.
fn a_bound_notification_does_not_end_another_wait(t: &mut Tester) -> Outcome {
    let (notification, other) = (t.notification()?, t.notification()?);
    let badged = t.mint(notification, WRITE, 0x40)?;
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    puppet.blocks(Syscall::wait(other))?;
    signal(badged);
    puppet.busy()?;
    signal(other);
    puppet.done()?.is_signal(0)?;
    puppet.does(Syscall::wait(notification))?.is_signal(0x40)
}

/// `syscalls.md §9` 2: bound to another: CapFault.
fn only_the_bound_thread_waits(t: &mut Tester) -> Outcome {
    let (notification, bound, other) = (t.notification()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBBindNotification", bound.tcb, &[], &[notification])?;
    for call in [Syscall::wait(notification), Syscall::nb_wait(notification)] {
        other.faults(call)?.is_cap_fault(notification, true, &MISSING)?;
    }
    bound.blocks(Syscall::wait(notification))?;
    signal(notification);
    bound.done()?.is_signal(0)
}

/// `invocations.md §5.2`, UnbindNotification.
fn unbinding_ends_it(t: &mut Tester) -> Outcome {
    let (notification, endpoint, puppet) = (t.notification()?, t.endpoint()?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, WRITE, 0x50)?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    puppet.blocks(Syscall::wait(endpoint))?;
    accepts("TCBUnbindNotification", puppet.tcb, &[], &[])?;
    signal(badged);
    puppet.busy()?;
    same("word", 0x50, poll(notification))
}

/// `semantics.md §8`.
fn the_word_stays_when_the_bound_thread_does_not_wait(t: &mut Tester) -> Outcome {
    let (notification, endpoint, puppet) = (t.notification()?, t.endpoint()?, t.puppet(ABOVE)?);
    let (one, two) = (t.mint(notification, WRITE, 1)?, t.mint(notification, WRITE, 2)?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    signal(one);
    signal(two);
    puppet.does(Syscall::nb_wait(endpoint))?.is_signal(3)
}

/// `scheduling.md §4`: the notification's context goes to a waiter without one.
fn a_passive_waiter_gets_the_context(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    // It has it now.
    accepts("SchedContextUnbindObject", puppet.sc, &[], &[puppet.tcb])?;
    Ok(())
}

/// `scheduling.md §4.1`: when the thread blocks on that notification, the context is taken away.
fn the_context_goes_back_when_the_driver_waits(t: &mut Tester) -> Outcome {
    let (notification, puppet) = (t.notification()?, t.puppet(ABOVE)?);
    let badged = t.mint(notification, WRITE, 2)?;
    puppet.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    for _ in 0..3 {
        signal(badged);
        puppet.done()?.is_signal(2)?;
        puppet.blocks(Syscall::wait(notification))?;
        let row = "SchedContextUnbindObject/IllegalOperation#2";
        refuses(row, puppet.sc, &[], &[puppet.tcb], &[])?;
    }
    Ok(())
}

/// `scheduling.md §4.1`: else the thread is marked runnable without context.
fn a_context_in_use_is_not_donated(t: &mut Tester) -> Outcome {
    let (notification, first, second) = (t.notification()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    second.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", second.sc, &[], &[])?;
    // The first's context is the notification's, too, and the first runs on it.
    accepts("SchedContextBind", first.sc, &[], &[notification])?;
    signal(notification);
    second.busy()?;
    // When it gets time it goes on: it has been woken.
    accepts("SchedContextBind", second.sc, &[], &[second.tcb])?;
    second.done()?.is_signal(0)
}

/// `scheduling.md §4.1`: this also unbinds a context that was bound to both.
fn a_context_of_both_leaves_the_thread(t: &mut Tester) -> Outcome {
    let (notification, endpoint, puppet) = (t.notification()?, t.endpoint()?, t.puppet(ABOVE)?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    // A wait elsewhere leaves it alone.
    let other = t.notification()?;
    puppet.blocks(Syscall::wait(other))?;
    signal(other);
    puppet.done()?;
    puppet.blocks(Syscall::wait(endpoint))?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, puppet.sc, &[], &[puppet.tcb], &[])?;
    // A plain send does not donate: the receiver has the message but no time.
    let sender = t.puppet(ABOVE)?;
    sender.does(Syscall::nb_send(endpoint))?;
    puppet.busy()?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    puppet.done()?.is(0, 0, &[])
}

/// `scheduling.md §4.1`: a bound TCB blocked in Recv gets the context with the signal.
fn a_passive_server_is_woken_by_its_bound_notification(t: &mut Tester) -> Outcome {
    let (notification, endpoint, reply) = (t.notification()?, t.endpoint()?, t.reply()?);
    let (badged, puppet) = (t.mint(notification, WRITE, 3)?, t.puppet(ABOVE)?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    signal(badged);
    puppet.done()?.is_signal(3)
}
