// SPDX-License-Identifier: MIT OR Apache-2.0

//! How a world begins: with the kernel's own boot, on a small machine, with a root task of one empty page.

use super::{CPtr, World};
use crate::Kernel;
use crate::arch::Arch;
use crate::boot::region::PhysRegion;
use crate::boot::{BootInput, UserImage, boot};
use crate::host::{Host, MAX_IRQ};
use crate::object::irq::Interrupts;
use crate::object::tcb::TcbSlot;
use crate::store::{Ref, Store, checked::CheckedMemory};
use crate::units::{KernelAddr, PhysAddr, VirtAddr};
use keel_abi::bootinfo::{BootInfo, SlotRegion, UntypedDesc};
use keel_abi::{object, slot};
use std::collections::BTreeMap;
use std::mem::offset_of;

/// Where memory begins.
pub const RAM_BASE: PhysAddr = PhysAddr(0x4000_0000);
/// Log2 of the size of memory, if nothing else is asked for.
pub const RAM_BITS: u8 = 23;

/// The kernel keeps this page for the slots of interrupts.
const IRQ_SLOTS: PhysRegion = PhysRegion { start: RAM_BASE, end: RAM_BASE.offset(0x1000) };
/// The root task's image.
const IMAGE: PhysRegion = PhysRegion { start: IRQ_SLOTS.end, end: IRQ_SLOTS.end.offset(0x1000) };
/// Where the root task's program begins.
const ENTRY: u64 = 0x1_0000;
/// Devices lie below memory.
const DEVICE_TOP: PhysAddr = RAM_BASE;

impl World {
    /// A world whose root task is about to execute its first instruction.
    #[must_use]
    pub fn new() -> Self {
        Self::with_memory(RAM_BITS)
    }

    /// As [`Self::new`], with 2^`bits` bytes of memory: a smaller world is made sooner.
    #[must_use]
    pub fn with_memory(bits: u8) -> Self {
        let memory = CheckedMemory::new(Host::PHYS_WINDOW, RAM_BASE, 1 << bits);
        let irq_slots = Ref::at(Store::<Host>::window(IRQ_SLOTS.start)).expect("not the null address");
        let mut kernel = Kernel::new(Host::default(), memory, Interrupts::new(irq_slots, MAX_IRQ.0 + 1));
        let input = BootInput {
            memory: &[PhysRegion { start: RAM_BASE, end: RAM_BASE.offset(1 << bits) }],
            reserved: &[IRQ_SLOTS],
            reclaimed: PhysRegion::new(0, 0),
            window_top: RAM_BASE.offset(1 << bits),
            device_top: DEVICE_TOP,
            image: UserImage {
                physical: IMAGE,
                offset: IMAGE.start.0.wrapping_sub(ENTRY),
                entry: VirtAddr(ENTRY),
            },
            extra: &[],
            machine_caps: &[],
        };
        let booted = boot(&mut kernel, &input).expect("a machine that boots");
        assert_eq!(booted.untypeds_dropped, 0);
        kernel.schedule();
        Self::around(kernel)
    }

    /// The world of a kernel that has just booted.
    fn around(kernel: Kernel<Host>) -> Self {
        let mut world = Self {
            kernel,
            sched_control: 0,
            memory: 0,
            devices: 0,
            next_free: 0,
            checks: true,
            trapped_at: BTreeMap::new(),
        };
        world.sched_control = world.info_slots(offset_of!(BootInfo, sched_control)).start;
        world.next_free = world.info_slots(offset_of!(BootInfo, empty)).start;
        world.memory = world.largest_untyped(false);
        world.devices = world.largest_untyped(true);
        world.clear_memory();
        world
    }

    /// Has the memory cleared once, as the first retype does, so that later ones are short.
    fn clear_memory(&mut self) {
        let first = self.make(object::ENDPOINT, 0);
        self.delete(first);
        self.next_free = first;
    }

    /// Reads the word at `offset` of BootInfo.
    fn info_word(&self, offset: usize) -> u64 {
        let info: KernelAddr = match self.cap(slot::BOOT_INFO_FRAME) {
            crate::cap::Cap::Frame(frame) => Store::<Host>::window(frame.base),
            cap => panic!("BootInfo is {cap:?}"),
        };
        self.kernel.store.load(info.offset(offset as u64))
    }

    /// A region of slots that BootInfo describes at `offset`.
    fn info_slots(&self, offset: usize) -> SlotRegion {
        SlotRegion { start: self.info_word(offset), end: self.info_word(offset + 8) }
    }

    /// The first of the largest untypeds, of devices or of memory.
    fn largest_untyped(&self, device: bool) -> CPtr {
        let SlotRegion { start, end } = self.info_slots(offset_of!(BootInfo, untyped));
        let describe = |number: CPtr| {
            let entry = size_of::<UntypedDesc>() * (number - start) as usize;
            let word = self.info_word(offset_of!(BootInfo, untyped_list) + entry + 8).to_le_bytes();
            (word[0], word[1] == 1)
        };
        let candidates = (start..end).filter(|&number| describe(number).1 == device);
        candidates.rev().max_by_key(|&number| describe(number).0).expect("an untyped")
    }

    /// The first thread.
    #[must_use]
    pub fn root(&self) -> Ref<crate::object::Tcb> {
        self.kernel.root_task.expect("the world has booted")
    }

    /// The address of the root task's IPC buffer, which is that of each thread that the world makes.
    pub(super) fn buffer_address(&self) -> u64 {
        self.kernel.store[self.root()].ipc_buffer
    }

    /// The slot of the root task's CSpace root.
    pub(in crate::host) fn cspace_root(&self) -> Ref<crate::cspace::Slot> {
        self.root().slot(TcbSlot::CSpace)
    }
}
