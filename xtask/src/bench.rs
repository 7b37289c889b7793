// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask bench`: counts the instructions of the kernel's operations and compares them with the
//! reference.
//!
//! The system `bench` does each operation in rounds and reads the cycle counter around it; under QEMU's
//! deterministic instruction counting that counter counts instructions. It is booted twice. One run is
//! watched by the plugin `keel-counter`, which tells the kernel's part of each window, the cost of booting
//! and, for a profile, how often each instruction was executed.
//!
//! Invariants:
//!
//! 1. Both runs print the same, or nothing is reported.
//! 2. The plugin's counts of the windows are the guest's own, or nothing is reported; a window that begins
//!    with a fault may differ by the instruction that faults, which QEMU counts only when it is repeated.

mod adversary;
mod counts;
mod plot;
mod profile;
mod table;

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use self::counts::{Counts, Watched};
use self::table::{Reference, Table};
use crate::cargo::{self, Cargo};
use crate::elf::{Executable, Placement};
use crate::guest::{self, Console, End, Limits};
use crate::image::{self, BootImage};
use crate::machine::{Arches, KernelProfile, Machine};
use crate::options::{self, Settings};
use crate::qemu::Boot;
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{artifact, book, cli, say, setup};

/// The options of the interface with which the reference was counted, and what its CSpace needs.
const OPTIONS: [&str; 4] = ["domains=1", "cores=1", "export-pmu=on", "root-cnode-bits=13"];

/// The page of the book with the tables.
const PAGE: &str = "docs/src/performance.md";

/// The command that writes them.
const UPDATE: &str = "cargo xtask bench --update";

/// A run takes seconds.
const TIMEOUT: Duration = Duration::from_secs(300);

/// Runs the verb.
pub(crate) fn bench(arguments: &cli::Bench) -> Result<ExitCode> {
    let Arches(arches) = &arguments.arch;
    for arch in arches {
        setup::rust_targets(arch.machine())?;
        setup::qemu(arch.machine())?;
    }
    let workspace = Workspace::load()?;
    let settings = settings()?;
    let mut values = Vec::new();
    let name = if arguments.adversary { "adversary" } else { "bench" };
    let system = system::find(name)?;
    for arch in arches.iter().filter(|&&arch| arches.len() == 1 || system.runs_on(arch)) {
        ensure!(system.runs_on(*arch), "there is no {name} for {arch} yet");
        let cargo = Cargo { workspace: &workspace, machine: arch.machine(), settings: &settings };
        if arguments.adversary {
            adversary::run(&cargo, arguments.update)?;
        } else {
            values.extend(bench_one(&cargo, arguments)?);
        }
    }
    if let Some(path) = &arguments.json {
        let value = if let [value] = &values[..] { value.clone() } else { Value::Array(values) };
        artifact::write(path, format!("{value:#}\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the verb for one architecture; gives the counts as JSON, unless a profile was asked for.
fn bench_one(cargo: &Cargo<'_>, arguments: &cli::Bench) -> Result<Option<Value>> {
    let bench = Bench::build(cargo)?;
    let counts = bench.counts(arguments.profile.as_deref())?;
    let name = bench.machine.name;
    if let Some(operation) = &arguments.profile {
        profile::print(&bench.image.kernel, &counts, operation)?;
        return Ok(None);
    }
    say!("{name}, options {}; counted under -icount shift=0,sleep=off", cargo.settings);
    let table = Table::new(&counts, &Reference::load(&bench.data("reference"))?);
    print!("{table}");
    if arguments.update {
        artifact::write(&bench.data("counts"), counts.to_text().as_bytes())?;
        let (page, what) = (bench.workspace.root().join(PAGE), format!("counts of {name}"));
        book::update(&page, &what, UPDATE, &table.to_markdown())?;
    }
    if arguments.check {
        check(&bench, &counts)?;
    }
    Ok(Some(counts.to_json(name, table.geomean)))
}

/// Fails if an operation takes more than it is known to; the part of the gate.
pub(crate) fn check_counts(cargo: &Cargo<'_>) -> Result<()> {
    let settings = settings()?;
    let cargo = Cargo { settings: &settings, ..*cargo };
    let bench = Bench::build(&cargo)?;
    check(&bench, &bench.counts(None)?)
}

/// Fails if an interrupt is later than it may be, or something grows with what others do; the part of the gate.
pub(crate) fn check_latencies(cargo: &Cargo<'_>) -> Result<()> {
    adversary::run(cargo, false)
}

fn check(bench: &Bench<'_>, counts: &Counts) -> Result<()> {
    let path = bench.data("counts");
    let kept = artifact::read(&path)?;
    let grown = counts.grown_since(&String::from_utf8_lossy(&kept))?;
    ensure!(
        grown.is_empty(),
        "more instructions than {} has:\n{}\nwhere that is meant, `cargo xtask bench --update` changes it",
        path.display(),
        grown.join("\n")
    );
    say!("no count has grown by more than 1 %");
    Ok(())
}

fn settings() -> Result<Settings> {
    OPTIONS.iter().map(|text| options::parse(text).map_err(anyhow::Error::msg)).collect()
}

/// The benchmark, built.
struct Bench<'a> {
    machine: &'static Machine,
    workspace: &'a Workspace,
    image: BootImage,
    root_task: PathBuf,
    plugin: PathBuf,
}

impl<'a> Bench<'a> {
    fn build(cargo: &Cargo<'a>) -> Result<Self> {
        let root_task = system::find("bench")?.build(cargo, Luggage::default())?.root_task;
        let image = image::build(cargo, KernelProfile::Release)?;
        cargo::run(cargo.command("build").args(["--package", "keel-counter"]))?;
        let plugin = cargo.workspace.target().join("debug").join("libkeel_counter.so");
        Ok(Bench { machine: cargo.machine, workspace: cargo.workspace, image, root_task, plugin })
    }

    /// The file with data of this kind for the architecture.
    fn data(&self, kind: &str) -> PathBuf {
        self.workspace.root().join("systems/bench").join(kind).join(format!("{}.tsv", self.machine.name))
    }

    /// Runs it twice; `profiled` names the operation whose instructions are told apart.
    fn counts(&self, profiled: Option<&str>) -> Result<Counts> {
        let said = Self::run(self.boot())?;
        let mut counts = Counts::parse(&said)?;
        let out = self.workspace.output(self.machine).join("bench.counts");
        let kernel = artifact::read(&self.image.kernel)?;
        let kernel = self.executable(&kernel, "the kernel's ELF")?;
        let root_task = artifact::read(&self.root_task)?;
        let root_task = self.executable(&root_task, "the root task's ELF")?;
        let mut plugin = format!(
            "{},arch={},out={},kernel={:#x},user={:#x}",
            comma_free(&self.plugin)?,
            self.machine.name,
            comma_free(&out)?,
            kernel.entry(),
            root_task.entry()
        );
        if let Some(Range { start, end }) = &self.machine.firmware {
            plugin += &format!(",firmware={start:#x}-{end:#x}");
        }
        match profiled {
            Some(profile::BOOT) => plugin += ",profile=boot",
            Some(name) => {
                let operation = counts.find(name)?;
                plugin += &format!(",profile={}.{}.{}", operation.group, operation.window, operation.windows);
            }
            None => {}
        }
        let mut command = self.boot();
        command.args(["-plugin", &plugin]);
        let said_again = Self::run(command)?;
        ensure!(said == said_again, "two runs differ:\n{said}\n{said_again}");
        counts.watched(Watched::parse(&String::from_utf8_lossy(&artifact::read(&out)?))?)?;
        let holes = std::mem::take(&mut counts.holes);
        counts.image_bytes = kernel
            .kept_bytes(&holes)
            .context("the kernel lies in none of the holes that the root task sees")?;
        Ok(counts)
    }

    fn executable<'d>(&self, data: &'d [u8], what: &'static str) -> Result<Executable<'d>> {
        Executable::parse(data, self.machine.elf_machine, Placement::Fixed).context(what)
    }

    fn boot(&self) -> Command {
        let boot = Boot {
            machine: self.machine,
            image: &self.image.image,
            root_task: &self.root_task,
            memory: Some(self.machine.bench_memory),
            more: self.machine.bench_machine,
            icount: true,
            gdb: false,
        };
        boot.command()
    }

    /// What the console shows.
    fn run(command: Command) -> Result<String> {
        let mut shown = Vec::new();
        let limits = Limits { timeout: Some(TIMEOUT), ..Limits::default() };
        let end = guest::run(command, Console::Captured(None), limits, &mut shown)?;
        let shown = String::from_utf8_lossy(&shown).into_owned();
        match end {
            End::Decided(verdict) if verdict.is_success() => Ok(shown),
            end => bail!("{}\n{shown}", end.reason()),
        }
    }
}

/// A path as QEMU takes it in a plugin's arguments, where a comma ends it.
fn comma_free(path: &Path) -> Result<&str> {
    let text = path.to_str().filter(|text| !text.contains(','));
    text.with_context(|| format!("QEMU takes no plugin at {}: rename the directory", path.display()))
}
