// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit x86: the processor's counter, and the first timer of the event timers that PCs have (IA-PC HPET
//! specification 1.0a), in the place of the interval timer's.

use core::arch::{asm, naked_asm};

use keel::arch::abi::registers::Register;
use keel::cap::{Cap, Notification};
use keel::device::DeviceMemory;
use keel::resources::{PAGE_BYTES, Resources};
use keel_abi::syscall::WAIT;

use super::ahead;
use crate::arena::Arena;

/// Where the timers' registers are on a PC.
const TIMERS: u64 = 0xfed0_0000;
/// The pin for the interval timer's interrupt.
pub const ALARM_IRQ: u64 = 2;

/// Offsets of the timers' registers.
const PERIOD: u64 = 0x04;
const CONFIGURATION: u64 = 0x10;
const COUNTER: u64 = 0xf0;
const TIMER: u64 = 0x100;
const COMPARATOR: u64 = 0x108;

/// In [`CONFIGURATION`]: the counter counts.
const COUNTS: u32 = 1 << 0;
/// In [`CONFIGURATION`]: the first timer's interrupt comes where that of the interval timer came, which does not any more.
const REPLACES: u32 = 1 << 1;
/// In [`TIMER`]: its interrupt comes, once.
const INTERRUPTS: u32 = 1 << 2;

/// Instructions executed so far.
#[inline(always)]
pub fn now() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: a read of a counter that the kernel lets user level read.
    unsafe { asm!("rdtsc", out("rax") low, out("rdx") high, options(nomem, nostack, preserves_flags)) };
    high << 32 | low
}

/// Waits for a notification; gives the count right behind the system call.
#[inline(always)]
pub fn wait(notification: Cap<Notification>) -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: a system call, which changes no registers but those it returns values in and those of `syscall` itself, and
    // a read of the counter. The stack pointer, which the kernel need not keep, waits in a register.
    unsafe {
        asm!("mov {stack}, rsp", "syscall", "rdtsc", "mov rsp, {stack}", stack = out(reg) _,
            inlateout("rdi") notification.cptr().bits() => _, inlateout("rsi") 0_u64 => _, in("r12") 0,
            inlateout("rdx") WAIT => high, out("rax") low, out("rcx") _, out("r8") _, out("r9") _, out("r10") _,
            out("r11") _, out("r15") _, options(nostack));
    }
    high << 32 | low
}

/// Lets time pass.
pub fn spin(instructions: u64) {
    // SAFETY: counts down a register.
    unsafe {
        asm!("2: sub {0}, 2", "ja 2b", inlateout(reg) instructions => _, options(nomem, nostack));
    }
}

/// The alarm: the timer, and how its time relates to the counter's.
#[derive(Clone, Copy, Debug)]
pub struct Alarm {
    /// Where the timers' registers are mapped.
    address: u64,
    /// Instructions in a tick.
    tick: u64,
    /// What is added to a count to make it the timer's time in instructions.
    ahead: u64,
}

impl Alarm {
    /// Maps the timers and starts them, and finds how their time relates to the counter's.
    pub fn new(resources: &mut Resources) -> keel::Result<Self> {
        /// Femtoseconds, in which the period of the timers is told, in a nanosecond, which is an instruction.
        const PER_INSTRUCTION: u64 = 1_000_000;
        let address = DeviceMemory::map(resources, TIMERS, PAGE_BYTES)?.address();
        let alarm = Self { address, tick: 0, ahead: 0 };
        let tick = u64::from(alarm.read(PERIOD)) / PER_INSTRUCTION;
        alarm.clear();
        // In the first 2^32 ticks the upper half of the time is 0.
        alarm.write(COMPARATOR + 4, 0);
        alarm.write(CONFIGURATION, COUNTS | REPLACES);
        let read = || {
            let (low, high, time): (u64, u64, u64);
            // SAFETY: reads of the counter, and of a device register that is mapped, which changes nothing.
            unsafe {
                asm!("rdtsc", "mov {time:e}, [{address}]", out("rax") low, out("rdx") high, time = out(reg) time,
                    address = in(reg) address + COUNTER, options(nostack, preserves_flags));
            }
            // The time was read one instruction after the count.
            ((high << 32 | low) + 1, time)
        };
        Ok(Self { address, tick, ahead: ahead(tick, read) })
    }

    /// As words, for another thread.
    pub const fn save(&self) -> [u64; 3] {
        [self.address, self.tick, self.ahead]
    }

    /// What [`Self::save`] gave.
    pub const fn restore([address, tick, ahead]: [u64; 3]) -> Self {
        Self { address, tick, ahead }
    }

    /// The first count from this one on at which the alarm can come. It comes up to a tick later, by what is left of the
    /// tick in which it is set.
    #[inline(always)]
    pub const fn round(&self, count: u64) -> u64 {
        count.wrapping_add(self.ahead).next_multiple_of(self.tick).wrapping_sub(self.ahead)
    }

    /// Sets the alarm for a count that [`Self::round`] gave.
    #[inline(always)]
    pub fn set(&self, count: u64) {
        self.write(COMPARATOR, (count.wrapping_add(self.ahead) / self.tick) as u32);
        self.write(TIMER, INTERRUPTS);
    }

    /// Turns it off.
    #[inline(always)]
    pub fn clear(&self) {
        self.write(TIMER, 0);
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

/// The registers in which the programs below find capability, info, number and reply capability of their two calls. They
/// have no stack.
pub const CALLS: [[Register; 4]; 2] = [
    [Register::Rax, Register::Rbx, Register::Rdx, Register::R12],
    [Register::Rbp, Register::R13, Register::R14, Register::Rsp],
];

/// Makes the first of two calls once, then for ever the second.
#[unsafe(naked)]
pub extern "C" fn once_then_always() -> ! {
    naked_asm!(
        "mov rdi, rax",
        "mov rsi, rbx",
        "syscall",
        "mov rdx, r14",
        "mov r12, rsp",
        "2: mov rdi, rbp",
        "mov rsi, r13",
        "syscall",
        "jmp 2b",
    )
}

/// Makes two calls in turns.
#[unsafe(naked)]
pub extern "C" fn in_turns() -> ! {
    naked_asm!(
        "2: mov rdi, rax",
        "mov rsi, rbx",
        "syscall",
        "xchg rdx, r14",
        "xchg r12, rsp",
        "mov rdi, rbp",
        "mov rsi, r13",
        "syscall",
        "xchg rdx, r14",
        "xchg r12, rsp",
        "jmp 2b",
    )
}

/// Does nothing, for ever.
#[unsafe(naked)]
pub extern "C" fn idle() -> ! {
    naked_asm!("2: jmp 2b")
}

/// There are no caches to maintain.
pub const fn maintain_caches(_: &mut Arena<'_>, _: u64) -> keel::Result {
    Ok(())
}
