// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use keel_devicetree::Region;

const BASE: u64 = 0x8020_0000;

/// What the processor finds: the physical address, the low bits of the entry, and the size of the page.
fn walk(tables: &Tables, root: Root, address: u64) -> Option<(u64, u64, u32)> {
    let (base, pool) = tables.pool();
    let mut table = tables.address(root);
    for bits in [30, 21, 12] {
        let entry = pool[((table - base) / 4096) as usize].0[(address >> bits) as usize % 512];
        match entry & 0xf {
            0 => return None,
            1 => table = entry >> 10 << 12,
            _ => return Some((entry >> 10 << 12 | address & ((1 << bits) - 1), entry & 0x3ff, bits)),
        }
    }
    panic!("the last level refers to a table");
}

#[test]
fn the_processor_finds_what_was_mapped() {
    let mut pool = [Table::EMPTY; 8];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(WIDTH).unwrap();
    let memory = Region::between(0x801f_f000, 0xc000_0000 + (1 << 30)).unwrap();
    tables.map(root, 0xffff_ffc0_0000_0000 + memory.start(), memory, Kind::Data).unwrap();
    let code = Region::between(0x8020_0000, 0x8020_3000).unwrap();
    tables.map(root, 0xffff_ffff_8020_0000, code, Kind::Code).unwrap();
    let at = |address| walk(&tables, root, address);
    assert_eq!(at(0xffff_ffc0_801f_f123), Some((0x801f_f123, 0xe7, 12)));
    assert_eq!(at(0xffff_ffc0_8020_0123), Some((0x8020_0123, 0xe7, 21)));
    assert_eq!(at(0xffff_ffc0_c000_0123), Some((0xc000_0123, 0xe7, 30)));
    assert_eq!(at(0xffff_ffff_8020_2fff), Some((0x8020_2fff, 0xeb, 12)));
    assert_eq!(at(0xffff_ffff_8020_3000), None);
    assert_eq!(at(0x801f_f000), None);
}

#[test]
fn the_register_names_mode_identifier_and_root() {
    assert_eq!(satp::of(0x8020_1000, 0x1234), 0x8123_4000_0008_0201);
}
