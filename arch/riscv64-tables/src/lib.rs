// SPDX-License-Identifier: MIT OR Apache-2.0

//! Translation tables of 64-bit RISC-V: Sv39 (The RISC-V Instruction Set Manual, volume II, section 4.4).

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod test;

pub use keel_tables::{Error, Kind, Root, Table, Width};

/// Tables with these entries.
pub type Tables<'a> = keel_tables::Tables<'a, Format>;

/// The size of an address space: three levels.
pub const WIDTH: Width = Width::Bits39;

/// Fields of an entry.
pub mod entry {
    /// The entry means something. With none of the three rights it is a table, else a page.
    pub const VALID: u64 = 1 << 0;
    /// May be read.
    pub const READ: u64 = 1 << 1;
    /// May be written.
    pub const WRITE: u64 = 1 << 2;
    /// May be executed.
    pub const EXECUTE: u64 = 1 << 3;
    /// User level may access, and nobody else.
    pub const USER: u64 = 1 << 4;
    /// Belongs to all address spaces.
    pub const GLOBAL: u64 = 1 << 5;
    /// Without this bit the first access would trap.
    pub const ACCESSED: u64 = 1 << 6;
    /// Without this bit the first write would trap.
    pub const DIRTY: u64 = 1 << 7;
    /// Any of these makes a page.
    pub const RIGHTS: u64 = READ | WRITE | EXECUTE;

    /// Where the number of the page or table stands.
    const NUMBER_SHIFT: u32 = 10;
    /// log2 of a page.
    const PAGE_BITS: u32 = 12;
    /// Bits of that number.
    const NUMBER: u64 = (1 << 44) - 1;

    /// The part of an entry that holds an address.
    pub const fn of_address(address: u64) -> u64 {
        (address >> PAGE_BITS & NUMBER) << NUMBER_SHIFT
    }

    /// The address that an entry holds.
    pub const fn address(entry: u64) -> u64 {
        (entry >> NUMBER_SHIFT & NUMBER) << PAGE_BITS
    }
}

/// The satp register (section 4.1.11).
pub mod satp {
    /// Mode: Sv39.
    const SV39: u64 = 8 << 60;
    /// Where the address space identifier stands.
    pub const ASID_SHIFT: u32 = 44;

    /// The register's value for a root table.
    pub const fn of(root: u64, asid: u16) -> u64 {
        SV39 | (asid as u64) << ASID_SHIFT | root >> 12
    }
}

/// What entries look like, for the supervisor alone.
pub struct Format;

impl keel_tables::Format for Format {
    const LARGEST_BITS: u32 = 30;
    const PHYSICAL_BITS: u32 = 56;

    fn leaf(physical: u64, _bits: u32, kind: Kind) -> u64 {
        use entry::*;
        let rights = match kind {
            // What a device is, the platform knows by the address.
            Kind::Device | Kind::Data => READ | WRITE,
            Kind::Anything => READ | WRITE | EXECUTE,
            Kind::Code => READ | EXECUTE,
            Kind::Constants => READ,
        };
        of_address(physical) | rights | GLOBAL | ACCESSED | DIRTY | VALID
    }

    fn step(bits: u32) -> u64 {
        entry::of_address(1 << bits)
    }

    fn table(address: u64) -> u64 {
        entry::of_address(address) | entry::VALID
    }

    fn next(entry: u64, _bits: u32) -> Option<u64> {
        (entry & (entry::VALID | entry::RIGHTS) == entry::VALID).then_some(entry::address(entry))
    }
}
