// SPDX-License-Identifier: MIT OR Apache-2.0

//! A step before the solver, in any state in which the invariants hold.
//!
//! The invariants speak of all slots and objects, the solver is told of few: those that the step looks at, those of
//! which a theorem is to be shown, and their surroundings ([`Reach`]). A step touches few, so that is enough; and it
//! leaves the solver no quantifiers, with which it would have to guess.

use super::changes::{self, Change};
use super::steps::Step;
use super::symbolic::{Function, Laws, Scope, Symbolic};
use super::{invariants, promises};
use crate::algebra::Algebra;
use crate::authority::Authority;
use easy_smt::SExpr;
use std::io;
use std::ops::ControlFlow;

/// A theorem of a way: its name, and what it says of the state after.
pub type Goal = (&'static str, SExpr);

/// A step before a solver of its own.
pub struct Subject<'a> {
    /// The algebra of the solver's terms.
    pub x: Symbolic,
    step: &'a Step,
    before: Authority<Symbolic>,
    island: Function,
}

/// The solver takes no more than this many steps of its own for an answer. The hardest proof takes less than a tenth.
const LIMIT: u32 = 30_000_000;

impl<'a> Subject<'a> {
    /// Starts a solver.
    pub fn new(step: &'a Step, scope: Scope) -> io::Result<Self> {
        let x = Symbolic::new(scope, LIMIT)?;
        let before = x.any_state();
        for statement in invariants::all::<Symbolic>() {
            x.assume_for_all(statement.slots, statement.objects, &|slots, objects| {
                (statement.holds)(&x, &before, slots, objects)
            });
        }
        let island = x.any_island();
        x.assume_for_all(1, 0, &|slots, _| changes::island_at(&x, &before, &island, &slots[0]));
        let subject = Self { x, step, before, island };
        subject.prepare()?;
        Ok(subject)
    }

    /// Tells the solver, once, the laws of as many slots and objects as any way names.
    fn prepare(&self) -> io::Result<()> {
        let (mut slots, mut objects) = (0, 0);
        self.x.each_way(&mut || {
            self.run();
            let named = self.x.named();
            (slots, objects) = (slots.max(named.0.len()), objects.max(named.1.len()));
            Ok(ControlFlow::Continue(()))
        })?;
        let (slots, objects) = self.x.prepare_names(slots, objects);
        self.tell_of(Laws::All, slots, objects);
        Ok(())
    }

    /// Runs the step on a way. Gives whether it succeeds, and all theorems: of the same slots and objects, of which
    /// nothing is known.
    pub fn run(&self) -> (bool, Vec<Goal>) {
        let Self { x, step, before, island } = self;
        let mut after = before.clone();
        let done = (step.run)(x, &mut after);
        let change = Change { x, before, after: &after, done: &done, island: *island };
        let slots = [x.any_slot(), x.any_slot(), x.any_slot()];
        let objects = [x.any_object(), x.any_object()];
        let of_states = invariants::all::<Symbolic>().into_iter().map(|statement| {
            let holds =
                (statement.holds)(x, &after, &slots[..statement.slots], &objects[..statement.objects]);
            (statement.name, holds)
        });
        let of_changes = changes::ALL
            .iter()
            .chain(promises::ALL)
            .map(|(name, holds)| (*name, holds(&change, &slots, &objects)));
        (done.success, of_states.chain(of_changes).collect())
    }

    /// Whether one of these can fail, as far as the solver knows.
    pub fn can_fail(&self, goals: &[Goal]) -> io::Result<bool> {
        let all = goals.iter().fold(self.x.truth(true), |all, (_, goal)| self.x.and(all, *goal));
        self.x.can_fail(all)
    }

    /// Tells the solver the laws that it needs for a way.
    pub fn tell(&self, reach: Reach) {
        let Self { x, before, .. } = self;
        let (mut slots, objects) = x.named();
        if reach == Reach::Named && x.are_names_prepared() {
            return self.tell_of(Laws::OfThisWay, slots, objects);
        }
        if reach == Reach::Around {
            let parents: Vec<_> = slots.iter().map(|slot| x.at(&before.parent, slot)).collect();
            slots.extend(parents);
            slots.extend(objects.iter().map(|object| x.of(&before.holder, object)));
        }
        self.tell_of(Laws::All, slots, objects);
    }

    /// Tells laws of these slots and objects, of what is none, and of what the slots name and lie in.
    fn tell_of(&self, laws: Laws, mut slots: Vec<SExpr>, mut objects: Vec<SExpr>) {
        let Self { x, before, .. } = self;
        slots.push(x.no_slot());
        objects.push(x.no_object());
        objects.extend(slots.iter().flat_map(|slot| [x.at(&before.object, slot), x.home(slot)]));
        x.tell(laws, &slots, &objects);
    }
}

/// How far the laws are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Of the slots and objects that have a name on the way, of what those slots name, and of what they lie in.
    Named,
    /// Also of those slots' parents, and of the slots with capabilities to those objects.
    Around,
}
