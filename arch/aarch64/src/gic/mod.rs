// SPDX-License-Identifier: MIT OR Apache-2.0

//! The generic interrupt controller, whichever version the machine has.
//!
//! ```text
//!              unmask                 line active              take
//!   disabled ─────────▶ enabled ────────────────▶ pending ───────────▶ active
//!      ▲                  ▲ ▲                                            │ end
//!      └───── mask ───────┘ └────────────── ack ─── held (masked) ◀──────┘
//! ```
//!
//! An interrupt for user level is held between its delivery and the handler's acknowledgement by masking it; the
//! controller itself sees it ended at once (`semantics.md` §9). So both versions behave the same for user level,
//! but for the cores that a software interrupt can name.
//!
//! 1. Numbers below [`Gic::count`] have registers; the callers check numbers that come from users.
//! 2. The kernel runs on one core, and all shared interrupts go to that core.

mod v2;
mod v3;

pub use v2::Gic as GicV2;
pub use v3::{Gic as GicV3, PRIVATE_FRAME, belongs_to, redistributors};

use keel_arch::mmio::Mmio;

/// Numbers from here on say that there is no interrupt, or are of kinds that the kernel does not use.
const SPECIAL: u32 = 1020;
/// Software interrupts come first.
const SOFTWARE: u32 = 16;
/// Behind them the private interrupts of a core, then those that cores share.
const FIRST_SHARED: u32 = 32;
/// The priority of all interrupts, in each byte of a word.
const PRIORITY: u32 = 0xa0a0_a0a0;
/// Interrupts of a higher priority, that is a lower number, than this reach the core: all.
const PRIORITY_MASK: u32 = 0xf0;

/// How an interrupt line says that it wants attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Pending while the line is active.
    Level,
    /// Pending once for each edge.
    Edge,
}

/// An interrupt that was taken, to be ended: what the controller said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken(u32);

impl Taken {
    /// The interrupt's number. Version 2 names the core that sent a software interrupt in the bits above.
    pub fn number(self) -> u32 {
        const NUMBER: u32 = 0x3ff;
        self.0 & NUMBER
    }
}

/// What each version can do.
trait Version {
    /// One more than the highest number.
    fn count(&self) -> u32;
    /// Takes the most urgent interrupt, which may be a special number.
    fn take(&self) -> Taken;
    /// Ends the handling of an interrupt: the next one can be taken.
    fn end(&self, taken: Taken);
    /// Lets an interrupt come.
    fn unmask(&self, number: u32);
    /// Keeps an interrupt from coming.
    fn mask(&self, number: u32);
    /// Says how the line of an interrupt that has one works.
    fn configure(&self, number: u32, line: Line);
    /// Sends software interrupt `number` to the core that `target` names.
    fn send(&self, number: u32, target: u32);
}

/// A controller.
pub enum Gic<M> {
    /// Version 2.
    V2(GicV2<M>),
    /// Version 3 or 4.
    V3(GicV3<M>),
}

/// Does something with a controller of whichever version, without a table of functions.
macro_rules! with {
    ($gic:expr, $name:ident => $action:expr) => {
        match $gic {
            Gic::V2($name) => $action,
            Gic::V3($name) => $action,
        }
    };
}

impl<M: Mmio> Gic<M> {
    /// One more than the highest number.
    pub fn count(&self) -> u32 {
        with!(self, gic => gic.count())
    }

    /// The highest number that names a core for [`Gic::send`].
    pub const fn max_target(&self) -> u64 {
        match self {
            Self::V2(_) => v2::MAX_TARGET,
            Self::V3(_) => v3::MAX_TARGET,
        }
    }

    /// Takes the most urgent interrupt; none if it went away meanwhile.
    pub fn take(&self) -> Option<Taken> {
        let taken = with!(self, gic => gic.take());
        (taken.number() < SPECIAL).then_some(taken)
    }

    /// Ends the handling of an interrupt: the next one can be taken.
    pub fn end(&self, taken: Taken) {
        with!(self, gic => gic.end(taken));
    }

    /// Lets an interrupt come.
    pub fn unmask(&self, number: u32) {
        with!(self, gic => gic.unmask(number));
    }

    /// Keeps an interrupt from coming.
    pub fn mask(&self, number: u32) {
        with!(self, gic => gic.mask(number));
    }

    /// Says how an interrupt's line works. Software interrupts have none.
    pub fn configure(&self, number: u32, line: Line) {
        if number >= SOFTWARE {
            with!(self, gic => gic.configure(number, line));
        }
    }

    /// Sends software interrupt `number` (0 to 15) to the core that `target` names, up to [`Gic::max_target`].
    pub fn send(&self, number: u32, target: u32) {
        with!(self, gic => gic.send(number, target));
    }
}

/// Registers that versions 2 and 3 have in common, in the distributor and in the redistributor of a core.
mod common {
    use super::{Line, PRIORITY};
    use keel_arch::mmio::Mmio;

    /// Control: bit 0 forwards interrupts.
    pub const CONTROL: usize = 0x000;
    /// Type: bits 0 to 4 are the number of interrupts / 32 − 1.
    pub const TYPE: usize = 0x004;
    /// One bit per interrupt: writing 1 enables.
    pub const SET_ENABLE: usize = 0x100;
    /// One bit per interrupt: writing 1 disables.
    pub const CLEAR_ENABLE: usize = 0x180;
    /// One bit per interrupt: writing 1 makes it not pending.
    pub const CLEAR_PENDING: usize = 0x280;
    /// One bit per interrupt: writing 1 makes it inactive.
    pub const CLEAR_ACTIVE: usize = 0x380;
    /// One byte per interrupt.
    pub const PRIORITIES: usize = 0x400;
    /// Two bits per interrupt: the upper one is 1 for edge.
    pub const CONFIGURATION: usize = 0xc00;

    /// How many interrupts a distributor has.
    pub fn count(distributor: &impl Mmio) -> u32 {
        let lines = (distributor.read(TYPE) & 0x1f) + 1;
        (lines * 32).min(super::SPECIAL)
    }

    /// Makes the interrupts from `first` (a multiple of 32) to `end` disabled, inactive and not pending.
    pub fn quiet(registers: &impl Mmio, first: u32, end: u32) {
        for number in (first..end).step_by(32) {
            let at = number as usize / 8;
            registers.write(CLEAR_ENABLE + at, u32::MAX);
            registers.write(CLEAR_PENDING + at, u32::MAX);
            registers.write(CLEAR_ACTIVE + at, u32::MAX);
        }
        for number in (first..end).step_by(4) {
            registers.write(PRIORITIES + number as usize, PRIORITY);
        }
    }

    /// Makes the shared interrupts up to `end` those of lines with levels.
    pub fn all_levels(registers: &impl Mmio, end: u32) {
        for number in (super::FIRST_SHARED..end).step_by(16) {
            registers.write(CONFIGURATION + number as usize / 4, 0);
        }
    }

    /// Writes the bit of an interrupt in a register array where zeros change nothing.
    pub fn write_bit(registers: &impl Mmio, array: usize, number: u32) {
        registers.write(array + number as usize / 32 * 4, 1 << (number % 32));
    }

    /// Says how an interrupt's line works.
    pub fn configure(registers: &impl Mmio, number: u32, line: Line) {
        let at = CONFIGURATION + number as usize / 16 * 4;
        let bit = 2 << (number % 16 * 2);
        let others = registers.read(at) & !bit;
        registers.write(at, others | if line == Line::Edge { bit } else { 0 });
    }
}
