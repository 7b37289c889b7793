// SPDX-License-Identifier: MIT OR Apache-2.0

//! Calls: long stacks of them, and the largest message through the deepest CSpaces.

use core::cell::Cell;

use keel::boot::{CNODE, VSPACE};
use keel::cap::{
    Attributes, Blueprint, CNode, CNodeData, CPtr, Cap, Endpoint, Frame, Notification, Reply, Rights,
};
use keel::resources::PAGE_BYTES;
use keel_abi::message::{MAX_EXTRA_CAPS, MAX_LENGTH, MessageInfo, ipc_buffer};
use keel_abi::syscall::{CALL, RECV, REPLY_RECV, WAIT};

use crate::arena::{Arena, SIZES};
use crate::puppet::{ATTACKER, Call, Program, above};

/// Depths of CSpaces.
const LEVELS: [u64; 3] = [2, 8, 64];

/// All of them.
pub fn all(arena: &mut Arena<'_>) -> keel::Result {
    for size in SIZES {
        call_stack(arena, size)?;
    }
    for levels in LEVELS {
        deepest_message(arena, levels)?;
    }
    Ok(())
}

/// Cutting a stack of calls: a reply object in it dies. From the top down each second one does, so that each has others
/// above and below it.
fn call_stack(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    let bits = size.next_power_of_two().ilog2() as u8;
    let endpoints = arena.resources.untyped(bits + Blueprint::Endpoint.memory_bits())?;
    let replies = arena.resources.untyped(bits + Blueprint::Reply.memory_bits())?;
    let first = arena.resources.make_many_from(endpoints, Blueprint::Endpoint, size)?.bits();
    let first_reply = arena.resources.slots.allocate_range(size)?;
    let endpoint = |index| CPtr::new(first + index);
    let reply = |index| CPtr::new(first_reply + index);
    // The reply object that dies next.
    let next = Cell::new(0);
    arena.attack(
        "cut_call_stack",
        size,
        |arena| {
            if next.get() > 2 {
                next.set(next.get() - 2);
                return Ok(());
            }
            stop_calls(arena, size)?;
            CNODE.path(replies.cptr()).revoke()?;
            for done in (0..size).step_by(256) {
                replies.retype(Blueprint::Reply, CNODE, 0, 0, first_reply + done, 256.min(size - done))?;
            }
            for index in 1..size {
                let receive = Call::new(RECV, endpoint(index)).reply(reply(index));
                let then =
                    if index + 1 < size { Call::new(CALL, endpoint(index + 1)) } else { arena.parked() };
                arena.crowd.start(index, Program::OnceThenAlways(receive, then), above(index))?;
                arena.crowd.context(index).unbind()?;
            }
            let call = Call::new(CALL, endpoint(1));
            arena.crowd.start(0, Program::OnceThenAlways(call, arena.parked()), above(0))?;
            next.set(size - 2);
            Ok(())
        },
        |_| Ok(CNODE.path(reply(next.get())).delete()?),
    )?;
    stop_calls(arena, size)?;
    (0..size).for_each(|index| arena.resources.slots.release(first + index));
    (0..size).for_each(|index| arena.resources.slots.release(first_reply + index));
    arena.resources.release_untyped(endpoints)?;
    arena.resources.release_untyped(replies)
}

/// Stops the threads of a stack of calls, and gives each its own time again.
fn stop_calls(arena: &mut Arena<'_>, size: u64) -> keel::Result {
    arena.crowd.stop(size)?;
    for index in 0..size {
        arena.crowd.context(index).unbind()?;
    }
    (0..size).try_for_each(|index| Ok(arena.crowd.context(index).bind_tcb(arena.crowd.tcb(index))?))
}

/// Where capabilities stand in a deep CSpace: the last bits of their addresses; all others are 0.
const IN_LAST: u64 = 0b01;
const IN_SIDE: [u64; 2] = [0b10, 0b11];

/// A CSpace of CNodes with two slots each, one in the other.
struct DeepCSpace {
    /// The outermost CNode, with a guard that makes up for the levels that are missing.
    root: Cap<CNode>,
    /// The outermost one without.
    bare: Cap<CNode>,
    /// The innermost one.
    last: Cap<CNode>,
    /// One beside it.
    side: Cap<CNode>,
}

impl DeepCSpace {
    fn new(arena: &mut Arena<'_>, levels: u64) -> keel::Result<Self> {
        let resources = &mut arena.resources;
        let bare = resources.allocate_cnode(1)?;
        let mut outer = bare;
        let mut last = bare;
        for _ in 1..levels {
            outer = last;
            last = resources.allocate_cnode(1)?;
            outer.slot(0, 1).copy_from(CNODE.path(last.cptr()), Rights::ALL)?;
        }
        let side = resources.allocate_cnode(1)?;
        outer.slot(1, 1).copy_from(CNODE.path(side.cptr()), Rights::ALL)?;
        let guard = CNodeData::new(0, 64 - levels);
        let root = resources.mint(bare, Rights::ALL, guard.word())?;
        Ok(Self { root, bare, last, side })
    }

    /// Puts copies of capabilities to where [`IN_LAST`] and [`IN_SIDE`] name them.
    fn fill<T, U, V>(&self, last: Cap<T>, side: (Cap<U>, Cap<V>)) -> keel::Result {
        self.last.slot(1, 1).copy_from(CNODE.path(last.cptr()), Rights::ALL)?;
        self.side.slot(0, 1).copy_from(CNODE.path(side.0.cptr()), Rights::ALL)?;
        self.side.slot(1, 1).copy_from(CNODE.path(side.1.cptr()), Rights::ALL)?;
        Ok(())
    }
}

/// A frame for an IPC buffer, mapped where the attacker can write to it.
fn buffer(arena: &mut Arena<'_>) -> keel::Result<(Cap<Frame>, u64)> {
    let frame = arena.resources.allocate_frame()?;
    Ok((frame, arena.resources.map_frames(frame.cptr(), 1, Attributes::DATA)?.start))
}

/// Writes a word of an IPC buffer.
fn set_word(buffer: u64, word: usize, value: u64) {
    debug_assert!(word < PAGE_BYTES as usize / 8);
    // SAFETY: a page that `buffer` mapped, of which no reference exists.
    unsafe { (buffer as *mut u64).add(word).write_volatile(value) };
}

/// A call with as many words and capabilities as there can be, and an answer as long, between two threads with
/// CSpaces that are as deep as can be. Two of the capabilities are unwrapped, the third is transferred.
fn deepest_message(arena: &mut Arena<'_>, levels: u64) -> keel::Result {
    let (endpoint, reply) = (arena.make::<Endpoint>()?, arena.make::<Reply>()?);
    let (gift, bell) = (arena.make::<Notification>()?, arena.make::<Notification>()?);
    let (sender, receiver) = (DeepCSpace::new(arena, levels)?, DeepCSpace::new(arena, levels)?);
    let target = DeepCSpace::new(arena, levels)?;
    sender.fill(endpoint, (gift, bell))?;
    receiver.fill(endpoint, (reply, target.bare))?;

    let (sender_buffer, receiver_buffer) = (buffer(arena)?, buffer(arena)?);
    for (index, cap) in [IN_LAST, IN_LAST, IN_SIDE[0]].into_iter().enumerate() {
        set_word(sender_buffer.1, ipc_buffer::CAPS_OR_BADGES + index, cap);
    }
    set_word(receiver_buffer.1, ipc_buffer::RECEIVE_CNODE, IN_SIDE[1]);
    set_word(receiver_buffer.1, ipc_buffer::RECEIVE_INDEX, IN_LAST);
    set_word(receiver_buffer.1, ipc_buffer::RECEIVE_DEPTH, levels);

    let at = |bits, number| Call::new(number, CPtr::new(bits));
    let receive = at(IN_LAST, RECV).reply(CPtr::new(IN_SIDE[0]));
    let answer = MessageInfo::new(0, 0, 0, MAX_LENGTH);
    let reply_receive = at(IN_LAST, REPLY_RECV).reply(CPtr::new(IN_SIDE[0])).info(answer);
    let serve = Program::OnceThenAlways(receive, reply_receive);
    let message = MessageInfo::new(0, 0, MAX_EXTRA_CAPS, MAX_LENGTH);
    let send = Program::InTurns(at(IN_SIDE[1], WAIT), at(IN_LAST, CALL).info(message));
    for (index, space, buffer, program) in
        [(0, &receiver, receiver_buffer, serve), (1, &sender, sender_buffer, send)]
    {
        let tcb = arena.crowd.tcb(index);
        tcb.configure(space.root, CNodeData::default(), VSPACE, buffer.1, buffer.0)?;
        arena.crowd.start(index, program, ATTACKER + 1 + index as u8)?;
    }
    arena.attack(
        "deepest_message",
        levels,
        |_| Ok(target.last.slot(1, 1).delete()?),
        |_| {
            bell.signal();
            Ok(())
        },
    )?;
    // The last message has come through.
    if target.last.slot(1, 1).copy_from(CNODE.path(gift.cptr()), Rights::ALL).is_ok() {
        return Err(keel::Error::Missing("capability that was sent"));
    }
    arena.crowd.stop(2)?;
    (0..2).try_for_each(|index| {
        let tcb = arena.crowd.tcb(index);
        Ok(tcb.configure(CNODE, CNodeData::default(), VSPACE, 0, Cap::null())?)
    })
}
