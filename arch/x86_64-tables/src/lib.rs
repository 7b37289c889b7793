// SPDX-License-Identifier: MIT OR Apache-2.0

//! Translation tables of 64-bit x86: four levels (Intel 64 and IA-32 Architectures Software Developer's Manual,
//! volume 3, section 4.5).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod test;

pub use keel_tables::{Error, Kind, Root, Table, Width};

/// Tables with these entries.
pub type Tables<'a> = keel_tables::Tables<'a, Format>;

/// The size of an address space: four levels.
pub const WIDTH: Width = Width::Bits48;

/// Fields of an entry (tables 4-15 to 4-20).
pub mod entry {
    /// The entry means something.
    pub const PRESENT: u64 = 1 << 0;
    /// May be written.
    pub const WRITE: u64 = 1 << 1;
    /// User level may access. All levels must say so.
    pub const USER: u64 = 1 << 2;
    /// Bit 0 of the index into the page attribute table.
    pub const WRITE_THROUGH: u64 = 1 << 3;
    /// Bit 1 of the index into the page attribute table.
    pub const CACHE_DISABLE: u64 = 1 << 4;
    /// Set by the processor at the first access.
    pub const ACCESSED: u64 = 1 << 5;
    /// Set by the processor at the first write.
    pub const DIRTY: u64 = 1 << 6;
    /// Above the lowest level: a page, not a table.
    pub const PAGE: u64 = 1 << 7;
    /// At the lowest level: bit 2 of the index into the page attribute table.
    pub const ATTRIBUTE: u64 = 1 << 7;
    /// Above the lowest level: the same.
    pub const ATTRIBUTE_ABOVE: u64 = 1 << 12;
    /// Belongs to all address spaces.
    pub const GLOBAL: u64 = 1 << 8;
    /// Must not be executed.
    pub const EXECUTE_NEVER: u64 = 1 << 63;
    /// The address of the page or table. A page's own offset is not part of it, so that the bits that mean something
    /// else in large pages are zero in what is aligned.
    pub const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
}

/// What entries look like, for the kernel alone. Not every processor has pages of 1 GiB.
pub struct Format;

impl keel_tables::Format for Format {
    const LARGEST_BITS: u32 = 30;
    const PHYSICAL_BITS: u32 = 52;

    fn leaf(physical: u64, bits: u32, kind: Kind) -> u64 {
        use entry::*;
        let access = match kind {
            // Index 3 of the attribute table: not cached.
            Kind::Device => WRITE | WRITE_THROUGH | CACHE_DISABLE | EXECUTE_NEVER,
            Kind::Anything => WRITE,
            Kind::Code => 0,
            Kind::Constants => EXECUTE_NEVER,
            Kind::Data => WRITE | EXECUTE_NEVER,
        };
        let page = if bits > 12 { PAGE } else { 0 };
        physical & ADDRESS | access | page | GLOBAL | ACCESSED | DIRTY | PRESENT
    }

    fn table(address: u64) -> u64 {
        address & entry::ADDRESS | entry::WRITE | entry::ACCESSED | entry::PRESENT
    }

    fn next(entry: u64, bits: u32) -> Option<u64> {
        let is_table = bits > 12 && entry & (entry::PRESENT | entry::PAGE) == entry::PRESENT;
        is_table.then_some(entry & entry::ADDRESS)
    }
}
