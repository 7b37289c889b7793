// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask test`: the host tests, then the system tests, and their sum.

use std::ops::AddAssign;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo::Cargo;
use crate::workspace::Workspace;
use crate::{cli, host_tests, interrupt, say, setup, system_tests};

/// How many tests went how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that passed.
    pub(crate) passed: u64,
    /// Tests that failed.
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

/// Runs the verb.
pub(crate) fn test(arguments: &cli::Test) -> Result<ExitCode> {
    let machine = arguments.target.arch.machine();
    let choice =
        system_tests::Choice { filter: arguments.filter.as_deref(), case: arguments.case.as_deref() };
    let chosen = system_tests::choose(choice);
    if let (Some(case), true) = (choice.case, chosen.is_empty()) {
        bail!("no system test here reports its cases one by one, so there is no case `{case}`");
    }
    setup::rust_targets(machine)?;
    setup::qemu(machine)?;
    let workspace = Workspace::load()?;
    let settings = arguments.target.settings();
    let cargo = Cargo { workspace: &workspace, machine, settings: &settings };

    let mut tally = Tally::default();
    if choice.case.is_none() {
        tally += host_tests::run(&cargo, choice.filter)?;
    }
    for test in chosen {
        if interrupt::requested() {
            return Ok(ExitCode::from(interrupt::STATUS));
        }
        tally += test.run(&cargo, choice.case);
    }
    if tally == Tally::default() {
        say!("no test has `{}` in its name", choice.filter.unwrap_or_default());
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
