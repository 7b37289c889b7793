// SPDX-License-Identifier: MIT OR Apache-2.0

//! Passive threads that a notification lends time to (`scheduling.md §4.1`, `syscalls.md §9.1, §9.2`).

use keel::{cap::CPtr, sys};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_signal_lends_time_until_the_next_wait,
    a_bound_thread_gets_time_at_its_endpoint,
    a_poll_keeps_the_time,
    another_notification_keeps_the_time,
    an_active_notification_keeps_the_time,
    time_leaves_before_a_queued_message_is_taken,
    a_queued_caller_lends_its_time_instead,
    time_in_use_is_not_lent,
    a_waiter_with_time_gets_none,
    a_thread_gives_up_time_that_its_notification_shares,
    time_given_up_is_free_for_others,
    an_active_notification_lends_after_a_first_phase,
    a_bound_active_notification_lends_after_a_first_phase,
    time_that_is_not_configured_is_lent_all_the_same,
    an_unbound_notification_lends_nothing,
    deletion_of_the_time_leaves_the_thread_without,
    deletion_of_the_notification_leaves_the_thread_its_time,
    deletion_of_the_thread_frees_the_time,
];

/// A passive thread that waits on a notification which has time.
struct Driver {
    puppet: Puppet,
    notification: CPtr,
    sc: CPtr,
}

fn driver(t: &mut Tester) -> Outcome<Driver> {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    let sc = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    puppet.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    Ok(Driver { puppet, notification, sc })
}

/// The same, with the notification bound, and waiting at the endpoint.
fn bound_driver(t: &mut Tester, endpoint: CPtr, reply: CPtr) -> Outcome<Driver> {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    let sc = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    Ok(Driver { puppet, notification, sc })
}

fn signal(cap: CPtr) {
    step();
    sys::send(cap, Default::default(), [0; 4]);
}

/// `scheduling.md §4.1`.
fn a_signal_lends_time_until_the_next_wait(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    for _ in 0..3 {
        t.is_bound(sc, puppet.tcb, false)?;
        signal(notification);
        puppet.done()?.is_signal(0)?;
        t.is_bound(sc, puppet.tcb, true)?;
        puppet.blocks(Syscall::wait(notification))?;
    }
    Ok(())
}

/// `scheduling.md §4.1`.
fn a_bound_thread_gets_time_at_its_endpoint(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let Driver { puppet, notification, sc } = bound_driver(t, endpoint, reply)?;
    for receive in [
        Syscall::recv(endpoint, reply),
        Syscall::wait(endpoint),
        Syscall::reply_recv(endpoint, reply),
        Syscall::nb_send_recv(NULL, endpoint, reply),
        Syscall::nb_send_wait(NULL, endpoint),
    ] {
        signal(notification);
        puppet.done()?.is_signal(0)?;
        t.is_bound(sc, puppet.tcb, true)?;
        puppet.blocks(receive)?;
        t.is_bound(sc, puppet.tcb, false)?;
    }
    Ok(())
}

/// `scheduling.md §4.1`: only what blocks gives it back.
fn a_poll_keeps_the_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let Driver { puppet, notification, sc } = bound_driver(t, endpoint, reply)?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    for poll in [Syscall::nb_wait(notification), Syscall::nb_recv(endpoint, reply)] {
        puppet.does(poll)?.is_signal(0)?;
        t.is_bound(sc, puppet.tcb, true)?;
    }
    Ok(())
}

/// `scheduling.md §4.1`: "blocks on that notification".
fn another_notification_keeps_the_time(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    let (other, endpoint) = (t.notification()?, t.endpoint()?);
    signal(notification);
    puppet.done()?.is_signal(0)?;
    puppet.blocks(Syscall::wait(other))?;
    t.is_bound(sc, puppet.tcb, true)?;
    signal(other);
    puppet.done()?.is_signal(0)?;
    // The notification is not bound to the thread, so an endpoint does not matter either.
    puppet.blocks(Syscall::wait(endpoint))?;
    t.is_bound(sc, puppet.tcb, true)
}

/// `syscalls.md §9.1` 2, 3: it does not block.
fn an_active_notification_keeps_the_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let Driver { puppet, notification, sc } = bound_driver(t, endpoint, reply)?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    for receive in [Syscall::recv(endpoint, reply), Syscall::wait(notification)] {
        signal(notification);
        puppet.does(receive)?.is_signal(0)?;
        t.is_bound(sc, puppet.tcb, true)?;
    }
    Ok(())
}

/// `scheduling.md §4.1`: "even if a sender is already queued there".
fn time_leaves_before_a_queued_message_is_taken(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let Driver { puppet, notification, sc } = bound_driver(t, endpoint, reply)?;
    let sender = t.puppet(ABOVE)?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    sender.blocks(Syscall::send(endpoint).words(&[4]))?;
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    sender.done()?;
    t.is_bound(sc, puppet.tcb, false)?;
    // It has the message, and no time.
    signal(notification);
    puppet.busy()?;
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    puppet.done()?.is(0, 0, &[4])?;
    puppet.does(Syscall::recv(endpoint, reply))?.is_signal(0)
}

/// `scheduling.md §4, §4.1`.
fn a_queued_caller_lends_its_time_instead(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let Driver { puppet, notification, sc } = bound_driver(t, endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    client.blocks(Syscall::call(endpoint).words(&[4]))?;
    puppet.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[4])?;
    t.is_bound(sc, puppet.tcb, false)?;
    t.is_bound(client.sc, puppet.tcb, true)?;
    puppet.blocks(Syscall::reply_recv(endpoint, reply).words(&[5]))?;
    client.done()?.is(0, 0, &[5])
}

/// `scheduling.md §4.1`: the thread is runnable without time.
fn time_in_use_is_not_lent(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    let other = t.tcb()?;
    accepts("SchedContextBind", sc, &[], &[other])?;
    signal(notification);
    puppet.busy()?;
    t.is_bound(sc, other, true)?;
    // It has been woken: another signal stays.
    signal(notification);
    accepts("SchedContextBind", puppet.sc, &[], &[puppet.tcb])?;
    puppet.done()?.is_signal(0)?;
    puppet.does(Syscall::wait(notification))?.is_signal(0)
}

/// `scheduling.md §4`: only passive ones get it.
fn a_waiter_with_time_gets_none(t: &mut Tester) -> Outcome {
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    let sc = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", sc, &[], &[notification])?;
    puppet.blocks(Syscall::wait(notification))?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    t.is_bound(sc, puppet.tcb, false)?;
    t.is_bound(puppet.sc, puppet.tcb, true)
}

/// `scheduling.md §4.1`: also if it was bound to both. So a component becomes passive.
fn a_thread_gives_up_time_that_its_notification_shares(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, notification) = (t.puppet(ABOVE)?, t.notification()?);
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    accepts("SchedContextBind", puppet.sc, &[], &[notification])?;
    t.is_bound(puppet.sc, puppet.tcb, true)?;
    puppet.does(Syscall::yield_now())?;
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    t.is_bound(puppet.sc, puppet.tcb, false)?;
    signal(notification);
    puppet.done()?.is_signal(0)?;
    t.is_bound(puppet.sc, puppet.tcb, true)?;
    puppet.blocks(Syscall::wait(notification))?;
    t.is_bound(puppet.sc, puppet.tcb, false)
}

/// `scheduling.md §4.1`: it can be bound elsewhere meanwhile, and then is not lent.
fn time_given_up_is_free_for_others(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    let other = t.puppet(ABOVE)?;
    signal(notification);
    puppet.done()?;
    puppet.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", other.sc, &[], &[])?;
    accepts("SchedContextBind", sc, &[], &[other.tcb])?;
    signal(notification);
    puppet.busy()?;
    other.does(Syscall::yield_now())?;
    t.is_bound(sc, other.tcb, true)
}

/// `syscalls.md §9.2`: a thread that gave its time away in the first phase.
fn an_active_notification_lends_after_a_first_phase(t: &mut Tester) -> Outcome {
    let (endpoint, reply, notification) = (t.endpoint()?, t.reply()?, t.notification()?);
    let server = t.passive_server(endpoint, reply)?;
    let (puppet, sc) = (t.puppet(ABOVE)?, t.time(SLICE_US, SLICE_US)?);
    accepts("SchedContextBind", sc, &[], &[notification])?;
    signal(notification);
    puppet.start(Syscall::nb_send_wait(endpoint, notification).words(&[1]))?;
    server.done()?.is(0, 0, &[1])?;
    t.is_bound(puppet.sc, server.tcb, true)?;
    t.is_bound(sc, puppet.tcb, true)?;
    same("badge", 0, puppet.done()?.badge)
}

/// `syscalls.md §9.1` 2.
fn a_bound_active_notification_lends_after_a_first_phase(t: &mut Tester) -> Outcome {
    let (endpoint, reply, notification) = (t.endpoint()?, t.reply()?, t.notification()?);
    let (here, spare) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let (puppet, sc) = (t.puppet(ABOVE)?, t.time(SLICE_US, SLICE_US)?);
    accepts("SchedContextBind", sc, &[], &[notification])?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    signal(notification);
    puppet.start(Syscall::nb_send_recv(endpoint, here, spare).words(&[1]))?;
    server.done()?.is(0, 0, &[1])?;
    t.is_bound(puppet.sc, server.tcb, true)?;
    t.is_bound(sc, puppet.tcb, true)?;
    same("badge", 0, puppet.done()?.badge)
}

/// `scheduling.md §4.1`: the thread has it, and runs when it is configured.
fn time_that_is_not_configured_is_lent_all_the_same(t: &mut Tester) -> Outcome {
    let (puppet, notification, sc) = (t.puppet(ABOVE)?, t.notification()?, t.sched_context()?);
    accepts("SchedContextBind", sc, &[], &[notification])?;
    puppet.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", puppet.sc, &[], &[])?;
    signal(notification);
    puppet.busy()?;
    t.configure(sc, [SLICE_US, SLICE_US, 0, 0, 0])?;
    puppet.done()?.is_signal(0)
}

/// `scheduling.md §3`.
fn an_unbound_notification_lends_nothing(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    accepts("SchedContextUnbindObject", sc, &[], &[notification])?;
    signal(notification);
    puppet.busy()?;
    t.is_bound(sc, puppet.tcb, false)
}

/// `scheduling.md §4`.
fn deletion_of_the_time_leaves_the_thread_without(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    let next = t.time(SLICE_US, SLICE_US)?;
    t.delete(sc)?;
    // The notification is free for another.
    accepts("SchedContextBind", next, &[], &[notification])?;
    accepts("SchedContextUnbind", next, &[], &[])?;
    signal(notification);
    puppet.busy()?;
    accepts("SchedContextBind", next, &[], &[puppet.tcb])?;
    puppet.done()?.is_signal(0)
}

/// `semantics.md §4`.
fn deletion_of_the_notification_leaves_the_thread_its_time(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    signal(notification);
    puppet.done()?;
    t.delete(notification)?;
    t.is_bound(sc, puppet.tcb, true)?;
    let next = t.notification()?;
    puppet.blocks(Syscall::wait(next))?;
    t.is_bound(sc, puppet.tcb, true)?;
    accepts("SchedContextBind", sc, &[], &[next])?;
    Ok(())
}

/// `scheduling.md §4`: its notification can lend it again.
fn deletion_of_the_thread_frees_the_time(t: &mut Tester) -> Outcome {
    let Driver { puppet, notification, sc } = driver(t)?;
    let other = t.puppet(ABOVE)?;
    signal(notification);
    puppet.done()?;
    other.blocks(Syscall::wait(notification))?;
    accepts("SchedContextUnbind", other.sc, &[], &[])?;
    t.delete(puppet.tcb)?;
    signal(notification);
    other.done()?.is_signal(0)?;
    t.is_bound(sc, other.tcb, true)
}
