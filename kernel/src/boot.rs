// SPDX-License-Identifier: MIT OR Apache-2.0

//! From the machine's memory map to the root task's capabilities (`boot.md` §1 to §5).
//!
//! The machine's entry code finds out what memory there is, what of it is taken, and where a loader has put the
//! root task's image. [`boot`] divides the rest: a small part at the top of memory becomes the objects of the root
//! task, everything else untypeds; and all of it, devices included, is put as capabilities into the root CNode.
//! From then on the kernel owns no free memory.
//!
//! ```text
//!   physical   | devices | kernel, DTB | image | free .............. | root objects | free | devices
//!   becomes      untyped                frames   untyped               objects        untyped  untyped
//! ```
//!
//! Invariants:
//! - **B1** No byte of memory is in two capabilities of the root CNode, other than image frames that a page holds in
//!   part; nor in one at all if the kernel keeps it.
//! - **B2** Each object made here is cleared first; memory of an untyped is not, and is marked as dirty.
//! - **B3** Boot either gives the root task everything the interface promises or fails with an error, before any
//!   thread runs. Untypeds that find no place are the one exception ([`Booted`]).
//!
//! Bound: regions are few ([`MAX_REGIONS`](region::MAX_REGIONS)); tables, frames and untypeds are limited by the
//! slots of the root CNode; clearing and copying by the size of what is made. Boot runs once and is not preempted.

pub mod info;
pub mod plan;
pub mod region;

use crate::Kernel;
use crate::arch::Arch;
use crate::cap::{CNodeCap, Cap, FrameCap, Mapping, RawCap, TableCap, UntypedCap, VSpaceCap, VmRights};
use crate::cdt::{self, Flags};
use crate::cspace::{FULL_DEPTH, Slot};
use crate::object::tcb::{TcbSlot, ThreadState};
use crate::object::{AsidPool, SchedContext, Table, Tcb, bits};
use crate::store::{CLEAR_CHUNK_BYTES, Kind, Ref, Store};
use crate::units::{Asid, PhysAddr, VirtAddr};
use core::fmt;
use core::mem::offset_of;
use info::{ExtraChunk, InfoFrame, write_extra};
use keel_abi::bootinfo::{BootInfo, MAX_UNTYPEDS, SlotRegion};
use keel_abi::config::Options;
use keel_abi::slot;
use plan::{Layout, Objects, PAGE_BITS, PAGE_BYTES, Sizes};
use region::{PhysRegion, Pieces, Regions};

/// The root task as a loader has left it in memory.
#[derive(Clone, Copy, Debug)]
pub struct UserImage {
    /// Where it lies: from a page's start; the end is rounded up to a page.
    pub physical: PhysRegion,
    /// Physical − virtual address, modulo 2^64.
    pub offset: u64,
    /// Where it starts to run.
    pub entry: VirtAddr,
}

/// What the machine knows.
#[derive(Clone, Copy, Debug)]
pub struct BootInput<'a> {
    /// Normal memory, in any order.
    pub memory: &'a [PhysRegion],
    /// What the kernel keeps, in any order: its image, the device tree, registers of devices it drives itself. Not
    /// the root task's image.
    pub reserved: &'a [PhysRegion],
    /// What boot itself needs while it runs, whole pages: free memory from then on, if it is normal memory at all.
    pub reclaimed: PhysRegion,
    /// The end of the kernel's window: normal memory above it is handed out as that of a device.
    pub window_top: PhysAddr,
    /// The end of what is handed out at all.
    pub device_top: PhysAddr,
    /// The root task.
    pub image: UserImage,
    /// Extra BootInfo.
    pub extra: &'a [ExtraChunk<'a>],
    /// Capabilities that only this machine has, with the slots they go to.
    pub machine_caps: &'a [(u64, RawCap)],
}

impl BootInput<'_> {
    /// Bytes of extra BootInfo.
    fn extra_bytes(&self) -> u64 {
        self.extra.iter().map(ExtraChunk::bytes).sum()
    }

    /// The image's memory in whole pages.
    fn image_pages(&self) -> PhysRegion {
        let PhysRegion { start, end } = self.image.physical;
        PhysRegion { start, end: PhysAddr(end.0.next_multiple_of(PAGE_BYTES)) }
    }
}

/// What is worth a line on the console after a successful boot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Booted {
    /// Pieces of memory that BootInfo or the root CNode had no place for: they are lost.
    pub untypeds_dropped: u64,
}

/// Why there is no system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BootError {
    /// The memory map is too fragmented.
    TooManyRegions,
    /// No region of memory can hold the root task's objects.
    NoMemory,
    /// The image has no bytes.
    ImageEmpty,
    /// The image does not begin at a page, physically or virtually.
    ImageNotAligned,
    /// The image, or what follows it, reaches beyond the addresses of user level.
    ImageTooHigh,
    /// The image is not in normal memory.
    ImageOutsideMemory,
    /// The image lies where the kernel keeps something.
    ImageOverlapsKernel,
    /// The image does not contain its entry point.
    EntryOutsideImage,
    /// The root CNode is too small for the image's frames and tables.
    RootCNodeTooSmall,
}

impl fmt::Display for BootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyRegions => "the memory map has too many regions",
            Self::NoMemory => "no region of memory is big enough for the root task's objects",
            Self::ImageEmpty => "the root task's image is empty",
            Self::ImageNotAligned => "the root task's image does not begin at a page boundary",
            Self::ImageTooHigh => "the root task's image reaches beyond the last user address",
            Self::ImageOutsideMemory => "the root task's image is not in memory that the kernel can use",
            Self::ImageOverlapsKernel => "the root task's image overlaps memory that the kernel keeps",
            Self::EntryOutsideImage => "the root task's entry point is not in its image",
            Self::RootCNodeTooSmall => "the root CNode has too few slots for the root task's image",
        })
    }
}

/// The identifier of the root task's address space.
const ROOT_ASID: Asid = 1;

/// The name of the root task's thread.
const ROOT_NAME: &[u8] = b"rootserver";

/// Makes the root task and starts it: the machine's next exit to user level is its first instruction.
pub fn boot<A: Arch>(kernel: &mut Kernel<A>, input: &BootInput) -> Result<Booted, BootError> {
    let layout = Layout::of::<A>(input)?;
    let mut memory = Memory { devices: Regions::new(), free: Regions::new() };
    memory.divide(input)?;
    let radix = Options::BUILD.root_cnode_bits as u8;
    let sizes = Sizes::of::<A>(&layout, radix);
    let all = memory.free.take_highest(sizes.total(), sizes.alignment_bits())?;
    memory.reclaim(input)?;
    let objects = Objects::place(all, &sizes);

    kernel.interrupts.adopt_slots(&mut kernel.store);
    let mut root = RootTask::make(kernel, input, layout, sizes, objects)?;
    root.provide_fixed();
    if A::SCHED_CONTROL_FIRST {
        root.provide_sched_control()?;
    }
    root.provide_tables()?;
    root.provide_extra()?;
    if !A::SCHED_CONTROL_FIRST {
        root.provide_sched_control()?;
    }
    root.provide_image()?;
    let booted = root.provide_untypeds(&memory);
    root.finish_info();
    root.start_thread();
    Ok(booted)
}

/// What becomes untyped.
#[derive(Debug)]
struct Memory {
    /// Everything that is neither normal memory nor kept by the kernel.
    devices: Regions,
    /// Normal memory that nobody uses.
    free: Regions,
}

impl Memory {
    /// Divides the machine's memory, of which the root task's image and what the kernel keeps are taken.
    fn divide(&mut self, input: &BootInput) -> Result<(), BootError> {
        let image = input.image_pages();
        let kept = input.reserved.iter().chain([&input.reclaimed]);
        if kept.into_iter().any(|reserved| reserved.overlaps(&image)) {
            return Err(BootError::ImageOverlapsKernel);
        }
        let free = &mut self.free;
        for region in input.memory {
            free.add(&region.below(input.window_top))?;
        }
        if !free.as_slice().iter().any(|region| region.contains(&image)) {
            return Err(BootError::ImageOutsideMemory);
        }
        let mut not_device = free.clone();
        for region in input.reserved {
            not_device.add(region)?;
            free.subtract(region)?;
        }
        not_device.add(&input.reclaimed)?;
        free.subtract(&input.reclaimed)?;
        free.subtract(&image)?;
        self.devices.fill_gaps(&not_device, input.device_top)
    }

    /// Adds what boot needs no more. Only what is free already can hold the root task's objects, which boot writes.
    fn reclaim(&mut self, input: &BootInput) -> Result<(), BootError> {
        let is_memory = |region: &PhysRegion| region.below(input.window_top).contains(&input.reclaimed);
        if input.memory.iter().any(is_memory) { self.free.add(&input.reclaimed) } else { Ok(()) }
    }
}

/// The root task being made.
struct RootTask<'a, A: Arch> {
    /// The kernel.
    kernel: &'a mut Kernel<A>,
    /// What the machine knows.
    input: &'a BootInput<'a>,
    /// Where things go in its address space.
    layout: Layout,
    /// How much its objects take.
    sizes: Sizes,
    /// Where they lie.
    places: Objects,
    /// The objects.
    objects: Handles,
    /// The next free slot of the root CNode.
    next_slot: u64,
}

/// The root task's objects.
#[derive(Clone, Copy)]
struct Handles {
    /// The first slot of the root CNode.
    cnode: Ref<Slot>,
    /// The root of its address space.
    vspace: Ref<Table>,
    /// The first of the tables below.
    tables: Ref<Table>,
    /// The first ASID pool.
    pool: Ref<AsidPool>,
    /// The thread.
    tcb: Ref<Tcb>,
    /// Its scheduling context.
    sched_context: Ref<SchedContext>,
}

impl<'a, A: Arch> RootTask<'a, A> {
    /// Clears the memory and makes the objects.
    fn make(
        kernel: &'a mut Kernel<A>,
        input: &'a BootInput<'a>,
        layout: Layout,
        sizes: Sizes,
        places: Objects,
    ) -> Result<Self, BootError> {
        clear(&mut kernel.store, places.all);
        let objects = Handles::create(&mut kernel.store, &places, &sizes).ok_or(BootError::NoMemory)?;
        create_frame(&mut kernel.store, places.ipc_buffer);
        create_frame(&mut kernel.store, places.boot_info);
        for page in 0..layout.extra_pages {
            create_frame(&mut kernel.store, places.extra.offset(page << PAGE_BITS));
        }
        for table in 0..=sizes.tables {
            kernel.arch.cleared(places.vspace.offset(table << bits::TABLE), 1 << bits::TABLE);
        }
        kernel.asid_pools.set(ROOT_ASID, Some(objects.pool));
        kernel.assign(objects.pool, VSpaceCap { root: objects.vspace, asid: ROOT_ASID });
        Ok(Self { kernel, input, layout, sizes, places, objects, next_slot: slot::NUM_INITIAL })
    }

    /// The capabilities whose slots are fixed (`boot.md` §1), all but the frames.
    fn provide_fixed(&mut self) {
        let Handles { cnode, vspace, pool, tcb, sched_context, .. } = self.objects;
        self.provide(slot::INIT_TCB, Cap::Tcb(tcb));
        self.provide(slot::INIT_CNODE, self.root_cnode(cnode));
        self.provide(slot::INIT_VSPACE, Cap::VSpace(VSpaceCap { root: vspace, asid: ROOT_ASID }));
        self.provide(slot::IRQ_CONTROL, Cap::IrqControl);
        self.provide(slot::ASID_CONTROL, Cap::AsidControl);
        self.provide(slot::INIT_ASID_POOL, Cap::AsidPool { pool, base: 0 });
        self.provide(slot::DOMAIN_SET, Cap::DomainSet);
        let bits = bits::MIN_SCHED_CONTEXT;
        self.provide(slot::INIT_SCHED_CONTEXT, Cap::SchedContext { object: sched_context, bits });
        for &(slot, cap) in self.input.machine_caps {
            self.provide(slot, Cap::Machine(cap));
        }
    }

    /// The root CNode's capability: with it, small addresses are slot numbers.
    fn root_cnode(&self, slots: Ref<Slot>) -> Cap {
        let radix = self.sizes.radix;
        Cap::CNode(CNodeCap { slots, radix, guard_bits: FULL_DEPTH as u8 - radix, guard: 0 })
    }

    /// Hooks the tables in, from the top level down, each level ascending.
    fn provide_tables(&mut self) -> Result<(), BootError> {
        let first = self.next_slot;
        let mut number = 0;
        for level in (0..A::LEVELS - 1).rev() {
            for address in self.layout.tables(level) {
                let table = self.objects.tables.nth(number);
                number += 1;
                let place = self.kernel.walk(self.objects.vspace, address);
                let raw = A::table_entry(Store::<A>::physical(table.address()), 0);
                self.kernel.write_entry(place, raw);
                let mapping = Mapping { asid: ROOT_ASID, address, ..Mapping::NONE };
                let level = if A::TABLES_HAVE_LEVELS { level } else { 0 };
                self.provide_next(Cap::Table(TableCap { table, level, mapping }))?;
            }
        }
        self.set_info_slots(offset_of!(BootInfo, user_image_paging), first);
        Ok(())
    }

    /// Fills and maps the frames of BootInfo and of the IPC buffer, which have fixed slots, and those of extra
    /// BootInfo.
    fn provide_extra(&mut self) -> Result<(), BootError> {
        let Layout { ipc_buffer, boot_info, extra, extra_pages, .. } = self.layout;
        let frame = self.map(self.places.boot_info, boot_info, A::DATA_ATTRIBUTES);
        self.provide(slot::BOOT_INFO_FRAME, Cap::Frame(frame));
        let frame = self.map(self.places.ipc_buffer, ipc_buffer, A::DATA_ATTRIBUTES);
        self.provide(slot::INIT_IPC_BUFFER, Cap::Frame(frame));
        if extra_pages == 0 {
            return Ok(());
        }
        let first = self.next_slot;
        for page in 0..extra_pages {
            let offset = page << PAGE_BITS;
            let address = VirtAddr(extra.0 + offset);
            let frame = self.map(self.places.extra.offset(offset), address, A::IMAGE_ATTRIBUTES);
            self.provide_next(Cap::Frame(frame))?;
        }
        write_extra(&mut self.kernel.store, Store::<A>::window(self.places.extra), self.input.extra);
        self.set_info_slots(offset_of!(BootInfo, extra_bi_pages), first);
        Ok(())
    }

    /// The authority over each core's time.
    fn provide_sched_control(&mut self) -> Result<(), BootError> {
        let first = self.next_slot;
        for core in 0..Options::BUILD.cores {
            self.provide_next(Cap::SchedControl { core: core as u16 })?;
        }
        self.set_info_slots(offset_of!(BootInfo, sched_control), first);
        Ok(())
    }

    /// Maps the image.
    fn provide_image(&mut self) -> Result<(), BootError> {
        let first = self.next_slot;
        let physical = self.input.image.physical.start;
        for page in 0..self.layout.image_pages {
            let offset = page << PAGE_BITS;
            let address = VirtAddr(self.layout.image.0 + offset);
            create_frame(&mut self.kernel.store, physical.offset(offset));
            let frame = self.map(physical.offset(offset), address, A::IMAGE_ATTRIBUTES);
            self.provide_next(Cap::Frame(frame))?;
        }
        self.set_info_slots(offset_of!(BootInfo, user_image_frames), first);
        Ok(())
    }

    /// Cuts what is left into untypeds: devices first, then free memory.
    fn provide_untypeds(&mut self, memory: &Memory) -> Booted {
        let first = self.next_slot;
        let mut untypeds_dropped = 0;
        for (regions, device) in [(&memory.devices, true), (&memory.free, false)] {
            let pieces = |region: &PhysRegion| Pieces::of(*region, A::PHYS_WINDOW, A::MAX_UNTYPED_BITS);
            for (base, bits) in regions.as_slice().iter().flat_map(pieces) {
                let index = (self.next_slot - first) as usize;
                // Memory is dirty, so the first retype clears it (B2); that of a device is never cleared.
                let watermark = if device { 0 } else { 1 << bits };
                let cap = Cap::Untyped(UntypedCap { base, bits, device, watermark });
                if index < MAX_UNTYPEDS && self.provide_next(cap).is_ok() {
                    self.info().set_untyped(&mut self.kernel.store, index, base, bits, device);
                } else {
                    untypeds_dropped += 1;
                }
            }
        }
        self.set_info_slots(offset_of!(BootInfo, untyped), first);
        Booted { untypeds_dropped }
    }

    /// Fills in the rest of BootInfo.
    fn finish_info(&mut self) {
        let (info, store) = (self.info(), &mut self.kernel.store);
        info.set(store, offset_of!(BootInfo, extra_len), self.input.extra_bytes());
        info.set(store, offset_of!(BootInfo, num_nodes), Options::BUILD.cores);
        info.set(store, offset_of!(BootInfo, num_io_pt_levels), A::IO_PAGE_TABLE_LEVELS);
        info.set(store, offset_of!(BootInfo, ipc_buffer), self.layout.ipc_buffer.0);
        let radix = self.sizes.radix;
        info.set(store, offset_of!(BootInfo, init_thread_cnode_size_bits), radix.into());
        let empty = SlotRegion { start: self.next_slot, end: 1 << radix };
        info.set_slots(store, offset_of!(BootInfo, empty), empty);
    }

    /// Fills in the thread (`boot.md` §4) and starts it.
    fn start_thread(&mut self) {
        let (layout, tcb) = (self.layout, self.objects.tcb);
        self.copy_to_thread(slot::INIT_CNODE, TcbSlot::CSpace);
        self.copy_to_thread(slot::INIT_VSPACE, TcbSlot::VSpace);
        self.copy_to_thread(slot::INIT_IPC_BUFFER, TcbSlot::IpcBuffer);
        let thread = &mut self.kernel.store[tcb];
        A::initialise(&mut thread.registers);
        thread.registers.words[A::REGISTERS.argument] = layout.boot_info.0;
        thread.registers.words[A::REGISTERS.next_pc] = self.input.image.entry.0;
        thread.registers.words[A::REGISTERS.restart_pc] = self.input.image.entry.0;
        thread.priority = u8::MAX;
        thread.max_controlled_priority = u8::MAX;
        thread.ipc_buffer = layout.ipc_buffer.0;
        thread.state = ThreadState::Running;
        for (to, from) in thread.name.iter_mut().zip(ROOT_NAME) {
            *to = *from;
        }
        let bits = bits::MIN_SCHED_CONTEXT;
        self.kernel.configure_initial_sched_context(self.objects.sched_context, bits, tcb);
        self.kernel.start(tcb);
    }

    /// Copies the capability in slot `number` of the root CNode to the thread; a frame's copy is unmapped.
    fn copy_to_thread(&mut self, number: u64, to: TcbSlot) {
        let from = self.objects.cnode.nth(number);
        let cap = match self.kernel.store[from].cap() {
            Cap::Frame(frame) => Cap::Frame(FrameCap { mapping: Mapping::NONE, ..frame }),
            cap => cap,
        };
        cdt::insert(&mut self.kernel.store, cap.into(), Flags::NONE, self.objects.tcb.slot(to), from);
    }

    /// Maps the page at `physical` to `address`, readable and writable; its capability.
    fn map(&mut self, physical: PhysAddr, address: VirtAddr, attributes: u64) -> FrameCap {
        let rights = VmRights::ReadWrite;
        let mapping = Mapping { asid: ROOT_ASID, address, ..Mapping::NONE };
        self.kernel.arch.cleared(physical, PAGE_BYTES);
        // All tables are there, so the walk ends at the lowest level.
        let place = self.kernel.walk(self.objects.vspace, address);
        self.kernel.write_entry(place, A::page_entry(physical, 0, rights, attributes));
        FrameCap { base: physical, level: 0, device: false, rights, mapping }
    }

    /// Puts a capability into slot `number` of the root CNode.
    fn provide(&mut self, number: u64, cap: Cap) {
        cdt::insert_root(&mut self.kernel.store, cap, self.objects.cnode.nth(number));
    }

    /// Puts a capability into the next slot of the root CNode.
    fn provide_next(&mut self, cap: Cap) -> Result<(), BootError> {
        if self.next_slot >> self.sizes.radix != 0 {
            return Err(BootError::RootCNodeTooSmall);
        }
        self.provide(self.next_slot, cap);
        self.next_slot += 1;
        Ok(())
    }

    /// The BootInfo frame.
    fn info(&self) -> InfoFrame {
        InfoFrame(Store::<A>::window(self.places.boot_info))
    }

    /// Sets the slot region at `offset` of BootInfo: from `first` to the last slot provided.
    fn set_info_slots(&mut self, offset: usize, first: u64) {
        let slots = SlotRegion { start: first, end: self.next_slot };
        self.info().set_slots(&mut self.kernel.store, offset, slots);
    }
}

impl Handles {
    /// Makes the objects in cleared memory; none if one would lie at address 0.
    fn create<A: Arch>(store: &mut Store<A>, places: &Objects, sizes: &Sizes) -> Option<Self> {
        /// The object at a physical address.
        fn object<A: Arch, T>(physical: PhysAddr) -> Option<Ref<T>> {
            Ref::at(Store::<A>::window(physical))
        }
        let handles = Self {
            cnode: object::<A, _>(places.cnode)?,
            vspace: object::<A, _>(places.vspace)?,
            tables: object::<A, _>(places.tables)?,
            pool: object::<A, _>(places.pool)?,
            tcb: object::<A, _>(places.tcb)?,
            sched_context: object::<A, _>(places.sched_context)?,
        };
        store.created(Kind::Slots, handles.cnode.address(), 1 << sizes.cnode_bits());
        store.created(Kind::Table, handles.vspace.address(), 1 << bits::TABLE);
        for number in 0..sizes.tables {
            store.created(Kind::Table, handles.tables.nth(number).address(), 1 << bits::TABLE);
        }
        store.created(Kind::AsidPool, handles.pool.address(), 1 << bits::ASID_POOL);
        store.created(Kind::Tcb, handles.tcb.address(), 1 << bits::TCB);
        store.created(Kind::SchedContext, handles.sched_context.address(), 1 << bits::MIN_SCHED_CONTEXT);
        Some(handles)
    }
}

/// The page at `physical` is a frame from now on.
fn create_frame<A: Arch>(store: &mut Store<A>, physical: PhysAddr) {
    store.created(Kind::Frame, Store::<A>::window(physical), PAGE_BYTES);
}

/// Clears a region, a chunk at a time.
fn clear<A: Arch>(store: &mut Store<A>, region: PhysRegion) {
    let mut next = region.start;
    while next < region.end {
        let rest = PhysRegion { start: next, end: region.end }.bytes();
        let bytes = rest.min(CLEAR_CHUNK_BYTES);
        store.clear(Store::<A>::window(next), bytes);
        next = next.offset(bytes);
    }
}

#[cfg(test)]
mod test;
