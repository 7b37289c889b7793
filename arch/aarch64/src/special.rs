// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities that only this machine has: to call firmware (SMC), and to send one software interrupt to one core
//! (SGI signal) (`invocations.md` §7, §10).
//!
//! Both have nothing but numbers in them; there is no object to destroy. The second word of an SMC capability is its
//! badge, that of an SGI signal the interrupt in bits 0 to 7 and the core from bit 8 on.

use crate::cpu;
use crate::machine::Machine;
use keel_abi::aarch64::label;
use keel_bounds::at_most;
use keel_kernel::Kernel;
use keel_kernel::cap::RawCap;
use keel_kernel::cdt::{self, Flags};
use keel_kernel::cspace::{Slot, empty_slot};
use keel_kernel::error::Error;
use keel_kernel::invocation::Message;
use keel_kernel::store::Ref;

/// Types of capabilities, as `DebugCapIdentify` numbers them (`syscalls.md` §13).
pub mod tag {
    /// SMC.
    pub const SMC: u8 = 25;
    /// SGI signal.
    pub const SGI_SIGNAL: u8 = 27;
}

/// Where the tag stands in a capability's first word.
const TAG_SHIFT: u32 = 58;

/// Software interrupts of the controller.
const SGIS: u64 = 16;

/// A legal operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invocation {
    /// Call firmware with the message's words.
    CallMonitor,
    /// Send a software interrupt.
    Send {
        /// The interrupt.
        number: u32,
        /// The core.
        target: u32,
    },
    /// Make a capability to send one.
    IssueSignal {
        /// The capability.
        signal: RawCap,
        /// Where it goes.
        destination: Ref<Slot>,
        /// The slot of IRQControl.
        parent: Ref<Slot>,
    },
}

/// The capability to call firmware, without a badge.
pub const fn smc() -> RawCap {
    RawCap { word0: (tag::SMC as u64) << TAG_SHIFT, word1: 0 }
}

/// Decodes an invocation of a capability of this machine.
pub fn decode(kernel: &Kernel<Machine>, cap: RawCap, message: &Message) -> Result<Invocation, Error> {
    match cap.tag() {
        // Any label will do.
        tag::SGI_SIGNAL => {
            Ok(Invocation::Send { number: cap.word1 as u32 & 0xff, target: (cap.word1 >> 8) as u32 })
        }
        tag::SMC if message.label == label::SMC_CALL => {
            message.require(8)?;
            if cap.word1 != 0 && cap.word1 != kernel.argument(message, 0) {
                return Err(Error::IllegalOperation);
            }
            Ok(Invocation::CallMonitor)
        }
        _ => Err(Error::IllegalOperation),
    }
}

/// Decodes what IRQControl can do here and not elsewhere: words are interrupt, core, index and depth.
pub fn decode_irq_control(kernel: &Kernel<Machine>, message: &Message) -> Result<Invocation, Error> {
    if message.label != label::IRQ_ISSUE_SGI_SIGNAL {
        return Err(Error::IllegalOperation);
    }
    message.require(4)?;
    let root = kernel.extra_raw(message, 0)?;
    let [number, target, index, depth] = [0, 1, 2, 3].map(|word| kernel.argument(message, word));
    if number >= SGIS {
        return Err(Error::Range { min: 0, max: SGIS - 1 });
    }
    if target > kernel.arch.gic().max_target() {
        return Err(Error::InvalidArgument(1));
    }
    let destination = empty_slot(&kernel.store, root, index, depth)?;
    let signal = RawCap { word0: (tag::SGI_SIGNAL as u64) << TAG_SHIFT, word1: target << 8 | number };
    Ok(Invocation::IssueSignal { signal, destination, parent: message.slot })
}

/// Performs an operation; the number of result words.
pub fn perform(kernel: &mut Kernel<Machine>, invocation: Invocation, message: &Message) -> u64 {
    match invocation {
        Invocation::CallMonitor => {
            let arguments = [0, 1, 2, 3, 4, 5, 6, 7].map(|word| kernel.argument(message, word));
            let results = cpu::call_monitor(arguments);
            if message.is_call {
                let mut rounds = at_most!(8);
                for (index, result) in (0..).zip(results) {
                    rounds.count();
                    kernel.set_result(message.sender, index, result);
                }
            }
            results.len() as u64
        }
        Invocation::Send { number, target } => {
            kernel.arch.gic().send(number, target);
            0
        }
        Invocation::IssueSignal { signal, destination, parent } => {
            cdt::insert(&mut kernel.store, signal, Flags::ORIGINAL, destination, parent);
            0
        }
    }
}

/// What Mint (or, with `preserve`, Mutate) makes of a capability with a data word.
pub const fn update(cap: RawCap, data: u64, preserve: bool) -> Option<RawCap> {
    match cap.tag() {
        tag::SMC if preserve || cap.word1 != 0 => None,
        tag::SMC => Some(RawCap { word1: data, ..cap }),
        _ => Some(cap),
    }
}

/// Whether two capabilities are to the same thing.
pub const fn same_object(a: RawCap, b: RawCap) -> bool {
    a.tag() == b.tag() && (a.tag() == tag::SMC || a.word1 == b.word1)
}

/// The badge of a capability that has one.
pub const fn badge(cap: RawCap) -> Option<u64> {
    if cap.tag() == tag::SMC { Some(cap.word1) } else { None }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn firmware_calls_are_badged_once() {
        let badged = update(smc(), 7, false).unwrap();
        assert_eq!(badge(badged), Some(7));
        assert_eq!(update(badged, 7, false), None);
        assert_eq!(update(smc(), 7, true), None);
        assert!(same_object(smc(), badged));
    }

    #[test]
    fn signals_differ_by_interrupt_and_core() {
        let signal = |word1| RawCap { word0: (tag::SGI_SIGNAL as u64) << TAG_SHIFT, word1 };
        assert!(same_object(signal(3), signal(3)));
        assert!(!same_object(signal(3), signal(0x103)));
        assert!(!same_object(signal(0), smc()));
        assert_eq!(badge(signal(3)), None);
        assert_eq!(update(signal(3), 9, true), Some(signal(3)));
    }
}
