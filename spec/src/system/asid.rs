// SPDX-License-Identifier: MIT OR Apache-2.0

//! Identifiers of address spaces, and pools of them (`invocations.md` §9, `memory.md` §6).
//!
//! A pool is made of untyped memory and has the lowest number that is free; its identifiers follow from that. From a
//! pool, a root is assigned its lowest free identifier, for good. With the pool all its spaces end: their roots are
//! still assigned, and their identifiers stand for nothing.

use super::call::{Answer, Message};
use super::cnode::error_of;
use super::error::Error;
use super::map::Space;
use super::{Cap, System};
use crate::algebra::{Kind, Rights};
use crate::concrete::Object;
use keel_abi::aarch64::label;
use std::collections::BTreeMap;
use std::ops::Range;

/// Identifiers in a pool.
const POOL_ENTRIES: u64 = 512;
/// The size of a pool.
const POOL_BYTES: u64 = 1 << 12;

impl System {
    /// Invokes the authority over identifiers: MakePool. Words are index and depth of the destination, extra
    /// capabilities an untyped and the destination's root.
    pub(super) fn invoke_asid_control(&mut self, message: &Message) -> Answer {
        if message.label != label::ASID_CONTROL_MAKE_POOL {
            return Err(Error::IllegalOperation);
        }
        message.require(2)?;
        let (untyped, root) = (message.extra(0)?, message.extra(1)?);
        let mut bases = (0..self.paging.pools).map(|number| number * POOL_ENTRIES);
        let base = bases.find(|base| !self.pools.contains_key(base)).ok_or(Error::DeleteFirst)?;
        let memory = self.cap(&untyped);
        let suits = memory.kind == Kind::Untyped && self.bytes(memory.object) == POOL_BYTES;
        if !suits || self.is_device(memory.object) {
            return Err(Error::InvalidCapability(1));
        }
        if self.authority.has_children(&self.x, &untyped) {
            return Err(Error::RevokeFirst);
        }
        let (index, depth) = (self.argument(message, 0), self.argument(message, 1));
        let target = self.target(root, index, depth, false)?;
        self.authority.require_free(&self.x, &target).map_err(error_of)?;
        self.reset(untyped)?;
        let (kind, rights) = (Kind::AsidPool, Rights::ALL);
        let pool = self.authority.create(&self.x, &untyped, &target, &kind, &rights, &POOL_BYTES);
        self.pools.insert(base, pool.expect("the untyped has the size of a pool"));
        Ok(vec![])
    }

    /// Invokes a pool: Assign. Extra capability 0 is a root.
    pub(super) fn invoke_asid_pool(&mut self, pool: Object, message: &Message) -> Answer {
        if message.label != label::ASID_POOL_ASSIGN {
            return Err(Error::IllegalOperation);
        }
        let slot = message.extra(0)?;
        let root = self.cap(&slot);
        if root.kind != Kind::VSpace || root.data != 0 {
            return Err(Error::InvalidCapability(1));
        }
        // Identifier 0 stands for nothing, ever.
        let is_free = |asid: &u64| *asid != 0 && !self.spaces.contains_key(asid);
        let asid = self.identifiers(pool).find(is_free).ok_or(Error::DeleteFirst)?;
        self.spaces.insert(asid, Space { root: root.object, mapped: BTreeMap::new() });
        self.authority.map(&self.x, &slot, &asid).map_err(error_of)?;
        Ok(vec![])
    }

    /// The root of an address space dies.
    pub(super) fn end_space(&mut self, root: &Cap) {
        if self.spaces.get(&root.data).is_some_and(|space| space.root == root.object) {
            self.spaces.remove(&root.data);
        }
    }

    /// A pool dies.
    pub(super) fn end_pool(&mut self, pool: Object) {
        let ends = self.identifiers(pool);
        self.pools.remove(&ends.start);
        self.spaces.retain(|asid, _| !ends.contains(asid));
    }

    /// The identifiers of a pool.
    fn identifiers(&self, pool: Object) -> Range<u64> {
        let (base, _) = self.pools.iter().find(|(_, other)| **other == pool).expect("a live pool");
        *base..base + POOL_ENTRIES
    }
}
