// SPDX-License-Identifier: MIT OR Apache-2.0

//! Operations on slots (`invocations.md` §4).

use super::System;
use super::call::{Answer, Message};
use super::error::{Error, LookupFailure};
use super::lookup::guard_word;
use crate::algebra::{Kind, Rights};
use crate::authority::Refusal;
use crate::concrete::Slot;
use keel_abi::label;

impl System {
    /// Invokes a CNode capability.
    pub(super) fn invoke_cnode(&mut self, message: &Message) -> Answer {
        if !(label::CNODE_REVOKE..=label::CNODE_ROTATE).contains(&message.label) {
            return Err(Error::IllegalOperation);
        }
        message.require(2)?;
        let (index, depth) = (self.argument(message, 0), self.argument(message, 1));
        let target = self.target(message.slot, index, depth, false)?;
        match message.label {
            label::CNODE_REVOKE => self.revoke(target)?,
            label::CNODE_DELETE => self.delete(target)?,
            label::CNODE_CANCEL_BADGED_SENDS => {
                let cap = self.cap(&target);
                if cap.kind != Kind::Endpoint || !cap.rights.has(Rights::ALL) {
                    return Err(Error::IllegalOperation);
                }
                if cap.data != 0 {
                    self.cancel_badged_sends(message.sender, cap.object, cap.data)?;
                }
            }
            label::CNODE_ROTATE => self.rotate(message, target)?,
            _ => self.copy_or_move(message, target)?,
        }
        Ok(vec![])
    }

    fn copy_or_move(&mut self, message: &Message, target: Slot) -> Result<(), Error> {
        message.require(4)?;
        let root = message.extra(0)?;
        if self.cap(&target).kind != Kind::Null {
            return Err(Error::DeleteFirst);
        }
        let (index, depth) = (self.argument(message, 2), self.argument(message, 3));
        let source = self.target(root, index, depth, true)?;
        if self.cap(&source).kind == Kind::Null {
            return Err(Error::FailedLookup(true, LookupFailure::Missing(depth)));
        }
        let done = match message.label {
            label::CNODE_MOVE => self.authority.move_to(&self.x, &source, &target, None),
            label::CNODE_MUTATE => {
                message.require(5)?;
                let data = self.data_for(source, self.argument(message, 4))?;
                self.authority.move_to(&self.x, &source, &target, Some(&data))
            }
            label::CNODE_COPY => {
                message.require(5)?;
                let mask = rights_of(self.argument(message, 4));
                self.authority.copy(&self.x, &source, &target, &mask, None)
            }
            _ => {
                message.require(6)?;
                let mask = rights_of(self.argument(message, 4));
                let data = self.data_for(source, self.argument(message, 5))?;
                self.authority.copy(&self.x, &source, &target, &mask, Some(&data))
            }
        };
        done.map_err(error_of)
    }

    fn rotate(&mut self, message: &Message, target: Slot) -> Result<(), Error> {
        message.require(8)?;
        let (pivot_root, source_root) = (message.extra(0)?, message.extra(1)?);
        let word = |index| self.argument(message, index);
        let source = self.target(source_root, word(6), word(7), true)?;
        let pivot = self.target(pivot_root, word(3), word(4), true)?;
        let is_empty = |slot: &Slot| self.cap(slot).kind == Kind::Null;
        if pivot == source || pivot == target {
            return Err(Error::IllegalOperation);
        }
        if source != target && !is_empty(&target) {
            return Err(Error::DeleteFirst);
        }
        if is_empty(&source) {
            return Err(Error::FailedLookup(true, LookupFailure::Missing(word(7))));
        }
        if is_empty(&pivot) {
            return Err(Error::FailedLookup(false, LookupFailure::Missing(word(4))));
        }
        let source_data = self.data_for(source, word(5))?;
        let pivot_data = self.data_for(pivot, word(2))?;
        for slot in [&source, &pivot] {
            if matches!(self.cap(slot).kind, Kind::Endpoint | Kind::Notification) {
                return Err(Error::IllegalOperation);
            }
        }
        let (x, authority) = (&self.x, &mut self.authority);
        let moved = if source == target {
            let changed = authority
                .mutate(x, &source, Some(&source_data))
                .and_then(|()| authority.mutate(x, &pivot, Some(&pivot_data)));
            changed.and_then(|()| authority.swap(x, &source, &pivot))
        } else {
            authority
                .move_to(x, &pivot, &target, Some(&pivot_data))
                .and_then(|()| authority.move_to(x, &source, &pivot, Some(&source_data)))
        };
        moved.map_err(error_of)
    }

    /// The data word of a Mint or Mutate, for what is in `source`: a badge as it is, a guard only if it fits.
    pub(super) fn data_for(&self, source: Slot, word: u64) -> Result<u64, Error> {
        let cap = self.cap(&source);
        if cap.kind != Kind::CNode {
            return Ok(word);
        }
        let bits = word & 63;
        if bits + self.radix(cap.object) > 64 {
            return Err(Error::IllegalOperation);
        }
        Ok(guard_word(word >> 6 & ((1 << bits) - 1), bits))
    }
}

/// The rights of the interface's rights word.
pub(super) const fn rights_of(word: u64) -> Rights {
    Rights((word & 15) as u8)
}

/// The error that a refused step is.
pub(super) const fn error_of(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Occupied => Error::DeleteFirst,
        Refusal::HasChildren => Error::RevokeFirst,
        Refusal::Missing
        | Refusal::NoSuchSlot
        | Refusal::Illegal
        | Refusal::NotEnoughMemory
        | Refusal::Forbidden => Error::IllegalOperation,
    }
}
