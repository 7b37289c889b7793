// SPDX-License-Identifier: MIT OR Apache-2.0

//! The conformance suite: does the kernel keep the interface, seen from outside?
//!
//! The root task is the *supervisor*. It runs the cases one after the other, each in a thread of its own
//! with memory of its own, and reports each on the console:
//!
//! ```text
//!   supervisor (255) ── starts ──▶ case thread (100) ── drives ──▶ puppets (any priority)
//!        ▲  ▲                          │ ends, or faults              │ faults
//!        │  └──────────────────────────┘                              ▼
//!        └──── time is up ──── watchdog (254)                  the case's endpoints
//! ```
//!
//! ```text
//!   case untyped::length_first ok
//!   case debug::puts_a_character skipped: the kernel has no debug calls
//!   case tcb::bind failed: expected badge 0x1, got 0x0 (systems/conformance/src/cases/tcb.rs:57)
//! ```
//!
//! What differs from one architecture to another, and the cases that only one of them has, is in [`machine`].
//!
//! What a case made is revoked afterwards, so a case that fails, faults or hangs disturbs no other.
//!
//! The rows of [`keel_abi::invocations`], every way in which an invocation can end, are marked when a case
//! has *seen* the kernel end one that way: by the label and all words of the answer ([`mod@invoke`]). A
//! row that no case has seen fails the run, unless [`coverage`] names the reason.
//!
//! # To add a case
//!
//! Write a function `fn name(t: &mut Tester) -> Outcome` in the file of its object under `cases/`, or under
//! `machine/` if it is about one architecture alone, say in its doc comment which rule it checks, and add it to
//! the file's list `CASES`. A [`Tester`] makes objects;
//! [`accepts`](invoke::accepts) and [`refuses`](invoke::refuses) invoke them; a
//! [`Puppet`](puppet::Puppet) makes any system call with registers that are all checked; [`trace`] records
//! in which order threads run.
#![no_std]
#![no_main]
#![deny(unsafe_code)]
#![expect(clippy::unusual_byte_groupings, reason = "binary addresses are grouped by the levels of a CSpace")]

#[macro_use]
mod cases;
mod check;
mod coverage;
mod invoke;
mod lookups;
mod machine;
mod puppet;
mod supervisor;
mod tester;
mod text;
mod trace;

use keel::prelude::*;

keel::root_task!(main);

fn main(root: &mut Root) -> keel::Result {
    supervisor::run(root)
}
