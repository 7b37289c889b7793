// SPDX-License-Identifier: MIT OR Apache-2.0

//! Interrupts.

use keel_abi::label;

use super::{Cap, Invoked, Notification, SlotPath, invoke};
use crate::ipc::Message;

/// The right to hand out interrupts.
pub enum IrqControl {}

/// One interrupt.
pub enum IrqHandler {}

/// How an interrupt line signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// For as long as the line is active.
    Level,
    /// When the line becomes active.
    Edge,
}

impl Cap<IrqControl> {
    /// Puts the handler of interrupt `irq` into a slot, with the controller's own trigger setting.
    pub fn get(self, irq: u64, destination: SlotPath) -> Invoked {
        let words = [irq, destination.index, destination.depth];
        invoke(self.cptr(), label::IRQ_ISSUE_IRQ_HANDLER, &words, &[destination.root.cptr()]).map(drop)
    }

    /// Puts the handler of interrupt `irq` into a slot and sets its trigger.
    #[cfg(not(machine = "x86_64"))]
    pub fn get_trigger(self, irq: u64, trigger: Trigger, destination: SlotPath) -> Invoked {
        let edge = u64::from(trigger == Trigger::Edge);
        let words = [irq, edge, destination.index, destination.depth];
        let caps = [destination.root.cptr()];
        let label = crate::arch::abi::label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
        invoke(self.cptr(), label, &words, &caps).map(drop)
    }

    /// Puts the handler of an interrupt into a slot, as it is wired on the machine: the way that all machines have.
    #[cfg(not(machine = "x86_64"))]
    pub fn get_wired(self, irq: u64, destination: SlotPath) -> Invoked {
        self.get(irq, destination)
    }
}

impl Cap<IrqHandler> {
    /// Lets the interrupt come again.
    pub fn ack(self) -> Invoked {
        invoke(self.cptr(), label::IRQ_ACK_IRQ, &[], &[]).map(drop)
    }

    /// Sets what the interrupt signals.
    pub fn set_notification(self, notification: Cap<Notification>) -> Invoked {
        invoke(self.cptr(), label::IRQ_SET_IRQ_HANDLER, &[], &[notification.cptr()]).map(drop)
    }

    /// Lets the interrupt signal nothing.
    pub fn clear(self) -> Invoked {
        invoke(self.cptr(), label::IRQ_CLEAR_IRQ_HANDLER, &[], &[]).map(drop)
    }

    /// Acknowledges the interrupt and waits for `notification` in one system call.
    pub fn ack_and_wait(self, notification: Cap<Notification>) -> u64 {
        notification.nb_send_wait(self.cptr(), &Message::new(label::IRQ_ACK_IRQ))
    }
}
