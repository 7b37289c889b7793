// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities to I/O ports (`invocations.md` §12, `memory.md` §10).
//!
//! User level cannot execute I/O instructions: the privilege level in its flags is 0 and there is no map of ports. The
//! kernel does it for who has a capability to the port. The capability to all ports issues those to ranges, which never
//! overlap; copies of one have the same range.
//!
//! They have nothing but numbers in them. The second word of a range is its first port, and from bit 16 on its last.
//!
//! - **O1** A port is marked as in use exactly while a capability to a range with it exists.

use crate::cpu::{Width, read_port, write_port};
use crate::machine::Machine;
use keel_abi::x86_64::{cap_type, label};
use keel_kernel::Kernel;
use keel_kernel::cap::RawCap;
use keel_kernel::cdt::{self, Flags};
use keel_kernel::cspace::{Slot, empty_slot};
use keel_kernel::error::Error;
use keel_kernel::invocation::Message;
use keel_kernel::store::Ref;

/// Types of capabilities, as `DebugCapIdentify` numbers them (`syscalls.md` §13).
pub mod tag {
    use super::cap_type;
    /// A range of ports.
    pub const RANGE: u8 = cap_type::IO_PORT as u8;
    /// The authority to issue ranges.
    pub const CONTROL: u8 = cap_type::IO_PORT_CONTROL as u8;
}

/// Where the tag stands in a capability's first word.
const TAG_SHIFT: u32 = 58;

/// Ports from a first to a last one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// The first.
    pub first: u16,
    /// The last, which is not before the first.
    pub last: u16,
}

impl Range {
    /// The capability to it.
    const fn cap(self) -> RawCap {
        let word1 = self.first as u64 | (self.last as u64) << 16;
        RawCap { word0: (tag::RANGE as u64) << TAG_SHIFT, word1 }
    }

    /// The range of a capability.
    const fn of(cap: RawCap) -> Self {
        Self { first: cap.word1 as u16, last: (cap.word1 >> 16) as u16 }
    }
}

/// The capability to issue ranges.
pub const fn control() -> RawCap {
    RawCap { word0: (tag::CONTROL as u64) << TAG_SHIFT, word1: 0 }
}

/// Which ports are in use (O1).
pub struct Ports([u64; 1024]);

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl Ports {
    /// None are.
    pub const fn new() -> Self {
        Self([0; 1024])
    }

    /// The words of the map that a range touches, and the bits in each. Bound: 1024.
    fn words(range: Range) -> impl Iterator<Item = (usize, u64)> {
        let [first, last] = [range.first, range.last].map(usize::from);
        (first / 64..=last / 64).map(move |word| {
            let from = if word == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
            let to = if word == last / 64 { u64::MAX >> (63 - last % 64) } else { u64::MAX };
            (word, from & to)
        })
    }

    /// Whether a port of the range is in use.
    fn is_used(&self, range: Range) -> bool {
        Self::words(range).any(|(word, bits)| self.0[word] & bits != 0)
    }

    /// Marks the ports of a range.
    fn set_used(&mut self, range: Range, used: bool) {
        for (word, bits) in Self::words(range) {
            self.0[word] = if used { self.0[word] | bits } else { self.0[word] & !bits };
        }
    }
}

/// A legal operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// Make a capability to ports.
    Issue {
        /// The ports.
        range: Range,
        /// Where the capability goes.
        destination: Ref<Slot>,
        /// The slot of the capability to issue.
        parent: Ref<Slot>,
    },
    /// Read from a port.
    Read {
        /// The port.
        port: u16,
        /// How much.
        width: Width,
    },
    /// Write to a port.
    Write {
        /// The port.
        port: u16,
        /// How much.
        width: Width,
        /// The value.
        value: u32,
    },
}

/// Decodes an invocation of a capability of this file.
pub fn decode(kernel: &Kernel<Machine>, cap: RawCap, message: &Message) -> Result<Invocation, Error> {
    match (cap.tag(), message.label) {
        (tag::CONTROL, label::IO_PORT_CONTROL_ISSUE) => decode_issue(kernel, message),
        (tag::RANGE, label) => decode_access(kernel, Range::of(cap), label, message),
        _ => Err(Error::IllegalOperation),
    }
}

/// Issue: words are first and last port, index and depth. Ports have 16 bits; what is above is not looked at.
fn decode_issue(kernel: &Kernel<Machine>, message: &Message) -> Result<Invocation, Error> {
    message.require(4)?;
    let root = kernel.extra_raw(message, 0)?;
    let [first, last, index, depth] = [0, 1, 2, 3].map(|word| kernel.argument(message, word));
    let range = Range { first: first as u16, last: last as u16 };
    if range.last < range.first {
        return Err(Error::InvalidArgument(1));
    }
    if kernel.arch.ports().is_used(range) {
        return Err(Error::RevokeFirst);
    }
    let destination = empty_slot(&kernel.store, root, index, depth)?;
    Ok(Invocation::Issue { range, destination, parent: message.slot })
}

/// In and Out: words are the port, and for Out the value.
fn decode_access(
    kernel: &Kernel<Machine>,
    range: Range,
    label: u64,
    message: &Message,
) -> Result<Invocation, Error> {
    let (width, is_write) = match label {
        label::IO_PORT_IN_8 => (Width::Byte, false),
        label::IO_PORT_IN_16 => (Width::Half, false),
        label::IO_PORT_IN_32 => (Width::Word, false),
        label::IO_PORT_OUT_8 => (Width::Byte, true),
        label::IO_PORT_OUT_16 => (Width::Half, true),
        label::IO_PORT_OUT_32 => (Width::Word, true),
        _ => return Err(Error::IllegalOperation),
    };
    message.require(if is_write { 2 } else { 1 })?;
    let port = kernel.argument(message, 0) as u16;
    let last = u32::from(port) + width as u32 - 1;
    if port < range.first || last > u32::from(range.last) {
        return Err(Error::IllegalOperation);
    }
    if !is_write {
        return Ok(Invocation::Read { port, width });
    }
    Ok(Invocation::Write { port, width, value: kernel.argument(message, 1) as u32 })
}

/// Performs an operation; the number of result words.
pub fn perform(kernel: &mut Kernel<Machine>, invocation: Invocation, message: &Message) -> u64 {
    match invocation {
        Invocation::Issue { range, destination, parent } => {
            kernel.arch.ports_mut().set_used(range, true);
            cdt::insert(&mut kernel.store, range.cap(), Flags::ORIGINAL, destination, parent);
            0
        }
        Invocation::Read { port, width } => {
            let value = read_port(port, width);
            if message.is_call {
                kernel.set_result(message.sender, 0, value.into());
            }
            1
        }
        Invocation::Write { port, width, value } => {
            write_port(port, width, value);
            0
        }
    }
}

/// Whether two capabilities are to the same thing.
pub const fn same_object(a: RawCap, b: RawCap) -> bool {
    a.tag() == b.tag() && a.word1 == b.word1
}

/// Whether `parent` issues such capabilities as `child`.
pub const fn gives_out(parent: RawCap, child: RawCap) -> bool {
    parent.tag() == tag::CONTROL && child.tag() == tag::RANGE
}

/// What Copy makes of a capability: there is one to issue ranges.
pub const fn derive(cap: RawCap) -> Option<RawCap> {
    if cap.tag() == tag::CONTROL { None } else { Some(cap) }
}

/// The last capability is gone: its ports are free again.
pub fn finalise(ports: &mut Ports, cap: RawCap) {
    if cap.tag() == tag::RANGE {
        ports.set_used(Range::of(cap), false);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ranges_are_in_use_port_by_port() {
        let mut ports = Ports::new();
        let range = |first, last| Range { first, last };
        for used in [range(0x3f8, 0x3ff), range(60, 70), range(0xfff0, 0xffff), range(1000, 1200)] {
            assert!(!ports.is_used(used));
            ports.set_used(used, true);
            let marked: u32 = ports.0.iter().map(|word| word.count_ones()).sum();
            assert_eq!(marked, u32::from(used.last - used.first) + 1);
            for port in [used.first, used.last] {
                assert!(ports.is_used(range(port, port)));
            }
            assert!(!ports.is_used(range(used.first - 1, used.first - 1)));
            assert!(ports.is_used(range(0, 0xffff)));
            ports.set_used(used, false);
            assert!(!ports.is_used(range(0, 0xffff)));
        }
    }

    #[test]
    fn capabilities_keep_their_range() {
        for range in [Range { first: 0, last: 0xffff }, Range { first: 0xffff, last: 0xffff }] {
            assert_eq!(Range::of(range.cap()), range);
            assert!(same_object(range.cap(), range.cap()));
            assert!(!same_object(range.cap(), control()) && gives_out(control(), range.cap()));
            assert!(!gives_out(range.cap(), control()));
            assert_eq!((derive(range.cap()), derive(control())), (Some(range.cap()), None));
        }
    }
}
