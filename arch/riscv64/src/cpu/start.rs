// SPDX-License-Identifier: MIT OR Apache-2.0

//! From the loader's jump to the kernel's own address space.
//!
//! A loader leaves this behind (`boot.md` §6.1): supervisor mode, paging on (Sv39), interrupts masked, the kernel at its
//! linked address by 2 MiB blocks, at any physical address, and the loader's own memory mapped to itself. The kernel
//! finds out where it lies by walking the loader's tables, which are in that memory; should they not be, it lies where
//! its ELF file says. It builds its tables, in which all of the image is where it is now, and loads them.
//!
//! ```text
//!   0xffff_ffc0_0000_0000   all memory, at its physical address plus this
//!   0xffff_ffff_8000_0000   the last two GiB: the kernel's image
//!   0xffff_ffff_e000_0000                     the device tree
//!   0xffff_ffff_f000_0000                     devices
//! ```

use super::entry;
use crate::cpu::{execute, forget_all, trap};
use core::arch::naked_asm;
use keel_abi::riscv64::memory::WINDOW_BASE;
use keel_arch::cpu::space::{self, Image, KernelSpace, RootTask};
use keel_devicetree::Region;
use keel_riscv64_tables::{Error, Format, Table, WIDTH, Width, satp};

/// How the kernel's addresses are laid out: see above.
pub struct Layout;

impl space::Layout for Layout {
    type Format = Format;
    const WIDTH: Width = WIDTH;
    const WINDOW: u64 = WINDOW_BASE;
    const TREE: u64 = 0xffff_ffff_e000_0000;
    const DEVICES: u64 = 0xffff_ffff_f000_0000;

    fn written() {
        forget_all();
    }
}

/// How many tables there are: nine for image, tree, devices and window; and for each region of memory that is not made
/// of whole GiB up to four. What finds no table is not used. Eight
/// more pages can be slots for interrupts.
const TABLES: usize = 41 + 8;

/// The pool of tables, of which [`KernelSpace`] has the only reference.
#[unsafe(link_section = ".bss..tables")]
static mut POOL: [Table; TABLES] = [Table::EMPTY; TABLES];

/// The device tree of the board, for loaders that pass none.
#[cfg(keel_board)]
static BOARD_TREE: &[u8] = include_bytes!(env!("KEEL_BOARD_DTB"));
/// No board was named when the kernel was built.
#[cfg(not(keel_board))]
static BOARD_TREE: &[u8] = &[];

unsafe extern "C" {
    static keel_image_start: u8;
    static keel_code_end: u8;
    static keel_constants_end: u8;
    static keel_boot_guard: u8;
    static keel_boot_stack: u8;
    static ki_end: u8;
    /// How far the image is linked above the physical addresses of its ELF file.
    static keel_linked_offset: u64;
}

/// The entry point: a stack, then Rust. Arguments stay where they are.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.entry")]
unsafe extern "C" fn keel_entry() -> ! {
    naked_asm!(
        "csrw sie, zero",
        "csrci sstatus, 2",
        "csrw sscratch, zero",
        "lla sp, keel_boot_stack_top",
        "mv ra, zero",
        "mv fp, zero",
        "j {start}",
        start = sym start,
    )
}

/// The first Rust code.
extern "C" fn start(
    image: u64,
    image_end: u64,
    offset: u64,
    entry: u64,
    tree: u64,
    tree_bytes: u64,
    hart: u64,
    _core: u64,
) -> ! {
    let tree = if tree_bytes == 0 { Some(Region::EMPTY) } else { Region::new(tree, tree_bytes) };
    let space = tree.ok_or(Error::BadAddress).and_then(take_over);
    trap::install();
    match space {
        Ok(space) => {
            // SAFETY: `take_over` has loaded the address space.
            let tree = unsafe { space.tree(BOARD_TREE) };
            entry::boot(space, tree, RootTask::new(image, image_end, offset, entry), hart)
        }
        Err(error) => entry::refuse(format_args!("its address space cannot be made: {error:?}")),
    }
}

/// Leaves the loader's address space for the kernel's own. To be called once.
fn take_over(tree: Region) -> Result<KernelSpace<Layout>, Error> {
    let address = |symbol: *const u8| symbol.addr() as u64;
    let image = Image {
        start: address(&raw const keel_image_start),
        code_end: address(&raw const keel_code_end),
        constants_end: address(&raw const keel_constants_end),
        guard: address(&raw const keel_boot_guard),
        guard_end: address(&raw const keel_boot_stack),
        end: address(&raw const ki_end),
    };
    // SAFETY: the loader's address space is in use, and no trap is expected; the linker has put the number there.
    let (found, linked) = unsafe { (physical_address(image.start), keel_linked_offset) };
    let offset = if found == NOT_FOUND { linked } else { image.start.wrapping_sub(found) };
    let pool = &raw mut POOL;
    // SAFETY: the only reference to the pool, as this code runs once.
    let space = KernelSpace::new(unsafe { &mut *pool }, image, offset, tree)?;
    // All of the image, this code and its stack too, is in the new address space where it is in the old one.
    execute!("csrw satp, {}", satp::of(space.root(), 0));
    forget_all();
    Ok(space)
}

/// No answer of [`physical_address`].
const NOT_FOUND: u64 = u64::MAX;

/// Where the tables that are in use have put `address`, if they are mapped to themselves; else [`NOT_FOUND`].
///
/// # Safety
/// Paging is on, by Sv39, and interrupts are off.
#[unsafe(naked)]
unsafe extern "C" fn physical_address(address: u64) -> u64 {
    naked_asm!(
        // A table that cannot be read ends the walk by an exception.
        "lla t0, 3f",
        "csrrw t0, stvec, t0",
        "csrr t1, satp",
        "slli t1, t1, 20",
        "srli t1, t1, 8",
        "li t2, 30",
        // One round per level: t1 is the table, 2^t2 bytes the span of its entries.
        "1: srl t3, a0, t2",
        "andi t3, t3, 511",
        "slli t3, t3, 3",
        "add t3, t3, t1",
        "ld t3, 0(t3)",
        "andi t4, t3, 1",
        "beqz t4, 3f",
        "slli t1, t3, 10",
        "srli t1, t1, 20",
        "slli t1, t1, 12",
        "andi t3, t3, 0xe",
        "bnez t3, 2f",
        "addi t2, t2, -9",
        "li t4, 12",
        "bge t2, t4, 1b",
        "j 3f",
        // A page.
        "2: li t4, -1",
        "sll t4, t4, t2",
        "not t4, t4",
        "and a0, a0, t4",
        "or a0, a0, t1",
        "csrw stvec, t0",
        "ret",
        ".balign 4",
        "3: li a0, -1",
        "csrw stvec, t0",
        "ret",
    )
}
