// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel on 64-bit RISC-V: the machine for the portable kernel (`keel-kernel`), in supervisor mode on SBI firmware.
//!
//! ```text
//!   loader ─▶ cpu::start ─▶ cpu::entry::boot ─▶ user level ─▶ cpu::trap ─▶ cpu::entry ─▶ keel-kernel
//!             own address    platform,                    ▲                      │
//!             space          machine, objects             └───── cpu::trap ◀─────┘
//! ```
//!
//! [`machine::Machine`] is what the portable kernel sees. It uses what the device tree has told ([`platform`]): an
//! interrupt controller ([`plic`]) and a timer, which the processor has or firmware. The console is firmware's. The
//! shapes of things that the architecture defines are in [`registers`], [`entries`] and [`fault`].
//!
//! Assembly and control registers are in [`cpu`], and so is the kernel's static: no other module has unsafe
//! code. On the host the functions of [`cpu`] do nothing, and everything above it is tested.
//!
//! References are to The RISC-V Instruction Set Manual, volume II (privileged architecture), version 1.12.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

#[allow(unsafe_code)]
pub mod cpu;
pub mod entries;
pub mod fault;
pub mod machine;
pub mod platform;
pub mod plic;
pub mod registers;
#[cfg(test)]
mod test;
