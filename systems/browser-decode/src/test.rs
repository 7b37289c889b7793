// SPDX-License-Identifier: MIT OR Apache-2.0

use std::{fs, path::PathBuf};

use keel_browser_picture::{Kind, Shape, checksum};

use super::*;

const NO_LIMIT: u64 = 1 << 30;

fn shipped(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../browser/pictures").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn encode(
    width: u32,
    height: u32,
    colour: ::png::ColorType,
    depth: ::png::BitDepth,
    pixels: &[u8],
) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = ::png::Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ::png::ColorType::Indexed {
        encoder.set_palette(vec![255, 0, 0, 0, 255, 0]);
    }
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
    file
}

/// What another decoder makes of a PNG file.
fn by_another(file: &[u8]) -> Vec<u8> {
    let mut reader = ::png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    pixels
}

#[test]
fn the_shipped_picture_is_what_another_decoder_sees() {
    let file = shipped("keel.png");
    let picture = png::decode(&file, NO_LIMIT).unwrap();
    assert_eq!(picture.shape, Shape::new(480, 320, 3).unwrap());
    assert_eq!(picture.pixels, by_another(&file));
}

/// Not to the bit: JPEG loses some. But no pixel is far off.
#[test]
fn the_jpeg_shows_the_same_as_the_png() {
    let (png, jpeg) = (shipped("keel.png"), shipped("keel.jpg"));
    let png = decode(Kind::Png, &png, NO_LIMIT).unwrap();
    let jpeg = decode(Kind::Jpeg, &jpeg, NO_LIMIT).unwrap();
    assert_eq!(png.shape, jpeg.shape);
    let difference: u64 = png.pixels.iter().zip(&jpeg.pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(difference / png.shape.bytes() < 4, "{difference}");
}

#[test]
fn all_kinds_of_channels_come_out_in_eight_bits() {
    use ::png::{BitDepth::*, ColorType::*};
    let shape = |channels| Shape::new(2, 1, channels).unwrap();
    for (colour, depth, pixels, channels, expected) in [
        (Grayscale, Eight, &[7, 9][..], 1, &[7, 9][..]),
        (Grayscale, One, &[0b0100_0000], 1, &[0, 255]),
        (Grayscale, Sixteen, &[7, 1, 9, 2], 1, &[7, 9]),
        (GrayscaleAlpha, Eight, &[1, 2, 3, 4], 2, &[1, 2, 3, 4]),
        (Indexed, Eight, &[1, 0], 3, &[0, 255, 0, 255, 0, 0]),
        (Rgb, Sixteen, &[1, 9, 2, 9, 3, 9, 4, 9, 5, 9, 6, 9], 3, &[1, 2, 3, 4, 5, 6]),
        (Rgba, Eight, &[1, 2, 3, 4, 5, 6, 7, 8], 4, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ] {
        let picture = png::decode(&encode(2, 1, colour, depth, pixels), NO_LIMIT).unwrap();
        assert_eq!(
            picture,
            Decoded { shape: shape(channels), pixels: expected.to_vec() },
            "{colour:?} {depth:?}"
        );
    }
}

#[test]
fn a_picture_over_the_limit_is_told_by_its_shape() {
    let huge = decode(Kind::Png, &shipped("huge.png"), 64 << 20).unwrap_err();
    assert_eq!(huge, DecodeError::TooLarge(Shape::new(9000, 9000, 1).unwrap()));
    let jpeg = decode(Kind::Jpeg, &shipped("keel.jpg"), 1000).unwrap_err();
    assert_eq!(jpeg, DecodeError::TooLarge(Shape::new(480, 320, 3).unwrap()));
}

#[test]
fn progressive_files_decode() {
    let picture = decode(Kind::Jpeg, &shipped("progressive.jpg"), NO_LIMIT).unwrap();
    assert_eq!(picture.shape, Shape::new(240, 160, 3).unwrap());
}

#[test]
fn a_file_that_breaks_off_is_an_error() {
    for (kind, name) in [(Kind::Png, "keel.png"), (Kind::Jpeg, "keel.jpg")] {
        let file = shipped(name);
        for part in 0..8 {
            let end = file.len() * part / 8;
            let result = decode(kind, &file[..end], NO_LIMIT);
            assert!(matches!(result, Err(DecodeError::Broken(_))), "{kind} of {end} bytes: {result:?}");
        }
    }
}

/// Whatever bits flip, there is an answer.
#[test]
fn flipped_bits_are_survived() {
    for (kind, name) in [(Kind::Png, "keel.png"), (Kind::Jpeg, "progressive.jpg")] {
        let file = shipped(name);
        for seed in 0..60 {
            let mut broken = file.clone();
            for index in 0..20 {
                let at = (seed * 7919 + index * 104_729) % broken.len();
                broken[at] ^= 1 << ((seed + index) % 8);
            }
            let answer = decode(kind, &broken, 1 << 24);
            if let Ok(picture) = answer {
                assert_eq!(picture.pixels.len() as u64, picture.shape.bytes());
            }
        }
    }
}

/// What the system prints of the pictures that ship is compared with this by the system tests.
#[test]
fn checksums_do_not_depend_on_the_machine() {
    for (name, kind, expected) in [
        ("keel.png", Kind::Png, 0x7f3a_7db2),
        ("keel.jpg", Kind::Jpeg, 0x9049_e40a),
        ("progressive.jpg", Kind::Jpeg, 0x078b_8e36),
    ] {
        let picture = decode(kind, &shipped(name), NO_LIMIT).unwrap();
        assert_eq!(checksum(&picture.pixels), expected, "{name}");
    }
}
