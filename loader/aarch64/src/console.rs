// SPDX-License-Identifier: MIT OR Apache-2.0

//! The last words of a loader that fails: a PL011 UART that the device tree names, as firmware left it.

use crate::cpu::{Aarch64, Registers, device};
use core::fmt;
use keel_devicetree::DeviceTree;
use keel_loader::memory::Memory;

/// Offset of the data register (PL011 manual, section 3.2).
const DATA: u64 = 0x00;
/// Offset of the flag register.
const FLAGS: u64 = 0x18;
/// Flag: the transmit queue is full.
const FULL: u32 = 1 << 5;

/// A console to write to.
#[derive(Clone, Copy)]
pub struct Console(Registers);

impl Console {
    /// The UART that the tree chooses for output, or else the first one of the kind.
    pub fn find(tree: &DeviceTree<'_>, memory: &mut Memory<Aarch64>) -> Option<Self> {
        const KIND: &str = "arm,pl011";
        let chosen = tree.console().filter(|node| node.is_compatible(KIND));
        let registers = chosen.or_else(|| tree.compatible(KIND))?.regions().next()?;
        device(memory, registers).ok().map(Self)
    }
}

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            while self.0.read(FLAGS) & FULL != 0 {}
            self.0.write(DATA, u32::from(byte));
        }
        Ok(())
    }
}
