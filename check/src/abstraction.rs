// SPDX-License-Identifier: MIT OR Apache-2.0

//! From the kernel's memory to a state of the specification.
//!
//! Everything is found in the map of what lives, as in [`keel_kernel::host::check`], not by following the kernel's own
//! pointers. Physical addresses name objects on both sides. What the kernel encodes is decoded here: packed
//! capabilities, the derivation tree as a list with flags, queues as balanced trees, what a reply object points to.

mod inside;
mod spaces;

pub use inside::Inside;

use keel_abi::timing::DOMAINS;
use keel_kernel::Kernel;
use keel_kernel::cap::{Cap, Rights as KernelRights, VmRights, ZombieKind};
use keel_kernel::cdt::{self, Flags};
use keel_kernel::cspace::Slot as KernelSlot;
use keel_kernel::error::LookupFailure as KernelFailure;
use keel_kernel::host::check::{Survey, tree};
use keel_kernel::host::world::boot::{RAM_BASE, RAM_BITS};
use keel_kernel::host::{Host, MAX_IRQ, TIMER_IRQ, TIMER_KHZ};
use keel_kernel::ipc::fault::Fault as KernelFault;
use keel_kernel::object::tcb::TcbSlot;
use keel_kernel::object::{Refill as KernelRefill, SchedContext, Tcb, ThreadState, extent};
use keel_kernel::store::{Kind as RegionKind, Ref, Store};
use keel_kernel::units::{Irq, KernelAddr, PhysAddr, Priority, Ticks};
use keel_spec::algebra::{Algebra, Kind, Rights};
use keel_spec::authority;
use keel_spec::concrete::{Concrete, Object, Slot};
use keel_spec::system::domain::{Domains, Entry};
use keel_spec::system::error::LookupFailure;
use keel_spec::system::fault::Fault;
use keel_spec::system::irq::Interrupts;
use keel_spec::system::lookup::guard_word;
use keel_spec::system::map::Mapping;
use keel_spec::system::refill::{Budget, Refill};
use keel_spec::system::registers::Registers;
use keel_spec::system::schedule::{Decision, Queues};
use keel_spec::system::time::Clock;
use keel_spec::system::{
    Activity, Cancelling, Context, Endpoint, NotCovered, Notification, Sending, System, Thread,
};
use std::collections::BTreeMap;

/// Words of an IPC buffer.
const BUFFER_WORDS: u64 = 128;

/// The state of the specification that the kernel is in, also in the middle of a long operation.
pub fn abstraction(kernel: &mut Kernel<Host>) -> Result<System, NotCovered> {
    let survey = Survey::of(kernel);
    let mut system = System {
        x: Concrete::default(),
        authority: Concrete::nothing(),
        threads: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        notifications: BTreeMap::new(),
        contexts: BTreeMap::new(),
        memory: BTreeMap::new(),
        spaces: BTreeMap::new(),
        pools: BTreeMap::new(),
        is_debug: cfg!(debug_assertions),
        look: None,
        paging: spaces::PAGING,
        interrupts: interrupts(kernel),
        ram: RAM_BASE.0..RAM_BASE.0 + (1 << RAM_BITS),
        current: kernel.core.current.map(object),
        clock: clock(kernel),
        queues: queues(kernel),
        domains: domains(kernel),
    };
    capabilities(kernel, &survey, &mut system)?;
    threads(kernel, &survey, &mut system);
    others(kernel, &survey, &mut system)?;
    spaces::spaces(kernel, &mut system);
    Ok(system)
}

fn interrupts(kernel: &Kernel<Host>) -> Interrupts {
    let held = (0..=MAX_IRQ.0).filter(|irq| kernel.arch.is_held(Irq(*irq))).map(u64::from).collect();
    Interrupts { last: MAX_IRQ.0.into(), timer: TIMER_IRQ.0.into(), held }
}

/// The name of a kernel object.
fn object<T>(object: Ref<T>) -> Object {
    Object::At(Store::<Host>::physical(object.address()).0)
}

// --- capabilities ------------------------------------------------------------------------------------------------------

fn capabilities(kernel: &mut Kernel<Host>, survey: &Survey, system: &mut System) -> Result<(), NotCovered> {
    let names = names(kernel, survey);
    let order = order(kernel, survey);
    let parents = parents(kernel, &order);
    for &place in &survey.slots {
        let raw = kernel.store[place];
        let slot = names[&place];
        let cap = cap(&system.x, raw.cap())?;
        let (x, s) = (&system.x, &mut system.authority);
        let named = cap.object;
        x.put(&mut s.kind, &slot, cap.kind);
        x.put(&mut s.object, &slot, named);
        x.put(&mut s.data, &slot, cap.data);
        x.put(&mut s.rights, &slot, cap.rights);
        x.put(&mut s.watermark, &slot, cap.watermark);
        let is_original = [Flags::ORIGINAL, Flags::BADGED_ORIGINAL].contains(&raw.node.flags());
        x.put(&mut s.original, &slot, is_original);
        x.put(&mut s.parent, &slot, parents.get(&place).map_or_else(Slot::default, |parent| names[parent]));
        x.set(&mut s.live, &named, kind_of_object(raw.cap()).unwrap_or(cap.kind));
        x.set(&mut s.holder, &named, slot);
        let (start, bytes) = extent::<Host>(raw.cap()).unwrap_or((PhysAddr(0), 0));
        x.set(&mut s.start, &named, start.0);
        x.set(&mut s.bytes, &named, bytes);
    }
    system.x.prefer(order.iter().map(|place| names[place]).collect());
    for &reply in &survey.replies {
        if let Some(caller) = kernel.store[reply].tcb
            && kernel.store[caller].state == ThreadState::BlockedOnReply
        {
            let (x, s) = (&system.x, &mut system.authority);
            x.set(&mut s.caller, &object(reply), object(caller));
            x.set(&mut s.awaits, &object(caller), object(reply));
        }
    }
    Ok(())
}

/// What a packed capability means.
fn cap(x: &Concrete, cap: Cap) -> Result<authority::Cap<Concrete>, NotCovered> {
    let all = |kind, object| (kind, object, 0, Rights::ALL, 0);
    let (kind, object, data, rights, watermark) = match cap {
        Cap::Null => (Kind::Null, Object::None, 0, Rights::default(), 0),
        Cap::Untyped(c) => {
            let region = Object::Region { base: c.base.0, bytes: 1 << c.bits, serial: x.next_serial() };
            (Kind::Untyped, region, 0, Rights::ALL, c.watermark)
        }
        Cap::Endpoint(c) => (Kind::Endpoint, object(c.object), c.badge, rights_of(c.rights), 0),
        Cap::Notification(c) => (Kind::Notification, object(c.object), c.badge, rights_of(c.rights), 0),
        Cap::Reply { object: reply, rights } => (Kind::Reply, object(reply), 0, rights_of(rights), 0),
        Cap::CNode(c) => {
            let guard = guard_word(c.guard, u64::from(c.guard_bits));
            (Kind::CNode, object(c.slots), guard, Rights::ALL, 0)
        }
        Cap::Tcb(tcb) => all(Kind::Tcb, object(tcb)),
        Cap::SchedContext { object: context, .. } => all(Kind::SchedContext, object(context)),
        Cap::SchedControl { core } => all(Kind::Authority, Object::Core(u64::from(core))),
        Cap::DomainSet => all(Kind::Authority, Object::Domains),
        Cap::AsidControl => all(Kind::Authority, Object::Asids),
        Cap::IrqControl => all(Kind::IrqControl, Object::IrqControl),
        Cap::IrqHandler(irq) => all(Kind::IrqHandler, Object::Irq(u64::from(irq.0))),
        Cap::Zombie(c) => {
            let dying: Ref<Tcb> = Ref::at(c.object).expect("not the null address");
            (Kind::Zombie, object(dying), 0, Rights::default(), 0)
        }
        Cap::Frame(c) => (Kind::Frame, Object::At(c.base.0), mapping(c.mapping), vm_rights(c.rights), 0),
        Cap::Table(c) => (Kind::Table, object(c.table), mapping(c.mapping), Rights::ALL, 0),
        Cap::VSpace(c) => (Kind::VSpace, object(c.root), u64::from(c.asid), Rights::ALL, 0),
        Cap::AsidPool { pool, .. } => all(Kind::AsidPool, object(pool)),
        Cap::Machine(_) => return Err(NotCovered("capabilities of one machine only")),
    };
    Ok(authority::Cap { kind, object, data, rights, watermark })
}

const fn mapping(mapping: keel_kernel::cap::Mapping) -> u64 {
    Mapping { asid: mapping.asid as u64, address: mapping.address.0 }.word()
}

const fn vm_rights(rights: VmRights) -> Rights {
    match rights {
        VmRights::KernelOnly => Rights(0),
        VmRights::ReadOnly => Rights::READ,
        VmRights::ReadWrite => Rights::READ_WRITE,
    }
}

fn rights_of(rights: KernelRights) -> Rights {
    let bits = [KernelRights::WRITE, KernelRights::READ, KernelRights::GRANT, KernelRights::GRANT_REPLY];
    let bit = |(place, right): (usize, &KernelRights)| u8::from(rights.has(*right)) << place;
    Rights(bits.iter().enumerate().map(bit).sum())
}

/// Where each slot with something in it lies.
fn names(kernel: &mut Kernel<Host>, survey: &Survey) -> BTreeMap<Ref<KernelSlot>, Slot> {
    let irq_slots: BTreeMap<_, _> =
        (0..=MAX_IRQ.0).filter_map(|irq| Some((kernel.interrupts.slot(Irq(irq))?, u64::from(irq)))).collect();
    let name = |slot: &Ref<KernelSlot>| {
        if let Some(irq) = irq_slots.get(slot) {
            return Slot { home: Object::Irq(*irq), index: 0 };
        }
        let region = kernel.store.memory().region_at(slot.address()).expect("slots lie in something");
        let start: Ref<Tcb> = Ref::at(region.address).expect("not the null address");
        let first = match region.kind {
            RegionKind::Tcb => start.slot(TcbSlot::CSpace).address(),
            _ => region.address,
        };
        let index = (slot.address().0 - first.0) / size_of::<KernelSlot>() as u64;
        Slot { home: object(start), index }
    };
    let mut name = name;
    survey.slots.iter().map(|slot| (*slot, name(slot))).collect()
}

/// The kind of what a zombie names.
const fn kind_of_object(cap: Cap) -> Option<Kind> {
    let Cap::Zombie(zombie) = cap else { return None };
    Some(match zombie.kind {
        ZombieKind::Tcb => Kind::Tcb,
        ZombieKind::CNode { .. } => Kind::CNode,
        ZombieKind::Endpoint => Kind::Endpoint,
        ZombieKind::Notification => Kind::Notification,
    })
}

/// All capabilities in the order of the list in which the tree is kept.
fn order(kernel: &Kernel<Host>, survey: &Survey) -> Vec<Ref<KernelSlot>> {
    let firsts = survey.slots.iter().filter(|slot| kernel.store[**slot].node.prev().is_none());
    let behind = |slot: &Ref<KernelSlot>| kernel.store[*slot].node.next();
    firsts.flat_map(|first| std::iter::successors(Some(*first), behind)).collect()
}

/// The parent of each capability, from that order (D2): what is below a capability stands directly behind it.
fn parents(kernel: &Kernel<Host>, order: &[Ref<KernelSlot>]) -> BTreeMap<Ref<KernelSlot>, Ref<KernelSlot>> {
    let (mut parents, mut line) = (BTreeMap::new(), Vec::<Ref<KernelSlot>>::new());
    for &slot in order {
        let is_parent =
            |up: &Ref<KernelSlot>| cdt::is_parent::<Host>(&kernel.store[*up], &kernel.store[slot]);
        while line.pop_if(|up| !is_parent(up)).is_some() {}
        if let Some(&parent) = line.last() {
            parents.insert(slot, parent);
        }
        line.push(slot);
    }
    parents
}

// --- threads -----------------------------------------------------------------------------------------------------------

fn threads(kernel: &Kernel<Host>, survey: &Survey, system: &mut System) {
    for &tcb in &survey.tcbs {
        let thread = &kernel.store[tcb];
        let words = &thread.registers.words;
        let activity = match thread.state {
            ThreadState::Inactive => Activity::Inactive,
            ThreadState::Running | ThreadState::Restart => Activity::Runnable,
            ThreadState::BlockedOnReceive => Activity::Receiving(thread.reply.map(object)),
            ThreadState::BlockedOnSend => Activity::Sending,
            ThreadState::BlockedOnReply => Activity::Calling,
            ThreadState::BlockedOnNotification => Activity::Waiting,
        };
        let sending = Sending {
            badge: thread.sending.badge,
            rights: rights_of(thread.sending.rights),
            is_call: thread.sending.is_call,
        };
        let is_sending = activity == Activity::Sending;
        if let (Activity::Receiving(_), Some(endpoint)) = (activity, thread.endpoint) {
            system.x.set(&mut system.authority.receives, &object(tcb), object(endpoint));
        }
        let state = Thread {
            activity,
            sending: if is_sending { sending } else { Sending::default() },
            priority: thread.priority,
            max_controlled_priority: thread.max_controlled_priority,
            domain: thread.domain.into(),
            registers: Registers(std::array::from_fn(|place| words[place])),
            repeats: thread.state == ThreadState::Restart,
            fault: fault(&thread.fault),
            name: thread.name.iter().copied().take_while(|byte| *byte != 0).collect(),
            cancelled: thread
                .cancelling
                .endpoint
                .filter(|_| thread.cancelling.is_finished)
                .map(|endpoint| (object(endpoint), thread.cancelling.badge)),
            replacing: thread.replacing.map(object),
            flags: thread.flags,
            buffer: thread.ipc_buffer,
            context: thread.sched_context.map(object),
            notification: thread.bound_notification.map(object),
        };
        system.threads.insert(object(tcb), state);
        if let Some(buffer) = kernel.send_buffer(tcb) {
            for word in 0..BUFFER_WORDS {
                let address = KernelAddr(buffer.0 + 8 * word);
                system.memory.insert(Store::<Host>::physical(address).0, kernel.store.load(address));
            }
        }
    }
}

/// What a thread has done.
fn fault(fault: &KernelFault) -> Option<Fault> {
    Some(match *fault {
        KernelFault::None => return None,
        KernelFault::Timeout { badge } => Fault::Timeout { badge },
        KernelFault::Capability { address, in_receive, failure } => {
            let failure = match failure {
                KernelFailure::InvalidRoot => LookupFailure::InvalidRoot,
                KernelFailure::MissingCapability { bits_left } => LookupFailure::Missing(bits_left),
                KernelFailure::DepthMismatch { bits_left, bits_found } => {
                    LookupFailure::Depth(bits_left, bits_found)
                }
                KernelFailure::GuardMismatch { bits_left, guard_found, bits_found } => {
                    LookupFailure::Guard(bits_left, guard_found, bits_found)
                }
            };
            Fault::Capability { address, in_receive, failure }
        }
        KernelFault::UnknownSyscall { number } => Fault::UnknownSyscall { number },
        KernelFault::UserException { number, code } => Fault::UserException { number, code },
        KernelFault::VirtualMemory { address, is_fetch, status } => {
            Fault::VirtualMemory { address, is_fetch, status }
        }
    })
}

/// What `canceller` is in the middle of at an endpoint where these wait.
fn cancelling(kernel: &Kernel<Host>, canceller: Ref<Tcb>, queue: &[Ref<Tcb>]) -> Cancelling {
    let begun = &kernel.store[canceller].cancelling;
    let is_meant = |tcb: &&Ref<Tcb>| {
        let Tcb { state, sending, .. } = &kernel.store[**tcb];
        *state == ThreadState::BlockedOnSend && sending.badge == begun.badge && sending.since < begun.before
    };
    let left = queue.iter().filter(is_meant).map(|tcb| object(*tcb)).collect();
    Cancelling { canceller: object(canceller), badge: begun.badge, left }
}

fn others(kernel: &Kernel<Host>, survey: &Survey, system: &mut System) -> Result<(), NotCovered> {
    let names = |queue: Vec<Ref<Tcb>>| -> Vec<Object> { queue.into_iter().map(object).collect() };
    for &endpoint in &survey.endpoints {
        let queue = tree(&kernel.store, kernel.store[endpoint].queue());
        let cancelling =
            kernel.store[endpoint].canceller.map(|canceller| cancelling(kernel, canceller, &queue));
        system.endpoints.insert(object(endpoint), Endpoint { queue: names(queue), cancelling });
    }
    for &notification in &survey.notifications {
        let state = &kernel.store[notification];
        let meaning = Notification {
            word: state.active.then_some(state.word),
            queue: names(tree(&kernel.store, state.queue)),
            thread: state.bound_tcb.map(object),
            context: state.sched_context.map(object),
        };
        system.notifications.insert(object(notification), meaning);
    }
    for &(context, _) in &survey.contexts {
        let state = &kernel.store[context];
        let below = |reply: &Ref<keel_kernel::object::Reply>| kernel.store[*reply].below;
        let mut calls: Vec<_> = std::iter::successors(state.reply, below).map(object).collect();
        calls.reverse();
        let meaning = Context {
            budget: budget(kernel, context)?,
            is_sporadic: state.sporadic,
            badge: state.badge,
            consumed: state.consumed.0,
            yielder: state.yield_from.map(object),
            thread: state.tcb.map(object),
            notification: state.notification.map(object),
            calls,
        };
        system.contexts.insert(object(context), meaning);
    }
    Ok(())
}

// --- time --------------------------------------------------------------------------------------------------------------

fn clock(kernel: &Kernel<Host>) -> Clock {
    let core = &kernel.core;
    let (now, since) = (core.now.0, core.running_since().0);
    Clock { now, since, context: core.sched_context().map(object), khz: TIMER_KHZ }
}

fn queues(kernel: &Kernel<Host>) -> Queues {
    let core = &kernel.core;
    let mut ready = BTreeMap::new();
    for (domain, priority) in
        (0..DOMAINS as u8).flat_map(|domain| (0..=Priority::MAX).map(move |p| (domain, p)))
    {
        let next = |tcb: &Ref<Tcb>| kernel.store[*tcb].links.right();
        let queue: Vec<_> =
            std::iter::successors(core.ready().head(domain, priority), next).map(object).collect();
        if !queue.is_empty() {
            ready.insert((domain.into(), priority), queue);
        }
    }
    let release = tree(&kernel.store, core.release().root());
    let release = release.into_iter().map(|tcb| (kernel.store[tcb].links.key, object(tcb)));
    let pause_end = core.release().pause_end().0;
    Queues { ready, release: release.collect(), pause_end, decision: Decision::None }
}

fn domains(kernel: &Kernel<Host>) -> Domains {
    let schedule = &kernel.domains;
    let entries = schedule.entries().iter();
    let (start, index) = schedule.position();
    Domains {
        count: DOMAINS,
        entries: entries
            .map(|entry| Entry { domain: entry.domain.into(), duration: entry.duration.0 })
            .collect(),
        start: start as u64,
        index: index as u64,
        current: schedule.current().into(),
        end: schedule.end().0,
    }
}

/// What a context's refills mean. None while steps of the rules are outstanding.
fn budget(kernel: &Kernel<Host>, context: Ref<SchedContext>) -> Result<Budget, NotCovered> {
    let state = &kernel.store[context];
    let mut refills: Vec<_> = refills(kernel, context)
        .into_iter()
        .map(|refill| Refill { time: refill.time.0, amount: refill.amount.0 })
        .collect();
    let amount =
        if state.round_robin { state.period.0 } else { refills.iter().map(|refill| refill.amount).sum() };
    let is_sufficient = refills.is_empty() || kernel.refill_sufficient(context, Ticks(0));
    let overlaps = refills.windows(2).any(|pair| pair[0].time + pair[0].amount > pair[1].time);
    if !is_sufficient || overlaps {
        return Err(NotCovered("budgets with steps of the refill rules outstanding"));
    }
    if state.round_robin {
        refills.iter_mut().for_each(|refill| refill.time = 0);
    }
    Ok(Budget { amount, period: state.period.0, refills, most: state.refill_max as usize })
}

/// The refills of a context, first one first.
fn refills(kernel: &Kernel<Host>, context: Ref<SchedContext>) -> Vec<KernelRefill> {
    let SchedContext { refill_head, refill_count, refill_max, .. } = kernel.store[context];
    let place = |position| context.refill((refill_head + position) % refill_max);
    (0..refill_count).map(|position| kernel.store[place(position)]).collect()
}
