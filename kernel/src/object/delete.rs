// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deleting and revoking: taking capabilities away, and objects apart when their last capability goes.
//!
//! All of it happens in bounded units ([`Kernel::delete_unit`]), between which the caller may be preempted. An
//! object that takes more than one unit to die leaves a *zombie* in the slot of its last capability: it names
//! what is left to be done and can be used for nothing else. Whoever deletes the slot, or revokes an ancestor of
//! the capability that was there, goes on with it.
//!
//! CNodes and TCBs are *containers*: they die slot by slot, from the last to the first. A slot may hold the last
//! capability to another container, and so on to any depth, and containers may hold each other in a circle. There
//! is no recursion and no stack for this. The end slot E of the container N that is being taken apart serves as
//! the place of work for all that hangs below it; the way back is kept in the first slots of the containers on
//! the way (pointer reversal):
//!
//! ```text
//!    S: Zombie(N) ----> N[0] ... E = N[n-1]: Zombie(M) ----> M[0], ... F = M[m-1]: Zombie(J) ---> J[0] = x ...
//!
//!  becomes (push J):
//!
//!    S: Zombie(N) ----> N[0] ... E: Zombie(J) ----> J[0]: Zombie(M) ----> M[0], ... M[m-1] = x
//! ```
//!
//! When M has one slot left and that holds a zombie, M dies and the zombie moves up into E (pop).
//!
//! Invariants:
//! - **Z1** For each dying container there is exactly one zombie, and no other capability to it. So the dying
//!   containers with the slots that refer to them form trees and circles, nothing else.
//! - **Z2** A zombie keeps the place in the derivation tree of the capability it was. So an untyped has children
//!   until every object in it is completely dead, and revoking it finds each of them.
//! - **Z3** A dying container has at least one slot left, up to the unit in which that is found empty.
//! - **Z4** No unit but a push leaves the number of capabilities plus containers plus uncleared slots unchanged, and
//!   between two others there are at most as many pushes as there are containers: each makes a container the top
//!   of the chain at E that was not in the chain before, and only a pop removes one from it. So deletion ends, also
//!   when it is preempted after each unit and when several threads work on different zombies of one circle.
//!
//! Bound: a unit touches at most four slots and their neighbours in the derivation tree, or finalises one object
//! in constant or logarithmic time.

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{Cap, ZombieCap, ZombieKind, tag};
use crate::cdt;
use crate::cspace::Slot;
use crate::invocation::Preempted;
use crate::object::tcb::{TCB_SLOTS, TcbSlot};
use crate::object::{Notification, Tcb};
use crate::store::{Kind, Ref};

/// Whether a slot needs more units.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// There is more to do.
    More,
    /// The slot is empty, or was part of what died.
    Done,
}

impl<A: Arch> Kernel<A> {
    /// Deletes the capability in `slot`, and the object if it was the last one to it.
    pub fn delete_slot(&mut self, slot: Ref<Slot>) -> Result<(), Preempted> {
        // Bounded by Z4; preemptible after each unit.
        while self.delete_unit(slot) == Progress::More {
            self.preemption_point()?;
        }
        Ok(())
    }

    /// Deletes all descendants of the capability in `slot`.
    ///
    /// If that takes away the capability in `slot` itself, because its slot lay in an object among its
    /// descendants, there are no descendants any more and the work ends; what was being taken apart stays a zombie.
    pub fn revoke(&mut self, slot: Ref<Slot>) -> Result<(), Preempted> {
        // Bounded by Z4 for each descendant; preemptible after each unit.
        while let Some(child) = cdt::first_child(&self.store, slot) {
            let _ = self.delete_unit(child);
            self.preemption_point()?;
        }
        Ok(())
    }

    /// One unit of deleting what is in `slot`.
    #[inline(never)]
    pub fn delete_unit(&mut self, slot: Ref<Slot>) -> Progress {
        match self.store[slot].raw.tag() {
            tag::ZOMBIE => self.zombie_unit(slot),
            _ => self.ordinary_unit(slot),
        }
    }

    /// Whether an object dies with what is in `slot`, or is dying: all other deletions are short.
    pub fn is_last(&self, slot: Ref<Slot>) -> bool {
        match self.store[slot].raw.tag() {
            tag::NULL => false,
            tag::ZOMBIE => true,
            _ => cdt::is_final(&self.store, slot),
        }
    }

    /// Deletes what is in `slot`, with which no object dies.
    pub fn delete_copy(&mut self, slot: Ref<Slot>) {
        let _ = match self.store[slot].raw.tag() {
            tag::NULL => Progress::Done,
            tag::FRAME => self.forget_frame(slot),
            _ => self.remove(slot),
        };
    }

    /// One unit of deleting what is in `slot`, which is no zombie.
    #[inline(always)]
    fn ordinary_unit(&mut self, slot: Ref<Slot>) -> Progress {
        match self.store[slot].raw.tag() {
            tag::NULL => Progress::Done,
            _ if cdt::is_final(&self.store, slot) => self.finalise(slot),
            tag::FRAME => self.forget_frame(slot),
            _ => self.remove(slot),
        }
    }

    /// Deletes a frame's capability in `slot` that is not the last one.
    fn forget_frame(&mut self, slot: Ref<Slot>) -> Progress {
        if let Cap::Frame(frame) = self.store[slot].cap() {
            self.finalise_frame(&frame, false);
        }
        self.remove(slot)
    }

    /// One unit of what the zombie in `slot` has left.
    #[inline(never)]
    fn zombie_unit(&mut self, slot: Ref<Slot>) -> Progress {
        match self.store[slot].cap() {
            Cap::Zombie(zombie) if is_container(zombie) => self.container_unit(slot, zombie),
            Cap::Zombie(zombie) => self.queue_unit(slot, zombie),
            _ => Progress::Done,
        }
    }

    /// Takes the capability out of `slot`; that is all there is to do.
    fn remove(&mut self, slot: Ref<Slot>) -> Progress {
        cdt::remove(&mut self.store, slot);
        Progress::Done
    }

    /// The last capability to an object, in `slot`, goes.
    #[inline(never)]
    fn finalise(&mut self, slot: Ref<Slot>) -> Progress {
        match self.store[slot].cap() {
            Cap::Endpoint(c) => {
                let zombie = self.become_zombie(slot, c.object, ZombieKind::Endpoint, 0);
                return self.queue_unit(slot, zombie);
            }
            Cap::Notification(c) => return self.finalise_notification(slot, c.object),
            Cap::Tcb(tcb) => {
                self.dissolve_tcb(tcb);
                self.become_zombie(slot, tcb, ZombieKind::Tcb, TCB_SLOTS);
                return Progress::More;
            }
            Cap::CNode(c) => {
                self.become_zombie(slot, c.slots, ZombieKind::CNode { radix: c.radix }, 1 << c.radix);
                return Progress::More;
            }
            Cap::AsidPool { pool, base } => self.finalise_asid_pool(pool, base),
            Cap::IrqHandler(irq) => {
                // The notification's slot first: its deletion may take several units.
                let notification = self.interrupts.slot(irq);
                if notification.is_some_and(|slot| self.notification_unit(slot) == Progress::More) {
                    return Progress::More;
                }
                self.finalise_irq_handler(irq);
            }
            Cap::Reply { object, .. } => {
                self.finalise_reply(object);
                self.store.destroyed(Kind::Reply, object.address());
            }
            Cap::SchedContext { object, .. } => {
                self.finalise_sched_context(object);
                self.store.destroyed(Kind::SchedContext, object.address());
            }
            Cap::Frame(frame) => self.finalise_frame(&frame, true),
            Cap::Table(table) => self.finalise_table(&table),
            Cap::VSpace(vspace) => self.finalise_vspace(&vspace),
            Cap::Machine(raw) => self.arch.finalise(raw),
            Cap::Null
            | Cap::Zombie(_)
            | Cap::Untyped(_)
            | Cap::SchedControl { .. }
            | Cap::DomainSet
            | Cap::IrqControl
            | Cap::AsidControl => {}
        }
        self.remove(slot)
    }

    /// Deletes what is in the slot of an interrupt's notification.
    pub fn delete_notification(&mut self, slot: Ref<Slot>) -> Result<(), Preempted> {
        // Bounded by Z4; preemptible after each unit.
        while self.notification_unit(slot) == Progress::More {
            self.preemption_point()?;
        }
        Ok(())
    }

    /// One unit of deleting what is in the slot of an interrupt's notification: a capability to one, or its zombie.
    #[inline(never)]
    fn notification_unit(&mut self, slot: Ref<Slot>) -> Progress {
        match self.store[slot].cap() {
            Cap::Zombie(zombie) => self.queue_unit(slot, zombie),
            Cap::Notification(c) if cdt::is_final(&self.store, slot) => {
                self.finalise_notification(slot, c.object)
            }
            Cap::Null => Progress::Done,
            _ => self.remove(slot),
        }
    }

    /// The last capability to `notification`, in `slot`, goes.
    fn finalise_notification(&mut self, slot: Ref<Slot>, notification: Ref<Notification>) -> Progress {
        self.dissolve_notification(notification);
        let zombie = self.become_zombie(slot, notification, ZombieKind::Notification, 0);
        self.queue_unit(slot, zombie)
    }

    /// The capability in `slot`, the last to `object`, becomes a zombie of this kind.
    fn become_zombie<T>(
        &mut self,
        slot: Ref<Slot>,
        object: Ref<T>,
        kind: ZombieKind,
        left: u64,
    ) -> ZombieCap {
        let zombie = ZombieCap { object: object.address(), kind, left };
        self.store[slot].raw = Cap::Zombie(zombie).into();
        zombie
    }

    /// One unit of an endpoint's or a notification's death: a thread that waits there goes, or there is none left.
    fn queue_unit(&mut self, slot: Ref<Slot>, zombie: ZombieCap) -> Progress {
        let more = match zombie.kind {
            ZombieKind::Endpoint => object_of(zombie).is_some_and(|endpoint| self.drain_endpoint(endpoint)),
            ZombieKind::Notification => {
                object_of(zombie).is_some_and(|notification| self.drain_notification(notification))
            }
            ZombieKind::Tcb | ZombieKind::CNode { .. } => true,
        };
        if more {
            return Progress::More;
        }
        self.bury(slot, zombie)
    }

    /// Nothing is left of the zombie in `slot`: its object is dead.
    fn bury(&mut self, slot: Ref<Slot>, zombie: ZombieCap) -> Progress {
        cdt::remove(&mut self.store, slot);
        self.object_died(zombie);
        Progress::Done
    }

    /// What was a zombie's object is plain memory from now on.
    fn object_died(&mut self, zombie: ZombieCap) {
        let kind = match zombie.kind {
            ZombieKind::Tcb => {
                if let Some(tcb) = object_of(zombie) {
                    self.forget_thread(tcb);
                }
                Kind::Tcb
            }
            ZombieKind::CNode { .. } => Kind::Slots,
            ZombieKind::Endpoint => Kind::Endpoint,
            ZombieKind::Notification => Kind::Notification,
        };
        self.store.destroyed(kind, zombie.object);
    }

    /// One unit of the container N whose zombie is in `slot` (S of the module's picture).
    fn container_unit(&mut self, slot: Ref<Slot>, zombie: ZombieCap) -> Progress {
        let Some((end, first)) = ends(zombie) else { return self.bury(slot, zombie) };
        if end == slot {
            // The zombie's own slot lies in what it takes apart: it goes last.
            if zombie.left == 1 {
                return self.bury(slot, zombie);
            }
            self.exchange(slot, first);
            return Progress::More;
        }
        match self.store[end].cap() {
            Cap::Null => return self.pass_slot(slot, zombie),
            Cap::Zombie(inner) if is_container(inner) => {
                if zombie.left == 1 {
                    self.pop(slot, zombie, end);
                } else {
                    return self.nested_unit(slot, end, inner);
                }
            }
            Cap::Zombie(queue) => drop(self.queue_unit(end, queue)),
            _ => self.clear_slot(slot, zombie, end),
        }
        Progress::More
    }

    /// One unit of the container M whose zombie is in `end`, the end slot of a container whose zombie is in `slot`.
    fn nested_unit(&mut self, slot: Ref<Slot>, end: Ref<Slot>, zombie: ZombieCap) -> Progress {
        let Some((inner_end, _)) = ends(zombie) else { return Progress::More };
        match self.store[inner_end].cap() {
            Cap::Null => drop(self.pass_slot(end, zombie)),
            Cap::Zombie(inner) if is_container(inner) => {
                if zombie.left == 1 {
                    self.pop(end, zombie, inner_end);
                    // In a circle the slot itself may have been in what has died.
                    return if inner_end == slot { Progress::Done } else { Progress::More };
                }
                self.push(end, inner_end, inner);
            }
            Cap::Zombie(queue) => drop(self.queue_unit(inner_end, queue)),
            _ => self.clear_slot(end, zombie, inner_end),
        }
        Progress::More
    }

    /// The end slot of the container of `zombie`, in `slot`, is empty: the one before it is next. If there is none the
    /// container is dead.
    fn pass_slot(&mut self, slot: Ref<Slot>, zombie: ZombieCap) -> Progress {
        if zombie.left == 1 {
            return self.bury(slot, zombie);
        }
        self.set_left(slot, zombie, zombie.left - 1);
        Progress::More
    }

    /// One unit of what is in `end`, the end slot of the container of `zombie`, in `slot`; it is no zombie.
    fn clear_slot(&mut self, slot: Ref<Slot>, zombie: ZombieCap, end: Ref<Slot>) {
        // The container's own death, behind its last slot, is another unit.
        if self.ordinary_unit(end) == Progress::Done && zombie.left > 1 {
            self.set_left(slot, zombie, zombie.left - 1);
        }
    }

    /// The container of `zombie`, in `slot`, has only its slot `last` left, which holds a zombie: that takes the
    /// place in `slot`, and the container is dead.
    fn pop(&mut self, slot: Ref<Slot>, zombie: ZombieCap, last: Ref<Slot>) {
        cdt::remove(&mut self.store, slot);
        let raw = self.store[last].raw;
        cdt::move_slot(&mut self.store, raw, last, slot);
        self.object_died(zombie);
    }

    /// Makes `inner`, whose zombie is in `inner_end`, the top of the chain at `end`: the zombie that was there goes
    /// to its first slot, and what was in that one goes to `inner_end`.
    fn push(&mut self, end: Ref<Slot>, inner_end: Ref<Slot>, inner: ZombieCap) {
        self.exchange(end, inner_end);
        if let Some((_, first)) = ends(inner) {
            self.exchange(inner_end, first);
        }
    }

    /// Exchanges what is in two slots; one may be empty.
    fn exchange(&mut self, a: Ref<Slot>, b: Ref<Slot>) {
        let (raw_a, raw_b) = (self.store[a].raw, self.store[b].raw);
        cdt::swap(&mut self.store, raw_a, a, raw_b, b);
    }

    /// Notes how much is left to do for the zombie in `slot`.
    fn set_left(&mut self, slot: Ref<Slot>, zombie: ZombieCap, left: u64) {
        self.store[slot].raw = Cap::Zombie(ZombieCap { left, ..zombie }).into();
    }

    /// Takes a dying thread out of everything but its slots.
    fn dissolve_tcb(&mut self, tcb: Ref<Tcb>) {
        self.unbind_notification(tcb);
        self.suspend(tcb);
        if let Some(context) = self.store[tcb].sched_context {
            self.sc_complete_yield_to_context(context);
            self.sc_detach(context, tcb);
        }
        self.arch.release_fpu(&mut self.store, tcb);
    }

    /// Takes a dying notification out of everything but its queue.
    fn dissolve_notification(&mut self, notification: Ref<Notification>) {
        if let Some(tcb) = self.store[notification].bound_tcb {
            self.unbind_notification(tcb);
        }
        if let Some(context) = self.store[notification].sched_context {
            self.sc_unbind_notification(context);
        }
    }
}

/// The object of a zombie.
fn object_of<T>(zombie: ZombieCap) -> Option<Ref<T>> {
    Ref::at(zombie.object)
}

/// Whether what dies has slots.
const fn is_container(zombie: ZombieCap) -> bool {
    matches!(zombie.kind, ZombieKind::Tcb | ZombieKind::CNode { .. })
}

/// The last slot that is left of a container, and its first one.
fn ends(zombie: ZombieCap) -> Option<(Ref<Slot>, Ref<Slot>)> {
    let first = match zombie.kind {
        ZombieKind::Tcb => object_of::<Tcb>(zombie)?.slot(TcbSlot::CSpace),
        _ => object_of::<Slot>(zombie)?,
    };
    Some((first.nth(zombie.left.checked_sub(1)?), first))
}

#[cfg(test)]
mod test;
