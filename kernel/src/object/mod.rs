// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kinds of objects: one file each, with its state, its invocations (decode, then perform) and what happens
//! when it dies.

pub mod asid;
pub mod cnode;
pub mod delete;
pub mod domain;
pub mod endpoint;
pub mod frame;
pub mod irq;
pub mod notification;
pub mod reply;
pub mod sched_context;
pub mod sched_control;
pub mod table;
pub mod tcb;
pub mod untyped;

pub use asid::AsidPool;
pub use endpoint::Endpoint;
pub use notification::Notification;
pub use reply::Reply;
pub use sched_context::{Refill, SchedContext};
pub use table::Table;
pub use tcb::{Registers, Tcb, ThreadState};

use crate::arch::Arch;
use crate::cap::{Cap, ZombieKind};
use crate::cspace::SLOT_BITS;
use crate::store::{Ref, Store};
use crate::units::PhysAddr;

/// Log2 of the size of each object in bytes (`objects.md` §2).
pub mod bits {
    /// A thread.
    pub const TCB: u8 = 11;
    /// An endpoint.
    pub const ENDPOINT: u8 = 4;
    /// A notification.
    pub const NOTIFICATION: u8 = 6;
    /// A reply object.
    pub const REPLY: u8 = 5;
    /// The smallest scheduling context.
    pub const MIN_SCHED_CONTEXT: u8 = 7;
    /// The smallest untyped.
    pub const MIN_UNTYPED: u8 = 4;
    /// A table of any level.
    pub const TABLE: u8 = 12;
    /// An ASID pool.
    pub const ASID_POOL: u8 = 12;
}

/// The memory that a capability's object fills: physical base and size in bytes; none for authorities that have
/// no object of their own.
#[must_use]
pub fn extent<A: Arch>(cap: Cap) -> Option<(PhysAddr, u64)> {
    fn of<A: Arch, T>(object: Ref<T>, bits: u8) -> Option<(PhysAddr, u64)> {
        Some((Store::<A>::physical(object.address()), 1 << bits))
    }
    match cap {
        Cap::Untyped(c) => Some((c.base, 1 << c.bits)),
        Cap::Endpoint(c) => of::<A, _>(c.object, bits::ENDPOINT),
        Cap::Notification(c) => of::<A, _>(c.object, bits::NOTIFICATION),
        Cap::Reply { object, .. } => of::<A, _>(object, bits::REPLY),
        Cap::CNode(c) => of::<A, _>(c.slots, c.radix + SLOT_BITS),
        Cap::Tcb(tcb) => of::<A, _>(tcb, bits::TCB),
        Cap::SchedContext { object, bits } => of::<A, _>(object, bits),
        Cap::Frame(c) => Some((c.base, 1 << c.bits())),
        Cap::Table(c) => of::<A, _>(c.table, bits::TABLE),
        Cap::VSpace(c) => of::<A, _>(c.root, bits::TABLE),
        Cap::AsidPool { pool, .. } => of::<A, _>(pool, bits::ASID_POOL),
        Cap::Zombie(c) => Some((Store::<A>::physical(c.object), 1 << zombie_bits(c.kind))),
        Cap::Null
        | Cap::SchedControl { .. }
        | Cap::DomainSet
        | Cap::IrqControl
        | Cap::IrqHandler(_)
        | Cap::AsidControl
        | Cap::Machine(_) => None,
    }
}

/// Log2 of the size of what a zombie was.
const fn zombie_bits(kind: ZombieKind) -> u8 {
    match kind {
        ZombieKind::Tcb => bits::TCB,
        ZombieKind::CNode { radix } => radix + SLOT_BITS,
        ZombieKind::Endpoint => bits::ENDPOINT,
        ZombieKind::Notification => bits::NOTIFICATION,
    }
}
