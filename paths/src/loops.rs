// SPDX-License-Identifier: MIT OR Apache-2.0

//! The loops of a function, and how many rounds they have.
//!
//! A loop is a set of blocks each of which can reach each other, entered in one block, its *header*. Without the ways
//! back to the header what is left of it has no loops but those nested in it.
//!
//! A mark has no instruction of its own, so its address does not tell whether it stands at the end of the block that
//! falls into a loop or at the beginning of the loop's header. A mark at the header's address
//!
//! * does not count as passed in each round if another one of its kind is;
//! * if it is the only one, belongs to the outermost loop around it that does not begin it anew.
//!
//! A loop belongs to the mark that is passed in each of its rounds. If the loop was unrolled a round of what is left
//! passes the mark several times. If it was unrolled completely its mark is left in the loop around it, but together with
//! the mark of its beginning, by which it can be told apart.

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

/// The rounds of the loop of `blocks` with this header, inside the loops `around` it. `of` are the values that bounds depend on, `bytes` what is to be
/// copied or filled.
pub fn rounds(
    function: &Function,
    blocks: &BTreeSet<usize>,
    header: usize,
    around: &[BTreeSet<usize>],
    of: Values,
    bytes: Option<u64>,
) -> Rounds {
    let marks = |node: usize| function.blocks[node].marks.iter();
    let in_loop: BTreeSet<Mark> = blocks.iter().flat_map(|&node| marks(node).copied()).collect();
    let (mut certain, mut doubtful) = (Vec::new(), Vec::new());
    for &mark in &in_loop {
        let most = match mark.kind {
            kind::ROUND => bound(mark.words[1], mark.words[2], of),
            kind::BYTES_ROUND => match bytes {
                Some(bytes) => bytes / mark.words[0].max(1),
                None => continue,
            },
            kind::SHARED_ROUND => mark.words[1],
            _ => continue,
        };
        let begin = Mark { kind: kind::BEGIN, ..mark };
        let begins_in = |other: &BTreeSet<usize>| {
            other.iter().any(|&node| node != header && marks(node).any(|&other| other == begin))
        };
        let back = |passed: &BTreeMap<usize, u64>| {
            let latches = blocks.iter().filter(|&&node| function.blocks[node].next.contains(&header));
            latches.filter_map(|node| passed.get(node).copied()).min().unwrap_or(0)
        };
        let mut passed = passed_behind(function, blocks, header, mark);
        if back(&passed) == 0 && around.iter().all(begins_in) {
            let in_header = marks(header).filter(|&&other| other == mark).count() as u64;
            passed.values_mut().for_each(|count| *count += in_header.min(1));
        }
        let each = back(&passed);
        if each == 0 {
            continue;
        }
        if mark.kind == kind::SHARED_ROUND {
            return Rounds::Shared(mark.words[0], most);
        }
        let begins: Vec<_> =
            blocks.iter().filter(|&&node| marks(node).any(|&other| other == begin)).collect();
        let candidate = (most, each, passed);
        match *begins {
            [] => certain.push(candidate),
            // The mark of the beginning may stand before the first instruction of the header, outside of the loop.
            [&only] if only == header => doubtful.push(candidate),
            _ => {}
        }
    }
    let chosen = match certain.is_empty() {
        false => certain.into_iter().min_by_key(|(most, each, _)| most / each),
        true => doubtful.into_iter().max_by_key(|(most, each, _)| most / each),
    };
    let Some((most, each, passed)) = chosen else { return Rounds::Unbounded };
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
    let marks = |node: usize| function.blocks[node].marks.iter().copied();
    let in_loop: BTreeSet<Mark> = blocks.iter().flat_map(|&node| marks(node)).collect();
    let mut rare = Vec::new();
    for &mark in in_loop.iter().filter(|mark| mark.kind == kind::ROUND) {
        let begin = Mark { kind: kind::BEGIN, ..mark };
        let rest: BTreeSet<_> =
            blocks.iter().copied().filter(|&node| !marks(node).any(|other| other == mark)).collect();
        // As for the bound of the loop itself, the beginning may seem to stand in the header.
        let begins_outside =
            blocks.iter().all(|&node| node == header || !marks(node).any(|other| other == begin));
        if begins_outside && rest.contains(&header) {
            rare.push((bound(mark.words[1], mark.words[2], of), rest));
        }
    }
    rare
}

/// How often a way from behind the header's beginning to the end of each block passes `mark` at least, within one
/// round.
fn passed_behind(
    function: &Function,
    blocks: &BTreeSet<usize>,
    header: usize,
    mark: Mark,
) -> BTreeMap<usize, u64> {
    let weight =
        |node: usize| function.blocks[node].marks.iter().filter(|&&other| other == mark).count() as u64;
    let mut least = BTreeMap::from([(header, 0)]);
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
