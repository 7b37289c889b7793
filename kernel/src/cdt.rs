// SPDX-License-Identifier: MIT OR Apache-2.0

//! The capability derivation tree: who came from whom, so that a capability's descendants can be revoked.
//!
//! The tree is a doubly linked list through the slots, in pre-order: behind a capability stand its descendants,
//! then the rest of its siblings. No depth is stored. Whether a neighbour is a child is decided locally, from the
//! two capabilities and two flags in the nodes (`semantics.md` §2): a capability is *original* if it may have
//! children, and *first badged* if a badge was put on it.
//!
//! ```text
//!   Untyped (original)
//!     Endpoint (original)
//!       Endpoint badge 7 (original, first badged)
//!         Endpoint badge 7            copies of the badged one
//!       Endpoint                      copies of the unbadged one
//!     CNode (original)
//! ```
//!
//! Invariants:
//! - **D1** Exactly the non-empty slots are in the list; `next` and `prev` are inverse.
//! - **D2** All descendants of a capability stand directly behind it, before anything that is not one. So a
//!   capability has children exactly if the next one is its child.
//! - **D3** Capabilities to one object stand together. So a capability is the last one to its object exactly if
//!   neither neighbour is to the same object.
//!
//! Bound: each operation here touches at most two slots and their neighbours. No loops.

use crate::arch::Arch;
use crate::cap::{Cap, RawCap, tag};
use crate::cspace::Slot;
use crate::object::extent;
use crate::store::{Ref, Store};
use crate::units::KernelAddr;
use keel_bounds::at_most;

/// A slot's place in the tree: two links, two flags in the low bits of the first.
#[derive(Clone, Copy, Default, Debug)]
#[repr(C)]
pub struct Node {
    /// Address of the next slot, and flags in the low bits.
    next_and_flags: u64,
    /// Address of the slot before.
    prev: u64,
}

/// The bits of the flags.
const FLAGS: u64 = 31;

/// Whether a capability may have children, and whether a badge was put on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(u64);

impl Flags {
    /// Neither.
    pub const NONE: Self = Self(0);
    /// May have children.
    pub const ORIGINAL: Self = Self(1);
    /// May have children, and a badge was put on it.
    pub const BADGED_ORIGINAL: Self = Self(1 | FIRST_BADGED);
}

/// The flag of the first of a group of capabilities that share a badge: another original with an equal badge
/// that stands before the group is not their parent.
const FIRST_BADGED: u64 = 2;

impl Node {
    /// A node between two slots.
    const fn new(next: Option<Ref<Slot>>, prev: Option<Ref<Slot>>, flags: Flags) -> Self {
        Self { next_and_flags: address(next) | flags.0, prev: address(prev) }
    }

    /// The slot behind this one.
    #[must_use]
    pub const fn next(&self) -> Option<Ref<Slot>> {
        Ref::at(KernelAddr(self.next_and_flags & !FLAGS))
    }

    /// The slot before this one.
    #[must_use]
    pub const fn prev(&self) -> Option<Ref<Slot>> {
        Ref::at(KernelAddr(self.prev))
    }

    /// The flags.
    #[must_use]
    pub const fn flags(&self) -> Flags {
        Flags(self.next_and_flags & FLAGS)
    }

    /// Sets the slot behind this one; the flags stay.
    const fn set_next(&mut self, next: Option<Ref<Slot>>) {
        self.next_and_flags = address(next) | self.next_and_flags & FLAGS;
    }

    /// Sets the slot before this one.
    const fn set_prev(&mut self, prev: Option<Ref<Slot>>) {
        self.prev = address(prev);
    }

    /// Whether the capability may have children.
    const fn is_original(&self) -> bool {
        self.next_and_flags & Flags::ORIGINAL.0 != 0
    }

    /// Makes it the first of a group that shares a badge.
    const fn mark_first_badged(&mut self) {
        self.next_and_flags |= FIRST_BADGED;
    }

    /// Whether it is the first of a group that shares a badge.
    const fn is_first_badged(&self) -> bool {
        self.next_and_flags & FIRST_BADGED != 0
    }
}

/// The address of a slot, 0 for none.
const fn address(slot: Option<Ref<Slot>>) -> u64 {
    match slot {
        Some(slot) => slot.address().0,
        None => 0,
    }
}

/// Puts `cap` into the empty `slot`, outside all trees: for the first capabilities at boot.
pub fn insert_root<A: Arch>(store: &mut Store<A>, cap: Cap, slot: Ref<Slot>) {
    store[slot] = Slot { raw: cap.into(), node: Node::new(None, None, Flags::ORIGINAL) };
}

/// Puts `cap`, just made from the capability in `parent`, into the empty `slot`.
///
/// `cap` stands directly behind `parent`. With [`Flags::NONE`] it is a child of an original `parent`, else its
/// sibling.
pub fn insert<A: Arch>(store: &mut Store<A>, cap: RawCap, flags: Flags, slot: Ref<Slot>, parent: Ref<Slot>) {
    let next = store[parent].node.next();
    store[slot] = Slot { raw: cap, node: Node::new(next, Some(parent), flags) };
    store[parent].node.set_next(Some(slot));
    if let Some(next) = next {
        store[next].node.set_prev(Some(slot));
    }
}

/// Capabilities that are made from one parent, one after the other: the parent is linked once, when all are in.
pub struct Children {
    /// The parent's slot.
    parent: Ref<Slot>,
    /// What stands directly behind it.
    first: Option<Ref<Slot>>,
}

impl Children {
    /// None yet, of the capability in `parent`.
    pub fn of<A: Arch>(store: &Store<A>, parent: Ref<Slot>) -> Self {
        Self { parent, first: store[parent].node.next() }
    }

    /// Puts the original `cap` into the empty `slot`, before those that came earlier, as [`insert`] does.
    #[inline(always)]
    pub fn add<A: Arch>(&mut self, store: &mut Store<A>, cap: RawCap, slot: Ref<Slot>) {
        let node = Node::new(self.first, Some(self.parent), Flags::ORIGINAL);
        store[slot] = Slot { raw: cap, node };
        if let Some(next) = self.first.replace(slot) {
            store[next].node.set_prev(Some(slot));
        }
    }

    /// Links the parent.
    pub fn link<A: Arch>(self, store: &mut Store<A>) {
        store[self.parent].node.set_next(self.first);
    }
}

/// The flags of `new`, derived from `source`: a copy that differs in kind from its source is original.
#[inline]
pub fn flags_of_copy<A: Arch>(source: RawCap, new: RawCap) -> Flags {
    match new.tag() {
        tag::ENDPOINT | tag::NOTIFICATION if source.word1 != new.word1 => Flags::BADGED_ORIGINAL,
        tag::ENDPOINT | tag::NOTIFICATION => Flags::NONE,
        tag::UNTYPED => Flags::ORIGINAL,
        tag::IRQ_HANDLER if source.tag() == tag::IRQ_CONTROL => Flags::ORIGINAL,
        _ => match A::badge(new) {
            Some(badge) if A::badge(source) != Some(badge) => Flags::BADGED_ORIGINAL,
            _ if source.tag() == tag::IRQ_CONTROL => Flags::ORIGINAL,
            _ => Flags::NONE,
        },
    }
}

/// Takes the capability out of `slot` and out of the tree. Its children become its parent's.
pub fn remove<A: Arch>(store: &mut Store<A>, slot: Ref<Slot>) {
    let (prev, next) = (store[slot].node.prev(), store[slot].node.next());
    if let Some(prev) = prev {
        store[prev].node.set_next(next);
    }
    if let Some(next) = next {
        // The copies of a badged capability become its parent's, not those of another original with the same badge
        // that happens to stand before them. So the one that follows takes over the mark that parts the groups, also
        // from a copy that had taken it over itself.
        if store[slot].node.is_first_badged() && share_badge::<A>(&store[slot], &store[next]) {
            store[next].node.mark_first_badged();
        }
        store[next].node.set_prev(prev);
    }
    store[slot] = Slot::default();
}

/// Moves the capability in `from` to the empty slot `to`, as `raw`, at the same place in the tree.
pub fn move_slot<A: Arch>(store: &mut Store<A>, raw: RawCap, from: Ref<Slot>, to: Ref<Slot>) {
    let node = store[from].node;
    store[to] = Slot { raw, node };
    store[from] = Slot::default();
    relink(store, to);
}

/// Exchanges two slots, their capabilities now being `raw_a` (at `b`) and `raw_b` (at `a`). Each capability keeps
/// its place in the tree.
pub fn swap<A: Arch>(store: &mut Store<A>, raw_a: RawCap, a: Ref<Slot>, raw_b: RawCap, b: Ref<Slot>) {
    let mut node_a = store[a].node;
    let mut node_b = store[b].node;
    // Where the two are neighbours their links name each other.
    let mut rounds = at_most!(2);
    for (node, this, other) in [(&mut node_a, a, b), (&mut node_b, b, a)] {
        rounds.count();
        if node.next() == Some(other) {
            node.set_next(Some(this));
        }
        if node.prev() == Some(other) {
            node.set_prev(Some(this));
        }
    }
    store[a] = Slot { raw: raw_b, node: node_b };
    store[b] = Slot { raw: raw_a, node: node_a };
    relink(store, a);
    relink(store, b);
}

/// Makes the neighbours of the non-empty `slot` point to it.
fn relink<A: Arch>(store: &mut Store<A>, slot: Ref<Slot>) {
    if store[slot].is_empty() {
        return;
    }
    let (prev, next) = (store[slot].node.prev(), store[slot].node.next());
    if let Some(prev) = prev {
        store[prev].node.set_next(Some(slot));
    }
    if let Some(next) = next {
        store[next].node.set_prev(Some(slot));
    }
}

/// The capability's first child, if it has children.
pub fn first_child<A: Arch>(store: &Store<A>, slot: Ref<Slot>) -> Option<Ref<Slot>> {
    let next = store[slot].node.next()?;
    is_parent::<A>(&store[slot], &store[next]).then_some(next)
}

/// Whether `child`, which stands somewhere behind `parent`, can be below it: it is if all that stand between can be too
/// (D2).
pub fn is_parent<A: Arch>(parent: &Slot, child: &Slot) -> bool {
    if !parent.node.is_original() || !same_region::<A>(parent.raw, child.raw) {
        return false;
    }
    match badges::<A>(parent, child) {
        None | Some((0, _)) => true,
        Some((parent_badge, child_badge)) => parent_badge == child_badge && !child.node.is_first_badged(),
    }
}

/// The badges of two capabilities of a kind that has badges.
fn badges<A: Arch>(a: &Slot, b: &Slot) -> Option<(u64, u64)> {
    match a.raw.tag() {
        tag::ENDPOINT | tag::NOTIFICATION => Some((a.raw.word1, b.raw.word1)),
        _ => A::badge(a.raw).zip(A::badge(b.raw)),
    }
}

/// Whether two capabilities are to the same object with the same badge.
fn share_badge<A: Arch>(a: &Slot, b: &Slot) -> bool {
    a.raw.is_same_object::<A>(b.raw) && badges::<A>(a, b).is_some_and(|(a, b)| a == b)
}

/// Whether the capability in `slot` is the last one to its object.
pub fn is_final<A: Arch>(store: &Store<A>, slot: Ref<Slot>) -> bool {
    let this = store[slot].raw;
    let other = |neighbour: Option<Ref<Slot>>| {
        neighbour.is_some_and(|neighbour| store[neighbour].raw.is_same_object::<A>(this))
    };
    !other(store[slot].node.prev()) && !other(store[slot].node.next())
}

/// Whether `child` lies in what `parent` has authority over.
#[inline]
fn same_region<A: Arch>(parent: RawCap, child: RawCap) -> bool {
    match parent.tag() {
        tag::UNTYPED | tag::FRAME | tag::IRQ_CONTROL => lies_in::<A>(parent.into(), child.into()),
        _ => parent.is_same_object::<A>(child) || A::gives_out(parent, child),
    }
}

/// As [`same_region`], for memory and for what gives out interrupts.
fn lies_in<A: Arch>(parent: Cap, child: Cap) -> bool {
    match (parent, child) {
        (Cap::Untyped(parent), child) => extent::<A>(child).is_some_and(|(base, bytes)| {
            let end = parent.base.0 + (1 << parent.bits);
            parent.base <= base && base.0 + bytes <= end
        }),
        (Cap::Frame(parent), Cap::Frame(child)) => {
            let end = parent.base.0 + (1 << parent.bits());
            parent.base <= child.base && child.base.0 + (1 << child.bits()) <= end
        }
        (Cap::IrqControl, Cap::IrqHandler(_) | Cap::IrqControl) => true,
        (Cap::IrqControl, Cap::Machine(child)) => A::child_of_irq_control(child),
        _ => false,
    }
}
