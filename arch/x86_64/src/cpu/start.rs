// SPDX-License-Identifier: MIT OR Apache-2.0

//! From the loader's jump to the kernel's own address space.
//!
//! A loader leaves this behind (`boot.md` §6.2, multiboot specification 0.6.96, section 3.2): 32-bit protected mode without
//! paging, interrupts masked, a magic number in eax, the address of its information in ebx. A few instructions switch the
//! processor to 64 bits, with tables at the lower end of boot's stack, which is not that deep yet. With those the
//! kernel looks around and loads the root task; then it builds its own.
//!
//! ```text
//!                             boot's tables              the kernel's
//!   0                         the first 4 GiB            user level
//!   0xffff_ff80_0000_0000                                all memory, at its physical address plus this
//!   0xffff_ffff_8000_0000     the first GiB, and in      the image, without what is not of it
//!                             it the image
//!   0xffff_ffff_f000_0000                                devices
//! ```

use super::low::LowMemory;
use super::{Features, entry, load_space, trap};
use crate::multiboot::MAGIC;
use core::arch::global_asm;
use keel_abi::x86_64::memory::WINDOW_BASE;
use keel_arch::cpu::space::{self, Image, KernelSpace};
use keel_devicetree::Region;
use keel_tables::Format as _;
use keel_x86_64_tables::{Error, Format, Table, WIDTH, Width};

/// How far the image is linked above its physical addresses.
const OFFSET: u64 = 0xffff_ffff_8000_0000;

/// How the kernel's addresses are laid out: see above.
pub struct Layout;

impl space::Layout for Layout {
    type Format = Format;
    const WIDTH: Width = WIDTH;
    const WINDOW: u64 = WINDOW_BASE;
    const TREE: u64 = 0xffff_ffff_e000_0000;
    const DEVICES: u64 = 0xffff_ffff_f000_0000;

    fn written() {
        // The table walker sees what the caches hold, and keeps no entries that map nothing.
    }

    fn largest_bits() -> u32 {
        if Features::find().huge_pages { Format::LARGEST_BITS } else { 21 }
    }
}

/// How many tables there are: ten for image, devices and window; and for each region of memory that is not made of whole
/// GiB up to four. What finds no table is not used. Eight
/// more pages can be slots for interrupts.
const TABLES: usize = 42 + 8;

/// The pool of tables, of which [`KernelSpace`] has the only reference.
#[unsafe(link_section = ".bss..tables")]
static mut POOL: [Table; TABLES] = [Table::EMPTY; TABLES];

unsafe extern "C" {
    static keel_image_start: u8;
    static keel_code_end: u8;
    static keel_constants_end: u8;
    static keel_boot_guard: u8;
    static keel_boot_stack: u8;
    static ki_end: u8;
}

global_asm!(
    // The multiboot header: modules at page boundaries, and the memory map; loaded as the ELF file says.
    ".pushsection .text.multiboot, \"a\", @progbits",
    ".balign 4",
    ".long 0x1badb002, 3, -(0x1badb002 + 3)",
    ".popsection",
    // Boot's segments: one, of code.
    ".pushsection .rodata.boot, \"a\", @progbits",
    ".balign 8",
    "boot_segments:",
    ".quad 0, 0x00af9a000000ffff",
    "boot_segments_pointer:",
    ".word 15",
    ".long boot_segments - {offset}",
    ".popsection",
    ".pushsection .text.entry, \"ax\", @progbits",
    // Of two lengths of words, and so no function to the analysis of paths.
    ".code32",
    ".globl keel_entry",
    "keel_entry:",
    "cli",
    "cld",
    "movl %eax, %ebp",
    "movl %ebx, %esi",
    // 64 bits and the right to forbid execution, or nothing.
    "movl $0x80000001, %eax",
    "cpuid",
    "andl $0x20100000, %edx",
    "cmpl $0x20100000, %edx",
    "jne 2f",
    // Tables, in zeroed memory: the root; two below it, for low and for high addresses; four for a GiB each, of pages of
    // 2 MiB, the first of which is behind both.
    "movl $(keel_boot_stack - {offset}), %edi",
    "leal 0x1003(%edi), %eax",
    "movl %eax, (%edi)",
    "leal 0x2003(%edi), %eax",
    "movl %eax, 0xff8(%edi)",
    "leal 0x3003(%edi), %eax",
    "movl %eax, 0x2ff0(%edi)",
    "movl %eax, 0x1000(%edi)",
    "addl $0x1000, %eax",
    "movl %eax, 0x1008(%edi)",
    "addl $0x1000, %eax",
    "movl %eax, 0x1010(%edi)",
    "addl $0x1000, %eax",
    "movl %eax, 0x1018(%edi)",
    "leal 0x3000(%edi), %edx",
    "movl $0x83, %eax",
    "movl $2048, %ecx",
    "8: movl %eax, (%edx)",
    "addl $8, %edx",
    "addl $0x200000, %eax",
    "loop 8b",
    "movl %edi, %cr3",
    // Physical address extension.
    "movl %cr4, %eax",
    "orl $0x20, %eax",
    "movl %eax, %cr4",
    // Long mode, and execution can be forbidden.
    "movl $0xc0000080, %ecx",
    "rdmsr",
    "orl $0x900, %eax",
    "wrmsr",
    // Paging.
    "movl %cr0, %eax",
    "orl $0x80000001, %eax",
    "movl %eax, %cr0",
    "lgdtl boot_segments_pointer - {offset}",
    "ljmpl $8, $(4f - {offset})",
    // Says so on the first serial line.
    "2: movl $(6f - {offset}), %esi",
    "3: lodsb",
    "testb %al, %al",
    "jz 5f",
    "movw $0x3f8, %dx",
    "outb %al, %dx",
    "jmp 3b",
    "5: hlt",
    "jmp 5b",
    "6: .asciz \"keel: failure: the kernel cannot start: the processor has no 64-bit mode with NX\\r\\n\"",
    ".code64",
    "4: movabsq $7f, %rax",
    "jmpq *%rax",
    "7: leaq keel_boot_stack_top(%rip), %rsp",
    "movl %ebp, %edi",
    "movl %esi, %esi",
    "xorl %ebp, %ebp",
    "call {start}",
    ".popsection",
    offset = const OFFSET.cast_signed(),
    start = sym start,
    options(att_syntax)
);

/// The first Rust code.
extern "C" fn start(magic: u32, information: u64) -> ! {
    trap::install();
    let image = image();
    let physical = Region::between(image.start - OFFSET, image.end - OFFSET).unwrap_or(Region::EMPTY);
    // SAFETY: boot's tables are in use until `take_over`, and this code runs once.
    let memory = unsafe { LowMemory::take(physical) };
    if magic != MAGIC {
        entry::refuse(format_args!("the loader does not speak multiboot (eax = {magic:#x})"));
    }
    entry::boot(memory, information, Features::find())
}

/// Where the linker has put the parts of the image.
fn image() -> Image {
    let address = |symbol: *const u8| symbol.addr() as u64;
    Image {
        start: address(&raw const keel_image_start),
        code_end: address(&raw const keel_code_end),
        constants_end: address(&raw const keel_constants_end),
        guard: address(&raw const keel_boot_guard),
        guard_end: address(&raw const keel_boot_stack),
        end: address(&raw const ki_end),
    }
}

/// Leaves boot's address space for the kernel's own. To be called once.
pub fn take_over(_low: LowMemory) -> Result<KernelSpace<Layout>, Error> {
    let pool = &raw mut POOL;
    // SAFETY: the only reference to the pool, as this is called once.
    let space = KernelSpace::new(unsafe { &mut *pool }, image(), OFFSET, Region::EMPTY)?;
    // All of the image, this code and its stack too, is in the new address space where it is in the old one.
    load_space(space.root());
    Ok(space)
}
