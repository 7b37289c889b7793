// SPDX-License-Identifier: MIT OR Apache-2.0

//! The data word of an IO space (`objects.md §3.4`).

/// A PCI function and the IOMMU domain that it belongs to.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct IoSpaceData(pub u64);

impl IoSpaceData {
    /// Packs the fields; each keeps the bits that it has room for.
    pub const fn new(domain_id: u64, bus: u64, device: u64, function: u64) -> Self {
        Self((domain_id & 0xffff) << 16 | (bus & 0xff) << 8 | (device & 0x1f) << 3 | function & 0x7)
    }

    /// The word as it stands in a message.
    pub const fn word(self) -> u64 {
        self.0
    }

    /// IOMMU domain.
    pub const fn domain_id(self) -> u64 {
        self.0 >> 16 & 0xffff
    }

    /// PCI bus, device and function in one: the requester.
    pub const fn requester(self) -> u64 {
        self.0 & 0xffff
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn fields_do_not_mix() {
        assert_eq!(IoSpaceData::new(0xffff, 0, 0, 0).word(), 0xffff_0000);
        assert_eq!(IoSpaceData::new(0, 0xff, 0, 0).word(), 0xff00);
        assert_eq!(IoSpaceData::new(0, 0, 0x1f, 0).word(), 0xf8);
        assert_eq!(IoSpaceData::new(0, 0, 0, 7).word(), 7);
        let data = IoSpaceData::new(3, 2, 1, 1);
        assert_eq!((data.domain_id(), data.requester()), (3, 0x209));
    }
}
