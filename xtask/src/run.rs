// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask run`: builds a system, boots it and shows its console.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};

use crate::cargo::Cargo;
use crate::elf::{Executable, Placement, symbol_at};
use crate::guest::{self, Console, Limits};
use crate::machine::{KernelProfile, Machine};
use crate::options::Settings;
use crate::qemu::{self, Boot};
use crate::system::{self, Luggage};
use crate::workspace::Workspace;
use crate::{artifact, cli, image, say, setup};

/// Runs the verb.
pub(crate) fn run(arguments: &cli::Run) -> Result<ExitCode> {
    let machine = arguments.target.arch.machine();
    setup::rust_targets(machine)?;
    setup::qemu(machine)?;
    let workspace = Workspace::load()?;
    let settings = settings(arguments)?;
    let cargo = Cargo { workspace: &workspace, machine, settings: &settings };
    let RootTask { boots: root_task, symbols, kernel } = root_task(arguments, &cargo)?;
    let image = image::build(&cargo, kernel)?;
    if arguments.gdb {
        let attach = format!("gdb-multiarch -ex 'target remote :{}'", qemu::GDB_PORT);
        say!("waiting for a debugger: {attach} {}", image.kernel.display());
    }
    let boot = Boot {
        machine,
        image: &image.image,
        root_task: &root_task,
        memory: arguments.memory.as_deref(),
        more: &[],
        icount: arguments.icount,
        gdb: arguments.gdb,
    };
    let limits = Limits {
        until: arguments.until.as_deref(),
        fail_on: arguments.fail_on.as_deref(),
        timeout: arguments.timeout,
    };
    let mut shown = LiveConsole::default();
    let end = guest::run(boot.command(), Console::Live, limits, &mut shown)?;
    shown.end_line();
    say!("{}", end.reason());
    if let Some(place) = end.fault_line().and_then(|line| place_of_fault(line, &symbols)) {
        say!("the root task was in {place}");
    }
    Ok(ExitCode::from(end.status()))
}

/// The build options: those of the command line over those of the system.
fn settings(arguments: &cli::Run) -> Result<Settings> {
    let asked = arguments.target.settings();
    match &arguments.root_task {
        Some(_) => Ok(asked),
        None => system::find(&arguments.system)?.settings(&asked),
    }
}

/// What to boot.
struct RootTask {
    /// The file that boots.
    boots: PathBuf,
    /// The same program, with the names of its functions if it ever had them.
    symbols: PathBuf,
    /// The kernel to boot it on.
    kernel: KernelProfile,
}

/// The root task to boot.
fn root_task(arguments: &cli::Run, cargo: &Cargo<'_>) -> Result<RootTask> {
    if let Some(path) = &arguments.root_task {
        check_root_task(path, cargo.machine)?;
        let kernel = arguments.profile.chosen().unwrap_or(KernelProfile::Debug);
        return Ok(RootTask { boots: path.clone(), symbols: path.clone(), kernel });
    }
    let (system, arch) = (system::find(&arguments.system)?, arguments.target.arch);
    ensure!(system.runs_on(arch), "the system `{}` does not run on {arch}", system.name);
    let luggage = Luggage { input: arguments.input.as_deref(), case: None, grey: !shows_colours() };
    let built = system.build(cargo, luggage)?;
    let kernel = arguments.profile.chosen().unwrap_or(system.kernel);
    Ok(RootTask { boots: built.root_task, symbols: built.symbols, kernel })
}

/// In which function the root task was when it faulted, as the kernel's `line` about it and its ELF file say.
fn place_of_fault(line: &str, symbols: &Path) -> Option<String> {
    let address = line.split_once(" at 0x")?.1;
    let digits = address.split(|character: char| !character.is_ascii_hexdigit()).next()?;
    let address = u64::from_str_radix(digits, 16).ok()?;
    symbol_at(&artifact::read(symbols).ok()?, address)
}

/// Whether standard output is a terminal whose user wants colours.
fn shows_colours() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stdout().is_terminal() && !refused
}

/// Refuses a file that could never run, before anything is built for it.
fn check_root_task(path: &Path, machine: &Machine) -> Result<()> {
    let content = artifact::read(path)?;
    Executable::parse(&content, machine.elf_machine, Placement::Fixed)
        .with_context(|| format!("{} is no root task for {}", path.display(), machine.name))?;
    Ok(())
}

/// The tool's standard output, which remembers whether its last line is complete.
#[derive(Debug, Default)]
struct LiveConsole {
    is_within_line: bool,
}

impl LiveConsole {
    /// Ends an incomplete line, so that what the tool says stands on one of its own.
    fn end_line(&self) {
        if self.is_within_line {
            println!();
        }
    }
}

impl Write for LiveConsole {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::stdout().write(bytes)?;
        if let Some(last) = bytes[..written].last() {
            self.is_within_line = *last != b'\n';
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::tests::Scratch;
    use crate::machine::Arch;

    #[test]
    fn a_file_that_is_no_root_task_is_named() {
        let scratch = Scratch::new("root-task");
        let path = scratch.0.join("script.sh");
        artifact::write(&path, b"#!/bin/sh").unwrap();
        let error = format!("{:#}", check_root_task(&path, Arch::Aarch64.machine()).unwrap_err());
        assert!(error.ends_with("script.sh is no root task for aarch64: this is no ELF file"), "{error}");
        artifact::write(&path, &crate::elf::tests::make(&[crate::elf::tests::TEXT])).unwrap();
        assert!(check_root_task(&path, Arch::Aarch64.machine()).is_ok());
    }
}
