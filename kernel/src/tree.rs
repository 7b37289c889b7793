// SPDX-License-Identifier: MIT OR Apache-2.0

//! Balanced trees of threads: the queues whose order is not first come, first served alone.
//!
//! Endpoints and notifications order their waiters by priority and then by arrival, the release queue orders
//! threads by the time at which their budget returns. All three are an AVL tree whose nodes are the waiting
//! threads themselves ([`crate::object::Tcb::links`]), so a queue costs its owner one word.
//!
//! Bound: the height of an AVL tree of n nodes is below 1.45·log2(n + 2); with the at most 2^37 threads that a
//! 48-bit physical memory can hold, 54. Each operation is a constant number of walks along one path.

use crate::object::Tcb;
use crate::store::Ref;

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
