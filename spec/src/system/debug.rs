// SPDX-License-Identifier: MIT OR Apache-2.0

//! Debug calls (`syscalls.md` §13). Only a kernel built for debugging has them.
//!
//! They are not operations of the system: they take none of anybody's time, and nobody else runs after them than
//! before. What they print is not said here.

use super::{NotCovered, System};
use crate::algebra::Kind;
use crate::concrete::Object;
use keel_abi::aarch64::cap_type as arch_type;
use keel_abi::aarch64::registers::CAPABILITY;
use keel_abi::message::{MAX_LENGTH, ipc_buffer};
use keel_abi::{cap_type, syscall};

/// The longest name of a thread, in bytes.
const NAME_BYTES: usize = 64;

impl System {
    /// `thread` makes the debug call with this number; whether there is one.
    pub(super) fn debug_call(&mut self, thread: Object, number: i64) -> Result<bool, NotCovered> {
        match number {
            _ if !self.is_debug => return Ok(false),
            syscall::DEBUG_PUT_CHAR | syscall::DEBUG_DUMP_SCHEDULER | syscall::DEBUG_SNAPSHOT => {}
            syscall::DEBUG_HALT => return Err(NotCovered("the end of everything")),
            syscall::DEBUG_CAP_IDENTIFY => {
                let address = self.thread(thread).registers[CAPABILITY];
                let kind = self.lookup(thread, address).map(|slot| self.cap(&slot));
                let number = kind.map_or(cap_type::NULL, |cap| number_of(cap.kind, cap.object));
                self.thread_mut(thread).registers[CAPABILITY] = number;
            }
            syscall::DEBUG_NAME_THREAD => {
                if let Some((named, name)) = self.name_in_message(thread) {
                    self.thread_mut(named).name = name;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The thread that the capability register names, and the text in the buffer up to a zero. None if either is not
    /// there.
    fn name_in_message(&self, thread: Object) -> Option<(Object, Vec<u8>)> {
        let slot = self.lookup(thread, self.thread(thread).registers[CAPABILITY]).ok()?;
        let named = Some(self.cap(&slot)).filter(|cap| cap.kind == Kind::Tcb)?.object;
        let buffer = self.send_buffer(thread)?;
        let words = (0..MAX_LENGTH).map(|index| self.load(buffer + 8 * (ipc_buffer::MSG + index) as u64));
        let text: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
        let end = text.iter().position(|byte| *byte == 0)?;
        Some((named, text[..end.min(NAME_BYTES)].to_vec()))
    }

    /// The name of a thread that `creator` makes; none if that is not built for debugging.
    pub(super) fn name_after(&self, creator: Object) -> Vec<u8> {
        let mut name = [b"child of: '".as_slice(), &self.thread(creator).name, b"'"].concat();
        name.truncate(NAME_BYTES - 1);
        if self.is_debug { name } else { vec![] }
    }
}

/// The number of the interface for a kind of capability.
const fn number_of(kind: Kind, object: Object) -> u64 {
    match (kind, object) {
        (Kind::Null, _) => cap_type::NULL,
        (Kind::Untyped, _) => cap_type::UNTYPED,
        (Kind::Endpoint, _) => cap_type::ENDPOINT,
        (Kind::Notification, _) => cap_type::NOTIFICATION,
        (Kind::Reply, _) => cap_type::REPLY,
        (Kind::CNode, _) => cap_type::CNODE,
        (Kind::Tcb, _) => cap_type::TCB,
        (Kind::SchedContext, _) => cap_type::SCHED_CONTEXT,
        (Kind::Frame, _) => arch_type::FRAME,
        (Kind::Table, _) => arch_type::PAGE_TABLE,
        (Kind::VSpace, _) => arch_type::VSPACE,
        (Kind::AsidPool, _) => arch_type::ASID_POOL,
        (Kind::IrqHandler, _) => cap_type::IRQ_HANDLER,
        (Kind::IrqControl, _) => cap_type::IRQ_CONTROL,
        (Kind::Authority, Object::Domains) => cap_type::DOMAIN,
        (Kind::Authority, Object::Core(_)) => cap_type::SCHED_CONTROL,
        (Kind::Authority, _) => arch_type::ASID_CONTROL,
        (Kind::Zombie, _) => cap_type::ZOMBIE,
    }
}
