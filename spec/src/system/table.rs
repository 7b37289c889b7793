// SPDX-License-Identifier: MIT OR Apache-2.0

//! Page tables (`invocations.md` §10, `memory.md` §5).
//!
//! A table has no level of its own. It is mapped at the first place on the way to an address where nothing is, and so
//! gets its level there: tables are mapped top down.

use super::System;
use super::call::{Answer, Message};
use super::cnode::error_of;
use super::error::Error;
use super::map::{Mapped, Mapping};
use keel_abi::aarch64::label;

impl System {
    /// Invokes a page table capability.
    pub(super) fn invoke_table(&mut self, message: &Message) -> Answer {
        let cap = self.cap(&message.slot);
        match message.label {
            label::PAGE_TABLE_MAP => self.map_table(message)?,
            label::PAGE_TABLE_UNMAP => {
                if self.has_other(message.slot, cap.object) {
                    return Err(Error::RevokeFirst);
                }
                self.unmap(&cap);
                self.authority.map(&self.x, &message.slot, &0).map_err(error_of)?;
            }
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// Map: word 0 is the address, extra capability 0 the address space.
    fn map_table(&mut self, message: &Message) -> Result<(), Error> {
        message.require(2)?;
        let space = message.extra(0)?;
        let cap = self.cap(&message.slot);
        if cap.data != 0 {
            return Err(Error::InvalidCapability(0));
        }
        let root = self.assigned(space)?;
        let address = self.argument(message, 0);
        if address > self.paging.top {
            return Err(Error::InvalidArgument(0));
        }
        let space = self.space_of(&root)?;
        let place = self.walk(space, address);
        if place.level == 0 || space.mapped.contains_key(&place) {
            return Err(Error::DeleteFirst);
        }
        self.map(root.data, place, Mapped::Table(cap.object));
        let mapping = Mapping { asid: root.data, address: place.address };
        self.authority.map(&self.x, &message.slot, &mapping.word()).map_err(error_of)
    }
}
