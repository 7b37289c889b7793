// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keel's counts beside the reference's: on the terminal, and as it stands in the book.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::counts::Counts;
use crate::artifact;

/// What the reference takes: total, kernel and firmware.
#[derive(Debug)]
pub(crate) struct Reference(BTreeMap<String, [u64; 3]>);

/// An operation that shows what the device's part of another one costs; it is no mark.
const REPORTED_ONLY: &str = "irq_device_write_only";

/// The most that an operation may take of what the reference does.
const MARK: f64 = 0.9;

impl Reference {
    /// Reads a file with columns operation, total, kernel, firmware.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        Self::parse(&String::from_utf8_lossy(&artifact::read(path)?))
            .with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut rows = BTreeMap::new();
        for line in text.lines().skip(1) {
            let problem = || format!("`{line}` is no row of operation, total, kernel and firmware");
            let words: Vec<_> = line.split('\t').collect();
            let [name, counts @ ..] = &words[..] else { continue };
            let counts: Vec<u64> =
                counts.iter().map(|word| word.parse()).collect::<Result<_, _>>().with_context(problem)?;
            let counts: [u64; 3] = counts.try_into().ok().with_context(problem)?;
            rows.insert((*name).to_owned(), counts);
        }
        Ok(Reference(rows))
    }

    fn cell(&self, name: &str) -> Option<Cell> {
        self.0.get(name).map(|&[total, kernel, firmware]| Cell {
            total: total.saturating_sub(firmware),
            kernel,
            firmware,
        })
    }
}

/// What one kernel takes for an operation.
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Without firmware.
    total: u64,
    kernel: u64,
    firmware: u64,
}

#[derive(Debug)]
struct Row {
    name: String,
    keel: Cell,
    reference: Option<Cell>,
    /// Least and most, where they differ.
    range: Option<(u64, u64)>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        self.reference.map(|reference| self.keel.total as f64 / reference.total as f64)
    }

    /// Whether the operation takes more than it should.
    fn is_over(&self) -> bool {
        self.name != REPORTED_ONLY && self.ratio().is_some_and(|ratio| ratio > MARK)
    }
}

/// All operations, and what else is compared.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Row>,
    /// The geometric mean of the ratios.
    pub(crate) geomean: f64,
    ratios: usize,
    /// Boot and the kernel's size: Keel's, and the reference's.
    others: [(&'static str, u64, Option<u64>); 2],
    free_bytes: u64,
    /// Whether firmware takes part in anything.
    has_firmware: bool,
}

impl Table {
    /// Puts the counts beside the reference's.
    pub(crate) fn new(counts: &Counts, reference: &Reference) -> Self {
        let rows: Vec<_> = counts
            .operations
            .iter()
            .map(|operation| Row {
                name: operation.name.clone(),
                keel: Cell {
                    total: operation.without_firmware(),
                    kernel: operation.kernel,
                    firmware: operation.firmware,
                },
                reference: reference.cell(&operation.name),
                range: (operation.min != operation.max).then_some((operation.min, operation.max)),
            })
            .collect();
        let marked = rows.iter().filter(|row| row.name != REPORTED_ONLY);
        let ratios: Vec<_> = marked.filter_map(Row::ratio).collect();
        let other = |name| reference.cell(name).map(|cell| cell.total);
        Self {
            geomean: geometric_mean(&ratios),
            ratios: ratios.len(),
            others: [
                (
                    "boot, from the kernel's entry to the root task's first instruction",
                    counts.boot,
                    other("boot"),
                ),
                ("kernel in memory, bytes", counts.image_bytes, other("image_bytes")),
            ],
            free_bytes: counts.free_bytes,
            has_firmware: rows.iter().any(|row| {
                row.keel.firmware > 0 || row.reference.is_some_and(|reference| reference.firmware > 0)
            }),
            rows,
        }
    }

    /// As the book has it.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = String::from("| operation | Keel | reference | ratio | kernel's part | reference's |");
        let mut rule = String::from("\n|---|--:|--:|--:|--:|--:|");
        if self.has_firmware {
            text += " firmware | reference's |";
            rule += "--:|--:|";
        }
        text += &rule;
        for row in &self.rows {
            let Some(reference) = row.reference else { continue };
            let (keel, ratio) = (row.keel, row.ratio().unwrap_or_default());
            let emphasis = if row.is_over() { "**" } else { "" };
            // Writing to a string does not fail.
            let _ = write!(
                text,
                "\n| `{}` | {} | {} | {emphasis}{ratio:.2}{emphasis} | {} | {} |",
                row.name,
                grouped(keel.total),
                grouped(reference.total),
                grouped(keel.kernel),
                grouped(reference.kernel)
            );
            if self.has_firmware {
                let _ = write!(text, " {} | {} |", grouped(keel.firmware), grouped(reference.firmware));
            }
        }
        let _ = write!(
            text,
            "\n\nGeometric mean of the {} ratios: **{:.3}** (without `{REPORTED_ONLY}`, which is there to be subtracted).\n\n\
             | | Keel | reference |\n|---|--:|--:|\n",
            self.ratios, self.geomean
        );
        for (name, keel, reference) in self.others {
            let _ = writeln!(
                text,
                "| {name} | {} | {} |",
                grouped(keel),
                reference.map_or_else(String::new, grouped)
            );
        }
        let _ =
            writeln!(text, "| memory left to the root task, KiB | {} | |", grouped(self.free_bytes >> 10));
        text
    }
}

impl Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let firmware = if self.has_firmware { "  firmware reference" } else { "" };
        writeln!(
            f,
            "{:<34} {:>8} {:>9} {:>6}  {:>8} {:>9}{firmware}",
            "operation", "Keel", "reference", "ratio", "kernel", "reference"
        )?;
        for row in &self.rows {
            let Row { name, keel, reference, .. } = row;
            let number = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
            let ratio = row.ratio().map_or_else(String::new, |ratio| format!("{ratio:.3}"));
            let total = number(reference.map(|reference| reference.total));
            let kernel = number(reference.map(|reference| reference.kernel));
            write!(f, "{name:<34} {:>8} {total:>9} {ratio:>6}  {:>8} {kernel:>9}", keel.total, keel.kernel)?;
            if self.has_firmware {
                let firmware = number(reference.map(|reference| reference.firmware));
                write!(f, "  {:>8} {firmware:>9}", keel.firmware)?;
            }
            if let Some((min, max)) = row.range {
                write!(f, "  {min} to {max}")?;
            }
            writeln!(f, "{}", if row.is_over() { "  over the mark" } else { "" })?;
        }
        let mean = format!("geometric mean of {}", self.ratios);
        writeln!(f, "{mean:<34} {:>8} {:>9} {:>6.3}", "", "", self.geomean)?;
        for (name, keel, reference) in self.others {
            let reference = reference.map_or_else(String::new, |number| format!(" (reference: {number})"));
            writeln!(f, "{name}: {keel}{reference}")?;
        }
        writeln!(f, "memory left to the root task: {} KiB", self.free_bytes >> 10)
    }
}

/// A number with commas between thousands.
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

fn geometric_mean(ratios: &[f64]) -> f64 {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (sum / ratios.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::counts::Operation;

    fn table() -> Table {
        let operation = |name: &str, total, firmware| Operation {
            name: name.into(),
            group: 0,
            window: 0,
            windows: 1,
            total,
            min: total,
            max: total,
            kernel: total - firmware,
            firmware,
        };
        let operations = vec![operation("a", 1005, 5), operation("b", 190, 0), operation("c", 3, 0)];
        let counts = Counts { operations, boot: 7, image_bytes: 4096, free_bytes: 8192, ..Counts::default() };
        let text = "operation\ttotal\tkernel\tfirmware\na\t2010\t2000\t10\nb\t200\t200\t0\nboot\t9\t9\t0\n";
        Table::new(&counts, &Reference::parse(text).unwrap())
    }

    #[test]
    fn the_reference_is_compared_without_firmware() {
        let table = table();
        assert_eq!(table.rows[0].ratio(), Some(0.5));
        assert_eq!(table.ratios, 2);
        assert!(Reference::parse("x\na\t10\n").is_err());
        assert!(Reference::parse("x\na\tb\tc\td\n").is_err());
    }

    #[test]
    fn what_is_over_the_mark_stands_out() {
        let table = table();
        assert!(table.to_string().contains("b                                       190       200  0.950"));
        assert_eq!(table.to_string().matches("over the mark").count(), 1);
        let markdown = table.to_markdown();
        assert!(markdown.contains("| `a` | 1,000 | 2,000 | 0.50 | 1,000 | 2,000 | 5 | 10 |\n"), "{markdown}");
        assert!(markdown.contains("| `b` | 190 | 200 | **0.95** | 190 | 200 | 0 | 0 |\n"), "{markdown}");
        assert!(markdown.contains("| 7 | 9 |") && !markdown.contains("`c`"), "{markdown}");
    }

    #[test]
    fn the_mean_is_geometric() {
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn thousands_are_parted() {
        assert_eq!([1, 999, 1000, 1234567].map(grouped), ["1", "999", "1,000", "1,234,567"]);
    }
}
