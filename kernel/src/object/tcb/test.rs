// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations of threads: registers, configuration, priorities, and the errors in their order.

use super::*;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::host::world::{CPtr, Failure, World};
use crate::host::{Host, place};
use keel_abi::aarch64::registers::Register;
use keel_abi::error::ErrorCode;
use keel_abi::{label, object, slot, syscall};

/// Capability, label, words and capabilities of an invocation; the error it gives, and its details.
type Case<'a> = (CPtr, u64, &'a [u64], &'a [CPtr], ErrorCode, &'a [u64]);

const ROOT: CPtr = slot::INIT_CNODE;
const VSPACE: CPtr = slot::INIT_VSPACE;
const SELF: CPtr = slot::INIT_TCB;
const WORDS: u64 = Host::REGISTERS.context.len() as u64;

#[test]
fn registers_are_read_in_the_order_of_the_interface() {
    let mut world = World::new();
    let thread = world.stopped_thread(1);
    for &index in Host::REGISTERS.context {
        world.set_register(thread.tcb, index, 500 + index as u64);
    }
    let words = world.must(thread.cap, label::TCB_READ_REGISTERS, &[0, WORDS], &[]);
    let expected: Vec<u64> = Host::REGISTERS.context.iter().map(|&index| 500 + index as u64).collect();
    assert_eq!(words, expected);
    assert_eq!(world.must(thread.cap, label::TCB_READ_REGISTERS, &[0, 3], &[]), expected[..3]);
    let root = world.root();
    world.kernel.store[root].ipc_buffer = 0;
    let cut = world.must(thread.cap, label::TCB_READ_REGISTERS, &[0, WORDS], &[]);
    assert_eq!(cut, expected[..4], "without a buffer");
}

#[test]
fn new_threads_are_named_after_who_made_them() {
    let mut world = World::new();
    let first = world.free_slot();
    let others = [0; 2].map(|_| world.free_slot());
    assert_eq!(world.retype(world.memory, object::TCB, 0, first, 3), Ok(vec![]));
    for cap in [first, others[0], others[1]] {
        assert_eq!(world.kernel.name(world.tcb(cap)).to_string(), "\"child of: \\'rootserver\\'\"");
    }
    // A name has at most 63 bytes.
    let root = world.root();
    world.kernel.store[root].name = [b'x'; NAME_BYTES];
    let thread = world.stopped_thread(1);
    assert_eq!(world.kernel.store[thread.tcb].name, {
        let mut name = [b'x'; NAME_BYTES];
        name[..11].copy_from_slice(b"child of: '");
        name[NAME_BYTES - 1] = 0;
        name
    });
}

#[test]
fn registers_are_written_sanitised_and_take_effect() {
    let mut world = World::new();
    let thread = world.thread(255);
    world.must(thread.cap, label::TCB_SUSPEND, &[], &[]);
    let mut words = vec![1, 40];
    words.extend((0..40).map(|number| 0x1_0000 + number));
    words[2 + place(Register::Spsr)] = u64::MAX;
    world.must(thread.cap, label::TCB_WRITE_REGISTERS, &words, &[]);
    let register = |world: &World, which| world.register(thread.tcb, place(which));
    assert_eq!(register(&world, Register::Spsr), 0xf000_0040, "flags from the user, the rest fixed");
    assert_eq!(register(&world, Register::X0), 0x1_0003);
    assert_eq!(register(&world, Register::TpidrroEl0), 0x1_0023, "what is beyond the last is ignored");
    world.run(thread.tcb);
    assert_eq!(register(&world, Register::NextPc), 0x1_0000);
}

#[test]
fn registers_are_copied_by_groups() {
    let mut world = World::new();
    let (source, target) = (world.stopped_thread(1), world.stopped_thread(1));
    for (flags, frame, integer) in [(0b0100, true, false), (0b1000, false, true), (0b1100, true, true)] {
        for &index in Host::REGISTERS.context {
            world.set_register(source.tcb, index, 7);
            world.set_register(target.tcb, index, 8);
        }
        world.must(target.cap, label::TCB_COPY_REGISTERS, &[flags], &[source.cap]);
        for (number, &index) in Host::REGISTERS.context.iter().enumerate() {
            let copied = if number < Host::REGISTERS.frame_count { frame } else { integer };
            let is_status = index == place(Register::Spsr);
            let expected = if copied { 7 } else { 8 };
            assert!(is_status || world.register(target.tcb, index) == expected, "{flags:#b}, {number}");
        }
    }
    let running = world.thread(255);
    world.must(target.cap, label::TCB_COPY_REGISTERS, &[0b0001], &[running.cap]);
    assert_eq!(world.state(running.tcb), ThreadState::Inactive, "the source is suspended");
    world.must(running.cap, label::TCB_COPY_REGISTERS, &[0b0010], &[source.cap]);
    assert!(world.state(running.tcb).is_runnable(), "the target is resumed");
}

#[test]
fn a_blocked_thread_that_is_resumed_repeats_its_system_call() {
    let mut world = World::new();
    let endpoint = world.endpoint();
    let thread = world.thread(255);
    world.run(thread.tcb);
    world.send(endpoint, 5, &[], &[]);
    world.run_root();
    world.must(thread.cap, label::TCB_SUSPEND, &[], &[]);
    assert_eq!(world.state(thread.tcb), ThreadState::Inactive);
    world.nb_wait(endpoint);
    assert_eq!(world.received(world.root()).badge, 0);
    world.must(thread.cap, label::TCB_RESUME, &[], &[]);
    world.yield_now();
    assert_eq!(world.state(thread.tcb), ThreadState::BlockedOnSend);
    world.must(thread.cap, label::TCB_RESUME, &[], &[]);
    world.yield_now();
    assert_eq!(world.state(thread.tcb), ThreadState::BlockedOnSend);
    world.nb_wait(endpoint);
    assert_eq!(world.received(world.root()).info.label(), 5);
}

#[test]
fn a_thread_can_suspend_itself() {
    let mut world = World::new();
    let thread = world.thread(255);
    world.run(thread.tcb);
    let next = world.register(thread.tcb, Host::REGISTERS.next_pc) + 4;
    world.call(thread.cap, label::TCB_SUSPEND, &[], &[]);
    assert_eq!(world.current(), world.root());
    assert_eq!(world.state(thread.tcb), ThreadState::Inactive);
    world.must(thread.cap, label::TCB_RESUME, &[], &[]);
    world.run(thread.tcb);
    assert_eq!(world.register(thread.tcb, Host::REGISTERS.next_pc), next, "it goes on behind the call");
}

#[test]
fn flags_and_thread_local_storage() {
    let mut world = World::new();
    let thread = world.stopped_thread(1);
    let flags =
        |world: &mut World, clear, set| world.must(thread.cap, label::TCB_SET_FLAGS, &[clear, set], &[]);
    assert_eq!(flags(&mut world, 0, u64::MAX), [1], "only one flag exists");
    assert_eq!(flags(&mut world, 2, 0), [1]);
    assert_eq!(flags(&mut world, 1, 0), [0]);
    assert_eq!(flags(&mut world, 1, 1), [1], "set after clear");
    world.must(thread.cap, label::TCB_SET_TLS_BASE, &[u64::MAX], &[]);
    assert_eq!(world.register(thread.tcb, place(Register::TpidrEl0)), u64::MAX, "not sanitised");
}

#[test]
fn priorities_are_bounded_by_the_authority() {
    let mut world = World::new();
    let (thread, authority) = (world.stopped_thread(1), world.stopped_thread(40));
    let set =
        |world: &mut World, label, words: &[u64]| world.invoke(thread.cap, label, words, &[authority.cap]);
    let range = Err(Failure::new(ErrorCode::RangeError, &[0, 40]));
    for label in [label::TCB_SET_PRIORITY, label::TCB_SET_MC_PRIORITY] {
        assert_eq!(set(&mut world, label, &[41]), range);
        assert_eq!(set(&mut world, label, &[1 << 32]), range, "the whole word counts");
        assert_eq!(set(&mut world, label, &[40]), Ok(vec![]));
    }
    let thread = &world.kernel.store[thread.tcb];
    assert_eq!((thread.priority, thread.max_controlled_priority), (40, 40));
}

#[test]
fn configure_installs_spaces_and_buffer() {
    let mut world = World::new();
    let cap = world.make(object::TCB, 0);
    let tcb = world.tcb(cap);
    let cnode = world.make(object::CAP_TABLE, 4);
    let frame = world.frame();
    let guard = 5 << 6 | 60;
    world.must(cap, label::TCB_CONFIGURE, &[guard, 0, 0x7000_0400], &[cnode, VSPACE, frame]);
    let Cap::CNode(space) = world.kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CNode") };
    assert_eq!((space.guard_bits, space.guard), (60, 5));
    assert_eq!(world.kernel.store[tcb].ipc_buffer, 0x7000_0400);
    world.must(cap, label::TCB_CONFIGURE, &[0, 0, 0], &[cnode, VSPACE, frame]);
    let Cap::CNode(space) = world.kernel.store[tcb.slot(TcbSlot::CSpace)].cap() else { panic!("no CNode") };
    assert_eq!((space.guard_bits, space.guard), (0, 0), "a data word of 0 leaves the capability as it is");
    assert!(world.kernel.store[tcb.slot(TcbSlot::IpcBuffer)].is_empty());
    world.delete(cnode);
    assert!(matches!(world.kernel.store[tcb.slot(TcbSlot::CSpace)].cap(), Cap::CNode(_)));
}

#[test]
fn errors_come_in_the_order_of_the_interface() {
    use ErrorCode::*;
    let mut world = World::new();
    let thread = world.stopped_thread(1);
    let (endpoint, frame, empty) = (world.endpoint(), world.frame(), world.free_slot());
    let deaf = world.copy(endpoint, 14);
    let no_answer = world.copy(endpoint, 3);
    let unassigned = world.make(keel_abi::aarch64::object::VSPACE, 0);
    let device = world.free_slot();
    let devices = world.devices;
    world.retype(devices, keel_abi::aarch64::object::SMALL_PAGE, 0, device, 1).expect("room");
    let (bound, notification) = (world.notification(), world.notification());
    let no_wait = world.copy(notification, 1);
    let other = world.stopped_thread(1);
    world.must(other.cap, label::TCB_BIND_NOTIFICATION, &[], &[bound]);
    let (configure, space, buffer) = (label::TCB_CONFIGURE, label::TCB_SET_SPACE, label::TCB_SET_IPC_BUFFER);
    let params = label::TCB_SET_SCHED_PARAMS;
    let cases: &[Case] = &[
        (thread.cap, label::CNODE_COPY, &[], &[], IllegalOperation, &[]),
        (SELF, label::TCB_READ_REGISTERS, &[0], &[], TruncatedMessage, &[]),
        (SELF, label::TCB_READ_REGISTERS, &[0, 0], &[], RangeError, &[1, WORDS]),
        (SELF, label::TCB_READ_REGISTERS, &[0, WORDS + 1], &[], RangeError, &[1, WORDS]),
        (SELF, label::TCB_READ_REGISTERS, &[0, 1], &[], IllegalOperation, &[]),
        (SELF, label::TCB_WRITE_REGISTERS, &[0], &[], TruncatedMessage, &[]),
        (SELF, label::TCB_WRITE_REGISTERS, &[0, 2, 0], &[], TruncatedMessage, &[]),
        (SELF, label::TCB_WRITE_REGISTERS, &[0, 1, 0], &[], IllegalOperation, &[]),
        (thread.cap, label::TCB_COPY_REGISTERS, &[], &[SELF], TruncatedMessage, &[]),
        (thread.cap, label::TCB_COPY_REGISTERS, &[0], &[], TruncatedMessage, &[]),
        (thread.cap, label::TCB_COPY_REGISTERS, &[0], &[ROOT], InvalidCapability, &[1]),
        (thread.cap, configure, &[0, 0], &[ROOT, VSPACE, frame], TruncatedMessage, &[]),
        (thread.cap, configure, &[0, 0, 1], &[ROOT, VSPACE], TruncatedMessage, &[]),
        (thread.cap, configure, &[0, 0, 1], &[endpoint, endpoint, endpoint], IllegalOperation, &[]),
        (thread.cap, configure, &[0, 0, 0x400], &[ROOT, VSPACE, device], IllegalOperation, &[]),
        (thread.cap, configure, &[0, 0, 0x401], &[endpoint, endpoint, frame], AlignmentError, &[]),
        (thread.cap, configure, &[0, 0, 0], &[endpoint, VSPACE, empty], IllegalOperation, &[]),
        (thread.cap, configure, &[53, 0, 0], &[ROOT, VSPACE, empty], IllegalOperation, &[]),
        (thread.cap, configure, &[0, 0, 0], &[ROOT, unassigned, empty], IllegalOperation, &[]),
        (thread.cap, configure, &[0, 0, 0], &[ROOT, endpoint, empty], IllegalOperation, &[]),
        (thread.cap, space, &[0], &[empty, ROOT, VSPACE], TruncatedMessage, &[]),
        (thread.cap, space, &[0, 0], &[empty, ROOT], TruncatedMessage, &[]),
        (thread.cap, space, &[0, 0], &[ROOT, endpoint, VSPACE], IllegalOperation, &[]),
        (thread.cap, space, &[0, 0], &[ROOT, ROOT, VSPACE], InvalidCapability, &[1]),
        (thread.cap, space, &[0, 0], &[deaf, ROOT, VSPACE], InvalidCapability, &[1]),
        (thread.cap, space, &[0, 0], &[no_answer, ROOT, VSPACE], InvalidCapability, &[1]),
        (thread.cap, buffer, &[], &[frame], TruncatedMessage, &[]),
        (thread.cap, buffer, &[0x400], &[], TruncatedMessage, &[]),
        (thread.cap, buffer, &[0x200], &[frame], AlignmentError, &[]),
        (thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[], TruncatedMessage, &[]),
        (thread.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[no_answer], InvalidCapability, &[1]),
        (thread.cap, label::TCB_SET_PRIORITY, &[], &[SELF], TruncatedMessage, &[]),
        (thread.cap, label::TCB_SET_PRIORITY, &[256], &[], TruncatedMessage, &[]),
        (thread.cap, label::TCB_SET_PRIORITY, &[256], &[ROOT], InvalidCapability, &[1]),
        (thread.cap, label::TCB_SET_PRIORITY, &[256], &[SELF], RangeError, &[0, 255]),
        (thread.cap, params, &[1], &[SELF, empty, empty], TruncatedMessage, &[]),
        (thread.cap, params, &[1, 1], &[SELF, empty], TruncatedMessage, &[]),
        (thread.cap, params, &[256, 256], &[ROOT, ROOT, ROOT], InvalidCapability, &[1]),
        (thread.cap, params, &[256, 0], &[SELF, ROOT, ROOT], RangeError, &[0, 255]),
        (thread.cap, params, &[0, 256], &[SELF, ROOT, ROOT], RangeError, &[0, 255]),
        (thread.cap, params, &[1, 1], &[SELF, slot::INIT_SCHED_CONTEXT, ROOT], IllegalOperation, &[]),
        (SELF, params, &[1, 1], &[SELF, empty, ROOT], IllegalOperation, &[]),
        (thread.cap, params, &[1, 1], &[SELF, ROOT, ROOT], InvalidCapability, &[2]),
        (thread.cap, params, &[1, 1], &[SELF, empty, ROOT], InvalidCapability, &[3]),
        (thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[], TruncatedMessage, &[]),
        (thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[endpoint], IllegalOperation, &[]),
        (thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[no_wait], IllegalOperation, &[]),
        (thread.cap, label::TCB_BIND_NOTIFICATION, &[], &[bound], IllegalOperation, &[]),
        (other.cap, label::TCB_BIND_NOTIFICATION, &[], &[notification], IllegalOperation, &[]),
        (thread.cap, label::TCB_UNBIND_NOTIFICATION, &[], &[], IllegalOperation, &[]),
        (thread.cap, label::TCB_SET_TLS_BASE, &[], &[], TruncatedMessage, &[]),
        (thread.cap, label::TCB_SET_FLAGS, &[1], &[], TruncatedMessage, &[]),
    ];
    for &(target, label, words, caps, code, details) in cases {
        let outcome = world.invoke(target, label, words, caps);
        assert_eq!(outcome, Err(Failure::new(code, details)), "label {label}, {words:?}, {caps:?}");
    }
}

#[test]
fn first_phases_leave_threads_and_their_like_alone() {
    let mut world = World::new();
    let (thread, endpoint) = (world.thread(255), world.endpoint());
    for object in [thread.cap, ROOT, slot::DOMAIN_SET, thread.sched_context] {
        world.prepare(endpoint, label::TCB_SUSPEND, &[], &[]);
        let root = world.root();
        world.set_register(root, Host::REGISTERS.reply, object);
        world.trap(syscall::NB_SEND_WAIT);
        assert_ne!(world.state(thread.tcb), ThreadState::Inactive);
        world.run(thread.tcb);
        world.divert(root);
        world.must(SELF, label::TCB_RESUME, &[], &[]);
        world.run_root();
    }
    world.send(thread.cap, label::TCB_SUSPEND, &[], &[]);
    assert_eq!(world.state(thread.tcb), ThreadState::Inactive, "a plain Send invokes");
}

#[test]
fn large_spaces_are_replaced_across_preemptions() {
    let mut world = World::new();
    let thread = world.stopped_thread(1);
    let big = world.make(object::CAP_TABLE, 7);
    world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &[0, big, VSPACE]);
    world.delete(big);
    world.check_each_entry(false);
    world.kernel.arch.preempt_every(Some(1));
    world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &[0, ROOT, VSPACE]);
    assert!(world.kernel.arch.polls() > 100, "it was long");
    world.check();
    let root = world.cap(ROOT);
    assert_eq!(world.kernel.store[thread.tcb.slot(TcbSlot::CSpace)].cap(), root);
}
