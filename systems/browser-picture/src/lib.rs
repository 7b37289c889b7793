// SPDX-License-Identifier: MIT OR Apache-2.0

//! Pictures, for programs that trust neither them nor their decoders.
//!
//! ```text
//!   file ── Kind::of ──▶ a decoder, elsewhere ──▶ pixels ──▶ Checksum
//!                                                   └─ Scaler ──▶ Thumbnail ──▶ draw
//! ```
//!
//! The decoder is expected to be taken over. What is here works on what such a program leaves behind: any
//! [`Shape`] that it claims is checked, any pixels are as good as any others. Nothing allocates.

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

mod checksum;
pub mod draw;
mod kind;
mod scale;
mod shape;

pub use self::{
    checksum::{Checksum, checksum},
    kind::Kind,
    scale::{MAX_COLUMNS, MAX_ROWS, Scaler, THUMBNAIL_BYTES, Thumbnail},
    shape::Shape,
};
