// SPDX-License-Identifier: MIT OR Apache-2.0

//! Synchronous message passing: rendezvous, transfer, replies, faults as messages.

pub mod cancel;
pub(crate) mod fastpath;
pub mod fault;
pub mod rendezvous;
pub mod signal;
pub mod transfer;

#[cfg(test)]
mod test;
