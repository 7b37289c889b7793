// SPDX-License-Identifier: MIT OR Apache-2.0

//! x86_64: `syscall`, and the base of FS.
//!
//! `syscall` itself keeps the return address in RCX and the flags in R11. A kernel may let the thread go on without its
//! stack pointer (`syscalls.md` §2), so the code keeps that in a register.
//!
//! Not every processor lets programs read the base of FS. So the word of the IPC buffer that is the program's own
//! (`syscalls.md` §4) holds the buffer's address: whoever gives a thread its buffer writes it there.

use keel_abi::{message::ipc_buffer, syscall};

use super::Input;

machine! {
    trap: ["mov {stack}, rsp", "syscall", "mov rsp, {stack}"] {
        stack = out(reg) _,
        out("rcx") _,
        out("r11") _,
    },
    number: "rdx",
    cap: "rdi",
    info: "rsi",
    words: ["r10", "r8", "r9", "r15"],
    reply: "r12",
    destination: "r13",
    thread_pointer: "mov {}, fs:[968]",
    barrier: "mfence",
    undefined: "ud2",
    load: "mov {}, qword ptr [{}]",
    touch: ["lock or qword ptr [{address}], 0"] {},
    jump: "jmp {}",
    kernel_register: "mov {}, cr0",
}

const _: () = assert!(ipc_buffer::USER_DATA * size_of::<u64>() == 968);

/// Sets the thread pointer.
///
/// # Safety
/// `value` is the address of an IPC buffer, mapped read-write in this address space for as long as
/// the thread runs, that no other thread uses.
pub unsafe fn set_thread_pointer(value: usize) {
    // SAFETY: a word of the buffer, which by the caller's promise is mapped and this thread's.
    unsafe { (value as *mut usize).add(ipc_buffer::USER_DATA).write_volatile(value) };
    trap_send(syscall::SET_TLS_BASE, Input { cap: value as u64, ..Input::default() });
}

/// The body of a root task's `_start`: it sets the stack pointer to the end of `$stack` (of `$pages`
/// pages), and goes to `$start` with the argument register untouched.
#[doc(hidden)]
#[macro_export]
macro_rules! __root_entry {
    ($stack:path, $pages:expr, $start:path) => {
        ::core::arch::naked_asm!(
            "lea rsp, [rip + {stack}]",
            "add rsp, {bytes}",
            "xor ebp, ebp",
            "call {start}",
            "ud2",
            stack = sym $stack,
            bytes = const $pages * 4096,
            start = sym $start,
        )
    };
}
