// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's own address space, made while it boots.
//!
//! ```text
//!   WINDOW    all memory, at its physical address plus this
//!   ...       the kernel's image, where it is linked
//!   TREE      the device tree
//!   DEVICES   pages of devices
//! ```
//!
//! 1. All of the image lies at one distance from where it is linked.
//! 2. Code is not writable and data not executable at the image's addresses. The window shows the image's memory
//!    as data, which nothing uses but to read tables.
//! 3. There is one [`KernelSpace`], and its tables are only added to. They come from a pool that is the last part of the
//!    image, but for boot's stack: what is not used of it is given away with the stack when boot is over, and the kernel does
//!    not touch it any more.

use core::fmt;
use keel_devicetree::{MAX_BYTES, Region};
use keel_tables::{Error, Format, Kind, Root, Table, Tables, Width};

/// Bytes of a page.
const PAGE_BYTES: u64 = 4096;
/// log2 of it.
const PAGE_BITS: u32 = 12;

/// How a machine lays out its kernel's addresses.
pub trait Layout {
    /// What entries of its tables look like.
    type Format: Format;
    /// The size of the address space.
    const WIDTH: Width;
    /// Kernel address minus physical address in the window.
    const WINDOW: u64;
    /// Where the device tree appears.
    const TREE: u64;
    /// Where devices appear, one after the other.
    const DEVICES: u64;
    /// Makes written entries visible to the table walker.
    fn written();
    /// log2 of the largest block that the processor knows.
    fn largest_bits() -> u32 {
        Self::Format::LARGEST_BITS
    }
}

/// Where the linker has put the parts of the kernel's image.
#[derive(Clone, Copy)]
pub struct Image {
    /// Start of the image, and of its code.
    pub start: u64,
    /// End of code, start of constants.
    pub code_end: u64,
    /// End of constants, start of data.
    pub constants_end: u64,
    /// A page that is not mapped, behind the pool of tables, which is the last of the data.
    pub guard: u64,
    /// Its end, where boot's stack begins.
    pub guard_end: u64,
    /// End of the image.
    pub end: u64,
}

/// What the loader says of the root task (`boot.md` §6.1).
#[derive(Clone, Copy, Debug)]
pub struct RootTask {
    /// Its image's physical addresses.
    pub image: Region,
    /// Physical minus virtual address.
    pub offset: u64,
    /// Where it begins to run.
    pub entry: u64,
}

impl RootTask {
    /// A root task by the arguments of the hand-over.
    pub fn new(start: u64, end: u64, offset: u64, entry: u64) -> Self {
        Self { image: Region::between(start, end).unwrap_or(Region::EMPTY), offset, entry }
    }
}

/// The kernel's address space while it is being made.
pub struct KernelSpace<L: Layout> {
    /// Its tables.
    tables: Tables<'static, L::Format>,
    /// Its root.
    root: Root,
    /// The image.
    image: Image,
    /// Virtual minus physical address of the image.
    offset: u64,
    /// Where the loader has put the device tree; empty if it has passed none.
    tree: Region,
    /// Bytes of devices that are mapped.
    device_bytes: u64,
}

/// A device's registers in the kernel's address space: given out by [`KernelSpace::map_device`] alone.
#[derive(Clone, Copy, Debug)]
pub struct DeviceMap {
    /// Where they begin.
    base: u64,
    /// How many bytes they have, in whole pages.
    bytes: u64,
}

impl DeviceMap {
    /// One for the host's model of the processor.
    #[cfg(not(target_os = "none"))]
    pub const fn model(base: u64, bytes: u64) -> Self {
        Self { base, bytes }
    }

    /// The address of the 32-bit register at `offset`.
    #[inline(always)]
    pub fn register(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(4) && (offset as u64) < self.bytes, "register outside of its device");
        self.base + offset as u64
    }

    /// The registers from `offset` on.
    pub fn part(&self, offset: u64) -> Self {
        assert!(offset.is_multiple_of(PAGE_BYTES) && offset < self.bytes, "part outside of its device");
        Self { base: self.base + offset, bytes: self.bytes - offset }
    }
}

impl<L: Layout> KernelSpace<L> {
    /// An address space with the image, which is `offset` above its physical addresses, and the device tree that the
    /// loader has passed. Nobody uses it yet.
    pub fn new(pool: &'static mut [Table], image: Image, offset: u64, tree: Region) -> Result<Self, Error> {
        let pool_address = pool.as_ptr().addr() as u64;
        let mut tables = Tables::new(pool, pool_address.wrapping_sub(offset));
        tables.limit_blocks(L::largest_bits());
        let root = tables.root(L::WIDTH)?;
        let mut space = Self { tables, root, image, offset, tree, device_bytes: 0 };
        space.map_image()?;
        if tree.size() > MAX_BYTES as u64 {
            return Err(Error::BadAddress);
        }
        let pages = tree.grow_to(PAGE_BITS).ok_or(Error::BadAddress)?;
        space.tables.map(root, L::TREE, pages, Kind::Constants)?;
        Ok(space)
    }

    /// Maps the image, each part as what it is, without the guard page.
    fn map_image(&mut self) -> Result<(), Error> {
        let Image { start, code_end, constants_end, guard, guard_end, end } = self.image;
        let parts = [
            (start, code_end, Kind::Code),
            (code_end, constants_end, Kind::Constants),
            (constants_end, guard, Kind::Data),
            (guard_end, end, Kind::Data),
        ];
        for (start, end, kind) in parts {
            let part = self.part(start, end)?;
            self.tables.map(self.root, start, part, kind)?;
        }
        Ok(())
    }

    /// The physical addresses of a part of the image.
    fn part(&self, start: u64, end: u64) -> Result<Region, Error> {
        Region::between(self.physical(start), self.physical(end)).ok_or(Error::BadAddress)
    }

    /// The physical address of something in the image.
    pub fn physical(&self, address: u64) -> u64 {
        address.wrapping_sub(self.offset)
    }

    /// The physical address of the root table.
    pub fn root(&self) -> u64 {
        self.tables.address(self.root)
    }

    /// Another root, of this width, in which the image's code is mapped to its physical addresses.
    pub fn identity_root(&mut self, width: Width) -> Result<u64, Error> {
        let code = self.part(self.image.start, self.image.code_end)?;
        let identity = self.tables.root(width)?;
        self.tables.map(identity, code.start(), code, Kind::Code)?;
        Ok(self.tables.address(identity))
    }

    /// What the kernel keeps of the image: all but [`Self::reclaimed`].
    pub fn kept(&self) -> Region {
        Region::between(self.physical(self.image.start), self.tables.end()).unwrap_or(Region::EMPTY)
    }

    /// What nobody needs once boot is over, and no more tables are taken: the rest of the pool of tables, and boot's stack.
    pub fn reclaimed(&self) -> Region {
        Region::between(self.tables.end(), self.physical(self.image.end)).unwrap_or(Region::EMPTY)
    }

    /// Takes pages of zeros, at least `bytes` bytes of them, that the kernel keeps: their address in the image.
    pub fn take_pages(&mut self, bytes: u64) -> Result<u64, Error> {
        let physical = self.tables.take(bytes.div_ceil(PAGE_BYTES) as usize)?;
        Ok(physical.wrapping_add(self.offset))
    }

    /// Where the loader has put the device tree; empty if it has passed none.
    pub fn tree_region(&self) -> Region {
        self.tree
    }

    /// The device tree that the loader has passed, or else `board`, the one that the kernel was built with.
    ///
    /// # Safety
    /// The address space is in use, and the loader has left these pages to the kernel (`boot.md` §6.1). Boot keeps them
    /// out of free memory, so that nobody ever writes them.
    pub unsafe fn tree(&self, board: &'static [u8]) -> &'static [u8] {
        if self.tree.size() == 0 {
            return board;
        }
        let start = (L::TREE + self.tree.start() % PAGE_BYTES) as *const u8;
        // SAFETY: `new` has mapped these pages; the rest is the caller's promise.
        unsafe { core::slice::from_raw_parts(start, self.tree.size() as usize) }
    }

    /// Maps memory into the window.
    pub fn map_memory(&mut self, memory: Region) -> Result<(), Error> {
        let result = self.tables.map(self.root, memory.start().wrapping_add(L::WINDOW), memory, Kind::Data);
        L::written();
        result
    }

    /// Maps the registers of a device.
    pub fn map_device(&mut self, device: Region) -> Result<DeviceMap, Error> {
        let pages = device.grow_to(PAGE_BITS).ok_or(Error::BadAddress)?;
        // Large devices begin at the same place in a block as their physical addresses: then blocks map them.
        let is_large = pages.size() >= BLOCK_BYTES;
        let block = pages.start() % BLOCK_BYTES + self.device_bytes.next_multiple_of(BLOCK_BYTES);
        let base = L::DEVICES + if is_large { block } else { self.device_bytes };
        self.tables.map(self.root, base, pages, Kind::Device)?;
        self.device_bytes = base - L::DEVICES + pages.size();
        L::written();
        Ok(DeviceMap { base, bytes: pages.size() })
    }
}

/// Bytes of a block above a page.
const BLOCK_BYTES: u64 = 2 << 20;

impl<L: Layout> fmt::Debug for KernelSpace<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the kernel at {}", self.kept())
    }
}
