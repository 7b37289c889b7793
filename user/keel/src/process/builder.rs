// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a process shall be: the list that its builder makes.

use super::{PROCESS_SLOTS, Process, plan::Plan, site::Site};
use crate::{
    cap::{Budget, CPtr, Cap, Endpoint, Frame, Notification, Rights},
    elf::Program,
    error::{Error, Result},
    resources::{LARGE_PAGE_BYTES, PAGE_BYTES, Resources},
    shared::SharedMemory,
    startup::{MAX_ARGUMENT, MAX_GRANTS, MAX_REGIONS, RegionKind},
};

/// A capability for a child.
#[derive(Clone, Copy, Debug)]
pub(super) struct GrantRequest<'a> {
    pub(super) name: &'a str,
    pub(super) cptr: CPtr,
    pub(super) rights: Rights,
    pub(super) data: Option<u64>,
    pub(super) slot: u64,
}

/// Memory for a child.
#[derive(Clone, Copy, Debug)]
pub(super) enum RegionSource<'a> {
    Shared(&'a SharedMemory, RegionKind),
    Private(u64),
    Device(Cap<Frame>),
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RegionRequest<'a> {
    pub(super) name: &'a str,
    pub(super) source: RegionSource<'a>,
}

impl RegionRequest<'_> {
    /// Bytes of address space, and their alignment, which is also the size of the pages.
    pub(super) fn extent(&self) -> (u64, u64) {
        match self.source {
            RegionSource::Shared(memory, _) => (memory.mapped_bytes(), memory.page_bytes()),
            RegionSource::Private(size) if size >= LARGE_PAGE_BYTES => {
                (size.next_multiple_of(LARGE_PAGE_BYTES), LARGE_PAGE_BYTES)
            }
            RegionSource::Private(size) => (size.max(1).next_multiple_of(PAGE_BYTES), PAGE_BYTES),
            RegionSource::Device(_) => (PAGE_BYTES, PAGE_BYTES),
        }
    }

    pub(super) fn kind(&self) -> RegionKind {
        match self.source {
            RegionSource::Shared(_, kind) => kind,
            RegionSource::Private(_) => RegionKind::Private,
            RegionSource::Device(_) => RegionKind::Device,
        }
    }

    /// The size that the child is told.
    pub(super) fn size(&self) -> u64 {
        match self.source {
            RegionSource::Shared(memory, _) => memory.len(),
            RegionSource::Private(_) | RegionSource::Device(_) => self.extent().0,
        }
    }
}

/// How a child may use memory that its parent shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// Read it; the parent promises that nobody changes it while the child runs.
    Frozen,
    /// Read it while others change it.
    ReadOnly,
    /// Read and write it.
    ReadWrite,
}

/// Describes a process, then builds it.
///
/// ```no_run
/// # use keel::{cap::*, process::*, shared::SharedMemory, Resources, Result};
/// # fn example(resources: &mut Resources, file: &[u8], tab: Cap<Endpoint>, faults: Cap<Endpoint>,
/// #     picture: &SharedMemory, pixels: &SharedMemory) -> Result {
/// let decoder = Builder::new(file)
///     .priority(100)
///     .budget(Budget::of(5_000, 10_000))
///     .fault_endpoint(faults, 7)
///     .grant_badged("tab", tab, Rights::WRITE | Rights::GRANT_REPLY, 7)
///     .share("input", picture, Sharing::Frozen)
///     .share("output", pixels, Sharing::ReadWrite)
///     .private(keel::startup::HEAP, 16 << 20)
///     .build(resources)?;
/// decoder.start()?;
/// // …
/// decoder.kill(resources)
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Builder<'a> {
    file: &'a [u8],
    pub(super) argument: &'a [u8],
    pub(super) stack_bytes: u64,
    pub(super) cspace_radix: u8,
    pub(super) priority: u8,
    pub(super) max_controlled_priority: u8,
    pub(super) budget: Option<Budget>,
    pub(super) fault_endpoint: Option<(Cap<Endpoint>, u64)>,
    pub(super) timeout_endpoint: Option<(Cap<Endpoint>, u64)>,
    pub(super) notification: Option<Cap<Notification>>,
    pub(super) means_bits: Option<u8>,
    pub(super) grants: [Option<GrantRequest<'a>>; MAX_GRANTS],
    pub(super) regions: [Option<RegionRequest<'a>>; MAX_REGIONS],
    overflow: Option<&'static str>,
}

impl<'a> Builder<'a> {
    /// A process that runs this ELF file.
    pub fn new(file: &'a [u8]) -> Self {
        Self {
            file,
            argument: &[],
            stack_bytes: 64 << 10,
            cspace_radix: 6,
            priority: 100,
            max_controlled_priority: 0,
            budget: Some(Budget::round_robin(5_000)),
            fault_endpoint: None,
            timeout_endpoint: None,
            notification: None,
            means_bits: None,
            grants: [None; MAX_GRANTS],
            regions: [None; MAX_REGIONS],
            overflow: None,
        }
    }

    /// Bytes that the child finds with [`Startup::argument`](crate::Startup::argument), at most [`MAX_ARGUMENT`].
    pub fn argument(mut self, argument: &'a [u8]) -> Self {
        self.argument = argument;
        self
    }

    /// Size of the stack; 64 KiB if not said.
    pub fn stack_bytes(mut self, bytes: u64) -> Self {
        self.stack_bytes = bytes;
        self
    }

    /// The CSpace has 2^`radix` slots; 2^6 if not said.
    pub fn cspace_radix(mut self, radix: u8) -> Self {
        self.cspace_radix = radix;
        self
    }

    /// Priority of the thread; 100 if not said.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Highest priority that the thread can give to others, should it have its own capability; 0 if
    /// not said.
    pub fn max_controlled_priority(mut self, priority: u8) -> Self {
        self.max_controlled_priority = priority;
        self
    }

    /// The time it gets; turns of 5 ms if not said.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Without time of its own: it runs on its callers'.
    pub fn passive(mut self) -> Self {
        self.budget = None;
        self
    }

    /// Its faults are sent to this endpoint with this badge. Without, a fault ends it silently.
    pub fn fault_endpoint(mut self, endpoint: Cap<Endpoint>, badge: u64) -> Self {
        self.fault_endpoint = Some((endpoint, badge));
        self
    }

    /// The end of its budget is a fault, sent to this endpoint with this badge.
    pub fn timeout_endpoint(mut self, endpoint: Cap<Endpoint>, badge: u64) -> Self {
        self.timeout_endpoint = Some((endpoint, badge));
        self
    }

    /// Binds a notification to its thread.
    pub fn bind(mut self, notification: Cap<Notification>) -> Self {
        self.notification = Some(notification);
        self
    }

    /// Gives it what it needs to build processes itself: an Untyped of 2^`bits` bytes, its own CNode,
    /// address space and thread, and the builder's ASID pool and time.
    pub fn means(mut self, bits: u8) -> Self {
        self.means_bits = Some(bits);
        self
    }

    fn add_grant(mut self, mut grant: GrantRequest<'a>) -> Self {
        match self.grants.iter().position(Option::is_none) {
            Some(index) => {
                if grant.slot == 0 {
                    grant.slot = self.first_free_slot();
                }
                self.grants[index] = Some(grant);
            }
            None => self.overflow = Some("grants to a process"),
        }
        self
    }

    /// The lowest slot that no grant has; slot 0 stays empty.
    pub(super) fn first_free_slot(&self) -> u64 {
        let highest = self.grants.iter().flatten().map(|grant| grant.slot).max();
        highest.unwrap_or(0) + 1
    }

    /// Gives it a copy of a capability, with at most these rights.
    pub fn grant<T>(self, name: &'a str, cap: Cap<T>, rights: Rights) -> Self {
        self.add_grant(GrantRequest { name, cptr: cap.cptr(), rights, data: None, slot: 0 })
    }

    /// Gives it a copy of a capability with at most these rights and a badge.
    pub fn grant_badged<T>(self, name: &'a str, cap: Cap<T>, rights: Rights, badge: u64) -> Self {
        self.add_grant(GrantRequest { name, cptr: cap.cptr(), rights, data: Some(badge), slot: 0 })
    }

    /// Gives it a copy of a capability in a slot of choice. Grants without choice go behind the highest
    /// slot so far.
    pub fn grant_at<T>(self, slot: u64, name: &'a str, cap: Cap<T>, rights: Rights) -> Self {
        self.add_grant(GrantRequest { name, cptr: cap.cptr(), rights, data: None, slot })
    }

    fn add_region(mut self, name: &'a str, source: RegionSource<'a>) -> Self {
        match self.regions.iter_mut().find(|region| region.is_none()) {
            Some(region) => *region = Some(RegionRequest { name, source }),
            None => self.overflow = Some("regions of a process"),
        }
        self
    }

    /// Maps shared memory.
    pub fn share(self, name: &'a str, memory: &'a SharedMemory, sharing: Sharing) -> Self {
        let kind = match sharing {
            Sharing::Frozen => RegionKind::Frozen,
            Sharing::ReadOnly => RegionKind::SharedReadOnly,
            Sharing::ReadWrite => RegionKind::Shared,
        };
        self.add_region(name, RegionSource::Shared(memory, kind))
    }

    /// Gives it `bytes` of zeroed memory of its own.
    pub fn private(self, name: &'a str, bytes: u64) -> Self {
        self.add_region(name, RegionSource::Private(bytes))
    }

    /// Maps a small device frame.
    pub fn device(self, name: &'a str, frame: Cap<Frame>) -> Self {
        self.add_region(name, RegionSource::Device(frame))
    }

    /// Builds the process, stopped before its first instruction. A failure leaves nothing behind.
    pub fn build(&self, resources: &mut Resources) -> Result<Process> {
        if let Some(what) = self.overflow {
            return Err(Error::OutOfRoom(what));
        }
        if self.argument.len() > MAX_ARGUMENT {
            return Err(Error::BadArgument("length of a process's argument"));
        }
        let program = Program::parse(self.file)?;
        let plan = Plan::new(self, &program)?;
        let untyped = resources.untyped(plan.memory_bits)?;
        let slots = resources.slots.allocate_range(PROCESS_SLOTS);
        let process = match slots {
            Ok(first_slot) => Process { untyped, first_slot },
            Err(error) => {
                resources.release_untyped(untyped)?;
                return Err(error);
            }
        };
        let mut site = Site::new(resources, &process, &plan);
        match site.construct(self, &program) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.kill(resources)?;
                Err(error)
            }
        }
    }
}
