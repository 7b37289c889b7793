// SPDX-License-Identifier: MIT OR Apache-2.0

//! The kernel on 64-bit x86: the machine for the portable kernel (`keel-kernel`).
//!
//! ```text
//!   loader ─▶ cpu::start ─▶ cpu::entry::boot ─▶ user level ─▶ cpu::trap ─▶ cpu::entry ─▶ keel-kernel
//!             long mode      multiboot, ACPI,             ▲                      │
//!                            root task, objects           └───── cpu::trap ◀─────┘
//! ```
//!
//! [`machine::Machine`] is what the portable kernel sees. Loaders speak [`multiboot`]; of the machine the kernel learns by
//! the tables of firmware ([`acpi`]). It drives the processor's interrupt controller with its timer ([`apic`]), the
//! controllers of lines ([`ioapic`]), and for debugging a serial line ([`console`]). Capabilities that only this machine
//! has are those of [`ports`] and [`interrupts`]. The shapes of things that the architecture defines are in
//! [`registers`], [`entries`] and [`fault`].
//!
//! Assembly and control registers are in [`cpu`], and so is the kernel's static: no other module has unsafe
//! code. On the host the functions of [`cpu`] do nothing, and everything above it is tested.
//!
//! References are to the Intel 64 and IA-32 Architectures Software Developer's Manual, volume 3, unless they name another
//! book.

#![cfg_attr(target_os = "none", no_std)]
#![deny(unsafe_code)]
#![warn(clippy::missing_docs_in_private_items)]

pub mod acpi;
pub mod apic;
pub mod clock;
pub mod console;
#[allow(unsafe_code)]
pub mod cpu;
pub mod entries;
pub mod fault;
pub mod interrupts;
pub mod ioapic;
pub mod machine;
pub mod multiboot;
pub mod ports;
pub mod registers;
#[cfg(test)]
mod test;
