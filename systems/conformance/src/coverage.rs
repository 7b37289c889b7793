// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which rows of the table of invocations the cases have seen.
//!
//! Invariant: a row is marked by [`crate::invoke`] alone, after it has compared the kernel's answer with
//! the row.

use core::sync::atomic::{AtomicBool, Ordering};

use keel::println;
use keel_abi::{
    config::Options,
    invocations::{self, Architectures, Row},
};

/// Rows that there can be.
const MAX_ROWS: usize = 1024;

static SEEN: [AtomicBool; MAX_ROWS] = [const { AtomicBool::new(false) }; MAX_ROWS];

/// Rows that no case can see, where that is so, and why.
struct Exemption {
    /// How the rows' names begin.
    rows: &'static str,
    applies: fn(&Options) -> bool,
    reason: &'static str,
}

const EXEMPT: &[Exemption] = &[
    Exemption {
        rows: "ARMASIDPoolAssign/FailedLookup.InvalidRoot#4",
        applies: |_| true,
        reason: "a pool is deleted with its last capability, so none is left to invoke",
    },
    Exemption {
        rows: "ARMASIDPoolAssign/InvalidCapability#5",
        applies: |_| true,
        reason: "a pool is deleted with its last capability, so none is left to invoke",
    },
    Exemption {
        rows: "DomainScheduleConfigure/InvalidArgument#5",
        applies: |options| options.domains == 1,
        reason: "with one domain every other number is refused before",
    },
    Exemption {
        rows: "ARMSMC",
        applies: |_| true,
        reason: "the firmware of this machine is not called by SMC, so there is no capability",
    },
    Exemption { rows: "TCBSetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBGetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBUnsetBreakpoint/", applies: |_| true, reason: NO_BREAKPOINTS },
    Exemption { rows: "TCBConfigureSingleStepping/", applies: |_| true, reason: NO_BREAKPOINTS },
];

const NO_BREAKPOINTS: &str = "the breakpoint calls have their numbers only";

/// The rows of this build, with their numbers.
pub fn rows() -> impl Iterator<Item = (usize, Row)> {
    invocations::rows(Architectures::AARCH64, &Options::BUILD).enumerate()
}

/// The row whose name is made of these parts, with its number.
pub fn find(parts: &[&str]) -> Option<(usize, Row)> {
    let is_it = |row: &Row| {
        let rest = parts.iter().try_fold(row.name, |rest, part| rest.strip_prefix(part));
        rest.is_some_and(str::is_empty)
    };
    rows().find(|(_, row)| is_it(row))
}

/// The row of success of the invocation of this name, with its number.
pub fn find_success(name: &str) -> Option<(usize, Row)> {
    rows().find(|(_, row)| row.check.is_none() && row.invocation.name == name)
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
    let holds = |entry: &&Exemption| name.starts_with(entry.rows) && (entry.applies)(&Options::BUILD);
    EXEMPT.iter().find(holds).map(|entry| entry.reason)
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
