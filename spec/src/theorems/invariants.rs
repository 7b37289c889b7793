// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is true of every state. Each function is a theorem: if all of them hold before a step, it holds after it.
//!
//! They are written over an algebra as well: the prover assumes and proves them, and the checker looks whether they
//! hold of the states that the kernel is in.

use crate::algebra::{Algebra, Kind, Rights};
use crate::authority::{Authority, one_of};

/// Whether a statement holds of some slots and some objects of a state.
pub type Holds<A> =
    fn(&A, &Authority<A>, &[<A as Algebra>::Slot], &[<A as Algebra>::Object]) -> <A as Algebra>::Bool;

/// A statement about some slots and some objects of a state, to hold for all slots and objects.
pub struct Statement<A: Algebra> {
    /// Its name.
    pub name: &'static str,
    /// Of how many slots.
    pub slots: usize,
    /// Of how many objects.
    pub objects: usize,
    /// Whether it holds of these.
    pub holds: Holds<A>,
}

/// All invariants.
pub fn all<A: Algebra>() -> Vec<Statement<A>> {
    macro_rules! statements {
        ($($name:ident($slots:literal slots, $objects:literal objects),)*) => {
            vec![$(Statement {
                name: stringify!($name),
                slots: $slots,
                objects: $objects,
                holds: $name::<A>,
            },)*]
        };
    }
    statements![
        none_is_nothing(0 slots, 0 objects),
        every_capability_names_a_live_object_of_its_kind(1 slots, 0 objects),
        every_capability_lies_in_a_live_object(1 slots, 0 objects),
        every_live_object_has_a_capability(0 slots, 1 objects),
        a_zombie_is_alone(2 slots, 0 objects),
        live_objects_do_not_overlap(0 slots, 2 objects),
        live_objects_lie_in_memory_retyped_for_them(2 slots, 0 objects),
        objects_in_an_untyped_are_derived_from_it(2 slots, 0 objects),
        overlapping_untypeds_are_derived_from_each_other(2 slots, 0 objects),
        the_watermark_stays_in_its_memory(1 slots, 0 objects),
        the_watermark_never_passes_a_live_object(1 slots, 1 objects),
        free_memory_is_free_once(2 slots, 0 objects),
        free_memory_is_not_that_of_a_derived_untyped(2 slots, 0 objects),
        rights_never_grow_along_derivation(2 slots, 0 objects),
        kinds_without_rights_have_all(1 slots, 0 objects),
        derivation_keeps_the_object(2 slots, 0 objects),
        badges_stay_along_derivation(2 slots, 0 objects),
        a_parent_is_above_its_children(1 slots, 0 objects),
        only_originals_have_children(1 slots, 0 objects),
        what_others_are_made_of_is_original(1 slots, 0 objects),
        only_capabilities_are_in_the_tree(2 slots, 0 objects),
        nothing_is_above_itself(1 slots, 0 objects),
        what_is_above_an_ancestor_is_an_ancestor(3 slots, 0 objects),
        ancestors_stand_in_one_line(3 slots, 0 objects),
        ancestors_come_from_the_parent(2 slots, 0 objects),
        a_caller_waits_for_the_answer_of_its_reply_object(0 slots, 1 objects),
        a_thread_that_awaits_an_answer_is_the_caller(0 slots, 1 objects),
    ]
}

// --- names ---------------------------------------------------------------------------------------------------------

/// No capability lies in the slot that is none, and the object that is none is not alive and waits for nobody.
pub fn none_is_nothing<A: Algebra>(x: &A, s: &Authority<A>, _: &[A::Slot], _: &[A::Object]) -> A::Bool {
    let none = x.no_object();
    let waits =
        x.and(x.same_object(&x.of(&s.caller, &none), &none), x.same_object(&x.of(&s.awaits, &none), &none));
    x.and(x.and(s.is_empty(x, &x.no_slot()), x.not(s.is_live(x, &none))), waits)
}

/// What a capability names is alive, and of the capability's kind. A zombie names something that does not die at once.
pub fn every_capability_names_a_live_object_of_its_kind<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let cap = s.cap(x, &slots[0]);
    let is_zombie = x.same_kind(&cap.kind, &x.kind(Kind::Zombie));
    let of_its_kind = x.same_kind(&x.of(&s.live, &cap.object), &cap.kind);
    let right = x
        .or(x.and(is_zombie.clone(), s.is_taken_apart(x, &cap.object)), x.and(x.not(is_zombie), of_its_kind));
    x.implies(x.not(s.is_empty(x, &slots[0])), right)
}

/// A capability lies in something with slots that is alive.
pub fn every_capability_lies_in_a_live_object<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    x.implies(x.not(s.is_empty(x, &slots[0])), s.is_home(x, &x.home(&slots[0])))
}

/// What is alive, some capability names: nothing is lost.
pub fn every_live_object_has_a_capability<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    _: &[A::Slot],
    objects: &[A::Object],
) -> A::Bool {
    let holder = x.of(&s.holder, &objects[0]);
    let names_it = x.same_object(&x.at(&s.object, &holder), &objects[0]);
    x.implies(s.is_live(x, &objects[0]), x.and(x.not(s.is_empty(x, &holder)), names_it))
}

/// No other capability names what is being taken apart.
pub fn a_zombie_is_alone<A: Algebra>(x: &A, s: &Authority<A>, slots: &[A::Slot], _: &[A::Object]) -> A::Bool {
    let [a, b] = slots else { unreachable!("two slots") };
    let is_zombie = s.is(x, a, Kind::Zombie);
    x.implies(x.and(is_zombie, x.not(x.same_slot(a, b))), x.not(s.same_object(x, a, b)))
}

// --- memory --------------------------------------------------------------------------------------------------------

/// The memory of two live objects has nothing in common. (Untyped memory is there to have objects in it.)
pub fn live_objects_do_not_overlap<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    _: &[A::Slot],
    objects: &[A::Object],
) -> A::Bool {
    let [a, b] = objects else { unreachable!("two objects") };
    let both = x.and(fills_memory(x, s, a), fills_memory(x, s, b));
    x.implies(x.and(both, x.not(x.same_object(a, b))), x.not(overlap(x, &memory(x, s, a), &memory(x, s, b))))
}

/// What is derived from an untyped and has memory lies within it.
pub fn live_objects_lie_in_memory_retyped_for_them<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [untyped, cap] = slots else { unreachable!("two slots") };
    let derived = x.and(s.is(x, untyped, Kind::Untyped), s.is_below(x, untyped, cap));
    let (outer, inner) = (memory_at(x, s, untyped), memory_at(x, s, cap));
    let within = x.and(x.at_most(&outer.start, &inner.start), x.at_most(&inner.end, &outer.end));
    let has_memory = x.not(x.at_most(&inner.end, &inner.start));
    x.implies(x.and(derived, has_memory), within)
}

/// A capability to an object that has memory in common with an untyped is derived from that untyped.
pub fn objects_in_an_untyped_are_derived_from_it<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [untyped, cap] = slots else { unreachable!("two slots") };
    let is_object = x.not(x.or(s.is_empty(x, cap), s.is(x, cap, Kind::Untyped)));
    let shares = overlap(x, &memory_at(x, s, untyped), &memory_at(x, s, cap));
    let both = x.and(s.is(x, untyped, Kind::Untyped), is_object);
    x.implies(x.and(both, shares), s.is_below(x, untyped, cap))
}

/// Of two untypeds with memory in common, one is derived from the other.
pub fn overlapping_untypeds_are_derived_from_each_other<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [a, b] = slots else { unreachable!("two slots") };
    let shares = overlap(x, &memory_at(x, s, a), &memory_at(x, s, b));
    x.implies(x.and(two_untypeds(x, s, a, b), shares), x.or(s.is_below(x, a, b), s.is_below(x, b, a)))
}

/// The watermark of an untyped lies between its start and its end.
pub fn the_watermark_stays_in_its_memory<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let cap = s.cap(x, &slots[0]);
    let bytes = x.of(&s.bytes, &cap.object);
    let in_it = x.and(x.at_most(&x.number(0), &cap.watermark), x.at_most(&cap.watermark, &bytes));
    x.implies(s.is(x, &slots[0], Kind::Untyped), in_it)
}

/// No live object has memory above the watermark of an untyped: what is there is free.
pub fn the_watermark_never_passes_a_live_object<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    objects: &[A::Object],
) -> A::Bool {
    let (untyped, object) = (&slots[0], &objects[0]);
    let both = x.and(s.is(x, untyped, Kind::Untyped), fills_memory(x, s, object));
    x.implies(both, x.not(overlap(x, &free_memory(x, s, untyped), &memory(x, s, object))))
}

/// No two untypeds can give away the same memory.
pub fn free_memory_is_free_once<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [a, b] = slots else { unreachable!("two slots") };
    x.implies(two_untypeds(x, s, a, b), x.not(overlap(x, &free_memory(x, s, a), &free_memory(x, s, b))))
}

/// An untyped cannot give away what an untyped derived from it has.
pub fn free_memory_is_not_that_of_a_derived_untyped<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [upper, lower] = slots else { unreachable!("two slots") };
    x.implies(
        x.and(two_untypeds(x, s, upper, lower), s.is_below(x, upper, lower)),
        x.not(overlap(x, &free_memory(x, s, upper), &memory_at(x, s, lower))),
    )
}

// --- rights and badges -------------------------------------------------------------------------------------------------

/// A capability allows no more than what it was derived from, at any distance.
pub fn rights_never_grow_along_derivation<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [upper, lower] = slots else { unreachable!("two slots") };
    let (outer, inner) = (x.at(&s.rights, upper), x.at(&s.rights, lower));
    x.implies(s.is_below(x, upper, lower), x.within(&inner, &outer))
}

/// A capability of a kind that knows no rights has all of them. (A zombie has those of what it was.)
pub fn kinds_without_rights_have_all<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let cap = s.cap(x, &slots[0]);
    let knows = [Kind::Null, Kind::Endpoint, Kind::Notification, Kind::Reply, Kind::Frame, Kind::Zombie];
    x.or(one_of(x, &cap.kind, &knows), x.within(&x.rights(Rights::ALL), &cap.rights))
}

/// What is derived from a capability to an object is a capability of the same kind to the same object. (Not so for
/// untyped memory, of which objects are made, and the authority over interrupts.)
pub fn derivation_keeps_the_object<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let (upper, lower) = (s.cap(x, &slots[0]), s.cap(x, &slots[1]));
    let makes_others = one_of(x, &upper.kind, &[Kind::Untyped, Kind::IrqControl]);
    let same = x.and(x.same_object(&upper.object, &lower.object), x.same_kind(&upper.kind, &lower.kind));
    x.implies(x.and(s.is_below(x, &slots[0], &slots[1]), x.not(makes_others)), same)
}

/// What is derived from an endpoint or notification capability with a badge has the same badge.
pub fn badges_stay_along_derivation<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let (upper, lower) = (s.cap(x, &slots[0]), s.cap(x, &slots[1]));
    let has_badge = x.and(
        one_of(x, &upper.kind, &[Kind::Endpoint, Kind::Notification]),
        x.not(x.same_data(&upper.data, &x.no_data())),
    );
    x.implies(x.and(s.is_below(x, &slots[0], &slots[1]), has_badge), x.same_data(&upper.data, &lower.data))
}

// --- the derivation relation is a forest -----------------------------------------------------------------------------

/// A capability is below its parent.
pub fn a_parent_is_above_its_children<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let parent = x.at(&s.parent, &slots[0]);
    x.or(x.same_slot(&parent, &x.no_slot()), s.is_below(x, &parent, &slots[0]))
}

/// What has children is an original capability.
pub fn only_originals_have_children<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let parent = x.at(&s.parent, &slots[0]);
    x.or(x.same_slot(&parent, &x.no_slot()), x.at(&s.original, &parent))
}

/// Untyped memory and the authority over interrupts are originals.
pub fn what_others_are_made_of_is_original<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let makes_others = one_of(x, &x.at(&s.kind, &slots[0]), &[Kind::Untyped, Kind::IrqControl]);
    x.implies(makes_others, x.at(&s.original, &slots[0]))
}

/// Nothing is above or below an empty slot.
pub fn only_capabilities_are_in_the_tree<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let both = x.and(x.not(s.is_empty(x, &slots[0])), x.not(s.is_empty(x, &slots[1])));
    x.implies(s.is_below(x, &slots[0], &slots[1]), both)
}

/// The relation has no circles.
pub fn nothing_is_above_itself<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    x.not(s.is_below(x, &slots[0], &slots[0]))
}

/// What is above an ancestor is an ancestor.
pub fn what_is_above_an_ancestor_is_an_ancestor<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [a, b, c] = slots else { unreachable!("three slots") };
    x.implies(x.and(s.is_below(x, a, b), s.is_below(x, b, c)), s.is_below(x, a, c))
}

/// Of two ancestors of a capability one is above the other: it is a forest.
pub fn ancestors_stand_in_one_line<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [a, b, c] = slots else { unreachable!("three slots") };
    let related = x.or(x.same_slot(a, b), x.or(s.is_below(x, a, b), s.is_below(x, b, a)));
    x.implies(x.and(s.is_below(x, a, c), s.is_below(x, b, c)), related)
}

/// What is above a capability is its parent or above its parent.
pub fn ancestors_come_from_the_parent<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    slots: &[A::Slot],
    _: &[A::Object],
) -> A::Bool {
    let [a, c] = slots else { unreachable!("two slots") };
    let parent = x.at(&s.parent, c);
    x.implies(s.is_below(x, a, c), x.or(x.same_slot(a, &parent), s.is_below(x, a, &parent)))
}

// --- replies -----------------------------------------------------------------------------------------------------------

/// Who is to be answered through a reply object waits for that answer; both are alive.
pub fn a_caller_waits_for_the_answer_of_its_reply_object<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    _: &[A::Slot],
    objects: &[A::Object],
) -> A::Bool {
    let (reply, caller) = (&objects[0], x.of(&s.caller, &objects[0]));
    let waits = x.and(x.same_object(&x.of(&s.awaits, &caller), reply), are_call(x, s, reply, &caller));
    x.or(x.same_object(&caller, &x.no_object()), waits)
}

/// The reply object for which a thread waits has that thread as its caller; both are alive.
pub fn a_thread_that_awaits_an_answer_is_the_caller<A: Algebra>(
    x: &A,
    s: &Authority<A>,
    _: &[A::Slot],
    objects: &[A::Object],
) -> A::Bool {
    let (thread, reply) = (&objects[0], x.of(&s.awaits, &objects[0]));
    let called = x.and(x.same_object(&x.of(&s.caller, &reply), thread), are_call(x, s, &reply, thread));
    x.or(x.same_object(&reply, &x.no_object()), called)
}

fn are_call<A: Algebra>(x: &A, s: &Authority<A>, reply: &A::Object, thread: &A::Object) -> A::Bool {
    let is = |object: &A::Object, kind| x.same_kind(&x.of(&s.live, object), &x.kind(kind));
    x.and(is(reply, Kind::Reply), is(thread, Kind::Tcb))
}

// --- memory, as a notion ------------------------------------------------------------------------------------------------

/// From the first byte to the one behind the last.
struct Range<A: Algebra> {
    start: A::Number,
    end: A::Number,
}

fn memory<A: Algebra>(x: &A, s: &Authority<A>, object: &A::Object) -> Range<A> {
    let start = x.of(&s.start, object);
    let end = x.plus(&start, &x.of(&s.bytes, object));
    Range { start, end }
}

fn memory_at<A: Algebra>(x: &A, s: &Authority<A>, slot: &A::Slot) -> Range<A> {
    memory(x, s, &x.at(&s.object, slot))
}

/// What the untyped in `slot` can still give away.
fn free_memory<A: Algebra>(x: &A, s: &Authority<A>, slot: &A::Slot) -> Range<A> {
    let Range { start, end } = memory_at(x, s, slot);
    Range { start: x.plus(&start, &x.at(&s.watermark, slot)), end }
}

fn overlap<A: Algebra>(x: &A, a: &Range<A>, b: &Range<A>) -> A::Bool {
    let less = |a: &A::Number, b: &A::Number| x.not(x.at_most(b, a));
    let both_filled = x.and(less(&a.start, &a.end), less(&b.start, &b.end));
    x.and(both_filled, x.and(less(&a.start, &b.end), less(&b.start, &a.end)))
}

/// Whether something lives that is not untyped memory.
fn fills_memory<A: Algebra>(x: &A, s: &Authority<A>, object: &A::Object) -> A::Bool {
    x.not(one_of(x, &x.of(&s.live, object), &[Kind::Null, Kind::Untyped]))
}

fn two_untypeds<A: Algebra>(x: &A, s: &Authority<A>, a: &A::Slot, b: &A::Slot) -> A::Bool {
    let both = x.and(s.is(x, a, Kind::Untyped), s.is(x, b, Kind::Untyped));
    x.and(both, x.not(x.same_slot(a, b)))
}
