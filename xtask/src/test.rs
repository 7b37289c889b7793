// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask test`: the host tests, then the system tests, and their sum.

use std::ops::AddAssign;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::cargo::Cargo;
use crate::machine::{Arch, Arches};
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
    let Arches(arches) = &arguments.target.arch;
    let choice =
        system_tests::Choice { filter: arguments.filter.as_deref(), case: arguments.case.as_deref() };
    let chosen = system_tests::choose(choice, arches);
    if let (Some(case), true) = (choice.case, chosen.is_empty()) {
        bail!("no system test here reports its cases one by one, so there is no case `{case}`");
    }
    for &arch in arches {
        setup::rust_targets(arch.machine())?;
        setup::qemu(arch.machine())?;
    }
    let workspace = Workspace::load()?;
    let settings = arguments.target.settings();
    let cargo = |arch: Arch| Cargo { workspace: &workspace, machine: arch.machine(), settings: &settings };

    let mut tally = Tally::default();
    if choice.case.is_none() {
        tally += host_tests::run(&cargo(Arch::Aarch64), choice.filter)?;
    }
    let mut matrix = Vec::new();
    for test in chosen {
        let mut row = Vec::new();
        for &arch in arches {
            if interrupt::requested() {
                return Ok(ExitCode::from(interrupt::STATUS));
            }
            let result = test.runs_on(arch).then(|| test.run(&cargo(arch), choice.case));
            tally += result.unwrap_or_default();
            row.push(result);
        }
        matrix.push((test.name(), row));
    }
    if tally == Tally::default() {
        say!("no test has `{}` in its name", choice.filter.unwrap_or_default());
    }
    if !matrix.is_empty() {
        print!("\n{}\n", matrix_text(arches, &matrix));
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 && tally.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The system tests' results: a row for each test, a column for each architecture.
fn matrix_text(arches: &[Arch], rows: &[(&str, Vec<Option<Tally>>)]) -> String {
    let mut text = format!("{:<28}", "system test");
    for arch in arches {
        text += &format!(" {:>16}", arch.machine().name);
    }
    for (name, results) in rows {
        text += &format!("\n{name:<28}");
        for result in results {
            text += &format!(" {:>16}", cell(*result));
        }
    }
    text + "\n"
}

/// A field of the matrix: tests that do not run on an architecture have a dash there.
fn cell(result: Option<Tally>) -> String {
    match result {
        None => "-".into(),
        Some(Tally { passed, failed: 0 }) => format!("{passed} ok"),
        Some(Tally { passed, failed }) => format!("{passed} ok, {failed} FAILED"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_shows_what_ran_where() {
        let rows = [
            ("hello", vec![Some(Tally { passed: 1, failed: 0 }), Some(Tally { passed: 0, failed: 1 })]),
            ("conformance", vec![Some(Tally { passed: 300, failed: 0 }), None]),
        ];
        let text = matrix_text(&[Arch::Aarch64, Arch::Riscv64], &rows);
        let lines: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["system", "test", "aarch64", "riscv64"]);
        assert_eq!(lines[1], ["hello", "1", "ok", "0", "ok,", "1", "FAILED"]);
        assert_eq!(lines[2], ["conformance", "300", "ok", "-"]);
    }
}
