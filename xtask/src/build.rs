// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask build`: builds kernel, loader and all systems.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cargo::Cargo;
use crate::machine::{Arch, Arches, KernelProfile};
use crate::options::Settings;
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{cli, image, setup};

/// Runs the verb.
pub(crate) fn build(arguments: &cli::Build) -> Result<ExitCode> {
    let Arches(arches) = &arguments.target.arch;
    if let Some(board) = arguments.board {
        ensure!(**arches == [board.arch()], "the board {} is {}", board.name(), board.arch());
        setup::qemu(board.arch().machine())?;
    }
    let workspace = Workspace::load()?;
    let settings: Settings = arguments.target.settings();
    let profile = arguments.profile.chosen().unwrap_or(KernelProfile::Debug);
    for &arch in arches {
        let machine = arch.machine();
        setup::rust_targets(machine)?;
        let cargo = Cargo { workspace: &workspace, machine, settings: &settings };
        build_for(&cargo, arch, profile)?;
        if let Some(board) = arguments.board {
            let kernel = image::build_for_board(&cargo, profile, board)?;
            report(&workspace, &format!("kernel for {}", board.name()), &kernel)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds everything for one architecture.
fn build_for(cargo: &Cargo<'_>, arch: Arch, profile: KernelProfile) -> Result<()> {
    let image = image::build(cargo, profile)?;
    report(cargo.workspace, "kernel", &image.kernel)?;
    report(cargo.workspace, "boot image", &image.image)?;
    for system in system::all().iter().filter(|system| system.runs_on(arch)) {
        // A system that cannot do without an input is built when it runs.
        if system.needs_input() {
            continue;
        }
        let built = system.build(cargo, Luggage::default())?;
        report(cargo.workspace, &format!("system {}", system.name), &built.root_task)?;
    }
    Ok(())
}

/// Prints what a file is, where it is and how large.
fn report(workspace: &Workspace, what: &str, path: &Path) -> Result<()> {
    let size = path.metadata().with_context(|| format!("cannot find {}", path.display()))?.len();
    println!("{what:<22} {:>10} bytes  {}", size, workspace.relative(path).display());
    Ok(())
}
