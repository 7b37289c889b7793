// SPDX-License-Identifier: MIT OR Apache-2.0

//! x86_64.

pub use keel_abi::x86_64 as abi;

use crate::cap::{PageDirectory, PageDirectoryPointerTable, PageTable, TableKind};

/// The machine's number in ELF files.
pub const ELF_MACHINE: u16 = elf::abi::EM_X86_64;

/// Processes are laid out below this address.
pub const ADDRESS_END: u64 = 1 << 46;

/// Page tables between a root and a small page.
pub const MAX_TABLES: usize = 3;

/// Of which kinds they are, the lowest first.
pub const TABLES: [TableKind; MAX_TABLES] = [
    TableKind::of::<PageTable>(),
    TableKind::of::<PageDirectory>(),
    TableKind::of::<PageDirectoryPointerTable>(),
];

/// Object types and sizes (`objects.md` §1, §2), by the names that all machines have here.
pub mod object {
    pub use keel_abi::x86_64::object::*;

    /// The root of an address space.
    pub const VSPACE: u64 = PML4;
}

/// How far below the end of its stack a thread starts: as if it had been called, which is what functions expect.
pub const STACK_GAP: u64 = 8;

/// The serial port that is there without being announced: its first I/O port, and its interrupt.
pub const COM1: Option<(u16, u64)> = Some((0x3f8, 4));

/// Whether memory can be mapped such that it does not run.
pub const HAS_EXECUTE_NEVER: bool = false;

/// The instructions of a system call (`syscall`) and of one that is undefined (`ud2`), as they lie in memory.
pub const CALL_AND_END: u64 = 0x0b0f_050f;

/// Bytes of the instruction of a system call.
pub const CALL_BYTES: u64 = 2;

/// An instruction that is undefined (`ud2`), as it lies in memory.
pub const UNDEFINED: u32 = 0x0b0f;

/// Attributes of mappings (`memory.md` §3). All memory is executable.
pub mod attributes {
    use keel_abi::x86_64::memory::attribute;

    /// Ordinary memory, executable.
    pub const CODE: u64 = attribute::WRITE_BACK;
    /// Ordinary memory.
    pub const DATA: u64 = attribute::WRITE_BACK;
    /// Device registers: not cached, not reordered.
    pub const DEVICE: u64 = attribute::UNCACHEABLE;
}

/// The number of an interrupt that a device tree describes: there are no such trees for these machines.
pub fn interrupt_number(_words: impl Iterator<Item = u32>) -> Option<u64> {
    None
}
