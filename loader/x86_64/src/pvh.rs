// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a boot program tells a PVH kernel: the structure `hvm_start_info` of Xen (`xen/include/public/arch-x86/hvm/
//! start_info.h`), which QEMU and others pass too. All of its addresses are physical.

use keel_devicetree::Region;

/// The first word of the information.
const MAGIC: u32 = 0x336e_c578;

/// Bytes of the information, with the memory map of version 1.
pub const INFO_BYTES: u64 = 56;
/// Bytes of an entry in the list of modules.
pub const MODULE_BYTES: u64 = 32;
/// Bytes of an entry of the memory map.
pub const MEMORY_BYTES: u64 = 24;

/// More entries than any machine's memory map has.
const MAX_MEMORY: u32 = 4096;

/// A number of `N` bytes at an offset; 0 beyond the end.
fn number<const N: usize>(bytes: &[u8], offset: usize) -> u64 {
    let mut word = [0; 8];
    if let Some(found) = bytes.get(offset..offset + N) {
        word[..N].copy_from_slice(found);
    }
    u64::from_le_bytes(word)
}

/// Where things are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartInfo {
    /// The first entry in the list of modules, if there is one.
    pub first_module: Option<Region>,
    /// Address of the command line, which ends with a zero; 0 if there is none.
    pub command_line: u64,
    /// The memory map.
    pub memory_map: Region,
}

impl StartInfo {
    /// Reads the information; none if it is something else, or has no memory map.
    pub fn read(info: &[u8]) -> Option<Self> {
        let [magic, version, _flags, modules] = [0, 4, 8, 12].map(|offset| number::<4>(info, offset) as u32);
        let [list, command_line] = [16, 24].map(|offset| number::<8>(info, offset));
        let entries = number::<4>(info, 48) as u32;
        if magic != MAGIC || version < 1 || !(1..=MAX_MEMORY).contains(&entries) {
            return None;
        }
        let first_module = Region::new(list, MODULE_BYTES).filter(|_| modules > 0);
        let memory_map = Region::new(number::<8>(info, 40), u64::from(entries) * MEMORY_BYTES)?;
        Some(Self { first_module, command_line, memory_map })
    }
}

/// Where a module is, by its entry in the list.
pub fn module(entry: &[u8]) -> Option<Region> {
    Region::new(number::<8>(entry, 0), number::<8>(entry, 8)).filter(|region| region.size() > 0)
}

/// A piece of the address space.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Where it is.
    pub region: Region,
    /// What firmware says that it is.
    pub kind: u32,
}

impl Memory {
    /// The kind of memory that anybody can use.
    pub const USABLE: u32 = 1;

    /// Whether it can be used.
    pub fn is_usable(self) -> bool {
        self.kind == Self::USABLE
    }
}

/// The entries of the memory map.
pub fn memory(map: &[u8]) -> impl Iterator<Item = Memory> + Clone {
    map.chunks_exact(MEMORY_BYTES as usize).filter_map(|entry| {
        let region = Region::new(number::<8>(entry, 0), number::<8>(entry, 8))?;
        Some(Memory { region, kind: number::<4>(entry, 16) as u32 })
    })
}

/// The text of a command line, without the zero that ends it.
pub fn text(bytes: &[u8]) -> &[u8] {
    bytes.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod test {
    use super::*;

    /// Information with numbers of 4 bytes.
    fn info(version: u32, modules: u32, entries: u32) -> Vec<u8> {
        let words = [MAGIC, version, 0, modules, 0x9100, 0, 0x9200, 0, 0xf_0000, 0, 0x9300, 0, entries, 0];
        words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
    }

    #[test]
    fn everything_is_found() {
        let expected = StartInfo {
            first_module: Region::new(0x9100, 32),
            command_line: 0x9200,
            memory_map: Region::new(0x9300, 48).unwrap(),
        };
        assert_eq!(StartInfo::read(&info(1, 2, 2)), Some(expected));
        let without = StartInfo { first_module: None, ..expected };
        assert_eq!(StartInfo::read(&info(1, 0, 2)), Some(without));
    }

    #[test]
    fn nothing_else_is_believed() {
        let mut other = info(1, 1, 1);
        other[0] = 0;
        for broken in
            [other, info(0, 1, 1), info(1, 1, 0), info(1, 1, u32::MAX), info(1, 1, 1)[..48].to_vec()]
        {
            assert_eq!(StartInfo::read(&broken), None);
        }
    }

    #[test]
    fn lists_are_read() {
        let entry: Vec<_> = [0x40_0000, 100, 0, 0].iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        assert_eq!(module(&entry), Region::new(0x40_0000, 100));
        assert_eq!(module(&entry[..8]), None, "without a size");
        let map: Vec<_> = [0, 0x9_f000, 1, u64::MAX, 2, 1, 0x10_0000, 0x1000, 2]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        let pieces: Vec<_> = memory(&map).collect();
        assert_eq!(pieces.len(), 2, "the one that wraps around is left out");
        assert!(pieces[0].is_usable() && !pieces[1].is_usable());
        assert_eq!(pieces[1].region, Region::new(0x10_0000, 0x1000).unwrap());
    }

    #[test]
    fn a_text_ends_with_its_zero() {
        assert_eq!(text(b"a b\0c"), b"a b");
        assert_eq!(text(b"ab"), b"ab");
        assert_eq!(text(b""), b"");
    }
}
