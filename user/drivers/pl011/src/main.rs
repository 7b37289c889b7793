// SPDX-License-Identifier: MIT OR Apache-2.0

//! Driver of the PL011 serial port, as a user program ([`keel_serial`]).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use arm_pl011_uart::{DataBits, FifoLevel, Interrupts, LineConfig, PL011Registers, Parity, StopBits, Uart};
use keel::prelude::*;
use keel_serial::Port;

keel::program!(main);

/// Bytes given to the device at once: they fill the transmit FIFO of its first revisions, and are more
/// than the level at which it asks for more.
const BURST: usize = 16;

/// The line, where it is a real one: the clock is that of Arm's reference boards.
const BAUD_RATE: u32 = 115_200;
const CLOCK_HZ: u32 = 24_000_000;

/// The port.
struct Pl011(Uart<'static>);

fn main(startup: &'static Startup) -> keel::Result {
    keel_serial::run::<Pl011>(startup)
}

impl Port for Pl011 {
    fn start(startup: &'static Startup) -> keel::Result<Self> {
        let mut uart = Uart::new(keel_serial::registers::<PL011Registers>(startup)?);
        while uart.is_busy() {
            core::hint::spin_loop();
        }
        let line = LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
        uart.enable(line, BAUD_RATE, CLOCK_HZ).map_err(|_| "the serial line's rate is out of range")?;
        uart.set_interrupt_fifo_levels(FifoLevel::Bytes4, FifoLevel::Bytes4);
        uart.clear_interrupts(Interrupts::all());
        Ok(Self(uart))
    }

    fn set_interrupts(&mut self, on_room: bool) {
        let input = Interrupts::RXI | Interrupts::RTI;
        let output = if on_room { Interrupts::TXI } else { Interrupts::empty() };
        self.0.set_interrupt_masks(input | output);
    }

    fn clear_interrupts(&mut self) {
        self.0.clear_interrupts(self.0.masked_interrupt_status());
    }

    fn send(&mut self, mut next: impl FnMut() -> Option<u8>) {
        for _ in 0..BURST {
            if self.0.is_tx_fifo_full() {
                break;
            }
            let Some(byte) = next() else { break };
            self.0.write_word(byte);
        }
    }

    fn receive(&mut self) -> Option<u8> {
        // A byte that came broken is shown as a question mark.
        self.0.read_word().unwrap_or(Some(b'?'))
    }
}
