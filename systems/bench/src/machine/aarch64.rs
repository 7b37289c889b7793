// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit Arm: `PMCCNTR_EL0`, `svc #0`, and a PL011.
//!
//! `mrs x9, pmccntr_el0` opens a window, `mrs x10, pmccntr_el0` closes it, `hint #112` begins a group of operations
//! and `hint #113` ends the last one.

use core::arch::asm;

use keel::arch::abi::registers::Register;
use keel::ipc::Received;
use keel_abi::message::MessageInfo;

use crate::window::{Call, Reads};

/// A register that the kernel keeps and a new thread may have a value in.
pub const SAVED_REGISTER: Register = Register::X19;

/// The serial port's interrupt mask.
pub type InterruptMask = u32;
/// Its offset among the port's registers.
pub const INTERRUPT_MASK: u64 = 0x38;
/// The interrupt for room in the transmitter, which there always is.
pub const TRANSMIT: InterruptMask = 1 << 5;

/// Defines a function that makes a system call and then closes a window.
macro_rules! trap {
    ($(#[$doc:meta])* $name:ident $(, $open:literal)* $(,)?) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name<const NUMBER: i64>(reads: &Reads, call: Call, words: [u64; 4]) -> Received {
            let (badge, info, w0, w1, w2, w3);
            // SAFETY: a system call, which changes no registers but those it returns values in, and
            // stores into `reads`, which consists of atomics.
            unsafe {
                asm!(
                    $($open,)*
                    "mov x0, {cap}",
                    "mov x1, {info}",
                    "mov x7, #{number}",
                    "svc #0",
                    "mrs x10, pmccntr_el0",
                    "str x10, [{reads}, #8]",
                    reads = in(reg) reads,
                    cap = in(reg) call.cap.bits(),
                    info = in(reg) call.info.0,
                    number = const NUMBER,
                    out("x0") badge,
                    out("x1") info,
                    inlateout("x2") words[0] => w0,
                    inlateout("x3") words[1] => w1,
                    inlateout("x4") words[2] => w2,
                    inlateout("x5") words[3] => w3,
                    in("x6") call.reply.bits(),
                    out("x7") _,
                    out("x9") _,
                    out("x10") _,
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
    "mrs x9, pmccntr_el0",
    "str x9, [{reads}]"
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
        asm!("mrs x9, pmccntr_el0", "str x9, [{}]", in(reg) reads, out("x9") _,
            options(nostack, preserves_flags));
    }
}

/// Closes a window.
#[inline(always)]
pub fn close(reads: &Reads) {
    // SAFETY: as for `open`.
    unsafe {
        asm!("mrs x10, pmccntr_el0", "str x10, [{}, #8]", in(reg) reads, out("x10") _,
            options(nostack, preserves_flags));
    }
}

/// Executes an undefined instruction, of four bytes, in a window.
#[inline(always)]
pub fn undefined_instruction(reads: &Reads) {
    // SAFETY: who handles the fault lets the thread go on behind the instruction.
    unsafe {
        asm!("mrs x9, pmccntr_el0", "str x9, [{reads}]", "udf #0", "mrs x10, pmccntr_el0",
            "str x10, [{reads}, #8]", reads = in(reg) reads, out("x9") _, out("x10") _,
            options(nostack, preserves_flags));
    }
}

/// Loads from an address in a window; nothing needs to be mapped there.
#[inline(always)]
pub fn load(reads: &Reads, address: u64) {
    // SAFETY: a load changes nothing; who handles the fault maps a page there.
    unsafe {
        asm!("mrs x9, pmccntr_el0", "str x9, [{reads}]", "ldr x11, [{address}]", "mrs x10, pmccntr_el0",
            "str x10, [{reads}, #8]", reads = in(reg) reads, address = in(reg) address, out("x9") _,
            out("x10") _, out("x11") _, options(nostack, preserves_flags));
    }
}

/// Loads from an address, at which something is mapped, so that its translation is known.
pub fn touch(address: u64) {
    // SAFETY: a load changes nothing.
    unsafe { asm!("ldr {}, [{}]", out(reg) _, in(reg) address, options(nostack, preserves_flags)) };
}

/// Writes a device register in a window.
///
/// # Safety
/// `register` is one, mapped for writing, and what it does harms nobody.
#[inline(always)]
pub unsafe fn write_register(reads: &Reads, register: *mut InterruptMask, value: InterruptMask) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("mrs x9, pmccntr_el0", "str x9, [{reads}]", "str {value:w}, [{register}]",
            "mrs x10, pmccntr_el0", "str x10, [{reads}, #8]", reads = in(reg) reads, value = in(reg) value,
            register = in(reg) register, out("x9") _, out("x10") _, options(nostack, preserves_flags));
    }
}

/// Uses the FPU, so that its registers are this thread's.
#[inline(always)]
pub fn touch_fpu() {
    // SAFETY: writes a register that is declared.
    unsafe { asm!("movi v31.2d, #0", out("v31") _, options(nomem, nostack, preserves_flags)) };
}

/// Starts the counter. It counts at all levels of privilege.
pub fn start_counter() {
    // SAFETY: registers of the performance monitor, which the kernel leaves to user level.
    unsafe {
        asm!(
            "msr pmccfiltr_el0, xzr",
            "msr pmcntenset_el0, {cycles}",
            "msr pmcr_el0, {enable}",
            "isb",
            cycles = in(reg) 1_u64 << 31,
            // Enable, reset the cycle counter, 64 bits of it.
            enable = in(reg) 0b100_0101_u64,
            options(nomem, nostack, preserves_flags),
        );
    }
}

/// Tells the plugin that a group of operations begins.
pub fn begin_group() {
    // SAFETY: an unallocated hint does nothing.
    unsafe { asm!("hint #112", options(nomem, nostack, preserves_flags)) };
}

/// Tells the plugin that no more operations come.
pub fn end_groups() {
    // SAFETY: an unallocated hint does nothing.
    unsafe { asm!("hint #113", options(nomem, nostack, preserves_flags)) };
}
