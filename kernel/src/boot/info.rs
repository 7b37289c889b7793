// SPDX-License-Identifier: MIT OR Apache-2.0

//! BootInfo, as it is written into the root task's memory (`boot.md` §2), which user level will see.

use super::plan::PAGE_BYTES;
use crate::arch::Arch;
use crate::store::Store;
use crate::units::{KernelAddr, PhysAddr};
use core::mem::offset_of;
use keel_abi::bootinfo::{BootInfo, ExtraHeader, SlotRegion, UntypedDesc};

/// One chunk of extra information: its kind ([`keel_abi::bootinfo::extra`]) and what stands behind its header.
#[derive(Clone, Copy, Debug)]
pub struct ExtraChunk<'a> {
    /// The kind.
    pub id: u64,
    /// The content.
    pub content: &'a [u8],
}

impl ExtraChunk<'_> {
    /// Bytes of the chunk, its header included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        (size_of::<ExtraHeader>() + self.content.len()) as u64
    }
}

/// The BootInfo frame, zeroed, being filled.
#[derive(Clone, Copy)]
pub struct InfoFrame(pub KernelAddr);

impl InfoFrame {
    /// Sets the word at `offset`.
    pub fn set<A: Arch>(self, store: &mut Store<A>, offset: usize, word: u64) {
        store.save(self.0.offset(offset as u64), word);
    }

    /// Sets the slot region at `offset`.
    pub fn set_slots<A: Arch>(self, store: &mut Store<A>, offset: usize, slots: SlotRegion) {
        self.set(store, offset + offset_of!(SlotRegion, start), slots.start);
        self.set(store, offset + offset_of!(SlotRegion, end), slots.end);
    }

    /// Describes untyped number `index`.
    pub fn set_untyped<A: Arch>(
        self,
        store: &mut Store<A>,
        index: usize,
        base: PhysAddr,
        size_bits: u8,
        is_device: bool,
    ) {
        const { assert!(offset_of!(UntypedDesc, size_bits) == 8 && offset_of!(UntypedDesc, is_device) == 9) };
        let offset = offset_of!(BootInfo, untyped_list) + index * size_of::<UntypedDesc>();
        self.set(store, offset + offset_of!(UntypedDesc, paddr), base.0);
        self.set(store, offset + 8, u64::from(size_bits) | u64::from(is_device) << 8);
    }
}

/// Writes bytes one behind the other, into pages that are frames of their own.
struct Writer {
    /// Where the next byte goes.
    next: KernelAddr,
}

impl Writer {
    /// Appends `content`.
    fn push<A: Arch>(&mut self, store: &mut Store<A>, content: &[u8]) {
        let mut rest = content;
        // One round per page that is touched.
        while !rest.is_empty() {
            let room = PAGE_BYTES - self.next.0 % PAGE_BYTES;
            let (now, later) = rest.split_at_checked(room as usize).unwrap_or((rest, &[]));
            store.save_bytes(self.next, now);
            self.next = self.next.offset(now.len() as u64);
            rest = later;
        }
    }
}

/// Writes the chunks from `address` on, without gaps.
pub fn write_extra<A: Arch>(store: &mut Store<A>, address: KernelAddr, chunks: &[ExtraChunk]) {
    let mut writer = Writer { next: address };
    for chunk in chunks {
        writer.push(store, &chunk.id.to_le_bytes());
        writer.push(store, &chunk.bytes().to_le_bytes());
        writer.push(store, chunk.content);
    }
}
