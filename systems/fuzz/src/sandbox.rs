// SPDX-License-Identifier: MIT OR Apache-2.0

//! The puppets and all that they hold, made of one untyped.

use crate::Frames;
use crate::aim;
use crate::random::Random;
use core::sync::atomic::{AtomicU64, Ordering};
use keel::arch::TABLES;
use keel::boot::{ASID_CONTROL, ASID_POOL, CNODE, DOMAIN_SET, IRQ_CONTROL, TCB};
use keel::cap::{
    Attributes, Blueprint, Budget, CNode, CPtr, Cap, Endpoint, Frame, Reply, SchedContext, SchedControl,
    SchedParams, Tcb, Untyped, VSpace,
};
use keel::prelude::*;
use keel_abi::message::ipc_buffer;
use keel_abi::rights::CNodeData;

/// Puppets in a sandbox.
pub const PUPPETS: usize = 4;
/// Log2 of the number of slots in the puppets' CSpace.
pub const SLOT_BITS: u8 = 8;
/// Slots that hold something when a sandbox is new.
pub const USED_SLOTS: u64 = 48;
/// Where the puppets' code is mapped.
pub const CODE_ADDRESS: u64 = 0x20_0000;

/// Log2 of the sandbox's memory in bytes.
const MEMORY_BITS: u8 = 20;
/// The root task's own slots for what it makes.
const OWN_SLOTS: u64 = 64;
/// Interrupts that nobody raises.
const IRQS: core::ops::Range<u64> = if cfg!(target_arch = "x86_64") { 20..23 } else { 41..44 };

const PAGE_WORDS: usize = 512;

/// A page of the image.
#[repr(C, align(4096))]
struct Page([AtomicU64; PAGE_WORDS]);

impl Page {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; PAGE_WORDS])
    }

    fn address(&self) -> u64 {
        self as *const Self as u64
    }
}

/// A system call and an undefined instruction.
static CODE: Page = Page::new();
/// The puppets' IPC buffers.
static BUFFERS: [Page; PUPPETS] = [const { Page::new() }; PUPPETS];

/// The sandbox.
pub struct Sandbox {
    memory: Cap<Untyped>,
    sched_control: Cap<SchedControl>,
    faults: Cap<Endpoint>,
    reply: Cap<Reply>,
    /// First of the root task's slots for it.
    first: u64,
    code: Cap<Frame>,
    buffers: [Cap<Frame>; PUPPETS],
    built: u64,
}

/// What is in the root task's slots.
mod own {
    use super::PUPPETS;

    pub const CSPACE: u64 = 0;
    pub const VSPACE: u64 = 1;
    pub const TABLES: u64 = 2;
    pub const CODE: u64 = 5;
    pub const TCBS: u64 = 6;
    pub const TIMES: u64 = TCBS + PUPPETS as u64;
    pub const BUFFERS: u64 = TIMES + PUPPETS as u64;
    pub const FAULTS: u64 = BUFFERS + PUPPETS as u64;
    pub const OBJECTS: u64 = FAULTS + PUPPETS as u64;
}

impl Sandbox {
    /// Takes what all sandboxes need.
    pub fn prepare(resources: &mut keel::Resources, frames: Frames) -> keel::Result<Self> {
        CODE.0[0].store(keel::arch::CALL_AND_END, Ordering::Relaxed);
        Ok(Self {
            memory: resources.untyped(MEMORY_BITS)?,
            sched_control: resources.authority.sched_control,
            faults: resources.allocate::<Endpoint>()?,
            reply: resources.allocate::<Reply>()?,
            first: resources.slots.allocate_range(OWN_SLOTS)?,
            code: frames.at(CODE.address()),
            buffers: core::array::from_fn(|puppet| frames.at(BUFFERS[puppet].address())),
            built: 0,
        })
    }

    /// Where puppets' faults arrive.
    pub const fn faults(&self) -> Cap<Endpoint> {
        self.faults
    }

    /// For the answers they do not get.
    pub const fn reply(&self) -> Cap<Reply> {
        self.reply
    }

    /// How many sandboxes there were.
    pub const fn built(&self) -> u64 {
        self.built
    }

    /// A puppet.
    pub const fn tcb(&self, puppet: usize) -> Cap<Tcb> {
        self.own(own::TCBS + puppet as u64)
    }

    const fn own<T>(&self, index: u64) -> Cap<T> {
        CPtr::new(self.first + index).cap()
    }

    /// Takes away what is left of the last sandbox, and makes a new one.
    pub fn rebuild(&mut self) -> keel::Result {
        CNODE.path(self.memory.cptr()).revoke()?;
        // Copies of what is not in the sandbox's memory.
        for index in 0..OWN_SLOTS {
            CNODE.path(CPtr::new(self.first + index)).delete()?;
        }
        self.built += 1;
        self.make(own::CSPACE, Blueprint::CNode { radix: SLOT_BITS }, 1)?;
        self.make_space()?;
        self.make(own::TCBS, Blueprint::Tcb, PUPPETS as u64)?;
        self.make(own::TIMES, Blueprint::SchedContext { bits: 8 }, PUPPETS as u64)?;
        for puppet in 0..PUPPETS {
            self.dress(puppet)?;
        }
        self.fill()
    }

    fn make(&self, index: u64, blueprint: Blueprint, count: u64) -> keel::Result {
        Ok(self.memory.retype(blueprint, CNODE, 0, 0, self.first + index, count)?)
    }

    /// An address space with the code in it.
    fn make_space(&self) -> keel::Result {
        let vspace = self.own::<VSpace>(own::VSPACE);
        self.make(own::VSPACE, Blueprint::VSpace, 1)?;
        ASID_POOL.assign(vspace)?;
        for (slot, kind) in (own::TABLES..own::CODE).zip(TABLES.iter().rev()) {
            self.make(slot, kind.blueprint, 1)?;
            kind.map(self.own::<Untyped>(slot).cptr(), vspace, CODE_ADDRESS)?;
        }
        let code = self.own::<Frame>(own::CODE);
        CNODE.path(code.cptr()).copy_from(CNODE.path(self.code.cptr()), Rights::ALL)?;
        Ok(code.map(vspace, CODE_ADDRESS, Rights::READ, Attributes::CODE)?)
    }

    /// Gives a puppet its spaces, its buffer and its time.
    fn dress(&self, puppet: usize) -> keel::Result {
        let (tcb, index) = (self.tcb(puppet), puppet as u64);
        let buffer = self.own::<Frame>(own::BUFFERS + index);
        CNODE.path(buffer.cptr()).copy_from(CNODE.path(self.buffers[puppet].cptr()), Rights::ALL)?;
        let guard = CNodeData::new(0, 64 - u64::from(SLOT_BITS));
        let address = BUFFERS[puppet].address();
        tcb.configure(self.own(own::CSPACE), guard, self.own(own::VSPACE), address, buffer)?;
        let time = self.own::<SchedContext>(own::TIMES + index);
        // Short budgets end in the middle of long operations.
        let budget = Budget { extra_refills: 4, badge: index, ..Budget::of(100 + 100 * index, 1000) };
        self.sched_control.configure(time, budget)?;
        let faults = self.own::<Endpoint>(own::FAULTS + index);
        CNODE.path(faults.cptr()).mint_from(CNODE.path(self.faults.cptr()), Rights::ALL, index + 1)?;
        Ok(tcb.set_sched_params(SchedParams {
            authority: TCB,
            max_controlled_priority: 150,
            priority: 100,
            sched_context: time,
            fault_endpoint: faults,
        })?)
    }

    /// Fills the puppets' CSpace.
    fn fill(&self) -> keel::Result {
        let mut slot = Filler { cspace: self.own(own::CSPACE), next: 0 };
        let objects = [
            Blueprint::Endpoint,
            Blueprint::Endpoint,
            Blueprint::Notification,
            Blueprint::Notification,
            Blueprint::Reply,
            Blueprint::Reply,
            Blueprint::Untyped { bits: 14 },
            Blueprint::Untyped { bits: 12 },
            Blueprint::Untyped { bits: 12 },
            Blueprint::SmallPage,
            Blueprint::SmallPage,
            Blueprint::PageTable,
            Blueprint::VSpace,
            Blueprint::CNode { radix: 3 },
            Blueprint::SchedContext { bits: 7 },
            Blueprint::Tcb,
        ];
        for (index, blueprint) in (own::OBJECTS..).zip(objects) {
            self.make(index, blueprint, 1)?;
            slot.take(self.own::<Untyped>(index).cptr())?;
        }
        for puppet in 0..PUPPETS as u64 {
            slot.copy(self.own::<Tcb>(own::TCBS + puppet).cptr())?;
            slot.copy(self.own::<SchedContext>(own::TIMES + puppet).cptr())?;
        }
        for (from, badge) in [(0, 1), (0, 2), (1, 1), (2, 1), (3, 4)] {
            slot.mint(from, badge)?;
        }
        slot.copy(self.own::<CNode>(own::CSPACE).cptr())?;
        slot.copy(self.own::<VSpace>(own::VSPACE).cptr())?;
        for authority in [
            ASID_POOL.cptr(),
            ASID_CONTROL.cptr(),
            DOMAIN_SET.cptr(),
            self.sched_control.cptr(),
            self.faults.cptr(),
        ] {
            slot.copy(authority)?;
        }
        for irq in IRQS {
            IRQ_CONTROL.get_wired(irq, slot.next())?;
        }
        Ok(())
    }

    /// Puts random words into the buffer of `puppet`.
    pub fn load_buffer(&self, puppet: usize, random: &mut Random) {
        let store = |index: usize, word| BUFFERS[puppet].0[index].store(word, Ordering::Relaxed);
        for index in 0..6 {
            store(ipc_buffer::MSG + 4 + index, aim::word(random));
        }
        for index in 0..3 {
            store(ipc_buffer::CAPS_OR_BADGES + index, aim::capability(random));
        }
        store(ipc_buffer::RECEIVE_CNODE, aim::capability(random));
        store(ipc_buffer::RECEIVE_INDEX, aim::capability(random));
        store(ipc_buffer::RECEIVE_DEPTH, aim::word(random));
    }
}

/// Puts capabilities into the slots of the puppets' CSpace, one after the other.
struct Filler {
    cspace: Cap<CNode>,
    next: u64,
}

impl Filler {
    fn at(&self, slot: u64) -> keel::cap::SlotPath {
        self.cspace.slot(slot, u64::from(SLOT_BITS))
    }

    fn next(&mut self) -> keel::cap::SlotPath {
        self.next += 1;
        self.at(self.next - 1)
    }

    fn take(&mut self, cptr: CPtr) -> keel::Result {
        Ok(self.next().move_from(CNODE.path(cptr))?)
    }

    fn copy(&mut self, cptr: CPtr) -> keel::Result {
        Ok(self.next().copy_from(CNODE.path(cptr), Rights::ALL)?)
    }

    fn mint(&mut self, from: u64, badge: u64) -> keel::Result {
        let from = self.at(from);
        Ok(self.next().mint_from(from, Rights::ALL, badge)?)
    }
}
