// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sending and receiving through endpoints (`syscalls.md §7–§9`, `semantics.md §4, §5, §7`).

use keel::cap::CPtr;
use keel_abi::{error::ErrorCode, fault, label, message::MAX_LENGTH, syscall};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine,
    puppet::{MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_message_goes_to_a_receiver_that_waits,
    a_sender_waits_for_a_receiver,
    nb_send_without_receiver_does_nothing,
    nb_recv_without_sender_gives_badge_zero_alone,
    the_label_has_52_bits,
    the_length_is_clamped,
    words_beyond_the_length_stay,
    senders_queue_by_priority,
    receivers_queue_by_priority,
    a_new_priority_moves_a_sender_behind_its_equals,
    a_new_priority_moves_a_receiver_behind_its_equals,
    the_same_priority_again_moves_a_sender_back,
    sending_needs_write,
    receiving_needs_read,
    receiving_needs_an_endpoint_or_notification,
    a_bad_reply_capability_faults,
    wait_ignores_the_reply_register,
    an_empty_slot_is_an_invalid_capability,
    a_lookup_failure_faults_blocking_sends_only,
    a_lookup_failure_faults_all_receives,
    a_bad_extra_capability_faults_blocking_sends_only,
    call_needs_a_right_to_be_answered,
    call_to_wait_is_never_answered,
    rights_of_a_queued_sender_are_captured,
    suspending_a_queued_sender_takes_it_out,
    resuming_a_queued_sender_sends_again,
    suspending_a_receiver_takes_it_out,
    deletion_restarts_senders,
    deletion_restarts_receivers,
    deletion_stops_faulted_senders,
    deletion_of_one_capability_is_not_that_of_the_endpoint,
    cancel_badged_sends_restarts_those_alone,
    cancel_badged_sends_with_badge_zero_does_nothing,
    cancel_badged_sends_stops_faulted_senders,
    cancel_badged_sends_leaves_receivers,
    nb_send_recv_sends_and_receives,
    nb_send_recv_receives_even_if_nobody_listens,
    nb_send_wait_sends_and_waits,
    reply_recv_without_caller_receives,
    a_first_phase_drops_what_may_block_time,
    a_first_phase_makes_other_invocations,
    a_failed_lookup_in_a_first_phase_is_silent,
    the_reply_register_of_reply_recv_is_checked_second,
    an_error_changes_no_register_of_send,
];

/// `syscalls.md §8`: all kinds that send.
fn a_message_goes_to_a_receiver_that_waits(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(endpoint, ALL, 0xbad6e)?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for kind in [syscall::SEND, syscall::NB_SEND] {
        receiver.blocks(Syscall::recv(endpoint, reply))?;
        sender.does(Syscall::new(kind).cap(badged).info(0x77, 0, 0).words(&[1, 2, 3]))?;
        receiver.done()?.is(0xbad6e, 0x77, &[1, 2, 3])?;
    }
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    sender.blocks(Syscall::call(badged).info(0x78, 0, 0).words(&[4]))?;
    receiver.done()?.is(0xbad6e, 0x78, &[4])
}

/// `syscalls.md §8, §9.1`: all kinds that receive.
fn a_sender_waits_for_a_receiver(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(endpoint, ALL, u64::MAX)?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for receive in [
        Syscall::recv(endpoint, reply),
        Syscall::nb_recv(endpoint, reply),
        Syscall::wait(endpoint),
        Syscall::nb_wait(endpoint),
    ] {
        sender.blocks(Syscall::send(badged).info(3, 0, 0).words(&[9, 8, 7, 6]))?;
        receiver.does(receive)?.is(u64::MAX, 3, &[9, 8, 7, 6])?;
        sender.done()?;
    }
    Ok(())
}

/// `syscalls.md §8`.
fn nb_send_without_receiver_does_nothing(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::nb_send(endpoint).words(&[1]))?;
    puppet.does(Syscall::nb_recv(endpoint, reply))?.is_signal(0)
}

/// `syscalls.md §9.1` 5.
fn nb_recv_without_sender_gives_badge_zero_alone(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let puppet = t.puppet(ABOVE)?;
    for receive in [Syscall::nb_recv(endpoint, reply), Syscall::nb_wait(endpoint)] {
        let received = puppet.does(receive.raw_info(0xdead_beef))?;
        same("badge", 0, received.badge)?;
        same("message info", 0xdead_beef, received.info.word())?;
        received.words_are(&[])?;
    }
    Ok(())
}

/// `syscalls.md §3`: nothing of the label is lost, and what the sender says of unwrapping is not passed on.
fn the_label_has_52_bits(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).raw_info(u64::MAX << 12 | 7 << 9))?;
    receiver.done()?.is(0, (1 << 52) - 1, &[])
}

/// `syscalls.md §3`: lengths above 120 mean 120.
fn the_length_is_clamped(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for length in [121, 127] {
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(Syscall::send(endpoint).raw_info(5 << 12 | length))?;
        let received = receiver.done()?;
        same("message info", 5 << 12 | MAX_LENGTH as u64, received.info.word())?;
    }
    Ok(())
}

/// `syscalls.md §11`: message registers that the message does not fill keep what they held.
fn words_beyond_the_length_stay(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for length in 0..4 {
        receiver.blocks(Syscall::wait(endpoint))?;
        let words = [1, 2, 3, 4];
        sender.does(Syscall::send(endpoint).words(&words).info(0, 0, length))?;
        receiver.done()?.is(0, 0, &words[..length])?;
    }
    Ok(())
}

/// Puppets of these priorities that all wait to send their badge through an endpoint: 1, 2 and so on.
fn senders(t: &mut Tester, endpoint: CPtr, priorities: [u64; 4]) -> Outcome<[Puppet; 4]> {
    let mut badge = 0;
    let mut make = |priority| -> Outcome<Puppet> {
        badge += 1;
        let sender = t.puppet(priority)?;
        let badged = t.mint(endpoint, ALL, badge)?;
        sender.blocks(Syscall::send(badged))?;
        Ok(sender)
    };
    let [a, b, c, d] = priorities;
    Ok([make(a)?, make(b)?, make(c)?, make(d)?])
}

/// Expects that the senders wait in this order.
#[track_caller]
fn senders_are(endpoint: CPtr, badges: &[u64]) -> Outcome {
    for (place, badge) in badges.iter().enumerate() {
        step();
        let got = keel::sys::nb_wait(endpoint).badge;
        if got != *badge {
            let what = format_args!("{place} in the queue badge {badge}");
            return Err(differ("as number", Shown::Any(&what), Shown::Word(got)));
        }
    }
    same("badge of one more sender", 0, keel::sys::nb_wait(endpoint).badge)
}

/// `syscalls.md §8`: high priority first, first come first served among equals.
fn senders_queue_by_priority(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let _waiting = senders(t, endpoint, [ABOVE, ABOVE + 2, ABOVE + 1, ABOVE + 2])?;
    senders_are(endpoint, &[2, 4, 3, 1])
}

/// `syscalls.md §8`.
fn receivers_queue_by_priority(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let receivers = [
        t.puppet(ABOVE)?,
        t.puppet(ABOVE + 2)?,
        t.puppet(ABOVE + 1)?,
        t.puppet(ABOVE + 2)?,
        t.puppet(ABOVE)?,
    ];
    for receiver in &receivers {
        receiver.blocks(Syscall::wait(endpoint))?;
    }
    for (word, place) in [1, 3, 2, 0, 4].into_iter().enumerate() {
        accepts_send(endpoint, word as u64)?;
        receivers[place].done()?.is(0, 0, &[word as u64])?;
    }
    Ok(())
}

/// Sends a word without blocking.
#[track_caller]
fn accepts_send(endpoint: CPtr, word: u64) -> Outcome {
    step();
    keel::sys::nb_send(endpoint, keel_abi::message::MessageInfo::new(0, 0, 0, 1), [word, 0, 0, 0]);
    Ok(())
}

/// `scheduling.md §1.2`: a higher one, a lower one, and one that others have.
fn a_new_priority_moves_a_sender_behind_its_equals(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let waiting = senders(t, endpoint, [ABOVE, ABOVE + 2, ABOVE + 2, ABOVE + 4])?;
    accepts("TCBSetPriority", waiting[0].tcb, &[ABOVE + 2], &[AUTHORITY])?;
    accepts("TCBSetPriority", waiting[3].tcb, &[ABOVE + 1], &[AUTHORITY])?;
    senders_are(endpoint, &[2, 3, 1, 4])
}

/// `scheduling.md §1.2`, by SetSchedParams, too.
fn a_new_priority_moves_a_receiver_behind_its_equals(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let receivers = [t.puppet(ABOVE)?, t.puppet(ABOVE + 2)?, t.puppet(ABOVE + 2)?];
    for receiver in &receivers {
        receiver.blocks(Syscall::wait(endpoint))?;
    }
    accepts("TCBSetPriority", receivers[0].tcb, &[ABOVE + 2], &[AUTHORITY])?;
    let second = &receivers[1];
    let words = [CASE_MCP, ABOVE];
    accepts("TCBSetSchedParams", second.tcb, &words, &[AUTHORITY, second.sc, second.done])?;
    for place in [2, 0, 1] {
        accepts_send(endpoint, 5)?;
        receivers[place].done()?.is(0, 0, &[5])?;
    }
    Ok(())
}

/// `scheduling.md §1.2`: behind all of equal priority even when it does not change.
fn the_same_priority_again_moves_a_sender_back(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let waiting = senders(t, endpoint, [ABOVE; 4])?;
    accepts("TCBSetPriority", waiting[1].tcb, &[ABOVE], &[AUTHORITY])?;
    senders_are(endpoint, &[1, 3, 4, 2])
}

/// `syscalls.md §7` 4, 5.
fn sending_needs_write(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let silent = t.copy(endpoint, READ | GRANT | GRANT_REPLY)?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    sender.does(Syscall::send(silent))?;
    sender.does(Syscall::nb_send(silent))?;
    sender.does(Syscall::call(silent))?.is(0, ErrorCode::InvalidCapability as u64, &[0])?;
    receiver.busy()?;
    fails(ErrorCode::InvalidCapability, 0, silent, &[1, 2], &[], &[0])
}

/// `syscalls.md §9` 2.
fn receiving_needs_read(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let deaf = t.copy(endpoint, WRITE | GRANT | GRANT_REPLY)?;
    let puppet = t.puppet(ABOVE)?;
    for receive in [
        Syscall::recv(deaf, reply),
        Syscall::nb_recv(deaf, reply),
        Syscall::wait(deaf),
        Syscall::nb_wait(deaf),
        Syscall::reply_recv(deaf, reply),
        Syscall::nb_send_recv(endpoint, deaf, reply),
        Syscall::nb_send_wait(endpoint, deaf),
        // The right is checked before the reply object is looked for.
        Syscall::recv(deaf, NULL),
    ] {
        puppet.faults(receive)?.is_cap_fault(deaf, true, &MISSING)?;
    }
    Ok(())
}

/// `syscalls.md §9` 2.
fn receiving_needs_an_endpoint_or_notification(t: &mut Tester) -> Outcome {
    let reply = t.reply()?;
    let (puppet, empty) = (t.puppet(ABOVE)?, t.slot()?);
    for cap in [NULL, empty, reply, puppet.tcb, CNODE, VSPACE, t.untyped(4)?, t.sched_control()] {
        for receive in [Syscall::recv(cap, reply), Syscall::nb_wait(cap)] {
            puppet.faults(receive)?.is_cap_fault(cap, true, &MISSING)?;
        }
    }
    Ok(())
}

/// A capability pointer that the CSpace of all threads does not resolve, and why.
fn unresolved() -> (CPtr, [u64; 4]) {
    let radix = keel_abi::config::Options::BUILD.root_cnode_bits;
    (CPtr::new(1 << 63 | 5), [4, 64, 0, 64 - radix])
}

/// `syscalls.md §9` 2: the fault names the reply capability.
fn a_bad_reply_capability_faults(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (puppet, (bad, failure)) = (t.puppet(ABOVE)?, unresolved());
    for reply in [NULL, endpoint, puppet.tcb] {
        for receive in [
            Syscall::recv(endpoint, reply),
            Syscall::nb_recv(endpoint, reply),
            Syscall::nb_send_recv(NULL, endpoint, reply),
        ] {
            puppet.faults(receive)?.is_cap_fault(reply, true, &MISSING)?;
        }
    }
    puppet.faults(Syscall::recv(endpoint, bad))?.is_cap_fault(bad, true, &failure)?;
    puppet.faults(Syscall::nb_recv(endpoint, bad))?.is_cap_fault(bad, true, &failure)
}

/// `syscalls.md §2.1`.
fn wait_ignores_the_reply_register(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (receiver, sender, bad) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, unresolved().0);
    receiver.does(Syscall::nb_wait(endpoint).reply(bad))?.is_signal(0)?;
    receiver.blocks(Syscall::wait(endpoint).reply(bad))?;
    sender.does(Syscall::send(endpoint).reply(bad).words(&[4]))?;
    receiver.done()?.is(0, 0, &[4])
}

/// `syscalls.md §5, §7` 4.
fn an_empty_slot_is_an_invalid_capability(t: &mut Tester) -> Outcome {
    let (puppet, empty) = (t.puppet(ABOVE)?, t.slot()?);
    for cap in [NULL, empty] {
        puppet.does(Syscall::send(cap))?;
        puppet.does(Syscall::nb_send(cap))?;
        puppet.does(Syscall::call(cap))?.is(0, ErrorCode::InvalidCapability as u64, &[0])?;
    }
    Ok(())
}

/// `syscalls.md §7` 1.
fn a_lookup_failure_faults_blocking_sends_only(t: &mut Tester) -> Outcome {
    let (puppet, (bad, failure)) = (t.puppet(ABOVE)?, unresolved());
    puppet.faults(Syscall::send(bad))?.is_cap_fault(bad, false, &failure)?;
    puppet.faults(Syscall::call(bad))?.is_cap_fault(bad, false, &failure)?;
    puppet.does(Syscall::nb_send(bad))?;
    Ok(())
}

/// `syscalls.md §9` 1.
fn a_lookup_failure_faults_all_receives(t: &mut Tester) -> Outcome {
    let (puppet, reply, (bad, failure)) = (t.puppet(ABOVE)?, t.reply()?, unresolved());
    for receive in [
        Syscall::recv(bad, reply),
        Syscall::nb_recv(bad, reply),
        Syscall::wait(bad),
        Syscall::nb_wait(bad),
        Syscall::reply_recv(bad, reply),
        Syscall::nb_send_recv(NULL, bad, reply),
        Syscall::nb_send_wait(NULL, bad),
    ] {
        puppet.faults(receive)?.is_cap_fault(bad, true, &failure)?;
    }
    Ok(())
}

/// `syscalls.md §7` 2: before the invoked capability is even looked at.
fn a_bad_extra_capability_faults_blocking_sends_only(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let (bad, failure) = unresolved();
    receiver.blocks(Syscall::wait(endpoint))?;
    for cap in [endpoint, NULL, sender.tcb] {
        sender.buffer().set_caps(&[endpoint, bad, endpoint]);
        sender.faults(Syscall::send(cap).info(0, 2, 0))?.is_cap_fault(bad, false, &failure)?;
        sender.faults(Syscall::call(cap).info(0, 3, 0))?.is_cap_fault(bad, false, &failure)?;
        sender.does(Syscall::nb_send(cap).info(0, 2, 0))?;
    }
    receiver.busy()?;
    sender.does(Syscall::send(endpoint).info(0, 1, 0))?;
    receiver.done()?;
    Ok(())
}

/// `syscalls.md §8`, `semantics.md §7`: with Grant or GrantReply the caller waits, with neither it stops.
fn call_needs_a_right_to_be_answered(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for (rights, is_answered) in [(GRANT, true), (GRANT_REPLY, true), (0, false)] {
        let cap = t.copy(endpoint, WRITE | rights)?;
        for server_first in [true, false] {
            if server_first {
                server.blocks(Syscall::recv(endpoint, reply))?;
                client.blocks(Syscall::call(cap).words(&[1, 2]))?;
                server.done()?.is(0, 0, &[1, 2])?;
            } else {
                client.blocks(Syscall::call(cap).words(&[1, 2]))?;
                server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[1, 2])?;
            }
            server.does(Syscall::send(reply).words(&[3]))?;
            if is_answered {
                client.done()?.is(0, 0, &[3])?;
            } else {
                client.busy()?;
            }
        }
    }
    Ok(())
}

/// `syscalls.md §9.1`.
fn call_to_wait_is_never_answered(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    client.blocks(Syscall::call(endpoint).words(&[1]))?;
    server.does(Syscall::wait(endpoint))?.is(0, 0, &[1])?;
    client.busy()?;
    server.does(Syscall::nb_wait(endpoint))?.is_signal(0)?;
    // It does not wait for an answer: it is inactive, and calls again when resumed.
    accepts("TCBResume", client.tcb, &[], &[])?;
    server.does(Syscall::nb_wait(endpoint))?.is(0, 0, &[1])
}

/// `semantics.md §7`: badge and rights count as they were when the sender began to wait.
fn rights_of_a_queued_sender_are_captured(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(endpoint, ALL, 77)?;
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    client.blocks(Syscall::call(badged).words(&[1]))?;
    t.revoke(endpoint)?;
    client.busy()?;
    server.does(Syscall::recv(endpoint, reply))?.is(77, 0, &[1])?;
    server.does(Syscall::send(reply).words(&[2]))?;
    client.done()?.is(0, 0, &[2])
}

/// `semantics.md §6`.
fn suspending_a_queued_sender_takes_it_out(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let waiting = senders(t, endpoint, [ABOVE; 4])?;
    accepts("TCBSuspend", waiting[0].tcb, &[], &[])?;
    accepts("TCBSuspend", waiting[2].tcb, &[], &[])?;
    senders_are(endpoint, &[2, 4])
}

/// `semantics.md §6`: a blocked operation that is cancelled is repeated.
fn resuming_a_queued_sender_sends_again(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let waiting = senders(t, endpoint, [ABOVE; 4])?;
    accepts("TCBResume", waiting[1].tcb, &[], &[])?;
    accepts("TCBSuspend", waiting[0].tcb, &[], &[])?;
    accepts("TCBResume", waiting[0].tcb, &[], &[])?;
    senders_are(endpoint, &[3, 4, 2, 1])
}

/// `semantics.md §6`.
fn suspending_a_receiver_takes_it_out(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    accepts("TCBSuspend", receiver.tcb, &[], &[])?;
    sender.does(Syscall::nb_send(endpoint).words(&[1]))?;
    receiver.busy()?;
    accepts("TCBResume", receiver.tcb, &[], &[])?;
    sender.does(Syscall::nb_send(endpoint).words(&[2]))?;
    receiver.done()?.is(0, 0, &[2])
}

/// `semantics.md §4`: they repeat the call, now on an empty slot.
fn deletion_restarts_senders(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, caller) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    sender.blocks(Syscall::send(endpoint))?;
    caller.blocks(Syscall::call(endpoint))?;
    t.delete(endpoint)?;
    sender.done()?;
    caller.done()?.is(0, ErrorCode::InvalidCapability as u64, &[0])
}

/// `semantics.md §4`: and their reply objects are free.
fn deletion_restarts_receivers(t: &mut Tester) -> Outcome {
    let (endpoint, other, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let (receiver, next) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    t.delete(endpoint)?;
    receiver.fault()?.is_cap_fault(endpoint, true, &MISSING)?;
    next.blocks(Syscall::recv(other, reply))
}

/// `semantics.md §4`: a thread that waits to deliver its fault is stopped, not restarted.
fn deletion_stops_faulted_senders(t: &mut Tester) -> Outcome {
    let (handler, next) = (t.endpoint()?, t.endpoint()?);
    let puppet = faulted(t, BELOW, handler)?;
    t.settle()?;
    t.revoke(handler)?;
    t.delete(handler)?;
    is_inactive(t, &puppet, next)
}

/// A puppet that faults by system call 7, with this handler.
fn faulted(t: &mut Tester, priority: u64, handler: CPtr) -> Outcome<Puppet> {
    let puppet = t.puppet(priority)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[handler, CNODE, VSPACE])?;
    puppet.start(Syscall::new(7))?;
    Ok(puppet)
}

/// Expects that a puppet of [`faulted`] faults at a new handler when it is resumed, and not before.
#[track_caller]
fn is_inactive(t: &mut Tester, puppet: &Puppet, handler: CPtr) -> Outcome {
    let badged = t.mint(handler, ALL, 6)?;
    accepts("TCBSetSpace", puppet.tcb, &[0, 0], &[badged, CNODE, VSPACE])?;
    t.settle()?;
    same("badge of a fault", 0, keel::sys::nb_wait(handler).badge)?;
    accepts("TCBResume", puppet.tcb, &[], &[])?;
    t.settle()?;
    let answer = Answer::from(keel::sys::nb_wait(handler));
    same("badge of a fault", 6, answer.badge)?;
    same("fault", fault::UNKNOWN_SYSCALL, answer.info.label())
}

/// `semantics.md §7`.
fn deletion_of_one_capability_is_not_that_of_the_endpoint(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let copy = t.copy(endpoint, ALL)?;
    let sender = t.puppet(ABOVE)?;
    sender.blocks(Syscall::send(endpoint).words(&[3]))?;
    t.delete(endpoint)?;
    sender.busy()?;
    same("word", 3, keel::sys::nb_wait(copy).words[0])?;
    sender.done()?;
    Ok(())
}

/// `semantics.md §5`: they repeat their sends, so they queue behind the others.
fn cancel_badged_sends_restarts_those_alone(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (one, two) = (t.mint(endpoint, ALL, 1)?, t.mint(endpoint, ALL, 2)?);
    let senders = [t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?];
    for (sender, cap) in senders.iter().zip([one, two, one, two]) {
        sender.blocks(Syscall::send(cap))?;
    }
    accepts("CNodeCancelBadgedSends", CNODE, &[one.bits(), DEPTH], &[])?;
    let order = [keel::sys::nb_wait(endpoint).badge, keel::sys::nb_wait(endpoint).badge];
    same("badge of the first in the queue", 2, order[0])?;
    same("badge of the second in the queue", 2, order[1])?;
    senders_are(endpoint, &[1, 1])
}

/// `semantics.md §5`.
fn cancel_badged_sends_with_badge_zero_does_nothing(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let copy = t.copy(endpoint, ALL)?;
    let first = t.puppet(ABOVE)?;
    first.blocks(Syscall::send(copy).words(&[9]))?;
    let _others = senders(t, endpoint, [ABOVE; 4])?;
    accepts("CNodeCancelBadgedSends", CNODE, &[endpoint.bits(), DEPTH], &[])?;
    same("word of the first in the queue", 9, keel::sys::nb_wait(endpoint).words[0])?;
    senders_are(endpoint, &[1, 2, 3, 4])
}

/// `semantics.md §5`.
fn cancel_badged_sends_stops_faulted_senders(t: &mut Tester) -> Outcome {
    let (handler, next) = (t.endpoint()?, t.endpoint()?);
    let badged = t.mint(handler, ALL, 5)?;
    let puppet = faulted(t, BELOW, badged)?;
    t.settle()?;
    accepts("CNodeCancelBadgedSends", CNODE, &[badged.bits(), DEPTH], &[])?;
    same("badge", 0, keel::sys::nb_wait(handler).badge)?;
    is_inactive(t, &puppet, next)
}

/// `semantics.md §5`.
fn cancel_badged_sends_leaves_receivers(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let badged = t.mint(endpoint, ALL, 5)?;
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(badged))?;
    accepts("CNodeCancelBadgedSends", CNODE, &[badged.bits(), DEPTH], &[])?;
    receiver.busy()?;
    sender.does(Syscall::nb_send(endpoint).words(&[1]))?;
    receiver.done()?.is(0, 0, &[1])
}

/// `syscalls.md §7, §9`.
fn nb_send_recv_sends_and_receives(t: &mut Tester) -> Outcome {
    let (there, here, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let badged = t.mint(there, ALL, 0x42)?;
    let (puppet, receiver, caller) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(there))?;
    puppet.blocks(Syscall::nb_send_recv(badged, here, reply).info(9, 0, 0).words(&[1, 2]))?;
    receiver.done()?.is(0x42, 9, &[1, 2])?;
    caller.blocks(Syscall::call(here).words(&[5, 6, 7, 8]))?;
    puppet.done()?.is(0, 0, &[5, 6, 7, 8])?;
    puppet.does(Syscall::send(reply))?;
    caller.done()?;
    Ok(())
}

/// `syscalls.md §7`.
fn nb_send_recv_receives_even_if_nobody_listens(t: &mut Tester) -> Outcome {
    let (there, here, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let (puppet, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    sender.blocks(Syscall::send(here).words(&[1, 2, 3, 4]))?;
    puppet.does(Syscall::nb_send_recv(there, here, reply))?.is(0, 0, &[1, 2, 3, 4])?;
    sender.done()?;
    puppet.does(Syscall::nb_recv(there, reply))?.is_signal(0)
}

/// `syscalls.md §2.1`: the destination stands in the reply register, the other one is ignored.
fn nb_send_wait_sends_and_waits(t: &mut Tester) -> Outcome {
    let (there, here) = (t.endpoint()?, t.endpoint()?);
    let (puppet, receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(there))?;
    puppet.blocks(Syscall::nb_send_wait(there, here).words(&[1, 2, 3]))?;
    receiver.done()?.is(0, 0, &[1, 2, 3])?;
    sender.does(Syscall::send(here).words(&[4, 4, 4, 4]))?;
    puppet.done()?.is(0, 0, &[4, 4, 4, 4])
}

/// `syscalls.md §10` 1.
fn reply_recv_without_caller_receives(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (puppet, caller) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    puppet.blocks(Syscall::reply_recv(endpoint, reply))?;
    caller.blocks(Syscall::call(endpoint).words(&[1, 1, 1, 1]))?;
    puppet.done()?.is(0, 0, &[1, 1, 1, 1])?;
    puppet.blocks(Syscall::reply_recv(endpoint, reply).words(&[2]))?;
    caller.done()?.is(0, 0, &[2])
}

/// `syscalls.md §7` 4: invocations of TCB, CNode, DomainSet, SchedControl and SchedContext.
fn a_first_phase_drops_what_may_block_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply, spare) = (t.endpoint()?, t.reply()?, t.slot()?);
    let (puppet, other, sc) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.sched_context()?);
    other.blocks(Syscall::wait(endpoint))?;
    let notification = t.notification()?;
    let buffer = puppet.buffer();
    let caps_and_words: [(CPtr, u64, &[CPtr], &[u64]); 5] = [
        (other.tcb, label::TCB_SUSPEND, &[], &[]),
        (CNODE, label::CNODE_COPY, &[CNODE], &[spare.bits(), DEPTH, endpoint.bits(), DEPTH, ALL]),
        (DOMAIN_SET, label::DOMAIN_SET_SET, &[other.tcb], &[0]),
        (t.sched_control(), label::SCHED_CONTROL_CONFIGURE_FLAGS, &[sc], &[1000, 1000, 0, 0, 0]),
        (other.sc, label::SCHED_CONTEXT_UNBIND, &[], &[]),
    ];
    for (cap, label, caps, words) in caps_and_words {
        buffer.set_caps(caps);
        for (index, word) in words.iter().enumerate() {
            buffer.set_word(index, *word);
        }
        let send = |call: Syscall| {
            call.info(label, caps.len(), 0).words(&words[..words.len().min(4)]).info(
                label,
                caps.len(),
                words.len(),
            )
        };
        let received =
            puppet.does(send(Syscall::nb_send_wait(cap, notification_with_word(t, notification)?)))?;
        same("badge", 0x10, received.badge)?;
    }
    t.is_empty(spare, true)?;
    accepts_send(endpoint, 3)?;
    other.done()?.is(0, 0, &[3])?;
    // The scheduling context is as it was: not configured, so a thread that waits cannot get it.
    other.blocks(Syscall::recv(endpoint, reply))?;
    accepts("SchedContextUnbind", other.sc, &[], &[])?;
    refuses("SchedContextBind/IllegalOperation#4", sc, &[], &[other.tcb], &[])
}

/// A notification, made active with word 0x10.
fn notification_with_word(t: &mut Tester, notification: CPtr) -> Outcome<CPtr> {
    let badged = t.mint(notification, ALL, 0x10)?;
    step();
    keel::sys::send(badged, Default::default(), [0; 4]);
    Ok(notification)
}

/// `syscalls.md §7` 4: Untyped and architecture capabilities are invoked.
fn a_first_phase_makes_other_invocations(t: &mut Tester) -> Outcome {
    let (notification, slot, frame) = (t.notification()?, t.slot()?, t.frame()?);
    let puppet = t.puppet(ABOVE)?;
    let buffer = puppet.buffer();
    let words = [keel_abi::object::ENDPOINT, 0, 0, 0, slot.bits(), 1];
    buffer.set_caps(&[CNODE]);
    buffer.set_word(4, words[4]);
    buffer.set_word(5, words[5]);
    let retype = |call: Syscall| call.words(&words[..4]).info(label::UNTYPED_RETYPE, 1, 6);
    let wait = Syscall::nb_send_wait(t.block(), notification_with_word(t, notification)?);
    same("badge", 0x10, puppet.does(retype(wait))?.badge)?;
    t.is_empty(slot, false)?;
    // An architecture's capability: the page is mapped.
    let address = t.addresses(12);
    t.map_tables(VSPACE, address)?;
    buffer.set_caps(&[VSPACE]);
    let map = Syscall::nb_send_recv(frame, notification_with_word(t, notification)?, NULL)
        .words(&[address, READ | WRITE, machine::NORMAL])
        .info(keel_abi::arch::label::PAGE_MAP, 1, 3);
    same("badge", 0x10, puppet.does(map)?.badge)?;
    machine::poke(address, 5);
    Ok(())
}

/// `syscalls.md §7` 1, 2: the second phase still runs.
fn a_failed_lookup_in_a_first_phase_is_silent(t: &mut Tester) -> Outcome {
    let (notification, there) = (t.notification()?, t.endpoint()?);
    let (puppet, receiver, bad) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, unresolved().0);
    receiver.blocks(Syscall::wait(there))?;
    puppet.buffer().set_caps(&[bad]);
    for destination in [bad, NULL, there] {
        for extra_caps in [0, 1] {
            if destination == there && extra_caps == 0 {
                continue;
            }
            let here = notification_with_word(t, notification)?;
            let wait = Syscall::nb_send_wait(destination, here).info(0, extra_caps, 0);
            same("badge", 0x10, puppet.does(wait)?.badge)?;
            let here = notification_with_word(t, notification)?;
            let recv = Syscall::nb_send_recv(destination, here, bad).info(0, extra_caps, 0);
            same("badge", 0x10, puppet.does(recv)?.badge)?;
        }
    }
    receiver.busy()
}

/// `syscalls.md §7` 1, §9 2: as a destination it is dropped silently, as a reply object it faults.
fn the_reply_register_of_reply_recv_is_checked_second(t: &mut Tester) -> Outcome {
    let (endpoint, notification) = (t.endpoint()?, t.notification()?);
    let (puppet, (bad, failure)) = (t.puppet(ABOVE)?, unresolved());
    puppet.faults(Syscall::reply_recv(endpoint, bad))?.is_cap_fault(bad, true, &failure)?;
    puppet.faults(Syscall::reply_recv(endpoint, NULL))?.is_cap_fault(NULL, true, &MISSING)?;
    let here = notification_with_word(t, notification)?;
    puppet.does(Syscall::reply_recv(here, bad))?.is_signal(0x10)
}

/// `syscalls.md §7` 5: errors of Send are dropped.
fn an_error_changes_no_register_of_send(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    for call in [Syscall::send(t.block()), Syscall::nb_send(t.block()), Syscall::send(CNODE)] {
        puppet.does(call.info(label::UNTYPED_RETYPE, 0, 2))?;
        puppet.does(call.info(0xfff, 0, 4))?;
    }
    Ok(())
}
