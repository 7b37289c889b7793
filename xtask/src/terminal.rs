// SPDX-License-Identifier: MIT OR Apache-2.0

//! The terminal's settings. QEMU changes them (no echo, no line editing), and gives them back only when it
//! ends by itself.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::process::Stdio;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Standard input for QEMU. It makes its input non-blocking, and where that is the terminal as we have it, our
/// own output would become non-blocking with it; so the terminal is opened once more.
pub(crate) fn input() -> Stdio {
    if !io::stdin().is_terminal() {
        return Stdio::inherit();
    }
    match File::open("/dev/tty") {
        Ok(terminal) => terminal.into(),
        Err(_) => Stdio::null(),
    }
}

/// The settings as they were; they come back when this goes.
#[derive(Debug)]
pub(crate) struct Saved(Option<Termios>);

impl Saved {
    /// Remembers the settings of the terminal at standard input, if it is one.
    pub(crate) fn new() -> Self {
        Saved(tcgetattr(io::stdin()).ok())
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        if let Some(settings) = &self.0 {
            // A terminal that is gone needs no settings.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, settings);
        }
    }
}
