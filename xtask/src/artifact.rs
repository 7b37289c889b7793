// SPDX-License-Identifier: MIT OR Apache-2.0

//! Files that the tool makes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file, with its directories, unless it has this content already: its time of change is what
/// cargo goes by when it decides what to build again.
pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

/// Reads a file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory for one test; it goes with the value.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Scratch(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_same_content_is_not_written_again() {
        let scratch = Scratch::new("artifact");
        let path = scratch.0.join("a/b");
        write(&path, b"one").unwrap();
        // A file that cannot be written shows whether somebody tries to, by its time.
        let first = fs::metadata(&path).unwrap().modified().unwrap();
        write(&path, b"one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), first);
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
    }

    #[test]
    fn errors_name_the_file() {
        let scratch = Scratch::new("artifact-errors");
        let path = scratch.0.join("missing");
        assert!(read(&path).unwrap_err().to_string().contains("missing"));
    }
}
