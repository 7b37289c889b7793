// SPDX-License-Identifier: MIT OR Apache-2.0

//! Error replies: their codes, and the words that follow (`errors-and-faults.md §1, §2`).

/// What went wrong, as the label of an error reply (`errors-and-faults.md §1`).
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorCode {
    /// Success.
    NoError = 0,
    /// An argument is wrong. MR0: its number.
    InvalidArgument = 1,
    /// A capability is wrong. MR0: its number, 0 for the invoked one.
    InvalidCapability = 2,
    /// The operation is not allowed, or does not exist.
    IllegalOperation = 3,
    /// An argument is out of range. MR0: minimum, MR1: maximum.
    RangeError = 4,
    /// An address is not aligned.
    AlignmentError = 5,
    /// A slot or address could not be looked up. MR0: 1 for a source, 0 for a target; MR1…: the failure.
    FailedLookup = 6,
    /// Too few words or capabilities in the message.
    TruncatedMessage = 7,
    /// Something is in the way and must be deleted first.
    DeleteFirst = 8,
    /// Something still exists and must be revoked first.
    RevokeFirst = 9,
    /// An untyped is too small. MR0: bytes available.
    NotEnoughMemory = 10,
}

impl ErrorCode {
    /// All codes, by number.
    pub const ALL: [Self; 11] = [
        Self::NoError,
        Self::InvalidArgument,
        Self::InvalidCapability,
        Self::IllegalOperation,
        Self::RangeError,
        Self::AlignmentError,
        Self::FailedLookup,
        Self::TruncatedMessage,
        Self::DeleteFirst,
        Self::RevokeFirst,
        Self::NotEnoughMemory,
    ];

    /// The code with this label, `None` if no reply of the kernel carries it.
    pub const fn from_label(label: u64) -> Option<Self> {
        if label < Self::ALL.len() as u64 { Some(Self::ALL[label as usize]) } else { None }
    }
}

/// Why a capability lookup failed (`errors-and-faults.md §2`). `NoFailure` is never sent.
#[repr(u64)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LookupFailureKind {
    /// Nothing failed.
    NoFailure = 0,
    /// The root is not a CNode, or an ASID leads nowhere. No further words.
    InvalidRoot = 1,
    /// The slot or structure is missing. Then: bits left.
    MissingCapability = 2,
    /// The address ends at the wrong depth. Then: bits left, bits found.
    DepthMismatch = 3,
    /// A guard differs. Then: bits left, guard found, bits found.
    GuardMismatch = 4,
}

impl LookupFailureKind {
    /// The failure with this number.
    pub const fn from_word(word: u64) -> Option<Self> {
        match word {
            0 => Some(Self::NoFailure),
            1 => Some(Self::InvalidRoot),
            2 => Some(Self::MissingCapability),
            3 => Some(Self::DepthMismatch),
            4 => Some(Self::GuardMismatch),
            _ => None,
        }
    }

    /// Words a failure takes in a message, its own number included.
    pub const fn words(self) -> usize {
        match self {
            Self::NoFailure | Self::InvalidRoot => 1,
            Self::MissingCapability => 2,
            Self::DepthMismatch => 3,
            Self::GuardMismatch => 4,
        }
    }
}

/// Message word of a FailedLookup error that tells source (1) from target (0) (`errors-and-faults.md §1`).
pub const FAILED_LOOKUP_SIDE: usize = 0;
/// Message word of a FailedLookup error where the lookup failure begins (`errors-and-faults.md §2`).
pub const FAILED_LOOKUP_FAILURE: usize = 1;

// Codes are their own indexes.
const _: () = {
    let mut index = 0;
    while index < ErrorCode::ALL.len() {
        assert!(ErrorCode::ALL[index] as usize == index);
        index += 1;
    }
};

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn labels_and_codes_agree() {
        for code in ErrorCode::ALL {
            assert_eq!(ErrorCode::from_label(code as u64), Some(code));
        }
        assert_eq!(ErrorCode::from_label(10), Some(ErrorCode::NotEnoughMemory));
        assert_eq!(ErrorCode::from_label(11), None);
        assert_eq!(ErrorCode::from_label(1 << 32), None);
    }

    #[test]
    fn lookup_failures_round_trip() {
        for word in 0..5 {
            assert_eq!(LookupFailureKind::from_word(word).map(|kind| kind as u64), Some(word));
        }
        assert_eq!(LookupFailureKind::from_word(5), None);
    }
}
