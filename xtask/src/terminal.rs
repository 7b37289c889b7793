// SPDX-License-Identifier: MIT OR Apache-2.0

//! The terminal's settings. QEMU changes them (no echo, no line editing), and gives them back only when it
//! ends by itself.

use std::io;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

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
