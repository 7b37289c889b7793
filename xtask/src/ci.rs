// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask ci`: everything that must hold before a change lands.
//!
//! The parts run one after the other, each with its minutes; the first that fails ends it. A part is a row
//! of the table and a function.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ValueEnum;

use crate::cargo::{self, Cargo, Side};
use crate::image;
use crate::machine::{Arch, KernelProfile};
use crate::options::Settings;
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{bench, check, lines, paths, say, setup};

/// What a part does.
type Part = fn(&Cargo<'_>) -> Result<()>;

/// The parts in their order: what is quick and often wrong comes first.
const PARTS: &[(&str, Part)] = &[
    ("formats", formats),
    ("builds", builds),
    ("lints", lints),
    ("tests", tests),
    ("instruction counts", instruction_counts),
    ("path lengths", path_lengths),
    ("latencies", latencies),
    ("refinement", check::in_ci),
    ("documentation", documentation),
    ("unsafe code", unsafe_code),
];

/// The crates whose documentation is for others.
const DOCUMENTED: [&str; 5] = ["keel-abi", "keel-kernel", "keel-spec", "keel-check", "keel"];

const PROFILES: [KernelProfile; 2] = [KernelProfile::Debug, KernelProfile::Release];

/// Ends a command of clippy.
const DENY: [&str; 3] = ["--", "-D", "warnings"];

/// Runs the verb.
pub(crate) fn ci() -> Result<ExitCode> {
    for arch in Arch::value_variants() {
        setup::rust_targets(arch.machine())?;
        setup::qemu(arch.machine())?;
    }
    setup::rust_components()?;
    let workspace = Workspace::load()?;
    let settings = Settings::default();
    // What is not for one architecture is done with the first.
    let cargo = Cargo { workspace: &workspace, machine: Arch::Aarch64.machine(), settings: &settings };

    let mut times = Vec::new();
    let mut result = Ok(ExitCode::SUCCESS);
    for (name, part) in PARTS {
        say!("ci: {name}");
        let start = Instant::now();
        let done = part(&cargo);
        times.push((*name, start.elapsed()));
        if let Err(error) = done {
            result = Err(error.context(format!("ci: the part `{name}` failed")));
            break;
        }
    }
    print_times(&times);
    result
}

fn print_times(times: &[(&str, Duration)]) {
    let total = times.iter().map(|(_, time)| *time).sum();
    for (name, time) in times.iter().chain([&("all parts", total)]) {
        println!("{name:<18} {:>6.1} min", minutes(*time));
    }
}

fn minutes(time: Duration) -> f64 {
    time.as_secs_f64() / 60.0
}

fn formats(cargo: &Cargo<'_>) -> Result<()> {
    cargo::run(cargo.command("fmt").args(["--all", "--check"]))
}

/// Does a part for each architecture.
fn for_each_arch(cargo: &Cargo<'_>, part: impl Fn(&Cargo<'_>, Arch) -> Result<()>) -> Result<()> {
    Arch::value_variants()
        .iter()
        .try_for_each(|&arch| part(&Cargo { machine: arch.machine(), ..*cargo }, arch))
}

/// The user programs that are for an architecture: all but those of systems that do not run on it.
fn programs<'a>(cargo: &Cargo<'a>, arch: Arch) -> Vec<&'a str> {
    let elsewhere = system::all().iter().filter(|system| !system.runs_on(arch));
    let elsewhere: Vec<_> = elsewhere.flat_map(|system| system.packages()).collect();
    let mut programs = cargo.workspace.user_programs();
    programs.retain(|program| !elsewhere.contains(program));
    programs
}

/// On each architecture both kernels, all systems, and the user programs that are in no system.
fn builds(cargo: &Cargo<'_>) -> Result<()> {
    for_each_arch(cargo, builds_for)
}

fn builds_for(cargo: &Cargo<'_>, arch: Arch) -> Result<()> {
    for profile in PROFILES {
        image::build(cargo, profile)?;
    }
    for system in system::all().iter().filter(|system| system.runs_on(arch) && !system.needs_input()) {
        system.build(cargo, Luggage::default())?;
    }
    let in_systems: Vec<_> = system::all().iter().flat_map(|system| system.packages()).collect();
    let mut others = programs(cargo, arch);
    others.retain(|program| !in_systems.contains(program));
    cargo.build(Side::User, &others, &[])?;
    Ok(())
}

/// The host's crates with their tests, then what runs on the machine.
fn lints(cargo: &Cargo<'_>) -> Result<()> {
    cargo::run(cargo.command("clippy").arg("--all-targets").args(DENY))?;
    for_each_arch(cargo, lints_for)
}

fn lints_for(cargo: &Cargo<'_>, arch: Arch) -> Result<()> {
    for profile in PROFILES {
        let image = image::build(cargo, profile)?;
        let packages = [cargo.machine.kernel_package, cargo.machine.loader_package];
        let variables = image.loader_variables();
        cargo::run(cargo.bare_metal("clippy", Side::Kernel(profile), &packages, &variables).args(DENY))?;
    }
    let built = system::find(system::DEFAULT)?.build(cargo, Luggage::default())?;
    let programs = programs(cargo, arch);
    let variables = built.program_variables();
    cargo::run(cargo.bare_metal("clippy", Side::User, &programs, &variables).args(DENY))
}

/// The command that the README gives.
fn tests(cargo: &Cargo<'_>) -> Result<()> {
    cargo::run(cargo.command("xtask").args(["test", "--arch", "all"]))
}

/// No operation takes more instructions than the kept counts have.
fn instruction_counts(cargo: &Cargo<'_>) -> Result<()> {
    let bench = system::find("bench")?;
    for_each_arch(cargo, |cargo, arch| if bench.runs_on(arch) { bench::check_counts(cargo) } else { Ok(()) })
}

/// No interrupt is later than its bound, and nothing grows with what others do.
fn latencies(cargo: &Cargo<'_>) -> Result<()> {
    let adversary = system::find("adversary")?;
    for_each_arch(
        cargo,
        |cargo, arch| {
            if adversary.runs_on(arch) { bench::check_latencies(cargo) } else { Ok(()) }
        },
    )
}

/// No path through the kernel is longer than the kept bounds say.
fn path_lengths(cargo: &Cargo<'_>) -> Result<()> {
    for_each_arch(cargo, |cargo, _| paths::in_ci(cargo))
}

fn documentation(cargo: &Cargo<'_>) -> Result<()> {
    let mut command = cargo.command("doc");
    command.args(["--no-deps", "--document-private-items", "--features", "keel-kernel/host"]);
    command.args(DOCUMENTED.iter().flat_map(|name| ["--package", name]));
    // Private items are documented too, so links to them lead somewhere.
    cargo::run(command.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))
}

/// Prints how much code there is and where it is unsafe. There is no limit here: the crates that have no unsafe code
/// forbid it.
fn unsafe_code(cargo: &Cargo<'_>) -> Result<()> {
    print!("{}", lines::table(cargo.workspace)?);
    Ok(())
}
