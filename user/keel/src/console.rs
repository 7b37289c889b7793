// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where `print!` goes.
//!
//! A program has one *sink*. It starts without one, and then printing does nothing, so a program that
//! was given no console runs all the same. A root task gets the serial port as its sink before `main`;
//! a program that was granted a console endpoint gets that. Both can be changed at any time:
//!
//! ```text
//!            set_sink(Uart)                  set_sink(Driver)
//!   None ──────────────────▶ the serial port ─────────────────▶ the driver process
//! ```
//!
//! Printing never disturbs an IPC message that is being read or built: to a driver, text goes in
//! message registers only, 32 bytes at a time.
//!
//! Invariants:
//! 1. The address of a `Pl011` or `Ns16550` sink is that of such a port's registers, mapped for this console
//!    alone; [`Sink::uart`], which is unsafe, is the only way to make one.

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use arm_pl011_uart::{PL011Registers, Uart, UniqueMmioPointer};
use keel_abi::message::MessageInfo;

use crate::{
    cap::{CPtr, Cap, Endpoint, IoPort},
    error::{Error, Result},
    ipc::word_of_bytes,
    ns16550::{Ns16550, Ns16550Registers, Ports},
    sys,
    uart::UartKind,
};

/// The protocol between a program and a console driver. All messages are Calls; answers have label
/// [`OK`](protocol::OK) or [`BUSY`](protocol::BUSY).
pub mod protocol {
    /// Write the bytes in the message words; how many stands in the label from bit
    /// [`COUNT_SHIFT`] on.
    pub const WRITE: u64 = 1;
    /// Answered when everything written before is with the device.
    pub const FLUSH: u64 = 2;
    /// Answered with up to [`MAX_BYTES`] bytes of input, as soon as there is one; how many stands in
    /// the label of the answer from bit [`COUNT_SHIFT`] on.
    pub const READ: u64 = 3;
    /// The operation is in these low bits of the label.
    pub const OPERATION_MASK: u64 = 0xff;
    /// Where the number of bytes starts in a label.
    pub const COUNT_SHIFT: u32 = 8;
    /// Bytes in one message: four words.
    pub const MAX_BYTES: usize = 32;
    /// Label of an answer: done.
    pub const OK: u64 = 0;
    /// Label of an answer: another program is waiting to read, or the operation is not known.
    pub const BUSY: u64 = 1;
}

/// Where output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sink(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    None,
    Debug,
    Pl011(usize),
    Ns16550(usize),
    Ports(Cap<IoPort>, u16),
    Driver(Cap<Endpoint>),
}

impl Sink {
    /// Nowhere.
    pub const NONE: Self = Self(Kind::None);
    /// The kernel's console, by a call that only debug kernels have.
    pub const DEBUG: Self = Self(Kind::Debug);

    /// A console driver, through this endpoint ([`protocol`]).
    pub const fn driver(endpoint: Cap<Endpoint>) -> Self {
        Self(Kind::Driver(endpoint))
    }

    /// The serial port of this kind whose registers are mapped at this address.
    ///
    /// # Safety
    /// As long as this is the sink, the registers stay mapped there and nothing else in this program
    /// uses them.
    pub const unsafe fn uart(kind: UartKind, address: usize) -> Self {
        Self(match kind {
            UartKind::Pl011 => Kind::Pl011(address),
            UartKind::Ns16550 => Kind::Ns16550(address),
        })
    }

    /// The 16550 at I/O ports from `first` on.
    pub const fn ports(ports: Cap<IoPort>, first: u16) -> Self {
        Self(Kind::Ports(ports, first))
    }

    /// The sink in numbers: its kind, above that the first of its I/O ports, and a word more.
    fn pack(self) -> (usize, u64) {
        match self.0 {
            Kind::None => (0, 0),
            Kind::Debug => (1, 0),
            Kind::Pl011(address) => (2, address as u64),
            Kind::Driver(endpoint) => (3, endpoint.cptr().bits()),
            Kind::Ns16550(address) => (4, address as u64),
            Kind::Ports(ports, first) => (5 | (first as usize) << PORT_SHIFT, ports.cptr().bits()),
        }
    }

    fn unpack(kind: usize, value: u64) -> Self {
        Self(match kind & KIND_MASK {
            1 => Kind::Debug,
            2 => Kind::Pl011(value as usize),
            3 => Kind::Driver(Cap::new(CPtr::new(value))),
            4 => Kind::Ns16550(value as usize),
            5 => Kind::Ports(Cap::new(CPtr::new(value)), (kind >> PORT_SHIFT) as u16),
            _ => Kind::None,
        })
    }

    fn write(self, bytes: &[u8]) {
        match self.0 {
            Kind::None => {}
            Kind::Debug => bytes.iter().for_each(|&byte| sys::debug::put_char(byte)),
            Kind::Pl011(address) => write_pl011(address, bytes),
            Kind::Ns16550(address) => write_ns16550(address, bytes),
            Kind::Ports(cap, first) => Ns16550::new(Ports { cap, first }).send_all(bytes),
            Kind::Driver(endpoint) => {
                bytes.chunks(protocol::MAX_BYTES).for_each(|piece| write_driver(endpoint, piece))
            }
        }
    }
}

/// Where the number of a kind ends, and its I/O port begins.
const PORT_SHIFT: u32 = 8;
const KIND_MASK: usize = (1 << PORT_SHIFT) - 1;

static KIND: AtomicUsize = AtomicUsize::new(0);
static VALUE: AtomicU64 = AtomicU64::new(0);

/// Sets where this program's output goes from now on.
pub fn set_sink(sink: Sink) {
    let (kind, value) = sink.pack();
    KIND.store(0, Ordering::Release);
    VALUE.store(value, Ordering::Release);
    KIND.store(kind, Ordering::Release);
}

/// Where this program's output goes.
pub fn sink() -> Sink {
    Sink::unpack(KIND.load(Ordering::Acquire), VALUE.load(Ordering::Acquire))
}

fn write_pl011(address: usize, bytes: &[u8]) {
    let Some(registers) = NonNull::new(address as *mut PL011Registers) else { return };
    // SAFETY: by invariant 1 these are a PL011's registers, mapped, and used by nobody else; the
    // pointer lives until the end of this function only.
    let mut uart = Uart::new(unsafe { UniqueMmioPointer::new(registers) });
    for &byte in bytes {
        while uart.is_tx_fifo_full() {
            core::hint::spin_loop();
        }
        uart.write_word(byte);
    }
}

fn write_ns16550(address: usize, bytes: &[u8]) {
    let Some(registers) = NonNull::new(address as *mut Ns16550Registers) else { return };
    // SAFETY: by invariant 1 these are a 16550's registers, mapped, and used by nobody else; the
    // pointer lives until the end of this function only.
    Ns16550::new(unsafe { UniqueMmioPointer::new(registers) }).send_all(bytes);
}

fn write_driver(endpoint: Cap<Endpoint>, piece: &[u8]) {
    let label = protocol::WRITE | (piece.len() as u64) << protocol::COUNT_SHIFT;
    let words = core::array::from_fn(|index| word_of_bytes(piece, index));
    sys::call(endpoint.cptr(), MessageInfo::new(label, 0, 0, words.len()), words);
}

/// Waits until everything printed is with the device.
pub fn flush() {
    if let Kind::Driver(endpoint) = sink().0 {
        sys::call(endpoint.cptr(), MessageInfo::new(protocol::FLUSH, 0, 0, 0), [0; 4]);
    }
}

/// Waits for input and reads it; gives the part of `room` that was filled. Only a driver has input, and
/// for one reader at a time.
pub fn read(room: &mut [u8; protocol::MAX_BYTES]) -> Result<&[u8]> {
    let Kind::Driver(endpoint) = sink().0 else { return Err(Error::Missing("console with input")) };
    let answer = sys::call(endpoint.cptr(), MessageInfo::new(protocol::READ, 0, 0, 0), [0; 4]);
    if answer.label() & protocol::OPERATION_MASK != protocol::OK {
        return Err(Error::Refused(answer.label()));
    }
    for (piece, word) in room.chunks_exact_mut(8).zip(answer.words) {
        piece.copy_from_slice(&word.to_le_bytes());
    }
    let count = (answer.label() >> protocol::COUNT_SHIFT) as usize;
    Ok(&room[..count.min(room.len())])
}

/// Writes bytes that need not be text.
pub fn write_bytes(bytes: &[u8]) {
    sink().write(bytes);
}

/// Collects what one `print!` writes, so that a driver gets full messages.
struct Collector {
    sink: Sink,
    bytes: [u8; 4 * protocol::MAX_BYTES],
    used: usize,
}

impl Collector {
    fn emit(&mut self) {
        self.sink.write(&self.bytes[..self.used]);
        self.used = 0;
    }
}

impl fmt::Write for Collector {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                self.emit();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

/// What the macros call.
#[doc(hidden)]
pub fn print(arguments: fmt::Arguments<'_>) {
    let sink = sink();
    if sink != Sink::NONE {
        let mut collector = Collector { sink, bytes: [0; _], used: 0 };
        // A value's own error while formatting ends its text early, that is all.
        let _ = fmt::Write::write_fmt(&mut collector, arguments);
        collector.emit();
    }
}

/// Prints to the program's console.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => { $crate::console::print(::core::format_args!($($argument)*)) };
}

/// Prints to the program's console, with a newline.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($argument:tt)*) => {
        $crate::console::print(::core::format_args!("{}\n", ::core::format_args!($($argument)*)))
    };
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_sink_survives_being_numbers() {
        // SAFETY: nothing is written to these.
        let uarts = unsafe { [UartKind::Pl011, UartKind::Ns16550].map(|kind| Sink::uart(kind, 0x5000)) };
        let others =
            [Sink::NONE, Sink::DEBUG, Sink::driver(Cap::at(9)), Sink::ports(Cap::at(u64::MAX), 0x3f8)];
        for sink in uarts.into_iter().chain(others) {
            let (kind, value) = sink.pack();
            assert_eq!(Sink::unpack(kind, value), sink);
        }
    }
}
