// SPDX-License-Identifier: MIT OR Apache-2.0

//! Quantities that must not be mixed: addresses of three kinds, times of two kinds, priorities.

use core::ops::{Add, Sub};

/// A physical address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct PhysAddr(pub u64);

/// A virtual address of user level, as a user program gave it: any value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct VirtAddr(pub u64);

/// An address in the kernel's window onto physical memory: `physical + Arch::PHYS_WINDOW`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct KernelAddr(pub u64);

impl KernelAddr {
    /// The address `bytes` further on.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

impl PhysAddr {
    /// The address `bytes` further on.
    #[must_use]
    pub const fn offset(self, bytes: u64) -> Self {
        Self(self.0.wrapping_add(bytes))
    }
}

/// A time or a span of time in ticks of the machine's timer. Arithmetic wraps only where the invariants of
/// `sched` exclude that it matters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Ticks(pub u64);

impl Add for Ticks {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.wrapping_add(other.0))
    }
}

impl Sub for Ticks {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.wrapping_sub(other.0))
    }
}

/// A span of time in microseconds, the unit of the interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Micros(pub u64);

/// A priority or a maximum controlled priority: 0 lowest, 255 highest.
pub type Priority = u8;

/// Number of priorities (`scheduling.md` §1).
pub const PRIORITIES: usize = 256;

/// An interrupt number of the machine's controller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(transparent)]
pub struct Irq(pub u32);

/// An address space identifier. 0 is never handed out and stands for "none".
pub type Asid = u16;
