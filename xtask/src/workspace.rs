// SPDX-License-Identifier: MIT OR Apache-2.0

//! The workspace: its crates and its directories.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cargo_metadata::MetadataCommand;

use crate::machine::Machine;

/// What cargo knows about the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
    crates: Vec<Crate>,
}

/// One crate of the workspace.
#[derive(Debug)]
pub(crate) struct Crate {
    /// Its name.
    pub(crate) name: String,
    /// Whether it makes a program.
    is_program: bool,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let metadata = MetadataCommand::new()
            .manifest_path(here.join("Cargo.toml"))
            .no_deps()
            .exec()
            .context("cargo does not understand the workspace")?;
        let crates = metadata.workspace_packages().into_iter().map(|package| Crate {
            name: package.name.to_string(),
            is_program: package.targets.iter().any(|target| target.is_bin()),
            directory: package.manifest_path.parent().map(PathBuf::from).unwrap_or_default(),
        });
        Ok(Workspace {
            crates: crates.collect(),
            root: metadata.workspace_root.into(),
            target: metadata.target_directory.into(),
        })
    }

    /// The workspace's directory.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's directory for what it builds.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// The directory for what the tool makes for a machine.
    pub(crate) fn output(&self, machine: &Machine) -> PathBuf {
        self.target.join("keel").join(machine.name)
    }

    /// All crates.
    pub(crate) fn crates(&self) -> &[Crate] {
        &self.crates
    }

    /// The names of all user programs: systems, their children and drivers.
    pub(crate) fn user_programs(&self) -> Vec<&str> {
        let [systems, drivers] = ["systems", "user/drivers"].map(|room| self.root.join(room));
        let is_ours =
            |krate: &&Crate| krate.directory.starts_with(&systems) || krate.directory.starts_with(&drivers);
        let crates = self.crates.iter().filter(is_ours).filter(|krate| krate.is_program);
        crates.map(|krate| krate.name.as_str()).collect()
    }

    /// A path as one would type it at the workspace's root.
    pub(crate) fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_is_found_with_its_programs() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.root().join("xtask/Cargo.toml").is_file());
        assert!(workspace.crates().iter().any(|krate| krate.name == "keel-kernel"));
        let programs = workspace.user_programs();
        assert!(programs.contains(&"keel-hello") && programs.contains(&"keel-pl011"));
        assert!(!programs.contains(&"keel") && !programs.contains(&"xtask"));
        assert!(!programs.contains(&"keel-browser-protocol"), "a library");
    }
}
