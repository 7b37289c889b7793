// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel's short ways against its general path: the same entry in two copies of one system, one of which is not
//! allowed any short way.
//!
//! Afterwards both must be the same, word for word of all objects and of all memory, with all that the scheduler and
//! the machine know. Only what means nothing is left out ([`means_something`]). The short ways are those of
//! [`ShortWay`]; everything else that the kernel does for Call, ReplyRecv, Send, NBSend, Yield and interrupts is
//! compared too, because what they look up or ask first may have been looked up and asked on a short way.

use keel_abi::syscall;
use keel_kernel::Kernel;
use keel_kernel::arch::Arch;
use keel_kernel::host::Host;
use keel_kernel::host::world::World;
use keel_kernel::object::tcb::Queued;
use keel_kernel::object::{Tcb, ThreadState};
use keel_kernel::store::checked::Region;
use keel_kernel::store::{Kind, Ref};
use keel_kernel::units::KernelAddr;
use std::mem::offset_of;

/// An entry that may go a short way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Entry {
    /// A system call of whoever runs, whose registers are set.
    Call,
    /// An interrupt.
    Interrupt,
}

impl Entry {
    /// Makes it.
    pub fn into_kernel(self, kernel: &mut Kernel<Host>) {
        match self {
            Self::Call => {
                kernel.handle_syscall();
            }
            Self::Interrupt => kernel.handle_irq(),
        }
    }
}

/// A short way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ShortWay {
    /// A Call of a server that waits.
    Call,
    /// A ReplyRecv of a server whose caller waits.
    ReplyRecv,
    /// A Send or NBSend that signals, and nobody else runs.
    Signal,
    /// A Send or NBSend that wakes somebody higher.
    SignalAndSwitch,
    /// An interrupt that signals, and nobody else runs.
    Interrupt,
    /// An interrupt that wakes somebody higher.
    InterruptAndSwitch,
    /// A Yield of a thread that is alone with its priority.
    Yield,
    /// A Yield to an equal.
    YieldAndSwitch,
}

impl ShortWay {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Call,
        Self::ReplyRecv,
        Self::Signal,
        Self::SignalAndSwitch,
        Self::Interrupt,
        Self::InterruptAndSwitch,
        Self::Yield,
        Self::YieldAndSwitch,
    ];

    /// Its name in words.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Call => "Call of a waiting server",
            Self::ReplyRecv => "ReplyRecv to a waiting caller",
            Self::Signal => "signal that is only noted",
            Self::SignalAndSwitch => "signal that wakes somebody higher",
            Self::Interrupt => "interrupt that is only noted",
            Self::InterruptAndSwitch => "interrupt that wakes somebody higher",
            Self::Yield => "Yield of who is alone",
            Self::YieldAndSwitch => "Yield to an equal",
        }
    }

    /// The way of an entry, given the number of the call and whether another thread runs then.
    fn of(entry: Entry, number: Option<i64>, switches: bool) -> Option<Self> {
        let ways = match (entry, number) {
            (Entry::Interrupt, _) => [Self::Interrupt, Self::InterruptAndSwitch],
            (_, Some(syscall::CALL)) => [Self::Call; 2],
            (_, Some(syscall::REPLY_RECV)) => [Self::ReplyRecv; 2],
            (_, Some(syscall::SEND | syscall::NB_SEND)) => [Self::Signal, Self::SignalAndSwitch],
            (_, Some(syscall::YIELD)) => [Self::Yield, Self::YieldAndSwitch],
            _ => return None,
        };
        Some(ways[usize::from(switches)])
    }
}

/// The system that takes the general path.
pub struct Twin {
    world: Option<World>,
}

impl Twin {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { world: None }
    }

    /// Enters the kernel of `world`, and that of a copy, which has to take the general path. Gives the short way that
    /// was gone to its end, and in what the two kernels differ afterwards.
    pub fn enter(&mut self, world: &mut World, entry: Entry) -> (Option<ShortWay>, Vec<String>) {
        let before = world.kernel.core.current;
        let number = before.map(|thread| number(&world.kernel, thread));
        if ShortWay::of(entry, number, false).is_none() {
            entry.into_kernel(&mut world.kernel);
            return (None, vec![]);
        }
        let twin = self.world.get_or_insert_with(|| world.clone());
        twin.clone_from(world);
        let ends = world.kernel.arch.general_ends();
        entry.into_kernel(&mut world.kernel);
        twin.kernel.arch.forbid_short_way();
        entry.into_kernel(&mut twin.kernel);
        let is_short = world.kernel.arch.general_ends() == ends;
        let switches = world.kernel.core.current != before;
        let way = ShortWay::of(entry, number, switches).filter(|_| is_short);
        let mut lines = differences(world, twin);
        if !lines.is_empty() {
            let what = way.map_or("a way that ends like the general path", ShortWay::name);
            lines.insert(0, format!("{what}: not what the general path does"));
        }
        (way, lines)
    }
}

impl Default for Twin {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of the system call that `thread` makes.
fn number(kernel: &Kernel<Host>, thread: Ref<Tcb>) -> i64 {
    kernel.store[thread].registers.words[Host::REGISTERS.number].cast_signed()
}

fn differences(short: &mut World, general: &mut World) -> Vec<String> {
    let (is, must) = (short.kernel.store.memory(), general.kernel.store.memory());
    if !is.regions().eq(must.regions()) {
        return vec!["other objects live than on the general path".to_owned()];
    }
    let words: Vec<_> = is.words_other_than(must).collect();
    let mut lines = Vec::new();
    for (address, is, must) in words {
        let Some(region) = short.kernel.store.memory().region_at(address) else { continue };
        let at = address.0 - region.address.0;
        if means_something(short, general, &region, at) {
            lines.push(format!(
                "{:?} {:x?}, word at {at:#x}: the short way leaves {is:#x}, the general path {must:#x}",
                region.kind, region.address,
            ));
        }
    }
    if short.kernel.core != general.kernel.core {
        let decided = |world: &World| {
            let core = &world.kernel.core;
            let ready = core.ready().highest(world.kernel.domains.current());
            (core.current, core.pending(), core.sched_context(), core.now, ready, core.release().root())
        };
        let (is, must) = (decided(short), decided(general));
        lines.push(format!("the scheduler knows other things: {is:x?}, on the general path {must:x?}"));
    }
    let (is, must) = (&short.kernel.arch, &general.kernel.arch);
    if !is.is_as(must) {
        lines.push(format!("the machine is another: {is:x?}, on the general path {must:x?}"));
    }
    lines
}

/// Whether the difference in the word at `at` in an object means anything now. How a thread sends means nothing when it
/// does not wait to send, its links nothing when it is in no queue, and of a fault only the fields of its kind do.
fn means_something(short: &World, general: &World, region: &Region, at: u64) -> bool {
    if region.kind != Kind::Tcb {
        return true;
    }
    let Some(tcb) = Ref::<Tcb>::at(KernelAddr(region.address.0)) else { return true };
    let (thread, other) = (&short.kernel.store[tcb], &general.kernel.store[tcb]);
    let at = at as usize;
    let in_field = |start: usize, bytes: usize| (start..start + bytes).contains(&at);
    let is_queued = thread.queued != Queued::No
        || matches!(
            thread.state,
            ThreadState::BlockedOnSend | ThreadState::BlockedOnReceive | ThreadState::BlockedOnNotification
        );
    let links = in_field(offset_of!(Tcb, links), size_of_val(&thread.links));
    let sending = in_field(offset_of!(Tcb, sending), size_of_val(&thread.sending));
    let fault = in_field(offset_of!(Tcb, fault), size_of_val(&thread.fault));
    !(links && !is_queued
        || sending && thread.state != ThreadState::BlockedOnSend
        || fault && thread.fault == other.fault)
}
