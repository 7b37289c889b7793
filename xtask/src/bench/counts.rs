// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a run of the benchmark says, and what the plugin has seen of it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

/// Rounds that do not count (as in the benchmark).
const WARM_UP: usize = 16;

/// The instructions of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Its name.
    pub(crate) name: String,
    /// The group of operations that it is measured in.
    pub(crate) group: usize,
    /// Which of the windows of each round is its.
    pub(crate) window: usize,
    /// How many windows a round has.
    pub(crate) windows: usize,
    /// User stub and kernel: the median of all rounds.
    pub(crate) total: u64,
    /// The least of all rounds.
    pub(crate) min: u64,
    /// The most of all rounds.
    pub(crate) max: u64,
    /// The kernel's part.
    pub(crate) kernel: u64,
    /// Firmware's part.
    pub(crate) firmware: u64,
}

impl Operation {
    /// User stub and kernel, without firmware.
    pub(crate) fn without_firmware(&self) -> u64 {
        self.total.saturating_sub(self.firmware)
    }
}

/// All that was counted.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// The operations, in the order in which they ran.
    pub(crate) operations: Vec<Operation>,
    /// From the kernel's entry to the root task's, without firmware.
    pub(crate) boot: u64,
    /// Memory that the kernel takes.
    pub(crate) image_bytes: u64,
    /// Memory that is left to the root task.
    pub(crate) free_bytes: u64,
    /// Parts of memory that nobody was given.
    pub(crate) holes: Vec<Range<u64>>,
    /// How often each instruction of a profiled operation was executed, by address.
    pub(crate) instructions: BTreeMap<u64, u64>,
}

/// What the plugin has seen.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    boot: u64,
    /// Total, kernel's and firmware's part of each window, by group.
    windows: BTreeMap<usize, Vec<[u64; 3]>>,
    instructions: BTreeMap<u64, u64>,
}

impl Watched {
    /// Reads the plugin's file.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let mut watched = Watched::default();
        for line in text.lines() {
            let problem = || format!("the plugin wrote `{line}`");
            let number = |word: &str| word.parse::<u64>().with_context(problem);
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["boot", total, firmware] => {
                    watched.boot = number(total)?.saturating_sub(number(firmware)?);
                }
                ["window", group, total, kernel, firmware] => {
                    let windows = watched.windows.entry(number(group)? as usize).or_default();
                    windows.push([number(total)?, number(kernel)?, number(firmware)?]);
                }
                ["instruction", address, count] => {
                    let address = u64::from_str_radix(address.trim_start_matches("0x"), 16);
                    watched.instructions.insert(address.with_context(problem)?, number(count)?);
                }
                _ => anyhow::bail!(problem()),
            }
        }
        Ok(watched)
    }
}

impl Counts {
    /// Reads what the console showed.
    pub(crate) fn parse(console: &str) -> Result<Self> {
        let mut counts = Counts::default();
        for line in console.lines().filter_map(|line| line.trim_end().strip_prefix("bench ")) {
            let problem = || format!("the benchmark said `{line}`");
            let number = |word: &str| word.parse::<u64>().with_context(problem);
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["free-bytes", bytes] => counts.free_bytes = number(bytes)?,
                ["hole", start, end] => counts.holes.push(number(start)?..number(end)?),
                [group, window, windows, name, total, min, max] => counts.operations.push(Operation {
                    name: name.to_owned(),
                    group: number(group)? as usize,
                    window: number(window)? as usize,
                    windows: number(windows)? as usize,
                    total: number(total)?,
                    min: number(min)?,
                    max: number(max)?,
                    kernel: 0,
                    firmware: 0,
                }),
                _ => anyhow::bail!(problem()),
            }
        }
        ensure!(!counts.operations.is_empty(), "the benchmark reported nothing:\n{console}");
        Ok(counts)
    }

    /// The operation of this name.
    pub(crate) fn find(&self, name: &str) -> Result<&Operation> {
        let found = self.operations.iter().find(|operation| operation.name == name);
        found.with_context(|| {
            let names: Vec<_> = self.operations.iter().map(|operation| operation.name.as_str()).collect();
            format!("there is no operation `{name}`; there are {}", names.join(", "))
        })
    }

    /// Takes in what the plugin has seen, which must agree.
    pub(crate) fn watched(&mut self, watched: Watched) -> Result<()> {
        for operation in &mut self.operations {
            let windows = watched.windows.get(&operation.group).map(Vec::as_slice).unwrap_or_default();
            let own = windows.iter().skip(operation.window + WARM_UP * operation.windows);
            let mut own: Vec<_> = own.step_by(operation.windows).copied().collect();
            own.sort_unstable();
            let &[total, kernel, firmware] = own
                .get(own.len() / 2)
                .with_context(|| format!("the plugin has seen no window of {}", operation.name))?;
            let slack = u64::from(operation.name.starts_with("fault_"));
            ensure!(
                total.abs_diff(operation.total) <= slack,
                "{}: the guest counts {}, the plugin {total}",
                operation.name,
                operation.total
            );
            (operation.kernel, operation.firmware) = (kernel, firmware);
        }
        self.boot = watched.boot;
        self.instructions = watched.instructions;
        Ok(())
    }

    /// As JSON.
    pub(crate) fn to_json(&self, arch: &str, geomean: f64) -> Value {
        let operations: Map<_, _> = self
            .operations
            .iter()
            .map(|operation| {
                let Operation { total, min, max, kernel, firmware, .. } = operation;
                let value = json!({
                    "total": total, "min": min, "max": max, "kernel": kernel, "firmware": firmware,
                });
                (operation.name.clone(), value)
            })
            .collect();
        json!({
            "arch": arch,
            "operations": operations,
            "geomean": geomean,
            "boot": self.boot,
            "image_bytes": self.image_bytes,
            "free_bytes": self.free_bytes,
        })
    }

    /// Everything that is kept, by name.
    fn kept(&self) -> impl Iterator<Item = (&str, u64)> {
        let operations = self.operations.iter().map(|operation| (operation.name.as_str(), operation.total));
        operations.chain([("boot", self.boot), ("image_bytes", self.image_bytes)])
    }

    /// In the form that is kept: lines of name and count.
    pub(crate) fn to_text(&self) -> String {
        let mut text = String::from("operation\ttotal\n");
        for (name, count) in self.kept() {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}\t{count}");
        }
        text
    }

    /// What has grown by more than 1 %, or is not known, compared with a file of [`Self::to_text`].
    pub(crate) fn grown_since(&self, text: &str) -> Result<Vec<String>> {
        let mut known = BTreeMap::new();
        for line in text.lines().skip(1) {
            let problem = || format!("`{line}` is no name and count");
            let (name, count) = line.split_once('\t').with_context(problem)?;
            known.insert(name, count.parse::<u64>().with_context(problem)?);
        }
        let mut grown = Vec::new();
        for (name, count) in self.kept() {
            match known.get(name) {
                Some(&before) if count.saturating_mul(100) <= before.saturating_mul(101) => {}
                Some(before) => grown.push(format!("  {name}: {before} before, {count} now")),
                None => grown.push(format!("  {name}: {count}, not known before")),
            }
        }
        Ok(grown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &str = "bench free-bytes 4096\r\nbench hole 8192 12288\r\nbench 0 0 2 call 220 220 221\r\nbench 0 1 2 back 300 300 \
                           300\r\nkeel: success\r\n";

    #[test]
    fn the_console_is_read() {
        let counts = Counts::parse(CONSOLE).unwrap();
        assert_eq!((counts.free_bytes, counts.holes.first()), (4096, Some(&(8192..12288))));
        assert_eq!((counts.find("call").unwrap().max, counts.find("back").unwrap().window), (221, 1));
        assert!(counts.find("other").unwrap_err().to_string().contains("call, back"));
        assert!(Counts::parse("keel: success").is_err());
        assert!(Counts::parse("bench 0 0 2 call x 1 2").is_err());
    }

    fn watched(total: u64) -> Watched {
        let windows: String =
            (0..80).map(|_| format!("window 0 {total} 210 3\nwindow 0 300 290 0\n")).collect();
        Watched::parse(&format!("boot 9 2\n{windows}instruction 0xffff 64\n")).unwrap()
    }

    #[test]
    fn the_plugin_must_agree() {
        let mut counts = Counts::parse(CONSOLE).unwrap();
        counts.watched(watched(220)).unwrap();
        assert_eq!((counts.boot, counts.find("back").unwrap().kernel), (7, 290));
        assert_eq!(counts.find("call").unwrap().without_firmware(), 217);
        assert_eq!(counts.instructions[&0xffff], 64);
        let error = counts.watched(watched(219)).unwrap_err().to_string();
        assert_eq!(error, "call: the guest counts 220, the plugin 219");
    }

    #[test]
    fn one_per_cent_is_let_pass() {
        let mut counts = Counts::parse(CONSOLE).unwrap();
        let kept = counts.to_text();
        assert!(counts.grown_since(&kept).unwrap().is_empty());
        counts.operations[1].total = 303;
        assert!(counts.grown_since(&kept).unwrap().is_empty());
        counts.operations[1].total = 304;
        assert_eq!(counts.grown_since(&kept).unwrap(), ["  back: 300 before, 304 now"]);
        assert_eq!(counts.grown_since("operation\ttotal\n").unwrap().len(), 4);
    }
}
