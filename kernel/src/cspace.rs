// SPDX-License-Identifier: MIT OR Apache-2.0

//! Slots, and the resolution of capability addresses through CNodes with guards and radices.
//!
//! A CSpace is whatever is reachable from a CNode capability. Addresses are resolved level by level: a CNode
//! consumes its guard and then its radix (`syscalls.md` §5, `invocations.md` §2).
//!
//! Bound: each level consumes at least one bit (the radix is at least 1), so there are at most 64 levels.

use crate::arch::Arch;
use crate::cap::{CNodeCap, Cap, RawCap};
use crate::cdt::Node;
use crate::error::{Error, LookupFailure};
use crate::store::{Ref, Store};
use keel_bounds::at_most;

/// A place for a capability: the capability and its node in the derivation tree. Slots are aligned to their size:
/// links to them have room for flags ([`Node`]).
#[derive(Clone, Copy, Default, Debug)]
#[repr(C, align(32))]
pub struct Slot {
    /// The capability.
    pub raw: RawCap,
    /// Its place in the derivation tree; meaningless for an empty slot.
    pub node: Node,
}

const _: () = assert!(size_of::<Slot>() == 1 << SLOT_BITS && align_of::<Slot>() == 1 << SLOT_BITS);

/// Log2 of the size of a slot (`objects.md` §2).
pub const SLOT_BITS: u8 = 5;

impl Slot {
    /// The capability in it.
    #[must_use]
    #[inline(always)]
    pub fn cap(&self) -> Cap {
        self.raw.into()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raw.is_null()
    }
}

/// The depth of capability pointers in system calls.
pub const FULL_DEPTH: u64 = 64;

/// Resolves the low `depth` bits (1 to 64) of `address` from `root`.
///
/// Gives the slot where resolution ended and the bits left over, which are not 0 when a capability other than a
/// CNode was met on the way.
#[inline(always)]
pub fn resolve<A: Arch>(
    store: &Store<A>,
    root: Cap,
    address: u64,
    depth: u64,
) -> Result<(Ref<Slot>, u64), LookupFailure> {
    let Cap::CNode(node) = root else { return Err(LookupFailure::InvalidRoot) };
    // Most CSpaces have one level, which takes all bits.
    let (guard_bits, radix) = (u64::from(node.guard_bits), u64::from(node.radix));
    if guard_bits + radix == depth && address >> (radix & 63) & mask(guard_bits & 63) == node.guard {
        return Ok((node.slots.nth(address & mask(radix & 63)), 0));
    }
    resolve_levels(store, node, address, depth)
}

/// As [`resolve`], level by level.
fn resolve_levels<A: Arch>(
    store: &Store<A>,
    mut node: CNodeCap,
    address: u64,
    depth: u64,
) -> Result<(Ref<Slot>, u64), LookupFailure> {
    let mut left = depth;
    // Each round takes at least one bit.
    let mut rounds = at_most!(levels);
    loop {
        rounds.count();
        let level = u64::from(node.guard_bits) + u64::from(node.radix);
        check_guard(&node, address, left)?;
        if level > left {
            return Err(LookupFailure::DepthMismatch { bits_left: left, bits_found: level });
        }
        left -= level;
        let slot = node.slots.nth(address >> left & mask(u64::from(node.radix)));
        if left == 0 {
            return Ok((slot, 0));
        }
        match store[slot].cap() {
            Cap::CNode(next) => node = next,
            _ => return Ok((slot, left)),
        }
    }
}

/// Whether the next bits of `address`, of which `left` are left, are the node's guard.
fn check_guard(node: &CNodeCap, address: u64, left: u64) -> Result<(), LookupFailure> {
    let bits = u64::from(node.guard_bits);
    // Here bits <= left <= 64; the shift is below 64 unless the guard is empty, and then the mask is 0.
    if bits <= left && address.unbounded_shr((left - bits) as u32) & mask(bits) == node.guard {
        return Ok(());
    }
    Err(LookupFailure::GuardMismatch { bits_left: left, guard_found: node.guard, bits_found: bits })
}

/// The low `bits` bits set; `bits` below 64.
const fn mask(bits: u64) -> u64 {
    (1 << bits) - 1
}

/// The slot that a (root, index, depth) triple of an invocation names. `source` says for the error which role
/// the slot has.
#[inline]
pub fn target_slot<A: Arch>(
    store: &Store<A>,
    root: Cap,
    index: u64,
    depth: u64,
    source: bool,
) -> Result<Ref<Slot>, Error> {
    let failed = |failure| Error::FailedLookup { source, failure };
    if !matches!(root, Cap::CNode(_)) {
        return Err(failed(LookupFailure::InvalidRoot));
    }
    if !(1..=FULL_DEPTH).contains(&depth) {
        return Err(Error::Range { min: 1, max: FULL_DEPTH });
    }
    match resolve(store, root, index, depth).map_err(failed)? {
        (slot, 0) => Ok(slot),
        (_, left) => Err(failed(LookupFailure::DepthMismatch { bits_left: left, bits_found: 0 })),
    }
}

/// As [`target_slot`] for a slot into which a capability is to be put: it must be empty.
pub fn empty_slot<A: Arch>(store: &Store<A>, root: Cap, index: u64, depth: u64) -> Result<Ref<Slot>, Error> {
    let slot = target_slot(store, root, index, depth, false)?;
    if store[slot].is_empty() { Ok(slot) } else { Err(Error::DeleteFirst) }
}

#[cfg(test)]
mod test;
