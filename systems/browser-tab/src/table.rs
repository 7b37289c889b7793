// SPDX-License-Identifier: MIT OR Apache-2.0

//! What happened, in one place.

use heapless::Vec;
use keel::println;
use keel_browser_protocol::Text;

use crate::trouble::{Result, Trouble};

/// Rows that fit.
const MAX_ROWS: usize = 32;

/// One attack, and how it went.
#[derive(Debug)]
struct Row {
    what: &'static str,
    how: Text,
    contained: bool,
}

/// The attacks, and what was looked at afterwards.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Row, MAX_ROWS>,
    notes: Vec<(&'static str, bool), 8>,
    lost: usize,
}

impl Table {
    /// Adds an attack.
    pub fn attack(&mut self, what: &'static str, how: Text, contained: bool) {
        self.lost += usize::from(self.rows.push(Row { what, how, contained }).is_err());
    }

    /// Adds something that must be so.
    pub fn note(&mut self, what: &'static str, is_so: bool) {
        self.lost += usize::from(self.notes.push((what, is_so)).is_err());
    }

    /// Prints all of it; an error if something got through, or is not as it must be.
    pub fn print(&self) -> Result {
        println!("  attack                                    | held by");
        println!("  ------------------------------------------+--------------------------------------");
        for Row { what, how, contained } in &self.rows {
            println!("{} {what:<41} | {how}", if *contained { ' ' } else { '!' });
        }
        for (what, is_so) in &self.notes {
            println!("{} {what}: {}", if *is_so { ' ' } else { '!' }, if *is_so { "yes" } else { "NO" });
        }
        let loose = self.rows.iter().filter(|row| !row.contained).count();
        let wrong = self.notes.iter().filter(|note| !note.1).count();
        println!("{} of {} attacks contained", self.rows.len() - loose, self.rows.len());
        match loose + wrong + self.lost {
            0 => Ok(()),
            _ => Err(Trouble::new(
                "the sandbox did not hold",
                format_args!("{loose} attacks got through, {} things are wrong", wrong + self.lost),
            )),
        }
    }
}
