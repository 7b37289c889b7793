// SPDX-License-Identifier: MIT OR Apache-2.0

//! Numbers that differ from machine to machine, and are not registers.

#[cfg(not(all(target_os = "none", target_arch = "riscv64")))]
mod aarch64;
#[cfg(not(all(target_os = "none", target_arch = "riscv64")))]
pub use aarch64::*;
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
mod riscv64;
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
pub use riscv64::*;
