// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a message carries: words and capabilities, with and without buffers (`syscalls.md §3, §4, §11`).

use keel::cap::{Blueprint, CNodeData, CPtr};
use keel_abi::{arch::registers::USER_CONTEXT_WORDS, error::ErrorCode, label, message::MAX_LENGTH};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    machine::{self, NORMAL},
    puppet::{Puppet, Received, Syscall},
    tester::*,
};

/// Registers of a thread.
const CONTEXT: u64 = USER_CONTEXT_WORDS as u64;

/// The cases of this file.
pub const CASES: &[Case] = cases![
    words_go_from_buffer_to_buffer,
    words_go_when_the_receiver_comes_later,
    words_go_back_with_a_reply,
    without_buffer_of_the_sender_four_words_go,
    without_buffer_of_the_receiver_four_words_go,
    a_read_only_buffer_only_sends,
    a_buffer_without_rights_is_none,
    a_buffer_lies_at_its_offset_in_the_frame,
    a_buffer_may_be_in_a_large_frame,
    a_buffer_goes_with_its_frame,
    results_go_to_the_buffer,
    results_without_buffer_are_cut,
    arguments_without_buffer_are_cut,
    a_capability_goes_to_the_receive_slot,
    all_kinds_of_send_carry_a_capability,
    a_capability_goes_when_the_receiver_comes_later,
    a_carried_capability_keeps_rights_and_badge,
    a_carried_capability_is_derived_from_the_senders,
    capabilities_need_grant,
    capabilities_need_a_buffer_of_both,
    capabilities_need_an_empty_slot,
    a_receive_slot_is_looked_up,
    only_one_capability_is_stored,
    capabilities_of_the_endpoint_are_unwrapped,
    unwrapping_needs_no_slot,
    unwrapped_and_stored_are_mixed,
    what_cannot_be_derived_stops,
    a_frame_arrives_unmapped,
    capabilities_are_looked_up_when_the_message_goes,
    a_lookup_that_fails_later_means_no_capabilities,
    the_receive_slot_counts_when_the_message_goes,
    a_reply_carries_capabilities,
    a_reply_needs_grant_of_its_capability,
    a_reply_does_not_unwrap,
];

/// What the sender's page holds before, and the receiver's.
const SENDERS: u64 = 0x5000_0000;
const RECEIVERS: u64 = 0x7000_0000;

const LENGTHS: [usize; 8] = [0, 1, 3, 4, 5, 60, 119, MAX_LENGTH];
/// Words that are sent in registers.
const IN_REGISTERS: [u64; 4] = [11, 12, 13, 14];

/// Expects that words 4 and on of a message came to the receiver's buffer, and that nothing else of it was
/// touched.
#[track_caller]
fn came(receiver: &Puppet, received: Received, length: usize) -> Outcome {
    received.is(0, 3, &IN_REGISTERS[..length.min(4)]).or_else(|failure| {
        // The length of longer messages.
        if length <= 4 {
            return Err(failure);
        }
        same("message info", 3 << 12 | length as u64, received.info.word())?;
        received.words_are(&IN_REGISTERS)
    })?;
    let buffer = receiver.buffer();
    for index in 4..length {
        same("word", SENDERS + 1 + index as u64, buffer.word(index))?;
    }
    buffer.is_filled(RECEIVERS, 0..5)?;
    buffer.is_filled(RECEIVERS, 1 + length.max(4)..512)
}

fn message(call: Syscall, length: usize) -> Syscall {
    call.words(&IN_REGISTERS).info(3, 0, length)
}

/// `syscalls.md §4, §11`.
fn words_go_from_buffer_to_buffer(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    sender.buffer().fill(SENDERS);
    for length in LENGTHS {
        receiver.buffer().fill(RECEIVERS);
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(message(Syscall::send(endpoint), length))?;
        came(&receiver, receiver.done()?, length)?;
        sender.buffer().is_filled(SENDERS, 0..512)?;
    }
    Ok(())
}

/// `syscalls.md §11`: the buffer counts as it is when the message goes.
fn words_go_when_the_receiver_comes_later(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for length in LENGTHS {
        sender.buffer().fill(0);
        sender.blocks(message(Syscall::send(endpoint), length))?;
        sender.buffer().fill(SENDERS);
        receiver.buffer().fill(RECEIVERS);
        came(&receiver, receiver.does(Syscall::nb_wait(endpoint))?, length)?;
        sender.done()?;
    }
    Ok(())
}

/// `syscalls.md §10` 3.
fn words_go_back_with_a_reply(t: &mut Tester) -> Outcome {
    let (endpoint, reply) = (t.endpoint()?, t.reply()?);
    let (server, client) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    server.buffer().fill(SENDERS);
    for length in LENGTHS {
        server.blocks(Syscall::recv(endpoint, reply))?;
        client.blocks(Syscall::call(endpoint))?;
        server.done()?;
        client.buffer().fill(RECEIVERS);
        server.does(message(Syscall::send(reply), length))?;
        came(&client, client.done()?, length)?;
    }
    Ok(())
}

/// Expects that of a message of ten words and an unwrapped capability only four words come.
#[track_caller]
fn four_words_go(t: &mut Tester, sender: &Puppet, receiver: &Puppet) -> Outcome {
    let endpoint = t.endpoint()?;
    sender.buffer().fill(SENDERS);
    sender.buffer().set_caps(&[endpoint]);
    receiver.buffer().fill(RECEIVERS);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).words(&IN_REGISTERS).info(3, 1, 10))?;
    receiver.done()?.is(0, 3, &IN_REGISTERS)?;
    receiver.buffer().is_filled(RECEIVERS, 0..512)
}

/// `syscalls.md §4`.
fn without_buffer_of_the_sender_four_words_go(t: &mut Tester) -> Outcome {
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", sender.tcb, &[0], &[NULL])?;
    four_words_go(t, &sender, &receiver)
}

/// `syscalls.md §4`.
fn without_buffer_of_the_receiver_four_words_go(t: &mut Tester) -> Outcome {
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", receiver.tcb, &[0], &[NULL])?;
    four_words_go(t, &sender, &receiver)
}

/// `syscalls.md §4`: usable for sending if it may be read, for receiving if it may be written, too.
fn a_read_only_buffer_only_sends(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let address = sender.buffer().address();
    let frame = t.copy(image_frame(address), READ)?;
    accepts("TCBSetIPCBuffer", sender.tcb, &[address], &[frame])?;
    sender.buffer().fill(SENDERS);
    receiver.buffer().fill(RECEIVERS);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(message(Syscall::send(endpoint), 20))?;
    came(&receiver, receiver.done()?, 20)?;
    four_words_go(t, &receiver, &sender)
}

/// `syscalls.md §4`, `objects.md §3.1`: write without read is none.
fn a_buffer_without_rights_is_none(t: &mut Tester) -> Outcome {
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for rights in [0, WRITE] {
        let address = sender.buffer().address();
        let frame = t.copy(image_frame(address), rights)?;
        accepts("TCBSetIPCBuffer", sender.tcb, &[address], &[frame])?;
        four_words_go(t, &sender, &receiver)?;
        four_words_go(t, &receiver, &sender)?;
    }
    Ok(())
}

/// Expects that a message comes to the buffer which is mapped at `mapped`.
#[track_caller]
fn comes_to(t: &mut Tester, receiver: &Puppet, mapped: u64) -> Outcome {
    let (endpoint, sender) = (t.endpoint()?, t.puppet(ABOVE)?);
    sender.buffer().fill(SENDERS);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(message(Syscall::send(endpoint), MAX_LENGTH))?;
    same("message info", 3 << 12 | MAX_LENGTH as u64, receiver.done()?.info.word())?;
    same("word 4", SENDERS + 5, machine::peek(mapped + 5 * 8))?;
    same("word 119", SENDERS + 120, machine::peek(mapped + 120 * 8))
}

/// `syscalls.md §4`: wherever the address is mapped, if at all.
fn a_buffer_lies_at_its_offset_in_the_frame(t: &mut Tester) -> Outcome {
    let (frame, address) = t.mapped_frame()?;
    let receiver = t.puppet(ABOVE)?;
    for offset in [0, 0x400, 0x800, 0xc00] {
        // An address where nothing is mapped.
        accepts("TCBSetIPCBuffer", receiver.tcb, &[0x1234_5000 + offset], &[frame])?;
        comes_to(t, &receiver, address + offset)?;
    }
    Ok(())
}

/// `syscalls.md §4`.
fn a_buffer_may_be_in_a_large_frame(t: &mut Tester) -> Outcome {
    let (frame, address) = (t.make(Blueprint::LargePage)?, t.addresses(21));
    t.map(VSPACE, frame, address, NORMAL)?;
    let receiver = t.puppet(ABOVE)?;
    for offset in [0, 0x1000, 0x1f_fc00] {
        accepts("TCBSetIPCBuffer", receiver.tcb, &[(7 << 21) + offset], &[frame])?;
        comes_to(t, &receiver, address + offset)?;
    }
    Ok(())
}

/// `syscalls.md §4`: the TCB holds a capability to it, which goes with revocation.
fn a_buffer_goes_with_its_frame(t: &mut Tester) -> Outcome {
    let frame = t.frame()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", receiver.tcb, &[0x1000], &[frame])?;
    t.revoke(frame)?;
    four_words_go(t, &sender, &receiver)
}

/// `syscalls.md §4`, `invocations.md §5.1`: ReadRegisters gives more words than there are message registers.
fn results_go_to_the_buffer(t: &mut Tester) -> Outcome {
    let (puppet, other) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    other.does(Syscall::yield_now())?;
    let registers = other.registers()?.0;
    puppet.buffer().fill(RECEIVERS);
    let received =
        puppet.does(Syscall::call(other.tcb).info(label::TCB_READ_REGISTERS, 0, 0).words(&[0, CONTEXT]))?;
    same("message info", CONTEXT, received.info.word())?;
    received.words_are(&registers[..4])?;
    for (index, register) in registers.iter().enumerate().skip(4) {
        same("word", *register, puppet.buffer().word(index))?;
    }
    puppet.buffer().is_filled(RECEIVERS, 0..5)?;
    puppet.buffer().is_filled(RECEIVERS, USER_CONTEXT_WORDS + 1..512)
}

/// `invocations.md §5.1`: at most four words without a buffer.
fn results_without_buffer_are_cut(t: &mut Tester) -> Outcome {
    let (puppet, other) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let registers = other.registers()?.0;
    accepts("TCBSetIPCBuffer", puppet.tcb, &[0], &[NULL])?;
    let received =
        puppet.does(Syscall::call(other.tcb).info(label::TCB_READ_REGISTERS, 0, 0).words(&[0, CONTEXT]))?;
    received.is(0, 0, &registers[..4])
}

/// `syscalls.md §7` 2, 3: no capabilities, and four words.
fn arguments_without_buffer_are_cut(t: &mut Tester) -> Outcome {
    let puppet = t.puppet(ABOVE)?;
    let copy = |cap| Syscall::call(cap).words(&[0, 0, 0, 0]);
    puppet.buffer().fill(0);
    puppet.buffer().set_caps(&[CNODE]);
    accepts("TCBSetIPCBuffer", puppet.tcb, &[0], &[NULL])?;
    let truncated = ErrorCode::TruncatedMessage as u64;
    puppet.does(copy(t.block()).info(label::UNTYPED_RETYPE, 1, 6))?.is(0, truncated, &[])?;
    puppet.does(copy(puppet.tcb).info(label::TCB_SET_PRIORITY, 1, 1))?.is(0, truncated, &[])?;
    // Four words are there.
    puppet.does(Syscall::call(puppet.tcb).words(&[0, 1]).info(label::TCB_SET_FLAGS, 0, 2))?.is(0, 0, &[1])
}

/// A sender, a receiver whose receive slot is the empty slot given, and their endpoint.
struct Pair {
    endpoint: CPtr,
    sender: Puppet,
    receiver: Puppet,
    slot: CPtr,
}

fn pair(t: &mut Tester) -> Outcome<Pair> {
    let (endpoint, slot) = (t.endpoint()?, t.slot()?);
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.buffer().set_receive_slot(CNODE, slot.bits(), DEPTH);
    Ok(Pair { endpoint, sender, receiver, slot })
}

impl Pair {
    /// Sends capabilities; gives what the receiver got.
    #[track_caller]
    fn send(&self, cap: CPtr, caps: &[CPtr]) -> Outcome<Received> {
        self.receiver.blocks(Syscall::wait(self.endpoint))?;
        self.sender.buffer().set_caps(caps);
        self.sender.does(Syscall::send(cap).info(0, caps.len(), 0))?;
        self.receiver.done()
    }

    /// Sends capabilities; expects so many to be processed, and these of them to be unwrapped.
    #[track_caller]
    fn carries(&self, caps: &[CPtr], extra_caps: u64, unwrapped: u64) -> Outcome {
        let received = self.send(self.endpoint, caps)?;
        same("message info", unwrapped << 9 | extra_caps << 7, received.info.word())
    }
}

/// `syscalls.md §11`.
fn a_capability_goes_to_the_receive_slot(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    pair.receiver.buffer().set_caps(&[CPtr::new(1), CPtr::new(2), CPtr::new(3)]);
    pair.carries(&[notification], 1, 0)?;
    same("badge of what was not unwrapped", 1, pair.receiver.buffer().badge(0))?;
    keel::sys::send(pair.slot, Default::default(), [0; 4]);
    pair.sender.does(Syscall::wait(notification))?;
    t.is_empty(notification, false)
}

/// `syscalls.md §7, §11`.
fn all_kinds_of_send_carry_a_capability(t: &mut Tester) -> Outcome {
    let (pair, notification, reply) = (pair(t)?, t.notification()?, t.reply()?);
    let here = t.endpoint()?;
    pair.sender.buffer().set_caps(&[notification]);
    for kind in [
        Syscall::send(pair.endpoint),
        Syscall::nb_send(pair.endpoint),
        Syscall::call(pair.endpoint),
        Syscall::nb_send_recv(pair.endpoint, here, reply),
        Syscall::nb_send_wait(pair.endpoint, here),
    ] {
        pair.receiver.blocks(Syscall::wait(pair.endpoint))?;
        pair.sender.start(kind.info(0, 1, 0))?;
        same("message info", 1 << 7, pair.receiver.done()?.info.word())?;
        t.is_empty(pair.slot, false)?;
        t.delete(pair.slot)?;
        // It waits for an answer, or at its other endpoint; or it has ended.
        pair.sender.event()?;
        accepts("TCBSuspend", pair.sender.tcb, &[], &[])?;
    }
    Ok(())
}

/// `syscalls.md §11`.
fn a_capability_goes_when_the_receiver_comes_later(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    pair.sender.buffer().set_caps(&[notification]);
    pair.sender.blocks(Syscall::send(pair.endpoint).info(0, 1, 0))?;
    same("message info", 1 << 7, pair.receiver.does(Syscall::wait(pair.endpoint))?.info.word())?;
    t.is_empty(pair.slot, false)
}

/// `syscalls.md §11`: rights unchanged.
fn a_carried_capability_keeps_rights_and_badge(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    let weak = t.mint(notification, WRITE, 0x66)?;
    pair.carries(&[weak], 1, 0)?;
    pair.sender.does(Syscall::send(pair.slot))?;
    pair.sender.does(Syscall::wait(notification))?.is_signal(0x66)?;
    let fault = pair.sender.faults(Syscall::wait(pair.slot))?;
    fault.is_cap_fault(pair.slot, true, &crate::puppet::MISSING)
}

/// `syscalls.md §11`: the sender's capability is the parent.
fn a_carried_capability_is_derived_from_the_senders(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    pair.carries(&[notification], 1, 0)?;
    t.revoke(notification)?;
    t.is_empty(pair.slot, true)?;
    t.is_empty(notification, false)?;
    // A copy of a copy is no child.
    let copy = t.copy(notification, ALL)?;
    pair.carries(&[copy], 1, 0)?;
    t.revoke(copy)?;
    t.is_empty(pair.slot, false)
}

/// `syscalls.md §11`.
fn capabilities_need_grant(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    for rights in [WRITE, WRITE | READ | GRANT_REPLY] {
        let cap = t.copy(pair.endpoint, rights)?;
        same("message info", 0, pair.send(cap, &[notification, pair.endpoint])?.info.word())?;
        t.is_empty(pair.slot, true)?;
    }
    let cap = t.copy(pair.endpoint, WRITE | GRANT)?;
    same("message info", 1 << 7, pair.send(cap, &[notification])?.info.word())
}

/// `syscalls.md §4`.
fn capabilities_need_a_buffer_of_both(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    for puppet in [&pair.sender, &pair.receiver] {
        let address = puppet.buffer().address();
        accepts("TCBSetIPCBuffer", puppet.tcb, &[0], &[NULL])?;
        pair.carries(&[notification, pair.endpoint], 0, 0)?;
        t.is_empty(pair.slot, true)?;
        accepts("TCBSetIPCBuffer", puppet.tcb, &[address], &[image_frame(address)])?;
    }
    pair.carries(&[notification, pair.endpoint], 2, 2)
}

/// `syscalls.md §11`.
fn capabilities_need_an_empty_slot(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    pair.carries(&[notification], 1, 0)?;
    pair.carries(&[notification], 0, 0)?;
    t.delete(pair.slot)?;
    pair.carries(&[notification], 1, 0)
}

/// `syscalls.md §11`: in the receiver's CSpace, at an index and a depth; a failure means no slot.
fn a_receive_slot_is_looked_up(t: &mut Tester) -> Outcome {
    let (pair, notification, root) = (pair(t)?, t.notification()?, t.cnode(4)?);
    let buffer = pair.receiver.buffer();
    for (root, index, depth) in [
        (NULL, 5, 4),
        (notification, 5, 4),
        (CPtr::new(1 << 63), 5, 4),
        (root, 5, 0),
        (root, 5, 65),
        (root, 5, 3),
        (root, 5, 5),
    ] {
        buffer.set_receive_slot(root, index, depth);
        pair.carries(&[notification], 0, 0)?;
    }
    buffer.set_receive_slot(root, 0xf5, 4);
    pair.carries(&[notification], 1, 0)?;
    let words = [pair.slot.bits(), DEPTH, 5, 4];
    accepts("CNodeMove", CNODE, &words, &[root])?;
    // In another CSpace, of 16 slots.
    let guard = CNodeData::new(0, 60).word();
    accepts("TCBSetSpace", pair.receiver.tcb, &[guard, 0], &[pair.receiver.done, root, VSPACE])?;
    accepts("CNodeCopy", root, &[1, 4, pair.endpoint.bits(), DEPTH, ALL], &[CNODE])?;
    accepts("CNodeCopy", root, &[2, 4, root.bits(), DEPTH, ALL], &[CNODE])?;
    buffer.set_receive_slot(CPtr::new(2), 7, 4);
    pair.receiver.blocks(Syscall::wait(CPtr::new(1)))?;
    pair.sender.does(Syscall::send(pair.endpoint).info(0, 1, 0))?;
    same("message info", 1 << 7, pair.receiver.done()?.info.word())?;
    let spare = t.slot()?;
    accepts("CNodeMove", CNODE, &[spare.bits(), DEPTH, 7, 4], &[root])?;
    Ok(())
}

/// `syscalls.md §11`: there is one slot.
fn only_one_capability_is_stored(t: &mut Tester) -> Outcome {
    let (pair, first, second) = (pair(t)?, t.notification()?, t.notification()?);
    pair.carries(&[first, second, first], 1, 0)?;
    keel::sys::send(pair.slot, Default::default(), [0; 4]);
    pair.sender.does(Syscall::wait(first))?;
    Ok(())
}

/// `syscalls.md §11`: whatever their rights.
fn capabilities_of_the_endpoint_are_unwrapped(t: &mut Tester) -> Outcome {
    let pair = pair(t)?;
    let badges = [71, 0, u64::MAX];
    let mut caps = [NULL; 3];
    for (cap, badge) in caps.iter_mut().zip(badges) {
        *cap = t.mint(pair.endpoint, if badge == 71 { 0 } else { ALL }, badge)?;
    }
    for count in 1..4 {
        pair.receiver.buffer().fill(RECEIVERS);
        pair.receiver.buffer().set_receive_slot(CNODE, pair.slot.bits(), DEPTH);
        pair.carries(&caps[..count], count as u64, (1 << count) - 1)?;
        for (index, badge) in badges.into_iter().enumerate().take(count) {
            same("unwrapped badge", badge, pair.receiver.buffer().badge(index))?;
        }
        pair.receiver.buffer().is_filled(RECEIVERS, 122 + count..125)?;
        pair.receiver.buffer().is_filled(RECEIVERS, 0..122)?;
        t.is_empty(pair.slot, true)?;
    }
    Ok(())
}

/// `syscalls.md §11`.
fn unwrapping_needs_no_slot(t: &mut Tester) -> Outcome {
    let (pair, notification) = (pair(t)?, t.notification()?);
    let badged = t.mint(pair.endpoint, ALL, 5)?;
    pair.receiver.buffer().set_receive_slot(NULL, 0, 0);
    pair.carries(&[badged, badged], 2, 3)?;
    pair.carries(&[badged, notification, badged], 1, 1)?;
    same("unwrapped badge", 5, pair.receiver.buffer().badge(0))
}

/// `syscalls.md §11`: in order, and the endpoint of the message alone.
fn unwrapped_and_stored_are_mixed(t: &mut Tester) -> Outcome {
    let (pair, other) = (pair(t)?, t.endpoint()?);
    let (five, six) = (t.mint(pair.endpoint, ALL, 5)?, t.mint(pair.endpoint, ALL, 6)?);
    pair.carries(&[five, other, six], 3, 0b101)?;
    same("unwrapped badge", 5, pair.receiver.buffer().badge(0))?;
    same("unwrapped badge", 6, pair.receiver.buffer().badge(2))?;
    t.delete(pair.slot)?;
    pair.carries(&[other, five, six], 3, 0b110)?;
    t.delete(pair.slot)?;
    pair.carries(&[other, five, other], 2, 0b010)?;
    t.delete(pair.slot)?;
    pair.carries(&[five, six, other], 3, 0b011)?;
    t.is_empty(pair.slot, false)
}

/// `syscalls.md §11`, `semantics.md §1`: and what comes behind it does not go either.
fn what_cannot_be_derived_stops(t: &mut Tester) -> Outcome {
    let (pair, untyped) = (pair(t)?, t.untyped(8)?);
    let (table, vspace) = (t.make(Blueprint::PageTable)?, t.make(Blueprint::VSpace)?);
    t.make_from(untyped, Blueprint::Endpoint, 1)?;
    for cap in [untyped, table, vspace, IRQ_CONTROL, NULL] {
        pair.carries(&[cap, pair.endpoint], 0, 0)?;
        pair.carries(&[pair.endpoint, cap, pair.endpoint], 1, 1)?;
        t.is_empty(pair.slot, true)?;
    }
    Ok(())
}

/// `semantics.md §1`.
fn a_frame_arrives_unmapped(t: &mut Tester) -> Outcome {
    let (pair, (frame, address)) = (pair(t)?, t.mapped_frame()?);
    pair.carries(&[frame], 1, 0)?;
    let other = t.addresses(12);
    t.map_tables(VSPACE, other)?;
    accepts("ARCHPageMap", pair.slot, &[other, READ | WRITE, NORMAL], &[VSPACE])?;
    machine::poke(address, 0x1234_5678);
    same("the word seen through the copy", 0x1234_5678, machine::peek(other))
}

/// `syscalls.md §11`, `semantics.md §7`.
fn capabilities_are_looked_up_when_the_message_goes(t: &mut Tester) -> Outcome {
    let (pair, first, second) = (pair(t)?, t.notification()?, t.notification()?);
    pair.sender.buffer().set_caps(&[first]);
    pair.sender.blocks(Syscall::send(pair.endpoint).info(0, 1, 0))?;
    pair.sender.buffer().set_caps(&[second]);
    same("message info", 1 << 7, pair.receiver.does(Syscall::wait(pair.endpoint))?.info.word())?;
    keel::sys::send(pair.slot, Default::default(), [0; 4]);
    pair.sender.done()?;
    pair.sender.does(Syscall::wait(second))?.is_signal(0)?;
    // And what is gone by then does not go.
    t.delete(pair.slot)?;
    pair.sender.blocks(Syscall::send(pair.endpoint).info(0, 1, 0))?;
    t.delete(second)?;
    same("message info", 0, pair.receiver.does(Syscall::wait(pair.endpoint))?.info.word())
}

/// `syscalls.md §11`: not even those before the one that fails.
fn a_lookup_that_fails_later_means_no_capabilities(t: &mut Tester) -> Outcome {
    let (pair, cap) = (pair(t)?, t.notification()?);
    pair.sender.buffer().set_caps(&[pair.endpoint, cap]);
    pair.sender.blocks(Syscall::send(pair.endpoint).info(9, 2, 0).words(&[1]))?;
    pair.sender.buffer().set_caps(&[pair.endpoint, CPtr::new(1 << 63)]);
    pair.receiver.does(Syscall::wait(pair.endpoint))?.is(0, 9, &[1])?;
    pair.sender.done()?;
    Ok(())
}

/// `syscalls.md §11`.
fn the_receive_slot_counts_when_the_message_goes(t: &mut Tester) -> Outcome {
    let (pair, cap, slot) = (pair(t)?, t.notification()?, t.slot()?);
    pair.receiver.blocks(Syscall::wait(pair.endpoint))?;
    pair.receiver.buffer().set_receive_slot(CNODE, slot.bits(), DEPTH);
    pair.sender.buffer().set_caps(&[cap]);
    pair.sender.does(Syscall::send(pair.endpoint).info(0, 1, 0))?;
    same("message info", 1 << 7, pair.receiver.done()?.info.word())?;
    t.is_empty(pair.slot, true)?;
    t.is_empty(slot, false)
}

/// Lets the sender answer a call of the receiver, with capabilities.
#[track_caller]
fn reply_with(pair: &Pair, received_with: CPtr, reply: CPtr, caps: &[CPtr]) -> Outcome<Received> {
    pair.sender.blocks(Syscall::recv(pair.endpoint, received_with))?;
    pair.receiver.blocks(Syscall::call(pair.endpoint))?;
    pair.sender.done()?;
    pair.sender.buffer().set_caps(caps);
    pair.sender.does(Syscall::send(reply).info(0, caps.len(), 0))?;
    pair.receiver.done()
}

/// `syscalls.md §10` 3.
fn a_reply_carries_capabilities(t: &mut Tester) -> Outcome {
    let (pair, reply, cap) = (pair(t)?, t.reply()?, t.notification()?);
    let received = reply_with(&pair, reply, reply, &[cap, cap])?;
    same("message info", 1 << 7, received.info.word())?;
    t.is_empty(pair.slot, false)
}

/// `syscalls.md §10` 3.
fn a_reply_needs_grant_of_its_capability(t: &mut Tester) -> Outcome {
    let (pair, reply, cap) = (pair(t)?, t.reply()?, t.notification()?);
    let weak = t.copy(reply, WRITE | READ | GRANT_REPLY)?;
    same("message info", 0, reply_with(&pair, reply, weak, &[cap])?.info.word())?;
    t.is_empty(pair.slot, true)?;
    same("message info", 1 << 7, reply_with(&pair, weak, reply, &[cap])?.info.word())
}

/// `syscalls.md §10` 3: it comes through no endpoint.
fn a_reply_does_not_unwrap(t: &mut Tester) -> Outcome {
    let (pair, reply) = (pair(t)?, t.reply()?);
    let badged = t.mint(pair.endpoint, ALL, 5)?;
    let received = reply_with(&pair, reply, reply, &[badged, badged])?;
    same("message info", 1 << 7, received.info.word())?;
    t.is_empty(pair.slot, false)
}
