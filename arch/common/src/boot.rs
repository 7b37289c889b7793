// SPDX-License-Identifier: MIT OR Apache-2.0

//! From what is known of the machine to the root task.

use crate::cpu::space::{KernelSpace, Layout, RootTask};
use crate::memory::{MAX_MEMORY, MemoryMap};
use keel_abi::bootinfo::extra;
use keel_devicetree::Region;
use keel_kernel::Kernel;
use keel_kernel::arch::Arch;
use keel_kernel::boot::info::ExtraChunk;
use keel_kernel::boot::region::PhysRegion;
use keel_kernel::boot::{BootError, BootInput, UserImage, boot};
use keel_kernel::cap::RawCap;
use keel_kernel::units::{PhysAddr, VirtAddr};

/// How many regions of devices a kernel can keep.
pub const MAX_KEPT: usize = 6;

/// What is known of the machine.
pub struct Facts<'a> {
    /// Its memory.
    pub memory: MemoryMap,
    /// What the root task is told besides.
    pub extra: &'a [ExtraChunk<'a>],
    /// The end of the physical addresses that the kernel's window shows.
    pub window_top: u64,
    /// The end of the physical addresses that user level can have.
    pub device_top: u64,
    /// The devices that the kernel keeps for itself, in whole pages, at most [`MAX_KEPT`].
    pub kept: &'a [Region],
    /// Capabilities that only this machine has, with their slots.
    pub machine_caps: &'a [(u64, RawCap)],
}

/// What the root task is told of a device tree: all of it, if the loader has passed one.
pub fn tree_chunk<'a, L: Layout>(space: &KernelSpace<L>, tree: &'a [u8]) -> Option<ExtraChunk<'a>> {
    (space.tree_region().size() > 0).then_some(ExtraChunk { id: extra::FDT, content: tree })
}

/// Divides memory, makes the root task, and says on the console what there is to say.
pub fn start_root_task<A: Arch, L: Layout>(
    kernel: &mut Kernel<A>,
    space: &mut KernelSpace<L>,
    facts: &Facts<'_>,
    root_task: RootTask,
) -> Result<(), BootError> {
    let mut memory = [PhysRegion::default(); MAX_MEMORY];
    let mut count = 0;
    for &region in facts.memory.regions() {
        match space.map_memory(region) {
            Ok(()) => {
                memory[count] = physical(region);
                count += 1;
            }
            Err(error) => kernel.say(format_args!("keel: memory at {region} is not used: {error:?}")),
        }
    }
    let mut reserved = [PhysRegion::default(); MAX_KEPT + 2];
    let own = [space.kept(), pages(space.tree_region())];
    let regions = own.iter().chain(facts.kept).copied().map(physical);
    let reserved_count = reserved.iter_mut().zip(regions).map(|(place, region)| *place = region).count();
    let input = BootInput {
        memory: &memory[..count],
        reserved: &reserved[..reserved_count],
        reclaimed: physical(space.reclaimed()),
        window_top: PhysAddr(facts.window_top),
        device_top: PhysAddr(facts.device_top),
        image: UserImage {
            physical: physical(root_task.image),
            offset: root_task.offset,
            entry: VirtAddr(root_task.entry),
        },
        extra: facts.extra,
        machine_caps: facts.machine_caps,
    };
    let booted = boot(kernel, &input)?;
    if booted.untypeds_dropped > 0 {
        kernel.say(format_args!("keel: {} pieces of memory are not used", booted.untypeds_dropped));
    }
    if cfg!(debug_assertions) {
        kernel.say(format_args!("keel: booted, dropped to user space"));
    }
    Ok(())
}

/// All pages that a region touches.
fn pages(region: Region) -> Region {
    region.grow_to(12).unwrap_or(region)
}

/// A region as the portable kernel writes it.
fn physical(region: Region) -> PhysRegion {
    PhysRegion::new(region.start(), region.end())
}
