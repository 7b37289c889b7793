// SPDX-License-Identifier: MIT OR Apache-2.0

use super::*;
use keel_devicetree::Region;

const BASE: u64 = 0x4020_0000;

/// What a table walk finds: the physical address, the attributes, and the size of the page or block.
fn walk(tables: &Tables, root: Root, address: u64) -> Option<(u64, u64, u32)> {
    let (base, pool) = tables.pool();
    let (mut table, mut bits) = ((tables.address(root) - base) as usize / 4096, root.width() as u32);
    loop {
        let entry = pool[table].0[(address >> bits) as usize % 512];
        let physical = (entry & entry::ADDRESS) + (address & ((1 << bits) - 1));
        match (entry & 0b11, bits) {
            (0b01, 21 | 30) | (0b11, 12) => return Some((physical, entry & !entry::ADDRESS & !3, bits)),
            (0b11, _) => (table, bits) = (((entry & entry::ADDRESS) - BASE) as usize / 4096, bits - 9),
            _ => return None,
        }
    }
}

fn region(start: u64, end: u64) -> Region {
    Region::between(start, end).unwrap()
}

/// Where an address leads, and by which size.
fn place(tables: &Tables, root: Root, address: u64) -> Option<(u64, u32)> {
    walk(tables, root, address).map(|(physical, _, bits)| (physical, bits))
}

#[test]
fn maps_by_the_largest_blocks_that_fit() {
    let mut pool = [Table::EMPTY; 16];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(Width::Bits48).unwrap();
    let memory = region(0x3fdf_e000, 0x1_0000_3000);
    tables.map(root, memory.start(), memory, Kind::Data).unwrap();
    assert_eq!(place(&tables, root, 0x3fdf_d000), None);
    assert_eq!(place(&tables, root, 0x3fdf_e123), Some((0x3fdf_e123, 12)));
    assert_eq!(place(&tables, root, 0x3fe0_0000), Some((0x3fe0_0000, 21)));
    assert_eq!(place(&tables, root, 0xffff_ffff), Some((0xffff_ffff, 30)));
    assert_eq!(place(&tables, root, 0x1_0000_2fff), Some((0x1_0000_2fff, 12)));
    assert_eq!(place(&tables, root, 0x1_0000_3000), None);
}

#[test]
fn maps_the_upper_half_at_any_offset() {
    let mut pool = [Table::EMPTY; 8];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(Width::Bits39).unwrap();
    tables.map(root, 0xffff_ffff_c020_0000, region(0x4060_0000, 0x40a0_1000), Kind::Code).unwrap();
    tables.map(root, 0xffff_ff80_0000_0000, region(0, 0x8000_0000), Kind::Data).unwrap();
    tables.map(root, 0xffff_ffff_e000_0000, region(0x1000, 0x3000), Kind::Constants).unwrap();
    assert_eq!(place(&tables, root, 0xffff_ffff_c020_0042), Some((0x4060_0042, 21)));
    assert_eq!(place(&tables, root, 0xffff_ffff_c060_0fff), Some((0x40a0_0fff, 12)));
    assert_eq!(place(&tables, root, 0xffff_ff80_4000_0000), Some((0x4000_0000, 30)));
    assert_eq!(place(&tables, root, 0xffff_ffff_e000_1000), Some((0x2000, 12)));
}

#[test]
fn gives_each_kind_its_attributes() {
    let mut pool = [Table::EMPTY; 4];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(Width::Bits39).unwrap();
    // Index of the attribute, shareability, accessed, read-only, and execute-never for kernel and user.
    let cases = [
        (Kind::Device, 0x0060_0000_0000_0400),
        (Kind::Anything, 0x0040_0000_0000_0704),
        (Kind::Code, 0x0040_0000_0000_0784),
        (Kind::Constants, 0x0060_0000_0000_0784),
        (Kind::Data, 0x0060_0000_0000_0704),
    ];
    for (page, (kind, attributes)) in (0..).map(|page| page * 0x1000).zip(cases) {
        tables.map(root, page, region(page, page + 0x1000), kind).unwrap();
        assert_eq!(walk(&tables, root, page), Some((page, attributes, 12)), "{kind:?}");
    }
}

#[test]
fn maps_again_what_is_mapped_but_nothing_else() {
    let mut pool = [Table::EMPTY; 8];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(Width::Bits48).unwrap();
    let (all, some) = (region(0x4000_0000, 0x8000_0000), region(0x4123_0000, 0x4167_0000));
    tables.map(root, some.start(), some, Kind::Anything).unwrap();
    tables.map(root, all.start(), all, Kind::Anything).unwrap();
    tables.map(root, some.start(), some, Kind::Anything).unwrap();
    assert_eq!(place(&tables, root, 0x7fff_ffff), Some((0x7fff_ffff, 21)));
    assert_eq!(place(&tables, root, 0x4123_0000), Some((0x4123_0000, 12)));
    assert_eq!(tables.map(root, some.start(), some, Kind::Device), Err(Error::Conflict));
    assert_eq!(
        tables.map(root, 0x4120_0000, region(0x4140_0000, 0x4141_0000), Kind::Anything),
        Err(Error::Conflict)
    );
    let next = region(0x8000_0000, 0xc000_0000);
    tables.map(root, next.start(), next, Kind::Anything).unwrap();
    tables.map(root, 0x8050_0000, region(0x8050_0000, 0x8060_0000), Kind::Anything).unwrap();
    assert_eq!(place(&tables, root, 0x8050_0000), Some((0x8050_0000, 30)));
    assert_eq!(
        tables.map(root, 0x8040_0000, region(0x8040_0000, 0x8060_0000), Kind::Data),
        Err(Error::Conflict)
    );
}

#[test]
fn refuses_what_it_cannot_map() {
    let mut pool = [Table::EMPTY; 2];
    let mut tables = Tables::new(&mut pool, BASE);
    let root = tables.root(Width::Bits48).unwrap();
    assert_eq!(tables.map(root, 0, region(0, 0x1000), Kind::Data), Err(Error::OutOfTables));
    assert_eq!(tables.map(root, 0, region(0, 0x800), Kind::Data), Err(Error::BadAddress));
    assert_eq!(tables.map(root, 0x10, region(0, 0x1000), Kind::Data), Err(Error::BadAddress));
    assert_eq!(tables.map(root, 0, region(1 << 48, (1 << 48) + 0x1000), Kind::Data), Err(Error::BadAddress));
}
