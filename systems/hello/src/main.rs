// SPDX-License-Identifier: MIT OR Apache-2.0

//! The smallest system: it says hello and ends.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::prelude::*;

keel::root_task!(main);

fn main(root: &mut Root) -> keel::Result {
    println!("Hello from user level, with {} MiB to give away.", root.resources.memory.free_bytes() >> 20);
    Ok(())
}
