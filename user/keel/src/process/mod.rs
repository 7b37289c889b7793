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

mod builder;
mod plan;
mod site;
mod space;

pub use self::builder::{Builder, Sharing};

use crate::{
    cap::{CNode, CPtr, Cap, SchedContext, Tcb, Untyped, VSpace},
    error::Result,
    resources::Resources,
};

/// Slots of the builder's CSpace that a process takes.
pub const PROCESS_SLOTS: u64 = 7;

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
