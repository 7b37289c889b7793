// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's ELF: functions, marks, and places in the source.

use crate::decode::{self, Flow, Instruction};
use addr2line::gimli::{self, EndianSlice, LittleEndian};
use addr2line::{Context as Lines, LookupResult};
use anyhow::{Context, Result, ensure};
use keel_bounds::{RECORD_BYTES, SECTION, kind};
use object::{Architecture, Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};
use std::collections::BTreeMap;

/// A mark that the source left: see [`keel_bounds::kind`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    /// What it says.
    pub kind: u64,
    /// The words that belong to it.
    pub words: [u64; 3],
}

/// A function: a sized symbol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Symbol {
    /// Its name, for people.
    pub name: String,
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
}

/// Debug information.
type Debug<'a> = Lines<EndianSlice<'a, LittleEndian>>;

/// A kernel.
pub struct Image<'a> {
    /// For what it is built.
    pub architecture: Architecture,
    /// The functions, by their addresses.
    pub symbols: BTreeMap<u64, Symbol>,
    /// The marks, by their addresses.
    pub marks: BTreeMap<u64, Vec<Mark>>,
    /// Bytes of the kernel's stack.
    pub stack_bytes: Option<u64>,
    /// The sections with code: address and content.
    code: Vec<(u64, &'a [u8])>,
    /// The segments that nobody writes to: address and content.
    constants: Vec<(u64, &'a [u8])>,
    /// Where in the source an address comes from.
    lines: Debug<'a>,
}

impl<'a> Image<'a> {
    /// Reads an ELF.
    pub fn parse(elf: &'a [u8]) -> Result<Self> {
        let file = object::File::parse(elf).context("this is no ELF")?;
        let mut code = Vec::new();
        for section in file.sections().filter(|section| section.kind() == SectionKind::Text) {
            code.push((section.address(), section.data().context("a section lies outside of the file")?));
        }
        let mut constants = Vec::new();
        for segment in file.segments().filter(|segment| !segment.permissions().writable()) {
            constants
                .push((segment.address(), segment.data().context("a segment lies outside of the file")?));
        }
        let records = file.section_by_name(SECTION).context("it was built without marks")?;
        Ok(Self {
            architecture: file.architecture(),
            symbols: symbols(&file),
            marks: marks(records.data().context("the marks lie outside of the file")?)?,
            stack_bytes: stack_bytes(&file),
            code,
            constants,
            lines: lines(&file).context("its debug information")?,
        })
    }

    /// The places in the source behind which there are no paths.
    pub fn outside(&self) -> Vec<String> {
        let is_outside = |marks: &Vec<Mark>| marks.iter().any(|mark| mark.kind == kind::OUTSIDE);
        let mut places: Vec<_> = self
            .marks
            .iter()
            .filter(|(_, marks)| is_outside(marks))
            .map(|(&address, _)| self.source(address))
            .collect();
        places.sort();
        places.dedup();
        places
    }

    /// The code from `start` to `end`.
    fn code(&self, start: u64, end: u64) -> Result<&'a [u8]> {
        part(&self.code, start, end).with_context(|| format!("there is no code at {start:#x}"))
    }

    /// The instructions of a function.
    pub fn instructions(&self, function: &Symbol) -> Result<Vec<Instruction>> {
        let code = self.code(function.start, function.end)?;
        let mut instructions = decode::decode(self.architecture, function.start, code)?;
        for Instruction { flow, .. } in &mut instructions {
            *flow = match *flow {
                Flow::CallBy(place) => self.constant(place).map_or(Flow::ComputedCall, Flow::Call),
                Flow::JumpBy(place) => self.constant(place).map_or(Flow::ComputedJump, Flow::Jump),
                known => known,
            };
        }
        Ok(instructions)
    }

    /// The word at an address where it never changes.
    pub fn constant(&self, address: u64) -> Option<u64> {
        let bytes = part(&self.constants, address, address.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    /// The function that `address` lies in.
    pub fn function_at(&self, address: u64) -> Option<&Symbol> {
        let (_, symbol) = self.symbols.range(..=address).next_back()?;
        (address < symbol.end).then_some(symbol)
    }

    /// The place in the source that the instruction at `address` comes from: where in the file, and by which functions
    /// it was inlined, innermost first.
    pub fn place(&self, address: u64) -> Vec<String> {
        let LookupResult::Output(Ok(mut frames)) = self.lines.find_frames(address) else { return Vec::new() };
        let mut places = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else { continue };
            places.push(format!("{}:{}", relative(location.file.unwrap_or("?")), location.line.unwrap_or(0)));
        }
        places
    }

    /// The innermost place in our own source, or failing that the function and the address.
    pub fn source(&self, address: u64) -> String {
        let places = self.place(address);
        let ours = places.iter().find(|place| !place.starts_with('/') && !place.ends_with(":0"));
        let function = || self.function_at(address).map_or("?", |symbol| symbol.name.as_str());
        ours.or(places.first()).cloned().unwrap_or_else(|| format!("{} at {address:#x}", function()))
    }
}

/// What one of these pieces of memory has from `start` to `end`.
fn part<'a>(pieces: &[(u64, &'a [u8])], start: u64, end: u64) -> Option<&'a [u8]> {
    let within = |&(base, data): &(u64, &'a [u8])| {
        data.get(start.checked_sub(base)? as usize..end.checked_sub(base)? as usize)
    };
    pieces.iter().find_map(within)
}

/// A path from the root of the sources on, where it is in ours.
fn relative(file: &str) -> &str {
    for root in ["kernel/src/", "arch/", "abi/src/", "bounds/src/"] {
        if let Some(at) = file.find(root)
            && (at == 0 || file[..at].ends_with('/'))
            && !file.contains("/rustc/")
            && !file.contains("/library/")
        {
            return &file[at..];
        }
    }
    file
}

/// The distance of the two symbols around the stack.
fn stack_bytes(file: &object::File<'_>) -> Option<u64> {
    let address =
        |name: &str| file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address());
    address("keel_stack_top")?.checked_sub(address("keel_stack")?)
}

/// The functions of an ELF.
fn symbols(file: &object::File<'_>) -> BTreeMap<u64, Symbol> {
    let mut symbols = BTreeMap::new();
    for symbol in file.symbols() {
        if symbol.kind() != SymbolKind::Text || symbol.size() == 0 {
            continue;
        }
        let name = symbol.name().unwrap_or("?");
        let name = format!("{:#}", rustc_demangle::demangle(name));
        let start = symbol.address();
        symbols.insert(start, Symbol { name, start, end: start + symbol.size() });
    }
    symbols
}

/// The records. Those of functions that the linker has left out have no address.
fn marks(records: &[u8]) -> Result<BTreeMap<u64, Vec<Mark>>> {
    ensure!(records.len().is_multiple_of(RECORD_BYTES), "the section of marks ends within a record");
    let mut marks = BTreeMap::<u64, Vec<Mark>>::new();
    for record in records.chunks_exact(RECORD_BYTES) {
        let mut words =
            record.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let mut word = || words.next().unwrap_or_default();
        let (address, kind, words) = (word(), word(), [word(), word(), word()]);
        if address != 0 {
            marks.entry(address).or_default().push(Mark { kind, words });
        }
    }
    Ok(marks)
}

/// The debug information of an ELF.
fn lines<'a>(file: &object::File<'a>) -> Result<Debug<'a>> {
    let section = |id: gimli::SectionId| -> Result<_, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    Ok(Lines::from_dwarf(gimli::Dwarf::load(section)?)?)
}
