// SPDX-License-Identifier: MIT OR Apache-2.0

//! Text that one thread leaves for another.
//!
//! Both know by a message when it is complete; the atomics are there because the threads share an address
//! space, not because they race.

use core::{
    fmt::{self, Display, Write},
    sync::atomic::{AtomicU8, AtomicUsize, Ordering},
};

/// Longest text in bytes; the rest is cut.
const MAX_BYTES: usize = 480;

/// A text in static memory.
pub struct SharedText {
    bytes: [AtomicU8; MAX_BYTES],
    length: AtomicUsize,
}

impl SharedText {
    /// No text.
    pub const fn new() -> Self {
        Self { bytes: [const { AtomicU8::new(0) }; MAX_BYTES], length: AtomicUsize::new(0) }
    }

    /// Replaces the text by what `value` displays as.
    pub fn set(&self, value: impl Display) {
        self.length.store(0, Ordering::Relaxed);
        // What does not fit is cut.
        let _ = write!(Appender(self), "{value}");
    }
}

impl Display for SharedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = [0; MAX_BYTES];
        for (to, from) in copy.iter_mut().zip(&self.bytes) {
            *to = from.load(Ordering::Relaxed);
        }
        let length = self.length.load(Ordering::Relaxed).min(MAX_BYTES);
        match core::str::from_utf8(&copy[..length]) {
            Ok(text) => f.write_str(text),
            Err(error) => f.write_str(core::str::from_utf8(&copy[..error.valid_up_to()]).unwrap_or("")),
        }
    }
}

struct Appender<'a>(&'a SharedText);

impl Write for Appender<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            let index = self.0.length.load(Ordering::Relaxed);
            self.0.bytes.get(index).ok_or(fmt::Error)?.store(byte, Ordering::Relaxed);
            self.0.length.store(index + 1, Ordering::Relaxed);
        }
        Ok(())
    }
}
