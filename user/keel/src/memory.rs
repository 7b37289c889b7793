// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which untyped memory is free: a buddy allocator over Untyped capabilities.
//!
//! Memory comes as a few Untypeds of power-of-two sizes. One that is too big is split into two halves
//! (by retyping it), one of which is split again, until a piece fits; a piece that comes back is joined
//! with its other half as soon as that is free too, so memory does not decay. Each piece is a node of
//! a tree:
//!
//! ```text
//!            ┌──────── split ───────┐
//!   Free ────┤                      ▼
//!    ▲       └── handed out ──▶ Used, Split ──▶ back to Free when released / both halves are free
//! ```
//!
//! Device memory is kept in the same trees but handed out by address only ([`Memory::allocate_at`]).
//!
//! Invariants:
//! 1. The children of a Split node are exactly two nodes, of half its size, in address order.
//! 2. A Free or Used node has no children. A Free node's Untyped has no descendants.
//!
//! How an Untyped is really split is the business of a [`Splitter`], so that this logic runs in tests.

use crate::{
    cap::CPtr,
    error::{Error, Result},
};

/// Pieces that can be kept.
pub const MAX_NODES: usize = 1024;

/// The smallest piece, as a power of two.
pub const MIN_BITS: u8 = 4;

/// What splits and joins Untypeds.
pub trait Splitter {
    /// Makes two Untypeds of 2^`half_bits` bytes of all of `untyped`; lower addresses first.
    fn split(&mut self, untyped: CPtr, half_bits: u8) -> Result<[CPtr; 2]>;
    /// Deletes two halves, neither of which has descendants.
    fn join(&mut self, halves: [CPtr; 2]) -> Result;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Vacant,
    Free,
    Used,
    Split,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    paddr: u64,
    cptr: CPtr,
    parent: u16,
    bits: u8,
    state: State,
    device: bool,
}

const NO_PARENT: u16 = u16::MAX;

const VACANT: Node =
    Node { paddr: 0, cptr: CPtr::NULL, parent: NO_PARENT, bits: 0, state: State::Vacant, device: false };

/// The untyped memory that a program holds.
pub struct Memory {
    nodes: [Node; MAX_NODES],
    /// Nodes from here on are vacant.
    end: usize,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// None.
    pub const fn new() -> Self {
        Self { nodes: [VACANT; MAX_NODES], end: 0 }
    }

    /// Adds an Untyped without descendants, of 2^`bits` bytes. Its physical address counts for device
    /// memory only.
    pub fn add(&mut self, cptr: CPtr, bits: u8, paddr: u64, device: bool) -> Result {
        let node = Node { paddr, cptr, parent: NO_PARENT, bits, state: State::Free, device };
        self.insert(node).map(drop)
    }

    fn insert(&mut self, node: Node) -> Result<usize> {
        let vacant = self.nodes[..self.end].iter().position(|node| node.state == State::Vacant);
        let index = vacant.unwrap_or(self.end);
        *self.nodes.get_mut(index).ok_or(Error::OutOfRoom("untypeds"))? = node;
        self.end = self.end.max(index + 1);
        Ok(index)
    }

    fn nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        self.nodes[..self.end].iter().enumerate()
    }

    /// Bytes of ordinary memory that are free.
    pub fn free_bytes(&self) -> u64 {
        let free = |node: &&Node| node.state == State::Free && !node.device;
        self.nodes[..self.end].iter().filter(free).map(|node| 1 << node.bits).sum()
    }

    /// The size of the largest free piece of ordinary memory, as a power of two.
    pub fn largest_free_bits(&self) -> Option<u8> {
        let free = |node: &&Node| node.state == State::Free && !node.device;
        self.nodes[..self.end].iter().filter(free).map(|node| node.bits).max()
    }

    /// A piece of 2^`bits` bytes of ordinary memory.
    pub fn allocate(&mut self, bits: u8, splitter: &mut impl Splitter) -> Result<CPtr> {
        let bits = bits.max(MIN_BITS);
        let fits = |node: &Node| node.state == State::Free && !node.device && node.bits >= bits;
        let best = self.nodes().filter(|(_, node)| fits(node)).min_by_key(|(_, node)| node.bits);
        let (index, _) = best.ok_or(Error::OutOfMemory(bits))?;
        self.carve(index, bits, |_| false, splitter)
    }

    /// The piece of 2^`bits` bytes of device memory that starts at `paddr`.
    pub fn allocate_at(&mut self, paddr: u64, bits: u8, splitter: &mut impl Splitter) -> Result<CPtr> {
        if !(MIN_BITS..=63).contains(&bits) || paddr & ((1 << bits) - 1) != 0 {
            return Err(Error::BadArgument("device address"));
        }
        let holds = |node: &Node| {
            let inside = paddr.checked_sub(node.paddr).is_some_and(|offset| offset >> node.bits == 0);
            node.state == State::Free && node.device && node.bits >= bits && inside
        };
        let found = self.nodes().find(|(_, node)| holds(node));
        let (index, _) = found.ok_or(Error::NoDevice(paddr))?;
        self.carve(index, bits, |upper_half| paddr >= upper_half, splitter)
    }

    /// Splits a free node until it has `bits`, going into the upper half where `upper` says so of its
    /// address.
    fn carve(
        &mut self,
        mut index: usize,
        bits: u8,
        upper: impl Fn(u64) -> bool,
        splitter: &mut impl Splitter,
    ) -> Result<CPtr> {
        while self.nodes[index].bits > bits {
            let halves = self.split(index, splitter)?;
            index = halves[usize::from(upper(self.nodes[halves[1]].paddr))];
        }
        self.nodes[index].state = State::Used;
        Ok(self.nodes[index].cptr)
    }

    fn split(&mut self, index: usize, splitter: &mut impl Splitter) -> Result<[usize; 2]> {
        let whole = self.nodes[index];
        let vacant = MAX_NODES - self.nodes().filter(|(_, node)| node.state != State::Vacant).count();
        if vacant < 2 {
            return Err(Error::OutOfRoom("untypeds"));
        }
        let bits = whole.bits - 1;
        let [lower, upper] = splitter.split(whole.cptr, bits)?;
        let half = |cptr, paddr| Node { paddr, cptr, parent: index as u16, bits, ..whole };
        self.nodes[index].state = State::Split;
        Ok([
            self.insert(half(lower, whole.paddr))?,
            self.insert(half(upper, whole.paddr.wrapping_add(1 << bits)))?,
        ])
    }

    /// Takes back a piece, whose Untyped has been revoked.
    pub fn release(&mut self, cptr: CPtr, splitter: &mut impl Splitter) -> Result {
        let is_it = |node: &Node| node.state == State::Used && node.cptr == cptr;
        let found = self.nodes().find(|(_, node)| is_it(node));
        let (mut index, _) = found.ok_or(Error::BadArgument("untyped that was not handed out"))?;
        self.nodes[index].state = State::Free;
        while let Some(other) = self.free_sibling(index) {
            let (low, high) = if self.nodes[index].paddr <= self.nodes[other].paddr {
                (index, other)
            } else {
                (other, index)
            };
            let parent = usize::from(self.nodes[index].parent);
            splitter.join([self.nodes[low].cptr, self.nodes[high].cptr])?;
            self.nodes[low] = VACANT;
            self.nodes[high] = VACANT;
            self.nodes[parent].state = State::Free;
            index = parent;
        }
        Ok(())
    }

    fn free_sibling(&self, index: usize) -> Option<usize> {
        let parent = self.nodes[index].parent;
        let is_it = |other: usize, node: &Node| {
            other != index && node.state == State::Free && node.parent == parent && parent != NO_PARENT
        };
        self.nodes().find(|&(other, node)| is_it(other, node)).map(|(other, _)| other)
    }
}

#[cfg(test)]
mod test {
    use std::collections::BTreeMap;

    use super::*;

    /// Untypeds by pointer, as the kernel would have them: size, and whether split.
    #[derive(Default)]
    struct Model {
        live: BTreeMap<u64, (u8, bool)>,
        parents: BTreeMap<u64, u64>,
        next: u64,
    }

    impl Model {
        fn give(&mut self, memory: &mut Memory, bits: u8, paddr: u64, device: bool) -> u64 {
            self.next += 1;
            self.live.insert(self.next, (bits, false));
            memory.add(CPtr::new(self.next), bits, paddr, device).unwrap();
            self.next
        }
    }

    impl Splitter for Model {
        fn split(&mut self, untyped: CPtr, half_bits: u8) -> Result<[CPtr; 2]> {
            let whole = self.live.get_mut(&untyped.bits()).expect("a live untyped");
            assert_eq!(*whole, (half_bits + 1, false));
            whole.1 = true;
            Ok([0; 2].map(|_| {
                self.next += 1;
                self.live.insert(self.next, (half_bits, false));
                self.parents.insert(self.next, untyped.bits());
                CPtr::new(self.next)
            }))
        }

        fn join(&mut self, halves: [CPtr; 2]) -> Result {
            let parents = halves.map(|half| self.parents.remove(&half.bits()).expect("a half"));
            assert_eq!(parents[0], parents[1]);
            for half in halves {
                assert!(!self.live.remove(&half.bits()).expect("live").1, "a half that is split");
            }
            self.live.get_mut(&parents[0]).expect("live").1 = false;
            Ok(())
        }
    }

    #[test]
    fn splits_to_fit_and_joins_all_again() {
        let (mut memory, mut model) = (Memory::new(), Model::default());
        let whole = model.give(&mut memory, 20, 0, false);
        let pieces: std::vec::Vec<CPtr> =
            [12, 4, 16, 19, 4].iter().map(|&bits| memory.allocate(bits, &mut model).unwrap()).collect();
        for (piece, bits) in pieces.iter().zip([12, 4, 16, 19, 4]) {
            assert_eq!(model.live[&piece.bits()], (bits, false));
        }
        assert_eq!(memory.free_bytes(), (1 << 20) - (1 << 12) - (1 << 16) - (1 << 19) - 32);
        assert_eq!(memory.allocate(19, &mut model), Err(Error::OutOfMemory(19)));
        for piece in [2, 0, 4, 1, 3].map(|index: usize| pieces[index]) {
            memory.release(piece, &mut model).unwrap();
        }
        assert_eq!(model.live, BTreeMap::from([(whole, (20, false))]));
        assert_eq!((memory.free_bytes(), memory.largest_free_bits()), (1 << 20, Some(20)));
    }

    #[test]
    fn takes_the_smallest_that_fits() {
        let (mut memory, mut model) = (Memory::new(), Model::default());
        model.give(&mut memory, 30, 0, false);
        let small = model.give(&mut memory, 14, 1 << 40, false);
        assert_eq!(memory.allocate(14, &mut model), Ok(CPtr::new(small)));
    }

    #[test]
    fn device_memory_is_found_by_address_only() {
        let (mut memory, mut model) = (Memory::new(), Model::default());
        model.give(&mut memory, 27, 0x0800_0000, true);
        assert_eq!(memory.allocate(12, &mut model), Err(Error::OutOfMemory(12)));
        assert_eq!(memory.free_bytes(), 0);
        let uart = memory.allocate_at(0x0900_0000, 12, &mut model).unwrap();
        assert_eq!(model.live[&uart.bits()], (12, false));
        assert_eq!(memory.allocate_at(0x0900_0000, 12, &mut model), Err(Error::NoDevice(0x0900_0000)));
        assert!(memory.allocate_at(0x0900_1000, 12, &mut model).is_ok());
        assert!(memory.allocate_at(0x0a00_0000, 12, &mut model).is_ok());
        assert_eq!(memory.allocate_at(0x4000_0000, 12, &mut model), Err(Error::NoDevice(0x4000_0000)));
        assert_eq!(
            memory.allocate_at(0x0a00_0800, 12, &mut model).unwrap_err(),
            Error::BadArgument("device address")
        );
    }

    #[test]
    fn a_piece_comes_back_once() {
        let (mut memory, mut model) = (Memory::new(), Model::default());
        model.give(&mut memory, 13, 0, false);
        let piece = memory.allocate(12, &mut model).unwrap();
        memory.release(piece, &mut model).unwrap();
        assert!(memory.release(piece, &mut model).is_err());
    }
}
