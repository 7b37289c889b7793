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
//! With a [`State`], whether the case that is asked for has been passed and which facts hold, this is a [`Flow`] into and
//! out of a piece: for each origin of the segment (entry, preemption point) and each state the longest way so far; and
//! the [`Flow`] of the segments that end inside. Pieces one behind the other add, alternatives take the maximum, and n
//! rounds of a loop are n times the longest round. No equations need to be solved. Only states in which a piece can be
//! entered are looked at.

use crate::decode::Length as Constant;
use crate::image::Mark;
use crate::loops::{self, Rounds};
use crate::program::{Block, Call, End, Program};
use crate::query::Query;
use crate::reach::{Reach, is_preemption_point};
use crate::way::{Flow, Origin, Path, State, Summary, through};
use anyhow::{Result, bail, ensure};
use keel_bounds::kind;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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

/// What comes out of one round of a loop, by the state in which it begins.
type Round = BTreeMap<State, Region>;

/// Rounds of a loop that are rare.
struct Rare {
    /// How many there are at most.
    most: u64,
    /// The longest of the others.
    usual: Path,
    /// One of the others.
    rest: Round,
}

/// A question under evaluation.
pub struct Evaluation<'a, 'i> {
    program: &'a Program<'i>,
    query: &'a Query<'a>,
    reach: &'a Reach<'a, 'i>,
    /// Functions that are evaluated, by the length they are given if it matters, and by the state.
    known: HashMap<(usize, Option<u64>, State), Summary>,
    /// Functions under evaluation.
    active: Vec<usize>,
    /// The longest round of the loops that share a counter, and how many it allows.
    shared: BTreeMap<u64, (u64, Path)>,
}

impl<'a, 'i> Evaluation<'a, 'i> {
    /// Begins.
    pub fn new(program: &'a Program<'i>, query: &'a Query<'a>, reach: &'a Reach<'a, 'i>) -> Self {
        Self { program, query, reach, known: HashMap::new(), active: Vec::new(), shared: BTreeMap::new() }
    }

    /// The longest segment of the ways from an entry to the kernel that pass the case that is asked for.
    pub fn longest_from(&mut self, entry: usize) -> Result<Option<Path>> {
        let state = if self.query.through.is_none() { State::PASSED } else { State::default() };
        let Summary { ended, .. } = self.function(entry, None, state)?;
        let passed = ended.all().filter(|(_, state, _)| state.is_passed());
        let longest = passed.map(|(_, _, path)| path.clone()).max();
        let Some(mut longest) = longest else { return Ok(None) };
        for (most, round) in self.shared.values() {
            longest = longest.then(&round.times(*most));
        }
        Ok(Some(longest))
    }

    fn block(&self, function: usize, node: usize) -> &'a Block {
        &self.program.functions[function].blocks[node]
    }

    /// A function, entered in a state.
    fn function(&mut self, number: usize, bytes: Option<u64>, state: State) -> Result<Summary> {
        if let Some(summary) = self.known.get(&(number, bytes, state)) {
            return Ok(summary.clone());
        }
        ensure!(!self.active.contains(&number), "recursion: {}", self.chain(number));
        self.active.push(number);
        let live = self.reach.live(number).clone();
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
        let components = loops::components(nodes, |node| self.reach.next(number, node), cut);
        let mut flows = BTreeMap::from([(header, incoming.clone())]);
        let mut region = Region::default();
        for component in components {
            let is_loop = component.len() > 1
                || component
                    .iter()
                    .any(|&node| Some(node) != cut && self.reach.next(number, node).contains(&node));
            let (out, ended) = if is_loop {
                let entry = self.header_of(number, &component, nodes, header)?;
                let Some(flow) = flows.get(&entry).filter(|flow| !flow.is_empty()).cloned() else { continue };
                self.iterate(number, bytes, &component, entry, &flow)?
            } else {
                let Some(&node) = component.first() else { continue };
                let Some(flow) = flows.get(&node).filter(|flow| !flow.is_empty()).cloned() else { continue };
                let summary = self.pass(number, bytes, node, &flow)?;
                let next = self.reach.next(number, node);
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
            headers.extend(self.reach.next(number, node).into_iter().filter(|next| component.contains(next)));
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
        let each = self.round(number, bytes, component, header, flow.states())?;
        let round = each.values().filter_map(|region| region.back.longest_from_entry()).max().cloned();
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
        let rare = if back == 0 { None } else { self.rare_rounds(number, bytes, component, header, &each)? };
        // All rounds before the last, which is incomplete, if that is a usual one or not.
        let times = |count: u64, last_is_usual: bool| match &rare {
            Some(Rare { most, usual, .. }) => {
                let rare = (most.saturating_sub(u64::from(!last_is_usual))).min(count);
                round.times(rare).then(&usual.times(count - rare))
            }
            None => round.times(count),
        };
        let leave = |state: State, count: u64, of: &dyn Fn(&Region) -> Option<Flow>| {
            let mut flow = after_rounds(&each, &each, state, &times(count, false), of);
            if let Some(Rare { rest, .. }) = &rare {
                flow.merge(&after_rounds(&each, rest, state, &times(count, true), of));
            }
            flow
        };
        let mut out = BTreeMap::new();
        let edges: BTreeSet<_> = each.values().flat_map(|region| region.out.keys().copied()).collect();
        for edge in edges {
            let Some(count) = before.get(&edge.0).copied().unwrap_or(Some(back)) else { continue };
            let piece = |state| Summary {
                out: leave(state, count, &|region| region.out.get(&edge).cloned()),
                ended: Flow::default(),
            };
            out.insert(edge, through(flow, &flow.states().map(|state| (state, piece(state))).collect()).out);
        }
        let piece = |state| Summary {
            out: Flow::default(),
            ended: leave(state, back, &|region| Some(region.ended.clone())),
        };
        let ended = through(flow, &flow.states().map(|state| (state, piece(state))).collect()).ended;
        Ok((out, ended))
    }

    /// One round of a loop, begun in each state in which one can begin if the loop is entered in `states`.
    fn round(
        &mut self,
        number: usize,
        bytes: Option<u64>,
        component: &BTreeSet<usize>,
        header: usize,
        states: impl Iterator<Item = State>,
    ) -> Result<Round> {
        let mut round = Round::new();
        let mut work: Vec<_> = states.collect();
        while let Some(state) = work.pop() {
            if round.contains_key(&state) {
                continue;
            }
            let region = self.region(number, bytes, component, header, Some(header), &Flow::entry(state))?;
            work.extend(region.back.states());
            round.insert(state, region);
        }
        Ok(round)
    }

    /// Which rounds of a loop are rare; where there are several marks that say so, by the one that leaves the shortest
    /// usual ones.
    fn rare_rounds(
        &mut self,
        number: usize,
        bytes: Option<u64>,
        component: &BTreeSet<usize>,
        header: usize,
        each: &Round,
    ) -> Result<Option<Rare>> {
        let function = &self.program.functions[number];
        let mut found = None::<Rare>;
        for (most, blocks) in loops::rare(function, component, header, self.query.parameters.0) {
            let rest = self.round(number, bytes, &blocks, header, each.keys().copied())?;
            let usual = rest.values().filter_map(|region| region.back.longest_from_entry()).max().cloned();
            // All rounds pass the mark of the loop itself.
            let Some(usual) = usual else { continue };
            if found.as_ref().is_none_or(|known| usual < known.usual) {
                found = Some(Rare { most, usual, rest });
            }
        }
        Ok(found)
    }

    /// A block, with what it calls.
    fn pass(&mut self, number: usize, bytes: Option<u64>, node: usize, flow: &Flow) -> Result<Summary> {
        let block = self.block(number, node);
        ensure!(block.end != End::Computed, "a jump to a computed address at {}", self.place(number, node));
        let instructions = block.instructions + self.repetitions(number, node, bytes)?;
        let own = Path::of_block(number, node, instructions);
        let mut result = Summary::default();
        let mut begun = Flow::default();
        let is_passed = self.query.is_passed(&block.marks);
        let is_cut = block.marks.iter().any(is_preemption_point);
        for (origin, state, path) in flow.all() {
            let Some(mut state) = state.behind(&block.marks) else { continue };
            if is_passed {
                state = state.passed();
            }
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
                let mut pieces = BTreeMap::new();
                for state in begun.states() {
                    pieces.insert(state, self.function(callee, bytes, state)?);
                }
                let called = through(&begun, &pieces);
                result.out = called.out;
                result.ended.merge(&called.ended);
            }
        }
        Ok(result)
    }

    /// How often the last instruction of a block is executed besides once, of a function that is given `bytes`.
    fn repetitions(&self, number: usize, node: usize, bytes: Option<u64>) -> Result<u64> {
        let block = self.block(number, node);
        if !block.repeats {
            return Ok(0);
        }
        let said = block.marks.iter().find(|mark| mark.kind == kind::REPEATED).map(|mark| mark.words);
        match (said, bytes) {
            (Some([0, most, _]), _) => Ok(most),
            (Some([each, ..]), Some(bytes)) => Ok(bytes / each),
            _ => bail!("an instruction repeats itself without a bound at {}", self.place(number, node)),
        }
    }

    /// Whether the length of a function depends on how much memory it is given.
    fn wants_bytes(&self, callee: usize) -> bool {
        let blocks = &self.program.functions[callee].blocks;
        let depends = |mark: &Mark| match mark.kind {
            kind::BYTES_ROUND => true,
            kind::REPEATED => mark.words[0] != 0,
            _ => false,
        };
        blocks.iter().flat_map(|block| &block.marks).any(depends)
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
}

/// What comes out of a loop that was entered in `state`, after `rounds`: by `of` what a last, incomplete round gives,
/// which is one of `last`.
fn after_rounds(
    each: &Round,
    last: &Round,
    state: State,
    rounds: &Path,
    of: &dyn Fn(&Region) -> Option<Flow>,
) -> Flow {
    let mut flow = Flow::default();
    for before in states_after(each, state) {
        if let Some(last) = last.get(&before).and_then(of) {
            flow.add(Origin::Entry, rounds, &last);
        }
        // Segments that a round has begun: others may follow it.
        for (begun, path) in each.get(&before).iter().flat_map(|region| region.back.from(Origin::Preemption))
        {
            for then in states_after(each, begun) {
                if let Some(last) = last.get(&then).and_then(of) {
                    flow.add(Origin::Preemption, &path.then(rounds), &last);
                }
            }
        }
    }
    flow
}

/// The states in which a round can begin if one began in `state`.
fn states_after(each: &Round, state: State) -> BTreeSet<State> {
    let mut states = BTreeSet::new();
    let mut work = vec![state];
    while let Some(state) = work.pop() {
        if states.insert(state) {
            work.extend(each.get(&state).iter().flat_map(|region| region.back.states()));
        }
    }
    states
}
