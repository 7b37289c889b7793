// SPDX-License-Identifier: MIT OR Apache-2.0

//! The one door to unsafety: typed handles to kernel objects, and the store that turns them into references.
//!
//! Kernel objects do not live in Rust variables but in memory that user level has retyped for them. The rest of
//! the kernel names them by [`Ref<T>`], a copyable typed address, and reaches them by indexing the store:
//! `store[tcb].priority`. A reference borrows the store, so two references of which one is mutable never live at
//! once, whatever objects they name. Memory that user level can see as well (IPC buffers, frames being cleared)
//! is never referenced but read and written word by word.
//!
//! The store is generic over [`Memory`], which says where an address lies. On the metal that is
//! [`DirectMemory`]: the address itself. On the host it is [`CheckedMemory`](checked::CheckedMemory), which keeps
//! a map of the live objects and panics when a handle is used after its object died or at another type; every
//! test of the kernel therefore also tests the invariants below.
//!
//! Invariants, kept by the rest of the kernel, checked by `CheckedMemory`:
//!
//! - **I1** A `Ref<T>` that is dereferenced names a live object of type `T`: one that retype (or boot) created
//!   and deletion has not destroyed since. Capabilities, queues and back pointers are the only places that keep
//!   Refs, and finalisation removes an object from all of them before it dies.
//! - **I2** Objects never overlap: retype hands out each byte above an untyped's watermark once, and the
//!   watermark only falls when the untyped has no descendants.
//! - **I3** Objects are plain data: each bit pattern that zeroing memory or the kernel itself leaves there is a
//!   valid value, and none has drop glue.
//! - **I4** One core runs in the kernel at a time, with interrupts off.

use crate::arch::Arch;
use crate::cspace::Slot;
use crate::object::{AsidPool, Endpoint, Notification, Refill, Reply, SchedContext, Table, Tcb};
use crate::units::{KernelAddr, PhysAddr};
use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU64;
use core::ops::{Index, IndexMut};

#[cfg(any(test, feature = "host"))]
#[allow(clippy::missing_docs_in_private_items)]
pub mod checked;

/// What kinds of memory the store tells apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// An array of slots: a CNode, or the interrupt slots.
    Slots,
    /// A thread control block.
    Tcb,
    /// An endpoint.
    Endpoint,
    /// A notification.
    Notification,
    /// A reply object.
    Reply,
    /// A scheduling context with its refills.
    SchedContext,
    /// A table of a virtual address space, its root included.
    Table,
    /// A pool of address space identifiers.
    AsidPool,
    /// Memory that user level may map: words only.
    Frame,
    /// Memory of an untyped in which no object lives.
    Free,
}

/// A type that lives in retyped memory. Implementing it promises I3 for the type.
///
/// # Safety
///
/// Every bit pattern that the kernel can leave in such an object, all zeroes included, is a valid `Self`.
pub unsafe trait Object: 'static {
    /// The kind of region in which a `Self` is found.
    const KIND: Kind;
}

/// Declares the types of objects and the kinds of regions in which they are found.
macro_rules! objects {
    ($($type:ty: $kind:ident,)*) => {$(
        // SAFETY: all fields are words, arrays of words, options of non-zero words (none is zero), bools, or enums
        // of which number 0 is a variant; so all zeroes is a value, and everything else in an object's memory was
        // written there by the kernel, through this type.
        unsafe impl Object for $type {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

objects! {
    Slot: Slots,
    Tcb: Tcb,
    Endpoint: Endpoint,
    Notification: Notification,
    Reply: Reply,
    SchedContext: SchedContext,
    Refill: SchedContext,
    Table: Table,
    AsidPool: AsidPool,
}

/// A typed address of a kernel object. It says nothing about the object being alive: see I1.
#[repr(transparent)]
pub struct Ref<T> {
    /// Where the object lies.
    address: NonZeroU64,
    /// What is there.
    marker: PhantomData<fn() -> T>,
}

impl<T> Ref<T> {
    /// The handle of the object at `address`, or none for address 0.
    #[must_use]
    pub const fn at(address: KernelAddr) -> Option<Self> {
        match NonZeroU64::new(address.0) {
            Some(address) => Some(Self { address, marker: PhantomData }),
            None => None,
        }
    }

    /// Where the object lies.
    #[must_use]
    pub const fn address(self) -> KernelAddr {
        KernelAddr(self.address.get())
    }

    /// The handle of the object that lies `bytes` further on, at another type.
    ///
    /// Address arithmetic is harmless by itself: whether an object is there is the matter of I1.
    #[must_use]
    pub const fn at_offset<U>(self, bytes: u64) -> Ref<U> {
        // The kernel's window is the top of the address space, so a sum inside an object never reaches 0. A sum
        // that did would be a bug elsewhere; it stays at this address, where the checked store finds it.
        let address = match self.address.checked_add(bytes) {
            Some(address) => address,
            None => self.address,
        };
        Ref { address, marker: PhantomData }
    }

    /// The handle of element `index` of the array that begins here.
    #[must_use]
    pub const fn nth(self, index: u64) -> Self {
        self.at_offset(index.wrapping_mul(size_of::<T>() as u64))
    }
}

impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Ref<T> {}
impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.address == other.address
    }
}
impl<T> Eq for Ref<T> {}
impl<T> PartialOrd for Ref<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Ref<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.address.cmp(&other.address)
    }
}
impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{:#x}", self.address)
    }
}

/// How kernel addresses become memory.
///
/// # Safety
///
/// For an access that I1 permits, `pointer` returns a pointer to the `bytes` bytes at `address`, valid for reads
/// and writes until the object dies, and the same bytes each time.
pub unsafe trait Memory {
    /// The memory of an access of `bytes` bytes at `address`, inside a live region of kind `kind`.
    fn pointer(&self, kind: Kind, address: KernelAddr, bytes: u64) -> *mut u8;
    /// From now on a region of kind `kind` is alive there.
    fn created(&mut self, _kind: Kind, _address: KernelAddr, _bytes: u64) {}
    /// The region of kind `kind` that begins there is dead.
    fn destroyed(&mut self, _kind: Kind, _address: KernelAddr) {}
}

/// The metal: an address is where it says.
#[derive(Default, Debug)]
pub struct DirectMemory;

// SAFETY: on the metal the kernel's page tables map every kernel address that I1 permits to that object's memory.
unsafe impl Memory for DirectMemory {
    #[inline(always)]
    fn pointer(&self, _kind: Kind, address: KernelAddr, _bytes: u64) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address.0 as usize)
    }
}

/// All kernel objects.
pub struct Store<A: Arch> {
    /// Where addresses become memory.
    memory: A::Memory,
}

impl<A: Arch> Store<A> {
    /// The store over `memory`.
    pub const fn new(memory: A::Memory) -> Self {
        Self { memory }
    }

    /// The memory below, for the machine model of the host.
    pub const fn memory(&mut self) -> &mut A::Memory {
        &mut self.memory
    }

    /// Where the kernel sees the physical address `physical`.
    #[must_use]
    pub const fn window(physical: PhysAddr) -> KernelAddr {
        KernelAddr(physical.0.wrapping_add(A::PHYS_WINDOW))
    }

    /// The physical address of what the kernel sees at `address` in its window.
    #[must_use]
    pub const fn physical(address: KernelAddr) -> PhysAddr {
        PhysAddr(address.0.wrapping_sub(A::PHYS_WINDOW))
    }

    /// Notes that a region is alive from now on. Its memory is zero or holds a valid object.
    #[inline(always)]
    pub fn created(&mut self, kind: Kind, address: KernelAddr, bytes: u64) {
        self.memory.created(kind, address, bytes);
    }

    /// Notes that the region that begins at `address` is dead.
    #[inline(always)]
    pub fn destroyed(&mut self, kind: Kind, address: KernelAddr) {
        self.memory.destroyed(kind, address);
    }

    /// Reads the word at `address`, 8-byte aligned, in memory that user level may be able to see.
    #[inline(always)]
    pub fn load(&self, address: KernelAddr) -> u64 {
        debug_assert!(address.0.is_multiple_of(8), "a word at {address:x?}");
        let pointer = self.memory.pointer(Kind::Frame, address, 8).cast::<u64>();
        // SAFETY: by I1 a live frame is there, by `Memory` the pointer is valid for it. Volatile, because user
        // level may write the same word from a device or another core: no value is relied on twice.
        unsafe { pointer.read_volatile() }
    }

    /// Writes the word at `address`, 8-byte aligned, in memory that user level may be able to see.
    #[inline(always)]
    pub fn save(&mut self, address: KernelAddr, word: u64) {
        debug_assert!(address.0.is_multiple_of(8), "a word at {address:x?}");
        let pointer = self.memory.pointer(Kind::Frame, address, 8).cast::<u64>();
        // SAFETY: as for `load`.
        unsafe { pointer.write_volatile(word) }
    }

    /// Writes `bytes` from `address` on, in memory that user level will be able to see, within one frame. For boot.
    pub fn save_bytes(&mut self, address: KernelAddr, bytes: &[u8]) {
        let pointer = self.memory.pointer(Kind::Frame, address, bytes.len() as u64);
        // SAFETY: as for `load`; no thread has run yet. Frames are never referenced, so `bytes` are elsewhere.
        unsafe { pointer.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) }
    }

    /// Clears `bytes` bytes at `address`, in memory in which no object lives. At most [`CLEAR_CHUNK_BYTES`].
    #[inline]
    pub fn clear(&mut self, address: KernelAddr, bytes: u64) {
        let pointer = self.memory.pointer(Kind::Free, address, bytes);
        debug_assert!(bytes <= CLEAR_CHUNK_BYTES, "{bytes} bytes are more than a chunk");
        keel_bounds::bytes_at_most::<CLEAR_CHUNK_BYTES>();
        // SAFETY: by I2 no live object and so no reference is there; the untyped that is being reset owns the
        // bytes, which are in the kernel's window.
        unsafe { pointer.write_bytes(0, bytes as usize) }
    }
}

/// On the host: another memory with the same contents.
#[cfg(any(test, feature = "host"))]
impl<A: Arch> Clone for Store<A>
where
    A::Memory: Clone,
{
    fn clone(&self) -> Self {
        Self { memory: self.memory.clone() }
    }

    fn clone_from(&mut self, source: &Self) {
        self.memory.clone_from(&source.memory);
    }
}

/// The most that is cleared between two preemption points.
pub const CLEAR_CHUNK_BYTES: u64 = 4096;

impl<A: Arch, T: Object> Index<Ref<T>> for Store<A> {
    type Output = T;
    #[inline(always)]
    fn index(&self, object: Ref<T>) -> &T {
        let pointer = self.memory.pointer(T::KIND, object.address(), size_of::<T>() as u64).cast::<T>();
        // SAFETY: by I1 the object is alive and a `T`, by I2 nothing else is in its memory, by I3 it is a valid
        // value. The result borrows the store, so by I4 nobody writes it meanwhile.
        unsafe { &*pointer }
    }
}

impl<A: Arch, T: Object> IndexMut<Ref<T>> for Store<A> {
    #[inline(always)]
    fn index_mut(&mut self, object: Ref<T>) -> &mut T {
        let pointer = self.memory.pointer(T::KIND, object.address(), size_of::<T>() as u64).cast::<T>();
        // SAFETY: as for `index`; the result borrows the store mutably, so no other reference lives meanwhile.
        unsafe { &mut *pointer }
    }
}
