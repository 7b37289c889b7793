// SPDX-License-Identifier: MIT OR Apache-2.0

//! riscv64: `ecall`, `tp`, and the entry of a root task.
//!
//! Registers (`syscalls.md` §2): number a7; capability in and badge out a0; message info a1; message
//! words a2–a5; reply capability a6; destination of NBSendRecv t0. The kernel keeps every register
//! that is not an output, the FPU's included, so nothing is declared clobbered.

use core::arch::asm;

use super::{Input, Output};

/// A system call that gives nothing back.
#[inline(always)]
pub fn trap_send(number: i64, input: Input) {
    // SAFETY: the trap changes no register; what it does to memory (the IPC buffer, memory shared
    // with others) the compiler must assume of any `asm!` without `nomem`.
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            in("a0") input.cap,
            in("a1") input.info,
            in("a2") input.words[0],
            in("a3") input.words[1],
            in("a4") input.words[2],
            in("a5") input.words[3],
            options(nostack, preserves_flags),
        );
    }
}

/// A system call that receives.
#[inline(always)]
pub fn trap_receive(number: i64, input: Input) -> Output {
    let (badge, info, w0, w1, w2, w3);
    // SAFETY: as for `trap_send`; the registers that the kernel writes are all outputs here.
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") input.cap => badge,
            inlateout("a1") input.info => info,
            inlateout("a2") input.words[0] => w0,
            inlateout("a3") input.words[1] => w1,
            inlateout("a4") input.words[2] => w2,
            inlateout("a5") input.words[3] => w3,
            in("a6") input.reply,
            options(nostack, preserves_flags),
        );
    }
    Output { badge, info, words: [w0, w1, w2, w3] }
}

/// NBSendRecv, the one system call with a seventh argument: where to send.
#[inline(always)]
pub fn trap_send_receive(number: i64, input: Input, destination: u64) -> Output {
    let (badge, info, w0, w1, w2, w3);
    // SAFETY: as for `trap_receive`.
    unsafe {
        asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") input.cap => badge,
            inlateout("a1") input.info => info,
            inlateout("a2") input.words[0] => w0,
            inlateout("a3") input.words[1] => w1,
            inlateout("a4") input.words[2] => w2,
            inlateout("a5") input.words[3] => w3,
            in("a6") input.reply,
            in("t0") destination,
            options(nostack, preserves_flags),
        );
    }
    Output { badge, info, words: [w0, w1, w2, w3] }
}

/// The thread pointer: in this library the address of the running thread's IPC buffer.
#[inline(always)]
pub fn thread_pointer() -> usize {
    let value;
    // SAFETY: reads a register that user level owns.
    unsafe { asm!("mv {}, tp", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Sets the thread pointer.
///
/// # Safety
/// `value` is the address of an IPC buffer, mapped read-write in this address space for as long as
/// the thread runs, that no other thread uses.
#[inline(always)]
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: writes a register that user level owns; what the value means is the caller's promise.
    unsafe { asm!("mv tp, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// Makes earlier writes to shared memory visible before later ones (to other observers, devices too).
#[inline(always)]
pub fn memory_barrier() {
    // SAFETY: a barrier has no other effect.
    unsafe { asm!("fence", options(nostack, preserves_flags)) };
}

/// Makes instructions that were written by this processor visible to its instruction fetch.
pub fn unify_instructions() {
    // SAFETY: a fence has no other effect.
    unsafe { asm!("fence.i", options(nostack, preserves_flags)) };
}

/// Ends the thread on an instruction that is illegal everywhere: a UserException.
pub fn abort() -> ! {
    // SAFETY: `unimp` faults; the thread never goes on behind it.
    unsafe { asm!("unimp", options(noreturn, nostack)) }
}

/// Loads a word from an aligned address, mapped or not.
pub fn load_anywhere(address: u64) -> u64 {
    let value;
    // SAFETY: a load changes nothing, and its value is a number like any other; where it faults the
    // thread stops.
    unsafe { asm!("ld {}, ({})", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Stores what is there already at an aligned address, mapped or not.
pub fn touch_anywhere(address: u64) {
    // SAFETY: the atomic operation changes no bit of the word: no value in memory changes.
    unsafe { asm!("amoor.d zero, zero, ({})", in(reg) address, options(nostack, preserves_flags)) };
}

/// Jumps to an address that is not executable.
pub fn jump_anywhere(address: u64) -> ! {
    // SAFETY: the caller sees to it that the fetch faults; the thread never goes on there.
    unsafe { asm!("jr {}", in(reg) address, options(noreturn, nostack)) }
}

/// Reads the kernel's trap vector.
pub fn read_kernel_register() -> u64 {
    let value;
    // SAFETY: at user level the instruction is illegal and the thread stops.
    unsafe { asm!("csrr {}, stvec", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The body of a root task's `_start`: it sets the stack pointer to the end of `$stack` (of `$pages`
/// pages), and goes to `$start` with the argument register untouched.
#[doc(hidden)]
#[macro_export]
macro_rules! __root_entry {
    ($stack:path, $pages:expr, $start:path) => {
        ::core::arch::naked_asm!(
            "lla sp, {stack}",
            "li t0, {pages}",
            "slli t0, t0, 12",
            "add sp, sp, t0",
            "mv fp, zero",
            "mv ra, zero",
            "j {start}",
            stack = sym $stack,
            pages = const $pages,
            start = sym $start,
        )
    };
}
