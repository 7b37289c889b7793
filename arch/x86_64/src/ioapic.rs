// SPDX-License-Identifier: MIT OR Apache-2.0

//! A controller that makes interrupts of devices' lines, the *pins* (Intel 82093AA data sheet, chapter 3).

use keel_arch::mmio::Mmio;

/// Which register is meant.
const SELECT: usize = 0x00;
/// That register.
const WINDOW: usize = 0x10;
/// The register with the number of pins.
const VERSION: u32 = 1;
/// The first register of pins: each has two, of which the second says where its interrupts go.
const PINS: u32 = 0x10;
/// In a pin's first register: the line is active low.
const ACTIVE_LOW: u32 = 1 << 13;
/// In a pin's first register: active while the line is, not at its edges.
const LEVEL: u32 = 1 << 15;
/// In a pin's first register: no interrupt.
const MASKED: u32 = 1 << 16;

/// How a line is to be understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Active while the line is, not at its edges.
    pub is_level: bool,
    /// Active when low.
    pub is_low: bool,
}

/// A controller.
pub struct IoApic<M> {
    /// Its registers.
    registers: M,
    /// How many pins it has.
    pins: u32,
}

impl<M: Mmio> IoApic<M> {
    /// Takes a controller over: all pins masked.
    pub fn new(registers: M) -> Self {
        let mut controller = Self { registers, pins: 0 };
        controller.pins = (controller.read(VERSION) >> 16 & 0xff) + 1;
        for pin in 0..controller.pins {
            controller.write(PINS + 2 * pin, MASKED);
        }
        controller
    }

    /// How many pins there are.
    pub fn pins(&self) -> u32 {
        self.pins
    }

    /// Has a pin interrupt the processor `target` by `vector`.
    pub fn route(&self, pin: u32, line: Line, vector: u32, target: u32) {
        let level = if line.is_level { LEVEL } else { 0 };
        let low = if line.is_low { ACTIVE_LOW } else { 0 };
        self.write(PINS + 2 * pin, MASKED);
        self.write(PINS + 2 * pin + 1, target << 24);
        self.write(PINS + 2 * pin, level | low | vector);
    }

    /// Keeps a pin from interrupting, or lets it again.
    pub fn mask(&self, pin: u32, masked: bool) {
        let register = PINS + 2 * pin;
        let value = self.read(register);
        self.write(register, if masked { value | MASKED } else { value & !MASKED });
    }

    /// Reads a register.
    fn read(&self, register: u32) -> u32 {
        self.registers.write(SELECT, register);
        self.registers.read(WINDOW)
    }

    /// Writes a register.
    fn write(&self, register: u32, value: u32) {
        self.registers.write(SELECT, register);
        self.registers.write(WINDOW, value);
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_arch::mmio::fake::Fake;

    #[test]
    fn pins_are_masked_routed_and_masked_again() {
        let registers = Fake::with(&[(WINDOW, 0x17_0011)]);
        let controller = IoApic::new(&registers);
        assert_eq!(controller.pins(), 24);
        assert_eq!(registers.writes.borrow().len(), 1 + 2 * 24);
        registers.writes.borrow_mut().clear();
        controller.route(4, Line { is_level: true, is_low: true }, 0x35, 1);
        let expected = [(0, 0x18), (16, 1 << 16), (0, 0x19), (16, 1 << 24), (0, 0x18), (16, 0xa035)];
        assert_eq!(*registers.writes.borrow(), expected);
        registers.writes.borrow_mut().clear();
        registers.values.borrow_mut().insert(WINDOW, 0xa035);
        controller.mask(4, true);
        registers.values.borrow_mut().insert(WINDOW, 0x1_a035);
        controller.mask(4, false);
        let expected = [(0, 0x18), (0, 0x18), (16, 0x1_a035), (0, 0x18), (0, 0x18), (16, 0xa035)];
        assert_eq!(*registers.writes.borrow(), expected);
    }
}
