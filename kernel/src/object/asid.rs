// SPDX-License-Identifier: MIT OR Apache-2.0

//! Address space identifiers and their pools.
//!
//! An address space is named by a small number, its ASID, wherever a reference could become stale: in capabilities
//! to frames and tables, in the machine's cached translations. Pools of 512 numbers each say which root a number
//! stands for now; a number that stands for nothing makes everything recorded under it stale, at once.
//!
//! ```text
//!   root, unassigned --Assign--> root with ASID n         last capability to root deleted: n is free again
//!                                pool[n % 512] = root      pool deleted: all its roots are unusable for good
//! ```
//!
//! Invariants:
//! - **V1** `pools[p]` is set exactly while pool number `p` is alive; `pool.roots[i]` is set exactly while a live
//!   root has ASID `512·p + i` through this pool.
//! - **V2** A root stands in at most one place: Assign takes only unassigned ones, and assigned capabilities stay so.
//! - **V3** No cached translation is tagged with a number that stands for nothing: whoever takes a root out of its
//!   place has the machine forget it before the number is given out again.
//! - **V4** ASID 0 stands for nothing, ever.
//! - **V5** A pool has its bit exactly while it is alive, a group of places exactly while none of them is free.
//!
//! On some machines roots are page tables like others until they are assigned an identifier
//! ([`Arch::TABLES_ARE_ROOTS`]). Assigning then turns the table's capability, of which there is one because unmapped
//! tables have no copies, into that of a root; so behind this module there is one kind of root.
//!
//! Bound: finding a free number looks at two words of bits, or at 64 places. Deletion of a pool is one step: its 512 roots are
//! cut off by forgetting the pool, and the machine forgets all cached translations rather than some.

use super::{Table, bits};
use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, TableCap, UntypedCap, VSpaceCap};
use crate::cdt::{self, Flags};
use crate::cspace::{Slot, empty_slot};
use crate::error::{Error, LookupFailure};
use crate::invocation::{Message, Preempted};
use crate::store::{Kind, Ref, Store};
use crate::units::Asid;
use core::marker::PhantomData;
use keel_bounds::{at_most, fact, only_unless, operation, operation_is};

/// Identifiers in a pool.
pub const POOL_ENTRIES: usize = 512;

/// Places that are searched for a free one; which groups of them have one is known.
const GROUP: usize = POOL_ENTRIES / u8::BITS as usize;

/// The most pools that a machine can have: with them an [`Asid`] just holds all identifiers.
pub const MAX_POOLS: usize = 128;

const _: () = assert!(MAX_POOLS * POOL_ENTRIES == 1 << Asid::BITS);

/// A pool of identifiers: the root of the address space that each stands for.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct AsidPool {
    /// Root by index in the pool.
    pub roots: [Option<Ref<Table>>; POOL_ENTRIES],
}

const _: () = assert!(size_of::<AsidPool>() == 1 << bits::ASID_POOL);

/// All pools, by number.
#[cfg_attr(any(test, feature = "host"), derive(Clone))]
pub struct AsidPools<A: Arch> {
    /// Pool by number.
    pools: [Option<Ref<AsidPool>>; MAX_POOLS],
    /// A bit for each pool that is alive.
    alive: [u64; MAX_POOLS / 64],
    /// For each pool a bit for each [`GROUP`] of places in which none is free.
    full: [u8; MAX_POOLS],
    /// The machine, which says how many numbers there are.
    machine: PhantomData<fn() -> A>,
}

impl<A: Arch> AsidPools<A> {
    /// No pools.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(A::ASID_POOLS <= MAX_POOLS) };
        Self {
            pools: [None; MAX_POOLS],
            alive: [0; MAX_POOLS / 64],
            full: [0; MAX_POOLS],
            machine: PhantomData,
        }
    }

    /// The pool that `asid` belongs to, if it is alive.
    #[must_use]
    pub fn pool(&self, asid: Asid) -> Option<Ref<AsidPool>> {
        self.pools[number(asid)]
    }

    /// The first identifier of the lowest pool that does not exist.
    fn first_free(&self) -> Option<Asid> {
        let mut rounds = at_most!(MAX_POOLS / 64);
        for (index, alive) in self.alive.iter().enumerate() {
            rounds.count();
            if *alive != u64::MAX {
                let free = index * 64 + alive.trailing_ones() as usize;
                return (free < A::ASID_POOLS).then_some((free * POOL_ENTRIES) as Asid);
            }
        }
        None
    }

    /// The lowest group of the pool that begins with `base` in which a place is free, by its first place.
    const fn open_group(&self, base: Asid) -> Option<usize> {
        let group = self.full[number(base)].trailing_ones() as usize;
        if group < POOL_ENTRIES / GROUP { Some(group * GROUP) } else { None }
    }

    /// Notes whether the group of `asid` has no free place.
    const fn set_full(&mut self, asid: Asid, full: bool) {
        let bit = 1 << (index(asid) / GROUP);
        let groups = &mut self.full[number(asid)];
        *groups = if full { *groups | bit } else { *groups & !bit };
    }

    /// Makes `pool`, of which all places are free, the one that begins with identifier `base`.
    pub(crate) fn set(&mut self, base: Asid, pool: Option<Ref<AsidPool>>) {
        let number = number(base);
        self.pools[number] = pool;
        self.full[number] = 0;
        if let Some(alive) = self.alive.get_mut(number / 64) {
            let bit = 1 << (number % 64);
            *alive = if pool.is_some() { *alive | bit } else { *alive & !bit };
        }
    }
}

impl<A: Arch> Default for AsidPools<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of the pool that `asid` belongs to: below [`MAX_POOLS`].
const fn number(asid: Asid) -> usize {
    asid as usize / POOL_ENTRIES
}

/// The place of `asid` in its pool.
const fn index(asid: Asid) -> usize {
    asid as usize % POOL_ENTRIES
}

/// An operation on identifiers.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// Make a pool.
    MakePool {
        /// The slot of the untyped that becomes the pool.
        parent: Ref<Slot>,
        /// The untyped's capability.
        untyped: UntypedCap,
        /// The pool.
        pool: Ref<AsidPool>,
        /// Its first identifier.
        base: Asid,
        /// Where its capability goes.
        destination: Ref<Slot>,
    },
    /// Assign an identifier.
    Assign {
        /// The pool it is from.
        pool: Ref<AsidPool>,
        /// The slot of the root's capability.
        slot: Ref<Slot>,
        /// The root and its identifier.
        space: VSpaceCap,
    },
}

impl<A: Arch> Kernel<A> {
    /// Decodes MakePool (`invocations.md` §9): words are index and depth of the destination, extra capabilities an
    /// untyped and the destination's root.
    pub fn decode_make_pool(&self, message: &Message) -> Result<Invocation, Error> {
        message.require(2)?;
        let (parent, untyped) = self.extra_cap(message, 0)?;
        let root = self.extra_raw(message, 1)?;
        let base = self.asid_pools.first_free().ok_or(Error::DeleteFirst)?;
        let (untyped, pool) = pool_memory::<A>(untyped).ok_or(Error::InvalidCapability(1))?;
        if cdt::first_child(&self.store, parent).is_some() {
            return Err(Error::RevokeFirst);
        }
        let (node_index, depth) = (self.argument(message, 0), self.argument(message, 1));
        let destination = empty_slot(&self.store, root, node_index, depth)?;
        Ok(Invocation::MakePool { parent, untyped, pool, base, destination })
    }

    /// Decodes Assign (`invocations.md` §9) of the pool that begins at `base`: extra capability 0 is a root.
    pub fn decode_assign(
        &self,
        pool: Ref<AsidPool>,
        base: Asid,
        message: &Message,
    ) -> Result<Invocation, Error> {
        let (slot, root) = self.extra_cap(message, 0)?;
        let root = unassigned_root::<A>(root).ok_or(Error::InvalidCapability(1))?;
        match self.asid_pools.pool(base) {
            None => return Err(INVALID_ROOT),
            Some(other) if other != pool => return Err(Error::InvalidCapability(0)),
            Some(_) => {}
        }
        let asid = self.free_asid(pool, base).ok_or(Error::DeleteFirst)?;
        Ok(Invocation::Assign { pool, slot, space: VSpaceCap { root, asid } })
    }

    /// The lowest free identifier of the pool.
    fn free_asid(&self, pool: Ref<AsidPool>, base: Asid) -> Option<Asid> {
        self.free_in_group(pool, base, self.asid_pools.open_group(base)?)
    }

    /// The lowest free identifier of the pool among those of the group that begins at place `first`.
    fn free_in_group(&self, pool: Ref<AsidPool>, base: Asid, first: usize) -> Option<Asid> {
        // V4: place 0 of pool 0 is not free, though it stands for nothing.
        let never = usize::from(base == 0 && first == 0);
        let mut rounds = at_most!(GROUP);
        let is_free = |root: &Option<_>| {
            rounds.count();
            root.is_none()
        };
        let mut places = self.store[pool].roots.iter().skip(first + never).take(GROUP - never);
        let free = places.position(is_free)?;
        Some(base | (first + never + free) as Asid)
    }

    /// Performs an operation on identifiers.
    pub fn perform_asid(&mut self, operation: Invocation) -> Result<u64, Preempted> {
        match operation {
            Invocation::MakePool { parent, mut untyped, pool, base, destination } => {
                operation_is::<{ operation::MAKE_POOL }>();
                self.reset_untyped(parent, &mut untyped)?;
                only_unless::<{ fact::PREEMPTED }>();
                self.store[parent].raw = Cap::Untyped(full(untyped)).into();
                self.store.created(Kind::AsidPool, pool.address(), size_of::<AsidPool>() as u64);
                self.asid_pools.set(base, Some(pool));
                let cap = Cap::AsidPool { pool, base };
                cdt::insert(&mut self.store, cap.into(), Flags::NONE, destination, parent);
            }
            Invocation::Assign { pool, slot, space } => {
                operation_is::<{ operation::ASSIGN }>();
                self.assign(pool, space);
                self.store[slot].raw = Cap::VSpace(space).into();
            }
        }
        Ok(0)
    }

    /// Makes the identifier of `space`, which is of `pool`, stand for its root.
    pub(crate) fn assign(&mut self, pool: Ref<AsidPool>, space: VSpaceCap) {
        self.store[pool].roots[index(space.asid)] = Some(space.root);
        let (base, group) = (space.asid - index(space.asid) as Asid, index(space.asid) / GROUP * GROUP);
        if self.free_in_group(pool, base, group).is_none() {
            self.asid_pools.set_full(space.asid, true);
        }
        self.arch.initialise_root(&mut self.store, space.root);
    }

    /// The root that `asid` stands for now.
    #[must_use]
    pub fn root_of(&self, asid: Asid) -> Option<Ref<Table>> {
        let pool = self.asid_pools.pool(asid)?;
        self.store[pool].roots[index(asid)]
    }

    /// The address space of a capability to a root whose identifier still stands for it: what a thread with this
    /// capability runs in. None for all others.
    #[must_use]
    pub fn vspace_root(&self, cap: Cap) -> Option<(Ref<Table>, Asid)> {
        match cap {
            Cap::VSpace(space) if self.root_of(space.asid) == Some(space.root) => {
                Some((space.root, space.asid))
            }
            _ => None,
        }
    }

    /// Checks that a capability, number `number` of a message, is an assigned root.
    pub fn assigned_space(&self, cap: Cap, number: u64) -> Result<VSpaceCap, Error> {
        match cap {
            Cap::VSpace(space) if space.asid != 0 => Ok(space),
            // It is not what its identifier stands for: `check_space` refuses it.
            Cap::Table(TableCap { table, mapping, .. }) if A::TABLES_ARE_ROOTS && mapping.is_some() => {
                Ok(VSpaceCap { root: table, asid: mapping.asid })
            }
            _ => Err(Error::InvalidCapability(number)),
        }
    }

    /// Checks that the identifier of an assigned root, capability number `number` of a message, stands for it.
    pub fn check_space(&self, space: VSpaceCap, number: u64) -> Result<(), Error> {
        match self.root_of(space.asid) {
            None => Err(INVALID_ROOT),
            Some(root) if root != space.root => Err(Error::InvalidCapability(number)),
            Some(_) => Ok(()),
        }
    }

    /// The last capability to a root is gone.
    ///
    /// Its entries stay: nobody reaches them any more, and its memory is cleared before it becomes an object again.
    pub fn finalise_vspace(&mut self, space: &VSpaceCap) {
        if let Some(pool) = self.asid_pools.pool(space.asid) {
            let place = &mut self.store[pool].roots[index(space.asid)];
            if *place == Some(space.root) {
                *place = None;
                self.asid_pools.set_full(space.asid, false);
                self.arch.forget_spaces(space.asid..=space.asid);
            }
        }
        self.store.destroyed(Kind::Table, space.root.address());
    }

    /// The last capability to the pool that begins at `base` is gone. Its roots remain objects, marked as assigned,
    /// but stand for nothing any more.
    pub fn finalise_asid_pool(&mut self, pool: Ref<AsidPool>, base: Asid) {
        if self.asid_pools.pool(base) == Some(pool) {
            self.asid_pools.set(base, None);
            self.arch.forget_spaces(base..=base | (POOL_ENTRIES - 1) as Asid);
        }
        self.store.destroyed(Kind::AsidPool, pool.address());
    }
}

/// The error where an identifier stands for nothing.
const INVALID_ROOT: Error = Error::FailedLookup { source: false, failure: LookupFailure::InvalidRoot };

/// What can be assigned an identifier: a root without one, or, where tables are roots, one that is hooked in nowhere.
fn unassigned_root<A: Arch>(cap: Cap) -> Option<Ref<Table>> {
    match cap {
        Cap::VSpace(VSpaceCap { root, asid: 0 }) => Some(root),
        Cap::Table(TableCap { table, mapping, .. }) if A::TABLES_ARE_ROOTS && !mapping.is_some() => {
            Some(table)
        }
        _ => None,
    }
}

/// The memory of a pool: an untyped of its very size, not of a device.
fn pool_memory<A: Arch>(cap: Cap) -> Option<(UntypedCap, Ref<AsidPool>)> {
    match cap {
        Cap::Untyped(untyped) if untyped.bits == bits::ASID_POOL && !untyped.device => {
            Some((untyped, Ref::at(Store::<A>::window(untyped.base))?))
        }
        _ => None,
    }
}

/// The untyped, all given away.
const fn full(untyped: UntypedCap) -> UntypedCap {
    UntypedCap { watermark: 1 << untyped.bits, ..untyped }
}

#[cfg(test)]
mod test;
