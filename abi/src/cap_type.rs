// SPDX-License-Identifier: MIT OR Apache-2.0

//! What `DebugCapIdentify` answers (`syscalls.md §13`).
//!
//! Even numbers are generic; the odd ones stand in the `cap_type` module of each architecture.

/// No capability, or no such slot (`syscalls.md §13`).
pub const NULL: u64 = 0;
/// Untyped memory (`syscalls.md §13`).
pub const UNTYPED: u64 = 2;
/// Endpoint (`syscalls.md §13`).
pub const ENDPOINT: u64 = 4;
/// Notification (`syscalls.md §13`).
pub const NOTIFICATION: u64 = 6;
/// Reply object (`syscalls.md §13`).
pub const REPLY: u64 = 8;
/// CNode (`syscalls.md §13`).
pub const CNODE: u64 = 10;
/// TCB (`syscalls.md §13`).
pub const TCB: u64 = 12;
/// Interrupt control (`syscalls.md §13`).
pub const IRQ_CONTROL: u64 = 14;
/// Interrupt handler (`syscalls.md §13`).
pub const IRQ_HANDLER: u64 = 16;
/// An object being deleted (`syscalls.md §13`).
pub const ZOMBIE: u64 = 18;
/// Domain control (`syscalls.md §13`).
pub const DOMAIN: u64 = 20;
/// Scheduling context (`syscalls.md §13`).
pub const SCHED_CONTEXT: u64 = 22;
/// Scheduling control (`syscalls.md §13`).
pub const SCHED_CONTROL: u64 = 24;
