// SPDX-License-Identifier: MIT OR Apache-2.0

//! Who may do what: capabilities, how they are derived from each other, and the objects and memory that they name.
//!
//! This is the part of the specification that is proved about. It is written over an [`Algebra`] and has two readings;
//! the executable specification ([`crate::system`]) runs exactly these steps.
//!
//! The state is a set of maps. A *slot* is a place for a capability and lies in an object, its *home*: a CNode, a
//! thread, or an interrupt handler. A capability names an object and says what it allows. Every capability has a place
//! in the derivation tree: the capability it was derived from is its *parent*, if that one is *original*; copies of a
//! copy are siblings. Untyped memory is an object too, in which others lie.
//!
//! Everything that happens is a sequence of the *steps* in the files below. Each step is bounded and loop-free: it
//! looks at a few slots, decides, and writes a few. After each, all the theorems of [`crate::theorems`] hold: an
//! operation that is interrupted between two of its steps leaves nothing undone that matters.
//!
//! | file | steps |
//! |---|---|
//! | [`mod@derive`] | copy, mint, move, mutate, exchange |
//! | [`memory`] | reset and retype of untyped memory, making interrupt handlers, what is mapped where |
//! | [`delete`] | removing a capability, taking an object apart, revoking |
//! | [`message`] | a capability in a message, a call and its one answer |

pub mod delete;
pub mod derive;
pub mod memory;
pub mod message;

use crate::algebra::{Algebra, Kind};

/// A capability.
pub struct Cap<A: Algebra> {
    /// What kind it is; [`Kind::Null`] for none.
    pub kind: A::Kind,
    /// What it names.
    pub object: A::Object,
    /// Badge of an endpoint or a notification, guard of a CNode, mapping of a frame, a table or an address space.
    pub data: A::Data,
    /// What it allows. Kinds that know no rights have all of them.
    pub rights: A::Rights,
    /// Of untyped memory: how many bytes from its start on have been given away.
    pub watermark: A::Number,
}

impl<A: Algebra> Clone for Cap<A> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            object: self.object.clone(),
            data: self.data.clone(),
            rights: self.rights.clone(),
            watermark: self.watermark.clone(),
        }
    }
}

/// The state of authority.
pub struct Authority<A: Algebra> {
    /// Of the capability in a slot: its kind.
    pub kind: A::KindAt,
    /// What it names.
    pub object: A::ObjectAt,
    /// Its data word.
    pub data: A::DataAt,
    /// Its rights.
    pub rights: A::RightsAt,
    /// Its watermark.
    pub watermark: A::NumberAt,
    /// Whether it may have children.
    pub original: A::BoolAt,
    /// What it was derived from.
    pub parent: A::SlotAt,
    /// What is below what.
    pub descent: A::Descent,
    /// Of an object: its kind, [`Kind::Null`] if it is not alive.
    pub live: A::KindOf,
    /// Where its memory starts.
    pub start: A::NumberOf,
    /// How much it has; 0 for objects that have none.
    pub bytes: A::NumberOf,
    /// A slot with a capability to it.
    pub holder: A::SlotOf,
    /// Of a reply object: the thread that waits for the answer.
    pub caller: A::ObjectOf,
    /// Of a thread: the reply object through which it will be answered.
    pub awaits: A::ObjectOf,
    /// Of a thread: the endpoint of which it receives a message now.
    pub receives: A::ObjectOf,
}

impl<A: Algebra> Clone for Authority<A> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind.clone(),
            object: self.object.clone(),
            data: self.data.clone(),
            rights: self.rights.clone(),
            watermark: self.watermark.clone(),
            original: self.original.clone(),
            parent: self.parent.clone(),
            descent: self.descent.clone(),
            live: self.live.clone(),
            start: self.start.clone(),
            bytes: self.bytes.clone(),
            holder: self.holder.clone(),
            caller: self.caller.clone(),
            awaits: self.awaits.clone(),
            receives: self.receives.clone(),
        }
    }
}

/// Why a step is refused; nothing has changed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Refusal {
    /// There is no capability in the source.
    Missing,
    /// There is one in the target.
    Occupied,
    /// The target lies in nothing that is alive.
    NoSuchSlot,
    /// Not possible for such a capability.
    Illegal,
    /// It has children.
    HasChildren,
    /// There is too little memory.
    NotEnoughMemory,
    /// The capability does not allow it.
    Forbidden,
}

/// How a step ends.
pub type Outcome<T = ()> = Result<T, Refusal>;

// --- reading -------------------------------------------------------------------------------------------------------

impl<A: Algebra> Authority<A> {
    /// The capability in a slot.
    pub fn cap(&self, x: &A, slot: &A::Slot) -> Cap<A> {
        Cap {
            kind: x.at(&self.kind, slot),
            object: x.at(&self.object, slot),
            data: x.at(&self.data, slot),
            rights: x.at(&self.rights, slot),
            watermark: x.at(&self.watermark, slot),
        }
    }

    /// Whether the capability in a slot is of a kind.
    pub fn is(&self, x: &A, slot: &A::Slot, kind: Kind) -> A::Bool {
        x.same_kind(&x.at(&self.kind, slot), &x.kind(kind))
    }

    /// Whether there is no capability in a slot.
    pub fn is_empty(&self, x: &A, slot: &A::Slot) -> A::Bool {
        self.is(x, slot, Kind::Null)
    }

    /// Whether a capability is in both slots and they are to the same object.
    pub fn same_object(&self, x: &A, a: &A::Slot, b: &A::Slot) -> A::Bool {
        let both = x.and(x.not(self.is_empty(x, a)), x.not(self.is_empty(x, b)));
        x.and(both, x.same_object(&x.at(&self.object, a), &x.at(&self.object, b)))
    }

    /// Whether an object is alive.
    pub fn is_live(&self, x: &A, object: &A::Object) -> A::Bool {
        x.not(x.same_kind(&x.of(&self.live, object), &x.kind(Kind::Null)))
    }

    /// Whether an object is one that slots lie in, and alive.
    pub fn is_home(&self, x: &A, object: &A::Object) -> A::Bool {
        one_of(x, &x.of(&self.live, object), &[Kind::CNode, Kind::Tcb, Kind::IrqHandler])
    }

    /// Whether `lower` is below `upper` in the derivation tree.
    pub fn is_below(&self, x: &A, upper: &A::Slot, lower: &A::Slot) -> A::Bool {
        x.is_below(&self.descent, &self.parent, upper, lower)
    }
}

/// Whether `kind` is one of these.
pub fn one_of<A: Algebra>(x: &A, kind: &A::Kind, kinds: &[Kind]) -> A::Bool {
    kinds.iter().fold(x.truth(false), |found, &one| x.or(found, x.same_kind(kind, &x.kind(one))))
}

// --- writing -------------------------------------------------------------------------------------------------------

impl<A: Algebra> Authority<A> {
    /// Puts a capability into a slot; its place in the tree is another matter.
    #[track_caller]
    pub(crate) fn write(&mut self, x: &A, slot: &A::Slot, cap: Cap<A>) {
        if x.writes() {
            x.put(&mut self.kind, slot, cap.kind);
            x.put(&mut self.object, slot, cap.object);
            x.put(&mut self.data, slot, cap.data);
            x.put(&mut self.rights, slot, cap.rights);
            x.put(&mut self.watermark, slot, cap.watermark);
        }
    }

    /// Gives a new capability its place in the tree: below `parent`, which may be none.
    pub(crate) fn plant(&mut self, x: &A, slot: &A::Slot, parent: &A::Slot, original: A::Bool) {
        if x.writes() {
            x.put(&mut self.original, slot, original);
            x.put(&mut self.parent, slot, parent.clone());
            x.descent_add(&mut self.descent, slot, parent);
        }
    }

    /// Takes a capability out of its slot and out of the tree. Its children become its parent's.
    pub(crate) fn clear(&mut self, x: &A, slot: &A::Slot) {
        if x.writes() {
            x.put(&mut self.kind, slot, x.kind(Kind::Null));
        }
        if x.writes() {
            let parent = x.at(&self.parent, slot);
            x.rename_values(&mut self.parent, slot, &parent);
            x.put(&mut self.parent, slot, x.no_slot());
            x.descent_remove(&mut self.descent, slot);
        }
    }

    /// Sets what kind of object lives.
    #[track_caller]
    pub(crate) fn set_live(&mut self, x: &A, object: &A::Object, kind: &A::Kind) {
        if x.writes() {
            x.set(&mut self.live, object, kind.clone());
        }
    }

    /// Notes a slot with a capability to an object.
    #[track_caller]
    pub(crate) fn set_holder(&mut self, x: &A, object: &A::Object, slot: &A::Slot) {
        if x.writes() {
            x.set(&mut self.holder, object, slot.clone());
        }
    }
}
