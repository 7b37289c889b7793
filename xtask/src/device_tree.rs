// SPDX-License-Identifier: MIT OR Apache-2.0

//! A board's device tree, for kernels that get none from their loader.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};

use crate::artifact;
use crate::machine::{Board, Machine};
use crate::qemu;

const MAGIC: u32 = 0xd00d_feed;
const HEADER_BYTES: usize = 40;

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
    artifact::write(&path, &compact(&dumped)?)?;
    Ok(path)
}

/// Cuts off the free space that QEMU leaves at the end of a device tree.
fn compact(tree: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        tree.len() >= HEADER_BYTES && word(tree, 0) == MAGIC,
        "QEMU gave something else than a device tree"
    );
    let [total, structure, strings, reservations] = [4, 8, 12, 16].map(|offset| word(tree, offset) as usize);
    let [strings_bytes, structure_bytes] = [32, 36].map(|offset| word(tree, offset) as usize);
    let end = (strings + strings_bytes).max(structure + structure_bytes).next_multiple_of(8);
    ensure!(
        end <= total && total <= tree.len() && reservations <= structure,
        "QEMU gave a broken device tree"
    );
    let mut tree = tree[..end].to_vec();
    tree[4..8].copy_from_slice(&(end as u32).to_be_bytes());
    Ok(tree)
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
        let small = compact(&tree()).unwrap();
        assert_eq!(small.len(), 80);
        assert_eq!(word(&small, 4), 80);
        assert_eq!(small[8..73], tree()[8..73]);
        assert_eq!(compact(&small).unwrap(), small);
    }

    #[test]
    fn other_files_are_refused() {
        assert!(compact(b"").is_err());
        assert!(compact(&[0; 100]).is_err());
        assert!(compact(&tree()[..100]).is_err());
        let mut broken = tree();
        broken[36] = 0xff;
        assert!(compact(&broken).is_err());
    }
}
