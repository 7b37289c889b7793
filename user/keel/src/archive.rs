// SPDX-License-Identifier: MIT OR Apache-2.0

//! The files that travel with a root task: its child programs and its input, in a ustar archive that
//! the build puts into its image.

use tar_no_std::TarArchiveRef;

use crate::error::{Error, Result};

/// Name of the file that the user gave on the command line.
pub const INPUT: &str = "input";

/// An archive.
#[derive(Clone, Copy, Debug)]
pub struct Archive {
    bytes: &'static [u8],
}

impl Archive {
    /// Checks an archive. [`crate::archive!`] gives the one of this program.
    pub fn new(bytes: &'static [u8]) -> Result<Self> {
        match TarArchiveRef::new(bytes) {
            Ok(_) => Ok(Self { bytes }),
            Err(_) => Err(Error::BadImage("the archive is broken")),
        }
    }

    /// The content of a file.
    pub fn find(&self, name: &str) -> Option<&'static [u8]> {
        let archive = TarArchiveRef::new(self.bytes).ok()?;
        let mut entries = archive.entries();
        entries.find(|entry| entry.filename().as_str() == Ok(name)).map(|entry| entry.data())
    }

    /// The content of a file that must be there.
    pub fn program(&self, name: &'static str) -> Result<&'static [u8]> {
        self.find(name).ok_or(Error::Missing(name))
    }
}

/// Bytes at the start of a page.
#[doc(hidden)]
#[repr(C, align(4096))]
pub struct PageAligned<T: ?Sized>(pub T);

/// The archive of this root task, checked: a [`Result`] of an [`Archive`]. The build names its file in
/// `KEEL_ARCHIVE`.
///
/// ```ignore
/// let archive = keel::archive!()?;
/// let decoder = archive.program("keel-decoder")?;
/// ```
#[macro_export]
macro_rules! archive {
    () => {{
        static BYTES: &$crate::archive::PageAligned<[u8]> =
            &$crate::archive::PageAligned(*::core::include_bytes!(::core::env!("KEEL_ARCHIVE")));
        $crate::archive::Archive::new(&BYTES.0)
    }};
}

#[cfg(test)]
mod test {
    use std::vec::Vec;

    use super::*;

    fn file(name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = std::vec![0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        let size = std::format!("{:011o}\0", content.len());
        header[124..136].copy_from_slice(size.as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[156] = b'0';
        header[257..265].copy_from_slice(b"ustar\x0000");
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(std::format!("{sum:06o}\0 ").as_bytes());
        header.extend(content);
        header.resize(header.len().next_multiple_of(512), 0);
        header
    }

    #[test]
    fn files_are_found_by_name() {
        let bytes = [file("keel-child", b"ELF"), file(INPUT, &[7; 1000]), std::vec![0; 1024]].concat();
        let archive = Archive::new(bytes.leak()).unwrap();
        assert_eq!(archive.find("keel-child"), Some(&b"ELF"[..]));
        assert_eq!(archive.find(INPUT), Some(&[7; 1000][..]));
        assert_eq!(archive.program("other"), Err(Error::Missing("other")));
    }

    #[test]
    fn broken_archives_are_refused() {
        assert!(Archive::new(b"").is_err());
        assert!(Archive::new(&[1; 2048]).is_err());
    }
}
