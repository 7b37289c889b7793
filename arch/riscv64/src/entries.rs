// SPDX-License-Identifier: MIT OR Apache-2.0

//! Entries of user level's page tables (section 4.4; `memory.md` §3, §4).
//!
//! An entry without any right would be one of a table, so a page that nobody may access has an empty entry, and its
//! capability counts as mapped all the same.

use keel_abi::riscv64::memory::attribute;
use keel_kernel::arch::Entry;
use keel_kernel::cap::VmRights;
use keel_kernel::units::PhysAddr;
use keel_riscv64_tables::entry::{
    ACCESSED, DIRTY, EXECUTE, READ, RIGHTS, USER, VALID, WRITE, address, of_address,
};

/// What an entry of a table holds, at any level.
#[inline(always)]
pub const fn entry(raw: u64) -> Entry {
    let address = PhysAddr(address(raw));
    match raw & (VALID | RIGHTS) {
        0 => Entry::Empty,
        VALID => Entry::Table(address),
        _ => Entry::Page(address),
    }
}

/// The entry for a table.
pub const fn table(table: PhysAddr) -> u64 {
    of_address(table.0) | VALID
}

/// The entry for a page.
pub const fn page(page: PhysAddr, rights: VmRights, attributes: u64) -> u64 {
    let access = match rights {
        VmRights::KernelOnly => 0,
        VmRights::ReadOnly => READ,
        VmRights::ReadWrite => READ | WRITE,
    };
    let execution = if attributes & attribute::EXECUTE_NEVER == 0 { EXECUTE } else { 0 };
    match access | execution {
        0 => 0,
        rights => of_address(page.0) | rights | USER | ACCESSED | DIRTY | VALID,
    }
}

/// Whether user level may read and write.
pub const fn is_writable(raw: u64) -> bool {
    raw & (VALID | USER | READ | WRITE) == VALID | USER | READ | WRITE
}

#[cfg(test)]
mod test {
    use super::*;

    const PAGE: PhysAddr = PhysAddr(0x45_4000_0000);

    #[test]
    fn entries_are_read_as_they_were_made() {
        for rights in [VmRights::ReadOnly, VmRights::ReadWrite] {
            for attributes in 0..4 {
                let raw = page(PAGE, rights, attributes);
                assert_eq!(entry(raw), Entry::Page(PAGE));
                assert_eq!(is_writable(raw), rights == VmRights::ReadWrite);
            }
        }
        assert_eq!(entry(table(PAGE)), Entry::Table(PAGE));
        assert_eq!(entry(0), Entry::Empty);
        assert!(!is_writable(0) && !is_writable(table(PAGE)));
    }

    #[test]
    fn pages_have_the_bits_of_the_manual() {
        let never = attribute::EXECUTE_NEVER;
        assert_eq!(page(PhysAddr(0x1000), VmRights::ReadOnly, 0), 0x4db);
        assert_eq!(page(PhysAddr(0x1000), VmRights::ReadWrite, never), 0x4d7);
        assert_eq!(page(PhysAddr(0x1000), VmRights::KernelOnly, 0), 0x4d9);
        assert_eq!(page(PhysAddr(0x1000), VmRights::KernelOnly, never), 0);
    }
}
