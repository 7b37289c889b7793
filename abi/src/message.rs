// SPDX-License-Identifier: MIT OR Apache-2.0

//! The message info word and the IPC buffer (`syscalls.md §3, §4`).
//!
//! ```text
//! message info   63            12 11    9 8     7 6        0
//!               |     label      | unwr. | extra | length   |
//! ```

/// Message words that travel in CPU registers, on all architectures (`syscalls.md §2`).
pub const MESSAGE_REGISTERS: usize = 4;
/// Most words of a message (`objects.md §9`).
pub const MAX_LENGTH: usize = 120;
/// Most extra capabilities of a message (`objects.md §9`).
pub const MAX_EXTRA_CAPS: usize = 3;
/// log2 of size and alignment of an IPC buffer (`syscalls.md §4`).
pub const IPC_BUFFER_BITS: u32 = 10;
/// Bytes of an IPC buffer, and its alignment.
pub const IPC_BUFFER_BYTES: usize = 1 << IPC_BUFFER_BITS;
/// Bits of a label in the message info word (`syscalls.md §3`).
pub const LABEL_BITS: u32 = 52;

const LENGTH_MASK: u64 = (1 << 7) - 1;
const EXTRA_CAPS_SHIFT: u32 = 7;
const EXTRA_CAPS_MASK: u64 = (1 << 2) - 1;
const CAPS_UNWRAPPED_SHIFT: u32 = 9;
const CAPS_UNWRAPPED_MASK: u64 = (1 << 3) - 1;
const LABEL_SHIFT: u32 = 12;

/// What a message consists of (`syscalls.md §3`).
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MessageInfo(pub u64);

impl MessageInfo {
    /// Packs the fields; each keeps the bits that it has room for.
    pub const fn new(label: u64, caps_unwrapped: u64, extra_caps: usize, length: usize) -> Self {
        Self(
            label << LABEL_SHIFT
                | (caps_unwrapped & CAPS_UNWRAPPED_MASK) << CAPS_UNWRAPPED_SHIFT
                | (extra_caps as u64 & EXTRA_CAPS_MASK) << EXTRA_CAPS_SHIFT
                | length as u64 & LENGTH_MASK,
        )
    }

    /// The word as it stands in a register.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// What the message means: an invocation, an error, a fault, or the user's own.
    pub const fn label(self) -> u64 {
        self.0 >> LABEL_SHIFT
    }

    /// Number of message words. Values above [`MAX_LENGTH`] mean [`MAX_LENGTH`].
    pub const fn length(self) -> usize {
        let length = (self.0 & LENGTH_MASK) as usize;
        if length > MAX_LENGTH { MAX_LENGTH } else { length }
    }

    /// Number of extra capabilities, 0 to 3.
    pub const fn extra_caps(self) -> usize {
        (self.0 >> EXTRA_CAPS_SHIFT & EXTRA_CAPS_MASK) as usize
    }

    /// Whether the message has no extra capabilities and at most so many words.
    #[inline(always)]
    pub const fn is_at_most(self, words: usize) -> bool {
        self.0 & (LENGTH_MASK | EXTRA_CAPS_MASK << EXTRA_CAPS_SHIFT) <= words as u64
    }

    /// The same, with no capability unwrapped.
    #[inline(always)]
    pub const fn without_unwrapped(self) -> Self {
        Self(self.0 & !(CAPS_UNWRAPPED_MASK << CAPS_UNWRAPPED_SHIFT))
    }

    /// Bit i: extra capability i arrived as a badge.
    pub const fn caps_unwrapped(self) -> u64 {
        self.0 >> CAPS_UNWRAPPED_SHIFT & CAPS_UNWRAPPED_MASK
    }
}

/// Offsets in the IPC buffer, in words of 8 bytes from its start (`syscalls.md §4`).
pub mod ipc_buffer {
    /// Ignored by the kernel.
    pub const TAG: usize = 0;
    /// First of 120 message words. Those that travel in registers are never touched here.
    pub const MSG: usize = 1;
    /// Ignored by the kernel; user level keeps the buffer's own address here.
    pub const USER_DATA: usize = 121;
    /// First of 3 words: capabilities to send, badges received.
    pub const CAPS_OR_BADGES: usize = 122;
    /// Pointer to the root of the receive slot.
    pub const RECEIVE_CNODE: usize = 125;
    /// Index of the receive slot.
    pub const RECEIVE_INDEX: usize = 126;
    /// Depth of the receive slot.
    pub const RECEIVE_DEPTH: usize = 127;
    /// Words in all.
    pub const WORDS: usize = 128;
}

/// The IPC buffer as user level sees it (`syscalls.md §4`).
#[repr(C, align(1024))]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IpcBuffer {
    /// Ignored by the kernel.
    pub tag: u64,
    /// Message words.
    pub msg: [u64; MAX_LENGTH],
    /// Ignored by the kernel.
    pub user_data: u64,
    /// Capabilities to send, badges received.
    pub caps_or_badges: [u64; MAX_EXTRA_CAPS],
    /// Pointer to the root of the receive slot.
    pub receive_cnode: u64,
    /// Index of the receive slot.
    pub receive_index: u64,
    /// Depth of the receive slot.
    pub receive_depth: u64,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<IpcBuffer>() == IPC_BUFFER_BYTES && IPC_BUFFER_BYTES == 1024);
    assert!(ipc_buffer::WORDS * 8 == IPC_BUFFER_BYTES);
    assert!(offset_of!(IpcBuffer, msg) == 8 && ipc_buffer::MSG * 8 == 8);
    assert!(offset_of!(IpcBuffer, user_data) == 968 && ipc_buffer::USER_DATA * 8 == 968);
    assert!(offset_of!(IpcBuffer, caps_or_badges) == 976 && ipc_buffer::CAPS_OR_BADGES * 8 == 976);
    assert!(offset_of!(IpcBuffer, receive_cnode) == 1000 && ipc_buffer::RECEIVE_CNODE * 8 == 1000);
    assert!(offset_of!(IpcBuffer, receive_index) == 1008 && ipc_buffer::RECEIVE_INDEX * 8 == 1008);
    assert!(offset_of!(IpcBuffer, receive_depth) == 1016 && ipc_buffer::RECEIVE_DEPTH * 8 == 1016);
};

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn fields_do_not_mix() {
        let info = MessageInfo::new((1 << LABEL_BITS) - 1, 0, 0, 0);
        assert_eq!(
            (info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()),
            ((1 << 52) - 1, 0, 0, 0)
        );
        assert_eq!(MessageInfo::new(0, 7, 0, 0).word(), 0xe00);
        assert_eq!(MessageInfo::new(0, 0, 3, 0).word(), 0x180);
        assert_eq!(MessageInfo::new(0, 0, 0, 127).word(), 0x7f);
        let info = MessageInfo::new(39, 5, 2, 17);
        assert_eq!((info.label(), info.caps_unwrapped(), info.extra_caps(), info.length()), (39, 5, 2, 17));
    }

    #[test]
    fn length_is_clamped() {
        for length in 0..128 {
            assert_eq!(MessageInfo::new(0, 0, 0, length).length(), length.min(120));
        }
    }
}
