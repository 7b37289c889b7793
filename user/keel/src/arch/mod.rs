// SPDX-License-Identifier: MIT OR Apache-2.0

//! What differs from machine to machine: the trap instruction and its registers, the thread
//! pointer, and the first instructions of a root task.
//!
//! Each architecture offers the same few functions. On the host, where unit tests run, a scripted
//! kernel takes the trap's place, and plays the kernel of an aarch64 machine.

mod facts;
pub use facts::*;

#[cfg(all(target_os = "none", target_arch = "aarch64"))]
mod aarch64;
#[cfg(all(target_os = "none", target_arch = "aarch64"))]
pub use aarch64::*;

#[cfg(all(target_os = "none", target_arch = "riscv64"))]
mod riscv64;
#[cfg(all(target_os = "none", target_arch = "riscv64"))]
pub use riscv64::*;

#[cfg(not(target_os = "none"))]
pub(crate) mod host;
#[cfg(not(target_os = "none"))]
pub use host::*;

#[cfg(all(target_os = "none", not(any(target_arch = "aarch64", target_arch = "riscv64"))))]
compile_error!("this crate knows no user-level machine of this architecture yet");

/// What a trap takes in, besides the system call's number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Input {
    /// The capability register.
    pub cap: u64,
    /// The message info register.
    pub info: u64,
    /// Message words 0–3.
    pub words: [u64; 4],
    /// The reply register.
    pub reply: u64,
}

/// What a receiving system call gives back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The badge register.
    pub badge: u64,
    /// The message info register.
    pub info: u64,
    /// Message words 0–3.
    pub words: [u64; 4],
}
