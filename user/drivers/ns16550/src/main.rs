// SPDX-License-Identifier: MIT OR Apache-2.0

//! Driver of the 16550 serial port, as a user program ([`keel_serial`]).
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::{
    cap::IoPort,
    console_driver::names,
    device::UniqueMmioPointer,
    ns16550::{Ns16550, Ns16550Registers, Ports, QUEUE_BYTES, Registers},
    prelude::*,
};
use keel_serial::Port;

keel::program!(main);

fn main(startup: &'static Startup) -> keel::Result {
    match startup.cap::<IoPort>(names::PORTS) {
        Some(_) => keel_serial::run::<Driven<Ports>>(startup),
        None => keel_serial::run::<Driven<UniqueMmioPointer<'static, Ns16550Registers>>>(startup),
    }
}

/// Registers that this program can be given.
trait Given: Registers + Sized {
    /// Takes them.
    fn take(startup: &'static Startup) -> keel::Result<Self>;
}

impl Given for UniqueMmioPointer<'static, Ns16550Registers> {
    fn take(startup: &'static Startup) -> keel::Result<Self> {
        keel_serial::registers(startup)
    }
}

impl Given for Ports {
    fn take(startup: &'static Startup) -> keel::Result<Self> {
        let cap = startup.cap(names::PORTS).ok_or(Error::Missing(names::PORTS))?;
        let first = startup.argument().try_into().map_err(|_| Error::BadArgument(names::PORTS))?;
        Ok(Self { cap, first: u16::from_le_bytes(first) })
    }
}

/// The port.
struct Driven<R>(Ns16550<R>);

impl<R: Given> Port for Driven<R> {
    fn start(startup: &'static Startup) -> keel::Result<Self> {
        let mut port = Ns16550::new(R::take(startup)?);
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
