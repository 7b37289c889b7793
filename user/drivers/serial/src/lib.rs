// SPDX-License-Identifier: MIT OR Apache-2.0

//! What drivers of serial ports do alike: a program that has a port's registers and its interrupt, and
//! nothing else.
//!
//! Clients call its endpoint ([`keel::console::protocol`]). It waits for them and for the interrupt in
//! one place, since the interrupt's notification is bound to its thread:
//!
//! ```text
//!   client ──WRITE──▶ output queue ──a burst per interrupt──▶ transmit FIFO
//!   client ◀──READ─── input queue ◀───────interrupt────────── receive FIFO
//! ```
//!
//! A client whose bytes find no room in the output queue is answered when there is room again: that is
//! all the flow control there is. At most one client waits for input at a time.
//!
//! Invariants:
//! 1. The transmit interrupt is asked for exactly while the output queue holds bytes.
//! 2. `reply` is free whenever the driver receives; `reader_reply` holds the client that waits for
//!    input exactly while `reading`.
#![no_std]
#![forbid(unsafe_code)]

use heapless::Deque;
use keel::{
    cap::{Cap, Endpoint, IrqHandler, Notification, Reply},
    console::protocol,
    console_driver::names,
    device::{Interrupt, UniqueMmioPointer},
    ipc::{Message, Received},
    prelude::*,
    service::NOTIFICATION_BIT,
};

/// What is asked of a port's device.
pub trait Port: Sized {
    /// Takes over the registers that were given, and sets the device up for interrupts.
    fn start(startup: &'static Startup) -> keel::Result<Self>;
    /// Has interrupts come when bytes are received, and, if asked for, when there is room to send.
    fn set_interrupts(&mut self, on_room: bool);
    /// Tells the device that its interrupt is being served.
    fn clear_interrupts(&mut self);
    /// Sends bytes that `next` gives, as long as there are any and there is room, but no more than a burst: the rest
    /// waits for the interrupt.
    fn send(&mut self, next: impl FnMut() -> Option<u8>);
    /// Takes a received byte.
    fn receive(&mut self) -> Option<u8>;
}

/// The registers that were given, as a block of type `T`.
pub fn registers<T>(startup: &Startup) -> keel::Result<UniqueMmioPointer<'static, T>> {
    let memory = startup.take_device(names::REGISTERS).ok_or(Error::Missing(names::REGISTERS))?;
    memory.registers().ok_or(Error::BadArgument(names::REGISTERS))
}

/// An answer to a client: label, and words of which this many count.
struct Answer {
    label: u64,
    words: [u64; 4],
    count: usize,
}

impl Answer {
    const OK: Self = Self { label: protocol::OK, words: [0; 4], count: 0 };
    const BUSY: Self = Self { label: protocol::BUSY, words: [0; 4], count: 0 };

    fn message(&self) -> Message<'_> {
        Message::new(self.label).words(&self.words[..self.count])
    }
}

struct Driver<P> {
    port: P,
    interrupt: Interrupt,
    clients: Cap<Endpoint>,
    reply: Cap<Reply>,
    reader_reply: Cap<Reply>,
    reading: bool,
    output: Deque<u8, 4096>,
    input: Deque<u8, 256>,
}

/// Drives the port.
pub fn run<P: Port>(startup: &'static Startup) -> keel::Result {
    let mut driver = Driver::<P>::new(startup)?;
    let mut received = driver.clients.recv(driver.reply);
    loop {
        received = if received.badge & NOTIFICATION_BIT != 0 {
            driver.serve_interrupt()?;
            driver.clients.recv(driver.reply)
        } else {
            match driver.serve_client(&received)? {
                Some(answer) => driver.clients.reply_recv(&answer.message(), driver.reply),
                None => driver.clients.recv(driver.reply),
            }
        };
    }
}

/// A capability that this program cannot do without.
fn given<T>(startup: &Startup, name: &'static str) -> keel::Result<Cap<T>> {
    startup.cap(name).ok_or(Error::Missing(name))
}

impl<P: Port> Driver<P> {
    fn new(startup: &'static Startup) -> keel::Result<Self> {
        let port = P::start(startup)?;
        let handler = given::<IrqHandler>(startup, names::INTERRUPT)?;
        let notification = given::<Notification>(startup, names::NOTIFICATION)?;
        let mut driver = Self {
            port,
            interrupt: Interrupt::new(handler, notification)?,
            clients: given(startup, names::CLIENTS)?,
            reply: given(startup, names::REPLY)?,
            reader_reply: given(startup, names::READER_REPLY)?,
            reading: false,
            output: Deque::new(),
            input: Deque::new(),
        };
        driver.set_interrupts();
        Ok(driver)
    }

    /// Asks for the interrupts that the driver waits for (invariant 1).
    fn set_interrupts(&mut self) {
        self.port.set_interrupts(!self.output.is_empty());
    }

    /// Answers a client's message; `None` if it is answered later, or never.
    fn serve_client(&mut self, received: &Received) -> keel::Result<Option<Answer>> {
        let label = received.label();
        let count = (label >> protocol::COUNT_SHIFT) as usize;
        match label & protocol::OPERATION_MASK {
            protocol::WRITE if count <= protocol::MAX_BYTES => {
                self.write(&received.words, count)?;
                Ok(Some(Answer::OK))
            }
            protocol::FLUSH => {
                self.wait_for_room(self.output.capacity())?;
                Ok(Some(Answer::OK))
            }
            protocol::READ => Ok(self.read()),
            _ => Ok(Some(Answer::BUSY)),
        }
    }

    fn write(&mut self, words: &[u64; 4], count: usize) -> keel::Result {
        self.wait_for_room(count)?;
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).take(count);
        for byte in bytes {
            // It fits: there is room for all of them.
            let _ = self.output.push_back(byte);
        }
        self.transmit();
        Ok(())
    }

    /// Serves interrupts until the output queue has room for so many bytes.
    fn wait_for_room(&mut self, count: usize) -> keel::Result {
        while self.output.capacity() - self.output.len() < count {
            self.interrupt.wait();
            self.serve_interrupt()?;
        }
        Ok(())
    }

    /// Moves what fits from the output queue to the device.
    fn transmit(&mut self) {
        self.port.send(|| self.output.pop_front());
        self.set_interrupts();
    }

    /// Parks a client that reads while there is no input.
    fn read(&mut self) -> Option<Answer> {
        match (self.input.is_empty(), self.reading) {
            (false, _) => Some(self.take_input()),
            (true, true) => Some(Answer::BUSY),
            (true, false) => {
                core::mem::swap(&mut self.reply, &mut self.reader_reply);
                self.reading = true;
                None
            }
        }
    }

    fn take_input(&mut self) -> Answer {
        let mut words = [0; 4];
        let mut count = 0;
        for byte in (0..protocol::MAX_BYTES).map_while(|_| self.input.pop_front()) {
            words[count / 8] |= u64::from(byte) << (count % 8 * 8);
            count += 1;
        }
        let label = protocol::OK | (count as u64) << protocol::COUNT_SHIFT;
        Answer { label, words, count: words.len() }
    }

    /// Does what the device asks for, and lets it ask again.
    fn serve_interrupt(&mut self) -> keel::Result {
        self.port.clear_interrupts();
        while let Some(byte) = self.port.receive() {
            // What nobody reads is lost when the queue is full.
            let _ = self.input.push_back(byte);
        }
        if self.reading && !self.input.is_empty() {
            let answer = self.take_input();
            self.reader_reply.send(&answer.message());
            self.reading = false;
        }
        self.transmit();
        self.interrupt.ack()
    }
}
