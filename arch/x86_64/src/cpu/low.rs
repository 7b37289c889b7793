// SPDX-License-Identifier: MIT OR Apache-2.0

//! The first 4 GiB of physical memory, as they are mapped while the kernel starts.
//!
//! 1. While the only [`LowMemory`] exists, boot's tables are in use, which map these addresses to themselves.
//! 2. Slices are given out of the module and of one other region, which overlap neither each other nor the kernel's
//!    image. Everything else is copied.

use crate::multiboot::Physical;
use keel_devicetree::Region;

/// What boot's tables map.
const END: u64 = 4 << 30;

/// Physical memory below 4 GiB.
pub struct LowMemory {
    /// Where the kernel's image lies.
    image: Region,
    /// What was given out to read.
    module: Region,
    /// What was given out to write.
    written: Region,
}

impl LowMemory {
    /// Takes the memory over.
    ///
    /// # Safety
    /// Called once; boot's tables are in use until the last use of this, and the kernel's image lies at `image`.
    pub unsafe fn take(image: Region) -> Self {
        Self { image, module: Region::EMPTY, written: Region::EMPTY }
    }

    /// Where the kernel's image lies.
    pub fn image(&self) -> Region {
        self.image
    }

    /// Whether a region can be seen, and is neither the kernel nor given out already.
    fn is_free(&self, region: Region) -> bool {
        let taken = [self.image, self.module, self.written].iter().any(|taken| taken.overlaps(region));
        !taken && region.start() > 0 && region.end() <= END
    }

    /// The module's bytes: none if it is not where it can be.
    pub fn module(&mut self, region: Region) -> Option<&'static [u8]> {
        if self.module.size() > 0 || !self.is_free(region) {
            return None;
        }
        self.module = region;
        // SAFETY: mapped (1), and nobody writes it (2).
        Some(unsafe { core::slice::from_raw_parts(region.start() as *const u8, region.size() as usize) })
    }

    /// Memory to write: none if it is in use, or was given out before.
    pub fn write(&mut self, region: Region) -> Option<&'static mut [u8]> {
        if self.written.size() > 0 || !self.is_free(region) {
            return None;
        }
        self.written = region;
        // SAFETY: mapped (1), and nobody else has it (2).
        Some(unsafe { core::slice::from_raw_parts_mut(region.start() as *mut u8, region.size() as usize) })
    }
}

impl Physical for LowMemory {
    fn read(&self, address: u64, bytes: &mut [u8]) -> Option<()> {
        let region = Region::new(address, bytes.len() as u64)?;
        if region.end() > END || region.overlaps(self.image) || region.overlaps(self.written) {
            return None;
        }
        // SAFETY: mapped (1), and not written by anybody meanwhile. The instruction is used because address 0, where
        // firmware may have something, is none for Rust's pointers.
        unsafe {
            core::arch::asm!("rep movsb", inout("rsi") address => _, inout("rdi") bytes.as_mut_ptr() => _,
                inout("rcx") bytes.len() => _, options(nostack, preserves_flags));
        }
        Some(())
    }
}
