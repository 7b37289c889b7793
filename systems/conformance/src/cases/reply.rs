// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reply objects, and the time that travels with calls (`syscalls.md §8, §10`, `scheduling.md §4`,
//! `semantics.md §4`).

use keel::{cap::CPtr, sys};
use keel_abi::error::ErrorCode;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_reply_wakes_the_caller,
    all_kinds_of_send_reply,
    any_label_replies,
    a_reply_to_nobody_succeeds,
    a_reply_happens_once,
    a_copy_of_the_capability_replies,
    a_receiver_takes_a_reply_object_from_another,
    a_receiver_takes_a_reply_object_from_a_caller,
    a_reply_object_waits_with_its_receiver,
    a_plain_message_leaves_the_reply_object_free,
    a_suspended_caller_is_forgotten,
    a_resumed_caller_calls_again,
    time_goes_to_a_passive_server_and_back,
    time_stays_with_a_client_of_a_server_with_time,
    time_goes_down_and_up_a_chain,
    reply_recv_serves_a_queue_of_clients,
    a_call_that_cannot_be_answered_gives_no_time,
    a_call_without_reply_object_gives_no_time,
    send_gives_no_time,
    a_first_phase_gives_time_for_good,
    a_first_phase_gives_no_time_to_one_who_has_it,
    reply_recv_gives_time_by_the_stack_alone,
    a_reply_out_of_order_leaves_time,
    a_caller_with_other_time_keeps_it,
    deletion_at_the_head_gives_time_back,
    deletion_in_the_middle_breaks_the_chain,
    deletion_stops_a_receiver,
    deletion_stops_a_caller,
    suspending_the_caller_at_the_head_leaves_time_with_the_server,
    suspending_a_caller_in_the_middle_cuts_the_chain,
    deleting_the_caller_leaves_time_with_the_server,
    deleting_a_server_frees_the_time,
    suspending_a_server_keeps_the_stack,
    deleting_the_time_of_a_chain_leaves_replies,
    unbinding_the_time_cuts_the_head,
    an_unbound_server_answers_when_bound_again,
    a_passive_server_is_reached_while_it_has_no_time,
    a_queued_caller_donates_when_it_is_received,
];

/// `syscalls.md §10` 3: badge 0, and the message.
fn a_reply_wakes_the_caller(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let badged = t.mint(endpoint, ALL, 7)?;
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    client.blocks(Syscall::call(badged).words(&[1]))?;
    server.done()?.is(7, 0, &[1])?;
    server.does(Syscall::send(reply).info(0x1234, 0, 0).words(&[5, 6, 7]))?;
    client.done()?.is(0, 0x1234, &[5, 6, 7])
}

/// A server that has received the call of a client, and both.
fn called(t: &mut Tester, endpoint: CPtr, reply: CPtr) -> Outcome<(Puppet, Puppet)> {
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    call_again(endpoint, reply, &server, &client)?;
    Ok((server, client))
}

fn call_again(endpoint: CPtr, reply: CPtr, server: &Puppet, client: &Puppet) -> Outcome {
    server.blocks(Syscall::recv(endpoint, reply))?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?.is(0, 0, &[])
}

/// `syscalls.md §10`.
fn all_kinds_of_send_reply(t: &mut Tester) -> Outcome {
    let (endpoint, other, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    let spare = t.reply()?;
    server.does(Syscall::nb_send(reply).words(&[1]))?;
    client.done()?.is(0, 0, &[1])?;

    call_again(endpoint, reply, &server, &client)?;
    server.does(Syscall::call(reply).words(&[2]))?.is(0, 0, &[])?;
    client.done()?.is(0, 0, &[2])?;

    for answer in [
        Syscall::reply_recv(other, reply),
        Syscall::nb_send_recv(reply, other, spare),
        Syscall::nb_send_wait(reply, other),
    ] {
        call_again(endpoint, reply, &server, &client)?;
        server.blocks(answer.words(&[3, 4]))?;
        client.done()?.is(0, 0, &[3, 4])?;
        accepts("TCBSuspend", server.tcb, &[], &[])?;
    }
    Ok(())
}

/// `syscalls.md §10`: the label is the answer's.
fn any_label_replies(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    server.does(Syscall::send(reply).raw_info(u64::MAX << 12))?;
    client.done()?.is(0, (1 << 52) - 1, &[])
}

/// `syscalls.md §10` 1.
fn a_reply_to_nobody_succeeds(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let puppet = t.puppet(ABOVE)?;
    puppet.does(Syscall::call(reply).words(&[1]))?.is(0, 0, &[])?;
    // A receiver that waits with it is nobody that can be answered.
    puppet.blocks(Syscall::recv(endpoint, reply))?;
    let answer = call(reply, 5, &[1, 2], &[]);
    same("label", 0, answer.info.label())?;
    same("length", 0, answer.info.length() as u64)?;
    puppet.busy()
}

/// `syscalls.md §10` 2.
fn a_reply_happens_once(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    server.does(Syscall::send(reply).words(&[1]))?;
    client.done()?.is(0, 0, &[1])?;
    client.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::send(reply).words(&[2]))?;
    client.busy()
}

/// `semantics.md §1`.
fn a_copy_of_the_capability_replies(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let copy = t.copy(reply, 0)?;
    let (server, client) = called(t, endpoint, reply)?;
    server.does(Syscall::send(copy).words(&[1]))?;
    client.done()?.is(0, 0, &[1])?;
    call_again(endpoint, copy, &server, &client)?;
    t.delete(copy)?;
    client.busy()?;
    server.does(Syscall::send(reply).words(&[2]))?;
    client.done()?.is(0, 0, &[2])
}

/// `syscalls.md §9.1` 1: the other receiver becomes inactive.
fn a_receiver_takes_a_reply_object_from_another(t: &mut Tester) -> Outcome {
    let (endpoint, other, reply) = (t.endpoint()?, t.endpoint()?, t.reply()?);
    let (first, second, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for receive in [Syscall::recv(other, reply), Syscall::nb_recv(other, reply)] {
        first.blocks(Syscall::recv(endpoint, reply))?;
        second.start(receive)?;
        first.busy()?;
        sender.does(Syscall::nb_send(endpoint).words(&[1]))?;
        first.busy()?;
        accepts("TCBSuspend", second.tcb, &[], &[])?;
    }
    // The thread is stopped where its call was: it can be resumed.
    accepts("TCBResume", first.tcb, &[], &[])?;
    sender.does(Syscall::nb_send(endpoint).words(&[2]))?;
    first.done()?.is(0, 0, &[2])
}

/// `syscalls.md §9.1` 1: the caller becomes inactive, the server keeps the time.
fn a_receiver_takes_a_reply_object_from_a_caller(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let (client, next) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    client.blocks(Syscall::call(endpoint))?;
    server.done()?.is(0, 0, &[])?;
    server.blocks(Syscall::recv(endpoint, reply))?;
    client.busy()?;
    t.is_bound(client.sc, server.tcb, true)?;
    next.blocks(Syscall::call(endpoint).words(&[2]))?;
    server.done()?.is(0, 0, &[2])?;
    server.does(Syscall::send(reply).words(&[3]))?;
    client.busy()?;
    next.done()?.is(0, 0, &[3])
}

/// `syscalls.md §9.1` 5.
fn a_reply_object_waits_with_its_receiver(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    server.does(Syscall::send(reply))?;
    client.done()?;
    server.blocks(Syscall::recv(endpoint, reply))?;
    accepts("TCBSuspend", server.tcb, &[], &[])?;
    // Its receiver is gone, so another one can wait with it.
    let other = t.puppet(ABOVE)?;
    other.blocks(Syscall::recv(endpoint, reply))?;
    accepts("TCBResume", server.tcb, &[], &[])?;
    // Now it is taken again.
    client.blocks(Syscall::call(endpoint).words(&[1]))?;
    other.busy()?;
    server.done()?.is(0, 0, &[1])
}

/// `syscalls.md §8`: "unlink the receiver's reply object".
fn a_plain_message_leaves_the_reply_object_free(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (receiver, other, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    sender.does(Syscall::send(endpoint))?;
    other.blocks(Syscall::recv(endpoint, reply))?;
    receiver.done()?.is(0, 0, &[])
}

/// `semantics.md §6`.
fn a_suspended_caller_is_forgotten(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    accepts("TCBSuspend", client.tcb, &[], &[])?;
    server.does(Syscall::call(reply).words(&[1]))?.is(0, 0, &[])?;
    client.busy()?;
    // The reply object is free.
    server.blocks(Syscall::recv(endpoint, reply))?;
    accepts("TCBResume", client.tcb, &[], &[])?;
    server.done()?.is(0, 0, &[])
}

/// `semantics.md §6`: a blocked operation that is cancelled is repeated.
fn a_resumed_caller_calls_again(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    accepts("TCBResume", client.tcb, &[], &[])?;
    server.does(Syscall::send(reply).words(&[1]))?;
    client.busy()?;
    server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[])?;
    server.does(Syscall::send(reply).words(&[2]))?;
    client.done()?.is(0, 0, &[2])
}

/// `scheduling.md §4`.
fn time_goes_to_a_passive_server_and_back(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    for word in 1..4 {
        client.blocks(Syscall::call(endpoint).words(&[word]))?;
        server.done()?.is(0, 0, &[word])?;
        t.is_bound(client.sc, server.tcb, true)?;
        t.is_bound(client.sc, client.tcb, false)?;
        server.blocks(Syscall::reply_recv(endpoint, reply).words(&[word + 10]))?;
        client.done()?.is(0, 0, &[word + 10])?;
        t.is_bound(client.sc, client.tcb, true)?;
    }
    // Also when the server comes to a call that waits already.
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    accepts("TCBSuspend", server.tcb, &[], &[])?;
    client.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[])?;
    t.is_bound(client.sc, client.tcb, true)?;
    server.does(Syscall::send(reply))?;
    client.done()?;
    Ok(())
}

/// `scheduling.md §4`.
fn time_stays_with_a_client_of_a_server_with_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    t.is_bound(server.sc, server.tcb, true)?;
    t.is_bound(client.sc, client.tcb, true)?;
    server.does(Syscall::send(reply))?;
    client.done()?;
    t.is_bound(client.sc, client.tcb, true)
}

/// Three threads where each has called the next: A with time, B and C passive, and the endpoints and replies
/// of B and C.
struct Chain {
    a: Puppet,
    b: Puppet,
    c: Puppet,
    replies: [CPtr; 2],
    endpoints: [CPtr; 2],
}

fn chain(t: &mut Tester) -> Outcome<Chain> {
    let endpoints = [t.endpoint()?, t.endpoint()?];
    let replies = [t.reply()?, t.reply()?];
    let b = t.passive_server(endpoints[0], replies[0])?;
    let c = t.passive_server(endpoints[1], replies[1])?;
    let a = t.puppet(ABOVE)?;
    a.blocks(Syscall::call(endpoints[0]).words(&[1]))?;
    b.done()?.is(0, 0, &[1])?;
    b.blocks(Syscall::call(endpoints[1]).words(&[2]))?;
    c.done()?.is(0, 0, &[2])?;
    Ok(Chain { a, b, c, replies, endpoints })
}

/// `scheduling.md §4`.
fn time_goes_down_and_up_a_chain(t: &mut Tester) -> Outcome {
    let Chain { a, b, c, replies, endpoints } = chain(t)?;
    t.is_bound(a.sc, c.tcb, true)?;
    c.blocks(Syscall::reply_recv(endpoints[1], replies[1]).words(&[3]))?;
    b.done()?.is(0, 0, &[3])?;
    t.is_bound(a.sc, b.tcb, true)?;
    b.blocks(Syscall::reply_recv(endpoints[0], replies[0]).words(&[4]))?;
    a.done()?.is(0, 0, &[4])?;
    t.is_bound(a.sc, a.tcb, true)
}

/// `scheduling.md §4`: each on its own time.
fn reply_recv_serves_a_queue_of_clients(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let clients = [t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?];
    for (word, client) in clients.iter().enumerate() {
        client.blocks(Syscall::call(endpoint).words(&[word as u64]))?;
    }
    for (word, client) in clients.iter().enumerate() {
        server.done()?.is(0, 0, &[word as u64])?;
        t.is_bound(client.sc, server.tcb, true)?;
        server.start(Syscall::reply_recv(endpoint, reply).words(&[word as u64 + 7]))?;
        client.done()?.is(0, 0, &[word as u64 + 7])?;
        t.is_bound(client.sc, client.tcb, true)?;
    }
    server.busy()
}

/// `syscalls.md §8`: without the right to be answered nothing is lent.
fn a_call_that_cannot_be_answered_gives_no_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let plain = t.copy(endpoint, WRITE)?;
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(plain).words(&[1]))?;
    server.busy()?;
    t.is_bound(client.sc, server.tcb, false)?;
    t.is_bound(client.sc, client.tcb, true)?;
    // The message has come, though.
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.done()?.is(0, 0, &[1])
}

/// `syscalls.md §8`.
fn a_call_without_reply_object_gives_no_time(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::wait(endpoint))?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    client.blocks(Syscall::call(endpoint).words(&[1]))?;
    server.busy()?;
    t.is_bound(client.sc, client.tcb, true)?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.done()?.is(0, 0, &[1])
}

/// `syscalls.md §8`: the receiver has the message and cannot run.
fn send_gives_no_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let sender = t.puppet(ABOVE)?;
    for kind in [Syscall::send(endpoint), Syscall::nb_send(endpoint)] {
        sender.does(kind.words(&[4]))?;
        server.busy()?;
        t.is_bound(sender.sc, sender.tcb, true)?;
        accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
        server.done()?.is(0, 0, &[4])?;
        server.blocks(Syscall::recv(endpoint, reply))?;
        accepts("SchedContextUnbind", server.sc, &[], &[])?;
    }
    Ok(())
}

/// `scheduling.md §4`: the sender of a first phase becomes passive.
fn a_first_phase_gives_time_for_good(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (here, spare) = (t.endpoint()?, t.reply()?);
    for call in [Syscall::nb_send_recv(endpoint, here, spare), Syscall::nb_send_wait(endpoint, here)] {
        let server = t.passive_server(endpoint, reply)?;
        let sender = t.puppet(ABOVE)?;
        sender.start(call.words(&[1]))?;
        server.done()?.is(0, 0, &[1])?;
        t.is_bound(sender.sc, server.tcb, true)?;
        sender.busy()?;
        // The server is not to answer anybody, so the time stays.
        server.does(Syscall::send(reply))?;
        t.is_bound(sender.sc, server.tcb, true)?;
        accepts("TCBSuspend", sender.tcb, &[], &[])?;
        accepts("TCBSuspend", server.tcb, &[], &[])?;
    }
    Ok(())
}

/// `syscalls.md §8`.
fn a_first_phase_gives_no_time_to_one_who_has_it(t: &mut Tester) -> Outcome {
    let (endpoint, here) = (t.endpoint()?, t.endpoint()?);
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.blocks(Syscall::nb_send_wait(endpoint, here).words(&[1]))?;
    receiver.done()?.is(0, 0, &[1])?;
    t.is_bound(sender.sc, sender.tcb, true)?;
    t.is_bound(receiver.sc, receiver.tcb, true)
}

/// `syscalls.md §10` 2: a reply to a caller with time gives it none of the server's own.
fn reply_recv_gives_time_by_the_stack_alone(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    accepts("SchedContextUnbind", client.sc, &[], &[])?;
    server.blocks(Syscall::reply_recv(endpoint, reply).words(&[1]))?;
    client.busy()?;
    t.is_bound(server.sc, server.tcb, true)?;
    accepts("SchedContextBind", client.sc, &[], &[client.tcb])?;
    client.done()?.is(0, 0, &[1])
}

/// `syscalls.md §10` 2: the caller has its answer and no time; the holder keeps it.
fn a_reply_out_of_order_leaves_time(t: &mut Tester) -> Outcome {
    let Chain { a, b, c, replies, .. } = chain(t)?;
    call(replies[0], 0, &[7], &[]);
    a.busy()?;
    t.is_bound(a.sc, c.tcb, true)?;
    c.start(Syscall::send(replies[1]).words(&[8]))?;
    b.done()?.is(0, 0, &[8])?;
    t.is_bound(a.sc, b.tcb, true)?;
    let time = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", time, &[], &[a.tcb])?;
    a.done()?.is(0, 0, &[7])
}

/// `scheduling.md §4`: the entry is popped, and the time stays with the server.
fn a_caller_with_other_time_keeps_it(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?.is(0, 0, &[])?;
    let time = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", time, &[], &[client.tcb])?;
    server.does(Syscall::send(reply).words(&[1]))?;
    client.done()?.is(0, 0, &[1])?;
    t.is_bound(client.sc, server.tcb, true)?;
    t.is_bound(time, client.tcb, true)
}

/// `scheduling.md §4`: and the caller becomes inactive.
fn deletion_at_the_head_gives_time_back(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint).words(&[1]))?;
    server.done()?.is(0, 0, &[1])?;
    t.delete(reply)?;
    client.busy()?;
    t.is_bound(client.sc, client.tcb, true)?;
    // Inactive, not restarted: nobody waits at the endpoint until it is resumed.
    same("badge", 0, sys::nb_wait(endpoint).badge)?;
    client.busy()?;
    accepts("TCBResume", client.tcb, &[], &[])?;
    same("word", 1, sys::nb_wait(endpoint).words[0])
}

/// `scheduling.md §4`: replies below no longer return the time.
fn deletion_in_the_middle_breaks_the_chain(t: &mut Tester) -> Outcome {
    let Chain { a, b, c, replies, .. } = chain(t)?;
    t.delete(replies[0])?;
    a.busy()?;
    t.is_bound(a.sc, c.tcb, true)?;
    c.start(Syscall::send(replies[1]).words(&[8]))?;
    b.done()?.is(0, 0, &[8])?;
    t.is_bound(a.sc, b.tcb, true)
}

/// `scheduling.md §4`: a receiver that waits with it becomes inactive.
fn deletion_stops_a_receiver(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (receiver, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.blocks(Syscall::recv(endpoint, reply))?;
    t.delete(reply)?;
    receiver.busy()?;
    sender.does(Syscall::nb_send(endpoint))?;
    receiver.busy()?;
    // Resumed, it repeats its call, and finds the slot empty.
    accepts("TCBResume", receiver.tcb, &[], &[])?;
    receiver.fault()?.is_cap_fault(reply, true, &crate::puppet::MISSING)
}

/// `scheduling.md §4`: without time on the stack, too.
fn deletion_stops_a_caller(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (_server, client) = called(t, endpoint, reply)?;
    t.delete(reply)?;
    client.busy()?;
    same("badge", 0, sys::nb_wait(endpoint).badge)?;
    client.does(Syscall::yield_now())?;
    Ok(())
}

/// `scheduling.md §4`.
fn suspending_the_caller_at_the_head_leaves_time_with_the_server(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    accepts("TCBSuspend", client.tcb, &[], &[])?;
    t.is_bound(client.sc, server.tcb, true)?;
    // The reply reaches nobody and returns nothing.
    server.does(Syscall::call(reply))?.is(0, 0, &[])?;
    t.is_bound(client.sc, server.tcb, true)
}

/// `scheduling.md §4`: neither the removed entry nor those below it return the time; those above do.
fn suspending_a_caller_in_the_middle_cuts_the_chain(t: &mut Tester) -> Outcome {
    let Chain { a, b, c, replies, endpoints } = chain(t)?;
    // One more at the end: C calls D.
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let d = t.passive_server(endpoint, reply)?;
    c.blocks(Syscall::call(endpoint).words(&[3]))?;
    d.done()?.is(0, 0, &[3])?;
    accepts("TCBSuspend", b.tcb, &[], &[])?;
    // Above: D answers C, which gets the time.
    d.start(Syscall::send(reply).words(&[4]))?;
    c.done()?.is(0, 0, &[4])?;
    t.is_bound(a.sc, c.tcb, true)?;
    // At and below: C answers B, which is gone; somebody answers A, which stays without time.
    c.does(Syscall::send(replies[1]))?;
    t.is_bound(a.sc, c.tcb, true)?;
    c.does(Syscall::send(replies[0]).words(&[5]))?;
    t.is_bound(a.sc, c.tcb, true)?;
    a.busy()?;
    c.blocks(Syscall::recv(endpoints[1], replies[1]))?;
    accepts("SchedContextUnbind", a.sc, &[], &[])?;
    accepts("SchedContextBind", a.sc, &[], &[a.tcb])?;
    a.done()?.is(0, 0, &[5])
}

/// `scheduling.md §4`.
fn deleting_the_caller_leaves_time_with_the_server(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    t.delete(client.tcb)?;
    server.does(Syscall::call(reply))?.is(0, 0, &[])?;
    t.is_bound(client.sc, server.tcb, true)
}

/// `scheduling.md §4`: a scheduling context of a deleted thread can be bound again.
fn deleting_a_server_frees_the_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    t.delete(server.tcb)?;
    client.busy()?;
    accepts("SchedContextBind", client.sc, &[], &[client.tcb])?;
    // The caller waits still, and somebody else can answer.
    call(reply, 0, &[3], &[]);
    client.done()?.is(0, 0, &[3])
}

/// `scheduling.md §4`: the stack belongs to the scheduling context, not to the thread.
fn suspending_a_server_keeps_the_stack(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    accepts("TCBSuspend", server.tcb, &[], &[])?;
    call(reply, 0, &[3], &[]);
    client.done()?.is(0, 0, &[3])?;
    t.is_bound(client.sc, client.tcb, true)
}

/// `scheduling.md §4`, `semantics.md §4`.
fn deleting_the_time_of_a_chain_leaves_replies(t: &mut Tester) -> Outcome {
    let Chain { a, b, c, replies, .. } = chain(t)?;
    t.delete(a.sc)?;
    c.busy()?;
    call(replies[1], 0, &[1], &[]);
    call(replies[0], 0, &[2], &[]);
    b.busy()?;
    a.busy()?;
    for (puppet, word) in [(&b, 1), (&a, 2)] {
        let time = t.time(SLICE_US, SLICE_US)?;
        accepts("SchedContextBind", time, &[], &[puppet.tcb])?;
        puppet.done()?.is(0, 0, &[word])?;
    }
    Ok(())
}

/// `scheduling.md §3`: Unbind takes away "the pending reply-stack link" as well.
fn unbinding_the_time_cuts_the_head(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.blocks(Syscall::call(endpoint))?;
    server.done()?;
    accepts("SchedContextUnbind", client.sc, &[], &[])?;
    call(reply, 0, &[3], &[]);
    client.busy()?;
    t.is_bound(client.sc, client.tcb, false)?;
    accepts("SchedContextBind", client.sc, &[], &[client.tcb])?;
    client.done()?.is(0, 0, &[3])
}

/// `scheduling.md §3`.
fn an_unbound_server_answers_when_bound_again(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = called(t, endpoint, reply)?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    server.start(Syscall::send(reply).words(&[1]))?;
    client.busy()?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.done()?;
    client.done()?.is(0, 0, &[1])
}

/// `syscalls.md §8`: what has no time waits, and errors are none.
fn a_passive_server_is_reached_while_it_has_no_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = t.passive_server(endpoint, reply)?;
    let client = t.puppet(ABOVE)?;
    client.does(Syscall::send(endpoint).words(&[1]))?;
    // It has its message and is no receiver any more.
    client.does(Syscall::nb_send(endpoint).words(&[2]))?;
    client.blocks(Syscall::send(endpoint).words(&[3]))?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.done()?.is(0, 0, &[1])?;
    server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[3])?;
    client.done()?;
    fails(ErrorCode::InvalidCapability, 0, NULL, &[], &[], &[0])
}

/// `syscalls.md §9.1` 4: donation also when the server comes later.
fn a_queued_caller_donates_when_it_is_received(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (start, server) = (t.endpoint()?, t.puppet(ABOVE)?);
    let caller = t.puppet(ABOVE)?;
    caller.blocks(Syscall::call(endpoint).words(&[2]))?;
    // The server gives its context away in the first phase, to a passive thread, and receives without.
    let spare = t.reply()?;
    let heir = t.passive_server(start, spare)?;
    server.start(Syscall::nb_send_recv(start, endpoint, reply))?;
    heir.done()?;
    let received = server.done()?;
    same("word", 2, received.words[0])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[server.tcb])?;
    Ok(())
}
