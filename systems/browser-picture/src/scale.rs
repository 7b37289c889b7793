// SPDX-License-Identifier: MIT OR Apache-2.0

//! Scaling down to the width of a terminal, row by row, in a fixed amount of memory.
//!
//! Each pixel of the thumbnail is the mean of the pixels that fall into it. A picture narrower than the
//! terminal is not blown up; one taller than [`MAX_ROWS`] allows is made narrower. What is transparent
//! lies on black.

use crate::shape::Shape;

/// Pixels in a row of a thumbnail: the columns of the terminal.
pub const MAX_COLUMNS: u32 = 100;
/// Rows of a thumbnail, of which two share a line of text.
pub const MAX_ROWS: u32 = 200;
/// Room that any thumbnail fits into.
pub const THUMBNAIL_BYTES: usize = (MAX_COLUMNS * MAX_ROWS * 3) as usize;

/// Scales rows of pixels down into memory of the caller.
///
/// ```
/// use keel_browser_picture::{Scaler, Shape, THUMBNAIL_BYTES};
/// let mut memory = [0; THUMBNAIL_BYTES];
/// let mut scaler = Scaler::new(Shape::new(2, 2, 1).unwrap(), &mut memory);
/// scaler.row(&[10, 20]);
/// scaler.row(&[30, 40]);
/// assert_eq!(scaler.finish().pixel(1, 1), [40; 3]);
/// ```
#[derive(Debug)]
pub struct Scaler<'m> {
    shape: Shape,
    columns: u32,
    rows: u32,
    /// Rows of the picture seen so far.
    seen: u32,
    sums: [[u64; 3]; MAX_COLUMNS as usize],
    counts: [u64; MAX_COLUMNS as usize],
    memory: &'m mut [u8],
}

/// A small picture in red, green, blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thumbnail<'m> {
    columns: u32,
    rows: u32,
    pixels: &'m [u8],
}

/// Columns and rows of the thumbnail of a picture.
fn scaled(shape: Shape) -> (u32, u32) {
    let (width, height) = (u64::from(shape.width()), u64::from(shape.height()));
    let columns = width.min(MAX_COLUMNS.into()).min((u64::from(MAX_ROWS) * width / height).max(1));
    let rows = (height * columns).div_ceil(width).min(MAX_ROWS.into()).min(height);
    (columns as u32, rows as u32)
}

impl<'m> Scaler<'m> {
    /// For a picture of this shape; `memory` has room for [`THUMBNAIL_BYTES`], or what does not fit
    /// is lost.
    pub fn new(shape: Shape, memory: &'m mut [u8]) -> Self {
        let (columns, rows) = scaled(shape);
        let (sums, counts) = ([[0; 3]; MAX_COLUMNS as usize], [0; MAX_COLUMNS as usize]);
        Self { shape, columns, rows, seen: 0, sums, counts, memory }
    }

    /// Row of the thumbnail that row `y` of the picture falls into.
    fn target(&self, y: u32) -> u32 {
        (u64::from(y) * u64::from(self.rows) / u64::from(self.shape.height())) as u32
    }

    /// Takes the next row: [`Shape::row_bytes`] bytes. Rows beyond the last are ignored.
    pub fn row(&mut self, row: &[u8]) {
        if self.seen == self.shape.height() {
            return;
        }
        let (columns, width) = (u64::from(self.columns), u64::from(self.shape.width()));
        for (x, pixel) in row.chunks_exact(self.shape.channels().into()).take(width as usize).enumerate() {
            let column = (x as u64 * columns / width) as usize;
            for (sum, value) in self.sums[column].iter_mut().zip(on_black(pixel)) {
                *sum += u64::from(value);
            }
            self.counts[column] += 1;
        }
        let target = self.target(self.seen);
        self.seen += 1;
        if self.seen == self.shape.height() || self.target(self.seen) != target {
            self.emit(target);
        }
    }

    fn emit(&mut self, target: u32) {
        let start = (target * self.columns) as usize * 3;
        let pixels = self.memory.get_mut(start..).unwrap_or_default().chunks_exact_mut(3);
        for ((pixel, sum), count) in pixels.zip(&self.sums).zip(&self.counts).take(self.columns as usize) {
            for (value, sum) in pixel.iter_mut().zip(sum) {
                *value = (sum / (*count).max(1)) as u8;
            }
        }
        self.sums.fill([0; 3]);
        self.counts.fill(0);
    }

    /// The thumbnail, once all rows were given.
    pub fn finish(self) -> Thumbnail<'m> {
        Thumbnail { columns: self.columns, rows: self.rows, pixels: self.memory }
    }
}

/// Red, green and blue of a pixel of 1 to 4 channels, on black where it is transparent.
fn on_black(pixel: &[u8]) -> [u8; 3] {
    let fade = |value: u8, alpha: u8| ((u16::from(value) * u16::from(alpha) + 127) / 255) as u8;
    match *pixel {
        [grey] => [grey; 3],
        [grey, alpha] => [fade(grey, alpha); 3],
        [red, green, blue] => [red, green, blue],
        [red, green, blue, alpha] => [red, green, blue].map(|value| fade(value, alpha)),
        _ => [0; 3],
    }
}

impl Thumbnail<'_> {
    /// Pixels in a row.
    pub const fn columns(&self) -> u32 {
        self.columns
    }

    /// Rows.
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// The bytes of all pixels.
    pub fn bytes(&self) -> &[u8] {
        self.pixels.get(..(self.columns * self.rows) as usize * 3).unwrap_or(self.pixels)
    }

    /// Red, green and blue of a pixel; black outside.
    pub fn pixel(&self, column: u32, row: u32) -> [u8; 3] {
        if column >= self.columns || row >= self.rows {
            return [0; 3];
        }
        let start = (row * self.columns + column) as usize * 3;
        self.pixels.get(start..start + 3).and_then(|pixel| pixel.try_into().ok()).unwrap_or([0; 3])
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn shape(width: u64, height: u64, channels: u64) -> Shape {
        Shape::new(width, height, channels).unwrap()
    }

    #[test]
    fn proportions_stay() {
        assert_eq!(scaled(shape(480, 320, 3)), (100, 67));
        assert_eq!(scaled(shape(50, 20, 3)), (50, 20));
        assert_eq!(scaled(shape(1, 1, 3)), (1, 1));
        assert_eq!(scaled(shape(1000, 4000, 3)), (50, 200));
        assert_eq!(scaled(shape(1, 65_535, 1)), (1, 200));
        assert_eq!(scaled(shape(65_535, 1, 1)), (100, 1));
        for (width, height) in [(3, 7), (101, 99), (640, 427), (65_535, 65_535), (99, 65_535)] {
            let (columns, rows) = scaled(shape(width, height, 1));
            assert!((1..=MAX_COLUMNS).contains(&columns) && (1..=MAX_ROWS).contains(&rows));
        }
    }

    #[test]
    fn a_pixel_is_the_mean_of_its_block() {
        let mut memory = [9; THUMBNAIL_BYTES];
        let mut scaler = Scaler::new(shape(200, 4, 3), &mut memory);
        for y in 0..5_u8 {
            let row: Vec<u8> = (0..200).flat_map(|x: u8| [x, y * 10, 7]).collect();
            scaler.row(&row);
        }
        let thumbnail = scaler.finish();
        assert_eq!((thumbnail.columns(), thumbnail.rows()), (100, 2));
        assert_eq!((thumbnail.pixel(0, 0), thumbnail.pixel(99, 1)), ([0, 5, 7], [198, 25, 7]));
        assert_eq!((thumbnail.pixel(100, 0), thumbnail.pixel(0, 2)), ([0; 3], [0; 3]));
        assert_eq!(thumbnail.bytes().len(), 600);
    }

    #[test]
    fn transparency_fades_to_black() {
        assert_eq!(on_black(&[200, 100, 50, 0]), [0; 3]);
        assert_eq!(on_black(&[200, 100, 50, 255]), [200, 100, 50]);
        assert_eq!(on_black(&[100, 128]), [50; 3]);
    }

    #[test]
    fn too_little_memory_or_short_rows_are_survived() {
        let mut memory = [0; 10];
        let mut scaler = Scaler::new(shape(200, 200, 4), &mut memory);
        (0..200).for_each(|_| scaler.row(&[1; 17]));
        assert_eq!(scaler.finish().pixel(99, 99), [0; 3]);
    }
}
