// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cases that only 64-bit Arm has.

mod cache;
mod mapping;
mod processor;
mod sgi;
mod smc;

use crate::{
    cases::Case,
    machine::{numbered, replacing},
};
pub use sgi::sgi;

/// All of them.
pub const THEMES: &[&[Case]] = &[
    cache::CASES,
    mapping::CASES,
    numbered::CASES,
    processor::CASES,
    replacing::CASES,
    sgi::CASES,
    smc::CASES,
];
