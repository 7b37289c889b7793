// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts: the authority over each one, and their delivery as signals.
//!
//! IRQControl gives out at most one handler per interrupt, which enables it. A handler's holder names the
//! notification that the interrupt signals, with the badge of the capability given; the kernel keeps a copy of
//! that capability in a slot of its own, an ordinary slot of the derivation tree, so that revoking the notification
//! reaches it.
//!
//! ```text
//!            Issue                arrives: signal, hold               Ack
//!   free ------------> armed ----------------------------> held ------------> armed
//!    ^                   |                                   |
//!    +-------------------+-----------------------------------+
//!            last handler deleted: disable, forget the notification
//! ```
//!
//! An interrupt that arrives while no notification is set is held as well: it is lost, and comes again after Ack
//! (`semantics.md` §9).
//!
//! Invariants:
//! - **Q1** An interrupt is issued exactly while a capability to its handler exists, and enabled only then.
//! - **Q2** The kernel's slot of an interrupt that is not issued is empty; that of an issued one holds nothing, a
//!   notification capability with the right to signal, or what is left of a notification that is being deleted.

use crate::Kernel;
use crate::arch::{Arch, TakenInterrupt, Trigger};
use crate::cap::{Cap, RawCap, Rights, tag};
use crate::cdt::{self, Flags};
use crate::cspace::{Slot, empty_slot};
use crate::error::Error;
use crate::invocation::{IrqControlInvocation, Message, Preempted};
use crate::object::Notification;
use crate::store::{Kind, Ref, Store};
use crate::units::Irq;
use keel_abi::label::{IRQ_ACK_IRQ, IRQ_CLEAR_IRQ_HANDLER, IRQ_ISSUE_IRQ_HANDLER, IRQ_SET_IRQ_HANDLER};
use keel_bounds::{fact, only_unless, operation_is};

/// The most interrupts that a machine can have: what the largest controllers count without messages in memory.
pub const MAX_IRQS: usize = 1024;

/// Which interrupts have handlers, and where the kernel keeps the notifications they signal.
#[cfg_attr(any(test, feature = "host"), derive(Clone))]
pub struct Interrupts {
    /// The first of the kernel's slots, one for each interrupt.
    slots: Ref<Slot>,
    /// How many interrupts there are.
    count: u32,
    /// A bit for each interrupt that has a handler.
    issued: [u64; MAX_IRQS / 64],
}

impl Interrupts {
    /// The state of interrupts 0 to `count` − 1, at most [`MAX_IRQS`], with `count` empty slots from `slots` on.
    #[must_use]
    pub const fn new(slots: Ref<Slot>, count: u32) -> Self {
        assert!(count as usize <= MAX_IRQS);
        Self { slots, count, issued: [0; MAX_IRQS / 64] }
    }

    /// Tells the store of the slots.
    pub fn adopt_slots<A: Arch>(&self, store: &mut Store<A>) {
        store.created(Kind::Slots, self.slots.address(), u64::from(self.count) * size_of::<Slot>() as u64);
    }

    /// The kernel's slot for the notification of `irq`; none for a number that the machine does not have.
    #[must_use]
    pub const fn slot(&self, irq: Irq) -> Option<Ref<Slot>> {
        if irq.0 < self.count { Some(self.slots.nth(irq.0 as u64)) } else { None }
    }

    /// Whether a handler of `irq` exists.
    #[must_use]
    pub fn is_issued(&self, irq: Irq) -> bool {
        self.issued.get(word(irq)).is_some_and(|bits| bits & bit(irq) != 0)
    }

    /// Notes whether a handler of `irq` exists.
    fn set_issued(&mut self, irq: Irq, issued: bool) {
        if let Some(bits) = self.issued.get_mut(word(irq)) {
            *bits = if issued { *bits | bit(irq) } else { *bits & !bit(irq) };
        }
    }
}

/// The word of the bitmap in which `irq` has its bit.
const fn word(irq: Irq) -> usize {
    irq.0 as usize / 64
}

/// The bit of `irq` in its word.
const fn bit(irq: Irq) -> u64 {
    1 << (irq.0 % 64)
}

/// Makes the handler of an interrupt and enables it.
#[derive(Clone, Copy, Debug)]
pub struct Issue {
    /// The interrupt.
    irq: Irq,
    /// How it triggers, where that was said.
    trigger: Option<Trigger>,
    /// Where the handler's capability goes.
    destination: Ref<Slot>,
    /// The slot of IRQControl.
    parent: Ref<Slot>,
}

/// An operation on a handler.
#[derive(Clone, Copy, Debug)]
pub enum Invocation {
    /// The interrupt may come again.
    Ack(Irq),
    /// Signal a notification from now on.
    SetHandler {
        /// The interrupt's slot in the kernel.
        slot: Ref<Slot>,
        /// The slot of the notification's capability.
        source: Ref<Slot>,
    },
    /// Signal nothing any more.
    ClearHandler {
        /// The interrupt's slot in the kernel.
        slot: Ref<Slot>,
    },
}

impl<A: Arch> Kernel<A> {
    /// Decodes an operation of IRQControl (`invocations.md` §7).
    pub fn decode_irq_control(&self, message: &Message) -> Result<IrqControlInvocation<A>, Error> {
        match message.label {
            IRQ_ISSUE_IRQ_HANDLER => self.decode_issue(message).map(IrqControlInvocation::Issue),
            label if label == A::IRQ_TRIGGER_LABEL => {
                self.decode_issue_trigger(message).map(IrqControlInvocation::Issue)
            }
            _ => A::decode_irq_control(self, message).map(IrqControlInvocation::Machine),
        }
    }

    /// Get: words are interrupt, index and depth.
    fn decode_issue(&self, message: &Message) -> Result<Issue, Error> {
        message.require(3)?;
        let root = self.extra_raw(message, 0)?;
        let irq = self.free_irq(self.argument(message, 0))?;
        self.issue_to(irq, None, root, message, 1)
    }

    /// GetTrigger: words are interrupt, trigger, index and depth.
    fn decode_issue_trigger(&self, message: &Message) -> Result<Issue, Error> {
        message.require(4)?;
        let root = self.extra_raw(message, 0)?;
        if !self.arch.has_triggers() {
            return Err(Error::IllegalOperation);
        }
        let irq = self.free_irq(self.argument(message, 0))?;
        let trigger = if self.argument(message, 1) == 0 { Trigger::Level } else { Trigger::Edge };
        self.issue_to(irq, Some(trigger), root, message, 2)
    }

    /// The interrupt with this number, which nobody handles yet.
    pub fn free_irq(&self, irq: u64) -> Result<Irq, Error> {
        let irq = self.arch.check_irq(irq)?;
        let taken = self.arch.irq_reserved(irq)
            || self.interrupts.slot(irq).is_none()
            || self.interrupts.is_issued(irq);
        if taken { Err(Error::RevokeFirst) } else { Ok(irq) }
    }

    /// The issue of `irq` to the slot that words `first` (index) and `first + 1` (depth) name from `root`.
    fn issue_to(
        &self,
        irq: Irq,
        trigger: Option<Trigger>,
        root: RawCap,
        message: &Message,
        first: u64,
    ) -> Result<Issue, Error> {
        let (index, depth) = (self.argument(message, first), self.argument(message, first + 1));
        let destination = empty_slot(&self.store, root, index, depth)?;
        Ok(Issue { irq, trigger, destination, parent: message.slot })
    }

    /// Decodes an operation on the handler of `irq` (`invocations.md` §7).
    pub fn decode_irq_handler(&self, irq: Irq, message: &Message) -> Result<Invocation, Error> {
        // By Q1 only interrupts with a slot are issued.
        let slot = self.interrupts.slot(irq).ok_or(Error::InvalidCapability(0))?;
        match message.label {
            IRQ_ACK_IRQ => Ok(Invocation::Ack(irq)),
            IRQ_SET_IRQ_HANDLER => {
                let (source, _) = self.extra_cap(message, 0)?;
                if !can_signal(self.store[source].raw) {
                    return Err(Error::InvalidCapability(0));
                }
                Ok(Invocation::SetHandler { slot, source })
            }
            IRQ_CLEAR_IRQ_HANDLER => Ok(Invocation::ClearHandler { slot }),
            _ => Err(Error::IllegalOperation),
        }
    }

    /// Makes a handler.
    pub fn perform_issue(&mut self, issue: Issue) {
        operation_is::<{ IRQ_ISSUE_IRQ_HANDLER }>();
        let Issue { irq, trigger, destination, parent } = issue;
        self.issue_irq(irq, trigger, destination, parent);
    }

    /// Performs an operation on a handler.
    ///
    /// The old notification can die of SetHandler and ClearHandler, and many threads may wait on it; so both can be
    /// preempted. Until the old capability is gone the source is not touched, and deleting the old one deletes no
    /// other: the source is still there then.
    pub fn perform_irq(&mut self, operation: Invocation) -> Result<u64, Preempted> {
        match operation {
            Invocation::Ack(irq) => {
                operation_is::<{ IRQ_ACK_IRQ }>();
                self.arch.ack_interrupt(irq);
            }
            Invocation::SetHandler { slot, source } => {
                operation_is::<{ IRQ_SET_IRQ_HANDLER }>();
                self.delete_notification(slot)?;
                only_unless::<{ fact::PREEMPTED }>();
                let cap = self.store[source].raw;
                cdt::insert(&mut self.store, cap, Flags::NONE, slot, source);
            }
            Invocation::ClearHandler { slot } => {
                operation_is::<{ IRQ_CLEAR_IRQ_HANDLER }>();
                self.delete_notification(slot)?;
            }
        }
        Ok(0)
    }

    /// Makes the handler of `irq`, in the empty slot `destination`, from IRQControl in `parent`, and enables it.
    pub fn issue_irq(
        &mut self,
        irq: Irq,
        trigger: Option<Trigger>,
        destination: Ref<Slot>,
        parent: Ref<Slot>,
    ) {
        self.interrupts.set_issued(irq, true);
        cdt::insert(&mut self.store, Cap::IrqHandler(irq).into(), Flags::ORIGINAL, destination, parent);
        self.arch.enable_interrupt(irq, trigger);
    }

    /// Takes one interrupt from the controller. Gives the notification that it signals, if one is set, and the badge.
    /// A second interrupt that waits traps again at once.
    #[inline(always)]
    pub fn take_interrupt(&mut self) -> Option<(Ref<Notification>, u64)> {
        match self.arch.take_interrupt() {
            // Spurious, or the timer: what the time means is the scheduler's matter at every kernel exit.
            None | Some(TakenInterrupt::Timer) => None,
            Some(TakenInterrupt::Device(irq)) if self.interrupts.is_issued(irq) => {
                self.arch.hold_interrupt(irq);
                let cap = self.store[self.interrupts.slot(irq)?].raw;
                // By Q2 it may signal.
                if cap.tag() == tag::NOTIFICATION { Some((cap.object(4)?, cap.word1)) } else { None }
            }
            Some(TakenInterrupt::Device(irq)) => {
                self.end_unasked(irq);
                None
            }
        }
    }

    /// Ends `irq`, for which nobody has asked: it was on when the kernel started, or on its way when its handler died.
    #[cold]
    fn end_unasked(&mut self, irq: Irq) {
        self.arch.end_interrupt(irq);
        self.arch.disable_interrupt(irq);
    }

    /// The last handler of `irq` is gone: the interrupt is disabled and free again. Its slot in the kernel has been
    /// emptied before.
    pub fn finalise_irq_handler(&mut self, irq: Irq) {
        self.arch.disable_interrupt(irq);
        self.interrupts.set_issued(irq, false);
    }
}

/// Whether a capability is to a notification, with the right to signal.
fn can_signal(cap: RawCap) -> bool {
    cap.is_with(tag::NOTIFICATION, Rights::WRITE)
}

#[cfg(test)]
mod test;
