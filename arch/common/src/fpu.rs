// SPDX-License-Identifier: MIT OR Apache-2.0

//! The FPU's registers, moved only when they have to be.
//!
//! They belong to the thread that used them last, their *owner*. The FPU is open to the owner alone; for anybody else
//! the first use traps, and the trap moves the registers ([`LazyFpu::give`]). Threads that leave the FPU alone never
//! pay for it.
//!
//! ```text
//!   closed ── first use: save the owner's, load one's own ──▶ open, owner ── another thread runs ──▶ closed
//! ```
//!
//! 1. `owner` is the thread whose registers are in the processor. It is alive and may use the FPU.
//! 2. The FPU is open (`is_open`) exactly while the owner is the thread that runs.

use core::marker::PhantomData;
use keel_kernel::arch::Arch;
use keel_kernel::object::Tcb;
use keel_kernel::object::tcb::{FLAG_FPU_DISABLED, FpuState};
use keel_kernel::store::{Ref, Store};

/// What a processor can do with its FPU.
pub trait Fpu {
    /// Opens it to user level, or has user level trap at its use.
    fn open(open: bool);
    /// Saves its registers.
    fn save(state: &mut FpuState);
    /// Loads what [`Fpu::save`] has saved.
    fn load(state: &FpuState);
}

/// The FPU, and whose registers are in it.
pub struct LazyFpu<F> {
    /// See invariant 1.
    owner: Option<Ref<Tcb>>,
    /// See invariant 2.
    is_open: bool,
    /// The processor.
    processor: PhantomData<F>,
}

impl<F: Fpu> LazyFpu<F> {
    /// An FPU that is closed and belongs to nobody.
    pub const fn new() -> Self {
        Self { owner: None, is_open: false, processor: PhantomData }
    }

    /// The thread that runs has used the FPU in vain: it gets it. False if it must not have it, or had it already.
    pub fn give<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>) -> bool {
        if store[tcb].flags & FLAG_FPU_DISABLED != 0 || self.is_open {
            return false;
        }
        self.save(store);
        F::load(&store[tcb].fpu);
        self.owner = Some(tcb);
        self.set_open(true);
        true
    }

    /// `tcb` runs next.
    #[inline(always)]
    pub fn switch_to(&mut self, tcb: Ref<Tcb>) {
        self.set_open(self.owner == Some(tcb));
    }

    /// As [`Self::switch_to`], where `from`, another thread, has run: if neither owns the FPU it is closed and stays so.
    #[inline(always)]
    pub fn switch_between(&mut self, from: Ref<Tcb>, to: Ref<Tcb>) {
        if self.owner == Some(from) {
            self.is_open = false;
            F::open(false);
        } else if self.owner == Some(to) {
            self.is_open = true;
            F::open(true);
        }
    }

    /// `tcb` must not use the FPU any more: it is closed, and its registers, if they are in it, are saved.
    pub fn release<A: Arch>(&mut self, store: &mut Store<A>, tcb: Ref<Tcb>) {
        if self.owner == Some(tcb) {
            self.save(store);
            self.set_open(false);
        }
    }

    /// The registers go to their owner, who is none then.
    fn save<A: Arch>(&mut self, store: &mut Store<A>) {
        if let Some(owner) = self.owner.take() {
            F::save(&mut store[owner].fpu);
        }
    }

    /// Opens or closes the FPU.
    #[inline(always)]
    fn set_open(&mut self, open: bool) {
        if self.is_open != open {
            F::open(open);
            self.is_open = open;
        }
    }
}

impl<F: Fpu> Default for LazyFpu<F> {
    fn default() -> Self {
        Self::new()
    }
}
