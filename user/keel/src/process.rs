// SPDX-License-Identifier: MIT OR Apache-2.0

//! Processes: a program in an address space, a CSpace and a thread of its own.
//!
//! ```text
//!   Builder ──build──▶ Process (stopped) ──start──▶ running ──kill──▶ nothing left
//! ```
//!
//! A process is built from *one* Untyped: its objects, its memory, its page tables, and the Untyped that
//! it may be given for children of its own. Killing it is revoking that Untyped. The builder keeps few
//! capabilities itself; those which only have to exist (frames, page tables, copies of shared frames) it
//! moves into the *attic*, a CNode of the same Untyped, so that they vanish with it.
//!
//! The child gets exactly what the builder lists, in a CSpace of its own: nothing of itself, not even
//! its own thread, unless asked for ([`Builder::means`]). Its address space holds the program's
//! segments with their rights, and then, with a hole before each:
//!
//! ```text
//!   image │ stack │ IPC buffer │ startup page │ regions … │ free
//! ```
//!
//! Invariants:
//! 1. All capabilities that building a process makes are in its [`PROCESS_SLOTS`] slots, its attic,
//!    or its CSpace; so emptying the slots and revoking the Untyped undoes everything.
//! 2. What the startup page says of regions is true ([`crate::startup`], invariants 1–3).

use core::ops::Range;

use crate::{
    arch::abi::{
        memory::{PAGE_BITS, TABLE_INDEX_BITS},
        registers::TLS_BASE,
    },
    cap::{
        Attributes, Blueprint, Budget, CNode, CNodeData, CPtr, Cap, Endpoint, Frame, Notification, PageTable,
        Registers, Rights, SchedContext, SchedParams, SlotPath, Tcb, Untyped, VSpace,
    },
    elf::{Access, Program},
    error::{Error, Result},
    resources::{LARGE_PAGE_BYTES, MAX_TABLES, PAGE_BYTES, Resources, sched_context},
    shared::{SharedMemory, with_frame},
    startup::{self, Grant, MAX_ARGUMENT, MAX_GRANTS, MAX_REGIONS, Name, Region, RegionKind, Startup},
};

/// Slots of the builder's CSpace that a process takes.
pub const PROCESS_SLOTS: u64 = 7;

/// Where free addresses of a child end.
const ADDRESS_END: u64 = crate::arch::ADDRESS_END;

/// A capability for a child.
#[derive(Clone, Copy, Debug)]
struct GrantRequest<'a> {
    name: &'a str,
    cptr: CPtr,
    rights: Rights,
    data: Option<u64>,
    slot: u64,
}

/// Memory for a child.
#[derive(Clone, Copy, Debug)]
enum RegionSource<'a> {
    Shared(&'a SharedMemory, RegionKind),
    Private(u64),
    Device(Cap<Frame>),
}

#[derive(Clone, Copy, Debug)]
struct RegionRequest<'a> {
    name: &'a str,
    source: RegionSource<'a>,
}

impl RegionRequest<'_> {
    /// Bytes of address space, and their alignment, which is also the size of the pages.
    fn extent(&self) -> (u64, u64) {
        match self.source {
            RegionSource::Shared(memory, _) => (memory.mapped_bytes(), memory.page_bytes()),
            RegionSource::Private(size) if size >= LARGE_PAGE_BYTES => {
                (size.next_multiple_of(LARGE_PAGE_BYTES), LARGE_PAGE_BYTES)
            }
            RegionSource::Private(size) => (size.max(1).next_multiple_of(PAGE_BYTES), PAGE_BYTES),
            RegionSource::Device(_) => (PAGE_BYTES, PAGE_BYTES),
        }
    }

    fn kind(&self) -> RegionKind {
        match self.source {
            RegionSource::Shared(_, kind) => kind,
            RegionSource::Private(_) => RegionKind::Private,
            RegionSource::Device(_) => RegionKind::Device,
        }
    }

    /// The size that the child is told.
    fn size(&self) -> u64 {
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
    argument: &'a [u8],
    stack_bytes: u64,
    cspace_radix: u8,
    priority: u8,
    max_controlled_priority: u8,
    budget: Option<Budget>,
    fault_endpoint: Option<(Cap<Endpoint>, u64)>,
    timeout_endpoint: Option<(Cap<Endpoint>, u64)>,
    notification: Option<Cap<Notification>>,
    means_bits: Option<u8>,
    grants: [Option<GrantRequest<'a>>; MAX_GRANTS],
    regions: [Option<RegionRequest<'a>>; MAX_REGIONS],
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

    /// Bytes that the child finds with [`Startup::argument`], at most [`MAX_ARGUMENT`].
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
    fn first_free_slot(&self) -> u64 {
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
        let tables = [None; MAX_TABLES as usize];
        let mut site = Site { resources, process: &process, plan: &plan, stowed: 0, tables };
        match site.construct(self, &program) {
            Ok(()) => Ok(process),
            Err(error) => {
                process.kill(resources)?;
                Err(error)
            }
        }
    }
}

/// Where everything goes in a process, and how much of everything it needs.
#[derive(Debug)]
struct Plan {
    stack: Range<u64>,
    ipc_buffer: u64,
    startup: u64,
    regions: [u64; MAX_REGIONS],
    first_free: u64,
    attic_radix: u8,
    memory_bits: u8,
}

impl Plan {
    fn new(builder: &Builder<'_>, program: &Program<'_>) -> Result<Self> {
        let mut next = program.pages().end;
        let mut place = |size: u64, align: u64| -> Result<u64> {
            let start = (next + PAGE_BYTES).checked_next_multiple_of(align);
            let start = start.filter(|&start| size < ADDRESS_END && start < ADDRESS_END - size);
            let start = start.ok_or(Error::OutOfAddresses)?;
            next = start + size;
            Ok(start)
        };
        let stack_bytes =
            builder.stack_bytes.max(1).checked_next_multiple_of(PAGE_BYTES).ok_or(Error::OutOfAddresses)?;
        let stack = place(stack_bytes, PAGE_BYTES)?;
        let ipc_buffer = place(PAGE_BYTES, PAGE_BYTES)?;
        let startup = place(PAGE_BYTES, PAGE_BYTES)?;
        let mut regions = [0; MAX_REGIONS];
        for (address, region) in regions.iter_mut().zip(builder.regions.iter().flatten()) {
            let (size, align) = region.extent();
            *address = place(size, align)?;
        }
        let first_free = place(0, LARGE_PAGE_BYTES)?;

        let image = program.segments().iter().map(|segment| segment.pages().count() as u64);
        let pages = image.map(|bytes| bytes / PAGE_BYTES).sum::<u64>() + stack_bytes / PAGE_BYTES + 2;
        let tables = tables_for(program.pages().start..first_free);
        let mut small = pages + tables;
        let (mut large, mut shared) = (0, 0);
        for region in builder.regions.iter().flatten() {
            let (size, page) = region.extent();
            match region.source {
                RegionSource::Private(_) if page == PAGE_BYTES => small += size / page,
                RegionSource::Private(_) => large += size / page,
                RegionSource::Shared(..) | RegionSource::Device(_) => shared += size / page,
            }
        }
        let attic_radix = (small + large + shared).next_power_of_two().ilog2().max(1) as u8;
        let context = builder.budget.map(|budget| sched_context(budget.extra_refills));
        let cspace = Blueprint::CNode { radix: builder.cspace_radix };
        let mut watermark = Watermark(0);
        watermark.add(builder.means_bits.map(|bits| Blueprint::Untyped { bits }), 1);
        watermark.add(Some(Blueprint::CNode { radix: attic_radix }), 1);
        watermark.add(Some(cspace), 1);
        watermark.add(Some(Blueprint::Tcb), 1);
        watermark.add(context, 1);
        watermark.add(Some(Blueprint::VSpace), 1);
        watermark.add(Some(Blueprint::SmallPage), small);
        watermark.add(Some(Blueprint::LargePage), large);
        let memory_bits = watermark.0.checked_next_power_of_two().ok_or(Error::OutOfMemory(64))?;
        let memory_bits = memory_bits.ilog2() as u8;
        Ok(Self {
            stack: stack..stack + stack_bytes,
            ipc_buffer,
            startup,
            regions,
            first_free,
            attic_radix,
            memory_bits,
        })
    }
}

/// Page tables that all of a range could need.
fn tables_for(range: Range<u64>) -> u64 {
    let spans = |shift: u32| ((range.end - 1) >> shift) - (range.start >> shift) + 1;
    (0..MAX_TABLES as u32).map(|level| spans(table_span_bits(level))).sum()
}

/// The span of one table of a level, as a power of two; level 0 is the lowest.
const fn table_span_bits(level: u32) -> u32 {
    PAGE_BITS + TABLE_INDEX_BITS * (level + 1)
}

/// How full an Untyped gets: the kernel's own rule.
struct Watermark(u64);

impl Watermark {
    fn add(&mut self, blueprint: Option<Blueprint>, count: u64) {
        if let Some(blueprint) = blueprint.filter(|_| count > 0) {
            let size = 1_u64 << blueprint.memory_bits().min(47);
            self.0 = self.0.next_multiple_of(size).saturating_add(size.saturating_mul(count));
        }
    }
}

/// A process that was built.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    untyped: Cap<Untyped>,
    first_slot: u64,
}

/// What the slots of a process hold, by distance from the first.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Slot {
    Attic,
    CSpace,
    VSpace,
    Tcb,
    SchedContext,
    /// A capability on its way to somewhere else.
    Passing,
    /// A page table on its way to the attic.
    Table,
}

const _: () = assert!(Slot::Table as u64 + 1 == PROCESS_SLOTS);

impl Process {
    fn slot(&self, slot: Slot) -> CPtr {
        CPtr::new(self.first_slot + slot as u64)
    }

    /// Its thread.
    pub fn tcb(&self) -> Cap<Tcb> {
        self.slot(Slot::Tcb).cap()
    }

    /// Its time; there is none if it was built [passive](Builder::passive).
    pub fn sched_context(&self) -> Cap<SchedContext> {
        self.slot(Slot::SchedContext).cap()
    }

    /// Its CSpace, whose slot numbers are its capability pointers.
    pub fn cspace(&self) -> Cap<CNode> {
        self.slot(Slot::CSpace).cap()
    }

    /// Its address space.
    pub fn vspace(&self) -> Cap<VSpace> {
        self.slot(Slot::VSpace).cap()
    }

    /// Lets it run (on).
    pub fn start(&self) -> Result {
        Ok(self.tcb().resume()?)
    }

    /// Stops it.
    pub fn stop(&self) -> Result {
        Ok(self.tcb().suspend()?)
    }

    /// Destroys it and everything that it made, and takes its memory back.
    pub fn kill(self, resources: &mut Resources) -> Result {
        resources.release_untyped(self.untyped)?;
        for slot in self.first_slot..self.first_slot + PROCESS_SLOTS {
            resources.discard(CPtr::new(slot))?;
        }
        Ok(())
    }
}

/// A process while it is built.
struct Site<'s> {
    resources: &'s mut Resources,
    process: &'s Process,
    plan: &'s Plan,
    stowed: u64,
    /// The span that the last page table of each level was mapped for, lowest level first. Pages are
    /// mapped in ascending order, so no earlier span comes again.
    tables: [Option<u64>; MAX_TABLES as usize],
}

impl Site<'_> {
    fn construct(&mut self, builder: &Builder<'_>, program: &Program<'_>) -> Result {
        if let Some(bits) = builder.means_bits {
            // First, where no alignment is lost; it waits in the Passing slot for the CSpace.
            self.make(Blueprint::Untyped { bits }, Slot::Passing)?;
        }
        self.make(Blueprint::CNode { radix: self.plan.attic_radix }, Slot::Attic)?;
        self.make(Blueprint::CNode { radix: builder.cspace_radix }, Slot::CSpace)?;
        self.make(Blueprint::Tcb, Slot::Tcb)?;
        if let Some(budget) = builder.budget {
            self.make(sched_context(budget.extra_refills), Slot::SchedContext)?;
        }
        self.make(Blueprint::VSpace, Slot::VSpace)?;
        self.resources.authority.asid_pool.assign(self.process.vspace())?;

        let mut page = Startup::empty();
        self.give_grants(builder, &mut page)?;
        self.give_means(builder, &mut page)?;
        self.map_image(program)?;
        self.map_stack()?;
        self.map_ipc_buffer(builder)?;
        self.describe_regions(builder, &mut page);
        page.argument[..builder.argument.len()].copy_from_slice(builder.argument);
        page.argument_len = builder.argument.len() as u64;
        self.map_startup(&page)?;
        self.map_regions(builder)?;
        self.set_up_thread(builder, program.entry())
    }

    fn path(&self, slot: Slot) -> SlotPath {
        self.resources.path(self.process.slot(slot))
    }

    /// A slot of the child's CSpace.
    fn child_slot(&self, builder: &Builder<'_>, slot: u64) -> SlotPath {
        self.process.cspace().slot(slot, builder.cspace_radix.into())
    }

    /// Makes an object of the process's memory.
    fn make(&mut self, blueprint: Blueprint, slot: Slot) -> Result<CPtr> {
        let cptr = self.process.slot(slot);
        let cnode = self.resources.authority.cnode;
        self.process.untyped.retype(blueprint, cnode, 0, 0, cptr.bits(), 1)?;
        Ok(cptr)
    }

    /// Moves a capability into the attic.
    fn stow(&mut self, cptr: CPtr) -> Result {
        let attic = self.process.slot(Slot::Attic).cap::<CNode>();
        let place = attic.slot(self.stowed, self.plan.attic_radix.into());
        place.move_from(self.resources.path(cptr))?;
        self.stowed += 1;
        Ok(())
    }

    /// Maps the frame in the Passing slot into the child and stows it.
    fn map(&mut self, vaddr: u64, page_bytes: u64, rights: Rights, attributes: Attributes) -> Result {
        self.map_tables(vaddr, page_bytes)?;
        let frame = self.process.slot(Slot::Passing).cap::<Frame>();
        frame.map(self.process.vspace(), vaddr, rights, attributes)?;
        if attributes == Attributes::CODE {
            frame.make_executable(page_bytes)?;
        }
        self.stow(frame.cptr())
    }

    /// Maps the page tables above a page that are not there yet, from the root down.
    fn map_tables(&mut self, vaddr: u64, page_bytes: u64) -> Result {
        for level in (0..MAX_TABLES as u32).rev() {
            let shift = table_span_bits(level);
            let span = Some(vaddr >> shift);
            if page_bytes >> shift == 0 && self.tables[level as usize] != span {
                let table = self.make(Blueprint::PageTable, Slot::Table)?;
                table.cap::<PageTable>().map(self.process.vspace(), vaddr)?;
                self.stow(table)?;
                self.tables[level as usize] = span;
            }
        }
        Ok(())
    }

    /// Makes a page with this content and maps it.
    fn map_page(
        &mut self,
        vaddr: u64,
        rights: Rights,
        attributes: Attributes,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result {
        let frame = self.make(Blueprint::SmallPage, Slot::Passing)?;
        with_frame(self.resources, frame.cap(), fill)?;
        self.map(vaddr, PAGE_BYTES, rights, attributes)
    }

    fn map_image(&mut self, program: &Program<'_>) -> Result {
        for segment in program.segments() {
            let (rights, attributes) = match segment.access {
                Access::Read => (Rights::READ, Attributes::DATA),
                Access::ReadWrite => (Rights::READ_WRITE, Attributes::DATA),
                Access::Execute => (Rights::READ, Attributes::CODE),
            };
            for page in segment.pages().step_by(PAGE_BYTES as usize) {
                self.map_page(page, rights, attributes, |bytes| segment.fill_page(page, bytes))?;
            }
        }
        Ok(())
    }

    fn map_stack(&mut self) -> Result {
        for page in self.plan.stack.clone().step_by(PAGE_BYTES as usize) {
            self.make(Blueprint::SmallPage, Slot::Passing)?;
            self.map(page, PAGE_BYTES, Rights::READ_WRITE, Attributes::DATA)?;
        }
        Ok(())
    }

    /// Maps the IPC buffer and gives the thread its spaces: the buffer's capability is at hand now.
    fn map_ipc_buffer(&mut self, builder: &Builder<'_>) -> Result {
        let frame = self.make(Blueprint::SmallPage, Slot::Passing)?.cap();
        let guard = CNodeData::new(0, 64 - u64::from(builder.cspace_radix));
        let (cspace, vspace) = (self.process.cspace(), self.process.vspace());
        self.process.tcb().configure(cspace, guard, vspace, self.plan.ipc_buffer, frame)?;
        self.map(self.plan.ipc_buffer, PAGE_BYTES, Rights::READ_WRITE, Attributes::DATA)
    }

    fn map_startup(&mut self, page: &Startup) -> Result {
        self.map_page(self.plan.startup, Rights::READ, Attributes::DATA, |bytes| page.write_to(bytes))
    }

    /// Writes onto the startup page what [`Self::map_regions`] will map.
    fn describe_regions(&self, builder: &Builder<'_>, page: &mut Startup) {
        let requests = builder.regions.iter().flatten().zip(&self.plan.regions);
        for (place, (request, &address)) in page.regions.iter_mut().zip(requests) {
            let (name, size, kind) = (Name::new(request.name), request.size(), request.kind());
            *place = Region { name, address, size, kind };
            page.region_count += 1;
        }
    }

    fn map_regions(&mut self, builder: &Builder<'_>) -> Result {
        for (request, &address) in builder.regions.iter().flatten().zip(&self.plan.regions) {
            let (size, page) = request.extent();
            match request.source {
                RegionSource::Shared(memory, kind) => {
                    let rights = if kind == RegionKind::Shared { Rights::READ_WRITE } else { Rights::READ };
                    for (frame, offset) in memory.frames() {
                        self.map_copy(frame, address + offset, page, rights, Attributes::DATA)?;
                    }
                }
                RegionSource::Device(frame) => {
                    self.map_copy(frame, address, page, Rights::READ_WRITE, Attributes::DEVICE)?
                }
                RegionSource::Private(_) => self.map_private(address..address + size, page)?,
            }
        }
        Ok(())
    }

    fn map_copy(
        &mut self,
        frame: Cap<Frame>,
        vaddr: u64,
        page_bytes: u64,
        rights: Rights,
        attributes: Attributes,
    ) -> Result {
        self.path(Slot::Passing).copy_from(self.resources.path(frame.cptr()), rights)?;
        self.map(vaddr, page_bytes, rights, attributes)
    }

    fn map_private(&mut self, range: Range<u64>, page: u64) -> Result {
        let blueprint = if page == PAGE_BYTES { Blueprint::SmallPage } else { Blueprint::LargePage };
        for vaddr in range.step_by(page as usize) {
            self.make(blueprint, Slot::Passing)?;
            self.map(vaddr, page, Rights::READ_WRITE, Attributes::DATA)?;
        }
        Ok(())
    }

    fn give_grants(&mut self, builder: &Builder<'_>, page: &mut Startup) -> Result {
        for (index, grant) in builder.grants.iter().flatten().enumerate() {
            let (slot, source) = (self.child_slot(builder, grant.slot), self.resources.path(grant.cptr));
            match grant.data {
                Some(data) => slot.mint_from(source, grant.rights, data)?,
                None => slot.copy_from(source, grant.rights)?,
            }
            page.grants[index] = Grant { name: Name::new(grant.name), slot: grant.slot };
            page.grant_count += 1;
        }
        Ok(())
    }

    /// Gives the child what it builds with, in the slots behind the grants.
    fn give_means(&mut self, builder: &Builder<'_>, page: &mut Startup) -> Result {
        let Some(bits) = builder.means_bits else { return Ok(()) };
        let first = builder.first_free_slot();
        let (own, authority) = (self.process, self.resources.authority);
        self.child_slot(builder, first).move_from(self.path(Slot::Passing))?;
        let copies = [
            own.vspace().cptr(),
            own.tcb().cptr(),
            authority.asid_pool.cptr(),
            authority.sched_control.cptr(),
        ];
        for (slot, source) in (first + 1..).zip(copies) {
            self.child_slot(builder, slot).copy_from(self.resources.path(source), Rights::ALL)?;
        }
        let cnode = first + 1 + copies.len() as u64;
        let guard = CNodeData::new(0, 64 - u64::from(builder.cspace_radix)).word();
        self.child_slot(builder, cnode).mint_from(self.path(Slot::CSpace), Rights::ALL, guard)?;
        page.means = startup::Means {
            untyped: first,
            untyped_bits: bits.into(),
            vspace: first + 1,
            tcb: first + 2,
            asid_pool: first + 3,
            sched_control: first + 4,
            cnode,
            first_slot: cnode + 1,
            end_slot: 1 << builder.cspace_radix,
            first_address: self.plan.first_free,
            end_address: ADDRESS_END,
        };
        Ok(())
    }

    fn set_up_thread(&mut self, builder: &Builder<'_>, entry: u64) -> Result {
        let tcb = self.process.tcb();
        let sched_context = match builder.budget {
            Some(budget) => {
                let context = self.process.sched_context();
                self.resources.authority.sched_control.configure(context, budget)?;
                context
            }
            None => Cap::null(),
        };
        let fault_endpoint = self.mint_fault_endpoint(builder.fault_endpoint)?;
        tcb.set_sched_params(SchedParams {
            authority: self.resources.authority.tcb,
            max_controlled_priority: builder.max_controlled_priority,
            priority: builder.priority,
            sched_context,
            fault_endpoint,
        })?;
        self.path(Slot::Passing).delete()?;
        if builder.timeout_endpoint.is_some() {
            let endpoint = self.mint_fault_endpoint(builder.timeout_endpoint)?;
            tcb.set_timeout_endpoint(endpoint)?;
            self.path(Slot::Passing).delete()?;
        }
        if let Some(notification) = builder.notification {
            tcb.bind_notification(notification)?;
        }
        let registers = Registers::starting_at(entry, self.plan.stack.end, self.plan.startup)
            .with(TLS_BASE, self.plan.ipc_buffer);
        Ok(tcb.write_registers(&registers, false)?)
    }

    /// Puts the badged endpoint of a fault handler into the Passing slot. The thread keeps its own copy,
    /// so this one goes again.
    fn mint_fault_endpoint(&mut self, handler: Option<(Cap<Endpoint>, u64)>) -> Result<Cap<Endpoint>> {
        let Some((endpoint, badge)) = handler else { return Ok(Cap::null()) };
        let source = self.resources.path(endpoint.cptr());
        self.path(Slot::Passing).mint_from(source, Rights::WRITE | Rights::GRANT_REPLY, badge)?;
        Ok(self.process.slot(Slot::Passing).cap())
    }
}
