// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong: what the kernel says of an invocation, and what this library says of the rest.

use core::fmt;

use keel_abi::error::ErrorCode;

/// An error reply of the kernel, with its details (`errors-and-faults.md` §1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvocationError {
    /// The argument of this number is not valid.
    InvalidArgument(u64),
    /// The capability of this number is not valid; 0 is the invoked one.
    InvalidCapability(u64),
    /// The object does not do this, or not now.
    IllegalOperation,
    /// A value lies outside of `min..=max`.
    RangeError {
        /// Least value allowed.
        min: u64,
        /// Greatest value allowed.
        max: u64,
    },
    /// An address is not aligned.
    AlignmentError,
    /// A capability or a paging structure was not found.
    FailedLookup {
        /// Which of the two lookups of a CNode operation it was.
        side: LookupSide,
        /// Why it ended.
        failure: LookupFailure,
    },
    /// The message is too short or lacks capabilities.
    TruncatedMessage,
    /// Something is where the new thing should go.
    DeleteFirst,
    /// The object still has others made from it.
    RevokeFirst,
    /// The Untyped has only this much left.
    NotEnoughMemory {
        /// Bytes free.
        available: u64,
    },
    /// A label that the interface does not define.
    Undefined(u64),
}

/// Which lookup failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupSide {
    /// That of the destination, or the only one.
    Target,
    /// That of the source.
    Source,
}

/// Why a lookup ended (`errors-and-faults.md` §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// The root is not what it should be.
    InvalidRoot,
    /// Nothing is there.
    MissingCapability {
        /// Bits not resolved; for mappings, the span of the missing table as a power of two.
        bits_left: u64,
    },
    /// The address ends within a level.
    DepthMismatch {
        /// Bits not resolved.
        bits_left: u64,
        /// Bits that the CNode resolves.
        bits_found: u64,
    },
    /// The address does not match a guard.
    GuardMismatch {
        /// Bits not resolved.
        bits_left: u64,
        /// The guard.
        guard_found: u64,
        /// Its size in bits.
        bits_found: u64,
    },
    /// A kind that the interface does not define.
    Undefined(u64),
}

impl LookupFailure {
    /// Reads a lookup failure from message words that start with its kind.
    pub fn from_words(words: [u64; 4]) -> Self {
        match words[0] {
            1 => Self::InvalidRoot,
            2 => Self::MissingCapability { bits_left: words[1] },
            3 => Self::DepthMismatch { bits_left: words[1], bits_found: words[2] },
            4 => Self::GuardMismatch { bits_left: words[1], guard_found: words[2], bits_found: words[3] },
            kind => Self::Undefined(kind),
        }
    }
}

impl InvocationError {
    /// Reads an error reply: its label and its first five message words.
    pub fn from_reply(label: u64, words: [u64; 5]) -> Self {
        match ErrorCode::from_label(label) {
            Some(ErrorCode::InvalidArgument) => Self::InvalidArgument(words[0]),
            Some(ErrorCode::InvalidCapability) => Self::InvalidCapability(words[0]),
            Some(ErrorCode::IllegalOperation) => Self::IllegalOperation,
            Some(ErrorCode::RangeError) => Self::RangeError { min: words[0], max: words[1] },
            Some(ErrorCode::AlignmentError) => Self::AlignmentError,
            Some(ErrorCode::FailedLookup) => Self::FailedLookup {
                side: if words[0] == 0 { LookupSide::Target } else { LookupSide::Source },
                failure: LookupFailure::from_words([words[1], words[2], words[3], words[4]]),
            },
            Some(ErrorCode::TruncatedMessage) => Self::TruncatedMessage,
            Some(ErrorCode::DeleteFirst) => Self::DeleteFirst,
            Some(ErrorCode::RevokeFirst) => Self::RevokeFirst,
            Some(ErrorCode::NotEnoughMemory) => Self::NotEnoughMemory { available: words[0] },
            Some(ErrorCode::NoError) | None => Self::Undefined(label),
        }
    }
}

/// Anything that a function of this library fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The kernel refused an invocation.
    Invocation(InvocationError),
    /// No free capability slots.
    OutOfSlots,
    /// No free Untyped of 2^this bytes.
    OutOfMemory(u8),
    /// No free virtual addresses.
    OutOfAddresses,
    /// A table of this library is full; which one.
    OutOfRoom(&'static str),
    /// No device memory at this address, or part of it is taken.
    NoDevice(u64),
    /// An executable or an archive is broken; how.
    BadImage(&'static str),
    /// Something needed is not there; what.
    Missing(&'static str),
    /// A value makes no sense; which.
    BadArgument(&'static str),
    /// A server refused a request, with this number.
    Refused(u64),
    /// Something that the program wants to say of itself.
    Message(&'static str),
}

impl From<InvocationError> for Error {
    fn from(error: InvocationError) -> Self {
        Self::Invocation(error)
    }
}

impl From<&'static str> for Error {
    fn from(text: &'static str) -> Self {
        Self::Message(text)
    }
}

/// `Result` with this library's error.
pub type Result<T = (), E = Error> = core::result::Result<T, E>;

impl fmt::Display for LookupFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidRoot => f.write_str("the root is not valid"),
            Self::MissingCapability { bits_left } => write!(f, "nothing there, {bits_left} bits left"),
            Self::DepthMismatch { bits_left, bits_found } => {
                write!(f, "{bits_left} bits left where a level has {bits_found}")
            }
            Self::GuardMismatch { bits_left, guard_found, bits_found } => {
                write!(f, "guard {guard_found:#x} of {bits_found} bits not matched, {bits_left} bits left")
            }
            Self::Undefined(kind) => write!(f, "undefined lookup failure {kind}"),
        }
    }
}

impl fmt::Display for InvocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidArgument(number) => write!(f, "invalid argument {number}"),
            Self::InvalidCapability(number) => write!(f, "invalid capability {number}"),
            Self::IllegalOperation => f.write_str("illegal operation"),
            Self::RangeError { min, max } => write!(f, "value outside of {min}..={max}"),
            Self::AlignmentError => f.write_str("address not aligned"),
            Self::FailedLookup { side, failure } => {
                let side = match side {
                    LookupSide::Target => "target",
                    LookupSide::Source => "source",
                };
                write!(f, "lookup of the {side} failed: {failure}")
            }
            Self::TruncatedMessage => f.write_str("message too short"),
            Self::DeleteFirst => f.write_str("delete first"),
            Self::RevokeFirst => f.write_str("revoke first"),
            Self::NotEnoughMemory { available } => write!(f, "not enough memory, {available} bytes left"),
            Self::Undefined(label) => write!(f, "undefined error {label}"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invocation(error) => write!(f, "the kernel refused: {error}"),
            Self::OutOfSlots => f.write_str("no free capability slots"),
            Self::OutOfMemory(bits) => write!(f, "no free memory of 2^{bits} bytes"),
            Self::OutOfAddresses => f.write_str("no free virtual addresses"),
            Self::OutOfRoom(what) => write!(f, "no room for more {what}"),
            Self::NoDevice(address) => write!(f, "no free device memory at {address:#x}"),
            Self::BadImage(why) => write!(f, "bad image: {why}"),
            Self::Missing(what) => write!(f, "missing: {what}"),
            Self::BadArgument(what) => write!(f, "bad argument: {what}"),
            Self::Refused(number) => write!(f, "the server refused: {number}"),
            Self::Message(text) => f.write_str(text),
        }
    }
}

impl core::error::Error for InvocationError {}
impl core::error::Error for Error {}
