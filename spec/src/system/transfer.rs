// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a message takes from thread to thread (`syscalls.md` §4 and §11).

use super::call::Message;
use super::error::LookupFailure;
use super::{BUFFER, System};
use crate::algebra::{Algebra, Kind, Rights};
use crate::concrete::{Object, Slot};
use keel_abi::aarch64::registers::{CAPABILITY, MESSAGE, MESSAGE_INFO};
use keel_abi::message::{MessageInfo, ipc_buffer};

impl System {
    /// Copies the message of `from`, or the one about its fault if it has raised one, to `to`. `through` is the endpoint or the reply object it goes through, with the
    /// badge and the rights of the capability that was used. `caps` are the extra capabilities, unless they are still
    /// to be looked up.
    pub fn transfer(
        &mut self,
        from: Object,
        to: Object,
        through: Object,
        badge: u64,
        rights: Rights,
        caps: Option<&[Slot]>,
    ) {
        let info = match self.thread(from).fault {
            Some(fault) => self.write_fault(from, to, &fault),
            None => self.copy_message(from, to, through, rights, caps),
        };
        let registers = &mut self.thread_mut(to).registers;
        registers[CAPABILITY] = badge;
        registers[MESSAGE_INFO] = info.word();
    }

    /// The words and the capabilities; the info word for the receiver.
    fn copy_message(
        &mut self,
        from: Object,
        to: Object,
        through: Object,
        rights: Rights,
        caps: Option<&[Slot]>,
    ) -> MessageInfo {
        let info = MessageInfo(self.thread(from).registers[MESSAGE_INFO]);
        let both = self.send_buffer(from).zip(self.receive_buffer(to));
        let length = self.usable_length(info, both.is_some());
        for index in 0..length {
            let word = self.read_word(from, index);
            self.write_word(to, index, word);
        }
        let (mut count, mut unwrapped) = (0, 0);
        if let Some((_, buffer)) = both.filter(|_| rights.has(Rights::GRANT)) {
            let caps = caps.map(<[Slot]>::to_vec).or_else(|| self.extra_caps(from).ok()).unwrap_or_default();
            (count, unwrapped) = self.transfer_caps(&caps, through, rights, to, buffer);
        }
        MessageInfo::new(info.label(), unwrapped, count, length as usize)
    }

    /// How many capabilities were processed, and which of them arrived as badges.
    fn transfer_caps(
        &mut self,
        caps: &[Slot],
        through: Object,
        rights: Rights,
        to: Object,
        buffer: u64,
    ) -> (usize, u64) {
        let (mut unwrapped, mut place_is_used) = (0, false);
        for (index, source) in caps.iter().enumerate() {
            let cap = self.cap(source);
            if cap.kind == Kind::Endpoint && cap.object == through {
                let word = buffer + 8 * (ipc_buffer::CAPS_OR_BADGES + index) as u64;
                self.memory.insert(word, cap.data);
                unwrapped |= 1 << index;
                continue;
            }
            let place = self.receive_slot(to, buffer).filter(|_| !place_is_used);
            place_is_used = true;
            let Some(target) = place else { return (index, unwrapped) };
            if self.authority.transfer(&self.x, &through, &rights, source, &to, &target).is_err() {
                return (index, unwrapped);
            }
        }
        (caps.len(), unwrapped)
    }

    /// The empty slot that a receiver's buffer names for a capability.
    fn receive_slot(&self, thread: Object, buffer: u64) -> Option<Slot> {
        let word = |index: usize| self.load(buffer + 8 * index as u64);
        let root = self.lookup(thread, word(ipc_buffer::RECEIVE_CNODE)).ok()?;
        let (index, depth) = (word(ipc_buffer::RECEIVE_INDEX), word(ipc_buffer::RECEIVE_DEPTH));
        let slot = self.target(root, index, depth, false).ok()?;
        Some(slot).filter(|slot| self.cap(slot).kind == Kind::Null)
    }

    /// The slots of the extra capabilities in a thread's buffer; or which address names nothing, and why.
    pub fn extra_caps(&self, thread: Object) -> Result<Vec<Slot>, (u64, LookupFailure)> {
        let info = MessageInfo(self.thread(thread).registers[MESSAGE_INFO]);
        let Some(buffer) = self.send_buffer(thread) else { return Ok(vec![]) };
        let address = |index: usize| self.load(buffer + 8 * (ipc_buffer::CAPS_OR_BADGES + index) as u64);
        let slot = |address| self.lookup(thread, address).map_err(|failure| (address, failure));
        (0..info.extra_caps()).map(|index| slot(address(index))).collect()
    }

    /// Word `index` of the message in a thread's registers and buffer.
    #[must_use]
    pub fn read_word(&self, thread: Object, index: u64) -> u64 {
        match MESSAGE.get(index as usize) {
            Some(register) => self.thread(thread).registers[*register],
            None => self.send_buffer(thread).map_or(0, |buffer| self.load(buffer + 8 * (index + 1))),
        }
    }

    /// Sets word `index` of the message in a thread's registers and buffer, if there is a place for it.
    pub fn write_word(&mut self, thread: Object, index: u64, word: u64) {
        let buffer = self.receive_buffer(thread);
        match MESSAGE.get(index as usize) {
            Some(register) => self.thread_mut(thread).registers[*register] = word,
            None => {
                if let Some(buffer) = buffer {
                    self.memory.insert(buffer + 8 * (index + 1), word);
                }
            }
        }
    }

    /// Argument `index` of an invocation.
    #[must_use]
    pub fn argument(&self, message: &Message, index: u64) -> u64 {
        self.read_word(message.sender, index)
    }

    /// The word of memory at this physical address.
    #[must_use]
    pub fn load(&self, address: u64) -> u64 {
        self.memory.get(&address).copied().unwrap_or(0)
    }

    /// How many words of a message can be sent with or without buffers.
    #[must_use]
    pub fn usable_length(&self, info: MessageInfo, with_buffer: bool) -> u64 {
        let length = info.length() as u64;
        if with_buffer { length } else { length.min(4) }
    }

    /// The physical address of a thread's IPC buffer, if it can be sent from.
    #[must_use]
    pub fn send_buffer(&self, thread: Object) -> Option<u64> {
        self.buffer(thread, Rights::READ)
    }

    /// The same, if it can be received into.
    #[must_use]
    pub fn receive_buffer(&self, thread: Object) -> Option<u64> {
        self.buffer(thread, Rights::READ_WRITE)
    }

    fn buffer(&self, thread: Object, rights: Rights) -> Option<u64> {
        let (cap, address) = (self.cap(&Self::slot_of(thread, BUFFER)), self.thread(thread).buffer);
        let suits = cap.kind == Kind::Frame && !self.is_device(cap.object) && cap.rights.has(rights);
        let start: u64 = self.x.of(&self.authority.start, &cap.object);
        (address != 0 && suits).then(|| start + address % self.bytes(cap.object))
    }
}
