// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces: what their tables refer to, and what the machine may still have cached of them.

use super::Survey;
use crate::Kernel;
use crate::arch::{Arch, Entry};
use crate::cap::{Cap, Mapping, page_bits};
use crate::host::{Host, Translation};
use crate::object::Table;
use crate::object::asid::POOL_ENTRIES;
use crate::store::{Ref, Store};
use crate::units::{Asid, PhysAddr, VirtAddr};
use std::collections::{BTreeMap, BTreeSet};

/// Invariants of page tables and of the capabilities that mapped something.
pub(super) fn check(kernel: &mut Kernel<Host>, survey: &Survey) {
    let mapped = Mapped::of(kernel, survey);
    let spaces = Spaces::of(kernel);
    for (what, page) in &spaces.pages {
        assert!(mapped.frames.contains(&(*page, *what)), "F1: no capability maps {page:x?} at {what:x?}");
    }
    for (what, table) in &spaces.tables {
        let known = mapped
            .tables
            .get(table)
            .is_some_and(|(asid, start)| (*asid, *start) == (what.asid, what.address));
        assert!(known, "P3: no capability has {table:x?} hooked in at {what:x?}");
    }
    for &table in &mapped.unhooked {
        assert!(kernel.store[table].entries.iter().all(|&entry| entry == 0), "P2: {table:?} is not empty");
    }
    for (what, raw) in kernel.arch.translations() {
        let now = spaces.entries.get(what);
        assert_eq!(now, Some(raw), "V3: the machine was not told that it must forget {what:x?}");
    }
    // Until the next entry, user level may have made the machine cache everything that there is.
    kernel.arch.set_translations(spaces.entries);
}

/// What capabilities say about mappings.
#[derive(Default)]
struct Mapped {
    /// Frames and where they are.
    frames: BTreeSet<(PhysAddr, Translation)>,
    /// Where each table is hooked in.
    tables: BTreeMap<PhysAddr, (Asid, VirtAddr)>,
    /// Tables that are hooked in nowhere, and roots that are none yet.
    unhooked: Vec<Ref<Table>>,
}

impl Mapped {
    /// Reads all capabilities.
    fn of(kernel: &Kernel<Host>, survey: &Survey) -> Self {
        let mut mapped = Self::default();
        for &slot in &survey.slots {
            match kernel.store[slot].cap() {
                Cap::Frame(frame) if frame.mapping.is_some() => {
                    let Mapping { asid, address, .. } = frame.mapping;
                    let what = Translation { asid, address, level: frame.level };
                    mapped.frames.insert((frame.base, what));
                }
                Cap::Table(table) if table.mapping.is_some() => {
                    let physical = Store::<Host>::physical(table.table.address());
                    let place = (table.mapping.asid, table.mapping.address);
                    let before = mapped.tables.insert(physical, place);
                    assert!(before.is_none_or(|before| before == place), "P1: {table:x?} is in two places");
                }
                Cap::Table(table) => mapped.unhooked.push(table.table),
                Cap::VSpace(space) if space.asid == 0 => mapped.unhooked.push(space.root),
                _ => {}
            }
        }
        mapped
    }
}

/// What can be reached from live roots.
#[derive(Default)]
struct Spaces {
    /// Pages, and where they are mapped.
    pages: Vec<(Translation, PhysAddr)>,
    /// Tables, and where they are hooked in.
    tables: Vec<(Translation, PhysAddr)>,
    /// Entries that hold either.
    entries: BTreeMap<Translation, u64>,
}

impl Spaces {
    /// Walks all live roots.
    fn of(kernel: &Kernel<Host>) -> Self {
        let mut spaces = Self::default();
        for base in (0..Host::ASID_POOLS).map(|number| (number * POOL_ENTRIES) as Asid) {
            let Some(pool) = kernel.asid_pools.pool(base) else { continue };
            for (index, root) in kernel.store[pool].roots.iter().enumerate() {
                if let Some(root) = *root {
                    spaces.visit(kernel, root, base + index as Asid);
                }
            }
        }
        spaces
    }

    /// Follows all tables from `root` on.
    fn visit(&mut self, kernel: &Kernel<Host>, root: Ref<Table>, asid: Asid) {
        let mut left = vec![(root, Host::LEVELS - 1, VirtAddr(0))];
        while let Some((table, level, start)) = left.pop() {
            for (index, raw) in kernel.store[table].entries.into_iter().enumerate() {
                let address = VirtAddr(start.0 + ((index as u64) << page_bits(level)));
                let what = Translation { asid, level, address };
                match Host::entry(raw, level) {
                    Entry::Empty => continue,
                    Entry::Page(physical) => self.pages.push((what, physical)),
                    Entry::Table(physical) => {
                        self.tables.push((what, physical));
                        let below = Ref::at(Store::<Host>::window(physical)).expect("a table");
                        left.push((below, level - 1, address));
                    }
                }
                assert_eq!(self.entries.insert(what, raw), None, "V2: {asid} stands for two roots");
            }
        }
    }
}
