// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask lines`: how much code each crate has, how much of it is unsafe, and how much of the kernel is portable.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;

use crate::machine::{Arch, Machine};
use crate::unsafety::{self, Count};
use crate::workspace::{Crate, Workspace};
use crate::{book, cli};

/// The page of the book with the table.
const PAGE: &str = "docs/src/design.md";

/// A part of the project: its crates are those in these directories that no part above has.
struct Part {
    name: &'static str,
    rooms: &'static [&'static str],
}

const PARTS: &[Part] = &[
    Part { name: "kernel, portable", rooms: &["kernel", "bounds"] },
    // Those of one machine are told by its name.
    Part { name: "kernel, what machines share", rooms: &["arch"] },
    Part { name: "contract with user level", rooms: &["abi"] },
    Part { name: "loaders", rooms: &["loader"] },
    Part { name: "user level", rooms: &["user"] },
    Part { name: "systems", rooms: &["systems"] },
    Part { name: "specification and checker", rooms: &["spec", "check"] },
    Part { name: "tools", rooms: &["xtask", "paths"] },
];

/// Runs the verb.
pub(crate) fn lines(arguments: &cli::Lines) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let table = table(&workspace)?;
    print!("{table}");
    if arguments.update {
        book::update(&workspace.root().join(PAGE), "lines of code", "cargo xtask lines --update", &table)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The machine whose kernel a crate belongs to alone.
fn machine_of(directory: &Path) -> Option<&'static Machine> {
    let name = directory.strip_prefix("arch").ok()?.to_str()?;
    let machines = clap::ValueEnum::value_variants().iter().map(|arch: &Arch| arch.machine());
    machines.into_iter().find(|machine| name.strip_suffix("-tables").unwrap_or(name) == machine.name)
}

/// The table, as it stands in the book.
pub(crate) fn table(workspace: &Workspace) -> Result<String> {
    let mut text = String::from(
        "| crate | lines of code | unsafe blocks | lines in them | unsafe items |\n|---|---:|---:|---:|---:|\n",
    );
    let (mut shared, mut machines, mut all) = (Count::default(), Count::default(), Count::default());
    let mut section = |name: &str, crates: &[&Crate]| -> Result<Count> {
        let mut sum = Count::default();
        let mut rows = String::new();
        for krate in crates {
            let count = unsafety::in_crate(&krate.directory)?;
            row(&mut rows, &format!("`{}`", krate.name), count);
            sum += count;
        }
        row(&mut text, &format!("**{name}**"), sum);
        text += &rows;
        all += sum;
        Ok(sum)
    };
    let place = |krate: &Crate| workspace.relative(&krate.directory).to_owned();
    for (index, part) in PARTS.iter().enumerate() {
        let is_in = |krate: &&Crate| {
            let place = place(krate);
            part.rooms.iter().any(|room| place.starts_with(room)) && machine_of(&place).is_none()
        };
        let crates: Vec<_> = workspace.crates().iter().filter(is_in).collect();
        let sum = section(part.name, &crates)?;
        if index < 2 {
            shared += sum;
        }
        if index == 1 {
            for arch in <Arch as clap::ValueEnum>::value_variants() {
                let is_its = |krate: &&Crate| {
                    machine_of(&place(krate)).is_some_and(|machine| machine.name == arch.machine().name)
                };
                let crates: Vec<_> = workspace.crates().iter().filter(is_its).collect();
                machines += section(&format!("kernel, {arch}"), &crates)?;
            }
        }
    }
    row(&mut text, "**all**", all);
    let kernel = shared.code + machines.code;
    let share = 100.0 * shared.code as f64 / kernel as f64;
    let _ = writeln!(
        text,
        "\nThe kernel with all of its machines has {kernel} lines. {} of them know no machine: {share:.0} %.",
        shared.code
    );
    Ok(text)
}

fn row(text: &mut String, name: &str, count: Count) {
    let Count { code, blocks, lines_in_blocks, items } = count;
    // Writing to a text does not fail.
    let _ = writeln!(text, "| {name} | {code} | {blocks} | {lines_in_blocks} | {items} |");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machines_crates_are_known_by_their_names() {
        let machine = |directory: &str| machine_of(Path::new(directory)).map(|machine| machine.name);
        assert_eq!(machine("arch/x86_64"), Some("x86_64"));
        assert_eq!(machine("arch/aarch64-tables"), Some("aarch64"));
        for shared in ["arch/common", "arch/tables", "kernel", "loader/aarch64"] {
            assert_eq!(machine(shared), None, "{shared}");
        }
    }

    #[test]
    fn every_crate_is_in_the_table_once() {
        let workspace = Workspace::load().unwrap();
        let table = table(&workspace).unwrap();
        for krate in workspace.crates() {
            assert_eq!(table.matches(&format!("| `{}` |", krate.name)).count(), 1, "{}", krate.name);
        }
    }
}
