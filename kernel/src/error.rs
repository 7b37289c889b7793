// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can be wrong with a user's request: the interface's errors, with their details
//! (`errors-and-faults.md` §1 and §2).
//!
//! The other two kinds of wrong are a user's fault ([`crate::ipc::fault`]) and a bug of the kernel (a panic).

use keel_abi::error::ErrorCode;

/// Why a capability address could not be resolved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupFailure {
    /// The root is not a CNode.
    InvalidRoot,
    /// Nothing there.
    MissingCapability {
        /// Bits not yet resolved.
        bits_left: u64,
    },
    /// The CNode takes more bits than there are, or bits are left over (then `bits_found` is 0).
    DepthMismatch {
        /// Bits not yet resolved.
        bits_left: u64,
        /// Bits that the CNode takes.
        bits_found: u64,
    },
    /// The address has other bits than the CNode's guard.
    GuardMismatch {
        /// Bits not yet resolved.
        bits_left: u64,
        /// The CNode's guard.
        guard_found: u64,
        /// Its size.
        bits_found: u64,
    },
}

impl LookupFailure {
    /// The message words that describe it: type first; and how many.
    #[must_use]
    pub const fn words(self) -> ([u64; 4], usize) {
        match self {
            Self::InvalidRoot => ([1, 0, 0, 0], 1),
            Self::MissingCapability { bits_left } => ([2, bits_left, 0, 0], 2),
            Self::DepthMismatch { bits_left, bits_found } => ([3, bits_left, bits_found, 0], 3),
            Self::GuardMismatch { bits_left, guard_found, bits_found } => {
                ([4, bits_left, guard_found, bits_found], 4)
            }
        }
    }
}

/// A user's error: returned to a caller, dropped for a sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The argument with this number.
    InvalidArgument(u64),
    /// The capability with this number: 0 is the invoked one.
    InvalidCapability(u64),
    /// Not possible for this object, or not now.
    IllegalOperation,
    /// A value outside `min..=max`.
    Range {
        /// Smallest legal value.
        min: u64,
        /// Largest legal value.
        max: u64,
    },
    /// An address with the wrong alignment.
    Alignment,
    /// A capability address that could not be resolved.
    FailedLookup {
        /// Whether it was the source of the operation.
        source: bool,
        /// Why.
        failure: LookupFailure,
    },
    /// The message has too few words or capabilities.
    TruncatedMessage,
    /// A place that must be empty is not.
    DeleteFirst,
    /// Something that must have no children or users has some.
    RevokeFirst,
    /// This many bytes are free, too few.
    NotEnoughMemory(u64),
}

/// The most words that an error puts in a message.
pub const ERROR_WORDS: usize = 5;

impl Error {
    /// The error's label.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::InvalidArgument(_) => ErrorCode::InvalidArgument,
            Self::InvalidCapability(_) => ErrorCode::InvalidCapability,
            Self::IllegalOperation => ErrorCode::IllegalOperation,
            Self::Range { .. } => ErrorCode::RangeError,
            Self::Alignment => ErrorCode::AlignmentError,
            Self::FailedLookup { .. } => ErrorCode::FailedLookup,
            Self::TruncatedMessage => ErrorCode::TruncatedMessage,
            Self::DeleteFirst => ErrorCode::DeleteFirst,
            Self::RevokeFirst => ErrorCode::RevokeFirst,
            Self::NotEnoughMemory(_) => ErrorCode::NotEnoughMemory,
        }
    }

    /// The message words that describe it, and how many.
    #[must_use]
    pub fn words(self) -> ([u64; ERROR_WORDS], usize) {
        match self {
            Self::InvalidArgument(n) | Self::InvalidCapability(n) | Self::NotEnoughMemory(n) => {
                ([n, 0, 0, 0, 0], 1)
            }
            Self::Range { min, max } => ([min, max, 0, 0, 0], 2),
            Self::FailedLookup { source, failure } => {
                let ([kind, a, b, c], length) = failure.words();
                ([u64::from(source), kind, a, b, c], length + 1)
            }
            _ => ([0; ERROR_WORDS], 0),
        }
    }
}
