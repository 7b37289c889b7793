// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only 64-bit x86 has: a kind of paging structure for each level, and interrupts by vector.

use super::{Blueprint, Cap, FixedSize, Frame, Invoked, IrqControl, SlotPath, Table, Trigger, invoke};
use crate::arch::abi::label;

/// The paging structure above page tables.
pub enum PageDirectory {}

impl FixedSize for PageDirectory {
    const BLUEPRINT: Blueprint = Blueprint::PageDirectory;
}

impl Table for PageDirectory {
    const MAP: u64 = label::PAGE_DIRECTORY_MAP;
    const UNMAP: u64 = label::PAGE_DIRECTORY_UNMAP;
}

/// The paging structure above page directories.
pub enum PageDirectoryPointerTable {}

impl FixedSize for PageDirectoryPointerTable {
    const BLUEPRINT: Blueprint = Blueprint::PageDirectoryPointerTable;
}

impl Table for PageDirectoryPointerTable {
    const MAP: u64 = label::PDPT_MAP;
    const UNMAP: u64 = label::PDPT_UNMAP;
}

impl Cap<Frame> {
    /// Makes instructions that were written to the first `_bytes` bytes of the frame visible to instruction fetch,
    /// which they are already.
    pub fn make_executable(self, _bytes: u64) -> Invoked {
        Ok(())
    }
}

/// Which level of a line means that the interrupt is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polarity {
    /// The high one, as on the ISA bus.
    ActiveHigh,
    /// The low one, as on the PCI bus.
    ActiveLow,
}

/// A pin of an interrupt controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The controller, counted from 0.
    pub ioapic: u64,
    /// Its pin, counted from 0.
    pub pin: u64,
    /// How the line signals.
    pub trigger: Trigger,
    /// Which level signals.
    pub polarity: Polarity,
}

/// A function of a PCI device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PciFunction {
    /// The bus.
    pub bus: u64,
    /// The device on the bus.
    pub device: u64,
    /// The function of the device.
    pub function: u64,
}

impl Cap<IrqControl> {
    /// Puts the handler of a pin's interrupt, delivered as `vector`, into a slot.
    pub fn get_ioapic(self, pin: Pin, vector: u64, destination: SlotPath) -> Invoked {
        let level = u64::from(pin.trigger == Trigger::Level);
        let low = u64::from(pin.polarity == Polarity::ActiveLow);
        let place = [destination.index, destination.depth];
        let words = [place[0], place[1], pin.ioapic, pin.pin, level, low, vector];
        let caps = [destination.root.cptr()];
        invoke(self.cptr(), label::IRQ_ISSUE_IRQ_HANDLER_IOAPIC, &words, &caps).map(drop)
    }

    /// Puts the handler of a device's message, delivered as `vector`, into a slot. The device is told to send the data
    /// [`IRQ_OFFSET`](crate::abi::x86_64::irq::IRQ_OFFSET)` + vector` by who drives it.
    pub fn get_msi(self, function: PciFunction, handle: u64, vector: u64, destination: SlotPath) -> Invoked {
        let PciFunction { bus, device, function } = function;
        let words = [destination.index, destination.depth, bus, device, function, handle, vector];
        let caps = [destination.root.cptr()];
        invoke(self.cptr(), label::IRQ_ISSUE_IRQ_HANDLER_MSI, &words, &caps).map(drop)
    }

    /// Puts the handler of an interrupt into a slot, as it is wired on the machine: the way that all machines have.
    /// Here it is the pin `irq` of the first controller, wired as on the ISA bus, and delivered as the vector of the
    /// same number.
    pub fn get_wired(self, irq: u64, destination: SlotPath) -> Invoked {
        let (trigger, polarity) = (Trigger::Edge, Polarity::ActiveHigh);
        self.get_ioapic(Pin { ioapic: 0, pin: irq, trigger, polarity }, irq, destination)
    }
}
