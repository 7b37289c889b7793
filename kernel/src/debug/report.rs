// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lines for people who look for the mistake in their program: faults that nobody handles, and in debug builds
//! invocations that were refused.
//!
//! How much is said is the build option `log`: `off`, `faults` (those without a handler) or `refusals` (these too;
//! the default). The root task's own faults are told of in any case, also in release builds. A program that polls
//! can be refused a million times a second, so refusals are limited: [`BURST`] lines at once, then one for every
//! [`REGAIN_US`]; what was left out is counted and said.
//!
//! Bound: debug builds only, but for the line about the root task, which has none.

use super::Named;
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::Cap;
use crate::error::{Error, LookupFailure};
use crate::invocation::Message;
use crate::ipc::fault::Fault;
use crate::object::Tcb;
use crate::store::Ref;
use crate::units::{Micros, Ticks};
use core::fmt;
use keel_abi::config::Options;
use keel_abi::label;

/// How much is said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    /// Nothing but the root task's faults.
    Off,
    /// Faults without a handler.
    Faults,
    /// Refused invocations as well.
    Refusals,
}

/// What this build says.
const LEVEL: Level = match option_env!("KEEL_LOG") {
    _ if !cfg!(debug_assertions) => Level::Off,
    None => Level::Refusals,
    Some(text) => match text.as_bytes() {
        b"off" => Level::Off,
        b"faults" => Level::Faults,
        b"refusals" => Level::Refusals,
        _ => panic!("KEEL_LOG is neither off, faults nor refusals"),
    },
};

/// Lines about refusals that may follow each other without a pause.
pub const BURST: u32 = 16;
/// Time after which another one is allowed.
pub const REGAIN_US: u64 = 100_000;

/// How many lines about refusals may still be printed.
#[cfg_attr(any(test, feature = "host"), derive(Clone))]
#[derive(Debug)]
pub struct Limit {
    /// Lines that may still be printed.
    left: u32,
    /// When `left` last grew.
    since: Ticks,
    /// Lines left out.
    left_out: u64,
}

impl Limit {
    /// Nothing printed yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { left: BURST, since: Ticks(0), left_out: 0 }
    }

    /// Whether a line may be printed at `now`; if so, how many were left out before it.
    fn take(&mut self, now: Ticks, regain: Ticks) -> Option<u64> {
        let gained = (now - self.since).0.checked_div(regain.0).unwrap_or(0);
        if gained > 0 {
            self.left = u32::try_from(gained).unwrap_or(BURST).saturating_add(self.left).min(BURST);
            self.since = now;
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                Some(core::mem::take(&mut self.left_out))
            }
            None => {
                self.left_out = self.left_out.saturating_add(1);
                None
            }
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self::new()
    }
}

impl<A: Arch> Kernel<A> {
    /// `tcb` has raised a fault that nobody handles.
    pub(crate) fn report_unhandled(&mut self, tcb: Ref<Tcb>, fault: &Fault) {
        let is_root = self.root_task == Some(tcb);
        if !is_root && LEVEL < Level::Faults {
            return;
        }
        // A root task that dies is the end of its system: for how long it is told does not matter.
        keel_bounds::outside();
        let pc = self.store[tcb].registers.words[A::REGISTERS.restart_pc];
        let (name, whose) =
            (self.name(tcb), if is_root { "root task fault" } else { "fault without a handler" });
        match plain_words(fault, pc) {
            Some(words) => self.say(format_args!("keel: {whose}: {name}: {words}")),
            None => self.say(format_args!("keel: {whose}: {name} at {pc:#x}: {fault}")),
        }
        if cfg!(debug_assertions) {
            self.report_registers(tcb);
            self.report_mappings(tcb, fault, pc);
        }
    }

    /// The thread's registers in the interface's order, four to a line.
    fn report_registers(&mut self, tcb: Ref<Tcb>) {
        self.arch.save_live_registers(&mut self.store, tcb);
        // 9 lines of 4.
        for (line, registers) in A::REGISTERS.context.chunks(4).enumerate() {
            let mut words = [0; 4];
            for (word, &register) in words.iter_mut().zip(registers) {
                *word = self.store[tcb].registers.words[register];
            }
            let [a, b, c, d] = words;
            let first = line * 4;
            self.say(format_args!("keel:   context[{first:2}..] {a:#018x} {b:#018x} {c:#018x} {d:#018x}"));
        }
    }

    /// What is mapped at the address of a fault and at the program counter.
    fn report_mappings(&mut self, tcb: Ref<Tcb>, fault: &Fault, pc: u64) {
        let root = self.store[tcb.slot(crate::object::tcb::TcbSlot::VSpace)].cap();
        let Some((root, _)) = self.vspace_root(root) else {
            return self.say(format_args!("keel:   it has no address space"));
        };
        let address = match *fault {
            Fault::VirtualMemory { address, .. } => address,
            _ => pc,
        };
        // 3 pages: the one of the address and its neighbours.
        for page in [address.wrapping_sub(PAGE), address, address.wrapping_add(PAGE)] {
            let page = page & !(PAGE - 1);
            match self.lookup_page(root, crate::units::VirtAddr(page)) {
                Some((_, physical)) => {
                    self.say(format_args!("keel:   {page:#x}: mapped to {:#x}", physical.0))
                }
                None => self.say(format_args!("keel:   {page:#x}: not mapped")),
            }
        }
    }

    /// An invocation was refused.
    pub(crate) fn report_refused(&mut self, message: &Message, cap: Cap, error: &Error) {
        if LEVEL < Level::Refusals {
            return;
        }
        let regain = self.core.rate.ticks(Micros(REGAIN_US));
        let Some(left_out) = self.refusals.take(self.core.now, regain) else { return };
        if left_out > 0 {
            self.say(format_args!("keel: refused: {left_out} more before this one"));
        }
        let words = [0, 1, 2, 3].map(|index| match index < message.length {
            true => self.argument(message, index),
            false => 0,
        });
        let other = match *error {
            Error::InvalidCapability(number @ 1..) => {
                self.extra_cap(message, number as usize - 1).ok().map(|(_, cap)| cap)
            }
            _ => None,
        };
        let refusal =
            Refusal { label: operation::<A>(message.label), number: message.label, cap, error, other };
        let name = self.name(message.sender);
        let length = message.length;
        self.say(format_args!("keel: refused: {name}: {refusal}; {length} words, first {words:#x?}"));
    }
}

/// Size of the smallest page in bytes.
const PAGE: u64 = 4096;

/// The name of an operation.
fn operation<A: Arch>(number: u64) -> &'static str {
    let find = |table: &'static [label::Entry], first| {
        let names = table.iter().enumerate();
        let mut names =
            names.map(|(index, entry)| (label::number(table, first, index, &Options::BUILD), entry.name));
        names.find(|&(candidate, _)| candidate == number).map(|(_, name)| name)
    };
    let generic = find(label::TABLE, label::FIRST);
    let own = || find(A::LABELS, label::first_arch(&Options::BUILD));
    generic.or_else(own).unwrap_or("unknown operation")
}

/// A fault that is a common mistake, in plain words.
const fn plain_words(fault: &Fault, pc: u64) -> Option<&'static str> {
    match fault {
        Fault::VirtualMemory { is_fetch: true, .. } if pc == 0 => {
            Some("its entry function returned, or it called a null pointer")
        }
        Fault::VirtualMemory { address: 0..PAGE, .. } => Some("it used a null pointer"),
        _ => None,
    }
}

/// An operation that was refused.
struct Refusal<'a> {
    /// The operation's name.
    label: &'static str,
    /// The operation's number.
    number: u64,
    /// The invoked capability.
    cap: Cap,
    /// Why it was refused.
    error: &'a Error,
    /// The capability that was found wrong, if not the invoked one.
    other: Option<Cap>,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { label, number, cap, error, other } = self;
        write!(f, "{label} ({number}) of {}: {error}", Named(cap))?;
        match other {
            Some(other) => write!(f, ", which is {}", Named(other)),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InvalidArgument(number) => write!(f, "argument {number} is not legal"),
            Self::InvalidCapability(0) => write!(f, "the invoked capability is not of the right kind"),
            Self::InvalidCapability(number) => {
                write!(f, "extra capability {number} is not of the right kind")
            }
            Self::IllegalOperation => write!(f, "not possible for this object, or not now"),
            Self::Range { min, max } => write!(f, "a value is outside {min}..={max}"),
            Self::Alignment => write!(f, "an address is not aligned"),
            Self::FailedLookup { source, failure } => {
                write!(f, "{} not found: {failure}", if source { "source" } else { "target" })
            }
            Self::TruncatedMessage => write!(f, "the message has too few words or capabilities"),
            Self::DeleteFirst => write!(f, "the destination is in use"),
            Self::RevokeFirst => write!(f, "there are descendants or users that must go first"),
            Self::NotEnoughMemory(bytes) => write!(f, "only {bytes} bytes are free"),
        }
    }
}

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::InvalidRoot => write!(f, "the root is not a CNode or address space"),
            Self::MissingCapability { bits_left } => write!(f, "nothing there with {bits_left} bits left"),
            Self::DepthMismatch { bits_left, bits_found } => {
                write!(f, "{bits_left} bits left, but the level has {bits_found}")
            }
            Self::GuardMismatch { bits_left, guard_found, bits_found } => {
                write!(f, "{bits_left} bits left, but the guard is {guard_found:#x} of {bits_found} bits")
            }
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_flood_is_cut_counted_and_let_through_again() {
        let (mut limit, regain) = (Limit::new(), Ticks(10));
        let printed = (0..100).filter(|_| limit.take(Ticks(5), regain).is_some()).count();
        assert_eq!(printed, BURST as usize);
        assert_eq!(limit.take(Ticks(19), regain), Some(100 - u64::from(BURST)));
        assert_eq!(limit.take(Ticks(19), regain), None);
        assert_eq!(limit.take(Ticks(1000), regain), Some(1));
    }
}
