// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board's device tree, for kernels that get none from their loader.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::artifact;
use crate::machine::{Board, Machine};
use crate::qemu;

const MAGIC: u32 = 0xd00d_feed;
const HEADER_BYTES: usize = 40;
/// Start and size.
const RESERVATION_BYTES: usize = 16;

/// Gets the device tree of a board from QEMU, into `directory`.
pub(crate) fn of_board(board: Board, machine: &Machine, directory: &Path) -> Result<PathBuf> {
    let path = directory.join(format!("{}.dtb", board.name()));
    let dump = directory.join(format!("{}.dtb.dump", board.name()));
    let output = qemu::dump_device_tree(machine, &dump)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {}", machine.qemu))?;
    if !output.status.success() {
        bail!("{} gives no device tree: {}", machine.qemu, String::from_utf8_lossy(&output.stderr).trim());
    }
    let dumped = artifact::read(&dump)?;
    std::fs::remove_file(&dump).with_context(|| format!("cannot remove {}", dump.display()))?;
    artifact::write(&path, &compact(&dumped, board.firmware())?)?;
    Ok(path)
}

/// Cuts off the free space that QEMU leaves in a device tree, and reserves the memory of the firmware, which
/// on the board itself firmware does.
fn compact(tree: &[u8], firmware: Option<Range<u64>>) -> Result<Vec<u8>> {
    ensure!(
        tree.len() >= HEADER_BYTES && word(tree, 0) == MAGIC,
        "QEMU gave something else than a device tree"
    );
    let block = |start: usize, bytes: usize| tree.get(start..start.checked_add(bytes)?);
    let [reservations, structure, strings] = [16, 8, 12].map(|offset| word(tree, offset) as usize);
    let [structure_bytes, strings_bytes] = [36, 32].map(|offset| word(tree, offset) as usize);
    let (Some(reservations), Some(structure), Some(strings)) =
        (tree.get(reservations..), block(structure, structure_bytes), block(strings, strings_bytes))
    else {
        bail!("QEMU gave a broken device tree");
    };

    let mut small = tree[..HEADER_BYTES].to_vec();
    let set = |small: &mut Vec<u8>, offset: usize| {
        let end = small.len() as u32;
        small[offset..offset + 4].copy_from_slice(&end.to_be_bytes());
    };
    set(&mut small, 16);
    for pair in
        reservations.chunks_exact(RESERVATION_BYTES).take_while(|pair| pair.iter().any(|&byte| byte != 0))
    {
        small.extend_from_slice(pair);
    }
    if let Some(region) = firmware {
        small.extend(region.start.to_be_bytes());
        small.extend((region.end - region.start).to_be_bytes());
    }
    small.extend([0; RESERVATION_BYTES]);
    set(&mut small, 8);
    small.extend_from_slice(structure);
    set(&mut small, 12);
    small.extend_from_slice(strings);
    small.resize(small.len().next_multiple_of(8), 0);
    set(&mut small, 4);
    Ok(small)
}

fn word(tree: &[u8], offset: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&tree[offset..offset + 4]);
    u32::from_be_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree with 12 bytes of structure, 8 of strings and free space behind them.
    fn tree() -> Vec<u8> {
        let words = [MAGIC, 200, 56, 68, 40, 17, 16, 0, 5, 12, 0, 0, 0, 0, 1, 2, 9];
        let mut tree: Vec<u8> = words.iter().flat_map(|word: &u32| word.to_be_bytes()).collect();
        tree.extend_from_slice(b"name\0");
        tree.resize(200, 0);
        tree
    }

    #[test]
    fn free_space_is_cut_off() {
        let small = compact(&tree(), None).unwrap();
        assert_eq!(small.len(), 80);
        assert_eq!(word(&small, 4), 80);
        assert_eq!(small[8..73], tree()[8..73]);
        assert_eq!(compact(&small, None).unwrap(), small);
    }

    #[test]
    fn the_memory_of_firmware_is_reserved() {
        let small = compact(&tree(), Some(0x8000_0000..0x8020_0000)).unwrap();
        assert_eq!(small.len(), 96);
        assert_eq!(small[40..56], [0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0]);
        assert_eq!(small[56..89], tree()[40..73]);
        assert_eq!(compact(&small, None).unwrap(), small);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(compact(b"", None).is_err());
        assert!(compact(&[0; 100], None).is_err());
        assert!(compact(&tree()[..70], None).is_err());
        let mut broken = tree();
        broken[36] = 0xff;
        assert!(compact(&broken, None).is_err());
    }
}
