// SPDX-License-Identifier: MIT OR Apache-2.0

//! ELF files: are they what a machine can start, the part of them that is loaded, and their flat image.
//!
//! A file from the command line may be anything, so everything is checked before it is used.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use object::LittleEndian as LE;
use object::elf::{
    ELFCLASS64, ELFDATA2LSB, ET_DYN, ET_EXEC, FileHeader64, Machine, NoteType, PT_INTERP, PT_LOAD,
    ProgramHeader64,
};
use object::read::elf::{FileHeader as _, ProgramHeader as _};
use object::{Object as _, ObjectSymbol as _, SymbolKind};

/// No image that boots is larger than this; a header that claims more is broken.
const MAX_IMAGE_BYTES: u64 = 1 << 30;

/// A 64-bit little-endian ELF executable whose segments lie within the file.
#[derive(Debug)]
pub(crate) struct Executable<'a> {
    data: &'a [u8],
    header: &'a FileHeader64<LE>,
    segments: Vec<&'a ProgramHeader64<LE>>,
}

/// Where an executable can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Only at the addresses that it names: what starts it applies no relocations.
    Fixed,
    /// Perhaps anywhere: it applies its relocations by itself.
    Any,
}

/// The function in which `address` lies, and how far from its beginning, if the ELF file `data` names it.
pub(crate) fn symbol_at(data: &[u8], address: u64) -> Option<String> {
    let file = object::read::elf::ElfFile64::<LE>::parse(data).ok()?;
    let holds = |symbol: &object::read::elf::ElfSymbol64<'_, '_, LE>| {
        symbol.kind() == SymbolKind::Text
            && (symbol.address()..symbol.address() + symbol.size().max(1)).contains(&address)
    };
    let symbol = file.symbols().find(holds)?;
    let name = format!("{:#}", rustc_demangle::demangle(symbol.name().ok()?));
    Some(match address - symbol.address() {
        0 => name,
        offset => format!("{name}+{offset:#x}"),
    })
}

impl<'a> Executable<'a> {
    /// Checks that `data` is a static executable for `machine`.
    pub(crate) fn parse(data: &'a [u8], machine: Machine, placement: Placement) -> Result<Self> {
        check_ident(data)?;
        let header = FileHeader64::<LE>::parse(data).context("the ELF header is broken")?;
        ensure!(header.e_machine(LE) == machine, "the ELF file is for another architecture");
        let headers = header.program_headers(LE, data).context("the ELF program headers are broken")?;
        match (header.e_type(LE), placement) {
            (ET_EXEC, _) | (ET_DYN, Placement::Any) => {}
            (ET_DYN, Placement::Fixed) => {
                bail!("the ELF file is position-independent; link it statically at a fixed address")
            }
            _ => bail!("the ELF file is no executable"),
        }
        ensure!(
            headers.iter().all(|segment| segment.p_type(LE) != PT_INTERP),
            "the ELF file wants a dynamic linker; link it statically"
        );
        let loaded =
            |segment: &&ProgramHeader64<LE>| segment.p_type(LE) == PT_LOAD && segment.p_memsz(LE) > 0;
        let segments: Vec<_> = headers.iter().filter(loaded).collect();
        ensure!(!segments.is_empty(), "the ELF file has nothing to load");
        for segment in &segments {
            check_segment(data, segment)?;
        }
        let entry = header.e_entry(LE);
        // A kernel that starts without paging names a physical address.
        let holds_entry = |segment: &&ProgramHeader64<LE>| {
            let starts = [segment.p_vaddr(LE), segment.p_paddr(LE)];
            starts.iter().any(|start| entry.checked_sub(*start).is_some_and(|at| at < segment.p_memsz(LE)))
        };
        ensure!(
            segments.iter().any(holds_entry),
            "the ELF file's entry point {entry:#x} lies outside what it loads"
        );
        Ok(Executable { data, header, segments })
    }

    /// Whether it has a note of this owner and type.
    pub(crate) fn has_note(&self, owner: &[u8], kind: u32) -> bool {
        let headers = self.header.program_headers(LE, self.data).unwrap_or_default();
        let notes = headers.iter().filter_map(|segment| segment.notes(LE, self.data).ok().flatten());
        notes
            .flatten()
            .any(|note| note.is_ok_and(|note| note.name() == owner && note.n_type(LE) == NoteType(kind)))
    }

    /// The file without what is not loaded (symbols, debug information). It is what travels.
    pub(crate) fn loadable(&self) -> Vec<u8> {
        let headers_end = self.header.e_phoff(LE)
            + u64::from(self.header.e_phnum(LE)) * size_of::<ProgramHeader64<LE>>() as u64;
        let ends = self.segments.iter().map(|segment| segment.p_offset(LE) + segment.p_filesz(LE));
        let end = ends.fold(headers_end, u64::max);
        let mut file = self.data[..end as usize].to_vec();
        // No section headers any more: e_shoff; e_shentsize, e_shnum, e_shstrndx.
        file[0x28..0x30].fill(0);
        file[0x3a..0x40].fill(0);
        file
    }

    /// The lowest physical address that is loaded.
    pub(crate) fn lowest_paddr(&self) -> Option<u64> {
        self.segments.iter().map(|segment| segment.p_paddr(LE)).min()
    }

    /// The address of its first instruction.
    pub(crate) fn entry(&self) -> u64 {
        self.header.e_entry(LE)
    }

    /// How much memory this kernel keeps, by the holes that it has left in what it gave away: from where it was loaded, at
    /// a multiple of 2 MiB, to somewhere in its pool of tables, which is the last part of it.
    pub(crate) fn kept_bytes(&self, holes: &[Range<u64>]) -> Option<u64> {
        const ALIGNMENT: u64 = 2 << 20;
        let start = self.symbol("keel_image_start")?;
        let (least, most) = (self.symbol("keel_tables")? - start, self.symbol("ki_end")? - start);
        let kept = |hole: &Range<u64>| {
            let base = hole.end.checked_sub(least)? / ALIGNMENT * ALIGNMENT;
            (base >= hole.start).then_some(hole.end - base)
        };
        holes.iter().filter_map(kept).find(|&kept| kept < most)
    }

    /// The address of a symbol.
    fn symbol(&self, name: &str) -> Option<u64> {
        let file = object::File::parse(self.data).ok()?;
        file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address())
    }

    /// The bytes in memory from the lowest to the highest loaded physical address, without the zeroed end.
    pub(crate) fn flatten(&self) -> Result<Vec<u8>> {
        let filled = || self.segments.iter().filter(|segment| segment.p_filesz(LE) > 0);
        let range = |segment: &ProgramHeader64<LE>| -> Result<Range<u64>> {
            let start = segment.p_paddr(LE);
            let end = start.checked_add(segment.p_filesz(LE)).context("a segment wraps around")?;
            Ok(start..end)
        };
        let base =
            filled().map(|segment| segment.p_paddr(LE)).min().context("the ELF file has no content")?;
        let mut image = Vec::new();
        for segment in filled() {
            let Range { start, end } = range(segment)?;
            let place = (start - base) as usize..(end - base) as usize;
            ensure!(end - base <= MAX_IMAGE_BYTES, "the ELF file's segments lie too far apart for an image");
            if image.len() < place.end {
                image.resize(place.end, 0);
            }
            let (offset, size) = segment.file_range(LE);
            image[place].copy_from_slice(&self.data[offset as usize..(offset + size) as usize]);
        }
        Ok(image)
    }
}

/// Says what a file is that is no 64-bit little-endian ELF.
fn check_ident(data: &[u8]) -> Result<()> {
    ensure!(data.starts_with(b"\x7fELF"), "this is no ELF file");
    ensure!(data.len() >= size_of::<FileHeader64<LE>>(), "the ELF file is cut off");
    ensure!(data[4] == ELFCLASS64.0, "the ELF file is not for a 64-bit machine");
    ensure!(data[5] == ELFDATA2LSB.0, "the ELF file is big-endian");
    Ok(())
}

fn check_segment(data: &[u8], segment: &ProgramHeader64<LE>) -> Result<()> {
    let (offset, size) = segment.file_range(LE);
    let end = offset.checked_add(size);
    ensure!(
        end.is_some_and(|end| end <= data.len() as u64),
        "the ELF file is cut off: a segment goes beyond its end"
    );
    ensure!(size <= segment.p_memsz(LE), "the ELF file is broken: a segment has more content than memory");
    ensure!(
        segment.p_vaddr(LE).checked_add(segment.p_memsz(LE)).is_some(),
        "the ELF file is broken: a segment wraps around the end of memory"
    );
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use object::elf::{EM_AARCH64, EM_RISCV};

    use super::*;

    /// A segment of a made-up ELF file.
    #[derive(Clone, Copy)]
    pub(crate) struct Segment {
        pub(crate) kind: u32,
        pub(crate) address: u64,
        pub(crate) content: &'static [u8],
        pub(crate) memory_bytes: u64,
    }

    pub(crate) const TEXT: Segment =
        Segment { kind: 1, address: 0x40_0000, content: b"text", memory_bytes: 4 };

    /// Writes an ELF file with these segments, followed by 100 bytes that are not loaded.
    pub(crate) fn make(segments: &[Segment]) -> Vec<u8> {
        let mut file = vec![0; 64 + 56 * segments.len()];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        put(&mut file, 0x10, &2u16.to_le_bytes());
        put(&mut file, 0x12, &183u16.to_le_bytes());
        put(&mut file, 0x14, &1u32.to_le_bytes());
        put(&mut file, 0x18, &0x40_0000u64.to_le_bytes());
        put(&mut file, 0x20, &64u64.to_le_bytes());
        put(&mut file, 0x34, &64u16.to_le_bytes());
        put(&mut file, 0x36, &56u16.to_le_bytes());
        put(&mut file, 0x38, &(segments.len() as u16).to_le_bytes());
        for (index, segment) in segments.iter().enumerate() {
            let offset = file.len() as u64;
            file.extend_from_slice(segment.content);
            let header = 64 + 56 * index;
            put(&mut file, header, &segment.kind.to_le_bytes());
            put(&mut file, header + 4, &5u32.to_le_bytes());
            put(&mut file, header + 8, &offset.to_le_bytes());
            put(&mut file, header + 16, &segment.address.to_le_bytes());
            // Physical addresses differ, as those of a kernel do.
            put(&mut file, header + 24, &(segment.address + 0x1000_0000).to_le_bytes());
            put(&mut file, header + 32, &(segment.content.len() as u64).to_le_bytes());
            put(&mut file, header + 40, &segment.memory_bytes.to_le_bytes());
        }
        let sections = file.len() as u64;
        put(&mut file, 0x28, &sections.to_le_bytes());
        put(&mut file, 0x3c, &1u16.to_le_bytes());
        file.extend_from_slice(&[0xdd; 100]);
        file
    }

    fn put(file: &mut [u8], offset: usize, bytes: &[u8]) {
        file[offset..offset + bytes.len()].copy_from_slice(bytes);
    }

    fn refusal(file: &[u8]) -> String {
        format!("{:#}", Executable::parse(file, EM_AARCH64, Placement::Fixed).unwrap_err())
    }

    /// The file with other bytes at a place.
    fn with(offset: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = make(&[TEXT]);
        put(&mut file, offset, bytes);
        file
    }

    #[test]
    fn what_cannot_start_is_refused_with_its_reason() {
        for (file, reason) in [
            (vec![], "no ELF file"),
            (b"#!/bin/sh\n".to_vec(), "no ELF file"),
            (b"\x7fELF".to_vec(), "cut off"),
            (make(&[TEXT])[..100].to_vec(), "program headers are broken"),
            (make(&[TEXT])[..122].to_vec(), "cut off: a segment"),
            (with(4, &[1]), "64-bit"),
            (with(5, &[2]), "big-endian"),
            (with(0x10, &[3]), "position-independent"),
            (with(0x10, &[1]), "no executable"),
            (with(0x18, &[4]), "entry point 0x400004"),
            (with(0x20, &[0xff; 8]), "program headers are broken"),
            (with(64 + 8, &[0xff; 8]), "cut off: a segment"),
            (with(64 + 40, &[3]), "more content than memory"),
            (with(64 + 16, &[0xff; 8]), "wraps around"),
            (make(&[]), "nothing to load"),
            (make(&[TEXT, Segment { kind: 3, ..TEXT }]), "dynamic linker"),
        ] {
            let said = refusal(&file);
            assert!(said.contains(reason), "{said} / {reason}");
        }
        let file = make(&[TEXT]);
        let said = format!("{:#}", Executable::parse(&file, EM_RISCV, Placement::Fixed).unwrap_err());
        assert!(said.contains("another architecture"));
    }

    #[test]
    fn what_relocates_itself_may_be_position_independent() {
        let file = with(0x10, &[3]);
        let elf = Executable::parse(&file, EM_AARCH64, Placement::Any).unwrap();
        assert_eq!(elf.flatten().unwrap(), b"text");
    }

    #[test]
    fn any_cut_and_any_broken_byte_is_survived() {
        let file = make(&[TEXT, Segment { address: 0x40_1000, content: b"data", memory_bytes: 64, kind: 1 }]);
        for end in 0..file.len() {
            let _ = Executable::parse(&file[..end], EM_AARCH64, Placement::Fixed)
                .map(|elf| (elf.loadable(), elf.flatten().ok()));
        }
        for place in 0..file.len() {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut file = file.clone();
                file[place] = value;
                let _ = Executable::parse(&file, EM_AARCH64, Placement::Fixed)
                    .map(|elf| (elf.loadable(), elf.flatten().ok()));
            }
        }
    }

    #[test]
    fn the_image_has_each_segment_in_its_place() {
        let data = Segment { address: 0x40_0008, content: b"data", memory_bytes: 4096, kind: 1 };
        let file = make(&[data, TEXT]);
        let elf = Executable::parse(&file, EM_AARCH64, Placement::Fixed).unwrap();
        assert_eq!(elf.flatten().unwrap(), b"text\0\0\0\0data");
        assert_eq!(elf.lowest_paddr(), Some(0x1040_0000));
    }

    #[test]
    fn segments_far_apart_make_no_image() {
        let far = Segment { address: 1 << 40, content: b"data", memory_bytes: 4, kind: 1 };
        let file = make(&[TEXT, far]);
        let error = Executable::parse(&file, EM_AARCH64, Placement::Fixed).unwrap().flatten().unwrap_err();
        assert!(error.to_string().contains("too far apart"));
    }

    #[test]
    fn the_loadable_part_loads_the_same() {
        let file = make(&[TEXT]);
        let elf = Executable::parse(&file, EM_AARCH64, Placement::Fixed).unwrap();
        let small = elf.loadable();
        assert_eq!(small.len(), file.len() - 100);
        let again = Executable::parse(&small, EM_AARCH64, Placement::Fixed).unwrap();
        assert_eq!(again.flatten().unwrap(), elf.flatten().unwrap());
        assert_eq!(again.header.e_shoff(LE), 0);
        assert_eq!(again.loadable(), small);
    }
}
