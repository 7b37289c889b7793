// SPDX-License-Identifier: MIT OR Apache-2.0

//! Says back what is typed: one line, by way of the serial port's driver, which runs as a process of its own.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use keel::{
    console::{self, protocol},
    console_driver::ConsoleDriver,
    prelude::*,
};

keel::root_task!(main);

/// A longer line is cut.
const MAX_BYTES: usize = 200;

/// Priority of the driver.
const DRIVER_PRIORITY: u8 = 254;

fn main(root: &mut Root) -> keel::Result {
    let archive = keel::archive!()?;
    ConsoleDriver::start(root, archive.program(root.console_driver()?)?, DRIVER_PRIORITY)?;
    println!("Type a line.");
    let mut line = [0; MAX_BYTES];
    let length = read_line(&mut line)?;
    let text = core::str::from_utf8(&line[..length]).map_err(|_| "that is no text")?;
    println!("You typed `{text}`.");
    console::flush();
    Ok(())
}

/// Reads until the end of a line, or until `line` is full; gives the number of bytes.
fn read_line(line: &mut [u8]) -> keel::Result<usize> {
    let mut length = 0;
    loop {
        let mut room = [0; protocol::MAX_BYTES];
        for &byte in console::read(&mut room)? {
            if matches!(byte, b'\r' | b'\n') || length == line.len() {
                return Ok(length);
            }
            line[length] = byte;
            length += 1;
        }
    }
}
