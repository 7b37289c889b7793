// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts of devices: by which vector each comes, and from where (`invocations.md` §7).
//!
//! User level chooses the vector: its numbers 0 to 107 are the processor's vectors from 48 on. The kernel's interrupt
//! numbers are these; the timer's follows from its vector in the same way. What a vector is for is said when its handler
//! is made: a pin of one of the controllers of lines, or a message that a device writes by itself (MSI).
//!
//! 1. The source of an interrupt is set exactly while a handler of it exists.

use crate::cpu::{Width, write_port};
use crate::ioapic::Line;
use crate::machine::Machine;
use keel_abi::x86_64::{irq, label};
use keel_kernel::Kernel;
use keel_kernel::cspace::{Slot, empty_slot};
use keel_kernel::error::Error;
use keel_kernel::invocation::Message;
use keel_kernel::store::Ref;
use keel_kernel::units::Irq;

/// The timer's interrupt.
pub const TIMER: Irq = Irq((irq::TIMER_VECTOR - irq::IRQ_OFFSET) as u32);
/// How many numbers there are.
pub const COUNT: u32 = TIMER.0 + 1;
/// How many of them are user level's.
pub const USER_COUNT: usize = irq::KERNEL_VECTOR_MAX as usize + 1;

/// Where an interrupt comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A pin of a controller of lines.
    Pin {
        /// Which controller.
        controller: usize,
        /// Which pin.
        pin: u32,
        /// How its line is to be understood.
        line: Line,
    },
    /// A device's message. It cannot be masked here.
    Message,
}

/// The vector of an interrupt.
pub const fn vector(irq: Irq) -> u32 {
    irq.0 + irq::IRQ_OFFSET as u32
}

/// The interrupt of a vector.
pub const fn of_vector(vector: u8) -> Option<Irq> {
    match (vector as u32).checked_sub(irq::IRQ_OFFSET as u32) {
        Some(number) if number < COUNT => Some(Irq(number)),
        _ => None,
    }
}

/// Masks the controllers of the first PCs, which nobody uses, and moves what may come of them all the same out of the way
/// of exceptions (Intel 8259A data sheet).
pub fn silence_old_controllers() {
    /// Ports, and what goes there: initialisation, vectors, connection, mode; and all lines masked.
    const SEQUENCE: [(u16, u32); 10] = [
        (0x20, 0x11),
        (0xa0, 0x11),
        (0x21, irq::PIC_VECTOR as u32),
        (0xa1, irq::PIC_VECTOR as u32 + 8),
        (0x21, 4),
        (0xa1, 2),
        (0x21, 1),
        (0xa1, 1),
        (0x21, 0xff),
        (0xa1, 0xff),
    ];
    for (port, value) in SEQUENCE {
        write_port(port, Width::Byte, value);
    }
}

/// Make the handler of an interrupt: a legal operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Issue {
    /// The interrupt.
    irq: Irq,
    /// Where it comes from.
    source: Source,
    /// Where the handler's capability goes.
    destination: Ref<Slot>,
    /// The slot of IRQControl.
    parent: Ref<Slot>,
}

/// Decodes what IRQControl can do here: words are index, depth, four that say where the interrupt comes from, and the
/// vector.
pub fn decode(kernel: &Kernel<Machine>, message: &Message) -> Result<Issue, Error> {
    let is_pin = match message.label {
        label::IRQ_ISSUE_IRQ_HANDLER_IOAPIC => true,
        label::IRQ_ISSUE_IRQ_HANDLER_MSI => false,
        _ => return Err(Error::IllegalOperation),
    };
    message.require(7)?;
    let root = kernel.extra_raw(message, 0)?;
    let words = [0, 1, 2, 3, 4, 5, 6].map(|word| kernel.argument(message, word));
    let [index, depth, a, b, c, d, vector] = words;
    let irq = Irq(at_most(vector, irq::KERNEL_VECTOR_MAX)? as u32);
    if kernel.interrupts.is_issued(irq) {
        return Err(Error::RevokeFirst);
    }
    let destination = empty_slot(&kernel.store, root, index, depth)?;
    let source = if is_pin { pin(kernel, a, b, c, d)? } else { device(a, b, c)? };
    Ok(Issue { irq, source, destination, parent: message.slot })
}

/// A pin, by controller and number, and how its line is to be understood.
fn pin(
    kernel: &Kernel<Machine>,
    controller: u64,
    pin: u64,
    level: u64,
    polarity: u64,
) -> Result<Source, Error> {
    let last = kernel.arch.io_apics().checked_sub(1).ok_or(Error::IllegalOperation)?;
    let controller = at_most(controller, last as u64)? as usize;
    let pins = kernel.arch.io_apic(controller).map_or(1, |controller| controller.pins());
    let pin = at_most(pin, u64::from(pins) - 1)? as u32;
    let line = Line { is_level: at_most(level, 1)? == 1, is_low: at_most(polarity, 1)? == 1 };
    Ok(Source::Pin { controller, pin, line })
}

/// A device that sends messages, by bus, device and function. Only user level, which sets it up, needs to know it.
fn device(bus: u64, device: u64, function: u64) -> Result<Source, Error> {
    at_most(bus, 255)?;
    at_most(device, 31)?;
    at_most(function, 7)?;
    Ok(Source::Message)
}

/// A number up to a largest one.
const fn at_most(number: u64, max: u64) -> Result<u64, Error> {
    if number <= max { Ok(number) } else { Err(Error::Range { min: 0, max }) }
}

/// Performs it.
pub fn perform(kernel: &mut Kernel<Machine>, issue: Issue) {
    kernel.arch.set_source(issue.irq, Some(issue.source));
    kernel.issue_irq(issue.irq, None, issue.destination, issue.parent);
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn numbers_are_vectors_less_an_offset() {
        assert_eq!((of_vector(47), of_vector(48)), (None, Some(Irq(0))));
        assert_eq!((of_vector(157), of_vector(158)), (Some(TIMER), None));
        assert_eq!((vector(Irq(0)), vector(TIMER)), (48, 157));
    }
}
