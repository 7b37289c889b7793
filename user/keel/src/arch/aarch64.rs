// SPDX-License-Identifier: MIT OR Apache-2.0

//! aarch64: `svc #0` and `TPIDR_EL0`.

use core::arch::asm;

machine! {
    trap: ["svc #0"] {},
    number: "x7",
    cap: "x0",
    info: "x1",
    words: ["x2", "x3", "x4", "x5"],
    reply: "x6",
    destination: "x8",
    thread_pointer: "mrs {}, tpidr_el0",
    barrier: "dmb ish",
    undefined: "udf #0",
    load: "ldr {}, [{}]",
    // The exclusive store writes the value just loaded, and only if nobody wrote meanwhile.
    touch: [
        "2: ldxr {value}, [{address}]",
        "stxr {failed:w}, {value}, [{address}]",
        "cbnz {failed:w}, 2b"
    ] {
        value = out(reg) _,
        failed = out(reg) _,
    },
    jump: "br {}",
    kernel_register: "mrs {}, vbar_el1",
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
