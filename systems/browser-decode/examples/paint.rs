// SPDX-License-Identifier: MIT OR Apache-2.0

//! Paints the picture that ships with the browser: a sailing boat seen from the side, hull and keel below
//! the waterline, at dusk.
//!
//!     cargo run -p keel-browser-decode --example paint -- systems/browser/pictures/keel.png

use std::{error::Error, fs::File, io::BufWriter};

const WIDTH: u32 = 480;
const HEIGHT: u32 = 320;
/// Samples per pixel and direction.
const SAMPLES: u32 = 4;

type Colour = [f64; 3];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: paint FILE.png")?;
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), WIDTH, HEIGHT);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::High);
    let pixels: Vec<u8> = (0..HEIGHT).flat_map(|y| (0..WIDTH).flat_map(move |x| pixel(x, y))).collect();
    encoder.write_header()?.write_image_data(&pixels)?;
    Ok(())
}

/// The mean of the samples in a pixel.
fn pixel(x: u32, y: u32) -> [u8; 3] {
    let mut sum = [0.0; 3];
    for sample in 0..SAMPLES * SAMPLES {
        let at = |pixel: u32, part: u32| f64::from(pixel) + (f64::from(part) + 0.5) / f64::from(SAMPLES);
        let colour = scene(at(x, sample % SAMPLES), at(y, sample / SAMPLES));
        sum.iter_mut().zip(colour).for_each(|(sum, value)| *sum += value);
    }
    sum.map(|sum| (sum / f64::from(SAMPLES * SAMPLES)).round().clamp(0.0, 255.0) as u8)
}

fn mix(a: Colour, b: Colour, share: f64) -> Colour {
    let share = share.clamp(0.0, 1.0);
    std::array::from_fn(|index| a[index] + (b[index] - a[index]) * share)
}

/// Height of the water's surface at `x`.
fn surface(x: f64) -> f64 {
    178.0 + 3.5 * (x / 23.0).sin() + 2.0 * (x / 9.0 + 1.0).sin()
}

/// The colour at a point, things in front first.
fn scene(x: f64, y: f64) -> Colour {
    let boat = sails(x, y).or_else(|| hull(x, y));
    let above = boat.unwrap_or_else(|| sky(x, y));
    if y < surface(x) {
        return above;
    }
    let deep = water(x, y);
    match boat {
        Some(colour) => mix(colour, deep, 0.25 + (y - 178.0) / 400.0),
        None => deep,
    }
}

fn sky(x: f64, y: f64) -> Colour {
    let (dx, dy) = (x - 372.0, y - 92.0);
    let distance = (dx * dx + dy * dy).sqrt();
    let background = mix([24.0, 34.0, 84.0], [250.0, 150.0, 98.0], (y / 190.0).powf(1.4));
    if distance < 34.0 {
        [255.0, 228.0, 170.0]
    } else {
        mix([255.0, 214.0, 150.0], background, (distance - 34.0) / 60.0)
    }
}

/// Darker with depth, with bands of light under the waves.
fn water(x: f64, y: f64) -> Colour {
    let depth = (y - surface(x)) / 150.0;
    let colour = mix([38.0, 130.0, 150.0], [6.0, 24.0, 62.0], depth);
    let band = (x / 31.0 + y / 13.0 + 2.0 * (x / 47.0).sin()).sin();
    let light = if y - surface(x) < 2.5 { 0.55 } else { (band - 0.55).max(0.0) * (0.5 - depth).max(0.0) };
    mix(colour, [190.0, 236.0, 228.0], light)
}

/// Mast, main sail and jib.
fn sails(x: f64, y: f64) -> Option<Colour> {
    let cloth = |shade: f64| Some(mix([252.0, 246.0, 232.0], [214.0, 176.0, 150.0], shade));
    if (x - 226.0).abs() < 1.8 && (22.0..160.0).contains(&y) {
        return Some([92.0, 62.0, 44.0]);
    }
    let down = (y - 28.0) / 118.0;
    if (0.0..1.0).contains(&down) {
        let (luff, leech) = (229.0, 229.0 + 88.0 * down.powf(0.85));
        if x > luff && x < leech {
            return cloth((x - luff) / 120.0 + down * 0.2);
        }
    }
    let down = (y - 40.0) / 108.0;
    if (0.0..1.0).contains(&down) {
        let (stay, leech) = (223.0 - 78.0 * down, 223.0 - 22.0 * (down * 3.1).sin());
        if x > stay && x < leech.min(223.0) {
            return cloth((223.0 - x) / 130.0);
        }
    }
    None
}

/// The hull down to its keel.
fn hull(x: f64, y: f64) -> Option<Colour> {
    let deck = 156.0 + ((x - 232.0) / 100.0).powi(2) * -7.0;
    let along = (x - 130.0) / 206.0;
    let bottom = 156.0 + 46.0 * (1.0 - (2.0 * along - 1.0).abs().powf(2.6)).max(0.0);
    if (0.0..1.0).contains(&along) && y >= deck && y < bottom {
        let stripe = (y - deck - 5.0).abs() < 1.5;
        let paint = if y < 176.0 { [28.0, 44.0, 82.0] } else { [168.0, 44.0, 40.0] };
        return Some(if stripe { [240.0, 214.0, 140.0] } else { paint });
    }
    let down = (y - 196.0) / 66.0;
    let fin = 222.0 + 16.0 * down..252.0 + 6.0 * down;
    if (0.0..1.0).contains(&down) && fin.contains(&x) {
        return Some([150.0, 40.0, 38.0]);
    }
    let (bulb_x, bulb_y) = ((x - 250.0) / 34.0, (y - 264.0) / 8.0);
    (bulb_x * bulb_x + bulb_y * bulb_y < 1.0).then_some([196.0, 158.0, 66.0])
}
