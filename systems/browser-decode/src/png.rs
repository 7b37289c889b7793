// SPDX-License-Identifier: MIT OR Apache-2.0

//! PNG files. All checksums of the format are checked; 16 bits a channel become 8.

use alloc::vec;

use keel_browser_picture::Shape;
use zune_core::{bytestream::ZCursor, options::DecoderOptions};
use zune_png::PngDecoder;

use crate::error::{DecodeError, Decoded};

/// Decodes a file whose pixels take at most `limit` bytes.
pub fn decode(file: &[u8], limit: u64) -> Result<Decoded, DecodeError> {
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_max_width(Shape::MAX_SIDE as usize)
        .set_max_height(Shape::MAX_SIDE as usize)
        .png_set_confirm_crc(true)
        .inflate_set_confirm_adler(true)
        .png_set_strip_to_8bit(true)
        .png_set_decode_animated(false);
    let mut decoder = PngDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| DecodeError::broken(&error))?;
    let shape = shape(&decoder).ok_or(DecodeError::Broken("the header makes no sense".into()))?;
    if shape.bytes() > limit {
        return Err(DecodeError::TooLarge(shape));
    }
    let mut pixels = vec![0; shape.bytes() as usize];
    decoder.decode_into(&mut pixels).map_err(|error| DecodeError::broken(&error))?;
    Ok(Decoded { shape, pixels })
}

fn shape(decoder: &PngDecoder<ZCursor<&[u8]>>) -> Option<Shape> {
    let (width, height) = decoder.dimensions()?;
    let channels = decoder.colorspace()?.num_components();
    Shape::new(width as u64, height as u64, channels as u64)
}
