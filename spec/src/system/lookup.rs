// SPDX-License-Identifier: MIT OR Apache-2.0

//! From an address to a slot (`syscalls.md` §5, `invocations.md` §2).
//!
//! An address is resolved from a CNode on, level by level. A level takes the bits of its guard, which must be those of
//! the address, and then the bits that number its slots.

use super::error::{Error, LookupFailure};
use super::{CSPACE, SLOT_BITS, System};
use crate::algebra::Kind;
use crate::concrete::{Object, Slot};

/// The data word of a CNode capability: guard and its size.
#[must_use]
pub const fn guard_word(guard: u64, bits: u64) -> u64 {
    guard << 6 | bits
}

const fn mask(bits: u64) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

impl System {
    /// Resolves the low `depth` bits of `address`, from the CNode capability in `root`. Gives the slot, and how many
    /// bits were left when something else than a CNode was reached.
    pub fn resolve(&self, root: Slot, address: u64, depth: u64) -> Result<(Slot, u64), LookupFailure> {
        let (mut via, mut left) = (root, depth);
        if self.cap(&via).kind != Kind::CNode {
            return Err(LookupFailure::InvalidRoot);
        }
        loop {
            let node = self.cap(&via);
            let (guard, guard_bits) = (node.data >> 6, node.data & 63);
            let radix = self.radix(node.object);
            let next = if guard_bits <= left { address.unbounded_shr((left - guard_bits) as u32) } else { 0 };
            if guard_bits > left || next & mask(guard_bits) != guard {
                return Err(LookupFailure::Guard(left, guard, guard_bits));
            }
            if guard_bits + radix > left {
                return Err(LookupFailure::Depth(left, guard_bits + radix));
            }
            left -= guard_bits + radix;
            let slot = Slot { home: node.object, index: address >> left & mask(radix) };
            self.authority.enter(&self.x, &via, &slot).expect("the slot lies in the CNode");
            if left == 0 || self.cap(&slot).kind != Kind::CNode {
                return Ok((slot, left));
            }
            via = slot;
        }
    }

    /// Log2 of the number of slots of a CNode.
    #[must_use]
    pub fn radix(&self, node: Object) -> u64 {
        u64::from(self.bytes(node).ilog2() - SLOT_BITS)
    }

    /// The slot of a thread's capability with this address. Bits left over do not matter.
    pub fn lookup(&self, thread: Object, address: u64) -> Result<Slot, LookupFailure> {
        self.resolve(Self::slot_of(thread, CSPACE), address, 64).map(|(slot, _)| slot)
    }

    /// The slot that (root, index, depth) names in an invocation.
    pub fn target(&self, root: Slot, index: u64, depth: u64, is_source: bool) -> Result<Slot, Error> {
        if self.cap(&root).kind != Kind::CNode {
            return Err(Error::FailedLookup(is_source, LookupFailure::InvalidRoot));
        }
        if !(1..=64).contains(&depth) {
            return Err(Error::Range(1, 64));
        }
        match self.resolve(root, index, depth) {
            Ok((slot, 0)) => Ok(slot),
            Ok((_, left)) => Err(Error::FailedLookup(is_source, LookupFailure::Depth(left, 0))),
            Err(failure) => Err(Error::FailedLookup(is_source, failure)),
        }
    }
}
