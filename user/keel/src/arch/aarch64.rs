// SPDX-License-Identifier: MIT OR Apache-2.0

//! aarch64: `svc #0`, `TPIDR_EL0`, and the entry of a root task.
//!
//! Registers (`syscalls.md` §2): number x7; capability in and badge out x0; message info x1; message
//! words x2–x5; reply capability x6; destination of NBSendRecv x8. The kernel keeps every register
//! that is not an output, the flags and the FPU's included, so nothing is declared clobbered.

use core::arch::asm;

use super::{Input, Output};

/// A system call that gives nothing back.
#[inline(always)]
pub fn trap_send(number: i64, input: Input) {
    // SAFETY: the trap changes no register; what it does to memory (the IPC buffer, memory shared
    // with others) the compiler must assume of any `asm!` without `nomem`.
    unsafe {
        asm!(
            "svc #0",
            in("x7") number,
            in("x0") input.cap,
            in("x1") input.info,
            in("x2") input.words[0],
            in("x3") input.words[1],
            in("x4") input.words[2],
            in("x5") input.words[3],
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
            "svc #0",
            in("x7") number,
            inlateout("x0") input.cap => badge,
            inlateout("x1") input.info => info,
            inlateout("x2") input.words[0] => w0,
            inlateout("x3") input.words[1] => w1,
            inlateout("x4") input.words[2] => w2,
            inlateout("x5") input.words[3] => w3,
            in("x6") input.reply,
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
            "svc #0",
            in("x7") number,
            inlateout("x0") input.cap => badge,
            inlateout("x1") input.info => info,
            inlateout("x2") input.words[0] => w0,
            inlateout("x3") input.words[1] => w1,
            inlateout("x4") input.words[2] => w2,
            inlateout("x5") input.words[3] => w3,
            in("x6") input.reply,
            in("x8") destination,
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
    unsafe { asm!("mrs {}, tpidr_el0", out(reg) value, options(nomem, nostack, preserves_flags)) };
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
    unsafe { asm!("msr tpidr_el0, {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}

/// Makes earlier writes to shared memory visible before later ones (to other observers, devices too).
#[inline(always)]
pub fn memory_barrier() {
    // SAFETY: a barrier has no other effect.
    unsafe { asm!("dmb ish", options(nostack, preserves_flags)) };
}

/// Ends the thread on an instruction that is undefined everywhere: a UserException.
pub fn abort() -> ! {
    // SAFETY: `udf` faults; the thread never goes on behind it.
    unsafe { asm!("udf #0", options(noreturn, nostack)) }
}

/// Loads a word from an aligned address, mapped or not.
pub fn load_anywhere(address: u64) -> u64 {
    let value;
    // SAFETY: a load changes nothing, and its value is a number like any other; where it faults the
    // thread stops.
    unsafe { asm!("ldr {}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Stores what is there already at an aligned address, mapped or not.
pub fn touch_anywhere(address: u64) {
    // SAFETY: the exclusive store writes the value just loaded, and only if nobody wrote meanwhile: no
    // value in memory changes.
    unsafe {
        asm!(
            "2: ldxr {value}, [{address}]",
            "stxr {failed:w}, {value}, [{address}]",
            "cbnz {failed:w}, 2b",
            value = out(reg) _,
            failed = out(reg) _,
            address = in(reg) address,
            options(nostack, preserves_flags),
        );
    }
}

/// Jumps to an address that is not executable.
pub fn jump_anywhere(address: u64) -> ! {
    // SAFETY: the caller sees to it that the fetch faults; the thread never goes on there.
    unsafe { asm!("br {}", in(reg) address, options(noreturn, nostack)) }
}

/// Reads the kernel's vector base.
pub fn read_kernel_register() -> u64 {
    let value;
    // SAFETY: at user level the instruction is undefined and the thread stops.
    unsafe { asm!("mrs {}, vbar_el1", out(reg) value, options(nomem, nostack, preserves_flags)) };
    value
}

/// The body of a root task's `_start`: it sets the stack pointer to the end of `$stack` (of `$pages`
/// pages), and goes to `$start` with the argument register untouched.
#[doc(hidden)]
#[macro_export]
macro_rules! __root_entry {
    ($stack:path, $pages:expr, $start:path) => {
        ::core::arch::naked_asm!(
            "adrp x1, {stack}",
            "add x1, x1, :lo12:{stack}",
            "mov x2, {pages}",
            "lsl x2, x2, #12",
            "add x1, x1, x2",
            "mov sp, x1",
            "mov x29, xzr",
            "mov x30, xzr",
            "b {start}",
            stack = sym $stack,
            pages = const $pages,
            start = sym $start,
        )
    };
}
