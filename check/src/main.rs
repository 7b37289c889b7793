// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the chain that ties the kernel to its theorems, and prints one table: link, what was covered, result.

#![forbid(unsafe_code)]

use clap::Parser;
use keel_check::explore::explore;
use keel_check::lockstep::Coverage;
use keel_check::random::{self, Plan, Subject};
use keel_check::stage::Small;
use keel_spec::theorems::breaks::{self, Break};
use keel_spec::theorems::{self, Verdict, steps};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How much to do.
#[derive(Parser)]
struct Arguments {
    /// Seconds for each small system that is explored
    #[arg(long, default_value_t = 30)]
    explore_seconds: u64,
    /// No deeper than this
    #[arg(long, default_value_t = 64)]
    depth: usize,
    /// Random runs of each kind
    #[arg(long, default_value_t = 300)]
    runs: u32,
    /// The seed of the random runs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the links with this text in their names
    #[arg(long, default_value = "")]
    only: String,
    /// Only prove: do not break steps on purpose
    #[arg(long)]
    no_breaks: bool,
}

/// A line of the table.
struct Row {
    link: String,
    covered: String,
    failure: Option<String>,
    time: Duration,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic of the kernel is a finding, reported with the script that leads to it.
    std::panic::set_hook(Box::new(|_| {}));
    let mut rows = Vec::new();
    rows.extend(prove(!arguments.no_breaks, &arguments.only));
    if "explored".contains(&arguments.only) {
        rows.extend(Small::ALL.into_iter().map(|small| explored(small, &arguments)));
    }
    if "random".contains(&arguments.only) {
        for subject in [Subject::Slots, Subject::System] {
            for preempt_every in [None, Some(1)] {
                rows.push(random(subject, preempt_every, false, arguments.runs, arguments.seed));
            }
            rows.push(random(subject, None, true, arguments.runs / 30, arguments.seed + 1));
        }
    }
    print(&rows)
}

// --- the theorems ------------------------------------------------------------------------------------------------------

/// All steps with `only` in their links, by two workers.
fn prove(breaks: bool, only: &str) -> Vec<Row> {
    const WORKERS: usize = 2;
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(step) = steps::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if !link(step).contains(only) {
                        continue;
                    }
                    let row = prove_step(step, breaks);
                    eprintln!("keel-check: {} in {:.0} s", row.link, row.time.as_secs_f64());
                    if let Ok(mut rows) = rows.lock() {
                        rows.push(row);
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_default();
    rows.sort_by_key(|row| steps::ALL.iter().position(|step| row.link.ends_with(step.name)));
    rows
}

fn link(step: &steps::Step) -> String {
    format!("theorems of {}", step.name)
}

fn prove_step(step: &steps::Step, break_it: bool) -> Row {
    let link = link(step);
    let finding = match theorems::examine(step, break_it) {
        Ok(finding) => finding,
        Err(error) => {
            let failure = Some(format!("the solver: {error}"));
            return Row { link, covered: String::new(), failure, time: Duration::ZERO };
        }
    };
    let count = |verdict| finding.broken.iter().filter(|(_, one)| *one == verdict).count();
    let covered = format!(
        "{} ways, {} formulas proved; {} broken variants: {} refuted, {} harmless",
        finding.proofs.ways,
        finding.proofs.proved,
        finding.broken.len(),
        count(Verdict::Refuted),
        count(Verdict::Harmless),
    );
    let mut failure = Vec::new();
    failure.extend(finding.proofs.open.iter().map(|name| format!("not proved: {name}")));
    failure.extend((!finding.can_succeed).then(|| "the step never succeeds".to_owned()));
    failure.extend(finding.broken.iter().filter_map(|(broken, verdict)| complaint(step, broken, *verdict)));
    if break_it {
        let is_there = |what| finding.broken.iter().any(|(broken, _)| broken.to_string() == what);
        let stale = breaks::harmless(step.name).filter(|harmless| !is_there(harmless.what));
        failure.extend(stale.map(|harmless| format!("listed as harmless, but not there: {}", harmless.what)));
    }
    let failure = (!failure.is_empty()).then(|| failure.join("\n"));
    Row { link, covered, failure, time: finding.time }
}

/// What is wrong with the verdict about a broken variant.
fn complaint(step: &steps::Step, broken: &Break, verdict: Verdict) -> Option<String> {
    let is_listed = breaks::harmless(step.name).any(|harmless| harmless.what == broken.to_string());
    let what = match (verdict, is_listed) {
        (Verdict::Refuted, false) | (Verdict::Harmless, true) => return None,
        (Verdict::Refuted, true) => "listed as harmless, but refuted",
        (Verdict::Harmless, false) => "no theorem fails, but not listed",
        (Verdict::Undecided, _) => "neither refuted nor proved harmless",
    };
    Some(format!("{what}: {broken}"))
}

// --- the refinement ----------------------------------------------------------------------------------------------------

fn explored(small: Small, arguments: &Arguments) -> Row {
    let start = Instant::now();
    let result = explore(small, arguments.depth, Duration::from_secs(arguments.explore_seconds));
    let (covered, failure) = match result {
        Ok(found) => {
            let how = if found.is_complete { "all states that there are, after" } else { "all sequences of" };
            let all = format!(
                "{how} {} operations; {} states, {} transitions",
                found.depth, found.states, found.transitions
            );
            (format!("{all}; {}", covered(&found.coverage)), None)
        }
        Err(failure) => (String::new(), Some(failure)),
    };
    Row { link: format!("explored: {}", small.name()), covered, failure, time: start.elapsed() }
}

fn random(subject: Subject, preempt_every: Option<u64>, check_theorems: bool, runs: u32, seed: u64) -> Row {
    let start = Instant::now();
    let plan = Plan { subject, runs, length: 120, seed, preempt_every, check_theorems };
    let (covered, failure) = match random::run(plan) {
        Ok(coverage) => (format!("{runs} runs; {}", covered(&coverage)), None),
        Err(failure) => (String::new(), Some(failure)),
    };
    let how = match (preempt_every, check_theorems) {
        (Some(_), _) => ", interrupted at each preemption point",
        (None, true) => ", the theorems' invariants at the end",
        (None, false) => "",
    };
    Row { link: format!("random: {subject:?}{how}"), covered, failure, time: start.elapsed() }
}

fn covered(coverage: &Coverage) -> String {
    let mut text = format!("{} operations compared", coverage.compared);
    if coverage.interrupted > 0 {
        text += &format!(", {} of them interrupted", coverage.interrupted);
    }
    if coverage.both_ways > 0 {
        text += &format!(", {} of them by the short way and by the general path", coverage.both_ways);
    }
    for (what, count) in &coverage.open {
        text += &format!("; not compared: {count} ({what})");
    }
    text
}

// --- the table -----------------------------------------------------------------------------------------------------------

fn print(rows: &[Row]) -> ExitCode {
    println!("| link | covered | result | s |\n|---|---|---|---:|");
    for Row { link, covered, failure, time } in rows {
        let result = if failure.is_some() { "FAILED" } else { "holds" };
        println!("| {link} | {covered} | {result} | {:.0} |", time.as_secs_f64());
    }
    for row in rows {
        if let Some(failure) = &row.failure {
            println!("\n{}:\n{failure}", row.link);
        }
    }
    if rows.iter().all(|row| row.failure.is_none()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
