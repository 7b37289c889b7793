// SPDX-License-Identifier: MIT OR Apache-2.0

//! From the loader's jump to the kernel's own address space.
//!
//! A loader leaves this behind (`boot.md` §6.1): EL1, MMU and caches on, interrupts masked, the kernel at its
//! linked address by 2 MiB blocks, at any physical address, and the loader's own memory mapped to itself. The
//! kernel believes only that it is mapped itself. It asks the processor where it lies, builds its tables, and goes
//! from the loader's address space to its own through a stretch of code that is mapped to itself and runs with
//! the MMU off, because attributes, sizes and tables change at once.
//!
//! ```text
//!   0xffff_ff80_0000_0000   all memory, at its physical address plus this
//!   0xffff_ffff_c000_0000   the last GiB: the kernel's image
//!   0xffff_ffff_e000_0000                 the device tree
//!   0xffff_ffff_f000_0000                 pages of devices
//! ```

use super::entry;
use crate::cpu::{read, switch_off, table_written};
use core::arch::{asm, naked_asm};
use keel_aarch64_tables::{Error, Format, MAIR, Table, Width};
use keel_abi::aarch64::memory::WINDOW_BASE;
use keel_arch::cpu::space::{self, Image, KernelSpace, RootTask};
use keel_devicetree::Region;

/// How the kernel's addresses are laid out: see above.
pub struct Layout;

impl space::Layout for Layout {
    type Format = Format;
    const WIDTH: Width = Width::Bits39;
    const WINDOW: u64 = WINDOW_BASE;
    const TREE: u64 = 0xffff_ffff_e000_0000;
    const DEVICES: u64 = 0xffff_ffff_f000_0000;

    fn written() {
        table_written();
    }
}

/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;
/// How many tables there are: ten for image, tree, devices, window and the way over; and for each region of
/// memory that is not made of whole GiB up to four. What finds no table is not used. Eight
/// more pages can be slots for interrupts.
const TABLES: usize = 42 + 8;

/// The pool of tables, of which `KernelSpace` has the only reference.
#[unsafe(link_section = ".bss..tables")]
static mut POOL: [Table; TABLES] = [Table::EMPTY; TABLES];
/// The root of the address space that maps nothing.
static NO_SPACE: Table = Table::EMPTY;

unsafe extern "C" {
    static keel_image_start: u8;
    static keel_code_end: u8;
    static keel_constants_end: u8;
    static keel_boot_guard: u8;
    static keel_boot_stack: u8;
    static ki_end: u8;
}

/// The entry point: a stack, then Rust. Arguments stay where they are.
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.entry")]
unsafe extern "C" fn keel_entry() -> ! {
    naked_asm!(
        "msr daifset, #0xf",
        "msr spsel, #1",
        "adrp x9, keel_boot_stack_top",
        "mov sp, x9",
        "mov x29, xzr",
        "mov x30, xzr",
        "b {start}",
        start = sym start,
    )
}

/// The first Rust code.
extern "C" fn start(image: u64, image_end: u64, offset: u64, entry: u64, tree: u64, tree_bytes: u64) -> ! {
    let tree = if tree_bytes == 0 { Some(Region::EMPTY) } else { Region::new(tree, tree_bytes) };
    // Nothing can be said before the tree has named a console.
    let space = tree.and_then(|tree| take_over(tree).ok()).unwrap_or_else(|| switch_off(None));
    crate::cpu::trap::install();
    // SAFETY: `take_over` has loaded the address space.
    let tree = unsafe { space.tree(BOARD_TREE) };
    entry::boot(space, tree, RootTask::new(image, image_end, offset, entry))
}

/// The device tree of the board, for loaders that pass none.
#[cfg(keel_board)]
static BOARD_TREE: &[u8] = include_bytes!(env!("KEEL_BOARD_DTB"));
/// No board was named when the kernel was built.
#[cfg(not(keel_board))]
static BOARD_TREE: &[u8] = &[];

/// Leaves the loader's address space for the kernel's own. To be called once.
fn take_over(tree: Region) -> Result<KernelSpace<Layout>, Error> {
    let image = Image {
        start: address(&raw const keel_image_start),
        code_end: address(&raw const keel_code_end),
        constants_end: address(&raw const keel_constants_end),
        guard: address(&raw const keel_boot_guard),
        guard_end: address(&raw const keel_boot_stack),
        end: address(&raw const ki_end),
    };
    let offset = image.start.wrapping_sub(physical_address(image.start)?);
    let pool = &raw mut POOL;
    // SAFETY: the only reference to the pool, as this code runs once.
    let mut space = KernelSpace::<Layout>::new(unsafe { &mut *pool }, image, offset, tree)?;
    let identity = space.identity_root(Width::Bits48)?;
    let (kernel, empty) = (space.root(), no_space(&space));
    // SAFETY: both address spaces have this code; the kernel's has all of the image where it is now.
    unsafe {
        switch_space(kernel, identity, empty, offset.wrapping_neg(), translation_control(), CONTROL);
    }
    Ok(space)
}

/// The physical address of a root table that maps nothing.
pub fn no_space(space: &KernelSpace<Layout>) -> u64 {
    space.physical(address((&raw const NO_SPACE).cast()))
}

/// The address of something in the image.
fn address(symbol: *const u8) -> u64 {
    symbol.addr() as u64
}

/// Where the loader's tables have put an address of the image.
fn physical_address(address: u64) -> Result<u64, Error> {
    const FAILED: u64 = 1;
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    let result: u64;
    // SAFETY: asks for a translation; changes PAR_EL1 alone.
    unsafe { asm!("at s1e1r, {}", "isb", "mrs {}, par_el1", in(reg) address, out(reg) result) };
    if result & FAILED != 0 { Err(Error::BadAddress) } else { Ok(result & ADDRESS | (address % PAGE_BYTES)) }
}

/// TCR_EL1: a lower half of 48 bits for user level, an upper half of 39 bits for the kernel, 4 KiB granules,
/// walks cached and inner shareable, 16 bits of ASID in TTBR0.
fn translation_control() -> u64 {
    const WALKS: u64 = 0b01 << 8 | 0b01 << 10 | 0b11 << 12;
    const LOWER: u64 = (64 - 48) | WALKS;
    const UPPER: u64 = (64 - 39) | WALKS | 0b10 << 14;
    const WIDE_ASIDS: u64 = 1 << 36;
    // What the processor has of physical addresses, up to 48 bits.
    let physical_size = (read!("id_aa64mmfr0_el1") & 0xf).min(5);
    LOWER | UPPER << 16 | physical_size << 32 | WIDE_ASIDS
}

/// SCTLR_EL1. On: MMU (0), data cache (2), alignment of the kernel's stack (3), instruction cache (12). User
/// level may clear lines (DZE 14), read the cache's type (UCT 15), sleep (nTWI 16, nTWE 18) and maintain caches
/// (UCI 26). Neither its stack (SA0 4) nor its data (A 1) need be aligned. The rest are bits that are one.
const CONTROL: u64 =
    1 | 1 << 2 | 1 << 3 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 18 | 1 << 26 | 0x30d0_0800;

/// Goes from the loader's address space to the kernel's, and returns there.
///
/// # Safety
/// `kernel` maps the image at its addresses of now. `identity` maps this function's code to itself. `empty` maps
/// nothing. All three are physical addresses of root tables, `distance` is physical minus virtual address.
#[unsafe(naked)]
unsafe extern "C" fn switch_space(
    kernel: u64,
    identity: u64,
    empty: u64,
    distance: u64,
    translation: u64,
    control: u64,
) {
    naked_asm!(
        // The lower half is not in use. It becomes the identity, at the size and granule that the tables have.
        // Attribute 1 is what the tables call memory; if the loader uses it for the kernel, it is that already.
        "mrs x6, mair_el1",
        "mov x7, #{memory}",
        "orr x6, x6, x7",
        "msr mair_el1, x6",
        "mrs x6, tcr_el1",
        "bfi x6, x4, #0, #16",
        "msr tcr_el1, x6",
        "msr ttbr0_el1, x1",
        "isb",
        "tlbi vmalle1",
        "dsb nsh",
        "isb",
        "adr x8, 2f",
        "add x8, x8, x3",
        "br x8",
        // At physical addresses. No data is touched until the MMU is on again, so the caches stay right.
        "2: mrs x6, sctlr_el1",
        "bic x6, x6, #1",
        "msr sctlr_el1, x6",
        "isb",
        "msr mair_el1, x7",
        "msr tcr_el1, x4",
        "msr ttbr1_el1, x0",
        "isb",
        "tlbi vmalle1",
        "dsb nsh",
        "isb",
        "msr sctlr_el1, x5",
        "isb",
        "adr x8, 2f",
        "sub x8, x8, x3",
        "br x8",
        // In the kernel's address space.
        "2: msr ttbr0_el1, x2",
        "isb",
        "tlbi vmalle1",
        "dsb nsh",
        "isb",
        "ret",
        memory = const MAIR,
    )
}
