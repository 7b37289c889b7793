// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the authority part of the specification is written over: the operations that it needs on its values.
//!
//! One text has two readings. Read with [`crate::concrete::Concrete`], a slot is a number, a map is a map, and
//! [`Algebra::decide`] returns its argument: the text runs. Read with [`crate::theorems::symbolic::Symbolic`], a slot is
//! a term that stands for any slot, and the text is run once for each way its decisions can go; each run is a formula.
//!
//! Two operations go beyond those of a programming language:
//! - [`Algebra::find`] gives *some* slot with a property, or says that there is none in the whole system;
//! - the *descent* ("is below" in the derivation tree) is an operation of its own, so that no formula needs recursion.

/// The kinds of objects, as far as authority is concerned; also the kinds of capabilities, of which there are two more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Kind {
    /// No capability; of an object: not alive.
    #[default]
    Null,
    /// A range of memory of which objects can be made.
    Untyped,
    /// Where senders and receivers meet.
    Endpoint,
    /// A word of signals.
    Notification,
    /// The right to answer one call.
    Reply,
    /// A table of slots.
    CNode,
    /// A thread, with its own slots.
    Tcb,
    /// Processor time.
    SchedContext,
    /// Memory that can be mapped.
    Frame,
    /// A page table below the root.
    Table,
    /// The root of an address space.
    VSpace,
    /// A pool of address space identifiers.
    AsidPool,
    /// One interrupt, with a slot for the notification that it signals.
    IrqHandler,
    /// The authority to make interrupt handlers.
    IrqControl,
    /// An authority that is in no need of memory: over domains, a core's time, address space identifiers.
    Authority,
    /// A capability to an object that is being taken apart.
    Zombie,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Null,
        Self::Untyped,
        Self::Endpoint,
        Self::Notification,
        Self::Reply,
        Self::CNode,
        Self::Tcb,
        Self::SchedContext,
        Self::Frame,
        Self::Table,
        Self::VSpace,
        Self::AsidPool,
        Self::IrqHandler,
        Self::IrqControl,
        Self::Authority,
        Self::Zombie,
    ];
}

/// A set of rights, with the numbers of the interface's rights word.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Rights(pub u8);

impl Rights {
    /// Send, signal, or write.
    pub const WRITE: Self = Self(1);
    /// Receive, wait, or read.
    pub const READ: Self = Self(2);
    /// Pass capabilities on.
    pub const GRANT: Self = Self(4);
    /// Let the receiver answer.
    pub const GRANT_REPLY: Self = Self(8);
    /// Read and write.
    pub const READ_WRITE: Self = Self(3);
    /// All of them.
    pub const ALL: Self = Self(15);

    /// Whether all of `other` is in here.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A map that has a value for every key. `X` is the algebra that it belongs to.
pub trait Map<X: ?Sized, K, V>: Clone {
    /// The value for a key.
    fn get(&self, x: &X, key: &K) -> V;
    /// Changes it for one key.
    fn set(&mut self, x: &X, key: &K, value: V);
}

/// The operations that the authority part needs on its values.
pub trait Algebra: Sized {
    /// A truth value.
    type Bool: Clone;
    /// A place for a capability. It knows in which object it lies: [`Algebra::home`].
    type Slot: Clone;
    /// An object.
    type Object: Clone;
    /// A number of bytes.
    type Number: Clone;
    /// A data word: a badge, a guard.
    type Data: Clone;
    /// A set of rights.
    type Rights: Clone;
    /// A [`Kind`].
    type Kind: Clone;
    /// A kind for each slot.
    type KindAt: Map<Self, Self::Slot, Self::Kind>;
    /// An object for each slot.
    type ObjectAt: Map<Self, Self::Slot, Self::Object>;
    /// A data word for each slot.
    type DataAt: Map<Self, Self::Slot, Self::Data>;
    /// Rights for each slot.
    type RightsAt: Map<Self, Self::Slot, Self::Rights>;
    /// A number for each slot.
    type NumberAt: Map<Self, Self::Slot, Self::Number>;
    /// A set of slots.
    type BoolAt: Map<Self, Self::Slot, Self::Bool>;
    /// A slot for each slot.
    type SlotAt: Map<Self, Self::Slot, Self::Slot>;
    /// A kind for each object.
    type KindOf: Map<Self, Self::Object, Self::Kind>;
    /// A number for each object.
    type NumberOf: Map<Self, Self::Object, Self::Number>;
    /// A slot for each object.
    type SlotOf: Map<Self, Self::Object, Self::Slot>;
    /// An object for each object.
    type ObjectOf: Map<Self, Self::Object, Self::Object>;
    /// Which slots are below which in the derivation tree.
    type Descent: Clone;

    // --- deciding (the prover wants to know where) ---

    /// Which way to go on.
    #[track_caller]
    fn decide(&self, condition: Self::Bool) -> bool;
    /// A slot with a property, if there is one anywhere.
    #[track_caller]
    fn find(&self, property: &dyn Fn(&Self::Slot) -> Self::Bool) -> Option<Self::Slot>;
    /// Whether the write that comes next is to be done. Always, unless the prover breaks a step on purpose.
    #[track_caller]
    fn writes(&self) -> bool {
        true
    }

    // --- truth ---

    /// A constant.
    fn truth(&self, value: bool) -> Self::Bool;
    /// Negation.
    fn not(&self, a: Self::Bool) -> Self::Bool;
    /// Conjunction.
    fn and(&self, a: Self::Bool, b: Self::Bool) -> Self::Bool;
    /// Disjunction.
    fn or(&self, a: Self::Bool, b: Self::Bool) -> Self::Bool {
        self.not(self.and(self.not(a), self.not(b)))
    }
    /// Implication.
    fn implies(&self, a: Self::Bool, b: Self::Bool) -> Self::Bool {
        self.or(self.not(a), b)
    }

    // --- names ---

    /// Whether two slots are the same.
    fn same_slot(&self, a: &Self::Slot, b: &Self::Slot) -> Self::Bool;
    /// Whether two objects are the same.
    fn same_object(&self, a: &Self::Object, b: &Self::Object) -> Self::Bool;
    /// The object in which a slot lies.
    fn home(&self, slot: &Self::Slot) -> Self::Object;
    /// The slot that is none.
    fn no_slot(&self) -> Self::Slot;
    /// The object that is none.
    fn no_object(&self) -> Self::Object;
    /// A name for an object about to be made of `bytes` bytes at `start`.
    fn new_object(&self, kind: &Self::Kind, start: &Self::Number, bytes: &Self::Number) -> Self::Object;

    // --- values ---

    /// A constant kind.
    fn kind(&self, kind: Kind) -> Self::Kind;
    /// Whether two kinds are the same.
    fn same_kind(&self, a: &Self::Kind, b: &Self::Kind) -> Self::Bool;
    /// A constant set of rights.
    fn rights(&self, rights: Rights) -> Self::Rights;
    /// What is in both.
    #[track_caller]
    fn common_rights(&self, a: &Self::Rights, b: &Self::Rights) -> Self::Rights;
    /// Whether all of `inner` is in `outer`.
    fn within(&self, inner: &Self::Rights, outer: &Self::Rights) -> Self::Bool;
    /// The data word 0.
    fn no_data(&self) -> Self::Data;
    /// Whether two data words are the same.
    fn same_data(&self, a: &Self::Data, b: &Self::Data) -> Self::Bool;
    /// A constant number.
    fn number(&self, number: u64) -> Self::Number;
    /// A sum.
    fn plus(&self, a: &Self::Number, b: &Self::Number) -> Self::Number;
    /// Whether `a <= b`.
    fn at_most(&self, a: &Self::Number, b: &Self::Number) -> Self::Bool;
    /// The first multiple of `unit` from `number` on.
    fn align_up(&self, number: &Self::Number, unit: &Self::Number) -> Self::Number;

    // --- maps ---

    /// What a map has for a slot.
    fn at<M: Map<Self, Self::Slot, V>, V>(&self, map: &M, slot: &Self::Slot) -> V {
        map.get(self, slot)
    }
    /// Changes a map at one slot.
    fn put<M: Map<Self, Self::Slot, V>, V>(&self, map: &mut M, slot: &Self::Slot, value: V) {
        map.set(self, slot, value);
    }
    /// What a map has for an object.
    fn of<M: Map<Self, Self::Object, V>, V>(&self, map: &M, object: &Self::Object) -> V {
        map.get(self, object)
    }
    /// Changes a map at one object.
    fn set<M: Map<Self, Self::Object, V>, V>(&self, map: &mut M, object: &Self::Object, value: V) {
        map.set(self, object, value);
    }
    /// Changes a map of slots to slots: where it had `old` it has `new`.
    fn rename_values(&self, map: &mut Self::SlotAt, old: &Self::Slot, new: &Self::Slot);
    /// Changes a map of slots to slots: what it has for `a` and `b`, and where it has `a` and `b`, is exchanged.
    fn exchange_slots(&self, map: &mut Self::SlotAt, a: &Self::Slot, b: &Self::Slot);

    // --- descent ---

    /// Whether `lower` is below `upper`, at any distance. `parent` is the tree whose descent this is.
    fn is_below(
        &self,
        descent: &Self::Descent,
        parent: &Self::SlotAt,
        upper: &Self::Slot,
        lower: &Self::Slot,
    ) -> Self::Bool;
    /// `new`, so far outside the tree, is now directly below `parent`, which may be none.
    fn descent_add(&self, descent: &mut Self::Descent, new: &Self::Slot, parent: &Self::Slot);
    /// `old` is in the tree no more; what was below it stays below what `old` was below.
    fn descent_remove(&self, descent: &mut Self::Descent, old: &Self::Slot);
    /// `a` and `b` exchange their places.
    fn descent_exchange(&self, descent: &mut Self::Descent, a: &Self::Slot, b: &Self::Slot);
}
