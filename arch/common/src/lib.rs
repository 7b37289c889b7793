// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernels of several machines do alike, besides the portable kernel.
//!
//! ```text
//!   arch/<machine>: assembly, registers, devices ──▶ this crate ──▶ keel-kernel
//!                   entry, traps                     address space at boot, memory map, where the kernel lies,
//!                                                    from the device tree to the root task, the lazy FPU
//! ```
//!
//! Unsafe code is in [`space`] and [`home`] alone: both are about memory that a linker script and a loader have laid
//! out.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

pub mod boot;
pub mod fpu;
#[allow(unsafe_code)]
pub mod home;
pub mod lines;
pub mod memory;
pub mod mmio;
#[cfg(not(target_os = "none"))]
pub mod model;
#[allow(unsafe_code)]
pub mod space;
