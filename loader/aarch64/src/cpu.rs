// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything that needs assembly or trust: entry, the MMU, memory, power. The rest of the loader is safe.
//!
//! Entry is by the arm64 boot protocol of Linux: the device tree's address in x0, MMU and data cache off,
//! interrupts masked, at EL2 or EL1, the image at any 2 MiB boundary and clean to the point of coherency.
//!
//! 1. One core runs, with interrupts masked, from entry to hand-over.
//! 2. The loader's own image is given out by [`Memory`] once, to itself.

use core::arch::{asm, naked_asm};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicBool, Ordering};
use keel_aarch64_tables::{Error, Format, MAIR, Table, Width};
use keel_loader::Region;
use keel_loader::memory::{Memory, Processor};

/// How many tables there are: a root each for loader and kernel, and for each of the five regions that are
/// mapped one table of the second level and two of the third, with room for more.
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

/// The 64-byte header of an arm64 Image ("Booting AArch64 Linux", section 4).
#[unsafe(naked)]
#[unsafe(no_mangle)]
#[unsafe(link_section = ".text.header")]
unsafe extern "C" fn image_header() -> ! {
    naked_asm!(
        "b {enter}",
        ".word 0",
        ".quad 0x200000",    // offset from a 2 MiB boundary of memory at which QEMU puts the image
        ".quad image_bytes", // size with bss
        ".quad 0b1010",      // little-endian, 4 KiB pages, any 2 MiB boundary will do
        ".quad 0, 0, 0",
        ".ascii \"ARM\\x64\"",
        ".word 0",
        enter = sym enter,
    )
}

/// From the first instruction to Rust.
#[unsafe(naked)]
unsafe extern "C" fn enter() -> ! {
    naked_asm!(
        "msr daifset, #0xf",
        "mov x19, x0",
        "mrs x0, CurrentEL",
        "cmp x0, #(2 << 2)",
        "b.ne 2f",
        // EL2: let EL1 have the whole machine, then drop to it.
        "mov x0, #(1 << 31)",                   // HCR_EL2: EL1 is AArch64, nothing is trapped
        "msr hcr_el2, x0",
        "isb",
        "mov x0, #3",                           // CNTHCTL_EL2: EL1 may use the physical timer
        "msr cnthctl_el2, x0",
        "msr cntvoff_el2, xzr",
        "mov x0, #0x33ff",                      // CPTR_EL2: FPU accesses are not trapped
        "msr cptr_el2, x0",
        "msr hstr_el2, xzr",
        "msr vttbr_el2, xzr",
        "mrs x0, midr_el1",
        "msr vpidr_el2, x0",
        "mrs x0, mpidr_el1",
        "msr vmpidr_el2, x0",
        "mrs x0, id_aa64dfr0_el1",              // MDCR_EL2: all event counters are EL1's
        "ubfx x0, x0, #8, #4",
        "cbz x0, 1f",
        "mrs x0, pmcr_el0",
        "ubfx x0, x0, #11, #5",
        "1: msr mdcr_el2, x0",
        "mrs x0, id_aa64pfr0_el1",              // GICv3: EL1 may use its system registers
        "ubfx x0, x0, #24, #4",
        "cbz x0, 1f",
        "mov x0, #0b1001",
        "msr S3_4_C12_C9_5, x0",                // ICC_SRE_EL2
        "isb",
        "msr S3_4_C12_C11_0, xzr",              // ICH_HCR_EL2
        "1: mov x0, #0x3c5",                    // EL1h, all masked
        "msr spsr_el2, x0",
        "adr x0, 2f",
        "msr elr_el2, x0",
        "eret",
        "2: ldr x0, ={sctlr}",                  // MMU and caches off, no trap for user level
        "msr sctlr_el1, x0",
        "isb",
        "adrp x0, {fault}",
        "add x0, x0, :lo12:{fault}",
        "msr vbar_el1, x0",
        // Clear bss in memory, and drop what a cache may hold of it.
        "adrp x0, bss_start",
        "add x0, x0, :lo12:bss_start",
        "adrp x1, image_end",
        "add x1, x1, :lo12:image_end",
        "mrs x2, ctr_el0",
        "ubfx x2, x2, #16, #4",
        "mov x3, #4",
        "lsl x2, x3, x2",
        "mov x3, x0",
        "1: dc ivac, x3",
        "add x3, x3, x2",
        "cmp x3, x1",
        "b.lo 1b",
        "dsb sy",
        "1: stp xzr, xzr, [x0], #16",
        "cmp x0, x1",
        "b.lo 1b",
        // Relocate by the distance between where the image is and where it is linked. All entries are
        // R_AARCH64_RELATIVE: offset, type, addend.
        "adrp x0, image_start",
        "add x0, x0, :lo12:image_start",
        "ldr x1, ={link_address}",
        "sub x0, x0, x1",
        "adrp x1, relocations_start",
        "add x1, x1, :lo12:relocations_start",
        "adrp x2, relocations_end",
        "add x2, x2, :lo12:relocations_end",
        "1: cmp x1, x2",
        "b.hs 2f",
        "ldr x3, [x1], #16",
        "ldr x4, [x1], #8",
        "add x4, x4, x0",
        "str x4, [x3, x0]",
        "b 1b",
        "2: adrp x0, {stack}",
        "add x0, x0, :lo12:{stack}",
        "add sp, x0, #{stack_bytes}",
        "mov x29, xzr",
        "mov x30, xzr",
        "mov x0, x19",
        "b {start}",
        sctlr = const SCTLR_OFF,
        link_address = const 0x4020_0000,
        fault = sym fault_vectors,
        stack = sym STACK,
        stack_bytes = const STACK_BYTES,
        start = sym crate::load::start,
    )
}

/// SCTLR_EL1 with its bits that are one by architecture, and everything else off.
const SCTLR_OFF: u64 = 0x30d0_0800;

/// SCTLR_EL1 with MMU, data cache and instruction cache on.
const SCTLR_ON: u64 = SCTLR_OFF | 1 | 1 << 2 | 1 << 12;

/// Exceptions of the loader itself: memory or a device that the device tree promises is not there.
#[unsafe(naked)]
#[unsafe(link_section = ".text.vectors")]
unsafe extern "C" fn fault_vectors() -> ! {
    naked_asm!(
        ".rept 16", // the linker script aligns the section
        "b {fault}",
        ".balign 128",
        ".endr",
        fault = sym fault,
    )
}

/// An exception: says where and stops.
extern "C" fn fault() -> ! {
    let (syndrome, address, instruction): (u64, u64, u64);
    // SAFETY: reads three registers.
    unsafe {
        asm!("mrs {}, esr_el1", "mrs {}, far_el1", "mrs {}, elr_el1", "msr vbar_el1, xzr",
            out(reg) syndrome, out(reg) address, out(reg) instruction);
    }
    crate::load::fail(format_args!(
        "processor fault {syndrome:#x} at address {address:#x}, instruction {instruction:#x}"
    ))
}

/// The machine, for the common part of the loader.
pub struct Aarch64;

impl Processor for Aarch64 {
    type Format = Format;
    const WIDTH: Width = Width::Bits48;

    fn written() {
        // SAFETY: barriers; the walker sees the new entries before the next access.
        unsafe { asm!("dsb ish", "isb") };
    }

    unsafe fn paging_on(root: u64) {
        // SAFETY: the caller's promise is the same.
        unsafe { mmu_on(root) };
    }
}

/// Takes physical memory over. Only the first call gets it.
pub fn take_memory(tree: Region) -> Result<Memory<Aarch64>, Error> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    // No read-modify-write: exclusive accesses need the MMU. One core runs (1).
    assert!(!TAKEN.load(Ordering::Relaxed), "memory is taken once");
    TAKEN.store(true, Ordering::Relaxed);
    let pool = &raw mut POOL;
    // SAFETY: this code runs once: the only reference to the pool, and the MMU is off.
    unsafe { Memory::take(&mut *pool, own_image(), tree) }
}

/// A device's registers, 32 bits each.
pub fn device(memory: &mut Memory<Aarch64>, region: Region) -> Result<Registers, Error> {
    memory.map_device(region)?;
    Ok(Registers(region))
}

/// Maps the kernel where it is linked and jumps to it with the arguments of the hand-over convention.
pub fn start_kernel(
    mut memory: Memory<Aarch64>,
    kernel: Region,
    linked_at: u64,
    entry: u64,
    arguments: [u64; 6],
) -> Error {
    let root = match memory.kernel_root(kernel, linked_at) {
        Ok(root) => root,
        Err(error) => return error,
    };
    // SAFETY: the caller loaded the kernel to this region; nothing here is used any more.
    unsafe {
        make_executable(kernel);
        asm!(
            "msr ttbr1_el1, {root}",
            "mrs {tcr}, tcr_el1",
            "bic {tcr}, {tcr}, #(1 << 23)", // EPD1: walk the upper half too
            "msr tcr_el1, {tcr}",
            "msr tpidr_el1, xzr",           // the logical number of this core
            "isb",
            "tlbi vmalle1",
            "dsb nsh",
            "isb",
            "br {entry}",
            root = in(reg) root,
            tcr = in(reg) 0_u64,
            entry = in(reg) entry,
            in("x0") arguments[0],
            in("x1") arguments[1],
            in("x2") arguments[2],
            in("x3") arguments[3],
            in("x4") arguments[4],
            in("x5") arguments[5],
            options(noreturn),
        )
    }
}

/// A value that is set once and then copied.
pub struct Once<T>(UnsafeCell<Option<T>>);

// SAFETY: one core runs, without interrupts (1), and no reference to the inside leaves this type.
unsafe impl<T> Sync for Once<T> {}

impl<T: Copy> Once<T> {
    /// Not set yet.
    pub const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }

    /// Sets the value.
    pub fn set(&self, value: T) {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() = Some(value) };
    }

    /// The value, if it is set.
    pub fn get(&self) -> Option<T> {
        // SAFETY: as for `Sync`.
        unsafe { *self.0.get() }
    }
}

/// A device's registers.
#[derive(Clone, Copy)]
pub struct Registers(Region);

impl Registers {
    /// Reads the register at a byte offset.
    pub fn read(&self, offset: u64) -> u32 {
        // SAFETY: within a region mapped as a device (`device`), aligned; `at` has checked.
        unsafe { core::ptr::read_volatile(self.at(offset)) }
    }

    /// Writes the register at a byte offset.
    pub fn write(&self, offset: u64, value: u32) {
        // SAFETY: as `read`.
        unsafe { core::ptr::write_volatile(self.at(offset), value) }
    }

    /// The address of a register.
    fn at(&self, offset: u64) -> *mut u32 {
        let address = self.0.start() + offset;
        assert!(address.is_multiple_of(4) && offset + 4 <= self.0.size(), "register outside of its device");
        address as *mut u32
    }
}

/// Where the loader itself lies, with its bss.
fn own_image() -> Region {
    let (start, end) = (&raw const image_start, &raw const image_end);
    Region::between(start.addr() as u64, end.addr() as u64).expect("the linker puts the end behind the start")
}

/// How firmware is called.
#[derive(Clone, Copy)]
pub enum Conduit {
    /// By a hypervisor call.
    Hvc,
    /// By a secure monitor call.
    Smc,
}

/// Ends the machine's run by PSCI SYSTEM_OFF where the device tree knows how, else stays here.
pub fn stop(firmware: Option<Conduit>) -> ! {
    const SYSTEM_OFF: u64 = 0x8400_0008;
    // SAFETY: firmware does not return from this call, or returns an error and changes nothing of ours.
    unsafe {
        match firmware {
            Some(Conduit::Hvc) => asm!("hvc #0", in("x0") SYSTEM_OFF),
            Some(Conduit::Smc) => asm!("smc #0", in("x0") SYSTEM_OFF),
            None => {}
        }
    }
    loop {
        // SAFETY: waits; interrupts are masked.
        unsafe { asm!("wfi") }
    }
}

/// Turns MMU and caches on, with `root` for the lower half and nothing in the upper half.
///
/// # Safety
/// The tables at `root` map the running code, its data and its stack to themselves.
unsafe fn mmu_on(root: u64) {
    let features: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, id_aa64mmfr0_el1", out(reg) features) };
    // The walker takes physical addresses up to 48 bits, or what the processor has.
    let physical_size = (features & 0xf).min(5);
    // Both halves: 48 bits (16), walks cached (0b0101) and inner shareable (0b11), granule 4 KiB (0b00 for the
    // lower, 0b10 for the upper half). EPD1: no upper half yet.
    let half: u64 = 16 | 0b0101 << 8 | 0b11 << 12;
    let tcr = half | half << 16 | 0b10 << 30 | physical_size << 32 | 1 << 23;
    // SAFETY: by the caller's promise each address means the same after as before.
    unsafe {
        asm!(
            "dsb sy",
            "ic iallu",
            "tlbi vmalle1",
            "msr mair_el1, {mair}",
            "msr tcr_el1, {tcr}",
            "msr ttbr0_el1, {root}",
            "dsb sy",
            "isb",
            "msr sctlr_el1, {on}",
            "isb",
            mair = in(reg) MAIR,
            tcr = in(reg) tcr,
            root = in(reg) root,
            on = in(reg) SCTLR_ON,
        )
    }
}

/// Makes code that was written as data visible to instruction fetches.
///
/// # Safety
/// The region is mapped as memory.
unsafe fn make_executable(code: Region) {
    let cache_type: u64;
    // SAFETY: reads an identification register.
    unsafe { asm!("mrs {}, ctr_el0", out(reg) cache_type) };
    let line = 4 << (cache_type >> 16 & 0xf);
    let mut at = code.start() & !(line - 1);
    while at < code.end() {
        // SAFETY: cleaning a line of mapped memory changes no value.
        unsafe { asm!("dc cvac, {}", in(reg) at) };
        at += line;
    }
    // SAFETY: barriers and invalidation of instructions.
    unsafe { asm!("dsb ish", "ic iallu", "dsb ish", "isb") };
}
