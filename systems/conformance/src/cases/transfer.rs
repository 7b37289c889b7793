// SPDX-License-Identifier: MIT OR Apache-2.0

//! What messages carry: words through the IPC buffer, capabilities (`syscalls.md §4, §11`).

use keel::cap::{Blueprint, CNodeData, CPtr};
use keel_abi::message::{MessageInfo, ipc_buffer};

use super::Case;
use crate::{
    check::*,
    invoke::*,
    puppet::{Puppet, Syscall},
    tester::*,
};

/// The cases of this file.
pub const CASES: &[Case] = cases![
    words_go_through_both_buffers,
    lengths_above_120_mean_120,
    the_buffers_first_words_are_not_touched,
    a_sender_without_buffer_sends_four_words,
    a_receiver_without_buffer_gets_four_words,
    a_read_only_buffer_sends_but_does_not_receive,
    a_buffer_need_not_be_mapped,
    a_buffer_lies_at_its_address_in_the_frame,
    a_buffer_whose_frame_is_gone_is_none,
    a_capability_is_transferred,
    a_transferred_capability_is_a_child_of_its_source,
    rights_of_a_transferred_capability_stay,
    without_grant_no_capability_is_transferred,
    answers_transfer_by_the_reply_objects_grant,
    endpoints_of_the_same_kind_are_unwrapped,
    unwrapping_needs_no_slot,
    unwrapping_and_transfer_mix,
    only_one_capability_is_transferred,
    a_full_slot_takes_nothing,
    a_slot_that_is_not_found_takes_nothing,
    a_receive_slot_lies_below_any_cnode,
    underivable_capabilities_end_the_transfer,
    a_null_capability_ends_the_transfer,
    the_capabilities_of_a_queued_sender_are_looked_up_late,
    the_number_of_capabilities_is_that_processed,
    answers_do_not_unwrap,
    a_receiver_without_buffer_gets_no_capabilities,
];

/// A receiver that waits on the endpoint, with this receive slot of [`CNODE`].
fn receiver(t: &mut Tester, endpoint: CPtr, slot: CPtr) -> Outcome<Puppet> {
    let puppet = t.puppet(ABOVE)?;
    puppet.buffer().set_receive_slot(CNODE, slot.bits(), DEPTH);
    puppet.blocks(Syscall::wait(endpoint))?;
    Ok(puppet)
}

/// A sender that sends these capabilities.
fn send_caps(t: &mut Tester, endpoint: CPtr, caps: &[CPtr]) -> Outcome<Puppet> {
    let puppet = t.puppet(ABOVE)?;
    puppet.buffer().set_caps(caps);
    puppet.start(Syscall::nb_send(endpoint).info(0, caps.len(), 0))?;
    puppet.done()?;
    Ok(puppet)
}

/// Expects a message without words: so many capabilities, of which these were unwrapped.
#[track_caller]
fn has_caps(puppet: &Puppet, unwrapped: u64, count: usize) -> Outcome {
    let received = puppet.done()?;
    same("message info", MessageInfo::new(0, unwrapped, count, 0).word(), received.info.word())
}

/// `syscalls.md §11`.
fn words_go_through_both_buffers(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for length in [5, 6, 77, 120] {
        sender.buffer().fill(0x1000);
        receiver.buffer().fill(0x2000);
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(0, 0, length))?;
        let received = receiver.done()?;
        same("message info", length as u64, received.info.word())?;
        received.words_are(&[1, 2, 3, 4])?;
        for index in 4..length {
            let expected = 0x1000 + (ipc_buffer::MSG + index) as u64;
            same("a word", expected, receiver.buffer().word(index))?;
        }
        receiver.buffer().is_filled(0x2000, ipc_buffer::MSG + length..512)?;
        receiver.buffer().is_filled(0x2000, 0..ipc_buffer::MSG + 4)?;
        sender.buffer().is_filled(0x1000, 0..512)?;
    }
    Ok(())
}

/// `syscalls.md §3`.
fn lengths_above_120_mean_120(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    for length in [121, 127] {
        receiver.buffer().fill(0x2000);
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(Syscall::send(endpoint).raw_info(length))?;
        same("message info", 120, receiver.done()?.info.word())?;
        // What stands behind the message, the user's own word, stays.
        receiver.buffer().is_filled(0x2000, ipc_buffer::MSG + 120..512)?;
    }
    Ok(())
}

/// `syscalls.md §4`: msg[0..4] and the tag are neither read nor written.
fn the_buffers_first_words_are_not_touched(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.buffer().fill(0x3000);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).words(&[9, 8, 7, 6]))?;
    receiver.done()?.is(0, 0, &[9, 8, 7, 6])?;
    receiver.buffer().is_filled(0x3000, 0..512)
}

/// `syscalls.md §4`.
fn a_sender_without_buffer_sends_four_words(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", sender.tcb, &[0], &[NULL])?;
    receiver.buffer().fill(0x2000);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(5, 3, 77))?;
    receiver.done()?.is(0, 5, &[1, 2, 3, 4])?;
    receiver.buffer().is_filled(0x2000, 0..512)
}

/// `syscalls.md §4`.
fn a_receiver_without_buffer_gets_four_words(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", receiver.tcb, &[0], &[NULL])?;
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(5, 0, 77))?;
    receiver.done()?.is(0, 5, &[1, 2, 3, 4])
}

/// `syscalls.md §4`.
fn a_read_only_buffer_sends_but_does_not_receive(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let (first, second) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let address = first.buffer().address();
    let read_only = t.copy(image_frame(address), READ)?;
    accepts("TCBSetIPCBuffer", first.tcb, &[address], &[read_only])?;
    first.buffer().fill(0x1000);
    second.blocks(Syscall::wait(endpoint))?;
    first.does(Syscall::send(endpoint).info(0, 0, 6))?;
    same("message info", 6, second.done()?.info.word())?;
    same("a word", 0x1000 + 6, second.buffer().word(5))?;
    first.blocks(Syscall::wait(endpoint))?;
    second.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(0, 0, 6))?;
    first.done()?.is(0, 0, &[1, 2, 3, 4])?;
    first.buffer().is_filled(0x1000, 0..512)?;
    // With no right at all it is none for both.
    let none = t.copy(image_frame(address), 0)?;
    accepts("TCBSetIPCBuffer", first.tcb, &[address], &[none])?;
    second.blocks(Syscall::wait(endpoint))?;
    first.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(0, 0, 6))?;
    second.done()?.is(0, 0, &[1, 2, 3, 4])
}

/// `syscalls.md §4`: only the capability matters.
fn a_buffer_need_not_be_mapped(t: &mut Tester) -> Outcome {
    let (endpoint, (frame, address)) = (t.endpoint()?, t.mapped_frame()?);
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    let copy = t.copy(frame, ALL)?;
    // The address is where the thread would see it; nothing is mapped there.
    accepts("TCBSetIPCBuffer", receiver.tcb, &[0x6000_0000], &[copy])?;
    sender.buffer().fill(0x1000);
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).info(0, 0, 8))?;
    same("message info", 8, receiver.done()?.info.word())?;
    same("a word", 0x1000 + 8, crate::machine::peek(address + 64))
}

/// `syscalls.md §4`: frame base + (address mod frame size).
fn a_buffer_lies_at_its_address_in_the_frame(t: &mut Tester) -> Outcome {
    let (endpoint, (frame, address)) = (t.endpoint()?, t.mapped_frame()?);
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    sender.buffer().fill(0x1000);
    for offset in [0, 0x400, 0x800, 0xc00] {
        accepts("TCBSetIPCBuffer", receiver.tcb, &[0x7123_4560_0000 + offset], &[frame])?;
        receiver.blocks(Syscall::wait(endpoint))?;
        sender.does(Syscall::send(endpoint).info(0, 0, 8))?;
        receiver.done()?;
        same("a word", 0x1000 + 8, crate::machine::peek(address + offset + 64))?;
        crate::machine::poke(address + offset + 64, 0);
    }
    Ok(())
}

/// Revoking the frame takes the TCB's copy away.
fn a_buffer_whose_frame_is_gone_is_none(t: &mut Tester) -> Outcome {
    let (endpoint, frame) = (t.endpoint()?, t.frame()?);
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    accepts("TCBSetIPCBuffer", receiver.tcb, &[0x1000], &[frame])?;
    t.revoke(frame)?;
    receiver.blocks(Syscall::wait(endpoint))?;
    sender.does(Syscall::send(endpoint).words(&[1, 2, 3, 4]).info(0, 0, 8))?;
    receiver.done()?.is(0, 0, &[1, 2, 3, 4])
}

/// `syscalls.md §11`.
fn a_capability_is_transferred(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    let badged = t.mint(notification, ALL, 0x31)?;
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[badged])?;
    has_caps(&receiver, 0, 1)?;
    keel::sys::send(slot, Default::default(), [0; 4]);
    same("word", 0x31, keel::sys::nb_wait(notification).badge)
}

/// `syscalls.md §11`.
fn a_transferred_capability_is_a_child_of_its_source(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[notification])?;
    has_caps(&receiver, 0, 1)?;
    t.is_empty(slot, false)?;
    t.revoke(notification)?;
    t.is_empty(slot, true)
}

/// `syscalls.md §11`: rights unchanged, not less.
fn rights_of_a_transferred_capability_stay(t: &mut Tester) -> Outcome {
    let (endpoint, other, slot) = (t.endpoint()?, t.endpoint()?, t.slot()?);
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[other])?;
    has_caps(&receiver, 0, 1)?;
    // All rights: else this is refused.
    accepts("CNodeCancelBadgedSends", CNODE, &[slot.bits(), DEPTH], &[])?;
    Ok(())
}

/// `syscalls.md §11`: Grant.
fn without_grant_no_capability_is_transferred(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    for rights in [WRITE, WRITE | GRANT_REPLY, WRITE | READ | GRANT_REPLY] {
        let weak = t.copy(endpoint, rights)?;
        let receiver = receiver(t, endpoint, slot)?;
        // Not even unwrapped.
        send_caps(t, weak, &[notification, endpoint])?;
        has_caps(&receiver, 0, 0)?;
        t.is_empty(slot, true)?;
    }
    Ok(())
}

/// A caller that waits for its answer with a receive slot, and who answers by `reply`.
fn called(t: &mut Tester, reply: CPtr, slot: CPtr) -> Outcome<(Puppet, Puppet, CPtr)> {
    let (endpoint, caller, server) = (t.endpoint()?, t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    caller.buffer().set_receive_slot(CNODE, slot.bits(), DEPTH);
    caller.blocks(Syscall::call(endpoint))?;
    server.does(Syscall::recv(endpoint, reply))?;
    Ok((caller, server, endpoint))
}

/// `syscalls.md §10` 3: extra capabilities only if the reply capability has Grant.
fn answers_transfer_by_the_reply_objects_grant(t: &mut Tester) -> Outcome {
    let (reply, slot, notification) = (t.reply()?, t.slot()?, t.notification()?);
    let weak = t.copy(reply, 0)?;
    for (cap, count) in [(weak, 0), (reply, 1)] {
        let (caller, server, _) = called(t, reply, slot)?;
        server.buffer().set_caps(&[notification]);
        server.does(Syscall::send(cap).info(0, 1, 0))?;
        has_caps(&caller, 0, count)?;
        t.is_empty(slot, count == 0)?;
    }
    Ok(())
}

/// `syscalls.md §11`: its badge arrives instead.
fn endpoints_of_the_same_kind_are_unwrapped(t: &mut Tester) -> Outcome {
    let (endpoint, slot) = (t.endpoint()?, t.slot()?);
    let badged = t.mint(endpoint, ALL, 0x71)?;
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[badged])?;
    has_caps(&receiver, 1, 1)?;
    same("badge", 0x71, receiver.buffer().badge(0))?;
    t.is_empty(slot, true)
}

/// `syscalls.md §11`: three of them.
fn unwrapping_needs_no_slot(t: &mut Tester) -> Outcome {
    let endpoint = t.endpoint()?;
    let caps = [t.mint(endpoint, 0, 1)?, t.mint(endpoint, READ, 2)?, endpoint];
    let receiver = receiver(t, endpoint, endpoint)?;
    send_caps(t, endpoint, &caps)?;
    has_caps(&receiver, 7, 3)?;
    for (index, badge) in [1, 2, 0].into_iter().enumerate() {
        same("badge", badge, receiver.buffer().badge(index))?;
    }
    Ok(())
}

/// `syscalls.md §11`: in order.
fn unwrapping_and_transfer_mix(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    let (one, two) = (t.mint(endpoint, ALL, 1)?, t.mint(endpoint, ALL, 2)?);
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[one, notification, two])?;
    has_caps(&receiver, 0b101, 3)?;
    same("badge", 1, receiver.buffer().badge(0))?;
    same("badge", 2, receiver.buffer().badge(2))?;
    t.is_empty(slot, false)
}

/// `syscalls.md §11`: the slot takes one capability of a message.
fn only_one_capability_is_transferred(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    let badged = t.mint(endpoint, ALL, 9)?;
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[notification, notification, badged])?;
    has_caps(&receiver, 0, 1)
}

/// `syscalls.md §11`: must be empty.
fn a_full_slot_takes_nothing(t: &mut Tester) -> Outcome {
    let (endpoint, full, notification) = (t.endpoint()?, t.endpoint()?, t.notification()?);
    let receiver = receiver(t, endpoint, full)?;
    send_caps(t, endpoint, &[notification])?;
    has_caps(&receiver, 0, 0)?;
    accepts("CNodeCancelBadgedSends", CNODE, &[full.bits(), DEPTH], &[])?;
    Ok(())
}

/// `syscalls.md §11`: any failure of the lookup means no slot.
fn a_slot_that_is_not_found_takes_nothing(t: &mut Tester) -> Outcome {
    let (endpoint, notification, slot) = (t.endpoint()?, t.notification()?, t.slot()?);
    let nowhere = CPtr::new(1 << 60);
    for (root, index, depth) in [
        (nowhere, slot.bits(), DEPTH),
        (endpoint, slot.bits(), DEPTH),
        (NULL, slot.bits(), DEPTH),
        (CNODE, slot.bits(), 0),
        (CNODE, slot.bits(), 65),
        (CNODE, 1 << 60, DEPTH),
        (CNODE, slot.bits(), 20),
    ] {
        let puppet = t.puppet(ABOVE)?;
        puppet.buffer().set_receive_slot(root, index, depth);
        puppet.blocks(Syscall::wait(endpoint))?;
        let sender = send_caps(t, endpoint, &[notification])?;
        has_caps(&puppet, 0, 0)?;
        for thread in [puppet, sender] {
            accepts("SchedContextUnbind", thread.sc, &[], &[])?;
        }
    }
    Ok(())
}

/// `syscalls.md §11`: by the lookup of CNode operations.
fn a_receive_slot_lies_below_any_cnode(t: &mut Tester) -> Outcome {
    let (endpoint, notification) = (t.endpoint()?, t.notification()?);
    let (outer, inner) = (t.cnode(3)?, t.cnode(2)?);
    let guarded = t.mint(inner, ALL, CNodeData::new(1, 2).word())?;
    accepts("CNodeMove", outer, &[6, 3, guarded.bits(), DEPTH], &[CNODE])?;
    let puppet = t.puppet(ABOVE)?;
    puppet.buffer().set_receive_slot(outer, 0xf00 | 0b110_01_11, 7);
    puppet.blocks(Syscall::wait(endpoint))?;
    send_caps(t, endpoint, &[notification])?;
    has_caps(&puppet, 0, 1)?;
    let spare = t.slot()?;
    accepts("CNodeMove", CNODE, &[spare.bits(), DEPTH, 3, 2], &[inner])?;
    Ok(())
}

/// `syscalls.md §11`: processing stops there.
fn underivable_capabilities_end_the_transfer(t: &mut Tester) -> Outcome {
    let (endpoint, slot, parent) = (t.endpoint()?, t.slot()?, t.untyped(12)?);
    t.make_from(parent, Blueprint::Endpoint, 1)?;
    let (table, root) = (t.make(Blueprint::PageTable)?, t.make(Blueprint::VSpace)?);
    let badged = t.mint(endpoint, ALL, 4)?;
    for cap in [parent, table, root, IRQ_CONTROL] {
        let receiver = receiver(t, endpoint, slot)?;
        send_caps(t, endpoint, &[badged, cap, badged])?;
        has_caps(&receiver, 1, 1)?;
        t.is_empty(slot, true)?;
    }
    Ok(())
}

/// A null capability has no copy, so nothing follows it.
fn a_null_capability_ends_the_transfer(t: &mut Tester) -> Outcome {
    let (endpoint, slot) = (t.endpoint()?, t.slot()?);
    let badged = t.mint(endpoint, ALL, 4)?;
    let receiver = receiver(t, endpoint, slot)?;
    send_caps(t, endpoint, &[NULL, badged])?;
    has_caps(&receiver, 0, 0)
}

/// `syscalls.md §11`: at transfer time; a failure then means no capabilities.
fn the_capabilities_of_a_queued_sender_are_looked_up_late(t: &mut Tester) -> Outcome {
    let (endpoint, slot, source) = (t.endpoint()?, t.slot()?, t.notification()?);
    let late = t.notification()?;
    let (sender, receiver) = (t.puppet(ABOVE)?, t.puppet(ABOVE)?);
    receiver.buffer().set_receive_slot(CNODE, slot.bits(), DEPTH);
    sender.buffer().set_caps(&[source]);
    sender.blocks(Syscall::send(endpoint).info(0, 1, 0))?;
    // Another capability in the buffer now: that is what is sent.
    let badged = t.mint(late, ALL, 5)?;
    sender.buffer().set_caps(&[badged]);
    receiver.start(Syscall::wait(endpoint))?;
    has_caps(&receiver, 0, 1)?;
    keel::sys::send(slot, Default::default(), [0; 4]);
    same("word", 5, keel::sys::nb_wait(late).badge)?;
    sender.done()?;
    t.delete(slot)?;
    sender.blocks(Syscall::send(endpoint).info(0, 1, 0))?;
    sender.buffer().set_caps(&[CPtr::new(1 << 60)]);
    receiver.start(Syscall::wait(endpoint))?;
    has_caps(&receiver, 0, 0)?;
    sender.done()?;
    Ok(())
}

/// `syscalls.md §3`.
fn the_number_of_capabilities_is_that_processed(t: &mut Tester) -> Outcome {
    let (endpoint, slot, notification) = (t.endpoint()?, t.slot()?, t.notification()?);
    let (sender, puppet) = (t.puppet(ABOVE)?, receiver(t, endpoint, slot)?);
    sender.buffer().set_caps(&[notification, notification, notification]);
    sender.does(Syscall::send(endpoint).words(&[1, 2]).info(3, 1, 2))?;
    let received = puppet.done()?;
    same("message info", MessageInfo::new(3, 0, 1, 2).word(), received.info.word())?;
    received.words_are(&[1, 2])
}

/// `syscalls.md §10` 3: no unwrapping.
fn answers_do_not_unwrap(t: &mut Tester) -> Outcome {
    let (reply, slot) = (t.reply()?, t.slot()?);
    let (caller, server, endpoint) = called(t, reply, slot)?;
    server.buffer().set_caps(&[endpoint]);
    server.does(Syscall::send(reply).info(0, 1, 0))?;
    has_caps(&caller, 0, 1)?;
    t.is_empty(slot, false)
}

/// `syscalls.md §4`.
fn a_receiver_without_buffer_gets_no_capabilities(t: &mut Tester) -> Outcome {
    let (endpoint, notification) = (t.endpoint()?, t.notification()?);
    let puppet = t.puppet(ABOVE)?;
    accepts("TCBSetIPCBuffer", puppet.tcb, &[0], &[NULL])?;
    puppet.blocks(Syscall::wait(endpoint))?;
    send_caps(t, endpoint, &[notification, endpoint])?;
    has_caps(&puppet, 0, 0)
}
