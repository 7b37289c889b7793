// SPDX-License-Identifier: MIT OR Apache-2.0

//! Driver of the PL011 serial port: a program that has the port's registers and its interrupt, and
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
//! 1. The transmit interrupt is unmasked exactly while the output queue holds bytes.
//! 2. `reply` is free whenever the driver receives; `reader_reply` holds the client that waits for
//!    input exactly while `reading`.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use arm_pl011_uart::{DataBits, FifoLevel, Interrupts, LineConfig, PL011Registers, Parity, StopBits, Uart};
use heapless::Deque;
use keel::{
    cap::{Cap, Endpoint, IrqHandler, Notification, Reply},
    console::protocol,
    console_driver::names,
    device::Interrupt,
    ipc::{Message, Received},
    prelude::*,
    service::NOTIFICATION_BIT,
};

keel::program!(main);

/// Bytes given to the device at once: they fill the transmit FIFO of its first revisions, and are more
/// than the level at which it asks for more.
const BURST: usize = 16;

/// The line, where it is a real one: the clock is that of Arm's reference boards.
const BAUD_RATE: u32 = 115_200;
const CLOCK_HZ: u32 = 24_000_000;

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

struct Driver {
    uart: Uart<'static>,
    interrupt: Interrupt,
    clients: Cap<Endpoint>,
    reply: Cap<Reply>,
    reader_reply: Cap<Reply>,
    reading: bool,
    output: Deque<u8, 4096>,
    input: Deque<u8, 256>,
}

fn main(startup: &'static Startup) -> keel::Result {
    let mut driver = Driver::new(startup)?;
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

impl Driver {
    fn new(startup: &'static Startup) -> keel::Result<Self> {
        let device = startup.take_device(names::REGISTERS).ok_or(Error::Missing(names::REGISTERS))?;
        let registers = device.registers::<PL011Registers>().ok_or(Error::BadArgument(names::REGISTERS))?;
        let mut uart = Uart::new(registers);
        while uart.is_busy() {
            core::hint::spin_loop();
        }
        let line = LineConfig { data_bits: DataBits::Bits8, parity: Parity::None, stop_bits: StopBits::One };
        uart.enable(line, BAUD_RATE, CLOCK_HZ).map_err(|_| "the serial line's rate is out of range")?;
        uart.set_interrupt_fifo_levels(FifoLevel::Bytes4, FifoLevel::Bytes4);
        uart.clear_interrupts(Interrupts::all());
        let handler = given::<IrqHandler>(startup, names::INTERRUPT)?;
        let notification = given::<Notification>(startup, names::NOTIFICATION)?;
        let mut driver = Self {
            uart,
            interrupt: Interrupt::new(handler, notification)?,
            clients: given(startup, names::CLIENTS)?,
            reply: given(startup, names::REPLY)?,
            reader_reply: given(startup, names::READER_REPLY)?,
            reading: false,
            output: Deque::new(),
            input: Deque::new(),
        };
        driver.set_masks();
        Ok(driver)
    }

    /// Unmasks what the driver waits for (invariant 1).
    fn set_masks(&mut self) {
        let input = Interrupts::RXI | Interrupts::RTI;
        let output = if self.output.is_empty() { Interrupts::empty() } else { Interrupts::TXI };
        self.uart.set_interrupt_masks(input | output);
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

    /// Moves what fits, but at most a burst, from the output queue to the device. The rest waits for the
    /// interrupt that comes when the device has sent most of it.
    fn transmit(&mut self) {
        for _ in 0..BURST {
            if self.uart.is_tx_fifo_full() {
                break;
            }
            let Some(byte) = self.output.pop_front() else { break };
            self.uart.write_word(byte);
        }
        self.set_masks();
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
        self.uart.clear_interrupts(self.uart.masked_interrupt_status());
        while let Some(byte) = self.uart.read_word().unwrap_or(Some(b'?')) {
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
