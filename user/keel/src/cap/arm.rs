// SPDX-License-Identifier: MIT OR Apache-2.0

//! What only 64-bit Arm has: maintenance of caches, calls of the firmware, software-generated interrupts.

use super::{Cap, Frame, Invoked, IrqControl, SlotPath, VSpace, invoke};
use crate::{arch::abi::label, sys};

/// The right to call the firmware.
pub enum Smc {}

/// The right to send one software-generated interrupt.
pub enum SgiSignal {}

/// What is done to the caches for a range of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheOperation {
    /// Writes dirty data back.
    CleanData,
    /// Throws data away.
    InvalidateData,
    /// Writes dirty data back and throws it away.
    CleanInvalidateData,
    /// Makes written instructions visible to instruction fetch.
    UnifyInstruction,
}

impl CacheOperation {
    const fn frame_label(self) -> u64 {
        match self {
            Self::CleanData => label::PAGE_CLEAN_DATA,
            Self::InvalidateData => label::PAGE_INVALIDATE_DATA,
            Self::CleanInvalidateData => label::PAGE_CLEAN_INVALIDATE_DATA,
            Self::UnifyInstruction => label::PAGE_UNIFY_INSTRUCTION,
        }
    }

    const fn vspace_label(self) -> u64 {
        match self {
            Self::CleanData => label::VSPACE_CLEAN_DATA,
            Self::InvalidateData => label::VSPACE_INVALIDATE_DATA,
            Self::CleanInvalidateData => label::VSPACE_CLEAN_INVALIDATE_DATA,
            Self::UnifyInstruction => label::VSPACE_UNIFY_INSTRUCTION,
        }
    }
}

impl Cap<Frame> {
    /// Makes instructions that were written to the first `bytes` bytes of the frame, which must be mapped, visible to
    /// instruction fetch.
    pub fn make_executable(self, bytes: u64) -> Invoked {
        self.maintain(CacheOperation::UnifyInstruction, 0, bytes)
    }

    /// Maintains the caches for the bytes `start..end` of the frame, which must be mapped.
    pub fn maintain(self, operation: CacheOperation, start: u64, end: u64) -> Invoked {
        invoke(self.cptr(), operation.frame_label(), &[start, end], &[]).map(drop)
    }
}

impl Cap<VSpace> {
    /// Maintains the caches for the addresses `start..end`, which must lie in one mapped page.
    pub fn maintain(self, operation: CacheOperation, start: u64, end: u64) -> Invoked {
        invoke(self.cptr(), operation.vspace_label(), &[start, end], &[]).map(drop)
    }
}

impl Cap<Smc> {
    /// Calls the firmware with these registers; gives them as it left them.
    pub fn call(self, registers: [u64; 8]) -> Invoked<[u64; 8]> {
        let reply = invoke(self.cptr(), label::SMC_CALL, &registers, &[])?;
        let mut result = [0; 8];
        reply.copy_words(&mut result);
        Ok(result)
    }
}

impl Cap<IrqControl> {
    /// Puts the right to send software-generated interrupt `number` to `target` into a slot.
    pub fn issue_sgi_signal(self, number: u64, target: u64, destination: SlotPath) -> Invoked {
        let words = [number, target, destination.index, destination.depth];
        let caps = [destination.root.cptr()];
        invoke(self.cptr(), label::IRQ_ISSUE_SGI_SIGNAL, &words, &caps).map(drop)
    }
}

impl Cap<SgiSignal> {
    /// Sends the interrupt.
    pub fn signal(self) {
        sys::send(self.cptr(), Default::default(), [0; 4]);
    }
}
