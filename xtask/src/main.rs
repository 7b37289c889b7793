// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask`: the one tool that builds, runs, tests and judges Keel.
//!
//! A boot needs four things made in order: the kernel's ELF, the loader that carries it (turned into
//! the flat file that the machine's firmware takes), an archive of the system's child programs and
//! input, and the root task that carries the archive. Then QEMU runs loader and root task, while the
//! tool shows the console and looks for the line that decides.
//!
//! What is built how stands in three tables: [`machine`] (one row per architecture), [`system`] (one row
//! per system that boots) and [`options`] (one row per build option). A verb ([`run`], [`build`],
//! [`test`], [`check`], [`ci`]) reads them and puts the parts together.
//!
//! Invariants:
//!
//! 1. What `cargo xtask` prints itself goes to stderr; stdout carries the guest's console, the names of
//!    what was built and the tests' results.
//! 2. No QEMU outlives the tool, however the run ends: [`guest`] kills it when it goes out of scope.
//! 3. A made file is rewritten only when its content changes, so that cargo rebuilds nothing in vain.

#![forbid(unsafe_code)]

mod archive;
mod artifact;
mod bench;
mod book;
mod build;
mod cargo;
mod check;
mod ci;
mod cli;
mod console;
mod deep;
mod device_tree;
mod elf;
mod fuzz;
mod guest;
mod host_tests;
mod image;
mod interrupt;
mod lines;
mod machine;
mod options;
mod paths;
mod qemu;
mod run;
mod setup;
mod system;
mod system_tests;
mod terminal;
mod test;
mod unsafety;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let result = match cli::Cli::parse().verb {
        cli::Verb::Run(arguments) => run::run(&arguments),
        cli::Verb::Build(arguments) => build::build(&arguments),
        cli::Verb::Test(arguments) => test::test(&arguments),
        cli::Verb::Fuzz(arguments) => fuzz::fuzz(&arguments),
        cli::Verb::Bench(arguments) => bench::bench(&arguments),
        cli::Verb::Paths(arguments) => paths::paths(&arguments),
        cli::Verb::Check(arguments) => check::check(&arguments),
        cli::Verb::Lines(arguments) => lines::lines(&arguments),
        cli::Verb::Ci => ci::ci(),
    };
    result.unwrap_or_else(|error| {
        say!("{error:#}");
        ExitCode::FAILURE
    })
}

/// Prints one line of the tool's own to stderr.
#[macro_export]
macro_rules! say {
    ($($text:tt)*) => { eprintln!("xtask: {}", format_args!($($text)*)) };
}
