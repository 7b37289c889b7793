// SPDX-License-Identifier: MIT OR Apache-2.0

//! The tokens of the structure block (section 5.4 of the specification).

use crate::Error;

/// The longest name with its zero. The specification allows 31 characters, real trees have some more.
const MAX_NAME_BYTES: usize = 256;

/// One token with what follows it.
pub(crate) enum Token<'a> {
    /// A node begins; its name.
    BeginNode(&'a [u8]),
    /// The innermost open node ends.
    EndNode,
    /// A property of the innermost open node.
    Property {
        /// Where its name starts in the strings block.
        name: usize,
        /// Its bytes.
        value: &'a [u8],
    },
    /// The tree ends.
    End,
}

/// Reads one token after the other.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'a> {
    /// The whole structure block.
    structure: &'a [u8],
    /// Offset of the next token, a multiple of 4.
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at the first token.
    pub(crate) fn new(structure: &'a [u8]) -> Self {
        Self { structure, at: 0 }
    }

    /// Where the next token is.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// A cursor at another place, which [`Self::position`] has given.
    pub(crate) fn moved_to(&self, position: usize) -> Self {
        Self { at: position, ..*self }
    }

    /// The next token; NOPs are passed over. Each call moves on, so that every walk ends.
    pub(crate) fn next(&mut self) -> Result<Token<'a>, Error> {
        loop {
            match self.word()? {
                1 => {
                    let name = name_at(self.structure, self.at)?;
                    self.skip(name.len() + 1);
                    return Ok(Token::BeginNode(name));
                }
                2 => return Ok(Token::EndNode),
                3 => {
                    let size = self.word()? as usize;
                    let name = self.word()? as usize;
                    let value = self.structure.get(self.at..self.at + size).ok_or(Error::Structure)?;
                    self.skip(size);
                    return Ok(Token::Property { name, value });
                }
                4 => {}
                9 => return Ok(Token::End),
                _ => return Err(Error::Structure),
            }
        }
    }

    /// Reads one big-endian word.
    fn word(&mut self) -> Result<u32, Error> {
        let word = crate::word(self.structure, self.at).map_err(|_| Error::Structure)?;
        self.at += 4;
        Ok(word)
    }

    /// Moves on by `size` bytes and to the next multiple of 4.
    fn skip(&mut self, size: usize) {
        self.at = (self.at + size).next_multiple_of(4);
    }
}

/// The zero-terminated name at an offset of a block, without the zero.
pub(crate) fn name_at(block: &[u8], at: usize) -> Result<&[u8], Error> {
    let rest = block.get(at..).ok_or(Error::Structure)?;
    let rest = rest.get(..MAX_NAME_BYTES).unwrap_or(rest);
    let end = rest.iter().position(|&byte| byte == 0).ok_or(Error::Structure)?;
    Ok(&rest[..end])
}

/// Names that start below this offset of a block end in time, as far as one look at the block shows.
pub(crate) fn names_end(block: &[u8]) -> usize {
    let mut end = 0;
    // One round per byte.
    for (at, &byte) in block.iter().enumerate() {
        if at - end == MAX_NAME_BYTES {
            break;
        }
        if byte == 0 {
            end = at + 1;
        }
    }
    end
}
