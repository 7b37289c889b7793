// SPDX-License-Identifier: MIT OR Apache-2.0

//! Where the kernel lies, and how each entry gets at it.
//!
//! 1. A [`Home`] has one kernel, made before the first exit to user level.
//! 2. One core runs in the kernel, with interrupts masked. Each entry takes the kernel once, at its beginning, so no two
//!    references to it live at the same time.

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use keel_kernel::Kernel;
use keel_kernel::arch::Arch;
use keel_kernel::cspace::Slot;
use keel_kernel::object::irq::Interrupts;
use keel_kernel::store::{DirectMemory, Ref};
use keel_kernel::units::KernelAddr;

/// The memory of a kernel. For a static.
pub struct Home<A: Arch> {
    /// The kernel (1).
    kernel: UnsafeCell<MaybeUninit<Kernel<A>>>,
}

// SAFETY: one core runs in the kernel, with interrupts masked (2).
unsafe impl<A: Arch> Sync for Home<A> {}

#[expect(clippy::mut_from_ref, reason = "the callers promise that there is no other")]
impl<A: Arch<Memory = DirectMemory>> Home<A> {
    /// An empty one.
    #[expect(clippy::new_without_default, reason = "only for statics")]
    pub const fn new() -> Self {
        Self { kernel: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Makes a kernel without objects, with so many interrupts, and slots at `slots` for their notifications.
    ///
    /// # Safety
    /// Called once, on the one core, before [`Home::kernel`]. At `slots` are [`slot_bytes`] bytes of zeros that nobody else
    /// uses.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that there is no other")]
    pub unsafe fn make(&'static self, machine: A, interrupts: u32, slots: u64) -> &'static mut Kernel<A> {
        let slots = Ref::at(KernelAddr(slots)).expect("the kernel lies at address 0");
        // SAFETY: the only reference, as this is called once, before there are entries (1).
        let place = unsafe { &mut *self.kernel.get() };
        place.write(Kernel::new(machine, DirectMemory, Interrupts::new(slots, interrupts)))
    }

    /// The kernel, for one entry.
    ///
    /// # Safety
    /// [`Home::make`] has been called, and what this gave before is not used any more (2).
    #[inline(always)]
    pub unsafe fn kernel(&'static self) -> &'static mut Kernel<A> {
        // SAFETY: by the caller's promise.
        unsafe { (*self.kernel.get()).assume_init_mut() }
    }
}

/// The bytes of slots for the notifications of so many interrupts.
pub const fn slot_bytes(interrupts: u32) -> u64 {
    interrupts as u64 * size_of::<Slot>() as u64
}

/// Something for a static that one module alone reaches, from the one core.
pub struct OneCore<T>(UnsafeCell<T>);

// SAFETY: one core runs in the kernel, with interrupts masked (2).
unsafe impl<T> Sync for OneCore<T> {}

impl<T: Copy> OneCore<T> {
    /// With this value.
    pub const fn new(value: T) -> Self {
        Self(UnsafeCell::new(value))
    }

    /// The value.
    pub fn get(&self) -> T {
        // SAFETY: nobody has a reference to it: only these functions reach it, and none hands one out.
        unsafe { *self.0.get() }
    }

    /// Changes the value.
    pub fn set(&self, value: T) {
        // SAFETY: as above.
        unsafe { *self.0.get() = value };
    }
}

/// The thread that runs next, as the address of its TCB; until there is one the core sleeps by `wait`.
#[inline(always)]
pub fn next<A: Arch>(kernel: &mut Kernel<A>, wait: fn()) -> u64 {
    match kernel.core.current {
        Some(tcb) => tcb.address().0,
        None => idle(kernel, wait),
    }
}

/// Sleeps until there is a thread to run: its TCB's address.
#[inline(never)]
fn idle<A: Arch>(kernel: &mut Kernel<A>, wait: fn()) -> u64 {
    loop {
        // Who sleeps is not late: what wakes it is the next entry.
        keel_bounds::preemption_point();
        wait();
        keel_bounds::entered_by::<{ keel_bounds::entry::INTERRUPT }>();
        kernel.handle_irq();
        if let Some(tcb) = kernel.core.current {
            return tcb.address().0;
        }
    }
}
