// SPDX-License-Identifier: MIT OR Apache-2.0

//! riscv64: `ecall` and `tp`.

use core::arch::asm;

machine! {
    trap: ["ecall"] {},
    number: "a7",
    cap: "a0",
    info: "a1",
    words: ["a2", "a3", "a4", "a5"],
    reply: "a6",
    destination: "t0",
    thread_pointer: "mv {}, tp",
    barrier: "fence",
    undefined: "unimp",
    load: "ld {}, ({})",
    touch: ["amoor.d zero, zero, ({address})"] {},
    jump: "jr {}",
    kernel_register: "csrr {}, stvec",
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

/// Makes instructions that were written by this processor visible to its instruction fetch.
pub fn unify_instructions() {
    // SAFETY: a fence has no other effect.
    unsafe { asm!("fence.i", options(nostack, preserves_flags)) };
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
