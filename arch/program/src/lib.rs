// SPDX-License-Identifier: MIT OR Apache-2.0

//! A program in an ELF file: checked once, then copied to where it shall run.
//!
//! 1. There is at least one segment to load, and the entry point lies in one.
//! 2. The span goes from the lowest to the highest address of all segments, rounded to pages, and does not
//!    wrap around the address space.
//! 3. Each segment's bytes lie in the file, and are no more than its size in memory.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

use core::fmt;
use elf::ElfBytes;
use elf::abi::{EM_AARCH64, EM_RISCV, EM_X86_64, ET_EXEC, PF_X, PT_INTERP, PT_LOAD};
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::segment::{ProgramHeader, SegmentTable};
use keel_devicetree::Region;

/// log2 of the page to which spans are rounded.
const PAGE_BITS: u32 = 12;

/// The processor that a program is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Machine {
    /// 64-bit Arm.
    Aarch64,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit x86.
    X86_64,
}

/// By which of its two addresses each segment goes into memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Addresses {
    /// The one at which the program sees it.
    Virtual,
    /// The one for those who load without paging. The entry point is such an address too.
    Physical,
}

/// Why a file cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// No ELF file, or headers that contradict each other.
    NotAnElfFile,
    /// Not of the 64-bit kind.
    NotA64BitFile,
    /// For another processor.
    WrongMachine,
    /// A shared or position-independent object, or one that wants an interpreter.
    NotStatic,
    /// No segment to load.
    Empty,
    /// A segment that is not wholly in the file, larger there than in memory, or beyond the address space.
    BadSegment,
    /// The entry point lies in no executable segment.
    BadEntry,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NotAnElfFile => "not an ELF file, or a broken one",
            Error::NotA64BitFile => "not a 64-bit ELF file",
            Error::WrongMachine => "an ELF file for another processor",
            Error::NotStatic => "not a static executable (ELF type must be EXEC, without interpreter)",
            Error::Empty => "an ELF file without anything to load",
            Error::BadSegment => "an ELF file with a segment that is cut off or beyond the address space",
            Error::BadEntry => "an ELF file whose entry point lies in no executable segment",
        })
    }
}

/// A program that can be loaded.
pub struct Program<'a> {
    /// The whole file.
    file: &'a [u8],
    /// Its program headers.
    headers: SegmentTable<'a, LittleEndian>,
    /// Which of the segments' addresses count.
    addresses: Addresses,
    /// All that the program occupies in its address space.
    span: Region,
    /// Where it begins to run.
    entry: u64,
}

impl<'a> Program<'a> {
    /// Checks a file for I1 to I3; it is to be loaded to its virtual addresses.
    pub fn new(file: &'a [u8], machine: Machine) -> Result<Self, Error> {
        Self::at(file, machine, Addresses::Virtual)
    }

    /// Checks a file for I1 to I3.
    pub fn at(file: &'a [u8], machine: Machine, addresses: Addresses) -> Result<Self, Error> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file).map_err(|_| Error::NotAnElfFile)?;
        if elf.ehdr.class != Class::ELF64 {
            return Err(Error::NotA64BitFile);
        }
        let wanted = match machine {
            Machine::Aarch64 => EM_AARCH64,
            Machine::Riscv64 => EM_RISCV,
            Machine::X86_64 => EM_X86_64,
        };
        if elf.ehdr.e_machine != wanted {
            return Err(Error::WrongMachine);
        }
        let headers = elf.segments().ok_or(Error::Empty)?;
        if elf.ehdr.e_type != ET_EXEC || headers.iter().any(|header| header.p_type == PT_INTERP) {
            return Err(Error::NotStatic);
        }
        let entry = elf.ehdr.e_entry;
        let (mut start, mut end, mut entry_found) = (u64::MAX, 0, false);
        for header in loadable(headers) {
            let memory = check_segment(file, &header, addresses)?;
            start = start.min(memory.start());
            end = end.max(memory.end());
            let executable = header.p_flags & PF_X != 0;
            entry_found |= executable && (memory.start()..memory.end()).contains(&entry);
        }
        let span = Region::between(start, end).ok_or(Error::Empty)?;
        let span = span.grow_to(PAGE_BITS).ok_or(Error::BadSegment)?;
        if entry_found { Ok(Self { file, headers, addresses, span, entry }) } else { Err(Error::BadEntry) }
    }

    /// The addresses from the lowest to the highest segment, in whole pages.
    pub fn span(&self) -> Region {
        self.span
    }

    /// The address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// Copies the program into memory that shall appear at [`Program::span`], zeroing what the file does not
    /// give. False, with nothing written, if `memory` is not as large as the span.
    #[must_use]
    pub fn load(&self, memory: &mut [u8]) -> bool {
        if memory.len() as u64 != self.span.size() {
            return false;
        }
        memory.fill(0);
        for header in loadable(self.headers) {
            // Both ranges exist by I2 and I3.
            let at = (address(&header, self.addresses) - self.span.start()) as usize;
            let bytes = segment_bytes(self.file, &header).unwrap_or_default();
            memory[at..at + bytes.len()].copy_from_slice(bytes);
        }
        true
    }
}

/// The headers of segments that occupy memory.
fn loadable(headers: SegmentTable<'_, LittleEndian>) -> impl Iterator<Item = ProgramHeader> {
    headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0)
}

/// Where a segment goes.
fn address(header: &ProgramHeader, addresses: Addresses) -> u64 {
    match addresses {
        Addresses::Virtual => header.p_vaddr,
        Addresses::Physical => header.p_paddr,
    }
}

/// Checks one segment (I3) and gives its place.
fn check_segment(file: &[u8], header: &ProgramHeader, addresses: Addresses) -> Result<Region, Error> {
    let fits = header.p_filesz <= header.p_memsz && segment_bytes(file, header).is_some();
    Region::new(address(header, addresses), header.p_memsz).filter(|_| fits).ok_or(Error::BadSegment)
}

/// The bytes of a segment.
fn segment_bytes<'a>(file: &'a [u8], header: &ProgramHeader) -> Option<&'a [u8]> {
    let start = usize::try_from(header.p_offset).ok()?;
    let size = usize::try_from(header.p_filesz).ok()?;
    file.get(start..start.checked_add(size)?)
}

#[cfg(test)]
mod test {
    use super::*;

    /// A segment for [`file`].
    struct Segment {
        kind: u32,
        flags: u32,
        offset: u64,
        address: u64,
        file_size: u64,
        memory_size: u64,
    }

    const CODE: Segment =
        Segment { kind: PT_LOAD, flags: 5, offset: 0x1000, address: 0x40_0010, file_size: 4, memory_size: 4 };
    const DATA: Segment = Segment {
        kind: PT_LOAD,
        flags: 6,
        offset: 0x1004,
        address: 0x40_2000,
        file_size: 2,
        memory_size: 0x1800,
    };

    /// What makes a virtual address a physical one.
    const PHYSICAL: u64 = 1 << 24;

    /// An ELF file with the bytes 1, 2, 3 … from offset 0x1000 on.
    fn file(kind: u16, machine: u16, entry: u64, segments: &[Segment]) -> Vec<u8> {
        let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        file.extend([kind, machine].iter().flat_map(|half| half.to_le_bytes()));
        file.extend(1u32.to_le_bytes());
        file.extend([entry, 64, 0].iter().flat_map(|word| word.to_le_bytes()));
        file.extend(0u32.to_le_bytes());
        file.extend([64, 56, segments.len() as u16, 64, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
        for s in segments {
            file.extend([s.kind, s.flags].iter().flat_map(|word| word.to_le_bytes()));
            let words = [s.offset, s.address, s.address ^ PHYSICAL, s.file_size, s.memory_size, 0x1000];
            file.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        file.resize(0x1000, 0xee);
        file.extend(1..=16);
        file
    }

    fn error(file: &[u8]) -> Option<Error> {
        Program::new(file, Machine::Aarch64).err()
    }

    #[test]
    fn loads_segments_at_their_places_and_zeroes_the_rest() {
        let file = file(ET_EXEC, EM_AARCH64, 0x40_0010, &[DATA, CODE]);
        let program = Program::new(&file, Machine::Aarch64).unwrap();
        assert_eq!(program.span(), Region::new(0x40_0000, 0x4000).unwrap());
        assert_eq!(program.entry(), 0x40_0010);
        let mut memory = vec![0xaa; 0x4000];
        assert!(program.load(&mut memory));
        let mut expected = vec![0; 0x4000];
        expected[0x10..0x14].copy_from_slice(&[1, 2, 3, 4]);
        expected[0x2000..0x2002].copy_from_slice(&[5, 6]);
        assert!(memory == expected);
        let entry = 0x40_0010 | PHYSICAL;
        let file = self::file(ET_EXEC, EM_AARCH64, entry, &[DATA, CODE]);
        let physical = Program::at(&file, Machine::Aarch64, Addresses::Physical).unwrap();
        assert_eq!(physical.span().start(), program.span().start() | PHYSICAL);
        memory.fill(0xaa);
        assert!(physical.load(&mut memory) && memory == expected);
        assert_eq!(Program::new(&file, Machine::Aarch64).err(), Some(Error::BadEntry));
        assert!(!program.load(&mut memory[1..]));
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let one = |segment| file(ET_EXEC, EM_AARCH64, 0x40_0010, &[segment]);
        assert_eq!(error(&one(CODE)), None);
        assert_eq!(error(b"#!/bin/sh"), Some(Error::NotAnElfFile));
        assert_eq!(error(&file(ET_EXEC, EM_X86_64, 0x40_0010, &[CODE])), Some(Error::WrongMachine));
        assert_eq!(error(&file(3, EM_AARCH64, 0x40_0010, &[CODE])), Some(Error::NotStatic));
        let interpreter = Segment { kind: PT_INTERP, ..CODE };
        assert_eq!(
            error(&file(ET_EXEC, EM_AARCH64, 0x40_0010, &[CODE, interpreter])),
            Some(Error::NotStatic)
        );
        assert_eq!(error(&file(ET_EXEC, EM_AARCH64, 0, &[])), Some(Error::Empty));
        assert_eq!(error(&one(Segment { memory_size: 0, ..CODE })), Some(Error::Empty));
        assert_eq!(error(&one(Segment { file_size: 5, ..CODE })), Some(Error::BadSegment));
        assert_eq!(error(&one(Segment { offset: 0x100d, ..CODE })), Some(Error::BadSegment));
        assert_eq!(error(&one(Segment { offset: u64::MAX, ..CODE })), Some(Error::BadSegment));
        assert_eq!(error(&one(Segment { address: u64::MAX - 4, ..CODE })), Some(Error::BadSegment));
        assert_eq!(error(&one(Segment { address: 0x40_0011, ..CODE })), Some(Error::BadEntry));
        assert_eq!(error(&one(Segment { flags: 6, ..CODE })), Some(Error::BadEntry));
    }

    #[test]
    fn survives_every_single_byte_change_of_the_headers() {
        let good = file(ET_EXEC, EM_AARCH64, 0x40_0010, &[CODE, DATA]);
        for at in 0..64 + 2 * 56 {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut broken = good.clone();
                broken[at] = value;
                if let Ok(program) = Program::new(&broken, Machine::Aarch64)
                    && program.span().size() < 1 << 20
                {
                    assert!(program.load(&mut vec![0; program.span().size() as usize]));
                }
            }
        }
    }
}
