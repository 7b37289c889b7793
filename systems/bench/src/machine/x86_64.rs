// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit x86: the low half of what `rdtsc` reads, `syscall`, and a 16550 at I/O ports.
//!
//! `rdtsc` opens a window, `rex.w rdtsc`, which does the same, closes it, `nop [rax+112]` begins a group of operations
//! and `nop [rax+113]` ends the last one.
//!
//! Around a call the stack pointer is kept in a register, as a kernel with this interface may let the thread go on
//! without it: these two instructions are part of the window.

use core::arch::asm;

use keel::arch::abi::registers::Register;
use keel::ipc::Received;
use keel_abi::message::MessageInfo;

use crate::window::{Call, Reads};

/// A register that the kernel keeps and a new thread may have a value in.
pub const SAVED_REGISTER: Register = Register::Rbx;

/// The serial port's register of interrupts that may come.
pub type InterruptMask = u8;
/// Its offset among the port's registers.
pub const INTERRUPT_MASK: u64 = 1;
/// The interrupt for an empty transmitter, which it always is.
pub const TRANSMIT: InterruptMask = 1 << 1;

/// `rex.w rdtsc`, for which assemblers have no name.
macro_rules! closing_rdtsc {
    () => {
        ".byte 0x48, 0x0f, 0x31"
    };
}

/// Defines a function that makes a system call and then closes a window.
macro_rules! trap {
    ($(#[$doc:meta])* $name:ident $(, $open:literal)* $(,)?) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<const NUMBER: i64>(reads: &Reads, call: Call, words: [u64; 4]) -> Received {
            let (badge, info, w0, w1, w2, w3);
            // SAFETY: a system call, which changes no registers but those it returns values in and those of
            // `syscall` itself, and stores into `reads`, which consists of atomics.
            unsafe {
                asm!(
                    $($open,)*
                    "mov rdi, {cap}",
                    "mov rsi, {info}",
                    "mov rdx, {number}",
                    "mov {stack}, rsp",
                    "syscall",
                    "mov rsp, {stack}",
                    closing_rdtsc!(),
                    "mov [{reads} + 8], rax",
                    reads = in(reg) reads,
                    cap = in(reg) call.cap.bits(),
                    info = in(reg) call.info.0,
                    number = const NUMBER,
                    stack = out(reg) _,
                    out("rdi") badge,
                    out("rsi") info,
                    inlateout("r10") words[0] => w0,
                    inlateout("r8") words[1] => w1,
                    inlateout("r9") words[2] => w2,
                    inlateout("r15") words[3] => w3,
                    in("r12") call.reply.bits(),
                    out("rax") _,
                    out("rcx") _,
                    out("rdx") _,
                    out("r11") _,
                    options(nostack, preserves_flags),
                );
            }
            Received { badge, info: MessageInfo(info), words: [w0, w1, w2, w3] }
        }
    };
}

trap!(
    /// Opens a window, calls the kernel, and closes a window.
    call,
    "rdtsc",
    "mov [{reads}], rax"
);
trap!(
    /// Calls the kernel, and closes a window.
    finish,
);

/// Opens a window.
#[inline(always)]
pub fn open(reads: &Reads) {
    // SAFETY: a read of a counter that the kernel lets user level read, and a store into an atomic.
    unsafe {
        asm!("rdtsc", "mov [{}], rax", in(reg) reads, out("rax") _, out("rdx") _,
            options(nostack, preserves_flags));
    }
}

/// Closes a window.
#[inline(always)]
pub fn close(reads: &Reads) {
    // SAFETY: as for `open`.
    unsafe {
        asm!(closing_rdtsc!(), "mov [{} + 8], rax", in(reg) reads, out("rax") _, out("rdx") _,
            options(nostack, preserves_flags));
    }
}

/// Executes an undefined instruction, of four bytes with what is never reached, in a window.
#[inline(always)]
pub fn undefined_instruction(reads: &Reads) {
    // SAFETY: who handles the fault lets the thread go on behind the instruction.
    unsafe {
        asm!("rdtsc", "mov [{reads}], rax", "ud2", "ud2", closing_rdtsc!(), "mov [{reads} + 8], rax",
            reads = in(reg) reads, out("rax") _, out("rdx") _, options(nostack, preserves_flags));
    }
}

/// Loads from an address in a window; nothing needs to be mapped there.
#[inline(always)]
pub fn load(reads: &Reads, address: u64) {
    // SAFETY: a load changes nothing; who handles the fault maps a page there.
    unsafe {
        asm!("rdtsc", "mov [{reads}], rax", "mov rcx, [{address}]", closing_rdtsc!(),
            "mov [{reads} + 8], rax", reads = in(reg) reads, address = in(reg) address, out("rax") _,
            out("rcx") _, out("rdx") _, options(nostack, preserves_flags));
    }
}

/// Loads from an address, at which something is mapped, so that its translation is known.
pub fn touch(address: u64) {
    // SAFETY: a load changes nothing.
    unsafe { asm!("mov {}, [{}]", out(reg) _, in(reg) address, options(nostack, preserves_flags)) };
}

/// Writes a device register in memory in a window.
///
/// # Safety
/// `register` is one, mapped for writing, and what it does harms nobody.
#[inline(always)]
pub unsafe fn write_register(reads: &Reads, register: *mut InterruptMask, value: InterruptMask) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("rdtsc", "mov [{reads}], rax", "mov [{register}], {value}", closing_rdtsc!(),
            "mov [{reads} + 8], rax", reads = in(reg) reads, value = in(reg_byte) value,
            register = in(reg) register, out("rax") _, out("rdx") _, options(nostack, preserves_flags));
    }
}

/// Uses the FPU, so that its registers are this thread's.
#[inline(always)]
pub fn touch_fpu() {
    // SAFETY: changes a register that nothing else here uses, as this program is built without vector registers.
    unsafe { asm!("xorps xmm15, xmm15", options(nomem, nostack, preserves_flags)) };
}

/// Starts the counter: it runs already.
pub fn start_counter() {}

/// Tells the plugin that a group of operations begins.
pub fn begin_group() {
    // SAFETY: a hint does nothing.
    unsafe { asm!("nop dword ptr [rax + 112]", options(nomem, nostack, preserves_flags)) };
}

/// Tells the plugin that no more operations come.
pub fn end_groups() {
    // SAFETY: a hint does nothing.
    unsafe { asm!("nop dword ptr [rax + 113]", options(nomem, nostack, preserves_flags)) };
}
