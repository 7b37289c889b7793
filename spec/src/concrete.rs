// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reading that runs: values are values.

use crate::algebra::{Algebra, Kind, Map, Rights};
use crate::authority::Authority;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

/// An object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Object {
    /// None.
    #[default]
    None,
    /// What lives in memory from this physical address on.
    At(u64),
    /// A range of untyped memory. Ranges may be equal: an untyped can be made of the whole of another one.
    Region {
        /// Where it starts.
        base: u64,
        /// Its size.
        bytes: u64,
        /// Tells equal ranges apart. Has no other meaning.
        serial: u64,
    },
    /// The handler of an interrupt.
    Irq(u64),
    /// The authority over interrupts.
    IrqControl,
    /// The authority over domains.
    Domains,
    /// The authority over the time of a core.
    Core(u64),
    /// The authority over address space identifiers.
    Asids,
}

/// A place for a capability: the how-manieth in which object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Slot {
    /// The object in which it lies, [`Object::None`] for no slot.
    pub home: Object,
    /// Its number there.
    pub index: u64,
}

/// A map that is the same nearly everywhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table<K: Ord, V> {
    otherwise: V,
    entries: BTreeMap<K, V>,
}

impl<K: Ord + Copy, V: Clone> Table<K, V> {
    const fn new(otherwise: V) -> Self {
        Self { otherwise, entries: BTreeMap::new() }
    }

    fn value(&self, key: &K) -> V {
        self.entries.get(key).unwrap_or(&self.otherwise).clone()
    }

    /// Where it differs, or once did.
    pub fn keys(&self) -> impl Iterator<Item = K> + '_ {
        self.entries.keys().copied()
    }
}

impl<V: Clone> Map<Concrete, Slot, V> for Table<Slot, V> {
    fn get(&self, _x: &Concrete, key: &Slot) -> V {
        self.value(key)
    }

    fn set(&mut self, x: &Concrete, key: &Slot, value: V) {
        if x.slots.borrow_mut().insert(*key) {
            x.order.borrow_mut().push(*key);
        }
        self.entries.insert(*key, value);
    }
}

impl<V: Clone> Map<Concrete, Object, V> for Table<Object, V> {
    fn get(&self, _x: &Concrete, key: &Object) -> V {
        self.value(key)
    }

    fn set(&mut self, _x: &Concrete, key: &Object, value: V) {
        self.entries.insert(*key, value);
    }
}

/// The algebra of values. It knows which slots there are, so that it can look for one.
///
/// Where the specification leaves open which of several slots is found, it is the first in an order that can be given
/// ([`Concrete::prefer`]). A capability that is moved keeps its place in that.
#[derive(Clone, Debug, Default)]
pub struct Concrete {
    slots: RefCell<BTreeSet<Slot>>,
    order: RefCell<Vec<Slot>>,
    serial: Cell<u64>,
}

impl Concrete {
    /// An authority in which nothing lives.
    #[must_use]
    pub fn nothing() -> Authority<Self> {
        Authority {
            kind: Table::new(Kind::Null),
            object: Table::new(Object::None),
            data: Table::new(0),
            rights: Table::new(Rights::default()),
            watermark: Table::new(0),
            original: Table::new(false),
            parent: Table::new(Slot::default()),
            descent: (),
            live: Table::new(Kind::Null),
            start: Table::new(0),
            bytes: Table::new(0),
            holder: Table::new(Slot::default()),
            caller: Table::new(Object::None),
            awaits: Table::new(Object::None),
            receives: Table::new(Object::None),
        }
    }

    /// The slots that ever held something.
    pub fn slots(&self) -> Vec<Slot> {
        self.slots.borrow().iter().copied().collect()
    }

    /// In this order slots are found.
    pub fn prefer(&self, order: Vec<Slot>) {
        let known: BTreeSet<Slot> = order.iter().copied().collect();
        let others: Vec<Slot> = self.slots.borrow().difference(&known).copied().collect();
        *self.order.borrow_mut() = [order, others].concat();
    }

    /// The order in which slots are found.
    pub fn order(&self) -> Vec<Slot> {
        self.order.borrow().clone()
    }

    /// A number that was never given before, for [`Object::Region`].
    pub fn next_serial(&self) -> u64 {
        self.serial.set(self.serial.get() + 1);
        self.serial.get()
    }
}

impl Algebra for Concrete {
    type Bool = bool;
    type Slot = Slot;
    type Object = Object;
    type Number = u64;
    type Data = u64;
    type Rights = Rights;
    type Kind = Kind;
    type KindAt = Table<Slot, Kind>;
    type ObjectAt = Table<Slot, Object>;
    type DataAt = Table<Slot, u64>;
    type RightsAt = Table<Slot, Rights>;
    type NumberAt = Table<Slot, u64>;
    type BoolAt = Table<Slot, bool>;
    type SlotAt = Table<Slot, Slot>;
    type KindOf = Table<Object, Kind>;
    type NumberOf = Table<Object, u64>;
    type SlotOf = Table<Object, Slot>;
    type ObjectOf = Table<Object, Object>;
    type Descent = ();

    fn decide(&self, condition: bool) -> bool {
        condition
    }

    fn find(&self, property: &dyn Fn(&Slot) -> bool) -> Option<Slot> {
        self.order.borrow().iter().find(|slot| property(slot)).copied()
    }

    fn truth(&self, value: bool) -> bool {
        value
    }

    fn not(&self, a: bool) -> bool {
        !a
    }

    fn and(&self, a: bool, b: bool) -> bool {
        a && b
    }

    fn same_slot(&self, a: &Slot, b: &Slot) -> bool {
        a == b
    }

    fn same_object(&self, a: &Object, b: &Object) -> bool {
        a == b
    }

    fn home(&self, slot: &Slot) -> Object {
        slot.home
    }

    fn no_slot(&self) -> Slot {
        Slot::default()
    }

    fn no_object(&self) -> Object {
        Object::None
    }

    fn new_object(&self, kind: &Kind, start: &u64, bytes: &u64) -> Object {
        match kind {
            Kind::Untyped => Object::Region { base: *start, bytes: *bytes, serial: self.next_serial() },
            _ => Object::At(*start),
        }
    }

    fn kind(&self, kind: Kind) -> Kind {
        kind
    }

    fn same_kind(&self, a: &Kind, b: &Kind) -> bool {
        a == b
    }

    fn rights(&self, rights: Rights) -> Rights {
        rights
    }

    fn common_rights(&self, a: &Rights, b: &Rights) -> Rights {
        a.and(*b)
    }

    fn within(&self, inner: &Rights, outer: &Rights) -> bool {
        outer.has(*inner)
    }

    fn no_data(&self) -> u64 {
        0
    }

    fn same_data(&self, a: &u64, b: &u64) -> bool {
        a == b
    }

    fn number(&self, number: u64) -> u64 {
        number
    }

    fn plus(&self, a: &u64, b: &u64) -> u64 {
        a + b
    }

    fn at_most(&self, a: &u64, b: &u64) -> bool {
        a <= b
    }

    fn align_up(&self, number: &u64, unit: &u64) -> u64 {
        number.next_multiple_of(*unit)
    }

    fn rename_values(&self, map: &mut Table<Slot, Slot>, old: &Slot, new: &Slot) {
        for value in map.entries.values_mut().filter(|value| *value == old) {
            *value = *new;
        }
    }

    fn exchange_slots(&self, map: &mut Table<Slot, Slot>, a: &Slot, b: &Slot) {
        let (at_a, at_b) = (map.value(a), map.value(b));
        map.entries.insert(*a, at_b);
        map.entries.insert(*b, at_a);
        for value in map.entries.values_mut() {
            *value = match *value {
                value if value == *a => *b,
                value if value == *b => *a,
                value => value,
            };
        }
    }

    /// Walks up. A tree has no circles (a theorem), so this ends.
    fn is_below(&self, (): &(), parent: &Table<Slot, Slot>, upper: &Slot, lower: &Slot) -> bool {
        let above = |slot: &Slot| Some(parent.value(slot)).filter(|up| up.home != Object::None);
        std::iter::successors(above(lower), above).any(|up| up == *upper)
    }

    fn descent_add(&self, (): &mut (), _new: &Slot, _parent: &Slot) {}
    fn descent_remove(&self, (): &mut (), _old: &Slot) {}
    fn descent_exchange(&self, (): &mut (), a: &Slot, b: &Slot) {
        for slot in self.order.borrow_mut().iter_mut() {
            *slot = match *slot {
                slot if slot == *a => *b,
                slot if slot == *b => *a,
                slot => slot,
            };
        }
    }
}
