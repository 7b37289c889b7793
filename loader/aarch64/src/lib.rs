// SPDX-License-Identifier: MIT OR Apache-2.0

//! The page tables under which the loader runs and starts the kernel.
//!
//! Four levels of 4 KiB tables, 48-bit addresses; memory is mapped by blocks of 2 MiB and, where a region
//! covers one, of 1 GiB, so that a handful of tables serve any machine. The tables come from a fixed pool.
//!
//! 1. A table is handed out once. Entries go from invalid to valid and then stay, so that the tables can
//!    grow while the MMU uses them without any invalidation.
//! 2. What is mapped keeps its kind: a block is never both memory and device.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use keel_loader::Region;

/// The kinds of mappings. The number is the index into MAIR_EL1 that [`MAIR`] gives its meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Device-nGnRnE, never executed.
    Device = 0,
    /// Write-back memory, shared between cores.
    Memory = 1,
}

/// MAIR_EL1: attribute 0 is Device-nGnRnE, attribute 1 normal write-back memory.
pub const MAIR: u64 = 0xff << 8;

/// One table.
#[derive(Clone, Copy)]
#[repr(C, align(4096))]
pub struct Table([u64; 512]);

impl Table {
    /// A table that maps nothing.
    pub const EMPTY: Self = Self([0; 512]);
}

/// Why a region cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// All tables of the pool are in use.
    OutOfTables,
    /// The addresses are beyond 48 bits.
    OutOfRange,
    /// Something else is mapped there.
    Conflict,
}

/// Bits of an address above which it belongs to the other root.
const ADDRESS_BITS: u32 = 48;
/// log2 of the smallest block.
const BLOCK_BITS: u32 = 21;
/// The valid bit and, at levels above the last, the bit that tells a table from a block.
const VALID: u64 = 0b01;
/// See [`VALID`].
const TABLE: u64 = 0b10;
/// The address in an entry.
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;

/// A pool of tables. Tables are named by their index.
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

    /// A new table; also the way to make a root.
    pub fn allocate(&mut self) -> Result<usize, Error> {
        let index = self.used;
        if index == self.pool.len() {
            return Err(Error::OutOfTables);
        }
        self.used += 1;
        Ok(index)
    }

    /// The physical address of a table.
    pub fn address(&self, table: usize) -> u64 {
        self.base + (table * size_of::<Table>()) as u64
    }

    /// Maps all 2 MiB blocks that `physical` touches, so that `physical` appears at `virtual_start` in the
    /// space under `root`. The two must be congruent modulo 2 MiB. The upper 16 bits of a virtual address only
    /// choose the root. Blocks that are mapped so already are left alone.
    pub fn map(
        &mut self,
        root: usize,
        virtual_start: u64,
        physical: Region,
        kind: Kind,
    ) -> Result<(), Error> {
        let blocks = physical.grow_to(BLOCK_BITS).ok_or(Error::OutOfRange)?;
        let offset = virtual_start.wrapping_sub(physical.start());
        if blocks.end() > 1 << ADDRESS_BITS || !offset.is_multiple_of(1 << BLOCK_BITS) {
            return Err(Error::OutOfRange);
        }
        let mut at = blocks.start();
        while at < blocks.end() {
            let address = at.wrapping_add(offset);
            let huge = (at | address).is_multiple_of(1 << 30) && blocks.end() - at >= 1 << 30;
            at += self.map_block(root, address, at, if huge { 30 } else { BLOCK_BITS }, kind)?;
        }
        Ok(())
    }

    /// Maps one block; gives how many bytes are mapped from there on.
    fn map_block(
        &mut self,
        root: usize,
        address: u64,
        physical: u64,
        bits: u32,
        kind: Kind,
    ) -> Result<u64, Error> {
        let mut table = root;
        let mut level_bits = 39;
        loop {
            let slot = (address >> level_bits) as usize % 512;
            let entry = self.pool[table].0[slot];
            if level_bits == bits && entry == 0 {
                self.pool[table].0[slot] = block(physical, kind);
                return Ok(1 << bits);
            }
            if entry & TABLE == 0 && entry != 0 {
                // A block that lies there must be the one that is wanted.
                let start = physical & !((1 << level_bits) - 1);
                let same = entry == block(start, kind);
                return if same { Ok((1 << level_bits) - (physical - start)) } else { Err(Error::Conflict) };
            }
            if level_bits == BLOCK_BITS {
                return Err(Error::Conflict);
            }
            table = match entry {
                0 => {
                    let next = self.allocate()?;
                    self.pool[table].0[slot] = self.address(next) | TABLE | VALID;
                    next
                }
                _ => ((entry & ADDRESS) - self.base) as usize / size_of::<Table>(),
            };
            // Where tables exist already a huge block is mapped as small ones.
            if level_bits == bits {
                return self.map_block(root, address, physical, BLOCK_BITS, kind);
            }
            level_bits -= 9;
        }
    }
}

/// The entry of a block: for EL1 alone, read-write, accessed.
fn block(physical: u64, kind: Kind) -> u64 {
    const ACCESSED: u64 = 1 << 10;
    const INNER_SHAREABLE: u64 = 0b11 << 8;
    const USER_EXECUTE_NEVER: u64 = 1 << 54;
    const EXECUTE_NEVER: u64 = 1 << 53;
    let attributes = match kind {
        Kind::Device => EXECUTE_NEVER,
        Kind::Memory => INNER_SHAREABLE,
    };
    physical | (kind as u64) << 2 | attributes | USER_EXECUTE_NEVER | ACCESSED | VALID
}

#[cfg(test)]
mod test {
    use super::*;

    const BASE: u64 = 0x4020_0000;

    /// What a table walk finds: the physical address and the kind.
    fn walk(tables: &Tables, root: usize, address: u64) -> Option<(u64, Kind)> {
        let (mut table, mut bits) = (root, 39);
        loop {
            let entry = tables.pool[table].0[(address >> bits) as usize % 512];
            let physical = (entry & ADDRESS) + (address & ((1 << bits) - 1));
            match entry & 0b11 {
                0b01 if entry >> 2 & 7 == 0 => return Some((physical, Kind::Device)),
                0b01 => return Some((physical, Kind::Memory)),
                0b11 => (table, bits) = (((entry & ADDRESS) - BASE) as usize / 4096, bits - 9),
                _ => return None,
            }
        }
    }

    fn region(start: u64, end: u64) -> Region {
        Region::between(start, end).unwrap()
    }

    #[test]
    fn maps_blocks_of_both_sizes_at_any_offset() {
        let mut pool = [Table::EMPTY; 8];
        let mut tables = Tables::new(&mut pool, BASE);
        let root = tables.allocate().unwrap();
        let memory = region(0x3fe0_1000, 0x1_0000_3000);
        tables.map(root, memory.start(), memory, Kind::Memory).unwrap();
        tables.map(root, 0x0900_0000, region(0x0900_0000, 0x0900_1000), Kind::Device).unwrap();
        tables.map(root, 0xffff_ffff_c000_0000, region(0x4000_0000, 0x4060_0000), Kind::Memory).unwrap();
        for address in [0x3fe0_0000, 0x3fff_ffff, 0x4000_0000, 0xffff_ffff, 0x1_0000_2fff] {
            assert_eq!(walk(&tables, root, address), Some((address, Kind::Memory)));
        }
        assert_eq!(walk(&tables, root, 0x3fdf_ffff), None);
        assert_eq!(walk(&tables, root, 0x1_0020_0000), None);
        assert_eq!(walk(&tables, root, 0x0900_0018), Some((0x0900_0018, Kind::Device)));
        assert_eq!(walk(&tables, root, 0xffff_ffff_c050_0000), Some((0x4050_0000, Kind::Memory)));
    }

    #[test]
    fn maps_again_what_is_mapped_but_nothing_else() {
        let mut pool = [Table::EMPTY; 8];
        let mut tables = Tables::new(&mut pool, BASE);
        let root = tables.allocate().unwrap();
        let all = region(0x4000_0000, 0x8000_0000);
        let some = region(0x4123_0000, 0x4567_0000);
        tables.map(root, some.start(), some, Kind::Memory).unwrap();
        tables.map(root, all.start(), all, Kind::Memory).unwrap();
        tables.map(root, some.start(), some, Kind::Memory).unwrap();
        assert_eq!(walk(&tables, root, 0x7fff_ffff), Some((0x7fff_ffff, Kind::Memory)));
        assert_eq!(tables.map(root, some.start(), some, Kind::Device), Err(Error::Conflict));
        assert_eq!(
            tables.map(root, 0x4120_0000, region(0x4140_0000, 0x4141_0000), Kind::Memory),
            Err(Error::Conflict)
        );
        let next = region(0x8000_0000, 0xc000_0000);
        tables.map(root, next.start(), next, Kind::Memory).unwrap();
        tables.map(root, next.start() + 0x50_0000, region(0x8050_0000, 0x8060_0000), Kind::Memory).unwrap();
        assert_eq!(
            tables.map(root, 0x8040_0000, region(0x8040_0000, 0x8060_0000), Kind::Device),
            Err(Error::Conflict)
        );
    }

    #[test]
    fn refuses_what_it_cannot_map() {
        let mut pool = [Table::EMPTY; 2];
        let mut tables = Tables::new(&mut pool, BASE);
        let root = tables.allocate().unwrap();
        let one = region(0, 1);
        assert_eq!(tables.map(root, 0, one, Kind::Memory), Err(Error::OutOfTables));
        assert_eq!(tables.map(root, 0x1000, one, Kind::Memory), Err(Error::OutOfRange));
        assert_eq!(tables.map(root, 0, region(1 << 48, (1 << 48) + 1), Kind::Memory), Err(Error::OutOfRange));
        assert_eq!(tables.map(root, 0, region(u64::MAX - 1, u64::MAX), Kind::Memory), Err(Error::OutOfRange));
    }
}
