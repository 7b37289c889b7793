// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which rows of the table of invocations the cases have seen.
//!
//! Invariant: a row is marked by [`crate::invoke`] alone, after it has compared the kernel's answer with
//! the row.

use core::sync::atomic::{AtomicBool, Ordering};

use keel::println;
use keel_abi::{
    config::Options,
    invocations::{self, Row},
};

use crate::machine::{self, Exemption};

/// Rows that there can be.
const MAX_ROWS: usize = 1024;

static SEEN: [AtomicBool; MAX_ROWS] = [const { AtomicBool::new(false) }; MAX_ROWS];

/// How the names of invocations begin that each architecture has in its own way, with its own prefix:
/// `ARCHPageMap` is `ARMPageMap` or another.
pub const ARCH: &str = "ARCH";

const EXEMPT: &[Exemption] = &[
    Exemption {
        rows: "ARCHASIDPoolAssign/FailedLookup.InvalidRoot#4",
        applies: |_| true,
        reason: "a pool is deleted with its last capability, so none is left to invoke",
    },
    Exemption {
        rows: "ARCHASIDPoolAssign/InvalidCapability#5",
        applies: |_| true,
        reason: "a pool is deleted with its last capability, so none is left to invoke",
    },
    Exemption {
        rows: "DomainScheduleConfigure/InvalidArgument#5",
        applies: |options| options.domains == 1,
        reason: "with one domain every other number is refused before",
    },
    Exemption { rows: "TCBSetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBGetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBUnsetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBConfigureSingleStepping/", applies: |_| true, reason: NO_BREAKPOINTS },
];

const NO_BREAKPOINTS: &str = "the breakpoint calls have their numbers only";

/// The rows of this build, with their numbers.
pub fn rows() -> impl Iterator<Item = (usize, Row)> {
    invocations::rows(machine::ARCHITECTURE, &Options::BUILD).enumerate()
}

/// What of a row's name is left behind `start`, which may begin with [`ARCH`].
fn behind<'a>(name: &'a str, start: &str) -> Option<&'a str> {
    match start.strip_prefix(ARCH) {
        Some(start) => name.strip_prefix(machine::PREFIX)?.strip_prefix(start),
        None => name.strip_prefix(start),
    }
}

/// The row whose name is made of these parts, with its number.
pub fn find(parts: &[&str]) -> Option<(usize, Row)> {
    let is_it = |row: &Row| {
        let rest = parts.iter().try_fold(row.name, |rest, part| behind(rest, part));
        rest.is_some_and(str::is_empty)
    };
    rows().find(|(_, row)| is_it(row))
}

/// The row of success of the invocation of this name, with its number.
pub fn find_success(name: &str) -> Option<(usize, Row)> {
    rows().find(|(_, row)| row.check.is_none() && behind(row.invocation.name, name) == Some(""))
}

/// A case has seen this row.
pub fn mark(index: usize) {
    if let Some(seen) = SEEN.get(index) {
        seen.store(true, Ordering::Relaxed);
    }
}

fn is_seen(index: usize) -> bool {
    SEEN.get(index).is_some_and(|seen| seen.load(Ordering::Relaxed))
}

fn exemption(name: &str) -> Option<&'static str> {
    let holds = |entry: &&Exemption| behind(name, entry.rows).is_some() && (entry.applies)(&Options::BUILD);
    EXEMPT.iter().chain(machine::EXEMPT).find(holds).map(|entry| entry.reason)
}

/// Prints what has been seen of each invocation, and each row that has not; gives the number of rows
/// that are missing without a reason.
pub fn report() -> usize {
    let mut missing = 0;
    for invocation in invocations::all() {
        let of_this = || rows().filter(|(_, row)| core::ptr::eq(row.invocation, invocation));
        let total = of_this().count();
        if total == 0 {
            continue;
        }
        let seen = of_this().filter(|(index, _)| is_seen(*index)).count();
        println!("rows {}: {seen} of {total} seen", invocation.name);
        for (_, row) in of_this().filter(|(index, _)| !is_seen(*index)) {
            let note = row.check.map_or("success", |check| check.note);
            match exemption(row.name) {
                Some(reason) => println!("row {} exempt: {reason}", row.name),
                None => {
                    println!("row {} missing: {note}", row.name);
                    missing += 1;
                }
            }
        }
    }
    let (total, seen) = (rows().count(), rows().filter(|(index, _)| is_seen(*index)).count());
    println!("rows in all: {seen} of {total} seen, {missing} missing");
    missing + rows().count().saturating_sub(MAX_ROWS)
}
