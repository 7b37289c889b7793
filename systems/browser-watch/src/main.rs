// SPDX-License-Identifier: MIT OR Apache-2.0

//! A tab's watch: it signals once in each period of its budget, and gives the rest of it up.
//!
//! With that a tab that waits for a decoder hears of the time that passes, even of a decoder that uses
//! none.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::prelude::*;
use keel_browser_protocol::names;

keel::program!(main);

fn main(startup: &'static Startup) -> keel::Result {
    let tick = startup.cap::<Notification>(names::TICK).ok_or(Error::Missing(names::TICK))?;
    loop {
        tick.signal();
        keel::sys::yield_now();
    }
}
