// SPDX-License-Identifier: MIT OR Apache-2.0

//! From user level into the kernel and back.
//!
//! A thread's TCB begins with its saved registers ([`crate::registers`]). While it runs, the processor's stack for traps
//! ends there, behind the words that the processor itself pushes, so that a trap stores each register once, where it
//! stays; the instruction `syscall`, which pushes nothing, gets the same from a few instructions more. Then the kernel's
//! stack is taken and Rust called. Rust ends with a jump to the way back, which loads from the TCB of the thread that runs
//! next: by `sysret` if that thread has come by `syscall`, which costs it rcx and r11, else by `iret`.
//!
//! Vectors have stubs of one size, which push what the processor has not: an error code of 0, and the vector.
//!
//! 1. `keel_task.trap_stack` is that of the running thread's TCB while user level runs.
//! 2. The kernel never returns into itself, except from the interrupts that it lets come (`cpu`, 1): an exception that it
//!    raises is a bug, and ends the machine.
//! 3. Nothing of the kernel lies on its stack between exit and entry, so each entry starts at its top.
//! 4. What `sysret` loads into rip is canonical: it is what `syscall` has stored, which lies behind an instruction of user
//!    level, or was made so (`registers::sanitise`).

use super::{Features, descriptors, entry, msr, write_msr};
use crate::fault::vector;
use crate::registers::{
    BY_CALL, CS, ERROR, FLAGS, FS_BASE, GS_BASE, HOW, NEXT, RESTART, RSP, TRAP_END, selector,
};
use core::arch::global_asm;

/// Bytes of a stub.
const STUB_BYTES: u64 = 16;

/// Bytes of the kernel's stack that are used when an interrupt is noted: five words of the processor's, which it aligns,
/// two of the stub's, and one.
pub const NOTING_BYTES: u64 = (5 + 1 + 2 + 1) * 8;

global_asm!(
    ".pushsection .text.trap, \"ax\", @progbits",
    // Stubs. None has more instructions than the first, which is a function to the analysis of paths.
    ".balign 16",
    ".type keel_stubs, @function",
    ".globl keel_stubs",
    "keel_stubs:",
    ".set keel_number, 0",
    ".rept 256",
    ".balign {stub_bytes}",
    // Exceptions with error codes (table 6-1).
    ".if (keel_number == 8) || ((keel_number >= 10) && (keel_number <= 14)) || (keel_number == 17) || \
     (keel_number == 21) || (keel_number == 29) || (keel_number == 30)",
    ".else",
    "pushq $0",
    ".endif",
    "pushq $keel_number",
    ".if (keel_number == {non_maskable}) || (keel_number == {double_fault}) || (keel_number == {machine_check})",
    "jmp keel_fatal",
    ".else",
    "jmp keel_trap",
    ".endif",
    ".if keel_number == 0",
    ".size keel_stubs, . - keel_stubs",
    ".endif",
    ".set keel_number, keel_number + 1",
    ".endr",
    ".balign {stub_bytes}",
    ".popsection",
    stub_bytes = const STUB_BYTES,
    non_maskable = const vector::NON_MASKABLE,
    double_fault = const vector::DOUBLE_FAULT,
    machine_check = const vector::MACHINE_CHECK,
    options(att_syntax)
);

/// The distance in bytes of a saved register from the end of what the processor stores.
const fn from_end(word: usize) -> i64 {
    (word as i64 - TRAP_END as i64) * 8
}

/// The distance in bytes of a saved register from the last word that a stub pushes.
const fn from_how(word: usize) -> i64 {
    (word as i64 - HOW as i64) * 8
}

global_asm!(
    ".pushsection .text.trap, \"ax\", @progbits",
    // A call, on a processor with instructions for the bases of fs and gs.
    ".type keel_call_with_bases, @function",
    ".globl keel_call_with_bases",
    "keel_call_with_bases:",
    "mov [rip + keel_user_stack], rsp",
    "mov rsp, [rip + keel_task + 4]",
    "mov [rsp + {end_rax}], rax",
    "rdfsbase rax",
    "mov [rsp + {end_fs}], rax",
    "rdgsbase rax",
    "mov [rsp + {end_gs}], rax",
    "jmp keel_save",
    ".size keel_call_with_bases, . - keel_call_with_bases",
    // A call.
    ".balign 16",
    ".type keel_call, @function",
    ".globl keel_call",
    "keel_call:",
    "mov [rip + keel_user_stack], rsp",
    "mov rsp, [rip + keel_task + 4]",
    "mov [rsp + {end_rax}], rax",
    ".size keel_call, . - keel_call",
    ".type keel_save, @function",
    "keel_save:",
    "mov [rsp + {end_flags}], r11",
    "mov [rsp + {end_next}], rcx",
    "sub rcx, 2",
    "mov [rsp + {end_restart}], rcx",
    "mov rcx, [rip + keel_user_stack]",
    "mov [rsp + {end_rsp}], rcx",
    "mov qword ptr [rsp + {end_how}], {by_call}",
    "mov [rsp + {end_rax} + 8 * 1], rbx",
    "mov [rsp + {end_rax} + 8 * 3], rdx",
    "mov [rsp + {end_rax} + 8 * 4], rsi",
    "mov [rsp + {end_rax} + 8 * 5], rdi",
    "mov [rsp + {end_rax} + 8 * 6], rbp",
    "mov [rsp + {end_rax} + 8 * 7], r8",
    "mov [rsp + {end_rax} + 8 * 8], r9",
    "mov [rsp + {end_rax} + 8 * 9], r10",
    "mov [rsp + {end_rax} + 8 * 11], r12",
    "mov [rsp + {end_rax} + 8 * 12], r13",
    "mov [rsp + {end_rax} + 8 * 13], r14",
    "mov [rsp + {end_rax} + 8 * 14], r15",
    "lea rsp, [rip + keel_stack_top]",
    "call {syscall}",
    ".size keel_save, . - keel_save",
    // The way back, with the thread's address in rax: where the functions called above end.
    ".type keel_exit, @function",
    ".globl keel_exit",
    "keel_exit:",
    "lea rcx, [rax + 8 * {trap_end}]",
    "mov [rip + keel_task + 4], rcx",
    "mov rbx, [rax + 8 * 1]",
    "mov rdx, [rax + 8 * 3]",
    "mov rsi, [rax + 8 * 4]",
    "mov rdi, [rax + 8 * 5]",
    "mov rbp, [rax + 8 * 6]",
    "mov r8, [rax + 8 * 7]",
    "mov r9, [rax + 8 * 8]",
    "mov r10, [rax + 8 * 9]",
    "mov r12, [rax + 8 * 11]",
    "mov r13, [rax + 8 * 12]",
    "mov r14, [rax + 8 * 13]",
    "mov r15, [rax + 8 * 14]",
    "cmp qword ptr [rax + 8 * {how}], {by_call}",
    "jne 3f",
    "mov rcx, [rax + 8 * {next}]",
    "mov r11, [rax + 8 * {flags}]",
    "mov rsp, [rax + 8 * {rsp}]",
    "mov rax, [rax]",
    "sysretq",
    "3:",
    "mov rcx, [rax + 8 * 2]",
    "mov r11, [rax + 8 * 10]",
    "lea rsp, [rax + 8 * {next}]",
    "mov rax, [rax]",
    "iretq",
    ".size keel_exit, . - keel_exit",
    // All other traps. The stack is a TCB if they come from user level.
    ".balign 16",
    ".type keel_trap, @function",
    ".globl keel_trap",
    "keel_trap:",
    "test byte ptr [rsp + {how_cs}], 3",
    "jz 5f",
    "mov [rsp + {how_rax}], rax",
    "mov [rsp + {how_rax} + 8 * 1], rbx",
    "mov [rsp + {how_rax} + 8 * 2], rcx",
    "mov [rsp + {how_rax} + 8 * 3], rdx",
    "mov [rsp + {how_rax} + 8 * 4], rsi",
    "mov [rsp + {how_rax} + 8 * 5], rdi",
    "mov [rsp + {how_rax} + 8 * 6], rbp",
    "mov [rsp + {how_rax} + 8 * 7], r8",
    "mov [rsp + {how_rax} + 8 * 8], r9",
    "mov [rsp + {how_rax} + 8 * 9], r10",
    "mov [rsp + {how_rax} + 8 * 10], r11",
    "mov [rsp + {how_rax} + 8 * 11], r12",
    "mov [rsp + {how_rax} + 8 * 12], r13",
    "mov [rsp + {how_rax} + 8 * 13], r14",
    "mov [rsp + {how_rax} + 8 * 14], r15",
    "mov rax, [rsp + {how_next}]",
    "mov [rsp + {how_restart}], rax",
    "cmp byte ptr [rip + keel_has_bases], 0",
    "je 4f",
    "rdfsbase rax",
    "mov [rsp + {how_fs}], rax",
    "rdgsbase rax",
    "mov [rsp + {how_gs}], rax",
    "4:",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + {how_error}]",
    "mov rdx, cr2",
    "lea rsp, [rip + keel_stack_top]",
    // No flags of user level's.
    "push 2",
    "popfq",
    "call {trap}",
    // From the kernel: an interrupt is noted, and no other one comes.
    "5:",
    "cmp qword ptr [rsp], {first_free}",
    "jb keel_fatal",
    "push rax",
    "mov rax, [rsp + 8]",
    "mov [rip + keel_vector], rax",
    "pop rax",
    "add rsp, 16",
    "and dword ptr [rsp + 16], ~0x200",
    "iretq",
    ".size keel_trap, . - keel_trap",
    // The stack may be what is wrong, and nothing of it is needed any more.
    ".type keel_fatal, @function",
    "keel_fatal:",
    "mov rdi, [rsp]",
    "mov rsi, [rsp + {how_error}]",
    "mov rdx, [rsp + {how_next}]",
    "mov rcx, cr2",
    "lea rsp, [rip + keel_stack_top]",
    "call {exception}",
    ".size keel_fatal, . - keel_fatal",
    ".popsection",
    ".pushsection .bss.trap, \"aw\", @nobits",
    ".balign 8",
    // What `syscall` leaves in rsp, for a moment.
    "keel_user_stack: .skip 8",
    // The vector of an interrupt that was taken in the kernel.
    ".globl keel_vector",
    "keel_vector: .skip 8",
    // Whether there are instructions for the bases of fs and gs.
    ".globl keel_has_bases",
    "keel_has_bases: .skip 8",
    // The stack of what cannot be handled.
    ".balign 16",
    ".skip 1024",
    ".globl keel_fatal_stack_top",
    "keel_fatal_stack_top:",
    ".popsection",
    end_rax = const from_end(0),
    end_how = const from_end(HOW),
    end_next = const from_end(NEXT),
    end_flags = const from_end(FLAGS),
    end_rsp = const from_end(RSP),
    end_restart = const from_end(RESTART),
    end_fs = const from_end(FS_BASE),
    end_gs = const from_end(GS_BASE),
    how_rax = const from_how(0),
    how_error = const from_how(ERROR),
    how_next = const from_how(NEXT),
    how_cs = const from_how(CS),
    how_restart = const from_how(RESTART),
    how_fs = const from_how(FS_BASE),
    how_gs = const from_how(GS_BASE),
    trap_end = const TRAP_END,
    how = const HOW,
    next = const NEXT,
    flags = const FLAGS,
    rsp = const RSP,
    by_call = const BY_CALL.cast_signed(),
    first_free = const vector::FIRST_FREE,
    syscall = sym entry::syscall,
    trap = sym entry::trap,
    exception = sym entry::kernel_exception,
);

unsafe extern "C" {
    /// The way back to user level, with the address of the next thread's TCB in rax.
    fn keel_exit() -> !;
    /// Where vectors go.
    static keel_stubs: u8;
    /// Where calls go.
    static keel_call: u8;
    /// Where calls go that save the bases of fs and gs.
    static keel_call_with_bases: u8;
    /// The end of the stack of what cannot be handled.
    static keel_fatal_stack_top: u8;
    /// Whether traps save the bases of fs and gs.
    static mut keel_has_bases: u64;
    /// The vector of an interrupt that was taken in the kernel; 0 for none.
    pub static mut keel_vector: u64;
}

/// Has the processor take exceptions and interrupts here. To be called once.
pub fn install() {
    let stubs = (&raw const keel_stubs).addr() as u64;
    let stack = (&raw const keel_fatal_stack_top).addr() as u64;
    // SAFETY: called once; the stubs are such as are wanted.
    unsafe { descriptors::install(stubs, STUB_BYTES, stack) };
}

/// Has the processor take calls here, with all that `initialise` has done.
pub fn install_calls(features: Features) {
    /// `syscall` and `sysret` exist.
    const CALLS: u64 = 1 << 0;
    /// `sysret` takes the two entries behind this one: user level's.
    const BELOW_USER: u64 = selector::USER_DATA - 8;
    let target = if features.bases { &raw const keel_call_with_bases } else { &raw const keel_call };
    // SAFETY: written once, before there are traps from user level.
    unsafe { keel_has_bases = u64::from(features.bases) };
    write_msr(msr::EXTENDED_FEATURES, super::read_msr(msr::EXTENDED_FEATURES) | CALLS);
    write_msr(msr::CALL_SEGMENTS, BELOW_USER << 48 | selector::KERNEL_CODE << 32);
    write_msr(msr::CALL_TARGET, target.addr() as u64);
}

/// Leaves the kernel.
#[inline(always)]
pub fn leave(tcb: u64) -> ! {
    // SAFETY: `tcb` is that of a live thread, chosen by the kernel, and is loaded; the way back needs no stack.
    unsafe {
        core::arch::asm!("jmp {exit}", exit = sym keel_exit, in("rax") tcb, options(noreturn));
    }
}
