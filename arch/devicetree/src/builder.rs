// SPDX-License-Identifier: MIT OR Apache-2.0

//! Writes small device trees, well-formed or not, for tests.

/// A tree being written. Nodes are opened and closed in order, properties belong to the innermost one.
#[derive(Default)]
pub struct Builder {
    /// Pairs of start and size.
    reservations: Vec<u8>,
    /// Tokens so far.
    structure: Vec<u8>,
    /// Names of properties so far.
    strings: Vec<u8>,
}

impl Builder {
    /// An empty tree, without a root.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a memory reservation.
    pub fn reserve(mut self, start: u64, size: u64) -> Self {
        self.reservations.extend(start.to_be_bytes());
        self.reservations.extend(size.to_be_bytes());
        self
    }

    /// Opens a node. The root's name is empty.
    pub fn begin(mut self, name: &str) -> Self {
        self = self.token(1);
        self.structure.extend(name.bytes().chain([0]));
        self.pad()
    }

    /// Closes the innermost node.
    pub fn end(self) -> Self {
        self.token(2)
    }

    /// Any token, for broken trees.
    pub fn token(mut self, token: u32) -> Self {
        self.structure.extend(token.to_be_bytes());
        self
    }

    /// A property of raw bytes.
    pub fn bytes(mut self, name: &str, value: &[u8]) -> Self {
        let at = self.strings.len() as u32;
        self.strings.extend(name.bytes().chain([0]));
        self = self.token(3).token(value.len() as u32).token(at);
        self.structure.extend(value);
        self.pad()
    }

    /// A property of words.
    pub fn words(self, name: &str, words: &[u32]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        self.bytes(name, &bytes)
    }

    /// A property of zero-terminated strings.
    pub fn strings(self, name: &str, strings: &[&str]) -> Self {
        let bytes: Vec<u8> = strings.iter().flat_map(|string| string.bytes().chain([0])).collect();
        self.bytes(name, &bytes)
    }

    /// Ends the tree and gives the blob.
    pub fn finish(self) -> Vec<u8> {
        let mut done = self.token(9);
        done.reservations.extend([0; 16]);
        let reservations_at = crate::HEADER_BYTES as u32;
        let structure_at = reservations_at + done.reservations.len() as u32;
        let strings_at = structure_at + done.structure.len() as u32;
        let total = strings_at + done.strings.len() as u32;
        let header = [
            crate::MAGIC,
            total,
            structure_at,
            strings_at,
            reservations_at,
            17,
            16,
            0,
            done.strings.len() as u32,
            done.structure.len() as u32,
        ];
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        header.chain(done.reservations).chain(done.structure).chain(done.strings).collect()
    }

    /// Fills up to a multiple of 4.
    fn pad(mut self) -> Self {
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
        self
    }
}
