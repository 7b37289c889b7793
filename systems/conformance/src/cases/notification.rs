// SPDX-License-Identifier: MIT OR Apache-2.0

//! Notifications (`semantics.md §4, §8`, `syscalls.md §7, §9.1, §9.2`).

use keel::{cap::CPtr, sys};
use keel_abi::error::ErrorCode;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_signal_is_kept_until_it_is_taken,
    signals_are_ored,
    poll_of_an_idle_one_gives_zero_alone,
    a_signal_wakes_a_waiter,
    a_signal_of_badge_zero_wakes,
    all_kinds_of_send_signal,
    all_kinds_of_receive_take_a_signal,
    a_message_with_a_signal_is_dropped,
    waiters_queue_by_priority,
    a_new_priority_moves_a_waiter,
    signalling_needs_write,
    waiting_needs_read,
    the_reply_register_is_not_looked_at,
    a_bound_thread_wakes_from_its_endpoint,
    a_bound_thread_that_calls_is_not_woken,
    a_bound_thread_that_waits_elsewhere_is_not_woken,
    a_bound_thread_that_waits_to_send_is_not_woken,
    a_bound_signal_comes_before_senders,
    a_bound_signal_is_polled_at_an_endpoint,
    a_bound_thread_waits_on_its_notification,
    nobody_else_waits_on_a_bound_notification,
    an_unbound_notification_is_free,
    deletion_of_the_notification_unbinds,
    deletion_of_the_thread_unbinds,
    deletion_restarts_waiters,
    a_suspended_waiter_is_not_woken,
    a_signal_releases_the_reply_object,
];

fn signal(cap: CPtr) {
    step();
    sys::send(cap, Default::default(), [0; 4]);
}

/// A notification, with capabilities of badges 1, 2 and 4.
fn badged(t: &mut Tester) -> Outcome<(CPtr, [CPtr; 3])> {
    let notification = t.notification()?;
    let badges =
        [t.mint(notification, ALL, 1)?, t.mint(notification, ALL, 2)?, t.mint(notification, ALL, 4)?];
    Ok((notification, badges))
}

/// `semantics.md §8`.
fn a_signal_is_kept_until_it_is_taken(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::send(one))?;
    puppet.does(Syscall::wait(notification))?.is_signal(1)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(0)?;
    puppet.blocks(Syscall::wait(notification))
}

/// `semantics.md §8`.
fn signals_are_ored(t: &mut Tester) -> Outcome {
    let (notification, [one, two, four]) = badged(t)?;
    let puppet = t.puppet(ABOVE)?;
    for cap in [four, one, four, two] {
        puppet.does(Syscall::send(cap))?;
    }
    puppet.does(Syscall::nb_wait(notification))?.is_signal(7)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(0)
}

/// `syscalls.md §9.2`.
fn poll_of_an_idle_one_gives_zero_alone(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let (waiter, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for _ in 0..2 {
        let received = puppet.does(Syscall::nb_wait(notification).raw_info(0x1234_5678))?;
        same("badge", 0, received.badge)?;
        same("message info", 0x1234_5678, received.info.word())?;
        received.words_are(&[])?;
        // The same when others wait.
        waiter.start(Syscall::wait(notification))?;
    }
    waiter.busy()
}

/// `semantics.md §8`: badge alone; the notification stays idle.
fn a_signal_wakes_a_waiter(t: &mut Tester) -> Outcome {
    let (notification, [_, two, _]) = badged(t)?;
    let waiter = t.puppet(ABOVE)?;
    waiter.blocks(Syscall::wait(notification))?;
    signal(two);
    waiter.done()?.is_signal(2)?;
    waiter.does(Syscall::nb_wait(notification))?.is_signal(0)
}

/// `semantics.md §8`.
fn a_signal_of_badge_zero_wakes(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let waiter = t.puppet(ABOVE)?;
    signal(notification);
    waiter.does(Syscall::wait(notification))?.is_signal(0)?;
    waiter.blocks(Syscall::wait(notification))?;
    signal(notification);
    waiter.done()?.is_signal(0)
}

/// `syscalls.md §7`.
fn all_kinds_of_send_signal(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (puppet, empty, reply) = (t.puppet(ABOVE)?, t.endpoint()?, t.reply()?);
    let mut kinds = [Syscall::send(one), Syscall::nb_send(one)].into_iter();
    kinds.try_for_each(|kind| {
        puppet.does(kind)?;
        puppet.does(Syscall::nb_wait(notification))?.is_signal(1)
    })?;
    puppet.does(Syscall::call(one).raw_info(0xffff_f000))?.is(0, 0, &[])?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(1)?;
    for kind in [Syscall::nb_send_recv(one, empty, reply), Syscall::nb_send_wait(one, empty)] {
        puppet.blocks(kind)?;
        signal_was(notification, 1)?;
    }
    // As a destination it is signalled, as a reply object it is none.
    puppet.faults(Syscall::reply_recv(empty, one))?.is_cap_fault(one, true, &MISSING)?;
    signal_was(notification, 1)
}

#[track_caller]
fn signal_was(notification: CPtr, badge: u64) -> Outcome {
    step();
    same("word of the notification", badge, sys::nb_wait(notification).badge)
}

/// `syscalls.md §9`.
fn all_kinds_of_receive_take_a_signal(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let puppet = t.puppet(ABOVE)?;
    for receive in [
        Syscall::recv(notification, NULL),
        Syscall::nb_recv(notification, NULL),
        Syscall::wait(notification),
        Syscall::nb_wait(notification),
        Syscall::reply_recv(notification, NULL),
        Syscall::nb_send_recv(NULL, notification, NULL),
        Syscall::nb_send_wait(NULL, notification),
    ] {
        signal(one);
        puppet.does(receive)?.is_signal(1)?;
    }
    for receive in [
        Syscall::recv(notification, NULL),
        Syscall::reply_recv(notification, NULL),
        Syscall::nb_send_recv(NULL, notification, NULL),
        Syscall::nb_send_wait(NULL, notification),
    ] {
        puppet.blocks(receive)?;
        signal(one);
        puppet.done()?.is_signal(1)?;
    }
    Ok(())
}

/// `syscalls.md §7` 4: the badge of the capability is all that counts.
fn a_message_with_a_signal_is_dropped(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (waiter, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    waiter.blocks(Syscall::wait(notification))?;
    waiter.buffer().fill(7000);
    puppet.buffer().set_caps(&[notification]);
    puppet.does(Syscall::send(one).words(&[1, 2, 3, 4]).info(99, 1, 120))?;
    waiter.done()?.is_signal(1)?;
    waiter.buffer().is_filled(7000, 0..512)
}

/// `semantics.md §8`, `syscalls.md §9.2`.
fn waiters_queue_by_priority(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let waiters = [t.puppet(ABOVE)?, t.puppet(ABOVE + 1)?, t.puppet(ABOVE)?, t.puppet(ABOVE + 1)?];
    for waiter in &waiters {
        waiter.blocks(Syscall::wait(notification))?;
    }
    wake_in_order(one, &waiters, [1, 3, 0, 2])
}

fn wake_in_order(cap: CPtr, waiters: &[Puppet], order: [usize; 4]) -> Outcome {
    for place in order {
        signal(cap);
        waiters[place].done()?.is_signal(1)?;
    }
    Ok(())
}

/// `scheduling.md §1.2`.
fn a_new_priority_moves_a_waiter(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let waiters = [t.puppet(ABOVE)?, t.puppet(ABOVE + 1)?, t.puppet(ABOVE)?, t.puppet(ABOVE + 1)?];
    for waiter in &waiters {
        waiter.blocks(Syscall::wait(notification))?;
    }
    accepts("TCBSetPriority", waiters[1].tcb, &[ABOVE], &[AUTHORITY])?;
    accepts("TCBSetPriority", waiters[0].tcb, &[ABOVE + 1], &[AUTHORITY])?;
    wake_in_order(one, &waiters, [3, 0, 2, 1])
}

/// `syscalls.md §7` 4, 5.
fn signalling_needs_write(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let silent = t.mint(notification, READ, 3)?;
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::send(silent))?;
    puppet.does(Syscall::nb_send(silent))?;
    puppet.does(Syscall::call(silent))?.is(0, ErrorCode::InvalidCapability as u64, &[0])?;
    puppet.does(Syscall::nb_send_wait(silent, notification_of(t, 8)?))?.is_signal(8)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(0)
}

/// A notification that is active with this word.
fn notification_of(t: &mut Tester, word: u64) -> Outcome<CPtr> {
    let notification = t.notification()?;
    let cap = t.mint(notification, ALL, word)?;
    signal(cap);
    Ok(cap)
}

/// `syscalls.md §9` 2.
fn waiting_needs_read(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let (deaf, puppet) = (t.mint(notification, WRITE, 3)?, t.puppet(ABOVE)?);
    signal(deaf);
    for receive in [Syscall::wait(deaf), Syscall::nb_wait(deaf), Syscall::recv(deaf, NULL)] {
        puppet.faults(receive)?.is_cap_fault(deaf, true, &MISSING)?;
    }
    puppet.does(Syscall::nb_wait(notification))?.is_signal(3)
}

/// `syscalls.md §9` 2: not even if it cannot be resolved.
fn the_reply_register_is_not_looked_at(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (puppet, bad) = (t.puppet(ABOVE)?, CPtr::new(1 << 63));
    signal(one);
    puppet.does(Syscall::recv(notification, bad))?.is_signal(1)?;
    puppet.does(Syscall::nb_recv(notification, bad))?.is_signal(0)?;
    puppet.blocks(Syscall::nb_send_recv(bad, notification, bad))
}

/// A puppet above the case that has this notification bound.
fn bound_puppet(t: &mut Tester, notification: CPtr) -> Outcome<Puppet> {
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[notification])?;
    Ok(puppet)
}

/// `semantics.md §8`: the thread gets the badge, and is in the queue of the endpoint no more.
fn a_bound_thread_wakes_from_its_endpoint(t: &mut Tester) -> Outcome {
    let (notification, [_, two, _]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, sender) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    for receive in [Syscall::recv(endpoint, reply), Syscall::wait(endpoint)] {
        puppet.blocks(receive)?;
        signal(two);
        puppet.done()?.is_signal(2)?;
        sender.does(Syscall::nb_send(endpoint))?;
        puppet.does(Syscall::nb_recv(endpoint, reply))?.is_signal(0)?;
        // The notification is idle.
        puppet.does(Syscall::nb_wait(notification))?.is_signal(0)?;
    }
    Ok(())
}

/// `semantics.md §8`: the word stays.
fn a_bound_thread_that_calls_is_not_woken(t: &mut Tester) -> Outcome {
    let (notification, [_, two, _]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, server) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    puppet.blocks(Syscall::call(endpoint))?;
    signal(two);
    puppet.busy()?;
    server.does(Syscall::send(reply).words(&[5]))?;
    puppet.done()?.is(0, 0, &[5])?;
    puppet.does(Syscall::recv(endpoint, reply))?.is_signal(2)
}

/// `semantics.md §8`.
fn a_bound_thread_that_waits_elsewhere_is_not_woken(t: &mut Tester) -> Outcome {
    let (notification, [_, two, _]) = badged(t)?;
    let (other, [one, ..]) = badged(t)?;
    let puppet = bound_puppet(t, notification)?;
    puppet.blocks(Syscall::wait(other))?;
    signal(two);
    puppet.busy()?;
    signal(one);
    puppet.done()?.is_signal(1)?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(2)
}

/// `semantics.md §8`.
fn a_bound_thread_that_waits_to_send_is_not_woken(t: &mut Tester) -> Outcome {
    let (notification, [_, two, _]) = badged(t)?;
    let endpoint = t.endpoint()?;
    let puppet = bound_puppet(t, notification)?;
    puppet.blocks(Syscall::send(endpoint).words(&[6]))?;
    signal(two);
    puppet.busy()?;
    same("word", 6, sys::nb_wait(endpoint).words[0])?;
    puppet.done()?;
    puppet.does(Syscall::nb_wait(notification))?.is_signal(2)
}

/// `syscalls.md §9.1` 2.
fn a_bound_signal_comes_before_senders(t: &mut Tester) -> Outcome {
    let (notification, [one, two, _]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, sender) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    sender.blocks(Syscall::send(endpoint).words(&[9]))?;
    signal(one);
    signal(two);
    puppet.does(Syscall::recv(endpoint, reply))?.is_signal(3)?;
    sender.busy()?;
    puppet.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[9])?;
    sender.done()?;
    Ok(())
}

/// `semantics.md §8`.
fn a_bound_signal_is_polled_at_an_endpoint(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let puppet = bound_puppet(t, notification)?;
    for receive in [
        Syscall::nb_recv(endpoint, reply),
        Syscall::nb_wait(endpoint),
        Syscall::wait(endpoint),
        Syscall::reply_recv(endpoint, reply),
        Syscall::nb_send_recv(NULL, endpoint, reply),
        Syscall::nb_send_wait(NULL, endpoint),
    ] {
        signal(one);
        puppet.does(receive)?.is_signal(1)?;
    }
    puppet.does(Syscall::nb_recv(endpoint, reply))?.is_signal(0)
}

/// `semantics.md §8`.
fn a_bound_thread_waits_on_its_notification(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let puppet = bound_puppet(t, notification)?;
    puppet.blocks(Syscall::wait(notification))?;
    signal(one);
    puppet.done()?.is_signal(1)?;
    puppet.blocks(Syscall::recv(notification, NULL))
}

/// `syscalls.md §9` 2.
fn nobody_else_waits_on_a_bound_notification(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (_puppet, other) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    signal(one);
    for receive in
        [Syscall::wait(notification), Syscall::nb_wait(notification), Syscall::recv(notification, NULL)]
    {
        other.faults(receive)?.is_cap_fault(notification, true, &MISSING)?;
    }
    Ok(())
}

/// `semantics.md §8`.
fn an_unbound_notification_is_free(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, other) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    accepts("TCBUnbindNotification", puppet.tcb, &[], &[])?;
    signal(one);
    puppet.busy()?;
    other.does(Syscall::wait(notification))?.is_signal(1)?;
    accepts("TCBBindNotification", other.tcb, &[], &[notification])?;
    Ok(())
}

/// `semantics.md §8`: deleting either side unbinds.
fn deletion_of_the_notification_unbinds(t: &mut Tester) -> Outcome {
    let (notification, _) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, next) = (bound_puppet(t, notification)?, t.notification()?);
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    t.revoke(notification)?;
    t.delete(notification)?;
    puppet.busy()?;
    accepts("TCBBindNotification", puppet.tcb, &[], &[next])?;
    signal(next);
    puppet.done()?.is_signal(0)
}

/// `semantics.md §4`.
fn deletion_of_the_thread_unbinds(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, other) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    t.delete(puppet.tcb)?;
    signal(one);
    other.does(Syscall::wait(notification))?.is_signal(1)?;
    accepts("TCBBindNotification", other.tcb, &[], &[notification])?;
    Ok(())
}

/// `semantics.md §4`.
fn deletion_restarts_waiters(t: &mut Tester) -> Outcome {
    let notification = t.notification()?;
    let waiters = [t.puppet(ABOVE)?, t.puppet(ABOVE)?];
    for waiter in &waiters {
        waiter.blocks(Syscall::wait(notification))?;
    }
    t.delete(notification)?;
    for waiter in &waiters {
        waiter.fault()?.is_cap_fault(notification, true, &MISSING)?;
    }
    Ok(())
}

/// `semantics.md §6`.
fn a_suspended_waiter_is_not_woken(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (first, second) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::wait(notification))?;
    second.blocks(Syscall::wait(notification))?;
    accepts("TCBSuspend", first.tcb, &[], &[])?;
    signal(one);
    first.busy()?;
    second.done()?.is_signal(1)?;
    accepts("TCBResume", first.tcb, &[], &[])?;
    first.busy()?;
    signal(one);
    first.done()?.is_signal(1)
}

/// `semantics.md §8`: a receive that a bound notification ends no longer holds its reply object.
fn a_signal_releases_the_reply_object(t: &mut Tester) -> Outcome {
    let (notification, [one, ..]) = badged(t)?;
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, other) = (bound_puppet(t, notification)?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    signal(one);
    other.blocks(Syscall::recv(endpoint, reply))?;
    puppet.done()?.is_signal(1)
}
