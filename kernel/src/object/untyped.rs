// SPDX-License-Identifier: MIT OR Apache-2.0

//! Untyped memory: where all objects come from (`invocations.md` §3, `semantics.md` §3).
//!
//! An untyped capability carries a watermark: below it, memory has been given away (or, while there are no
//! children, is not clear); above it, memory is zero and free. Retype places objects behind the watermark. An
//! untyped without children is *reset* first: its memory is cleared from the watermark downwards, in units, and
//! the watermark falls with it.
//!
//! Retype is all or nothing: the reset comes before anything is created, so that objects and capabilities are made
//! in one go. Zeroed memory is a valid fresh object of every kind, so creating one costs next to nothing; and the
//! capabilities to objects that lie side by side differ by their address only.
//!
//! Bound: at most 256 objects per call, made behind the last preemption point; one unit of clearing between two.

use crate::Kernel;
use crate::arch::{Arch, MachineObject};
use crate::cap::{
    CNodeCap, Cap, FrameCap, IpcCap, Mapping, RawCap, Rights, TableCap, UntypedCap, VSpaceCap, VmRights,
    page_bits,
};
use crate::cdt;
use crate::cspace::{self, SLOT_BITS, Slot};
use crate::error::{Error, LookupFailure};
use crate::invocation::{Message, Preempted};
use crate::object::{Tcb, bits};
use crate::store::{CLEAR_CHUNK_BYTES, Kind, Ref, Store};
use crate::units::PhysAddr;
use keel_abi::{label, object};
use keel_bounds::{at_most, fact, only_unless, operation_is};

/// The most objects that one call makes (`objects.md` §9, fan-out limit).
pub const FAN_OUT_LIMIT: u64 = 256;

/// What can be made of untyped memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ObjectType {
    /// A smaller untyped of this size, log2 bytes.
    Untyped(u8),
    /// A thread.
    Tcb,
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A CNode of this radix.
    CNode(u8),
    /// A scheduling context of this size, log2 bytes.
    SchedContext(u8),
    /// A reply object.
    Reply,
    /// One of the machine's shapes.
    Machine(MachineObject),
}

impl ObjectType {
    /// The type with number `number` of the interface; `size_bits` below 64.
    fn from_number<A: Arch>(number: u64, size_bits: u8) -> Option<Self> {
        Some(match number {
            object::UNTYPED => Self::Untyped(size_bits),
            object::TCB => Self::Tcb,
            object::ENDPOINT => Self::Endpoint,
            object::NOTIFICATION => Self::Notification,
            object::CAP_TABLE => Self::CNode(size_bits),
            object::SCHED_CONTEXT => Self::SchedContext(size_bits),
            object::REPLY => Self::Reply,
            _ => Self::Machine(A::object_type(number)?),
        })
    }

    /// Log2 of the size in bytes.
    const fn bits(self) -> u8 {
        match self {
            Self::Untyped(bits) | Self::SchedContext(bits) => bits,
            Self::Tcb => bits::TCB,
            Self::Endpoint => bits::ENDPOINT,
            Self::Notification => bits::NOTIFICATION,
            Self::CNode(radix) => radix + SLOT_BITS,
            Self::Reply => bits::REPLY,
            Self::Machine(MachineObject::Frame(level)) => page_bits(level),
            Self::Machine(MachineObject::Table(_) | MachineObject::VSpace) => bits::TABLE,
        }
    }

    /// What the store knows it as; nothing for memory that can still become anything.
    const fn kind(self) -> Option<Kind> {
        Some(match self {
            Self::Untyped(_) => return None,
            Self::Tcb => Kind::Tcb,
            Self::Endpoint => Kind::Endpoint,
            Self::Notification => Kind::Notification,
            Self::CNode(_) => Kind::Slots,
            Self::SchedContext(_) => Kind::SchedContext,
            Self::Reply => Kind::Reply,
            Self::Machine(MachineObject::Frame(_)) => Kind::Frame,
            Self::Machine(MachineObject::Table(_) | MachineObject::VSpace) => Kind::Table,
        })
    }

    /// Whether it can be made of device memory.
    const fn may_be_device(self) -> bool {
        matches!(self, Self::Untyped(_) | Self::Machine(MachineObject::Frame(_)))
    }
}

/// A legal retype.
#[derive(Clone, Copy, Debug)]
pub struct Retype {
    /// Where the untyped capability is.
    untyped: Ref<Slot>,
    /// Who does it: a new thread is named after it and starts in the current domain.
    thread: Ref<Tcb>,
    /// What to make.
    object: ObjectType,
    /// Whether the untyped has no children, so that it starts from the beginning.
    reset: bool,
    /// The first of the consecutive empty slots for the capabilities.
    target: Ref<Slot>,
    /// How many, 1 to 256.
    count: u64,
}

impl<A: Arch> Kernel<A> {
    /// Checks an invocation of an untyped.
    pub(crate) fn decode_untyped(&self, cap: UntypedCap, message: &Message) -> Result<Retype, Error> {
        if message.label != label::UNTYPED_RETYPE {
            return Err(Error::IllegalOperation);
        }
        message.require(6)?;
        let root = self.extra_raw(message, 0)?;
        let object = self.decode_object(message)?;
        let (target, count) = self.decode_window(message, root)?;
        let reset = cdt::first_child(&self.store, message.slot).is_none();
        let free_bytes = (1 << cap.bits) - if reset { 0 } else { cap.watermark };
        if free_bytes >> object.bits() < count {
            return Err(Error::NotEnoughMemory(free_bytes));
        }
        if cap.device && !object.may_be_device() {
            return Err(Error::InvalidArgument(1));
        }
        Ok(Retype { untyped: message.slot, thread: message.sender, object, reset, target, count })
    }

    /// The type and size asked for.
    fn decode_object(&self, message: &Message) -> Result<ObjectType, Error> {
        let (number, size_bits) = (self.argument(message, 0), self.argument(message, 1));
        if number >= A::OBJECT_TYPES {
            return Err(Error::InvalidArgument(0));
        }
        let too_large = Error::Range { min: 0, max: u64::from(A::MAX_UNTYPED_BITS) };
        if size_bits >= 64 {
            return Err(too_large);
        }
        let object =
            ObjectType::from_number::<A>(number, size_bits as u8).ok_or(Error::InvalidArgument(0))?;
        if object.bits() > A::MAX_UNTYPED_BITS {
            return Err(too_large);
        }
        match object {
            ObjectType::CNode(0) => Err(Error::InvalidArgument(1)),
            ObjectType::Untyped(size) if size < bits::MIN_UNTYPED => Err(Error::InvalidArgument(1)),
            ObjectType::SchedContext(size) if size < bits::MIN_SCHED_CONTEXT => {
                Err(Error::InvalidArgument(1))
            }
            object => Ok(object),
        }
    }

    /// The slots for the new capabilities: first slot and count.
    fn decode_window(&self, message: &Message, root: RawCap) -> Result<(Ref<Slot>, u64), Error> {
        let (index, depth) = (self.argument(message, 2), self.argument(message, 3));
        let node = if depth == 0 {
            root
        } else {
            self.store[cspace::target_slot(&self.store, root, index, depth, false)?].raw
        };
        let Cap::CNode(node) = node.into() else {
            let failure = LookupFailure::MissingCapability { bits_left: depth };
            return Err(Error::FailedLookup { source: false, failure });
        };
        let slots = 1_u64 << node.radix;
        let (first, count) = (self.argument(message, 4), self.argument(message, 5));
        if first > slots - 1 {
            return Err(Error::Range { min: 0, max: slots - 1 });
        }
        if !(1..=FAN_OUT_LIMIT).contains(&count) {
            return Err(Error::Range { min: 1, max: FAN_OUT_LIMIT });
        }
        if count > slots - first {
            return Err(Error::Range { min: 1, max: slots - first });
        }
        let target = node.slots.nth(first);
        let mut rounds = at_most!(objects);
        let is_taken = |index| {
            rounds.count();
            !self.store[target.nth(index)].is_empty()
        };
        if (0..count).any(is_taken) {
            return Err(Error::DeleteFirst);
        }
        Ok((target, count))
    }

    /// Carries out a retype.
    pub(crate) fn perform_retype(&mut self, retype: Retype) -> Result<u64, Preempted> {
        operation_is::<{ label::UNTYPED_RETYPE }>();
        let Cap::Untyped(mut cap) = self.store[retype.untyped].cap() else { return Ok(0) };
        if retype.reset {
            self.reset_untyped(retype.untyped, &mut cap)?;
            only_unless::<{ fact::PREEMPTED }>();
        }
        let object_bits = retype.object.bits();
        let first = cap.watermark.next_multiple_of(1 << object_bits);
        cap.watermark = first + (retype.count << object_bits);
        self.store[retype.untyped].raw = Cap::Untyped(cap).into();
        self.create_all(&retype, cap.base.offset(first), cap.device);
        Ok(0)
    }

    /// Brings all objects of a retype, the first of them at `base` in zeroed or device memory, to life.
    #[inline(always)]
    fn create_all(&mut self, retype: &Retype, base: PhysAddr, device: bool) {
        let Some(first) = first_cap::<A>(retype.object, base, device) else { return };
        let bytes = 1 << retype.object.bits();
        let mut children = cdt::Children::of(&self.store, retype.untyped);
        let (mut raw, mut address, mut slot) = (RawCap::from(first), Store::<A>::window(base), retype.target);
        let mut rounds = at_most!(objects);
        for _ in 0..retype.count {
            rounds.count();
            if let Some(kind) = retype.object.kind() {
                self.store.created(kind, address, bytes);
            }
            children.add(&mut self.store, raw, slot);
            (raw, address, slot) = (raw.further_on(bytes), address.offset(bytes), slot.nth(1));
        }
        children.link(&mut self.store);
        if let (ObjectType::Tcb, Cap::Tcb(tcb)) = (retype.object, first) {
            self.initialise_tcbs(tcb, retype);
        }
    }

    /// Makes threads of zeroed memory, the first of them `tcb`.
    fn initialise_tcbs(&mut self, mut tcb: Ref<Tcb>, retype: &Retype) {
        let mut rounds = at_most!(objects);
        for _ in 0..retype.count {
            rounds.count();
            self.initialise_tcb(tcb, retype.thread);
            tcb = tcb.at_offset(1 << bits::TCB);
        }
    }

    /// Makes all memory of an untyped without children free and, unless it is a device's, zero.
    pub(crate) fn reset_untyped(&mut self, slot: Ref<Slot>, cap: &mut UntypedCap) -> Result<(), Preempted> {
        // Each round lowers the watermark; preemptible after each chunk.
        while cap.watermark > 0 {
            let start =
                if cap.device { 0 } else { (cap.watermark - 1) / CLEAR_CHUNK_BYTES * CLEAR_CHUNK_BYTES };
            if !cap.device {
                let (base, bytes) = (cap.base.offset(start), cap.watermark - start);
                self.store.clear(Store::<A>::window(base), bytes);
                self.arch.cleared(base, bytes);
            }
            cap.watermark = start;
            self.store[slot].raw = Cap::Untyped(*cap).into();
            self.preemption_point()?;
        }
        Ok(())
    }
}

/// The first capability to the first object of this type, at `base`.
#[inline(always)]
fn first_cap<A: Arch>(object: ObjectType, base: PhysAddr, device: bool) -> Option<Cap> {
    let address = Store::<A>::window(base);
    Some(match object {
        ObjectType::Untyped(bits) => Cap::Untyped(UntypedCap { base, bits, device, watermark: 0 }),
        ObjectType::Tcb => Cap::Tcb(Ref::at(address)?),
        ObjectType::Endpoint => {
            Cap::Endpoint(IpcCap { object: Ref::at(address)?, badge: 0, rights: Rights::ALL })
        }
        ObjectType::Notification => {
            Cap::Notification(IpcCap { object: Ref::at(address)?, badge: 0, rights: Rights::READ_WRITE })
        }
        ObjectType::CNode(radix) => {
            Cap::CNode(CNodeCap { slots: Ref::at(address)?, radix, guard_bits: 0, guard: 0 })
        }
        ObjectType::SchedContext(bits) => Cap::SchedContext { object: Ref::at(address)?, bits },
        ObjectType::Reply => Cap::Reply { object: Ref::at(address)?, rights: Rights::GRANT },
        ObjectType::Machine(MachineObject::Frame(level)) => {
            let rights = VmRights::ReadWrite;
            Cap::Frame(FrameCap { base, level, device, rights, mapping: Mapping::NONE })
        }
        ObjectType::Machine(MachineObject::Table(level)) => {
            Cap::Table(TableCap { table: Ref::at(address)?, level, mapping: Mapping::NONE })
        }
        ObjectType::Machine(MachineObject::VSpace) => {
            Cap::VSpace(VSpaceCap { root: Ref::at(address)?, asid: 0 })
        }
    })
}

#[cfg(test)]
mod test;
