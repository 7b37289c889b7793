// SPDX-License-Identifier: MIT OR Apache-2.0

//! Cargo, called for crates that run without an operating system.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::machine::{KernelProfile, Machine, USER_PROFILE};
use crate::options::Settings;
use crate::workspace::Workspace;

/// Variables by which a caller's environment would replace the flags that bare-metal builds need.
const OVERRIDES: [&str; 4] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_RUSTFLAGS", "CARGO_BUILD_TARGET"];

/// Cargo, with build options.
#[derive(Debug)]
pub(crate) struct Cargo<'a> {
    /// Where it works.
    pub(crate) workspace: &'a Workspace,
    /// What it builds for.
    pub(crate) machine: &'static Machine,
    /// The build options.
    pub(crate) settings: &'a Settings,
}

/// Which of a machine's two targets something is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Kernel and loader.
    Kernel(KernelProfile),
    /// User programs.
    User,
}

/// What crates are built with beyond their own settings: variables that name files.
pub(crate) type Files<'a> = &'a [(&'a str, &'a Path)];

impl Cargo<'_> {
    /// A command of cargo at the workspace's root with the build options.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(verb).current_dir(self.workspace.root());
        self.settings.apply(&mut command);
        for variable in OVERRIDES {
            command.env_remove(variable);
        }
        command
    }

    /// A command of cargo on bare-metal packages.
    pub(crate) fn bare_metal(&self, verb: &str, side: Side, packages: &[&str], files: Files<'_>) -> Command {
        let (target, flags, profile) = match side {
            Side::Kernel(profile) => {
                (self.machine.kernel_target, self.machine.kernel_rustflags, profile.cargo_profile())
            }
            Side::User => (self.machine.user_target, self.machine.user_rustflags, USER_PROFILE),
        };
        let mut command = self.command(verb);
        command.args(["--target", target, "--profile", profile]);
        command.args(packages.iter().flat_map(|package| ["--package", package]));
        command.arg("--config").arg(format!("target.{target}.rustflags={flags:?}"));
        command.envs(files.iter().copied());
        command
    }

    /// Builds bare-metal packages; gives the executable that each makes, by the package's name.
    pub(crate) fn build(
        &self,
        side: Side,
        packages: &[&str],
        files: Files<'_>,
    ) -> Result<BTreeMap<String, PathBuf>> {
        if packages.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut command = self.bare_metal("build", side, packages, files);
        command.arg("--message-format=json-render-diagnostics");
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
        let mut executables = BTreeMap::new();
        if let Some(output) = child.stdout.take() {
            for message in Message::parse_stream(BufReader::new(output)) {
                if let Message::CompilerArtifact(artifact) =
                    message.context("cannot read cargo's messages")?
                {
                    let executable = artifact.executable.map(PathBuf::from);
                    executables.extend(executable.map(|path| (artifact.target.name, path)));
                }
            }
        }
        let status = child.wait().context("cannot wait for cargo")?;
        ensure!(status.success(), "building {} failed", packages.join(", "));
        for package in packages {
            ensure!(executables.contains_key(*package), "the package {package} makes no program of its name");
        }
        Ok(executables)
    }

    /// Builds one bare-metal package; gives its executable.
    pub(crate) fn build_one(&self, side: Side, package: &str, files: Files<'_>) -> Result<PathBuf> {
        self.build(side, &[package], files)?.remove(package).context("cargo made no program")
    }
}

/// Runs a command whose output the user sees.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", name(command)))?;
    ensure!(status.success(), "`{}` failed ({status})", line(command));
    Ok(())
}

fn name(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string()
}

fn line(command: &Command) -> String {
    let words = command.get_args().map(|word| OsString::from(word).display().to_string());
    std::iter::once(name(command)).chain(words).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Arch;

    #[test]
    fn flags_go_to_their_target_and_none_come_from_outside() {
        let workspace = Workspace::load().unwrap();
        let settings = [crate::options::parse("domains=16").unwrap()].into_iter().collect();
        let cargo = Cargo { workspace: &workspace, machine: Arch::Aarch64.machine(), settings: &settings };
        let files: Files<'_> = &[("KEEL_KERNEL_ELF", Path::new("/k"))];
        let command = cargo.bare_metal("build", Side::Kernel(KernelProfile::Release), &["a", "b"], files);
        assert!(line(&command).ends_with(
            "build --target aarch64-unknown-none-softfloat --profile kernel --package a --package b --config \
             target.aarch64-unknown-none-softfloat.rustflags=[\"-Cjump-tables=no\"]"
        ));
        let variables: BTreeMap<_, _> = command.get_envs().collect();
        assert_eq!(variables[std::ffi::OsStr::new("RUSTFLAGS")], None);
        assert_eq!(variables[std::ffi::OsStr::new("KEEL_DOMAINS")], Some(std::ffi::OsStr::new("16")));
        assert_eq!(variables[std::ffi::OsStr::new("KEEL_KERNEL_ELF")], Some(std::ffi::OsStr::new("/k")));
    }

    #[test]
    fn a_failed_command_is_named() {
        let error = run(Command::new("false").arg("x")).unwrap_err();
        assert_eq!(error.to_string(), "`false x` failed (exit status: 1)");
    }
}
