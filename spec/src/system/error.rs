// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is wrong with a request (`errors-and-faults.md` §1, §2).

use crate::system::NotCovered;
use crate::system::destroy::Preempted;

/// Why an address names no capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupFailure {
    /// The root is no CNode.
    InvalidRoot,
    /// Nothing is there: this many bits were left.
    Missing(u64),
    /// Bits left, bits that the CNode takes.
    Depth(u64, u64),
    /// Bits left, the guard found, its size.
    Guard(u64, u64, u64),
}

impl LookupFailure {
    /// Its words in a message.
    #[must_use]
    pub fn words(self) -> Vec<u64> {
        match self {
            Self::InvalidRoot => vec![1],
            Self::Missing(left) => vec![2, left],
            Self::Depth(left, found) => vec![3, left, found],
            Self::Guard(left, guard, bits) => vec![4, left, guard, bits],
        }
    }
}

/// An error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// Of the argument with this number.
    InvalidArgument(u64),
    /// Of the capability with this number.
    InvalidCapability(u64),
    /// Not possible.
    IllegalOperation,
    /// Smallest and greatest legal value.
    Range(u64, u64),
    /// An address is not aligned.
    Alignment,
    /// A lookup failed: whether that of a source, and why.
    FailedLookup(bool, LookupFailure),
    /// Too few words or capabilities.
    TruncatedMessage,
    /// A place is not empty.
    DeleteFirst,
    /// There are children.
    RevokeFirst,
    /// Only this many bytes are free.
    NotEnoughMemory(u64),
    /// The specification does not say.
    Open(NotCovered),
    /// None: the operation is not complete, and is made again.
    Preempted,
}

impl From<Preempted> for Error {
    fn from(_: Preempted) -> Self {
        Self::Preempted
    }
}

impl From<NotCovered> for Error {
    fn from(open: NotCovered) -> Self {
        Self::Open(open)
    }
}

impl Error {
    /// Label and words of the answer.
    #[must_use]
    pub fn answer(self) -> (u64, Vec<u64>) {
        match self {
            Self::InvalidArgument(number) => (1, vec![number]),
            Self::InvalidCapability(number) => (2, vec![number]),
            Self::IllegalOperation => (3, vec![]),
            Self::Range(min, max) => (4, vec![min, max]),
            Self::Alignment => (5, vec![]),
            Self::FailedLookup(source, failure) => (6, [vec![u64::from(source)], failure.words()].concat()),
            Self::TruncatedMessage => (7, vec![]),
            Self::DeleteFirst => (8, vec![]),
            Self::RevokeFirst => (9, vec![]),
            Self::NotEnoughMemory(bytes) => (10, vec![bytes]),
            Self::Open(_) | Self::Preempted => (0, vec![]),
        }
    }
}
