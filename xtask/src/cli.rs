// SPDX-License-Identifier: MIT OR Apache-2.0

//! The command line: verbs, their options and their help.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::machine::{Arch, Arches, Board, KernelProfile};
use crate::options::{self, Setting, Settings};

/// Builds, runs and tests Keel. Sets up what is missing (Rust targets, QEMU) by itself.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Run(Run),
    Build(Build),
    Test(Test),
    Fuzz(Fuzz),
    Bench(Bench),
    Paths(Paths),
    Check(Check),
    Lines(Lines),
    /// Check everything that must hold before a change lands
    ///
    /// Formats, builds, lints, tests, documentation, and where unsafe code stands; prints each part's
    /// minutes and stops at the first that fails.
    #[command(after_help = "\
Example:
  cargo xtask ci                           what the gate runs")]
    Ci,
}

/// Build a system, boot it in QEMU and show its console
///
/// Exit status: 0 when the system reports success or the console shows the --until text; 1 when the
/// system reports failure, its root task faults, the kernel reports a bug, or the console shows the
/// --fail-on text; 124 on the timeout. A last line says why.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask run                                  boot the default system
  cargo xtask run hello --release                  the same kernel as it is shipped
  cargo xtask run hello --icount --timeout 60      count instructions; give up after a minute
  cargo xtask run --root-task my.elf --until READY boot your own root task
  cargo xtask run hello --gdb                      wait for a debugger")]
pub(crate) struct Run {
    /// The system to boot
    #[arg(value_parser = crate::system::names(), default_value = crate::system::DEFAULT)]
    pub(crate) system: String,
    #[command(flatten)]
    pub(crate) target: Target,
    #[command(flatten)]
    pub(crate) profile: Profile,
    /// A file for the system to work on; it travels inside the root task
    #[arg(long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Boot this ELF root task instead of one of ours
    #[arg(long, value_name = "ELF", conflicts_with_all = ["system", "input"])]
    pub(crate) root_task: Option<PathBuf>,
    /// Memory of the machine, such as 512M or 4G
    #[arg(long, value_name = "SIZE", value_parser = memory_size)]
    pub(crate) memory: Option<String>,
    /// Make the run deterministic: virtual time advances with each instruction
    #[arg(long)]
    pub(crate) icount: bool,
    /// End with success as soon as the console shows TEXT
    #[arg(long, value_name = "TEXT", value_parser = console_text, allow_hyphen_values = true)]
    pub(crate) until: Option<String>,
    /// End with failure as soon as the console shows TEXT
    #[arg(long, value_name = "TEXT", value_parser = console_text, allow_hyphen_values = true)]
    pub(crate) fail_on: Option<String>,
    /// End with status 124 after this many seconds, not counting the build
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Wait for a debugger and print the command that attaches one
    #[arg(long)]
    pub(crate) gdb: bool,
}

/// Build kernel, loader and all systems
///
/// Prints what was made, with sizes.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask build                       debug kernel
  cargo xtask build --release             the kernel as it is shipped
  cargo xtask build --board qemu-virt     also a kernel ELF that other loaders can start:
                                          fixed physical address, device tree baked in")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) target: Targets,
    #[command(flatten)]
    pub(crate) profile: Profile,
    /// Also make the kernel's ELF for foreign loaders on this board
    #[arg(long)]
    pub(crate) board: Option<Board>,
}

/// Run the host tests, then the system tests in QEMU
///
/// Ends with a line `N passed, N failed`. Exit status: 1 when anything failed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask test                         everything
  cargo xtask test hello                   what has `hello` in its name
  cargo xtask test conformance --case untyped::every_type_is_made
                                           one case of one test
  cargo xtask test --arch all              the same on all architectures, with a matrix at the end
  cargo xtask test --option domains=16     the same tests with another build option")]
pub(crate) struct Test {
    /// Only tests with this text in their names
    pub(crate) filter: Option<String>,
    #[command(flatten)]
    pub(crate) target: Targets,
    /// Only this case, of the systems that report their cases one by one
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
}

/// Throw random system calls at the debug kernel, and audit its state on the way
///
/// The same seed makes the same calls. Exit status as of `run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask fuzz                         10 million calls, divided among the seeds that are kept
  cargo xtask fuzz --calls 50000 --seed 7  a short run")]
pub(crate) struct Fuzz {
    #[command(flatten)]
    pub(crate) target: Target,
    /// How many calls in all
    #[arg(long, value_name = "N", default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) calls: u64,
    /// The one seed to use
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// End each run with status 124 after this many seconds, not counting the build
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
}

/// Count the instructions of the kernel's operations
///
/// Boots the benchmark twice on the reference's machine, once watched by a plugin from outside, and checks
/// that both runs are equal to the instruction. Prints for each operation Keel's count, the reference's,
/// their ratio, the kernel's part and, where there is any, firmware's, which is in none of the others.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask bench                          the table
  cargo xtask bench --arch all               on all architectures
  cargo xtask bench --json counts.json       also as JSON; of several architectures, a list
  cargo xtask bench --profile call_0_passive where its instructions go, by function and line
  cargo xtask bench --check                  fail if a count has grown by more than 1 %
  cargo xtask bench --update                 keep the counts as those that --check compares with, and
                                             write them into the book
  cargo xtask bench --adversary              how late interrupts are while a program does its worst")]
pub(crate) struct Bench {
    /// Architecture, or all
    #[arg(long, value_name = "ARCH", default_value = "aarch64")]
    pub(crate) arch: Arches,
    /// Also write the counts to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Print where the kernel's instructions of OPERATION, or of `boot`, go
    #[arg(long, value_name = "OPERATION")]
    pub(crate) profile: Option<String>,
    /// Compare with the counts that are kept
    #[arg(long)]
    pub(crate) check: bool,
    /// Keep these counts
    #[arg(long, conflicts_with_all = ["check", "profile"])]
    pub(crate) update: bool,
    /// Instead, do the worst to the kernel's interrupt latency, compare it with the bounds, and see what grows;
    /// with --update, write its tables and plots into the book
    #[arg(long, conflicts_with_all = ["json", "profile", "check"])]
    pub(crate) adversary: bool,
}

/// Compute the longest paths through the kernel
///
/// From the release kernel's ELF: for each system call, fault, interrupt and operation the most instructions from the
/// entry, or a preemption point, to user level or the next preemption point; with ordinary values (a CSpace of 1 level,
/// messages of 4 words without capabilities, Retype of 1 object) and with the worst ones (64, 120, 3, 256). Fails on
/// recursion, jumps to computed addresses, and loops without a bound, with their places in the source.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask paths                       the table
  cargo xtask paths --arch all            the tables of all architectures
  cargo xtask paths --json paths.json     also as JSON, with the blocks of each path
  cargo xtask paths --show CNodeRevoke    the blocks of one path, with source lines
  cargo xtask paths --check               fail if a path has become longer
  cargo xtask paths --update              keep these bounds, and show them in the book")]
pub(crate) struct Paths {
    /// Architecture, or all
    #[arg(long, value_name = "ARCH", default_value = "aarch64")]
    pub(crate) arch: Arches,
    /// Also write the bounds and paths to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Print the blocks of the longest path of ENTRY
    #[arg(long, value_name = "ENTRY")]
    pub(crate) show: Option<String>,
    /// Compare with the bounds that are kept
    #[arg(long)]
    pub(crate) check: bool,
    /// Keep these bounds
    #[arg(long, conflicts_with = "check")]
    pub(crate) update: bool,
}

/// Hold the kernel against its specification, and the specification against its theorems
///
/// Prints one table: link, what was covered, result. Exit status: 1 when anything does not hold; what fails is
/// shown below the table, with the script of operations that leads to it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask check                        what takes minutes
  cargo xtask check --deep                 the whole chain, in an hour
  cargo xtask check --deep --minutes 600   in a night
  cargo xtask check --deep --only fuzzed   one link of it")]
pub(crate) struct Check {
    /// Minutes (the default)
    #[arg(long, conflicts_with = "deep")]
    quick: bool,
    /// As long as is said; also fuzzing, Miri and mutants. Installs what it needs
    #[arg(long)]
    pub(crate) deep: bool,
    /// How long, building and theorems aside
    #[arg(long, value_name = "MINUTES", default_value_t = 60, requires = "deep")]
    pub(crate) minutes: u64,
    /// Only this link; may be repeated
    #[arg(long, value_name = "LINK", requires = "deep")]
    pub(crate) only: Vec<Link>,
}

/// A link of the chain that ties the kernel to its theorems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Link {
    /// What the specification says is sound
    Theorems,
    /// All operations in small systems
    Explored,
    /// Long random runs
    Random,
    /// Operations from bytes, by coverage
    Fuzzed,
    /// Rules of aliasing and initialisation
    Miri,
    /// Changed kernels are noticed
    Mutants,
}

/// Count lines of code and unsafe blocks, per crate
///
/// Without comments, and without what is only there for tests.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask lines                        the table
  cargo xtask lines --update               also write it into the book")]
pub(crate) struct Lines {
    /// Write the table into the book
    #[arg(long)]
    pub(crate) update: bool,
}

/// What the build is for.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Architecture
    #[arg(long, value_name = "ARCH", default_value = "aarch64")]
    pub(crate) arch: Arch,
    #[command(flatten)]
    options: BuildOptions,
}

/// What a build that can be for several architectures is for.
#[derive(Debug, Args)]
pub(crate) struct Targets {
    /// Architecture, or `all`
    #[arg(long, value_name = "ARCH", default_value = "aarch64")]
    pub(crate) arch: Arches,
    #[command(flatten)]
    options: BuildOptions,
}

/// The build options.
#[derive(Debug, Args)]
struct BuildOptions {
    /// Set a build option; may be repeated, later ones win
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = options::parse, help = options::help())]
    options: Vec<Setting>,
    /// Size of the root CNode: short for --option root-cnode-bits=N
    #[arg(long, value_name = "N", value_parser = options::parse_root_cnode_bits)]
    root_cnode_bits: Option<Setting>,
}

impl Target {
    /// The build options that were given.
    pub(crate) fn settings(&self) -> Settings {
        self.options.settings()
    }
}

impl Targets {
    /// The build options that were given.
    pub(crate) fn settings(&self) -> Settings {
        self.options.settings()
    }
}

impl BuildOptions {
    fn settings(&self) -> Settings {
        self.options.iter().chain(&self.root_cnode_bits).cloned().collect()
    }
}

/// Which kernel to build.
#[derive(Debug, Args)]
pub(crate) struct Profile {
    /// A kernel with checks and debug calls (the default)
    #[arg(long, conflicts_with = "release")]
    debug: bool,
    /// The kernel as it is shipped
    #[arg(long)]
    release: bool,
}

impl Profile {
    /// The profile that was asked for, if any was.
    pub(crate) fn chosen(&self) -> Option<KernelProfile> {
        match (self.debug, self.release) {
            (_, true) => Some(KernelProfile::Release),
            (true, false) => Some(KernelProfile::Debug),
            (false, false) => None,
        }
    }
}

/// Accepts a size in the form that QEMU takes, with its unit.
fn memory_size(text: &str) -> Result<String, String> {
    let problem = || format!("`{text}` is no size of memory; write for instance 512M or 4G");
    let upper = text.to_ascii_uppercase();
    let (number, unit_mib) = match (upper.strip_suffix('M'), upper.strip_suffix('G')) {
        (Some(number), _) => (number, 1),
        (_, Some(number)) => (number, 1024),
        _ => return Err(problem()),
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(problem());
    }
    let mib = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit_mib)).ok_or_else(problem)?;
    match mib {
        0 => Err(problem()),
        1..=1_048_576 => Ok(upper),
        _ => Err(format!("`{text}` is more memory than any machine here has (1024G)")),
    }
}

/// Accepts a text that can appear within one line of the console.
fn console_text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the text is empty, which every console shows".into());
    }
    if text.contains(['\n', '\r', '\x1b']) {
        return Err("the text is looked for within one line, without colours".into());
    }
    Ok(text.into())
}

/// Accepts a positive number of seconds, with or without a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    text.parse::<f64>()
        .ok()
        .filter(|seconds| *seconds > 0.0)
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| format!("`{text}` is no positive number of seconds"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("xtask").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_examples() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.contains(&format!("cargo xtask {}", verb.get_name())), "{}", verb.get_name());
        }
    }

    #[test]
    fn run_takes_all_of_its_options() {
        let line = "run hello --arch aarch64 --input a.png --memory 1g --icount --until A --fail-on B \
                    --timeout 1.5 --gdb --release --option domains=16 --root-cnode-bits 13";
        let Verb::Run(run) = parse(line).unwrap().verb else { panic!("not run") };
        assert_eq!(run.memory.as_deref(), Some("1G"));
        assert_eq!(run.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(run.profile.chosen(), Some(KernelProfile::Release));
        assert_eq!(run.target.settings().to_string(), "domains=16 root-cnode-bits=13");
    }

    #[test]
    fn several_architectures_can_be_tested_and_built() {
        for (line, count) in [("test", 1), ("test --arch riscv64", 1), ("test --arch all", 3)] {
            let Verb::Test(test) = parse(line).unwrap().verb else { panic!("not test") };
            assert_eq!(test.target.arch.0.len(), count, "{line}");
        }
        assert!(parse("build --arch all").is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "run nothing",
            "run --arch x86-64",
            "run --arch all",
            "test --arch mips",
            "run --debug --release",
            "run hello --root-task a.elf",
            "run --input a --root-task a.elf",
            "run --memory 12",
            "run --memory G",
            "run --memory +1G",
            "run --memory 0G",
            "run --memory 99999999999999999999G",
            "run --timeout 0",
            "run --timeout -1",
            "run --timeout NaN",
            "run --timeout inf",
            "run --option domains",
            "run --option nonsense=1",
            "run --root-cnode-bits 99",
            "build --board nonsense",
            "test --case",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
        assert!(Cli::try_parse_from(["xtask", "run", "--until", ""]).is_err());
    }
}
