// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel tells the root task (`boot.md §2`).
//!
//! One page of [`BootInfo`], and behind it, from the next page on, chunks of extra information, each
//! with an [`ExtraHeader`]. The same layout on all architectures.

/// Most untypeds that BootInfo can describe (`boot.md §5.2`).
pub const MAX_UNTYPEDS: usize = 230;
/// log2 of the size of the BootInfo frame (`objects.md §2`).
pub const BOOT_INFO_BITS: u32 = 12;
/// Extra information starts this many bytes behind the start of BootInfo (`boot.md §2.1`).
pub const EXTRA_OFFSET: usize = 4096;

/// A half-open range of slots in the root CNode (`boot.md §2`).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotRegion {
    /// First slot.
    pub start: u64,
    /// First slot behind it.
    pub end: u64,
}

impl SlotRegion {
    /// Number of slots.
    pub const fn len(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An untyped (`boot.md §2`).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UntypedDesc {
    /// Physical address.
    pub paddr: u64,
    /// log2 of the size in bytes.
    pub size_bits: u8,
    /// 1 for device memory, 0 for normal memory.
    pub is_device: u8,
    /// Zero.
    pub padding: [u8; 6],
}

/// What the kernel tells the root task (`boot.md §2`).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BootInfo {
    /// Bytes of extra information, 0 for none.
    pub extra_len: u64,
    /// 0.
    pub node_id: u64,
    /// Number of cores.
    pub num_nodes: u64,
    /// Levels of IO page tables; all ones on x86 without an IOMMU, 0 elsewhere.
    pub num_io_pt_levels: u64,
    /// Virtual address of the IPC buffer.
    pub ipc_buffer: u64,
    /// Empty slots.
    pub empty: SlotRegion,
    /// None.
    pub shared_frames: SlotRegion,
    /// Frames of the user image.
    pub user_image_frames: SlotRegion,
    /// Paging structures of the user image.
    pub user_image_paging: SlotRegion,
    /// None.
    pub io_space_caps: SlotRegion,
    /// Frames of the extra information.
    pub extra_bi_pages: SlotRegion,
    /// Radix of the root CNode.
    pub init_thread_cnode_size_bits: u64,
    /// 0.
    pub init_thread_domain: u64,
    /// SchedControl capabilities, one per core.
    pub sched_control: SlotRegion,
    /// Untypeds.
    pub untyped: SlotRegion,
    /// Entry i describes the capability in slot `untyped.start` + i.
    pub untyped_list: [UntypedDesc; MAX_UNTYPEDS],
}

impl BootInfo {
    /// All zero.
    pub const EMPTY: Self = {
        const NO_SLOTS: SlotRegion = SlotRegion { start: 0, end: 0 };
        Self {
            extra_len: 0,
            node_id: 0,
            num_nodes: 0,
            num_io_pt_levels: 0,
            ipc_buffer: 0,
            empty: NO_SLOTS,
            shared_frames: NO_SLOTS,
            user_image_frames: NO_SLOTS,
            user_image_paging: NO_SLOTS,
            io_space_caps: NO_SLOTS,
            extra_bi_pages: NO_SLOTS,
            init_thread_cnode_size_bits: 0,
            init_thread_domain: 0,
            sched_control: NO_SLOTS,
            untyped: NO_SLOTS,
            untyped_list: [UntypedDesc { paddr: 0, size_bits: 0, is_device: 0, padding: [0; 6] };
                MAX_UNTYPEDS],
        }
    };

    /// The descriptions of the untypeds that exist.
    pub fn untypeds(&self) -> &[UntypedDesc] {
        &self.untyped_list[..(self.untyped.len() as usize).min(MAX_UNTYPEDS)]
    }
}

/// Begins each chunk of extra information (`boot.md §2.1`). Chunks are not aligned.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtraHeader {
    /// One of [`extra`].
    pub id: u64,
    /// Bytes of the chunk, this header included.
    pub len: u64,
}

/// Kinds of extra information (`boot.md §2.1`).
pub mod extra {
    /// Nothing.
    pub const PADDING: u64 = 0;
    /// x86: video modes.
    pub const X86_VBE: u64 = 1;
    /// x86: multiboot 1 memory map.
    pub const X86_MBMMAP: u64 = 2;
    /// x86: ACPI root pointer.
    pub const X86_ACPI_RSDP: u64 = 3;
    /// x86: frame buffer.
    pub const X86_FRAMEBUFFER: u64 = 4;
    /// x86: frequency of the time stamp counter in MHz, 32 bits.
    pub const X86_TSC_FREQ: u64 = 5;
    /// Flattened device tree.
    pub const FDT: u64 = 6;
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(size_of::<SlotRegion>() == 16);
    assert!(size_of::<UntypedDesc>() == 16);
    assert!(offset_of!(UntypedDesc, size_bits) == 8 && offset_of!(UntypedDesc, is_device) == 9);
    assert!(size_of::<ExtraHeader>() == 16);
    assert!(size_of::<BootInfo>() == 3864 && size_of::<BootInfo>() <= 1 << BOOT_INFO_BITS);
    assert!(offset_of!(BootInfo, extra_len) == 0);
    assert!(offset_of!(BootInfo, node_id) == 8);
    assert!(offset_of!(BootInfo, num_nodes) == 16);
    assert!(offset_of!(BootInfo, num_io_pt_levels) == 24);
    assert!(offset_of!(BootInfo, ipc_buffer) == 32);
    assert!(offset_of!(BootInfo, empty) == 40);
    assert!(offset_of!(BootInfo, shared_frames) == 56);
    assert!(offset_of!(BootInfo, user_image_frames) == 72);
    assert!(offset_of!(BootInfo, user_image_paging) == 88);
    assert!(offset_of!(BootInfo, io_space_caps) == 104);
    assert!(offset_of!(BootInfo, extra_bi_pages) == 120);
    assert!(offset_of!(BootInfo, init_thread_cnode_size_bits) == 136);
    assert!(offset_of!(BootInfo, init_thread_domain) == 144);
    assert!(offset_of!(BootInfo, sched_control) == 152);
    assert!(offset_of!(BootInfo, untyped) == 168);
    assert!(offset_of!(BootInfo, untyped_list) == 184);
};

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn untypeds_follow_the_region_and_never_overrun() {
        let mut info = BootInfo::EMPTY;
        info.untyped = SlotRegion { start: 40, end: 43 };
        assert_eq!(info.untypeds().len(), 3);
        info.untyped.end = u64::MAX;
        assert_eq!(info.untypeds().len(), MAX_UNTYPEDS);
        info.untyped.end = 0;
        assert!(info.untypeds().is_empty());
    }
}
