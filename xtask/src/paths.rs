// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask paths`: the longest paths through the kernel as it is shipped.
//!
//! The work is done by the crate `keel-paths`; here the kernel is built, the table printed, and compared with the bounds
//! that are kept in `bounds/ARCH.tsv`. The book shows what is kept: its page has a table for each architecture,
//! between two lines that name it, which `--update` writes and `--check` compares.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use keel_paths::query::{Answer, Step};
use keel_paths::table::{self, Row, Section};
use keel_paths::{Image, Program};
use serde_json::{Value, json};

use crate::cargo::Cargo;
use crate::machine::{Arches, KernelProfile};
use crate::options::Settings;
use crate::workspace::Workspace;
use crate::{artifact, cli, image, say, setup};

/// Where the book shows the bounds.
const PAGE: &str = "docs/src/bounds.md";

/// What no path should exceed with ordinary values.
const ORDINARY_AIM: u64 = 2_000;

/// What no path should exceed with the worst values, and those of system calls with two phases.
const WORST_AIMS: [u64; 2] = [10_000, 15_000];

/// System calls that send and then receive.
const TWO_PHASES: [&str; 3] = ["ReplyRecv", "NBSendRecv", "NBSendWait"];

/// Objects of a Retype whose cost shows what each costs.
const MANY: u64 = 101;

/// Runs the verb.
pub(crate) fn paths(arguments: &cli::Paths) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let settings = Settings::default();
    let Arches(arches) = &arguments.arch;
    ensure!(
        arches.len() == 1 || (arguments.show.is_none() && arguments.json.is_none()),
        "--show and --json are for one architecture"
    );
    for arch in arches {
        let machine = arch.machine();
        setup::rust_targets(machine)?;
        of_machine(&Cargo { workspace: &workspace, machine, settings: &settings }, arguments)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// All that is asked for, on one architecture.
fn of_machine(cargo: &Cargo<'_>, arguments: &cli::Paths) -> Result<()> {
    let bounds = Bounds::compute(cargo)?;
    if let Some(name) = &arguments.show {
        return bounds.show(name);
    }
    bounds.print(cargo.machine.name);
    if let Some(path) = &arguments.json {
        artifact::write(path, bounds.to_json(cargo.machine.name).as_bytes())?;
    }
    if arguments.update {
        artifact::write(&file(cargo), bounds.to_text().as_bytes())?;
        artifact::write(&page(cargo), shown(cargo, &bounds.to_text())?.as_bytes())?;
    }
    if arguments.check {
        bounds.check(cargo)?;
    }
    Ok(())
}

/// The part of `cargo xtask ci`.
pub(crate) fn in_ci(cargo: &Cargo<'_>) -> Result<()> {
    Bounds::compute(cargo)?.check(cargo)
}

/// The file with the bounds that are kept.
fn file(cargo: &Cargo<'_>) -> PathBuf {
    cargo.workspace.root().join("bounds").join(format!("{}.tsv", cargo.machine.name))
}

/// The page of the book.
fn page(cargo: &Cargo<'_>) -> PathBuf {
    cargo.workspace.root().join(PAGE)
}

/// The page with a table of these bounds, in the form of the file, in place of the one it has.
fn shown(cargo: &Cargo<'_>, kept: &str) -> Result<String> {
    let name = cargo.machine.name;
    let page = artifact::read(&page(cargo))?;
    let page = String::from_utf8(page).with_context(|| format!("{PAGE} is no text"))?;
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, behind) = parts.with_context(|| format!("{PAGE} has no place for {name}"))?;
    let mut table = String::new();
    for line in kept.lines() {
        match *line.split('\t').collect::<Vec<_>>() {
            [title] => write!(table, "\n| {title} | ordinary | worst | stack |\n|---|--:|--:|--:|\n")?,
            [name, ordinary, worst, stack] => {
                writeln!(table, "| {name} | {} | {} | {stack} |", thousands(ordinary), thousands(worst))?;
            }
            _ => {}
        }
    }
    Ok(format!("{before}{begin}{table}\n{end}{behind}"))
}

/// A number with a comma before each three digits.
fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The computed bounds.
struct Bounds {
    sections: Vec<Section>,
    /// Retype of one object and of [`MANY`].
    retype: Option<(u64, u64)>,
    /// Bytes of the kernel's stack.
    stack_bytes: u64,
    /// Places in the source behind which no path is counted.
    outside: Vec<String>,
}

impl Bounds {
    fn compute(cargo: &Cargo<'_>) -> Result<Self> {
        let kernel = artifact::read(&image::build_kernel(cargo, KernelProfile::Release)?)?;
        let twin = artifact::read(&image::build_marked_kernel(cargo)?)?;
        let image = Image::parse(&kernel).context("the kernel's ELF")?;
        let twin = Image::parse(&twin).context("the ELF of the kernel with marks")?;
        let stack_bytes = image.stack_bytes.context("the kernel's ELF does not say where its stack is")?;
        let outside = image.outside();
        let program = Program::new(image, &twin)?;
        let sections = table::compute(&program)?;
        let retype = table::retype(&program, 1)?.zip(table::retype(&program, MANY)?);
        Ok(Self { sections, retype, stack_bytes, outside })
    }

    fn rows(&self) -> impl Iterator<Item = &Row> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    fn deepest_stack(&self) -> u64 {
        self.rows().map(|row| row.worst.stack).max().unwrap_or(0)
    }

    fn print(&self, arch: &str) {
        println!("longest paths on {arch}, in instructions");
        for section in &self.sections {
            println!("{:<58} {:>9} {:>9} {:>7}", section.title, "ordinary", "worst", "stack");
            for row in &section.rows {
                let (ordinary, worst) = (&row.ordinary, &row.worst);
                println!(
                    "  {:<56} {:>9} {:>9} {:>7}",
                    row.name, ordinary.instructions, worst.instructions, worst.stack
                );
            }
        }
        if let Some((one, many)) = self.retype {
            let each = (many - one).div_ceil(MANY - 1);
            println!("UntypedRetype of n objects: {} + {each} n", one.saturating_sub(each));
        }
        println!("deepest stack: {} of {} bytes", self.deepest_stack(), self.stack_bytes);
        for place in &self.outside {
            println!("not counted: what follows {place}");
        }
        for row in self.rows() {
            let aim = WORST_AIMS[usize::from(TWO_PHASES.contains(&row.name.as_str()))];
            if row.ordinary.instructions > ORDINARY_AIM || row.worst.instructions > aim {
                say!("above the aims of {ORDINARY_AIM} and {aim}: {}", row.name);
            }
        }
    }

    /// Prints the blocks of the longest path of an entry.
    fn show(&self, name: &str) -> Result<()> {
        let row = self.rows().find(|row| row.name.split(", ").any(|part| part == name));
        let Answer { instructions, steps, .. } =
            &row.with_context(|| format!("there is no entry `{name}`"))?.worst;
        println!("{name}: {instructions} instructions with the worst values");
        println!("{:>6} {:>6}  {:<18}  source, function", "times", "length", "address");
        for Step { times, address, instructions, function, source } in steps {
            println!("{times:>6} {instructions:>6}  {address:#018x}  {source}  {function}");
        }
        Ok(())
    }

    /// Fails if a bound has grown, or the book does not show those that are kept.
    fn check(&self, cargo: &Cargo<'_>) -> Result<()> {
        let path = file(cargo);
        let kept = String::from_utf8_lossy(&artifact::read(&path)?).into_owned();
        let grown = self.grown_since(&kept);
        ensure!(
            grown.is_empty(),
            "longer paths than {} has:\n{}\nwhere that is meant, `cargo xtask paths --arch {} --update` changes it",
            path.display(),
            grown.join("\n"),
            cargo.machine.name
        );
        ensure!(
            self.deepest_stack() <= self.stack_bytes,
            "the kernel's stack of {} bytes can become {} bytes deep",
            self.stack_bytes,
            self.deepest_stack()
        );
        let page = artifact::read(&page(cargo))?;
        ensure!(
            shown(cargo, &kept)?.as_bytes() == page,
            "{PAGE} does not show the bounds that are kept; `cargo xtask paths --arch {} --update` writes it",
            cargo.machine.name
        );
        say!("no path of {} has become longer", cargo.machine.name);
        Ok(())
    }

    /// Descriptions of the bounds that are greater than those kept, or not among them.
    fn grown_since(&self, kept: &str) -> Vec<String> {
        let mut grown = Vec::new();
        for row in self.rows() {
            let line = kept.lines().find_map(|line| line.strip_prefix(&row.name)?.strip_prefix('\t'));
            let Some(line) = line else {
                grown.push(format!("  {}: new", row.name));
                continue;
            };
            let now = [row.ordinary.instructions, row.worst.instructions, row.worst.stack];
            for ((what, before), now) in
                ["ordinary", "worst", "stack"].into_iter().zip(line.split('\t')).zip(now)
            {
                if before.parse().map_or(true, |before: u64| now > before) {
                    grown.push(format!("  {}, {what}: {before} before, {now} now", row.name));
                }
            }
        }
        grown
    }

    /// The form that is kept: a line with the title of each section, and a line for each entry with its bound with
    /// ordinary and with the worst values and its stack.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for section in &self.sections {
            text += section.title;
            text.push('\n');
            for Row { name, ordinary, worst } in &section.rows {
                text +=
                    &format!("{name}\t{}\t{}\t{}\n", ordinary.instructions, worst.instructions, worst.stack);
            }
        }
        text
    }

    fn to_json(&self, arch: &str) -> String {
        let step = |step: &Step| {
            json!({
                "times": step.times,
                "address": format!("{:#x}", step.address),
                "instructions": step.instructions,
                "source": step.source,
                "function": step.function,
            })
        };
        let answer = |answer: &Answer| {
            let path: Vec<_> = answer.steps.iter().map(step).collect();
            json!({ "instructions": answer.instructions, "stack": answer.stack, "path": path })
        };
        let row = |section: &Section, row: &Row| {
            json!({
                "section": section.title,
                "entry": row.name,
                "ordinary": answer(&row.ordinary),
                "worst": answer(&row.worst),
            })
        };
        let rows: Vec<Value> = self
            .sections
            .iter()
            .flat_map(|section| section.rows.iter().map(move |of| row(section, of)))
            .collect();
        let all = json!({
            "arch": arch,
            "stack_bytes": self.stack_bytes,
            "outside": self.outside,
            "entries": rows,
        });
        format!("{all:#}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(instructions: u64) -> Answer {
        Answer { instructions, steps: Vec::new(), stack: 64 }
    }

    fn bounds(worst: u64) -> Bounds {
        let row = Row { name: "Call".into(), ordinary: answer(10), worst: answer(worst) };
        let sections = vec![Section { title: "Calls", rows: vec![row] }];
        Bounds { sections, retype: None, stack_bytes: 4096, outside: Vec::new() }
    }

    #[test]
    fn growth_is_noticed_and_shrinking_is_not() {
        let kept = bounds(100).to_text();
        assert_eq!(kept, "Calls\nCall\t10\t100\t64\n");
        assert_eq!(bounds(100).grown_since(&kept), [""; 0]);
        assert_eq!(bounds(99).grown_since(&kept), [""; 0]);
        assert_eq!(bounds(101).grown_since(&kept), ["  Call, worst: 100 before, 101 now"]);
        assert_eq!(bounds(1).grown_since("Calls\n"), ["  Call: new"]);
    }

    #[test]
    fn digits_are_grouped() {
        assert_eq!(thousands("7"), "7");
        assert_eq!(thousands("1234"), "1,234");
        assert_eq!(thousands("123456"), "123,456");
    }
}
