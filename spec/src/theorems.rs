// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is proved of the authority part, for systems of any size.
//!
//! A system is in a state, and every step leads from one state to the next. The theorems are of two sorts:
//! [`invariants`] hold of every state that steps lead to from a state where they hold, and [`changes`] hold between the
//! states before and after every step. For each step the prover runs the step's text over terms, once for each way its
//! decisions can go ([`symbolic`]), and asks the solver whether what the way assumes, all the invariants before, and the
//! opposite of a theorem after can be true together. They cannot: that is the proof.
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
pub use easy_smt::Response;
use easy_smt::SExpr;
use std::io;
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
    /// Those that were not: the theorem, and what the solver says.
    pub open: Vec<Open>,
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
/// A proof takes no longer.
const PROOF_MS: u32 = 8_000;
/// Whether a way can be gone at all is asked no longer.
const FEASIBLE_MS: u32 = 200;
/// A violation of a theorem on one way is looked for no longer.
const MODEL_MS: u32 = 2_000;

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

/// A theorem that was not proved on a way: its name, and what the solver says.
pub type Open = (&'static str, Response);

/// A theorem of a way: its name, and what it says of the state after.
type Goal = (&'static str, SExpr);

/// Asserts the invariants of a state, and that there is an island.
fn start(x: &Symbolic) -> (Authority<Symbolic>, symbolic::Function) {
    let state = x.any_state();
    for statement in invariants::all::<Symbolic>() {
        let hint = |slots: &[SExpr]| -> Vec<SExpr> {
            slots.iter().filter(|_| statement.eager).map(|slot| x.at(&state.kind, slot)).collect()
        };
        x.assume_for_all(statement.slots, statement.objects, &hint, &|slots, objects| {
            (statement.holds)(x, &state, slots, objects)
        });
    }
    let island = x.any_island();
    x.assume_for_all(1, 0, &|_| vec![], &|slots, _| changes::island_at(x, &state, &island, &slots[0]));
    (state, island)
}

/// All theorems, of one way of a step that was run.
fn goals(
    x: &Symbolic,
    before: &Authority<Symbolic>,
    after: &Authority<Symbolic>,
    done: &Done,
    island: symbolic::Function,
) -> Vec<Goal> {
    let change = Change { x, before, after, done, island };
    let of_changes =
        changes::ALL.iter().map(|(name, holds)| (*name, holds(&change, x.any_slot(), x.any_object())));
    let of_states = invariants::all::<Symbolic>().into_iter().map(|statement| {
        let slots: Vec<_> = (0..statement.slots).map(|_| x.any_slot()).collect();
        let objects: Vec<_> = (0..statement.objects).map(|_| x.any_object()).collect();
        (statement.name, (statement.holds)(x, after, &slots, &objects))
    });
    of_states.chain(of_changes).collect()
}

fn prove(step: &Step) -> io::Result<(usize, usize, Vec<Open>)> {
    let x = Symbolic::new(Scope::Any, None, FEASIBLE_MS)?;
    let (before, island) = start(&x);
    let (mut proved, mut open) = (0, Vec::new());
    let ways = x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        if x.is_dead() {
            return;
        }
        x.set_timeout(PROOF_MS);
        for (name, goal) in goals(&x, &before, &after, &done, island) {
            match x.can_fail(goal) {
                Response::Unsat => proved += 1,
                response => open.push((name, response)),
            }
        }
        x.set_timeout(FEASIBLE_MS);
    });
    Ok((ways, proved, open))
}

/// Whether a step can succeed in a small system, and the ways to break it.
fn try_out(step: &Step) -> io::Result<(bool, Vec<Break>)> {
    let x = Symbolic::new(Scope::Small(SMALL), None, MODEL_MS)?;
    let (before, _) = start(&x);
    let (mut can_succeed, mut decisions, mut writes) = (false, 0, 0);
    x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        let (decided, written) = x.counts();
        (decisions, writes) = (decisions.max(decided), writes.max(written));
        can_succeed = can_succeed || done.success && x.is_possible() == Response::Sat;
    });
    let mut breaks: Vec<_> =
        (0..decisions).flat_map(|n| [Break::Decision(n, true), Break::Decision(n, false)]).collect();
    breaks.extend((0..writes).map(Break::Write));
    breaks.push(Break::Masking);
    Ok((can_succeed, breaks))
}

/// Whether a theorem fails of a broken step in some small system. A way on which the step is refused and nothing was
/// written is not looked at.
fn is_refuted(step: &Step, broken: Break) -> io::Result<bool> {
    let x = Symbolic::new(Scope::Small(SMALL), Some(broken), MODEL_MS)?;
    let (before, island) = start(&x);
    let mut refuted = false;
    x.each_way(&mut || {
        let mut after = before.clone();
        let done = (step.run)(&x, &mut after);
        if refuted || !done.success && x.counts().1 == 0 {
            return;
        }
        let goals = goals(&x, &before, &after, &done, island);
        let all = goals.iter().fold(x.truth(true), |all, (_, goal)| x.and(all, *goal));
        refuted = x.can_fail(all) == Response::Sat;
    });
    Ok(refuted)
}
