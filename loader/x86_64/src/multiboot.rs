// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel is told, by version 1 of the multiboot specification (0.6.96, section 3.3): one block of memory that
//! holds the information and all that it refers to.
//!
//! ```text
//!   information │ module │ memory map … │ command line │ loader's name
//! ```

use crate::pvh::{MEMORY_BYTES, Memory};
use keel_devicetree::Region;

/// What the kernel finds in eax.
pub const MAGIC: u32 = 0x2bad_b002;

/// Offsets of the fields that are filled in.
mod offset {
    pub const FLAGS: usize = 0;
    pub const LOWER: usize = 4;
    pub const UPPER: usize = 8;
    pub const COMMAND_LINE: usize = 16;
    pub const MODULES: usize = 20;
    pub const MEMORY_MAP: usize = 44;
    pub const LOADER_NAME: usize = 64;
}

/// Fields that are there: memory sizes, command line, modules, memory map, loader's name.
const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;

/// Bytes of the information with room for fields that are not filled in.
const INFO_BYTES: usize = 128;
/// Bytes of an entry in the list of modules.
const MODULE_BYTES: usize = 16;
/// Bytes of an entry of the memory map, and the number at its start, which does not count itself.
const ENTRY_BYTES: usize = 24;
const ENTRY_SIZE: u32 = 20;

const LOADER_NAME: &[u8] = b"keel";

/// Where the memory below 640 KiB ends at most, and where the rest begins.
const LOWER_END: u64 = 0xa_0000;
const UPPER_START: u64 = 0x10_0000;

/// What there is to tell.
pub struct Contents<'a, M> {
    /// The first module.
    pub module: Region,
    /// The command line.
    pub command_line: &'a [u8],
    /// The memory map.
    pub memory: M,
}

impl<M: Iterator<Item = Memory> + Clone> Contents<'_, M> {
    /// Writes the information into `block`, which lies at `address`, below 4 GiB. None if it does not fit.
    pub fn write(&self, block: &mut [u8], address: u32) -> Option<()> {
        let map = INFO_BYTES + MODULE_BYTES;
        let map_bytes = self.memory.clone().count() * ENTRY_BYTES;
        let command_line = map + map_bytes;
        let name = command_line + self.command_line.len() + 1;
        let end = name + LOADER_NAME.len() + 1;
        let block = block.get_mut(..end)?;
        block.fill(0);
        let (info, rest) = block.split_at_mut(INFO_BYTES);
        let (module, rest) = rest.split_at_mut(MODULE_BYTES);

        let at = |offset: usize| address + offset as u32;
        put(info, offset::FLAGS, FLAGS);
        put(info, offset::LOWER, self.usable_from(0, LOWER_END));
        put(info, offset::UPPER, self.usable_from(UPPER_START, u64::from(u32::MAX)));
        put(info, offset::COMMAND_LINE, at(command_line));
        put(info, offset::MODULES, 1);
        put(info, offset::MODULES + 4, at(INFO_BYTES));
        put(info, offset::MEMORY_MAP, map_bytes as u32);
        put(info, offset::MEMORY_MAP + 4, at(map));
        put(info, offset::LOADER_NAME, at(name));
        put(module, 0, u32::try_from(self.module.start()).ok()?);
        put(module, 4, u32::try_from(self.module.end()).ok()?);
        for (entry, memory) in rest.chunks_exact_mut(ENTRY_BYTES).zip(self.memory.clone()) {
            put(entry, 0, ENTRY_SIZE);
            entry[4..12].copy_from_slice(&memory.region.start().to_le_bytes());
            entry[12..20].copy_from_slice(&memory.region.size().to_le_bytes());
            put(entry, 20, memory.kind);
        }
        block[command_line..name - 1].copy_from_slice(self.command_line);
        block[name..end - 1].copy_from_slice(LOADER_NAME);
        Some(())
    }

    /// KiB of usable memory from an address on in one piece, but not beyond a limit.
    fn usable_from(&self, start: u64, limit: u64) -> u32 {
        let piece = self.memory.clone().find(|memory| {
            memory.is_usable() && (memory.region.start()..memory.region.end()).contains(&start)
        });
        piece.map_or(0, |memory| (memory.region.end().min(limit) - start) >> 10) as u32
    }
}

/// How many bytes a memory map of the boot program takes at most, by the size that it has there.
pub const fn block_bytes(memory_map: Region, command_line: usize) -> u64 {
    let entries = memory_map.size() / MEMORY_BYTES;
    let strings = command_line + LOADER_NAME.len() + 2;
    entries * ENTRY_BYTES as u64 + (INFO_BYTES + MODULE_BYTES + strings) as u64
}

/// Writes a number.
fn put(bytes: &mut [u8], offset: usize, number: u32) {
    bytes[offset..offset + 4].copy_from_slice(&number.to_le_bytes());
}

#[cfg(test)]
mod test {
    use super::*;

    const ADDRESS: u32 = 0x8000;

    fn memory(start: u64, size: u64, kind: u32) -> Memory {
        Memory { region: Region::new(start, size).unwrap(), kind }
    }

    fn contents() -> Contents<'static, impl Iterator<Item = Memory> + Clone> {
        let map =
            [memory(0, 0x9_fc00, 1), memory(0x10_0000, 0x7ff0_0000, 1), memory(0x1_0000_0000, 1 << 30, 1)];
        Contents {
            module: Region::new(0x200_0000, 0x1234).unwrap(),
            command_line: b"console_port=0x2f8",
            memory: map.into_iter(),
        }
    }

    /// The number of `N` bytes at an address.
    fn at<const N: usize>(block: &[u8], address: u64) -> u64 {
        let mut word = [0; 8];
        let offset = (address - u64::from(ADDRESS)) as usize;
        word[..N].copy_from_slice(&block[offset..offset + N]);
        u64::from_le_bytes(word)
    }

    #[test]
    fn everything_can_be_followed() {
        let mut block = [0xee; 512];
        contents().write(&mut block, ADDRESS).unwrap();
        let base = u64::from(ADDRESS);
        let field = |offset: u64| at::<4>(&block, base + offset);
        assert_eq!(field(0), 0b10_0100_1101);
        assert_eq!((field(4), field(8)), (639, 0x7ff0_0000 >> 10));
        assert_eq!(field(20), 1);
        assert_eq!([0, 4].map(|offset| at::<4>(&block, field(24) + offset)), [0x200_0000, 0x200_1234]);
        assert_eq!(field(44), 72);
        let last = field(48) + 48;
        assert_eq!(at::<4>(&block, last), 20);
        assert_eq!([4, 12].map(|offset| at::<8>(&block, last + offset)), [1 << 32, 1 << 30]);
        assert_eq!(at::<4>(&block, last + 20), 1);
        let text = |address: u64| crate::pvh::text(&block[(address - base) as usize..]);
        assert_eq!(text(field(16)), b"console_port=0x2f8");
        assert_eq!(text(field(64)), b"keel");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let needed = block_bytes(Region::new(0, 3 * MEMORY_BYTES).unwrap(), 18) as usize;
        let mut block = vec![0; needed];
        assert!(contents().write(&mut block, ADDRESS).is_some());
        assert!(contents().write(&mut block[1..], ADDRESS).is_none());
        let module = Region::new(1 << 32, 1).unwrap();
        assert!(Contents { module, ..contents() }.write(&mut block, ADDRESS).is_none());
    }
}
