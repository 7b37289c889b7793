// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keel's counts beside the reference's.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use super::counts::Counts;
use crate::artifact;

/// What the reference takes, without its firmware's part: total and kernel.
#[derive(Debug)]
pub(crate) struct Reference(BTreeMap<String, (u64, u64)>);

/// An operation that shows what emulation of a store costs; it is no mark.
const REPORTED_ONLY: &str = "irq_device_write_only";

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
            let [total, kernel, firmware] = counts[..] else { anyhow::bail!(problem()) };
            rows.insert((*name).to_owned(), (total.saturating_sub(firmware), kernel));
        }
        Ok(Reference(rows))
    }
}

/// Prints the table; gives the geometric mean of the ratios.
pub(crate) fn print(counts: &Counts, reference: &Reference) -> f64 {
    println!(
        "{:<34} {:>8} {:>9} {:>6}  {:>8} {:>9}",
        "operation", "Keel", "reference", "ratio", "kernel", "reference"
    );
    let mut ratios = Vec::new();
    for operation in &counts.operations {
        let (name, total, kernel) = (&operation.name, operation.total, operation.kernel);
        let range = match (operation.min, operation.max) {
            (min, max) if min == max => String::new(),
            (min, max) => format!("  {min} to {max}"),
        };
        match reference.0.get(name) {
            Some(&(reference_total, reference_kernel)) => {
                let ratio = total as f64 / reference_total as f64;
                println!(
                    "{name:<34} {total:>8} {reference_total:>9} {ratio:>6.3}  {kernel:>8} {reference_kernel:>9}{range}"
                );
                if name != REPORTED_ONLY {
                    ratios.push(ratio);
                }
            }
            None => println!("{name:<34} {total:>8} {:>9} {:>6}  {kernel:>8} {:>9}{range}", "", "", ""),
        }
    }
    let geomean = geometric_mean(&ratios);
    println!("{:<34} {:>8} {:>9} {geomean:>6.3}", format!("geometric mean of {}", ratios.len()), "", "");
    println!("{:<34} {:>8} instructions from the kernel's entry to the root task's", "boot", counts.boot);
    println!("{:<34} {:>8} bytes", "kernel in memory", counts.image_bytes);
    println!("{:<34} {:>8} KiB", "memory left to the root task", counts.free_bytes >> 10);
    geomean
}

fn geometric_mean(ratios: &[f64]) -> f64 {
    let sum: f64 = ratios.iter().map(|ratio| ratio.ln()).sum();
    (sum / ratios.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_read_without_firmware() {
        let reference = Reference::parse("operation\ttotal\tkernel\tfirmware\na\t10\t5\t3\n").unwrap();
        assert_eq!(reference.0["a"], (7, 5));
        assert!(Reference::parse("x\na\t10\n").is_err());
        assert!(Reference::parse("x\na\tb\tc\td\n").is_err());
    }

    #[test]
    fn the_mean_is_geometric() {
        assert!((geometric_mean(&[0.5, 2.0]) - 1.0).abs() < 1e-9);
    }
}
