// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processor's own interrupt controller, with its timer (chapter 10).
//!
//! An interrupt that is taken is in service until it is ended; those that are not more urgent wait meanwhile.

use keel_arch::mmio::Mmio;
use keel_bounds::at_most;

/// Who this is.
const ID: usize = 0x20;
/// Interrupts up to this priority wait.
const TASK_PRIORITY: usize = 0x80;
/// Ends the most urgent interrupt in service.
const END: usize = 0xb0;
/// The vector of spurious interrupts, and the switch.
const SPURIOUS: usize = 0xf0;
/// In [`SPURIOUS`]: the controller is on.
const ON: u32 = 1 << 8;
/// Bits of the vectors that wait: a register of 32 each, 16 bytes apart.
const REQUESTS: usize = 0x200;
/// The timer's vector and mode; single shots are mode 0.
const TIMER: usize = 0x320;
/// Where the timer counts down from.
const TIMER_INITIAL: usize = 0x380;
/// Where it is.
const TIMER_CURRENT: usize = 0x390;
/// What it divides its clock by.
const TIMER_DIVIDE: usize = 0x3e0;
/// In [`TIMER_DIVIDE`]: by 1.
const BY_ONE: u32 = 0xb;
/// The other local interrupts: two lines, errors, counters, temperature, machine check.
const LOCAL_INTERRUPTS: [usize; 3] = [0x350, 0x360, 0x370];
/// In a local interrupt's register: it does not come.
const MASKED: u32 = 1 << 16;
/// Vectors from here on can wait: those below are exceptions.
const FIRST_VECTOR: usize = 32;

/// The controller.
pub struct Apic<M>(M);

impl<M: Mmio> Apic<M> {
    /// Takes the controller over: only the timer's interrupt, by `timer_vector`, and those of messages come.
    pub fn new(registers: M, timer_vector: u32, spurious_vector: u32) -> Self {
        for register in LOCAL_INTERRUPTS {
            registers.write(register, MASKED);
        }
        registers.write(TASK_PRIORITY, 0);
        registers.write(SPURIOUS, ON | spurious_vector);
        registers.write(TIMER_DIVIDE, BY_ONE);
        registers.write(TIMER, timer_vector);
        registers.write(TIMER_INITIAL, 0);
        Self(registers)
    }

    /// The number by which others send interrupts here.
    pub fn id(&self) -> u32 {
        self.0.read(ID) >> 24
    }

    /// Whether an interrupt waits.
    pub fn is_pending(&self) -> bool {
        let mut rounds = at_most!(8 - FIRST_VECTOR / 32);
        (FIRST_VECTOR / 32..8).any(|word| {
            rounds.count();
            self.0.read(REQUESTS + word * 16) != 0
        })
    }

    /// Ends the most urgent interrupt in service.
    #[inline(always)]
    pub fn end(&self) {
        self.0.write(END, 0);
    }

    /// Has the timer's interrupt come after so many ticks of its clock, at least 1.
    #[inline(always)]
    pub fn set_timer(&self, ticks: u32) {
        self.0.write(TIMER_INITIAL, ticks);
    }

    /// Ticks until the timer's interrupt.
    pub fn timer(&self) -> u32 {
        self.0.read(TIMER_CURRENT)
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_arch::mmio::fake::Fake;

    #[test]
    fn only_the_timer_comes() {
        let registers = Fake::with(&[(0x20, 3 << 24)]);
        let apic = Apic::new(&registers, 157, 255);
        let writes = registers.writes.borrow();
        assert!(writes.contains(&(0xf0, 0x1ff)) && writes.contains(&(0x320, 157)));
        assert!([0x350, 0x360, 0x370].iter().all(|&register| writes.contains(&(register, 1 << 16))));
        assert_eq!(apic.id(), 3);
    }

    #[test]
    fn interrupts_wait_by_their_vectors() {
        for (register, waits) in [(0x200, false), (0x210, true), (0x240, true), (0x270, true)] {
            let registers = Fake::with(&[(register, 1 << 29)]);
            assert_eq!(Apic::new(&registers, 157, 255).is_pending(), waits);
        }
    }
}
