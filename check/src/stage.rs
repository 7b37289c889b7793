// SPDX-License-Identifier: MIT OR Apache-2.0

//! Systems to begin with.
//!
//! A system of [`World`]: a root task and other threads that share its CSpace, and a few of every kind of object. The
//! numbers of the slots in use, and of some empty ones behind them, are what operations are made of.

use crate::timely;
use keel_abi::aarch64::object as arch_object;
use keel_abi::{label, object, slot};
use keel_kernel::host::world::{DEPTH, Thread, World};

/// A system and what operations on it can name.
pub struct Stage {
    /// The system.
    pub world: World,
    /// The slots that operations name: some with something in it, then some without.
    pub slots: Vec<u64>,
}

/// Log2 of the size of a system's memory. Miri, which is slow, clears no more of it than is needed.
const MEMORY_BITS: u8 = if cfg!(miri) { 19 } else { 20 };
/// The interrupts that come.
pub const IRQS: [u32; 2] = [5, 40];
/// Addresses to map something at: near what is mapped from the beginning on, in tables of every level of their own, at
/// the end of what user level has, behind it, and one where nothing can be.
pub(crate) const PLACES: [u64; 9] =
    [0x1_0000, 0x40_0000, 0x40_1000, 0x60_0000, 1 << 30, 1 << 39, 0x7fff_ffff_f000, 1 << 47, 0x800];
/// Empty slots of the large system.
const SPARE: u64 = 8;

/// A system with several of everything, for random operations.
#[must_use]
pub fn large() -> Stage {
    let mut world = bare();
    let first = world.free_slot();
    let handler = world.endpoint();
    for priority in [200, 200, 201] {
        let thread = world.thread(priority);
        let caps = [handler, slot::INIT_CNODE, slot::INIT_VSPACE];
        world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
    }
    world.passive_thread(200);
    world.make(object::SCHED_CONTEXT, 8);
    server(&mut world);
    server(&mut world);
    for badge in [0, 5] {
        let endpoint = world.endpoint();
        world.mint(endpoint, 15, badge + 1);
        world.copy(endpoint, 15 - badge);
    }
    let notification = world.notification();
    let badged = world.mint(notification, 3, 2);
    handler_of(&mut world, IRQS[0], badged);
    world.make(object::CAP_TABLE, 2);
    world.untyped(12);
    world.untyped(8);
    for kind in [arch_object::SMALL_PAGE, arch_object::SMALL_PAGE, arch_object::VSPACE] {
        world.make(kind, 0);
    }
    for _ in 0..3 {
        world.make(arch_object::PAGE_TABLE, 0);
    }
    device_page(&mut world);
    let end = world.free_slot() + SPARE;
    lower_root_task(&mut world);
    Stage { world, slots: (first + 1..end).collect() }
}

/// A system in which only one thread runs, with an endpoint and a CNode: for long random runs of operations on slots.
#[must_use]
pub fn family() -> Stage {
    let mut world = bare();
    let first = world.endpoint();
    world.make(object::CAP_TABLE, 2);
    world.untyped(10);
    let end = world.free_slot() + SPARE;
    Stage { world, slots: (first..end).collect() }
}

/// A small system for exhaustive exploration.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Small {
    /// Endpoint capabilities and empty slots: what copying, minting, moving, deleting and revoking do to the tree.
    Derivation,
    /// Untyped memory and empty slots: what is made of memory, and when it is free again.
    Memory,
    /// A CNode, a capability to it, and empty slots in and outside it: objects that hold capabilities, also to
    /// themselves.
    Containers,
    /// Two threads, an endpoint with a badged capability, a reply object: who waits for whom.
    Rendezvous,
    /// A thread without time, a notification that lends some, an endpoint: signals and bound notifications.
    Signals,
    /// A thread with a handler of its faults, and whoever handles them: fault messages and their answers.
    Faults,
    /// A thread that waits for an interrupt, its handler, two notifications: delivery and acknowledgement, also in the
    /// middle of other operations.
    Interrupts,
    /// Two threads that call a server, which has no time of its own: contexts that travel, and the short way.
    Calls,
    /// Three CNodes in memory of their own, each in the one before, and a thread that an interrupt wakes: what is half
    /// taken apart, also when the CNodes hold each other, and what others can do with it.
    Halves,
    /// Three threads that wait to send with the same badge, and one that an interrupt wakes: CancelBadgedSends and the
    /// death of an endpoint in the middle.
    Cancelling,
    /// The root of an address space, tables, a frame and a larger one, memory for a pool of identifiers: what is mapped
    /// where, and what is left of it when something goes.
    Spaces,
    /// A thread with a small budget beside one that shares time in turns: how budgets are used up and come back.
    Budgets,
    /// A thread with a small budget whose timeouts are heard of, and whoever hears of them.
    Timeouts,
    /// A server without time of its own and two clients: budgets that travel, and are used up on the way.
    Servers,
    /// Two threads and the timetable of domains.
    Domains,
    /// Two threads that have little time, CNodes in memory of their own, an endpoint at which two others wait: long
    /// operations in the middle of which time is up.
    Slices,
}

impl Small {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Derivation,
        Self::Memory,
        Self::Containers,
        Self::Rendezvous,
        Self::Signals,
        Self::Calls,
        Self::Faults,
        Self::Interrupts,
        Self::Halves,
        Self::Cancelling,
        Self::Spaces,
        Self::Budgets,
        Self::Timeouts,
        Self::Servers,
        Self::Domains,
        Self::Slices,
    ];

    /// Its name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Derivation => "derivation",
            Self::Memory => "memory",
            Self::Containers => "containers",
            Self::Rendezvous => "rendezvous",
            Self::Signals => "signals",
            Self::Calls => "calls",
            Self::Halves => "halves",
            Self::Cancelling => "cancelling",
            Self::Spaces => "spaces",
            Self::Faults => "faults",
            Self::Interrupts => "interrupts",
            Self::Budgets => "budgets",
            Self::Timeouts => "timeouts",
            Self::Servers => "servers",
            Self::Domains => "domains",
            Self::Slices => "slices",
        }
    }

    /// Whether its operations treat all the slots that they name alike.
    #[must_use]
    pub const fn is_symmetric(self) -> bool {
        matches!(self, Self::Derivation | Self::Memory | Self::Containers)
    }

    /// The system.
    #[must_use]
    pub fn stage(self) -> Stage {
        let mut world = bare();
        let slots = match self {
            Self::Derivation => {
                vec![world.endpoint(), spare(&mut world), spare(&mut world), spare(&mut world)]
            }
            Self::Memory => vec![world.untyped(6), spare(&mut world), spare(&mut world), spare(&mut world)],
            Self::Containers => {
                let node = world.make(object::CAP_TABLE, 1);
                vec![node, spare(&mut world), spare(&mut world)]
            }
            Self::Rendezvous => {
                let thread = world.thread(200);
                let endpoint = world.endpoint();
                let badged = world.mint(endpoint, 15, 7);
                vec![endpoint, badged, thread.reply, thread.cap, spare(&mut world)]
            }
            Self::Signals => {
                let thread = world.passive_thread(200);
                let notification = world.notification();
                let context = world.make(object::SCHED_CONTEXT, 8);
                let endpoint = world.endpoint();
                world.configure(context, (10_000, 10_000), 0, 0);
                vec![thread.cap, notification, context, endpoint, thread.reply]
            }
            Self::Faults => {
                let (thread, endpoint) = (world.thread(200), world.endpoint());
                let badged = world.mint(endpoint, 15, 7);
                let caps = [badged, slot::INIT_CNODE, slot::INIT_VSPACE];
                world.must(thread.cap, label::TCB_SET_SPACE, &[0, 0], &caps);
                vec![thread.cap, endpoint, badged, thread.reply]
            }
            Self::Interrupts => {
                let thread = world.thread(201);
                let notification = world.notification();
                let badged = world.mint(notification, 3, 4);
                let handler = handler_of(&mut world, IRQS[0], badged);
                let other = world.notification();
                vec![thread.cap, notification, badged, handler, other, spare(&mut world)]
            }
            Self::Budgets => timely::budgets(&mut world),
            Self::Timeouts => timely::timeouts(&mut world),
            Self::Servers => timely::servers(&mut world),
            Self::Domains => timely::domains(&mut world),
            Self::Slices => timely::slices(&mut world),
            Self::Calls => {
                let other = world.thread(200);
                let (server, endpoint) = server(&mut world);
                let badged = world.mint(endpoint, 15, 7);
                vec![endpoint, badged, server.cap, server.reply, other.cap, other.reply, server.sched_context]
            }
            Self::Halves => {
                let notification = waits_for_interrupt(&mut world);
                let memory = world.untyped(8);
                let mut node = || {
                    let at = world.free_slot();
                    let words = [object::CAP_TABLE, 1, 0, 0, at, 1];
                    world.must(memory, label::UNTYPED_RETYPE, &words, &[slot::INIT_CNODE]);
                    at
                };
                let (first, second, third) = (node(), node(), node());
                for (from, to, depth) in [(second, 1, 1), (third, 3, 2)] {
                    world.must(first, label::CNODE_MOVE, &[to, depth, from, DEPTH], &[slot::INIT_CNODE]);
                }
                vec![memory, first, spare(&mut world), notification]
            }
            Self::Cancelling => {
                let notification = waits_for_interrupt(&mut world);
                let endpoint = world.endpoint();
                let badged = world.mint(endpoint, 15, 7);
                let threads = [200, 200, 199].map(|priority| {
                    let thread = world.thread(255);
                    world.run(thread.tcb);
                    world.send(badged, 0, &[1], &[]);
                    world.must(thread.cap, label::TCB_SET_PRIORITY, &[priority], &[slot::INIT_TCB]);
                    thread
                });
                vec![endpoint, badged, notification, threads[0].cap, threads[2].cap, threads[0].reply]
            }
            Self::Spaces => {
                let mut make = |kind| world.make(kind, 0);
                let (root, upper, lower) =
                    (make(arch_object::VSPACE), make(arch_object::PAGE_TABLE), make(arch_object::PAGE_TABLE));
                let small = make(arch_object::SMALL_PAGE);
                let (large, memory) = (device_page(&mut world), world.untyped(12));
                vec![root, upper, lower, small, large, memory, spare(&mut world), spare(&mut world)]
            }
        };
        lower_root_task(&mut world);
        Stage { world, slots }
    }
}

/// A page of 2 MiB, of a device: in main memory there is no room for one.
fn device_page(world: &mut World) -> u64 {
    let (devices, page) = (world.devices, world.free_slot());
    let words = [arch_object::LARGE_PAGE, 0, 0, 0, page, 1];
    world.must(devices, label::UNTYPED_RETYPE, &words, &[slot::INIT_CNODE]);
    page
}

/// A thread that waits until an interrupt comes, and then goes ahead of others; the notification at which it waits.
pub fn waits_for_interrupt(world: &mut World) -> u64 {
    let thread = world.thread(255);
    let notification = world.notification();
    handler_of(world, IRQS[0], notification);
    world.run(thread.tcb);
    world.wait(notification);
    world.must(thread.cap, label::TCB_SET_PRIORITY, &[201], &[slot::INIT_TCB]);
    notification
}

/// The handler of an interrupt, which signals a notification.
pub fn handler_of(world: &mut World, irq: u32, notification: u64) -> u64 {
    let handler = world.free_slot();
    let words = [irq.into(), handler, DEPTH];
    world.must(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &words, &[slot::INIT_CNODE]);
    world.must(handler, label::IRQ_SET_IRQ_HANDLER, &[], &[notification]);
    handler
}

/// A server that waits at an endpoint without time of its own.
pub fn server(world: &mut World) -> (Thread, u64) {
    let (server, endpoint) = (world.thread(255), world.endpoint());
    world.run(server.tcb);
    world.recv(endpoint, server.reply);
    world.must(server.sched_context, label::SCHED_CONTEXT_UNBIND, &[], &[]);
    world.must(server.cap, label::TCB_SET_PRIORITY, &[200], &[slot::INIT_TCB]);
    (server, endpoint)
}

/// A world in which nothing is checked, so that setting up is quick: it is the same each time.
#[must_use]
pub fn bare() -> World {
    let mut world = World::with_memory(MEMORY_BITS);
    world.check_each_entry(false);
    world
}

/// From now on the root task shares its priority with others.
pub fn lower_root_task(world: &mut World) {
    world.call(slot::INIT_TCB, label::TCB_SET_PRIORITY, &[200], &[slot::INIT_TCB]);
}

const fn spare(world: &mut World) -> u64 {
    world.free_slot()
}
