// SPDX-License-Identifier: MIT OR Apache-2.0

//! Text for the user's eyes, from whoever.

use core::fmt::{self, Display, Write};

use heapless::String;

/// A line of up to [`Text::MAX`] bytes. What does not fit is cut off; what could move a terminal's
/// cursor or change its colours becomes a question mark.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(String<{ Self::MAX }>);

impl Text {
    /// Bytes that fit.
    pub const MAX: usize = 96;

    /// What `value` displays as.
    ///
    /// ```
    /// use keel_browser_protocol::Text;
    /// assert_eq!(Text::of(&"\x1b[2J"), Text::of(&"?[2J"));
    /// ```
    pub fn of(value: &dyn Display) -> Self {
        let mut text = Self::default();
        // Too long is no failure here: what fits is kept.
        let _ = write!(text, "{value}");
        text
    }

    /// The text of bytes that may be anything.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut text = Self::default();
        for chunk in bytes.utf8_chunks() {
            let broken = if chunk.invalid().is_empty() { "" } else { "?" };
            if text.write_str(chunk.valid()).and_then(|()| text.write_str(broken)).is_err() {
                break;
            }
        }
        text
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let shown = |c: char| if c.is_control() { '?' } else { c };
        text.chars().try_for_each(|c| self.0.push(shown(c)).map_err(|_| fmt::Error))
    }
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        assert_eq!(Text::of_bytes(b"a\xffb\n\x9b1m\x07\xc3\xa9").as_str(), "a?b??1m?é");
    }

    #[test]
    fn what_is_too_long_is_cut() {
        assert_eq!(Text::of(&"é".repeat(200)).as_str().len(), Text::MAX);
        assert_eq!(Text::of_bytes(&[b'x'; 1000]).as_str().len(), Text::MAX);
    }
}
