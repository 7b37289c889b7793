// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages, signals, answers and faults between threads, as their programs see them.

use crate::arch::Arch;
use crate::cap::Cap;
use crate::host::world::{CPtr, DEPTH, Failure, Received, Thread, World};
use crate::host::{Host, place};
use crate::ipc::fault::Fault;
use crate::object::ThreadState;
use crate::object::tcb::TcbSlot;
use keel_abi::aarch64::registers::Register;
use keel_abi::error::ErrorCode;
use keel_abi::message::{MessageInfo, ipc_buffer};
use keel_abi::{label, slot, syscall};

const ALL: u64 = 15;
const ROOT: CPtr = slot::INIT_CNODE;

/// A message as it arrives.
fn message(badge: u64, label: u64, words: &[u64]) -> Received {
    Received { badge, info: MessageInfo::new(label, 0, 0, words.len()), words: words.to_vec() }
}

fn state(world: &World, thread: &Thread) -> ThreadState {
    world.state(thread.tcb)
}

// --- sending and receiving ----------------------------------------------------------------------------------------

#[test]
fn a_message_arrives_whoever_came_first() {
    let words: Vec<u64> = (100..220).collect();
    for receiver_first in [true, false] {
        let mut world = World::new();
        let endpoint = world.endpoint();
        let badged = world.mint(endpoint, ALL, 0xbad9e);
        let (sender, receiver) = (world.thread(255), world.thread(255));
        if receiver_first {
            world.run(receiver.tcb);
            world.recv(endpoint, receiver.reply);
            assert_eq!(state(&world, &receiver), ThreadState::BlockedOnReceive);
        }
        world.run(sender.tcb);
        world.send(badged, 77, &words, &[]);
        if !receiver_first {
            assert_eq!(state(&world, &sender), ThreadState::BlockedOnSend);
            world.run(receiver.tcb);
            world.recv(endpoint, receiver.reply);
        }
        assert_eq!(world.received(receiver.tcb), message(0xbad9e, 77, &words));
        assert_eq!(state(&world, &sender), ThreadState::Running);
        assert_eq!(state(&world, &receiver), ThreadState::Running);
    }
}

#[test]
fn system_calls_write_no_register_but_those_of_the_interface() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (sender, receiver) = (world.thread(255), world.thread(255));
    world.run(receiver.tcb);
    world.recv(endpoint, receiver.reply);
    world.run(sender.tcb);
    let registers = &Host::REGISTERS;
    let outputs = [&[registers.capability, registers.info][..], &registers.message].concat();
    let inputs = [registers.reply, registers.number, registers.next_pc, registers.restart_pc];
    for tcb in [sender.tcb, receiver.tcb] {
        for (place, &index) in registers.context.iter().enumerate() {
            if !outputs.contains(&index) && !inputs.contains(&index) {
                world.set_register(tcb, index, 1000 + place as u64);
            }
        }
    }
    world.send(endpoint, 1, &[1, 2], &[]);
    for tcb in [sender.tcb, receiver.tcb] {
        for (place, &index) in registers.context.iter().enumerate() {
            if !outputs.contains(&index) && !inputs.contains(&index) {
                assert_eq!(world.register(tcb, index), 1000 + place as u64);
            }
        }
    }
    assert_eq!(world.register(sender.tcb, registers.capability), endpoint, "a sender's registers stay");
    assert_eq!(world.register(sender.tcb, registers.info), MessageInfo::new(1, 0, 0, 2).word());
}

#[test]
fn without_buffers_four_words_travel() {
    for (sender_buffer, receiver_buffer) in [(false, true), (true, false)] {
        let mut world = World::new();
        let endpoint = world.endpoint();
        let (sender, receiver) = (world.thread(255), world.thread(255));
        world.run(receiver.tcb);
        world.recv(endpoint, receiver.reply);
        world.run(sender.tcb);
        world.prepare(endpoint, 5, &[1, 2, 3, 4, 5, 6], &[]);
        for (has, thread) in [(sender_buffer, sender), (receiver_buffer, receiver)] {
            if !has {
                world.kernel.store[thread.tcb].ipc_buffer = 0;
            }
        }
        world.trap(syscall::SEND);
        assert_eq!(world.received(receiver.tcb), message(0, 5, &[1, 2, 3, 4]));
    }
}

#[test]
fn senders_are_taken_by_priority_and_then_in_order_of_arrival() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let priorities = [10, 30, 20, 30, 10];
    let senders: Vec<Thread> = priorities.iter().map(|_| world.thread(255)).collect();
    for (number, (sender, priority)) in senders.iter().zip(priorities).enumerate() {
        world.run(sender.tcb);
        world.send(endpoint, number as u64, &[], &[]);
        world.run_root();
        world.must(sender.cap, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]);
    }
    // One of the highest loses priority and gets it back: it goes behind its equal.
    for priority in [5, 30] {
        world.must(senders[1].cap, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]);
    }
    let mut order = Vec::new();
    for _ in priorities {
        world.nb_wait(endpoint);
        order.push(world.received(world.root()).info.label());
    }
    assert_eq!(order, [3, 1, 2, 0, 4]);
    world.nb_wait(endpoint);
    assert_eq!(world.received(world.root()).badge, 0, "nobody is left");
}

#[test]
fn non_blocking_calls_do_nothing_where_nobody_waits() {
    let mut world = World::new();
    let (endpoint, reply, notification) = (world.endpoint(), world.reply(), world.notification());
    world.nb_send(endpoint, 3, &[9], &[]);
    let info = MessageInfo::new(3, 0, 0, 1).word();
    for receive in [World::nb_wait as fn(&mut World, CPtr), |world, source| world.nb_recv(source, 0)] {
        world.set_register(world.root(), Host::REGISTERS.info, info);
        receive(&mut world, notification);
        assert_eq!(world.register(world.root(), Host::REGISTERS.capability), 0);
        assert_eq!(world.register(world.root(), Host::REGISTERS.info), info, "only the badge is written");
    }
    world.nb_recv(endpoint, reply);
    assert_eq!(world.register(world.root(), Host::REGISTERS.capability), 0);
    assert_eq!(state_of_root(&world), ThreadState::Running);
}

fn state_of_root(world: &World) -> ThreadState {
    world.state(world.root())
}

#[test]
fn errors_go_to_callers_only() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let deaf = world.copy(endpoint, 2);
    let called = world.invoke(deaf, 0, &[], &[]);
    assert_eq!(called, Err(Failure::new(ErrorCode::InvalidCapability, &[0])));
    let empty = world.free_slot();
    assert_eq!(world.invoke(empty, 0, &[], &[]), Err(Failure::new(ErrorCode::InvalidCapability, &[0])));
    for number in [syscall::SEND, syscall::NB_SEND] {
        world.prepare(deaf, 4, &[6], &[]);
        world.trap(number);
        let expected = Received { badge: deaf, ..message(0, 4, &[6]) };
        assert_eq!(world.received(world.root()), expected, "registers stay as they were");
    }
}

// --- capabilities ----------------------------------------------------------------------------------------------------

/// `receiver` waits at `endpoint`, ready to take a capability into a new slot.
fn wait_for_cap(world: &mut World, endpoint: CPtr, receiver: &Thread) -> CPtr {
    let target = world.free_slot();
    world.run(receiver.tcb);
    let tcb = receiver.tcb;
    world.set_buffer_word(tcb, ipc_buffer::RECEIVE_CNODE, ROOT);
    world.set_buffer_word(tcb, ipc_buffer::RECEIVE_INDEX, target);
    world.set_buffer_word(tcb, ipc_buffer::RECEIVE_DEPTH, DEPTH);
    world.recv(endpoint, receiver.reply);
    target
}

#[test]
fn one_capability_is_transferred_and_those_of_the_endpoint_are_unwrapped() {
    let mut world = World::new();
    let (endpoint, other) = (world.endpoint(), world.notification());
    let badged = world.mint(endpoint, ALL, 0x55);
    let (sender, receiver) = (world.thread(255), world.thread(255));
    let target = wait_for_cap(&mut world, endpoint, &receiver);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[1], &[badged, other, endpoint]);
    let info = world.received(receiver.tcb).info;
    assert_eq!((info.extra_caps(), info.caps_unwrapped()), (3, 0b101));
    assert_eq!(world.buffer_word(receiver.tcb, ipc_buffer::CAPS_OR_BADGES), 0x55);
    assert_eq!(world.buffer_word(receiver.tcb, ipc_buffer::CAPS_OR_BADGES + 2), 0);
    assert_eq!(world.cap(target), world.cap(other));
    world.run_root();
    world.revoke(other);
    assert!(world.cap(target).is_null(), "what was sent is a child of the sender's");
}

#[test]
fn a_second_capability_finds_no_slot() {
    let mut world = World::new();
    let (endpoint, one, two) = (world.endpoint(), world.notification(), world.notification());
    let (sender, receiver) = (world.thread(255), world.thread(255));
    let target = wait_for_cap(&mut world, endpoint, &receiver);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[], &[one, two, endpoint]);
    let info = world.received(receiver.tcb).info;
    assert_eq!((info.extra_caps(), info.caps_unwrapped()), (1, 0), "the second one stops it");
    assert_eq!(world.cap(target), world.cap(one));
}

#[test]
fn capabilities_need_grant_and_an_empty_slot_and_must_be_derivable() {
    let mut world = World::new();
    let (endpoint, other) = (world.endpoint(), world.notification());
    let no_grant = world.copy(endpoint, 11);
    let (sender, receiver) = (world.thread(255), world.thread(255));
    for (through, sent) in [(no_grant, other), (endpoint, slot::IRQ_CONTROL)] {
        let target = wait_for_cap(&mut world, endpoint, &receiver);
        world.run(sender.tcb);
        world.send(through, 0, &[], &[sent]);
        assert_eq!(world.received(receiver.tcb).info.extra_caps(), 0);
        assert!(world.cap(target).is_null());
    }
    let target = wait_for_cap(&mut world, endpoint, &receiver);
    world.run_root();
    let words = [target, DEPTH, other, DEPTH, ALL];
    world.must(ROOT, label::CNODE_COPY, &words, &[ROOT]);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[], &[slot::DOMAIN_SET]);
    assert_eq!(world.received(receiver.tcb).info.extra_caps(), 0, "the slot is not empty");
}

#[test]
fn a_queued_senders_capabilities_are_looked_up_when_it_is_its_turn() {
    let mut world = World::new();
    let (endpoint, other) = (world.endpoint(), world.notification());
    let (sender, receiver) = (world.thread(255), world.thread(255));
    world.run(sender.tcb);
    world.send(endpoint, 0, &[], &[other]);
    world.run_root();
    world.delete(other);
    let target = wait_for_cap(&mut world, endpoint, &receiver);
    assert!(world.cap(target).is_null());
}

// --- calls and answers --------------------------------------------------------------------------------------------------

#[test]
fn calls_are_answered_through_the_reply_object() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let badged = world.mint(endpoint, ALL, 3);
    let (client, server) = (world.thread(255), world.thread(255));
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    for round in 0..3 {
        world.run(client.tcb);
        world.call(badged, 1, &[round], &[]);
        assert_eq!(state(&world, &client), ThreadState::BlockedOnReply);
        assert_eq!(world.received(server.tcb), message(3, 1, &[round]));
        world.run(server.tcb);
        world.reply_recv(endpoint, server.reply, 2, &[round + 10, 0, 0, 0, 50]);
        assert_eq!(state(&world, &client), ThreadState::Running);
        assert_eq!(world.received(client.tcb), message(0, 2, &[round + 10, 0, 0, 0, 50]));
    }
}

#[test]
fn who_cannot_be_answered_stops() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let no_reply = world.copy(endpoint, 3);
    let (client, server) = (world.thread(255), world.thread(255));
    for (through, with_reply_object) in [(no_reply, true), (endpoint, false)] {
        world.run(server.tcb);
        if with_reply_object {
            world.recv(endpoint, server.reply)
        } else {
            world.wait(endpoint)
        }
        world.run(client.tcb);
        world.call(through, 9, &[4], &[]);
        assert_eq!(world.received(server.tcb), message(0, 9, &[4]), "the message arrives");
        assert_eq!(state(&world, &client), ThreadState::Inactive);
        world.divert(client.tcb);
        world.run_root();
        world.must(client.cap, label::TCB_RESUME, &[], &[]);
    }
}

#[test]
fn a_reply_object_in_use_is_taken_from_its_user() {
    let mut world = World::new();
    let (endpoint, other) = (world.endpoint(), world.endpoint());
    let (client, server, thief) = (world.thread(255), world.thread(255), world.thread(255));
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.run(client.tcb);
    world.call(endpoint, 0, &[], &[]);
    world.run(thief.tcb);
    world.recv(other, server.reply);
    assert_eq!(state(&world, &client), ThreadState::Inactive, "nobody will answer it");
    world.run(server.tcb);
    world.recv(other, server.reply);
    assert_eq!(state(&world, &thief), ThreadState::Inactive);
    assert_eq!(state(&world, &server), ThreadState::BlockedOnReceive);
}

#[test]
fn deleting_the_reply_object_stops_the_caller_and_returns_its_context() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (client, server) = (world.thread(255), world.passive_thread(255));
    serve(&mut world, &server, endpoint);
    world.run(client.tcb);
    world.call(endpoint, 0, &[], &[]);
    let context = world.sched_context(client.sched_context);
    assert_eq!(world.kernel.store[server.tcb].sched_context, Some(context));
    world.run_root();
    world.delete(server.reply);
    assert_eq!(state(&world, &client), ThreadState::Inactive);
    assert_eq!(world.kernel.store[client.tcb].sched_context, Some(context));
}

/// The passive `server` comes to wait at `endpoint`, on a context that is lent to it for that time.
fn serve(world: &mut World, server: &Thread, endpoint: CPtr) {
    world.run_root();
    let context = world.make(keel_abi::object::SCHED_CONTEXT, 7);
    world.configure(context, (10_000, 10_000), 0, 0);
    world.must(context, label::SCHED_CONTEXT_BIND, &[], &[server.cap]);
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.run_root();
    world.must(context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    assert_eq!(world.kernel.store[server.tcb].sched_context, None);
}

#[test]
fn contexts_travel_along_nested_calls_and_back() {
    let mut world = World::new();
    let (front, back) = (world.endpoint(), world.endpoint());
    let client = world.thread(255);
    let (middle, last) = (world.passive_thread(255), world.passive_thread(255));
    serve(&mut world, &middle, front);
    serve(&mut world, &last, back);
    let context = world.sched_context(client.sched_context);
    world.run(client.tcb);
    world.call(front, 0, &[1], &[]);
    assert_eq!(world.current(), middle.tcb, "on the client's context");
    world.call(back, 0, &[2], &[]);
    assert_eq!(world.current(), last.tcb);
    assert_eq!(world.kernel.store[context].tcb, Some(last.tcb));
    world.reply_recv(back, last.reply, 0, &[3]);
    assert_eq!(world.current(), middle.tcb);
    assert_eq!(world.received(middle.tcb).words, [3]);
    world.reply_recv(front, middle.reply, 0, &[4]);
    assert_eq!(world.kernel.store[context].tcb, Some(client.tcb));
    world.run(client.tcb);
    assert_eq!(world.received(client.tcb).words, [4]);
}

#[test]
fn an_answer_out_of_order_leaves_the_context_where_it_is() {
    let mut world = World::new();
    let (front, back) = (world.endpoint(), world.endpoint());
    let client = world.thread(255);
    let (middle, last) = (world.passive_thread(255), world.passive_thread(255));
    serve(&mut world, &middle, front);
    serve(&mut world, &last, back);
    let context = world.sched_context(client.sched_context);
    world.run(client.tcb);
    world.call(front, 0, &[], &[]);
    world.call(back, 0, &[], &[]);
    world.run(last.tcb);
    // The last server answers the first caller, which is not the top of the stack.
    world.send(middle.reply, 0, &[8], &[]);
    assert_eq!(state(&world, &client), ThreadState::Running);
    assert_eq!(world.kernel.store[client.tcb].sched_context, None, "it is runnable, but has no time");
    assert_eq!(world.kernel.store[context].tcb, Some(last.tcb));
    world.reply_recv(back, last.reply, 0, &[]);
    assert_eq!(world.kernel.store[context].tcb, Some(middle.tcb), "the top of the stack gets it back");
}

#[test]
fn a_caller_that_was_given_another_context_keeps_that() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (client, server) = (world.thread(255), world.passive_thread(255));
    serve(&mut world, &server, endpoint);
    let lent = world.sched_context(client.sched_context);
    world.run(client.tcb);
    world.call(endpoint, 0, &[], &[]);
    world.run_root();
    let spare = world.make(keel_abi::object::SCHED_CONTEXT, 7);
    world.configure(spare, (10_000, 10_000), 0, 0);
    world.must(spare, label::SCHED_CONTEXT_BIND, &[], &[client.cap]);
    world.run(server.tcb);
    world.send(server.reply, 0, &[], &[]);
    let spare = world.sched_context(spare);
    assert_eq!(state(&world, &client), ThreadState::Running);
    assert_eq!(world.kernel.store[client.tcb].sched_context, Some(spare));
    assert_eq!(world.kernel.store[lent].tcb, Some(server.tcb), "the lent one stays with the server");
    assert_eq!(world.kernel.store[lent].reply, None, "off the stack");
}

#[test]
fn first_phases_give_the_context_away_for_good() {
    let mut world = World::new();
    let (there, here) = (world.endpoint(), world.endpoint());
    let (giver, taker) = (world.thread(255), world.passive_thread(255));
    serve(&mut world, &taker, there);
    let context = world.sched_context(giver.sched_context);
    world.run(giver.tcb);
    world.nb_send_recv(there, &[5], here, giver.reply);
    assert_eq!(world.current(), taker.tcb);
    assert_eq!(world.received(taker.tcb).words, [5]);
    assert_eq!(world.kernel.store[context].tcb, Some(taker.tcb));
    assert_eq!(state(&world, &giver), ThreadState::BlockedOnReceive);
}

// --- signals ----------------------------------------------------------------------------------------------------------------

#[test]
fn signals_are_collected_and_fetched() {
    let mut world = World::new();
    let notification = world.notification();
    for bit in [1, 4] {
        let badged = world.mint(notification, 3, bit);
        world.signal(badged);
    }
    world.wait(notification);
    assert_eq!(world.received(world.root()).badge, 5);
    world.nb_wait(notification);
    assert_eq!(world.received(world.root()).badge, 0);
    world.signal(notification);
    world.wait(notification);
    assert_eq!(world.received(world.root()).badge, 0, "a signal without a badge wakes too");
}

#[test]
fn a_bound_thread_is_woken_where_it_receives() {
    let mut world = World::new();
    let (endpoint, notification) = (world.endpoint(), world.notification());
    let badged = world.mint(notification, 3, 0x10);
    let thread = world.thread(255);
    world.must(thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[notification]);
    world.run(thread.tcb);
    world.recv(endpoint, thread.reply);
    world.run_root();
    world.signal(badged);
    assert_eq!(state(&world, &thread), ThreadState::Running);
    assert_eq!(world.received(thread.tcb).badge, 0x10);
    world.signal(badged);
    world.run(thread.tcb);
    world.recv(endpoint, thread.reply);
    assert_eq!(world.current(), thread.tcb, "it was there already");
    assert_eq!(world.received(thread.tcb).badge, 0x10);
    world.run_root();
    world.wait(notification);
    assert_eq!(state_of_root(&world), ThreadState::Inactive, "only the bound thread may wait: a fault");
}

#[test]
fn a_notification_lends_its_context_to_a_passive_thread() {
    let mut world = World::new();
    let notification = world.notification();
    let driver = world.passive_thread(255);
    let context = world.make(keel_abi::object::SCHED_CONTEXT, 7);
    world.configure(context, (10_000, 10_000), 0, 0);
    for cap in [driver.cap, notification] {
        world.must(context, label::SCHED_CONTEXT_BIND, &[], &[cap]);
    }
    let context = world.sched_context(context);
    world.run(driver.tcb);
    world.wait(notification);
    assert_eq!(world.kernel.store[driver.tcb].sched_context, None, "taken back while it waits");
    for _ in 0..2 {
        world.run_root();
        world.signal(notification);
        assert_eq!(world.kernel.store[driver.tcb].sched_context, Some(context));
        world.run(driver.tcb);
        world.wait(notification);
        assert_eq!(world.kernel.store[context].tcb, None);
    }
}

// --- faults --------------------------------------------------------------------------------------------------------------------

/// A thread whose faults go to the endpoint, through a capability with badge 0xfa.
fn guarded_thread(world: &mut World) -> (Thread, CPtr) {
    let endpoint = world.endpoint();
    let handler = world.mint(endpoint, ALL, 0xfa);
    let thread = world.thread(255);
    let caps = [handler, ROOT, slot::INIT_VSPACE];
    world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
    (thread, endpoint)
}

/// What a thread does with an address; the address, the phase and the lookup failure of the fault.
type Case<'a> = (fn(&mut World, CPtr), u64, u64, &'a [u64]);

/// The root task takes the fault message of a thread.
fn take_fault(world: &mut World, endpoint: CPtr, reply: CPtr) -> Received {
    world.run_root();
    world.recv(endpoint, reply);
    world.received(world.root())
}

#[test]
fn lookup_failures_are_faults_with_address_and_phase() {
    let mut world = World::new();
    let (thread, endpoint) = guarded_thread(&mut world);
    let empty = world.free_slot();
    let wild = 1 << 40;
    let pc = |world: &World| world.register(thread.tcb, Host::REGISTERS.restart_pc);
    let cases: [Case; 5] = [
        (|world, cap| world.send(cap, 0, &[], &[]), wild, 0, &[4, 64, 0, 52]),
        (|world, cap| world.recv(cap, 0), empty, 1, &[2, 0]),
        (|world, cap| world.nb_wait(cap), wild, 1, &[4, 64, 0, 52]),
        (|world, cap| world.call(cap, 0, &[], &[]), wild, 0, &[4, 64, 0, 52]),
        (|world, cap| world.wait(cap), ROOT, 1, &[2, 0]),
    ];
    for (trap, address, phase, lookup) in cases {
        world.run(thread.tcb);
        trap(&mut world, address);
        assert_eq!(state(&world, &thread), ThreadState::BlockedOnSend);
        let words = [&[pc(&world), address, phase], lookup].concat();
        assert_eq!(take_fault(&mut world, endpoint, thread.reply), message(0xfa, 1, &words));
        assert_eq!(state(&world, &thread), ThreadState::BlockedOnReply);
        world.divert(thread.tcb);
        world.send(thread.reply, 0, &[], &[]);
        assert!(state(&world, &thread).is_runnable(), "a CapFault always restarts");
    }
    world.run(thread.tcb);
    world.nb_send(wild, 0, &[], &[]);
    assert_eq!(state(&world, &thread), ThreadState::Running, "a non-blocking send fails silently");
}

#[test]
fn unknown_system_calls_show_the_registers_and_go_on_as_the_handler_says() {
    let mut world = World::new();
    let (thread, endpoint) = guarded_thread(&mut world);
    world.run(thread.tcb);
    for number in 0..8 {
        world.set_register(thread.tcb, place(Register::X0) + number, 0xa0 + number as u64);
    }
    world.trap(1234);
    let received = take_fault(&mut world, endpoint, thread.reply);
    let pc = world.register(thread.tcb, Host::REGISTERS.restart_pc);
    assert_eq!((received.info.label(), received.info.length()), (2, 13));
    assert_eq!(received.words[..7], [0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6]);
    assert_eq!((received.words[7], received.words[12]), (1234, 1234));
    assert_eq!((received.words[8], received.words[10]), (pc, pc + 4));
    let mut answer = received.words[..9].to_vec();
    (answer[0], answer[8]) = (0x99, pc + 4);
    world.send(thread.reply, 0, &answer, &[]);
    assert_eq!(world.register(thread.tcb, place(Register::X0)), 0x99);
    world.run(thread.tcb);
    assert_eq!(world.register(thread.tcb, Host::REGISTERS.next_pc), pc + 4);
}

#[test]
fn an_answer_with_a_label_stops_the_thread() {
    let mut world = World::new();
    let (thread, endpoint) = guarded_thread(&mut world);
    world.run(thread.tcb);
    world.fault(Fault::UserException { number: 0x200_0000, code: 0 });
    let received = take_fault(&mut world, endpoint, thread.reply);
    assert_eq!((received.badge, received.info.label(), received.info.length()), (0xfa, 3, 5));
    assert_eq!(received.words[3..], [0x200_0000, 0]);
    world.send(thread.reply, 1, &[], &[]);
    assert_eq!(state(&world, &thread), ThreadState::Inactive);
}

#[test]
fn a_fault_without_a_handler_stops_the_thread_and_lends_its_context_to_a_passive_one() {
    let mut world = World::new();
    let lonely = world.thread(255);
    world.run(lonely.tcb);
    world.fault(Fault::UserException { number: 1, code: 0 });
    assert_eq!(state(&world, &lonely), ThreadState::Inactive);

    let (thread, endpoint) = guarded_thread(&mut world);
    let handler = world.passive_thread(255);
    serve(&mut world, &handler, endpoint);
    world.run(thread.tcb);
    world.fault(Fault::UserException { number: 1, code: 0 });
    assert_eq!(world.current(), handler.tcb);
    let context = world.sched_context(thread.sched_context);
    assert_eq!(world.kernel.store[context].tcb, Some(handler.tcb));
    world.divert(thread.tcb);
    world.reply_recv(endpoint, handler.reply, 0, &[]);
    assert_eq!(world.kernel.store[context].tcb, Some(thread.tcb));
}

#[test]
fn a_suspended_thread_forgets_its_fault() {
    let mut world = World::new();
    let (thread, endpoint) = guarded_thread(&mut world);
    world.run(thread.tcb);
    world.fault(Fault::UserException { number: 1, code: 0 });
    world.run_root();
    world.must(thread.cap, label::TCB_SUSPEND, &[], &[]);
    world.nb_recv(endpoint, thread.reply);
    assert_eq!(world.received(world.root()).badge, 0, "nobody waits there any more");
    world.must(thread.cap, label::TCB_RESUME, &[], &[]);
    world.run(thread.tcb);
    world.nb_send(endpoint, 0, &[], &[]);
    assert_eq!(state(&world, &thread), ThreadState::Running);
}

// --- CancelBadgedSends ---------------------------------------------------------------------------------------------------------

#[test]
fn badged_sends_are_cancelled_and_others_left() {
    for every in [None, Some(1)] {
        let mut world = World::new();
        let endpoint = world.endpoint();
        let badged = [world.mint(endpoint, ALL, 1), world.mint(endpoint, ALL, 2)];
        let senders: Vec<Thread> = (0..6).map(|_| world.thread(255)).collect();
        for (number, sender) in senders.iter().enumerate() {
            world.run(sender.tcb);
            world.send(badged[number % 2], 0, &[], &[]);
            world.divert(sender.tcb);
        }
        world.run_root();
        world.kernel.arch.preempt_every(every);
        world.cnode_op(label::CNODE_CANCEL_BADGED_SENDS, badged[0], &[], &[]).expect("all rights");
        for (number, sender) in senders.iter().enumerate() {
            let waits = state(&world, sender) == ThreadState::BlockedOnSend;
            assert_eq!(waits, number % 2 == 1, "sender {number}");
        }
        world.cnode_op(label::CNODE_CANCEL_BADGED_SENDS, endpoint, &[], &[]).expect("badge 0: no effect");
        assert_eq!(state(&world, &senders[1]), ThreadState::BlockedOnSend);
    }
}

#[test]
fn senders_that_come_back_do_not_keep_a_cancellation_going() {
    // The cancelled senders repeat their send at once, in between: without a position this would never end.
    let mut world = World::new();
    let endpoint = world.endpoint();
    let badged = world.mint(endpoint, ALL, 1);
    let senders: Vec<Thread> = (0..5).map(|_| world.thread(255)).collect();
    for sender in &senders {
        world.run(sender.tcb);
        world.send(badged, 0, &[], &[]);
    }
    world.run_root();
    world.must(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[200], &[slot::INIT_TCB]);
    world.kernel.arch.preempt_every(Some(1));
    world.cnode_op(label::CNODE_CANCEL_BADGED_SENDS, badged, &[], &[]).expect("all rights");
    assert!(senders.iter().all(|sender| state(&world, sender) == ThreadState::BlockedOnSend));
    assert!(world.kernel.store[world.root()].cancelling.endpoint.is_none());
}

#[test]
fn a_priority_that_changes_during_a_cancellation_neither_saves_nor_cancels() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let badged = [world.mint(endpoint, ALL, 1), world.mint(endpoint, ALL, 2)];
    let [first, early, other, late] = [255; 4].map(|priority| world.thread(priority));
    let send = |world: &mut World, sender: &Thread, badge: usize| {
        world.run(sender.tcb);
        world.send(badged[badge], 0, &[], &[]);
        world.divert(sender.tcb);
    };
    send(&mut world, &first, 0);
    send(&mut world, &early, 0);
    send(&mut world, &other, 1);
    for sender in [&early, &other] {
        world.kernel.set_priority(sender.tcb, 200);
    }
    let (root, waited_on) = (world.root(), world.kernel.store[first.tcb].endpoint.expect("it waits"));
    world.kernel.arch.preempt_every(Some(1));
    assert!(world.kernel.cancel_badged_sends(root, waited_on, 1).is_err(), "preempted after the first");
    assert_ne!(state(&world, &first), ThreadState::BlockedOnSend);
    world.kernel.arch.preempt_every(None);
    send(&mut world, &late, 0);
    for (sender, priority) in [(&early, 255), (&other, 255), (&late, 100)] {
        world.kernel.set_priority(sender.tcb, priority);
    }
    assert_eq!(state(&world, &early), ThreadState::Restart, "sent before the cancellation began");
    assert!(world.kernel.cancel_badged_sends(root, waited_on, 1).is_ok());
    assert_eq!(state(&world, &other), ThreadState::BlockedOnSend, "has another badge");
    assert_eq!(state(&world, &late), ThreadState::BlockedOnSend, "sent after the cancellation began");
}

#[test]
fn an_ipc_buffer_can_only_be_received_into_if_it_is_writable() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let (sender, receiver) = (world.thread(255), world.thread(255));
    let frame = world.frame();
    let read_only = world.copy(frame, 2);
    let address = world.kernel.store[receiver.tcb].ipc_buffer;
    world.must(receiver.cap, label::TCB_SET_IPC_BUFFER, &[address], &[read_only]);
    assert!(matches!(world.kernel.store[receiver.tcb.slot(TcbSlot::IpcBuffer)].cap(), Cap::Frame(_)));
    world.run(receiver.tcb);
    world.recv(endpoint, receiver.reply);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[1, 2, 3, 4, 5], &[]);
    assert_eq!(world.received(receiver.tcb).words, [1, 2, 3, 4]);
}
