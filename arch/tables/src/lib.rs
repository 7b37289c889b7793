// SPDX-License-Identifier: MIT OR Apache-2.0

//! Translation tables that loaders and kernels build for themselves.
//!
//! Tables of 512 entries, pages of 4 KiB, blocks as large as alignment allows; what an entry looks like is the
//! machine's ([`Format`]). The tables come from a fixed pool, as there is nobody to ask for memory yet. The address
//! spaces of threads are not made here: their tables are kernel objects.
//!
//! 1. A table is handed out once. Entries go from invalid to valid and then stay, so that tables can grow
//!    while the MMU uses them without any invalidation of what was mapped before.
//! 2. What is mapped keeps its place and its kind.

#![no_std]
#![forbid(unsafe_code)]

use core::marker::PhantomData;
use keel_devicetree::Region;

/// What an entry looks like on a machine. Zero maps nothing.
pub trait Format {
    /// log2 of the largest block that the architecture allows.
    const LARGEST_BITS: u32;
    /// Physical addresses have at most this many bits.
    const PHYSICAL_BITS: u32;
    /// The entry of a block or page of `2^bits` bytes.
    fn leaf(physical: u64, bits: u32, kind: Kind) -> u64;
    /// The difference between the entries of two such blocks or pages, one behind the other.
    fn step(bits: u32) -> u64 {
        1 << bits
    }
    /// The entry for a table.
    fn table(address: u64) -> u64;
    /// The address of the table that an entry refers to, of a table whose entries span `2^bits` bytes each.
    fn next(entry: u64, bits: u32) -> Option<u64>;
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
pub struct Table(pub [u64; 512]);

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

impl Root {
    /// The size of the address space.
    pub fn width(self) -> Width {
        self.width
    }
}

/// Why something cannot be mapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// All tables of the pool are in use.
    OutOfTables,
    /// Addresses beyond what the machine has, or not in whole pages.
    BadAddress,
    /// Something else is mapped there.
    Conflict,
}

/// log2 of a page.
const PAGE_BITS: u32 = 12;
/// log2 of the entries of a table.
const INDEX_BITS: u32 = 9;

/// A pool of tables and what is mapped by them.
pub struct Tables<'a, F> {
    /// The tables.
    pool: &'a mut [Table],
    /// The physical address of the first one.
    base: u64,
    /// How many are handed out, always the first ones.
    used: usize,
    /// log2 of the largest block that is used.
    largest_bits: u32,
    /// What entries look like.
    format: PhantomData<F>,
}

impl<'a, F: Format> Tables<'a, F> {
    /// Takes a pool of empty tables that lies at physical address `base`.
    pub fn new(pool: &'a mut [Table], base: u64) -> Self {
        Self { pool, base, used: 0, largest_bits: F::LARGEST_BITS, format: PhantomData }
    }

    /// Uses no blocks of more than `2^bits` bytes, for processors that lack what the architecture allows.
    pub fn limit_blocks(&mut self, bits: u32) {
        self.largest_bits = bits;
    }

    /// A new address space.
    pub fn root(&mut self, width: Width) -> Result<Root, Error> {
        Ok(Root { table: self.allocate()?, width })
    }

    /// The physical address of a root.
    pub fn address(&self, root: Root) -> u64 {
        self.table_address(root.table)
    }

    /// Maps the pages of `physical` from `virtual_start` on. The upper bits of virtual addresses only choose
    /// the root and are not looked at. What is mapped the same way already is left alone.
    pub fn map(&mut self, root: Root, virtual_start: u64, physical: Region, kind: Kind) -> Result<(), Error> {
        let pages = (virtual_start | physical.start() | physical.end()).is_multiple_of(1 << PAGE_BITS);
        if !pages || physical.end() > 1 << F::PHYSICAL_BITS {
            return Err(Error::BadAddress);
        }
        let mut done = 0;
        while done < physical.size() {
            let (at, address) = (physical.start() + done, virtual_start.wrapping_add(done));
            let alignment = (at | address).trailing_zeros().min((physical.size() - done).ilog2());
            let bits = (PAGE_BITS..=self.largest_bits)
                .rev()
                .step_by(INDEX_BITS as usize)
                .find(|&bits| bits <= alignment);
            let most = physical.size() - done;
            done += self.map_blocks(root, address, at, bits.unwrap_or(PAGE_BITS), most, kind)?;
        }
        Ok(())
    }

    /// Maps blocks of `2^bits` bytes, as many as fit into `most` bytes and the table, or a smaller one where smaller
    /// ones are mapped; gives how many bytes are mapped from there on.
    fn map_blocks(
        &mut self,
        root: Root,
        address: u64,
        physical: u64,
        bits: u32,
        most: u64,
        kind: Kind,
    ) -> Result<u64, Error> {
        let (mut table, mut level, mut bits) = (root.table, root.width as u32, bits);
        loop {
            let slot = (address >> level) as usize % (1 << INDEX_BITS);
            let found = self.pool[table].0[slot];
            let below = F::next(found, level);
            if found != 0 && below.is_none() {
                let inside = physical & ((1 << level) - 1);
                let same = found == F::leaf(physical - inside, level, kind);
                return if same { Ok((1 << level) - inside) } else { Err(Error::Conflict) };
            }
            if level == bits && below.is_some() {
                bits -= INDEX_BITS;
            }
            if level == bits {
                // Behind the table's end a larger block may fit.
                let places = self.pool[table].0[slot..].iter_mut().take((most >> level) as usize);
                let mut entry = F::leaf(physical, level, kind);
                let mut done = 0;
                for place in places.take_while(|place| **place == 0) {
                    *place = entry;
                    entry = entry.wrapping_add(F::step(level));
                    done += 1 << level;
                }
                return Ok(done);
            }
            table = match below {
                Some(below) => (below - self.base) as usize / size_of::<Table>(),
                None => {
                    let next = self.allocate()?;
                    self.pool[table].0[slot] = F::table(self.table_address(next));
                    next
                }
            };
            level -= INDEX_BITS;
        }
    }

    /// Takes so many pages from the pool, one behind the other, for anything but tables: their physical address. They hold
    /// zeros.
    pub fn take(&mut self, pages: usize) -> Result<u64, Error> {
        let start = self.end();
        if pages > self.pool.len() - self.used {
            return Err(Error::OutOfTables);
        }
        self.used += pages;
        Ok(start)
    }

    /// The end, as a physical address, of what has been handed out of the pool.
    pub fn end(&self) -> u64 {
        self.table_address(self.used)
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

    /// The tables of the pool: the first one's physical address, and all of them.
    pub fn pool(&self) -> (u64, &[Table]) {
        (self.base, self.pool)
    }

    /// The physical address of a table.
    fn table_address(&self, table: usize) -> u64 {
        self.base + (table * size_of::<Table>()) as u64
    }
}
