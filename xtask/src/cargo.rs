// SPDX-License-Identifier: MIT OR Apache-2.0

//! Cargo, called for crates that run without an operating system.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use cargo_metadata::Message;

use crate::machine::{KernelProfile, Machine, USER_PROFILE};
use crate::options::Settings;
use crate::workspace::Workspace;

/// Names, for the loader's build, the kernel ELF that it carries.
pub(crate) const KERNEL_ELF: &str = "KEEL_KERNEL_ELF";

/// Names, for a root task's build, the archive that it carries.
pub(crate) const ARCHIVE: &str = "KEEL_ARCHIVE";

/// Names, for the kernel's build, the device tree to bake in.
pub(crate) const BOARD_DTB: &str = "KEEL_BOARD_DTB";

/// Gives the kernel's build its physical address.
pub(crate) const BOARD_PADDR: &str = "KEEL_BOARD_PADDR";

/// Makes marks for the analysis of paths instructions.
pub(crate) const VISIBLE_MARKS: &str = "KEEL_VISIBLE_MARKS";

/// Variables that no build takes from the caller's environment: those above, and those that would replace
/// the flags that bare-metal builds need.
const NOT_FROM_OUTSIDE: [&str; 9] = [
    KERNEL_ELF,
    ARCHIVE,
    BOARD_DTB,
    BOARD_PADDR,
    VISIBLE_MARKS,
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
];

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

/// Variables that tell a build what to take in.
pub(crate) type Variables<'a> = &'a [(&'a str, &'a OsStr)];

impl Cargo<'_> {
    /// A command of cargo at the workspace's root with the build options.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.arg(verb).current_dir(self.workspace.root());
        self.settings.apply(&mut command);
        for variable in NOT_FROM_OUTSIDE {
            command.env_remove(variable);
        }
        command
    }

    /// A command of cargo on bare-metal packages.
    pub(crate) fn bare_metal(
        &self,
        verb: &str,
        side: Side,
        packages: &[&str],
        variables: Variables<'_>,
    ) -> Command {
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
        command.envs(variables.iter().copied());
        command
    }

    /// Builds bare-metal packages; gives the executable that each makes, by the package's name.
    pub(crate) fn build(
        &self,
        side: Side,
        packages: &[&str],
        variables: Variables<'_>,
    ) -> Result<BTreeMap<String, PathBuf>> {
        if packages.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut command = self.bare_metal("build", side, packages, variables);
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
    pub(crate) fn build_one(&self, side: Side, package: &str, variables: Variables<'_>) -> Result<PathBuf> {
        self.build(side, &[package], variables)?.remove(package).context("cargo made no program")
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
    let words = command.get_args().map(|word| word.display().to_string());
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
        let given: Variables<'_> = &[(KERNEL_ELF, OsStr::new("/k"))];
        let command = cargo.bare_metal("build", Side::Kernel(KernelProfile::Release), &["a", "b"], given);
        assert!(line(&command).ends_with(
            "build --target aarch64-unknown-none-softfloat --profile kernel --package a --package b --config \
             target.aarch64-unknown-none-softfloat.rustflags=[\"-Cjump-tables=no\"]"
        ));
        let variables: BTreeMap<_, _> = command.get_envs().collect();
        let value = |name: &str| variables[OsStr::new(name)].and_then(OsStr::to_str);
        assert_eq!(value("RUSTFLAGS"), None);
        assert_eq!(value(ARCHIVE), None);
        assert_eq!(value("KEEL_DOMAINS"), Some("16"));
        assert_eq!(value(KERNEL_ELF), Some("/k"));
    }

    #[test]
    fn a_failed_command_is_named() {
        let error = run(Command::new("false").arg("x")).unwrap_err();
        assert_eq!(error.to_string(), "`false x` failed (exit status: 1)");
    }
}
