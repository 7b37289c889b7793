// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages: the IPC buffer, and what goes out and comes in through it.
//!
//! Words 0–3 of a message travel in registers, words 4–119 and capabilities through the thread's IPC
//! buffer. The buffer is one place: the next message sent or received overwrites it. So a
//! [`Received`] must be read before anything else is sent, with one exception made on purpose:
//! printing uses registers only and never disturbs a message.
//!
//! Invariants:
//! 1. The thread pointer of a thread is the address of its IPC buffer: 1 KiB, mapped read-write, used
//!    by that thread alone. Whoever starts the thread sees to it ([`crate::rt`], [`crate::process`]).
//! 2. The buffer is only ever read and written word by word, volatile, through [`IpcBuffer`]; no
//!    reference into it exists.

use keel_abi::message::{self, MessageInfo, ipc_buffer};

pub use crate::sys::Received;
use crate::{arch, cap::CPtr};

/// The running thread's IPC buffer.
#[derive(Clone, Copy)]
pub struct IpcBuffer(*mut u64);

/// The running thread's IPC buffer.
#[inline(always)]
pub fn buffer() -> IpcBuffer {
    IpcBuffer(arch::thread_pointer() as *mut u64)
}

/// Words of an IPC buffer.
const BUFFER_WORDS: usize = ipc_buffer::WORDS;

impl IpcBuffer {
    #[inline(always)]
    fn get(self, word: usize) -> u64 {
        debug_assert!(word < BUFFER_WORDS);
        // SAFETY: all callers pass a word of the buffer, which is mapped and ours alone (invariant 1).
        unsafe { self.0.add(word).read_volatile() }
    }

    #[inline(always)]
    fn set(self, word: usize, value: u64) {
        debug_assert!(word < BUFFER_WORDS);
        // SAFETY: as for `get`.
        unsafe { self.0.add(word).write_volatile(value) }
    }

    /// Message word `index`; 0 beyond the last.
    #[inline]
    pub fn word(self, index: usize) -> u64 {
        if index < message::MAX_LENGTH { self.get(ipc_buffer::MSG + index) } else { 0 }
    }

    /// Sets message word `index`; beyond the last nothing happens.
    #[inline]
    pub fn set_word(self, index: usize, value: u64) {
        if index < message::MAX_LENGTH {
            self.set(ipc_buffer::MSG + index, value);
        }
    }

    /// The badge of the received capability `index` that was unwrapped; 0 beyond the last.
    #[inline]
    pub fn badge(self, index: usize) -> u64 {
        if index < message::MAX_EXTRA_CAPS { self.get(ipc_buffer::CAPS_OR_BADGES + index) } else { 0 }
    }

    /// Sets the capability to send as number `index`; beyond the last nothing happens.
    #[inline]
    pub fn set_cap(self, index: usize, cap: CPtr) {
        if index < message::MAX_EXTRA_CAPS {
            self.set(ipc_buffer::CAPS_OR_BADGES + index, cap.bits());
        }
    }

    /// Says into which slot a received capability goes: slot `index` at `depth` in the CNode `root`.
    /// The slot must be empty when the message arrives; it takes one capability of one message.
    pub fn set_receive_slot(self, root: CPtr, index: u64, depth: u64) {
        self.set(ipc_buffer::RECEIVE_CNODE, root.bits());
        self.set(ipc_buffer::RECEIVE_INDEX, index);
        self.set(ipc_buffer::RECEIVE_DEPTH, depth);
    }

    /// Writes a zero-terminated text into the message area, cut to fit.
    pub(crate) fn set_message_text(self, text: &str) {
        let room = message::MAX_LENGTH * 8 - 1;
        let bytes = &text.as_bytes()[..text.len().min(room)];
        let words = bytes.len() / 8 + 1;
        for (index, word) in (0..words).map(|index| (index, word_of_bytes(bytes, index))) {
            self.set_word(index, word);
        }
    }
}

/// Writes the address of an IPC buffer into that buffer, given as bytes, where the convention has it (`syscalls.md` §4)
/// and some machines find their thread pointer.
pub(crate) fn write_own_address(buffer: &mut [u8], address: u64) {
    if let Some(word) = buffer.chunks_exact_mut(8).nth(ipc_buffer::USER_DATA) {
        word.copy_from_slice(&address.to_le_bytes());
    }
}

/// Word `index` of a byte string packed little-endian, filled up with zeros.
pub(crate) fn word_of_bytes(bytes: &[u8], index: usize) -> u64 {
    let mut word = [0; 8];
    let start = (index * 8).min(bytes.len());
    let piece = &bytes[start..bytes.len().min(start + 8)];
    word[..piece.len()].copy_from_slice(piece);
    u64::from_le_bytes(word)
}

/// A message to send: a label, words, and capabilities.
///
/// ```
/// use keel::ipc::Message;
/// let message = Message::new(7).words(&[1, 2, 3]);
/// assert_eq!(message.info().label(), 7);
/// assert_eq!(message.info().length(), 3);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Message<'a> {
    label: u64,
    words: &'a [u64],
    caps: &'a [CPtr],
}

impl<'a> Message<'a> {
    /// A message with this label (52 bits) and nothing else.
    pub const fn new(label: u64) -> Self {
        Self { label, words: &[], caps: &[] }
    }

    /// With these words, of which the first 120 count.
    pub const fn words(mut self, words: &'a [u64]) -> Self {
        self.words = words;
        self
    }

    /// With these capabilities, of which the first 3 count. They pass only through a capability with
    /// the Grant right.
    pub const fn caps(mut self, caps: &'a [CPtr]) -> Self {
        self.caps = caps;
        self
    }

    /// The message info word.
    pub fn info(&self) -> MessageInfo {
        let caps = self.caps.len().min(message::MAX_EXTRA_CAPS);
        let words = self.words.len().min(message::MAX_LENGTH);
        MessageInfo::new(self.label, 0, caps, words)
    }

    /// Puts into the IPC buffer what does not go through registers, and gives what does.
    #[inline]
    pub fn stage(&self) -> (MessageInfo, [u64; 4]) {
        let mut registers = [0; message::MESSAGE_REGISTERS];
        if self.words.len() <= registers.len() && self.caps.is_empty() {
            registers[..self.words.len()].copy_from_slice(self.words);
            return (self.info(), registers);
        }
        let buffer = buffer();
        for (index, &word) in self.words.iter().enumerate() {
            match registers.get_mut(index) {
                Some(register) => *register = word,
                None => buffer.set_word(index, word),
            }
        }
        for (index, &cap) in self.caps.iter().enumerate() {
            buffer.set_cap(index, cap);
        }
        (self.info(), registers)
    }
}

impl Received {
    /// The message's label.
    pub fn label(&self) -> u64 {
        self.info.label()
    }

    /// Number of message words.
    pub fn len(&self) -> usize {
        self.info.length()
    }

    /// Whether the message has no words.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Message word `index`, or 0 beyond the message's length. Words from 4 on are read from the IPC
    /// buffer, now.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        if index >= self.len() {
            return 0;
        }
        match self.words.get(index) {
            Some(&word) => word,
            None => buffer().word(index),
        }
    }

    /// Copies the message's words into `words` and gives the part that was filled.
    pub fn copy_words<'w>(&self, words: &'w mut [u64]) -> &'w [u64] {
        let count = self.len().min(words.len());
        for (index, word) in words[..count].iter_mut().enumerate() {
            *word = self.word(index);
        }
        &words[..count]
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn short_messages_leave_the_buffer_alone() {
        buffer().set_word(0, 77);
        let (info, registers) = Message::new(5).words(&[1, 2, 3, 4]).stage();
        assert_eq!((info.label(), info.length(), info.extra_caps()), (5, 4, 0));
        assert_eq!(registers, [1, 2, 3, 4]);
        assert_eq!(buffer().word(0), 77);
    }

    #[test]
    fn long_messages_go_through_the_buffer() {
        let words: std::vec::Vec<u64> = (100..300).collect();
        let (info, registers) = Message::new(1).words(&words).caps(&[CPtr::new(9)]).stage();
        assert_eq!((info.length(), info.extra_caps()), (120, 1));
        assert_eq!(registers, [100, 101, 102, 103]);
        assert_eq!(buffer().word(4), 104);
        assert_eq!(buffer().word(119), 219);
        assert_eq!(buffer().badge(0), 9);
        let received = Received { badge: 0, info, words: registers };
        assert_eq!((received.word(3), received.word(4), received.word(120)), (103, 104, 0));
        let mut copy = [0; 6];
        assert_eq!(received.copy_words(&mut copy), [100, 101, 102, 103, 104, 105]);
    }

    #[test]
    fn text_is_cut_and_terminated() {
        let long = "x".repeat(2000);
        buffer().set_message_text(&long);
        assert_eq!(buffer().word(119) >> 56, 0);
        assert_eq!(buffer().word(0), u64::from_le_bytes(*b"xxxxxxxx"));
        buffer().set_message_text("abc");
        assert_eq!(buffer().word(0), u64::from_le_bytes(*b"abc\0\0\0\0\0"));
    }
}
