// SPDX-License-Identifier: MIT OR Apache-2.0

//! Text for terminals.

use core::fmt;

/// Text by way of a function that puts single characters. Terminals want a carriage return before each line feed.
pub struct Lines<F>(pub F);

impl<F: FnMut(u8)> fmt::Write for Lines<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.bytes() {
            if character == b'\n' {
                (self.0)(b'\r');
            }
            (self.0)(character);
        }
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use core::fmt::Write;

    #[test]
    fn lines_end_as_terminals_want() {
        let mut sent = Vec::new();
        writeln!(Lines(|character| sent.push(character)), "a").unwrap();
        assert_eq!(sent, b"a\r\n");
    }
}
