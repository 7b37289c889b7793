// SPDX-License-Identifier: MIT OR Apache-2.0

//! aarch64.

pub use keel_abi::aarch64 as abi;
pub use keel_abi::aarch64::object;

use crate::cap::{PageTable, TableKind};

/// The machine's number in ELF files.
pub const ELF_MACHINE: u16 = elf::abi::EM_AARCH64;

/// Processes are laid out below this address.
pub const ADDRESS_END: u64 = 1 << 46;

/// Page tables between a root and a small page.
pub const MAX_TABLES: usize = 3;

/// Of which kinds they are, the lowest first.
pub const TABLES: [TableKind; MAX_TABLES] = [TableKind::of::<PageTable>(); MAX_TABLES];

/// How far below the end of its stack a thread starts.
pub const STACK_GAP: u64 = 0;

/// The serial port that is there without being announced: its first I/O port, and its interrupt.
pub const COM1: Option<(u16, u64)> = None;

/// Whether memory can be mapped such that it does not run.
pub const HAS_EXECUTE_NEVER: bool = true;

/// The instructions of a system call (`svc #0`) and of one that is undefined, as they lie in memory.
pub const CALL_AND_END: u64 = 0xd400_0001;

/// Bytes of the instruction of a system call.
pub const CALL_BYTES: u64 = 4;

/// An instruction that is undefined (`udf #0`), as it lies in memory.
pub const UNDEFINED: u32 = 0;

/// Attributes of mappings (`memory.md` §3).
pub mod attributes {
    /// Ordinary memory, executable.
    pub const CODE: u64 = 0b001;
    /// Ordinary memory, not executable.
    pub const DATA: u64 = 0b101;
    /// Device registers: not cached, not reordered, not executable.
    pub const DEVICE: u64 = 0b100;
}

/// The number of an interrupt that a device tree describes in these words (the controller's binding): kind 0 counts
/// from shared interrupt 32, 1 from private 16.
pub fn interrupt_number(mut words: impl Iterator<Item = u32>) -> Option<u64> {
    let first = if words.next()? == 0 { 32 } else { 16 };
    Some(first + u64::from(words.next()?))
}
