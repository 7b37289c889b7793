// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reply objects, donation of scheduling contexts, call stacks (`syscalls.md §8–§10`, `scheduling.md §4`).

use keel::cap::CPtr;

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{MISSING, Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    a_reply_without_caller_does_nothing,
    an_answer_is_given_once,
    a_reply_object_needs_no_right_to_answer,
    the_reply_register_must_hold_a_reply,
    a_reply_object_in_use_is_taken_over,
    a_waiting_receivers_reply_object_is_taken_over,
    a_call_donates_to_a_passive_server,
    the_answer_gives_the_context_back,
    an_active_server_keeps_its_context,
    calls_nest,
    answers_out_of_order_return_no_context,
    a_send_donates_nothing,
    first_phases_donate_for_good,
    deleting_the_reply_returns_the_context,
    deleting_a_reply_in_the_middle_breaks_the_chain,
    deleting_the_reply_of_a_receiver_stops_it,
    suspending_the_caller_leaves_the_context_with_the_server,
    suspending_a_caller_below_cuts_the_chain,
    deleting_the_context_leaves_the_caller_without,
    deleting_a_server_unbinds_the_context,
    a_caller_with_another_context_keeps_it,
    a_passive_caller_waits_until_it_gets_time,
    a_queued_caller_donates_when_it_is_received,
    a_reply_copy_is_the_same_object,
];

/// Whether a thread has a scheduling context: by the error of taking a strange one from it.
#[track_caller]
fn runs_on(puppet: &Puppet, sc: CPtr, bound: bool) -> Outcome {
    // UnbindObject refuses another thread's context; undo it where it is accepted.
    let answer = call(sc, keel_abi::label::SCHED_CONTEXT_UNBIND_OBJECT, &[], &[puppet.tcb]);
    same("whether the context is the thread's", bound.into(), u64::from(answer.info.label() == 0))?;
    if bound {
        accepts("SchedContextBind", sc, &[], &[puppet.tcb])?;
    }
    Ok(())
}

/// A server without context that waits for calls on an endpoint with a reply object.
fn passive_server(t: &mut Tester, endpoint: CPtr, reply: CPtr) -> Outcome<Puppet> {
    let server = t.puppet(ABOVE)?;
    server.blocks(Syscall::recv(endpoint, reply))?;
    accepts("SchedContextUnbind", server.sc, &[], &[])?;
    Ok(server)
}

/// `syscalls.md §10` 1.
fn a_reply_without_caller_does_nothing(t: &mut Tester) -> Outcome {
    let (reply, puppet) = (t.reply()?, t.puppet(ABOVE)?);
    puppet.does(Syscall::send(reply).words(&[1]))?;
    puppet.does(Syscall::nb_send(reply))?;
    puppet.does(Syscall::call(reply))?.is(0, 0, &[])
}

/// `syscalls.md §10` 2.
fn an_answer_is_given_once(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::recv(endpoint, reply))?;
    server.does(Syscall::call(reply).words(&[1]))?;
    caller.done()?.is(0, 0, &[1])?;
    caller.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::nb_send(reply).words(&[2]))?;
    caller.busy()
}

/// `objects.md §3`: Grant alone is a right of replies, for capabilities.
fn a_reply_object_needs_no_right_to_answer(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let weak = t.copy(reply, 0)?;
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::recv(endpoint, weak))?;
    server.does(Syscall::send(weak).words(&[6]))?;
    caller.done()?.is(0, 0, &[6])
}

/// `syscalls.md §9` 2: CapFault with the reply's address.
fn the_reply_register_must_hold_a_reply(t: &mut Tester) -> Outcome {
    let (endpoint, empty) = (t.endpoint()?, t.slot()?);
    let puppet = t.puppet(ABOVE)?;
    for wrong in [empty, NULL, endpoint, CNODE] {
        for call in [Syscall::recv(endpoint, wrong), Syscall::nb_recv(endpoint, wrong)] {
            puppet.faults(call)?.is_cap_fault(wrong, true, &MISSING)?;
        }
    }
    let nowhere = CPtr::new(1 << 60);
    let bits = keel_abi::config::Options::BUILD.root_cnode_bits;
    let failure = [4, 64, 0, 64 - bits];
    puppet.faults(Syscall::recv(endpoint, nowhere))?.is_cap_fault(nowhere, true, &failure)?;
    // Waiting needs none.
    puppet.does(Syscall::nb_wait(endpoint).reply(nowhere))?.is_signal(0)
}

/// `syscalls.md §9.1` 1: the caller that held it becomes Inactive.
fn a_reply_object_in_use_is_taken_over(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (first, second, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::call(endpoint).words(&[1]))?;
    server.does(Syscall::recv(endpoint, reply))?;
    second.blocks(Syscall::call(endpoint).words(&[2]))?;
    server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[2])?;
    server.does(Syscall::send(reply).words(&[3]))?;
    second.done()?.is(0, 0, &[3])?;
    first.busy()?;
    accepts("TCBResume", first.tcb, &[], &[])?;
    server.does(Syscall::recv(endpoint, reply))?.is(0, 0, &[1])
}

/// `syscalls.md §9.1` 1: and a receiver that waits with it.
fn a_waiting_receivers_reply_object_is_taken_over(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (first, second, caller) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    first.blocks(Syscall::recv(endpoint, reply))?;
    second.blocks(Syscall::recv(endpoint, reply))?;
    caller.blocks(Syscall::call(endpoint).words(&[1]))?;
    first.busy()?;
    second.done()?.is(0, 0, &[1])?;
    // The first has left the queue.
    let other = t.puppet(ABOVE)?;
    other.blocks(Syscall::send(endpoint))?;
    first.busy()
}

/// `scheduling.md §4`.
fn a_call_donates_to_a_passive_server(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = passive_server(t, endpoint, reply)?;
    let caller = t.puppet(ABOVE)?;
    caller.blocks(Syscall::call(endpoint).words(&[4]))?;
    server.done()?.is(0, 0, &[4])?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, caller.sc, &[], &[caller.tcb], &[])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[server.tcb])?;
    Ok(())
}

/// `scheduling.md §4`.
fn the_answer_gives_the_context_back(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = passive_server(t, endpoint, reply)?;
    let caller = t.puppet(ABOVE)?;
    for word in 0..3 {
        caller.blocks(Syscall::call(endpoint).words(&[word]))?;
        server.done()?.is(0, 0, &[word])?;
        server.blocks(Syscall::reply_recv(endpoint, reply).words(&[word + 1]))?;
        caller.done()?.is(0, 0, &[word + 1])?;
    }
    accepts("SchedContextUnbindObject", caller.sc, &[], &[caller.tcb])?;
    Ok(())
}

/// `syscalls.md §8`: only a receiver without context gets one.
fn an_active_server_keeps_its_context(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    caller.blocks(Syscall::call(endpoint))?;
    server.done()?;
    runs_on(&server, server.sc, true)?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, caller.sc, &[], &[server.tcb], &[])
}

/// A caller, and servers that call each other; all stand in a call, on the caller's context. The replies are
/// those of the servers.
fn chain<const COUNT: usize>(t: &mut Tester) -> Outcome<(Puppet, [Puppet; COUNT], [CPtr; COUNT])> {
    let mut endpoints = [NULL; COUNT];
    let mut replies = [NULL; COUNT];
    for (endpoint, reply) in endpoints.iter_mut().zip(&mut replies) {
        *endpoint = t.endpoint()?;
        *reply = t.reply()?;
    }
    let caller = t.puppet(ABOVE)?;
    let mut made = [const { None }; COUNT];
    for (index, server) in made.iter_mut().enumerate() {
        *server = Some(passive_server(t, endpoints[index], replies[index])?);
    }
    let servers = made.map(|server| server.unwrap_or_else(|| unreachable!()));
    caller.blocks(Syscall::call(endpoints[0]))?;
    for (index, server) in servers.iter().enumerate() {
        server.done()?;
        if index + 1 < COUNT {
            server.blocks(Syscall::call(endpoints[index + 1]))?;
        }
    }
    Ok((caller, servers, replies))
}

/// `scheduling.md §4`: A → B → C and back.
fn calls_nest(t: &mut Tester) -> Outcome {
    let (caller, [b, c], [to_b, to_c]) = chain::<2>(t)?;
    runs_on_only(&c, caller.sc)?;
    let idle = t.notification()?;
    // c answers and waits, passive again.
    c.blocks(Syscall::nb_send_wait(to_c, idle))?;
    b.done()?;
    b.blocks(Syscall::nb_send_wait(to_b, idle))?;
    caller.done()?;
    runs_on(&caller, caller.sc, true)
}

/// Expects that the thread runs on the context, without taking it away (it may be on a stack).
#[track_caller]
fn runs_on_only(puppet: &Puppet, sc: CPtr) -> Outcome {
    let row = "SchedContextBind/IllegalOperation#2";
    refuses(row, sc, &[], &[puppet.tcb], &[])
}

/// `scheduling.md §4`: only replies in stack order return the context.
fn answers_out_of_order_return_no_context(t: &mut Tester) -> Outcome {
    let (caller, [b, c], [to_a, to_b]) = chain::<2>(t)?;
    // c answers the caller, whom b was to answer: it stays without a context.
    let helper = t.puppet(ABOVE)?;
    helper.does(Syscall::send(to_a))?;
    caller.busy()?;
    // b is answered in order and has the context.
    helper.does(Syscall::send(to_b))?;
    b.done()?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, caller.sc, &[], &[caller.tcb], &[])?;
    refuses(row, caller.sc, &[], &[c.tcb], &[])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[b.tcb])?;
    accepts("SchedContextBind", caller.sc, &[], &[caller.tcb])?;
    caller.done()?;
    Ok(())
}

/// `scheduling.md §4`: Send and NBSend never donate.
fn a_send_donates_nothing(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let server = passive_server(t, endpoint, reply)?;
    let sender = t.puppet(ABOVE)?;
    sender.does(Syscall::send(endpoint).words(&[3]))?;
    server.busy()?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.done()?.is(0, 0, &[3])
}

/// `scheduling.md §4`: NBSendRecv, NBSendWait and ReplyRecv donate to a passive receiver for good.
fn first_phases_donate_for_good(t: &mut Tester) -> Outcome {
    let (endpoint, reply, idle) = (t.endpoint()?, t.reply()?, t.endpoint()?);
    let server = passive_server(t, endpoint, reply)?;
    let sender = t.puppet(ABOVE)?;
    let own = t.reply()?;
    sender.blocks(Syscall::nb_send_recv(endpoint, idle, own).words(&[5]))?;
    server.done()?.is(0, 0, &[5])?;
    accepts("SchedContextUnbindObject", sender.sc, &[], &[server.tcb])?;
    // The reply object holds nobody.
    accepts("SchedContextBind", sender.sc, &[], &[server.tcb])?;
    server.does(Syscall::send(reply))?;
    sender.busy()
}

/// `scheduling.md §4`: the caller becomes Inactive, with its context.
fn deleting_the_reply_returns_the_context(t: &mut Tester) -> Outcome {
    let (caller, [server], [reply]) = chain::<1>(t)?;
    t.delete(reply)?;
    caller.busy()?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    refuses(row, caller.sc, &[], &[server.tcb], &[])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[caller.tcb])?;
    Ok(())
}

/// `scheduling.md §4`: replies below it no longer return the context; its caller is Inactive.
fn deleting_a_reply_in_the_middle_breaks_the_chain(t: &mut Tester) -> Outcome {
    let (caller, [b, c, d], [to_a, to_b, to_c]) = chain::<3>(t)?;
    let helper = t.puppet(ABOVE)?;
    t.delete(to_b)?;
    b.busy()?;
    // The top one still returns it.
    helper.does(Syscall::send(to_c))?;
    c.done()?;
    helper.does(Syscall::send(to_a))?;
    caller.busy()?;
    let row = "SchedContextUnbindObject/IllegalOperation#2";
    for other in [&caller, &b, &d] {
        refuses(row, caller.sc, &[], &[other.tcb], &[])?;
    }
    accepts("SchedContextUnbindObject", caller.sc, &[], &[c.tcb])?;
    Ok(())
}

/// `scheduling.md §4`: a receiver that waits with it becomes Inactive.
fn deleting_the_reply_of_a_receiver_stops_it(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, sender) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    t.delete(reply)?;
    sender.blocks(Syscall::send(endpoint))?;
    server.busy()?;
    accepts("TCBResume", server.tcb, &[], &[])?;
    server.fault()?.is_cap_fault(reply, true, &MISSING)
}

/// `scheduling.md §4`: the context stays with the current holder.
fn suspending_the_caller_leaves_the_context_with_the_server(t: &mut Tester) -> Outcome {
    let (caller, [server], [reply]) = chain::<1>(t)?;
    accepts("TCBSuspend", caller.tcb, &[], &[])?;
    server.does(Syscall::send(reply))?;
    caller.busy()?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[server.tcb])?;
    Ok(())
}

/// `scheduling.md §4`: neither the removed entry nor those below return the context any more.
fn suspending_a_caller_below_cuts_the_chain(t: &mut Tester) -> Outcome {
    let (caller, [b, c, _], [to_a, _, to_c]) = chain::<3>(t)?;
    let helper = t.puppet(ABOVE)?;
    accepts("TCBSuspend", b.tcb, &[], &[])?;
    helper.does(Syscall::send(to_c))?;
    c.done()?;
    helper.does(Syscall::send(to_a))?;
    caller.busy()?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[c.tcb])?;
    Ok(())
}

/// `scheduling.md §4`: unbinds the thread and the top reply.
fn deleting_the_context_leaves_the_caller_without(t: &mut Tester) -> Outcome {
    let (caller, [server], [reply]) = chain::<1>(t)?;
    t.delete(caller.sc)?;
    let helper = t.puppet(ABOVE)?;
    helper.does(Syscall::send(reply).words(&[1]))?;
    caller.busy()?;
    let time = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", time, &[], &[caller.tcb])?;
    caller.done()?.is(0, 0, &[1])?;
    accepts("SchedContextBind", server.sc, &[], &[server.tcb])?;
    server.does(Syscall::yield_now())?;
    Ok(())
}

/// `scheduling.md §4`: the context becomes unbound.
fn deleting_a_server_unbinds_the_context(t: &mut Tester) -> Outcome {
    let (caller, [server], _) = chain::<1>(t)?;
    t.delete(server.tcb)?;
    let (other, row) = (t.tcb()?, "SchedContextUnbindObject/IllegalOperation#2");
    refuses(row, caller.sc, &[], &[caller.tcb], &[])?;
    accepts("SchedContextBind", caller.sc, &[], &[other])?;
    caller.busy()
}

/// `scheduling.md §4`: the popped context remains with the previous holder.
fn a_caller_with_another_context_keeps_it(t: &mut Tester) -> Outcome {
    let (caller, [server], [reply]) = chain::<1>(t)?;
    let other = t.time(SLICE_US, SLICE_US)?;
    accepts("SchedContextBind", other, &[], &[caller.tcb])?;
    server.does(Syscall::send(reply))?;
    caller.done()?;
    accepts("SchedContextUnbindObject", other, &[], &[caller.tcb])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[server.tcb])?;
    Ok(())
}

/// `syscalls.md §10`: a caller left without a context is runnable but waits for one.
fn a_passive_caller_waits_until_it_gets_time(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.blocks(Syscall::recv(endpoint, reply))?;
    caller.blocks(Syscall::call(endpoint))?;
    server.done()?;
    accepts("SchedContextUnbind", caller.sc, &[], &[])?;
    server.does(Syscall::send(reply).words(&[8]))?;
    caller.busy()?;
    accepts("SchedContextBind", caller.sc, &[], &[caller.tcb])?;
    caller.done()?.is(0, 0, &[8])
}

/// `syscalls.md §9.1` 4: donation also when the server comes later.
fn a_queued_caller_donates_when_it_is_received(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (start, server) = (t.endpoint()?, t.puppet(ABOVE)?);
    let caller = t.puppet(ABOVE)?;
    caller.blocks(Syscall::call(endpoint).words(&[2]))?;
    // The server gives its context away in the first phase, to a passive thread, and receives without.
    let spare = t.reply()?;
    let heir = passive_server(t, start, spare)?;
    server.start(Syscall::nb_send_recv(start, endpoint, reply))?;
    heir.done()?;
    let received = server.done()?;
    same("word", 2, received.words[0])?;
    accepts("SchedContextUnbindObject", caller.sc, &[], &[server.tcb])?;
    Ok(())
}

/// Copies of a reply capability name one object; only the last deletion ends it.
fn a_reply_copy_is_the_same_object(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let copy = t.copy(reply, ALL)?;
    let (caller, server) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::recv(endpoint, reply))?;
    t.delete(reply)?;
    server.does(Syscall::send(copy).words(&[1]))?;
    caller.done()?.is(0, 0, &[1])
}
