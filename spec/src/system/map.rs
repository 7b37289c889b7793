// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address spaces: what is mapped where (`memory.md` §1, §5).
//!
//! An address space is a map from *places* to what is mapped there. A place is an entry of a table: it has a level,
//! counted from below, and spans 2^(12 + 9·level) bytes from an address on. The entries of the root are there from the
//! beginning; a table that is mapped at a place brings the places of the level below in its span, and takes along what
//! is mapped in them when it goes.
//!
//! Addresses are looked up through numbers: a space is found by its identifier, and a capability to a frame or a table
//! only knows the identifier and the address at which it was mapped. Either can stand for something else by now. Then
//! the capability's mapping is *stale*: whoever unmaps leaves alone what is not his.
//!
//! ```text
//!   level 2   [ root's entry ........................................ ]
//!   level 1   [ entry of a table .... ][ page of 2 MiB ][ ... ]
//!   level 0   [ page of 4 KiB ][ ... ]
//! ```

use super::error::{Error, LookupFailure};
use super::{Cap, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::{Object, Slot};
use std::collections::BTreeMap;

/// Log2 of the size of the smallest page.
const PAGE_BITS: u32 = 12;
/// Log2 of the number of entries of a table.
const TABLE_BITS: u32 = 9;

/// What address spaces are like on a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Paging {
    /// The levels of tables, the root's included.
    pub levels: u32,
    /// The last address that can be mapped.
    pub top: u64,
    /// How many pools of identifiers there can be.
    pub pools: u64,
    /// The attributes of a page that the machine knows, as a mask.
    pub attributes: u64,
}

/// An entry of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The level of the table.
    pub level: u32,
    /// Where its span begins.
    pub address: u64,
}

impl Place {
    /// The entry at `level` for `address`.
    #[must_use]
    pub const fn of(level: u32, address: u64) -> Self {
        Self { level, address: address >> span_bits(level) << span_bits(level) }
    }

    /// Whether `inner` is an entry of the table mapped here, or of one below that.
    fn has_below(self, inner: Self) -> bool {
        inner.level < self.level && Self::of(self.level, inner.address) == self
    }
}

/// Log2 of the bytes that an entry at `level` spans.
#[must_use]
pub const fn span_bits(level: u32) -> u32 {
    PAGE_BITS + TABLE_BITS * level
}

/// What is mapped at a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mapped {
    /// A table.
    Table(Object),
    /// A frame.
    Page {
        /// Which one.
        frame: Object,
        /// What user level may do there.
        rights: Rights,
        /// How it is cached, and whether it can be executed.
        attributes: u64,
    },
}

/// An address space.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Space {
    /// Its root.
    pub root: Object,
    /// What is mapped in it.
    pub mapped: BTreeMap<Place, Mapped>,
}

impl Space {
    /// Where the walk for `address` ends: at the first place on the way down where there is no table.
    fn walk(&self, paging: &Paging, address: u64) -> Place {
        let way = (0..paging.levels).rev().map(|level| Place::of(level, address));
        let is_end =
            |place: &Place| place.level == 0 || !matches!(self.mapped.get(place), Some(Mapped::Table(_)));
        way.into_iter().find(is_end).expect("the lowest level ends it")
    }

    /// What was mapped at `place` is there no more, nor what was mapped through it.
    fn unmap(&mut self, place: Place) {
        self.mapped.retain(|other, _| *other != place && !place.has_below(*other));
    }
}

/// Where something is mapped, as its capability knows it: identifier of the space and address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// The identifier, 0 for nowhere.
    pub asid: u64,
    /// The address.
    pub address: u64,
}

/// Bits of an address that can be mapped.
const ADDRESS_BITS: u32 = 48;

impl Mapping {
    /// The data word of a capability that is mapped here.
    #[must_use]
    pub const fn word(self) -> u64 {
        self.asid << ADDRESS_BITS | self.address
    }

    /// Where a capability with this data word is mapped.
    #[must_use]
    pub const fn of(data: u64) -> Self {
        Self { asid: data >> ADDRESS_BITS, address: data & ((1 << ADDRESS_BITS) - 1) }
    }
}

/// The refusal where an identifier stands for nothing.
const INVALID_ROOT: Error = Error::FailedLookup(false, LookupFailure::InvalidRoot);

impl System {
    /// The identifier of the address space in `slot`, extra capability 0 of a Map: it must have one...
    pub(super) fn assigned(&self, slot: Slot) -> Result<Cap, Error> {
        let cap = self.cap(&slot);
        if cap.kind == Kind::VSpace && cap.data != 0 { Ok(cap) } else { Err(Error::InvalidCapability(1)) }
    }

    /// ... and that must stand for it.
    pub(super) fn space_of(&self, cap: &Cap) -> Result<&Space, Error> {
        match self.spaces.get(&cap.data) {
            None => Err(INVALID_ROOT),
            Some(space) if space.root != cap.object => Err(Error::InvalidCapability(1)),
            Some(space) => Ok(space),
        }
    }

    /// Where the walk for `address` ends in a space.
    pub(super) fn walk(&self, space: &Space, address: u64) -> Place {
        space.walk(&self.paging, address)
    }

    /// Puts something at a place of the space with this identifier; what was there before is there no more.
    pub(super) fn map(&mut self, asid: u64, place: Place, what: Mapped) {
        self.spaces.get_mut(&asid).expect("the space was looked up").mapped.insert(place, what);
    }

    /// What `cap`, to a frame or a table, has mapped is mapped there no more, if it still is.
    pub(super) fn unmap(&mut self, cap: &Cap) {
        let Mapping { asid, address } = Mapping::of(cap.data);
        let level_of_page = self.level_of(cap.object);
        let Some(space) = self.spaces.get_mut(&asid) else { return };
        let is_it = |(place, what): &(&Place, &Mapped)| match what {
            Mapped::Table(table) => cap.kind == Kind::Table && *table == cap.object,
            Mapped::Page { frame, .. } => {
                cap.kind == Kind::Frame
                    && *frame == cap.object
                    && **place == Place { level: level_of_page, address }
            }
        };
        let place = space.mapped.iter().find(is_it).map(|(place, _)| *place);
        if let Some(place) = place {
            space.unmap(place);
        }
    }

    /// The level of the entries that a frame fills.
    pub(super) fn level_of(&self, frame: Object) -> u32 {
        (self.bytes(frame).max(1).ilog2().saturating_sub(PAGE_BITS)) / TABLE_BITS
    }
}
