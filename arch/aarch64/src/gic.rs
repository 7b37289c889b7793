// SPDX-License-Identifier: MIT OR Apache-2.0

//! The generic interrupt controller, version 2 (Arm IHI 0048B).
//!
//! ```text
//!              enable                 line active              take
//!   disabled ─────────▶ enabled ────────────────▶ pending ───────────▶ active
//!      ▲                  ▲ ▲                                            │ end
//!      └──── disable ─────┘ └────────────── ack ─── held (masked) ◀──────┘
//! ```
//!
//! An interrupt for user level is held between its delivery and the handler's acknowledgement by masking it
//! at the distributor; the controller itself sees it ended at once (`semantics.md` §9).
//!
//! 1. Numbers below [`Gic::count`] have registers; the callers check numbers that come from users.
//! 2. The kernel runs on one core, and all shared interrupts go to that core.

use crate::mmio::Mmio;

/// Distributor registers.
mod distributor {
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
    pub const PRIORITY: usize = 0x400;
    /// One byte per interrupt: the cores it goes to.
    pub const TARGETS: usize = 0x800;
    /// Two bits per interrupt: the upper one is 1 for edge.
    pub const CONFIGURATION: usize = 0xc00;
    /// Software interrupts: target list in bits 16 to 23, number in bits 0 to 3.
    pub const SOFTWARE: usize = 0xf00;
}

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

/// The number in the acknowledge register; the bits above name the core that sent a software interrupt.
const NUMBER: u32 = 0x3ff;
/// Numbers from here on say that there is no interrupt.
const SPECIAL: u32 = 1020;
/// Private interrupts of a core come first.
const FIRST_SHARED: u32 = 32;
/// The priority of all interrupts, in each byte of a word.
const PRIORITY: u32 = 0xa0a0_a0a0;

/// How an interrupt line says that it wants attention.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// Pending while the line is active.
    Level,
    /// Pending once for each edge.
    Edge,
}

/// An interrupt that was taken, to be ended: what the acknowledge register said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken(u32);

impl Taken {
    /// The interrupt's number.
    pub fn number(self) -> u32 {
        self.0 & NUMBER
    }
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
        let lines = (distributor.read(distributor::TYPE) & 0x1f) + 1;
        let gic = Self { distributor, interface, count: (lines * 32).min(SPECIAL) };
        gic.reset();
        gic
    }

    /// See [`Gic::new`].
    fn reset(&self) {
        use distributor::*;
        self.distributor.write(CONTROL, 0);
        for bits in (0..self.count).step_by(32) {
            let at = bits as usize / 8;
            self.distributor.write(CLEAR_ENABLE + at, u32::MAX);
            self.distributor.write(CLEAR_PENDING + at, u32::MAX);
            self.distributor.write(CLEAR_ACTIVE + at, u32::MAX);
        }
        // The targets of private interrupts are read-only: each says which core this is.
        let this_core = self.distributor.read(TARGETS) & 0xff;
        for bytes in (0..self.count).step_by(4) {
            self.distributor.write(PRIORITY + bytes as usize, self::PRIORITY);
            if bytes >= FIRST_SHARED {
                self.distributor.write(TARGETS + bytes as usize, this_core * 0x0101_0101);
            }
        }
        for number in FIRST_SHARED..self.count {
            if number % 16 == 0 {
                self.distributor.write(CONFIGURATION + number as usize / 4, 0);
            }
        }
        self.distributor.write(CONTROL, 1);
        self.interface.write(interface::PRIORITY_MASK, 0xf0);
        self.interface.write(interface::BINARY_POINT, 0);
        self.interface.write(interface::CONTROL, 1);
    }

    /// One more than the highest number.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Takes the most urgent interrupt; none if it went away meanwhile.
    pub fn take(&self) -> Option<Taken> {
        let taken = Taken(self.interface.read(interface::ACKNOWLEDGE));
        (taken.number() < SPECIAL).then_some(taken)
    }

    /// Ends the handling of an interrupt: the next one can be taken.
    pub fn end(&self, taken: Taken) {
        self.interface.write(interface::END, taken.0);
    }

    /// Lets an interrupt come.
    pub fn unmask(&self, number: u32) {
        self.write_bit(distributor::SET_ENABLE, number);
    }

    /// Keeps an interrupt from coming.
    pub fn mask(&self, number: u32) {
        self.write_bit(distributor::CLEAR_ENABLE, number);
    }

    /// Says how an interrupt's line works. Software interrupts have none.
    pub fn configure(&self, number: u32, line: Line) {
        if number < 16 {
            return;
        }
        let at = distributor::CONFIGURATION + number as usize / 16 * 4;
        let bit = 2 << (number % 16 * 2);
        let others = self.distributor.read(at) & !bit;
        self.distributor.write(at, others | if line == Line::Edge { bit } else { 0 });
    }

    /// Sends software interrupt `number` (0 to 15) to core `target` (0 to 7).
    pub fn send(&self, number: u32, target: u32) {
        self.distributor.write(distributor::SOFTWARE, 1 << (16 + target) | number);
    }

    /// Writes the bit of an interrupt in a register array where zeros change nothing.
    fn write_bit(&self, array: usize, number: u32) {
        self.distributor.write(array + number as usize / 32 * 4, 1 << (number % 32));
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::mmio::fake::Fake;

    fn gic<'a>(distributor: &'a Fake, interface: &'a Fake) -> Gic<&'a Fake> {
        let gic = Gic::new(distributor, interface);
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
