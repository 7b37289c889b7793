// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tables of virtual address spaces: walking them, and mapping tables into them.
//!
//! A level is counted from below: the entries of a table at level 0 hold the smallest pages, those of level `l`
//! span `2^(12 + 9·l)` bytes each. The root is at level `LEVELS − 1`. On most machines a table has no level of its
//! own: it gets one by where it is hooked in, which is always the first place that is missing on the way to an
//! address. On others each level has its type ([`Arch::TABLES_HAVE_LEVELS`]), and a table waits until those above it
//! are there. So tables are mapped top down.
//!
//! ```text
//!   root (level 3)                     TableCap.mapping = (ASID, address of the span)
//!     [i] -> table (level 2)
//!              [j] -> table (level 1)
//!                       [k] = page of 2 MiB, or -> table (level 0)
//! ```
//!
//! A capability remembers where its table or frame is mapped by identifier and address alone, and that memory can
//! be stale: the address space can die first. So whoever unmaps looks whether the entry still refers to its
//! object, and leaves it alone if not.
//!
//! Invariants:
//! - **P1** A table is hooked in at most one place: it is mapped only when its capability is not, a mapped one is
//!   shared only by copies that are mapped as well, and unmapping takes the last copy.
//! - **P2** A table that is hooked in nowhere and not marked as mapped is empty. A table whose address space died
//!   keeps stale entries, but is marked as mapped until unmapping empties it; so nothing stale is ever hooked in.
//! - **P3** Every entry of a table that a live root reaches refers to a live table or frame: finalising either
//!   removes the entry.
//!
//! Bound: a walk takes at most `LEVELS` rounds; emptying a table writes 512 words.

use crate::Kernel;
use crate::arch::{Arch, Entry, MAX_LEVELS, PagingLabel};
use crate::cap::{Cap, Mapping, TableCap, page_bits};
use crate::cdt;
use crate::cspace::Slot;
use crate::error::{Error, LookupFailure};
use crate::invocation::{Message, Preempted};
use crate::store::{Kind, Ref, Store};
use crate::units::{PhysAddr, VirtAddr};
use keel_bounds::{at_most, operation, operation_is};

/// Entries of a table.
pub const TABLE_ENTRIES: usize = 512;

/// A table: the root of an address space or a page table.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Table {
    /// Entries in the machine's form.
    pub entries: [u64; TABLE_ENTRIES],
}

const _: () = assert!(size_of::<Table>() == 1 << super::bits::TABLE);

/// An entry of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// The table.
    pub table: Ref<Table>,
    /// Which of its entries.
    pub index: usize,
    /// The level of the table.
    pub level: u8,
}

impl Place {
    /// The entry for `address` in `table`, which is at `level`.
    const fn of(table: Ref<Table>, level: u8, address: VirtAddr) -> Self {
        Self { table, index: (address.0 >> page_bits(level)) as usize % TABLE_ENTRIES, level }
    }
}

/// An operation on a page table.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Hook it in.
    Map {
        /// The slot of its capability.
        slot: Ref<Slot>,
        /// The capability as it will be.
        table: TableCap,
        /// The entry that will refer to it.
        place: Place,
        /// The entry's value.
        raw: u64,
    },
    /// Unhook and empty it.
    Unmap {
        /// The slot of its capability.
        slot: Ref<Slot>,
        /// The capability as it is.
        table: TableCap,
    },
}

impl<A: Arch> Kernel<A> {
    /// Decodes an operation on a page table.
    pub fn decode_table(
        &self,
        table: TableCap,
        label: PagingLabel,
        message: &Message,
    ) -> Result<Invocation, Error> {
        match label {
            PagingLabel::TableMap(_) => self.decode_table_map(table, message),
            PagingLabel::TableUnmap(_) if !cdt::is_final(&self.store, message.slot) => {
                Err(Error::RevokeFirst)
            }
            PagingLabel::TableUnmap(_) => Ok(Invocation::Unmap { slot: message.slot, table }),
            _ => Err(Error::IllegalOperation),
        }
    }

    /// Map (`invocations.md` §10): the address space is extra capability 0, the address word 0.
    fn decode_table_map(&self, table: TableCap, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (_, space) = self.extra_cap(message, 0)?;
        if table.mapping.is_some() {
            return Err(Error::InvalidCapability(0));
        }
        let space = self.assigned_space(space, 1)?;
        let mut address = VirtAddr(self.argument(message, 0));
        if A::TABLES_HAVE_LEVELS {
            address = VirtAddr(address.0 >> page_bits(table.level + 1) << page_bits(table.level + 1));
        }
        if address.0 > A::USER_TOP {
            return Err(Error::InvalidArgument(0));
        }
        self.check_space(space, 1)?;
        let place = self.walk(space.root, address);
        if A::TABLES_HAVE_LEVELS && place.level > table.level + 1 {
            return Err(missing_table(place));
        }
        if place.level <= table.level || self.entry(place) != Entry::Empty {
            return Err(Error::DeleteFirst);
        }
        let address = VirtAddr(address.0 >> page_bits(place.level) << page_bits(place.level));
        let mapping = Mapping { asid: space.asid, address, ..Mapping::NONE };
        let raw = A::table_entry(Store::<A>::physical(table.table.address()), self.argument(message, 1));
        Ok(Invocation::Map { slot: message.slot, table: TableCap { mapping, ..table }, place, raw })
    }

    /// Why a root, where it is a table that is mapped for good, can be neither mapped nor unmapped
    /// (`invocations.md` §11).
    pub(crate) fn refuse_root(&self, label: PagingLabel, message: &Message) -> Error {
        let is_whole = message.length >= 2 && self.extra_cap(message, 0).is_ok();
        match label {
            PagingLabel::TableMap(_) if is_whole => Error::InvalidCapability(0),
            PagingLabel::TableMap(_) => Error::TruncatedMessage,
            _ => Error::RevokeFirst,
        }
    }

    /// Performs an operation on a page table.
    pub fn perform_table(&mut self, operation: Invocation) -> Result<u64, Preempted> {
        match operation {
            Invocation::Map { slot, table, place, raw } => {
                operation_is::<{ operation::TABLE_MAP }>();
                self.write_entry(place, raw);
                self.store[slot].raw = Cap::Table(table).into();
            }
            Invocation::Unmap { slot, table } => {
                operation_is::<{ operation::TABLE_UNMAP }>();
                if table.mapping.is_some() {
                    self.unhook(&table);
                    self.empty(table.table);
                }
                self.store[slot].raw = Cap::Table(TableCap { mapping: Mapping::NONE, ..table }).into();
            }
        }
        Ok(0)
    }

    /// The last capability to a page table is gone.
    ///
    /// Its entries stay: nobody reaches them any more, and its memory is cleared before it becomes an object again.
    pub fn finalise_table(&mut self, table: &TableCap) {
        self.unhook(table);
        self.store.destroyed(Kind::Table, table.table.address());
    }

    /// Takes the table out of the address space in which it is mapped, if it is still there.
    fn unhook(&mut self, table: &TableCap) {
        if let Some(place) = self.hook_of(table) {
            self.write_entry(place, 0);
            self.arch.flush_asid(table.mapping.asid);
        }
    }

    /// The entry that refers to the table.
    fn hook_of(&self, cap: &TableCap) -> Option<Place> {
        let mut table = self.root_of(cap.mapping.asid)?;
        let mut rounds = at_most!(MAX_LEVELS - 1);
        for level in (1..A::LEVELS).rev() {
            rounds.count();
            let place = Place::of(table, level, cap.mapping.address);
            let below = self.table_below(place)?;
            if below == cap.table {
                return Some(place);
            }
            table = below;
        }
        None
    }

    /// Empties a table that is hooked in nowhere.
    fn empty(&mut self, table: Ref<Table>) {
        self.store[table].entries.fill(0);
        self.arch.cleared(Store::<A>::physical(table.address()), size_of::<Table>() as u64);
    }

    /// The place where the walk for `address` ends: the first entry on the way that is not a table, or the one in
    /// the lowest table.
    #[must_use]
    pub fn walk(&self, root: Ref<Table>, address: VirtAddr) -> Place {
        let mut place = Place::of(root, A::LEVELS - 1, address);
        let mut rounds = at_most!(MAX_LEVELS - 1);
        while place.level > 0 {
            rounds.count();
            let Some(below) = self.table_below(place) else { break };
            place = Place::of(below, place.level - 1, address);
        }
        place
    }

    /// The page that is mapped at `address`: where, and its physical address.
    #[must_use]
    pub fn lookup_page(&self, root: Ref<Table>, address: VirtAddr) -> Option<(Place, PhysAddr)> {
        let place = self.walk(root, address);
        match self.entry(place) {
            Entry::Page(physical) => Some((place, physical)),
            _ => None,
        }
    }

    /// The table that the entry at `place` refers to.
    fn table_below(&self, place: Place) -> Option<Ref<Table>> {
        match self.entry(place) {
            Entry::Table(physical) => Ref::at(Store::<A>::window(physical)),
            _ => None,
        }
    }

    /// What the entry at `place` holds.
    #[must_use]
    pub fn entry(&self, place: Place) -> Entry {
        A::entry(self.raw_entry(place), place.level)
    }

    /// The entry at `place` in the machine's form.
    #[must_use]
    pub fn raw_entry(&self, place: Place) -> u64 {
        self.store[place.table].entries[place.index % TABLE_ENTRIES]
    }

    /// Writes the entry at `place` and shows it to the table walker. Cached translations are the caller's matter.
    pub(crate) fn write_entry(&mut self, place: Place, raw: u64) {
        self.store[place.table].entries[place.index % TABLE_ENTRIES] = raw;
        self.arch.entry_written(place.table, place.index as u64);
    }
}

/// The refusal of who needs a table below `place`, where the walk has ended.
pub(super) fn missing_table(place: Place) -> Error {
    let failure = LookupFailure::MissingCapability { bits_left: page_bits(place.level).into() };
    Error::FailedLookup { source: false, failure }
}

#[cfg(test)]
pub(super) mod test;
