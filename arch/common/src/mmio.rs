// SPDX-License-Identifier: MIT OR Apache-2.0

//! Registers of devices.

/// A device's 32-bit registers, addressed by byte offset. Drivers are written against this, so that the
/// host's tests can put a model behind them.
pub trait Mmio {
    /// Reads a register.
    fn read(&self, offset: usize) -> u32;
    /// Writes a register.
    fn write(&self, offset: usize, value: u32);
}

/// Registers without a device, for tests.
#[cfg(not(target_os = "none"))]
pub mod fake {
    use super::Mmio;
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;

    /// Registers that keep what is written, and a log of writes.
    #[derive(Default)]
    pub struct Fake {
        /// What the registers hold.
        pub values: RefCell<BTreeMap<usize, u32>>,
        /// What was written, in order.
        pub writes: RefCell<Vec<(usize, u32)>>,
        /// How often a register was read.
        pub reads: Cell<usize>,
    }

    impl Fake {
        /// Registers that hold these values.
        pub fn with(values: &[(usize, u32)]) -> Self {
            let fake = Self::default();
            fake.values.borrow_mut().extend(values.iter().copied());
            fake
        }
    }

    impl Mmio for &Fake {
        fn read(&self, offset: usize) -> u32 {
            self.reads.set(self.reads.get() + 1);
            self.values.borrow().get(&offset).copied().unwrap_or(0)
        }

        fn write(&self, offset: usize, value: u32) {
            self.writes.borrow_mut().push((offset, value));
        }
    }
}
