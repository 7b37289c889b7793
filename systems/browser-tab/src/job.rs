// SPDX-License-Identifier: MIT OR Apache-2.0

//! One decoder's life: what it is given, how it ends, and what was seen of it.

use keel::{error::LookupFailure, fault::Fault, rt::Ending};
use keel_browser_protocol::{Said, decoder::Tally};

/// What a decoder is given.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The program.
    pub program: &'a [u8],
    /// Its argument.
    pub argument: &'a [u8],
    /// The file to decode.
    pub file: &'a [u8],
    /// What is done to the file before.
    pub damage: Damage,
    /// Bytes of the output.
    pub room: u64,
    /// Whether to let the decoder go on behind a system call that faulted.
    pub patient: bool,
}

/// How a file is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Not at all.
    None,
    /// It ends after so many thirds.
    Cut(usize),
    /// A bit flips in every so-manyth byte behind the header.
    Flip(usize),
}

impl Damage {
    /// Bytes of the file that remain.
    pub fn length(self, file: &[u8]) -> usize {
        match self {
            Self::Cut(thirds) => file.len() * thirds / 3,
            Self::None | Self::Flip(_) => file.len(),
        }
    }

    /// Positions of the bytes that are changed.
    pub fn positions(self, file: &[u8]) -> impl Iterator<Item = usize> + use<> {
        const HEADER: usize = 700;
        let step = match self {
            Self::Flip(step) => step.max(1),
            Self::None | Self::Cut(_) => usize::MAX,
        };
        let end = if step == usize::MAX { 0 } else { file.len() };
        (HEADER..end).step_by(step)
    }
}

/// How a decoder ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It said so.
    Said(Said),
    /// It did what it cannot do.
    Fault(Fault),
    /// It ended by itself.
    Ended(Ending),
    /// It used up its time.
    OutOfTime,
    /// It did not end in time, without using it.
    Late,
    /// It sent too much that made no sense.
    Noisy,
}

/// What was seen of a decoder.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// Messages that it sent.
    pub messages: u64,
    /// Messages that made no sense.
    pub nonsense: u64,
    /// Faults behind which it was let go on.
    pub faults: u64,
    /// What it counted itself.
    pub tally: Option<Tally>,
    /// Times that its budget for a period ran out.
    pub timeouts: u64,
    /// Microseconds that it used.
    pub used_us: u64,
    /// Ticks of the watch while it ran.
    pub ticks: u64,
    /// Capabilities in its CSpace at the end.
    pub capabilities: u64,
    /// Whether all memory came back.
    pub memory_back: bool,
}

/// Whether a fault is that of a system call, which can be skipped.
pub fn is_at_system_call(fault: &Fault) -> bool {
    matches!(fault, Fault::Cap { failure, .. } if *failure != LookupFailure::InvalidRoot)
        || (matches!(fault, Fault::UnknownSyscall { .. }) && fault.ending().is_none())
}
