// SPDX-License-Identifier: MIT OR Apache-2.0

//! Everything that needs assembly or trust: entry, modes, memory, the serial port. The rest of the loader is safe.
//!
//! Entry is by the PVH convention: 32-bit protected mode, paging off, flat segments, interrupts masked, the address of
//! the information in ebx, no other processor running.
//!
//! 1. One core runs, with interrupts masked, from entry to hand-over.
//! 2. From [`enter`] on everything below 4 GiB is mapped to itself.
//! 3. [`Memory`] exists once, and gives out no two regions that overlap unless both are only read. The loader's own image
//!    was given out first.
//! 4. A region is memory because the boot program says so: that is the one thing the loader has to believe.

use core::arch::{asm, naked_asm};
use core::cell::Cell;
use keel_loader::Region;
use keel_loader::memory::{Access, Claims};
use keel_loader_x86_64::multiboot;

/// Bytes of the stack.
const STACK_BYTES: usize = 32 << 10;

/// Page directories: each maps 1 GiB by pages of 2 MiB.
const DIRECTORIES: usize = 4;

/// The end of what is mapped (2).
const MAPPED_END: u64 = (DIRECTORIES as u64) << 30;

/// The loader's stack.
#[repr(C, align(16))]
struct Stack([u8; STACK_BYTES]);

/// Page tables: the root, the table below it, then the directories. Written by the entry code alone.
#[repr(C, align(4096))]
struct Tables([u64; 512 * (2 + DIRECTORIES)]);

static mut STACK: Stack = Stack([0; STACK_BYTES]);
static mut TABLES: Tables = Tables([0; _]);

/// Segments: code of 64 bits, data, code of 32 bits, all of them flat.
static SEGMENTS: [u64; 4] = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff];
const CODE_64: u32 = 0x08;
const DATA: u32 = 0x10;
const CODE_32: u32 = 0x18;

/// The operand of `lgdt`: the table's last byte and its address.
#[repr(C, packed)]
struct SegmentTable {
    limit: u16,
    address: &'static [u64; 4],
}

static SEGMENT_TABLE: SegmentTable = SegmentTable { limit: 31, address: &SEGMENTS };

/// Control register 0: paging.
const PAGING: u32 = 1 << 31;
/// Control register 4: entries of 64 bits.
const WIDE_ENTRIES: u32 = 1 << 5;
/// The register of extended features, and its bit for long mode.
const EXTENDED_FEATURES: u32 = 0xc000_0080;
const LONG_MODE: u32 = 1 << 8;

/// Entries: present and writable; a page of 2 MiB.
const TABLE_ENTRY: u32 = 0b11;
const LARGE_PAGE: u32 = 1 << 7 | TABLE_ENTRY;

unsafe extern "C" {
    static image_start: u8;
    static image_end: u8;
}

/// The note that names the entry point to the boot program: its owner's name, a number, and 8 bytes with the address.
#[unsafe(naked)]
#[unsafe(link_section = ".note.pvh")]
#[unsafe(no_mangle)]
unsafe extern "C" fn note() {
    naked_asm!(".long 4, 8, 18", ".asciz \"Xen\"", ".quad {entry}", entry = sym entry)
}

/// From the first instruction, in 32-bit mode, to long mode.
#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn entry() -> ! {
    naked_asm!(
        ".code32",
        "cli",
        "cld",
        // Clear bss, where the tables and the stack are.
        "mov edi, offset bss_start",
        "mov ecx, offset image_end",
        "sub ecx, edi",
        "shr ecx, 2",
        "xor eax, eax",
        "rep stosd",
        "mov esp, offset {stack} + {stack_bytes}",
        // The root's entry, then those of the table below it.
        "mov edi, offset {tables}",
        "lea eax, [edi + 0x1000 + {table_entry}]",
        "mov [edi], eax",
        "mov ecx, {directories}",
        "lea edx, [edi + 0x1000]",
        "2: add eax, 0x1000",
        "mov [edx], eax",
        "add edx, 8",
        "loop 2b",
        // All entries of the directories.
        "lea edx, [edi + 0x2000]",
        "mov eax, {large_page}",
        "mov ecx, 512 * {directories}",
        "3: mov [edx], eax",
        "add edx, 8",
        "add eax, 0x200000",
        "loop 3b",
        // Long mode.
        "mov cr3, edi",
        "mov eax, cr4",
        "or eax, {wide_entries}",
        "mov cr4, eax",
        "mov ecx, {extended_features}",
        "rdmsr",
        "or eax, {long_mode}",
        "wrmsr",
        "mov eax, cr0",
        "or eax, {paging}",
        "mov cr0, eax",
        "lgdt [{segment_table}]",
        "push {code_64}",
        "mov eax, offset {enter}",
        "push eax",
        "retf",
        ".code64",
        stack = sym STACK,
        stack_bytes = const STACK_BYTES,
        tables = sym TABLES,
        directories = const DIRECTORIES,
        table_entry = const TABLE_ENTRY,
        large_page = const LARGE_PAGE,
        wide_entries = const WIDE_ENTRIES,
        extended_features = const EXTENDED_FEATURES,
        long_mode = const LONG_MODE,
        paging = const PAGING,
        segment_table = sym SEGMENT_TABLE,
        code_64 = const CODE_64,
        enter = sym enter,
    )
}

/// From long mode to Rust.
#[unsafe(naked)]
unsafe extern "C" fn enter() -> ! {
    naked_asm!(
        "mov eax, {data}",
        "mov ds, eax",
        "mov es, eax",
        "mov ss, eax",
        "mov edi, ebx",
        "xor ebp, ebp",
        "call {start}",
        "ud2",
        data = const DATA,
        start = sym crate::load::start,
    )
}

/// Physical memory, as far as it was given out.
pub struct Memory {
    own_image: Region,
    claims: Claims,
}

/// Why memory is not given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The loader does not see it.
    BadAddress,
    /// Somebody else has it, or too many do.
    Conflict,
}

impl Memory {
    /// A region of memory to read.
    pub fn read(&mut self, region: Region) -> Result<&'static [u8], Error> {
        self.claim(region, Access::Read)?;
        // SAFETY: mapped (2), and nobody writes it (3); it is memory (4).
        Ok(unsafe { core::slice::from_raw_parts(region.start() as *const u8, region.size() as usize) })
    }

    /// A region of memory to write.
    pub fn write(&mut self, region: Region) -> Result<&'static mut [u8], Error> {
        self.claim(region, Access::Write)?;
        // SAFETY: mapped (2), and nobody else has it (3); it is memory (4).
        Ok(unsafe { core::slice::from_raw_parts_mut(region.start() as *mut u8, region.size() as usize) })
    }

    fn claim(&mut self, region: Region, access: Access) -> Result<(), Error> {
        if region.end() > MAPPED_END {
            return Err(Error::BadAddress);
        }
        self.claims.claim(region, access).map_err(|_| Error::Conflict)
    }

    /// Where the loader itself lies.
    pub fn own_image(&self) -> Region {
        self.own_image
    }
}

/// Takes physical memory over. Only the first call gets it.
pub fn take_memory() -> Memory {
    /// A flag.
    struct Flag(Cell<bool>);
    // SAFETY: one core runs, without interrupts (1).
    unsafe impl Sync for Flag {}
    static TAKEN: Flag = Flag(Cell::new(false));
    assert!(!TAKEN.0.replace(true), "memory is taken once");
    let (start, end) = (&raw const image_start, &raw const image_end);
    let own_image = Region::between(start.addr() as u64, end.addr() as u64);
    let own_image = own_image.expect("the linker puts the end behind the start");
    let mut claims = Claims::default();
    claims.claim(own_image, Access::Write).expect("nothing was given out before");
    Memory { own_image, claims }
}

/// Goes back to 32-bit mode, paging off, and starts the kernel with its information.
pub fn start_kernel(entry: u32, information: u32) -> ! {
    // SAFETY: the caller loaded the kernel and wrote its information; nothing here is used any more but this code, which
    // is mapped to itself (2) and lies below 4 GiB.
    unsafe {
        asm!(
            "push {code_32}",
            "lea rdx, [rip + 2f]",
            "push rdx",
            "retfq",
            ".code32",
            "2: mov eax, {data}",
            "mov ds, eax",
            "mov es, eax",
            "mov fs, eax",
            "mov gs, eax",
            "mov ss, eax",
            "mov eax, cr0",
            "and eax, ~{paging}",
            "mov cr0, eax",
            "mov ecx, {extended_features}",
            "rdmsr",
            "and eax, ~{long_mode}",
            "wrmsr",
            "mov eax, cr4",
            "and eax, ~{wide_entries}",
            "mov cr4, eax",
            "mov ebx, esi",
            "mov eax, {magic}",
            "jmp edi",
            ".code64",
            code_32 = const CODE_32,
            data = const DATA,
            paging = const PAGING,
            extended_features = const EXTENDED_FEATURES,
            long_mode = const LONG_MODE,
            wide_entries = const WIDE_ENTRIES,
            magic = const multiboot::MAGIC,
            in("edi") entry,
            in("esi") information,
            options(noreturn),
        )
    }
}

/// The first serial port's data register, and its status with the bit that says that there is room.
const COM1_DATA: u16 = 0x3f8;
const COM1_STATUS: u16 = COM1_DATA + 5;
const HAS_ROOM: u8 = 1 << 5;

/// Puts a character on the first serial port.
pub fn put_char(character: u8) {
    let mut status: u8 = 0;
    while status & HAS_ROOM == 0 {
        // SAFETY: reading the status changes nothing that matters; where there is no port all bits are set.
        unsafe { asm!("in al, dx", in("dx") COM1_STATUS, out("al") status, options(nomem, nostack)) };
    }
    // SAFETY: sends the character.
    unsafe { asm!("out dx, al", in("dx") COM1_DATA, in("al") character, options(nomem, nostack)) };
}

/// Stays here.
pub fn stop() -> ! {
    loop {
        // SAFETY: waits; interrupts are masked.
        unsafe { asm!("hlt") }
    }
}
