// SPDX-License-Identifier: MIT OR Apache-2.0

//! Driver of the PL011 serial port.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::prelude::*;

keel::program!(main);

fn main(_: &'static Startup) -> keel::Result {
    Err(Error::Missing("serial port"))
}
