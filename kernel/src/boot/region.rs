// SPDX-License-Identifier: MIT OR Apache-2.0

//! Regions of physical memory: sets of them, their gaps, and how one is cut into untypeds.

use super::BootError;
use crate::object::bits::MIN_UNTYPED;
use crate::units::PhysAddr;
use core::ops::Range;

/// The most regions that boot can keep track of.
pub const MAX_REGIONS: usize = 64;

/// A region of physical memory, from `start` up to and not including `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhysRegion {
    /// The first byte.
    pub start: PhysAddr,
    /// The first byte behind it.
    pub end: PhysAddr,
}

impl PhysRegion {
    /// The region between two addresses.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Self {
        Self { start: PhysAddr(start), end: PhysAddr(end) }
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Whether all of `other` lies in it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// Whether the two share a byte.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The part of it below `top`.
    #[must_use]
    pub fn below(&self, top: PhysAddr) -> Self {
        Self { start: self.start.min(top), end: self.end.min(top) }
    }
}

/// A set of bytes: regions in ascending order that neither overlap nor touch.
#[derive(Clone, Debug)]
pub struct Regions {
    /// The regions, and behind them unused places.
    list: [PhysRegion; MAX_REGIONS],
    /// How many there are.
    count: usize,
}

impl Default for Regions {
    fn default() -> Self {
        Self::new()
    }
}

impl Regions {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: [PhysRegion::new(0, 0); MAX_REGIONS], count: 0 }
    }

    /// The regions.
    #[must_use]
    pub fn as_slice(&self) -> &[PhysRegion] {
        self.list.get(..self.count).unwrap_or_default()
    }

    /// Adds a region behind all others; an empty one is ignored.
    fn push(&mut self, region: PhysRegion) -> Result<(), BootError> {
        if region.is_empty() {
            return Ok(());
        }
        let place = self.list.get_mut(self.count).ok_or(BootError::TooManyRegions)?;
        *place = region;
        self.count += 1;
        Ok(())
    }

    /// Puts those of `new` that are not empty in the place of the regions number `places`.
    fn replace(&mut self, places: Range<usize>, new: [PhysRegion; 2]) -> Result<(), BootError> {
        let new = new.iter().filter(|region| !region.is_empty());
        let end = places.start + new.clone().count();
        let count = end + (self.count - places.end);
        if count > MAX_REGIONS {
            return Err(BootError::TooManyRegions);
        }
        self.list.copy_within(places.end..self.count, end);
        for (place, region) in self.list.iter_mut().skip(places.start).zip(new) {
            *place = *region;
        }
        self.count = count;
        Ok(())
    }

    /// The numbers of the regions that are neither before something nor behind it.
    fn places(
        &self,
        is_before: impl Fn(&PhysRegion) -> bool,
        is_behind: impl Fn(&PhysRegion) -> bool,
    ) -> Range<usize> {
        let all = self.as_slice();
        all.partition_point(is_before)..all.partition_point(|region| !is_behind(region))
    }

    /// Adds the bytes of a region.
    pub fn add(&mut self, region: &PhysRegion) -> Result<(), BootError> {
        if region.is_empty() {
            return Ok(());
        }
        // Those that it overlaps or touches become one with it.
        let places = self.places(|old| old.end < region.start, |old| old.start > region.end);
        let joined = self.list.get(places.clone()).unwrap_or_default();
        let merged = joined.iter().fold(*region, |merged, old| PhysRegion {
            start: merged.start.min(old.start),
            end: merged.end.max(old.end),
        });
        self.replace(places, [merged, PhysRegion::default()])
    }

    /// Takes the bytes of a region out.
    pub fn subtract(&mut self, region: &PhysRegion) -> Result<(), BootError> {
        if region.is_empty() {
            return Ok(());
        }
        let places = self.places(|old| old.end <= region.start, |old| old.start >= region.end);
        let touched = self.list.get(places.clone()).unwrap_or_default();
        let (Some(first), Some(last)) = (touched.first(), touched.last()) else { return Ok(()) };
        let rest = [
            PhysRegion { start: first.start, end: region.start },
            PhysRegion { start: region.end, end: last.end },
        ];
        self.replace(places, rest)
    }

    /// Makes it what lies below `top` and is not in `other`.
    pub fn fill_gaps(&mut self, other: &Self, top: PhysAddr) -> Result<(), BootError> {
        self.count = 0;
        let mut start = PhysAddr(0);
        for region in other.as_slice() {
            self.push(PhysRegion { start, end: region.start.min(top) })?;
            start = region.end;
        }
        self.push(PhysRegion { start, end: top })
    }

    /// Takes `bytes` bytes out of the highest region that is big enough for them to begin at a multiple of
    /// `2^alignment_bits`, as high up as that allows (`boot.md` §5.3).
    pub fn take_highest(&mut self, bytes: u64, alignment_bits: u8) -> Result<PhysRegion, BootError> {
        let place = self.as_slice().iter().rev().find_map(|region| {
            let start = region.end.0.checked_sub(bytes)? >> alignment_bits << alignment_bits;
            (start >= region.start.0).then_some(PhysRegion::new(start, start + bytes))
        });
        let place = place.ok_or(BootError::NoMemory)?;
        self.subtract(&place)?;
        Ok(place)
    }
}

/// The untypeds that a region is cut into (`boot.md` §5.2), ascending: address and log2 of the size.
///
/// Each is as big as the rest of the region, the alignment of its start and the largest untyped allow. The alignment
/// is that of the address at which the kernel sees the memory, `window` above.
///
/// Bound: sizes first rise with the alignment and then fall with the rest, one power of two at a time, or stay at
/// the largest; so there are at most 2·64 pieces, and one for each multiple of the largest.
#[derive(Clone, Debug)]
pub struct Pieces {
    /// What is not cut yet.
    rest: PhysRegion,
    /// Kernel address − physical address.
    window: u64,
    /// Log2 of the largest size.
    max_bits: u8,
}

impl Pieces {
    /// The pieces of `region`.
    #[must_use]
    pub const fn of(region: PhysRegion, window: u64, max_bits: u8) -> Self {
        Self { rest: region, window, max_bits }
    }
}

impl Iterator for Pieces {
    type Item = (PhysAddr, u8);

    fn next(&mut self) -> Option<(PhysAddr, u8)> {
        // As for the type: pieces that are too small are at the ends only, so few rounds find nothing.
        loop {
            let size_bits = self.rest.bytes().checked_ilog2()? as u8;
            // 64 for address 0: no limit.
            let alignment_bits = self.rest.start.0.wrapping_add(self.window).trailing_zeros() as u8;
            let bits = size_bits.min(alignment_bits).min(self.max_bits);
            let start = self.rest.start;
            self.rest.start = start.offset(1 << bits);
            if bits >= MIN_UNTYPED {
                return Some((start, bits));
            }
        }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    const WINDOW: u64 = 0xffff_ff80_0000_0000;

    fn set(regions: &[(u64, u64)]) -> Regions {
        let mut set = Regions::new();
        for &(start, end) in regions {
            set.add(&PhysRegion::new(start, end)).unwrap();
        }
        set
    }

    fn list(set: &Regions) -> Vec<(u64, u64)> {
        set.as_slice().iter().map(|region| (region.start.0, region.end.0)).collect()
    }

    #[test]
    fn regions_are_sorted_and_merged() {
        let set = set(&[(50, 60), (10, 20), (20, 30), (70, 80), (55, 75), (5, 5), (40, 45)]);
        assert_eq!(list(&set), [(10, 30), (40, 45), (50, 80)]);
    }

    #[test]
    fn subtracting_cuts_and_splits() {
        let mut regions = set(&[(10, 30), (40, 60)]);
        for (start, end) in [(5, 12), (20, 22), (28, 41), (60, 99), (50, 50)] {
            regions.subtract(&PhysRegion::new(start, end)).unwrap();
        }
        assert_eq!(list(&regions), [(12, 20), (22, 28), (41, 60)]);
    }

    #[test]
    fn gaps_reach_from_zero_to_the_top() {
        let mut gaps = set(&[(7, 8)]);
        let mut gaps_of = |set: &Regions| {
            gaps.fill_gaps(set, PhysAddr(50)).unwrap();
            list(&gaps)
        };
        assert_eq!(gaps_of(&set(&[(10, 20), (30, 40)])), [(0, 10), (20, 30), (40, 50)]);
        assert_eq!(gaps_of(&set(&[(0, 20), (30, 60)])), [(20, 30)]);
        assert_eq!(gaps_of(&set(&[(10, 20), (60, 70)])), [(0, 10), (20, 50)]);
        assert_eq!(gaps_of(&Regions::new()), [(0, 50)]);
    }

    #[test]
    fn too_many_regions_are_an_error() {
        let mut regions = Regions::new();
        for i in 0..MAX_REGIONS as u64 {
            regions.add(&PhysRegion::new(4 * i, 4 * i + 2)).unwrap();
        }
        assert_eq!(regions.add(&PhysRegion::new(1000, 1001)), Err(BootError::TooManyRegions));
        assert_eq!(regions.subtract(&PhysRegion::new(0, 1)), Ok(()));
        assert_eq!(Regions::new().fill_gaps(&regions, PhysAddr(2000)).err(), Some(BootError::TooManyRegions));
    }

    #[test]
    fn sets_agree_with_a_bitmap() {
        let mut regions = Regions::new();
        let mut bytes = [false; 64];
        let mut random = 1_u64;
        for _ in 0..2000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (start, length) = ((random >> 40) % 56, (random >> 50) % 8);
            let region = PhysRegion::new(start, start + length);
            let add = random >> 63 == 0;
            if add {
                regions.add(&region).unwrap()
            } else {
                regions.subtract(&region).unwrap()
            }
            bytes[start as usize..(start + length) as usize].fill(add);
            let has =
                |byte: u64| regions.as_slice().iter().any(|r| r.contains(&PhysRegion::new(byte, byte + 1)));
            assert!((0..64).all(|byte| has(byte) == bytes[byte as usize]));
            assert!(regions.as_slice().is_sorted_by(|a, b| a.end < b.start));
        }
    }

    #[test]
    fn the_highest_region_that_fits_gives_the_memory() {
        let mut regions = set(&[(0, 0x1000), (0x2000, 0x2800), (0x3000, 0x3100)]);
        assert_eq!(regions.take_highest(0x300, 8), Ok(PhysRegion::new(0x2500, 0x2800)));
        assert_eq!(list(&regions), [(0, 0x1000), (0x2000, 0x2500), (0x3000, 0x3100)]);
        assert_eq!(regions.take_highest(0x280, 9), Ok(PhysRegion::new(0x2200, 0x2480)));
        assert_eq!(list(&regions), [(0, 0x1000), (0x2000, 0x2200), (0x2480, 0x2500), (0x3000, 0x3100)]);
        // Big enough, but not where the alignment wants it.
        let mut odd = set(&[(0x1800, 0x2800)]);
        assert_eq!(odd.take_highest(0x1000, 12), Err(BootError::NoMemory));
        assert_eq!(odd.take_highest(0x3000, 4), Err(BootError::NoMemory));
    }

    fn pieces(start: u64, end: u64, window: u64, max_bits: u8) -> Vec<(u64, u8)> {
        Pieces::of(PhysRegion::new(start, end), window, max_bits).map(|(base, bits)| (base.0, bits)).collect()
    }

    #[test]
    fn pieces_grow_with_the_alignment_and_shrink_with_the_rest() {
        assert_eq!(
            pieces(0x4000_5000, 0x4001_0000, WINDOW, 47),
            [(0x4000_5000, 12), (0x4000_6000, 13), (0x4000_8000, 15)]
        );
        assert_eq!(pieces(0x1_0000, 0x1_5000, WINDOW, 47), [(0x1_0000, 14), (0x1_4000, 12)]);
    }

    #[test]
    fn pieces_align_as_the_kernel_sees_them() {
        // The window begins at a multiple of 2^39 only: so does what is cut from address 0.
        assert_eq!(pieces(0, 1 << 40, WINDOW, 47), [(0, 39), (1 << 39, 39)]);
        // Where the kernel's address is 0, the alignment has no limit.
        assert_eq!(pieces(1 << 39, 1 << 41, WINDOW, 47), [(1 << 39, 40), (3 << 39, 39)]);
        assert_eq!(pieces(0, 1 << 39, 0xffff_ffc0_0000_0000, 38), [(0, 38), (1 << 38, 38)]);
    }

    #[test]
    fn pieces_have_at_most_the_largest_size_and_at_least_16_bytes() {
        assert_eq!(pieces(0, 1 << 22, 0, 20), [(0, 20), (1 << 20, 20), (2 << 20, 20), (3 << 20, 20)]);
        assert_eq!(pieces(0x1008, 0x1031, 0, 47), [(0x1010, 4), (0x1020, 4)]);
        assert_eq!(pieces(0xffff_fff8, 0x1_0000_0010, 0, 47), [(0x1_0000_0000, 4)]);
        assert_eq!(pieces(0x1000, 0x1000, 0, 47), []);
        assert_eq!(pieces(0x1000, 0x100f, 0, 47), []);
    }
}
