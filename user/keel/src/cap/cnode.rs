// SPDX-License-Identifier: MIT OR Apache-2.0

//! CNodes, and what is done to their slots.

use keel_abi::label;

use super::{CPtr, Cap, Invoked, Rights, invoke};

/// A table of capability slots.
pub enum CNode {}

impl Cap<CNode> {
    /// The slot that the low `depth` bits of `index` name, starting at this CNode.
    pub const fn slot(self, index: u64, depth: u64) -> SlotPath {
        SlotPath { root: self, index, depth }
    }

    /// The slot of a capability in the CSpace that this CNode is the root of.
    pub const fn path(self, cptr: CPtr) -> SlotPath {
        self.slot(cptr.bits(), 64)
    }
}

/// A slot, named by a CNode and an address within it. Unlike a [`CPtr`], which names what is in a
/// slot, this names the slot, full or empty, in any CNode the program holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotPath {
    /// Where the lookup starts.
    pub root: Cap<CNode>,
    /// The address.
    pub index: u64,
    /// How many low bits of the address count.
    pub depth: u64,
}

impl SlotPath {
    fn invoke(self, label: u64, words: &[u64], caps: &[CPtr]) -> Invoked {
        invoke(self.root.cptr(), label, words, caps).map(drop)
    }

    /// Deletes everything derived from the capability here.
    pub fn revoke(self) -> Invoked {
        self.invoke(label::CNODE_REVOKE, &[self.index, self.depth], &[])
    }

    /// Empties the slot; the last capability to an object takes the object with it.
    pub fn delete(self) -> Invoked {
        self.invoke(label::CNODE_DELETE, &[self.index, self.depth], &[])
    }

    /// Calls off all sends that wait under the badge of the endpoint capability here.
    pub fn cancel_badged_sends(self) -> Invoked {
        self.invoke(label::CNODE_CANCEL_BADGED_SENDS, &[self.index, self.depth], &[])
    }

    /// Puts a copy of what `source` holds here, with at most these rights.
    pub fn copy_from(self, source: Self, rights: Rights) -> Invoked {
        let words = [self.index, self.depth, source.index, source.depth, rights.word()];
        self.invoke(label::CNODE_COPY, &words, &[source.root.cptr()])
    }

    /// Puts a copy here, with at most these rights and a badge (endpoints, notifications) or guard
    /// (CNodes).
    pub fn mint_from(self, source: Self, rights: Rights, data: u64) -> Invoked {
        let words = [self.index, self.depth, source.index, source.depth, rights.word(), data];
        self.invoke(label::CNODE_MINT, &words, &[source.root.cptr()])
    }

    /// Moves what `source` holds here.
    pub fn move_from(self, source: Self) -> Invoked {
        let words = [self.index, self.depth, source.index, source.depth];
        self.invoke(label::CNODE_MOVE, &words, &[source.root.cptr()])
    }

    /// Moves what `source` holds here, with a new guard.
    pub fn mutate_from(self, source: Self, data: u64) -> Invoked {
        let words = [self.index, self.depth, source.index, source.depth, data];
        self.invoke(label::CNODE_MUTATE, &words, &[source.root.cptr()])
    }

    /// Moves what `pivot` holds here (with `pivot_data`) and what `source` holds to `pivot` (with
    /// `source_data`).
    pub fn rotate_from(self, pivot: Self, pivot_data: u64, source: Self, source_data: u64) -> Invoked {
        let words = [
            self.index,
            self.depth,
            pivot_data,
            pivot.index,
            pivot.depth,
            source_data,
            source.index,
            source.depth,
        ];
        self.invoke(label::CNODE_ROTATE, &words, &[pivot.root.cptr(), source.root.cptr()])
    }
}
