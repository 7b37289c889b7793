// SPDX-License-Identifier: MIT OR Apache-2.0

//! What differs from machine to machine.
//!
//! What every machine has to offer stands once, in the macro `machine!` of `metal`: a machine fills in its registers
//! and instructions, and adds by hand only what no other has. On the host, where unit tests run, a scripted kernel
//! takes the trap's place, and plays the kernel of one of the machines; which one `build.rs` says.
//! Numbers that are not registers are in [`facts`].

#[cfg(machine = "aarch64")]
#[path = "facts/aarch64.rs"]
mod facts;
#[cfg(machine = "riscv64")]
#[path = "facts/riscv64.rs"]
mod facts;
#[cfg(machine = "x86_64")]
#[path = "facts/x86_64.rs"]
mod facts;
pub use facts::*;

#[cfg(target_os = "none")]
#[macro_use]
mod metal;

#[cfg(all(target_os = "none", machine = "aarch64"))]
mod aarch64;
#[cfg(all(target_os = "none", machine = "aarch64"))]
pub use aarch64::*;

#[cfg(all(target_os = "none", machine = "riscv64"))]
mod riscv64;
#[cfg(all(target_os = "none", machine = "riscv64"))]
pub use riscv64::*;

#[cfg(all(target_os = "none", machine = "x86_64"))]
mod x86_64;
#[cfg(all(target_os = "none", machine = "x86_64"))]
pub use x86_64::*;

#[cfg(not(target_os = "none"))]
pub(crate) mod host;
#[cfg(not(target_os = "none"))]
pub use host::*;

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
