// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deleting and revoking, and what becomes of everybody who had to do with an object that dies (`semantics.md` §4).
//!
//! All of it happens in units, before each of which the operation can be interrupted ([`System::pause`]); it is then
//! made again, and goes on with what it finds. A unit is one or two steps of [`crate::authority::delete`].
//!
//! What has slots in it is taken apart from its last slot to its first. The last slot in use, the *end*, is the place
//! of work for all that hangs below: if a zombie stands there, what that names is taken apart next, and if a third one
//! stands at the end of that, it comes to the place of work, and the second one waits in its first slot. So there is
//! nothing to remember but the zombie at the top, however deep things are nested; and it does not matter if they hold
//! each other in a circle.
//!
//! ```text
//!    top: zombie of N ---> N's end: zombie of M ---> M's end: zombie of J ---> J's first slot: x
//!
//!  becomes
//!
//!    top: zombie of N ---> N's end: zombie of J ---> J's first slot: zombie of M ---> M's end: x
//! ```

use super::System;
use crate::algebra::{Algebra, Kind};
use crate::authority::delete::Progress;
use crate::concrete::{Object, Slot};

/// An operation was interrupted between two of its units, and is made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Preempted;

/// Whether a slot needs more units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rest {
    /// There is more to do.
    Something,
    /// The slot is empty, or was part of what died.
    Nothing,
}

impl System {
    /// A unit of a long operation begins, or its end has come: unless it is interrupted here, or finds that time is up.
    pub(super) fn pause(&mut self) -> Result<(), Preempted> {
        let Some(look) = &mut self.look else { return Ok(()) };
        if look.units > 0 {
            look.units -= 1;
            return Ok(());
        }
        let (now, stops) = (look.now, look.stops);
        (self.clock.now, self.look) = (now, None);
        if stops || self.budget_is_over() || self.domain_is_over() { Err(Preempted) } else { Ok(()) }
    }

    /// Deletes the capability in `slot`, and the object if it was the last one to it, with all that was in that.
    pub(super) fn delete(&mut self, slot: Slot) -> Result<(), Preempted> {
        loop {
            self.pause()?;
            if self.unit(slot) == Rest::Nothing {
                return Ok(());
            }
        }
    }

    /// Deletes everything below the capability in `slot`.
    pub(super) fn revoke(&mut self, slot: Slot) -> Result<(), Preempted> {
        while let Some(lower) = self.authority.revoke(&self.x, &slot) {
            self.pause()?;
            self.unit(lower);
        }
        self.pause()
    }

    /// One unit of deleting what is in `slot`.
    fn unit(&mut self, slot: Slot) -> Rest {
        match self.dying_container(slot) {
            Some(object) => self.take_apart(slot, object),
            None => self.plain_unit(slot),
        }
    }

    /// One unit of deleting what is in `slot`, which is no zombie of something with slots in it.
    fn plain_unit(&mut self, slot: Slot) -> Rest {
        let cap = self.cap(&slot);
        if cap.kind == Kind::Zombie {
            return self.drain(slot, cap.object);
        }
        if cap.kind == Kind::Frame {
            // Not only the last one: a frame is mapped on behalf of one capability.
            self.unmap(&cap);
        }
        if cap.kind != Kind::Null && cap.kind != Kind::IrqHandler && !self.has_other(slot, cap.object) {
            self.before_death(&cap);
        }
        match self.authority.delete(&self.x, &slot) {
            Progress::Done => Rest::Nothing,
            Progress::Died => self.after_death(cap.object),
            Progress::Zombie if matches!(cap.kind, Kind::Tcb | Kind::CNode) => Rest::Something,
            Progress::Zombie => self.drain(slot, cap.object),
            // The notification of an interrupt's handler.
            Progress::Inside(inside) => match self.unit(inside) {
                Rest::Something => Rest::Something,
                Rest::Nothing => self.plain_unit(slot),
            },
        }
    }

    /// One unit of the death of an endpoint or a notification, whose zombie is in `slot`: a thread that waits there
    /// goes, or there is none left.
    fn drain(&mut self, slot: Slot, object: Object) -> Rest {
        if let Some(endpoint) = self.endpoints.get_mut(&object) {
            endpoint.cancelling = None;
        }
        let of_endpoint = self.endpoints.get(&object).and_then(|endpoint| endpoint.queue.first());
        let of_notification = self.notifications.get(&object).and_then(|at| at.queue.first());
        match of_endpoint.or(of_notification).copied() {
            Some(first) => {
                self.stop_waiting(first);
                Rest::Something
            }
            None => self.bury(slot),
        }
    }

    /// One unit of taking apart `object`, whose zombie is in `slot`.
    fn take_apart(&mut self, slot: Slot, object: Object) -> Rest {
        let Some(end) = self.end_of(object) else { return self.bury(slot) };
        if end == slot {
            // The zombie lies in what it names: it goes last.
            if end.index == 0 {
                return self.bury(slot);
            }
            self.trade(slot, Slot { home: object, index: 0 });
        } else {
            match self.dying_container(end) {
                None => drop(self.plain_unit(end)),
                Some(_) if end.index == 0 => self.collapse(slot, end),
                Some(inner) => return self.take_apart_below(slot, end, inner),
            }
        }
        Rest::Something
    }

    /// One unit of taking apart `object`, whose zombie is at the place of work, `place`, for the zombie in `top`.
    fn take_apart_below(&mut self, top: Slot, place: Slot, object: Object) -> Rest {
        let Some(end) = self.end_of(object) else {
            self.bury(place);
            return Rest::Something;
        };
        match self.dying_container(end) {
            None => drop(self.plain_unit(end)),
            Some(_) if end.index == 0 => {
                self.collapse(place, end);
                // In a circle, the top may have been in what has died.
                return if end == top { Rest::Nothing } else { Rest::Something };
            }
            Some(inner) => {
                self.trade(place, end);
                self.trade(end, Slot { home: inner, index: 0 });
            }
        }
        Rest::Something
    }

    /// What the zombie in `slot` names, if that has slots in it.
    fn dying_container(&self, slot: Slot) -> Option<Object> {
        let cap = self.cap(&slot);
        let has_slots = cap.kind == Kind::Zombie && self.authority.is_home(&self.x, &cap.object);
        has_slots.then_some(cap.object)
    }

    /// The last slot of an object with something in it.
    fn end_of(&self, object: Object) -> Option<Slot> {
        let is_in_use = |slot: &Slot| slot.home == object && self.cap(slot).kind != Kind::Null;
        self.x.slots().into_iter().rfind(is_in_use)
    }

    /// The zombie in `slot` has nothing left to do.
    fn bury(&mut self, slot: Slot) -> Rest {
        let object = self.cap(&slot).object;
        let progress = self.authority.delete(&self.x, &slot);
        assert_eq!(progress, Progress::Died, "nothing is left in it");
        self.after_death(object)
    }

    /// Only the zombie in `inner` is left in the object of that in `outer`, and takes its place.
    fn collapse(&mut self, outer: Slot, inner: Slot) {
        let object = self.cap(&outer).object;
        self.authority.collapse(&self.x, &outer, &inner).expect("only the inner one is left");
        self.after_death(object);
    }

    /// Exchanges what is in `from`, which is something, and in `to`.
    fn trade(&mut self, from: Slot, to: Slot) {
        let is_free = self.cap(&to).kind == Kind::Null;
        let traded = if is_free {
            self.authority.move_to(&self.x, &from, &to, None)
        } else {
            self.authority.swap(&self.x, &from, &to)
        };
        traded.expect("a zombie can be moved");
    }

    /// Whether another slot than `slot` has a capability to `object`.
    pub(super) fn has_other(&self, slot: Slot, object: Object) -> bool {
        let is_other = |other: &Slot| {
            let cap = self.cap(other);
            *other != slot && cap.kind != Kind::Null && cap.object == object
        };
        self.x.find(&is_other).is_some()
    }

    /// The last capability to an object goes: whoever has to do with it is told.
    fn before_death(&mut self, cap: &super::Cap) {
        let object = cap.object;
        match cap.kind {
            Kind::Notification => {
                if let Some(thread) = self.notifications[&object].thread {
                    self.unbind_notification(thread);
                }
                if let Some(context) = self.notifications[&object].context {
                    self.unbind_from_notification(context);
                }
            }
            Kind::Reply => {
                let caller = self.caller_of(object);
                if let Some(caller) = caller {
                    self.return_context(object, caller);
                }
                if let Some(user) = self.user_of_reply(object) {
                    self.cancel(user);
                }
            }
            Kind::SchedContext => {
                self.end_yield_to(object);
                self.unbind_context(object);
                if self.clock.context == Some(object) {
                    self.clock.context = None;
                }
            }
            Kind::Tcb => {
                self.unbind_notification(object);
                self.suspend(object);
                if let Some(context) = self.thread(object).context {
                    self.take_context(context);
                }
            }
            Kind::Table => self.unmap(cap),
            Kind::VSpace => self.end_space(cap),
            Kind::AsidPool => self.end_pool(object),
            _ => {}
        }
    }

    fn after_death(&mut self, object: Object) -> Rest {
        if self.threads.remove(&object).is_some() && self.current == Some(object) {
            self.current = None;
        }
        self.endpoints.remove(&object);
        self.notifications.remove(&object);
        self.contexts.remove(&object);
        if let Object::Irq(irq) = object {
            self.interrupts.held.remove(&irq);
        }
        Rest::Nothing
    }
}
