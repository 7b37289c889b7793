// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reply objects: the right to answer one call, and the stack of calls on which a scheduling context travels.
//!
//! A receiver supplies a reply object; it waits with it (BlockedOnReceive) until a caller comes, who then waits
//! on it (BlockedOnReply). When the caller's context is donated along, the object goes on top of the context's
//! call stack:
//!
//! ```text
//!   SchedContext.reply -> top -> ... -> bottom      `below` points down the stack, `above` up;
//!                          ^             ^           the top's `above` is the context
//!                      last call     first call
//! ```
//!
//! Invariants:
//! - **R1** `tcb.reply` of the thread in `tcb` is this object (T3).
//! - **R2** `above`/`below` are inverse; an object on a stack has a caller in `tcb` that is BlockedOnReply.

use super::{SchedContext, Tcb};
use crate::store::Ref;
use crate::units::KernelAddr;

/// What is above a reply object on a call stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Above {
    /// Nothing: it is on no stack, or the stack was cut above it.
    Nothing,
    /// A later call.
    Reply(Ref<Reply>),
    /// It is the top of this context's stack.
    SchedContext(Ref<SchedContext>),
}

/// A reply object.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Reply {
    /// The thread that waits with it or on it.
    pub tcb: Option<Ref<Tcb>>,
    /// The call below on the stack: an earlier one.
    pub below: Option<Ref<Reply>>,
    /// What is above on the stack, packed: see [`Above`].
    above: u64,
}

const _: () = assert!(size_of::<Reply>() <= 1 << super::bits::REPLY);

/// Tells a scheduling context from a reply object in `above`.
const IS_SCHED_CONTEXT: u64 = 1;

impl Reply {
    /// What is above it on the stack.
    #[must_use]
    pub const fn above(&self) -> Above {
        let address = KernelAddr(self.above & !IS_SCHED_CONTEXT);
        if self.above & IS_SCHED_CONTEXT == 0 {
            match Ref::at(address) {
                Some(reply) => Above::Reply(reply),
                None => Above::Nothing,
            }
        } else {
            match Ref::at(address) {
                Some(context) => Above::SchedContext(context),
                None => Above::Nothing,
            }
        }
    }

    /// Sets what is above it.
    pub const fn set_above(&mut self, above: Above) {
        self.above = match above {
            Above::Nothing => 0,
            Above::Reply(reply) => reply.address().0,
            Above::SchedContext(context) => context.address().0 | IS_SCHED_CONTEXT,
        };
    }
}
