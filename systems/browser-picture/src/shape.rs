// SPDX-License-Identifier: MIT OR Apache-2.0

//! Width, height and channels of a picture.

use core::fmt;

/// The shape of a picture of 8 bits a channel, row by row, without gaps.
///
/// Invariants, kept by [`Shape::new`]:
/// 1. Neither side is 0, nor longer than [`Shape::MAX_SIDE`].
/// 2. There are 1 (grey), 2 (grey, alpha), 3 (colours) or 4 (colours, alpha) channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    width: u32,
    height: u32,
    channels: u8,
}

impl Shape {
    /// The longest side allowed: that which a JPEG can have.
    pub const MAX_SIDE: u32 = 65_535;

    /// A shape, if it can be one. Whoever claims it need not be trusted.
    ///
    /// ```
    /// use keel_browser_picture::Shape;
    /// assert_eq!(Shape::new(4, 2, 3).map(|shape| shape.bytes()), Some(24));
    /// assert_eq!(Shape::new(u64::MAX, u64::MAX, 3), None);
    /// ```
    pub fn new(width: u64, height: u64, channels: u64) -> Option<Self> {
        let side = |side: u64| u32::try_from(side).ok().filter(|side| (1..=Self::MAX_SIDE).contains(side));
        let channels = u8::try_from(channels).ok().filter(|channels| (1..=4).contains(channels))?;
        Some(Self { width: side(width)?, height: side(height)?, channels })
    }

    /// Pixels in a row.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of a pixel.
    pub const fn channels(&self) -> u8 {
        self.channels
    }

    /// Bytes of a row.
    pub const fn row_bytes(&self) -> u64 {
        self.width as u64 * self.channels as u64
    }

    /// Bytes of all pixels. By the invariants it is less than 2^34.
    pub const fn bytes(&self) -> u64 {
        self.row_bytes() * self.height as u64
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.channels == 1 { "" } else { "s" };
        write!(f, "{} x {}, {} channel{plural}", self.width, self.height, self.channels)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn claims_are_checked() {
        assert!(Shape::new(1, 1, 1).is_some());
        for (width, height, channels) in
            [(0, 1, 3), (1, 0, 3), (1, 1, 0), (1, 1, 5), (65_536, 1, 1), (1 << 32, 1, 1), (1, u64::MAX, 1)]
        {
            assert_eq!(Shape::new(width, height, channels), None);
        }
        assert_eq!(Shape::new(65_535, 65_535, 4).unwrap().bytes(), 65_535 * 65_535 * 4);
    }
}
