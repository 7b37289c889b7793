// SPDX-License-Identifier: MIT OR Apache-2.0

//! JPEG files, baseline and progressive. Colours come out as red, green, blue; grey stays grey.

use alloc::vec;

use keel_browser_picture::Shape;
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
use zune_jpeg::JpegDecoder;

use crate::error::{DecodeError, Decoded};

/// Decodes a file whose pixels take at most `limit` bytes. A file that breaks off is an error, not
/// half a picture.
pub fn decode(file: &[u8], limit: u64) -> Result<Decoded, DecodeError> {
    let options = DecoderOptions::default()
        .set_use_unsafe(false)
        .set_max_width(Shape::MAX_SIDE as usize)
        .set_max_height(Shape::MAX_SIDE as usize)
        .set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|error| DecodeError::broken(&error))?;
    let output = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(output));
    let shape = decoder
        .info()
        .and_then(|info| Shape::new(info.width.into(), info.height.into(), output.num_components() as u64));
    let shape = shape.ok_or(DecodeError::Broken("the header makes no sense".into()))?;
    if shape.bytes() > limit {
        return Err(DecodeError::TooLarge(shape));
    }
    let mut pixels = vec![0; shape.bytes() as usize];
    decoder.decode_into(&mut pixels).map_err(|error| DecodeError::broken(&error))?;
    Ok(Decoded { shape, pixels })
}
