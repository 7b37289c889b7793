// SPDX-License-Identifier: MIT OR Apache-2.0

//! What of two states is compared, and how they differ.

use keel_spec::algebra::{Algebra, Kind, Rights};
use keel_spec::concrete::{Object, Slot};
use keel_spec::system::domain::Domains;
use keel_spec::system::map::Space;
use keel_spec::system::schedule::Queues;
use keel_spec::system::time::Clock;
use keel_spec::system::{Activity, Context, Endpoint, Notification, Sending, System, Thread};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A capability with its place in the tree.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct CapView {
    /// Its kind.
    pub kind: Kind,
    /// What it names; equal ranges of untyped memory are not told apart.
    pub object: Object,
    /// Its data word.
    pub data: u64,
    /// Its rights.
    pub rights: Rights,
    /// Its watermark.
    pub watermark: u64,
    /// Whether it may have children.
    pub original: bool,
    /// Its parent.
    pub parent: Slot,
}

/// All of a state that is compared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    /// The capabilities.
    pub caps: BTreeMap<Slot, CapView>,
    /// The threads.
    pub threads: BTreeMap<Object, Thread>,
    /// The endpoints.
    pub endpoints: BTreeMap<Object, Endpoint>,
    /// The notifications.
    pub notifications: BTreeMap<Object, Notification>,
    /// The scheduling contexts.
    pub contexts: BTreeMap<Object, Context>,
    /// Who waits on which reply object.
    pub callers: BTreeMap<Object, Object>,
    /// Who runs, whose time passes, and who else is ready or waits for time.
    pub turn: Turn,
    /// The address spaces, by identifier.
    pub spaces: BTreeMap<u64, Space>,
    /// The pools of identifiers.
    pub pools: BTreeMap<u64, Object>,
    /// The interrupts that wait for their acknowledgement.
    pub held: BTreeMap<u64, ()>,
    /// The words of all IPC buffers that are not 0.
    pub memory: BTreeMap<u64, u64>,
}

/// What decides who runs, now and later.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Turn {
    /// Who runs.
    pub current: Option<Object>,
    /// Whose time passes, since when.
    pub clock: Clock,
    /// Who else is ready or waits.
    pub queues: Queues,
    /// Whose domain it is.
    pub domains: Domains,
}

impl Turn {
    fn of(system: &System) -> Self {
        let mut domains = system.domains.clone();
        // Nobody wants to read those that were never set.
        while domains.entries.pop_if(|entry| (entry.domain, entry.duration) == (0, 0)).is_some() {}
        Self { current: system.current, clock: system.clock.clone(), queues: system.queues.clone(), domains }
    }
}

impl View {
    /// The view of a state. `buffers` are the addresses of the words of memory that matter.
    #[must_use]
    pub fn of(system: &System, buffers: &BTreeMap<u64, u64>) -> Self {
        let (x, s) = (&system.x, &system.authority);
        let caps = x.slots().into_iter().filter_map(|slot| {
            let mut cap = s.cap(x, &slot);
            if cap.kind == Kind::Zombie {
                // It only has a name and a place in the tree.
                (cap.data, cap.rights) = (0, Rights::default());
            }
            let view = CapView {
                kind: cap.kind,
                object: without_serial(cap.object),
                data: cap.data,
                rights: cap.rights,
                watermark: cap.watermark,
                original: x.at(&s.original, &slot),
                parent: x.at(&s.parent, &slot),
            };
            (cap.kind != Kind::Null).then_some((slot, view))
        });
        let threads = system.threads.iter().map(|(name, thread)| {
            let sends = thread.activity == Activity::Sending;
            let sending = if sends { thread.sending } else { Sending::default() };
            (*name, Thread { sending, ..thread.clone() })
        });
        let caller = |reply: Object| -> Object { x.of(&s.caller, &reply) };
        let callers = s.caller.keys().map(|reply| (reply, caller(reply)));
        let memory = buffers.keys().map(|address| (*address, system.load(*address)));
        Self {
            caps: caps.collect(),
            threads: threads.collect(),
            endpoints: system.endpoints.clone(),
            notifications: system.notifications.clone(),
            contexts: system.contexts.clone(),
            callers: callers.filter(|(_, caller)| *caller != Object::None).collect(),
            turn: Turn::of(system),
            spaces: system.spaces.clone(),
            pools: system.pools.clone(),
            held: system.interrupts.held.iter().map(|irq| (*irq, ())).collect(),
            memory: memory.filter(|(_, word)| *word != 0).collect(),
        }
    }

    /// In what the kernel differs from the specification, one line for each thing.
    #[must_use]
    pub fn differences(kernel: &Self, specification: &Self) -> Vec<String> {
        let mut lines = Vec::new();
        compare("capability in", &kernel.caps, &specification.caps, &mut lines);
        compare("thread", &kernel.threads, &specification.threads, &mut lines);
        compare("endpoint", &kernel.endpoints, &specification.endpoints, &mut lines);
        compare("notification", &kernel.notifications, &specification.notifications, &mut lines);
        compare("scheduling context", &kernel.contexts, &specification.contexts, &mut lines);
        compare("caller of", &kernel.callers, &specification.callers, &mut lines);
        let turn = |of: &Self| BTreeMap::from([("the processor", of.turn.clone())]);
        compare("at", &turn(kernel), &turn(specification), &mut lines);
        compare("address space", &kernel.spaces, &specification.spaces, &mut lines);
        compare("pool of identifiers", &kernel.pools, &specification.pools, &mut lines);
        compare("held interrupt", &kernel.held, &specification.held, &mut lines);
        compare("word of memory", &kernel.memory, &specification.memory, &mut lines);
        lines
    }
}

const fn without_serial(object: Object) -> Object {
    match object {
        Object::Region { base, bytes, .. } => Object::Region { base, bytes, serial: 0 },
        object => object,
    }
}

fn compare<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    kernel: &BTreeMap<K, V>,
    specification: &BTreeMap<K, V>,
    lines: &mut Vec<String>,
) {
    let keys: std::collections::BTreeSet<_> = kernel.keys().chain(specification.keys()).collect();
    for key in keys {
        let (is, must) = (kernel.get(key), specification.get(key));
        if is != must {
            lines.push(format!("{what} {key:x?}:\n  kernel        {is:x?}\n  specification {must:x?}"));
        }
    }
}
