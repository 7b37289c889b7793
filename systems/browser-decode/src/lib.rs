// SPDX-License-Identifier: MIT OR Apache-2.0

//! The picture decoders: other people's, in one shape.
//!
//! The same code runs in the sandbox and on the host. Vector instructions are off on both, so that the
//! pixels agree to the bit. Nothing else is expected of a decoder: in the sandbox it may panic, loop or be
//! taken over, and its tab does not mind.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod error;
pub mod jpeg;
pub mod png;

pub use error::{DecodeError, Decoded};

use keel_browser_picture::Kind;

/// Decodes a file of this kind, whose pixels take at most `limit` bytes.
pub fn decode(kind: Kind, file: &[u8], limit: u64) -> Result<Decoded, DecodeError> {
    match kind {
        Kind::Png => png::decode(file, limit),
        Kind::Jpeg => jpeg::decode(file, limit),
    }
}

#[cfg(test)]
mod test;
