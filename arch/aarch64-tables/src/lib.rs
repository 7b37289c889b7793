// SPDX-License-Identifier: MIT OR Apache-2.0

//! Translation tables of 64-bit Arm: stage 1, 4 KiB granule (Arm DDI 0487, chapter D8).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod test;

pub use keel_tables::{Error, Kind, Root, Table, Width};

/// Tables with these entries.
pub type Tables<'a> = keel_tables::Tables<'a, Format>;

/// MAIR_EL1: attribute 0 is Device-nGnRnE, attribute 1 is normal write-back memory.
pub const MAIR: u64 = 0xff << (8 * MEMORY);

/// Index of the attribute for devices.
pub const DEVICE: u64 = 0;

/// Index of the attribute for memory.
pub const MEMORY: u64 = 1;

/// Fields of an entry.
pub mod entry {
    /// The entry means something.
    pub const VALID: u64 = 1 << 0;
    /// Above the last level: a table, not a block. At the last level: always set.
    pub const TABLE: u64 = 1 << 1;
    /// Where the index of the attribute stands.
    pub const ATTRIBUTE_SHIFT: u32 = 2;
    /// User level may access.
    pub const USER: u64 = 1 << 6;
    /// Nobody may write.
    pub const READ_ONLY: u64 = 1 << 7;
    /// Coherent with all cores and devices of the inner domain.
    pub const INNER_SHAREABLE: u64 = 0b11 << 8;
    /// Without this bit the first access would trap.
    pub const ACCESSED: u64 = 1 << 10;
    /// Belongs to one address space identifier.
    pub const NOT_GLOBAL: u64 = 1 << 11;
    /// The kernel may not execute.
    pub const KERNEL_EXECUTE_NEVER: u64 = 1 << 53;
    /// User level may not execute.
    pub const USER_EXECUTE_NEVER: u64 = 1 << 54;
    /// The address of a table or page.
    pub const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
}

/// log2 of the smallest page.
const PAGE_BITS: u32 = 12;

/// What entries look like, for privileged software alone.
pub struct Format;

impl keel_tables::Format for Format {
    const LARGEST_BITS: u32 = 30;
    const PHYSICAL_BITS: u32 = 48;

    fn leaf(physical: u64, bits: u32, kind: Kind) -> u64 {
        use entry::*;
        let memory = MEMORY << ATTRIBUTE_SHIFT | INNER_SHAREABLE;
        let attributes = match kind {
            Kind::Device => DEVICE << ATTRIBUTE_SHIFT | KERNEL_EXECUTE_NEVER,
            Kind::Anything => memory,
            Kind::Code => memory | READ_ONLY,
            Kind::Constants => memory | READ_ONLY | KERNEL_EXECUTE_NEVER,
            Kind::Data => memory | KERNEL_EXECUTE_NEVER,
        };
        let page = if bits == PAGE_BITS { TABLE } else { 0 };
        physical | attributes | page | USER_EXECUTE_NEVER | ACCESSED | VALID
    }

    fn table(address: u64) -> u64 {
        address | entry::TABLE | entry::VALID
    }

    fn next(entry: u64, bits: u32) -> Option<u64> {
        (bits > PAGE_BITS && entry & entry::TABLE != 0).then_some(entry & entry::ADDRESS)
    }
}
