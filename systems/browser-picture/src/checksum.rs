// SPDX-License-Identifier: MIT OR Apache-2.0

//! CRC-32 (that of PNG, zip and Ethernet).

use crc32fast::Hasher;

/// The checksum of bytes that come piece by piece.
#[derive(Clone, Debug, Default)]
pub struct Checksum(Hasher);

impl Checksum {
    /// That of no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on with these bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all bytes so far.
    pub fn value(&self) -> u32 {
        self.0.clone().finalize()
    }
}

/// The checksum of these bytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    let mut checksum = Checksum::new();
    checksum.add(bytes);
    checksum.value()
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_usual_example() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        let mut pieces = Checksum::new();
        pieces.add(b"1234");
        pieces.add(b"");
        pieces.add(b"56789");
        assert_eq!(pieces.value(), 0xcbf4_3926);
    }
}
