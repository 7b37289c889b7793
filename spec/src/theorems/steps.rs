// SPDX-License-Identifier: MIT OR Apache-2.0

//! The steps that the theorems are about, each with arguments of which nothing is known but what its caller sees to.

use super::symbolic::{Function, Symbolic};
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
    /// The untyped of which it was made, and with how many bytes.
    pub made_of: Option<(SExpr, SExpr)>,
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
    /// A thread that receives now, and a slot through whose capability it does.
    pub receives_through: Option<(SExpr, SExpr)>,
    /// A thread that does not receive any more.
    pub stopped: Option<SExpr>,
    /// A message that took a capability along: endpoint, rights, receiver.
    pub message: Option<[SExpr; 3]>,
    /// What there was to refuse it for.
    pub refusal: Option<Refusal>,
    /// A capability that was derived.
    pub derived: Option<Derived>,
    /// The capabilities that were moved.
    pub moved: Vec<Moved>,
    /// What was to be deleted, and how far it is.
    pub progress: Option<(SExpr, Progress<SExpr>)>,
    /// An untyped that was reset, and what was left of it.
    pub reset: Option<(SExpr, SExpr)>,
    /// A slot whose capability was mapped, and where.
    pub mapped: Option<(SExpr, SExpr)>,
}

/// What there is to refuse a step for.
pub struct Refusal {
    /// Each of these.
    pub reasons: Vec<SExpr>,
    /// And a slot in here, if there is one.
    pub blocks: Option<Function>,
}

/// A capability that was derived from one in another slot.
pub struct Derived {
    /// From here.
    pub source: SExpr,
    /// To here.
    pub target: SExpr,
    /// No more rights than these.
    pub mask: SExpr,
    /// The badge or the guard that was asked for.
    pub data: Option<SExpr>,
}

/// A capability that was moved.
pub struct Moved {
    /// From here.
    pub from: SExpr,
    /// To here.
    pub to: SExpr,
    /// The guard that was asked for.
    pub guard: Option<SExpr>,
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
    Step { name: "transfer", run: transfer },
    Step { name: "move", run: move_to },
    Step { name: "mutate", run: mutate },
    Step { name: "swap", run: swap },
    Step { name: "enter", run: enter },
    Step { name: "reset", run: reset },
    Step { name: "create", run: create },
    Step { name: "issue", run: issue },
    Step { name: "map", run: map },
    Step { name: "delete", run: delete },
    Step { name: "collapse", run: collapse },
    Step { name: "revoke", run: revoke },
    Step { name: "receive", run: receive },
    Step { name: "received", run: received },
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

/// Why nothing can be put into a slot: it is taken, or lies in nothing that is alive.
fn not_free(x: &Symbolic, s: &Authority<Symbolic>, target: &SExpr) -> Vec<SExpr> {
    vec![x.not(s.is_empty(x, target)), x.not(s.is_home(x, &x.home(target)))]
}

/// Why a copy is refused. There is nothing to be copied, or it must be the only one; an untyped was used already; a page
/// table is not mapped; there is a badge already.
fn not_derivable(x: &Symbolic, s: &Authority<Symbolic>, source: &SExpr, is_minted: bool) -> Refusal {
    let cap = s.cap(x, source);
    let is = |kinds: &[Kind]| one_of(x, &cap.kind, kinds);
    let has_data = x.not(x.same_data(&cap.data, &x.no_data()));
    let is_not_mapped = x.and(is(&[Kind::Table, Kind::VSpace]), x.not(has_data));
    let has_badge = x.and(is(&[Kind::Endpoint, Kind::Notification]), has_data);
    let mut reasons = vec![is(&[Kind::Null, Kind::IrqControl, Kind::Zombie]), is_not_mapped];
    reasons.extend(is_minted.then_some(has_badge));
    let blocks = x.slots_with(&|slot| x.and(is(&[Kind::Untyped]), s.is_below(x, source, slot)));
    Refusal { reasons, blocks: Some(blocks) }
}

fn derive(x: &Symbolic, s: &mut Authority<Symbolic>, data: Option<SExpr>) -> Done {
    let (source, target, mask) = (slot(x), slot(x), x.any_rights());
    let mut refusal = not_derivable(x, s, &source, data.is_some());
    refusal.reasons.extend(not_free(x, s, &target));
    let success = s.copy(x, &source, &target, &mask, data.as_ref()).is_ok();
    let derived = Derived { source, target, mask, data };
    Done {
        success,
        slots: vec![source, target],
        refusal: Some(refusal),
        derived: success.then_some(derived),
        ..Done::default()
    }
}

fn copy(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    derive(x, s, None)
}

fn mint(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let badge = x.any_data();
    derive(x, s, Some(badge))
}

fn transfer(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (endpoint, rights, source, receiver, target) =
        (object(x), x.any_rights(), slot(x), object(x), slot(x));
    let takes = x.same_object(&x.of(&s.receives, &receiver), &endpoint);
    let called = x.same_object(&x.of(&s.caller, &endpoint), &receiver);
    let mut refusal = not_derivable(x, s, &source, false);
    refusal.reasons.extend(not_free(x, s, &target));
    refusal.reasons.extend([x.not(x.within(&x.rights(Rights::GRANT), &rights)), x.not(x.or(takes, called))]);
    let success = s.transfer(x, &endpoint, &rights, &source, &receiver, &target).is_ok();
    let derived = Derived { source, target, mask: x.rights(Rights::ALL), data: None };
    Done {
        success,
        slots: vec![source, target],
        message: success.then_some([endpoint, rights, receiver]),
        refusal: Some(refusal),
        derived: success.then_some(derived),
        ..Done::default()
    }
}

fn carry(x: &Symbolic, s: &mut Authority<Symbolic>, guard: Option<SExpr>) -> Done {
    let (from, to) = (slot(x), slot(x));
    let has_badge = one_of(x, &s.cap(x, &from).kind, &[Kind::Endpoint, Kind::Notification]);
    let mut reasons = not_free(x, s, &to);
    reasons.push(s.is_empty(x, &from));
    reasons.extend(guard.is_some().then_some(has_badge));
    let success = s.move_to(x, &from, &to, guard.as_ref()).is_ok();
    Done {
        success,
        slots: vec![from, to],
        refusal: Some(Refusal { reasons, blocks: None }),
        moved: if success { vec![Moved { from, to, guard }] } else { vec![] },
        ..Done::default()
    }
}

fn move_to(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    carry(x, s, None)
}

fn mutate(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let guard = x.any_data();
    carry(x, s, Some(guard))
}

fn swap(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (a, b) = (slot(x), slot(x));
    let reasons = vec![s.is_empty(x, &a), s.is_empty(x, &b)];
    let success = s.swap(x, &a, &b).is_ok();
    let exchanged = || vec![Moved { from: a, to: b, guard: None }, Moved { from: b, to: a, guard: None }];
    Done {
        success,
        slots: vec![a, b],
        refusal: Some(Refusal { reasons, blocks: None }),
        moved: if success { exchanged() } else { vec![] },
        ..Done::default()
    }
}

fn enter(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (via, found) = (slot(x), slot(x));
    let lies_there = x.same_object(&x.home(&found), &s.cap(x, &via).object);
    let reasons = vec![x.not(s.is(x, &via, Kind::CNode)), x.not(lies_there)];
    let success = s.enter(x, &via, &found).is_ok();
    Done {
        success,
        slots: vec![via],
        entered: success.then_some((via, found)),
        refusal: Some(Refusal { reasons, blocks: None }),
        ..Done::default()
    }
}

fn reset(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (untyped, left) = (slot(x), x.any_number());
    let watermark = s.cap(x, &untyped).watermark;
    let frees = x.and(x.at_most(&x.number(0), &left), x.at_most(&left, &watermark));
    let reasons = vec![x.not(s.is(x, &untyped, Kind::Untyped)), x.not(frees)];
    let blocks = Some(x.slots_with(&|slot| s.is_below(x, &untyped, slot)));
    let success = s.reset(x, &untyped, &left).is_ok();
    Done {
        success,
        slots: vec![untyped],
        refusal: Some(Refusal { reasons, blocks }),
        reset: success.then_some((untyped, left)),
        ..Done::default()
    }
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
        made_of: success.then_some((untyped, bytes)),
        ..Done::default()
    }
}

fn issue(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (control, handler, target) = (slot(x), object(x), slot(x));
    let mut reasons = not_free(x, s, &target);
    reasons.extend([x.not(s.is(x, &control, Kind::IrqControl)), s.is_live(x, &handler)]);
    let success = s.issue(x, &control, &handler, &target).is_ok();
    Done {
        success,
        slots: vec![control, target],
        objects: vec![handler],
        made: success.then_some(handler),
        refusal: Some(Refusal { reasons, blocks: None }),
        ..Done::default()
    }
}

fn map(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (slot, place) = (slot(x), x.any_data());
    let can_be_mapped = one_of(x, &s.cap(x, &slot).kind, &[Kind::Frame, Kind::Table, Kind::VSpace]);
    let success = s.map(x, &slot, &place).is_ok();
    Done {
        success,
        slots: vec![slot],
        refusal: Some(Refusal { reasons: vec![x.not(can_be_mapped)], blocks: None }),
        mapped: success.then_some((slot, place)),
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
        progress: Some((slot, progress)),
        ..Done::default()
    }
}

fn collapse(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (outer, inner) = (slot(x), slot(x));
    let object = s.cap(x, &outer).object;
    let reply = x.of(&s.awaits, &object);
    let both = x.and(s.is(x, &outer, Kind::Zombie), s.is(x, &inner, Kind::Zombie));
    let lies_there = |slot: &SExpr| x.same_object(&x.home(slot), &object);
    let reasons = vec![x.not(both), x.not(lies_there(&inner)), lies_there(&outer)];
    let blocks = x.slots_with(&|slot| {
        x.and(x.and(lies_there(slot), x.not(s.is_empty(x, slot))), x.not(x.same_slot(slot, &inner)))
    });
    let success = s.collapse(x, &outer, &inner).is_ok();
    Done {
        success,
        slots: vec![outer, inner],
        objects: vec![object],
        disconnected: vec![object, reply],
        refusal: Some(Refusal { reasons, blocks: Some(blocks) }),
        moved: if success { vec![Moved { from: inner, to: outer, guard: None }] } else { vec![] },
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
    let may_read = x.within(&x.rights(Rights::READ), &s.cap(x, &through).rights);
    let reasons = vec![x.not(s.is(x, &through, Kind::Endpoint)), x.not(may_read)];
    let success = s.receive(x, &thread, &through).is_ok();
    Done {
        success,
        receives_through: success.then_some((thread, through)),
        refusal: Some(Refusal { reasons, blocks: None }),
        ..Done::default()
    }
}

fn received(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let thread = object(x);
    s.received(x, &thread);
    Done { success: true, stopped: Some(thread), ..Done::default() }
}

fn call(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let (reply, thread) = (object(x), object(x));
    let is = |object: &SExpr, kind| x.same_kind(&x.of(&s.live, object), &x.kind(kind));
    let is_none = |object: SExpr| x.same_object(&object, &x.no_object());
    let reasons = vec![
        x.not(is(&reply, Kind::Reply)),
        x.not(is(&thread, Kind::Tcb)),
        x.not(is_none(x.of(&s.caller, &reply))),
        x.not(is_none(x.of(&s.awaits, &thread))),
    ];
    let success = s.call(x, &reply, &thread).is_ok();
    Done {
        success,
        called: success.then_some(reply),
        refusal: Some(Refusal { reasons, blocks: None }),
        ..Done::default()
    }
}

fn answer(x: &Symbolic, s: &mut Authority<Symbolic>) -> Done {
    let reply = object(x);
    let nobody_waits = x.same_object(&x.of(&s.caller, &reply), &x.no_object());
    let success = s.answer(x, &reply).is_some();
    Done {
        success,
        answered: Some(reply),
        disconnected: vec![reply],
        refusal: Some(Refusal { reasons: vec![nobody_waits], blocks: None }),
        ..Done::default()
    }
}
