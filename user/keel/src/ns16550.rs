// SPDX-License-Identifier: MIT OR Apache-2.0

//! The registers of a 16550, the serial port of PCs and of many RISC-V boards, and the few things that are done with
//! them here. The registers are a byte each, one after the other.
//!
//! The line's rate is left as firmware has set it.

use safe_mmio::fields::ReadWrite;

use crate::{
    cap::{Cap, IoPort},
    device::UniqueMmioPointer,
};

/// A register, by its distance from the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Reading takes a received byte, writing sends one.
    Data = 0,
    /// Which interrupts come.
    Interrupts = 1,
    /// Control of the queues.
    Queues = 2,
    /// Format of the line.
    Line = 3,
    /// Control of the modem.
    Modem = 4,
    /// What is going on. Reading clears errors.
    Status = 5,
}

/// A way to the registers.
pub trait Registers {
    /// Reads a register.
    fn read(&mut self, register: Register) -> u8;
    /// Writes a register.
    fn write(&mut self, register: Register, value: u8);
}

/// The registers in memory.
pub type Ns16550Registers = [ReadWrite<u8>; 6];

impl Registers for UniqueMmioPointer<'_, Ns16550Registers> {
    fn read(&mut self, register: Register) -> u8 {
        self.get(register as usize).map_or(0, |mut register| register.read())
    }

    fn write(&mut self, register: Register, value: u8) {
        if let Some(mut register) = self.get(register as usize) {
            register.write(value);
        }
    }
}

/// How many I/O ports a 16550 has.
pub const PORTS: u16 = 8;

/// The registers at I/O ports. What the kernel refuses reads as where nothing is, and writes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The ports.
    pub cap: Cap<IoPort>,
    /// The first of them.
    pub first: u16,
}

impl Registers for Ports {
    fn read(&mut self, register: Register) -> u8 {
        self.cap.read_8(self.first + register as u16).unwrap_or(u8::MAX)
    }

    fn write(&mut self, register: Register, value: u8) {
        let _ = self.cap.write_8(self.first + register as u16, value);
    }
}

/// Status: a byte has been received.
const RECEIVED: u8 = 1 << 0;
/// Status: the transmit queue is empty.
const EMPTY: u8 = 1 << 5;
/// Interrupt: a byte has been received.
const ON_RECEIVED: u8 = 1 << 0;
/// Interrupt: the transmit queue is empty.
const ON_EMPTY: u8 = 1 << 1;
/// Queues: on, both emptied, interrupt with the first byte.
const QUEUES_ON: u8 = 0b111;
/// Line: 8 bits, no parity, one stop bit.
const EIGHT_BITS: u8 = 0b11;
/// Modem: ready, and interrupts reach the controller.
const READY: u8 = 0b1011;

/// Bytes of the transmit queue.
pub const QUEUE_BYTES: usize = 16;

/// A 16550.
pub struct Ns16550<R>(R);

impl<R: Registers> Ns16550<R> {
    /// A port with these registers, as it is.
    pub fn new(registers: R) -> Self {
        Self(registers)
    }

    /// Sets it up for interrupts, none of which comes yet.
    pub fn start(&mut self) {
        self.0.write(Register::Interrupts, 0);
        self.0.write(Register::Line, EIGHT_BITS);
        self.0.write(Register::Queues, QUEUES_ON);
        self.0.write(Register::Modem, READY);
    }

    /// Has interrupts come when bytes are received, and, if asked for, when the transmit queue is empty.
    pub fn set_interrupts(&mut self, on_empty: bool) {
        self.0.write(Register::Interrupts, ON_RECEIVED | if on_empty { ON_EMPTY } else { 0 });
    }

    /// Whether the transmit queue is empty: then it has room for [`QUEUE_BYTES`] bytes.
    pub fn is_empty(&mut self) -> bool {
        self.0.read(Register::Status) & EMPTY != 0
    }

    /// Sends a byte. There must be room in the transmit queue.
    pub fn send(&mut self, byte: u8) {
        self.0.write(Register::Data, byte);
    }

    /// Sends bytes, each queue's full of them as soon as there is room.
    pub fn send_all(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(QUEUE_BYTES) {
            while !self.is_empty() {
                core::hint::spin_loop();
            }
            piece.iter().for_each(|&byte| self.send(byte));
        }
    }

    /// Takes a received byte.
    pub fn receive(&mut self) -> Option<u8> {
        (self.0.read(Register::Status) & RECEIVED != 0).then(|| self.0.read(Register::Data))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn sends_and_receives_by_the_status() {
        let mut memory: Ns16550Registers = [b'x', 0, 0, 0, 0, 0].map(ReadWrite);
        let mut port = Ns16550::new(UniqueMmioPointer::from(&mut memory));
        assert!(!port.is_empty());
        assert_eq!(port.receive(), None);
        port.start();
        port.set_interrupts(true);
        port.send(b'a');
        assert_eq!(memory.each_ref().map(|register| register.0), [b'a', 3, 7, 3, READY, 0]);
        memory[5].0 = 0x61;
        let mut port = Ns16550::new(UniqueMmioPointer::from(&mut memory));
        assert!(port.is_empty());
        assert_eq!(port.receive(), Some(b'a'));
    }
}
