// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask build`: builds kernel, loader and all systems.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cargo::Cargo;
use crate::machine::KernelProfile;
use crate::options::Settings;
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{cli, image, setup};

/// Runs the verb.
pub(crate) fn build(arguments: &cli::Build) -> Result<ExitCode> {
    let arch = arguments.target.arch;
    let machine = arch.machine();
    if let Some(board) = arguments.board {
        ensure!(board.arch() == arch, "the board {} is {}, not {arch}", board.name(), board.arch());
        setup::qemu(machine)?;
    }
    setup::rust_targets(machine)?;
    let workspace = Workspace::load()?;
    let settings: Settings = arguments.target.settings();
    let cargo = Cargo { workspace: &workspace, machine, settings: &settings };
    let profile = arguments.profile.chosen().unwrap_or(KernelProfile::Debug);

    let image = image::build(&cargo, profile)?;
    report(&workspace, "kernel", &image.kernel)?;
    report(&workspace, "boot image", &image.image)?;
    if let Some(board) = arguments.board {
        let kernel = image::build_for_board(&cargo, profile, board)?;
        report(&workspace, &format!("kernel for {}", board.name()), &kernel)?;
    }
    for system in system::all() {
        // A system that cannot do without an input is built when it runs.
        if system.needs_input() {
            continue;
        }
        let built = system.build(&cargo, Luggage::default())?;
        report(&workspace, &format!("system {}", system.name), &built.root_task)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a file is, where it is and how large.
fn report(workspace: &Workspace, what: &str, path: &Path) -> Result<()> {
    let size = path.metadata().with_context(|| format!("cannot find {}", path.display()))?.len();
    println!("{what:<22} {:>10} bytes  {}", size, workspace.relative(path).display());
    Ok(())
}
