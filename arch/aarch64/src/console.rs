// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's console: a PL011 UART (Arm DDI 0183) as firmware left it.
//!
//! User level may have the same UART. The kernel only ever writes single characters when there is room, and
//! only in debug calls and when it has to say something (a fault that nobody handles, a bug of its own).

use core::fmt;
use keel_arch::mmio::Mmio;

/// The data register.
const DATA: usize = 0x00;
/// The flag register.
const FLAGS: usize = 0x18;
/// Flag: the transmit queue is full.
const FULL: u32 = 1 << 5;
/// How often the flag is read before a character is given up: a user may have stopped the UART.
const PATIENCE: u32 = 1 << 16;

/// A console.
pub struct Console<M>(M);

impl<M: Mmio> Console<M> {
    /// A console on these registers.
    pub const fn new(registers: M) -> Self {
        Self(registers)
    }

    /// Writes one character as it is.
    pub fn put(&self, character: u8) {
        for _ in 0..PATIENCE {
            if self.0.read(FLAGS) & FULL == 0 {
                self.0.write(DATA, u32::from(character));
                return;
            }
        }
    }
}

impl<M: Mmio> fmt::Write for Console<M> {
    /// Writes text; terminals want a carriage return before each line feed.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.bytes() {
            if character == b'\n' {
                self.put(b'\r');
            }
            self.put(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use core::fmt::Write;
    use keel_arch::mmio::fake::Fake;

    #[test]
    fn writes_lines_for_terminals() {
        let registers = Fake::default();
        writeln!(Console::new(&registers), "a").unwrap();
        let sent: Vec<_> = b"a\r\n".iter().map(|&byte| (0, u32::from(byte))).collect();
        assert_eq!(*registers.writes.borrow(), sent);
    }

    #[test]
    fn gives_up_on_a_uart_that_never_has_room() {
        let registers = Fake::with(&[(0x18, FULL)]);
        Console::new(&registers).put(b'x');
        assert!(registers.writes.borrow().is_empty());
        assert_eq!(registers.reads.get(), PATIENCE as usize);
    }
}
