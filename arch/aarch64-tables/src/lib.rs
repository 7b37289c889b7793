// SPDX-License-Identifier: MIT OR Apache-2.0

//! Translation tables that the loader and the kernel build for themselves (Arm DDI 0487, chapter D8).
//!
//! Stage 1, 4 KiB granule, blocks as large as alignment allows. The tables come from a fixed pool, as there is
//! nobody to ask for memory yet. The address spaces of threads are not made here: their tables are kernel
//! objects.
//!
//! 1. A table is handed out once. Entries go from invalid to valid and then stay, so that tables can grow
//!    while the MMU uses them without any invalidation.
//! 2. What is mapped keeps its place and its kind.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(test)]
mod test;

use keel_devicetree::Region;

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

/// What is mapped, all of it for privileged software alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Registers of a device: read and written in order, never executed.
    Device,
    /// Memory of all uses at once: what boot programs have before they know better.
    Anything,
    /// Code.
    Code,
    /// Constants.
    Constants,
    /// Data.
    Data,
}

/// One table.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table([u64; 512]);

impl Table {
    /// A table that maps nothing.
    pub const EMPTY: Self = Self([0; 512]);
}

/// The size of an address space: which bits of an address choose the entry of its root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Width {
    /// 39 bits, three levels.
    Bits39 = 30,
    /// 48 bits, four levels.
    Bits48 = 39,
}

/// The root of an address space.
#[derive(Clone, Copy, Debug)]
pub struct Root {
    /// Index of its table in the pool.
    table: usize,
    /// Its size.
    width: Width,
}

/// Why something cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// All tables of the pool are in use.
    OutOfTables,
    /// Addresses beyond 48 bits, or not in whole pages.
    BadAddress,
    /// Something else is mapped there.
    Conflict,
}

/// log2 of a page.
const PAGE_BITS: u32 = 12;
/// log2 of the entries of a table.
const INDEX_BITS: u32 = 9;
/// log2 of the largest block.
const LARGEST_BITS: u32 = 30;
/// Physical addresses have at most this many bits.
const PHYSICAL_BITS: u32 = 48;

/// A pool of tables and what is mapped by them.
pub struct Tables<'a> {
    /// The tables.
    pool: &'a mut [Table],
    /// The physical address of the first one.
    base: u64,
    /// How many are handed out, always the first ones.
    used: usize,
}

impl<'a> Tables<'a> {
    /// Takes a pool of empty tables that lies at physical address `base`.
    pub fn new(pool: &'a mut [Table], base: u64) -> Self {
        Self { pool, base, used: 0 }
    }

    /// A new address space.
    pub fn root(&mut self, width: Width) -> Result<Root, Error> {
        Ok(Root { table: self.allocate()?, width })
    }

    /// The physical address of a root, for TTBR0 or TTBR1.
    pub fn address(&self, root: Root) -> u64 {
        self.table_address(root.table)
    }

    /// Maps the pages of `physical` from `virtual_start` on. The upper bits of virtual addresses only choose
    /// the root and are not looked at. What is mapped the same way already is left alone.
    pub fn map(&mut self, root: Root, virtual_start: u64, physical: Region, kind: Kind) -> Result<(), Error> {
        let pages = (virtual_start | physical.start() | physical.end()).is_multiple_of(1 << PAGE_BITS);
        if !pages || physical.end() > 1 << PHYSICAL_BITS {
            return Err(Error::BadAddress);
        }
        let mut done = 0;
        while done < physical.size() {
            let (at, address) = (physical.start() + done, virtual_start.wrapping_add(done));
            let alignment = (at | address).trailing_zeros().min((physical.size() - done).ilog2());
            let bits =
                (PAGE_BITS..=LARGEST_BITS).rev().step_by(INDEX_BITS as usize).find(|&bits| bits <= alignment);
            done += self.map_block(root, address, at, bits.unwrap_or(PAGE_BITS), kind)?;
        }
        Ok(())
    }

    /// Maps a block of `2^bits` bytes, or a smaller one where smaller ones are mapped; gives how many bytes
    /// are mapped from there on.
    fn map_block(
        &mut self,
        root: Root,
        address: u64,
        physical: u64,
        bits: u32,
        kind: Kind,
    ) -> Result<u64, Error> {
        let (mut table, mut level, mut bits) = (root.table, root.width as u32, bits);
        loop {
            let slot = (address >> level) as usize % (1 << INDEX_BITS);
            let found = self.pool[table].0[slot];
            let is_table = found & entry::TABLE != 0 && level > PAGE_BITS;
            if found != 0 && !is_table {
                let inside = physical & ((1 << level) - 1);
                let same = found == leaf(physical - inside, level, kind);
                return if same { Ok((1 << level) - inside) } else { Err(Error::Conflict) };
            }
            if level == bits && is_table {
                bits -= INDEX_BITS;
            }
            if level == bits {
                self.pool[table].0[slot] = leaf(physical, level, kind);
                return Ok(1 << level);
            }
            table = if is_table {
                ((found & entry::ADDRESS) - self.base) as usize / size_of::<Table>()
            } else {
                let next = self.allocate()?;
                self.pool[table].0[slot] = self.table_address(next) | entry::TABLE | entry::VALID;
                next
            };
            level -= INDEX_BITS;
        }
    }

    /// Takes a table from the pool.
    fn allocate(&mut self) -> Result<usize, Error> {
        let index = self.used;
        if index == self.pool.len() {
            return Err(Error::OutOfTables);
        }
        self.used += 1;
        Ok(index)
    }

    /// The physical address of a table.
    fn table_address(&self, table: usize) -> u64 {
        self.base + (table * size_of::<Table>()) as u64
    }
}

/// The entry of a block or page.
fn leaf(physical: u64, level: u32, kind: Kind) -> u64 {
    use entry::*;
    let memory = MEMORY << ATTRIBUTE_SHIFT | INNER_SHAREABLE;
    let attributes = match kind {
        Kind::Device => DEVICE << ATTRIBUTE_SHIFT | KERNEL_EXECUTE_NEVER,
        Kind::Anything => memory,
        Kind::Code => memory | READ_ONLY,
        Kind::Constants => memory | READ_ONLY | KERNEL_EXECUTE_NEVER,
        Kind::Data => memory | KERNEL_EXECUTE_NEVER,
    };
    let page = if level == PAGE_BITS { TABLE } else { 0 };
    physical | attributes | page | USER_EXECUTE_NEVER | ACCESSED | VALID
}
