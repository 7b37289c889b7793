// SPDX-License-Identifier: MIT OR Apache-2.0

//! Drawing in a terminal: a line of text shows two rows of pixels.

use core::fmt::{self, Write};

use crate::scale::Thumbnail;

/// How a terminal shows pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// In 24-bit colours: upper half blocks whose background is the lower pixel.
    Colour,
    /// In letters, from a blank for black to `@` for white.
    Grey,
}

/// Letters by how much light they give.
const SHADES: &[u8; 10] = b" .:-=+*#%@";

/// Draws all of a thumbnail.
pub fn draw(thumbnail: &Thumbnail<'_>, style: Style, out: &mut dyn Write) -> fmt::Result {
    for row in (0..thumbnail.rows()).step_by(2) {
        match style {
            Style::Colour => colour_line(thumbnail, row, out)?,
            Style::Grey => grey_line(thumbnail, row, out)?,
        }
    }
    Ok(())
}

/// Escape sequences are written where a colour changes, and at the end all is back to normal. Below a last
/// row without a partner the terminal's own background shows.
fn colour_line(thumbnail: &Thumbnail<'_>, row: u32, out: &mut dyn Write) -> fmt::Result {
    let grounds = if row + 1 < thumbnail.rows() { &[38, 48][..] } else { &[38] };
    let mut last = [None, None];
    for column in 0..thumbnail.columns() {
        for (index, ground) in grounds.iter().enumerate() {
            let pixel @ [red, green, blue] = thumbnail.pixel(column, row + index as u32);
            if last[index] != Some(pixel) {
                write!(out, "\x1b[{ground};2;{red};{green};{blue}m")?;
                last[index] = Some(pixel);
            }
        }
        out.write_char('▀')?;
    }
    out.write_str("\x1b[0m\n")
}

fn grey_line(thumbnail: &Thumbnail<'_>, row: u32, out: &mut dyn Write) -> fmt::Result {
    let has_lower = row + 1 < thumbnail.rows();
    for column in 0..thumbnail.columns() {
        let upper = light(thumbnail.pixel(column, row));
        let lower = if has_lower { light(thumbnail.pixel(column, row + 1)) } else { upper };
        let shade = (upper + lower) as usize * SHADES.len() / 512;
        out.write_char(SHADES[shade.min(SHADES.len() - 1)].into())?;
    }
    out.write_char('\n')
}

/// How light a pixel is, 0–255 (the weights of ITU-R BT.601).
fn light([red, green, blue]: [u8; 3]) -> u32 {
    (u32::from(red) * 299 + u32::from(green) * 587 + u32::from(blue) * 114) / 1000
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::{Scaler, Shape};

    fn drawn(width: u64, height: u64, rows: &[&[u8]], style: Style) -> String {
        let mut memory = [0; 64];
        let mut scaler = Scaler::new(Shape::new(width, height, 3).unwrap(), &mut memory);
        rows.iter().for_each(|row| scaler.row(row));
        let mut text = String::new();
        draw(&scaler.finish(), style, &mut text).unwrap();
        text
    }

    #[test]
    fn colours_change_where_they_must() {
        let text = drawn(2, 2, &[&[1, 2, 3, 1, 2, 3], &[4, 5, 6, 7, 8, 9]], Style::Colour);
        assert_eq!(text, "\x1b[38;2;1;2;3m\x1b[48;2;4;5;6m▀\x1b[48;2;7;8;9m▀\x1b[0m\n");
        assert_eq!(drawn(1, 1, &[&[1, 2, 3]], Style::Colour), "\x1b[38;2;1;2;3m▀\x1b[0m\n");
    }

    #[test]
    fn grey_goes_from_black_to_white() {
        let text = drawn(3, 1, &[&[0, 0, 0, 128, 128, 128, 255, 255, 255]], Style::Grey);
        assert_eq!(text, " +@\n");
        assert_eq!(drawn(1, 3, &[&[255; 3], &[0; 3], &[255; 3]], Style::Grey), "=\n@\n");
    }
}
