// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which blocks matter: those that lie on a path.

use crate::image::Mark;
use crate::program::{Block, Call, End, Program};
use crate::query::Query;
use keel_bounds::kind;
use std::collections::BTreeSet;

/// Where the edges lead that leave a function.
pub const BACK_TO_CALLER: usize = usize::MAX;

/// The ways out of a function that there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Ways {
    /// Some way returns to the caller.
    returns: bool,
    /// Some way ends well inside: at a preemption point or in user level.
    ends: bool,
}

/// The blocks that lie on a path which a query asks about.
pub struct Reach<'a, 'i> {
    program: &'a Program<'i>,
    query: &'a Query<'a>,
    /// Of each function.
    ways: Vec<Ways>,
    /// Blocks of each function that lie on a path.
    live: Vec<BTreeSet<usize>>,
}

impl<'a, 'i> Reach<'a, 'i> {
    /// Finds the ways out of all functions, and which blocks lie on a path.
    pub fn new(program: &'a Program<'i>, query: &'a Query<'a>) -> Self {
        let functions = program.functions.len();
        let mut reach = Self { program, query, ways: vec![Ways::default(); functions], live: Vec::new() };
        let mut changed = true;
        // Each round adds a way to some function.
        while changed {
            changed = false;
            for number in 0..functions {
                let reached = reach.reached(number);
                let mut ways = Ways::default();
                for &node in &reached {
                    ways.returns |= reach.returns(number, node);
                    ways.ends |= reach.ends(number, node);
                }
                changed |= ways != reach.ways[number];
                reach.ways[number] = ways;
            }
        }
        reach.live = (0..functions).map(|number| reach.lying_on_paths(number)).collect();
        reach
    }

    /// The blocks of a function that lie on a path.
    pub fn live(&self, function: usize) -> &BTreeSet<usize> {
        &self.live[function]
    }

    /// The blocks behind a block, as far as they lie on a path; back to the caller is one of them.
    pub fn next(&self, function: usize, node: usize) -> Vec<usize> {
        if !self.is_left(function, node) {
            return Vec::new();
        }
        let block = self.block(function, node);
        let mut next: Vec<_> =
            block.next.iter().copied().filter(|next| self.live[function].contains(next)).collect();
        if block.end == End::Returns {
            next.push(BACK_TO_CALLER);
        }
        next
    }

    fn block(&self, function: usize, node: usize) -> &'a Block {
        &self.program.functions[function].blocks[node]
    }

    /// Whether control comes out behind a block.
    fn is_left(&self, function: usize, node: usize) -> bool {
        match self.block(function, node).call {
            Some(Call::To(callee)) => self.ways[callee].returns,
            Some(Call::Computed) | None => true,
        }
    }

    /// Whether a way back to the caller begins behind this block.
    fn returns(&self, function: usize, node: usize) -> bool {
        self.block(function, node).end == End::Returns && self.is_left(function, node)
    }

    /// Whether a segment can end in this block.
    fn ends(&self, function: usize, node: usize) -> bool {
        let block = self.block(function, node);
        let in_call = matches!(block.call, Some(Call::To(callee)) if self.ways[callee].ends);
        in_call || block.end == End::Leaves || block.marks.iter().any(is_preemption_point)
    }

    /// The blocks that can be reached.
    fn reached(&self, function: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::new();
        let mut work = vec![0];
        while let Some(node) = work.pop() {
            let block = self.block(function, node);
            if self.query.excludes(&block.marks) || !reached.insert(node) {
                continue;
            }
            if self.is_left(function, node) {
                work.extend(&block.next);
            }
        }
        reached
    }

    /// The blocks that can be reached and from which a path comes to an end.
    fn lying_on_paths(&self, function: usize) -> BTreeSet<usize> {
        let reached = self.reached(function);
        let is_end = |&node: &usize| self.returns(function, node) || self.ends(function, node);
        let mut live: BTreeSet<_> = reached.iter().copied().filter(is_end).collect();
        loop {
            let leads = |&node: &usize| {
                self.is_left(function, node)
                    && self.block(function, node).next.iter().any(|next| live.contains(next))
            };
            let more: Vec<_> = reached.difference(&live).copied().filter(leads).collect();
            if more.is_empty() {
                return live;
            }
            live.extend(more);
        }
    }
}

/// Whether a mark is that of the preemption point.
pub fn is_preemption_point(mark: &Mark) -> bool {
    mark.kind == kind::PREEMPTION_POINT
}
