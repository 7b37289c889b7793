// SPDX-License-Identifier: MIT OR Apache-2.0

//! riscv64.

pub use keel_abi::riscv64 as abi;

use crate::cap::{PageTable, TableKind};

/// The machine's number in ELF files.
pub const ELF_MACHINE: u16 = elf::abi::EM_RISCV;

/// Processes are laid out below this address.
pub const ADDRESS_END: u64 = 1 << 37;

/// Page tables between a root and a small page.
pub const MAX_TABLES: usize = 2;

/// Of which kinds they are, the lowest first.
pub const TABLES: [TableKind; MAX_TABLES] = [TableKind::of::<PageTable>(); MAX_TABLES];

/// Object types and sizes (`objects.md` §1, §2), by the names that all machines have here.
pub mod object {
    pub use keel_abi::riscv64::object::{
        GIGA_PAGE as HUGE_PAGE, GIGA_PAGE_BITS as HUGE_PAGE_BITS, MEGA_PAGE as LARGE_PAGE,
        MEGA_PAGE_BITS as LARGE_PAGE_BITS, PAGE_TABLE, PAGE_TABLE_BITS, SMALL_PAGE, SMALL_PAGE_BITS,
        VSPACE_BITS,
    };

    /// A root is a page table that is assigned an address space identifier.
    pub const VSPACE: u64 = PAGE_TABLE;
}

/// How far below the end of its stack a thread starts.
pub const STACK_GAP: u64 = 0;

/// The serial port that is there without being announced: its first I/O port, and its interrupt.
pub const COM1: Option<(u16, u64)> = None;

/// Whether memory can be mapped such that it does not run.
pub const HAS_EXECUTE_NEVER: bool = true;

/// The instructions of a system call (`ecall`) and of one that is undefined, as they lie in memory.
pub const CALL_AND_END: u64 = 0x0000_0073;

/// Bytes of the instruction of a system call.
pub const CALL_BYTES: u64 = 4;

/// An instruction that is undefined (`c.unimp`), as it lies in memory.
pub const UNDEFINED: u32 = 0;

/// Attributes of mappings (`memory.md` §3).
pub mod attributes {
    /// Executable.
    pub const CODE: u64 = 0;
    /// Not executable.
    pub const DATA: u64 = 1;
    /// Device registers: the machine knows by the address what they are.
    pub const DEVICE: u64 = DATA;
}

/// The number of an interrupt that a device tree describes in these words (the controller's binding): it stands there.
pub fn interrupt_number(mut words: impl Iterator<Item = u32>) -> Option<u64> {
    words.next().map(u64::from)
}
