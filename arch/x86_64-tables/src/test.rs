// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use keel_devicetree::Region;

const BASE: u64 = 0x20_0000;

/// What the processor finds: the physical address, the other bits of the entry, and the size of the page.
fn walk(tables: &Tables, root: Root, address: u64) -> Option<(u64, u64, u32)> {
    let (base, pool) = tables.pool();
    let mut table = tables.address(root);
    for bits in [39, 30, 21, 12] {
        let entry = pool[((table - base) / 4096) as usize].0[(address >> bits) as usize % 512];
        let target = entry & 0x000f_ffff_ffff_f000;
        match entry & 0x81 {
            0 => return None,
            1 if bits > 12 => table = target,
            _ => return Some((target | address & ((1 << bits) - 1), entry ^ target, bits)),
        }
    }
    panic!("the last level refers to a table");
}

const NEVER: u64 = 1 << 63;

#[test]
fn the_processor_finds_what_was_mapped() {
    let mut pool = [Table::EMPTY; 8];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(WIDTH).unwrap();
    let memory = Region::between(0x7fdf_f000, 0x8000_0000 + (1 << 30)).unwrap();
    tables.map(root, 0xffff_ff80_0000_0000 + memory.start(), memory, Kind::Data).unwrap();
    let code = Region::between(0x20_0000, 0x20_3000).unwrap();
    tables.map(root, 0xffff_ffff_8020_0000, code, Kind::Code).unwrap();
    let device = Region::between(0xfee0_0000, 0xfee0_1000).unwrap();
    tables.map(root, 0xffff_ffff_c000_0000, device, Kind::Device).unwrap();
    let at = |address| walk(&tables, root, address);
    assert_eq!(at(0xffff_ff80_7fdf_f123), Some((0x7fdf_f123, NEVER | 0x163, 12)));
    assert_eq!(at(0xffff_ff80_7fe0_0123), Some((0x7fe0_0123, NEVER | 0x1e3, 21)));
    assert_eq!(at(0xffff_ff80_8000_0123), Some((0x8000_0123, NEVER | 0x1e3, 30)));
    assert_eq!(at(0xffff_ffff_8020_2fff), Some((0x20_2fff, 0x161, 12)));
    assert_eq!(at(0xffff_ffff_8020_3000), None);
    assert_eq!(at(0xffff_ffff_c000_0020), Some((0xfee0_0020, NEVER | 0x17b, 12)));
    assert_eq!(at(0x20_0000), None);
}

#[test]
fn processors_without_huge_pages_get_large_ones() {
    let mut pool = [Table::EMPTY; 8];
    let mut tables = Tables::new(&mut pool, BASE);
    tables.limit_blocks(21);
    let root = tables.root(WIDTH).unwrap();
    let memory = Region::between(0x8000_0000, 0xc000_0000).unwrap();
    tables.map(root, 0xffff_ff80_8000_0000, memory, Kind::Data).unwrap();
    assert_eq!(walk(&tables, root, 0xffff_ff80_bfff_ffff), Some((0xbfff_ffff, NEVER | 0x1e3, 21)));
}
