// SPDX-License-Identifier: MIT OR Apache-2.0

//! What drivers are made of: device registers in memory, and interrupts.

use core::ptr::NonNull;

pub use arm_pl011_uart::UniqueMmioPointer;

use crate::{
    cap::{Attributes, Blueprint, CPtr, Cap, Frame, IrqControl, IrqHandler, Notification},
    error::{Error, Result},
    resources::{PAGE_BYTES, Resources},
};

/// Device registers, mapped uncached.
#[derive(Debug)]
pub struct DeviceMemory {
    address: u64,
    size: u64,
    frame: Cap<Frame>,
}

impl DeviceMemory {
    /// Maps the device memory at `paddr`, a power of two of pages, at free addresses.
    pub fn map(resources: &mut Resources, paddr: u64, size: u64) -> Result<Self> {
        if !size.is_power_of_two() || size < PAGE_BYTES {
            return Err(Error::BadArgument("size of device memory"));
        }
        let untyped = resources.device_untyped(paddr, size.ilog2() as u8)?;
        let pages = size / PAGE_BYTES;
        let first = resources.make_many_or_release(untyped, Blueprint::SmallPage, pages)?;
        match resources.map_frames(first, pages, Attributes::DEVICE) {
            Ok(range) => Ok(Self { address: range.start, size, frame: first.cap() }),
            Err(error) => {
                resources.release_many(untyped, first, pages)?;
                Err(error)
            }
        }
    }

    /// Device memory that somebody else mapped for this program.
    ///
    /// # Safety
    /// `size` bytes at `address` are device registers, mapped read-write for as long as this program
    /// runs, and nothing else in it uses them.
    pub unsafe fn mapped(address: u64, size: u64) -> Self {
        Self { address, size, frame: Cap::null() }
    }

    /// Where the registers are mapped.
    pub fn address(&self) -> u64 {
        self.address
    }

    /// The first (or only) frame; null if somebody else mapped it.
    pub fn frame(&self) -> Cap<Frame> {
        self.frame
    }

    /// The registers as a block of type `T`, by which they are from then on used alone. `None` if
    /// there is not enough device memory, or it is not aligned, for a `T`.
    pub fn registers<T>(self) -> Option<UniqueMmioPointer<'static, T>> {
        let fits = size_of::<T>() as u64 <= self.size && self.address.is_multiple_of(align_of::<T>() as u64);
        let pointer = NonNull::new(self.address as *mut T).filter(|_| fits)?;
        // SAFETY: device registers of that size are mapped there for good (by `map`, or by the promise
        // made to `mapped`), and `self`, the only handle on them, is used up.
        Some(unsafe { UniqueMmioPointer::new(pointer) })
    }
}

/// An interrupt and the notification that it signals.
#[derive(Clone, Copy, Debug)]
pub struct Interrupt {
    handler: Cap<IrqHandler>,
    notification: Cap<Notification>,
}

impl Interrupt {
    /// Takes the interrupt `irq` and lets it signal `notification` (a capability with its badge).
    pub fn claim(
        resources: &mut Resources,
        control: Cap<IrqControl>,
        irq: u64,
        notification: Cap<Notification>,
    ) -> Result<Self> {
        let handler = resources.fill_slot(|slot| Ok(control.get_wired(irq, slot)?))?;
        Self::new(handler, notification)
    }

    /// Lets the interrupt of `handler` signal `notification`. One that came before counts as
    /// acknowledged.
    pub fn new(handler: Cap<IrqHandler>, notification: Cap<Notification>) -> Result<Self> {
        handler.set_notification(notification)?;
        handler.ack()?;
        Ok(Self { handler, notification })
    }

    /// Waits for the interrupt; gives the notification's word.
    pub fn wait(&self) -> u64 {
        self.notification.wait()
    }

    /// Lets the interrupt come again.
    pub fn ack(&self) -> Result {
        Ok(self.handler.ack()?)
    }

    /// The handler's capability, to hand it on.
    pub fn handler(&self) -> CPtr {
        self.handler.cptr()
    }
}
