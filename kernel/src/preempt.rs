// SPDX-License-Identifier: MIT OR Apache-2.0

//! Restartable work: the preemption point.
//!
//! What can be long is done in units of at most about 1,000 instructions. After each unit the system is
//! consistent, and [`Kernel::preemption_point`] is asked whether to go on. If not, the operation returns
//! [`Preempted`]; the caller's thread repeats its system call when it runs again, finds what was done, and goes on
//! from there. Each unit makes progress that is kept, so an operation ends even if it is preempted after every
//! single unit.

use crate::Kernel;
use crate::arch::Arch;
use crate::invocation::Preempted;
use keel_bounds::{fact, holds};

impl<A: Arch> Kernel<A> {
    /// To be called after each unit of work: whether an interrupt, the end of the caller's budget or the end of
    /// the domain's time wants the processor.
    pub fn preemption_point(&mut self) -> Result<(), Preempted> {
        keel_bounds::preemption_point();
        if self.arch.interrupt_pending() {
            holds::<{ fact::PREEMPTED }>();
            return Err(Preempted);
        }
        self.update_time();
        if self.out_of_time() {
            holds::<{ fact::PREEMPTED }>();
            return Err(Preempted);
        }
        Ok(())
    }
}
