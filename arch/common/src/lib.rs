// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernels of several machines do alike, besides the portable kernel.
//!
//! ```text
//!   arch/<machine>: assembly, registers, devices ──▶ this crate ──▶ keel-kernel
//!                   entry, traps                     address space at boot, memory map, where the kernel lies,
//!                                                    from the device tree to the root task, the lazy FPU
//! ```
//!
//! Unsafe code is in [`cpu`] alone.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

pub mod boot;
#[allow(unsafe_code)]
pub mod cpu;
pub mod fpu;
pub mod lines;
pub mod memory;
pub mod mmio;
#[cfg(not(target_os = "none"))]
pub mod model;
