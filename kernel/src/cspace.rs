// SPDX-License-Identifier: MIT OR Apache-2.0

//! Slots, and the resolution of capability addresses through CNodes with guards and radices.
//!
//! A CSpace is whatever is reachable from a CNode capability. Addresses are resolved level by level: a CNode
//! consumes its guard and then its radix (`syscalls.md` §5, `invocations.md` §2).
//!
//! Bound: each level takes at least one bit (the radix is at least 1), so there are at most 64 levels. The walk works on
//! capabilities as they are stored, for it is the longest part of most paths at worst.

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

/// Where the resolution of an address ended, and how many of its bits were left over.
type Found = (Ref<Slot>, u64);

/// Resolves the low `depth` bits (1 to 64) of `address` from `root`.
///
/// Gives the slot where resolution ended and the bits left over, which are not 0 when a capability other than a
/// CNode was met on the way.
#[inline(always)]
pub fn resolve<A: Arch>(
    store: &Store<A>,
    root: RawCap,
    address: u64,
    depth: u64,
) -> Result<Found, LookupFailure> {
    if !root.is_cnode() {
        return Err(LookupFailure::InvalidRoot);
    }
    let rest = address << (FULL_DEPTH.wrapping_sub(depth) & 63);
    // Most CSpaces have one level, which takes all bits.
    if root.bits_taken() + depth.cast_signed() == 0
        && let Some(slot) = root.index(rest).and_then(|index| root.slot::<A>(index))
    {
        return Ok((slot, 0));
    }
    resolve_levels(store, root, rest, depth)
}

/// As [`resolve`], level by level, of the highest `depth` bits of `rest`; `node` is a CNode.
#[inline(never)]
fn resolve_levels<A: Arch>(
    store: &Store<A>,
    mut node: RawCap,
    mut rest: u64,
    depth: u64,
) -> Result<Found, LookupFailure> {
    // The number of the highest bit that is left, -1 if none is.
    let mut top = depth.cast_signed() - 1;
    // Each round takes at least one bit.
    let mut rounds = at_most!(levels);
    loop {
        rounds.count();
        top += node.bits_taken();
        let Some(index) = node.index(rest) else { return Err(failure(node, rest, top)) };
        let Some(slot) = node.slot::<A>(index) else { return Err(LookupFailure::InvalidRoot) };
        if top < 0 {
            return if top == -1 { Ok((slot, 0)) } else { Err(failure(node, rest, top)) };
        }
        // There is a bit left, so it took less than 64.
        rest <<= -node.bits_taken() & 63;
        node = store[slot].raw;
        if !node.is_cnode() {
            return Ok((slot, (top + 1).cast_unsigned()));
        }
    }
}

/// Why the highest bits of `rest` name nothing in the CNode `node`, which leaves bit `top` and those below.
#[cold]
#[inline(never)]
fn failure(node: RawCap, rest: u64, top: i64) -> LookupFailure {
    let Cap::CNode(CNodeCap { guard_bits, guard, .. }) = node.into() else {
        return LookupFailure::InvalidRoot;
    };
    let (bits_left, guard_bits) = ((top + 1 - node.bits_taken()).cast_unsigned(), u64::from(guard_bits));
    let has_guard = guard_bits == 0 || rest >> (FULL_DEPTH - guard_bits) == guard;
    if has_guard && guard_bits <= bits_left {
        LookupFailure::DepthMismatch { bits_left, bits_found: node.bits_taken().unsigned_abs() }
    } else {
        LookupFailure::GuardMismatch { bits_left, guard_found: guard, bits_found: guard_bits }
    }
}

/// The slot that a (root, index, depth) triple of an invocation names. `source` says for the error which role
/// the slot has.
#[inline]
pub fn target_slot<A: Arch>(
    store: &Store<A>,
    root: RawCap,
    index: u64,
    depth: u64,
    source: bool,
) -> Result<Ref<Slot>, Error> {
    let failed = |failure| Error::FailedLookup { source, failure };
    if !root.is_cnode() {
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
pub fn empty_slot<A: Arch>(
    store: &Store<A>,
    root: RawCap,
    index: u64,
    depth: u64,
) -> Result<Ref<Slot>, Error> {
    let slot = target_slot(store, root, index, depth, false)?;
    if store[slot].is_empty() { Ok(slot) } else { Err(Error::DeleteFirst) }
}

#[cfg(test)]
mod test;
