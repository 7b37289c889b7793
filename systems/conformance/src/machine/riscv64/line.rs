// SPDX-License-Identifier: MIT OR Apache-2.0

//! An interrupt that a case can raise: the alarm of QEMU's real-time clock (Google's Goldfish RTC).
//!
//! An alarm that is set to a time in the past goes off at once; the line then stays active until it is told
//! otherwise.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::{
    Result,
    boot::Root,
    cap::{Blueprint, CPtr},
};

use super::{DEVICE, burn, poke_u32};
use crate::{
    check::Outcome,
    tester::{Tester, VSPACE},
};

/// Physical address of the clock.
const CLOCK_PADDR: u64 = 0x10_1000;
/// Writing the lower half of the alarm's time sets it.
const ALARM_LOW: u64 = 0x08;
/// Upper half of the alarm's time.
const ALARM_HIGH: u64 = 0x0c;
/// Whether the line follows the alarm.
const IRQ_ENABLED: u64 = 0x10;
/// Writing makes the line inactive.
const CLEAR_INTERRUPT: u64 = 0x1c;

/// The Untyped of the clock's page.
static CLOCK: AtomicU64 = AtomicU64::new(0);

/// Finds the clock.
pub fn prepare(root: &mut Root) -> Result {
    let clock = root.resources.device_untyped(CLOCK_PADDR, 12)?;
    CLOCK.store(clock.cptr().bits(), Ordering::Relaxed);
    Ok(())
}

/// The interrupt's line. It is inactive again when the case ends.
pub struct Line {
    /// Where the clock is mapped.
    registers: u64,
}

impl Line {
    /// Number of the interrupt.
    pub const IRQ: u64 = 11;

    /// The line, inactive.
    pub fn new(t: &mut Tester) -> Outcome<Self> {
        let frame = t.make_from(CPtr::new(CLOCK.load(Ordering::Relaxed)), Blueprint::SmallPage, 1)?;
        let line = Self { registers: t.addresses(12) };
        t.map(VSPACE, frame, line.registers, DEVICE)?;
        line.write(CLEAR_INTERRUPT, 1);
        line.write(IRQ_ENABLED, 1);
        Ok(line)
    }

    /// Makes the line active or not.
    pub fn set(&self, active: bool) {
        if active {
            self.write(ALARM_HIGH, 0);
            self.write(ALARM_LOW, 0);
        } else {
            self.write(CLEAR_INTERRUPT, 1);
        }
    }

    /// Raises the interrupt once.
    pub fn raise(&self) {
        self.set(true);
        // Until then the processor has certainly taken it.
        burn(50);
        self.set(false);
    }

    fn write(&self, register: u64, value: u32) {
        poke_u32(self.registers + register, value);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.set(false);
    }
}
