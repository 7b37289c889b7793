// SPDX-License-Identifier: MIT OR Apache-2.0

//! The part of a loader that touches no hardware.
//!
//! A loader finds the kernel (an ELF file that it carries), the root task (an ELF file that came as the
//! initial module) and the device tree, and puts all three where they shall run. This crate checks the
//! files ([`program`]) and decides what goes where ([`plan`]); the program of each architecture, `loader/`
//! plus its name, asks it and does what it says.
//!
//! 1. Files are hostile: what a [`program::Program`] hands out lies within the file and within its span.
//! 2. A [`plan::Plan`] lies within memory and touches nothing that is in use.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod plan;
pub mod program;

pub use keel_devicetree::Region;
