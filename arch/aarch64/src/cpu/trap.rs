// SPDX-License-Identifier: MIT OR Apache-2.0

//! From user level into the kernel and back.
//!
//! While a thread runs, SP_EL1 points to its TCB, which begins with its saved registers
//! ([`crate::registers`]). A trap therefore stores each register once, where it stays, with no scratch register
//! and no copying; then it takes the kernel's stack and calls Rust, which does not return: it ends with the way back, for the
//! TCB of the thread that runs next.
//!
//! The local exclusive monitor needs no CLREX: an exception return clears it (Arm DDI 0487, D1.6.4).
//!
//! 1. SP_EL1 is the TCB of the running thread exactly while user level runs.
//! 2. The kernel never returns into itself: an exception that it raises is a bug, and ends the machine.
//! 3. Nothing of the kernel lies on its stack between exit and entry, so each entry starts at its top.

use super::entry;
use crate::registers::RESTART;
use core::arch::global_asm;

global_asm!(
    // Stores all registers of user level but the instruction that a restart repeats. Leaves the thread's address
    // in sp, elr in x1 and spsr in x2.
    ".macro keel_save",
    "stp x0, x1, [sp, #16 * 0]",
    "stp x2, x3, [sp, #16 * 1]",
    "stp x4, x5, [sp, #16 * 2]",
    "stp x6, x7, [sp, #16 * 3]",
    "stp x8, x9, [sp, #16 * 4]",
    "stp x10, x11, [sp, #16 * 5]",
    "stp x12, x13, [sp, #16 * 6]",
    "stp x14, x15, [sp, #16 * 7]",
    "stp x16, x17, [sp, #16 * 8]",
    "stp x18, x19, [sp, #16 * 9]",
    "stp x20, x21, [sp, #16 * 10]",
    "stp x22, x23, [sp, #16 * 11]",
    "stp x24, x25, [sp, #16 * 12]",
    "stp x26, x27, [sp, #16 * 13]",
    "stp x28, x29, [sp, #16 * 14]",
    "mrs x0, sp_el0",
    "mrs x1, elr_el1",
    "mrs x2, spsr_el1",
    "stp x30, x0, [sp, #16 * 15]",
    "stp x1, x2, [sp, #16 * 16]",
    ".endm",
    // One of the sixteen vectors: a function of its own, so that tools see where it begins and ends.
    ".macro keel_vector name",
    ".balign 128",
    ".type \\name, %function",
    "\\name:",
    ".endm",
    // An exception that must not happen.
    ".macro keel_unexpected name",
    "keel_vector \\name",
    "b keel_kernel_exception",
    ".size \\name, . - \\name",
    ".endm",
    //
    ".pushsection .text.vectors, \"ax\", %progbits",
    ".balign 2048",
    ".globl keel_vectors",
    "keel_vectors:",
    // From the kernel, which uses SP_EL1 only.
    "keel_unexpected keel_vector_sp0_sync",
    "keel_unexpected keel_vector_sp0_irq",
    "keel_unexpected keel_vector_sp0_fiq",
    "keel_unexpected keel_vector_sp0_error",
    "keel_unexpected keel_vector_kernel_sync",
    "keel_unexpected keel_vector_kernel_irq",
    "keel_unexpected keel_vector_kernel_fiq",
    "keel_unexpected keel_vector_kernel_error",
    // From user level.
    "keel_vector keel_vector_user_sync",
    "keel_save",
    "mrs x0, esr_el1",
    "lsr x3, x0, #26",
    "cmp x3, #0x15", // SVC of a 64-bit program
    "b.ne keel_user_fault",
    "sub x1, x1, #4",
    "str x1, [sp, #8 * {restart}]",
    "adrp x0, keel_stack_top",
    "mov sp, x0",
    "bl {syscall}",
    ".size keel_vector_user_sync, . - keel_vector_user_sync",
    "keel_vector keel_vector_user_irq",
    "keel_save",
    "adrp x0, keel_stack_top",
    "mov sp, x0",
    "bl {interrupt}",
    ".size keel_vector_user_irq, . - keel_vector_user_irq",
    // FIQs are masked at user level; they belong to the secure world.
    "keel_unexpected keel_vector_user_fiq",
    // An error that some earlier access caused, reported late: for the thread it is a fault like others.
    "keel_vector keel_vector_user_error",
    "keel_save",
    "mrs x0, esr_el1",
    "b keel_user_fault",
    ".size keel_vector_user_error, . - keel_vector_user_error",
    // From 32-bit programs, which cannot be started.
    "keel_unexpected keel_vector_user32_sync",
    "keel_unexpected keel_vector_user32_irq",
    "keel_unexpected keel_vector_user32_fiq",
    "keel_unexpected keel_vector_user32_error",
    ".balign 128",
    //
    ".type keel_user_fault, %function",
    "keel_user_fault:",
    "str x1, [sp, #8 * {restart}]",
    "mrs x1, far_el1",
    "adrp x2, keel_stack_top",
    "mov sp, x2",
    "bl {fault}",
    ".size keel_user_fault, . - keel_user_fault",
    //
    ".type keel_exit, %function",
    ".globl keel_exit",
    "keel_exit:",
    "mov sp, x0",
    "ldp x30, x1, [sp, #16 * 15]",
    "ldp x2, x3, [sp, #16 * 16]",
    "msr sp_el0, x1",
    "msr elr_el1, x2",
    "msr spsr_el1, x3",
    "ldp x2, x3, [sp, #16 * 1]",
    "ldp x4, x5, [sp, #16 * 2]",
    "ldp x6, x7, [sp, #16 * 3]",
    "ldp x8, x9, [sp, #16 * 4]",
    "ldp x10, x11, [sp, #16 * 5]",
    "ldp x12, x13, [sp, #16 * 6]",
    "ldp x14, x15, [sp, #16 * 7]",
    "ldp x16, x17, [sp, #16 * 8]",
    "ldp x18, x19, [sp, #16 * 9]",
    "ldp x20, x21, [sp, #16 * 10]",
    "ldp x22, x23, [sp, #16 * 11]",
    "ldp x24, x25, [sp, #16 * 12]",
    "ldp x26, x27, [sp, #16 * 13]",
    "ldp x28, x29, [sp, #16 * 14]",
    "ldp x0, x1, [sp, #16 * 0]",
    "eret",
    ".size keel_exit, . - keel_exit",
    // The stack may be what is wrong, and nothing of it is needed any more.
    ".type keel_kernel_exception, %function",
    "keel_kernel_exception:",
    "mrs x0, esr_el1",
    "mrs x1, far_el1",
    "mrs x2, elr_el1",
    "adrp x3, keel_stack_top",
    "mov sp, x3",
    "bl {exception}",
    "b .",
    ".size keel_kernel_exception, . - keel_kernel_exception",
    ".popsection",
    restart = const RESTART,
    syscall = sym entry::syscall,
    interrupt = sym entry::interrupt,
    fault = sym entry::fault,
    exception = sym entry::kernel_exception,
);

unsafe extern "C" {
    /// The way back to user level, with the address of the next thread's TCB. Does not return.
    fn keel_exit(tcb: u64) -> !;
    /// The vectors.
    static keel_vectors: u8;
}

/// Has the processor take exceptions here.
pub fn install() {
    crate::cpu::execute!("msr vbar_el1, {}\nisb", (&raw const keel_vectors).addr() as u64);
}

/// Leaves the kernel.
#[inline(always)]
pub fn leave(tcb: u64) -> ! {
    // SAFETY: `tcb` is that of a live thread, chosen by the kernel, and is loaded (1).
    unsafe { keel_exit(tcb) }
}
