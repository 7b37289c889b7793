// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the programs of the browser say to each other: the names of what they are given, the requests
//! to the vault, and what a decoder may say to its tab.
//!
//! ```text
//!                         ┌───────────── root task ─────────────┐
//!                         ▼              ▼              ▼        ▼
//!   console driver ◀── vault ◀── neighbour          tab (its own Untyped)
//!        ▲                ▲                          │  builds
//!        └────────────────┴──────────────────────────┤
//!                                                     ├──▶ watch: a tick
//!                                                     └──▶ decoder: file, output, endpoint, budget
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod attack;
pub mod decoder;
mod orders;
pub mod text;
pub mod vault;

pub use self::{attack::Attack, decoder::Said, orders::Orders, text::Text};

/// Names under which a program finds what it was given.
pub mod names {
    /// The endpoint that a server receives from.
    pub const CLIENTS: &str = "clients";
    /// A server's reply object.
    pub const REPLY: &str = "reply";
    /// An endpoint to the vault.
    pub const VAULT: &str = "vault";
    /// Memory for what a site wants to keep.
    pub const CACHE: &str = "cache";
    /// The file that the user named.
    pub const FILE: &str = "file";
    /// The program that decodes PNG files.
    pub const PNG: &str = "png";
    /// The program that decodes JPEG files.
    pub const JPEG: &str = "jpeg";
    /// The program that attacks.
    pub const HOSTILE: &str = "hostile";
    /// The program that ticks.
    pub const WATCH: &str = "watch";
    /// What the watch signals.
    pub const TICK: &str = "tick";
    /// A decoder's endpoint to its tab.
    pub const TAB: &str = "tab";
    /// The bytes that a decoder decodes.
    pub const INPUT: &str = "input";
    /// Where a decoder puts pixels.
    pub const OUTPUT: &str = "output";
    /// Where the neighbour shows how it is.
    pub const DIARY: &str = "diary";
}

/// Who goes first.
pub mod priority {
    /// The console driver: short work, waited for by all.
    pub const CONSOLE: u8 = 250;
    /// The vault: short work.
    pub const VAULT: u8 = 200;
    /// The neighbour: a little work in each period.
    pub const NEIGHBOUR: u8 = 190;
    /// A tab.
    pub const TAB: u8 = 150;
    /// A tab's watch.
    pub const WATCH: u8 = 120;
    /// A decoder: below all that it could disturb.
    pub const DECODER: u8 = 100;
}

/// The neighbour's diary: words in shared memory.
pub mod diary {
    /// Offset of the number of rounds done.
    pub const ROUNDS: u64 = 0;
    /// Offset of the number of rounds in which something was wrong.
    pub const WRONG: u64 = 8;
    /// Bytes of it.
    pub const BYTES: u64 = 16;
}
