// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel on 64-bit Arm: the machine for the portable kernel (`keel-kernel`), at EL1.
//!
//! ```text
//!   loader ─▶ cpu::start ─▶ cpu::entry::boot ─▶ user level ─▶ cpu::trap ─▶ cpu::entry ─▶ keel-kernel
//!             own address    platform,                    ▲                      │
//!             space          machine, objects             └───── cpu::trap ◀─────┘
//! ```
//!
//! [`machine::Machine`] is what the portable kernel sees. It uses what the device tree has told ([`platform`]): an
//! interrupt controller ([`gic`]), the generic timer, a UART ([`console`]). The shapes of things that the
//! architecture defines are in [`registers`], [`entries`] and [`fault`]; invocations that exist here alone in
//! [`maintenance`] and [`special`].
//!
//! Assembly and system registers are in [`cpu`], and so is the kernel's static: no other module has unsafe
//! code. On the host the functions of [`cpu`] do nothing, and everything above it is tested.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

pub mod console;
#[allow(unsafe_code)]
pub mod cpu;
pub mod entries;
pub mod fault;
pub mod gic;
pub mod machine;
pub mod maintenance;
pub mod platform;
pub mod registers;
pub mod special;
#[cfg(test)]
mod test;
