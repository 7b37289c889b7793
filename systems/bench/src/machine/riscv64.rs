// SPDX-License-Identifier: MIT OR Apache-2.0

//! 64-bit RISC-V: `cycle`, `ecall`, and a 16550.
//!
//! `csrr t5, cycle` opens a window, `csrr t6, cycle` closes it, `slti zero, zero, 112` begins a group of operations
//! and `slti zero, zero, 113` ends the last one. (That instruction without a destination is a hint for custom use.)

use core::arch::asm;

use keel::arch::abi::registers::Register;
use keel::ipc::Received;
use keel_abi::message::MessageInfo;

use crate::window::{Call, Reads};

/// A register that the kernel keeps and a new thread may have a value in.
pub const SAVED_REGISTER: Register = Register::S2;

/// The serial port's register of interrupts that may come.
pub type InterruptMask = u8;
/// Its offset among the port's registers.
pub const INTERRUPT_MASK: u64 = 1;
/// The interrupt for an empty transmitter, which it always is.
pub const TRANSMIT: InterruptMask = 1 << 1;

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
                    "mv a0, {cap}",
                    "mv a1, {info}",
                    "li a7, {number}",
                    "ecall",
                    "csrr t6, cycle",
                    "sd t6, 8({reads})",
                    reads = in(reg) reads,
                    cap = in(reg) call.cap.bits(),
                    info = in(reg) call.info.0,
                    number = const NUMBER,
                    out("a0") badge,
                    out("a1") info,
                    inlateout("a2") words[0] => w0,
                    inlateout("a3") words[1] => w1,
                    inlateout("a4") words[2] => w2,
                    inlateout("a5") words[3] => w3,
                    in("a6") call.reply.bits(),
                    out("a7") _,
                    out("t5") _,
                    out("t6") _,
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
    "csrr t5, cycle",
    "sd t5, 0({reads})"
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
        asm!("csrr t5, cycle", "sd t5, 0({})", in(reg) reads, out("t5") _, options(nostack, preserves_flags));
    }
}

/// Closes a window.
#[inline(always)]
pub fn close(reads: &Reads) {
    // SAFETY: as for `open`.
    unsafe {
        asm!("csrr t6, cycle", "sd t6, 8({})", in(reg) reads, out("t6") _, options(nostack, preserves_flags));
    }
}

/// Executes an undefined instruction, of four bytes, in a window.
#[inline(always)]
pub fn undefined_instruction(reads: &Reads) {
    // SAFETY: who handles the fault lets the thread go on behind the instruction.
    unsafe {
        asm!("csrr t5, cycle", "sd t5, 0({reads})", ".4byte 0xc0001073", "csrr t6, cycle", "sd t6, 8({reads})",
            reads = in(reg) reads, out("t5") _, out("t6") _, options(nostack, preserves_flags));
    }
}

/// Loads from an address in a window; nothing needs to be mapped there.
#[inline(always)]
pub fn load(reads: &Reads, address: u64) {
    // SAFETY: a load changes nothing; who handles the fault maps a page there.
    unsafe {
        asm!("csrr t5, cycle", "sd t5, 0({reads})", "ld t4, 0({address})", "csrr t6, cycle", "sd t6, 8({reads})",
            reads = in(reg) reads, address = in(reg) address, out("t4") _, out("t5") _, out("t6") _,
            options(nostack, preserves_flags));
    }
}

/// Loads from an address, at which something is mapped, so that its translation is known.
pub fn touch(address: u64) {
    // SAFETY: a load changes nothing.
    unsafe { asm!("ld {}, 0({})", out(reg) _, in(reg) address, options(nostack, preserves_flags)) };
}

/// Writes a device register in a window.
///
/// # Safety
/// `register` is one, mapped for writing, and what it does harms nobody.
#[inline(always)]
pub unsafe fn write_register(reads: &Reads, register: *mut InterruptMask, value: InterruptMask) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("csrr t5, cycle", "sd t5, 0({reads})", "sb {value}, 0({register})", "csrr t6, cycle",
            "sd t6, 8({reads})", reads = in(reg) reads, value = in(reg) value, register = in(reg) register,
            out("t5") _, out("t6") _, options(nostack, preserves_flags));
    }
}

/// Uses the FPU, so that its registers are this thread's.
#[inline(always)]
pub fn touch_fpu() {
    // SAFETY: writes a register that is declared.
    unsafe { asm!("fmv.d.x ft11, zero", out("ft11") _, options(nomem, nostack, preserves_flags)) };
}

/// Starts the counter: it runs already.
pub fn start_counter() {}

/// Tells the plugin that a group of operations begins.
pub fn begin_group() {
    // SAFETY: a hint does nothing.
    unsafe { asm!("slti zero, zero, 112", options(nomem, nostack, preserves_flags)) };
}

/// Tells the plugin that no more operations come.
pub fn end_groups() {
    // SAFETY: a hint does nothing.
    unsafe { asm!("slti zero, zero, 113", options(nomem, nostack, preserves_flags)) };
}
