// SPDX-License-Identifier: MIT OR Apache-2.0

//! Objects from untyped memory (`invocations.md` §3).

use super::call::{Answer, Message};
use super::destroy::Preempted;
use super::error::{Error, LookupFailure};
use super::{Context, Endpoint, Notification, SLOT_BITS, System, Thread};
use crate::algebra::{Algebra, Kind, Rights};
use crate::concrete::{Object, Slot};
use keel_abi::aarch64::object as arch_object;
use keel_abi::object;

/// Bytes that are cleared in a unit.
const PIECE: u64 = 4096;
/// The most objects that one call makes.
const FAN_OUT: u64 = 256;

impl System {
    /// Invokes an untyped capability.
    pub(super) fn invoke_untyped(&mut self, message: &Message) -> Answer {
        if message.label != keel_abi::label::UNTYPED_RETYPE {
            return Err(Error::IllegalOperation);
        }
        message.require(6)?;
        let root = message.extra(0)?;
        let (kind, bits) = object_type(self.argument(message, 0), self.argument(message, 1))?;
        let (node, first, count) = self.window(message, root)?;
        let untyped = message.slot;
        let cap = self.cap(&untyped);
        let is_reset = !self.authority.has_children(&self.x, &untyped);
        let free = self.bytes(cap.object) - if is_reset { 0 } else { cap.watermark };
        if free >> bits < count {
            return Err(Error::NotEnoughMemory(free));
        }
        if self.is_device(cap.object) && !matches!(kind, Kind::Untyped | Kind::Frame) {
            return Err(Error::InvalidArgument(1));
        }
        if is_reset {
            self.reset(untyped)?;
        }
        for index in first..first + count {
            let target = Slot { home: node, index };
            let made =
                self.authority.create(&self.x, &untyped, &target, &kind, &first_rights(kind), &(1 << bits));
            let object = made.expect("there is enough memory");
            self.begin(kind, object, message.sender);
        }
        Ok(vec![])
    }

    /// The empty slots for the new capabilities: of which CNode, the first and how many.
    fn window(&self, message: &Message, root: Slot) -> Result<(Object, u64, u64), Error> {
        let (index, depth) = (self.argument(message, 2), self.argument(message, 3));
        let node = if depth == 0 { root } else { self.target(root, index, depth, false)? };
        let node = self.cap(&node);
        if node.kind != Kind::CNode {
            return Err(Error::FailedLookup(false, LookupFailure::Missing(depth)));
        }
        let slots = 1 << self.radix(node.object);
        let (first, count) = (self.argument(message, 4), self.argument(message, 5));
        if first > slots - 1 {
            return Err(Error::Range(0, slots - 1));
        }
        if !(1..=FAN_OUT).contains(&count) {
            return Err(Error::Range(1, FAN_OUT));
        }
        if count > slots - first {
            return Err(Error::Range(1, slots - first));
        }
        let is_full = |index| self.cap(&Slot { home: node.object, index }).kind != Kind::Null;
        if (first..first + count).any(is_full) {
            return Err(Error::DeleteFirst);
        }
        Ok((node.object, first, count))
    }

    /// All memory of an untyped, below which nothing is, is free again. What is not a device's is cleared for that, from
    /// its end on, a piece in each unit.
    pub(super) fn reset(&mut self, untyped: Slot) -> Result<(), Preempted> {
        loop {
            self.pause()?;
            let cap = self.cap(&untyped);
            if cap.watermark == 0 {
                return Ok(());
            }
            let pieces = if self.is_device(cap.object) { 0 } else { (cap.watermark - 1) / PIECE };
            self.authority.reset(&self.x, &untyped, &(pieces * PIECE)).expect("nothing is below it");
        }
    }

    /// A new frame is all zeroes.
    fn clear_memory(&mut self, frame: Object) {
        let start: u64 = self.x.of(&self.authority.start, &frame);
        let range = start..start + self.bytes(frame);
        self.memory.retain(|address, _| !range.contains(address));
    }

    /// What a new object is doing, which `creator` makes.
    fn begin(&mut self, kind: Kind, object: Object, creator: Object) {
        match kind {
            Kind::Tcb => {
                let name = self.name_after(creator);
                let thread = Thread { domain: self.domains.current, name, ..Thread::default() };
                self.threads.insert(object, thread);
            }
            Kind::Endpoint => drop(self.endpoints.insert(object, Endpoint::default())),
            Kind::Notification => drop(self.notifications.insert(object, Notification::default())),
            Kind::SchedContext => drop(self.contexts.insert(object, Context::default())),
            Kind::Frame => self.clear_memory(object),
            _ => {}
        }
    }
}

/// The kind that a number of the interface stands for, and log2 of its size.
fn object_type(number: u64, size_bits: u64) -> Result<(Kind, u64), Error> {
    let max = u64::from(arch_object::MAX_UNTYPED_BITS);
    if number >= arch_object::COUNT {
        return Err(Error::InvalidArgument(0));
    }
    let (kind, bits) = match number {
        object::UNTYPED => (Kind::Untyped, size_bits),
        object::TCB => (Kind::Tcb, u64::from(object::TCB_BITS)),
        object::ENDPOINT => (Kind::Endpoint, u64::from(object::ENDPOINT_BITS)),
        object::NOTIFICATION => (Kind::Notification, u64::from(object::NOTIFICATION_BITS)),
        object::CAP_TABLE => (Kind::CNode, size_bits.saturating_add(u64::from(SLOT_BITS))),
        object::SCHED_CONTEXT => (Kind::SchedContext, size_bits),
        object::REPLY => (Kind::Reply, u64::from(object::REPLY_BITS)),
        arch_object::HUGE_PAGE => (Kind::Frame, u64::from(arch_object::HUGE_PAGE_BITS)),
        arch_object::LARGE_PAGE => (Kind::Frame, u64::from(arch_object::LARGE_PAGE_BITS)),
        arch_object::SMALL_PAGE => (Kind::Frame, u64::from(arch_object::SMALL_PAGE_BITS)),
        arch_object::VSPACE => (Kind::VSpace, u64::from(arch_object::EL1_VSPACE_BITS)),
        _ => (Kind::Table, u64::from(arch_object::PAGE_TABLE_BITS)),
    };
    if size_bits >= 64 || bits > max {
        return Err(Error::Range(0, max));
    }
    let too_small = match kind {
        Kind::CNode => size_bits == 0,
        Kind::Untyped => size_bits < u64::from(object::MIN_UNTYPED_BITS),
        Kind::SchedContext => size_bits < u64::from(object::MIN_SCHED_CONTEXT_BITS),
        _ => false,
    };
    if too_small { Err(Error::InvalidArgument(1)) } else { Ok((kind, bits)) }
}

/// What the first capability to an object allows (`objects.md` §3).
const fn first_rights(kind: Kind) -> Rights {
    match kind {
        Kind::Notification | Kind::Frame => Rights::READ_WRITE,
        Kind::Reply => Rights::GRANT,
        _ => Rights::ALL,
    }
}
