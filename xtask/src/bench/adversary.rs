// SPDX-License-Identifier: MIT OR Apache-2.0

//! `cargo xtask bench --adversary`: how late an interrupt can be while a program does its worst, and how operations
//! grow with what is around.
//!
//! The system `adversary` builds the states, attacks, measures and prints; here its figures are compared with the
//! bounds that were computed from the kernel's binary, judged and drawn. It fails if
//!
//! 1. a latency is above its bound: the longest path of the calls that are made, and those of the interrupts that may
//!    come first, and of the interrupt itself;
//! 2. something grows with what others do: the largest state is 10 times (for ordinary operations 100 times) the one
//!    before, and must not cost twice as much. Where the interface limits the size, there is nothing to grow.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::{Bench, plot};
use crate::cargo::Cargo;
use crate::image;
use crate::machine::KernelProfile;
use crate::options::Settings;
use crate::qemu::Boot;
use crate::system::{self, Luggage};
use crate::{artifact, book, say};

/// The page of the book with table and plots.
const PAGE: &str = "docs/src/latency.md";
/// Where the plots are.
const PLOTS: &str = "docs/src/plots";

/// The attack that makes no system calls: the interrupt alone.
const NOTHING: &str = "nothing";
/// So many interrupts may be handled until one is: the end of a budget or of a domain's time goes first, then the release
/// of a thread, each in an entry of its own.
const INTERRUPTS: u64 = 3;
/// The row of the bounds for the interrupt.
const INTERRUPT: &str = "interrupt";
/// Instructions from the kernel's exit to the handler's first look at the counter.
const HANDLER: u64 = 2;

/// What is known about an attack.
struct Known {
    name: &'static str,
    /// The plot that shows it.
    plot: &'static str,
    /// How the rows of the bounds begin of which one is the longest in this attack.
    bounds: &'static [&'static str],
}

const fn known(name: &'static str, plot: &'static str, bounds: &'static [&'static str]) -> Known {
    Known { name, plot, bounds }
}

const KNOWN: [Known; 29] = [
    known(NOTHING, "", &[]),
    known("receive_from_queue", "queues", &["NBRecv", "Send"]),
    known("requeue_waiter", "queues", &["TCBSetPriority"]),
    known("leave_and_join_queue", "queues", &["TCBSuspend", "TCBResume", "Send"]),
    known("signal_to_queue", "queues", &["signal", "Send", "Wait"]),
    known("cancel_badged_sends", "queues", &["CNodeCancelBadgedSends", "Send"]),
    known("delete_endpoint", "queues", &["CNodeDelete", "Send", "Wait"]),
    known("delete_notification", "queues", &["CNodeDelete", "Send", "Wait"]),
    known("revoke_copies", "slots", &["CNodeRevoke"]),
    known("revoke_derivation", "slots", &["CNodeRevoke"]),
    known("delete_full_cnode", "slots", &["CNodeDelete"]),
    known("delete_nested_cnodes", "slots", &["CNodeDelete"]),
    known("clear_pages", "memory", &["UntypedRetype"]),
    known("delete_mapped_space", "memory", &["CNodeDelete"]),
    known("revoke_mapped_space", "memory", &["CNodeRevoke"]),
    known("retype_endpoints", "retype", &["UntypedRetype"]),
    known("retype_threads", "retype", &["UntypedRetype"]),
    known("retype_frames", "retype", &["UntypedRetype"]),
    known("retype_cnodes", "retype", &["UntypedRetype"]),
    known("delete_identifiers", "memory", &["CNodeDelete"]),
    known("assign_identifier", "memory", &["ASIDPoolAssign"]),
    known("unmap_full_table", "memory", &["PageTableUnmap"]),
    known("maintain_caches", "memory", &["cache maintenance"]),
    known("requeue_ready", "time", &["TCBSetPriority"]),
    known("stop_and_start_ready", "time", &["TCBSuspend", "TCBResume"]),
    known("release_at_once", "time", &[INTERRUPT]),
    known("merge_refills", "time", &[INTERRUPT]),
    known("cut_call_stack", "calls", &["CNodeDelete"]),
    known("deepest_message", "calls", &["Call", "ReplyRecv"]),
];

/// One attack on a state of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Attack {
    name: String,
    /// Parts of the state.
    size: u64,
    /// Instructions of the attack when no interrupt comes.
    cost: u64,
    /// The longest latency.
    longest: u64,
    /// Latencies measured.
    samples: u64,
}

/// What one operation costs among others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Growth {
    operation: String,
    /// What there are many of.
    others: String,
    /// How many.
    size: u64,
    cost: u64,
}

/// Sizes and costs of operations, by name.
type Operations<'a> = BTreeMap<&'a str, Vec<(u64, u64)>>;

/// All that was measured.
#[derive(Debug, Default)]
struct Findings {
    attacks: Vec<Attack>,
    growth: Vec<Growth>,
}

/// Builds the system, lets it do its worst, and judges.
pub(super) fn run(cargo: &Cargo<'_>, update: bool) -> Result<()> {
    let findings = Findings::of_a_run(cargo)?;
    let root = cargo.workspace.root();
    let name = cargo.machine.name;
    let bounds = Bounds::load(&root.join("bounds").join(format!("{name}.tsv")))?;
    print!("{}", findings.table(bounds.as_ref())?);
    if update {
        let directory = root.join(PLOTS).join(name);
        findings.draw(&directory)?;
        let table = findings.to_markdown(bounds.as_ref())?;
        book::update(&root.join(PAGE), &format!("latencies of {name}"), UPDATE, &table)?;
    }
    let wrong = findings.wrong(bounds.as_ref())?;
    ensure!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
    say!(
        "{name}: nothing grows with what others do{}",
        if bounds.is_some() { ", no bound is exceeded" } else { "" }
    );
    Ok(())
}

/// The command that writes table and plots.
const UPDATE: &str = "cargo xtask bench --adversary --update";

impl Findings {
    /// Boots the system.
    fn of_a_run(cargo: &Cargo<'_>) -> Result<Self> {
        let system = system::find("adversary")?;
        // Its own ones alone: it needs more slots than the benchmark.
        let settings = system.settings(&Settings::default())?;
        let cargo = Cargo { settings: &settings, ..*cargo };
        let root_task = system.build(&cargo, Luggage::default())?.root_task;
        let image = image::build(&cargo, KernelProfile::Release)?;
        let boot = Boot {
            machine: cargo.machine,
            image: &image.image,
            root_task: &root_task,
            memory: Some(cargo.machine.bench_memory),
            icount: true,
            gdb: false,
            more: &[],
        };
        Self::parse(&Bench::run(boot.command())?)
    }

    /// Reads what the console showed.
    fn parse(console: &str) -> Result<Self> {
        let mut findings = Self::default();
        for line in console.lines().filter_map(|line| line.trim_end().strip_prefix("adversary ")) {
            let problem = || format!("the adversary said `{line}`");
            let number = |word: &str| word.parse::<u64>().with_context(problem);
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["attack", name, size, cost, longest, samples] => findings.attacks.push(Attack {
                    name: name.to_owned(),
                    size: number(size)?,
                    cost: number(cost)?,
                    longest: number(longest)?,
                    samples: number(samples)?,
                }),
                ["growth", operation, others, size, cost] => findings.growth.push(Growth {
                    operation: operation.to_owned(),
                    others: others.to_owned(),
                    size: number(size)?,
                    cost: number(cost)?,
                }),
                _ => bail!(problem()),
            }
        }
        ensure!(!findings.attacks.is_empty(), "the adversary reported nothing:\n{console}");
        Ok(findings)
    }

    /// The attacks by name, in the order in which they are known.
    fn by_name(&self) -> Result<Vec<(&'static Known, Vec<&Attack>)>> {
        if let Some(attack) =
            self.attacks.iter().find(|attack| KNOWN.iter().all(|known| known.name != attack.name))
        {
            bail!("nothing is known of the attack {}", attack.name);
        }
        let of = |known: &'static Known| {
            let mut attacks: Vec<_> =
                self.attacks.iter().filter(|attack| attack.name == known.name).collect();
            attacks.sort_by_key(|attack| attack.size);
            (known, attacks)
        };
        Ok(KNOWN.iter().map(of).filter(|(_, attacks)| !attacks.is_empty()).collect())
    }

    /// What an operation costs, by what there are many of and its name, each in order of size.
    fn growth_by_name(&self) -> BTreeMap<&str, Operations<'_>> {
        let mut all: BTreeMap<&str, Operations<'_>> = BTreeMap::new();
        for Growth { operation, others, size, cost } in &self.growth {
            all.entry(others).or_default().entry(operation).or_default().push((*size, *cost));
        }
        all.values_mut()
            .flat_map(|operations| operations.values_mut())
            .for_each(|points| points.sort_unstable());
        all
    }

    /// The table for the terminal.
    fn table(&self, bounds: Option<&Bounds>) -> Result<String> {
        let mut text = String::new();
        writeln!(
            text,
            "{:<22} {:>7} {:>12} {:>8} {:>8} {:>7}",
            "attack", "size", "instructions", "latency", "samples", "bound"
        )?;
        for (known, attacks) in self.by_name()? {
            let bound = shown_bound(known, bounds);
            for Attack { name, size, cost, longest, samples } in attacks {
                writeln!(text, "{name:<22} {size:>7} {cost:>12} {longest:>8} {samples:>8} {bound:>7}")?;
            }
        }
        writeln!(text, "{:<26} {:<14} instructions by size", "operation", "among")?;
        for (others, operations) in self.growth_by_name() {
            for (operation, points) in operations {
                let points: Vec<_> = points.iter().map(|(size, cost)| format!("{size}: {cost}")).collect();
                writeln!(text, "{operation:<26} {others:<14} {}", points.join(", "))?;
            }
        }
        Ok(text)
    }

    /// The table of latencies for the book.
    fn to_markdown(&self, bounds: Option<&Bounds>) -> Result<String> {
        let mut text = String::from("| attack | sizes | longest latency at each size | measured | bound |\n");
        text += "|---|---|---|--:|--:|\n";
        for (known, attacks) in self.by_name()? {
            let list = |of: fn(&Attack) -> u64| {
                attacks.iter().map(|attack| grouped(of(attack))).collect::<Vec<_>>().join(" · ")
            };
            let samples: u64 = attacks.iter().map(|attack| attack.samples).sum();
            writeln!(
                text,
                "| `{}` | {} | {} | {} | {} |",
                known.name,
                list(|attack| attack.size),
                list(|attack| attack.longest),
                grouped(samples),
                shown_bound(known, bounds)
            )?;
        }
        Ok(text)
    }

    /// Draws a plot of each group of attacks, and one of the operations among many of each kind.
    fn draw(&self, directory: &Path) -> Result<()> {
        let mut plots: BTreeMap<&str, Vec<plot::Series>> = BTreeMap::new();
        for (known, attacks) in self.by_name()?.into_iter().filter(|(known, _)| !known.plot.is_empty()) {
            let points = attacks.iter().map(|attack| (attack.size, attack.longest)).collect();
            plots.entry(known.plot).or_default().push(plot::Series { name: known.name.into(), points });
        }
        for (name, series) in plots {
            let svg = plot::draw("parts of the state", "longest latency, instructions", &series)?;
            artifact::write(&directory.join(format!("latency-{name}.svg")), svg.as_bytes())?;
        }
        for (others, operations) in self.growth_by_name() {
            let series: Vec<_> = operations
                .into_iter()
                .map(|(operation, points)| plot::Series { name: operation.into(), points })
                .collect();
            let svg = plot::draw(others, "instructions", &series)?;
            artifact::write(&directory.join(format!("growth-{others}.svg")), svg.as_bytes())?;
        }
        Ok(())
    }

    /// What must not be.
    fn wrong(&self, bounds: Option<&Bounds>) -> Result<Vec<String>> {
        let mut wrong = Vec::new();
        for (known, attacks) in self.by_name()? {
            if let Some(bound) = bounds.map(|bounds| bounds.of(known)) {
                let above = attacks.iter().filter(|attack| attack.longest > bound);
                wrong.extend(above.map(|Attack { name, size, longest, .. }| {
                    format!(
                        "{name} {size}: an interrupt was {longest} instructions late, the bound is {bound}"
                    )
                }));
            }
            let points: Vec<_> = attacks.iter().map(|attack| (attack.size, attack.longest)).collect();
            wrong.extend(
                grows(&points).map(|how| format!("{}: the latency grows with the size: {how}", known.name)),
            );
        }
        for (others, operations) in self.growth_by_name() {
            for (operation, points) in operations {
                wrong.extend(grows(&points).map(|how| format!("{operation} grows with the {others}: {how}")));
            }
        }
        Ok(wrong)
    }
}

/// How a cost grows with a size without limit, if it does.
fn grows(points: &[(u64, u64)]) -> Option<String> {
    let &[.., (before, least), (size, most)] = points else { return None };
    (size >= 10 * before && most > 2 * least).then(|| format!("{least} with {before}, {most} with {size}"))
}

/// The bound of an attack as it is shown.
fn shown_bound(known: &Known, bounds: Option<&Bounds>) -> String {
    bounds.map_or_else(|| "–".into(), |bounds| grouped(bounds.of(known)))
}

/// A number with its digits in groups.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The longest paths through the kernel, by what is done, as they were computed from its binary.
#[derive(Debug)]
struct Bounds(BTreeMap<String, u64>);

impl Bounds {
    /// Reads the file, if there is one.
    fn load(path: &Path) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let text = artifact::read(path)?;
        Self::parse(&String::from_utf8_lossy(&text)).map(Some).with_context(|| path.display().to_string())
    }

    /// Reads rows of name, bound with ordinary values, bound with the worst ones, and more; other lines are titles.
    fn parse(text: &str) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for line in text.lines() {
            if let [name, _, worst, ..] = line.split('\t').collect::<Vec<_>>()[..]
                && let Ok(worst) = worst.parse()
            {
                rows.insert(name.to_owned(), worst);
            }
        }
        ensure!(rows.contains_key(INTERRUPT), "there is no bound for the interrupt");
        Ok(Self(rows))
    }

    /// The bound of the latency in an attack: the longest of its paths, and [`INTERRUPTS`]. Where no row is found,
    /// the longest path of all.
    fn of(&self, known: &Known) -> u64 {
        let is_meant = |name: &str| known.bounds.iter().any(|begin| name.starts_with(begin));
        let meant = self.0.iter().filter(|(name, _)| is_meant(name)).map(|(_, bound)| *bound).max();
        let any = || self.0.values().copied().max();
        let before = if known.bounds.is_empty() { 0 } else { meant.or_else(any).unwrap_or(0) };
        before + INTERRUPTS * self.0[INTERRUPT] + HANDLER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "x\nadversary attack nothing 1 20000 500 7\nadversary attack revoke_copies 10 1 700 2\n\
                           adversary attack revoke_copies 1000 1 750 2\nadversary attack revoke_copies 100 1 720 2\n\
                           adversary growth yield threads 1 300\nadversary growth yield threads 100 310\n";
    const BOUNDS: &str = "title\ninterrupt\t100\t200\t9\nCNodeRevoke\t100\t200\t9\n";

    #[test]
    fn figures_within_their_bounds_are_right() {
        let findings = Findings::parse(CONSOLE).unwrap();
        let bounds = Bounds::parse(BOUNDS).unwrap();
        assert_eq!(findings.wrong(Some(&bounds)).unwrap(), Vec::<String>::new());
        assert!(findings.table(Some(&bounds)).unwrap().contains("802"));
        assert!(
            findings
                .to_markdown(None)
                .unwrap()
                .contains("| `revoke_copies` | 10 · 100 · 1,000 | 700 · 720 · 750 | 6 | – |")
        );
    }

    #[test]
    fn a_latency_above_its_bound_is_wrong() {
        let findings = Findings::parse(&CONSOLE.replace("750", "803")).unwrap();
        let wrong = findings.wrong(Some(&Bounds::parse(BOUNDS).unwrap())).unwrap();
        assert_eq!(wrong, ["revoke_copies 1000: an interrupt was 803 instructions late, the bound is 802"]);
    }

    #[test]
    fn what_grows_is_wrong() {
        let findings = Findings::parse(&CONSOLE.replace("750", "1441").replace("310", "601")).unwrap();
        let wrong = findings.wrong(None).unwrap();
        assert!(wrong[0].ends_with("720 with 100, 1441 with 1000") && wrong.len() == 2, "{wrong:?}");
        // Nothing has no limit that is only 256.
        assert_eq!(grows(&[(100, 1), (256, 9)]), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["adversary", "adversary attack a 1 2 3 x", "adversary growth a b 1"] {
            assert!(Findings::parse(line).is_err(), "{line}");
        }
        assert!(Findings::parse("adversary attack unheard_of 1 2 3 4").unwrap().table(None).is_err());
        assert!(Bounds::parse("").is_err());
    }
}
