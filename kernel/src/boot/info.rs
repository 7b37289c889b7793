// SPDX-License-Identifier: MIT OR Apache-2.0

//! BootInfo, as it is written into the root task's memory (`boot.md` §2): word by word, since user level will see it.

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

/// Writes bytes one behind the other, whole words at a time.
struct Writer {
    /// Where the word goes.
    next: KernelAddr,
    /// The bytes of a word that is not full yet, in its low part.
    word: u64,
    /// How many they are, 0 to 7.
    filled: u32,
}

impl Writer {
    /// Appends the low `bytes` bytes (1 to 8) of `word`, above which it is 0.
    fn push<A: Arch>(&mut self, store: &mut Store<A>, word: u64, bytes: u32) {
        self.word |= word << (8 * self.filled);
        self.filled += bytes;
        if self.filled >= 8 {
            store.save(self.next, self.word);
            self.next = self.next.offset(8);
            self.filled -= 8;
            self.word = word.unbounded_shr(8 * (bytes - self.filled));
        }
    }

    /// Appends `content`.
    fn push_all<A: Arch>(&mut self, store: &mut Store<A>, content: &[u8]) {
        for bytes in content.chunks(8) {
            let word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte));
            self.push(store, word, bytes.len() as u32);
        }
    }

    /// Writes the last word, if it was begun; its rest is 0.
    fn finish<A: Arch>(self, store: &mut Store<A>) {
        if self.filled > 0 {
            store.save(self.next, self.word);
        }
    }
}

/// Writes the chunks from `address` on, without gaps.
pub fn write_extra<A: Arch>(store: &mut Store<A>, address: KernelAddr, chunks: &[ExtraChunk]) {
    let mut writer = Writer { next: address, word: 0, filled: 0 };
    for chunk in chunks {
        writer.push(store, chunk.id, 8);
        writer.push(store, chunk.bytes(), 8);
        writer.push_all(store, chunk.content);
    }
    writer.finish(store);
}
