// SPDX-License-Identifier: MIT OR Apache-2.0

//! What goes where in physical memory.
//!
//! Everything that outlives the loader is put into one stretch of memory:
//!
//! ```text
//!   2 MiB-aligned                                    page-aligned
//!   | gap | kernel ................ | device tree .. | root task's image ...... |
//! ```
//!
//! The gap is what the kernel's lowest virtual address has modulo 2 MiB, because the kernel is mapped by
//! blocks of that size.

use keel_devicetree::Region;

/// log2 of the block by which the kernel is mapped.
pub const BLOCK_BITS: u32 = 21;

/// log2 of a page.
const PAGE_BITS: u32 = 12;

/// How much room is needed.
#[derive(Clone, Copy)]
pub struct Needs {
    /// The kernel's virtual addresses, in whole pages.
    pub kernel: Region,
    /// Bytes of the device tree.
    pub tree_bytes: u64,
    /// The root task's virtual addresses, in whole pages.
    pub image: Region,
}

/// Where everything goes, in physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The kernel, from its first to its last segment.
    pub kernel: Region,
    /// The device tree.
    pub tree: Region,
    /// The root task's image.
    pub image: Region,
}

impl Plan {
    /// Finds the lowest place that lies in `memory` and clear of everything `in_use`.
    pub fn find(
        memory: impl Iterator<Item = Region>,
        in_use: impl Iterator<Item = Region> + Clone,
        needs: Needs,
    ) -> Option<Self> {
        memory
            .filter_map(|region| Self::find_within(region, in_use.clone(), needs))
            .min_by_key(|plan| plan.kernel.start())
    }

    /// Finds the lowest place in one region of memory. Each hit on something in use moves the candidate
    /// behind it, so that there are no more rounds than things in use, plus one.
    fn find_within(
        memory: Region,
        in_use: impl Iterator<Item = Region> + Clone,
        needs: Needs,
    ) -> Option<Self> {
        let mut block = align_up(memory.start(), BLOCK_BITS)?;
        loop {
            let plan = Self::at(block, needs)?;
            let all = Region::between(block, plan.image.end())?;
            if !memory.contains(all) {
                return None;
            }
            match in_use.clone().filter(|used| used.size() > 0).find(|used| used.overlaps(all)) {
                Some(used) => block = align_up(used.end(), BLOCK_BITS)?,
                None => return Some(plan),
            }
        }
    }

    /// The plan that begins with a block.
    fn at(block: u64, needs: Needs) -> Option<Self> {
        let gap = needs.kernel.start() % (1 << BLOCK_BITS);
        let kernel = Region::new(block.checked_add(gap)?, needs.kernel.size())?;
        let tree = Region::new(align_up(kernel.end(), PAGE_BITS)?, needs.tree_bytes)?;
        let image = Region::new(align_up(tree.end(), PAGE_BITS)?, needs.image.size())?;
        Some(Self { kernel, tree, image })
    }
}

/// The next multiple of `2^bits`.
fn align_up(address: u64, bits: u32) -> Option<u64> {
    address.checked_next_multiple_of(1 << bits)
}

#[cfg(test)]
mod test {
    use super::*;

    fn region(start: u64, end: u64) -> Region {
        Region::between(start, end).unwrap()
    }

    fn needs() -> Needs {
        Needs {
            kernel: region(0xffff_0000_0020_3000, 0xffff_0000_0024_0000),
            tree_bytes: 0x1234,
            image: region(0x40_0000, 0x48_0000),
        }
    }

    fn find(memory: &[Region], in_use: &[Region]) -> Option<Plan> {
        Plan::find(memory.iter().copied(), in_use.iter().copied(), needs())
    }

    #[test]
    fn puts_everything_behind_each_other() {
        let plan = find(&[region(0x4000_0000, 0x8000_0000)], &[]).unwrap();
        assert_eq!(plan.kernel, region(0x4000_3000, 0x4004_0000));
        assert_eq!(plan.tree, region(0x4004_0000, 0x4004_1234));
        assert_eq!(plan.image, region(0x4004_2000, 0x400c_2000));
    }

    #[test]
    fn keeps_clear_of_what_is_in_use_in_any_order() {
        let memory = [region(0x4000_0000, 0x4080_0000)];
        let used = [
            region(0x4040_0000, 0x4040_0001),
            region(0x4000_0000, 0x4000_1000),
            region(0x4020_0000, 0x4020_0001),
        ];
        assert_eq!(find(&memory, &used).unwrap().kernel.start(), 0x4060_3000);
        assert_eq!(find(&memory, &[region(0x4000_0000, 0x407f_0000)]), None);
    }

    #[test]
    fn takes_the_lowest_region_with_room() {
        let small = region(0x1000_0000, 0x1008_0000);
        let plan =
            find(&[region(0x9000_0000, 0x9100_0000), small, region(0x4001_0000, 0x4100_0000)], &[]).unwrap();
        assert_eq!(plan.kernel.start(), 0x4020_3000);
        assert_eq!(find(&[small], &[]), None);
        assert_eq!(find(&[], &[]), None);
    }

    #[test]
    fn survives_the_end_of_the_address_space() {
        assert_eq!(find(&[region(u64::MAX - 0x1000, u64::MAX)], &[]), None);
        assert_eq!(find(&[region(0, u64::MAX)], &[region(0, u64::MAX)]), None);
    }
}
