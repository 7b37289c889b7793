// SPDX-License-Identifier: MIT OR Apache-2.0

//! The system calls, as they are: numbers in registers, no types.
//!
//! Everything else in this crate is built on these functions; programs seldom need them. A receiving
//! call that ends by a bound notification leaves message info and words as the caller passed them
//! (`syscalls.md` §9.1): these functions pass zeros where the call has no such input, so that nothing
//! stale shows.

use keel_abi::{message::MessageInfo, syscall};

use crate::{
    arch::{self, Input, Output},
    cap::CPtr,
};

/// What a receiving call gave back.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Badge of the capability the message came through, word of the notification, or 0.
    pub badge: u64,
    /// Label, length and capabilities of the message.
    pub info: MessageInfo,
    /// Message words 0–3; the rest is in the IPC buffer.
    pub words: [u64; 4],
}

impl From<Output> for Received {
    #[inline(always)]
    fn from(output: Output) -> Self {
        Self { badge: output.badge, info: MessageInfo(output.info), words: output.words }
    }
}

#[inline(always)]
fn message(cap: CPtr, info: MessageInfo, words: [u64; 4]) -> Input {
    Input { cap: cap.bits(), info: info.0, words, reply: 0 }
}

#[inline(always)]
fn reception(cap: CPtr, reply: CPtr) -> Input {
    Input { cap: cap.bits(), reply: reply.bits(), ..Input::default() }
}

/// Call: sends and waits for the reply.
#[inline(always)]
pub fn call(destination: CPtr, info: MessageInfo, words: [u64; 4]) -> Received {
    arch::trap_receive(syscall::CALL, message(destination, info, words)).into()
}

/// ReplyRecv: invokes `reply`, then receives from `source` with `reply` as reply object.
#[inline(always)]
pub fn reply_recv(source: CPtr, info: MessageInfo, words: [u64; 4], reply: CPtr) -> Received {
    let input = Input { reply: reply.bits(), ..message(source, info, words) };
    arch::trap_receive(syscall::REPLY_RECV, input).into()
}

/// NBSendRecv: sends to `destination` if somebody waits there, then receives from `source`.
#[inline(always)]
pub fn nb_send_recv(
    destination: CPtr,
    info: MessageInfo,
    words: [u64; 4],
    source: CPtr,
    reply: CPtr,
) -> Received {
    let input = Input { reply: reply.bits(), ..message(source, info, words) };
    arch::trap_send_receive(syscall::NB_SEND_RECV, input, destination.bits()).into()
}

/// NBSendWait: sends to `destination` if somebody waits there, then waits on `source` without a reply
/// object. The destination travels in the reply register.
#[inline(always)]
pub fn nb_send_wait(destination: CPtr, info: MessageInfo, words: [u64; 4], source: CPtr) -> Received {
    let input = Input { reply: destination.bits(), ..message(source, info, words) };
    arch::trap_receive(syscall::NB_SEND_WAIT, input).into()
}

/// Send: blocks until the message is taken.
#[inline(always)]
pub fn send(destination: CPtr, info: MessageInfo, words: [u64; 4]) {
    arch::trap_send(syscall::SEND, message(destination, info, words));
}

/// NBSend: sends if somebody waits, else does nothing.
#[inline(always)]
pub fn nb_send(destination: CPtr, info: MessageInfo, words: [u64; 4]) {
    arch::trap_send(syscall::NB_SEND, message(destination, info, words));
}

/// Recv: blocks until a message comes; a Call's sender is answered through `reply`.
#[inline(always)]
pub fn recv(source: CPtr, reply: CPtr) -> Received {
    arch::trap_receive(syscall::RECV, reception(source, reply)).into()
}

/// NBRecv: takes a message that waits, else gives badge 0.
#[inline(always)]
pub fn nb_recv(source: CPtr, reply: CPtr) -> Received {
    arch::trap_receive(syscall::NB_RECV, reception(source, reply)).into()
}

/// Wait: Recv without reply object.
#[inline(always)]
pub fn wait(source: CPtr) -> Received {
    arch::trap_receive(syscall::WAIT, reception(source, CPtr::NULL)).into()
}

/// NBWait: Wait that gives badge 0 when nothing is there.
#[inline(always)]
pub fn nb_wait(source: CPtr) -> Received {
    arch::trap_receive(syscall::NB_WAIT, reception(source, CPtr::NULL)).into()
}

/// Yield: gives up the rest of the head refill.
#[inline(always)]
pub fn yield_now() {
    arch::trap_send(syscall::YIELD, Input::default());
}

/// Any number at all: the answer to a number that the kernel does not know is an UnknownSyscall fault,
/// which is also how a program of this library ends ([`crate::rt::exit`]).
#[inline(always)]
pub fn unknown(number: i64, input: Input) -> Received {
    arch::trap_receive(number, input).into()
}

/// The calls that only debug kernels have; in others each is an UnknownSyscall fault.
pub mod debug {
    use super::{CPtr, Input, arch, syscall};

    fn with_cap(cap: u64) -> Input {
        Input { cap, ..Input::default() }
    }

    /// A character on the kernel's console.
    pub fn put_char(character: u8) {
        arch::trap_send(syscall::DEBUG_PUT_CHAR, with_cap(character.into()));
    }

    /// The kernel prints its threads.
    pub fn dump_scheduler() {
        arch::trap_send(syscall::DEBUG_DUMP_SCHEDULER, Input::default());
    }

    /// The kernel halts the machine.
    pub fn halt() {
        arch::trap_send(syscall::DEBUG_HALT, Input::default());
    }

    /// The kernel's number for the type of a capability; 0 for an empty slot.
    pub fn cap_identify(cap: CPtr) -> u64 {
        arch::trap_receive(syscall::DEBUG_CAP_IDENTIFY, with_cap(cap.bits())).badge
    }

    /// The kernel prints all objects.
    pub fn snapshot() {
        arch::trap_send(syscall::DEBUG_SNAPSHOT, Input::default());
    }

    /// Names a thread for the kernel's messages. The name passes through the IPC buffer, cut to what
    /// fits there with its final zero.
    pub fn name_thread(tcb: CPtr, name: &str) {
        crate::ipc::buffer().set_message_text(name);
        arch::trap_send(syscall::DEBUG_NAME_THREAD, with_cap(tcb.bits()));
    }
}
