// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sending and receiving through endpoints (`syscalls.md §7–§9`, `semantics.md §7`).

use keel::cap::CPtr;
use keel_abi::{error::ErrorCode, label};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    send_waits_for_a_receiver,
    a_receiver_waits_for_a_sender,
    nb_send_without_receiver_does_nothing,
    nb_send_to_a_receiver_arrives,
    nb_recv_without_sender_gives_badge_0,
    nb_recv_takes_a_waiting_sender,
    the_badge_is_that_of_the_senders_capability,
    labels_and_words_arrive,
    words_beyond_the_length_stay,
    senders_queue_by_arrival,
    senders_queue_by_priority,
    receivers_queue_by_priority,
    a_queued_sender_is_reordered,
    a_queued_receiver_goes_behind_its_new_equals,
    sending_needs_write,
    receiving_needs_read,
    null_capabilities_cannot_be_sent_to,
    wait_cannot_answer_callers,
    call_is_answered,
    call_without_grant_is_left_alone,
    call_with_grant_reply_is_answered,
    deleting_the_endpoint_restarts_waiters,
    deleting_the_senders_capability_changes_nothing,
    cancel_badged_sends_restarts_those,
    cancel_badged_sends_of_badge_0_does_nothing,
    suspending_a_sender_takes_it_out,
    resuming_a_sender_repeats_the_send,
    reply_recv_answers_and_receives,
    nb_send_recv_does_both,
    nb_send_wait_does_both,
    first_phases_do_nothing_when_nobody_waits,
    first_phases_ignore_failures,
    first_phases_refuse_some_objects,
    first_phases_invoke_others,
    errors_of_sends_are_dropped,
];

/// A puppet that has sent `words` through `cap` and waits.
fn sender(t: &mut Tester, priority: u64, cap: CPtr, words: &[u64]) -> Outcome<Puppet> {
    let puppet = t.puppet(priority)?;
    puppet.blocks(Syscall::send(cap).words(words))?;
    Ok(puppet)
}

/// The first message word of what a puppet receives at once.
fn take(receiver: &Puppet, endpoint: CPtr) -> Outcome<u64> {
    Ok(receiver.does(Syscall::wait(endpoint))?.words[0])
}

/// `syscalls.md §8`.
fn send_waits_for_a_receiver(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let sender = sender(t, ABOVE, endpoint, &[1, 2])?;
    t.settle()?;
    sender.busy()?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::wait(endpoint))?.is(0, 0, &[1, 2])?;
    sender.done()?;
    Ok(())
}

/// `syscalls.md §9.1`.
fn a_receiver_waits_for_a_sender(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    sender.does(Syscall::send(endpoint).words(&[7, 8, 9, 10]))?;
    receiver.done()?.is(0, 0, &[7, 8, 9, 10])
}

/// `syscalls.md §8`: no indication.
fn nb_send_without_receiver_does_nothing(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    sender.does(Syscall::nb_send(endpoint).words(&[1]))?;
    receiver.does(Syscall::nb_wait(endpoint))?.is_signal(0)
}

/// `syscalls.md §8`.
fn nb_send_to_a_receiver_arrives(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let badged = t.mint(endpoint, WRITE, 0x42)?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::nb_send(badged).info(5, 0, 0).words(&[1, 2, 3]))?;
    receiver.done()?.is(0x42, 5, &[1, 2, 3])
}

/// `syscalls.md §9.1` 5: badge register 0, nothing else changes.
fn nb_recv_without_sender_gives_badge_0(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let receiver = t.puppet(ABOVE)?;
    let info = 0x1234_5678_9abc;
    for call in [Syscall::nb_recv(endpoint, reply), Syscall::nb_wait(endpoint)] {
        let received = receiver.does(call.raw_info(info))?;
        same("badge", 0, received.badge)?;
        same("message info, which is to stay", info, received.info.word())?;
        received.words_are(&[])?;
    }
    Ok(())
}

/// `syscalls.md §9.1` 4.
fn nb_recv_takes_a_waiting_sender(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let sender = sender(t, ABOVE, endpoint, &[5])?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::nb_recv(endpoint, reply))?.is(0, 0, &[5])?;
    sender.done()?;
    Ok(())
}

/// `syscalls.md §11`.
fn the_badge_is_that_of_the_senders_capability(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let receiver = t.puppet(ABOVE)?;
    for badge in [1, 0xffff_ffff_ffff_ffff, 1 << 63, 0] {
        let cap = t.mint(endpoint, WRITE, badge)?;
        let sender = t.puppet(ABOVE)?;
        sender.blocks(Syscall::send(cap))?;
        receiver.does(Syscall::wait(endpoint))?.is(badge, 0, &[])?;
        sender.done()?;
    }
    Ok(())
}

/// `syscalls.md §3`: 52 bits of label; caps-unwrapped bits of the sender mean nothing.
fn labels_and_words_arrive(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let label = (1 << 52) - 1;
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).info(label, 0, 0).words(&[!0, 0, 1 << 63, 4]))?;
    receiver.done()?.is(0, label, &[!0, 0, 1 << 63, 4])?;
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).raw_info(9 << 12 | 0b111 << 9 | 1))?;
    let received = receiver.done()?;
    same("message info", 9 << 12 | 1, received.info.word())
}

/// `syscalls.md §11`: only the message's words are written.
fn words_beyond_the_length_stay(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for words in [&[][..], &[11], &[11, 12], &[11, 12, 13], &[11, 12, 13, 14]] {
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(Syscall::send(endpoint).words(words))?;
        receiver.done()?.is(0, 0, words)?;
    }
    Ok(())
}

/// `syscalls.md §8`: FIFO among equals.
fn senders_queue_by_arrival(t: &mut Tester) -> Outcome {
    let (endpoint, receiver) = (t.endpoint()?, t.puppet(ABOVE)?);
    for word in 1..=5 {
        sender(t, ABOVE, endpoint, &[word])?;
    }
    for word in 1..=5 {
        same("sender", word, take(&receiver, endpoint)?)?;
    }
    Ok(())
}

/// `syscalls.md §8`: high priority first.
fn senders_queue_by_priority(t: &mut Tester) -> Outcome {
    let (endpoint, receiver) = (t.endpoint()?, t.puppet(ABOVE + 50)?);
    for priority in [120, 140, 110, 130, 140, 120, 110] {
        sender(t, priority, endpoint, &[priority])?;
    }
    for priority in [140, 140, 130, 120, 120, 110, 110] {
        same("sender", priority, take(&receiver, endpoint)?)?;
    }
    Ok(())
}

/// `syscalls.md §8`: receivers, too.
fn receivers_queue_by_priority(t: &mut Tester) -> Outcome {
    let (endpoint, low, high) = (t.endpoint()?, t.puppet(110)?, t.puppet(130)?);
    let (middle, sender) = (t.puppet(120)?, t.puppet(ABOVE)?);
    for receiver in [&low, &high, &middle] {
        receiver.blocks(Syscall::wait(endpoint))?;
    }
    for receiver in [&high, &middle, &low] {
        sender.does(Syscall::nb_send(endpoint))?;
        receiver.done()?;
    }
    Ok(())
}

/// `syscalls.md §8`: a change of priority reorders the queue.
fn a_queued_sender_is_reordered(t: &mut Tester) -> Outcome {
    let (endpoint, receiver) = (t.endpoint()?, t.puppet(ABOVE + 50)?);
    let first = sender(t, 110, endpoint, &[1])?;
    let second = sender(t, 120, endpoint, &[2])?;
    sender(t, 130, endpoint, &[3])?;
    accepts("TCBSetPriority", first.tcb, &[140], &[AUTHORITY])?;
    accepts("TCBSetPriority", second.tcb, &[105], &[AUTHORITY])?;
    for word in [1, 3, 2] {
        same("sender", word, take(&receiver, endpoint)?)?;
    }
    Ok(())
}

/// `scheduling.md §1.2`: behind all threads of equal or higher priority.
fn a_queued_receiver_goes_behind_its_new_equals(t: &mut Tester) -> Outcome {
    let (endpoint, first, second) = (t.endpoint()?, t.puppet(110)?, t.puppet(120)?);
    let (third, sender) = (t.puppet(120)?, t.puppet(ABOVE)?);
    for receiver in [&first, &second, &third] {
        receiver.blocks(Syscall::wait(endpoint))?;
    }
    accepts("TCBSetPriority", first.tcb, &[120], &[AUTHORITY])?;
    // The same priority again: the place is lost.
    accepts("TCBSetPriority", second.tcb, &[120], &[AUTHORITY])?;
    for receiver in [&third, &first, &second] {
        sender.does(Syscall::nb_send(endpoint))?;
        receiver.done()?;
    }
    Ok(())
}

/// `syscalls.md §7` 4: InvalidCapability(0) for a Call, nothing for others.
fn sending_needs_write(t: &mut Tester) -> Outcome {
    let (endpoint, notification) = (t.endpoint()?, t.notification()?);
    let puppet = t.puppet(ABOVE)?;
    for object in [endpoint, notification] {
        let cap = t.copy(object, ALL & !WRITE)?;
        fails(ErrorCode::InvalidCapability, 0, cap, &[], &[], &[0])?;
        puppet.does(Syscall::send(cap))?;
        puppet.does(Syscall::nb_send(cap))?;
    }
    same("badge", 0, keel::sys::nb_wait(notification).badge)
}

/// `syscalls.md §9` 2: CapFault, MissingCapability(0).
fn receiving_needs_read(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let cap = t.copy(endpoint, ALL & !READ)?;
    let puppet = t.puppet(ABOVE)?;
    for call in [
        Syscall::recv(cap, reply),
        Syscall::nb_recv(cap, reply),
        Syscall::wait(cap),
        Syscall::nb_wait(cap),
        Syscall::reply_recv(cap, reply),
    ] {
        puppet.faults(call)?.is_cap_fault(cap, true, &MISSING)?;
    }
    Ok(())
}

/// `syscalls.md §7` 4: null capability.
fn null_capabilities_cannot_be_sent_to(t: &mut Tester) -> Outcome {
    let (empty, puppet) = (t.slot()?, t.puppet(ABOVE)?);
    fails(ErrorCode::InvalidCapability, 5, empty, &[1, 2], &[], &[0])?;
    puppet.does(Syscall::send(empty))?;
    puppet.does(Syscall::nb_send(empty))?;
    let received = puppet.does(Syscall::call(empty))?;
    received.is(0, ErrorCode::InvalidCapability as u64, &[0])
}

/// `syscalls.md §9.1`: without a reply object a caller becomes Inactive.
fn wait_cannot_answer_callers(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (caller, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(endpoint).words(&[3]))?;
    receiver.does(Syscall::wait(endpoint))?.is(0, 0, &[3])?;
    caller.busy()?;
    // It can be started again, and repeats the call.
    accepts("TCBResume", caller.tcb, &[], &[])?;
    receiver.does(Syscall::wait(endpoint))?.is(0, 0, &[3])
}

/// `syscalls.md §8, §10`.
fn call_is_answered(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(endpoint, ALL, 0x99)?;
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(badged).info(1, 0, 0).words(&[1, 2, 3, 4]))?;
    server.does(Syscall::recv(endpoint, reply))?.is(0x99, 1, &[1, 2, 3, 4])?;
    caller.busy()?;
    server.does(Syscall::send(reply).info(2, 0, 0).words(&[5, 6]))?;
    let answer = caller.done()?;
    same("badge of an answer", 0, answer.badge)?;
    same("message info", 2 << 12 | 2, answer.info.word())?;
    for (index, word) in [5, 6, 3, 4].into_iter().enumerate() {
        same("message register", word, answer.words[index])?;
    }
    // The reply object is free again: another answer goes nowhere.
    server.does(Syscall::send(reply))?;
    Ok(())
}

/// `semantics.md §7`: the message is delivered, the caller becomes Inactive.
fn call_without_grant_is_left_alone(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let cap = t.mint(endpoint, WRITE, 1)?;
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(cap))?;
    server.does(Syscall::recv(endpoint, reply))?.is(1, 0, &[])?;
    server.does(Syscall::send(reply))?;
    caller.busy()?;
    // The other way round, too: the receiver waits first.
    accepts("TCBSuspend", caller.tcb, &[], &[])?;
    server.blocks(Syscall::recv(endpoint, reply))?;
    caller.blocks(Syscall::call(cap))?;
    server.done()?.is(1, 0, &[])?;
    server.does(Syscall::send(reply))?;
    caller.busy()
}

/// `syscalls.md §8`: GrantReply suffices.
fn call_with_grant_reply_is_answered(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for rights in [WRITE | GRANT_REPLY, WRITE | GRANT] {
        let cap = t.copy(endpoint, rights)?;
        server.blocks(Syscall::recv(endpoint, reply))?;
        caller.blocks(Syscall::call(cap))?;
        server.done()?;
        server.does(Syscall::send(reply))?;
        caller.done()?.is(0, 0, &[])?;
    }
    Ok(())
}

/// `semantics.md §4`: queued threads restart, and fault on the missing capability.
fn deleting_the_endpoint_restarts_waiters(t: &mut Tester) -> Outcome {
    let (first, second, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let sender = sender(t, ABOVE, first, &[1])?;
    let receiver = t.puppet(ABOVE)?;
    receiver.blocks(Syscall::recv(second, reply))?;
    t.delete(first)?;
    // A send through a null capability is an error, which Send drops.
    sender.done()?;
    t.delete(second)?;
    receiver.fault()?.is_cap_fault(second, true, &MISSING)
}

/// `semantics.md §7`: rights and badge were taken when the send began.
fn deleting_the_senders_capability_changes_nothing(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let badged = t.mint(endpoint, ALL, 3)?;
    let sender = sender(t, ABOVE, badged, &[1])?;
    t.delete(badged)?;
    sender.busy()?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::wait(endpoint))?.is(3, 0, &[1])?;
    sender.done()?;
    Ok(())
}

/// `semantics.md §5`.
fn cancel_badged_sends_restarts_those(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (one, two) = (t.mint(endpoint, ALL, 1)?, t.mint(endpoint, ALL, 2)?);
    let own = t.copy(one, ALL)?;
    let (first, second) = (sender(t, 120, own, &[1])?, sender(t, 130, two, &[2])?);
    let third = sender(t, 140, own, &[3])?;
    // The senders' capability is gone: when they restart, the error of their Send is dropped.
    t.delete(own)?;
    accepts("CNodeCancelBadgedSends", CNODE, &[one.bits(), DEPTH], &[])?;
    first.done()?;
    third.done()?;
    second.busy()?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::wait(endpoint))?.is(2, 0, &[2])?;
    receiver.does(Syscall::nb_wait(endpoint))?.is_signal(0)
}

/// `semantics.md §5`.
fn cancel_badged_sends_of_badge_0_does_nothing(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let first = sender(t, ABOVE, endpoint, &[1])?;
    accepts("CNodeCancelBadgedSends", CNODE, &[endpoint.bits(), DEPTH], &[])?;
    first.busy()?;
    let receiver = t.puppet(ABOVE)?;
    receiver.does(Syscall::wait(endpoint))?.is(0, 0, &[1])
}

/// `semantics.md §6`.
fn suspending_a_sender_takes_it_out(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let first = sender(t, ABOVE, endpoint, &[1])?;
    sender(t, ABOVE, endpoint, &[2])?;
    accepts("TCBSuspend", first.tcb, &[], &[])?;
    let receiver = t.puppet(ABOVE)?;
    same("sender", 2, take(&receiver, endpoint)?)?;
    receiver.does(Syscall::nb_wait(endpoint))?.is_signal(0)
}

/// `semantics.md §6`: a blocked thread that is resumed repeats its call.
fn resuming_a_sender_repeats_the_send(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let first = sender(t, ABOVE, endpoint, &[1])?;
    sender(t, ABOVE, endpoint, &[2])?;
    accepts("TCBResume", first.tcb, &[], &[])?;
    first.busy()?;
    // It is the last in the queue now.
    let receiver = t.puppet(ABOVE)?;
    same("sender", 2, take(&receiver, endpoint)?)?;
    same("sender", 1, take(&receiver, endpoint)?)
}

/// `syscalls.md §2.1`.
fn reply_recv_answers_and_receives(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (first, second, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    // Nobody to answer: it only receives.
    server.blocks(Syscall::reply_recv(endpoint, reply))?;
    first.blocks(Syscall::call(endpoint).words(&[1]))?;
    server.done()?.is(0, 0, &[1])?;
    second.blocks(Syscall::call(endpoint).words(&[2]))?;
    server.does(Syscall::reply_recv(endpoint, reply).info(7, 0, 0).words(&[10, 11]))?;
    first.done()?.is(0, 7, &[10, 11])?;
    server.blocks(Syscall::reply_recv(endpoint, reply).info(8, 0, 0).words(&[20]))?;
    second.done()?.is(0, 8, &[20])
}

/// `syscalls.md §2.1`.
fn nb_send_recv_does_both(t: &mut Tester) -> Outcome {
    let (to, from, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let badged = t.mint(to, WRITE, 4)?;
    let (receiver, caller, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(to))?;
    puppet.blocks(Syscall::nb_send_recv(badged, from, reply).info(3, 0, 0).words(&[1, 2]))?;
    receiver.done()?.is(4, 3, &[1, 2])?;
    caller.blocks(Syscall::call(from).words(&[9]))?;
    let received = puppet.done()?;
    same("message info", 1, received.info.word())?;
    same("word", 9, received.words[0])?;
    puppet.does(Syscall::send(reply))?;
    caller.done()?;
    Ok(())
}

/// `syscalls.md §2.1`: the destination stands in the reply register.
fn nb_send_wait_does_both(t: &mut Tester) -> Outcome {
    let (to, from) = (t.endpoint()?, t.endpoint()?);
    let (receiver, sender, puppet) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(to))?;
    puppet.blocks(Syscall::nb_send_wait(to, from).info(3, 0, 0).words(&[1, 2]))?;
    receiver.done()?.is(0, 3, &[1, 2])?;
    sender.does(Syscall::send(from))?;
    same("message info", 0, puppet.done()?.info.word())
}

/// `syscalls.md §7`: the first phase does not block.
fn first_phases_do_nothing_when_nobody_waits(t: &mut Tester) -> Outcome {
    let (to, from, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let sender = sender(t, ABOVE, from, &[6])?;
    let puppet = t.puppet(ABOVE)?;
    let received = puppet.does(Syscall::nb_send_recv(to, from, reply).words(&[1]))?;
    same("word", 6, received.words[0])?;
    sender.done()?;
    puppet.does(Syscall::nb_wait(to))?.is_signal(0)
}

/// `syscalls.md §7` 1: a failed lookup in a first phase is silent; the second phase runs.
fn first_phases_ignore_failures(t: &mut Tester) -> Outcome {
    let (from, reply, empty) = (t.notification()?, t.reply()?, t.slot()?);
    let puppet = t.puppet(ABOVE)?;
    // No such address: the root CNode's guard does not match.
    let nowhere = CPtr::new(1 << 60);
    for to in [empty, nowhere] {
        keel::sys::send(from, Default::default(), [0; 4]);
        puppet.does(Syscall::nb_send_recv(to, from, reply))?;
        keel::sys::send(from, Default::default(), [0; 4]);
        puppet.does(Syscall::nb_send_wait(to, from))?;
    }
    keel::sys::send(from, Default::default(), [0; 4]);
    // The reply register is a first phase's destination as well: nothing there, and nobody looks at it for
    // a notification.
    puppet.does(Syscall::reply_recv(from, nowhere))?;
    Ok(())
}

/// `syscalls.md §7` 4: TCB, CNode, DomainSet, SchedControl, SchedContext are not invoked.
fn first_phases_refuse_some_objects(t: &mut Tester) -> Outcome {
    let (idle, victim, endpoint) = (t.notification()?, t.puppet(ABOVE)?, t.endpoint()?);
    let puppet = t.puppet(ABOVE)?;
    victim.blocks(Syscall::wait(endpoint))?;
    let resume = |to, label| Syscall::nb_send_wait(to, idle).words(&[1, 2]).info(label, 0, 2);
    for (to, label) in [
        (victim.tcb, label::TCB_SUSPEND),
        (CNODE, label::CNODE_DELETE),
        (victim.sc, label::SCHED_CONTEXT_UNBIND),
        (DOMAIN_SET, label::DOMAIN_SET_SET),
        (t.sched_control(), label::SCHED_CONTROL_CONFIGURE_FLAGS),
    ] {
        puppet.blocks(resume(to, label))?;
        accepts("TCBSuspend", puppet.tcb, &[], &[])?;
    }
    // The victim still waits, on its context.
    let sender = t.puppet(ABOVE)?;
    sender.does(Syscall::nb_send(endpoint))?;
    victim.done()?;
    Ok(())
}

/// `syscalls.md §7` 4: Untyped, IRQ objects and the architecture's are.
fn first_phases_invoke_others(t: &mut Tester) -> Outcome {
    let (idle, slot, untyped) = (t.notification()?, t.slot()?, t.untyped(12)?);
    let puppet = t.puppet(ABOVE)?;
    let buffer = puppet.buffer();
    buffer.set_word(4, slot.bits());
    buffer.set_word(5, 1);
    buffer.set_caps(&[CNODE]);
    let words = [keel_abi::object::ENDPOINT, 0, 0, 0];
    let call = Syscall::nb_send_wait(untyped, idle).words(&words).info(label::UNTYPED_RETYPE, 1, 6);
    puppet.blocks(call)?;
    t.is_empty(slot, false)
}

/// `syscalls.md §7` 5: only a Call sees the error.
fn errors_of_sends_are_dropped(t: &mut Tester) -> Outcome {
    let (tcb, puppet) = (t.tcb()?, t.puppet(ABOVE)?);
    puppet.does(Syscall::send(tcb).info(label::CNODE_COPY, 0, 0))?;
    puppet.does(Syscall::nb_send(tcb).info(label::TCB_READ_REGISTERS, 0, 0))?;
    // And a success gives nothing back.
    puppet.does(Syscall::send(tcb).info(label::TCB_SET_FLAGS, 0, 0).words(&[0, 1]).info(label::TCB_SET_FLAGS, 0, 2))?;
    let answer = accepts("TCBSetFlags", tcb, &[0, 0], &[])?;
    same("flags", 1, answer.word(0))
}
