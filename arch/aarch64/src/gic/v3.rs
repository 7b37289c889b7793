// SPDX-License-Identifier: MIT OR Apache-2.0

//! Versions 3 and 4 of the controller (Arm IHI 0069): shared interrupts in the distributor, those of a core in its
//! redistributor, and the interface to the core in system registers.

use super::common::{self, CLEAR_ENABLE, CONTROL, SET_ENABLE};
use super::{FIRST_SHARED, Line, PRIORITY_MASK, Taken, Version};
use crate::cpu::interrupts;
use keel_arch::mmio::Mmio;
use keel_devicetree::Region;

/// One bit per interrupt: 1 for the group that the kernel takes.
const GROUP: usize = 0x080;
/// Distributor register: two words per shared interrupt, the core it goes to.
const ROUTE: usize = 0x6000;
/// Distributor control: the group is forwarded (1), by affinity (4).
const FORWARD: u32 = 1 << 1 | 1 << 4;
/// Distributor control: a write has not taken effect yet.
const DISTRIBUTOR_BUSY: u32 = 1 << 31;
/// Redistributor control: likewise.
const REDISTRIBUTOR_BUSY: u32 = 1 << 3;
/// Redistributor register: bits 32 to 63 of its type, the core it belongs to.
const AFFINITY: usize = 0x00c;
/// Redistributor register: power.
const WAKER: usize = 0x014;
/// The core does not take interrupts.
const SLEEP: u32 = 1 << 1;
/// The redistributor has not noticed yet that it does.
const ASLEEP: u32 = 1 << 2;
/// How often registers are read that will change soon, before the kernel goes on.
const PATIENCE: u32 = 32;

/// The highest number of a core: its affinity.
pub(super) const MAX_TARGET: u64 = u32::MAX as u64;

/// Where the frame for private interrupts begins in a redistributor.
pub const PRIVATE_FRAME: u64 = 0x1_0000;
/// log2 of the bytes of a redistributor.
const REDISTRIBUTOR_BITS: u32 = 17;
/// How many redistributors are looked at for that of the core that boots, which is one of the first.
const LOOKED_AT: usize = 16;

/// The registers of each core's redistributor, of those that are looked at.
pub fn redistributors(all: Region) -> impl Iterator<Item = Region> {
    let starts = (all.start()..all.end()).step_by(1 << REDISTRIBUTOR_BITS).take(LOOKED_AT);
    starts.filter_map(|start| Region::new(start, 1 << REDISTRIBUTOR_BITS))
}

/// A controller of version 3.
pub struct Gic<M> {
    /// The distributor.
    distributor: M,
    /// The control frame of this core's redistributor.
    control: M,
    /// Its frame with the registers of the private interrupts.
    private: M,
    /// How many interrupts have registers.
    count: u32,
}

/// Whether the redistributor with this control frame belongs to the core `affinity`.
pub fn belongs_to(control: &impl Mmio, affinity: u32) -> bool {
    control.read(AFFINITY) == affinity
}

impl<M: Mmio> Gic<M> {
    /// Takes a controller over: all interrupts disabled, inactive, not pending, to this core, ready.
    pub fn new(distributor: M, control: M, private: M, affinity: u32) -> Self {
        let gic = Self { count: common::count(&distributor), distributor, control, private };
        gic.start_distributor(affinity);
        gic.control.write(WAKER, gic.control.read(WAKER) & !SLEEP);
        wait_until_clear(&gic.control, WAKER, ASLEEP);
        gic.private.write(GROUP, u32::MAX);
        common::quiet(&gic.private, 0, FIRST_SHARED);
        wait_until_clear(&gic.control, CONTROL, REDISTRIBUTOR_BUSY);
        interrupts::start(PRIORITY_MASK);
        gic
    }

    /// The part of [`Gic::new`] that concerns shared interrupts.
    fn start_distributor(&self, affinity: u32) {
        // Affinity 3 is in bits 32 to 39 of a route.
        let route = [affinity & 0x00ff_ffff, affinity >> 24];
        self.distributor.write(CONTROL, 0);
        wait_until_clear(&self.distributor, CONTROL, DISTRIBUTOR_BUSY);
        for number in (FIRST_SHARED..self.count).step_by(32) {
            self.distributor.write(GROUP + number as usize / 8, u32::MAX);
        }
        common::quiet(&self.distributor, FIRST_SHARED, self.count);
        common::all_levels(&self.distributor, self.count);
        wait_until_clear(&self.distributor, CONTROL, DISTRIBUTOR_BUSY);
        // Routes exist once affinity is on.
        self.distributor.write(CONTROL, FORWARD);
        for number in FIRST_SHARED as usize..self.count as usize {
            self.distributor.write(ROUTE + number * 8, route[0]);
            self.distributor.write(ROUTE + number * 8 + 4, route[1]);
        }
    }

    /// Where an interrupt has its registers.
    fn registers(&self, number: u32) -> &M {
        if number < FIRST_SHARED { &self.private } else { &self.distributor }
    }
}

impl<M: Mmio> Version for Gic<M> {
    fn count(&self) -> u32 {
        self.count
    }

    fn take(&self) -> Taken {
        Taken(interrupts::take())
    }

    fn end(&self, taken: Taken) {
        interrupts::end(taken.0);
    }

    fn unmask(&self, number: u32) {
        common::write_bit(self.registers(number), SET_ENABLE, number);
    }

    fn mask(&self, number: u32) {
        common::write_bit(self.registers(number), CLEAR_ENABLE, number);
        // It must not come again once it is ended.
        if number < FIRST_SHARED {
            wait_until_clear(&self.control, CONTROL, REDISTRIBUTOR_BUSY);
        } else {
            wait_until_clear(&self.distributor, CONTROL, DISTRIBUTOR_BUSY);
        }
    }

    fn configure(&self, number: u32, line: Line) {
        common::configure(self.registers(number), number, line);
    }

    fn send(&self, number: u32, target: u32) {
        interrupts::send(software_interrupt(number, target));
    }
}

/// Waits until bits of a register are clear, as they will be soon.
fn wait_until_clear(registers: &impl Mmio, offset: usize, bits: u32) {
    let mut rounds = keel_bounds::at_most!(PATIENCE);
    for _ in 0..PATIENCE {
        rounds.count();
        if registers.read(offset) & bits == 0 {
            return;
        }
    }
}

/// The value of ICC_SGI1R_EL1 that sends `number` to the core with an affinity of four bytes.
fn software_interrupt(number: u32, affinity: u32) -> u64 {
    let level = |index: u32| u64::from(affinity >> (8 * index) & 0xff);
    let (range, bit) = (level(0) >> 4, level(0) & 0xf);
    level(3) << 48 | range << 44 | level(2) << 32 | u64::from(number) << 24 | level(1) << 16 | 1 << bit
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::gic;
    use keel_arch::mmio::fake::Fake;
    use keel_arch::model;

    #[test]
    fn reset_disables_all_and_routes_shared_ones_here() {
        let (distributor, control) = (Fake::with(&[(0x004, 1)]), Fake::with(&[(WAKER, SLEEP)]));
        let private = Fake::default();
        let gic = Gic::new(&distributor, &control, &private, 0x0102_0304);
        assert_eq!(gic.count(), 64);
        let writes = distributor.writes.borrow();
        assert!(writes.contains(&(0x184, u32::MAX)) && writes.contains(&(0x084, u32::MAX)));
        assert!(writes.contains(&(0x6100, 0x02_0304)) && writes.contains(&(0x61fc, 0x01)));
        assert!(writes.iter().all(|&(at, _)| !(0x6000..0x6100).contains(&at) && at < 0x6200));
        assert_eq!(*control.writes.borrow(), [(WAKER, 0)]);
        assert!(private.writes.borrow().contains(&(0x180, u32::MAX)));
        assert_eq!(model::read("S3_0_C12_C12_7"), 1);
    }

    #[test]
    fn private_interrupts_have_their_own_registers() {
        let (distributor, control, private) = (Fake::with(&[(0x004, 1)]), Fake::default(), Fake::default());
        let gic = gic::Gic::V3(Gic::new(&distributor, &control, &private, 0));
        distributor.writes.borrow_mut().clear();
        private.writes.borrow_mut().clear();
        gic.unmask(27);
        gic.mask(30);
        gic.configure(30, Line::Edge);
        gic.unmask(33);
        assert_eq!(*private.writes.borrow(), [(0x100, 1 << 27), (0x180, 1 << 30), (0xc04, 2 << 28)]);
        assert_eq!(*distributor.writes.borrow(), [(0x104, 1 << 1)]);
    }

    #[test]
    fn takes_and_ends_by_system_registers() {
        let fake = Fake::default();
        let gic = gic::Gic::V3(Gic::new(&fake, &fake, &fake, 0));
        model::set("S3_0_C12_C12_0", 33);
        let taken = gic.take().unwrap();
        assert_eq!(taken.number(), 33);
        gic.end(taken);
        assert_eq!(model::read("S3_0_C12_C12_1"), 33);
        model::set("S3_0_C12_C12_0", 1023);
        assert_eq!(gic.take(), None);
    }

    #[test]
    fn software_interrupts_name_cores_by_affinity() {
        assert_eq!(software_interrupt(5, 0), 5 << 24 | 1);
        assert_eq!(
            software_interrupt(15, 0x0403_0213),
            4 << 48 | 1 << 44 | 3 << 32 | 15 << 24 | 2 << 16 | 1 << 3
        );
    }
}
