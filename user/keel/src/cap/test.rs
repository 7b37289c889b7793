// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each invocation as the kernel sees it: label, words and capabilities, against the numbers of the
//! sheets (`invocations.md`), written out here once more.

use std::{cell::RefCell, rc::Rc, vec, vec::Vec};

use keel_abi::message::MessageInfo;

use super::*;
use crate::{
    arch::{Output, Trap, abi::registers::Register, with_kernel},
    error::{LookupFailure, LookupSide},
};

/// What an invocation sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    cap: u64,
    label: u64,
    words: Vec<u64>,
    caps: Vec<u64>,
}

fn sent_by(trap: &Trap) -> Sent {
    let info = MessageInfo(trap.input.info);
    let word = |index| match trap.input.words.get(index) {
        Some(&word) => word,
        None => ipc::buffer().word(index),
    };
    Sent {
        cap: trap.input.cap,
        label: info.label(),
        words: (0..info.length()).map(word).collect(),
        caps: (0..info.extra_caps()).map(|index| ipc::buffer().badge(index)).collect(),
    }
}

/// What the kernel answers.
fn reply(label: u64, words: &[u64]) -> Output {
    words.iter().enumerate().for_each(|(index, &word)| ipc::buffer().set_word(index, word));
    let mut registers = [0; 4];
    let count = words.len().min(4);
    registers[..count].copy_from_slice(&words[..count]);
    Output { badge: 0, info: MessageInfo::new(label, 0, 0, words.len()).0, words: registers }
}

/// Runs `body` above a kernel that answers every Call alike; gives its result and what was sent.
fn observe<R>(label: u64, words: &'static [u64], body: impl FnOnce() -> R) -> (R, Vec<Sent>) {
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = log.clone();
    let kernel = move |trap: Trap| {
        assert_eq!(trap.number, -1, "an invocation is a Call");
        seen.borrow_mut().push(sent_by(&trap));
        reply(label, words)
    };
    let result = with_kernel(kernel, body);
    (result, log.take())
}

#[track_caller]
fn check(body: impl FnOnce() -> Invoked, label: u64, words: &[u64], caps: &[u64]) {
    let (result, sent) = observe(0, &[], body);
    assert_eq!(result, Ok(()));
    assert_eq!(sent, [Sent { cap: 40, label, words: words.to_vec(), caps: caps.to_vec() }]);
}

fn this<T>() -> Cap<T> {
    Cap::at(40)
}

fn that<T>(slot: u64) -> Cap<T> {
    Cap::at(slot)
}

#[test]
fn untyped_and_cnode() {
    let cnode = this::<CNode>();
    let (here, there) = (cnode.slot(5, 64), that::<CNode>(9).slot(6, 12));
    check(
        || this::<Untyped>().retype(Blueprint::CNode { radix: 6 }, that(9), 1, 2, 3, 4),
        1,
        &[4, 6, 1, 2, 3, 4],
        &[9],
    );
    check(|| here.revoke(), 18, &[5, 64], &[]);
    check(|| here.delete(), 19, &[5, 64], &[]);
    check(|| here.cancel_badged_sends(), 20, &[5, 64], &[]);
    check(|| here.copy_from(there, Rights::READ), 21, &[5, 64, 6, 12, 2], &[9]);
    check(|| here.mint_from(there, Rights::ALL, 77), 22, &[5, 64, 6, 12, 15, 77], &[9]);
    check(|| here.move_from(there), 23, &[5, 64, 6, 12], &[9]);
    check(|| here.mutate_from(there, 77), 24, &[5, 64, 6, 12, 77], &[9]);
    let pivot = that::<CNode>(8).slot(7, 10);
    check(|| here.rotate_from(pivot, 1, there, 2), 25, &[5, 64, 1, 7, 10, 2, 6, 12], &[8, 9]);
}

#[test]
fn tcb() {
    let tcb = this::<Tcb>();
    let registers = Registers::starting_at(1, 2, 3).with(Register::TpidrEl0, 4);
    let mut words = vec![1, 36];
    words.extend(registers.0);
    assert_eq!((words[2], words[3], words[5], words[2 + 34]), (1, 2, 3, 4));
    check(|| tcb.write_registers(&registers, true), 3, &words, &[]);
    check(|| tcb.copy_registers(that(1), 0b1100), 4, &[0b1100], &[1]);
    check(
        || tcb.configure(that(1), CNodeData::new(0, 58), that(2), 0x5000, that(3)),
        5,
        &[58, 0, 0x5000],
        &[1, 2, 3],
    );
    check(|| tcb.set_priority(that(1), 200), 6, &[200], &[1]);
    check(|| tcb.set_mc_priority(that(1), 200), 7, &[200], &[1]);
    let params = SchedParams {
        authority: that(1),
        max_controlled_priority: 10,
        priority: 9,
        sched_context: that(2),
        fault_endpoint: that(3),
    };
    check(|| tcb.set_sched_params(params), 8, &[10, 9], &[1, 2, 3]);
    check(|| tcb.set_timeout_endpoint(that(1)), 9, &[], &[1]);
    check(|| tcb.set_ipc_buffer(0x5000, that(1)), 10, &[0x5000], &[1]);
    check(|| tcb.set_space(that(1), that(2), CNodeData::new(0, 58), that(3)), 11, &[58, 0], &[1, 2, 3]);
    check(|| tcb.suspend(), 12, &[], &[]);
    check(|| tcb.resume(), 13, &[], &[]);
    check(|| tcb.bind_notification(that(1)), 14, &[], &[1]);
    check(|| tcb.unbind_notification(), 15, &[], &[]);
    check(|| tcb.set_tls_base(5), 16, &[5], &[]);
    let (flags, sent) = observe(0, &[1], || tcb.set_flags(2, 1));
    assert_eq!((flags, sent[0].label, &sent[0].words[..]), (Ok(1), 17, &[2, 1][..]));
}

#[test]
fn registers_are_read_from_registers_and_buffer() {
    static WORDS: [u64; 36] = {
        let mut words = [0; 36];
        let mut index = 0;
        while index < 36 {
            words[index] = index as u64 + 100;
            index += 1;
        }
        words
    };
    let (registers, sent) = observe(0, &WORDS, || this::<Tcb>().read_registers(true));
    assert_eq!(registers.map(|registers| registers.0), Ok(WORDS));
    assert_eq!((sent[0].label, &sent[0].words[..]), (2, &[1, 36][..]));
}

#[test]
fn interrupts_and_domains() {
    let slot = that::<CNode>(2).slot(5, 64);
    check(|| this::<IrqControl>().get(33, slot), 26, &[33, 5, 64], &[2]);
    check(|| this::<IrqControl>().get_trigger(33, Trigger::Edge, slot), 55, &[33, 1, 5, 64], &[2]);
    check(|| this::<IrqControl>().issue_sgi_signal(3, 1, slot), 56, &[3, 1, 5, 64], &[2]);
    check(|| this::<IrqHandler>().ack(), 27, &[], &[]);
    check(|| this::<IrqHandler>().set_notification(that(1)), 28, &[], &[1]);
    check(|| this::<IrqHandler>().clear(), 29, &[], &[]);
    check(|| this::<DomainSet>().set(that(1), 3), 30, &[3], &[1]);
    check(|| this::<DomainSet>().configure_schedule(1, 2, 3), 31, &[1, 2, 3], &[]);
    check(|| this::<DomainSet>().set_schedule_start(1), 32, &[1], &[]);
}

#[test]
fn time() {
    let budget = Budget { budget_us: 1, period_us: 2, extra_refills: 3, badge: 4, sporadic: true };
    check(|| this::<SchedControl>().configure(that(1), budget), 33, &[1, 2, 3, 4, 1], &[1]);
    let context = this::<SchedContext>();
    check(|| context.bind_tcb(that(1)), 34, &[], &[1]);
    check(|| context.bind_notification(that(1)), 34, &[], &[1]);
    check(|| context.unbind(), 35, &[], &[]);
    check(|| context.unbind_tcb(that(1)), 36, &[], &[1]);
    check(|| context.unbind_notification(that(1)), 36, &[], &[1]);
    for (label, ask) in
        [(37, Cap::<SchedContext>::consumed as fn(_) -> _), (38, Cap::<SchedContext>::yield_to)]
    {
        let (time, sent) = observe(0, &[123], || ask(context));
        assert_eq!((time, sent[0].label), (Ok(123), label));
    }
}

#[test]
fn address_spaces() {
    let frame = this::<Frame>();
    check(|| frame.map(that(1), 0x1000, Rights::READ, Attributes::DEVICE), 46, &[0x1000, 2, 4], &[1]);
    check(|| frame.unmap(), 47, &[], &[]);
    let operations = [
        (CacheOperation::CleanData, 48, 39),
        (CacheOperation::InvalidateData, 49, 40),
        (CacheOperation::CleanInvalidateData, 50, 41),
        (CacheOperation::UnifyInstruction, 51, 42),
    ];
    for (operation, of_frame, of_vspace) in operations {
        check(|| frame.maintain(operation, 1, 2), of_frame, &[1, 2], &[]);
        check(|| this::<VSpace>().maintain(operation, 1, 2), of_vspace, &[1, 2], &[]);
    }
    let (address, sent) = observe(0, &[0x900_0000], || frame.address());
    assert_eq!((address, sent[0].label), (Ok(0x900_0000), 52));
    check(|| this::<PageTable>().map(that(1), 0x1000), 44, &[0x1000, 0], &[1]);
    check(|| this::<PageTable>().unmap(), 45, &[], &[]);
    let slot = that::<CNode>(2).slot(5, 64);
    check(|| this::<AsidControl>().make_pool(that(1), slot), 53, &[5, 64], &[1, 2]);
    check(|| this::<AsidPool>().assign(that(1)), 54, &[], &[1]);
    let (registers, sent) = observe(0, &[9, 8, 7, 6, 5, 4, 3, 2], || this::<Smc>().call([1; 8]));
    assert_eq!((registers, sent[0].label, sent[0].words.len()), (Ok([9, 8, 7, 6, 5, 4, 3, 2]), 43, 8));
}

#[test]
fn io_ports() {
    let slot = that::<CNode>(2).slot(5, 64);
    check(|| this::<IoPortControl>().issue(0x3f8, 0x3ff, slot), 50, &[0x3f8, 0x3ff, 5, 64], &[2]);
    let port = this::<IoPort>();
    let read = |body: fn(Cap<IoPort>) -> Invoked<u32>| {
        let (value, sent) = observe(0, &[0x8765_4321], || body(port));
        (value, sent[0].label, sent[0].words.clone())
    };
    assert_eq!(read(|port| port.read_8(0x3fd).map(u32::from)), (Ok(0x21), 51, vec![0x3fd]));
    assert_eq!(read(|port| port.read_16(0x3fd).map(u32::from)), (Ok(0x4321), 52, vec![0x3fd]));
    assert_eq!(read(|port| port.read_32(0x3fd)), (Ok(0x8765_4321), 53, vec![0x3fd]));
    check(|| port.write_8(0x3f8, 0xff), 54, &[0x3f8, 0xff], &[]);
    check(|| port.write_16(0x3f8, 0xffff), 55, &[0x3f8, 0xffff], &[]);
    check(|| port.write_32(0x3f8, u32::MAX), 56, &[0x3f8, 0xffff_ffff], &[]);
}

#[test]
fn refusals_carry_their_details() {
    let fail = |label, words| observe(label, words, || this::<Tcb>().resume()).0.unwrap_err();
    assert_eq!(fail(1, &[3]), InvocationError::InvalidArgument(3));
    assert_eq!(fail(2, &[1]), InvocationError::InvalidCapability(1));
    assert_eq!(fail(3, &[]), InvocationError::IllegalOperation);
    assert_eq!(fail(4, &[1, 64]), InvocationError::RangeError { min: 1, max: 64 });
    assert_eq!(fail(5, &[]), InvocationError::AlignmentError);
    let failure = LookupFailure::GuardMismatch { bits_left: 64, guard_found: 1, bits_found: 52 };
    let side = LookupSide::Source;
    assert_eq!(fail(6, &[1, 4, 64, 1, 52]), InvocationError::FailedLookup { side, failure });
    assert_eq!(fail(7, &[]), InvocationError::TruncatedMessage);
    assert_eq!(fail(8, &[]), InvocationError::DeleteFirst);
    assert_eq!(fail(9, &[]), InvocationError::RevokeFirst);
    assert_eq!(fail(10, &[4096]), InvocationError::NotEnoughMemory { available: 4096 });
    assert_eq!(fail(11, &[]), InvocationError::Undefined(11));
}

#[test]
fn system_calls_use_the_registers_of_the_sheet() {
    let log = Rc::new(RefCell::new(Vec::new()));
    let seen = log.clone();
    let kernel = move |trap: Trap| {
        seen.borrow_mut().push((trap.number, trap.input.cap, trap.input.reply, trap.destination));
        Output { badge: 5, ..Output::default() }
    };
    let endpoint = this::<Endpoint>();
    let message = Message::new(1);
    with_kernel(kernel, || {
        endpoint.call(&message);
        endpoint.reply_recv(&message, that(7));
        endpoint.nb_send_recv(CPtr::new(9), &message, that(7));
        endpoint.nb_send_wait(CPtr::new(9), &message);
        endpoint.send(&message);
        endpoint.nb_send(&message);
        endpoint.recv(that(7));
        endpoint.nb_recv(that(7));
        assert_eq!(endpoint.wait().badge, 5);
        assert_eq!(this::<Notification>().poll(), 5);
        sys::yield_now();
        this::<Notification>().signal();
        this::<Reply>().send(&message);
    });
    let expected = [
        (-1, 40, 0, 0),
        (-2, 40, 7, 0),
        (-3, 40, 7, 9),
        (-4, 40, 9, 0),
        (-5, 40, 0, 0),
        (-6, 40, 0, 0),
        (-7, 40, 7, 0),
        (-8, 40, 7, 0),
        (-9, 40, 0, 0),
        (-10, 40, 0, 0),
        (-11, 0, 0, 0),
        (-5, 40, 0, 0),
        (-5, 40, 0, 0),
    ];
    assert_eq!(log.take(), expected);
}
