// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a loader tells, by version 1 of the multiboot specification (`boot.md` §6.2).
//!
//! Everything is copied out of the loader's memory at once: it may lie where the kernel is going to put something else.

use core::fmt;
use keel_devicetree::Region;

/// What a loader leaves in eax.
pub const MAGIC: u32 = 0x2bad_b002;

/// Memory as it is before the kernel has an address space of its own: bytes at physical addresses.
pub trait Physical {
    /// Copies the bytes from `address` on; none if the kernel cannot see all of them.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()>;

    /// The number of `N` bytes at `address`.
    fn number<const N: usize>(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, bytes.get_mut(..N)?)?;
        Some(u64::from_le_bytes(bytes))
    }
}

/// Why the kernel cannot run with what the loader has told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The information is not where the kernel can see it.
    Unreadable,
    /// No memory map.
    NoMemoryMap,
    /// No module.
    NoModule,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Unreadable => "the loader's information lies beyond 4 GiB",
            Error::NoMemoryMap => "the loader has passed no memory map",
            Error::NoModule => "no initial module: give the root task's ELF file with -initrd",
        })
    }
}

/// How many regions of memory are looked at.
const MAX_ENTRIES: usize = 64;
/// How much of the command line is looked at.
const MAX_COMMAND_LINE: usize = 256;
/// Bytes of the memory map in BootInfo: a count and 50 entries (`boot.md` §2.1).
const MAP_CHUNK_BYTES: usize = 4 + 50 * 24;
/// Bytes of the video information in BootInfo, without the header.
const VIDEO_CHUNK_BYTES: usize = 512 + 256 + 16;

/// What a loader tells.
pub struct Info {
    /// The root task's ELF file.
    pub module: Region,
    /// The end of the last module: memory below it is left alone while the root task is loaded.
    pub modules_end: u64,
    /// Memory to be used, in the first `memory_count` places.
    memory: [Region; MAX_ENTRIES],
    /// How many there are.
    memory_count: usize,
    /// The memory map for BootInfo.
    pub map_chunk: [u8; MAP_CHUNK_BYTES],
    /// The video information for BootInfo.
    pub video_chunk: Option<[u8; VIDEO_CHUNK_BYTES]>,
    /// The command line, with zeroes behind it.
    command_line: [u8; MAX_COMMAND_LINE],
}

/// Offsets in the information (multiboot specification 0.6.96, section 3.3).
mod offset {
    /// What is there.
    pub const FLAGS: u64 = 0;
    /// The command line's address.
    pub const COMMAND_LINE: u64 = 16;
    /// How many modules there are; behind it, where their list is.
    pub const MODULES: u64 = 20;
    /// Bytes of the memory map; behind it, where it is.
    pub const MEMORY_MAP: u64 = 44;
    /// Where the video controller's information is; behind it, where the mode's is, then four halves.
    pub const VIDEO: u64 = 72;
}

/// Bits of the flags.
mod flag {
    /// There is a command line.
    pub const COMMAND_LINE: u64 = 1 << 2;
    /// There are modules.
    pub const MODULES: u64 = 1 << 3;
    /// There is a memory map.
    pub const MEMORY_MAP: u64 = 1 << 6;
    /// There is video information.
    pub const VIDEO: u64 = 1 << 11;
}

/// Bytes of an entry in the list of modules.
const MODULE_BYTES: u64 = 16;
/// The type of memory that can be used.
const AVAILABLE: u64 = 1;
/// Memory below is not used: too much of it belongs to firmware.
const LOWEST: u64 = 1 << 20;

impl Info {
    /// Reads the information at `address`.
    pub fn read(memory: &impl Physical, address: u64) -> Result<Self, Error> {
        let mut info = Self {
            module: Region::EMPTY,
            modules_end: 0,
            memory: [Region::EMPTY; MAX_ENTRIES],
            memory_count: 0,
            map_chunk: [0; MAP_CHUNK_BYTES],
            video_chunk: None,
            command_line: [0; MAX_COMMAND_LINE],
        };
        let flags = memory.number::<4>(address + offset::FLAGS).ok_or(Error::Unreadable)?;
        if flags & flag::COMMAND_LINE != 0 {
            info.read_command_line(memory, address).ok_or(Error::Unreadable)?;
        }
        if flags & flag::MEMORY_MAP == 0 {
            return Err(Error::NoMemoryMap);
        }
        info.read_memory_map(memory, address).ok_or(Error::Unreadable)?;
        if flags & flag::MODULES != 0 {
            info.read_modules(memory, address).ok_or(Error::Unreadable)?;
        }
        if info.module.size() == 0 {
            return Err(Error::NoModule);
        }
        if flags & flag::VIDEO != 0 {
            info.video_chunk = video(memory, address);
        }
        Ok(info)
    }

    /// Copies what there is of the command line.
    fn read_command_line(&mut self, memory: &impl Physical, address: u64) -> Option<()> {
        let text = memory.number::<4>(address + offset::COMMAND_LINE)?;
        for (index, byte) in self.command_line.iter_mut().enumerate() {
            memory.read(text + index as u64, core::slice::from_mut(byte))?;
            if *byte == 0 {
                break;
            }
        }
        Some(())
    }

    /// Copies the memory map, and finds the memory in it.
    fn read_memory_map(&mut self, memory: &impl Physical, address: u64) -> Option<()> {
        let bytes = memory.number::<4>(address + offset::MEMORY_MAP)?;
        let map = memory.number::<4>(address + offset::MEMORY_MAP + 4)?;
        let copied = (bytes as usize).min(MAP_CHUNK_BYTES - 4);
        let (length, entries) = self.map_chunk.split_at_mut(4);
        length.copy_from_slice(&(copied as u32).to_le_bytes());
        memory.read(map, &mut entries[..copied])?;
        let mut at = 0;
        // Entries say how long they are, without the word that says so. Each round moves on by at least 4.
        while at + 24 <= bytes && self.memory_count < MAX_ENTRIES {
            let entry = map + at;
            let size = memory.number::<4>(entry)?;
            let [start, length] = [memory.number::<8>(entry + 4)?, memory.number::<8>(entry + 12)?];
            let region = Region::between(start.max(LOWEST), start.saturating_add(length));
            if memory.number::<4>(entry + 20)? == AVAILABLE
                && let Some(region) = region
            {
                self.memory[self.memory_count] = region;
                self.memory_count += 1;
            }
            at += 4 + size;
        }
        Some(())
    }

    /// Finds the first module, and where the last one ends.
    fn read_modules(&mut self, memory: &impl Physical, address: u64) -> Option<()> {
        /// More than that nobody has.
        const MAX_MODULES: u64 = 64;
        let count = memory.number::<4>(address + offset::MODULES)?.min(MAX_MODULES);
        let list = memory.number::<4>(address + offset::MODULES + 4)?;
        for index in 0..count {
            let entry = list + index * MODULE_BYTES;
            let [start, end] = [memory.number::<4>(entry)?, memory.number::<4>(entry + 4)?];
            if index == 0 {
                self.module = Region::between(start, end).unwrap_or(Region::EMPTY);
            }
            self.modules_end = self.modules_end.max(end);
        }
        Some(())
    }

    /// The memory to be used, as the loader tells it.
    pub fn memory(&self) -> impl Iterator<Item = Region> + Clone {
        self.memory[..self.memory_count].iter().copied()
    }

    /// The number that the command line gives for an option, as `name=0x3f8`.
    pub fn option(&self, name: &str) -> Option<u16> {
        let words = self.command_line.split(|&byte| byte == b' ' || byte == 0);
        words.filter_map(|word| core::str::from_utf8(word).ok()).find_map(|word| {
            let digits = word.strip_prefix(name)?.strip_prefix('=')?;
            u16::from_str_radix(digits.strip_prefix("0x").unwrap_or(digits), 16).ok()
        })
    }
}

/// The video information for BootInfo: the two blocks, then mode and interface, each number 32 bits wide.
fn video(memory: &impl Physical, address: u64) -> Option<[u8; VIDEO_CHUNK_BYTES]> {
    let mut chunk = [0; VIDEO_CHUNK_BYTES];
    let (controller, rest) = chunk.split_at_mut(512);
    let (mode, numbers) = rest.split_at_mut(256);
    memory.read(memory.number::<4>(address + offset::VIDEO)?, controller)?;
    memory.read(memory.number::<4>(address + offset::VIDEO + 4)?, mode)?;
    for (index, number) in (0..).zip(numbers.chunks_mut(4)) {
        memory.read(address + offset::VIDEO + 8 + 2 * index, &mut number[..2])?;
    }
    Some(chunk)
}

/// Memory of the host, for tests.
#[cfg(test)]
pub mod fake {
    use super::Physical;

    /// Bytes from an address on.
    pub struct Fake(pub u64, pub Vec<u8>);

    impl Fake {
        /// Writes numbers of so many bytes, one behind the other.
        pub fn put(&mut self, address: u64, bytes: usize, numbers: &[u64]) {
            let start = (address - self.0) as usize;
            for (place, number) in self.1[start..].chunks_mut(bytes).zip(numbers) {
                place.copy_from_slice(&number.to_le_bytes()[..bytes]);
            }
        }
    }

    impl Physical for Fake {
        fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
            let start = usize::try_from(address.checked_sub(self.0)?).ok()?;
            bytes.copy_from_slice(self.1.get(start..start.checked_add(bytes.len())?)?);
            Some(())
        }
    }
}

#[cfg(test)]
mod test {
    use super::fake::Fake;
    use super::*;

    fn region(start: u64, end: u64) -> Region {
        Region::between(start, end).unwrap()
    }

    /// Information at 0x9000 with everything there can be.
    fn memory() -> Fake {
        let mut memory = Fake(0x9000, vec![0; 0x2000]);
        memory.put(0x9000, 4, &[1 << 2 | 1 << 3 | 1 << 6 | 1 << 11, 0, 0, 0, 0x9100, 2, 0x9200]);
        memory.put(0x9000 + 44, 4, &[72, 0x9300]);
        memory.put(0x9000 + 72, 4, &[0x9400, 0x9600]);
        memory.put(0x9000 + 80, 2, &[0x118, 0xc000, 0x1234, 0x56]);
        memory.1[0x100..0x127].copy_from_slice(b"keel console_port=0x2f8 debug_port=3e8\0");
        memory.put(0x9200, 4, &[0x40_0000, 0x41_2345, 0, 0, 0x41_3000, 0x41_4000]);
        let entries = [(0, 0x9_f000, 1), (0x10_0000, 0x7ff0_0000, 1), (0xfffc_0000, 0x4_0000, 2)];
        for (at, (start, length, kind)) in (0x9300..).step_by(24).zip(entries) {
            memory.put(at, 4, &[20, start, 0, length, 0, kind]);
        }
        memory.put(0x9400, 1, b"VESA".map(u64::from).as_slice());
        memory
    }

    #[test]
    fn everything_is_copied() {
        let info = Info::read(&memory(), 0x9000).ok().unwrap();
        assert_eq!((info.module, info.modules_end), (region(0x40_0000, 0x41_2345), 0x41_4000));
        let used: Vec<_> = info.memory().filter(|region| region.size() > 0).collect();
        assert_eq!(used, [region(0x10_0000, 0x8000_0000)]);
        assert_eq!((info.option("console_port"), info.option("debug_port")), (Some(0x2f8), Some(0x3e8)));
        assert_eq!(info.option("port"), None);
        assert_eq!((&info.map_chunk[..8], info.map_chunk[72]), (&[72, 0, 0, 0, 20, 0, 0, 0][..], 2));
        let video = info.video_chunk.unwrap();
        assert_eq!(&video[..4], b"VESA");
        assert_eq!(&video[768..], [0x18, 1, 0, 0, 0, 0xc0, 0, 0, 0x34, 0x12, 0, 0, 0x56, 0, 0, 0]);
    }

    #[test]
    fn says_what_is_missing() {
        let error = |change: fn(&mut Fake)| {
            let mut memory = memory();
            change(&mut memory);
            Info::read(&memory, 0x9000).err()
        };
        assert_eq!(error(|_| ()), None);
        assert_eq!(error(|memory| memory.put(0x9000, 4, &[1 << 6])), Some(Error::NoModule));
        assert_eq!(error(|memory| memory.put(0x9200, 4, &[1, 1])), Some(Error::NoModule));
        assert_eq!(error(|memory| memory.put(0x9000, 4, &[1 << 3])), Some(Error::NoMemoryMap));
        assert_eq!(error(|memory| memory.put(0x9000 + 48, 4, &[0x9_0000])), Some(Error::Unreadable));
        assert_eq!(Info::read(&memory(), u64::MAX - 64).err(), Some(Error::Unreadable));
    }
}
