// SPDX-License-Identifier: MIT OR Apache-2.0

//! The adversary: a program with an Untyped and no mercy.
//!
//! It builds the worst states that it can think of, of 10, 100, 1,000 and 10,000 parts each, and makes the system
//! calls that work on them, while an interrupt comes again and again and a thread of the highest priority measures
//! how late ([`watch`]). What it finds are lines on the console:
//!
//! ```text
//! adversary attack NAME SIZE COST LONGEST SAMPLES    an attack: its instructions without the interrupt, the longest
//!                                                    latency, how often it was measured
//! adversary growth OPERATION CROWD SIZE COST         an ordinary operation while so many others are around
//! ```
//!
//! `cargo xtask bench --adversary` starts it, compares with the bounds and draws the plots.
#![no_std]
#![no_main]

mod arena;
mod attacks;
mod growth;
mod machine;
mod puppet;
mod watch;

use keel::boot::{SCHED_CONTEXT, TCB};
use keel::prelude::*;

keel::root_task!(main);

fn main(root: &mut Root) -> keel::Result {
    root.resources.authority.sched_control.configure(SCHED_CONTEXT, puppet::BUDGET)?;
    let mut arena = arena::Arena::new(root)?;
    TCB.set_priority(TCB, puppet::ATTACKER)?;
    growth::all(&mut arena)?;
    attacks::all(&mut arena)
}
