// SPDX-License-Identifier: MIT OR Apache-2.0

//! Ways through the kernel: how long they are, which they are, and what is remembered of them.

use crate::image::Mark;
use keel_bounds::kind;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bits for a fact.
const FACT_BITS: u64 = 4;

/// The largest value of a fact.
const MOST_TIMES: u64 = (1 << FACT_BITS) - 1;

/// Which way it was.
#[derive(Debug)]
pub enum Trace {
    /// This block of this function, with so many instructions.
    Block(usize, usize, u64),
    /// One behind the other.
    Both(Rc<Trace>, Rc<Trace>),
    /// Several times.
    Repeated(u64, Rc<Trace>),
}

/// A way: its length in instructions, and which it is.
#[derive(Clone, Default, Debug)]
pub struct Path {
    /// The length.
    pub instructions: u64,
    /// The way, nothing if it is empty.
    pub trace: Option<Rc<Trace>>,
}

impl PartialEq for Path {
    fn eq(&self, other: &Self) -> bool {
        self.instructions == other.instructions
    }
}

impl Eq for Path {}

impl PartialOrd for Path {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Path {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.instructions.cmp(&other.instructions)
    }
}

impl Path {
    /// One block.
    pub fn of_block(function: usize, block: usize, instructions: u64) -> Self {
        Self { instructions, trace: Some(Rc::new(Trace::Block(function, block, instructions))) }
    }

    /// This one and then the other.
    pub fn then(&self, other: &Self) -> Self {
        let trace = match (&self.trace, &other.trace) {
            (Some(first), Some(second)) => Some(Rc::new(Trace::Both(first.clone(), second.clone()))),
            (one, None) | (None, one) => one.clone(),
        };
        Self { instructions: self.instructions + other.instructions, trace }
    }

    /// This one several times.
    pub fn times(&self, count: u64) -> Self {
        match (&self.trace, count) {
            (_, 0) | (None, _) => Self::default(),
            (_, 1) => self.clone(),
            (Some(trace), _) => Self {
                instructions: self.instructions * count,
                trace: Some(Rc::new(Trace::Repeated(count, trace.clone()))),
            },
        }
    }
}

/// What is remembered of a way: how often each fact ([`keel_bounds::fact`]) has come about, in four bits each; fact 0 is that
/// the case that is asked for has been passed.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct State(u64);

impl State {
    /// Of a way that has passed the case that is asked for.
    pub const PASSED: Self = Self(1);

    /// Whether it has.
    pub fn is_passed(self) -> bool {
        self.value(0) != 0
    }

    /// This one, having passed it.
    pub fn passed(self) -> Self {
        self.with(0, 1)
    }

    fn value(self, fact: u64) -> u64 {
        self.0 >> (FACT_BITS * fact) & MOST_TIMES
    }

    fn with(self, fact: u64, value: u64) -> Self {
        let shift = FACT_BITS * fact;
        Self(self.0 & !(MOST_TIMES << shift) | value << shift)
    }

    /// Behind these marks, nothing if the way does not go on.
    pub fn behind(self, marks: &[Mark]) -> Option<Self> {
        marks.iter().try_fold(self, |state, &Mark { kind, words: [fact, most, _] }| match kind {
            kind::ENTRY => Some(Self::default().with(0, state.value(0))),
            kind::FACT => Some(state.with(fact, 1)),
            kind::NO_FACT => Some(state.with(fact, 0)),
            kind::IF_FACT => (state.value(fact) > 0).then_some(state),
            kind::UNLESS_FACT => (state.value(fact) == 0).then_some(state),
            kind::TIMES => {
                let times = state.value(fact);
                (times < most).then(|| state.with(fact, times + 1))
            }
            _ => Some(state),
        })
    }
}

/// Where a segment began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Where the piece of code was entered.
    Entry,
    /// At a preemption point in it.
    Preemption,
}

/// The longest segments that are under way (or at an end), by their origin and state.
#[derive(Clone, Default, Debug)]
pub struct Flow(BTreeMap<(Origin, State), Path>);

impl Flow {
    /// At the entry.
    pub fn entry(state: State) -> Self {
        Self(BTreeMap::from([((Origin::Entry, state), Path::default())]))
    }

    /// Adds an alternative.
    pub fn put(&mut self, origin: Origin, state: State, path: Path) {
        let place = self.0.entry((origin, state)).or_default();
        if place.trace.is_none() || *place < path {
            *place = path;
        }
    }

    /// Adds alternatives.
    pub fn merge(&mut self, other: &Self) {
        for (origin, state, path) in other.all() {
            self.put(origin, state, path.clone());
        }
    }

    /// Adds what comes behind `path`, which began at `origin`.
    pub fn add(&mut self, origin: Origin, path: &Path, behind: &Self) {
        for (from, state, more) in behind.all() {
            match from {
                Origin::Entry => self.put(origin, state, path.then(more)),
                Origin::Preemption => self.put(Origin::Preemption, state, more.clone()),
            }
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = (Origin, State, &Path)> {
        self.0.iter().map(|(&(origin, state), path)| (origin, state, path))
    }

    /// The states there are.
    pub fn states(&self) -> impl Iterator<Item = State> {
        self.0.keys().map(|&(_, state)| state)
    }

    /// Those that began at `origin`, with their states.
    pub fn from(&self, of: Origin) -> impl Iterator<Item = (State, &Path)> {
        self.all().filter(move |&(origin, ..)| origin == of).map(|(_, state, path)| (state, path))
    }

    /// The longest of those that began at the entry.
    pub fn longest_from_entry(&self) -> Option<&Path> {
        self.from(Origin::Entry).map(|(_, path)| path).max()
    }
}

/// What comes out of a piece of code that was entered in a state.
#[derive(Clone, Default, Debug)]
pub struct Summary {
    /// Segments that go on behind it.
    pub out: Flow,
    /// Segments that end in it.
    pub ended: Flow,
}

/// Lets `flow` go through a piece of code with these summaries, by the state in which it is entered.
pub fn through(flow: &Flow, pieces: &BTreeMap<State, Summary>) -> Summary {
    let mut result = Summary::default();
    for (origin, before, path) in flow.all() {
        let Some(piece) = pieces.get(&before) else { continue };
        result.out.add(origin, path, &piece.out);
        result.ended.add(origin, path, &piece.ended);
    }
    result
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn ways_end_where_facts_contradict() {
        let mark = |kind, fact, most| Mark { kind, words: [fact, most, 0] };
        let behind = |marks: &[Mark]| State::PASSED.behind(marks).is_some();
        let holds = mark(kind::FACT, 1, 0);
        assert!(behind(&[holds, mark(kind::IF_FACT, 1, 0)]));
        assert!(!behind(&[mark(kind::IF_FACT, 1, 0)]));
        assert!(!behind(&[holds, mark(kind::UNLESS_FACT, 1, 0)]));
        assert!(behind(&[holds, mark(kind::UNLESS_FACT, 2, 0)]));
        assert!(!behind(&[holds, mark(kind::NO_FACT, 1, 0), mark(kind::IF_FACT, 1, 0)]));
        assert!(!behind(&[holds, mark(kind::ENTRY, 0, 0), mark(kind::IF_FACT, 1, 0)]));
        assert!(State::PASSED.behind(&[mark(kind::ENTRY, 0, 0)]).unwrap().is_passed());
        assert!(behind(&[mark(kind::TIMES, 3, 2); 2]));
        assert!(!behind(&[mark(kind::TIMES, 3, 2); 3]));
    }
}
