// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask check`: the kernel held against its specification, and the specification against its theorems.
//!
//! The work is done by the program `keel-check`, which prints the table; here it is built, given the amount that was
//! asked for, and the solver that it needs is installed. The deep check goes on from there ([`crate::deep`]).

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cargo::{self, Cargo};
use crate::machine::Arch;
use crate::options::Settings;
use crate::workspace::Workspace;
use crate::{cli, deep, setup};

/// What is asked of the checker: seconds for each small system, random runs of each kind.
type Amount = &'static [&'static str];

/// What every change must pass, in a few minutes: all theorems and broken variants, a little of the rest.
const CI: Amount = &["--explore-seconds=8", "--runs=120"];
/// All theorems and broken variants, a few minutes of exploration, fixed seeds.
const QUICK: Amount = &["--explore-seconds=22", "--runs=300"];

/// Runs the verb.
pub(crate) fn check(arguments: &cli::Check) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let settings = Settings::default();
    let cargo = Cargo { workspace: &workspace, machine: Arch::Aarch64.machine(), settings: &settings };
    if arguments.deep {
        return deep::check(&cargo, arguments);
    }
    run(&cargo, QUICK)?;
    Ok(ExitCode::SUCCESS)
}

/// The part of `cargo xtask ci`.
pub(crate) fn in_ci(cargo: &Cargo<'_>) -> Result<()> {
    run(cargo, CI)
}

fn run(cargo: &Cargo<'_>, amount: Amount) -> Result<()> {
    setup::solver()?;
    cargo::run(checker(cargo, "run").arg("--").args(amount))
}

/// A command of cargo on the checker, with all that it checks and as fast as that can be. The kernel has two domains here,
/// and one where the checker is among the tests.
pub(crate) fn checker(cargo: &Cargo<'_>, verb: &str) -> Command {
    let mut command = cargo.command(verb);
    command.args(["--package", "keel-check", "--profile", "checker"]).env("KEEL_DOMAINS", "2");
    command
}
