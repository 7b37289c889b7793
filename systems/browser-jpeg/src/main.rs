// SPDX-License-Identifier: MIT OR Apache-2.0

//! The decoder of JPEG files: from the bytes that it can read to pixels in the output, and a word to its
//! tab. It has nothing else.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use keel::{heap::Heap, prelude::*, service, startup};
use keel_browser_decode::{DecodeError, jpeg};
use keel_browser_protocol::{Said, Text, names};

#[global_allocator]
static HEAP: Heap = Heap::empty();

keel::program!(main);

fn main(startup: &'static Startup) -> keel::Result {
    HEAP.init(startup.take_region(startup::HEAP).ok_or(Error::Missing(startup::HEAP))?);
    let tab = startup.cap::<Endpoint>(names::TAB).ok_or(Error::Missing(names::TAB))?;
    let file = startup.bytes(names::INPUT).ok_or(Error::Missing(names::INPUT))?;
    let output = startup.view(names::OUTPUT).ok_or(Error::Missing(names::OUTPUT))?;
    let said = match jpeg::decode(file, output.len()) {
        Ok(picture) => {
            output.write(0, &picture.pixels)?;
            Said::Picture(picture.shape)
        }
        Err(DecodeError::TooLarge(shape)) => Said::TooLarge(shape),
        Err(DecodeError::Broken(why)) => Said::Broken(Text::of(&why)),
    };
    let (label, payload) = said.encode()?;
    service::request(tab, label, payload).map(drop)
}
