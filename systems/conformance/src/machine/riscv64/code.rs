// SPDX-License-Identifier: MIT OR Apache-2.0

//! What has to be said in instructions: the code that puppets run, and the counter.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use super::super::Code;

/// Declares code: a naked function, and its instructions without the last one, each of four bytes.
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
            naked_asm!(".option push", ".option norvc", $($line,)+ "unimp", ".option pop")
        }
    };
}

code! {
    /// One system call.
    syscall, syscall_code: "ecall"
}
code! {
    /// The function a1 with argument a0, on a stack.
    function, function_code: "jalr a1"
}
code! {
    /// Reads the word at a0 into a1.
    load, load_code: "ld a1, 0(a0)"
}
code! {
    /// Writes a1 to a0.
    store, store_code: "sd a1, 0(a0)"
}
code! {
    /// Goes to a0.
    jump, jump_code: "jr a0"
}
code! {
    /// Nothing: ends at once.
    nothing, nothing_code: "nop"
}
code! {
    /// A breakpoint instruction.
    breakpoint, breakpoint_code: "ebreak"
}
code! {
    /// Copies a0 through the FPU to a1.
    through_fpu, through_fpu_code: "fmv.d.x f7, a0", "fmv.x.d a1, f7"
}
code! {
    /// Sets FPU registers f0 and f31 from a0 and a1.
    set_fpu, set_fpu_code: "fmv.d.x f0, a0", "fmv.d.x f31, a1"
}
code! {
    /// Reads FPU registers f0 and f31 to a0 and a1, fcsr to a2.
    get_fpu, get_fpu_code: "fmv.x.d a0, f0", "fmv.x.d a1, f31", "frcsr a2"
}
code! {
    /// Sets the FPU's control register from a0.
    set_fpu_control, set_fpu_control_code: "fscsr a0"
}
code! {
    /// Reserves the word at t1, makes a system call, and tries the conditional store: t3 is 0 if that was
    /// done.
    exclusive, exclusive_code: "lr.d t2, (t1)", "ecall", "sc.d t3, t2, (t1)"
}
code! {
    /// Counts a0 down to 0, two instructions each.
    count_down, count_down_code: "addi a0, a0, -1", "bnez a0, .-4"
}
code! {
    /// Adds one to the word at a0, forever.
    spin, spin_code: "ld a1, 0(a0)", "addi a1, a1, 1", "sd a1, 0(a0)", "j .-12"
}
code! {
    /// Makes system calls forever.
    syscalls, syscalls_code: "ecall", "j .-4"
}
code! {
    /// Reads the counter to a0.
    time, time_code: "rdtime a0"
}
code! {
    /// Reads the count of cycles, which the kernel keeps for itself, to a0.
    cycles, cycles_code: "rdcycle a0"
}
code! {
    /// Touches a register of the kernel.
    kernel_register, kernel_register_code: "csrr a0, sstatus"
}
code! {
    /// Has instruction fetches see what was written.
    unify, unify_code: "fence.i"
}
code! {
    /// Reads a word from the stack.
    load_from_stack, load_from_stack_code: "ld a1, 0(sp)"
}

/// Ticks of the counter.
pub fn ticks() -> u64 {
    let ticks;
    // SAFETY: reads a counter that the kernel lets user level read.
    unsafe { asm!("fence", "rdtime {}", out(reg) ticks, options(nostack, preserves_flags)) };
    ticks
}

/// Runs `2 * count` instructions.
pub fn burn(count: u64) {
    // SAFETY: counts a register down.
    unsafe {
        asm!("2:", "addi {count}, {count}, -1", "bnez {count}, 2b", count = inout(reg) count.max(1) => _, options(nomem, nostack));
    }
}

/// The word at an address that may be mapped by a case.
///
/// # Panics
/// A case that reads where nothing is mapped faults, and fails.
pub fn peek(address: u64) -> u64 {
    let value;
    // SAFETY: a load has no effect on memory; where nothing is mapped the thread faults.
    unsafe { asm!("ld {}, 0({})", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Writes a word to an address that a case has mapped for this.
pub fn poke(address: u64, value: u64) {
    assert!(address >= super::FREE_ADDRESSES.start, "not an address that cases may map");
    // SAFETY: at these addresses lies nothing but frames that the running case has mapped; where nothing
    // is mapped the thread faults.
    unsafe { asm!("sd {}, 0({})", in(reg) value, in(reg) address, options(nostack, preserves_flags)) };
}

/// The 32-bit word at an address that may be mapped by a case.
pub fn peek_u32(address: u64) -> u32 {
    let value: u64;
    // SAFETY: as for `peek`.
    unsafe { asm!("lwu {}, 0({})", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value as u32
}

/// Writes a 32-bit word to an address that a case has mapped for this.
pub fn poke_u32(address: u64, value: u32) {
    assert!(address >= super::FREE_ADDRESSES.start, "not an address that cases may map");
    // SAFETY: as for `poke`.
    unsafe { asm!("sw {}, 0({})", in(reg) value, in(reg) address, options(nostack, preserves_flags)) };
}
