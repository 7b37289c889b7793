// SPDX-License-Identifier: MIT OR Apache-2.0

//! The registers of a 16550, the serial port of PCs and of many RISC-V boards, and the few things that are done with
//! them here. The registers are a byte each, one after the other.
//!
//! The line's rate is left as firmware has set it.

use crate::device::UniqueMmioPointer;
use safe_mmio::fields::{ReadPure, ReadPureWrite, ReadWrite, WriteOnly};
use safe_mmio::{field, field_shared};

/// The registers.
#[repr(C)]
pub struct Ns16550Registers {
    /// Reading takes a received byte, writing sends one.
    data: ReadWrite<u8>,
    /// Which interrupts come.
    interrupts: ReadPureWrite<u8>,
    /// Control of the queues.
    queues: WriteOnly<u8>,
    /// Format of the line.
    line: ReadPureWrite<u8>,
    /// Control of the modem.
    modem: ReadPureWrite<u8>,
    /// What is going on. Reading clears errors.
    status: ReadPure<u8>,
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
pub struct Ns16550<'a>(UniqueMmioPointer<'a, Ns16550Registers>);

impl<'a> Ns16550<'a> {
    /// A port with these registers, as it is.
    pub fn new(registers: UniqueMmioPointer<'a, Ns16550Registers>) -> Self {
        Self(registers)
    }

    /// Sets it up for interrupts, none of which comes yet.
    pub fn start(&mut self) {
        field!(self.0, interrupts).write(0);
        field!(self.0, line).write(EIGHT_BITS);
        field!(self.0, queues).write(QUEUES_ON);
        field!(self.0, modem).write(READY);
    }

    /// Has interrupts come when bytes are received, and, if asked for, when the transmit queue is empty.
    pub fn set_interrupts(&mut self, on_empty: bool) {
        field!(self.0, interrupts).write(ON_RECEIVED | if on_empty { ON_EMPTY } else { 0 });
    }

    /// Whether the transmit queue is empty: then it has room for [`QUEUE_BYTES`] bytes.
    pub fn is_empty(&self) -> bool {
        field_shared!(self.0, status).read() & EMPTY != 0
    }

    /// Sends a byte. There must be room in the transmit queue.
    pub fn send(&mut self, byte: u8) {
        field!(self.0, data).write(byte);
    }

    /// Takes a received byte.
    pub fn receive(&mut self) -> Option<u8> {
        (field_shared!(self.0, status).read() & RECEIVED != 0).then(|| field!(self.0, data).read())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn registers() -> Ns16550Registers {
        Ns16550Registers {
            data: ReadWrite(b'x'),
            interrupts: ReadPureWrite(0),
            queues: WriteOnly(0),
            line: ReadPureWrite(0),
            modem: ReadPureWrite(0),
            status: ReadPure(0),
        }
    }

    #[test]
    fn sends_and_receives_by_the_status() {
        let mut memory = registers();
        let mut port = Ns16550::new(UniqueMmioPointer::from(&mut memory));
        assert!(!port.is_empty());
        assert_eq!(port.receive(), None);
        port.start();
        port.set_interrupts(true);
        port.send(b'a');
        assert_eq!((memory.data.0, memory.interrupts.0, memory.queues.0, memory.line.0), (b'a', 3, 7, 3));
        memory.status.0 = 0x61;
        let mut port = Ns16550::new(UniqueMmioPointer::from(&mut memory));
        assert!(port.is_empty());
        assert_eq!(port.receive(), Some(b'a'));
    }

    #[test]
    fn registers_are_bytes_in_a_row() {
        assert_eq!(size_of::<Ns16550Registers>(), 6);
    }
}
