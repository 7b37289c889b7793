// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask check`: the kernel held against its specification, and the specification against its theorems.
//!
//! The work is done by the program `keel-check`, which prints the table; here it is built, given the amount that was
//! asked for, and the solver that it needs is installed. The deep check goes on with what needs a nightly compiler or
//! builds the kernel many times: a fuzzer, Miri, mutants.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, Cargo};
use crate::machine::Arch;
use crate::options::Settings;
use crate::workspace::Workspace;
use crate::{cli, say, setup};

/// What is asked of the checker: seconds for each small system, random runs of each kind, and more.
struct Amount {
    arguments: &'static [&'static str],
}

/// What every change must pass, in a few minutes: all theorems and broken variants, a little of the rest.
const CI: Amount = Amount { arguments: &["--explore-seconds=8", "--runs=120"] };
/// All theorems and broken variants, a few minutes of exploration, fixed seeds.
const QUICK: Amount = Amount { arguments: &["--explore-seconds=22", "--runs=300"] };
/// For a machine that has nothing else to do.
const DEEP: Amount = Amount { arguments: &["--explore-seconds=600", "--runs=20000"] };

/// Runs the verb.
pub(crate) fn check(arguments: &cli::Check) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let settings = Settings::default();
    let cargo = Cargo { workspace: &workspace, machine: Arch::Aarch64.machine(), settings: &settings };
    if arguments.deep {
        run(&cargo, &DEEP)?;
        nightly()?;
        fuzz(&cargo)?;
        miri(&cargo)?;
        mutants(&cargo)?;
    } else {
        run(&cargo, &QUICK)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The part of `cargo xtask ci`.
pub(crate) fn in_ci(cargo: &Cargo<'_>) -> Result<()> {
    run(cargo, &CI)
}

fn run(cargo: &Cargo<'_>, amount: &Amount) -> Result<()> {
    setup::solver()?;
    let mut command = cargo.command("run");
    command.args(["--package", "keel-check", "--profile", "checker", "--"]).args(amount.arguments);
    cargo::run(&mut command)
}

/// The toolchain that the fuzzer and Miri need.
const NIGHTLY: &str = "nightly";
/// Seconds that the fuzzer runs.
const FUZZ_SECONDS: u32 = 1800;
/// The sources of which mutants are made: where operations are decided and carried out.
const MUTATED: [&str; 6] = [
    "kernel/src/object/cnode.rs",
    "kernel/src/object/untyped.rs",
    "kernel/src/object/sched_context.rs",
    "kernel/src/object/irq.rs",
    "kernel/src/ipc/rendezvous.rs",
    "kernel/src/ipc/fastpath.rs",
];
/// One of so many mutants is tried.
const MUTANTS_SHARD: &str = "0/8";

/// Makes sure that the nightly toolchain is there, with Miri.
fn nightly() -> Result<()> {
    let mut has_miri = with_nightly(&["miri", "--version"]);
    if has_miri.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say!("adding the Rust toolchain {NIGHTLY} with Miri");
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install", NIGHTLY, "--no-self-update", "--profile", "minimal"]);
    cargo::run(command.args(["--component", "miri", "--component", "rust-src"]))
}

/// Makes sure that a tool of Cargo's is there.
fn tool(name: &str) -> Result<()> {
    let mut command = Command::new("cargo");
    if command.args([name, "--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say!("installing cargo-{name}");
    cargo::run(Command::new("cargo").args(["install", "--locked", &format!("cargo-{name}")]))
}

/// Cargo of the nightly toolchain.
fn with_nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "cargo"]).args(arguments);
    command
}

/// Bytes to operations, for as long as was said; what it finds stays in `check/fuzz/artifacts`.
fn fuzz(cargo: &Cargo<'_>) -> Result<()> {
    tool("fuzz")?;
    let mut command =
        with_nightly(&["fuzz", "run", "--fuzz-dir", ".", "--sanitizer", "none", "lockstep", "--"]);
    command.arg(format!("-max_total_time={FUZZ_SECONDS}")).arg("-max_len=600").arg("-print_final_stats=1");
    cargo::run(command.current_dir(cargo.workspace.root().join("check/fuzz")))
}

/// The rules of aliasing and initialisation, on a short run.
fn miri(cargo: &Cargo<'_>) -> Result<()> {
    let mut command = with_nightly(&["miri", "test", "--package", "keel-check", "--test", "short"]);
    command.env("MIRIFLAGS", "-Zmiri-tree-borrows -Zmiri-disable-isolation");
    cargo::run(command.current_dir(cargo.workspace.root()))
}

/// Whether the kernel's tests and the checker notice small changes of the kernel. Survivors are for people to look at,
/// so they are no failure.
fn mutants(cargo: &Cargo<'_>) -> Result<()> {
    const SURVIVORS: i32 = 2;
    const TIMEOUTS: i32 = 3;
    tool("mutants")?;
    let mut command = Command::new("cargo");
    command.args(["mutants", "--package", "keel-kernel", "--test-package", "keel-kernel,keel-check"]);
    command.args(["--shard", MUTANTS_SHARD, "--output", "target"]);
    command.args(MUTATED.iter().flat_map(|file| ["--file", file]));
    let status = command.current_dir(cargo.workspace.root()).status().context("cannot start cargo")?;
    let is_told = matches!(status.code(), Some(0 | SURVIVORS | TIMEOUTS));
    ensure!(is_told, "cargo mutants failed with {status}");
    Ok(())
}
