// SPDX-License-Identifier: MIT OR Apache-2.0

//! Windows: from one read of the cycle counter to another, perhaps on another thread.
//!
//! Under QEMU's instruction counting the counter counts instructions. A read is two of them, one that reads
//! and one that stores ([`crate::machine`]); a window is the difference of two reads less two. Between the
//! reads stand only the registers of the call, the trap, and what the kernel does.

use core::sync::atomic::{AtomicU64, Ordering};

use keel::cap::CPtr;
use keel_abi::message::MessageInfo;

pub use crate::machine::*;

/// The two reads of one thread.
#[repr(C)]
pub struct Reads {
    opened: AtomicU64,
    closed: AtomicU64,
}

impl Reads {
    const fn new() -> Self {
        Self { opened: AtomicU64::new(0), closed: AtomicU64::new(0) }
    }
}

/// Those of the root task's thread.
pub static CLIENT: Reads = Reads::new();
/// Those of the other thread.
pub static SERVER: Reads = Reads::new();

/// The window from the last opening read in `from` to the last closing one in `to`. The low halves of the reads tell,
/// as no window is that long: not every machine reads all of its counter into one register.
pub fn between(from: &Reads, to: &Reads) -> u64 {
    let read = |value: &AtomicU64| value.load(Ordering::Relaxed) as u32;
    read(&to.closed).wrapping_sub(read(&from.opened)).wrapping_sub(2).into()
}

/// What a system call is given.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// The capability register.
    pub cap: CPtr,
    /// The message info register.
    pub info: MessageInfo,
    /// The reply register.
    pub reply: CPtr,
}

impl Call {
    /// On `cap`, with an empty message and no reply capability.
    pub const fn on(cap: CPtr) -> Self {
        Self { cap, info: MessageInfo(0), reply: CPtr::NULL }
    }

    /// With a message of so many words.
    pub const fn length(self, words: usize) -> Self {
        Self { info: MessageInfo::new(0, 0, 0, words), ..self }
    }

    /// With this reply capability.
    pub const fn reply(self, reply: CPtr) -> Self {
        Self { reply, ..self }
    }
}

/// The window of what `work` does.
#[inline(always)]
pub fn of<T>(work: impl FnOnce() -> T) -> (u64, T) {
    open(&CLIENT);
    let result = work();
    close(&CLIENT);
    (between(&CLIENT, &CLIENT), result)
}
