// SPDX-License-Identifier: MIT OR Apache-2.0

//! How deep the stack becomes.

use crate::decode::{self, Stack};
use crate::program::{Call, Program};
use crate::reach::{BACK_TO_CALLER, Reach};
use std::collections::{BTreeMap, HashMap};

/// The depths of functions and what they call, in bytes.
pub struct Depths<'a, 'i> {
    program: &'a Program<'i>,
    reach: &'a Reach<'a, 'i>,
    /// Of functions.
    known: HashMap<usize, u64>,
}

impl<'a, 'i> Depths<'a, 'i> {
    /// None is known yet. The program is one without recursion.
    pub fn new(program: &'a Program<'i>, reach: &'a Reach<'a, 'i>) -> Self {
        Self { program, reach, known: HashMap::new() }
    }

    /// That of a function.
    pub fn of(&mut self, number: usize) -> u64 {
        if let Some(&deepest) = self.known.get(&number) {
            return deepest;
        }
        let mut deepest = 0;
        let mut depths = BTreeMap::from([(0, 0_i64)]);
        let mut work = vec![0];
        while let Some(node) = work.pop() {
            if !self.reach.live(number).contains(&node) {
                continue;
            }
            let block = &self.program.functions[number].blocks[node];
            let mut depth = depths[&node];
            for effect in &block.stack {
                match effect {
                    Stack::Moves(by) => depth -= by,
                    Stack::Set => depth = 0,
                    Stack::Same => {}
                }
                deepest = deepest.max(depth);
            }
            if let Some(Call::To(callee)) = block.call {
                let call = decode::call_bytes(self.program.image.architecture) + self.of(callee);
                deepest = deepest.max(depth + call as i64);
            }
            for next in self.reach.next(number, node) {
                if next != BACK_TO_CALLER && depths.insert(next, depth).is_none() {
                    work.push(next);
                }
            }
        }
        let deepest = deepest.max(0) as u64;
        self.known.insert(number, deepest);
        deepest
    }
}
