// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is true of every step: theorems about the state before it and the state after it.

use super::steps::Done;
use super::symbolic::{Function, Symbolic};
use crate::algebra::{Algebra, Kind, Rights};
use crate::authority::{Authority, Cap, one_of};
use easy_smt::SExpr;

/// A step that was run: before, after, what it did.
pub struct Change<'a> {
    /// The algebra.
    pub x: &'a Symbolic,
    /// The state before.
    pub before: &'a Authority<Symbolic>,
    /// The state after.
    pub after: &'a Authority<Symbolic>,
    /// What it did.
    pub done: &'a Done,
    /// Any set of objects.
    pub island: Function,
}

/// A statement about a change, some slot and some object.
pub type Statement = fn(&Change<'_>, &[SExpr], &[SExpr]) -> SExpr;

/// All of them.
pub const ALL: &[(&str, Statement)] = &[
    ("integrity_of_capabilities", integrity_of_capabilities),
    ("integrity_of_objects", integrity_of_objects),
    ("no_step_adds_rights", no_step_adds_rights),
    ("authority_is_confined", authority_is_confined),
    ("lookup_stays_inside", lookup_stays_inside),
    ("capabilities_travel_only_by_grant", capabilities_travel_only_by_grant),
    ("only_readers_receive", only_readers_receive),
    ("a_reply_is_used_at_most_once", a_reply_is_used_at_most_once),
    ("after_revoke_nothing_is_below", after_revoke_nothing_is_below),
    ("revoke_finds_only_what_is_below", revoke_finds_only_what_is_below),
    ("deletion_adds_nothing", deletion_adds_nothing),
];

/// Integrity, of capabilities: a step changes the capabilities in the slots that its subject named, and no others. (A
/// subject can only name slots in what it holds a CNode or thread capability to, by [`lookup_stays_inside`]; what
/// revoking names is below the revoked capability, by [`revoke_finds_only_what_is_below`].)
pub fn integrity_of_capabilities(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let slot = &slots[0];
    let x = change.x;
    let named = change.done.slots.iter().map(|named| x.same_slot(named, slot));
    named.fold(same_cap(change, slot), |so_far, is_named| x.or(so_far, is_named))
}

/// Integrity, of objects: a step begins or ends the life of no object but the one that it makes, or the one whose last
/// capability it takes away. It changes no size, and nobody but a dying or answering object loses its caller.
pub fn integrity_of_objects(change: &Change<'_>, _: &[SExpr], objects: &[SExpr]) -> SExpr {
    let object = &objects[0];
    let Change { x, before, after, done, .. } = change;
    let lives_on = x.same_kind(&x.of(&before.live, object), &x.of(&after.live, object));
    let same_place = x.same_data(&x.of(&before.start, object), &x.of(&after.start, object));
    let same_size = x.same_data(&x.of(&before.bytes, object), &x.of(&after.bytes, object));
    let same = x.and(lives_on, x.and(same_place, same_size));
    let life = done.objects.iter().fold(same, |so_far, named| x.or(so_far, x.same_object(named, object)));
    let same_caller = x.same_object(&x.of(&before.caller, object), &x.of(&after.caller, object));
    let allowed = done.disconnected.iter().chain(&done.called);
    let caller = allowed.fold(same_caller, |so_far, named| x.or(so_far, x.same_object(named, object)));
    x.and(life, caller)
}

/// Rights never grow, from one state to the next: a capability that a step leaves in a slot was in that slot before, or
/// in one that the step's subject named, to the same object, with at least the same rights, and with the same badge if
/// it had one. Or it is the first to the object that the step has made.
pub fn no_step_adds_rights(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let cap = after.cap(x, &slots[0]);
    let comes_from = |from: &SExpr| {
        let of = before.cap(x, from);
        let has_badge = x.and(
            one_of(*x, &of.kind, &[Kind::Endpoint, Kind::Notification]),
            x.not(x.same_data(&of.data, &x.no_data())),
        );
        let same_badge = x.implies(has_badge, x.same_data(&of.data, &cap.data));
        let same_kind = x.or(x.same_kind(&of.kind, &cap.kind), after.is(x, &slots[0], Kind::Zombie));
        let same_name = x.and(same_kind, x.same_object(&of.object, &cap.object));
        x.and(x.and(same_name, same_badge), x.within(&cap.rights, &of.rights))
    };
    let is_made = done.made.map_or(x.truth(false), |made| x.same_object(&made, &cap.object));
    let allowed = x.or(after.is_empty(x, &slots[0]), is_made);
    let sources = done.slots.iter().chain([&slots[0]]);
    sources.fold(allowed, |so_far, from| x.or(so_far, comes_from(from)))
}

/// Authority confinement: let an island be any set of objects whose slots hold only capabilities to objects of the
/// island. If the slots that the subject of a step names all lie on the island, or all outside, it is an island
/// afterwards, an object made counting to the island exactly if it was made with a capability from there. So nobody on
/// an island gains authority over anything outside, except by somebody who can name slots on both sides: who holds a
/// CNode or thread capability across (an ancestor in the tree of containment), or sends over a Grant
/// ([`capabilities_travel_only_by_grant`]).
pub fn authority_is_confined(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let slot = &slots[0];
    let Change { x, after, done, island, .. } = change;
    let is_inside = |object: &SExpr| -> SExpr { x.of::<Function, SExpr>(island, object) };
    let lies_inside = |slot: &SExpr| is_inside(&x.home(slot));
    let same = |a: SExpr, b: SExpr| x.and(x.implies(a, b), x.implies(b, a));
    let mut sides = x.truth(true);
    if let Some(first) = done.slots.first().filter(|_| !done.only_takes) {
        for other in done.slots.iter().map(lies_inside).chain(done.made.iter().map(is_inside)) {
            sides = x.and(sides, same(lies_inside(first), other));
        }
    }
    x.implies(sides, island_at(x, after, island, slot))
}

/// Whether the capability in `slot`, if it lies on the island, is to an object on the island.
pub fn island_at(x: &Symbolic, s: &Authority<Symbolic>, island: &Function, slot: &SExpr) -> SExpr {
    let inside = |object: SExpr| -> SExpr { x.of::<Function, SExpr>(island, &object) };
    let lies_there = x.and(x.not(s.is_empty(x, slot)), inside(x.home(slot)));
    x.implies(lies_there, inside(s.cap(x, slot).object))
}

/// Resolving an address never leaves an island: from a capability on it, only slots on it are reached.
pub fn lookup_stays_inside(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, done, island, .. } = change;
    let Some((via, found)) = done.entered else { return x.truth(true) };
    let lies_inside = |slot: &SExpr| -> SExpr { x.of::<Function, SExpr>(island, &x.home(slot)) };
    x.implies(lies_inside(&via), lies_inside(&found))
}

/// A capability travels with a message only if the sender used a capability with Grant, and the receiver receives at
/// that very endpoint or has called and is answered.
pub fn capabilities_travel_only_by_grant(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, done, .. } = change;
    let Some([endpoint, rights, receiver]) = done.message else { return x.truth(true) };
    let receives = x.same_object(&x.of(&before.receives, &receiver), &endpoint);
    let is_answered = x.same_object(&x.of(&before.caller, &endpoint), &receiver);
    x.and(x.within(&x.rights(Rights::GRANT), &rights), x.or(receives, is_answered))
}

/// A thread begins to receive from an endpoint only by a capability to that endpoint with Read, and a thread that has
/// received does not receive any more.
pub fn only_readers_receive(change: &Change<'_>, _: &[SExpr], objects: &[SExpr]) -> SExpr {
    let object = &objects[0];
    let Change { x, before, after, done, .. } = change;
    let (was, is) = (x.of(&before.receives, object), x.of(&after.receives, object));
    let not_new = x.or(x.same_object(&was, &is), x.same_object(&is, &x.no_object()));
    let by_reader = done.receives_through.map_or(x.truth(false), |(_, through)| {
        let cap = before.cap(x, &through);
        let is_endpoint = x.same_kind(&cap.kind, &x.kind(Kind::Endpoint));
        let may_read = x.within(&x.rights(Rights::READ), &cap.rights);
        x.and(x.and(is_endpoint, may_read), x.same_object(&is, &cap.object))
    });
    let is_stopped = done.stopped.map_or(x.truth(false), |stopped| x.same_object(&stopped, object));
    x.and(x.or(not_new, by_reader), x.implies(is_stopped, x.same_object(&is, &x.no_object())))
}

/// A reply object is used at most once per call: only a call gives it a caller, and only while it has none; and once it
/// was used it has none.
pub fn a_reply_is_used_at_most_once(change: &Change<'_>, _: &[SExpr], objects: &[SExpr]) -> SExpr {
    let object = &objects[0];
    let Change { x, before, after, done, .. } = change;
    let (was, is) = (x.of(&before.caller, object), x.of(&after.caller, object));
    let (had_none, has_none) = (x.same_object(&was, &x.no_object()), x.same_object(&is, &x.no_object()));
    let is_one = |one: Option<SExpr>| one.map_or(x.truth(false), |one| x.same_object(&one, object));
    let by_call = x.and(is_one(done.called), had_none);
    let only_by_call = x.or(x.or(has_none, x.same_object(&was, &is)), by_call);
    x.and(only_by_call, x.implies(is_one(done.answered), has_none))
}

/// When revoking finds nothing more to delete, nothing is below the revoked capability.
pub fn after_revoke_nothing_is_below(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let slot = &slots[0];
    let Change { x, after, done, .. } = change;
    done.revoked.map_or(x.truth(true), |revoked| x.not(after.is_below(x, &revoked, slot)))
}

/// What revoking has deleted is below the revoked capability. In particular it is another one.
pub fn revoke_finds_only_what_is_below(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, done, .. } = change;
    let Some((upper, found)) = done.found_below else { return x.truth(true) };
    x.and(before.is_below(x, &upper, &found), x.not(x.same_slot(&upper, &found)))
}

/// A step of deleting or revoking adds no capability and puts none below another: revoking comes to an end.
pub fn deletion_adds_nothing(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let [slot, lower, ..] = slots else { unreachable!("two slots") };
    let Change { x, before, after, done, .. } = change;
    if !done.only_takes {
        return x.truth(true);
    }
    let no_new_descent = x.implies(after.is_below(x, slot, lower), before.is_below(x, slot, lower));
    let same = x.or(after.is_empty(x, slot), after.is(x, slot, Kind::Zombie));
    x.and(no_new_descent, x.or(same, same_cap(change, slot)))
}

/// Whether a slot has the same capability before and after.
pub(super) fn same_cap(change: &Change<'_>, slot: &SExpr) -> SExpr {
    let Change { x, before, after, .. } = change;
    same(x, &before.cap(x, slot), &after.cap(x, slot))
}

/// Whether two capabilities are the same.
pub(super) fn same(x: &Symbolic, a: &Cap<Symbolic>, b: &Cap<Symbolic>) -> SExpr {
    let pairs = [
        (a.kind, b.kind),
        (a.object, b.object),
        (a.data, b.data),
        (a.rights, b.rights),
        (a.watermark, b.watermark),
    ];
    pairs.iter().fold(x.truth(true), |so_far, (a, b)| x.and(so_far, x.same_data(a, b)))
}
