// SPDX-License-Identifier: MIT OR Apache-2.0

//! The loops of a function, and how many rounds they have.
//!
//! A loop is a set of blocks each of which can reach each other, entered in one block, its *header*. Without the ways
//! back to the header what is left of it has no loops but those nested in it.
//!
//! A loop belongs to a mark that is passed in each of its rounds, and whose beginning is not in it. If the loop was
//! unrolled a round of what is left passes the mark several times. If it was unrolled completely its mark is left in the
//! loop around it, but together with its beginning.

use crate::image::Mark;
use crate::program::Function;
use keel_bounds::{Values, bound, kind};
use petgraph::graph::DiGraph;
use std::collections::{BTreeMap, BTreeSet};

/// The loops and other blocks among `nodes`, without the edges to `cut`, such that none leads back to an earlier one.
pub fn components(
    nodes: &BTreeSet<usize>,
    edges: impl Fn(usize) -> Vec<usize>,
    cut: Option<usize>,
) -> Vec<BTreeSet<usize>> {
    let mut graph = DiGraph::<usize, ()>::new();
    let places: BTreeMap<_, _> = nodes.iter().map(|&node| (node, graph.add_node(node))).collect();
    for (&from, &place) in &places {
        for to in edges(from) {
            if Some(to) != cut
                && let Some(&to) = places.get(&to)
            {
                graph.add_edge(place, to, ());
            }
        }
    }
    let mut components = petgraph::algo::tarjan_scc(&graph);
    components.reverse();
    components
        .into_iter()
        .map(|component| component.into_iter().map(|place| graph[place]).collect())
        .collect()
}

/// How many rounds a loop has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rounds {
    /// At most so many complete ones in all that go back to the header; per edge out of the loop those that can come
    /// before it, or none if it cannot be taken.
    AtMost {
        /// Ways back to the header.
        back: u64,
        /// By the block that an edge leaves.
        before: BTreeMap<usize, Option<u64>>,
    },
    /// They are counted over the whole entry: by the counter with this identifier, up to so many.
    Shared(u64, u64),
    /// Nothing is known.
    Unbounded,
}

/// The rounds of the loop of `blocks` with this header. `of` are the values that bounds depend on, `bytes` what is to be
/// copied or filled.
pub fn rounds(
    function: &Function,
    blocks: &BTreeSet<usize>,
    header: usize,
    of: Values,
    bytes: Option<u64>,
) -> Rounds {
    let in_loop: BTreeSet<Mark> = marks(function, blocks).collect();
    let mut found = None;
    for &mark in &in_loop {
        let most = match mark.kind {
            kind::ROUND => bound(mark.words[1], mark.words[2], of),
            kind::BYTES_ROUND => match bytes {
                Some(bytes) => {
                    let most = if mark.words[1] == 0 { u64::MAX } else { mark.words[1] };
                    (bytes / mark.words[0].max(1)).min(most)
                }
                None => continue,
            },
            kind::SHARED_ROUND => mark.words[1],
            _ => continue,
        };
        if in_loop.contains(&Mark { kind: kind::BEGIN, ..mark }) {
            continue;
        }
        let passed = passed(function, blocks, header, mark);
        let latches = blocks.iter().filter(|&&node| function.blocks[node].next.contains(&header));
        let each = latches.filter_map(|node| passed.get(node).copied()).min().unwrap_or(0);
        if each == 0 {
            continue;
        }
        if mark.kind == kind::SHARED_ROUND {
            return Rounds::Shared(mark.words[0], most);
        }
        if found.as_ref().is_none_or(|&(known, in_each, _)| most / each < known / in_each) {
            found = Some((most, each, passed));
        }
    }
    let Some((most, each, passed)) = found else { return Rounds::Unbounded };
    let before =
        passed.into_iter().map(|(node, count)| (node, most.checked_sub(count).map(|rest| rest / each)));
    Rounds::AtMost { back: most / each, before: before.collect() }
}

/// The marks in a loop that stand in some of its rounds only: how many rounds pass each, and the loop's other blocks.
pub fn rare(
    function: &Function,
    blocks: &BTreeSet<usize>,
    header: usize,
    of: Values,
) -> Vec<(u64, BTreeSet<usize>)> {
    let in_loop: BTreeSet<Mark> = marks(function, blocks).collect();
    let mut rare = Vec::new();
    for &mark in in_loop.iter().filter(|mark| mark.kind == kind::ROUND) {
        let begins = in_loop.contains(&Mark { kind: kind::BEGIN, ..mark });
        let rest: BTreeSet<_> =
            blocks.iter().copied().filter(|&node| !function.blocks[node].marks.contains(&mark)).collect();
        if !begins && rest.contains(&header) {
            rare.push((bound(mark.words[1], mark.words[2], of), rest));
        }
    }
    rare
}

/// The marks of some blocks.
fn marks(function: &Function, blocks: &BTreeSet<usize>) -> impl Iterator<Item = Mark> {
    blocks.iter().flat_map(|&node| function.blocks[node].marks.iter().copied())
}

/// How often a way from the header to the end of each block passes `mark` at least, within one round.
fn passed(function: &Function, blocks: &BTreeSet<usize>, header: usize, mark: Mark) -> BTreeMap<usize, u64> {
    let weight =
        |node: usize| function.blocks[node].marks.iter().filter(|&&other| other == mark).count() as u64;
    let mut least = BTreeMap::from([(header, weight(header))]);
    let mut work = vec![header];
    while let Some(node) = work.pop() {
        for &next in
            function.blocks[node].next.iter().filter(|next| **next != header && blocks.contains(next))
        {
            let count = least[&node] + weight(next);
            if least.get(&next).is_none_or(|&known| count < known) {
                least.insert(next, count);
                work.push(next);
            }
        }
    }
    least
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::decode::Length;
    use crate::image::Symbol;
    use crate::program::{Block, End};

    /// Marks of a loop with 12 rounds.
    const ROUND: Mark = Mark { kind: kind::ROUND, words: [1, 12, 0] };
    const BEGIN: Mark = Mark { kind: kind::BEGIN, ..ROUND };

    /// A function with these blocks: marks, and which blocks come next.
    fn function(blocks: &[(&[Mark], &[usize])]) -> Function {
        let block = |&(marks, next): &(&[Mark], &[usize])| Block {
            start: 0,
            instructions: 1,
            marks: marks.to_vec(),
            call: None,
            next: next.to_vec(),
            end: End::GoesOn,
            length: Length::Same,
            stack: Vec::new(),
            repeats: false,
        };
        let symbol = Symbol { name: "f".into(), start: 0, end: 0 };
        Function { symbol, blocks: blocks.iter().map(block).collect() }
    }

    /// The rounds of the loop of these blocks, entered at the first.
    fn of(function: &Function, blocks: &[usize]) -> Option<u64> {
        let header = blocks[0];
        match rounds(function, &blocks.iter().copied().collect(), header, [0; 5], None) {
            Rounds::AtMost { back, .. } => Some(back),
            _ => None,
        }
    }

    #[test]
    fn a_loop_has_the_rounds_that_its_mark_says() {
        assert_eq!(of(&function(&[(&[BEGIN], &[1]), (&[ROUND], &[1, 2]), (&[], &[])]), &[1]), Some(12));
        // Unrolled.
        let twice = function(&[(&[BEGIN], &[1]), (&[ROUND], &[2, 3]), (&[ROUND], &[1, 3]), (&[], &[])]);
        assert_eq!(of(&twice, &[1, 2]), Some(6));
    }

    #[test]
    fn a_loop_that_can_go_round_without_its_mark_has_no_bound() {
        let blocks: &[(&[Mark], &[usize])] =
            &[(&[BEGIN], &[1]), (&[], &[2, 3]), (&[ROUND], &[1]), (&[], &[1, 4]), (&[], &[])];
        assert_eq!(of(&function(blocks), &[1, 2, 3]), None);
    }

    #[test]
    fn an_unrolled_loop_lends_its_bound_to_none_around_it_or_in_it() {
        let around = function(&[(&[BEGIN, ROUND], &[1]), (&[ROUND], &[0, 2]), (&[], &[])]);
        assert_eq!(of(&around, &[0, 1]), None);
        let inside = function(&[(&[BEGIN, ROUND], &[1]), (&[], &[1, 2]), (&[ROUND], &[3]), (&[], &[])]);
        assert_eq!(of(&inside, &[1]), None);
    }

    #[test]
    fn rare_rounds_are_found() {
        let rare_round = Mark { words: [2, 3, 0], ..ROUND };
        let blocks: &[(&[Mark], &[usize])] =
            &[(&[BEGIN], &[1]), (&[ROUND], &[2, 3]), (&[rare_round], &[3]), (&[], &[1, 4]), (&[], &[])];
        let found = rare(&function(blocks), &BTreeSet::from([1, 2, 3]), 1, [0; 5]);
        assert_eq!(found, [(3, BTreeSet::from([1, 3]))]);
    }
}
