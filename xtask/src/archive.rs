// SPDX-License-Identifier: MIT OR Apache-2.0

//! The archive that travels inside a root task: its child programs and its input.
//!
//! It is an uncompressed ustar file, the same to the byte whenever the content is the same. A program is
//! found by the name of its package, the input by [`INPUT`], a chosen test case by [`CASE`]; [`GREY`] asks for no colours.

use anyhow::{Context, Result};
use tar::{Builder, EntryType, Header};

/// Name of the file that the user gave.
pub(crate) const INPUT: &str = "input";

/// Name of the entry that names the one test case to run.
pub(crate) const CASE: &str = "case";

/// Name of the (empty) entry that says that the terminal shows no colours.
pub(crate) const GREY: &str = "grey";

/// Packs named files, in this order.
pub(crate) fn pack<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content).with_context(|| format!("cannot pack `{name}`"))?;
    }
    archive.into_inner().context("cannot pack the archive")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_archive_gives_back_what_was_packed() {
        let files = [("keel-child", &b"\x7fELF"[..]), (INPUT, &[7; 1000]), ("empty", b"")];
        let packed = pack(files).unwrap();
        assert_eq!(packed.len() % 512, 0);
        let mut archive = tar::Archive::new(&packed[..]);
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().as_ustar().map(|header| header.magic), Some(*b"ustar\0"));
            assert_eq!(entry.header().mtime().unwrap(), 0);
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.push((entry.path().unwrap().display().to_string(), content));
        }
        let expected: Vec<_> =
            files.iter().map(|(name, content)| (name.to_string(), content.to_vec())).collect();
        assert_eq!(found, expected);
        assert_eq!(pack(files).unwrap(), packed);
    }
}
