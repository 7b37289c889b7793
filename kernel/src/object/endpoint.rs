// SPDX-License-Identifier: MIT OR Apache-2.0

//! Endpoints: where senders and receivers meet.

use super::Tcb;
use crate::store::Ref;
use crate::units::KernelAddr;

/// What the threads in an endpoint's queue wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndpointState {
    /// Nobody waits.
    Idle,
    /// Senders wait.
    Sending,
    /// Receivers wait.
    Receiving,
}

/// An endpoint.
///
/// Its queue is a tree of the waiting threads ([`crate::tree`]), ordered by priority, high first, then by arrival.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Endpoint {
    /// Root of the queue, and in the low bits what those in it wait for.
    root_and_state: u64,
    /// The thread that is in the middle of a CancelBadgedSends here.
    pub canceller: Option<Ref<Tcb>>,
}

const _: () = assert!(size_of::<Endpoint>() == 1 << super::bits::ENDPOINT);

/// The bits of the state.
const STATE_MASK: u64 = 3;
/// State: senders wait.
const SENDING: u64 = 1;
/// State: receivers wait.
const RECEIVING: u64 = 2;

impl Endpoint {
    /// What those in the queue wait for.
    #[must_use]
    pub const fn state(&self) -> EndpointState {
        match self.root_and_state & STATE_MASK {
            SENDING => EndpointState::Sending,
            RECEIVING => EndpointState::Receiving,
            _ => EndpointState::Idle,
        }
    }

    /// The root of the queue.
    #[must_use]
    pub const fn queue(&self) -> Option<Ref<Tcb>> {
        Ref::at(KernelAddr(self.root_and_state & !STATE_MASK))
    }

    /// Replaces the queue by one that is made of those who wait for `state`. An empty queue is idle.
    pub fn set_queue(&mut self, root: Option<Ref<Tcb>>, state: EndpointState) {
        self.root_and_state = match (root, state) {
            (None, _) | (_, EndpointState::Idle) => 0,
            (Some(root), EndpointState::Sending) => root.address().0 | SENDING,
            (Some(root), EndpointState::Receiving) => root.address().0 | RECEIVING,
        };
    }
}
