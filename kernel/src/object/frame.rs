// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: memory that user level can map.
//!
//! A capability to a frame maps it at most once; who wants it in two places copies the capability. The copy is
//! unmapped. Mapping it again at the same place changes rights and attributes. Where machines let one frame
//! replace another in an entry, the loser's capability goes on believing that it is mapped; unmapping looks whether
//! the entry still refers to the frame, so it then has no effect (`memory.md` §5).
//!
//! Invariant:
//! - **F1** An entry of a live address space that refers to a frame does so on behalf of a capability that records
//!   this address space and address. Deleting any capability to a frame removes its mapping, so a frame without
//!   capabilities is mapped nowhere.
//!
//! Bound: a walk, one entry, one page of cached translations.

use crate::Kernel;
use crate::arch::{Arch, Entry, PageCheck, PagingLabel};
use crate::cap::{Cap, FrameCap, Mapping, Rights, VSpaceCap};
use crate::cspace::Slot;
use crate::error::Error;
use crate::invocation::{Message, Preempted};
use crate::object::table::{Place, missing_table};
use crate::store::{Kind, Ref, Store};
use crate::units::{PhysAddr, VirtAddr};
use keel_bounds::{at_most, operation, operation_is};

/// An operation on a frame.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Map it, or change how it is mapped.
    Map {
        /// The slot of its capability.
        slot: Ref<Slot>,
        /// The capability as it will be.
        frame: FrameCap,
        /// The entry that will refer to it.
        place: Place,
        /// The entry's value.
        raw: u64,
    },
    /// Unmap it.
    Unmap {
        /// The slot of its capability.
        slot: Ref<Slot>,
        /// The capability as it is.
        frame: FrameCap,
    },
    /// Tell its physical address.
    GetAddress(PhysAddr),
}

impl<A: Arch> Kernel<A> {
    /// Decodes an operation on a frame.
    pub fn decode_frame(
        &self,
        frame: FrameCap,
        label: PagingLabel,
        message: &Message,
    ) -> Result<Invocation, Error> {
        match label {
            PagingLabel::PageMap => self.decode_page_map(frame, message),
            PagingLabel::PageUnmap => Ok(Invocation::Unmap { slot: message.slot, frame }),
            PagingLabel::PageGetAddress => Ok(Invocation::GetAddress(frame.base)),
            _ => Err(Error::IllegalOperation),
        }
    }

    /// Map (`invocations.md` §10): the address space is extra capability 0; words are address, rights, attributes.
    fn decode_page_map(&self, frame: FrameCap, message: &Message) -> Result<Invocation, Error> {
        message.require(3)?;
        let (_, space) = self.extra_cap(message, 0)?;
        let space = self.assigned_space(space, 1)?;
        let address = VirtAddr(self.argument(message, 0));
        let mut rounds = at_most!(5);
        for check in A::PAGE_CHECKS {
            rounds.count();
            self.check_page(check, &frame, space, address)?;
        }
        let place = self.walk(space.root, address);
        if A::REFUSE_OVERMAP && !frame.mapping.is_some() && self.entry(place) != Entry::Empty {
            return Err(Error::DeleteFirst);
        }
        let rights = frame.rights.masked(Rights::from_word(self.argument(message, 1)));
        let raw = A::page_entry(frame.base, frame.level, rights, self.argument(message, 2));
        let mapping = Mapping { asid: space.asid, address, ..Mapping::NONE };
        Ok(Invocation::Map { slot: message.slot, frame: FrameCap { mapping, ..frame }, place, raw })
    }

    /// One check of Map.
    fn check_page(
        &self,
        check: PageCheck,
        frame: &FrameCap,
        space: VSpaceCap,
        address: VirtAddr,
    ) -> Result<(), Error> {
        let last_offset = (1 << frame.bits()) - 1;
        match check {
            PageCheck::Space => self.check_space(space, 1),
            PageCheck::Alignment if address.0 & last_offset != 0 => Err(Error::Alignment),
            PageCheck::Range if address.0.checked_add(last_offset).is_none_or(|last| last > A::USER_TOP) => {
                Err(Error::InvalidArgument(0))
            }
            PageCheck::Place if frame.mapping.is_some() => check_same_place(&frame.mapping, space, address),
            PageCheck::Level => {
                let place = self.walk(space.root, address);
                if place.level == frame.level {
                    return Ok(());
                }
                let is_table_in_the_way = A::TABLES_HAVE_LEVELS && place.level < frame.level;
                Err(if is_table_in_the_way { Error::DeleteFirst } else { missing_table(place) })
            }
            _ => Ok(()),
        }
    }

    /// Performs an operation on a frame; the number of result words.
    pub fn perform_frame(&mut self, operation: Invocation, message: &Message) -> Result<u64, Preempted> {
        match operation {
            Invocation::Map { slot, frame, place, raw } => {
                operation_is::<{ operation::PAGE_MAP }>();
                self.replace_page(place, frame.mapping, raw);
                self.store[slot].raw = Cap::Frame(frame).into();
            }
            Invocation::Unmap { slot, frame } => {
                operation_is::<{ operation::PAGE_UNMAP }>();
                self.unmap_frame(&frame);
                self.store[slot].raw = Cap::Frame(FrameCap { mapping: Mapping::NONE, ..frame }).into();
            }
            Invocation::GetAddress(base) if message.is_call => {
                operation_is::<{ operation::PAGE_GET_ADDRESS }>();
                self.set_result(message.sender, 0, base.0);
                return Ok(1);
            }
            Invocation::GetAddress(_) => operation_is::<{ operation::PAGE_GET_ADDRESS }>(),
        }
        Ok(0)
    }

    /// Writes a page's entry. A page that is there goes first, and out of the cached translations, before another
    /// takes its place: the table walker must never see two at once (Arm's "break before make").
    fn replace_page(&mut self, place: Place, mapping: Mapping, raw: u64) {
        if self.entry(place) != Entry::Empty {
            self.write_entry(place, 0);
            self.arch.flush_page(mapping.asid, mapping.address);
        }
        self.write_entry(place, raw);
    }

    /// Removes the capability's mapping, if the entry still refers to this frame.
    pub fn unmap_frame(&mut self, frame: &FrameCap) {
        if let Some(place) = self.mapped_place(frame) {
            self.write_entry(place, 0);
            self.arch.flush_page(frame.mapping.asid, frame.mapping.address);
        }
    }

    /// The entry through which this capability maps its frame; none if it is unmapped or the mapping is stale.
    #[must_use]
    pub fn mapped_place(&self, frame: &FrameCap) -> Option<Place> {
        let root = self.root_of(frame.mapping.asid)?;
        let (place, physical) = self.lookup_page(root, frame.mapping.address)?;
        (place.level == frame.level && physical == frame.base).then_some(place)
    }

    /// A capability to a frame is being deleted; `is_final` if it is the last one.
    pub fn finalise_frame(&mut self, frame: &FrameCap, is_final: bool) {
        self.unmap_frame(frame);
        if is_final {
            self.store.destroyed(Kind::Frame, Store::<A>::window(frame.base));
        }
    }
}

/// Whether a mapped frame may be mapped at `address` of `space`: only where it is.
fn check_same_place(mapping: &Mapping, space: VSpaceCap, address: VirtAddr) -> Result<(), Error> {
    if mapping.asid != space.asid {
        return Err(Error::InvalidCapability(1));
    }
    if mapping.address == address { Ok(()) } else { Err(Error::InvalidArgument(0)) }
}

#[cfg(test)]
mod test;
