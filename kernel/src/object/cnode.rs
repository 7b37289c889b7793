// SPDX-License-Identifier: MIT OR Apache-2.0

//! CNodes: tables of capabilities, and the operations that copy, move and delete what is in them
//! (`invocations.md` §4, `semantics.md` §1).
//!
//! A CNode is an array of 2^radix slots and nothing else; radix and guard are in the capabilities to it.
//!
//! Bound: each operation resolves at most three addresses; revoke and delete work in units (`delete.rs`).

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{CNodeCap, Cap, FrameCap, IpcCap, Mapping, RawCap, Rights, tag};
use crate::cdt;
use crate::cspace::{self, Slot};
use crate::error::{Error, LookupFailure};
use crate::invocation::{Message, Preempted};
use crate::object::{Endpoint, Tcb};
use crate::store::Ref;
use keel_abi::label;
use keel_bounds::operation_is;

/// A legal operation on slots.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Delete all descendants of the capability in this slot.
    Revoke(Ref<Slot>),
    /// Delete the capability in this slot.
    Delete(Ref<Slot>),
    /// Restart everybody who waits to send through this endpoint with the badge of this capability.
    CancelBadgedSends {
        /// Who does it.
        thread: Ref<Tcb>,
        /// Where, and which badge.
        cap: IpcCap<Endpoint>,
    },
    /// Put a derived capability into an empty slot.
    Insert {
        /// The derived capability.
        raw: RawCap,
        /// What it comes from.
        source: Ref<Slot>,
        /// Where it goes.
        target: Ref<Slot>,
    },
    /// Move a capability, possibly changed, to an empty slot.
    Move {
        /// What it is afterwards.
        raw: RawCap,
        /// From here.
        source: Ref<Slot>,
        /// To here.
        target: Ref<Slot>,
    },
    /// Move the pivot to the target and the source to where the pivot was.
    Rotate {
        /// What the pivot is afterwards.
        pivot_raw: RawCap,
        /// What the source is afterwards.
        source_raw: RawCap,
        /// Where the pivot is.
        pivot: Ref<Slot>,
        /// Where the source is.
        source: Ref<Slot>,
        /// Where the pivot goes; may be the source.
        target: Ref<Slot>,
    },
}

/// What happens to the data word of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// Mint: a badge may be set on a capability without one.
    Set,
    /// Mutate and Rotate: badges stay.
    Preserve,
}

impl<A: Arch> Kernel<A> {
    /// Checks an invocation of the CNode `root`.
    #[inline(always)]
    pub(crate) fn decode_cnode(&self, root: RawCap, message: &Message) -> Result<Invocation, Error> {
        if !(label::CNODE_REVOKE..=label::CNODE_ROTATE).contains(&message.label) {
            return Err(Error::IllegalOperation);
        }
        message.require(2)?;
        let (index, depth) = (self.argument(message, 0), self.argument(message, 1));
        let target = cspace::target_slot(&self.store, root, index, depth, false)?;
        match message.label {
            label::CNODE_REVOKE => {
                operation_is::<{ label::CNODE_REVOKE }>();
                Ok(Invocation::Revoke(target))
            }
            label::CNODE_DELETE => {
                operation_is::<{ label::CNODE_DELETE }>();
                Ok(Invocation::Delete(target))
            }
            label::CNODE_CANCEL_BADGED_SENDS => {
                operation_is::<{ label::CNODE_CANCEL_BADGED_SENDS }>();
                match self.store[target].cap() {
                    Cap::Endpoint(cap) if cap.rights.has(Rights::ALL) => {
                        Ok(Invocation::CancelBadgedSends { thread: message.sender, cap })
                    }
                    _ => Err(Error::IllegalOperation),
                }
            }
            label::CNODE_ROTATE => {
                operation_is::<{ label::CNODE_ROTATE }>();
                self.decode_rotate(message, target)
            }
            label::CNODE_MOVE | label::CNODE_MUTATE => {
                operation_is::<{ label::CNODE_MOVE }>();
                self.decode_copy_or_move(message, target)
            }
            _ => {
                operation_is::<{ label::CNODE_COPY }>();
                self.decode_copy_or_move(message, target)
            }
        }
    }

    /// Checks Copy, Mint, Move and Mutate to the slot `target`.
    #[inline(always)]
    fn decode_copy_or_move(&self, message: &Message, target: Ref<Slot>) -> Result<Invocation, Error> {
        message.require(4)?;
        let root = self.extra_raw(message, 0)?;
        if !self.store[target].is_empty() {
            return Err(Error::DeleteFirst);
        }
        let source = self.source_slot(message, root, 2, 3)?;
        let raw = self.store[source].raw;
        if raw.is_null() {
            return Err(missing(true, self.argument(message, 3)));
        }
        match message.label {
            label::CNODE_MOVE => Ok(Invocation::Move { raw, source, target }),
            label::CNODE_MUTATE => {
                message.require(5)?;
                let raw = self.updated_raw(raw, self.argument(message, 4), Update::Preserve)?;
                Ok(Invocation::Move { raw, source, target })
            }
            label::CNODE_COPY => {
                message.require(5)?;
                let rights = Rights::from_word(self.argument(message, 4));
                let raw = self.derived(source, masked(raw, rights))?;
                Ok(Invocation::Insert { raw, source, target })
            }
            _ => {
                message.require(6)?;
                let rights = Rights::from_word(self.argument(message, 4));
                let minted = self.updated_raw(masked(raw, rights), self.argument(message, 5), Update::Set);
                // A data word that does not fit makes a null capability, of which the derivation is null as well.
                let raw = self.derived(source, minted?)?;
                Ok(Invocation::Insert { raw, source, target })
            }
        }
    }

    /// Checks Rotate, by which the pivot goes to `target`.
    fn decode_rotate(&self, message: &Message, target: Ref<Slot>) -> Result<Invocation, Error> {
        message.require(8)?;
        let pivot_root = self.extra_raw(message, 0)?;
        let source_root = self.extra_raw(message, 1)?;
        let source = self.source_slot(message, source_root, 6, 7)?;
        let pivot = self.source_slot(message, pivot_root, 3, 4)?;
        if pivot == source || pivot == target {
            return Err(Error::IllegalOperation);
        }
        if source != target && !self.store[target].is_empty() {
            return Err(Error::DeleteFirst);
        }
        if self.store[source].is_empty() {
            return Err(missing(true, self.argument(message, 7)));
        }
        if self.store[pivot].is_empty() {
            return Err(missing(false, self.argument(message, 4)));
        }
        let new = |slot: Ref<Slot>, data| {
            let cap = self.updated(self.store[slot].cap(), self.argument(message, data), Update::Preserve);
            cap.map(RawCap::from)
        };
        let source_raw = new(source, 5)?;
        let pivot_raw = new(pivot, 2)?;
        Ok(Invocation::Rotate { pivot_raw, source_raw, pivot, source, target })
    }

    /// The slot that two words of the message name as a source.
    fn source_slot(
        &self,
        message: &Message,
        root: RawCap,
        index: u64,
        depth: u64,
    ) -> Result<Ref<Slot>, Error> {
        let (index, depth) = (self.argument(message, index), self.argument(message, depth));
        cspace::target_slot(&self.store, root, index, depth, true)
    }

    /// Carries out an operation on slots.
    #[inline(always)]
    pub(crate) fn perform_cnode(&mut self, operation: Invocation) -> Result<u64, Preempted> {
        match operation {
            Invocation::Revoke(slot) => {
                operation_is::<{ label::CNODE_REVOKE }>();
                self.revoke(slot)?;
            }
            Invocation::Delete(slot) => {
                operation_is::<{ label::CNODE_DELETE }>();
                self.delete_slot(slot)?;
            }
            Invocation::CancelBadgedSends { thread, cap } => {
                operation_is::<{ label::CNODE_CANCEL_BADGED_SENDS }>();
                if cap.badge != 0 {
                    self.cancel_badged_sends(thread, cap.object, cap.badge)?;
                }
            }
            Invocation::Insert { raw, source, target } => {
                operation_is::<{ label::CNODE_COPY }>();
                self.insert_copy(raw, source, target);
            }
            Invocation::Move { raw, source, target } => {
                operation_is::<{ label::CNODE_MOVE }>();
                cdt::move_slot(&mut self.store, raw, source, target);
            }
            Invocation::Rotate { pivot_raw, source_raw, pivot, source, target } => {
                operation_is::<{ label::CNODE_ROTATE }>();
                if source == target {
                    cdt::swap(&mut self.store, source_raw, source, pivot_raw, pivot);
                } else {
                    cdt::move_slot(&mut self.store, pivot_raw, pivot, target);
                    cdt::move_slot(&mut self.store, source_raw, source, pivot);
                }
            }
        }
        Ok(0)
    }

    /// What a copy of `cap`, which stands in `slot`, would be; null for a capability that has no copies. `cap` may
    /// already be masked or minted.
    pub(crate) fn derive(&self, slot: Ref<Slot>, cap: Cap) -> Result<Cap, Error> {
        match cap {
            Cap::Untyped(_) if cdt::first_child(&self.store, slot).is_some() => Err(Error::RevokeFirst),
            Cap::Frame(mut frame) => {
                frame.mapping = Mapping::NONE;
                Ok(Cap::Frame(frame))
            }
            Cap::Table(table) if !table.mapping.is_some() => Err(Error::IllegalOperation),
            Cap::VSpace(root) if root.asid == 0 => Err(Error::IllegalOperation),
            Cap::Machine(raw) => Ok(A::derive_cap(raw).map_or(Cap::Null, Cap::Machine)),
            Cap::IrqControl | Cap::Zombie(_) => Ok(Cap::Null),
            cap => Ok(cap),
        }
    }

    /// As [`Self::derive`].
    #[inline]
    pub(crate) fn derive_raw(&self, slot: Ref<Slot>, raw: RawCap) -> Result<RawCap, Error> {
        if is_copied_as_it_is(raw) { Ok(raw) } else { Ok(self.derive(slot, raw.into())?.into()) }
    }

    /// As [`Self::derive`]; a null result is an error.
    #[inline]
    fn derived(&self, slot: Ref<Slot>, raw: RawCap) -> Result<RawCap, Error> {
        let raw = self.derive_raw(slot, raw)?;
        if raw.is_null() { Err(Error::IllegalOperation) } else { Ok(raw) }
    }

    /// As [`Self::updated`].
    #[inline]
    fn updated_raw(&self, raw: RawCap, data: u64, update: Update) -> Result<RawCap, Error> {
        match raw.tag() {
            tag::ENDPOINT | tag::NOTIFICATION if update == Update::Set && raw.word1 == 0 => {
                Ok(RawCap { word1: data, ..raw })
            }
            _ => Ok(self.updated(raw.into(), data, update)?.into()),
        }
    }

    /// `cap` with the data word of a Mint, Mutate or Rotate applied.
    pub(crate) fn updated(&self, cap: Cap, data: u64, update: Update) -> Result<Cap, Error> {
        let badged = |badge: u64| match update {
            Update::Set if badge == 0 => Ok(data),
            _ => Err(Error::IllegalOperation),
        };
        match cap {
            Cap::Endpoint(c) => Ok(Cap::Endpoint(IpcCap { badge: badged(c.badge)?, ..c })),
            Cap::Notification(c) => Ok(Cap::Notification(IpcCap { badge: badged(c.badge)?, ..c })),
            Cap::CNode(c) => with_guard(c, data),
            Cap::Machine(raw) => A::update_cap(raw, data, update == Update::Preserve)
                .map(Cap::Machine)
                .ok_or(Error::IllegalOperation),
            cap => Ok(cap),
        }
    }
}

/// `cap` with the guard of a CNode data word (`objects.md` §3.2).
fn with_guard(cap: CNodeCap, data: u64) -> Result<Cap, Error> {
    let guard_bits = (data & 63) as u8;
    if guard_bits + cap.radix > 64 {
        return Err(Error::IllegalOperation);
    }
    let guard = data >> 6 & ((1 << guard_bits) - 1);
    Ok(Cap::CNode(CNodeCap { guard_bits, guard, ..cap }))
}

/// Whether a copy of this capability is always legal, and equal to it: the common kinds of them.
const fn is_copied_as_it_is(raw: RawCap) -> bool {
    matches!(raw.tag(), tag::ENDPOINT | tag::NOTIFICATION | tag::REPLY | tag::CNODE | tag::TCB)
}

/// `raw` with no more than `rights`.
#[inline]
fn masked(raw: RawCap, rights: Rights) -> RawCap {
    match raw.tag() {
        tag::ENDPOINT | tag::NOTIFICATION | tag::REPLY => raw.masked(rights),
        tag::FRAME => match raw.into() {
            Cap::Frame(frame) => Cap::Frame(FrameCap { rights: frame.rights.masked(rights), ..frame }).into(),
            _ => raw,
        },
        _ => raw,
    }
}

/// A slot that must hold a capability is empty.
const fn missing(source: bool, depth: u64) -> Error {
    Error::FailedLookup { source, failure: LookupFailure::MissingCapability { bits_left: depth } }
}

#[cfg(test)]
mod test;
