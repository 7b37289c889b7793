// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel held against its specification.
//!
//! [`abstraction`] says which state of the specification the kernel's memory means. [`lockstep`] does the same operation
//! on both and compares; [`ways`] compares two ways in the kernel. Operations come from [`random`] choices, or from
//! [`explore`], which tries all of them; those on time are in [`timely`].
//!
//! Nothing here knows how the kernel does anything, except `abstraction`.

#![forbid(unsafe_code)]

pub mod abstraction;
pub mod bytes;
pub mod canonical;
pub mod explore;
pub mod lockstep;
pub mod random;
pub mod script;
pub mod stage;
pub mod timely;
pub mod view;
pub mod ways;
