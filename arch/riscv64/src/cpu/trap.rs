// SPDX-License-Identifier: MIT OR Apache-2.0

//! From user level into the kernel and back.
//!
//! While a thread runs, sscratch points to its TCB, which begins with its saved registers ([`crate::registers`]). A
//! trap therefore stores each register once, where it stays; then it takes the kernel's stack and calls Rust, which does
//! not return: it ends with the way back, for the TCB of the thread that runs next.
//!
//! Nothing of sstatus is saved: user level always runs with interrupts on, whatever SIE and SPIE say, a trap leaves SPP
//! clear for the way back, and the FPU's state is the kernel's matter.
//!
//! 1. sscratch is the TCB of the running thread exactly while user level runs, and 0 in the kernel.
//! 2. The kernel never returns into itself: an exception that it raises is a bug, and ends the machine.
//! 3. Nothing of the kernel lies on its stack between exit and entry, so each entry starts at its top.

use super::entry;
use crate::fault::cause;
use crate::registers::{NEXT, RESTART};
use core::arch::global_asm;

global_asm!(
    ".pushsection .text.trap, \"ax\", %progbits",
    ".option push",
    ".option norvc",
    ".option arch, +a",
    ".balign 4",
    ".type keel_trap, %function",
    ".globl keel_trap",
    "keel_trap:",
    "csrrw tp, sscratch, tp",
    "beqz tp, keel_kernel_exception",
    "sd x1, 8 * 0(tp)",
    "sd x2, 8 * 1(tp)",
    "sd x3, 8 * 2(tp)",
    "sd x5, 8 * 4(tp)",
    "csrrw x5, sscratch, zero",
    "sd x5, 8 * 3(tp)",
    "sd x6, 8 * 5(tp)",
    "sd x7, 8 * 6(tp)",
    "sd x8, 8 * 7(tp)",
    "sd x9, 8 * 8(tp)",
    "sd x10, 8 * 9(tp)",
    "sd x11, 8 * 10(tp)",
    "sd x12, 8 * 11(tp)",
    "sd x13, 8 * 12(tp)",
    "sd x14, 8 * 13(tp)",
    "sd x15, 8 * 14(tp)",
    "sd x16, 8 * 15(tp)",
    "sd x17, 8 * 16(tp)",
    "sd x18, 8 * 17(tp)",
    "sd x19, 8 * 18(tp)",
    "sd x20, 8 * 19(tp)",
    "sd x21, 8 * 20(tp)",
    "sd x22, 8 * 21(tp)",
    "sd x23, 8 * 22(tp)",
    "sd x24, 8 * 23(tp)",
    "sd x25, 8 * 24(tp)",
    "sd x26, 8 * 25(tp)",
    "sd x27, 8 * 26(tp)",
    "sd x28, 8 * 27(tp)",
    "sd x29, 8 * 28(tp)",
    "sd x30, 8 * 29(tp)",
    "sd x31, 8 * 30(tp)",
    "csrr t0, sepc",
    "csrr a0, scause",
    "lla sp, keel_stack_top",
    "li t1, {user_call}",
    "bne a0, t1, 1f",
    // A system call: the thread goes on behind the instruction, a restart repeats it.
    "sd t0, 8 * {restart}(tp)",
    "addi t0, t0, 4",
    "sd t0, 8 * {next}(tp)",
    "tail {syscall}",
    "1: sd t0, 8 * {next}(tp)",
    "bgez a0, 1f",
    "tail {interrupt}",
    "1: sd t0, 8 * {restart}(tp)",
    "csrr a1, stval",
    "tail {fault}",
    ".size keel_trap, . - keel_trap",
    // The way back, with the thread's address in a0.
    ".type keel_exit, %function",
    ".globl keel_exit",
    "keel_exit:",
    "csrw sscratch, a0",
    "ld t0, 8 * {next}(a0)",
    "csrw sepc, t0",
    // What the last thread has reserved is not the next one's: a store-conditional ends the reservation (unprivileged
    // manual, section 8.2). It writes what is there already, if anything.
    "ld x1, 8 * 0(a0)",
    "sc.d zero, x1, (a0)",
    "ld x2, 8 * 1(a0)",
    "ld x3, 8 * 2(a0)",
    "ld x4, 8 * 3(a0)",
    "ld x5, 8 * 4(a0)",
    "ld x6, 8 * 5(a0)",
    "ld x7, 8 * 6(a0)",
    "ld x8, 8 * 7(a0)",
    "ld x9, 8 * 8(a0)",
    "ld x11, 8 * 10(a0)",
    "ld x12, 8 * 11(a0)",
    "ld x13, 8 * 12(a0)",
    "ld x14, 8 * 13(a0)",
    "ld x15, 8 * 14(a0)",
    "ld x16, 8 * 15(a0)",
    "ld x17, 8 * 16(a0)",
    "ld x18, 8 * 17(a0)",
    "ld x19, 8 * 18(a0)",
    "ld x20, 8 * 19(a0)",
    "ld x21, 8 * 20(a0)",
    "ld x22, 8 * 21(a0)",
    "ld x23, 8 * 22(a0)",
    "ld x24, 8 * 23(a0)",
    "ld x25, 8 * 24(a0)",
    "ld x26, 8 * 25(a0)",
    "ld x27, 8 * 26(a0)",
    "ld x28, 8 * 27(a0)",
    "ld x29, 8 * 28(a0)",
    "ld x30, 8 * 29(a0)",
    "ld x31, 8 * 30(a0)",
    "ld x10, 8 * 9(a0)",
    "sret",
    ".size keel_exit, . - keel_exit",
    // The stack may be what is wrong, and nothing of it is needed any more.
    ".type keel_kernel_exception, %function",
    "keel_kernel_exception:",
    "csrr a0, scause",
    "csrr a1, stval",
    "csrr a2, sepc",
    "lla sp, keel_stack_top",
    "call {exception}",
    ".size keel_kernel_exception, . - keel_kernel_exception",
    ".option pop",
    ".popsection",
    user_call = const cause::USER_CALL,
    next = const NEXT,
    restart = const RESTART,
    syscall = sym entry::syscall,
    interrupt = sym entry::interrupt,
    fault = sym entry::fault,
    exception = sym entry::kernel_exception,
);

unsafe extern "C" {
    /// The way back to user level, with the address of the next thread's TCB. Does not return.
    fn keel_exit(tcb: u64) -> !;
    /// Where traps go.
    static keel_trap: u8;
}

/// Has the processor take traps here.
pub fn install() {
    crate::cpu::execute!("csrw stvec, {}", (&raw const keel_trap).addr() as u64);
}

/// Has the way back lead to user level. A trap from there does so by itself.
pub fn prepare_to_leave() {
    /// sstatus.SPP: the way back leads to supervisor mode.
    const TO_SUPERVISOR: u64 = 1 << 8;
    crate::cpu::execute!("csrc sstatus, {}", TO_SUPERVISOR);
}

/// Leaves the kernel.
#[inline(always)]
pub fn leave(tcb: u64) -> ! {
    // SAFETY: `tcb` is that of a live thread, chosen by the kernel, and is loaded (1).
    unsafe { keel_exit(tcb) }
}
