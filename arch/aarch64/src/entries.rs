// SPDX-License-Identifier: MIT OR Apache-2.0

//! Entries of user level's translation tables (Arm DDI 0487, D8.3; `memory.md` §3, §4).
//!
//! Levels count from the smallest page: 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB. A user page is never executable for
//! the kernel, and belongs to its address space identifier.

use keel_aarch64_tables::entry::{
    ACCESSED, ADDRESS, ATTRIBUTE_SHIFT, INNER_SHAREABLE, KERNEL_EXECUTE_NEVER, NOT_GLOBAL, READ_ONLY, TABLE,
    USER, USER_EXECUTE_NEVER, VALID,
};
use keel_aarch64_tables::{DEVICE, MEMORY};
use keel_abi::aarch64::memory::attribute;
use keel_kernel::arch::Entry;
use keel_kernel::cap::VmRights;
use keel_kernel::units::PhysAddr;

/// What an entry of a table at `level` holds.
#[inline(always)]
pub const fn entry(raw: u64, level: u8) -> Entry {
    let address = PhysAddr(raw & ADDRESS);
    if raw & VALID == 0 {
        Entry::Empty
    } else if level > 0 && raw & TABLE != 0 {
        Entry::Table(address)
    } else {
        Entry::Page(address)
    }
}

/// The entry for a table.
pub const fn table(table: PhysAddr) -> u64 {
    table.0 | TABLE | VALID
}

/// The entry for a page of `level`.
pub const fn page(page: PhysAddr, level: u8, rights: VmRights, attributes: u64) -> u64 {
    let access = match rights {
        VmRights::KernelOnly => 0,
        VmRights::ReadOnly => USER | READ_ONLY,
        VmRights::ReadWrite => USER,
    };
    let kind = match attributes & attribute::CACHEABLE {
        0 => DEVICE << ATTRIBUTE_SHIFT,
        _ => MEMORY << ATTRIBUTE_SHIFT | INNER_SHAREABLE,
    };
    let execution = match attributes & attribute::EXECUTE_NEVER {
        0 => KERNEL_EXECUTE_NEVER,
        _ => KERNEL_EXECUTE_NEVER | USER_EXECUTE_NEVER,
    };
    let smallest = if level == 0 { TABLE } else { 0 };
    page.0 | access | kind | execution | smallest | NOT_GLOBAL | ACCESSED | VALID
}

/// Whether user level may read and write.
pub const fn is_writable(raw: u64) -> bool {
    raw & (VALID | USER | READ_ONLY) == VALID | USER
}

#[cfg(test)]
mod test {
    use super::*;

    const PAGE: PhysAddr = PhysAddr(0x4567_8000_0000);
    const RIGHTS: [VmRights; 3] = [VmRights::KernelOnly, VmRights::ReadOnly, VmRights::ReadWrite];

    #[test]
    fn entries_are_read_as_they_were_made() {
        for level in 0..3 {
            for rights in RIGHTS {
                for attributes in 0..8 {
                    let raw = page(PAGE, level, rights, attributes);
                    assert_eq!(entry(raw, level), Entry::Page(PAGE));
                    assert_eq!(is_writable(raw), rights == VmRights::ReadWrite);
                }
            }
        }
        assert_eq!(entry(table(PAGE), 1), Entry::Table(PAGE));
        assert_eq!(entry(table(PAGE), 3), Entry::Table(PAGE));
        assert_eq!(entry(0, 0), Entry::Empty);
        assert_eq!(entry(0, 3), Entry::Empty);
        assert!(!is_writable(0));
    }

    #[test]
    fn pages_have_the_bits_of_the_manual() {
        let text = page(PhysAddr(0x1000), 0, VmRights::ReadOnly, attribute::DEFAULT);
        assert_eq!(text, 0x0020_0000_0000_1fc7);
        let data =
            page(PhysAddr(0x20_0000), 1, VmRights::ReadWrite, attribute::DEFAULT | attribute::EXECUTE_NEVER);
        assert_eq!(data, 0x0060_0000_0020_0f45);
        let device = page(PhysAddr(0x900_0000), 0, VmRights::ReadWrite, attribute::EXECUTE_NEVER);
        assert_eq!(device, 0x0060_0000_0900_0c43);
    }
}
