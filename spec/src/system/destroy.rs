// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deleting and revoking, and what becomes of everybody who had to do with an object that dies (`semantics.md` §4).

use super::{NotCovered, System};
use crate::algebra::{Algebra, Kind};
use crate::authority::delete::Progress;
use crate::concrete::{Object, Slot};

impl System {
    /// Deletes the capability in `slot`, and the object if it was the last one to it, with all that was in that.
    pub(super) fn delete(&mut self, slot: Slot) -> Result<(), NotCovered> {
        let mut work = vec![slot];
        while let Some(&slot) = work.last() {
            let cap = self.cap(&slot);
            let is_last = !self.has_other(slot, cap.object);
            if cap.kind == Kind::Frame {
                // Not only the last one: a frame is mapped on behalf of one capability.
                self.unmap(&cap);
            }
            if cap.kind != Kind::Null && is_last {
                self.before_death(&cap);
            }
            match self.authority.delete(&self.x, &slot) {
                Progress::Done => drop(work.pop()),
                Progress::Died => {
                    self.after_death(cap.object);
                    work.pop();
                }
                Progress::Zombie => {}
                Progress::Inside(inside) if work.contains(&inside) => {
                    // A circle: this object's last slot holds what is being deleted further up.
                    return Err(NotCovered("objects that hold each other in a circle"));
                }
                Progress::Inside(inside) => work.push(inside),
            }
        }
        Ok(())
    }

    /// Deletes everything below the capability in `slot`.
    pub(super) fn revoke(&mut self, slot: Slot) -> Result<(), NotCovered> {
        while let Some(lower) = self.authority.revoke(&self.x, &slot) {
            self.delete(lower)?;
        }
        Ok(())
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
            Kind::Endpoint => {
                for waiting in self.endpoints[&object].queue.clone() {
                    self.stop_waiting(waiting);
                }
            }
            Kind::Notification => {
                if let Some(thread) = self.notifications[&object].thread {
                    self.unbind_notification(thread);
                }
                if let Some(context) = self.notifications[&object].context {
                    self.unbind_from_notification(context);
                }
                for waiting in self.notifications[&object].queue.clone() {
                    self.stop_waiting(waiting);
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

    fn after_death(&mut self, object: Object) {
        if self.threads.remove(&object).is_some() && self.current == Some(object) {
            self.current = None;
        }
        self.endpoints.remove(&object);
        self.notifications.remove(&object);
        self.contexts.remove(&object);
        if let Object::Irq(irq) = object {
            self.interrupts.held.remove(&irq);
        }
    }
}
