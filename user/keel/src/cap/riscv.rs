// SPDX-License-Identifier: MIT OR Apache-2.0

//! What 64-bit RISC-V does in its own way.

use super::{Cap, Frame, Invoked};
use crate::arch;

impl Cap<Frame> {
    /// Makes instructions that were written to the first `_bytes` bytes of the frame visible to instruction fetch.
    pub fn make_executable(self, _bytes: u64) -> Invoked {
        arch::unify_instructions();
        Ok(())
    }
}
