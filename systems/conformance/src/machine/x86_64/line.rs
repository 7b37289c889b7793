// SPDX-License-Identifier: MIT OR Apache-2.0

//! An interrupt that a case can raise: that of the interval timer (Intel 8254), counter 0.
//!
//! In mode 0 the counter's line is inactive from the writing of a count until it has run down, and then active until
//! the next is written.

use keel::cap::CPtr;
use keel_abi::slot;

use super::{burn, label};
use crate::{
    check::Outcome,
    invoke::{accepts, call},
    tester::{CNODE, DEPTH, Tester},
};

/// The port of counter 0.
const COUNTER: u64 = 0x40;
/// The port of the modes.
const MODE: u64 = 0x43;
/// Counter 0, both bytes of the count, mode 0.
const ONCE: u64 = 0x30;
/// The pin of the interrupt controller that the counter is wired to.
pub const PIN: u64 = 2;

/// The interrupt's line. It is inactive again when the case ends.
pub struct Line {
    /// The timer's I/O ports.
    ports: CPtr,
}

impl Line {
    /// Number of the interrupt.
    pub const IRQ: u64 = 7;

    /// The line, inactive.
    pub fn new(t: &mut Tester) -> Outcome<Self> {
        let ports = t.slot()?;
        let words = [COUNTER, MODE, ports.bits(), DEPTH];
        accepts("X86IOPortControlIssue", CPtr::new(slot::IO_PORT_CONTROL), &words, &[CNODE])?;
        let line = Self { ports };
        line.set(false);
        Ok(line)
    }

    /// Makes the line active or not.
    pub fn set(&self, active: bool) {
        // Until the longest count has run down, 55 ms, the case has ended and its interrupt is masked.
        let count = if active { 1 } else { 0xffff };
        self.write(MODE, ONCE);
        self.write(COUNTER, count & 0xff);
        self.write(COUNTER, count >> 8);
        if active {
            // The counter counts in microseconds.
            burn(5_000);
        }
    }

    /// Raises the interrupt once.
    pub fn raise(&self) {
        self.set(true);
        self.set(false);
    }

    fn write(&self, port: u64, value: u64) {
        call(self.ports, label::IO_PORT_OUT_8, &[port, value], &[]);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.set(false);
    }
}
