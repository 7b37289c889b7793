// SPDX-License-Identifier: MIT OR Apache-2.0

//! What Keel does: the executable abstract specification, and the theorems about its authority part.
//!
//! The specification is a pure function on an abstract state. It knows no packed words, no lists threaded through
//! slots and no addresses beyond what the interface shows. Who knows the interface learns from it what Keel does; who
//! does not learns the interface.
//!
//! - [`authority`]: capabilities, derivation, rights, memory, and every change of them as a bounded step. It is
//!   written over an [`algebra`] and has two readings.
//! - [`concrete`]: the reading that runs.
//! - [`system`]: everything else, executable only.
//! - [`theorems`]: the reading that is proved about, and what is proved.

#![forbid(unsafe_code)]

pub mod algebra;
pub mod authority;
pub mod concrete;
pub mod system;
pub mod theorems;
