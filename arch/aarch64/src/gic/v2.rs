// SPDX-License-Identifier: MIT OR Apache-2.0

//! Version 2 of the controller (Arm IHI 0048B): all in device registers.

use super::common::{self, CLEAR_ENABLE, CONTROL, SET_ENABLE};
use super::{FIRST_SHARED, Line, PRIORITY_MASK, Taken, Version};
use keel_arch::mmio::Mmio;

/// Distributor register: one byte per interrupt, the cores it goes to.
const TARGETS: usize = 0x800;
/// Distributor register: software interrupts, target list in bits 16 to 23, number in bits 0 to 3.
const SOFTWARE: usize = 0xf00;

/// The highest number of a core.
pub(super) const MAX_TARGET: u64 = 7;

/// Registers of the interface to the core.
mod interface {
    /// Control: bit 0 signals interrupts to the core.
    pub const CONTROL: usize = 0x000;
    /// Only interrupts of a higher priority, that is a lower number, are signalled.
    pub const PRIORITY_MASK: usize = 0x004;
    /// Which bits of the priority make a group for preemption.
    pub const BINARY_POINT: usize = 0x008;
    /// Reading takes the most urgent interrupt.
    pub const ACKNOWLEDGE: usize = 0x00c;
    /// Writing what was read ends it.
    pub const END: usize = 0x010;
}

/// A controller of version 2.
pub struct Gic<M> {
    /// The distributor.
    distributor: M,
    /// The interface to this core.
    interface: M,
    /// How many interrupts have registers.
    count: u32,
}

impl<M: Mmio> Gic<M> {
    /// Takes a controller over: all interrupts disabled, inactive, not pending, to this core, ready.
    pub fn new(distributor: M, interface: M) -> Self {
        let count = common::count(&distributor);
        distributor.write(CONTROL, 0);
        common::quiet(&distributor, 0, count);
        common::all_levels(&distributor, count);
        // The targets of private interrupts are read-only: each says which core this is.
        let this_core = distributor.read(TARGETS) & 0xff;
        for number in (FIRST_SHARED..count).step_by(4) {
            distributor.write(TARGETS + number as usize, this_core * 0x0101_0101);
        }
        distributor.write(CONTROL, 1);
        interface.write(interface::PRIORITY_MASK, PRIORITY_MASK);
        interface.write(interface::BINARY_POINT, 0);
        interface.write(interface::CONTROL, 1);
        Self { distributor, interface, count }
    }
}

impl<M: Mmio> Version for Gic<M> {
    fn count(&self) -> u32 {
        self.count
    }

    fn take(&self) -> Taken {
        Taken(self.interface.read(interface::ACKNOWLEDGE))
    }

    fn end(&self, taken: Taken) {
        self.interface.write(interface::END, taken.0);
    }

    fn unmask(&self, number: u32) {
        common::write_bit(&self.distributor, SET_ENABLE, number);
    }

    fn mask(&self, number: u32) {
        common::write_bit(&self.distributor, CLEAR_ENABLE, number);
    }

    fn configure(&self, number: u32, line: Line) {
        common::configure(&self.distributor, number, line);
    }

    fn send(&self, number: u32, target: u32) {
        self.distributor.write(SOFTWARE, 1 << (16 + target) | number);
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::gic;
    use keel_arch::mmio::fake::Fake;

    fn gic<'a>(distributor: &'a Fake, interface: &'a Fake) -> gic::Gic<&'a Fake> {
        let gic = gic::Gic::V2(Gic::new(distributor, interface));
        distributor.writes.borrow_mut().clear();
        interface.writes.borrow_mut().clear();
        gic
    }

    #[test]
    fn reset_disables_all_and_routes_shared_ones_here() {
        let (distributor, interface) = (Fake::with(&[(0x004, 2), (0x800, 0x0101_0101)]), Fake::default());
        assert_eq!(Gic::new(&distributor, &interface).count(), 96);
        let writes = distributor.writes.borrow();
        assert_eq!(writes.first(), Some(&(0x000, 0)));
        assert_eq!(writes.last(), Some(&(0x000, 1)));
        for at in [0x180, 0x184, 0x188, 0x280, 0x380] {
            assert!(writes.contains(&(at, u32::MAX)), "{at:#x}");
        }
        assert!(writes.contains(&(0x820, 0x0101_0101)) && writes.contains(&(0x85c, 0x0101_0101)));
        assert!(!writes.iter().any(|&(at, _)| (0x800..0x820).contains(&at)));
        assert!(writes.iter().all(|&(at, _)| at != 0x18c && at != 0x860 && at != 0xc18));
        assert_eq!(interface.writes.borrow().last(), Some(&(0x000, 1)));
    }

    #[test]
    fn no_controller_has_more_numbers_than_the_architecture() {
        let distributor = Fake::with(&[(0x004, 0x1f)]);
        assert_eq!(Gic::new(&distributor, &Fake::default()).count(), 1020);
    }

    #[test]
    fn takes_and_ends_with_the_sender_and_ignores_spurious_ones() {
        let (distributor, interface) = (Fake::default(), Fake::with(&[(0x00c, 0x0c05)]));
        let gic = gic(&distributor, &interface);
        let taken = gic.take().unwrap();
        assert_eq!(taken.number(), 5);
        gic.end(taken);
        assert_eq!(*interface.writes.borrow(), [(0x010, 0x0c05)]);
        interface.values.borrow_mut().insert(0x00c, 1023);
        assert_eq!(gic.take(), None);
    }

    #[test]
    fn masks_and_configures_single_interrupts() {
        let (distributor, interface) = (Fake::with(&[(0xc08, 0xaaaa_aaaa)]), Fake::default());
        let gic = gic(&distributor, &interface);
        gic.unmask(33);
        gic.mask(63);
        gic.configure(33, Line::Level);
        gic.configure(33, Line::Edge);
        gic.configure(3, Line::Edge);
        gic.send(9, 3);
        let expected = [
            (0x104, 1 << 1),
            (0x184, 1 << 31),
            (0xc08, 0xaaaa_aaa2),
            (0xc08, 0xaaaa_aaaa),
            (0xf00, 1 << 19 | 9),
        ];
        assert_eq!(*distributor.writes.borrow(), expected);
    }
}
