// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a case works with: slots and memory of its own, and shorthands to make things of them.
//!
//! A case runs in the supervisor's CSpace and address space. Invariants:
//!
//! 1. A case fills only slots of its area, and moves no initial capability away. The supervisor deletes
//!    the whole area afterwards.
//! 2. All objects of a case are made of its block, an Untyped that the supervisor revokes afterwards; or
//!    of device memory and large pieces, whose Untypeds lie in slots of the area.
//! 3. A case maps only at [`FREE_ADDRESSES`].

use core::{
    ops::Range,
    panic::Location,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use keel::cap::{Blueprint, CPtr};
use keel_abi::{arch::label, error::ErrorCode, slot, syscall};

use crate::{
    check::{Outcome, Shown, Verdict, differ, same},
    coverage,
    invoke::{accepts, call, refuses},
    machine::{self, FREE_ADDRESSES, NORMAL, TABLES, Table},
    puppet::{Event, Puppet, Syscall},
};

/// No capability.
pub const NULL: CPtr = CPtr::NULL;
/// The supervisor's thread: an authority for all priorities.
pub const AUTHORITY: CPtr = CPtr::new(slot::INIT_TCB);
/// The CNode that all threads have as CSpace, unless a case gives them another.
pub const CNODE: CPtr = CPtr::new(slot::INIT_CNODE);
/// The address space of all threads, unless a case gives them another.
pub const VSPACE: CPtr = CPtr::new(slot::INIT_VSPACE);
/// The right to hand out interrupts.
pub const IRQ_CONTROL: CPtr = CPtr::new(slot::IRQ_CONTROL);
/// The right to make pools of address space identifiers.
pub const ASID_CONTROL: CPtr = CPtr::new(slot::ASID_CONTROL);
/// The first such pool.
pub const ASID_POOL: CPtr = CPtr::new(slot::INIT_ASID_POOL);
/// The right to set domains.
pub const DOMAIN_SET: CPtr = CPtr::new(slot::DOMAIN_SET);

/// Bits of the depth at which capability pointers name slots of [`CNODE`].
pub const DEPTH: u64 = 64;
/// All rights.
pub const ALL: u64 = 0xf;
/// The right to send, signal and write.
pub const WRITE: u64 = 1;
/// The right to receive, wait and read.
pub const READ: u64 = 2;
/// The right to pass capabilities.
pub const GRANT: u64 = 4;
/// The right to be answered.
pub const GRANT_REPLY: u64 = 8;

/// Priority of the thread that runs the case. Puppets above it run at once when they are started; those
/// below run when it waits ([`Tester::settle`]).
pub const CASE_PRIORITY: u64 = 100;
/// MCP of that thread.
pub const CASE_MCP: u64 = 253;
/// A priority for puppets that run at once.
pub const ABOVE: u64 = 150;
/// A priority for puppets that run when the case waits.
pub const BELOW: u64 = 50;
/// A time slice for threads that should not run out of it, in microseconds.
pub const SLICE_US: u64 = 10_000;

/// Budget of the thread that wakes a sleeping case: enough beyond the minimum for its system calls.
const ALARM_US: u64 = 60;

/// Size of a case's block of memory.
pub const BLOCK_BITS: u8 = 23;
/// Slots of a case's area.
pub const AREA_SLOTS: u64 = 1400;

/// What the supervisor has set up, for all cases.
pub struct Facts {
    /// First slot of the area.
    pub area: AtomicU64,
    /// The block.
    pub block: AtomicU64,
    /// The right to give time.
    pub sched_control: AtomicU64,
    /// Address of the root task's image.
    pub image: AtomicU64,
    /// First slot of the image's frames.
    pub image_frames: AtomicU64,
    /// An Untyped of a page of device memory.
    pub device_untyped: AtomicU64,
    /// An Untyped of a GiB of device memory.
    pub gigabyte: AtomicU64,
    /// The boot information.
    pub boot_info: AtomicU64,
}

/// What the supervisor has set up.
pub static FACTS: Facts = Facts {
    area: AtomicU64::new(0),
    block: AtomicU64::new(0),
    sched_control: AtomicU64::new(0),
    image: AtomicU64::new(0),
    image_frames: AtomicU64::new(0),
    device_untyped: AtomicU64::new(0),
    gigabyte: AtomicU64::new(0),
    boot_info: AtomicU64::new(0),
};

fn fact(fact: &AtomicU64) -> CPtr {
    CPtr::new(fact.load(Ordering::Relaxed))
}

/// The first slot of the area that the case has not used.
static USED_SLOTS: AtomicU64 = AtomicU64::new(0);

/// The slots of the area that the last case may have filled.
pub fn used_slots() -> Range<u64> {
    FACTS.area.load(Ordering::Relaxed)..USED_SLOTS.load(Ordering::Relaxed)
}

static STEP: AtomicU32 = AtomicU32::new(0);

/// Remembers the line that the case has come to, for the report of a case that hangs.
#[track_caller]
pub fn step() {
    STEP.store(Location::caller().line(), Ordering::Relaxed);
}

/// A new case begins.
pub fn forget_step() {
    STEP.store(0, Ordering::Relaxed);
}

/// The line that the case has come to.
pub fn last_step() -> u32 {
    STEP.load(Ordering::Relaxed)
}

/// The slot that is so many behind another.
pub fn after(first: CPtr, offset: u64) -> CPtr {
    CPtr::new(first.bits() + offset)
}

/// The capability to the frame of the image that an address of static memory lies in.
pub fn image_frame(address: u64) -> CPtr {
    let page = (address - FACTS.image.load(Ordering::Relaxed)) >> 12;
    CPtr::new(FACTS.image_frames.load(Ordering::Relaxed) + page)
}

/// What a case gets.
pub struct Tester {
    /// The next slot never used.
    next: u64,
    end: u64,
    puppets: usize,
    idler: Option<CPtr>,
    alarm: Option<(Puppet, CPtr)>,
    next_address: u64,
}

impl Tester {
    /// For a case whose area starts with `used` slots that the supervisor has filled.
    pub fn new(used: u64) -> Self {
        let first = FACTS.area.load(Ordering::Relaxed);
        USED_SLOTS.store(first + used, Ordering::Relaxed);
        Self {
            next: first + used,
            end: first + AREA_SLOTS,
            puppets: 0,
            idler: None,
            alarm: None,
            next_address: FREE_ADDRESSES.start,
        }
    }

    /// The thread that runs the case.
    pub fn own_tcb(&self) -> CPtr {
        fact(&FACTS.area)
    }

    /// The scheduling context of that thread.
    pub fn own_sched_context(&self) -> CPtr {
        after(fact(&FACTS.area), 1)
    }

    /// The Untyped that the case's objects are made of.
    pub fn block(&self) -> CPtr {
        fact(&FACTS.block)
    }

    /// An Untyped of a page of device memory.
    pub fn device_untyped(&self) -> CPtr {
        fact(&FACTS.device_untyped)
    }

    /// An Untyped of a GiB of device memory, where nothing is.
    pub fn gigabyte(&self) -> CPtr {
        fact(&FACTS.gigabyte)
    }

    /// The right to give time.
    pub fn sched_control(&self) -> CPtr {
        fact(&FACTS.sched_control)
    }

    /// An empty slot.
    #[track_caller]
    pub fn slot(&mut self) -> Outcome<CPtr> {
        self.slots(1)
    }

    /// Empty slots in a row.
    #[track_caller]
    pub fn slots(&mut self, count: u64) -> Outcome<CPtr> {
        let first = self.next;
        if first + count > self.end {
            return Err(differ("free slots", Shown::Any(&count), Shown::Any(&(self.end - first))));
        }
        self.next += count;
        USED_SLOTS.store(self.next, Ordering::Relaxed);
        Ok(CPtr::new(first))
    }

    /// Free addresses in a row: 2^`bits` bytes, aligned to that.
    pub fn addresses(&mut self, bits: u32) -> u64 {
        let start = self.next_address.next_multiple_of(1 << bits);
        self.next_address = start + (1 << bits);
        start
    }

    /// Makes an object of the case's block.
    #[track_caller]
    pub fn make(&mut self, blueprint: Blueprint) -> Outcome<CPtr> {
        self.make_from(self.block(), blueprint, 1)
    }

    /// Makes objects of an Untyped; gives the first of as many slots.
    #[track_caller]
    pub fn make_from(&mut self, untyped: CPtr, blueprint: Blueprint, count: u64) -> Outcome<CPtr> {
        let first = self.slots(count)?;
        let words = [blueprint.object_type(), blueprint.size_argument(), 0, 0, first.bits(), count];
        accepts("UntypedRetype", untyped, &words, &[CNODE])?;
        Ok(first)
    }

    /// An Untyped.
    #[track_caller]
    pub fn untyped(&mut self, bits: u8) -> Outcome<CPtr> {
        self.make(Blueprint::Untyped { bits })
    }

    /// An endpoint.
    #[track_caller]
    pub fn endpoint(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::Endpoint)
    }

    /// A notification.
    #[track_caller]
    pub fn notification(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::Notification)
    }

    /// A reply object.
    #[track_caller]
    pub fn reply(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::Reply)
    }

    /// A CNode.
    #[track_caller]
    pub fn cnode(&mut self, radix: u8) -> Outcome<CPtr> {
        self.make(Blueprint::CNode { radix })
    }

    /// A TCB, as it is when new.
    #[track_caller]
    pub fn tcb(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::Tcb)
    }

    /// A small scheduling context, not configured.
    #[track_caller]
    pub fn sched_context(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::SchedContext { bits: 7 })
    }

    /// A scheduling context with budget and period, in microseconds; equal means round robin.
    #[track_caller]
    pub fn time(&mut self, budget_us: u64, period_us: u64) -> Outcome<CPtr> {
        let sc = self.make(Blueprint::SchedContext { bits: 8 })?;
        self.configure(sc, [budget_us, period_us, 0, 0, 0])?;
        Ok(sc)
    }

    /// Configures a scheduling context: budget, period, extra refills, badge, flags.
    #[track_caller]
    pub fn configure(&self, sc: CPtr, words: [u64; 5]) -> Outcome {
        accepts("SchedControlConfigureFlags", self.sched_control(), &words, &[sc])?;
        Ok(())
    }

    /// A small frame.
    #[track_caller]
    pub fn frame(&mut self) -> Outcome<CPtr> {
        self.make(Blueprint::SmallPage)
    }

    /// A VSpace with an ASID.
    #[track_caller]
    pub fn vspace(&mut self) -> Outcome<CPtr> {
        let vspace = self.make(Blueprint::VSpace)?;
        accepts("ARCHASIDPoolAssign", ASID_POOL, &[], &[vspace])?;
        Ok(vspace)
    }

    /// Maps the page tables that are missing down to the level of small pages for an address.
    #[track_caller]
    pub fn map_tables(&mut self, vspace: CPtr, address: u64) -> Outcome {
        for table in TABLES {
            let object = self.make(table.blueprint)?;
            match self.map_table(table, object, vspace, address)? {
                0 => {}
                label if label == ErrorCode::DeleteFirst as u64 => {}
                label => return Err(differ("a map of a table", Shown::Text(""), Shown::Word(label))),
            }
        }
        Ok(())
    }

    /// Tries to map a table; gives the label of the answer.
    #[track_caller]
    fn map_table(&self, table: Table, object: CPtr, vspace: CPtr, address: u64) -> Outcome<u64> {
        let Some((_, row)) = coverage::find_success(table.map) else {
            return Err(differ("invocation", Shown::Text("of the table"), Shown::Text(table.map)));
        };
        Ok(call(object, row.invocation.label, &[address, 0], &[vspace]).info.label())
    }

    /// Maps a frame read-write, of whatever size, and all tables that are missing above it.
    #[track_caller]
    pub fn map(&mut self, vspace: CPtr, frame: CPtr, address: u64, attributes: u64) -> Outcome {
        let words = [address, READ | WRITE, attributes];
        loop {
            let answer = call(frame, label::PAGE_MAP, &words, &[vspace]);
            let missing = TABLES.into_iter().find(|table| answer.words() == [0, 2, table.span]);
            let (true, Some(table)) = (answer.info.label() == ErrorCode::FailedLookup as u64, missing) else {
                accepts("ARCHPageMap", frame, &words, &[vspace])?;
                return Ok(());
            };
            let object = self.make(table.blueprint)?;
            accepts(table.map, object, &[address, 0], &[vspace])?;
        }
    }

    /// Expects that a page of 2^`bits` bytes is in the way of a table.
    #[track_caller]
    pub fn is_in_the_way(&mut self, vspace: CPtr, address: u64, bits: u64) -> Outcome {
        for table in TABLES.into_iter().filter(|table| table.span == bits) {
            refuses(table.occupied, self.make(table.blueprint)?, &[address, 0], &[vspace], &[])?;
        }
        Ok(())
    }

    /// A small frame that is mapped read-write in the address space of all threads, and its address.
    #[track_caller]
    pub fn mapped_frame(&mut self) -> Outcome<(CPtr, u64)> {
        let address = self.addresses(12);
        self.map_tables(VSPACE, address)?;
        let frame = self.frame()?;
        accepts("ARCHPageMap", frame, &[address, READ | WRITE, NORMAL], &[VSPACE])?;
        Ok((frame, address))
    }

    /// A copy with at most these rights.
    #[track_caller]
    pub fn copy(&mut self, cap: CPtr, rights: u64) -> Outcome<CPtr> {
        let slot = self.slot()?;
        accepts("CNodeCopy", CNODE, &[slot.bits(), DEPTH, cap.bits(), DEPTH, rights], &[CNODE])?;
        Ok(slot)
    }

    /// A copy with at most these rights and a badge or guard.
    #[track_caller]
    pub fn mint(&mut self, cap: CPtr, rights: u64, data: u64) -> Outcome<CPtr> {
        let slot = self.slot()?;
        accepts("CNodeMint", CNODE, &[slot.bits(), DEPTH, cap.bits(), DEPTH, rights, data], &[CNODE])?;
        Ok(slot)
    }

    /// A puppet with time of its own.
    #[track_caller]
    pub fn puppet(&mut self, priority: u64) -> Outcome<Puppet> {
        let sc = self.time(SLICE_US, SLICE_US)?;
        self.puppet_on(priority, sc)
    }

    /// A puppet without time.
    #[track_caller]
    pub fn passive_puppet(&mut self, priority: u64) -> Outcome<Puppet> {
        self.puppet_on(priority, NULL)
    }

    /// A puppet above the case that waits on `endpoint` with `reply`, and whose time has been taken away.
    #[track_caller]
    pub fn passive_server(&mut self, endpoint: CPtr, reply: CPtr) -> Outcome<Puppet> {
        let server = self.puppet(ABOVE)?;
        server.blocks(Syscall::recv(endpoint, reply))?;
        accepts("SchedContextUnbind", server.sc, &[], &[])?;
        Ok(server)
    }

    /// Expects that a scheduling context, which has time, belongs to a thread or not. It is taken away and
    /// given back.
    #[track_caller]
    pub fn is_bound(&self, sc: CPtr, tcb: CPtr, bound: bool) -> Outcome {
        if bound {
            accepts("SchedContextUnbindObject", sc, &[], &[tcb])?;
            accepts("SchedContextBind", sc, &[], &[tcb])?;
            return Ok(());
        }
        refuses("SchedContextUnbindObject/IllegalOperation#2", sc, &[], &[tcb], &[])
    }

    /// A puppet with this scheduling context, or none.
    #[track_caller]
    pub fn puppet_on(&mut self, priority: u64, sc: CPtr) -> Outcome<Puppet> {
        let (tcb, done) = (self.tcb()?, self.endpoint()?);
        let puppet = Puppet::new(self.puppets, tcb, sc, done)?;
        self.puppets += 1;
        let buffer = puppet.buffer().address();
        accepts("TCBConfigure", tcb, &[0, 0, buffer], &[CNODE, VSPACE, image_frame(buffer)])?;
        accepts("TCBSetSchedParams", tcb, &[CASE_MCP, priority], &[AUTHORITY, sc, done])?;
        Ok(puppet)
    }

    /// Lets all threads of lower priority run until each waits, has ended or has no time.
    #[track_caller]
    pub fn settle(&mut self) -> Outcome {
        let signal = match self.idler {
            Some(signal) => signal,
            None => {
                let signal = self.notification()?;
                let idler = self.puppet(1)?;
                idler.runs(signal_forever, signal.bits())?;
                self.idler = Some(signal);
                signal
            }
        };
        step();
        // While the case slept the idler may have signalled.
        keel::sys::nb_wait(signal);
        keel::sys::wait(signal);
        Ok(())
    }

    /// Lets all other threads run for so long, in microseconds.
    #[track_caller]
    pub fn sleep(&mut self, us: u64) -> Outcome {
        if self.alarm.is_none() {
            let signal = self.notification()?;
            let sc = self.sched_context()?;
            let alarm = self.puppet_on(CASE_MCP, sc)?;
            self.alarm = Some((alarm, signal));
        }
        let Some((alarm, signal)) = &self.alarm else { return Ok(()) };
        self.configure(alarm.sc, [ALARM_US, us.max(ALARM_US + 1), 0, 0, 0])?;
        alarm.runs(yield_and_signal, signal.bits())?;
        step();
        keel::sys::wait(*signal);
        match alarm.event()? {
            Event::Done(_) => Ok(()),
            _ => {
                // It signals and is then overtaken by nobody but higher priorities.
                accepts("TCBSuspend", alarm.tcb, &[], &[])?;
                Ok(())
            }
        }
    }

    /// Skips the case on a kernel without debug calls.
    #[track_caller]
    pub fn needs_debug_calls(&mut self) -> Outcome {
        let puppet = self.puppet(ABOVE)?;
        puppet.start(Syscall::new(syscall::DEBUG_CAP_IDENTIFY).cap(NULL))?;
        match puppet.event()? {
            Event::Done(_) => Ok(()),
            Event::Fault(fault) if fault.label == keel_abi::fault::UNKNOWN_SYSCALL => {
                Err(Verdict::Skipped("the kernel has no debug calls"))
            }
            other => Err(differ("answer", Shown::Text("or UnknownSyscall"), Shown::Any(&other))),
        }
    }

    /// Deletes what a slot holds.
    #[track_caller]
    pub fn delete(&self, slot: CPtr) -> Outcome {
        accepts("CNodeDelete", CNODE, &[slot.bits(), DEPTH], &[])?;
        Ok(())
    }

    /// Deletes all that is derived from what a slot holds.
    #[track_caller]
    pub fn revoke(&self, slot: CPtr) -> Outcome {
        accepts("CNodeRevoke", CNODE, &[slot.bits(), DEPTH], &[])?;
        Ok(())
    }

    /// Expects that a slot is empty, or not: it can be filled by a move, or not.
    #[track_caller]
    pub fn is_empty(&mut self, slot: CPtr, empty: bool) -> Outcome {
        let spare = self.slot()?;
        let words = [spare.bits(), DEPTH, slot.bits(), DEPTH];
        let answer = call(CNODE, keel_abi::label::CNODE_MOVE, &words, &[CNODE]);
        if answer.info.label() == 0 {
            accepts("CNodeMove", CNODE, &[slot.bits(), DEPTH, spare.bits(), DEPTH], &[CNODE])?;
        }
        same("emptiness of a slot", empty.into(), (answer.info.label() != 0).into())
    }
}

/// Signals for ever: of lowest priority, so each signal says that nobody else wants to run.
extern "C" fn signal_forever(notification: u64) {
    loop {
        keel::sys::send(CPtr::new(notification), Default::default(), [0; 4]);
    }
}

/// Sleeps for a period, and signals.
extern "C" fn yield_and_signal(notification: u64) {
    keel::sys::yield_now();
    keel::sys::send(CPtr::new(notification), Default::default(), [0; 4]);
}

/// Microseconds of so many ticks.
pub fn us_of_ticks(ticks: u64) -> u64 {
    ticks * 1_000_000 / machine::ticks_per_second()
}
