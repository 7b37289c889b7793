// SPDX-License-Identifier: MIT OR Apache-2.0

//! Balanced trees of threads: the queues whose order is not first come, first served alone.
//!
//! Endpoints and notifications order their waiters by priority and then by arrival, the release queue orders
//! threads by the time at which their budget returns. All three are an AVL tree whose nodes are the waiting
//! threads themselves ([`crate::object::Tcb::links`]), so a queue costs its owner one word: the root.
//!
//! A node knows its parent, and to which side it leans. So insertion walks down once, removal begins at the node that
//! goes; both walk up as far as heights change. Links of a thread that has left its tree mean nothing.
//!
//! Invariants, of every tree between two operations:
//! - **B1** Keys to the left of a node are smaller than its own, keys to the right greater; no two are equal.
//! - **B2** `lean` is the height of the right child less that of the left, and is -1, 0 or 1. An absent child has
//!   height 0.
//! - **B3** A node is the parent of its children; the root has no parent.
//!
//! Bound: an AVL tree of height 40 has at least 433,494,436 nodes, and there are at most 2^28 threads in the 2^39
//! bytes that a kernel's window shows. So no height exceeds 39 ([`MAX_HEIGHT`]). An insertion rotates at most once. A
//! removal rotates on its way up only where the path has a step of two heights: at most [`MAX_ROTATIONS`] times.

use crate::arch::Arch;
use crate::object::Tcb;
use crate::store::{Ref, Store};
use keel_bounds::at_most;

/// No tree is higher.
pub const MAX_HEIGHT: usize = keel_bounds::MAX_HEIGHT as usize;

/// The most rotations of a removal.
pub const MAX_ROTATIONS: usize = MAX_HEIGHT / 2;

/// What a tree is ordered by. No two keys in a tree are equal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(C)]
pub struct Key {
    /// Time, or 255 − priority.
    pub major: u64,
    /// Arrival ([`crate::Kernel::next_sequence`]).
    pub minor: u64,
}

/// One of the two sides of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    /// Where smaller keys are.
    Left = 0,
    /// Where greater keys are.
    Right = 1,
}

use Side::{Left, Right};

impl Side {
    /// What a node leans by if this side is higher by one.
    const fn sign(self) -> i64 {
        match self {
            Left => -1,
            Right => 1,
        }
    }

    /// The other one.
    const fn other(self) -> Self {
        match self {
            Left => Right,
            Right => Left,
        }
    }
}

/// A thread's place in a queue.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Links {
    /// The children, left and right; in a list, the neighbours.
    pub children: [Option<Ref<Tcb>>; 2],
    /// The parent.
    pub parent: Option<Ref<Tcb>>,
    /// By how much the right child is higher than the left.
    pub lean: i64,
    /// What the tree is ordered by.
    pub key: Key,
}

impl Links {
    /// Of a node without children.
    #[must_use]
    #[inline(always)]
    pub const fn leaf(key: Key, parent: Option<Ref<Tcb>>) -> Self {
        Self { children: [None; 2], parent, lean: 0, key }
    }

    /// The child with the smaller keys.
    #[must_use]
    #[inline(always)]
    pub const fn left(&self) -> Option<Ref<Tcb>> {
        self.children[Left as usize]
    }

    /// The child with the greater keys.
    #[must_use]
    #[inline(always)]
    pub const fn right(&self) -> Option<Ref<Tcb>> {
        self.children[Right as usize]
    }

    /// Whether there are no children: a root is alone in its tree then.
    #[must_use]
    #[inline(always)]
    pub const fn is_leaf(&self) -> bool {
        self.left().is_none() && self.right().is_none()
    }
}

/// Inserts `tcb`, which is in no queue, with `key`, which the tree does not have. Gives the new root.
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
    // One round per level.
    let mut rounds = at_most!(height);
    let side = loop {
        rounds.count();
        let links = &store[parent].links;
        let side = if key < links.key { Left } else { Right };
        match links.children[side as usize] {
            Some(child) => parent = child,
            None => break side,
        }
    };
    store[tcb].links = Links::leaf(key, Some(parent));
    store[parent].links.children[side as usize] = Some(tcb);
    grown(store, root, parent, side)
}

/// Removes `tcb`, which is in the tree. Gives the new root.
#[must_use]
pub fn remove<A: Arch>(store: &mut Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> Option<Ref<Tcb>> {
    let Links { children, parent, .. } = store[tcb].links;
    debug_assert!(parent.is_some() || root == Some(tcb), "{tcb:?} is not in the tree of {root:?}");
    match children {
        [Some(_), Some(right)] => remove_inner(store, root, tcb, right),
        [child, None] | [None, child] => {
            if let Some(child) = child {
                store[child].links.parent = parent;
            }
            let Some(parent) = parent else { return child };
            let side = side_of(store, parent, tcb);
            store[parent].links.children[side as usize] = child;
            shrunk(store, root, parent, side)
        }
    }
}

/// The thread with the smallest key.
#[must_use]
pub fn first<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>) -> Option<Ref<Tcb>> {
    root.map(|root| leftmost(store, root))
}

/// The thread with the smallest key that is greater than `key`.
#[must_use]
pub fn next_after<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, key: Key) -> Option<Ref<Tcb>> {
    let (mut best, mut next) = (None, root);
    // One round per level.
    let mut rounds = at_most!(height);
    while let Some(node) = next {
        rounds.count();
        let links = &store[node].links;
        if key < links.key {
            best = next;
            next = links.left();
        } else {
            next = links.right();
        }
    }
    best
}

/// The smallest of those below `node`, and itself.
fn leftmost<A: Arch>(store: &Store<A>, mut node: Ref<Tcb>) -> Ref<Tcb> {
    // One round per level.
    let mut rounds = at_most!(height);
    while let Some(left) = store[node].links.left() {
        rounds.count();
        node = left;
    }
    node
}

/// On which side of `parent` its child `node` is.
fn side_of<A: Arch>(store: &Store<A>, parent: Ref<Tcb>, node: Ref<Tcb>) -> Side {
    if store[parent].links.left() == Some(node) { Left } else { Right }
}

/// Removes `tcb`, which has two children: the smallest on its right takes its place.
fn remove_inner<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    tcb: Ref<Tcb>,
    right: Ref<Tcb>,
) -> Option<Ref<Tcb>> {
    let successor = leftmost(store, right);
    let shrinks = if successor == right {
        (successor, Right)
    } else {
        let Links { children: [_, rest], parent, .. } = store[successor].links;
        let above = parent.unwrap_or(right);
        set_child(store, above, Left, rest);
        set_child(store, successor, Right, Some(right));
        (above, Left)
    };
    let Links { children: [left, _], parent, lean, .. } = store[tcb].links;
    set_child(store, successor, Left, left);
    store[successor].links.lean = lean;
    let root = replace_child(store, root, parent, tcb, successor);
    shrunk(store, root, shrinks.0, shrinks.1)
}

/// Hooks `child` in below `node`.
fn set_child<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>, side: Side, child: Option<Ref<Tcb>>) {
    store[node].links.children[side as usize] = child;
    if let Some(child) = child {
        store[child].links.parent = Some(node);
    }
}

/// Puts `new` where `old` was: below `parent`, or at the root. Gives the root.
fn replace_child<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    parent: Option<Ref<Tcb>>,
    old: Ref<Tcb>,
    new: Ref<Tcb>,
) -> Option<Ref<Tcb>> {
    store[new].links.parent = parent;
    let Some(parent) = parent else { return Some(new) };
    let side = side_of(store, parent, old);
    store[parent].links.children[side as usize] = Some(new);
    root
}

/// What is below `node` on `side` has become higher by one: restores B2. Gives the root.
fn grown<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    mut node: Ref<Tcb>,
    mut side: Side,
) -> Option<Ref<Tcb>> {
    // One round per level.
    let mut rounds = at_most!(height);
    loop {
        rounds.count();
        let links = &mut store[node].links;
        if links.lean == side.sign() {
            // The rotation makes it as high as it was.
            return rotate(store, root, node, side).1;
        }
        links.lean += side.sign();
        if links.lean == 0 {
            return root;
        }
        let Some(parent) = links.parent else { return root };
        side = side_of(store, parent, node);
        node = parent;
    }
}

/// What is below `node` on `side` has become lower by one: restores B2. Gives the root.
fn shrunk<A: Arch>(
    store: &mut Store<A>,
    mut root: Option<Ref<Tcb>>,
    mut node: Ref<Tcb>,
    mut side: Side,
) -> Option<Ref<Tcb>> {
    // One round per level.
    let mut rounds = at_most!(height);
    let mut rotations = at_most!(MAX_ROTATIONS);
    loop {
        rounds.count();
        let links = &mut store[node].links;
        if links.lean == 0 {
            // The other side is still as high as it was.
            links.lean = -side.sign();
            return root;
        }
        if links.lean == side.sign() {
            links.lean = 0;
        } else {
            rotations.count();
            (node, root) = rotate(store, root, node, side.other());
            if store[node].links.lean != 0 {
                return root;
            }
        }
        let Some(parent) = store[node].links.parent else { return root };
        side = side_of(store, parent, node);
        node = parent;
    }
}

/// `node` is too high on the side `heavy` by two: its child there, or that one's child on the inner side, comes to
/// the top. Gives that and the root.
fn rotate<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    node: Ref<Tcb>,
    heavy: Side,
) -> (Ref<Tcb>, Option<Ref<Tcb>>) {
    let (sign, light) = (heavy.sign(), heavy.other());
    let Links { children, parent, .. } = store[node].links;
    let Some(child) = children[heavy as usize] else { return (node, root) };
    let Links { lean, children, .. } = store[child].links;
    let inner = children[light as usize];
    match inner {
        Some(top) if lean == -sign => {
            let Links { lean, children, .. } = store[top].links;
            set_child(store, child, light, children[heavy as usize]);
            set_child(store, node, heavy, children[light as usize]);
            set_child(store, top, heavy, Some(child));
            set_child(store, top, light, Some(node));
            store[node].links.lean = if lean == sign { -sign } else { 0 };
            store[child].links.lean = if lean == -sign { sign } else { 0 };
            store[top].links.lean = 0;
            (top, replace_child(store, root, parent, node, top))
        }
        _ => {
            set_child(store, node, heavy, inner);
            set_child(store, child, light, Some(node));
            // A child that leaned to neither side leaves both leaning towards each other.
            let rest = if lean == 0 { sign } else { 0 };
            store[node].links.lean = rest;
            store[child].links.lean = -rest;
            (child, replace_child(store, root, parent, node, child))
        }
    }
}

#[cfg(test)]
mod test;
