// SPDX-License-Identifier: MIT OR Apache-2.0

use crate::builder::Builder;
use crate::{DeviceTree, Error, MAX_BYTES, MAX_DEPTH, Region};

/// A machine with everything that this crate reads.
fn machine() -> Vec<u8> {
    Builder::new()
        .reserve(0x8000_0000, 0x1000)
        .begin("")
        .words("#address-cells", &[2])
        .words("#size-cells", &[2])
        .begin("memory@40000000")
        .strings("device_type", &["memory"])
        .words("reg", &[0, 0x4000_0000, 0, 0x1000_0000, 1, 0, 0, 0x2000_0000])
        .end()
        .begin("memory@f00000000")
        .strings("device_type", &["memory"])
        .strings("status", &["disabled"])
        .words("reg", &[0xf, 0, 0, 0x1000])
        .end()
        .begin("reserved-memory")
        .words("#address-cells", &[2])
        .words("#size-cells", &[2])
        .bytes("ranges", &[])
        .begin("secure@48000000")
        .words("reg", &[0, 0x4800_0000, 0, 0x10_0000])
        .end()
        .end()
        .begin("soc")
        .words("#address-cells", &[1])
        .words("#size-cells", &[1])
        .words("ranges", &[0x7e00_0000, 0, 0xfe00_0000, 0x100_0000])
        .begin("uart@7e201000")
        .strings("compatible", &["arm,pl011", "arm,primecell"])
        .words("reg", &[0x7e20_1000, 0x200, 0x1000_0000, 0x10])
        .end()
        .end()
        .begin("hidden")
        .words("#address-cells", &[1])
        .words("#size-cells", &[0])
        .begin("chip@1")
        .strings("compatible", &["on,i2c"])
        .words("reg", &[1])
        .end()
        .end()
        .begin("aliases")
        .strings("serial0", &["/soc/uart@7e201000"])
        .end()
        .begin("chosen")
        .words("linux,initrd-start", &[0x4400_0000])
        .words("linux,initrd-end", &[0, 0x4400_2345])
        .strings("stdout-path", &["serial0:115200n8"])
        .end()
        .end()
        .finish()
}

fn region(start: u64, size: u64) -> Region {
    Region::new(start, size).unwrap()
}

#[test]
fn reads_memory_that_is_in_use() {
    let blob = machine();
    let memory: Vec<_> = DeviceTree::new(&blob).unwrap().memory().collect();
    assert_eq!(memory, [region(0x4000_0000, 0x1000_0000), region(0x1_0000_0000, 0x2000_0000)]);
}

#[test]
fn reads_both_kinds_of_reservations() {
    let blob = machine();
    let reserved: Vec<_> = DeviceTree::new(&blob).unwrap().reserved().collect();
    assert_eq!(reserved, [region(0x8000_0000, 0x1000), region(0x4800_0000, 0x10_0000)]);
}

#[test]
fn translates_addresses_through_buses_and_leaves_out_what_has_none() {
    let blob = machine();
    let tree = DeviceTree::new(&blob).unwrap();
    let uart = tree.compatible("arm,primecell").unwrap();
    assert_eq!(uart.regions().collect::<Vec<_>>(), [region(0xfe20_1000, 0x200)]);
    assert_eq!(tree.compatible("on,i2c").unwrap().regions().count(), 0);
}

#[test]
fn finds_module_console_and_paths() {
    let blob = machine();
    let tree = DeviceTree::new(&blob).unwrap();
    assert_eq!(tree.initial_module(), Region::between(0x4400_0000, 0x4400_2345));
    assert_eq!(tree.console().unwrap().name(), Some("uart@7e201000"));
    assert_eq!(tree.node("/").unwrap().depth(), 0);
    assert_eq!(tree.node("/hidden/chip@1").unwrap().depth(), 2);
    assert!(tree.node("/soc/chip@1").is_none());
    assert!(tree.node("/chip@1").is_none());
    assert!(tree.node("soc").is_none());
}

#[test]
fn ignores_room_behind_the_last_block() {
    let mut blob = machine();
    let used = blob.len();
    blob.resize(used + 5000, 0xff);
    blob[4..8].copy_from_slice(&((used + 5000) as u32).to_be_bytes());
    assert_eq!(DeviceTree::new(&blob).unwrap().used_size(), used);
}

#[test]
fn says_what_is_wrong_with_a_blob() {
    let tree = |builder: Builder| DeviceTree::new(&builder.finish()).err();
    assert_eq!(DeviceTree::new(&[0; 64]).err(), Some(Error::NotADeviceTree));
    assert_eq!(DeviceTree::new(&[]).err(), Some(Error::Size));
    assert_eq!(tree(Builder::new().begin("").end()), None);
    assert_eq!(tree(Builder::new().begin("")), Some(Error::Structure));
    assert_eq!(tree(Builder::new().begin("").end().end()), Some(Error::Structure));
    assert_eq!(tree(Builder::new().begin("").token(7).end()), Some(Error::Structure));
    assert_eq!(tree(Builder::new().begin("").token(3).token(0).token(99).end()), Some(Error::Structure));
    let deep = |depth: usize| {
        let open = (0..depth).fold(Builder::new(), |tree, _| tree.begin("n"));
        (0..depth).fold(open, |tree, _| tree.end())
    };
    assert_eq!(tree(deep(MAX_DEPTH)), None);
    assert_eq!(tree(deep(MAX_DEPTH + 1)), Some(Error::Depth));
    let mut huge = machine();
    huge[4..8].copy_from_slice(&(MAX_BYTES as u32 + 1).to_be_bytes());
    assert_eq!(DeviceTree::new(&huge).err(), Some(Error::Size));
}

/// Uses all of a tree that `new` accepted.
fn read_everything(blob: &[u8]) {
    let Ok(tree) = DeviceTree::new(blob) else { return };
    for node in tree.nodes() {
        assert!(node.depth() < MAX_DEPTH);
        node.regions().for_each(drop);
        for (_, property) in node.properties() {
            property.strings().chain(["x"]).for_each(drop);
            property.words().for_each(drop);
        }
    }
    tree.memory().chain(tree.reserved()).chain(tree.initial_module()).for_each(drop);
    tree.console();
}

#[test]
fn survives_every_single_byte_change_and_every_cut() {
    let blob = machine();
    for at in 0..blob.len() {
        for value in [0, 1, 3, 9, 0x7f, 0xff] {
            let mut broken = blob.clone();
            broken[at] = value;
            read_everything(&broken);
        }
        read_everything(&blob[..at]);
        let mut cut = blob[..at].to_vec();
        if at >= 8 {
            cut[4..8].copy_from_slice(&(at as u32).to_be_bytes());
        }
        read_everything(&cut);
    }
}

#[test]
fn region_arithmetic_keeps_within_the_address_space() {
    assert_eq!(Region::new(u64::MAX, 2), None);
    assert_eq!(Region::between(2, 1), None);
    assert_eq!(region(0x1001, 0x2000).shrink_to(12), Some(region(0x2000, 0x1000)));
    assert_eq!(region(0x1001, 0x1000).shrink_to(12), Some(region(0x2000, 0)));
    assert_eq!(region(0x1001, 0x10).shrink_to(12), None);
    assert_eq!(region(0x1001, 0x10).grow_to(12), Some(region(0x1000, 0x1000)));
    assert_eq!(region(u64::MAX - 1, 1).grow_to(12), None);
    assert!(!region(0, 0x1000).overlaps(region(0x1000, 1)));
    assert!(region(0, 0x1001).overlaps(region(0x1000, 1)));
}
