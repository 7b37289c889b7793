// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask fuzz`: random system calls against the debug kernel, with its state audited on the way.

use std::io;
use std::process::ExitCode;

use anyhow::{Error, Result};

use crate::cargo::Cargo;
use crate::guest::{self, Console, Limits};
use crate::machine::KernelProfile;
use crate::qemu::Boot;
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{artifact, cli, image, options, say, setup};

/// The seeds that are always tried, one to a line.
const SEEDS: &str = "systems/fuzz/seeds";

/// Runs the verb: one boot for each seed.
pub(crate) fn fuzz(arguments: &cli::Fuzz) -> Result<ExitCode> {
    let machine = arguments.target.arch.machine();
    setup::rust_targets(machine)?;
    setup::qemu(machine)?;
    let workspace = Workspace::load()?;
    let quiet = options::parse("log=off").map_err(Error::msg)?;
    let settings = arguments.target.settings().with([quiet]);
    let cargo = Cargo { workspace: &workspace, machine, settings: &settings };
    let image = image::build(&cargo, KernelProfile::Debug)?;
    let seeds = match arguments.seed {
        Some(seed) => vec![seed],
        None => kept_seeds(&workspace)?,
    };
    let calls = arguments.calls / seeds.len() as u64;
    for seed in seeds {
        let orders = workspace.output(machine).join("fuzz-orders");
        artifact::write(&orders, format!("calls={calls} seed={seed}\n").as_bytes())?;
        let luggage = Luggage { input: Some(&orders), ..Luggage::default() };
        let built = system::find("fuzz")?.build(&cargo, luggage)?;
        let boot = Boot {
            machine,
            image: &image.image,
            root_task: &built.root_task,
            memory: None,
            more: &[],
            icount: true,
            gdb: false,
        };
        let limits = Limits { until: None, fail_on: None, timeout: arguments.timeout };
        let end = guest::run(boot.command(), Console::Live, limits, &mut io::stdout())?;
        say!("{calls} calls with seed {seed}: {}", end.reason());
        if end.status() != 0 {
            say!("to see it again: cargo xtask fuzz --calls {calls} --seed {seed}");
            return Ok(ExitCode::from(end.status()));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The seeds in [`SEEDS`].
fn kept_seeds(workspace: &Workspace) -> Result<Vec<u64>> {
    let text = String::from_utf8(artifact::read(&workspace.root().join(SEEDS))?)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| Ok(line.parse()?)).collect()
}
