// SPDX-License-Identifier: MIT OR Apache-2.0

//! An interrupt that a case can raise: that of the physical timer, which the kernel leaves to user level.

use super::{burn, set_physical_timer};
use crate::{check::Outcome, tester::Tester};

/// The interrupt's line. It is inactive again when the case ends.
pub struct Line;

impl Line {
    /// Number of the interrupt.
    pub const IRQ: u64 = 30;

    /// The line, inactive.
    pub fn new(_t: &mut Tester) -> Outcome<Self> {
        set_physical_timer(false);
        Ok(Self)
    }

    /// Makes the line active or not.
    pub fn set(&self, active: bool) {
        set_physical_timer(active);
    }

    /// Raises the interrupt once.
    pub fn raise(&self) {
        self.set(true);
        // Until then the processor has certainly taken it.
        burn(50);
        self.set(false);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.set(false);
    }
}
