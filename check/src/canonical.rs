// SPDX-License-Identifier: MIT OR Apache-2.0

//! When two states are the same as far as anything that can happen from there on is concerned.
//!
//! A state is written down as a sequence of words, of which a fingerprint is kept. Everything goes in that a later step
//! can depend on: the whole state of the specification, and what the kernel has beyond it ([`Inside`]): the order of the
//! derivation list and its flags, the exact states of threads, the scheduler's queues. Times count from the last entry to
//! the kernel. What does not go in: registers
//! and buffers of threads that run, because whoever runs sets what it uses before its next system call; and program
//! counters, of which only matters whether a thread repeats its system call.
//!
//! Addresses are replaced by the order in which objects come up. In a system whose operations treat some slots alike,
//! these slots are put into the order of what is in them; where that leaves a choice all orders are tried, and the
//! smallest sequence of words is the one that counts. So states that differ only in which slot or object is which are
//! one state. A renaming maps what can happen to what can happen: nothing is lost.

use crate::abstraction::Inside;
use crate::lockstep::Lockstep;
use keel_abi::aarch64::registers::{CAPABILITY, MESSAGE_INFO, REPLY, SEND_DESTINATION, SYSCALL_NUMBER};
use keel_abi::message::{MessageInfo, ipc_buffer};
use keel_spec::algebra::{Algebra, Kind, Rights};
use keel_spec::concrete::{Object, Slot};
use keel_spec::system::map::Mapped;
use keel_spec::system::{Activity, Cancelling, System};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A number that stands for a state.
pub type Fingerprint = u128;

/// The fingerprint of the state that `lockstep` is in, where the slots of the root CNode in `alike` are treated alike
/// by all operations. None while something is being taken apart.
#[must_use]
pub fn fingerprint(lockstep: &mut Lockstep, alike: &[u64]) -> Option<Fingerprint> {
    let inside = lockstep.inside();
    let system = lockstep.system.as_ref()?;
    let state = State { system, inside, root: root(system), alike };
    let words = state.orders().into_iter().map(|order| state.words(&order)).min()?;
    let hash = |salt: u8| {
        let mut hasher = DefaultHasher::new();
        (salt, &words).hash(&mut hasher);
        u128::from(hasher.finish())
    };
    Some(hash(0) << 64 | hash(1))
}

/// The CNode that all threads use.
fn root(system: &System) -> Option<Object> {
    let thread = system.threads.keys().next()?;
    Some(system.cap(&System::slot_of(*thread, 0)).object)
}

struct State<'a> {
    system: &'a System,
    inside: Inside,
    root: Option<Object>,
    alike: &'a [u64],
}

/// Words being written, with the names that objects were given so far.
#[derive(Default)]
struct Writer {
    words: Vec<u64>,
    names: BTreeMap<Object, u64>,
}

impl Writer {
    fn number(&mut self, number: impl Into<u64>) {
        self.words.push(number.into());
    }

    fn object(&mut self, object: Object) {
        let object = match object {
            Object::Region { base, bytes, .. } => Object::Region { base, bytes, serial: 0 },
            object => object,
        };
        match object {
            Object::None => self.words.push(0),
            Object::At(_) | Object::Region { .. } => {
                let next = self.names.len() as u64;
                let name = *self.names.entry(object).or_insert(next);
                self.words.extend([1, name]);
            }
            Object::Irq(number) => self.words.extend([2, number]),
            Object::IrqControl => self.words.push(3),
            Object::Domains => self.words.push(4),
            Object::Core(core) => self.words.extend([5, core]),
            Object::Asids => self.words.push(6),
        }
    }

    fn objects(&mut self, objects: &[Object]) {
        self.number(objects.len() as u64);
        objects.iter().for_each(|object| self.object(*object));
    }

    fn maybe(&mut self, object: Option<Object>) {
        self.object(object.unwrap_or_default());
    }
}

impl State<'_> {
    /// Whether a slot is one of those that are alike.
    fn is_alike(&self, slot: &Slot) -> bool {
        Some(slot.home) == self.root && self.alike.contains(&slot.index)
    }

    /// What can be said of a capability without naming anything.
    fn looks(&self, slot: &Slot) -> (Kind, u64, u8, u64, bool, u64) {
        let (x, s) = (&self.system.x, &self.system.authority);
        let mut cap = self.system.cap(slot);
        if cap.kind == Kind::Zombie {
            (cap.data, cap.rights) = (0, Rights::default());
        }
        (
            cap.kind,
            cap.data,
            cap.rights.0,
            cap.watermark,
            x.at(&s.original, slot),
            self.system.bytes(cap.object),
        )
    }

    /// The orders of the slots that are alike and in use which have to be tried: by looks, equal ones in any order.
    fn orders(&self) -> Vec<Vec<Slot>> {
        let used = self.system.x.slots().into_iter();
        let mut used: Vec<_> =
            used.filter(|slot| self.is_alike(slot) && self.system.cap(slot).kind != Kind::Null).collect();
        used.sort_by_key(|slot| self.looks(slot));
        let mut orders = vec![vec![]];
        for group in used.chunk_by(|a, b| self.looks(a) == self.looks(b)) {
            let ways = permutations(group);
            orders = orders
                .iter()
                .flat_map(|order: &Vec<Slot>| ways.iter().map(|way| [order.as_slice(), way].concat()))
                .collect();
        }
        orders
    }

    fn words(&self, order: &[Slot]) -> Vec<u64> {
        let (system, mut writer) = (self.system, Writer::default());
        let places: BTreeMap<Slot, u64> =
            order.iter().enumerate().map(|(place, slot)| (*slot, place as u64)).collect();
        let filled = |slot: &Slot| system.cap(slot).kind != Kind::Null;
        let mut slots: Vec<Slot> = system.x.slots().into_iter().filter(filled).collect();
        // What is in the root CNode, fixed slots first; then what is in the objects that come up.
        let in_root = |slot: &Slot| Some(slot.home) == self.root;
        slots.sort_by_key(|slot| (!in_root(slot), places.get(slot).copied(), slot.home, slot.index));
        let (roots, others): (Vec<Slot>, Vec<Slot>) = slots.into_iter().partition(in_root);
        let mut sequence = roots;
        sequence.iter().for_each(|slot| writer.object(system.cap(slot).object));
        let mut others = others;
        while !others.is_empty() {
            let name = |slot: &Slot| (writer.names.get(&slot.home).copied().unwrap_or(u64::MAX), slot.index);
            let next = (0..others.len()).min_by_key(|place| name(&others[*place])).unwrap_or(0);
            let slot = others.swap_remove(next);
            writer.object(slot.home);
            writer.object(system.cap(&slot).object);
            sequence.push(slot);
        }
        for slot in &sequence {
            self.slot(&mut writer, slot, &places);
            let (kind, data, rights, watermark, original, bytes) = self.looks(slot);
            writer.words.extend([kind as u64, data, rights.into(), watermark, original.into(), bytes]);
            writer.object(system.cap(slot).object);
            self.slot(&mut writer, &system.x.at(&system.authority.parent, slot), &places);
            let (next, flags) = self.inside.order.get(slot).copied().unwrap_or_default();
            self.slot(&mut writer, &next, &places);
            writer.number(flags);
        }
        self.objects(&mut writer);
        writer.words
    }

    fn slot(&self, writer: &mut Writer, slot: &Slot, places: &BTreeMap<Slot, u64>) {
        writer.object(slot.home);
        match places.get(slot) {
            Some(place) => writer.words.extend([1, *place]),
            None => writer.words.extend([0, slot.index]),
        }
    }

    /// What objects are doing, in the order of their names.
    fn objects(&self, writer: &mut Writer) {
        let system = self.system;
        writer.maybe(system.current);
        writer.objects(&self.inside.ready);
        writer.objects(&self.inside.release);
        writer.words.extend(&self.inside.time);
        let mut objects: Vec<(u64, Object)> =
            writer.names.iter().map(|(object, name)| (*name, *object)).collect();
        objects.sort_unstable();
        self.spaces(writer);
        for (name, object) in objects {
            writer.number(name);
            if system.threads.contains_key(&object) {
                self.thread(writer, object);
            }
            if let Some(endpoint) = system.endpoints.get(&object) {
                writer.objects(&endpoint.queue);
                if let Some(Cancelling { canceller, badge, left }) = &endpoint.cancelling {
                    writer.object(*canceller);
                    writer.number(*badge);
                    writer.objects(left);
                }
            }
            if let Some(notification) = system.notifications.get(&object) {
                writer.words.extend(notification.word.map_or([0, 0], |word| [1, word]));
                writer.objects(&notification.queue);
                writer.maybe(notification.thread);
                writer.maybe(notification.context);
            }
            if let Some(context) = system.contexts.get(&object) {
                writer.maybe(context.yielder);
                writer.maybe(context.thread);
                writer.maybe(context.notification);
                writer.objects(&context.calls);
            }
            writer.words.extend(self.inside.more.get(&object).into_iter().flatten());
            let caller: Object = system.x.of(&system.authority.caller, &object);
            writer.object(caller);
        }
    }

    /// What is mapped where.
    fn spaces(&self, writer: &mut Writer) {
        for (base, pool) in &self.system.pools {
            writer.number(*base);
            writer.object(*pool);
        }
        for (asid, space) in &self.system.spaces {
            writer.number(*asid);
            writer.object(space.root);
            for (place, what) in &space.mapped {
                writer.words.extend([place.level.into(), place.address]);
                match *what {
                    Mapped::Table(table) => writer.object(table),
                    Mapped::Page { frame, rights, attributes } => {
                        writer.object(frame);
                        writer.words.extend([rights.0.into(), attributes]);
                    }
                }
            }
        }
    }

    fn thread(&self, writer: &mut Writer, name: Object) {
        let thread = self.system.thread(name);
        let (activity, reply) = match thread.activity {
            Activity::Inactive => (0, None),
            Activity::Runnable => (1, None),
            Activity::Sending => (2, None),
            Activity::Receiving(reply) => (3, reply),
            Activity::Calling => (4, None),
            Activity::Waiting => (5, None),
        };
        let sending = &thread.sending;
        writer.words.extend([activity, sending.badge, sending.rights.0.into(), sending.is_call.into()]);
        writer.maybe(reply);
        writer.words.extend([thread.priority.into(), thread.max_controlled_priority.into(), thread.buffer]);
        let (endpoint, badge) = thread.cancelled.unzip();
        writer.maybe(endpoint);
        writer.number(badge.unwrap_or_default());
        writer.maybe(thread.replacing);
        writer.maybe(thread.context);
        writer.maybe(thread.notification);
        if !self.inside.sets_registers.contains(&name) {
            self.request(writer, name);
        }
    }

    /// What a thread sends, or where it receives, now or when it repeats its system call.
    fn request(&self, writer: &mut Writer, name: Object) {
        let registers = &self.system.thread(name).registers;
        let info = MessageInfo(registers[MESSAGE_INFO]);
        let roles = [SYSCALL_NUMBER, CAPABILITY, MESSAGE_INFO, REPLY, SEND_DESTINATION];
        writer.words.extend(roles.map(|register| registers[register]));
        writer.words.extend((0..info.length() as u64).map(|index| self.system.read_word(name, index)));
        let Some(buffer) = self.system.send_buffer(name) else { return };
        let caps = (0..info.extra_caps()).map(|index| ipc_buffer::CAPS_OR_BADGES + index);
        let place = [ipc_buffer::RECEIVE_CNODE, ipc_buffer::RECEIVE_INDEX, ipc_buffer::RECEIVE_DEPTH];
        writer.words.extend(caps.chain(place).map(|index| self.system.load(buffer + 8 * index as u64)));
    }
}

/// All orders of a few things.
fn permutations(things: &[Slot]) -> Vec<Vec<Slot>> {
    let Some((first, rest)) = things.split_first() else { return vec![vec![]] };
    let insert = |order: &Vec<Slot>, place: usize| {
        let mut order = order.clone();
        order.insert(place, *first);
        order
    };
    permutations(rest)
        .iter()
        .flat_map(|order| (0..=order.len()).map(move |place| insert(order, place)))
        .collect()
}
