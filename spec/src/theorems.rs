// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is proved of the authority part, for systems of any size.
//!
//! A system is in a state, and every step leads from one state to the next. The theorems are of three sorts:
//! [`invariants`] hold of every state that steps lead to from a state where they hold; [`changes`] hold between the
//! states before and after every step, and say what no step does; [`promises`] do too, and say what a step is for. For
//! each step the prover runs the step's text over terms, once for each way its
//! decisions can go ([`symbolic`]), and asks the solver whether what the way assumes, all the invariants before, and the
//! opposite of a theorem after can be true together. They cannot: that is the proof.
//!
//! A proof from assumptions that exclude each other would prove everything, and a statement that is too weak would hold
//! of a wrong step as well. So, in the same run:
//! - each step is shown to succeed in some small system in which all invariants hold;
//! - each step is broken at every place of its text ([`breaks`]): a check is left out, a write is forgotten, rights are
//!   not masked. The solver finds a small system in which a theorem fails of the broken step. For the few breaks that
//!   harm no theorem, *that* is proved, and [`breaks::HARMLESS`] says why.

pub mod breaks;
pub mod changes;
pub mod invariants;
pub mod promises;
pub mod steps;
mod subject;
pub mod symbolic;

use breaks::Break;
use std::io;
use std::ops::ControlFlow::{Break as Enough, Continue as More};
use std::time::{Duration, Instant};
use steps::Step;
use subject::{Goal, Reach, Subject};
use symbolic::Scope;

/// What was found about a step.
#[derive(Debug)]
pub struct Finding {
    /// What was proved of it.
    pub proofs: Proofs,
    /// Whether it can succeed in a state where all invariants hold.
    pub can_succeed: bool,
    /// What came of its broken variants.
    pub broken: Vec<(Break, Verdict)>,
    /// How long it took.
    pub time: Duration,
}

/// What was proved of a step.
#[derive(Debug, Default)]
pub struct Proofs {
    /// The ways its decisions can go.
    pub ways: usize,
    /// Theorems times ways that were proved.
    pub proved: usize,
    /// The theorems that were not, once for each way.
    pub open: Vec<&'static str>,
    /// How the text that was run can be broken.
    breaks: Vec<Break>,
}

/// What came of a broken variant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is a small system in which a theorem fails of it, or it never succeeds.
    Refuted,
    /// All theorems are proved of it as well.
    Harmless,
    /// Neither.
    Undecided,
}

/// Slots and objects of the small systems, none included.
const SMALL: usize = 5;

/// Proves all theorems for one step, and, if `breaks`, judges its broken variants.
pub fn examine(step: &Step, breaks: bool) -> io::Result<Finding> {
    let start = Instant::now();
    let (any, small) = (Subject::new(step, Scope::Any)?, Subject::new(step, Scope::Small(SMALL))?);
    let proofs = prove(&any)?;
    let can_succeed = can_succeed(&small)?;
    let mut broken = Vec::new();
    for variant in proofs.breaks.iter().copied().filter(|_| breaks) {
        broken.push((variant, judge(&any, &small, variant)?));
    }
    Ok(Finding { proofs, can_succeed, broken, time: start.elapsed() })
}

fn prove(any: &Subject<'_>) -> io::Result<Proofs> {
    let mut proofs = Proofs::default();
    any.x.each_way(&mut || {
        let (_, goals) = any.run();
        any.tell(Reach::Named);
        if any.x.is_possible()? {
            let open = not_proved(any, &goals)?;
            proofs.ways += 1;
            proofs.proved += goals.len() - open.len();
            proofs.open.extend(open);
            for one in any.x.breaks() {
                if !proofs.breaks.contains(&one) {
                    proofs.breaks.push(one);
                }
            }
        }
        Ok(More(()))
    })?;
    Ok(proofs)
}

/// The theorems that can fail, as far as the solver knows.
fn not_proved(any: &Subject<'_>, goals: &[Goal]) -> io::Result<Vec<&'static str>> {
    let mut open = Vec::new();
    if any.can_fail(goals)? {
        any.tell(Reach::Around);
        if any.can_fail(goals)? {
            for goal in goals {
                open.extend(any.can_fail(&[*goal])?.then_some(goal.0));
            }
        }
    }
    Ok(open)
}

fn can_succeed(small: &Subject<'_>) -> io::Result<bool> {
    let mut can_succeed = false;
    small.x.each_way(&mut || {
        let (success, _) = small.run();
        can_succeed = success && small.x.is_possible()?;
        Ok(if can_succeed { Enough(()) } else { More(()) })
    })?;
    Ok(can_succeed)
}

/// Tries to prove all theorems of a broken step. Where that fails, a small system may show why. Ways that do not come to
/// what is broken are as they were.
fn judge(any: &Subject<'_>, small: &Subject<'_>, broken: Break) -> io::Result<Verdict> {
    any.x.set_broken(Some(broken));
    small.x.set_broken(Some(broken));
    let (mut verdict, mut can_succeed) = (Verdict::Harmless, false);
    any.x.each_way(&mut || {
        let (success, goals) = any.run();
        let is_broken = any.x.is_broken();
        if !is_broken && (can_succeed || !success) {
            return Ok(More(()));
        }
        any.tell(Reach::Named);
        can_succeed = can_succeed || success && any.x.is_possible()?;
        if is_broken && any.can_fail(&goals)? {
            let script = any.x.script();
            if small.x.this_way(script, &mut || small.can_fail(&small.run().1))? {
                verdict = Verdict::Refuted;
                return Ok(Enough(()));
            }
            any.tell(Reach::Around);
            if any.can_fail(&goals)? {
                verdict = Verdict::Undecided;
            }
        }
        Ok(More(()))
    })?;
    Ok(if verdict == Verdict::Harmless && !can_succeed { Verdict::Refuted } else { verdict })
}
