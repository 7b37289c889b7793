// SPDX-License-Identifier: MIT OR Apache-2.0

//! Balanced trees of threads: the queues whose order is not first come, first served alone.
//!
//! Endpoints and notifications order their waiters by priority and then by arrival, the release queue orders
//! threads by the time at which their budget returns. All three are an AVL tree whose nodes are the waiting
//! threads themselves ([`crate::object::Tcb::links`]), so a queue costs its owner one word: the root.
//!
//! Nodes have no link to their parent. What changes a tree walks down once, remembers the path, and walks back up
//! as far as heights change. Links of a thread that has left its tree mean nothing.
//!
//! Invariants, of every tree between two operations:
//! - **B1** Keys to the left of a node are smaller than its own, keys to the right greater; no two are equal.
//! - **B2** `height` is 1 + the greater height of the two children; the heights of the children differ by at most
//!   1. An absent child has height 0.
//!
//! Bound: the height of an AVL tree of n nodes is below 1.45·log2(n + 2); with the at most 2^37 threads that a
//! 48-bit physical memory can hold, 54 ([`MAX_HEIGHT`]). Each operation is a constant number of walks along one
//! path, and nothing but a few loads and stores where the tree has no node or one.

use crate::arch::Arch;
use crate::object::Tcb;
use crate::store::{Ref, Store};

/// No tree is higher.
pub const MAX_HEIGHT: usize = 54;

/// The order of a tree: first by `major`, then by `minor`. Keys in one tree are distinct.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
#[repr(C)]
pub struct Key {
    /// Time, or 255 − priority.
    pub major: u64,
    /// Arrival ([`crate::Kernel::next_sequence`]).
    pub minor: u64,
}

/// A thread's place in a queue. In a ready queue `left` and `right` are its neighbours.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Links {
    /// The smaller keys, or the neighbour before.
    pub left: Option<Ref<Tcb>>,
    /// The greater keys, or the neighbour behind.
    pub right: Option<Ref<Tcb>>,
    /// This node's key.
    pub key: Key,
    /// Height of the tree below and including this node.
    pub height: u64,
}

/// Puts `tcb`, which is in no queue, into the tree under `key`, which no thread there has; the new root.
pub fn insert<A: Arch>(
    store: &mut Store<A>,
    root: Option<Ref<Tcb>>,
    tcb: Ref<Tcb>,
    key: Key,
) -> Option<Ref<Tcb>> {
    store[tcb].links = Links { left: None, right: None, key, height: 1 };
    let mut next = root;
    if next.is_none() {
        return Some(tcb);
    }
    let mut path = Path::new();
    // At most MAX_HEIGHT rounds: one per level.
    while let Some(node) = next {
        path.push(node);
        next = towards(store, node, key);
    }
    if let Some(parent) = path.last() {
        let links = &mut store[parent].links;
        *(if key < links.key { &mut links.left } else { &mut links.right }) = Some(tcb);
    }
    ascend(store, path)
}

/// Takes `tcb` out of the tree it is in; the new root.
pub fn remove<A: Arch>(store: &mut Store<A>, root: Option<Ref<Tcb>>, tcb: Ref<Tcb>) -> Option<Ref<Tcb>> {
    let Links { left, right, key, .. } = store[tcb].links;
    if root == Some(tcb) && left.is_none() && right.is_none() {
        return None;
    }
    let mut path = Path::new();
    let mut next = root;
    // At most MAX_HEIGHT rounds: one per level.
    while let Some(node) = next
        && node != tcb
    {
        path.push(node);
        next = towards(store, node, key);
    }
    debug_assert!(next.is_some(), "{tcb:?} is not in the tree of {root:?}");
    match (left, right) {
        (Some(left), Some(right)) => splice_successor(store, &mut path, tcb, left, right),
        (child, None) | (None, child) => match path.last() {
            Some(parent) => replace_child(store, parent, tcb, child),
            None => return child,
        },
    }
    ascend(store, path)
}

/// The thread with the smallest key.
#[must_use]
pub fn first<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>) -> Option<Ref<Tcb>> {
    let mut node = root?;
    // At most MAX_HEIGHT rounds: one per level.
    while let Some(left) = store[node].links.left {
        node = left;
    }
    Some(node)
}

/// The thread with the smallest key that is greater than `key`, which need not be in the tree.
#[must_use]
pub fn next_after<A: Arch>(store: &Store<A>, root: Option<Ref<Tcb>>, key: Key) -> Option<Ref<Tcb>> {
    let (mut best, mut next) = (None, root);
    // At most MAX_HEIGHT rounds: one per level.
    while let Some(node) = next {
        let links = &store[node].links;
        if key < links.key {
            best = next;
            next = links.left;
        } else {
            next = links.right;
        }
    }
    best
}

/// The child of `node` on the side on which `key` belongs.
fn towards<A: Arch>(store: &Store<A>, node: Ref<Tcb>, key: Key) -> Option<Ref<Tcb>> {
    let links = &store[node].links;
    if key < links.key { links.left } else { links.right }
}

/// Puts the successor of `tcb`, the leftmost node to its right, in its place. `path` leads to `tcb`, and then to
/// where the successor was.
fn splice_successor<A: Arch>(
    store: &mut Store<A>,
    path: &mut Path,
    tcb: Ref<Tcb>,
    left: Ref<Tcb>,
    right: Ref<Tcb>,
) {
    let parent = path.last();
    let place = path.length;
    path.push(tcb);
    let mut successor = right;
    // At most MAX_HEIGHT rounds: one per level.
    while let Some(smaller) = store[successor].links.left {
        path.push(successor);
        successor = smaller;
    }
    if successor != right {
        let rest = store[successor].links.right;
        if let Some(above) = path.last() {
            store[above].links.left = rest;
        }
        store[successor].links.right = Some(right);
    }
    store[successor].links.left = Some(left);
    store[successor].links.height = store[tcb].links.height;
    path.replace(place, successor);
    if let Some(parent) = parent {
        replace_child(store, parent, tcb, Some(successor));
    }
}

/// Makes `new` the child of `parent` that `old` was.
fn replace_child<A: Arch>(store: &mut Store<A>, parent: Ref<Tcb>, old: Ref<Tcb>, new: Option<Ref<Tcb>>) {
    let links = &mut store[parent].links;
    *(if links.left == Some(old) { &mut links.left } else { &mut links.right }) = new;
}

/// Restores B2 from the end of `path` upward, below which a tree has grown or shrunk by one; the root.
fn ascend<A: Arch>(store: &mut Store<A>, mut path: Path) -> Option<Ref<Tcb>> {
    // At most MAX_HEIGHT rounds: one per node of the path.
    while let Some(node) = path.pop() {
        let height = store[node].links.height;
        let top = balance(store, node);
        match path.last() {
            None => return Some(top),
            Some(parent) if top != node => replace_child(store, parent, node, Some(top)),
            Some(_) => {}
        }
        if store[top].links.height == height {
            break;
        }
    }
    path.first()
}

/// Restores B2 at `node`, whose children keep it and differ by at most 2; the node that is then in its place.
fn balance<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>) -> Ref<Tcb> {
    let Links { left, right, .. } = store[node].links;
    let (left_height, right_height) = (height(store, left), height(store, right));
    match (left, right) {
        (Some(child), _) if left_height > right_height + 1 => {
            if height(store, store[child].links.left) < height(store, store[child].links.right) {
                store[node].links.left = Some(rotate_left(store, child));
            }
            rotate_right(store, node)
        }
        (_, Some(child)) if right_height > left_height + 1 => {
            if height(store, store[child].links.right) < height(store, store[child].links.left) {
                store[node].links.right = Some(rotate_right(store, child));
            }
            rotate_left(store, node)
        }
        _ => {
            store[node].links.height = 1 + left_height.max(right_height);
            node
        }
    }
}

/// Lifts the right child of `node` above it.
fn rotate_left<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>) -> Ref<Tcb> {
    let Some(child) = store[node].links.right else { return node };
    store[node].links.right = store[child].links.left;
    store[child].links.left = Some(node);
    update_height(store, node);
    update_height(store, child);
    child
}

/// Lifts the left child of `node` above it.
fn rotate_right<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>) -> Ref<Tcb> {
    let Some(child) = store[node].links.left else { return node };
    store[node].links.left = store[child].links.right;
    store[child].links.right = Some(node);
    update_height(store, node);
    update_height(store, child);
    child
}

/// Computes the height of `node` from its children's.
fn update_height<A: Arch>(store: &mut Store<A>, node: Ref<Tcb>) {
    let Links { left, right, .. } = store[node].links;
    store[node].links.height = 1 + height(store, left).max(height(store, right));
}

/// The height of a tree, 0 for none.
fn height<A: Arch>(store: &Store<A>, node: Option<Ref<Tcb>>) -> u64 {
    node.map_or(0, |node| store[node].links.height)
}

/// The nodes from the root down to some node. Never longer than MAX_HEIGHT, by the bound of the module.
struct Path {
    /// The nodes, the root first.
    nodes: [Option<Ref<Tcb>>; MAX_HEIGHT],
    /// How many.
    length: usize,
}

impl Path {
    /// The empty path.
    const fn new() -> Self {
        Self { nodes: [None; MAX_HEIGHT], length: 0 }
    }

    /// Goes down to `node`.
    fn push(&mut self, node: Ref<Tcb>) {
        debug_assert!(self.length < MAX_HEIGHT, "a tree is too high");
        if let Some(place) = self.nodes.get_mut(self.length) {
            *place = Some(node);
            self.length += 1;
        }
    }

    /// Goes up; the node left.
    fn pop(&mut self) -> Option<Ref<Tcb>> {
        let last = self.last()?;
        self.length -= 1;
        Some(last)
    }

    /// The node at the lower end.
    fn last(&self) -> Option<Ref<Tcb>> {
        self.nodes.get(self.length.wrapping_sub(1)).copied().flatten()
    }

    /// The root.
    fn first(&self) -> Option<Ref<Tcb>> {
        self.nodes.first().copied().flatten()
    }

    /// Puts `node` at `index`.
    fn replace(&mut self, index: usize, node: Ref<Tcb>) {
        if let Some(place) = self.nodes.get_mut(index) {
            *place = Some(node);
        }
    }
}

#[cfg(test)]
mod test;
