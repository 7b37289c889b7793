// SPDX-License-Identifier: MIT OR Apache-2.0

//! What comes out of a decoder.

use alloc::{string::String, vec::Vec};

use keel_browser_picture::Shape;

/// A decoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Its shape.
    pub shape: Shape,
    /// [`Shape::bytes`] bytes.
    pub pixels: Vec<u8>,
}

/// Why there is no picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// It would be of this shape, which is more than there is room for.
    TooLarge(Shape),
    /// The file is not right, or of a variety that the decoder does not know.
    Broken(String),
}

impl DecodeError {
    /// A broken file; `why` on one line.
    pub(crate) fn broken(why: &dyn core::fmt::Display) -> Self {
        let text = alloc::format!("{why}");
        Self::Broken(String::from(text.trim_matches(|c: char| c.is_whitespace() || c == '"')))
    }
}
