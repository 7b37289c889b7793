// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the steps promise: theorems that say of each step what it is for. They are changes too; the theorems in
//! [`super::changes`] would hold as well of a step that does nothing.

use super::changes::{Change, Statement, same, same_cap};
use super::steps::{Derived, Moved};
use crate::algebra::{Algebra, Kind, Rights};
use crate::authority::delete::Progress;
use crate::authority::{Cap, one_of};
use easy_smt::SExpr;

/// All of them.
pub const ALL: &[(&str, Statement)] = &[
    ("a_step_is_refused_exactly_for_its_reasons", a_step_is_refused_exactly_for_its_reasons),
    ("a_refused_step_changes_nothing", a_refused_step_changes_nothing),
    ("a_copy_is_what_was_asked_for", a_copy_is_what_was_asked_for),
    ("copying_only_uses_up_untyped_memory", copying_only_uses_up_untyped_memory),
    ("a_new_object_gets_memory_that_was_free", a_new_object_gets_memory_that_was_free),
    ("the_first_capability_to_an_object_is_original", the_first_capability_to_an_object_is_original),
    ("a_moved_capability_stays_what_it_was", a_moved_capability_stays_what_it_was),
    ("a_mapped_capability_knows_where", a_mapped_capability_knows_where),
    ("deletion_makes_progress", deletion_makes_progress),
    ("after_a_reset_only_what_is_left_is_not_free", after_a_reset_only_what_is_left_is_not_free),
    ("a_receiver_receives", a_receiver_receives),
];

/// A step succeeds if nothing speaks against it, and only then.
pub fn a_step_is_refused_exactly_for_its_reasons(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, done, .. } = change;
    let Some(refusal) = &done.refusal else { return x.truth(true) };
    let reason = refusal.reasons.iter().fold(x.truth(false), |so_far, reason| x.or(so_far, *reason));
    let Some(blocks) = &refusal.blocks else {
        return if done.success { x.not(reason) } else { reason };
    };
    if done.success {
        x.not(x.or(reason, x.at(blocks, &slots[0])))
    } else {
        x.or(reason, x.somewhere(blocks))
    }
}

/// A step that is refused leaves all as it was.
pub fn a_refused_step_changes_nothing(change: &Change<'_>, slots: &[SExpr], objects: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let ([slot, lower, ..], [object, ..]) = (slots, objects) else { unreachable!("two slots, an object") };
    if done.success {
        return x.truth(true);
    }
    let (was_below, is_below) = (before.is_below(x, slot, lower), after.is_below(x, slot, lower));
    let pairs = [
        (was_below, is_below),
        (x.at(&before.original, slot), x.at(&after.original, slot)),
        (x.at(&before.parent, slot), x.at(&after.parent, slot)),
        (x.of(&before.live, object), x.of(&after.live, object)),
        (x.of(&before.start, object), x.of(&after.start, object)),
        (x.of(&before.bytes, object), x.of(&after.bytes, object)),
        (x.of(&before.caller, object), x.of(&after.caller, object)),
        (x.of(&before.awaits, object), x.of(&after.awaits, object)),
        (x.of(&before.receives, object), x.of(&after.receives, object)),
    ];
    pairs.iter().fold(same_cap(change, slot), |so_far, (a, b)| x.and(so_far, x.same_data(a, b)))
}

/// A copy is to the same object, with those rights that the source has and the mask allows, and with the badge or the
/// guard that was asked for, or that of the source. The copy of a frame is not mapped, and not writable if it is not
/// readable.
pub fn a_copy_is_what_was_asked_for(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let Some(Derived { source, target, mask, data }) = &done.derived else { return x.truth(true) };
    let (of, copy) = (before.cap(x, source), after.cap(x, target));
    let is = |kinds: &[Kind]| one_of(*x, &of.kind, kinds);
    let (is_frame, takes_data) = (is(&[Kind::Frame]), is(&[Kind::Endpoint, Kind::Notification, Kind::CNode]));
    let wanted = data.map_or(of.data, |data| x.choose(takes_data, data, of.data));
    let has_data = x.same_data(&copy.data, &x.choose(is_frame, x.no_data(), wanted));
    let has = |set: &SExpr, right| x.within(&x.rights(right), set);
    let common = |right| x.and(has(&of.rights, right), x.or(has(mask, right), x.not(is(&KINDS_WITH_RIGHTS))));
    let is_readable = x.or(x.not(is_frame), common(Rights::READ));
    let rights = [Rights::WRITE, Rights::READ, Rights::GRANT, Rights::GRANT_REPLY];
    let has_rights = rights.into_iter().fold(x.truth(true), |so_far, right| {
        let wanted = x.and(is_readable, common(right));
        x.and(so_far, x.same_data(&has(&copy.rights, right), &wanted))
    });
    let same_name = x.and(x.same_kind(&of.kind, &copy.kind), x.same_object(&of.object, &copy.object));
    x.and(same_name, x.and(has_data, has_rights))
}

const KINDS_WITH_RIGHTS: [Kind; 4] = [Kind::Endpoint, Kind::Notification, Kind::Reply, Kind::Frame];

/// Copying leaves the source as it is, except that untyped memory is from now on used through the copy: all of the
/// source's is given away.
pub fn copying_only_uses_up_untyped_memory(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let Some(Derived { source, .. }) = &done.derived else { return x.truth(true) };
    let (was, is) = (before.cap(x, source), after.cap(x, source));
    let bytes = x.of(&before.bytes, &was.object);
    let is_untyped = x.same_kind(&was.kind, &x.kind(Kind::Untyped));
    let watermark = x.choose(is_untyped, bytes, was.watermark);
    same(x, &Cap { watermark, ..was }, &is)
}

/// An object that is made gets as much memory as was asked for, where the untyped was free before and is not any more.
pub fn a_new_object_gets_memory_that_was_free(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let (Some(made), Some((untyped, asked))) = (done.made, done.made_of) else { return x.truth(true) };
    let base = x.of(&before.start, &before.cap(x, &untyped).object);
    let [free_from, free_until] =
        [before, after].map(|state| x.plus(&base, &x.at(&state.watermark, &untyped)));
    let (start, bytes) = (x.of(&after.start, &made), x.of(&after.bytes, &made));
    let is_there = x.and(x.at_most(&free_from, &start), x.at_most(&x.plus(&start, &bytes), &free_until));
    x.and(x.same_data(&bytes, &asked), is_there)
}

/// From the first capability to an object others are derived; not from that to a pool of identifiers.
pub fn the_first_capability_to_an_object_is_original(
    change: &Change<'_>,
    slots: &[SExpr],
    _: &[SExpr],
) -> SExpr {
    let Change { x, after, done, .. } = change;
    let names_it = |made| {
        x.and(x.not(after.is_empty(x, &slots[0])), x.same_object(&x.at(&after.object, &slots[0]), &made))
    };
    let is_pool = after.is(x, &slots[0], Kind::AsidPool);
    let is_right = x.same_data(&x.at(&after.original, &slots[0]), &x.not(is_pool));
    done.made.map_or(x.truth(true), |made| x.implies(names_it(made), is_right))
}

/// A capability that is moved stays what it was, and original if it was; a CNode gets the guard that was asked for.
pub fn a_moved_capability_stays_what_it_was(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    done.moved.iter().fold(x.truth(true), |so_far, Moved { from, to, guard }| {
        let (was, is) = (before.cap(x, from), after.cap(x, to));
        let is_cnode = x.same_kind(&was.kind, &x.kind(Kind::CNode));
        let data = guard.map_or(was.data, |guard| x.choose(is_cnode, guard, was.data));
        let same_place = x.same_data(&x.at(&before.original, from), &x.at(&after.original, to));
        x.and(so_far, x.and(same_place, same(x, &Cap { data, ..was }, &is)))
    })
}

/// A capability that is mapped knows where, and is otherwise as it was.
pub fn a_mapped_capability_knows_where(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let Some((slot, data)) = done.mapped else { return x.truth(true) };
    same(x, &Cap { data, ..before.cap(x, &slot) }, &after.cap(x, &slot))
}

/// A step of deleting gets on: it empties the slot, or makes a zombie of a capability that was none, or finds something
/// in what a zombie or an interrupt's handler names. Objects that do not die at once die only as zombies, and objects
/// die only with their last capability.
pub fn deletion_makes_progress(change: &Change<'_>, slots: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let Some((slot, progress)) = &done.progress else { return x.truth(true) };
    let (was_zombie, object) = (before.is(x, slot, Kind::Zombie), before.cap(x, slot).object);
    let other = x.and(before.same_object(x, slot, &slots[0]), x.not(x.same_slot(slot, &slots[0])));
    match progress {
        Progress::Done => after.is_empty(x, slot),
        Progress::Died => {
            let is_right = x.and(x.not(other), x.or(was_zombie, x.not(before.is_taken_apart(x, &object))));
            x.and(x.and(after.is_empty(x, slot), x.not(after.is_live(x, &object))), is_right)
        }
        Progress::Zombie => x.and(x.not(was_zombie), after.is(x, slot, Kind::Zombie)),
        Progress::Inside(inside) => {
            let is_inside = x.and(x.same_object(&x.home(inside), &object), x.not(after.is_empty(x, inside)));
            let has_slots = x.or(was_zombie, before.is(x, slot, Kind::IrqHandler));
            x.and(has_slots, x.and(is_inside, x.not(x.same_slot(inside, slot))))
        }
    }
}

/// After a reset, the untyped can give away all of its memory but what was to be left.
pub fn after_a_reset_only_what_is_left_is_not_free(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, after, done, .. } = change;
    done.reset.map_or(x.truth(true), |(untyped, left)| x.same_data(&x.at(&after.watermark, &untyped), &left))
}

/// A thread that begins to receive does so from the endpoint that it named.
pub fn a_receiver_receives(change: &Change<'_>, _: &[SExpr], _: &[SExpr]) -> SExpr {
    let Change { x, before, after, done, .. } = change;
    let Some((thread, through)) = done.receives_through else { return x.truth(true) };
    x.same_object(&x.of(&after.receives, &thread), &x.at(&before.object, &through))
}
