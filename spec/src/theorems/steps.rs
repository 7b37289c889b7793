// SPDX-License-Identifier: MIT OR Apache-2.0

//! The steps that the theorems are about, each with arguments of which nothing is known but what its caller sees to.

use super::symbolic::Symbolic;
use crate::algebra::{Algebra, Kind, Rights};
use crate::authority::delete::Progress;
use crate::authority::{Authority, one_of};
use easy_smt::SExpr;

/// What a step that was run had authority over, and what it did.
#[derive(Default)]
pub struct Done {
    /// It was not refused.
    pub success: bool,
    /// The slots that its subject named.
    pub slots: Vec<SExpr>,
    /// The objects whose life it may begin or end.
    pub objects: Vec<SExpr>,
    /// The object that it made.
    pub made: Option<SExpr>,
    /// The reply object that a call was prepared with.
    pub called: Option<SExpr>,
    /// The reply object that was used.
    pub answered: Option<SExpr>,
    /// The reply objects or threads of which the caller was let go.
    pub disconnected: Vec<SExpr>,
    /// A slot below which nothing is left.
    pub revoked: Option<SExpr>,
    /// A slot that was found to be below another one.
    pub found_below: Option<(SExpr, SExpr)>,
    /// It only takes away.
    pub only_takes: bool,
    /// A slot that was entered from a CNode capability in another one.
    pub entered: Option<(SExpr, SExpr)>,
    /// A slot through whose capability a thread receives now.
    pub receives_through: Option<SExpr>,
    /// A thread that does not receive any more.
    pub stopped: Option<SExpr>,
    /// A message that took a capability along: endpoint, rights, receiver.
    pub message: Option<[SExpr; 3]>,
}

/// A step.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&Symbolic, &mut Authority<Symbolic>) -> Done,
}

/// All steps.
pub const ALL: &[Step] = &[
    Step { name: "copy", run: copy },
    Step { name: "mint", run: mint },
    Step { name: "move", run: move_to },
    Step { name: "mutate", run: mutate },
    Step { name: "swap", run: swap },
    Step { name: "enter", run: enter },
    Step { name: "reset", run: reset },
    Step { name: "create", run: create },
    Step { name: "issue", run: issue },
    Step { name: "delete", run: delete },
    Step { name: "collapse", run: collapse },
    Step { name: "revoke", run: revoke },
    Step { name: "receive", run: receive },
    Step { name: "received", run: received },
    Step { name: "transfer", run: transfer },
    Step { name: "call", run: call },
    Step { name: "answer", run: answer },
];

/// Some slot, not none.
fn slot(x: &Symbolic) -> SExpr {
    let slot = x.any_slot();
    x.assume(x.not(x.same_slot(&slot, &x.no_slot())));
    slot
}

/// Some object, not none.
fn object(x: &Symbolic) -> SExpr {
    let object = x.any_object();
    x.assume(x.not(x.same_object(&object, &x.no_object())));
    object
}

fn copy(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (source, target, mask) = (slot(x), slot(x), x.any_rights());
    let success = s.copy(x, &source, &target, &mask, None).is_ok();
    Done { success, slots: vec![source, target], ..Done::default() }
}

fn mint(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (source, target, mask, data) = (slot(x), slot(x), x.any_rights(), x.any_data());
    let success = s.copy(x, &source, &target, &mask, Some(&data)).is_ok();
    Done { success, slots: vec![source, target], ..Done::default() }
}

fn move_to(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (source, target) = (slot(x), slot(x));
    let success = s.move_to(x, &source, &target, None).is_ok();
    Done { success, slots: vec![source, target], ..Done::default() }
}

fn mutate(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (source, target, data) = (slot(x), slot(x), x.any_data());
    let success = s.move_to(x, &source, &target, Some(&data)).is_ok();
    Done { success, slots: vec![source, target], ..Done::default() }
}

fn swap(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (a, b) = (slot(x), slot(x));
    let success = s.swap(x, &a, &b).is_ok();
    Done { success, slots: vec![a, b], ..Done::default() }
}

fn enter(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (via, found) = (slot(x), slot(x));
    let success = s.enter(x, &via, &found).is_ok();
    Done { success, slots: vec![via], entered: success.then_some((via, found)), ..Done::default() }
}

fn reset(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let untyped = slot(x);
    let success = s.reset(x, &untyped).is_ok();
    Done { success, slots: vec![untyped], ..Done::default() }
}

/// The caller sees to it that the kind is one that can be made of memory, and that only kinds with rights have fewer
/// than all.
fn create(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (untyped, target, kind, rights, bytes) =
        (slot(x), slot(x), x.any_data(), x.any_rights(), x.any_number());
    let with_rights = [Kind::Endpoint, Kind::Notification, Kind::Reply, Kind::Frame];
    let without_rights = [
        Kind::Untyped,
        Kind::CNode,
        Kind::Tcb,
        Kind::SchedContext,
        Kind::Table,
        Kind::VSpace,
        Kind::AsidPool,
    ];
    x.assume(x.or(one_of(x, &kind, &with_rights), one_of(x, &kind, &without_rights)));
    x.assume(x.or(one_of(x, &kind, &with_rights), x.within(&x.rights(Rights::ALL), &rights)));
    x.assume(x.at_most(&x.number(1), &bytes));
    let fresh = x.fresh_object();
    x.assume(x.not(s.is_live(x, &fresh)));
    let success = s.create(x, &untyped, &target, &kind, &rights, &bytes).is_ok();
    Done {
        success,
        slots: vec![untyped, target],
        objects: vec![fresh],
        made: success.then_some(fresh),
        ..Done::default()
    }
}

fn issue(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (control, handler, target) = (slot(x), object(x), slot(x));
    let success = s.issue(x, &control, &handler, &target).is_ok();
    Done {
        success,
        slots: vec![control, target],
        objects: vec![handler],
        made: success.then_some(handler),
        ..Done::default()
    }
}

fn delete(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let slot = slot(x);
    let object = s.cap(x, &slot).object;
    let reply = x.of(&s.awaits, &object);
    let progress = s.delete(x, &slot);
    let died = progress == Progress::Died;
    Done {
        success: true,
        slots: vec![slot],
        objects: if died { vec![object] } else { vec![] },
        disconnected: if died { vec![object, reply] } else { vec![] },
        only_takes: true,
        ..Done::default()
    }
}

fn collapse(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (outer, inner) = (slot(x), slot(x));
    let object = s.cap(x, &outer).object;
    let reply = x.of(&s.awaits, &object);
    let success = s.collapse(x, &outer, &inner).is_ok();
    Done {
        success,
        slots: vec![outer, inner],
        objects: vec![object],
        disconnected: vec![object, reply],
        ..Done::default()
    }
}

fn revoke(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let slot = slot(x);
    let found = s.revoke(x, &slot);
    Done {
        success: true,
        revoked: found.is_none().then_some(slot),
        found_below: found.map(|found| (slot, found)),
        only_takes: true,
        ..Done::default()
    }
}

fn receive(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (thread, through) = (object(x), slot(x));
    let success = s.receive(x, &thread, &through).is_ok();
    Done { success, receives_through: success.then_some(through), ..Done::default() }
}

fn received(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let thread = object(x);
    s.received(x, &thread);
    Done { success: true, stopped: Some(thread), ..Done::default() }
}

fn transfer(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (endpoint, rights, source, receiver, target) =
        (object(x), x.any_rights(), slot(x), object(x), slot(x));
    let success = s.transfer(x, &endpoint, &rights, &source, &receiver, &target).is_ok();
    Done {
        success,
        slots: vec![source, target],
        message: success.then_some([endpoint, rights, receiver]),
        ..Done::default()
    }
}

fn call(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (reply, thread) = (object(x), object(x));
    let success = s.call(x, &reply, &thread).is_ok();
    Done { success, called: success.then_some(reply), ..Done::default() }
}

fn answer(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let reply = object(x);
    let success = s.answer(x, &reply).is_some();
    Done { success, answered: Some(reply), disconnected: vec![reply], ..Done::default() }
}
