// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tests that run on the host: `cargo test`, counted test by test.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result};

use crate::cargo::Cargo;
use crate::say;
use crate::test::Tally;

/// Runs the tests whose names contain the filter, and shows them as they run.
pub(crate) fn run(cargo: &Cargo<'_>, filter: Option<&str>) -> Result<Tally> {
    let mut command = cargo.command("test");
    command.args(["--no-fail-fast", "--"]).args(filter);
    let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
    let mut tally = Tally::default();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read the tests' output")?;
            println!("{line}");
            tally += counted(&line).unwrap_or_default();
        }
    }
    let status = child.wait().context("cannot wait for cargo")?;
    if !status.success() && tally.failed == 0 {
        say!("the host tests did not build, or one of them ended without a result ({status})");
        tally.failed = 1;
    }
    Ok(tally)
}

/// Reads the line by which a test program tells its result.
fn counted(line: &str) -> Option<Tally> {
    let (_, numbers) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let number = |what: &str| -> Option<u64> {
        numbers.split("; ").find_map(|part| part.strip_suffix(what)).and_then(|number| number.parse().ok())
    };
    Some(Tally { passed: number(" passed")?, failed: number(" failed")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let line =
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        assert_eq!(counted(line), Some(Tally { passed: 12, failed: 0 }));
        let line = "test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(counted(line), Some(Tally { passed: 2, failed: 5 }));
    }

    #[test]
    fn other_lines_are_not() {
        for line in
            ["", "test a ... ok", "running 3 tests", "test result: ok", "test result: ok. x passed; y failed"]
        {
            assert_eq!(counted(line), None, "{line}");
        }
    }
}
