// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask check --deep`: the whole chain, for as long as is said.
//!
//! The time is divided among the links, so that the check comes to its end when it should on a machine that is busy
//! with other things too; then it has covered less, and says so. Only building and the theorems take what they take.
//!
//! ```text
//!   theorems | explored, then random (two at a time) | fuzzed
//!                                                    | Miri, then mutants
//! ```
//!
//! A row of the table is a link, what it covered, and its result: `holds`, `FAILED`, or `cut off` where a link had no
//! time to finish what it began. What was printed on the way is kept in `target/deep`.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::cargo::{self, Cargo};
use crate::cli::{self, Link};
use crate::{check, say, setup};

/// The toolchain that the fuzzer and Miri need.
const NIGHTLY: &str = "nightly";
/// The links that the checker does.
const CHECKER: [Link; 3] = [Link::Theorems, Link::Explored, Link::Random];
/// How often it is looked whether a program has ended.
const POLL: Duration = Duration::from_millis(200);
/// What a program that is asked to end gets for that.
const TO_TIDY: Duration = Duration::from_secs(20);

/// Parts of the time in hundredths.
mod share {
    /// Of the checker, theorems aside.
    pub(super) const CHECKER: u64 = 60;
    /// Of the fuzzer, beside the next two.
    pub(super) const FUZZED: u64 = 40;
    /// Of Miri, at most.
    pub(super) const MIRI: u64 = 25;
}

/// The sources of which mutants are made: where operations are decided and carried out, as far as all survivors have
/// been looked at.
const MUTATED: [&str; 9] = [
    "kernel/src/ipc/*.rs",
    "kernel/src/sched/refill.rs",
    "kernel/src/sched/direct.rs",
    "kernel/src/cspace.rs",
    "kernel/src/syscall.rs",
    "kernel/src/object/cnode.rs",
    "kernel/src/object/untyped.rs",
    "kernel/src/object/tcb.rs",
    "kernel/src/object/sched_control.rs",
];
/// The survivors that are explained, each with its reason in the lines below it that are set off.
const EXPLAINED: &str = "check/mutants.txt";
/// The tests that mutants have to pass, of the kernel and the checker.
const MUTANTS_TESTS: [&str; 7] = ["--lib", "--test", "short", "--test", "edges", "--test", "unusual"];
/// The checker is built again for each mutant, which takes longer than it runs.
const QUICK_TO_BUILD: [&str; 2] = ["--config", "profile.dev.package.keel-check.opt-level=0"];
/// Seconds after which a mutant's tests are taken to run for ever.
const MUTANT_SECONDS: u32 = 300;

/// What a link found.
struct Row {
    link: &'static str,
    covered: String,
    result: Outcome,
}

enum Outcome {
    Holds,
    CutOff,
    Failed(String),
}

/// Runs the links that are asked for, and prints one table.
pub(crate) fn check(cargo: &Cargo<'_>, arguments: &cli::Check) -> Result<ExitCode> {
    let is_wanted = |link: Link| arguments.only.is_empty() || arguments.only.contains(&link);
    let seconds = arguments.minutes * 60;
    let part = |hundredths: u64| Duration::from_secs(seconds * hundredths / 100);
    let deep = Deep { cargo, directory: cargo.workspace.target().join("deep") };
    fs::create_dir_all(&deep.directory).context("cannot make a directory for what is printed")?;
    deep.prepare(&is_wanted)?;

    let mut table = Vec::new();
    let mut holds = true;
    if CHECKER.into_iter().any(is_wanted) {
        let (lines, is_fine) = deep.checker(&is_wanted, part(share::CHECKER))?;
        table.extend(lines);
        holds &= is_fine;
    }
    let mut rows = Vec::new();
    thread::scope(|scope| -> Result<()> {
        let fuzzer = is_wanted(Link::Fuzzed).then(|| scope.spawn(|| deep.fuzz(part(share::FUZZED))));
        let start = Instant::now();
        if is_wanted(Link::Miri) {
            rows.push(deep.miri(part(share::MIRI))?);
        }
        if is_wanted(Link::Mutants) {
            rows.push(deep.mutants(part(share::FUZZED).saturating_sub(start.elapsed()))?);
        }
        if let Some(Ok(row)) = fuzzer.map(thread::ScopedJoinHandle::join) {
            rows.insert(0, row?);
        }
        Ok(())
    })?;
    holds &= rows.iter().all(|row| !matches!(row.result, Outcome::Failed(_)));
    println!("| link | covered | result | s |\n|---|---|---|---:|");
    table.iter().filter(|line| line.starts_with("| ")).for_each(|line| println!("{line}"));
    for Row { link, covered, result } in &rows {
        let result = match result {
            Outcome::Holds => "holds",
            Outcome::CutOff => "cut off",
            Outcome::Failed(_) => "FAILED",
        };
        println!("| {link} | {covered} | {result} | |");
    }
    table.iter().filter(|line| !line.starts_with("| ")).for_each(|line| println!("{line}"));
    for row in &rows {
        if let Outcome::Failed(failure) = &row.result {
            println!("\n{}:\n{failure}", row.link);
        }
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Deep<'a> {
    cargo: &'a Cargo<'a>,
    /// For what is printed.
    directory: PathBuf,
}

impl Deep<'_> {
    /// Installs and builds what the links need, which counts as nobody's time.
    fn prepare(&self, is_wanted: &dyn Fn(Link) -> bool) -> Result<()> {
        if CHECKER.into_iter().any(is_wanted) {
            setup::solver()?;
            cargo::run(&mut check::checker(self.cargo, "build"))?;
        }
        if is_wanted(Link::Fuzzed) || is_wanted(Link::Miri) {
            nightly()?;
        }
        if is_wanted(Link::Fuzzed) {
            tool("fuzz")?;
            cargo::run(&mut self.fuzzer(&["build"]))?;
        }
        if is_wanted(Link::Miri) {
            cargo::run(self.miri_tests().arg("--no-run"))?;
        }
        if is_wanted(Link::Mutants) {
            tool("mutants")?;
            cargo::run(self.mutants_tests("test").arg("--no-run"))?;
        }
        Ok(())
    }

    /// The checker's table, and whether everything in it holds.
    fn checker(&self, is_wanted: &dyn Fn(Link) -> bool, time: Duration) -> Result<(Vec<String>, bool)> {
        let mut command = check::checker(self.cargo, "run");
        command.arg("--");
        let names = [(Link::Theorems, "theorems"), (Link::Explored, "explored"), (Link::Random, "random")];
        for (_, name) in names.into_iter().filter(|(link, _)| is_wanted(*link)) {
            command.args(["--only", name]);
        }
        command.arg(format!("--seconds={}", time.as_secs()));
        command.arg(format!("--runs={}", u32::MAX));
        let output = command.stderr(std::process::Stdio::inherit()).output().context("cannot start cargo")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        fs::write(self.directory.join("checker"), &text).context("cannot keep the checker's table")?;
        let is_head = |line: &&str| line.starts_with("| link") || line.starts_with("|---");
        let mut lines: Vec<String> = text.lines().filter(|line| !is_head(line)).map(str::to_owned).collect();
        if lines.is_empty() {
            lines.push(format!("the checker printed no table ({})", output.status));
        }
        Ok((lines, output.status.success()))
    }

    // --- the fuzzer --------------------------------------------------------------------------------------------------

    /// Cargo's command for the fuzzer.
    fn fuzzer(&self, arguments: &[&str]) -> Command {
        let mut command = with_nightly(&["fuzz"]);
        command.args(arguments).args(["--fuzz-dir", ".", "--sanitizer", "none", "lockstep"]);
        command.current_dir(self.cargo.workspace.root().join("check/fuzz"));
        command
    }

    /// Bytes to operations; what it finds stays in `check/fuzz/artifacts`, what it learns in `check/fuzz/corpus`, of
    /// which in the end only what adds something is kept.
    fn fuzz(&self, time: Duration) -> Result<Row> {
        let time_to_run = time * 9 / 10;
        say!("fuzzing for {} s", time_to_run.as_secs());
        let mut command = self.fuzzer(&["run"]);
        // Long scripts are slow to play, and short ones show little: they grow sooner than by themselves.
        command.args(["--", "-max_len=400", "-len_control=10", "-print_final_stats=1"]);
        command.arg(format!("-max_total_time={}", time_to_run.as_secs()));
        // The time of one input, after which the fuzzer looks at the clock, is short.
        let (status, text) = self.run_for(command, "fuzzed", time_to_run + Duration::from_secs(60))?;
        let progress = text.lines().rfind(|line| line.contains(" cov: ")).unwrap_or_default();
        let after = |what: &str| {
            let (_, rest) = progress.split_once(what)?;
            rest.split([' ', '/']).next()
        };
        let runs = text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        let [edges, features, inputs] = [" cov: ", " ft: ", " corp: "].map(|what| after(what).unwrap_or("?"));
        let covered = format!(
            "{} inputs played; {edges} edges and {features} features, seen in {inputs} inputs",
            runs.unwrap_or("?").trim()
        );
        let result = match status {
            None => Outcome::CutOff,
            Some(status) if status.success() => Outcome::Holds,
            Some(_) => {
                let end = text.lines().rev().take(60).collect::<Vec<_>>();
                Outcome::Failed(end.into_iter().rev().collect::<Vec<_>>().join("\n"))
            }
        };
        if matches!(result, Outcome::Holds) {
            self.run_for(self.fuzzer(&["cmin"]), "minimised", time / 10)?;
        }
        Ok(Row { link: "fuzzed", covered, result })
    }

    // --- Miri --------------------------------------------------------------------------------------------------------

    fn miri_tests(&self) -> Command {
        let mut command = with_nightly(&["miri", "test", "--package", "keel-check", "--test", "short"]);
        command.env("MIRIFLAGS", "-Zmiri-tree-borrows -Zmiri-disable-isolation");
        // A backtrace takes Miri minutes.
        command.env("RUST_BACKTRACE", "0");
        command.current_dir(self.cargo.workspace.root());
        command
    }

    /// The rules of aliasing and initialisation, on short scripts.
    fn miri(&self, time: Duration) -> Result<Row> {
        say!("Miri, for at most {} s", time.as_secs());
        let start = Instant::now();
        let mut command = self.miri_tests();
        command.args(["--", "--test-threads=1"]);
        let (status, text) = self.run_for(command, "miri", time)?;
        let passed = text.lines().filter(|line| line.starts_with("test ") && line.ends_with(" ok"));
        let names: Vec<_> = passed.filter_map(|line| line.split_whitespace().nth(1)).collect();
        let covered = format!("{} in {} s", names.join(", "), start.elapsed().as_secs());
        let result = match status {
            None => Outcome::CutOff,
            Some(status) if status.success() => Outcome::Holds,
            Some(_) => Outcome::Failed(text),
        };
        Ok(Row { link: "Miri", covered, result })
    }

    // --- mutants -----------------------------------------------------------------------------------------------------

    /// The tests that mutants have to pass: the kernel's own, and the checker on little work.
    fn mutants_tests(&self, verb: &str) -> Command {
        let mut command = self.cargo.command(verb);
        // The same for each mutant, which is in a directory of its own: the crates of others are built once.
        command.env("CARGO_TARGET_DIR", self.cargo.workspace.target().join("mutants"));
        command.env("CARGO_PROFILE_DEV_DEBUG", "0");
        // With one domain much of what is about them does nothing.
        command.env("KEEL_DOMAINS", "2");
        if verb == "test" {
            command.args(QUICK_TO_BUILD).args(["--package", "keel-kernel", "--package", "keel-check"]);
            command.args(MUTANTS_TESTS);
        } else {
            command.args(QUICK_TO_BUILD.map(|argument| format!("--cargo-arg={argument}")));
        }
        command
    }

    /// Whether the kernel's tests and the checker notice small changes of the kernel, as many as there is time for in
    /// random order. A survivor that is not explained is a failure.
    fn mutants(&self, time: Duration) -> Result<Row> {
        say!("mutants, for {} s", time.as_secs());
        let output = self.directory.join("mutants");
        fs::create_dir_all(&output).context("cannot make a directory for mutants")?;
        let mut command = self.mutants_tests("mutants");
        command.args(["--package", "keel-kernel", "--test-package", "keel-kernel,keel-check", "--shuffle"]);
        command.args(["--baseline", "skip", "--timeout", &MUTANT_SECONDS.to_string(), "--no-times"]);
        command.args(MUTATED.iter().flat_map(|file| ["--file", file])).arg("--output").arg(&output);
        // One at a time: two would be built into the same files.
        command.args(["--jobs", "1", "--"]).args(MUTANTS_TESTS);
        let (status, text) = self.run_for(command, "mutants.log", time)?;
        let list = |name: &str| -> Vec<String> {
            let text = fs::read_to_string(output.join("mutants.out").join(name)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        let [caught, endless, missed] = ["caught.txt", "timeout.txt", "missed.txt"].map(list);
        let explained = fs::read_to_string(self.cargo.workspace.root().join(EXPLAINED))
            .with_context(|| format!("cannot read {EXPLAINED}"))?;
        let explained: BTreeSet<&str> = explained.lines().filter(|line| is_name(line)).collect();
        let open: Vec<_> = missed.iter().filter(|name| !explained.contains(&*without_place(name))).collect();
        let covered = format!(
            "{} mutants of {} tried: {} caught, {} do not end, {} survive, of which {} are explained",
            caught.len() + endless.len() + missed.len(),
            text.lines().find_map(|line| line.strip_prefix("Found ")?.split(' ').next()).unwrap_or("?"),
            caught.len(),
            endless.len(),
            missed.len(),
            missed.len() - open.len()
        );
        let open: Vec<_> = open.into_iter().map(String::as_str).collect();
        let result = match status {
            _ if !open.is_empty() => Outcome::Failed(open.join("\n")),
            _ if caught.is_empty() => Outcome::CutOff,
            _ => Outcome::Holds,
        };
        Ok(Row { link: "mutants", covered, result })
    }

    /// Runs a command for some time and no longer. What it printed, and how it ended if it did by itself.
    fn run_for(
        &self,
        mut command: Command,
        name: &str,
        time: Duration,
    ) -> Result<(Option<ExitStatus>, String)> {
        let path = self.directory.join(name);
        let file = File::create(&path).context("cannot keep what is printed")?;
        command.stdout(file.try_clone().context("cannot keep what is printed")?).stderr(file);
        let mut child = command.process_group(0).spawn().context("cannot start a program")?;
        let status = wait_for(&mut child, time)?;
        let text = fs::read(&path).context("cannot read what was printed")?;
        Ok((status, String::from_utf8_lossy(&text).into_owned()))
    }
}

/// Waits until `child`, which leads a group of processes, ends by itself; or ends it. It is asked first, because it may
/// have children that lead groups of their own.
fn wait_for(child: &mut Child, time: Duration) -> Result<Option<ExitStatus>> {
    let status = ended_within(child, time)?;
    if status.is_some() {
        return Ok(status);
    }
    for signal in [Signal::TERM, Signal::KILL] {
        if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
            // It may have ended meanwhile.
            let _ = kill_process_group(group, signal);
        }
        if ended_within(child, TO_TIDY)?.is_some() {
            break;
        }
    }
    Ok(None)
}

/// How `child` ends, if it does in time.
fn ended_within(child: &mut Child, time: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + time;
    loop {
        let status = child.try_wait().context("cannot wait for a program")?;
        if status.is_some() || Instant::now() >= end {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
}

/// Whether a line of [`EXPLAINED`] is the name of a mutant.
fn is_name(line: &str) -> bool {
    !line.is_empty() && !line.starts_with([' ', '#'])
}

/// The name of a mutant without line and column, which change.
fn without_place(name: &str) -> String {
    let mut parts = name.splitn(4, ':');
    let (file, what) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    format!("{file}:{what}")
}

/// Makes sure that the nightly toolchain is there, with Miri.
fn nightly() -> Result<()> {
    let mut has_miri = with_nightly(&["miri", "--version"]);
    if has_miri.output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say!("adding the Rust toolchain {NIGHTLY} with Miri");
    let mut command = Command::new("rustup");
    command.args(["toolchain", "install", NIGHTLY, "--no-self-update", "--profile", "minimal"]);
    cargo::run(command.args(["--component", "miri", "--component", "rust-src"]))
}

/// Makes sure that a tool of Cargo's is there.
fn tool(name: &str) -> Result<()> {
    let mut command = Command::new("cargo");
    if command.args([name, "--version"]).output().is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    say!("installing cargo-{name}");
    cargo::run(Command::new("cargo").args(["install", "--locked", &format!("cargo-{name}")]))
}

/// Cargo of the nightly toolchain.
fn with_nightly(arguments: &[&str]) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY, "cargo"]).args(arguments);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_mutants_do_not_count() {
        let name = "kernel/src/cspace.rs:81:24: replace < with <= in resolve";
        assert_eq!(without_place(name), "kernel/src/cspace.rs: replace < with <= in resolve");
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let start = Instant::now();
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        assert_eq!(wait_for(&mut child, Duration::from_millis(300)).unwrap(), None);
        let mut child = Command::new("true").process_group(0).spawn().unwrap();
        assert!(wait_for(&mut child, Duration::from_secs(60)).unwrap().unwrap().success());
        assert!(start.elapsed() < Duration::from_secs(50));
    }
}
