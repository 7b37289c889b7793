// SPDX-License-Identifier: MIT OR Apache-2.0

//! What has to be said in instructions: the code that puppets run, and the counter.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};

use super::super::Code;

/// Declares code: a naked function, the name of its end, and its instructions without the last one.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $function:ident, $end:ident: $($line:literal),+ $(,)?) => {
        $(#[$doc])*
        pub fn $name() -> Code {
            unsafe extern "C" {
                static $end: u8;
            }
            Code { start: $function as *const () as u64, end: (&raw const $end).addr() as u64 }
        }

        #[unsafe(naked)]
        extern "C" fn $function() -> ! {
            naked_asm!(
                $($line,)+
                concat!(".globl ", stringify!($end)),
                concat!(stringify!($end), ":"),
                "ud2",
            )
        }
    };
}

code! {
    /// One system call.
    syscall, syscall_code, keel_syscall_end: "syscall"
}
code! {
    /// The function rsi with argument rdi, on a stack.
    function, function_code, keel_function_end: "call rsi"
}
code! {
    /// Reads the word at rdi into rsi.
    load, load_code, keel_load_end: "mov rsi, [rdi]"
}
code! {
    /// Writes rsi to rdi.
    store, store_code, keel_store_end: "mov [rdi], rsi"
}
code! {
    /// Goes to rdi.
    jump, jump_code, keel_jump_end: "jmp rdi"
}
code! {
    /// Nothing: ends at once.
    nothing, nothing_code, keel_nothing_end: "nop"
}
code! {
    /// An instruction that faults in another way than an undefined one: a breakpoint's would be behind it.
    breakpoint, breakpoint_code, keel_breakpoint_end: "hlt"
}
code! {
    /// Copies rdi through the FPU to rsi.
    through_fpu, through_fpu_code, keel_through_fpu_end: "movq xmm7, rdi", "movq rsi, xmm7"
}
code! {
    /// Sets FPU registers xmm0 and xmm15 from rdi and rsi.
    set_fpu, set_fpu_code, keel_set_fpu_end: "movq xmm0, rdi", "movq xmm15, rsi"
}
code! {
    /// Reads FPU registers xmm0 and xmm15 to rdi and rsi; rdx is cleared, as there is no control register of
    /// which a new thread has none set.
    get_fpu, get_fpu_code, keel_get_fpu_end: "movq rdi, xmm0", "movq rsi, xmm15", "mov edx, 0"
}
code! {
    /// Nothing: there are no stores that depend on a reservation.
    exclusive, exclusive_code, keel_exclusive_end: "nop"
}
code! {
    /// Counts rdi down to 0, without a change of flags.
    count_down, count_down_code, keel_count_down_end:
    "2:", "lea rdi, [rdi - 1]", "xchg rdi, rcx", "jrcxz 3f", "xchg rdi, rcx", "jmp 2b", "3:", "xchg rdi, rcx"
}
code! {
    /// Adds one to the word at rdi, forever, in four instructions.
    spin, spin_code, keel_spin_end: "2:", "mov rsi, [rdi]", "lea rsi, [rsi + 1]", "mov [rdi], rsi", "jmp 2b"
}
code! {
    /// Makes system calls forever.
    syscalls, syscalls_code, keel_syscalls_end: "2:", "syscall", "jmp 2b"
}
code! {
    /// Reads the counter to rdi.
    time, time_code, keel_time_end: "rdtsc", "shl rdx, 32", "lea rdi, [rax + rdx]"
}
code! {
    /// Touches a register of the kernel.
    kernel_register, kernel_register_code, keel_kernel_register_end: "mov rdi, cr0"
}
code! {
    /// Reads a word from the stack.
    load_from_stack, load_from_stack_code, keel_load_from_stack_end: "mov rsi, [rsp]"
}
code! {
    /// Reads an I/O port.
    input, input_code, keel_input_end: "in al, 0x80"
}

/// Ticks of the counter.
pub fn ticks() -> u64 {
    let (low, high): (u64, u64);
    // SAFETY: reads a counter that the kernel lets user level read.
    unsafe { asm!("rdtsc", out("rax") low, out("rdx") high, options(nostack, preserves_flags)) };
    high << 32 | low
}

/// Runs `2 * count` instructions.
pub fn burn(count: u64) {
    // SAFETY: counts a register down.
    unsafe {
        asm!("2:", "sub {count}, 1", "jnz 2b", count = inout(reg) count.max(1) => _, options(nomem, nostack));
    }
}

/// The word at an address that may be mapped by a case.
///
/// # Panics
/// A case that reads where nothing is mapped faults, and fails.
pub fn peek(address: u64) -> u64 {
    let value;
    // SAFETY: a load has no effect on memory; where nothing is mapped the thread faults.
    unsafe { asm!("mov {}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}

/// Writes a word to an address that a case has mapped for this.
pub fn poke(address: u64, value: u64) {
    assert!(address >= super::FREE_ADDRESSES.start, "not an address that cases may map");
    // SAFETY: at these addresses lies nothing but frames that the running case has mapped; where nothing
    // is mapped the thread faults.
    unsafe { asm!("mov [{}], {}", in(reg) address, in(reg) value, options(nostack, preserves_flags)) };
}

/// The 32-bit word at an address that may be mapped by a case.
pub fn peek_u32(address: u64) -> u32 {
    let value: u32;
    // SAFETY: as for `peek`.
    unsafe { asm!("mov {:e}, [{}]", out(reg) value, in(reg) address, options(nostack, preserves_flags)) };
    value
}
