// SPDX-License-Identifier: MIT OR Apache-2.0

//! Physical memory, as far as the loader has given it out to itself.
//!
//! 1. One core runs, with interrupts masked, from entry to hand-over.
//! 2. [`Memory`] exists once. It maps a region before it gives it out, and gives out no two regions that
//!    overlap unless both are only read. The loader's own image was given out first.
//! 3. A region is memory, or a device's registers, because the device tree says so: that is the one thing
//!    the loader has to believe.

use crate::plan::BLOCK_BITS;
use keel_devicetree::Region;
use keel_tables::{Error, Format, Kind, Root, Table, Tables, Width};

/// How many regions can be given out.
const CLAIMS: usize = 12;

/// What a processor has to do with memory.
pub trait Processor {
    /// What entries of its tables look like.
    type Format: Format;
    /// The size of the address space in which everything appears at its physical address.
    const WIDTH: Width;

    /// Makes written table entries visible to the table walker.
    fn written();

    /// Turns paging on.
    ///
    /// # Safety
    /// The tables at `root` map the running code, its data and its stack to themselves.
    unsafe fn paging_on(root: u64);
}

/// Physical memory, as far as it was given out.
pub struct Memory<P: Processor> {
    /// The tables in use.
    tables: Tables<'static, P::Format>,
    /// The root in which everything appears at its physical address.
    identity: Root,
    /// Where the loader itself lies.
    own_image: Region,
    /// What was given out.
    claims: Claims,
}

/// What a region was given out for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// To read.
    Read,
    /// To write too.
    Write,
}

/// What was given out, and whether somebody writes it.
#[derive(Default)]
pub struct Claims([Option<(Region, Access)>; CLAIMS]);

impl Claims {
    /// Gives a region out unless that would make it shared and written.
    pub fn claim(&mut self, region: Region, access: Access) -> Result<(), Error> {
        let hit = |&(other, used): &(Region, Access)| {
            other.overlaps(region) && (used == Access::Write || access == Access::Write)
        };
        if self.0.iter().flatten().any(hit) || region.start() == 0 {
            return Err(Error::Conflict);
        }
        let free = self.0.iter_mut().find(|claim| claim.is_none()).ok_or(Error::OutOfTables)?;
        *free = Some((region, access));
        Ok(())
    }
}

impl<P: Processor> Memory<P> {
    /// Maps the loader at `own_image` and `tree`, turns paging on and gives access to all other memory. `pool` is in the
    /// loader's image. Before, memory may be uncached, and nothing but this should be busy.
    ///
    /// # Safety
    /// Called once, with paging off. `own_image` is all of the loader.
    pub unsafe fn take(pool: &'static mut [Table], own_image: Region, tree: Region) -> Result<Self, Error> {
        let base = pool.as_ptr().addr() as u64;
        let mut tables = Tables::new(pool, base);
        let identity = tables.root(P::WIDTH)?;
        let mut memory = Self { tables, identity, own_image, claims: Claims::default() };
        memory.claim(own_image, Access::Write)?;
        // Not claimed yet: how large the tree is will be known when its header has been read.
        memory.map(identity, tree.start(), tree, Kind::Anything)?;
        // SAFETY: the tables map all of the loader at the addresses it has now.
        unsafe { P::paging_on(memory.tables.address(identity)) };
        Ok(memory)
    }

    /// A region of memory to read.
    pub fn read(&mut self, region: Region) -> Result<&'static [u8], Error> {
        self.claim(region, Access::Read)?;
        // SAFETY: mapped, and nobody writes it (2); it is memory (3).
        Ok(unsafe { core::slice::from_raw_parts(region.start() as *const u8, region.size() as usize) })
    }

    /// A region of memory to write.
    pub fn write(&mut self, region: Region) -> Result<&'static mut [u8], Error> {
        self.claim(region, Access::Write)?;
        // SAFETY: mapped, and nobody else has it (2); it is memory (3).
        Ok(unsafe { core::slice::from_raw_parts_mut(region.start() as *mut u8, region.size() as usize) })
    }

    /// Maps a device's registers to their physical addresses.
    pub fn map_device(&mut self, region: Region) -> Result<(), Error> {
        self.map(self.identity, region.start(), region, Kind::Device)
    }

    /// Gives a region out (2), mapped.
    fn claim(&mut self, region: Region, access: Access) -> Result<(), Error> {
        self.claims.claim(region, access)?;
        self.map(self.identity, region.start(), region, Kind::Anything)
    }

    /// Where the loader itself lies.
    pub fn own_image(&self) -> Region {
        self.own_image
    }

    /// Maps all 2 MiB blocks that a region touches, so that the region appears at `at`. The kernel expects
    /// such blocks, and with them a handful of tables does for any machine.
    fn map(&mut self, root: Root, at: u64, region: Region, kind: Kind) -> Result<(), Error> {
        let blocks = region.grow_to(BLOCK_BITS).ok_or(Error::BadAddress)?;
        let at = at.wrapping_sub(region.start() - blocks.start());
        let result = self.tables.map(root, at, blocks, kind);
        P::written();
        result
    }

    /// Maps the kernel where it is linked, in the address space that is in use.
    pub fn map_kernel(&mut self, kernel: Region, linked_at: u64) -> Result<(), Error> {
        self.map(self.identity, linked_at, kernel, Kind::Anything)
    }

    /// Maps the kernel where it is linked, in an address space of its own; the address of its root.
    pub fn kernel_root(&mut self, kernel: Region, linked_at: u64) -> Result<u64, Error> {
        let root = self.tables.root(P::WIDTH)?;
        self.map(root, linked_at, kernel, Kind::Anything)?;
        Ok(self.tables.address(root))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn nothing_is_shared_and_written() {
        let region = |start| Region::new(start, 0x1000).unwrap();
        let mut claims = Claims::default();
        assert_eq!(claims.claim(region(0), Access::Read), Err(Error::Conflict), "a null pointer");
        assert_eq!(claims.claim(region(0x1000), Access::Read), Ok(()));
        assert_eq!(claims.claim(region(0x1800), Access::Read), Ok(()));
        assert_eq!(claims.claim(region(0x2000), Access::Write), Err(Error::Conflict));
        assert_eq!(claims.claim(region(0x3000), Access::Write), Ok(()));
        assert_eq!(claims.claim(region(0x3fff), Access::Read), Err(Error::Conflict));
    }
}
