// SPDX-License-Identifier: MIT OR Apache-2.0

//! What differs from machine to machine: how the counter is read, the trap, the instructions that fault, and the
//! serial port's interrupt.
//!
//! Each architecture has the same functions, which say there what they do:
//!
//! | function | |
//! |---|---|
//! | `call`, `finish` | a system call between two reads, or before one |
//! | `open`, `close` | a read |
//! | `undefined_instruction`, `load`, `write_register` | the instruction between two reads |
//! | `touch`, `touch_fpu` | outside of windows |
//! | `start_counter` | before the first window |
//! | `begin_group`, `end_groups` | for the plugin that watches |
//!
//! A plugin that watches from outside (`xtask/counter`) knows a read by its instruction, and the groups of
//! operations by hints. No other code of this program uses these instructions.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::*;

#[cfg(target_arch = "riscv64")]
mod riscv64;
#[cfg(target_arch = "riscv64")]
pub use riscv64::*;

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::*;
