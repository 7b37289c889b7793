// SPDX-License-Identifier: MIT OR Apache-2.0

//! Entries of user level's page tables (section 4.5; `memory.md` §3, §4).
//!
//! The three bits of attributes are the index into the page attribute table, which [`crate::cpu`] fills as the interface
//! says. User level can execute all its pages.

use keel_kernel::arch::Entry;
use keel_kernel::cap::VmRights;
use keel_kernel::units::PhysAddr;
use keel_x86_64_tables::entry::{
    ADDRESS, ATTRIBUTE, ATTRIBUTE_ABOVE, CACHE_DISABLE, PAGE, PRESENT, USER, WRITE, WRITE_THROUGH,
};

/// What an entry of a table at `level` holds.
#[inline(always)]
pub const fn entry(raw: u64, level: u8) -> Entry {
    if raw & PRESENT == 0 {
        Entry::Empty
    } else if level > 0 && raw & PAGE == 0 {
        Entry::Table(PhysAddr(raw & ADDRESS))
    } else if level > 0 {
        Entry::Page(PhysAddr(raw & ADDRESS & !ATTRIBUTE_ABOVE))
    } else {
        Entry::Page(PhysAddr(raw & ADDRESS))
    }
}

/// The bits of the lower two attributes.
const fn lower_attributes(attributes: u64) -> u64 {
    let through = if attributes & 1 != 0 { WRITE_THROUGH } else { 0 };
    let disable = if attributes & 2 != 0 { CACHE_DISABLE } else { 0 };
    through | disable
}

/// The entry for a table. What user level may do is said by its pages.
pub const fn table(table: PhysAddr, attributes: u64) -> u64 {
    table.0 & ADDRESS | lower_attributes(attributes) | USER | WRITE | PRESENT
}

/// The entry for a page of `level`.
pub const fn page(page: PhysAddr, level: u8, rights: VmRights, attributes: u64) -> u64 {
    let access = match rights {
        VmRights::KernelOnly => 0,
        VmRights::ReadOnly => USER,
        VmRights::ReadWrite => USER | WRITE,
    };
    let kind = match (level, attributes & 4 != 0) {
        (0, false) => 0,
        (0, true) => ATTRIBUTE,
        (1, true) => PAGE | ATTRIBUTE_ABOVE,
        // The largest pages have the lower attributes alone.
        _ => PAGE,
    };
    page.0 & ADDRESS | lower_attributes(attributes) | kind | access | PRESENT
}

/// Whether user level may read and write.
pub const fn is_writable(raw: u64) -> bool {
    raw & (PRESENT | USER | WRITE) == PRESENT | USER | WRITE
}

#[cfg(test)]
mod test {
    use super::*;

    const PAGE: PhysAddr = PhysAddr(0x45_4000_0000);

    #[test]
    fn entries_are_read_as_they_were_made() {
        for rights in [VmRights::KernelOnly, VmRights::ReadOnly, VmRights::ReadWrite] {
            for (level, attributes) in (0..3).flat_map(|level| (0..8).map(move |bits| (level, bits))) {
                let raw = page(PAGE, level, rights, attributes);
                assert_eq!(entry(raw, level), Entry::Page(PAGE));
                assert_eq!(is_writable(raw), rights == VmRights::ReadWrite);
            }
        }
        for level in 1..4 {
            assert_eq!(entry(table(PAGE, 7), level), Entry::Table(PAGE));
        }
        assert_eq!(entry(0, 0), Entry::Empty);
    }

    #[test]
    fn pages_have_the_bits_of_the_manual() {
        let at = PhysAddr(0x4000_0000);
        assert_eq!(page(at, 0, VmRights::ReadOnly, 0), 0x4000_0005);
        assert_eq!(page(at, 0, VmRights::ReadWrite, 7), 0x4000_009f);
        assert_eq!(page(at, 1, VmRights::ReadWrite, 4), 0x4000_1087);
        assert_eq!(page(at, 2, VmRights::KernelOnly, 4), 0x4000_0081);
        assert_eq!(table(at, 1), 0x4000_000f);
    }
}
