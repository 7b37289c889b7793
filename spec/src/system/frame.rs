// SPDX-License-Identifier: MIT OR Apache-2.0

//! Frames: memory that can be mapped (`invocations.md` §10, `memory.md` §3 to §5).
//!
//! A capability maps its frame at one place at most. Mapping it again there changes rights and attributes. A frame that
//! is mapped where another one is takes its place; the other's capability goes on believing that it is mapped.

use super::System;
use super::call::{Answer, Message};
use super::cnode::{error_of, rights_of};
use super::error::{Error, LookupFailure};
use super::map::{Mapped, Mapping, span_bits};
use crate::algebra::{Algebra, Rights};
use keel_abi::aarch64::label;

impl System {
    /// Invokes a frame capability.
    pub(super) fn invoke_frame(&mut self, message: &Message) -> Answer {
        let cap = self.cap(&message.slot);
        match message.label {
            label::PAGE_MAP => self.map_frame(message)?,
            label::PAGE_UNMAP => {
                self.unmap(&cap);
                self.authority.map(&self.x, &message.slot, &0).map_err(error_of)?;
            }
            label::PAGE_GET_ADDRESS => return Ok(vec![self.x.of(&self.authority.start, &cap.object)]),
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// Map: words are address, rights and attributes, extra capability 0 is the address space.
    fn map_frame(&mut self, message: &Message) -> Result<(), Error> {
        message.require(3)?;
        let cap = self.cap(&message.slot);
        let root = self.assigned(message.extra(0)?)?;
        let space = self.space_of(&root)?;
        let (asid, address) = (root.data, self.argument(message, 0));
        let last_byte = self.bytes(cap.object) - 1;
        if address & last_byte != 0 {
            return Err(Error::Alignment);
        }
        let is = Mapping::of(cap.data);
        if is.asid == 0 {
            if address.checked_add(last_byte).is_none_or(|last| last > self.paging.top) {
                return Err(Error::InvalidArgument(0));
            }
        } else if is.asid != asid {
            return Err(Error::InvalidCapability(1));
        } else if is.address != address {
            return Err(Error::InvalidArgument(0));
        }
        let place = self.walk(space, address);
        if place.level != self.level_of(cap.object) {
            let left = LookupFailure::Missing(span_bits(place.level).into());
            return Err(Error::FailedLookup(false, left));
        }
        let rights = readable(cap.rights.and(rights_of(self.argument(message, 1))));
        let attributes = self.argument(message, 2) & self.paging.attributes;
        self.map(asid, place, Mapped::Page { frame: cap.object, rights, attributes });
        let mapping = Mapping { asid, address };
        self.authority.map(&self.x, &message.slot, &mapping.word()).map_err(error_of)
    }
}

/// There is no writing without reading.
const fn readable(rights: Rights) -> Rights {
    if rights.has(Rights::READ) { rights } else { Rights(0) }
}
