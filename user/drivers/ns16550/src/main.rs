// SPDX-License-Identifier: MIT OR Apache-2.0

//! Driver of the 16550 serial port, as a user program ([`keel_serial`]).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::{
    console_driver::names,
    device::DeviceMemory,
    ns16550::{Ns16550, Ns16550Registers, QUEUE_BYTES},
    prelude::*,
};
use keel_serial::Port;

keel::program!(main);

/// The port.
struct Driven(Ns16550<'static>);

fn main(startup: &'static Startup) -> keel::Result {
    keel_serial::run::<Driven>(startup)
}

impl Port for Driven {
    fn start(registers: DeviceMemory) -> keel::Result<Self> {
        let registers =
            registers.registers::<Ns16550Registers>().ok_or(Error::BadArgument(names::REGISTERS))?;
        let mut port = Ns16550::new(registers);
        // What was printed before goes out first.
        while !port.is_empty() {
            core::hint::spin_loop();
        }
        port.start();
        Ok(Self(port))
    }

    fn set_interrupts(&mut self, on_room: bool) {
        self.0.set_interrupts(on_room);
    }

    fn clear_interrupts(&mut self) {
        // They follow the state of the queues.
    }

    fn send(&mut self, mut next: impl FnMut() -> Option<u8>) {
        if self.0.is_empty() {
            (0..QUEUE_BYTES).map_while(|_| next()).for_each(|byte| self.0.send(byte));
        }
    }

    fn receive(&mut self) -> Option<u8> {
        self.0.receive()
    }
}
