// SPDX-License-Identifier: MIT OR Apache-2.0

//! The systems that boot: a root task each, with the child programs and the input that it carries.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::PossibleValuesParser;

use crate::cargo::{ARCHIVE, Cargo, Side};
use crate::elf::{Executable, Placement};
use crate::machine::{Arch, KernelProfile};
use crate::options::{self, Settings};
use crate::{archive, artifact};

/// A larger input is refused; it has to fit in the machine's memory several times.
const MAX_INPUT_BYTES: usize = 256 << 20;

/// One system.
#[derive(Debug)]
pub(crate) struct System {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// The package with its root task.
    root: &'static str,
    /// The packages with its child programs.
    children: &'static [&'static str],
    /// The architectures that it runs on.
    arches: &'static [Arch],
    /// The kernel that it runs on when nothing else is asked for.
    pub(crate) kernel: KernelProfile,
    /// Build options that it runs with when nothing else is asked for, as on the command line.
    options: &'static [&'static str],
    /// Whether it works on an input.
    takes_input: bool,
    /// What it works on when no input is given, as a path in the workspace.
    default_input: Option<&'static str>,
}

/// The system that `run` boots when none is named.
pub(crate) const DEFAULT: &str = "browser";

/// What the browser shows when no picture is given.
pub(crate) const DEFAULT_PICTURE: &str = "systems/browser/pictures/keel.png";

/// For systems that know no architecture.
const EVERYWHERE: &[Arch] = &[Arch::Aarch64, Arch::Riscv64, Arch::X86_64];

static SYSTEMS: &[System] = &[
    System {
        name: "adversary",
        root: "keel-adversary",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Release,
        options: &["export-pmu=on", "root-cnode-bits=16"],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "bench",
        root: "keel-bench",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Release,
        options: &["export-pmu=on", "root-cnode-bits=13"],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "hello",
        root: "keel-hello",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &[],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "echo",
        root: "keel-echo",
        children: &["keel-pl011", "keel-ns16550"],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &[],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "processes",
        root: "keel-processes",
        children: &["keel-pl011", "keel-ns16550", "keel-processes-child"],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &[],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "conformance",
        root: "keel-conformance",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &[],
        takes_input: false,
        default_input: None,
    },
    System {
        name: "fuzz",
        root: "keel-fuzz",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &["log=off"],
        takes_input: true,
        default_input: Some("systems/fuzz/orders"),
    },
    System {
        name: "browser",
        root: "keel-browser",
        children: &[
            "keel-pl011",
            "keel-ns16550",
            "keel-browser-hostile",
            "keel-browser-jpeg",
            "keel-browser-neighbour",
            "keel-browser-png",
            "keel-browser-tab",
            "keel-browser-vault",
            "keel-browser-watch",
        ],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        // A file of 32 MiB in the root task's image takes 8192 slots; and attacks are refused by the thousand.
        options: &["log=faults", "root-cnode-bits=14"],
        takes_input: true,
        default_input: Some(DEFAULT_PICTURE),
    },
];

/// Accepts the name of a system.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(SYSTEMS.iter().map(|system| system.name))
}

/// All systems.
pub(crate) fn all() -> &'static [System] {
    SYSTEMS
}

/// Finds a system by its name.
pub(crate) fn find(name: &str) -> Result<&'static System> {
    SYSTEMS.iter().find(|system| system.name == name).with_context(|| format!("there is no system `{name}`"))
}

/// What a system is given besides its programs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Luggage<'a> {
    /// The file that it works on.
    pub(crate) input: Option<&'a Path>,
    /// The one test case to run.
    pub(crate) case: Option<&'a str>,
    /// Whether the console shows no colours.
    pub(crate) grey: bool,
}

/// A system that is ready to boot.
#[derive(Debug)]
pub(crate) struct BuiltSystem {
    /// The archive that is in it.
    pub(crate) archive: PathBuf,
    /// The root task's ELF as it boots.
    pub(crate) root_task: PathBuf,
    /// The same, with the names of its functions.
    pub(crate) symbols: PathBuf,
}

impl BuiltSystem {
    /// What the crates of user programs need to be compiled.
    pub(crate) fn program_variables(&self) -> [(&'static str, &OsStr); 1] {
        [(ARCHIVE, self.archive.as_os_str())]
    }
}

impl System {
    /// Builds all programs of the system.
    pub(crate) fn build(&self, cargo: &Cargo<'_>, luggage: Luggage<'_>) -> Result<BuiltSystem> {
        let input = self.read_input(cargo.workspace.root(), luggage.input)?;
        let directory = cargo.workspace.output(cargo.machine).join("systems").join(self.name);
        let archive = directory.join("archive.tar");
        artifact::write(&archive, &self.pack(cargo, input.as_deref(), luggage)?)?;

        let mut built =
            BuiltSystem { archive, root_task: directory.join("roottask.elf"), symbols: PathBuf::new() };
        built.symbols = cargo.build_one(Side::User, self.root, &built.program_variables())?;
        artifact::write(&built.root_task, &stripped(&built.symbols, cargo)?)?;
        Ok(built)
    }

    /// Its own build options, and `asked` over them.
    pub(crate) fn settings(&self, asked: &Settings) -> Result<Settings> {
        let own = self.options.iter().map(|text| options::parse(text).map_err(anyhow::Error::msg));
        Ok(own.collect::<Result<Settings>>()?.with(asked.clone()))
    }

    /// The packages that it is made of.
    pub(crate) fn packages(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.root).chain(self.children.iter().copied())
    }

    /// Whether it runs on an architecture.
    pub(crate) fn runs_on(&self, arch: Arch) -> bool {
        self.arches.contains(&arch)
    }

    /// Whether it cannot be built without an input from the user.
    pub(crate) fn needs_input(&self) -> bool {
        self.takes_input && self.default_input.is_none()
    }

    fn read_input(&self, workspace: &Path, given: Option<&Path>) -> Result<Option<Vec<u8>>> {
        let path = match (given, self.default_input) {
            (Some(_), _) if !self.takes_input => bail!("the system `{}` takes no --input", self.name),
            (Some(path), _) => path.to_owned(),
            (None, Some(path)) => workspace.join(path),
            (None, None) if self.needs_input() => bail!("the system `{}` needs an --input FILE", self.name),
            (None, None) => return Ok(None),
        };
        let content = artifact::read(&path)?;
        ensure!(
            content.len() <= MAX_INPUT_BYTES,
            "{} is too large for an input (over {} MiB)",
            path.display(),
            MAX_INPUT_BYTES >> 20
        );
        Ok(Some(content))
    }

    fn pack(&self, cargo: &Cargo<'_>, input: Option<&[u8]>, luggage: Luggage<'_>) -> Result<Vec<u8>> {
        let built = cargo.build(Side::User, self.children, &[])?;
        let mut children = Vec::new();
        for name in self.children {
            let path = built.get(*name).context("cargo made no program")?;
            children.push((*name, stripped(path, cargo)?));
        }
        let programs = children.iter().map(|(name, content)| (*name, &content[..]));
        let input = input.map(|content| (archive::INPUT, content));
        let case = luggage.case.map(|name| (archive::CASE, name.as_bytes()));
        let grey = luggage.grey.then_some((archive::GREY, &[][..]));
        archive::pack(programs.chain(input).chain(case).chain(grey))
    }
}

/// What of a program is loaded, without symbols.
fn stripped(program: &Path, cargo: &Cargo<'_>) -> Result<Vec<u8>> {
    let content = artifact::read(program)?;
    let elf = Executable::parse(&content, cargo.machine.elf_machine, Placement::Fixed);
    Ok(elf.with_context(|| program.display().to_string())?.loadable())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::artifact::tests::Scratch;

    const SYSTEM: System = System {
        name: "painter",
        root: "painter",
        children: &[],
        arches: EVERYWHERE,
        kernel: KernelProfile::Debug,
        options: &[],
        takes_input: true,
        default_input: None,
    };

    #[test]
    fn the_table_is_consistent() {
        assert!(find(DEFAULT).is_ok());
        for system in SYSTEMS {
            assert!(system.takes_input || system.default_input.is_none(), "{}", system.name);
            assert!(std::ptr::eq(find(system.name).unwrap(), system));
            assert!(system.settings(&Settings::default()).is_ok(), "{}", system.name);
        }
        assert!(find("nothing").unwrap_err().to_string().contains("nothing"));
    }

    #[test]
    fn what_is_asked_for_counts_more_than_the_systems_options() {
        let system = System { options: &["log=faults", "domains=2"], ..SYSTEM };
        let asked = Settings::from_iter([options::parse("log=off").unwrap()]);
        assert_eq!(system.settings(&asked).unwrap().to_string(), "domains=2 log=off");
    }

    #[test]
    fn an_input_comes_from_where_it_should() {
        let scratch = Scratch::new("system-input");
        let here = scratch.0.as_path();
        artifact::write(&here.join("default"), b"default").unwrap();
        artifact::write(&here.join("given"), b"given").unwrap();
        let with_default = System { default_input: Some("default"), ..SYSTEM };
        let without = System { takes_input: false, ..SYSTEM };
        let given = here.join("given");

        let read = |system: &System, path| system.read_input(here, path);
        assert_eq!(read(&with_default, None).unwrap().unwrap(), b"default");
        assert_eq!(read(&with_default, Some(given.as_path())).unwrap().unwrap(), b"given");
        assert_eq!(read(&without, None).unwrap(), None);
        assert!(read(&SYSTEM, None).unwrap_err().to_string().contains("needs an --input"));
        assert!(read(&without, Some(given.as_path())).unwrap_err().to_string().contains("takes no --input"));
        assert!(read(&SYSTEM, Some(&here.join("missing"))).unwrap_err().to_string().contains("missing"));
    }
}
