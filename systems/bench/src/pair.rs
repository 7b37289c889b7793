// SPDX-License-Identifier: MIT OR Apache-2.0

//! The other thread: a server in an address space of its own that shows the same image.
//!
//! Both threads run code of this program and see its statics at the same addresses, but the tables that
//! translate them, and their identifiers, differ. One CSpace serves both.

use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicU64, Ordering};

use keel::arch::abi::registers::TLS_BASE;
use keel::boot::{CNODE, Root, TCB, VSPACE};
use keel::cap::{
    Attributes, Blueprint, Budget, CNodeData, CPtr, Cap, Endpoint, Frame, Notification, Registers, Reply,
    Rights, SchedContext, Tcb, VSpace,
};
use keel::resources::{PAGE_BYTES, Resources, map_with, sched_context};
use keel_abi::message::ipc_buffer;
use keel_abi::object::TCB_FPU_DISABLED;

/// The priority of the client, and of the server where it is not said.
pub const PRIORITY: u8 = 100;
/// The priority of whoever comes first.
pub const HIGHER: u8 = 110;
/// The priority of whoever comes last.
pub const LOWER: u8 = 90;

/// Longer than any measurement: no timer interrupt falls into a window.
pub const BUDGET: Budget = Budget::round_robin(10_000_000);

const STACK_BYTES: usize = 16 << 10;

/// The server's stack.
#[repr(C, align(16))]
struct Stack(UnsafeCell<[u8; STACK_BYTES]>);

// SAFETY: no reference to the inside is made: only the server's stack pointer points there.
unsafe impl Sync for Stack {}

static STACK: Stack = Stack(UnsafeCell::new([0; STACK_BYTES]));

/// Capabilities that the server uses, as it has no other way to learn of them.
pub struct Names {
    endpoint: AtomicU64,
    notification: AtomicU64,
    done: AtomicU64,
    reply: AtomicU64,
}

/// See [`Names`].
static NAMES: Names = Names {
    endpoint: AtomicU64::new(0),
    notification: AtomicU64::new(0),
    done: AtomicU64::new(0),
    reply: AtomicU64::new(0),
};

fn name(of: impl FnOnce(&Names) -> &AtomicU64) -> CPtr {
    CPtr::new(of(&NAMES).load(Ordering::Relaxed))
}

/// Where client and server meet.
pub fn endpoint() -> Cap<Endpoint> {
    name(|names| &names.endpoint).cap()
}

/// What wakes the server.
pub fn notification() -> Cap<Notification> {
    name(|names| &names.notification).cap()
}

/// What wakes the client.
pub fn done() -> Cap<Notification> {
    name(|names| &names.done).cap()
}

/// The server's reply object.
pub fn reply() -> Cap<Reply> {
    name(|names| &names.reply).cap()
}

/// How a server runs.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Its priority.
    pub priority: u8,
    /// Whether it has time of its own.
    pub active: bool,
    /// Whether it runs in the client's address space.
    pub at_home: bool,
    /// Whether it may use the FPU.
    pub fpu: bool,
}

impl Manner {
    /// In its own address space, on its clients' time.
    pub const PASSIVE: Self = Self { priority: PRIORITY, active: false, at_home: false, fpu: false };
    /// In its own address space, on its own time.
    pub const ACTIVE: Self = Self { active: true, ..Self::PASSIVE };
}

/// The server.
pub struct Server {
    /// Its thread.
    pub tcb: Cap<Tcb>,
    /// Its address space.
    pub vspace: Cap<VSpace>,
    context: Cap<SchedContext>,
    buffer: Cap<Frame>,
    buffer_address: u64,
    has_time: bool,
}

impl Server {
    /// Makes a server that does not run yet.
    pub fn new(root: &mut Root) -> keel::Result<Self> {
        let image = root.boot.user_image_frames;
        let image_end = root.boot.ipc_buffer & !(PAGE_BYTES - 1);
        let image_start = image_end - image.len() * PAGE_BYTES;
        let resources = &mut root.resources;
        let name = |name: &AtomicU64, cptr: CPtr| name.store(cptr.bits(), Ordering::Relaxed);
        name(&NAMES.endpoint, resources.allocate::<Endpoint>()?.cptr());
        name(&NAMES.notification, badged(resources)?.cptr());
        name(&NAMES.done, badged(resources)?.cptr());
        name(&NAMES.reply, resources.allocate::<Reply>()?.cptr());

        let vspace = resources.make(Blueprint::VSpace)?.cap::<VSpace>();
        resources.authority.asid_pool.assign(vspace)?;
        for page in 0..image.len() {
            let frame = CPtr::new(image.start + page).cap::<Frame>();
            map_copy(resources, vspace, frame, image_start + page * PAGE_BYTES, Attributes::CODE)?;
        }
        let buffer = resources.allocate_frame()?;
        let buffer_address = resources.map_frames(buffer.cptr(), 1, Attributes::DATA)?.start;
        map_copy(resources, vspace, buffer, buffer_address, Attributes::DATA)?;
        // Some machines find their thread pointer there.
        // SAFETY: a word of the buffer, which has just been mapped there and nobody else uses yet.
        unsafe { (buffer_address as *mut u64).add(ipc_buffer::USER_DATA).write_volatile(buffer_address) };

        let context = resources.make(sched_context(0))?.cap();
        resources.authority.sched_control.configure(context, BUDGET)?;
        let tcb = resources.allocate()?;
        Ok(Self { tcb, vspace, context, buffer, buffer_address, has_time: false })
    }

    /// Lets the server run `program` until it waits. The client must be of lower priority than
    /// [`HIGHER`].
    pub fn start(&mut self, program: extern "C" fn() -> !, manner: Manner) -> keel::Result {
        self.stop()?;
        let vspace = if manner.at_home { VSPACE } else { self.vspace };
        self.tcb.configure(CNODE, CNodeData::default(), vspace, self.buffer_address, self.buffer)?;
        let (clear, set) = if manner.fpu { (TCB_FPU_DISABLED, 0) } else { (0, TCB_FPU_DISABLED) };
        self.tcb.set_flags(clear, set)?;
        self.tcb.set_priority(TCB, manner.priority.max(HIGHER))?;
        self.context.bind_tcb(self.tcb)?;
        self.has_time = true;
        let stack = &raw const STACK as u64 + STACK_BYTES as u64;
        let registers =
            Registers::starting_at(program as usize as u64, stack, 0).with(TLS_BASE, self.buffer_address);
        self.tcb.write_registers(&registers, true)?;
        self.tcb.set_priority(TCB, manner.priority)?;
        if !manner.active {
            self.context.unbind()?;
            self.has_time = false;
        }
        Ok(())
    }

    /// Maps a frame into the server's address space.
    pub fn map(
        &self,
        resources: &mut Resources,
        frame: Cap<Frame>,
        address: u64,
        attributes: Attributes,
    ) -> keel::Result {
        map(resources, self.vspace, frame, address, attributes)
    }

    /// Stops the server.
    pub fn stop(&mut self) -> keel::Result {
        self.tcb.suspend()?;
        if core::mem::take(&mut self.has_time) {
            self.context.unbind()?;
        }
        Ok(())
    }
}

/// A notification with a badge.
pub fn badged(resources: &mut Resources) -> keel::Result<Cap<Notification>> {
    let notification = resources.allocate::<Notification>()?;
    resources.mint(notification, Rights::READ_WRITE, 1)
}

/// Maps a copy of a frame's capability, as the frame is mapped elsewhere already.
fn map_copy(
    resources: &mut Resources,
    vspace: Cap<VSpace>,
    frame: Cap<Frame>,
    address: u64,
    attributes: Attributes,
) -> keel::Result {
    let copy = resources.copy(frame, Rights::ALL)?;
    map(resources, vspace, copy, address, attributes)
}

/// Maps a frame, and the tables that are missing.
fn map(
    resources: &mut Resources,
    vspace: Cap<VSpace>,
    frame: Cap<Frame>,
    address: u64,
    attributes: Attributes,
) -> keel::Result {
    map_with(vspace, frame, address, Rights::READ_WRITE, attributes, |blueprint| resources.make(blueprint))
}
