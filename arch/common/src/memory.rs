// SPDX-License-Identifier: MIT OR Apache-2.0

//! The memory that the machine has, as the device tree or firmware says.

use keel_devicetree::{DeviceTree, Node, Purpose, Purposes, Region};

/// log2 of a page.
const PAGE_BITS: u32 = 12;

/// How many separate regions of memory are used.
pub const MAX_MEMORY: usize = 16;

/// As many regions of memory, and reservations, as trees have mostly.
const FEW: usize = 32;

/// The memory that the machine has and that nobody has reserved: whole pages below `limit`, in ascending order,
/// neither overlapping nor touching. Regions beyond the first [`MAX_MEMORY`] are left out.
#[derive(Clone, Copy)]
pub struct MemoryMap {
    /// The regions, in the first `count` places.
    regions: [Region; MAX_MEMORY],
    /// How many there are.
    count: usize,
}

impl MemoryMap {
    /// What the device tree says.
    pub fn find(tree: &DeviceTree<'_>, limit: u64) -> Self {
        let mut seen = SeenMemory::new(tree);
        tree.nodes().for_each(|node| seen.see(&node));
        seen.map(tree, limit)
    }

    /// What is in `memory` and not in `reserved`. Regions can come in any order, and overlap.
    pub fn of(
        memory: impl Iterator<Item = Region> + Clone,
        reserved: impl Iterator<Item = Region> + Clone,
        limit: u64,
    ) -> Self {
        let mut map = Self { regions: [Region::EMPTY; MAX_MEMORY], count: 0 };
        let mut from = 0;
        while map.count < MAX_MEMORY
            && let Some(region) = next_memory(memory.clone(), reserved.clone(), from, limit)
        {
            from = region.end();
            if let Some(pages) = region.shrink_to(PAGE_BITS).filter(|pages| pages.size() > 0) {
                map.regions[map.count] = pages;
                map.count += 1;
            }
        }
        map
    }

    /// The regions.
    pub fn regions(&self) -> &[Region] {
        &self.regions[..self.count]
    }
}

/// What a walk over a device tree, for this or another purpose, shows of memory.
pub struct SeenMemory {
    /// What nodes are for.
    purposes: Purposes,
    /// Memory.
    memory: Few,
    /// What must be left alone.
    reserved: Few,
}

impl SeenMemory {
    /// Before the walk.
    pub fn new(tree: &DeviceTree<'_>) -> Self {
        let mut reserved = Few::new();
        reserved.extend(tree.reservations());
        Self { purposes: Purposes::default(), memory: Few::new(), reserved }
    }

    /// The next node of the walk.
    #[inline]
    pub fn see(&mut self, node: &Node<'_>) {
        match self.purposes.of(node) {
            Some(Purpose::Memory) => self.memory.extend(node.regions()),
            Some(Purpose::Reservation) => self.reserved.extend(node.regions()),
            None => {}
        }
    }

    /// After the walk over all of `tree`. If there are many regions it is walked again.
    pub fn map(&self, tree: &DeviceTree<'_>, limit: u64) -> MemoryMap {
        match (self.memory.all(), self.reserved.all()) {
            (Some(memory), Some(reserved)) => {
                MemoryMap::of(memory.iter().copied(), reserved.iter().copied(), limit)
            }
            _ => MemoryMap::of(tree.memory(), tree.reserved(), limit),
        }
    }
}

/// Some regions, and how many there would be with more room.
struct Few {
    /// The regions, in the first places.
    regions: [Region; FEW],
    /// How many there are.
    count: usize,
}

impl Few {
    /// None yet.
    const fn new() -> Self {
        Self { regions: [Region::EMPTY; FEW], count: 0 }
    }

    /// Adds regions.
    fn extend(&mut self, regions: impl Iterator<Item = Region>) {
        for region in regions {
            if let Some(place) = self.regions.get_mut(self.count) {
                *place = region;
            }
            self.count += 1;
        }
    }

    /// The regions, if there was room for all of them.
    fn all(&self) -> Option<&[Region]> {
        self.regions.get(..self.count)
    }
}

/// The first stretch at or behind `from` that is memory without reservations.
fn next_memory(
    memory: impl Iterator<Item = Region> + Clone,
    reserved: impl Iterator<Item = Region> + Clone,
    from: u64,
    limit: u64,
) -> Option<Region> {
    let memory =
        || memory.clone().filter_map(move |region| Region::between(region.start(), region.end().min(limit)));
    let reserved = || reserved.clone().filter(|region| region.size() > 0);
    let inside = |address, regions: &mut dyn Iterator<Item = Region>| {
        regions.filter(|region| region.start() <= address && address < region.end()).map(Region::end).max()
    };
    let mut start = from;
    // Each round moves behind a region, so that there are no more rounds than regions.
    loop {
        if let Some(end) = inside(start, &mut reserved()) {
            start = end;
        } else if inside(start, &mut memory()).is_some() {
            break;
        } else {
            start = memory().map(Region::start).filter(|&begin| begin > start).min()?;
        }
    }
    let mut end = start;
    while let Some(further) = inside(end, &mut memory()) {
        end = further;
    }
    let barrier = reserved().map(Region::start).filter(|&begin| begin > start).min();
    Region::between(start, barrier.map_or(end, |barrier| barrier.min(end)))
}

#[cfg(test)]
mod test {
    use super::*;
    use keel_devicetree::builder::Builder;

    fn region(start: u64, end: u64) -> Region {
        Region::between(start, end).unwrap()
    }

    fn memory(reservations: &[(u64, u64)], memory: &[(u32, u32)]) -> Vec<Region> {
        let tree =
            reservations.iter().fold(Builder::new(), |tree, &(start, end)| tree.reserve(start, end - start));
        let words: Vec<u32> = memory.iter().flat_map(|&(start, end)| [start, end - start]).collect();
        let tree = tree.begin("").words("#address-cells", &[1]).words("#size-cells", &[1]).begin("memory");
        let blob = tree.strings("device_type", &["memory"]).words("reg", &words).end().end().finish();
        MemoryMap::find(&DeviceTree::new(&blob).unwrap(), 0x8000_0000).regions().to_vec()
    }

    #[test]
    fn memory_is_sorted_joined_and_cut_to_pages_and_the_limit() {
        let found =
            memory(&[], &[(0x7000_0000, 0x9000_0000), (0x1000, 0x2fff), (0x4000, 0x5000), (0x5000, 0x7000)]);
        let expected = [region(0x1000, 0x2000), region(0x4000, 0x7000), region(0x7000_0000, 0x8000_0000)];
        assert_eq!(found, expected);
        assert_eq!(
            memory(&[], &[(0x1000, 0x8000), (0x2000, 0x3000), (0x7000, 0x9000)]),
            [region(0x1000, 0x9000)]
        );
        assert_eq!(memory(&[], &[]), []);
        assert_eq!(memory(&[], &[(0x9000_0000, 0xa000_0000)]), []);
    }

    #[test]
    fn reservations_are_left_out() {
        let reserved = [(0x2000, 0x2800), (0x1000, 0x1001), (0x5000, 0x9000), (0x6000, 0x7000)];
        assert_eq!(memory(&reserved, &[(0x1000, 0x8000)]), [region(0x3000, 0x5000)]);
        assert_eq!(memory(&[(0, 0x1_0000)], &[(0x1000, 0x8000)]), []);
        assert_eq!(memory(&[(0x8000, 0x9000)], &[(0x1000, 0x8000)]), [region(0x1000, 0x8000)]);
    }

    #[test]
    fn too_many_regions_are_not_too_many_for_the_map() {
        let many: Vec<_> = (1..40).map(|index| (index * 0x2000, index * 0x2000 + 0x1000)).collect();
        assert_eq!(memory(&[], &many).len(), MAX_MEMORY);
    }
}
