// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts: who handles them, and what they signal (`invocations.md` §7, `semantics.md` §9).
//!
//! An interrupt has a handler or none. Its handler names a notification, by a capability in a slot of its own. When the
//! interrupt comes, that is signalled, and the interrupt does not come again until it is acknowledged.

use super::call::{Answer, Message};
use super::cnode::error_of;
use super::error::Error;
use super::time::Entry;
use super::{NotCovered, System};
use crate::algebra::{Algebra, Kind, Rights};
use crate::concrete::{Object, Slot};
use keel_abi::aarch64::label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
use keel_abi::label;
use std::collections::BTreeSet;

/// The interrupts of a machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interrupts {
    /// The greatest number.
    pub last: u64,
    /// The one that the kernel keeps for its timer.
    pub timer: u64,
    /// Those that wait for their acknowledgement.
    pub held: BTreeSet<u64>,
}

impl System {
    /// The slot of an interrupt's handler for the notification.
    const fn slot_of_irq(irq: u64) -> Slot {
        Slot { home: Object::Irq(irq), index: 0 }
    }

    fn has_handler(&self, irq: u64) -> bool {
        let kind: Kind = self.x.of(&self.authority.live, &Object::Irq(irq));
        kind != Kind::Null
    }

    /// Invokes the authority over interrupts: Get and GetTrigger.
    pub(super) fn invoke_irq_control(&mut self, message: &Message) -> Answer {
        let place = match message.label {
            label::IRQ_ISSUE_IRQ_HANDLER => 1,
            IRQ_ISSUE_IRQ_HANDLER_TRIGGER => 2,
            _ => return Err(Error::IllegalOperation),
        };
        message.require(place + 2)?;
        let root = message.extra(0)?;
        let irq = self.argument(message, 0);
        let Interrupts { last, timer, .. } = self.interrupts;
        if irq > last {
            return Err(Error::Range(0, last));
        }
        if irq == timer || self.has_handler(irq) {
            return Err(Error::RevokeFirst);
        }
        let (index, depth) = (self.argument(message, place), self.argument(message, place + 1));
        let target = self.target(root, index, depth, false)?;
        self.authority.issue(&self.x, &message.slot, &Object::Irq(irq), &target).map_err(error_of)?;
        Ok(vec![])
    }

    /// Invokes the handler of an interrupt.
    pub(super) fn invoke_irq_handler(&mut self, irq: u64, message: &Message) -> Answer {
        let slot = Self::slot_of_irq(irq);
        match message.label {
            label::IRQ_ACK_IRQ => drop(self.interrupts.held.remove(&irq)),
            label::IRQ_SET_IRQ_HANDLER => {
                let source = message.extra(0)?;
                let cap = self.cap(&source);
                if cap.kind != Kind::Notification || !cap.rights.has(Rights::WRITE) {
                    return Err(Error::InvalidCapability(0));
                }
                self.delete(slot)?;
                let copied = self.authority.copy(&self.x, &source, &slot, &Rights::ALL, None);
                copied.map_err(error_of)?;
            }
            label::IRQ_CLEAR_IRQ_HANDLER => self.delete(slot)?,
            _ => return Err(Error::IllegalOperation),
        }
        Ok(vec![])
    }

    /// At `now` an interrupt comes: that of a device, which the controller has handed out since it was not held, or the
    /// timer's. If time is up that is dealt with first: whoever runs then is the one that the interrupt finds.
    pub fn interrupt(&mut self, now: u64, device: Option<u64>) -> Result<(), NotCovered> {
        if !self.enter(now, Entry::Interrupt)? {
            self.schedule();
        }
        if device.is_none() {
            self.release();
        }
        if let Some(irq) = device.filter(|irq| self.has_handler(*irq)) {
            self.interrupts.held.insert(irq);
            let cap = self.cap(&Self::slot_of_irq(irq));
            if cap.kind == Kind::Notification {
                self.signal(cap.object, cap.data)?;
            }
        }
        self.schedule();
        Ok(())
    }
}
