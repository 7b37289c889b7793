// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keel, the portable kernel: address spaces, threads, time and synchronous message passing, and nothing else.
//!
//! The kernel is a library without global state: all of it hangs off one [`Kernel<A>`], where `A` is the machine
//! ([`arch::Arch`]). The same code runs on the metal and, on a model of a machine, in tests on the host.
//!
//! # A tour
//!
//! A trap lands in [`syscall`]: it looks up the capability in the caller's CSpace ([`cspace`]) and either sends a
//! message ([`ipc`]) or *decodes* an invocation of an object ([`invocation`], [`object`]). Decoding checks
//! everything and changes nothing; it returns a user's error or a value that describes an operation which cannot
//! fail any more. *Performing* that value never returns an error; what can be long does one bounded piece after
//! the other, looks between them whether an interrupt waits ([`preempt`]), and if so leaves a consistent system
//! behind and has the caller repeat its system call. Before the kernel returns to user level, [`sched`] decides
//! who runs next and until when.
//!
//! Objects live in memory that user level retyped for them ([`object::untyped`]). They are named by typed handles
//! and reached through the [`store`], which is the only module here with `unsafe` in it. Who may reach what is
//! decided by capabilities ([`cap`]) in slots, which are linked into the derivation tree ([`cdt`]).
//!
//! # Principles
//!
//! 1. The only authority is a capability.
//! 2. The kernel allocates nothing after boot.
//! 3. Every path has a bounded length; each loop states its bound.
//! 4. First decide, then act.

#![cfg_attr(not(any(test, feature = "host")), no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

pub mod arch;
pub mod boot;
pub mod cap;
pub mod cdt;
pub mod cspace;
pub mod debug;
pub mod error;
#[cfg(any(test, feature = "host"))]
#[allow(clippy::missing_docs_in_private_items)]
pub mod host;
pub mod invocation;
pub mod ipc;
pub mod object;
pub mod preempt;
pub mod sched;
#[allow(unsafe_code)]
pub mod store;
pub mod syscall;
pub mod tree;
pub mod units;

use arch::Arch;
use object::Tcb;
use object::asid::AsidPools;
use object::domain::DomainSchedule;
use object::irq::Interrupts;
use sched::Core;
use store::{Ref, Store};

/// The kernel of machine `A`: all of its state.
pub struct Kernel<A: Arch> {
    /// The machine.
    pub arch: A,
    /// All objects.
    pub store: Store<A>,
    /// What belongs to the one core.
    pub core: Core,
    /// Whose turn it is among domains.
    pub domains: DomainSchedule,
    /// Which interrupts have handlers.
    pub interrupts: Interrupts,
    /// All address spaces.
    pub asid_pools: AsidPools<A>,
    /// The initial thread, of whose unhandled faults the console is told; only ever compared.
    pub root_task: Option<Ref<Tcb>>,
    /// How many refusals may still be told of.
    refusals: debug::report::Limit,
    /// The count of [`Self::next_sequence`].
    sequence: u64,
}

impl<A: Arch> Kernel<A> {
    /// A kernel without objects, on `arch`, over `memory`.
    #[must_use]
    #[inline(always)]
    pub const fn new(arch: A, memory: A::Memory, interrupts: Interrupts) -> Self {
        Self {
            arch,
            store: Store::new(memory),
            core: Core::new(),
            domains: DomainSchedule::new(),
            interrupts,
            asid_pools: AsidPools::new(),
            root_task: None,
            refusals: debug::report::Limit::new(),
            sequence: 0,
        }
    }

    /// Lets `first` run. Once, at the end of boot; time has been started with its scheduling context.
    pub fn start(&mut self, first: Ref<Tcb>) {
        self.root_task = Some(first);
        self.switch_candidate(first);
        self.schedule();
    }

    /// The next number of the count that orders events (arrivals in queues): never the same twice.
    pub const fn next_sequence(&mut self) -> u64 {
        // At one event per nanosecond the count lasts for centuries.
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }
}
