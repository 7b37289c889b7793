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
use keel_bounds::at_most;
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

/// Words of a map of all ports.
const WORDS: usize = 1024;

/// Which ports are in use (O1). No range is long here: words that lie in one entirely are marked a word at a time, so
/// that all takes a word or two at its ends and 16 words of marks between them.
pub struct Ports {
    /// A bit for each port in use that is not in an entire word.
    map: [u64; WORDS],
    /// A bit for each word of the map that is not 0.
    partly: [u64; WORDS / 64],
    /// A bit for each word all ports of which belong to one range that goes on beyond it.
    entirely: [u64; WORDS / 64],
}

impl Default for Ports {
    fn default() -> Self {
        Self::new()
    }
}

impl Ports {
    /// None are.
    pub const fn new() -> Self {
        Self { map: [0; WORDS], partly: [0; WORDS / 64], entirely: [0; WORDS / 64] }
    }

    /// Whether a port of the range is in use.
    fn is_used(&self, range: Range) -> bool {
        let Pieces { ends, between } = Pieces::of(range);
        let has_used = |&(word, bits): &(usize, u64)| {
            self.map[word] & bits != 0 || self.entirely[word / 64] >> (word % 64) & 1 != 0
        };
        ends.iter().flatten().any(has_used)
            || words(between).any(|(word, bits)| (self.partly[word] | self.entirely[word]) & bits != 0)
    }

    /// Marks the ports of a range.
    fn set_used(&mut self, range: Range, used: bool) {
        let Pieces { ends, between } = Pieces::of(range);
        let mut rounds = at_most!(2);
        for end in ends {
            rounds.count();
            if let Some((word, bits)) = end {
                set(&mut self.map[word], bits, used);
                set(&mut self.partly[word / 64], 1 << (word % 64), self.map[word] != 0);
            }
        }
        for (word, bits) in words(between) {
            set(&mut self.entirely[word], bits, used);
        }
    }
}

/// Sets or clears bits.
const fn set(word: &mut u64, bits: u64, value: bool) {
    *word = if value { *word | bits } else { *word & !bits };
}

/// A range, by the words of the map.
struct Pieces {
    /// The words at its ends, and its bits there.
    ends: [Option<(usize, u64)>; 2],
    /// The words between them, from the first to behind the last.
    between: [usize; 2],
}

impl Pieces {
    /// Takes a range to pieces.
    const fn of(range: Range) -> Self {
        let (first, last) = (range.first as usize, range.last as usize);
        let (from, to) = (u64::MAX << (first % 64), u64::MAX >> (63 - last % 64));
        let (low, high) = (first / 64, last / 64);
        let ends =
            if low == high { [Some((low, from & to)), None] } else { [Some((low, from)), Some((high, to))] };
        Self { ends, between: [low + 1, high] }
    }
}

/// The words with the bits from `first` to before `end`, and those bits in each.
fn words([first, end]: [usize; 2]) -> impl Iterator<Item = (usize, u64)> {
    let mut rounds = at_most!(WORDS / 64);
    (first / 64..end.div_ceil(64)).filter(move |_| first < end).map(move |word| {
        rounds.count();
        let from = if word == first / 64 { u64::MAX << (first % 64) } else { u64::MAX };
        let to = if word == end / 64 { !(u64::MAX << (end % 64)) } else { u64::MAX };
        (word, from & to)
    })
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
        let ranges = [(0x3f8, 0x3ff), (60, 70), (0xfff0, 0xffff), (1000, 1200), (1, 0xffff), (64, 0x8fff)];
        for used in ranges.map(|(first, last)| range(first, last)) {
            assert!(!ports.is_used(used));
            ports.set_used(used, true);
            let marked: Vec<_> = (0..=0xffff).filter(|&port| ports.is_used(range(port, port))).collect();
            assert_eq!(marked, (used.first..=used.last).collect::<Vec<_>>());
            assert!(ports.is_used(range(used.last, 0xffff)) && !ports.is_used(range(0, used.first - 1)));
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
