// SPDX-License-Identifier: MIT OR Apache-2.0

//! Trees of threads: the queues whose order is not first come, first served alone.
//!
//! Endpoints and notifications order their waiters by priority and then by arrival ([`ByPriority`]), the release queue
//! orders threads by the time at which their budget returns ([`ByTime`]). Both are a *digital search tree* whose nodes
//! are the waiting threads themselves ([`crate::object::Tcb::links`]), so a queue costs its owner one word: the root.
//!
//! In such a tree the bits of a key, the highest first, say where to go: left for 0, right for 1. A thread becomes a node
//! where this way leads to nobody. Threads with the same key form a ring, of which the first alone stands in the tree:
//!
//! ```text
//!                  0110                   Of the keys below a node nothing is known but their first bits,
//!            0 /         \ 1              as many as there are steps from the root: any of them could take
//!           0011         1000             the node's place. So whoever leaves from the middle is replaced by
//!        0 /    \ 1         \ 1           one from the bottom. Nothing is ever balanced.
//!       0001    0100        1101 = 1101 = 1101
//! ```
//!
//! Links of a thread that has left its tree mean nothing.
//!
//! Invariants, of every tree between two operations:
//! - **B1** The keys below a node on the left differ from those on its right in the bit that is as many steps behind the
//!   first as the node is below the root: there it is 0, here 1. All of them, and the node's own, agree in the bits before
//!   that. No two nodes have the same key.
//! - **B2** Who stands in a ring has the same key, and came after those before it. All but the first have no parent and no
//!   children; who is alone has no neighbours.
//! - **B3** A node is the parent of its children; the root has no parent.
//!
//! Bound: a way down ends after as many steps as keys have bits that can differ: 8 for a priority, 64 for a time. It
//! passes at most one node more. Nothing here does more than follow two such ways, however many threads there are.

use crate::arch::Arch;
use crate::object::Tcb;
use crate::store::{Ref, Store};
use crate::units::Priority;
use keel_bounds::{MAX_HEIGHT, at_most};

/// What a tree is ordered by, smallest first.
pub type Key = u64;

/// Bits of a key.
const KEY_BITS: u32 = Key::BITS;

/// The key of a priority: the highest comes first. Only the first 8 bits are used, so that ways are short.
#[must_use]
#[inline(always)]
pub const fn key_of(priority: Priority) -> Key {
    (!priority as Key) << (KEY_BITS - Priority::BITS)
}

/// A thread's place in a queue.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Links {
    /// The children, left and right; in a list, the neighbours.
    pub children: [Option<Ref<Tcb>>; 2],
    /// The neighbours in the ring of those with the same key, the previous and the next.
    pub ring: [Option<Ref<Tcb>>; 2],
    /// The parent.
    pub parent: Option<Ref<Tcb>>,
    /// What the tree is ordered by.
    pub key: Key,
}

impl Links {
    /// Of a node without children and equals.
    #[must_use]
    #[inline(always)]
    pub const fn leaf(key: Key, parent: Option<Ref<Tcb>>) -> Self {
        Self { children: [None; 2], ring: [None; 2], parent, key }
    }

    /// The child with the smaller keys.
    #[must_use]
    #[inline(always)]
    pub const fn left(&self) -> Option<Ref<Tcb>> {
        self.children[0]
    }

    /// The child with the greater keys.
    #[must_use]
    #[inline(always)]
    pub const fn right(&self) -> Option<Ref<Tcb>> {
        self.children[1]
    }

    /// The one before it in its ring.
    #[must_use]
    #[inline(always)]
    pub const fn previous(&self) -> Option<Ref<Tcb>> {
        self.ring[0]
    }

    /// The one behind it in its ring.
    #[must_use]
    #[inline(always)]
    pub const fn next(&self) -> Option<Ref<Tcb>> {
        self.ring[1]
    }

    /// Whether there are neither children nor equals: a root is alone in its tree then.
    #[must_use]
    #[inline(always)]
    pub const fn is_alone(&self) -> bool {
        // All three in one test.
        self.left().is_none() & self.right().is_none() & self.previous().is_none()
    }

    /// Any child; if there are two, that with the smaller keys.
    #[inline(always)]
    fn some_child(&self) -> Option<Ref<Tcb>> {
        self.left().or(self.right())
    }
}

/// Trees on the ways of which there are at most so many nodes: a constant and a factor of the height of trees that
/// [`keel_bounds`] knows.
pub struct Tree<const NODES: u64, const FACTORS: u64>;

/// Trees with keys made of priorities ([`key_of`]).
pub type ByPriority = Tree<{ Priority::BITS as u64 + 1 }, 0>;

/// Trees with any keys.
pub type ByTime = Tree<0, { keel_bounds::HEIGHT }>;

const _: () = assert!(MAX_HEIGHT == KEY_BITS as u64 + 1);

impl<const NODES: u64, const FACTORS: u64> Tree<NODES, FACTORS> {
    /// Inserts `tcb`, which is in no queue, behind those with the same key. Gives the new root.
    #[must_use]
    pub fn insert<A: Arch>(
        store: &mut Store<A>,
        root: Option<Ref<Tcb>>,
        tcb: Ref<Tcb>,
        key: Key,
    ) -> Option<Ref<Tcb>> {
        let Some(mut parent) = root else {
            store[tcb].links = Links::leaf(key, None);
            return Some(tcb);
        };
        let mut bits = key;
        let mut rounds = at_most!(@ NODES, FACTORS);
        let side = loop {
            rounds.count();
            let links = &store[parent].links;
            if links.key == key {
                append(store, parent, tcb);
                return root;
            }
            let side = bits >> (KEY_BITS - 1);
            bits <<= 1;
            match links.children[side as usize] {
                Some(child) => parent = child,
                None => break side,
            }
        };
        store[tcb].links = Links::leaf(key, Some(parent));
        store[parent].links.children[side as usize] = Some(tcb);
        root
    }

    /// Removes `tcb`, which is in the tree. Gives the new root.
    #[must_use]
    pub fn remove<A: Arch>(store: &mut Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> Option<Ref<Tcb>> {
        let is_node = is_node(store, root, tcb);
        let successor = match store[tcb].links.ring {
            [Some(previous), Some(next)] => {
                leave_ring(store, previous, next);
                if !is_node {
                    return root;
                }
                Some(next)
            }
            _ => {
                debug_assert!(is_node, "{tcb:?} is not in the tree of {root:?}");
                Self::take_lowest(store, tcb)
            }
        };
        replace(store, root, tcb, successor)
    }

    /// The thread that comes first.
    #[must_use]
    #[inline]
    pub fn first<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>) -> Option<Ref<Tcb>> {
        root.map(|root| Self::smallest(store, root))
    }

    /// The thread that comes after `tcb`, which is in the tree, among those with the same key.
    #[must_use]
    #[inline]
    pub fn next_equal<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> Option<Ref<Tcb>> {
        store[tcb].links.next().filter(|&next| !is_node(store, root, next))
    }

    /// The thread that comes after `tcb`, which is in the tree.
    #[must_use]
    pub fn after<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> Option<Ref<Tcb>> {
        Self::next_equal(store, root, tcb).or_else(|| Self::above(store, root, store[tcb].links.key))
    }

    /// The first thread with a key that is greater than `key`.
    #[must_use]
    pub fn above<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, key: Key) -> Option<Ref<Tcb>> {
        // The best node on the way that `key` shows; and what lies right of that way, at the lowest place.
        let (mut best, mut right) = (None, None);
        let (mut node, mut bits) = (root, key);
        let mut rounds = at_most!(@ NODES, FACTORS);
        while let Some(tcb) = node {
            rounds.count();
            let links = &store[tcb].links;
            if links.key > key {
                best = Some(best.map_or(tcb, |best| smaller(store, best, tcb)));
            }
            if bits >> (KEY_BITS - 1) == 0 {
                right = links.right().or(right);
                node = links.left();
            } else {
                node = links.right();
            }
            bits <<= 1;
        }
        let right = right.map(|right| Self::smallest(store, right));
        match (best, right) {
            (Some(best), Some(right)) => Some(smaller(store, best, right)),
            (one, other) => one.or(other),
        }
    }

    /// The node with the smallest key of those below `node`, and itself: one of those on the way that keeps left.
    fn smallest<A: Arch>(store: &Store<A>, mut node: Ref<Tcb>) -> Ref<Tcb> {
        let mut best = node;
        let mut rounds = at_most!(@ NODES, FACTORS);
        while let Some(child) = store[node].links.some_child() {
            rounds.count();
            best = smaller(store, best, child);
            node = child;
        }
        best
    }

    /// Takes a node without children out of the tree, somewhere below `node`; none if there is nobody.
    fn take_lowest<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>) -> Option<Ref<Tcb>> {
        let mut lowest = node;
        let mut rounds = at_most!(@ NODES, FACTORS);
        while let Some(child) = store[lowest].links.some_child() {
            rounds.count();
            lowest = child;
        }
        if lowest == node {
            return None;
        }
        let parent = store[lowest].links.parent?;
        replace_child(store, parent, lowest, None);
        Some(lowest)
    }
}

/// Whether `tcb`, which is in the tree of `root`, is one of its nodes: the first of its ring.
#[inline(always)]
fn is_node<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> bool {
    store[tcb].links.parent.is_some() || root == Some(tcb)
}

/// The one of two nodes that has the smaller key.
#[inline(always)]
fn smaller<A: Arch>(store: &Store<A>, one: Ref<Tcb>, other: Ref<Tcb>) -> Ref<Tcb> {
    if store[other].links.key < store[one].links.key { other } else { one }
}

/// Puts `tcb` at the end of the ring of `first`.
fn append<A: Arch>(store: &mut Store<A>, first: Ref<Tcb>, tcb: Ref<Tcb>) {
    let Links { key, .. } = store[first].links;
    let last = store[first].links.previous().unwrap_or(first);
    store[tcb].links = Links { ring: [Some(last), Some(first)], ..Links::leaf(key, None) };
    store[last].links.ring[1] = Some(tcb);
    store[first].links.ring[0] = Some(tcb);
}

/// Closes a ring where the one between `previous` and `next` leaves it. Who remains alone has no neighbours.
fn leave_ring<A: Arch>(store: &mut Store<A>, previous: Ref<Tcb>, next: Ref<Tcb>) {
    if previous == next {
        store[next].links.ring = [None; 2];
    } else {
        store[previous].links.ring[1] = Some(next);
        store[next].links.ring[0] = Some(previous);
    }
}

/// Puts `new`, which is no node, or nobody in the place of the node `old`. Gives the root.
fn replace<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    old: Ref<Tcb>,
    new: Option<Ref<Tcb>>,
) -> Option<Ref<Tcb>> {
    let Links { children, parent, .. } = store[old].links;
    if let Some(new) = new {
        store[new].links.children = children;
        store[new].links.parent = parent;
        let [left, right] = children;
        adopt(store, left, new);
        adopt(store, right, new);
    }
    let Some(parent) = parent else { return new };
    replace_child(store, parent, old, new);
    root
}

/// Makes `parent` that of `child`, if there is one.
#[inline(always)]
fn adopt<A: Arch>(store: &mut Store<A>, child: Option<Ref<Tcb>>, parent: Ref<Tcb>) {
    if let Some(child) = child {
        store[child].links.parent = Some(parent);
    }
}

/// Puts `new` or nobody in the place of `old` below `parent`.
#[inline(always)]
fn replace_child<A: Arch>(store: &mut Store<A>, parent: Ref<Tcb>, old: Ref<Tcb>, new: Option<Ref<Tcb>>) {
    let children = &mut store[parent].links.children;
    children[usize::from(children[0] != Some(old))] = new;
}

#[cfg(test)]
mod test;
