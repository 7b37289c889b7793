// SPDX-License-Identifier: MIT OR Apache-2.0

//! The host's memory: one allocation that stands for physical memory, and a map of what lives in it.
//!
//! Each access through the store comes here with its kind, address and size and is compared with the map. What the
//! metal would silently get wrong panics here: a handle to a dead object, or at the wrong type; an object laid over
//! another one; clearing under a live object; an object made from memory that was not cleared.
//!
//! ```text
//!   physical:   base ......................................... base + bytes       (device memory: outside)
//!   allocation: | Slots |Tcb| free | Frame | free ........... |
//! ```
//!
//! Invariants:
//! - **M1** Live regions do not overlap and are aligned to their size, a power of two (but see
//!   [`CheckedMemory::created`] on regions that no user level retyped).
//! - **M2** All pointers handed out are derived from the one pointer of the allocation, which nothing else uses:
//!   the rules of aliasing are those of the references that the store makes, and Miri can check them.
//! - **M3** Memory of a region that died is filled with junk, until it is cleared.

use super::{Kind, Memory};
use crate::cspace::{SLOT_BITS, Slot};
use crate::object::sched_context::HEADER_BYTES;
use crate::object::tcb::{TCB_SLOTS, Tcb};
use crate::units::{KernelAddr, PhysAddr};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::mem::offset_of;
use std::ptr::NonNull;

/// What a dead region is filled with.
const JUNK: u8 = 0xdd;

/// Of a dead region, at most this much is filled with junk.
const JUNK_BYTES: u64 = 1 << 16;

/// The allocation's alignment: that of a page, so more than that of any object.
const ALIGNMENT: usize = 4096;

/// A live object, or memory that user level can map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// What lives there.
    pub kind: Kind,
    /// Where it begins.
    pub address: KernelAddr,
    /// Its size.
    pub bytes: u64,
}

impl Region {
    /// The first address behind it.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.address.0 + self.bytes
    }
}

/// Memory that checks each access.
#[derive(Debug)]
pub struct CheckedMemory {
    /// The allocation.
    pointer: NonNull<u8>,
    /// Its size and alignment.
    layout: Layout,
    /// Kernel address of the first byte.
    start: u64,
    /// What lives, by kernel address.
    live: BTreeMap<u64, Region>,
    /// The region of the last access: most accesses are near each other.
    last: Cell<Option<Region>>,
    /// The pages that were ever accessed; the others are zero. A copy copies only these.
    touched: Box<[Cell<bool>]>,
}

impl CheckedMemory {
    /// Zeroed memory of `bytes` bytes that lies at the physical address `base`, which the kernel sees at
    /// `base + window`.
    #[must_use]
    pub fn new(window: u64, base: PhysAddr, bytes: u64) -> Self {
        assert!(bytes > 0 && (base.0 | bytes).is_multiple_of(ALIGNMENT as u64), "memory is whole pages");
        let layout =
            Layout::from_size_align(bytes as usize, ALIGNMENT).expect("a size that the host can have");
        // SAFETY: the layout is not of size 0.
        let pointer = unsafe { alloc_zeroed(layout) };
        let Some(pointer) = NonNull::new(pointer) else { handle_alloc_error(layout) };
        Self {
            pointer,
            layout,
            start: base.0.wrapping_add(window),
            live: BTreeMap::new(),
            last: Cell::new(None),
            touched: vec![Cell::new(false); layout.size() / ALIGNMENT].into(),
        }
    }

    /// The live regions by address.
    pub fn regions(&self) -> impl Iterator<Item = Region> {
        self.live.values().copied()
    }

    /// The live region in which `address` lies.
    #[must_use]
    pub fn region_at(&self, address: KernelAddr) -> Option<Region> {
        let is_inside = |region: &Region| region.address <= address && address.0 < region.end();
        if let Some(region) = self.last.get().filter(is_inside) {
            return Some(region);
        }
        let (_, region) = self.live.range(..=address.0).next_back()?;
        self.last.set(Some(*region).filter(is_inside));
        self.last.get()
    }

    /// The live regions that overlap `bytes` bytes at `address`.
    pub fn regions_within(&self, address: KernelAddr, bytes: u64) -> impl Iterator<Item = Region> {
        let before = self.region_at(address).filter(|region| region.address != address);
        before.into_iter().chain(self.live.range(address.0..address.0.saturating_add(bytes)).map(|(_, r)| *r))
    }

    /// Whether these bytes are backed by memory: device memory is not.
    #[must_use]
    pub fn is_backed(&self, address: KernelAddr, bytes: u64) -> bool {
        let size = self.layout.size() as u64;
        address.0.checked_sub(self.start).is_some_and(|offset| offset <= size && bytes <= size - offset)
    }

    /// Whether backed memory is all zero. Looking is no access.
    #[must_use]
    pub fn is_clear(&self, address: KernelAddr, bytes: u64) -> bool {
        assert!(self.is_backed(address, bytes), "{address:x?} (+{bytes:#x}) is not memory");
        let offset = (address.0 - self.start) as usize;
        let pages = offset / ALIGNMENT..(offset + bytes as usize).div_ceil(ALIGNMENT);
        let mut touched = pages.filter(|page| self.touched[*page].get());
        touched.all(|page| {
            let (start, end) =
                ((page * ALIGNMENT).max(offset), ((page + 1) * ALIGNMENT).min(offset + bytes as usize));
            // SAFETY: in bounds of the allocation, which is initialised; references to it that are out are shared,
            // because the store that owns `self` is borrowed.
            let bytes =
                unsafe { std::slice::from_raw_parts(self.pointer.as_ptr().wrapping_add(start), end - start) };
            // Without a way out in the middle the compiler looks at many bytes at once.
            bytes.iter().fold(0, |all, byte| all | byte) == 0
        })
    }

    /// The word at an aligned address of backed memory, whatever is there. Looking is no access.
    #[must_use]
    pub fn word(&self, address: KernelAddr) -> u64 {
        assert!(self.is_backed(address, 8) && address.0.is_multiple_of(8), "{address:x?} is no word");
        let offset = (address.0 - self.start) as usize;
        // SAFETY: in bounds of the allocation, which is initialised and aligned; nobody writes meanwhile, because the
        // store that owns `self` is borrowed.
        unsafe { self.pointer.as_ptr().wrapping_add(offset).cast::<u64>().read() }
    }

    /// The words in which a memory of the same size and place differs, with the value here and there. Looking is no
    /// access.
    pub fn words_other_than(&self, other: &Self) -> impl Iterator<Item = (KernelAddr, u64, u64)> {
        assert_eq!((self.layout, self.start), (other.layout, other.start), "memories of one machine");
        let pages = (0..self.touched.len()).filter(|&page| {
            (self.touched[page].get() || other.touched[page].get())
                && self.page_bytes(page) != other.page_bytes(page)
        });
        let words = pages.flat_map(|page| (page * ALIGNMENT..(page + 1) * ALIGNMENT).step_by(8));
        words.filter_map(|offset| {
            let address = KernelAddr(self.start + offset as u64);
            let (here, there) = (self.word(address), other.word(address));
            (here != there).then_some((address, here, there))
        })
    }

    /// Page `number` as bytes.
    const fn page_bytes(&self, number: usize) -> &[u8] {
        // SAFETY: in bounds of the allocation, which is initialised; references to it that are out are shared,
        // because the store that owns `self` is borrowed.
        unsafe { std::slice::from_raw_parts(self.page(number), ALIGNMENT) }
    }

    /// The host's pointer to backed memory.
    fn at(&self, address: KernelAddr, bytes: u64) -> *mut u8 {
        assert!(self.is_backed(address, bytes), "{address:x?} (+{bytes:#x}) is not memory");
        let offset = (address.0 - self.start) as usize;
        for page in offset / ALIGNMENT..=(offset + bytes.max(1) as usize - 1) / ALIGNMENT {
            self.touched[page].set(true);
        }
        // By M2 derived from the one pointer; in bounds by the line above.
        self.pointer.as_ptr().wrapping_add(offset)
    }

    /// Page `number` of the allocation.
    const fn page(&self, number: usize) -> *mut u8 {
        self.pointer.as_ptr().wrapping_add(number * ALIGNMENT)
    }

    /// Backed memory as bytes.
    fn bytes_mut(&mut self, address: KernelAddr, bytes: u64) -> &mut [u8] {
        let pointer = self.at(address, bytes);
        // SAFETY: in bounds of the allocation, which is initialised; and nothing else refers to it now, because the
        // store's references borrow the store, in which `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(pointer, bytes as usize) }
    }

    /// Panics if something lives in these bytes.
    fn require_dead(&self, address: KernelAddr, bytes: u64) {
        if let Some(region) = self.regions_within(address, bytes).next() {
            panic!("{address:x?} (+{bytes:#x}) overlaps the live {region:x?}");
        }
    }
}

/// A copy is another memory with the same contents and the same things alive in it.
impl Clone for CheckedMemory {
    fn clone(&self) -> Self {
        let mut copy = Self::new(0, PhysAddr(0), self.layout.size() as u64);
        copy.clone_from(self);
        copy
    }

    fn clone_from(&mut self, source: &Self) {
        if self.layout != source.layout {
            *self = Self::new(0, PhysAddr(0), source.layout.size() as u64);
        }
        self.start = source.start;
        self.live.clone_from(&source.live);
        self.last.set(None);
        for (number, (mine, theirs)) in self.touched.iter().zip(&source.touched).enumerate() {
            if theirs.get() {
                // SAFETY: both pages are in bounds of allocations of one size that are different, being those of
                // two values; both are initialised, and no reference into either lives, as in `bytes_mut`: the
                // stores that own `self` and `source` are borrowed, and references out of `source` are shared.
                unsafe { self.page(number).copy_from_nonoverlapping(source.page(number), ALIGNMENT) };
            } else if mine.get() {
                // SAFETY: as above.
                unsafe { self.page(number).write_bytes(0, ALIGNMENT) };
            }
            mine.set(theirs.get());
        }
    }
}

impl Drop for CheckedMemory {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout, and nothing uses it any more: no reference outlives the
        // store that owns `self`.
        unsafe { dealloc(self.pointer.as_ptr(), self.layout) }
    }
}

/// Whether an access of kind `kind` to `bytes` bytes at `offset` in `region` is one that its type permits.
fn is_legal(region: &Region, kind: Kind, offset: u64, bytes: u64) -> bool {
    const SLOT_BYTES: u64 = 1 << SLOT_BITS;
    const TCB_SLOTS_AT: u64 = offset_of!(Tcb, slots) as u64;
    let in_bounds = offset + bytes <= region.bytes;
    let element_from =
        |first: u64, size: u64| bytes == size && offset >= first && (offset - first).is_multiple_of(size);
    in_bounds
        && match (region.kind, kind) {
            (Kind::Slots, Kind::Slots) => element_from(0, SLOT_BYTES),
            (Kind::Tcb, Kind::Slots) => {
                element_from(TCB_SLOTS_AT, SLOT_BYTES) && offset < TCB_SLOTS_AT + TCB_SLOTS * SLOT_BYTES
            }
            (Kind::SchedContext, Kind::SchedContext) => {
                offset == 0 && bytes == HEADER_BYTES || element_from(HEADER_BYTES, 16)
            }
            // Any bytes; that words are aligned is the store's to see to.
            (Kind::Frame, Kind::Frame) => true,
            (alive, kind) => alive == kind && offset == 0,
        }
}

const _: () = assert!(size_of::<Slot>() == 1 << SLOT_BITS);

// SAFETY: `pointer` is in bounds of the allocation (`at`), which lives as long as `self`; one address gives the same
// pointer each time, and by M1 two live objects never share a byte.
unsafe impl Memory for CheckedMemory {
    fn pointer(&self, kind: Kind, address: KernelAddr, bytes: u64) -> *mut u8 {
        if kind == Kind::Free {
            self.require_dead(address, bytes);
        } else {
            let Some(region) = self.region_at(address) else {
                panic!("{kind:?} {address:x?} (+{bytes:#x}): nothing lives there");
            };
            let offset = address.0 - region.address.0;
            assert!(
                is_legal(&region, kind, offset, bytes),
                "{kind:?} {address:x?} (+{bytes:#x}) in {region:x?}"
            );
        }
        self.at(address, bytes)
    }

    /// A region of any size is taken (the interrupt slots are no object), but an object has the alignment of its
    /// size. Only frames may lie outside memory, being device memory, or hold something already.
    fn created(&mut self, kind: Kind, address: KernelAddr, bytes: u64) {
        let region = Region { kind, address, bytes };
        assert!(kind != Kind::Free && bytes > 0, "{region:x?} is no object");
        if bytes.is_power_of_two() {
            assert!(address.0.is_multiple_of(bytes), "{region:x?} is misaligned");
        }
        self.require_dead(address, bytes);
        if kind != Kind::Frame {
            // Under Miri, which is slow, only the beginning is looked at.
            let looked_at = if cfg!(miri) { bytes.min(64) } else { bytes };
            assert!(self.is_clear(address, looked_at), "{region:x?} is made from memory that is not clear");
        }
        self.live.insert(address.0, region);
    }

    fn destroyed(&mut self, kind: Kind, address: KernelAddr) {
        self.last.set(None);
        let region = self.live.remove(&address.0).filter(|region| region.kind == kind);
        let Some(region) = region else { panic!("{kind:?} {address:x?} dies, but does not live") };
        if self.is_backed(address, region.bytes) {
            self.bytes_mut(address, region.bytes.min(JUNK_BYTES)).fill(JUNK);
        }
    }
}

#[cfg(test)]
mod test;
