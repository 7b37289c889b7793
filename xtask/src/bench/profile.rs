// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the instructions of an operation go: by function of the kernel and by line of its source.

use std::collections::BTreeMap;
use std::path::Path;

use addr2line::gimli::{self, EndianSlice, LittleEndian};
use addr2line::{Context as Lines, LookupResult};
use anyhow::{Context, Result};
use object::{Object, ObjectSection};

use super::counts::Counts;
use crate::artifact;

/// What the way from the kernel's entry to the root task's is called.
pub(crate) const BOOT: &str = "boot";

/// Rounds that are counted (as in the benchmark).
const ROUNDS: f64 = 64.0;

/// Lines that are printed.
const MOST_LINES: usize = 60;

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// Prints the profile of `operation`.
pub(crate) fn print(kernel: &Path, counts: &Counts, operation: &str) -> Result<()> {
    let kernel = artifact::read(kernel)?;
    let lines = lines_of(&kernel).context("the kernel's debug information")?;
    let mut functions = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (&address, &count) in &counts.instructions {
        let (function, place) = describe(&lines, address);
        *functions.entry(function.clone()).or_insert(0) += count;
        *places.entry((place, function)).or_insert(0) += count;
    }
    let rounds = if operation == BOOT {
        println!("{operation}: {} instructions", counts.boot);
        1.0
    } else {
        let found = counts.find(operation)?;
        println!("{operation}: {} instructions, {} of them in the kernel", found.total, found.kernel);
        ROUNDS
    };
    println!("\nby function, inlined ones apart:");
    for (function, count) in sorted(functions) {
        println!("{:>8.1}  {function}", count as f64 / rounds);
    }
    println!("\nby line:");
    for ((place, function), count) in sorted(places).into_iter().take(MOST_LINES) {
        println!("{:>8.1}  {place}  {function}", count as f64 / rounds);
    }
    Ok(())
}

fn sorted<K: Ord>(counts: BTreeMap<K, u64>) -> Vec<(K, u64)> {
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    sorted
}

fn lines_of(kernel: &[u8]) -> Result<Lines<Reader<'_>>> {
    let file = object::File::parse(kernel)?;
    let section = |id: gimli::SectionId| -> Result<Reader<'_>, gimli::Error> {
        let data = file.section_by_name(id.name()).and_then(|section| section.data().ok());
        Ok(EndianSlice::new(data.unwrap_or_default(), LittleEndian))
    };
    Ok(Lines::from_dwarf(gimli::Dwarf::load(section)?)?)
}

/// The function that an instruction belongs to, and the place in the source.
fn describe(lines: &Lines<Reader<'_>>, address: u64) -> (String, String) {
    if address >> 63 == 0 {
        return ("(user level or firmware)".into(), String::new());
    }
    let unknown = || (String::from("(assembly)"), format!("{address:#x}"));
    let LookupResult::Output(Ok(mut frames)) = lines.find_frames(address) else { return unknown() };
    let Ok(Some(frame)) = frames.next() else { return unknown() };
    let name = frame.function.as_ref().and_then(|function| function.demangle().ok().map(String::from));
    let place = frame.location.map_or_else(String::new, |location| {
        format!("{}:{}", location.file.unwrap_or("?"), location.line.unwrap_or(0))
    });
    (name.map_or_else(|| unknown().0, |name| shorten(&name)), place)
}

/// A name without the hash at its end.
fn shorten(name: &str) -> String {
    match name.rsplit_once("::h") {
        Some((rest, hash)) if hash.len() == 16 => rest.to_owned(),
        _ => name.to_owned(),
    }
}
