// SPDX-License-Identifier: MIT OR Apache-2.0

//! What has to be said in instructions: the code that puppets run, the counter, and the physical timer.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use super::super::Code;

/// Declares code: a naked function, and its instructions without the last one.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $function:ident: $($line:literal),+ $(,)?) => {
        $(#[$doc])*
        pub fn $name() -> Code {
            const LENGTH: u64 = 4 * [$($line),+].len() as u64;
            let start = $function as *const () as u64;
            Code { start, end: start + LENGTH }
        }

        #[unsafe(naked)]
        extern "C" fn $function() -> ! {
            naked_asm!($($line,)+ "udf #0")
        }
    };
}

code! {
    /// One system call.
    syscall, syscall_code: "svc #0"
}
code! {
    /// The function x1 with argument x0, on a stack.
    function, function_code: "blr x1"
}
code! {
    /// Reads the word at x0 into x1.
    load, load_code: "ldr x1, [x0]"
}
code! {
    /// Writes x1 to x0.
    store, store_code: "str x1, [x0]"
}
code! {
    /// Goes to x0.
    jump, jump_code: "br x0"
}
code! {
    /// Nothing: ends at once.
    nothing, nothing_code: "nop"
}
code! {
    /// A breakpoint instruction.
    breakpoint, breakpoint_code: "brk #7"
}
code! {
    /// Copies x0 through the FPU to x1.
    through_fpu, through_fpu_code: "fmov d7, x0", "fmov x1, d7"
}
code! {
    /// Sets FPU registers d0 and v31 from x0 and x1.
    set_fpu, set_fpu_code: "fmov d0, x0", "fmov v31.d[1], x1"
}
code! {
    /// Reads FPU registers d0 and v31 to x0 and x1, fpcr to x2.
    get_fpu, get_fpu_code: "fmov x0, d0", "fmov x1, v31.d[1]", "mrs x2, fpcr"
}
code! {
    /// Loads exclusively from x9, makes a system call, and tries the exclusive store: x11 is 0 if that
    /// was done.
    exclusive, exclusive_code: "ldxr x10, [x9]", "svc #0", "stxr w11, x10, [x9]"
}
code! {
    /// Counts x0 down to 0, two instructions each.
    count_down, count_down_code: "sub x0, x0, #1", "cbnz x0, .-4"
}
code! {
    /// Adds one to the word at x0, forever.
    spin, spin_code: "ldr x1, [x0]", "add x1, x1, #1", "str x1, [x0]", "b .-12"
}
code! {
    /// Makes system calls forever.
    syscalls, syscalls_code: "svc #0", "b .-4"
}
code! {
    /// Reads the thread pointer registers to x0 and x1.
    thread_pointers, thread_pointers_code: "mrs x0, tpidr_el0", "mrs x1, tpidrro_el0"
}
code! {
    /// Reads the counter to x0.
    time, time_code: "mrs x0, cntpct_el0"
}
code! {
    /// Reads the cache type register to x0 and the counter's frequency to x1.
    open_registers, open_registers_code: "mrs x0, ctr_el0", "mrs x1, cntfrq_el0"
}
code! {
    /// Touches a register of the kernel.
    kernel_register, kernel_register_code: "mrs x0, sctlr_el1"
}
code! {
    /// Cleans and unifies the cache line at x0 itself.
    user_cache, user_cache_code: "dc cvau, x0", "dsb ish", "ic ivau, x0", "dsb ish", "isb"
}
code! {
    /// One system call, by another immediate.
    syscall_immediate, syscall_immediate_code: "svc #0xffff"
}

/// Ticks of the counter.
pub fn ticks() -> u64 {
    let ticks;
    // SAFETY: reads a counter that the kernel lets user level read.
    unsafe { asm!("isb", "mrs {}, cntpct_el0", out(reg) ticks, options(nostack, preserves_flags)) };
    ticks
}

/// Ticks of the counter in a second.
pub fn ticks_per_second() -> u64 {
    let frequency: u64;
    // SAFETY: as for `ticks`.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack, preserves_flags)) };
    frequency
}

/// Runs `2 * count` instructions.
pub fn burn(count: u64) {
    // SAFETY: counts a register down.
    unsafe {
        asm!("2:", "subs {count}, {count}, #1", "b.ne 2b", count = inout(reg) count.max(1) => _, options(nomem, nostack));
    }
}

/// The word at an address that may be mapped by a case.
///
/// # Panics
/// A case that reads where nothing is mapped faults, and fails.
pub fn peek(address: u64) -> u64 {
    let value;
    // SAFETY: a load has no effect on memory; where nothing is mapped the thread faults.
    unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Writes a word to an address that a case has mapped for this.
pub fn poke(address: u64, value: u64) {
    assert!(address >= super::FREE_ADDRESSES.start, "not an address that cases may map");
    // SAFETY: at these addresses lies nothing but frames that the running case has mapped; where nothing
    // is mapped the thread faults.
    unsafe { asm!("str {}, [{}]", in(reg) value, in(reg) address, options(nostack, preserves_flags)) };
}

/// The 32-bit word at an address that may be mapped by a case.
pub fn peek_u32(address: u64) -> u32 {
    let value: u32;
    // SAFETY: as for `peek`.
    unsafe { asm!("ldr {:w}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Lets the physical timer raise its interrupt now, or turns it off.
pub fn set_physical_timer(on: bool) {
    // SAFETY: the timer is one that the kernel leaves to user level; it has no effect but its interrupt.
    unsafe {
        asm!(
            "msr cntp_cval_el0, xzr",
            "msr cntp_ctl_el0, {}",
            "isb",
            in(reg) u64::from(on),
            options(nomem, nostack, preserves_flags)
        );
    }
}

code! {
    /// Reads a word from the stack.
    load_from_stack, load_from_stack_code: "ldr x1, [sp]"
}
