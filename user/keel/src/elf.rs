// SPDX-License-Identifier: MIT OR Apache-2.0

//! Programs as files: what of an ELF executable a loader needs, checked.
//!
//! Invariants of a [`Program`]:
//! 1. Segments are in ascending order and no page belongs to two of them.
//! 2. Every segment lies between the first page and [`ADDRESS_LIMIT`].
//! 3. No segment is both writable and executable; the entry point lies in an executable one.

use core::ops::Range;

use ::elf::{
    ElfBytes,
    abi::{ET_EXEC, PF_W, PF_X, PT_LOAD},
    endian::LittleEndian,
    file::Class,
    segment::ProgramHeader,
};

use crate::{
    arch,
    error::{Error, Result},
    resources::PAGE_BYTES,
};

/// Segments that a program may have.
pub const MAX_SEGMENTS: usize = 8;

/// No program reaches beyond this address, so that much is free above it.
pub const ADDRESS_LIMIT: u64 = 1 << 38;

/// What a segment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Constants.
    Read,
    /// Variables.
    ReadWrite,
    /// Code.
    Execute,
}

/// A piece of a program that goes into memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it starts.
    pub vaddr: u64,
    /// Its size in memory; what `data` does not fill is zero.
    pub memory_bytes: u64,
    /// Its content.
    pub data: &'a [u8],
    /// What it is for.
    pub access: Access,
}

impl Segment<'_> {
    const EMPTY: Self = Self { vaddr: 0, memory_bytes: 0, data: &[], access: Access::Read };

    /// The pages it touches.
    pub fn pages(&self) -> Range<u64> {
        let end = self.vaddr + self.memory_bytes;
        self.vaddr & !(PAGE_BYTES - 1)..end.next_multiple_of(PAGE_BYTES)
    }

    /// Writes what belongs on the page at `page` onto it.
    pub fn fill_page(&self, page: u64, bytes: &mut [u8]) {
        let (into, from) = match page.checked_sub(self.vaddr) {
            Some(from) => (0, from),
            None => (self.vaddr - page, 0),
        };
        let data = usize::try_from(from).ok().and_then(|from| self.data.get(from..)).unwrap_or(&[]);
        let room = bytes.get_mut(into as usize..).unwrap_or(&mut []);
        let count = data.len().min(room.len());
        room[..count].copy_from_slice(&data[..count]);
    }
}

/// A program that can be loaded.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    entry: u64,
    segments: [Segment<'a>; MAX_SEGMENTS],
    count: usize,
}

impl<'a> Program<'a> {
    /// Reads an ELF file.
    pub fn parse(file: &'a [u8]) -> Result<Self> {
        let elf = ElfBytes::<LittleEndian>::minimal_parse(file)
            .map_err(|_| Error::BadImage("not a little-endian ELF file"))?;
        if elf.ehdr.class != Class::ELF64 || elf.ehdr.e_type != ET_EXEC {
            return Err(Error::BadImage("not a static 64-bit executable"));
        }
        if elf.ehdr.e_machine != arch::ELF_MACHINE {
            return Err(Error::BadImage("made for another machine"));
        }
        let headers = elf.segments().ok_or(Error::BadImage("no segments"))?;
        let mut program =
            Self { entry: elf.ehdr.e_entry, segments: [Segment::EMPTY; MAX_SEGMENTS], count: 0 };
        for header in headers.iter().filter(|header| header.p_type == PT_LOAD && header.p_memsz > 0) {
            program.add(read_segment(file, &header)?)?;
        }
        let holds_entry = |segment: &Segment<'_>| {
            let inside = program.entry.checked_sub(segment.vaddr);
            segment.access == Access::Execute && inside.is_some_and(|at| at < segment.memory_bytes)
        };
        if !program.segments().iter().any(holds_entry) {
            return Err(Error::BadImage("the entry point is not in executable memory"));
        }
        Ok(program)
    }

    fn add(&mut self, segment: Segment<'a>) -> Result {
        if self.segments().last().is_some_and(|last| last.pages().end > segment.pages().start) {
            return Err(Error::BadImage("segments share a page or are not in order"));
        }
        let slot = self.segments.get_mut(self.count).ok_or(Error::BadImage("too many segments"))?;
        *slot = segment;
        self.count += 1;
        Ok(())
    }

    /// Address of the first instruction.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The segments, in ascending order.
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments[..self.count]
    }

    /// The pages from the lowest to the highest segment.
    pub fn pages(&self) -> Range<u64> {
        match (self.segments().first(), self.segments().last()) {
            (Some(first), Some(last)) => first.pages().start..last.pages().end,
            _ => 0..0,
        }
    }
}

fn read_segment<'a>(file: &'a [u8], header: &ProgramHeader) -> Result<Segment<'a>> {
    let access = match (header.p_flags & PF_W != 0, header.p_flags & PF_X != 0) {
        (true, true) => return Err(Error::BadImage("a segment is both writable and executable")),
        (true, false) => Access::ReadWrite,
        (false, true) => Access::Execute,
        (false, false) => Access::Read,
    };
    let end = header.p_vaddr.checked_add(header.p_memsz);
    if header.p_vaddr < PAGE_BYTES || end.is_none_or(|end| end > ADDRESS_LIMIT) {
        return Err(Error::BadImage("a segment lies out of reach"));
    }
    if header.p_filesz > header.p_memsz {
        return Err(Error::BadImage("a segment has more content than room"));
    }
    let start = usize::try_from(header.p_offset).ok();
    let data = start.and_then(|start| file.get(start..)?.get(..usize::try_from(header.p_filesz).ok()?));
    let data = data.ok_or(Error::BadImage("a segment's content is not in the file"))?;
    Ok(Segment { vaddr: header.p_vaddr, memory_bytes: header.p_memsz, data, access })
}

#[cfg(test)]
pub(crate) mod test {
    use std::vec::Vec;

    use super::*;

    /// A program header: flags, file offset, address, size in file, size in memory.
    pub type Load = (u32, u64, u64, u64, u64);

    /// An ELF file with these segments and content from offset 0x1000 on.
    pub fn file(entry: u64, loads: &[Load], content: &[u8]) -> Vec<u8> {
        let mut file = Vec::new();
        file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend(ET_EXEC.to_le_bytes());
        file.extend(arch::ELF_MACHINE.to_le_bytes());
        file.extend(1_u32.to_le_bytes());
        file.extend(entry.to_le_bytes());
        file.extend(64_u64.to_le_bytes());
        file.extend(0_u64.to_le_bytes());
        file.extend(0_u32.to_le_bytes());
        for half in [64, 56, loads.len() as u16, 64, 0, 0] {
            file.extend(half.to_le_bytes());
        }
        for &(flags, offset, vaddr, file_bytes, memory_bytes) in loads {
            file.extend(PT_LOAD.to_le_bytes());
            file.extend(flags.to_le_bytes());
            for word in [offset, vaddr, vaddr, file_bytes, memory_bytes, 0x1000] {
                file.extend(word.to_le_bytes());
            }
        }
        file.resize(0x1000, 0);
        file.extend(content);
        file
    }

    const CODE: Load = (5, 0x1000, 0x40_0000, 4, 4);

    #[test]
    fn a_good_program_is_read() {
        let file = file(0x40_0000, &[CODE, (6, 0x1004, 0x40_1ffe, 4, 0x1003)], b"codedata");
        let program = Program::parse(&file).unwrap();
        assert_eq!((program.entry(), program.pages()), (0x40_0000, 0x40_0000..0x40_4000));
        let [code, data] = program.segments() else { panic!("two segments") };
        assert_eq!((code.data, code.access), (&b"code"[..], Access::Execute));
        assert_eq!((data.pages(), data.access), (0x40_1000..0x40_4000, Access::ReadWrite));
        let mut page = [9; 0x1000];
        data.fill_page(0x40_1000, &mut page);
        assert_eq!((&page[0xffd..], page[0]), (&b"\x09da"[..], 9));
        data.fill_page(0x40_2000, &mut page);
        assert_eq!(&page[..3], b"ta\x09");
        let mut zeros = [0; 0x1000];
        data.fill_page(0x40_3000, &mut zeros);
        assert_eq!(zeros, [0; 0x1000]);
    }

    #[test]
    fn nonsense_is_refused() {
        let text = |entry, loads: &[Load]| Program::parse(&file(entry, loads, b"codedata")).unwrap_err();
        let bad = Error::BadImage;
        assert_eq!(Program::parse(b"#!/bin/sh").unwrap_err(), bad("not a little-endian ELF file"));
        assert_eq!(text(0, &[]), bad("the entry point is not in executable memory"));
        assert_eq!(text(0x40_0004, &[CODE]), bad("the entry point is not in executable memory"));
        assert_eq!(
            text(0, &[(7, 0x1000, 0x40_0000, 4, 4)]),
            bad("a segment is both writable and executable")
        );
        assert_eq!(text(0, &[(5, 0x1000, 0, 4, 4)]), bad("a segment lies out of reach"));
        assert_eq!(text(0, &[(5, 0x1000, u64::MAX, 4, 4)]), bad("a segment lies out of reach"));
        assert_eq!(text(0, &[(5, 0x1000, 0x1000, 8, 4)]), bad("a segment has more content than room"));
        assert_eq!(text(0, &[(5, 0x1000, 0x1000, 9, 9)]), bad("a segment's content is not in the file"));
        assert_eq!(text(0, &[(5, u64::MAX, 0x1000, 9, 9)]), bad("a segment's content is not in the file"));
        let both = [CODE, (6, 0x1000, 0x40_0ff0, 4, 4)];
        assert_eq!(text(0x40_0000, &both), bad("segments share a page or are not in order"));
        let many: Vec<Load> = (0..9).map(|at| (4, 0x1000, 0x1000 * (at + 1), 4, 4)).collect();
        assert_eq!(text(0, &many), bad("too many segments"));
    }

    #[test]
    fn any_prefix_is_survived() {
        let whole = file(0x40_0000, &[CODE], b"code");
        for length in 0..whole.len() {
            assert!(Program::parse(&whole[..length]).is_err());
        }
    }
}
