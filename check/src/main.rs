// SPDX-License-Identifier: MIT OR Apache-2.0

//! Runs the chain that ties the kernel to its theorems, and prints one table: link, what was covered, result.

#![forbid(unsafe_code)]

use clap::Parser;
use keel_check::explore::{Explored, explore};
use keel_check::lockstep::Coverage;
use keel_check::random::{self, Plan, Subject};
use keel_check::stage::Small;
use keel_check::ways::ShortWay;
use keel_spec::theorems::breaks::{self, Break};
use keel_spec::theorems::{self, Verdict, steps};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How often a random run that fails is tried again with a shorter script.
const MOST_SHRINKS: u32 = 20_000;

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
    /// Seconds to divide among the small systems and the random runs, whatever else is said
    #[arg(long)]
    seconds: Option<u64>,
    /// The seed of the random runs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only the links with one of these texts in their names
    #[arg(long)]
    only: Vec<String>,
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
    coverage: Coverage,
}

/// A link of the chain that ties kernel and specification.
#[derive(Clone, Copy)]
enum Refinement {
    Explored(Small),
    Random(Subject, Runs),
}

/// Of time that is divided, what the small systems get, in hundredths; random runs get the rest.
const EXPLORED: u32 = 90;
/// How many kinds of random runs there are.
const KINDS: usize = 9;

/// How random runs go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Runs {
    Plain,
    Interrupted,
    WithTheorems,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // A panic of the kernel is a finding, reported with the script that leads to it.
    std::panic::set_hook(Box::new(|_| {}));
    let is_wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|text| name.contains(text));
    let steps: Vec<_> = steps::ALL.iter().filter(|step| is_wanted(&link(step))).collect();
    let mut rows = in_parallel(&steps, |step| prove_step(step, !arguments.no_breaks));
    let links: Vec<_> = refinements().filter(|link| is_wanted(&link.name())).collect();
    let mut refined = in_parallel(&links, |link| link.check(&arguments));
    if !links.is_empty() {
        refined.extend(short_ways(&refined));
    }
    rows.extend(refined);
    print(&rows)
}

/// How many links are checked at a time.
const WORKERS: usize = 2;

/// The rows of all links.
fn in_parallel<T: Sync>(links: &[T], check: impl Fn(&T) -> Row + Sync) -> Vec<Row> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(link) = links.get(number) else { break };
                    let row = check(link);
                    eprintln!("keel-check: {} in {:.0} s", row.link, row.time.as_secs_f64());
                    if let Ok(mut rows) = rows.lock() {
                        rows.push((number, row));
                    }
                }
            });
        }
    });
    let mut rows = rows.into_inner().unwrap_or_default();
    rows.sort_by_key(|(number, _)| *number);
    rows.into_iter().map(|(_, row)| row).collect()
}

// --- the theorems ------------------------------------------------------------------------------------------------------

fn link(step: &steps::Step) -> String {
    format!("theorems of {}", step.name)
}

fn prove_step(step: &steps::Step, break_it: bool) -> Row {
    let link = link(step);
    let finding = match theorems::examine(step, break_it) {
        Ok(finding) => finding,
        Err(error) => {
            let failure = Some(format!("the solver: {error}"));
            let (time, coverage) = (Duration::ZERO, Coverage::default());
            return Row { link, covered: String::new(), failure, time, coverage };
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
    Row { link, covered, failure, time: finding.time, coverage: Coverage::default() }
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

fn refinements() -> impl Iterator<Item = Refinement> {
    let kinds = [Runs::Plain, Runs::Interrupted, Runs::WithTheorems];
    let random = [Subject::Slots, Subject::System, Subject::Time]
        .into_iter()
        .flat_map(move |subject| kinds.map(|kind| Refinement::Random(subject, kind)));
    Small::ALL.into_iter().map(Refinement::Explored).chain(random)
}

/// What each of `count` links gets of this part, in hundredths, of the time that is divided, if any is.
fn divided(arguments: &Arguments, part: u32, count: usize) -> Option<Duration> {
    let all = Duration::from_secs(arguments.seconds?) * WORKERS as u32;
    Some(all * part / 100 / count as u32)
}

impl Refinement {
    fn name(self) -> String {
        let (subject, runs) = match self {
            Self::Explored(small) => return format!("explored: {}", small.name()),
            Self::Random(subject, runs) => (subject, runs),
        };
        let how = match runs {
            Runs::Plain => "",
            Runs::Interrupted => ", interrupted at each preemption point",
            Runs::WithTheorems => ", the theorems' invariants at the end",
        };
        format!("random: {subject:?}{how}")
    }

    fn check(&self, arguments: &Arguments) -> Row {
        let start = Instant::now();
        let result = match *self {
            Self::Explored(small) => explored(small, arguments),
            Self::Random(subject, runs) => random(subject, runs, arguments),
        };
        let (covered, failure, coverage) = match result {
            Ok((how, coverage)) => (format!("{how}; {}", covered(&coverage)), None, coverage),
            Err(failure) => (String::new(), Some(failure), Coverage::default()),
        };
        Row { link: self.name(), covered, failure, time: start.elapsed(), coverage }
    }
}

fn explored(small: Small, arguments: &Arguments) -> Result<(String, Coverage), String> {
    let time = divided(arguments, EXPLORED, Small::ALL.len());
    let time = time.unwrap_or(Duration::from_secs(arguments.explore_seconds));
    let found = explore(small, arguments.depth, time)?;
    let how = if found.is_complete { "all states that there are, after" } else { "all sequences of" };
    let Explored { depth, states, transitions, coverage, .. } = found;
    Ok((format!("{how} {depth} operations; {states} states, {transitions} transitions"), coverage))
}

/// As many runs as are asked for. If time is limited they are made in pieces, of which each looks at the clock first.
fn random(subject: Subject, kind: Runs, arguments: &Arguments) -> Result<(String, Coverage), String> {
    const PIECE: u32 = 50;
    let with_theorems = kind == Runs::WithTheorems;
    let wanted = if with_theorems { arguments.runs / 30 } else { arguments.runs };
    let time = divided(arguments, 100 - EXPLORED, KINDS);
    let end = time.map(|time| Instant::now() + time);
    let (mut coverage, mut done) = (Coverage::default(), 0);
    let piece = if end.is_some() { PIECE } else { wanted };
    while done < wanted && end.is_none_or(|end| Instant::now() < end) {
        let plan = Plan {
            subject,
            runs: piece.min(wanted - done),
            length: 120,
            seed: arguments.seed + u64::from(with_theorems) + (u64::from(done) << 32),
            preempt_every: (kind == Runs::Interrupted).then_some(1),
            most_shrinks: MOST_SHRINKS,
            check_theorems: with_theorems,
        };
        coverage.add(&random::run(plan)?);
        done += plan.runs;
    }
    Ok((format!("{done} runs"), coverage))
}

/// A row for each short way: how often it was gone in any of `rows`, and compared. One that was never gone holds nothing.
fn short_ways(rows: &[Row]) -> Vec<Row> {
    let mut all = Coverage::default();
    rows.iter().for_each(|row| all.add(&row.coverage));
    let row = |way: ShortWay| {
        let count = all.short_ways.get(&way).copied().unwrap_or(0);
        let differs =
            rows.iter().filter_map(|row| row.failure.as_ref()).any(|failure| failure.contains(way.name()));
        let failure = match (differs, count) {
            (true, _) => Some("see above".to_owned()),
            (false, 0) => Some("never gone".to_owned()),
            _ => None,
        };
        Row {
            link: format!("short way: {}", way.name()),
            covered: format!("{count} times, against the general path in a copy"),
            failure,
            time: Duration::ZERO,
            coverage: Coverage::default(),
        }
    };
    ShortWay::ALL.into_iter().map(row).collect()
}

fn covered(coverage: &Coverage) -> String {
    let mut text = format!("{} operations compared", coverage.compared);
    if coverage.timed > 0 {
        text += &format!(", {} of them with time that was up or came back", coverage.timed);
    }
    if coverage.interrupted > 0 {
        text +=
            &format!(", {} of them interrupted ({} by the timer)", coverage.interrupted, coverage.by_timer);
        text += &format!(", and {} states in the middle", coverage.in_the_middle);
    }
    for (what, count) in &coverage.open {
        text += &format!("; not compared: {count} ({what})");
    }
    text
}

// --- the table -----------------------------------------------------------------------------------------------------------

fn print(rows: &[Row]) -> ExitCode {
    println!("| link | covered | result | s |\n|---|---|---|---:|");
    for Row { link, covered, failure, time, .. } in rows {
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
