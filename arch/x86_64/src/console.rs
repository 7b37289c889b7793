// SPDX-License-Identifier: MIT OR Apache-2.0

//! The serial line on which the kernel speaks: a 16550 at ports (National Semiconductor PC16550D data sheet, section 8).

use crate::cpu::{Width, read_port, write_port};

/// The first serial line of a PC.
pub const FIRST_LINE: u16 = 0x3f8;

/// How often the line is asked whether it has room before a character is given up.
const MAX_POLLS: u32 = 1 << 20;

/// A serial line.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    /// Its first port.
    port: u16,
}

impl Console {
    /// A line that nobody has set up yet.
    pub const fn new(port: u16) -> Self {
        Self { port }
    }

    /// Sets the line up: 115200 baud, 8 bits, no interrupts.
    pub fn set_up(self) {
        /// Offsets of registers, and what goes there, in this order.
        const SEQUENCE: [(u16, u32); 7] =
            [(1, 0x00), (3, 0x80), (0, 0x01), (1, 0x00), (3, 0x03), (2, 0x07), (4, 0x0b)];
        for (register, value) in SEQUENCE {
            write_port(self.port.wrapping_add(register), Width::Byte, value);
        }
    }

    /// Puts a character on the line, unless it has no room for long.
    pub fn put(self, character: u8) {
        /// Offset of the register with the line's state.
        const STATE: u16 = 5;
        /// There is room.
        const ROOM: u32 = 1 << 5;
        let has_room = |_| read_port(self.port.wrapping_add(STATE), Width::Byte) & ROOM != 0;
        if (0..MAX_POLLS).any(has_room) {
            write_port(self.port, Width::Byte, character.into());
        }
    }
}
