// SPDX-License-Identifier: MIT OR Apache-2.0

//! The longest ways through functions, loops and blocks.
//!
//! A way is cut into *segments*: it begins with the entry to the kernel, or anew at each preemption point, and what is
//! asked for is the longest segment. So of a piece of code four lengths are of interest:
//!
//! ```text
//!   in --------- T ---------> out        without a preemption point
//!   in --- H ---> |                      to the first one, or to user level
//!                 | --- L --> out        from the last one
//!            | I |                       between two of them
//! ```
//!
//! With a [`State`], whether the case that is asked for has been passed and which facts hold, this is a [`Flow`] into and out of a piece: for each origin of the segment (entry, preemption point) and each
//! state the longest way so far; and the [`Flow`] of the segments that end inside. Pieces one behind the other add, alternatives take the maximum, and n rounds
//! of a loop are n times the longest round. No equations need to be solved.

use crate::decode::{Length as Constant, Stack};
use crate::image::Mark;
use crate::loops::{self, Rounds};
use crate::program::{Block, Call, End, Program};
use crate::query::Query;
use anyhow::{Result, bail, ensure};
use keel_bounds::kind;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Which way it was.
#[derive(Debug)]
pub enum Trace {
    /// This block of this function.
    Block(usize, usize),
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
    /// This one and then the other.
    fn then(&self, other: &Self) -> Self {
        let trace = match (&self.trace, &other.trace) {
            (Some(first), Some(second)) => Some(Rc::new(Trace::Both(first.clone(), second.clone()))),
            (one, None) | (None, one) => one.clone(),
        };
        Self { instructions: self.instructions + other.instructions, trace }
    }

    /// This one several times.
    fn times(&self, count: u64) -> Self {
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

/// Where a segment began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// Where the piece of code was entered.
    Entry,
    /// At a preemption point in it.
    Preemption,
}

const ORIGINS: [Origin; 2] = [Origin::Entry, Origin::Preemption];

/// What is remembered of a way: whether the case that is asked for has been passed, and the facts that hold
/// ([`keel_bounds::fact`]), in a bit each.
type State = usize;

/// The case that is asked for has been passed.
const PASSED: State = 1;

/// All values of a state.
const STATES: [State; 8] = [0, 1, 2, 3, 4, 5, 6, 7];

/// The longest segments that are under way (or at an end), by their origin and state.
#[derive(Clone, Default, Debug)]
struct Flow([[Option<Path>; STATES.len()]; ORIGINS.len()]);

impl Flow {
    /// At the entry.
    fn entry(state: State) -> Self {
        let mut flow = Self::default();
        flow.put(Origin::Entry, state, Path::default());
        flow
    }

    fn get(&self, origin: Origin, state: State) -> Option<&Path> {
        self.0[origin as usize][state].as_ref()
    }

    /// Adds an alternative.
    fn put(&mut self, origin: Origin, state: State, path: Path) {
        let place = &mut self.0[origin as usize][state];
        if place.as_ref().is_none_or(|known| *known < path) {
            *place = Some(path);
        }
    }

    /// Adds alternatives.
    fn merge(&mut self, other: &Self) {
        for (origin, state, path) in other.all() {
            self.put(origin, state, path.clone());
        }
    }

    fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    fn all(&self) -> impl Iterator<Item = (Origin, State, &Path)> {
        let each = ORIGINS.into_iter().flat_map(|origin| STATES.map(|state| (origin, state)));
        each.filter_map(|(origin, state)| Some((origin, state, self.get(origin, state)?)))
    }

    /// The longest of those that began at the entry.
    fn longest_from_entry(&self) -> Option<&Path> {
        self.0[Origin::Entry as usize].iter().flatten().max()
    }
}

/// What comes out of a piece of code that was entered in a state.
#[derive(Clone, Default, Debug)]
struct Summary {
    /// Segments that go on behind it.
    out: Flow,
    /// Segments that end in it.
    ended: Flow,
}

/// Lets `flow` go through a piece of code with these summaries, by the state in which it is entered.
fn through(flow: &Flow, pieces: &[Summary; STATES.len()]) -> Summary {
    let mut result = Summary::default();
    for (origin, before, path) in flow.all() {
        add(&mut result.out, origin, path, &pieces[before].out);
        add(&mut result.ended, origin, path, &pieces[before].ended);
    }
    result
}

/// Adds to `flow` what comes behind `path`, which began at `origin`.
fn add(flow: &mut Flow, origin: Origin, path: &Path, behind: &Flow) {
    for (from, state, more) in behind.all() {
        match from {
            Origin::Entry => flow.put(origin, state, path.then(more)),
            Origin::Preemption => flow.put(Origin::Preemption, state, more.clone()),
        }
    }
}

/// Where the edges lead that leave a function.
const BACK_TO_CALLER: usize = usize::MAX;

/// Ways by edges, from block to block.
type Edges = BTreeMap<(usize, usize), Flow>;

/// What comes out of a region of a function.
#[derive(Default)]
struct Region {
    /// By edge.
    out: Edges,
    /// Back to the header.
    back: Flow,
    /// Segments that end inside.
    ended: Flow,
}

/// Rounds of a loop that are rare.
struct Rare {
    /// How many there are at most.
    most: u64,
    /// The longest of the others.
    usual: Path,
    /// What comes out of one of the others, by the state.
    rest: Vec<Region>,
}

/// The ways out of a function that there are.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Ways {
    /// Some way returns to the caller.
    returns: bool,
    /// Some way ends well inside: at a preemption point or in user level.
    ends: bool,
}

/// A question under evaluation.
pub struct Evaluation<'a, 'i> {
    program: &'a Program<'i>,
    query: &'a Query<'a>,
    /// Of each function.
    ways: Vec<Ways>,
    /// Blocks of each function that lie on a path.
    live: Vec<BTreeSet<usize>>,
    /// Functions that are evaluated, by the length they are given if it matters, and by the state.
    known: HashMap<(usize, Option<u64>, State), Summary>,
    /// Functions under evaluation.
    active: Vec<usize>,
    /// The longest round of the loops that share a counter, and how many it allows.
    shared: BTreeMap<u64, (u64, Path)>,
    /// The deepest stacks.
    stacks: HashMap<usize, u64>,
}

impl<'a, 'i> Evaluation<'a, 'i> {
    /// Begins.
    pub fn new(program: &'a Program<'i>, query: &'a Query<'a>) -> Self {
        let mut evaluation = Self {
            program,
            query,
            ways: vec![Ways::default(); program.functions.len()],
            live: vec![BTreeSet::new(); program.functions.len()],
            known: HashMap::new(),
            active: Vec::new(),
            shared: BTreeMap::new(),
            stacks: HashMap::new(),
        };
        evaluation.find_ways();
        evaluation
    }

    /// The longest segment of the ways from an entry to the kernel that pass the case that is asked for.
    pub fn longest_from(&mut self, entry: usize) -> Result<Option<Path>> {
        let state = if self.query.through.is_none() { PASSED } else { 0 };
        let Summary { ended, .. } = self.function(entry, None, state)?;
        let passed = ended.all().filter(|(_, state, _)| state & PASSED != 0);
        let longest = passed.map(|(_, _, path)| path.clone()).max();
        let Some(mut longest) = longest else { return Ok(None) };
        for (most, round) in self.shared.values() {
            longest = longest.then(&round.times(*most));
        }
        Ok(Some(longest))
    }

    // --- which blocks matter ---------------------------------------------------------------------------------

    /// Finds the ways out of all functions, and which blocks lie on a path.
    fn find_ways(&mut self) {
        let mut changed = true;
        // Each round adds a way to some function.
        while changed {
            changed = false;
            for number in 0..self.program.functions.len() {
                let reached = self.reached(number);
                let mut ways = Ways::default();
                for &node in &reached {
                    ways.returns |= self.returns(number, node);
                    ways.ends |= self.ends(number, node);
                }
                changed |= ways != self.ways[number];
                self.ways[number] = ways;
            }
        }
        for number in 0..self.program.functions.len() {
            self.live[number] = self.lying_on_paths(number);
        }
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

    /// The blocks behind a block, as far as they lie on a path; back to the caller is one of them.
    fn next(&self, function: usize, node: usize) -> Vec<usize> {
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

    // --- lengths -----------------------------------------------------------------------------------------------

    /// A function, entered in a state.
    fn function(&mut self, number: usize, bytes: Option<u64>, state: State) -> Result<Summary> {
        if let Some(summary) = self.known.get(&(number, bytes, state)) {
            return Ok(summary.clone());
        }
        ensure!(!self.active.contains(&number), "recursion: {}", self.chain(number));
        self.active.push(number);
        let live = self.live[number].clone();
        let mut summary = Summary::default();
        if live.contains(&0) {
            let region = self.region(number, bytes, &live, 0, None, &Flow::entry(state))?;
            summary.ended = region.ended;
            region.out.values().for_each(|flow| summary.out.merge(flow));
        }
        self.active.pop();
        self.known.insert((number, bytes, state), summary.clone());
        Ok(summary)
    }

    /// The functions that call each other in a circle.
    fn chain(&self, number: usize) -> String {
        let names =
            self.active.iter().chain([&number]).map(|&of| self.program.functions[of].symbol.name.as_str());
        names.collect::<Vec<_>>().join(" -> ")
    }

    /// The blocks `nodes` of a function, entered at `header`; edges to `cut`, which is the header of a loop, lead back.
    fn region(
        &mut self,
        number: usize,
        bytes: Option<u64>,
        nodes: &BTreeSet<usize>,
        header: usize,
        cut: Option<usize>,
        incoming: &Flow,
    ) -> Result<Region> {
        let components = loops::components(nodes, |node| self.next(number, node), cut);
        let mut flows = BTreeMap::from([(header, incoming.clone())]);
        let mut region = Region::default();
        for component in components {
            let is_loop = component.len() > 1
                || component.iter().any(|&node| Some(node) != cut && self.next(number, node).contains(&node));
            let (out, ended) = if is_loop {
                let entry = self.header_of(number, &component, nodes, header)?;
                let Some(flow) = flows.get(&entry).filter(|flow| !flow.is_empty()).cloned() else { continue };
                self.iterate(number, bytes, &component, entry, &flow)?
            } else {
                let Some(&node) = component.first() else { continue };
                let Some(flow) = flows.get(&node).filter(|flow| !flow.is_empty()).cloned() else { continue };
                let summary = self.pass(number, node, &flow)?;
                let next = self.next(number, node);
                let out = next.into_iter().map(|next| ((node, next), summary.out.clone())).collect();
                (out, summary.ended)
            };
            region.ended.merge(&ended);
            for ((from, to), flow) in out {
                if Some(to) == cut {
                    region.back.merge(&flow);
                } else if nodes.contains(&to) {
                    flows.entry(to).or_default().merge(&flow);
                } else {
                    region.out.entry((from, to)).or_default().merge(&flow);
                }
            }
        }
        Ok(region)
    }

    /// Where a loop is entered, among `nodes`, which are entered at `first`.
    fn header_of(
        &self,
        number: usize,
        component: &BTreeSet<usize>,
        nodes: &BTreeSet<usize>,
        first: usize,
    ) -> Result<usize> {
        let mut headers = BTreeSet::new();
        if component.contains(&first) {
            headers.insert(first);
        }
        for &node in nodes.difference(component) {
            headers.extend(self.next(number, node).into_iter().filter(|next| component.contains(next)));
        }
        let headers: Vec<_> = headers.into_iter().collect();
        match *headers {
            [header] => Ok(header),
            _ => {
                let at = |&header: &usize| self.place(number, header);
                bail!(
                    "a loop is entered in several places: {}",
                    headers.iter().map(at).collect::<Vec<_>>().join(", ")
                )
            }
        }
    }

    /// All rounds of a loop.
    fn iterate(
        &mut self,
        number: usize,
        bytes: Option<u64>,
        component: &BTreeSet<usize>,
        header: usize,
        flow: &Flow,
    ) -> Result<(Edges, Flow)> {
        let mut each = Vec::new();
        for state in STATES {
            each.push(self.region(number, bytes, component, header, Some(header), &Flow::entry(state))?);
        }
        let round = each.iter().filter_map(|region| region.back.longest_from_entry()).max().cloned();
        let function = &self.program.functions[number];
        let rounds = match &round {
            // Each round ends a segment.
            None => Rounds::AtMost { back: 0, before: BTreeMap::new() },
            Some(_) => loops::rounds(function, component, header, self.query.parameters.0, bytes),
        };
        let (back, before) = match rounds {
            Rounds::AtMost { back, before } => (back, before),
            Rounds::Shared(counter, most) => {
                let known = self.shared.entry(counter).or_default();
                let round = round.clone().unwrap_or_default();
                if known.1 < round {
                    *known = (most, round);
                }
                (0, BTreeMap::new())
            }
            Rounds::Unbounded => bail!("a loop without a bound at {}", self.place(number, header)),
        };
        let round = round.unwrap_or_default();
        let rare = if back == 0 { None } else { self.rare_rounds(number, bytes, component, header)? };
        // All rounds before the last, which is incomplete, if that is a usual one or not.
        let times = |count: u64, last_is_usual: bool| match &rare {
            Some(Rare { most, usual, .. }) => {
                let rare = (most.saturating_sub(u64::from(!last_is_usual))).min(count);
                round.times(rare).then(&usual.times(count - rare))
            }
            None => round.times(count),
        };
        let leave = |state: State, count: u64, of: &dyn Fn(&Region) -> Option<Flow>| {
            let mut flow = after_rounds(&each, state, &times(count, false), of);
            if let Some(Rare { rest, .. }) = &rare {
                flow.merge(&after_rounds_by(&each, rest, state, &times(count, true), of));
            }
            flow
        };
        let mut out = BTreeMap::new();
        let edges: BTreeSet<_> = each.iter().flat_map(|region| region.out.keys().copied()).collect();
        for edge in edges {
            let Some(count) = before.get(&edge.0).copied().unwrap_or(Some(back)) else { continue };
            let pieces = STATES.map(|state| Summary {
                out: leave(state, count, &|region| region.out.get(&edge).cloned()),
                ended: Flow::default(),
            });
            out.insert(edge, through(flow, &pieces).out);
        }
        let pieces = STATES.map(|state| Summary {
            out: Flow::default(),
            ended: leave(state, back, &|region| Some(region.ended.clone())),
        });
        Ok((out, through(flow, &pieces).ended))
    }

    /// Which rounds of a loop are rare; where there are several marks that say so, by the one that leaves the shortest
    /// usual ones.
    fn rare_rounds(
        &mut self,
        number: usize,
        bytes: Option<u64>,
        component: &BTreeSet<usize>,
        header: usize,
    ) -> Result<Option<Rare>> {
        let function = &self.program.functions[number];
        let mut found = None::<Rare>;
        for (most, blocks) in loops::rare(function, component, header, self.query.parameters.0) {
            let mut rest = Vec::new();
            for state in STATES {
                rest.push(self.region(number, bytes, &blocks, header, Some(header), &Flow::entry(state))?);
            }
            let usual = rest.iter().filter_map(|region| region.back.longest_from_entry()).max().cloned();
            // All rounds pass the mark of the loop itself.
            let Some(usual) = usual else { continue };
            if found.as_ref().is_none_or(|known| usual < known.usual) {
                found = Some(Rare { most, usual, rest });
            }
        }
        Ok(found)
    }

    /// A block, with what it calls.
    fn pass(&mut self, number: usize, node: usize, flow: &Flow) -> Result<Summary> {
        let block = self.block(number, node);
        ensure!(block.end != End::Computed, "a jump to a computed address at {}", self.place(number, node));
        let own = Path { instructions: block.instructions, trace: Some(Rc::new(Trace::Block(number, node))) };
        let mut result = Summary::default();
        let mut begun = Flow::default();
        let facts = |kind: u64| {
            let said = block.marks.iter().filter(move |mark| mark.kind == kind);
            said.fold(0, |facts: State, mark| facts | 1 << mark.words[0])
        };
        let (needed, excluded) = (facts(kind::IF_FACT), facts(kind::UNLESS_FACT));
        let passed = if self.query.is_passed(&block.marks) { PASSED } else { 0 };
        let is_cut = block.marks.iter().any(is_preemption_point);
        for (origin, state, path) in flow.all() {
            if state & needed != needed || state & excluded != 0 {
                continue;
            }
            let state = (state | passed | facts(kind::FACT)) & (STATES.len() - 1);
            if is_cut {
                result.ended.put(origin, state, path.clone());
                begun.put(Origin::Preemption, state, own.clone());
            } else {
                begun.put(origin, state, path.then(&own));
            }
        }
        match block.call {
            None if block.end == End::Leaves => result.ended.merge(&begun),
            None => result.out = begun,
            Some(Call::Computed) => bail!("a call of a computed address at {}", self.place(number, node)),
            Some(Call::To(callee)) => {
                let bytes =
                    if self.wants_bytes(callee) { Some(self.bytes_of_call(number, node)?) } else { None };
                let mut pieces = <[Summary; STATES.len()]>::default();
                for state in STATES {
                    if ORIGINS.into_iter().any(|origin| begun.get(origin, state).is_some()) {
                        pieces[state] = self.function(callee, bytes, state)?;
                    }
                }
                let called = through(&begun, &pieces);
                result.out = called.out;
                result.ended.merge(&called.ended);
            }
        }
        Ok(result)
    }

    /// Whether the length of a function depends on how much memory it is given.
    fn wants_bytes(&self, callee: usize) -> bool {
        let blocks = &self.program.functions[callee].blocks;
        blocks.iter().flat_map(|block| &block.marks).any(|mark| mark.kind == kind::BYTES_ROUND)
    }

    /// How much memory is copied or filled by the call at the end of a block: a constant, or what a mark says.
    fn bytes_of_call(&self, number: usize, node: usize) -> Result<u64> {
        let function = &self.program.functions[number];
        let mut at = node;
        // At most once through each block.
        for _ in &function.blocks {
            let block = &function.blocks[at];
            if let Some(mark) = block.marks.iter().find(|mark| mark.kind == kind::BYTES) {
                return Ok(mark.words[0]);
            }
            match block.length {
                Constant::Constant(bytes) => return Ok(bytes),
                Constant::Unknown => break,
                Constant::Same => {}
            }
            let mut before =
                (0..function.blocks.len()).filter(|&other| function.blocks[other].next.contains(&at));
            match (before.next(), before.next()) {
                (Some(only), None) if function.blocks[only].call.is_none() => at = only,
                _ => break,
            }
        }
        bail!("an unknown length is copied or filled at {}", self.place(number, node))
    }

    /// A block's place in the source.
    fn place(&self, number: usize, node: usize) -> String {
        let address = self.block(number, node).start;
        let name = &self.program.functions[number].symbol.name;
        format!("{} (in {name}, {address:#x})", self.program.image.source(address))
    }

    // --- stack -------------------------------------------------------------------------------------------------

    /// How deep the stack becomes in a function and what it calls, in bytes.
    pub fn deepest_stack(&mut self, number: usize) -> Result<u64> {
        if let Some(&deepest) = self.stacks.get(&number) {
            return Ok(deepest);
        }
        let mut deepest = 0;
        let mut depths = BTreeMap::from([(0, 0_i64)]);
        let mut work = vec![0];
        while let Some(node) = work.pop() {
            if !self.live[number].contains(&node) {
                continue;
            }
            let mut depth = depths[&node];
            for effect in &self.block(number, node).stack {
                match effect {
                    Stack::Moves(by) => depth -= by,
                    Stack::Set => depth = 0,
                    Stack::Same => {}
                }
                deepest = deepest.max(depth);
            }
            if let Some(Call::To(callee)) = self.block(number, node).call {
                deepest = deepest.max(depth + self.deepest_stack(callee)? as i64);
            }
            for next in self.next(number, node) {
                if next != BACK_TO_CALLER && depths.insert(next, depth).is_none() {
                    work.push(next);
                }
            }
        }
        let deepest = deepest.max(0) as u64;
        self.stacks.insert(number, deepest);
        Ok(deepest)
    }
}

/// What comes out of a loop that was entered in `state`, after `rounds`: by `of` what a last, incomplete round gives.
fn after_rounds(each: &[Region], state: State, rounds: &Path, of: &dyn Fn(&Region) -> Option<Flow>) -> Flow {
    after_rounds_by(each, each, state, rounds, of)
}

/// As [`after_rounds`], where the last round is one of `last`.
fn after_rounds_by(
    each: &[Region],
    last: &[Region],
    state: State,
    rounds: &Path,
    of: &dyn Fn(&Region) -> Option<Flow>,
) -> Flow {
    let mut flow = Flow::default();
    for before in states_after(each, state) {
        if let Some(last) = of(&last[before]) {
            add(&mut flow, Origin::Entry, rounds, &last);
        }
        // Segments that a round has begun: others may follow it.
        for begun in STATES {
            let Some(path) = each[before].back.get(Origin::Preemption, begun) else { continue };
            for then in states_after(each, begun) {
                if let Some(last) = of(&last[then]) {
                    add(&mut flow, Origin::Preemption, &path.then(rounds), &last);
                }
            }
        }
    }
    flow
}

/// The states in which a round can begin if one began in `state`.
fn states_after(each: &[Region], state: State) -> BTreeSet<State> {
    let mut states = BTreeSet::from([state]);
    let mut work = vec![state];
    while let Some(state) = work.pop() {
        for next in STATES {
            let leads = ORIGINS.into_iter().any(|origin| each[state].back.get(origin, next).is_some());
            if leads && states.insert(next) {
                work.push(next);
            }
        }
    }
    states
}

/// Whether a mark is that of the preemption point.
fn is_preemption_point(mark: &Mark) -> bool {
    mark.kind == kind::PREEMPTION_POINT
}
