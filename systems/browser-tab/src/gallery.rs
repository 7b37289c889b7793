// SPDX-License-Identifier: MIT OR Apache-2.0

//! The user's picture.

use core::fmt::{self, Write};

use keel::{console, prelude::*, println, shared::View};
use keel_browser_picture::{
    Checksum, Kind, Scaler, Shape,
    draw::{Style, draw},
};
use keel_browser_protocol::{Orders, Said, names};

use crate::{
    job::{Damage, End, Job},
    sandbox::Sandbox,
    trouble::{Result, Trouble},
};

/// Bytes of output that a decoder gets before anybody knows how large the picture is.
pub const FIRST_ROOM: u64 = 1 << 20;
/// Bytes of output that it gets at most: 16 million pixels with alpha.
const MAX_ROOM: u64 = 64 << 20;

/// A decoded picture: its shape, and the checksum of its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Its shape.
    pub shape: Shape,
    /// CRC-32 of its pixels.
    pub checksum: u32,
}

/// The programs that decode.
#[derive(Clone, Copy, Debug)]
pub struct Decoders {
    png: &'static [u8],
    jpeg: &'static [u8],
}

impl Decoders {
    /// Those that the tab can read.
    pub fn new(startup: &'static Startup) -> Result<Self> {
        let program = |name| startup.bytes(name).ok_or(Error::Missing(name));
        Ok(Self { png: program(names::PNG)?, jpeg: program(names::JPEG)? })
    }

    /// The one for this kind.
    pub fn of(&self, kind: Kind) -> &'static [u8] {
        match kind {
            Kind::Png => self.png,
            Kind::Jpeg => self.jpeg,
        }
    }
}

/// The file that the user named, and how to show it.
pub struct Gallery {
    file: &'static [u8],
    kind: Kind,
    decoders: Decoders,
    style: Style,
    room: u64,
}

impl Gallery {
    /// Looks at the file, from afar.
    pub fn new(startup: &'static Startup, orders: Orders) -> Result<Self> {
        let file = startup.bytes(names::FILE).ok_or(Error::Missing(names::FILE))?;
        let unknown = || Trouble::new("the file is neither a PNG nor a JPEG picture", "unknown first bytes");
        let kind = Kind::of(file).ok_or_else(unknown)?;
        let style = if orders.grey { Style::Grey } else { Style::Colour };
        Ok(Self { file, kind, decoders: Decoders::new(startup)?, style, room: FIRST_ROOM })
    }

    /// Decodes the picture and draws it; the small one stays in `cache`.
    pub fn show(&mut self, sandbox: &mut Sandbox, cache: &mut [u8]) -> Result<Picture> {
        let picture = self.decode_to(sandbox, Some(&mut *cache))?;
        println!("picture: {}, {}, CRC-32 {:08x}", self.kind, picture.shape, picture.checksum);
        Ok(picture)
    }

    /// Decodes the picture.
    pub fn decode(&mut self, sandbox: &mut Sandbox) -> Result<Picture> {
        self.decode_to(sandbox, None)
    }

    /// Decodes the picture in a sandbox that is made larger if need be.
    fn decode_to(&mut self, sandbox: &mut Sandbox, mut cache: Option<&mut [u8]>) -> Result<Picture> {
        let style = self.style;
        loop {
            let job = Job {
                program: self.decoders.of(self.kind),
                argument: &[],
                file: self.file,
                damage: Damage::None,
                room: self.room,
                patient: false,
            };
            let cache = cache.as_deref_mut();
            let (report, picture) = sandbox.run(&job, |report, pixels| match report.end {
                End::Said(Said::Picture(shape)) => Some(look(shape, pixels, cache, style)),
                _ => None,
            })?;
            match (report.end, picture) {
                (End::Said(Said::Picture(_)), Some(picture)) => return Ok(picture?),
                (End::Said(Said::TooLarge(shape)), _) if shape.bytes() > self.room => self.enlarge(shape)?,
                (end, _) => return Err(explain(&end)),
            }
        }
    }

    fn enlarge(&mut self, shape: Shape) -> Result {
        if shape.bytes() > MAX_ROOM {
            let needed = shape.bytes().div_ceil(1 << 20);
            let most = MAX_ROOM >> 20;
            return Err(Trouble::new(
                "the picture is too large",
                format_args!("{shape}: {needed} MiB of pixels, and {most} MiB are the most"),
            ));
        }
        self.room = shape.bytes();
        Ok(())
    }
}

/// Why a decoder made no picture.
fn explain(end: &End) -> Trouble {
    match end {
        End::Said(Said::Broken(why)) => Trouble::new("the picture is broken", why),
        End::Said(said) => Trouble::new("the decoder makes no sense", format_args!("{said:?}")),
        End::Fault(fault) => Trouble::new("the decoder broke down", fault),
        End::Ended(ending) => Trouble::new("the decoder gave up", ending),
        End::OutOfTime => Trouble::new("the picture takes too long to decode", "its time is used up"),
        End::Late => Trouble::new("the picture takes too long to decode", "nothing came of it"),
        End::Noisy => Trouble::new("the decoder makes no sense", "too many messages"),
    }
}

/// Bytes of pixels that are copied out at a time.
const PIECE: usize = 4096;

/// The checksum of what a decoder left in the output.
pub fn measure(shape: Shape, pixels: View) -> keel::Result<Picture> {
    let mut checksum = Checksum::new();
    let mut piece = [0; PIECE];
    let mut offset = 0;
    while offset < shape.bytes() {
        let count = (shape.bytes() - offset).min(PIECE as u64);
        let piece = &mut piece[..count as usize];
        pixels.read(offset, piece)?;
        checksum.add(piece);
        offset += count;
    }
    Ok(Picture { shape, checksum: checksum.value() })
}

/// Looks at what a decoder left: measures it, and draws it if there is a cache to scale it into.
fn look(shape: Shape, pixels: View, cache: Option<&mut [u8]>, style: Style) -> keel::Result<Picture> {
    if let Some(cache) = cache {
        let mut scaler = Scaler::new(shape, cache);
        let mut row = [0; 4 * Shape::MAX_SIDE as usize];
        let row = &mut row[..shape.row_bytes() as usize];
        for y in 0..u64::from(shape.height()) {
            pixels.read(y * shape.row_bytes(), row)?;
            scaler.row(row);
        }
        // Printing does not fail.
        let _ = draw(&scaler.finish(), style, &mut Terminal::new());
    }
    measure(shape, pixels)
}

/// Collects text into large writes.
struct Terminal {
    bytes: [u8; 512],
    used: usize,
}

impl Terminal {
    fn new() -> Self {
        Self { bytes: [0; 512], used: 0 }
    }

    fn emit(&mut self) {
        console::write_bytes(&self.bytes[..self.used]);
        self.used = 0;
    }
}

impl Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.bytes.len() {
                self.emit();
            }
            self.bytes[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.emit();
    }
}
