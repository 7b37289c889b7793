// SPDX-License-Identifier: MIT OR Apache-2.0

//! The contract between the kernel and user level: numbers, layouts and names.
//!
//! Kernel and programs are built apart and meet only here, so this crate holds everything that both
//! must agree on, and nothing else: no logic beyond constant functions and the packing of words.
//! Each number cites its place in the fact sheets of the interface (`invocations.md §1.1` and so on),
//! which describe the seL4 16.0.0 MCS interface in its 64-bit configurations.
//!
//! The crate's shape:
//!
//! * what is the same everywhere stands in modules at the top: [`syscall`], [`label`], [`error`],
//!   [`fault`], [`message`], [`rights`], [`object`], [`slot`], [`bootinfo`], [`timing`], [`cap_type`];
//! * what differs stands in [`aarch64`], [`riscv64`] and [`x86_64`], side by side and built always, so
//!   that tools on the host can speak of any of them. `arch` is the one of the target at hand;
//! * [`config`] holds the few build options that move numbers;
//! * [`invocations`] lists every invocation with its checks in order, as data for the tests.
//!
//! Invariants:
//!
//! * **A1** A number depends on nothing but [`config::Options`].
//! * **A2** Every `#[repr(C)]` structure has its size and offsets asserted beside it.
//! * **A3** A name that the options exclude still exists. An excluded label has a number that no message
//!   can carry ([`label::is_absent`]), so that a `match` on it is never taken; an excluded object type
//!   has one beyond the architecture's count of types.

#![no_std]
#![forbid(unsafe_code)]

pub mod aarch64;
pub mod bootinfo;
pub mod cap_type;
pub mod config;
pub mod error;
pub mod fault;
pub mod invocations;
pub mod label;
pub mod message;
pub mod object;
pub mod rights;
pub mod riscv64;
pub mod slot;
pub mod syscall;
pub mod timing;
pub mod x86_64;

/// The architecture this crate is built for.
#[cfg(target_arch = "aarch64")]
pub use aarch64 as arch;
/// The architecture this crate is built for.
#[cfg(target_arch = "riscv64")]
pub use riscv64 as arch;
/// The architecture this crate is built for.
#[cfg(target_arch = "x86_64")]
pub use x86_64 as arch;
