// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask check`: the kernel held against its specification, and the specification against its theorems.
//!
//! The work is done by the program `keel-check`, which prints the table; here it is built, given the amount that was
//! asked for, and the solver that it needs is installed.

use std::process::ExitCode;

use anyhow::Result;

use crate::cargo::{self, Cargo};
use crate::machine::Arch;
use crate::options::Settings;
use crate::workspace::Workspace;
use crate::{cli, setup};

/// What is asked of the checker: seconds for each small system, random runs of each kind, and more.
struct Amount {
    arguments: &'static [&'static str],
}

/// What every change must pass, in a few minutes: all theorems and broken variants, a little of the rest.
const CI: Amount = Amount { arguments: &["--explore-seconds=8", "--runs=120"] };
/// All theorems and broken variants, a few minutes of exploration, fixed seeds.
const QUICK: Amount = Amount { arguments: &["--explore-seconds=30", "--runs=300"] };
/// For a machine that has nothing else to do.
const DEEP: Amount = Amount { arguments: &["--explore-seconds=600", "--runs=20000"] };

/// Runs the verb.
pub(crate) fn check(arguments: &cli::Check) -> Result<ExitCode> {
    let workspace = Workspace::load()?;
    let settings = Settings::default();
    let cargo = Cargo { workspace: &workspace, machine: Arch::Aarch64.machine(), settings: &settings };
    run(&cargo, if arguments.deep { &DEEP } else { &QUICK })?;
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
