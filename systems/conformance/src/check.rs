// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a case finds: expected and got.

use core::{
    fmt::{self, Display},
    panic::Location,
};

use keel::{Error, error::InvocationError};

use crate::text::SharedText;

/// How a case ends.
pub type Outcome<T = ()> = Result<T, Verdict>;

/// Why a case did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The kernel did something else than the interface says: [`REPORT`] tells.
    Failed,
    /// The case does not apply here.
    Skipped(&'static str),
}

/// What the last failure found. Only one case runs at a time.
pub static REPORT: SharedText = SharedText::new();

/// A value in a report.
#[derive(Clone, Copy)]
pub enum Shown<'a> {
    /// In hexadecimal.
    Word(u64),
    /// In hexadecimal.
    Words(&'a [u64]),
    /// As it is.
    Text(&'a str),
    /// As it displays.
    Any(&'a dyn Display),
}

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(f, "{word:#x}"),
            Self::Words(words) => {
                for (index, word) in words.iter().enumerate() {
                    write!(f, "{}{word:#x}", if index == 0 { "[" } else { ", " })?;
                }
                f.write_str(if words.is_empty() { "[]" } else { "]" })
            }
            Self::Text(text) => f.write_str(text),
            Self::Any(value) => value.fmt(f),
        }
    }
}

/// A failure: `what` should have been `expected`, but was `got`.
#[track_caller]
pub fn differ(what: &str, expected: Shown<'_>, got: Shown<'_>) -> Verdict {
    REPORT.set(format_args!("expected {what} {expected}, got {got} ({})", Location::caller()));
    Verdict::Failed
}

/// Expects that `got` is `expected`.
#[track_caller]
pub fn same(what: &str, expected: u64, got: u64) -> Outcome {
    if got == expected { Ok(()) } else { Err(differ(what, Shown::Word(expected), Shown::Word(got))) }
}

/// Expects that `got` lies within `least..=most`.
#[track_caller]
pub fn within(what: &str, least: u64, most: u64, got: u64) -> Outcome {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    Err(differ(what, Shown::Any(&format_args!("of {least} to {most}")), Shown::Any(&got)))
}

/// Expects that something holds.
#[track_caller]
pub fn holds(what: &str, truth: bool) -> Outcome {
    if truth { Ok(()) } else { Err(differ(what, Shown::Text(""), Shown::Text("the opposite"))) }
}

/// Ends a case that does not apply here.
pub fn skip(reason: &'static str) -> Outcome {
    Err(Verdict::Skipped(reason))
}

impl From<InvocationError> for Verdict {
    #[track_caller]
    fn from(error: InvocationError) -> Self {
        differ("success", Shown::Text("of the preparation"), Shown::Any(&error))
    }
}

impl From<Error> for Verdict {
    #[track_caller]
    fn from(error: Error) -> Self {
        differ("success", Shown::Text("of the preparation"), Shown::Any(&error))
    }
}
