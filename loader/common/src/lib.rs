// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the loaders of all machines do alike.
//!
//! A loader finds the kernel (an ELF file that it carries), the root task (an ELF file that came as the
//! initial module) and the device tree, and puts all three where they shall run. This crate checks the
//! files ([`keel_program`]), decides what goes where ([`plan`]), and does it ([`load`]) in memory that it maps
//! ([`memory`]). The program of each architecture, `loader/` plus its name, adds what only the machine can do
//! ([`load::Machine`]).
//!
//! 1. Files are hostile: what a [`keel_program::Program`] hands out lies within the file and within its span.
//! 2. A [`plan::Plan`] lies within memory and touches nothing that is in use.
//! 3. Memory is given out once: [`memory::Memory`], the one place with unsafe code.

#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

pub mod load;
#[allow(unsafe_code)]
pub mod memory;
pub mod plan;

pub use keel_devicetree::Region;
pub use keel_program as program;
