// SPDX-License-Identifier: MIT OR Apache-2.0

//! What depends on the machine: the counter, the alarm, and the programs of threads without a stack.
//!
//! Under QEMU's deterministic instruction counting an instruction is a nanosecond of the machine's time. So the
//! counter counts instructions, and an alarm set for a time comes at an instruction that is known beforehand.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "riscv64")]
mod riscv64;

#[cfg(target_arch = "aarch64")]
pub use self::aarch64::*;
#[cfg(target_arch = "riscv64")]
pub use self::riscv64::*;
