// SPDX-License-Identifier: MIT OR Apache-2.0

//! The longest paths through a built kernel.
//!
//! Interrupts are off while the kernel runs, so the longest way through it, in instructions, bounds the latency of every
//! system on it. This crate computes that length from the kernel's ELF as it is shipped: it decodes the code
//! ([`decode`]), takes it apart into blocks ([`program`]), finds the loops, of which the source says how many rounds they
//! have at most ([`keel_bounds`]), and adds up the longest way through each function ([`length`]), callees first. What
//! the source says comes from a [`twin`] of the kernel, in which it has its place among the instructions.
//!
//! ```text
//!   ELF --------> functions ---> blocks and edges ---> nest of loops ---> longest paths
//!                    ||                ^                    ^
//!   ELF of twin -> functions,          |                    |
//!                  marks --------------'--------------------'
//! ```
//!
//! What cannot be bounded is an error that names the place in the source: recursion, a jump or call to a computed
//! address, a loop that is entered in two places or has no bound. Nothing is assumed about the code but what its
//! marks say.
//!
//! 1. A path begins where a trap enters the kernel, or at a preemption point. It ends where the kernel goes back to user
//!    level, or at a preemption point.
//! 2. Ways that end the machine (a bug of the kernel), and those that the source marks as outside, are no paths.
//! 3. The length is never too small. It may be too large: that two branches exclude each other is seen only where marks
//!    say so.

#![forbid(unsafe_code)]

pub mod decode;
pub mod image;
pub mod length;
pub mod loops;
pub mod program;
pub mod query;
pub mod reach;
pub mod stack;
pub mod table;
pub mod twin;
pub mod way;

pub use image::Image;
pub use program::Program;
pub use query::{Answer, Parameters, Query};
