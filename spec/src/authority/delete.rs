// SPDX-License-Identifier: MIT OR Apache-2.0

//! Taking capabilities away, and objects apart when their last capability goes (`semantics.md` §4).
//!
//! Deleting a slot is a sequence of [`Authority::delete`] steps. The last capability to something with slots in it, or
//! where threads wait, first becomes a *zombie*, which names what is being taken apart and can be used for nothing else;
//! then what is in those slots is deleted, and who waits goes, then the object dies. (The handler of an interrupt has one
//! slot, and stays what it is until that is empty.) What is in the slots may be the last capability to another such
//! thing, and so on; and they may hold each other in a circle, which [`Authority::collapse`] undoes.
//!
//! Revoking is deleting, one after the other, what [`Authority::revoke`] finds.

use super::{Authority, Outcome, Refusal, one_of};
use crate::algebra::{Algebra, Kind};

/// What a step of deleting a slot has left to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Progress<S> {
    /// Nothing: the slot is empty.
    Done,
    /// The capability was the last to its object, which is dead now; the slot is empty.
    Died,
    /// The capability has become a zombie.
    Zombie,
    /// This slot, which lies in the object, must be deleted first.
    Inside(S),
}

impl<A: Algebra> Authority<A> {
    /// One step of deleting what is in `slot`.
    pub fn delete(&mut self, x: &A, slot: &A::Slot) -> Progress<A::Slot> {
        if x.decide(self.is_empty(x, slot)) {
            return Progress::Done;
        }
        let cap = self.cap(x, slot);
        let other = x.find(&|other| x.and(x.not(x.same_slot(other, slot)), self.same_object(x, slot, other)));
        if let Some(other) = other {
            self.set_holder(x, &cap.object, &other);
            self.clear(x, slot);
            return Progress::Done;
        }
        if x.decide(x.and(self.is_taken_apart(x, &cap.object), x.not(self.is(x, slot, Kind::Zombie)))) {
            if x.writes() {
                x.put(&mut self.kind, slot, x.kind(Kind::Zombie));
            }
            return Progress::Zombie;
        }
        let inside = x.find(&|inside| {
            let in_it = x.same_object(&x.home(inside), &cap.object);
            x.and(x.and(in_it, x.not(self.is_empty(x, inside))), x.not(x.same_slot(inside, slot)))
        });
        if let Some(inside) = inside {
            return Progress::Inside(inside);
        }
        self.let_go(x, &cap.object);
        self.set_live(x, &cap.object, &x.kind(Kind::Null));
        self.clear(x, slot);
        Progress::Died
    }

    /// The zombie in `outer` is to take apart an object in which only the zombie in `inner` is left. The object dies,
    /// and the zombie moves up into its place.
    pub fn collapse(&mut self, x: &A, outer: &A::Slot, inner: &A::Slot) -> Outcome {
        let both = x.and(self.is(x, outer, Kind::Zombie), self.is(x, inner, Kind::Zombie));
        if x.decide(x.not(both)) {
            return Err(Refusal::Illegal);
        }
        let object = x.at(&self.object, outer);
        let is_inside =
            x.and(x.same_object(&x.home(inner), &object), x.not(x.same_object(&x.home(outer), &object)));
        if x.decide(x.not(is_inside)) {
            return Err(Refusal::Illegal);
        }
        let more = x.find(&|slot| {
            let in_it = x.same_object(&x.home(slot), &object);
            x.and(x.and(in_it, x.not(self.is_empty(x, slot))), x.not(x.same_slot(slot, inner)))
        });
        if more.is_some() {
            return Err(Refusal::HasChildren);
        }
        self.let_go(x, &object);
        self.set_live(x, &object, &x.kind(Kind::Null));
        self.clear(x, outer);
        self.exchange(x, inner, outer);
        Ok(())
    }

    /// Whether an object is one that does not die at once.
    pub fn is_taken_apart(&self, x: &A, object: &A::Object) -> A::Bool {
        one_of(x, &x.of(&self.live, object), &[Kind::CNode, Kind::Tcb, Kind::Endpoint, Kind::Notification])
    }

    /// One step of revoking what is in `slot`: something that is below it, to be deleted next; none if nothing is.
    pub fn revoke(&self, x: &A, slot: &A::Slot) -> Option<A::Slot> {
        x.find(&|lower| self.is_below(x, slot, lower))
    }

    /// A dying object, if it is a reply object or a thread, leaves nobody behind who waits for it.
    fn let_go(&mut self, x: &A, object: &A::Object) {
        let live = x.of(&self.live, object);
        if x.decide(one_of(x, &live, &[Kind::Reply])) {
            self.disconnect(x, object);
        } else if x.decide(one_of(x, &live, &[Kind::Tcb])) {
            let reply = x.of(&self.awaits, object);
            self.disconnect(x, &reply);
        }
    }
}
