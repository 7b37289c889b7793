// SPDX-License-Identifier: MIT OR Apache-2.0

//! What kind of file this is, by its first bytes.

use core::fmt;

/// A kind of picture that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Portable Network Graphics.
    Png,
    /// What the Joint Photographic Experts Group made.
    Jpeg,
}

impl Kind {
    /// The kind of this file, if it is one of them.
    ///
    /// ```
    /// use keel_browser_picture::Kind;
    /// assert_eq!(Kind::of(b"\xff\xd8\xff\xe0"), Some(Kind::Jpeg));
    /// assert_eq!(Kind::of(b"GIF89a"), None);
    /// ```
    pub fn of(file: &[u8]) -> Option<Self> {
        match file {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
        })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(Kind::of(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), Some(Kind::Png));
        assert_eq!(Kind::of(b"\x89PNG\n\x1a\n"), None);
        assert_eq!(Kind::of(b"\xff\xd8"), None);
        assert_eq!(Kind::of(b""), None);
    }
}
