// SPDX-License-Identifier: MIT OR Apache-2.0

//! The platform-level interrupt controller (RISC-V PLIC specification 1.0).
//!
//! ```text
//!              enable               line active              claim
//!   disabled ─────────▶ enabled ──────────────▶ pending ──────────────▶ claimed
//!      ▲                  ▲ ▲                                             │
//!      └──── disable ─────┘ └────────────────── complete ◀────────────────┘
//! ```
//!
//! A claimed interrupt does not come again until it is completed. So an interrupt for user level is simply left
//! claimed from its delivery to the handler's acknowledgement.
//!
//! 1. Numbers from 1 to [`Plic::last`] have registers; the callers check numbers that come from users.
//! 2. The kernel runs on one core; interrupts are enabled for its supervisor mode alone, the *context*.

use keel_arch::mmio::Mmio;

/// One word of priority per interrupt.
const PRIORITY: usize = 0x00_0000;
/// Enable bits: 128 bytes per context.
const ENABLE: usize = 0x00_2000;
/// Bytes of enable bits of a context.
const ENABLE_BYTES: usize = 0x80;
/// Threshold, and behind it the claim register: a page per context.
const CONTEXT: usize = 0x20_0000;
/// Bytes of a context's page.
const CONTEXT_BYTES: usize = 0x1000;
/// Offset of the claim register: reading claims, writing completes.
const CLAIM: usize = 4;
/// The highest number that is used: one less than the controller can have, since the kernel's timer is numbered behind.
const MAX: u32 = 1022;

/// A controller.
pub struct Plic<M> {
    /// Its registers.
    registers: M,
    /// See invariant 2.
    context: usize,
    /// See invariant 1.
    last: u32,
}

impl<M: Mmio> Plic<M> {
    /// Bytes of registers that a controller with this context has.
    pub const fn bytes(context: usize) -> u64 {
        (CONTEXT + (context + 1) * CONTEXT_BYTES) as u64
    }

    /// Takes a controller over: all interrupts disabled and of one priority.
    pub fn new(registers: M, context: usize, last: u32) -> Self {
        let plic = Self { registers, context, last: last.min(MAX) };
        for bits in (0..=plic.last).step_by(32) {
            plic.registers.write(plic.enable_register(bits), 0);
        }
        for number in 1..=plic.last {
            plic.registers.write(PRIORITY + number as usize * 4, 1);
        }
        plic.registers.write(plic.context_register(), 0);
        plic
    }

    /// The highest number.
    pub fn last(&self) -> u32 {
        self.last
    }

    /// Claims the most urgent interrupt; none if it went away meanwhile.
    pub fn claim(&self) -> Option<u32> {
        let number = self.registers.read(self.context_register() + CLAIM);
        (number != 0).then_some(number)
    }

    /// Completes an interrupt: it can come again. No effect on one that is not claimed.
    pub fn complete(&self, number: u32) {
        self.registers.write(self.context_register() + CLAIM, number);
    }

    /// Lets an interrupt come.
    pub fn enable(&self, number: u32) {
        let register = self.enable_register(number);
        self.registers.write(register, self.registers.read(register) | 1 << (number % 32));
    }

    /// Keeps an interrupt from coming. It is completed before: afterwards the controller would not listen.
    pub fn disable(&self, number: u32) {
        self.complete(number);
        let register = self.enable_register(number);
        self.registers.write(register, self.registers.read(register) & !(1 << (number % 32)));
    }

    /// The register with the enable bit of an interrupt.
    fn enable_register(&self, number: u32) -> usize {
        ENABLE + self.context * ENABLE_BYTES + number as usize / 32 * 4
    }

    /// The context's first register: interrupts of a priority up to this are not signalled.
    fn context_register(&self) -> usize {
        CONTEXT + self.context * CONTEXT_BYTES
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_arch::mmio::fake::Fake;

    #[test]
    fn everything_is_off_at_first() {
        let registers = Fake::default();
        let plic = Plic::new(&registers, 1, 53);
        assert_eq!(plic.last(), 53);
        let writes = registers.writes.borrow();
        assert_eq!(writes[..2], [(0x2080, 0), (0x2084, 0)]);
        assert!(writes.contains(&(4, 1)) && writes.contains(&(53 * 4, 1)) && !writes.contains(&(54 * 4, 1)));
        assert_eq!(writes.last(), Some(&(0x20_1000, 0)));
    }

    #[test]
    fn interrupts_are_claimed_completed_and_switched_one_by_one() {
        let registers = Fake::with(&[(0x20_1004, 10), (0x2080, 1 << 3), (0x2084, u32::MAX)]);
        let plic = Plic::new(&registers, 1, 95);
        registers.writes.borrow_mut().clear();
        assert_eq!(plic.claim(), Some(10));
        plic.complete(10);
        plic.enable(10);
        plic.disable(33);
        let expected = [(0x20_1004, 10), (0x2080, 1 << 3 | 1 << 10), (0x20_1004, 33), (0x2084, !(1 << 1))];
        assert_eq!(*registers.writes.borrow(), expected);
        registers.values.borrow_mut().insert(0x20_1004, 0);
        assert_eq!(plic.claim(), None);
    }

    #[test]
    fn there_is_a_number_left_for_the_timer() {
        assert_eq!(Plic::new(&Fake::default(), 0, u32::MAX).last(), 1022);
    }
}
