// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything that needs assembly or trust: entry, paging, firmware. The rest of the loader is safe.
//!
//! Entry is by the RISC-V boot protocol of Linux: the processor's number in a0, the device tree's address in a1,
//! supervisor mode, paging off, the image at any 2 MiB boundary, no other processor running.
//!
//! 1. One core runs, with interrupts masked, from entry to hand-over.
//! 2. The loader's own image is given out by [`Memory`] once, to itself.
//! 3. Firmware keeps all registers but a0 and a1, and memory (RISC-V SBI specification 1.0, chapter 3).

use core::arch::{asm, naked_asm};
use core::cell::Cell;
use keel_loader::Region;
use keel_loader::memory::{Memory, Processor};
use keel_riscv64_tables::{Error, Format, Table, WIDTH, Width, satp};

/// How many tables there are: a root, and for each of the six regions that are mapped one table of the second level,
/// with room for more.
const TABLES: usize = 24;

/// Bytes of the stack.
const STACK_BYTES: usize = 32 << 10;

/// The loader's stack.
#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

static mut STACK: Stack = Stack([0; STACK_BYTES]);
static mut POOL: [Table; TABLES] = [Table::EMPTY; TABLES];

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
}

/// The 64-byte header of a RISC-V Image ("Boot image header in RISC-V Linux").
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.header")]
unsafe extern "C" fn image_header() -> ! {
    naked_asm!(
        ".option push",
        ".option norvc",
        "j {enter}",
        ".option pop",
        ".word 0",
        ".quad 0x200000",    // offset from the start of memory
        ".quad image_bytes", // size with bss
        ".quad 0",           // little-endian
        ".word 2, 0",        // version 0.2 of the header
        ".quad 0",
        ".ascii \"RISCV\\0\\0\\0\"",
        ".ascii \"RSC\\x05\"",
        ".word 0",
        enter = sym enter,
    )
}

/// From the first instruction to Rust.
#[unsafe(naked)]
unsafe extern "C" fn enter() -> ! {
    naked_asm!(
        "csrw sie, zero",
        "csrci sstatus, 2",
        "csrw satp, zero",
        "mv s0, a0",
        "mv s1, a1",
        "lla t0, {fault}",
        "csrw stvec, t0",
        // Clear bss.
        "lla t0, bss_start",
        "lla t1, image_end",
        "1: sd zero, 0(t0)",
        "addi t0, t0, 8",
        "bltu t0, t1, 1b",
        // Relocate by the distance between where the image is and where it is linked. All entries are
        // R_RISCV_RELATIVE: offset, type, addend.
        "lla t0, image_start",
        "li t1, {link_address}",
        "sub t0, t0, t1",
        "lla t1, relocations_start",
        "lla t2, relocations_end",
        "1: bgeu t1, t2, 2f",
        "ld t3, 0(t1)",
        "ld t4, 16(t1)",
        "addi t1, t1, 24",
        "add t3, t3, t0",
        "add t4, t4, t0",
        "sd t4, 0(t3)",
        "j 1b",
        "2: lla sp, {stack}",
        "li t0, {stack_bytes}",
        "add sp, sp, t0",
        "mv fp, zero",
        "mv ra, zero",
        "mv a0, s0",
        "mv a1, s1",
        "fence.i",
        "j {start}",
        link_address = const 0x8020_0000_u64,
        fault = sym fault_vector,
        stack = sym STACK,
        stack_bytes = const STACK_BYTES,
        start = sym crate::load::start,
    )
}

/// Exceptions of the loader itself.
#[unsafe(naked)]
#[unsafe(link_section = ".text.vector")]
unsafe extern "C" fn fault_vector() -> ! {
    naked_asm!(
        // The linker script aligns the section.
        "csrr a0, scause",
        "csrr a1, stval",
        "csrr a2, sepc",
        "j {fault}",
        fault = sym crate::load::fault,
    )
}

/// The machine, for the common part of the loader.
pub struct Riscv64;

impl Processor for Riscv64 {
    type Format = Format;
    const WIDTH: Width = WIDTH;

    fn written() {
        // SAFETY: a fence; the walker sees the new entries before the next access.
        unsafe { asm!("sfence.vma") };
    }

    unsafe fn paging_on(root: u64) {
        // SAFETY: by the caller's promise each address means the same after as before.
        unsafe { asm!("sfence.vma", "csrw satp, {}", "sfence.vma", in(reg) satp::of(root, 0)) };
    }
}

/// A number that is set once, before anybody asks for it.
pub struct Number(Cell<u64>);

// SAFETY: one core runs, without interrupts (1).
unsafe impl Sync for Number {}

impl Number {
    /// Sets it.
    pub fn set(&self, number: u64) {
        self.0.set(number);
    }
}

/// The processor that boots.
pub static HART: Number = Number(Cell::new(0));

/// Takes physical memory over. Only the first call gets it.
pub fn take_memory(tree: Region) -> Result<Memory<Riscv64>, Error> {
    static TAKEN: Number = Number(Cell::new(0));
    assert!(TAKEN.0.replace(1) == 0, "memory is taken once");
    let pool = &raw mut POOL;
    // SAFETY: this code runs once: the only reference to the pool, and paging is off.
    unsafe { Memory::take(&mut *pool, own_image(), tree) }
}

/// Maps the kernel where it is linked and jumps to it with the arguments of the hand-over convention.
pub fn start_kernel(
    mut memory: Memory<Riscv64>,
    kernel: Region,
    linked_at: u64,
    entry: u64,
    arguments: [u64; 6],
) -> Error {
    if let Err(error) = memory.map_kernel(kernel, linked_at) {
        return error;
    }
    // SAFETY: the caller loaded the kernel to this region; nothing here is used any more.
    unsafe {
        asm!(
            "fence.i",
            "jr {entry}",
            entry = in(reg) entry,
            in("a0") arguments[0],
            in("a1") arguments[1],
            in("a2") arguments[2],
            in("a3") arguments[3],
            in("a4") arguments[4],
            in("a5") arguments[5],
            in("a6") HART.0.get(),
            in("a7") 0,
            options(noreturn),
        )
    }
}

/// Where the loader itself lies, with its bss.
fn own_image() -> Region {
    let (start, end) = (&raw const image_start, &raw const image_end);
    Region::between(start.addr() as u64, end.addr() as u64).expect("the linker puts the end behind the start")
}

/// Calls firmware with one argument.
fn firmware(extension: u64, argument: u64) {
    // SAFETY: the calls made here change nothing but registers that calls may change (3).
    unsafe {
        asm!("ecall", in("a7") extension, in("a6") 0, inout("a0") argument => _, inout("a1") 0_u64 => _);
    }
}

/// Puts a character on firmware's console.
pub fn put_char(character: u8) {
    const PUT_CHAR: u64 = 1;
    firmware(PUT_CHAR, u64::from(character));
}

/// Ends the machine's run where firmware can, else stays here.
pub fn stop() -> ! {
    const SYSTEM_RESET: u64 = 0x5352_5354;
    const SHUTDOWN: u64 = 8;
    firmware(SYSTEM_RESET, 0);
    firmware(SHUTDOWN, 0);
    loop {
        // SAFETY: waits; interrupts are masked.
        unsafe { asm!("wfi") }
    }
}
