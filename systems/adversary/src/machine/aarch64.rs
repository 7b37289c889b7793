// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit Arm: the cycle counter, and the physical timer, which the kernel leaves to user level.

use core::arch::{asm, naked_asm};

use keel::arch::abi::registers::Register;
use keel::cap::{Attributes, Blueprint, CacheOperation, Cap, Frame, Notification, Rights};
use keel::resources::{LARGE_PAGE_BYTES, PAGE_BYTES, Resources};
use keel_abi::syscall::WAIT;

use super::ahead;
use crate::arena::Arena;

/// The interrupt of the physical timer (private interrupt 14).
pub const ALARM_IRQ: u64 = 30;

/// Instructions executed so far.
#[inline(always)]
pub fn now() -> u64 {
    let now;
    // SAFETY: a read of a counter that the kernel lets user level read.
    unsafe { asm!("mrs {}, pmccntr_el0", out(reg) now, options(nomem, nostack, preserves_flags)) };
    now
}

/// Waits for a notification; gives the count right behind the system call.
#[inline(always)]
pub fn wait(notification: Cap<Notification>) -> u64 {
    let now;
    // SAFETY: a system call, which changes no registers but those it returns values in, and a read of the counter.
    unsafe {
        asm!("svc #0", "mrs x9, pmccntr_el0", inlateout("x0") notification.cptr().bits() => _,
            inlateout("x1") 0_u64 => _, out("x2") _, out("x3") _, out("x4") _, out("x5") _, in("x6") 0,
            in("x7") WAIT, out("x9") now, options(nostack, preserves_flags));
    }
    now
}

/// Lets time pass.
pub fn spin(instructions: u64) {
    // SAFETY: counts down a register.
    unsafe {
        asm!("2: subs {0}, {0}, #2", "b.hi 2b", inlateout(reg) instructions => _, options(nomem, nostack));
    }
}

/// The alarm: the physical timer, and how its time relates to the counter's.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    /// Instructions in a tick.
    tick: u64,
    /// What is added to a count to make it the timer's time in instructions.
    ahead: u64,
}

impl Alarm {
    /// Starts the counter, and finds how it relates to the timer.
    pub fn new(_: &mut Resources) -> keel::Result<Self> {
        start_counter();
        let frequency: u64;
        // SAFETY: a register that every program may read.
        unsafe {
            asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack, preserves_flags));
        }
        let tick = 1_000_000_000 / frequency;
        let read = || {
            let (count, time): (u64, u64);
            // SAFETY: reads of counters that the kernel lets user level read.
            unsafe {
                asm!("mrs {}, pmccntr_el0", "mrs {}, cntpct_el0", out(reg) count, out(reg) time,
                    options(nomem, nostack, preserves_flags));
            }
            // The time was read one instruction after the count.
            (count + 1, time)
        };
        Ok(Self { tick, ahead: ahead(tick, read) })
    }

    /// As two words, for another thread.
    pub const fn save(&self) -> [u64; 2] {
        [self.tick, self.ahead]
    }

    /// What [`Self::save`] gave.
    pub const fn restore([tick, ahead]: [u64; 2]) -> Self {
        Self { tick, ahead }
    }

    /// The first count from this one on at which the alarm can come.
    #[inline(always)]
    pub const fn round(&self, count: u64) -> u64 {
        (count + self.ahead).next_multiple_of(self.tick) - self.ahead
    }

    /// Sets the alarm for a count that [`Self::round`] gave.
    #[inline(always)]
    pub fn set(&self, count: u64) {
        let tick = (count + self.ahead) / self.tick;
        // SAFETY: registers of a timer that the kernel leaves to user level; its interrupt has a handler.
        unsafe {
            asm!("msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb", in(reg) tick, in(reg) 1_u64,
                options(nostack, preserves_flags));
        }
    }

    /// Turns it off.
    #[inline(always)]
    pub fn clear(&self) {
        // SAFETY: as above.
        unsafe { asm!("msr cntp_ctl_el0, xzr", "isb", options(nostack, preserves_flags)) };
    }
}

/// Starts the counter. It counts at all levels of privilege.
fn start_counter() {
    // SAFETY: registers of the performance monitor, which the kernel leaves to user level.
    unsafe {
        asm!(
            "msr pmccfiltr_el0, xzr",
            "msr pmcntenset_el0, {cycles}",
            "msr pmcr_el0, {enable}",
            "isb",
            cycles = in(reg) 1_u64 << 31,
            // Enable, reset the cycle counter, 64 bits of it.
            enable = in(reg) 0b100_0101_u64,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// The registers in which the programs below find capability, info, number and reply capability of their two calls.
pub const CALLS: [[Register; 4]; 2] = [
    [Register::X19, Register::X20, Register::X21, Register::X22],
    [Register::X24, Register::X25, Register::X26, Register::X27],
];

/// Makes the first of two calls once, then for ever the second.
#[unsafe(naked)]
pub extern "C" fn once_then_always() -> ! {
    naked_asm!(
        "mov x0, x19",
        "mov x1, x20",
        "mov x7, x21",
        "mov x6, x22",
        "svc #0",
        "2: mov x0, x24",
        "mov x1, x25",
        "mov x7, x26",
        "mov x6, x27",
        "svc #0",
        "b 2b",
    )
}

/// Makes two calls in turns.
#[unsafe(naked)]
pub extern "C" fn in_turns() -> ! {
    naked_asm!(
        "2: mov x0, x19",
        "mov x1, x20",
        "mov x7, x21",
        "mov x6, x22",
        "svc #0",
        "mov x0, x24",
        "mov x1, x25",
        "mov x7, x26",
        "mov x6, x27",
        "svc #0",
        "b 2b",
    )
}

/// Does nothing, for ever.
#[unsafe(naked)]
pub extern "C" fn idle() -> ! {
    naked_asm!("2: b 2b")
}

/// Cache maintenance for so many pages.
pub fn maintain_caches(arena: &mut Arena<'_>, pages: u64) -> keel::Result {
    let frame = arena.resources.make(Blueprint::LargePage)?.cap::<Frame>();
    let resources = &mut arena.resources;
    let address = resources.addresses.allocate(LARGE_PAGE_BYTES, LARGE_PAGE_BYTES)?.start;
    resources.map_at(frame, address, Rights::READ_WRITE, Attributes::DATA)?;
    arena.attack(
        "maintain_caches",
        pages,
        |_| Ok(()),
        |_| Ok(frame.maintain(CacheOperation::CleanInvalidateData, 0, pages * PAGE_BYTES)?),
    )
}
