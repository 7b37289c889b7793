// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is proved of the authority part, for systems of any size.
//!
//! A system is in a state, and every step leads from one state to the next. The theorems are of two sorts:
//! [`invariants`] hold of every state that steps lead to from a state where they hold, and [`changes`] hold between the
//! states before and after every step. For each step the prover runs the step's text over terms, once for each way its
//! decisions can go ([`symbolic`]), and asks the solver whether what the way assumes, all the invariants before, and the
//! opposite of a theorem after can be true together. They cannot: that is the proof.
//!
//! The invariants speak of all slots and objects, the solver is told of few: those that the step looks at, those of
//! which a theorem is to be shown, and their surroundings ([`Reach`]). A step touches few, so that is enough; and it
//! leaves the solver no quantifiers, with which it would have to guess.
//!
//! A proof from assumptions that exclude each other would prove everything, and a statement that is too weak would hold
//! of a wrong step as well. So, in the same run:
//! - each step is shown to succeed in some small system in which all invariants hold;
//! - each step is broken in every way that [`symbolic::Break`] knows (a check is left out, a write is forgotten, rights
//!   are not masked), and the solver finds small systems in which the broken step violates a theorem.

pub mod changes;
pub mod invariants;
pub mod steps;
pub mod symbolic;

use crate::algebra::Algebra;
use crate::authority::Authority;
use changes::Change;
use easy_smt::SExpr;
use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};
use steps::{Done, Step};
use symbolic::{Break, Scope, Symbolic};

/// What was found about a step.
#[derive(Debug)]
pub struct Finding {
    /// The step's name.
    pub step: &'static str,
    /// The ways its decisions can go.
    pub ways: usize,
    /// Theorems times ways that were proved.
    pub proved: usize,
    /// The theorems that were not, once for each way.
    pub open: Vec<&'static str>,
    /// Whether the step can succeed in a state where all invariants hold.
    pub can_succeed: bool,
    /// The broken variants that were refuted.
    pub refuted: Vec<Break>,
    /// Those of which no theorem says that they are wrong.
    pub unnoticed: Vec<Break>,
    /// How long it took.
    pub time: Duration,
}

/// Slots and objects of the small systems, none included.
const SMALL: usize = 5;
/// The solver takes no more than this many steps of its own for an answer. The hardest proof takes less than a tenth.
const LIMIT: u32 = 30_000_000;

/// Proves all theorems for one step, and, if `breaks`, refutes its broken variants.
pub fn examine(step: &Step, breaks: bool) -> io::Result<Finding> {
    let start = Instant::now();
    let (ways, proved, open) = prove(step)?;
    let (can_succeed, variants) = try_out(step)?;
    let (mut refuted, mut unnoticed) = (Vec::new(), Vec::new());
    for broken in variants.into_iter().filter(|_| breaks) {
        if is_refuted(step, broken)? { &mut refuted } else { &mut unnoticed }.push(broken);
    }
    let time = start.elapsed();
    Ok(Finding { step: step.name, ways, proved, open, can_succeed, refuted, unnoticed, time })
}

/// A theorem of a way: its name, and what it says of the state after.
type Goal = (&'static str, SExpr);

/// Assumes the invariants of a state, and that there is an island.
fn start(x: &Symbolic) -> (Authority<Symbolic>, symbolic::Function) {
    let state = x.any_state();
    for statement in invariants::all::<Symbolic>() {
        x.assume_for_all(statement.slots, statement.objects, &|slots, objects| {
            (statement.holds)(x, &state, slots, objects)
        });
    }
    let island = x.any_island();
    x.assume_for_all(1, 0, &|slots, _| changes::island_at(x, &state, &island, &slots[0]));
    (state, island)
}

/// All theorems, of one way of a step that was run: of the same slots and objects, of which nothing is known.
fn goals(
    x: &Symbolic,
    before: &Authority<Symbolic>,
    after: &Authority<Symbolic>,
    done: &Done,
    island: symbolic::Function,
) -> Vec<Goal> {
    let change = Change { x, before, after, done, island };
    let slots = [x.any_slot(), x.any_slot(), x.any_slot()];
    let objects = [x.any_object(), x.any_object()];
    let of_states = invariants::all::<Symbolic>().into_iter().map(|statement| {
        let holds = (statement.holds)(x, after, &slots[..statement.slots], &objects[..statement.objects]);
        (statement.name, holds)
    });
    let of_changes = changes::ALL.iter().map(|(name, holds)| (*name, holds(&change, &slots, &objects)));
    of_states.chain(of_changes).collect()
}

/// How far the laws are told on a way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Of the slots and objects that have a name on it, of what those slots name, and of what they lie in.
    Named,
    /// Also of those slots' parents, and of the slots with capabilities to those objects.
    Around,
}

fn tell(x: &Symbolic, before: &Authority<Symbolic>, reach: Reach) {
    let (mut slots, mut objects) = x.named();
    if reach == Reach::Around {
        let parents: Vec<_> = slots.iter().map(|slot| x.at(&before.parent, slot)).collect();
        slots.extend(parents);
        slots.extend(objects.iter().map(|object| x.of(&before.holder, object)));
    }
    slots.push(x.no_slot());
    objects.push(x.no_object());
    objects.extend(slots.iter().flat_map(|slot| [x.at(&before.object, slot), x.home(slot)]));
    x.tell(&slots, &objects);
}

/// The ways of a step, how many theorems were proved of them, and which were not.
fn prove(step: &Step) -> io::Result<(usize, usize, Vec<&'static str>)> {
    let x = Symbolic::new(Scope::Any, None, LIMIT)?;
    let (before, island) = start(&x);
    let (mut ways, mut proved, mut open) = (0, 0, Vec::new());
    x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        let goals = goals(&x, &before, &after, &done, island);
        tell(&x, &before, Reach::Named);
        if x.is_possible()? {
            ways += 1;
            let not_proved = not_proved(&x, &before, &goals)?;
            proved += goals.len() - not_proved.len();
            open.extend(not_proved);
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok((ways, proved, open))
}

/// Those goals that can fail, as far as the solver knows.
fn not_proved(x: &Symbolic, before: &Authority<Symbolic>, goals: &[Goal]) -> io::Result<Vec<&'static str>> {
    if !x.can_fail(all(x, goals))? {
        return Ok(Vec::new());
    }
    tell(x, before, Reach::Around);
    let mut not_proved = Vec::new();
    if x.can_fail(all(x, goals))? {
        for (name, goal) in goals {
            if x.can_fail(*goal)? {
                not_proved.push(*name);
            }
        }
    }
    Ok(not_proved)
}

fn all(x: &Symbolic, goals: &[Goal]) -> SExpr {
    goals.iter().fold(x.truth(true), |all, (_, goal)| x.and(all, *goal))
}

/// Whether a step can succeed in a small system, and the ways to break it.
fn try_out(step: &Step) -> io::Result<(bool, Vec<Break>)> {
    let x = Symbolic::new(Scope::Small(SMALL), None, LIMIT)?;
    let (before, _) = start(&x);
    let (mut can_succeed, mut decisions, mut writes) = (false, 0, 0);
    x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        let (decided, written) = x.counts();
        (decisions, writes) = (decisions.max(decided), writes.max(written));
        can_succeed = can_succeed || done.success && x.is_possible()?;
        Ok(ControlFlow::Continue(()))
    })?;
    let mut breaks: Vec<_> =
        (0..decisions).flat_map(|n| [Break::Decision(n, true), Break::Decision(n, false)]).collect();
    breaks.extend((0..writes).map(Break::Write));
    breaks.push(Break::Masking);
    Ok((can_succeed, breaks))
}

/// Whether a theorem fails of a broken step in some small system. A way on which the step is refused and nothing was
/// written is not looked at.
fn is_refuted(step: &Step, broken: Break) -> io::Result<bool> {
    let x = Symbolic::new(Scope::Small(SMALL), Some(broken), LIMIT)?;
    let (before, island) = start(&x);
    let mut refuted = false;
    x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        if done.success || x.counts().1 > 0 {
            let goals = goals(&x, &before, &after, &done, island);
            refuted = x.can_fail(all(&x, &goals))?;
        }
        Ok(if refuted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(refuted)
}
