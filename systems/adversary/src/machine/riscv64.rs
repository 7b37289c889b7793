// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit RISC-V: the cycle counter, and the real-time clock of QEMU's machine, whose alarm is set in nanoseconds.

use core::arch::{asm, naked_asm};

use keel::arch::abi::registers::Register;
use keel::cap::{Cap, Notification};
use keel::device::DeviceMemory;
use keel::resources::{PAGE_BYTES, Resources};
use keel_abi::syscall::WAIT;

use crate::arena::Arena;

/// Where the clock's registers are.
const CLOCK: u64 = 0x10_1000;
/// The interrupt of its alarm.
pub const ALARM_IRQ: u64 = 11;

/// Offsets of the clock's registers (`goldfish,rtc`).
const TIME_LOW: u64 = 0x00;
const TIME_HIGH: u64 = 0x04;
const ALARM_LOW: u64 = 0x08;
const ALARM_HIGH: u64 = 0x0c;
const INTERRUPT_ENABLED: u64 = 0x10;
const CLEAR_ALARM: u64 = 0x14;
const CLEAR_INTERRUPT: u64 = 0x1c;

/// Instructions executed so far.
#[inline(always)]
pub fn now() -> u64 {
    let now;
    // SAFETY: a read of a counter that the kernel lets user level read.
    unsafe { asm!("csrr {}, cycle", out(reg) now, options(nomem, nostack, preserves_flags)) };
    now
}

/// Waits for a notification; gives the count right behind the system call.
#[inline(always)]
pub fn wait(notification: Cap<Notification>) -> u64 {
    let now;
    // SAFETY: a system call, which changes no registers but those it returns values in, and a read of the counter.
    unsafe {
        asm!("ecall", "csrr t6, cycle", inlateout("a0") notification.cptr().bits() => _,
            inlateout("a1") 0_u64 => _, out("a2") _, out("a3") _, out("a4") _, out("a5") _, in("a6") 0,
            in("a7") WAIT, out("t6") now, options(nostack, preserves_flags));
    }
    now
}

/// Lets time pass.
pub fn spin(instructions: u64) {
    // SAFETY: counts down a register.
    unsafe {
        asm!("2: addi {0}, {0}, -2", "bgtz {0}, 2b", inlateout(reg) instructions => _, options(nomem, nostack));
    }
}

/// The alarm: that of the clock, and how its time relates to the counter's.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    /// Where the clock's registers are mapped.
    address: u64,
    /// What is added to a count to make it the clock's time.
    ahead: u64,
}

impl Alarm {
    /// Maps the clock, and finds how it relates to the counter.
    pub fn new(resources: &mut Resources) -> keel::Result<Self> {
        let address = DeviceMemory::map(resources, CLOCK, PAGE_BYTES)?.address();
        let (count, low): (u64, u64);
        // SAFETY: reads of a counter, and of a device register that is mapped, which changes nothing.
        unsafe {
            asm!("csrr {}, cycle", "lwu {}, {time}({})", out(reg) count, lateout(reg) low, in(reg) address,
                time = const TIME_LOW, options(nostack, preserves_flags));
        }
        let alarm = Self { address, ahead: 0 };
        // Reading the low half keeps the high one.
        let time = u64::from(alarm.read(TIME_HIGH)) << 32 | low;
        alarm.write(INTERRUPT_ENABLED, 1);
        // The clock was read one instruction after the counter.
        Ok(Self { ahead: time - (count + 1), ..alarm })
    }

    /// As two words, for another thread.
    pub const fn save(&self) -> [u64; 2] {
        [self.address, self.ahead]
    }

    /// What [`Self::save`] gave.
    pub const fn restore([address, ahead]: [u64; 2]) -> Self {
        Self { address, ahead }
    }

    /// The first count from this one on at which the alarm can come.
    pub const fn round(&self, count: u64) -> u64 {
        count
    }

    /// Sets the alarm for a count that [`Self::round`] gave.
    #[inline(always)]
    pub fn set(&self, count: u64) {
        let time = count + self.ahead;
        self.write(ALARM_HIGH, (time >> 32) as u32);
        self.write(ALARM_LOW, time as u32);
    }

    /// Turns it off.
    #[inline(always)]
    pub fn clear(&self) {
        self.write(CLEAR_ALARM, 1);
        self.write(CLEAR_INTERRUPT, 1);
    }

    fn read(&self, offset: u64) -> u32 {
        // SAFETY: `new` has mapped the registers, for good; reading them harms nobody.
        unsafe { ((self.address + offset) as *const u32).read_volatile() }
    }

    #[inline(always)]
    fn write(&self, offset: u64, value: u32) {
        // SAFETY: as above; the alarm's interrupt has a handler.
        unsafe { ((self.address + offset) as *mut u32).write_volatile(value) };
    }
}

/// The registers in which the programs below find capability, info, number and reply capability of their two calls.
pub const CALLS: [[Register; 4]; 2] = [
    [Register::S2, Register::S3, Register::S4, Register::S5],
    [Register::S6, Register::S7, Register::S8, Register::S9],
];

/// Makes the first of two calls once, then for ever the second.
#[unsafe(naked)]
pub extern "C" fn once_then_always() -> ! {
    naked_asm!(
        "mv a0, s2",
        "mv a1, s3",
        "mv a7, s4",
        "mv a6, s5",
        "ecall",
        "2: mv a0, s6",
        "mv a1, s7",
        "mv a7, s8",
        "mv a6, s9",
        "ecall",
        "j 2b",
    )
}

/// Makes two calls in turns.
#[unsafe(naked)]
pub extern "C" fn in_turns() -> ! {
    naked_asm!(
        "2: mv a0, s2",
        "mv a1, s3",
        "mv a7, s4",
        "mv a6, s5",
        "ecall",
        "mv a0, s6",
        "mv a1, s7",
        "mv a7, s8",
        "mv a6, s9",
        "ecall",
        "j 2b",
    )
}

/// Does nothing, for ever.
#[unsafe(naked)]
pub extern "C" fn idle() -> ! {
    naked_asm!("2: j 2b")
}

/// There are no caches to maintain.
pub const fn maintain_caches(_: &mut Arena<'_>, _: u64) -> keel::Result {
    Ok(())
}
