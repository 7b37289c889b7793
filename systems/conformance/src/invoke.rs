// SPDX-License-Identifier: MIT OR Apache-2.0

//! Invocations whose answers are compared with the table of the interface.
//!
//! [`accepts`] and [`refuses`] take the label from the table, make a Call, and compare the whole answer:
//! badge, label, capabilities, length and words. Only then is the row marked as seen.

use keel::{cap::CPtr, ipc::Message, sys};
use keel_abi::{
    error::ErrorCode,
    invocations::{Detail, Row},
    message::{MAX_LENGTH, MessageInfo},
};

use crate::{
    check::{Outcome, Shown, differ, same},
    coverage, machine,
    tester::step,
};

/// Words of an answer that are kept: enough for the registers of a thread.
const KEPT_WORDS: usize = 40;

/// The answer to a Call.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Badge.
    pub badge: u64,
    /// Message info.
    pub info: MessageInfo,
    words: [u64; KEPT_WORDS],
}

impl Answer {
    /// The words of the answer.
    pub fn words(&self) -> &[u64] {
        &self.words[..self.info.length().min(KEPT_WORDS)]
    }

    /// Word `index`, 0 beyond the last.
    pub fn word(&self, index: usize) -> u64 {
        self.words().get(index).copied().unwrap_or(0)
    }
}

impl From<sys::Received> for Answer {
    fn from(received: sys::Received) -> Self {
        let mut words = [0; KEPT_WORDS];
        received.copy_words(&mut words);
        Self { badge: received.badge, info: received.info, words }
    }
}

/// Calls `cap` with this message and gives whatever the answer is.
#[track_caller]
pub fn call(cap: CPtr, label: u64, words: &[u64], caps: &[CPtr]) -> Answer {
    step();
    let (info, registers) = Message::new(label).words(words).caps(caps).stage();
    sys::call(cap, info, registers).into()
}

/// Makes an invocation that succeeds.
#[track_caller]
pub fn accepts(invocation: &'static str, cap: CPtr, words: &[u64], caps: &[CPtr]) -> Outcome<Answer> {
    let Some((index, row)) = coverage::find_success(invocation) else {
        return Err(differ("invocation", Shown::Text("of the table"), Shown::Text(invocation)));
    };
    let answer = call(cap, row.invocation.label, words, caps);
    if answer.info.label() != 0 {
        return Err(differ(invocation, Shown::Text("to succeed"), Shown::Any(&Refusal(&answer))));
    }
    is_plain(invocation, &answer)?;
    if let Some(length) = result_words(row.invocation.name) {
        same("length of the result", length, answer.info.length() as u64)?;
    }
    coverage::mark(index);
    Ok(answer)
}

/// Makes an invocation that ends with the error of a row. The words of the error are `detail`.
#[track_caller]
pub fn refuses(row: &str, cap: CPtr, words: &[u64], caps: &[CPtr], detail: &[u64]) -> Outcome {
    refuses_with(&[row], None, cap, words, caps, detail)
}

/// Makes an invocation with a label that the object has no method for.
#[track_caller]
pub fn refuses_label(row: &str, label: u64, cap: CPtr) -> Outcome {
    refuses_with(&[row], Some(label), cap, &[0; 6], &[cap, cap, cap], &[])
}

/// [`refuses`] for a row whose name is made of parts, and with another label than the row's if there is one.
#[track_caller]
pub fn refuses_with(
    name: &[&str],
    label: Option<u64>,
    cap: CPtr,
    words: &[u64],
    caps: &[CPtr],
    detail: &[u64],
) -> Outcome {
    let Some((index, row)) = coverage::find(name) else {
        return Err(differ("row", Shown::Text("of the table"), Shown::Any(&Parts(name))));
    };
    let answer = call(cap, label.unwrap_or(row.invocation.label), words, caps);
    is_refusal(row, &answer, detail)?;
    coverage::mark(index);
    Ok(())
}

/// Expects an error that is no row: an invalid capability is invoked, or the object is not what the row
/// says.
#[track_caller]
pub fn fails(
    error: ErrorCode,
    label: u64,
    cap: CPtr,
    words: &[u64],
    caps: &[CPtr],
    detail: &[u64],
) -> Outcome {
    let answer = call(cap, label, words, caps);
    is_error(error, &answer, detail)
}

#[track_caller]
fn is_refusal(row: Row, answer: &Answer, detail: &[u64]) -> Outcome {
    let Some(check) = row.check else {
        return Err(differ("row", Shown::Text("of an error"), Shown::Text(row.name)));
    };
    if !fits(check.detail, detail) {
        return Err(differ("words that fit the row", Shown::Text(row.name), Shown::Words(detail)));
    }
    if answer.info.label() != check.error as u64 {
        return Err(differ("error", Shown::Text(row.name), Shown::Any(&Refusal(answer))));
    }
    is_error(check.error, answer, detail)
}

#[track_caller]
fn is_error(error: ErrorCode, answer: &Answer, detail: &[u64]) -> Outcome {
    same("error", error as u64, answer.info.label())?;
    is_plain("an error", answer)?;
    if answer.words() != detail {
        return Err(differ("words of the error", Shown::Words(detail), Shown::Words(answer.words())));
    }
    Ok(())
}

/// What all answers of the kernel have in common.
#[track_caller]
fn is_plain(what: &str, answer: &Answer) -> Outcome {
    let rest = answer.info.caps_unwrapped() << 2 | answer.info.extra_caps() as u64;
    if answer.badge == 0 && rest == 0 {
        return Ok(());
    }
    Err(differ(what, Shown::Text("with badge 0 and no capabilities"), Shown::Any(&Refusal(answer))))
}

/// Whether words of an error are of the kind that the table says.
fn fits(kind: Detail, words: &[u64]) -> bool {
    match (kind, words) {
        (Detail::None, []) | (Detail::AnyArgument | Detail::FreeBytes, [_]) | (Detail::Range(..), [_, _]) => {
            true
        }
        (Detail::Argument(number) | Detail::Capability(number), [word]) => number == *word,
        (Detail::Lookup(side, failure), [word, kind, rest @ ..]) => {
            *word == side as u64 && *kind == failure as u64 && rest.len() + 1 == failure.words()
        }
        (Detail::AnyLookup(side), [word, ..]) => *word == side as u64,
        _ => false,
    }
}

/// Length of the result where it is always the same.
fn result_words(invocation: &str) -> Option<u64> {
    match invocation.strip_prefix(machine::PREFIX).unwrap_or(invocation) {
        "TCBReadRegisters" => None,
        "TCBSetFlags"
        | "SchedContextConsumed"
        | "SchedContextYieldTo"
        | "PageGetAddress"
        | "IOPortIn8"
        | "IOPortIn16"
        | "IOPortIn32" => Some(1),
        "SMCCall" => Some(8),
        _ => Some(0),
    }
}

/// A name made of parts in a report.
struct Parts<'a>(&'a [&'a str]);

impl core::fmt::Display for Parts<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|part| f.write_str(part))
    }
}

/// An answer in a report.
struct Refusal<'a>(&'a Answer);

impl core::fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let answer = self.0;
        match ErrorCode::from_label(answer.info.label()) {
            Some(code) => write!(f, "{code:?}")?,
            None => write!(f, "label {:#x}", answer.info.label())?,
        }
        write!(f, "{}", Shown::Words(answer.words()))?;
        if answer.badge != 0 || answer.info.extra_caps() != 0 || answer.info.caps_unwrapped() != 0 {
            write!(f, ", badge {:#x}, message info {:#x}", answer.badge, answer.info.word())?;
        }
        Ok(())
    }
}

const _: () = assert!(KEPT_WORDS <= MAX_LENGTH);
